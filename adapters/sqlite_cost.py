"""How long values may be so that one row of a statement takes SQLite no more than about a second.

SQLite can be interrupted between two rows only. Most of its functions take a time in proportion to the length of a
value. A search takes the product of two lengths, and so hours for two long texts; most statements search for a literal
or a parameter, whose length is known. The compiled program of a statement (EXPLAIN) has one instruction for each call
of a function, also of those in views.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: The longest pattern of LIKE and GLOB, in bytes.
PATTERN_BYTES = 250

#: Seconds that one row may take.
_SECONDS = 1.0

#: Seconds for each byte of the longest value. Measured on a slow core, as are the others. A JSON document takes some
#: ten times its size in memory besides.
_FUNCTION, _JSON, _OTHER = 2e-8, 1e-7, 2e-10

#: By function: the place of the text that is searched for, and seconds for each byte of it and of the other text.
_SEARCHES = {
    "instr(2)": (1, 4e-11),
    "replace(3)": (1, 6e-11),
    **dict.fromkeys(("trim(2)", "ltrim(2)", "rtrim(2)", "unhex(2)"), (1, 1.5e-8)),
    **dict.fromkeys(("like(2)", "like(3)", "glob(2)"), (0, 7e-9)),
    "json_patch(2)": (1, 1e-10),
}
#: The same for a text of unknown length, where that can only be a part of the longest value.
_SQUARES = dict.fromkeys(("trim(2)", "ltrim(2)", "rtrim(2)"), 1.7e-9)
_CALLS = frozenset(
    ("Function", "PureFunc", "AggStep", "AggStep1", "AggValue", "AggInverse", "AggFinal", "Concat", "VFilter")
)

#: printf() repeats a character as often as a precision says, however long a value may be. Versions from 3.42 do not.
_FORMATS = frozenset(("printf(-1)", "format(-1)"))
_REPEATED = re.compile(rb"%[^%A-Za-z]*\.(\*|[0-9]{4,})[^%A-Za-z]*l*[cC]")

#: A row of EXPLAIN: address, opcode, p1 to p5, a comment.
Instruction = Sequence[Any]
Values = Mapping[str, Any] | Sequence[Any]


class RepeatedCharacter(Exception):
    """A statement formats a text with a precision for %c, or with a format that is no literal."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The seconds that a row takes: ``square`` · length² + ``linear`` · length, for values of that length.

    ``searches`` has the (parameter, seconds) of searches for a parameter: seconds for each byte of both texts. A
    parameter is a name, or a number from 1.
    """

    square: float
    linear: float
    searches: tuple[tuple[str | int, float], ...]

    def longest(self, values: Values) -> float:
        """Return the most bytes that a value may have in a run with these parameters."""
        linear = self.linear + sum(seconds * _size_of(values, parameter) for parameter, seconds in self.searches)
        if not self.square:
            return _SECONDS / linear if linear else math.inf
        return (math.sqrt(linear * linear + 4 * self.square * _SECONDS) - linear) / (2 * self.square)


def _size_of(values: Values, parameter: str | int) -> int:
    """Return about how many bytes a parameter has as text, at least 1."""
    value = values[parameter] if isinstance(values, Mapping) else values[int(parameter) - 1]  # type: ignore[index]
    return max(len(value.encode()) if isinstance(value, str) else len(value) if isinstance(value, bytes) else 30, 1)


def cost_of(program: Iterable[Instruction]) -> Cost:
    """Return the cost of a row of a statement. ``program`` has the rows of EXPLAIN. Raises RepeatedCharacter."""
    program = list(program)
    needles = _constants(program)
    square = linear = 0.0
    searches = []
    for _, opcode, constants, first, _, p4, *_ in program:
        linear += _OTHER if opcode not in _CALLS else _JSON if str(p4).startswith("json") else _FUNCTION
        if opcode not in ("Function", "PureFunc"):
            continue
        if p4 in _FORMATS and not _is_short_format(needles.get(first) if constants & 1 else None):
            raise RepeatedCharacter
        if p4 not in _SEARCHES:
            continue
        place, seconds = _SEARCHES[p4]
        needle = needles.get(first + place) if constants >> place & 1 else None
        if isinstance(needle, bytes):
            linear += seconds * max(len(needle), 1)
        elif needle is not None:
            searches.append((needle, seconds))
        elif place == 0:
            linear += seconds * PATTERN_BYTES
        else:
            square += _SQUARES.get(p4, seconds)
    return Cost(square, linear, tuple(searches))


def _is_short_format(format: bytes | str | int | None) -> bool:
    return isinstance(format, bytes) and not _REPEATED.search(format.replace(b"%%", b""))


def _constants(program: Sequence[Instruction]) -> dict[int, bytes | str | int]:
    """Return the literal (bytes), or the parameter, by the register that holds it, and nothing else at any time."""
    found: dict[int, set[bytes | str | int]] = {}
    others: set[int] = set()
    for _, opcode, p1, p2, p3, p4, *_ in program:
        if opcode == "String8":
            found.setdefault(p2, set()).add(str(p4).encode("utf-8", "replace"))
        elif opcode == "Variable":
            found.setdefault(p2, set()).add(p4[1:] if p4 and p4[0] != "?" else p1)
        elif opcode in ("Copy", "SCopy", "Null"):
            others.add(p2)
        elif opcode in _CALLS or opcode == "Column":
            others.add(p3)
    return {
        register: next(iter(constants))
        for register, constants in found.items()
        if len(constants) == 1 and register not in others
    }
