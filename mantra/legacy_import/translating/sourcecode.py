"""The text of a definition as texts by name: JSON, or in old rows a query string."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, unquote_plus, unquote_to_bytes

from mantra.legacy_import.translating.remarks import Kind, Refused, Remark, remark

#: Characters of a definition.
MAX_SOURCE = 1_000_000
#: Names in a query string, as PHP reads at most.
_MAX_NAMES = 1_000
#: The name without which a text is no definition of the kind.
_NAMED = {"database": "dbtype", "services": "wstype", "program": "code"}


@dataclass(frozen=True, slots=True, repr=False)
class Source:
    """A definition's texts. ``lost`` are the names with null: values that were not UTF-8."""

    texts: dict[str, str]
    lost: frozenset[str]
    remarks: tuple[Remark, ...]

    def text(self, name: str) -> str:
        """Return the text with a name, "" without one."""
        return self.texts.get(name, "")


def read(source: str, kind: str) -> Source:
    """Return the texts of a definition of the kind ``database``, ``services`` or ``program``. Raises Refused.

    1.99x takes a text for a query string if it has "code=" anywhere, and then loses programs that say $code=. By its
    first letter each text that worked there is read as it was.
    """
    if len(source) > MAX_SOURCE:
        raise Refused(Kind.TOO_LONG, what="sourcecode", most=MAX_SOURCE)
    stripped = source.lstrip("\ufeff \t\r\n\f\v\x00")
    found = _from_json(stripped) if stripped.startswith("{") else _from_query(stripped, kind)
    if _NAMED[kind] not in found.texts and _NAMED[kind] not in found.lost:
        raise Refused(Kind.UNREADABLE)
    if any(not _is_storable(text) for text in found.texts.values()):
        raise Refused(Kind.UNREADABLE)
    return found


def _is_storable(text: str) -> bool:
    """Return False for what is in no database: a null character, or half a surrogate pair."""
    return "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _from_json(source: str) -> Source:
    try:
        document = json.loads(source, strict=False, parse_int=str, parse_float=str, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refused(Kind.UNREADABLE) from None
    if not isinstance(document, dict):
        raise Refused(Kind.UNREADABLE)
    texts = {name: _php_text(value) for name, value in document.items() if value is not None}
    return Source(texts, frozenset(name for name, value in document.items() if value is None), ())


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _php_text(value: Any) -> str:
    """Return a value as PHP writes it in a text. Raises Refused for a list or an object."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else ""
    raise Refused(Kind.UNREADABLE)


def _from_query(source: str, kind: str) -> Source:
    pairs = [part.partition("=") for part in source.rstrip("\r\n").split("&", _MAX_NAMES)[:_MAX_NAMES] if part]
    latin = not all(_is_utf8(value) for _name, _equals, value in pairs)
    encoding = "iso-8859-1" if latin else "utf-8"
    texts = {unquote_plus(name, encoding): unquote_plus(value, encoding) for name, _equals, value in pairs}
    if kind == "program":
        # These two were encoded once more, by a function that keeps "+".
        texts |= {name: unquote(texts[name], encoding) for name in ("code", "request") if name in texts}
    return Source(texts, frozenset(), (remark(Kind.LATIN1),) if latin else ())


def _is_utf8(text: str) -> bool:
    try:
        unquote_to_bytes(text).decode()
    except UnicodeError:
        return False
    return True
