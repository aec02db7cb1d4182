"""From the text of a bundle to plain values: safe YAML, exact scalars, the environment's values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from django.utils.translation import gettext as _

_REFERENCE = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})")


#: A bundle may have been written by an agency: what it says lands where that agency's people can read it.
OWN = frozenset(
    (
        "MANTRA_SECRET_KEY", "MANTRA_FIELD_KEYS", "MANTRA_KEY_PEPPERS", "MANTRA_JOURNAL_KEY", "MANTRA_DATABASE_URL",
        "MANTRA_QUOTA_STORE",
    )
)  # fmt: skip


class Unreadable(ValueError):
    """What is written does not fit, with the reason in the reader's words."""


class Scalar(str):
    """An unquoted scalar exactly as it was written, and the value that YAML would make of it.

    YAML takes 0123 for a number and ``no`` for a truth. Here the key decides what a value is.
    """

    value: Any


class Block(dict[str, Any]):
    """A mapping of the file, with the keys that stand in it more than once."""

    repeated: tuple[str, ...] = ()


class _Loader(yaml.SafeLoader):
    pass


def _block(loader: _Loader, node: yaml.MappingNode) -> Any:
    block = Block()
    yield block
    names = [key.value for key, _value in node.value if isinstance(key, yaml.ScalarNode)]
    block.repeated = tuple(sorted({name for name in names if names.count(name) > 1}))
    block.update({str(key): value for key, value in loader.construct_mapping(node).items()})


def _scalar(loader: _Loader, node: yaml.ScalarNode) -> Scalar:
    scalar = Scalar(node.value)
    try:
        scalar.value = yaml.SafeLoader.yaml_constructors[node.tag](loader, node)
    except ValueError:  # 2026-13-45 looks like a date to YAML
        scalar.value = node.value
    return scalar


_Loader.add_constructor("tag:yaml.org,2002:map", _block)
for _tag in ("null", "bool", "int", "float", "timestamp"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _scalar)


def load(text: str) -> Any:
    """The file's one document. Raises Unreadable where it is no YAML, or asks for more than plain values."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = (
            _("line %(line)d, column %(column)d") % {"line": mark.line + 1, "column": mark.column + 1} if mark else ""
        )
        raise Unreadable(f"{where}: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError):
        raise Unreadable(_("This is not a YAML file.")) from None


def native(value: Any) -> Any:
    """A value with every scalar as YAML would have it: for mappings whose keys are not ours."""
    if isinstance(value, Scalar):
        return value.value
    if isinstance(value, dict):
        return {str(key): native(item) for key, item in value.items()}
    if isinstance(value, list):
        return [native(item) for item in value]
    return value


def is_null(value: Any) -> bool:
    return value is None or (isinstance(value, Scalar) and value.value is None)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a bundle may draw on: the environment, and the folder that its files are found from."""

    environment: Mapping[str, str]
    folder: Path

    def expand(self, text: str) -> str:
        """``text`` with ${NAME} and ${NAME:-default} taken from the environment; $$ stands for $."""

        def value(match: re.Match[str]) -> str:
            name, default = match[1], match[2]
            return "$" if name is None else self._variable(name, default)

        return _REFERENCE.sub(value, text)

    def secret(self, text: str) -> str:
        """The secret that env:NAME or file:PATH names, or the text itself."""
        where, colon, rest = text.partition(":")
        if colon and where == "env":
            return self._variable(rest.strip(), None)
        if colon and where == "file":
            return self._file(self.expand(rest.strip()))
        return self.expand(text)

    def _variable(self, name: str, default: str | None) -> str:
        if name.removesuffix("_FILE") in OWN:
            raise Unreadable(_("%(name)s is the bus's own secret.") % {"name": name})
        found = self.environment.get(name, default)
        if found is None:
            raise Unreadable(_("The environment has no %(name)s.") % {"name": name})
        return found

    def _file(self, path: str) -> str:
        try:
            return (self.folder / path).read_text().rstrip("\r\n")
        except (OSError, ValueError):
            raise Unreadable(_("The file %(path)s cannot be read.") % {"path": path}) from None


def by_reference(text: str) -> bool:
    """Whether a secret is only named in the file, not written into it."""
    return text.startswith(("env:", "file:")) or any(match[1] for match in _REFERENCE.finditer(text))


def escaped(text: str) -> str:
    """``text`` so that expand() gives it back."""
    return re.sub(r"\$(?=[${])", "$$", text)
