"""Reads a description's YAML or JSON within bounds."""

from __future__ import annotations

import json
from typing import Any

import yaml
from django.utils.translation import gettext as _

from proxyservices.descriptions.documents import Unusable

#: How many nodes of a document are looked at in all: references can make a small document endless.
STEPS = 100_000
#: How deep a YAML document's lists and mappings may lie in each other.
NESTED = 200
#: How many letters and nodes a YAML document may have once its aliases are written out.
WEIGHT = 16_000_000


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML without dates, and without merges that grow with every step."""

    merged = 0

    def flatten_mapping(self, node: Any) -> None:
        super().flatten_mapping(node)
        self.merged += len(node.value)
        if self.merged > STEPS:
            raise yaml.YAMLError("too many merged keys")


_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: node.value)


def load(text: str) -> Any:
    """A JSON or YAML document. Raises Unusable."""
    try:
        if text.startswith("{"):
            return json.loads(text)
        _shallow(text)
        found = yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
        _weigh(found)
        return found
    except (ValueError, yaml.YAMLError, RecursionError, TypeError, AttributeError):
        raise Unusable(_("This is neither a WSDL nor an OpenAPI document: it is not even JSON or YAML.")) from None


def _shallow(text: str) -> None:
    """Refuse what is nested deeper than any description: the loader in C goes down with the whole process."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > NESTED:
            raise yaml.YAMLError("nested too deep")


def _weigh(root: Any) -> None:
    """Refuse what its aliases make endless, or larger than any description once it is written out."""
    sizes: dict[int, int] = {}
    above: set[int] = set()
    ahead: list[tuple[Any, bool]] = [(root, False)]
    while ahead:
        node, walked = ahead.pop()
        key, inner = id(node), _inner(node)
        if walked:
            above.discard(key)
            sizes[key] = 1 + sum(sizes[id(each)] if _holds(each) else _length(each) for each in inner)
            if sizes[key] > WEIGHT:
                raise yaml.YAMLError("too large when written out")
        elif key in above:
            raise yaml.YAMLError("an alias holds itself")
        elif key not in sizes and _holds(node):
            above.add(key)
            ahead.append((node, True))
            ahead += [(each, False) for each in inner if _holds(each)]


def _holds(node: Any) -> bool:
    return isinstance(node, dict | list | tuple | set | frozenset)


def _inner(node: Any) -> list[Any]:
    return [*node.keys(), *node.values()] if isinstance(node, dict) else list(node) if _holds(node) else []


def _length(leaf: Any) -> int:
    if isinstance(leaf, int) and leaf.bit_length() > 1_000:
        raise yaml.YAMLError("a number too large")  # which Python would not write out
    return 1 + (len(leaf) if isinstance(leaf, str | bytes) else 0)
