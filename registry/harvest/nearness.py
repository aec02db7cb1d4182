"""Whether a call looks for a value next to those that its key looked for a moment ago: 3201…0001, 3201…0002.

Each process remembers the last few values of a key and an operation, as numbers without their last three bits and with
them. No value leaves it: the record of a call has a 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry.snapshot.types import Operation

#: Values that are remembered of a key and an operation, how near two are, and the pairs that are remembered.
VALUES, BITS, MAX_RINGS = 32, 3, 4_096
#: Digits of a value that counts: fewer are no key, more are no number.
MIN_DIGITS, MAX_DIGITS = 1, 20


class _Ring:
    """The last values. Several threads may add: then one of two values is lost, which does no harm."""

    __slots__ = ("at", "blocks", "values")

    def __init__(self) -> None:
        self.values: list[int] = [-1] * VALUES
        self.blocks: list[int] = [-9] * VALUES
        self.at = 0

    def add(self, value: int) -> bool:
        """Remember a value. Return True if it is new, and near another one."""
        values, blocks, block = self.values, self.blocks, value >> BITS
        if value in values:
            return False
        near = block in blocks or block - 1 in blocks or block + 1 in blocks
        at = self.at = (self.at + 1) % VALUES
        values[at], blocks[at] = value, block
        return near


_rings: dict[tuple[int, int], _Ring] = {}


def forget() -> None:
    """Forget all values, as a new process does."""
    _rings.clear()


def is_near(key: int, operation: Operation, arguments: Mapping[str, Any]) -> bool:
    """Remember the value that a call of a key looks for. Return True if it is near others of late."""
    value = _value(operation, arguments)
    if value is None:
        return False
    ring = _rings.get((key, operation.id))
    if ring is None:
        if len(_rings) >= MAX_RINGS:
            _rings.clear()  # each begins anew, which takes a few calls
        ring = _rings.setdefault((key, operation.id), _Ring())
    return ring.add(value)


def _value(operation: Operation, arguments: Mapping[str, Any]) -> int | None:
    """Return the value of the parameter that names a person, else of the first that must be given, as a number.

    None if it is none.
    """
    chosen = None
    for each in operation.parameters:
        if each.subject and arguments.get(each.name) is not None:
            chosen = arguments[each.name]
            break
        if chosen is None and each.must_be_given:
            chosen = arguments.get(each.name)
    if chosen is None or chosen.__class__ is bool:
        return None
    text = str(chosen)
    if not text.isdecimal():
        text = "".join(filter(str.isdecimal, text[: 2 * MAX_DIGITS]))
    return int(text) if MIN_DIGITS <= len(text) <= MAX_DIGITS else None
