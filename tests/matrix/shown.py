"""What an answer's reader sees of one value, in each format's own syntax; no code of the bus has a part in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape


@dataclass(frozen=True)
class Shown:
    """A value in each format. ``xml`` is what stands in its element, None where the element says that it is nil."""

    json: str
    xml: str | None
    csv: str
    php: str


NULL = Shown("null", None, "", "N;")


def _csv(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if not text or set(text) & set(',"\r\n') else text


def _php(text: str) -> str:
    return f's:{len(text.encode())}:"{text}";'


def _xml(text: str) -> str:
    return escape(text).replace("\r", "&#13;")


def text(value: str, xml: str | None = None) -> Shown:
    """A text: dates, times, identifiers and bytes in base64 too. ``xml`` where XML cannot carry it."""
    written = json.dumps(value, ensure_ascii=False)
    return Shown(written, _xml(value) if xml is None else xml, _csv(value), _php(value))


def digits(number: str) -> Shown:
    """A decimal: a number in JSON, with its own digits; in PHP a string, as its floats would lose some."""
    return Shown(number, number, number, _php(number))


def whole(number: str) -> Shown:
    """An integer; beyond 64 bits PHP has it as a string."""
    fits = -(2**63) <= int(number) < 2**63
    return Shown(number, number, number, f"i:{number};" if fits else _php(number))


def real(number: str, php: str = "") -> Shown:
    """A float; ``php`` where PHP's notation is another."""
    return Shown(number, number, number, f"d:{php or number};")


def truth(value: bool) -> Shown:
    word = "true" if value else "false"
    return Shown(word, word, word, f"b:{value:d};")


def document(written: str, php: str) -> Shown:
    """A JSON document: nested in JSON, an array in PHP, and its own text in XML and CSV."""
    return Shown(written, _xml(written), _csv(written), php)


@dataclass(frozen=True)
class Case:
    """``label`` says what is special about the value; ``literal`` is how the engine's SQL writes it."""

    label: str
    literal: str
    shown: Shown


@dataclass(frozen=True)
class Type:
    """A type of an engine: as DDL says it, what the bus calls it, its values, and what is to know about it.

    ``null`` is False where no column of the type can be NULL, or the engine has no sign for it.
    """

    ddl: str
    kind: str
    cases: tuple[Case, ...]
    null: bool = True
    note: str = ""
    #: Further words of the column's definition in the test's own table.
    more: str = ""

    @property
    def rows(self) -> list[Case]:
        return [*self.cases, *([Case("NULL", "NULL", NULL)] if self.null else [])]

    def __str__(self) -> str:
        return self.ddl


Spec = tuple[str, str, Shown]


def of(ddl: str, kind: str, *cases: Spec, null: bool = True, note: str = "", more: str = "") -> Type:
    return Type(ddl, kind, tuple(Case(*case) for case in cases), null, note, more)


@dataclass(frozen=True)
class Engine:
    """One section of the page."""

    name: str
    label: str
    #: What the tests asked, and how far that is the genuine server.
    asked: str
    types: Sequence[Type]
    #: (type, what becomes of it and why): what no table here can hold.
    without: Sequence[tuple[str, str]] = field(default=())
