"""Joins two lists by their keys, part by part: what is in one only, what differs, and what is equal.

A key that a list has several times is no key: its rows, and the row of the other list with this key, are set aside and
joined with nothing. So each row of a list is exactly one of: only there, different, equal, repeated, or without a key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mantra.reconciliation.spill import PARTS, Row, Spill

Text = str | None
#: Kinds of rows of a result. Those that are set aside have a reason before their columns.
ONLY_LEFT, ONLY_RIGHT, DIFFERENT, ASIDE_LEFT, ASIDE_RIGHT = KINDS = (
    "only_left", "only_right", "different", "aside_left", "aside_right",
)  # fmt: skip
#: Why a row is set aside: its list has the key several times, the other one has, or the row has no key.
REPEATED, REPEATED_THERE, WITHOUT_KEY = "repeated", "repeated-there", "without-key"


class Results(Protocol):
    """Where the rows of a result go."""

    def add(self, kind: str, row: Sequence[object]) -> None: ...


@dataclass(frozen=True, slots=True)
class Compared:
    """A pair of columns that are compared: their places, and whether two texts differ."""

    left: int
    right: int
    differ: Callable[[Text, Text], bool]


@dataclass(slots=True)
class Counts:
    """How many rows are what."""

    left_rows: int = 0
    right_rows: int = 0
    only_left: int = 0
    only_right: int = 0
    different: int = 0
    equal: int = 0
    left_repeated: int = 0
    right_repeated: int = 0
    left_empty: int = 0
    right_empty: int = 0
    #: Pairs of rows that differ in each pair of columns.
    by_field: list[int] = field(default_factory=list)


class _Part:
    """One part of a list: the rows whose key it has once, and the keys that it has several times."""

    def __init__(self, spill: Spill, part: int, aside: Callable[[Row], None]) -> None:
        self.rows: dict[str, Row] = {}
        self.repeated: set[str] = set()
        rows, repeated = self.rows, self.repeated
        for chunk in spill.rows(part):
            for row in chunk:
                key = row[0]
                if key in repeated:
                    aside(row)
                elif key in rows:
                    repeated.add(key)
                    aside(rows.pop(key))
                    aside(row)
                else:
                    rows[key] = row


def join(
    left: Spill,
    right: Spill,
    compared: Sequence[Compared],
    key_places: Sequence[int],
    results: Results,
    counts: Counts,
    progress: Callable[[float], None],
) -> None:
    """Join two lists, and add what differs to the results. ``key_places``: the key's columns in the left list."""
    counts.by_field = [0] * len(compared)

    def aside_left(row: Row, reason: str = REPEATED) -> None:
        counts.left_repeated += 1
        results.add(ASIDE_LEFT, (reason, row[1], *row[2]))

    def aside_right(row: Row, reason: str = REPEATED) -> None:
        counts.right_repeated += 1
        results.add(ASIDE_RIGHT, (reason, row[1], *row[2]))

    for part in range(PARTS):
        here, there = _Part(left, part, aside_left), _Part(right, part, aside_right)
        for key, row in here.rows.items():
            other = there.rows.pop(key, None)
            if other is not None:
                _compare(row, other, compared, key_places, results, counts)
            elif key in there.repeated:
                aside_left(row, REPEATED_THERE)
            else:
                counts.only_left += 1
                results.add(ONLY_LEFT, (row[1], *row[2]))
        for key, row in there.rows.items():
            if key in here.repeated:
                aside_right(row, REPEATED_THERE)
            else:
                counts.only_right += 1
                results.add(ONLY_RIGHT, (row[1], *row[2]))
        progress((part + 1) / PARTS)


def _compare(
    row: Row, other: Row, compared: Sequence[Compared], key_places: Sequence[int], results: Results, counts: Counts
) -> None:
    """Compare two rows with the same key. The result has a line for each pair of columns that differ."""
    texts, others = row[2], other[2]
    differing = [number for number, pair in enumerate(compared) if pair.differ(texts[pair.left], others[pair.right])]
    if not differing:
        counts.equal += 1
        return
    counts.different += 1
    key = [texts[place] for place in key_places]
    for number in differing:
        counts.by_field[number] += 1
        pair = compared[number]
        results.add(DIFFERENT, (row[1], other[1], *key, number, texts[pair.left], others[pair.right]))
