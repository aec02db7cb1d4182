"""What a statement requires of a column's values, in a form that goes to the process that scans the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Lowest and highest value, both included; None where there is no such end.
Interval = tuple[Any, Any]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A column's value is within one of the ``intervals``, or begins with ``prefix``, which ignores the case of ASCII
    letters. Without either no value is right.

    It may hold for more values than the statement's own condition, never for fewer.
    """

    column: str
    intervals: tuple[Interval, ...] = ()
    prefix: str = ""


def from_json(raw: Mapping[str, Any]) -> Comparison:
    """Return the comparison of which ``raw`` has the fields, as JSON has them."""
    return Comparison(raw["column"], tuple((low, high) for low, high in raw["intervals"]), raw["prefix"])
