"""Finds and covers what identifies people in the values of rows and documents."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from typing import Any

import orjson

from mantra.egress.prefilter import may_have, suspects
from mantra.egress.scanner import Found, covered, scan
from registry.personal_data.values import is_person_name
from registry.results import Column, Row

#: What is counted: (place, kind) → how many. The place is the name of a column or member, "" for another.
Counts = dict[tuple[str, str], int]

#: The names of places. Other keys of documents are data: systems list people by their numbers.
_NAME = re.compile(r"[^\W\d][\w.-]{0,62}")
_LONGEST = 63
_MAX_DIGITS = 3
#: The classes of values that have no number of a person, however they are written.
_HARMLESS = frozenset((type(None), bool, date, time, datetime, timedelta))
#: Characters of the shortest text that identifies somebody, an e-mail address as a@b.id, and of the longest one that
#: is looked at twice: a quick look leaves most of them out.
_SHORTEST, _LOOKED_AT_FIRST = 6, 200
#: The depth to which documents are read. Decoders accept less.
_DEPTH = 200
#: Bytes of a value of bytes that are read.
_BYTES = 1024 * 1024


def count(counts: Counts, place: str, kind: str) -> None:
    """Count a find."""
    counts[place, kind] = counts.get((place, kind), 0) + 1


def place_of(name: str) -> str:
    """Return a name as it may be recorded; "" for one that may be data itself."""
    return _place_of(name) if len(name) <= _LONGEST else ""


@lru_cache(maxsize=4096)
def _place_of(name: str) -> str:
    if not _NAME.fullmatch(name) or sum(map(str.isdigit, name)) > _MAX_DIGITS or scan(name):
        return ""
    return "" if is_person_name(name) else name


class Values:
    """Looks at values.

    ``expected``: kinds that may leave. ``covers``: what is found is covered. ``declared``: columns and members that are
    declared as personal data, which are not looked at.
    """

    def __init__(self, expected: Collection[str], covers: bool, declared: Collection[str]) -> None:
        self.counts: Counts = {}
        #: Look into base64 too.
        self.base64 = True
        self.expected, self.covers, self.declared = expected, covers, declared

    def text(self, text: str, label: str, place: str) -> str:
        """Return a text, covered where that is wanted."""
        found = self._found(text, label, place)
        return covered(text, found) if found and self.covers else text

    def _found(self, text: str, label: str, place: str) -> list[Found]:
        if len(text) < _SHORTEST:
            return []
        if len(text) < _LOOKED_AT_FIRST and not may_have(text.encode("utf-8", "replace"), self.base64):
            return []
        found = [each for each in scan(text, label, self.base64) if each.kind not in self.expected]
        for each in found:
            count(self.counts, place, each.kind)
        return found

    def number(self, value: Any, label: str, place: str) -> Any:
        """Return a number, or another value without letters; None if it is covered."""
        return None if self._found(_digits(value), label, place) and self.covers else value

    def any(self, value: Any, label: str = "", place: str = "", depth: int = 0) -> Any:
        """Return a value of any type, covered where that is wanted."""
        if isinstance(value, str):
            return self.text(value, label, place)
        if value.__class__ in _HARMLESS:
            return value
        if isinstance(value, dict):
            return self._members(value, label, place, depth)
        if isinstance(value, list | tuple):
            if depth > _DEPTH:
                return value
            items = [self.any(item, label, place, depth + 1) for item in value]
            return items if self.covers else value
        return self.number(value, label, place)

    def _members(self, value: dict[Any, Any], label: str, place: str, depth: int) -> dict[Any, Any]:
        if depth > _DEPTH:
            return value
        members: dict[Any, Any] = {}
        for name, member in value.items():
            if name in self.declared:
                members[name] = member
                continue
            key = str(name)
            shown = self.text(key, label, place)
            if shown != key:
                while shown in members or shown in value:
                    shown += "•"
            own = place_of(key)
            seen = self.any(member, key if own else label, own or place, depth + 1)
            members[shown if shown != key else name] = seen
        if not self.covers:
            return value
        # Its class says how it is written.
        copy = value.copy()
        copy.clear()
        copy.update(members)
        return copy


def _digits(value: Any) -> str:
    """Return a number as its digits, without an exponent; another value as text."""
    if isinstance(value, float):
        return format(value, ".0f") if abs(value) < 1e20 and value.is_integer() else repr(value)
    if isinstance(value, Decimal):
        return format(value, "f") if abs(value.adjusted()) < 60 else str(value)
    if isinstance(value, memoryview | bytes | bytearray):
        return bytes(value[:_BYTES]).decode("utf-8", "replace")
    return str(value)


# ----------------------------------------------------------------------------------------------- rows

_OPTIONS = orjson.OPT_NON_STR_KEYS
#: Rows of which each value is looked at by itself at once.
_FEW = 4


class Layout:
    """The columns of a table, and which of them are looked at: those that are not declared as personal data."""

    __slots__ = ("_without", "checked", "columns", "names")

    def __init__(self, columns: Sequence[Column], declared: Collection[str]) -> None:
        self.columns = columns
        #: The places under which finds are counted.
        self.names = [column.name if place_of(column.name) else "" for column in columns]
        self.checked = [at for at, column in enumerate(columns) if column.name not in declared]
        self._without: tuple[Collection[str], list[int]] = (), self.checked

    def without(self, known: Collection[str]) -> list[int]:
        """Return the columns that are looked at if enough is known of some. Those of the last call are kept."""
        left_out, places = self._without
        if left_out is not known:
            places = [at for at in self.checked if self.columns[at].name not in known]
            self._without = known, places
        return places


class RowValues:
    """Looks at batches of rows. ``known``: columns of which enough is known; ``enough``: finds until a column is."""

    __slots__ = ("_checked", "_columns", "_enough", "_names", "_values", "found")

    def __init__(self, layout: Layout, values: Values, known: Collection[str] = (), enough: float = math.inf) -> None:
        self._values = values
        self._columns, self._names = layout.columns, layout.names
        self._enough = enough
        #: By column: how many were found in it.
        self.found: dict[str, int] = {}
        self._checked = layout.without(known)

    def batch(self, batch: list[Row]) -> list[Row]:
        """Return a batch of rows, covered where that is wanted; the batch itself if nothing is."""
        if not self._checked:
            return batch
        places = self._suspects_of_few(batch) if len(batch) <= _FEW else self._suspects(batch)
        if not places:
            return batch
        changed: dict[int, list[Any]] = {}
        counts = self._values.counts
        for at in places:
            column = [row[at] for row in batch]
            before = sum(counts.values())
            seen = self._column(column, at)
            if new := sum(counts.values()) - before:
                name = self._columns[at].name
                self.found[name] = self.found.get(name, 0) + new
            if self._values.covers and seen != column:
                changed[at] = seen
        if self.found and max(self.found.values()) >= self._enough:
            self._checked = [at for at in self._checked if self.found.get(self._columns[at].name, 0) < self._enough]
        return [_replaced(row, changed, number) for number, row in enumerate(batch)] if changed else batch

    def _suspects(self, batch: list[Row]) -> list[int]:
        """Return the columns in which something may be found."""
        checked = self._checked
        seen = batch if len(checked) == len(self._columns) else list(map(itemgetter(*checked), batch))
        if not self._may_have(seen):
            return []
        return [at for at in checked if self._may_have([row[at] for row in batch])]

    def _suspects_of_few(self, batch: list[Row]) -> list[int]:
        """Return the columns of a few rows in which something may be found: each value is a piece of its own."""
        checked = self._checked
        found: list[int] = []
        for row in batch:
            try:
                pieces = [value.encode() if (value := row[at]).__class__ is str else _content(value) for at in checked]
            except UnicodeEncodeError:
                return checked
            found += suspects(pieces, self._values.base64)
        return [checked[place] for place in dict.fromkeys(found)] if found else found

    def _may_have(self, values: list[Any]) -> bool:
        try:
            content = orjson.dumps(values, _digits, _OPTIONS)
        except (TypeError, ValueError):  # whole numbers of any length, texts that are no Unicode
            return True
        return may_have(content, self._values.base64)

    def _column(self, values: list[Any], at: int) -> list[Any]:
        column, place = self._columns[at], self._names[at]
        if column.type in (None, "text"):
            return [self._values.any(value, column.name, place) for value in values]
        if column.type == "json":
            return [self._json(value, column.name, place) for value in values]
        number: Callable[[Any, str, str], Any] = self._values.number
        return [value if value.__class__ in _HARMLESS else number(value, column.name, place) for value in values]

    def _json(self, value: Any, label: str, place: str) -> Any:
        if not isinstance(value, str):
            return self._values.any(value, label, place)
        try:
            document = orjson.loads(value)
        except ValueError:
            return self._values.text(value, label, place)
        seen = self._values.any(document, label, place)
        return value if seen == document else orjson.dumps(seen).decode()


def _content(value: Any) -> bytes:
    """Return a value as the quick look reads it: a number as its digits, a list or members as JSON."""
    if value.__class__ in _HARMLESS:
        return b""
    if isinstance(value, dict | list | tuple):
        try:
            return orjson.dumps(value, _digits, _OPTIONS)
        except (TypeError, ValueError):
            return b"@"  # it cannot be read so: it is suspect
    return _digits(value).encode("utf-8", "replace")


def _replaced(row: Row, changed: dict[int, list[Any]], number: int) -> Row:
    values = list(row)
    for at, column in changed.items():
        values[at] = column[number]
    return tuple(values)


def may_have_any(value: Any, base64: bool = True) -> bool:
    """Return False if a document has nothing that identifies people."""
    try:
        content = orjson.dumps(value, _digits, _OPTIONS)
    except (TypeError, ValueError, RecursionError):
        return True
    return may_have(content, base64)
