"""Finds and covers what identifies people in the values of rows and documents."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from typing import Any

import orjson

from mantra.egress.prefilter import may_have
from mantra.egress.scanner import Found, covered, scan
from registry.personal_data.values import is_person_name
from registry.results import Column, Row

#: What is counted: (place, kind) → how many. The place is the name of a column or member, "" for another.
Counts = Counter[tuple[str, str]]

#: The names of places. Other keys of documents are data: systems list people by their numbers.
_NAME = re.compile(r"[^\W\d][\w.-]{0,62}")
_LONGEST = 63
_MAX_DIGITS = 3
#: The depth to which documents are read. Decoders accept less.
_DEPTH = 200
#: Bytes of a value of bytes that are read.
_BYTES = 1024 * 1024


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
        self.counts: Counts = Counter()
        #: Look into base64 too.
        self.base64 = True
        self.expected, self.covers, self.declared = expected, covers, declared

    def text(self, text: str, label: str, place: str) -> str:
        """Return a text, covered where that is wanted."""
        found = self._found(text, label, place)
        return covered(text, found) if found and self.covers else text

    def _found(self, text: str, label: str, place: str) -> list[Found]:
        found = [each for each in scan(text, label, self.base64) if each.kind not in self.expected]
        for each in found:
            self.counts[place, each.kind] += 1
        return found

    def number(self, value: Any, label: str, place: str) -> Any:
        """Return a number, or another value without letters; None if it is covered."""
        return None if self._found(_digits(value), label, place) and self.covers else value

    def any(self, value: Any, label: str = "", place: str = "", depth: int = 0) -> Any:
        """Return a value of any type, covered where that is wanted."""
        if isinstance(value, str):
            return self.text(value, label, place)
        if value is None or isinstance(value, bool):
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


class RowValues:
    """Looks at batches of rows. ``known``: columns of which enough is known; ``enough``: finds until a column is."""

    def __init__(
        self, columns: Sequence[Column], values: Values, known: Collection[str] = (), enough: float = math.inf
    ) -> None:
        self._values = values
        self._columns = columns
        self._names = [column.name if place_of(column.name) else "" for column in columns]
        self._enough = enough
        #: By column: how many were found in it.
        self.found: Counter[str] = Counter()
        self._look_at([
            at for at, column in enumerate(columns) if column.name not in values.declared and column.name not in known
        ])  # fmt: skip

    def _look_at(self, places: list[int]) -> None:
        self._checked = places
        all_of_them = len(places) == len(self._columns)
        self._cut = itemgetter(*places) if places and not all_of_them else None

    def batch(self, batch: list[Row]) -> list[Row]:
        """Return a batch of rows, covered where that is wanted; the batch itself if nothing is."""
        if not self._checked or not self._may_have(batch if self._cut is None else list(map(self._cut, batch))):
            return batch
        changed: dict[int, list[Any]] = {}
        for at in self._checked:
            column = [row[at] for row in batch]
            if self._may_have(column):
                before = self._values.counts.total()
                seen = self._column(column, at)
                self.found[self._columns[at].name] += self._values.counts.total() - before
                if self._values.covers and seen != column:
                    changed[at] = seen
        if self.found and max(self.found.values()) >= self._enough:
            self._look_at([at for at in self._checked if self.found[self._columns[at].name] < self._enough])
        return [_replaced(row, changed, number) for number, row in enumerate(batch)] if changed else batch

    def _may_have(self, values: list[Any]) -> bool:
        try:
            content = orjson.dumps(values, _digits, _OPTIONS)
        except (TypeError, ValueError):  # whole numbers of any length, texts that are no Unicode
            return True
        return may_have(content, self._values.base64)

    def _column(self, values: list[Any], at: int) -> list[Any]:
        column, place = self._columns[at], self._names[at]
        if column.type in (None, "text"):
            return [self._value(value, column.name, place) for value in values]
        if column.type == "json":
            return [self._json(value, column.name, place) for value in values]
        number: Callable[[Any, str, str], Any] = self._values.number
        return [None if value is None else number(value, column.name, place) for value in values]

    def _value(self, value: Any, label: str, place: str) -> Any:
        if not isinstance(value, str):
            return self._values.any(value, label, place)
        if len(value) < 200 and not may_have(value.encode("utf-8", "replace"), self._values.base64):
            return value
        return self._values.text(value, label, place)

    def _json(self, value: Any, label: str, place: str) -> Any:
        if not isinstance(value, str):
            return self._values.any(value, label, place)
        try:
            document = orjson.loads(value)
        except ValueError:
            return self._values.text(value, label, place)
        seen = self._values.any(document, label, place)
        return value if seen == document else orjson.dumps(seen).decode()


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
