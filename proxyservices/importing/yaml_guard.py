"""The reader of a description's YAML or JSON, with limits."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import yaml
from django.utils.translation import gettext as _

from proxyservices.descriptions.documents import DescriptionError

#: The most nodes that are read of a document: references can make a small document endless.
MAX_NODES = 100_000
#: The deepest nesting of a YAML document's lists and mappings.
MAX_DEPTH = 200
#: The most characters and nodes of a YAML document once its aliases are expanded.
MAX_EXPANDED = 16_000_000


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML with the words and numbers of JSON, as OpenAPI requires it, and with limits on merged keys.

    PyYAML's own rules are those of YAML 1.1, in which NO is false, 010 is 8, 12:30 is 750 and = is an error.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    merged = 0

    def flatten_mapping(self, node: Any) -> None:
        super().flatten_mapping(node)
        self.merged += len(node.value)
        if self.merged > MAX_NODES:
            raise yaml.YAMLError("too many merged keys")
        for key, _value in node.value:  # a key is a text in JSON, also one that looks like a number
            if isinstance(key, yaml.ScalarNode):
                key.tag = "tag:yaml.org,2002:str"


def _number(loader: Any, node: Any) -> Decimal:
    return Decimal(loader.construct_scalar(node))


def _text(loader: Any, node: Any) -> str:
    return str(loader.construct_scalar(node))


#: tag, form, first characters: the words of YAML 1.2's core schema, and numbers as JSON writes them.
_WORDS = (
    ("null", r"null|Null|NULL|~|", ["n", "N", "~", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"-?(?:0|[1-9][0-9]*)", list("-0123456789")),
    ("float", r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,4})?", list("-0123456789")),
    ("merge", r"<<", ["<"]),
)
for _tag, _form, _first in _WORDS:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_form})\Z"), _first)
_Loader.add_constructor("tag:yaml.org,2002:float", _number)
for _tag in ("timestamp", "merge", "value"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _text)


def load(text: str) -> Any:
    """Return the content of a JSON or YAML document. Raises DescriptionError."""
    try:
        if text.startswith("{"):
            return json.loads(text, parse_float=Decimal)
        _check_depth(text)
        content = yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
        _check_expanded_size(content)
        return content
    except (ValueError, yaml.YAMLError, RecursionError, TypeError, AttributeError):
        raise DescriptionError(_("This is not a WSDL or OpenAPI document: it is neither XML, JSON nor YAML.")) from None


def _check_depth(text: str) -> None:
    """Raise YAMLError for deeper nesting than any description has: libyaml's loader would crash the whole process."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise yaml.YAMLError("nested too deeply")


def _check_expanded_size(root: Any) -> None:
    """Raise YAMLError for content that aliases make endless, or larger than any description once expanded."""
    sizes: dict[int, int] = {}
    above: set[int] = set()
    #: (node, True if its members have been visited)
    pending: list[tuple[Any, bool]] = [(root, False)]
    while pending:
        node, visited = pending.pop()
        key, members = id(node), _members(node)
        if visited:
            above.discard(key)
            sizes[key] = 1 + sum(sizes[id(each)] if _is_container(each) else _length(each) for each in members)
            if sizes[key] > MAX_EXPANDED:
                raise yaml.YAMLError("too large when written out")
        elif key in above:
            raise yaml.YAMLError("an alias contains itself")
        elif key not in sizes and _is_container(node):
            above.add(key)
            pending.append((node, True))
            pending += [(each, False) for each in members if _is_container(each)]


def _is_container(node: Any) -> bool:
    return isinstance(node, dict | list | tuple | set | frozenset)


def _members(node: Any) -> list[Any]:
    return [*node.keys(), *node.values()] if isinstance(node, dict) else list(node) if _is_container(node) else []


def _length(leaf: Any) -> int:
    if isinstance(leaf, int) and leaf.bit_length() > 1_000:
        raise yaml.YAMLError("a number is too large")  # Python refuses to convert it to text
    return 1 + (len(leaf) if isinstance(leaf, str | bytes) else 0)
