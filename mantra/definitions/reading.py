"""The text of a bundle as plain values: safe YAML, exact scalars, variables of the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings
from django.utils.translation import gettext as _

_REFERENCE = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})")


#: The bus's own secrets, which no bundle can refer to. An agency may have written the bundle, and its users can read
#: the values that the bundle sets.
OWN_SECRETS = frozenset(
    (
        "MANTRA_SECRET_KEY",
        "MANTRA_FIELD_KEYS",
        "MANTRA_KEY_PEPPERS",
        "MANTRA_JOURNAL_KEY",
        "MANTRA_HEAD_KEYS",
        "MANTRA_DATABASE_URL",
        "MANTRA_QUOTA_STORE",
    )
)


class BundleSyntaxError(ValueError):
    """Text that is not a valid part of a bundle. The message is for the bundle's author, in the active language."""


class Scalar(str):
    """An unquoted scalar exactly as it was written, and the value that YAML would make of it.

    YAML takes 0123 for a number and ``no`` for a boolean. In a bundle the key decides the type of its value.
    """

    value: Any


class Block(dict[str, Any]):
    """A mapping of the file, with the keys that it has more than once."""

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


#: The most values of a bundle, each alias counted as what it stands for.
MAX_VALUES = 2_000_000


def load(text: str) -> Any:
    """Return the file's document. Raises BundleSyntaxError if it is not YAML of plain values, or too large."""
    if len(text) > settings.MAX_BUNDLE_BYTES:
        raise BundleSyntaxError(_("The file is larger than %(size)d bytes.") % {"size": settings.MAX_BUNDLE_BYTES})
    document = _parsed(text)
    _check_values(document)
    return document


def _check_values(document: Any) -> None:
    """Count the values as a reader of the document meets them: a few aliases of aliases are very many."""
    left, waiting = MAX_VALUES, [document]
    while waiting and left >= 0:
        value = waiting.pop()
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        left -= len(inner)
        if left >= 0:
            waiting.extend(inner)
    if left < 0:
        raise BundleSyntaxError(_("The file has more than %(most)d values.") % {"most": MAX_VALUES})


def _parsed(text: str) -> Any:
    try:
        return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        position = (
            _("line %(line)d, column %(column)d") % {"line": mark.line + 1, "column": mark.column + 1} if mark else ""
        )
        raise BundleSyntaxError(f"{position}: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError):
        raise BundleSyntaxError(_("This is not a YAML file.")) from None


def native(value: Any) -> Any:
    """Return a value with each Scalar as YAML reads it, for mappings with keys of a driver."""
    if isinstance(value, Scalar):
        return value.value
    if isinstance(value, dict):
        return {str(key): native(item) for key, item in value.items()}
    if isinstance(value, list):
        return [native(item) for item in value]
    return value


def is_null(value: Any) -> bool:
    """Return True if a value is absent or null."""
    return value is None or (isinstance(value, Scalar) and value.value is None)


@dataclass(frozen=True, slots=True)
class Environment:
    """The sources of values outside a bundle: variables, and the folder to which its file paths are relative."""

    environment: Mapping[str, str]
    folder: Path

    def expand(self, text: str) -> str:
        """Return ``text`` with variables for ${NAME} and ${NAME:-default}; $$ is a $. Raises BundleSyntaxError."""

        def value(match: re.Match[str]) -> str:
            name, default = match[1], match[2]
            return "$" if name is None else self._variable(name, default)

        return _REFERENCE.sub(value, text)

    def secret(self, text: str) -> str:
        """Return the secret that env:NAME or file:PATH names, or else the expanded text. Raises BundleSyntaxError."""
        scheme, colon, name = text.partition(":")
        if colon and scheme == "env":
            return self._variable(name.strip(), None)
        if colon and scheme == "file":
            return self._file(self.expand(name.strip()))
        return self.expand(text)

    def _variable(self, name: str, default: str | None) -> str:
        if name.removesuffix("_FILE") in OWN_SECRETS:
            raise BundleSyntaxError(
                _("%(name)s is a secret of the bus itself and cannot be used here.") % {"name": name}
            )
        value = self.environment.get(name, default)
        if value is None:
            raise BundleSyntaxError(_("The environment variable %(name)s is not set.") % {"name": name})
        return value

    def _file(self, path: str) -> str:
        try:
            return (self.folder / path).read_text().rstrip("\r\n")
        except (OSError, ValueError):
            raise BundleSyntaxError(_("The file %(path)s cannot be read.") % {"path": path}) from None


def is_reference(text: str) -> bool:
    """Return True if the text only refers to a secret."""
    return text.startswith(("env:", "file:")) or any(match[1] for match in _REFERENCE.finditer(text))


def escaped(text: str) -> str:
    """Return text from which expand() gives ``text``."""
    return re.sub(r"\$(?=[${])", "$$", text)
