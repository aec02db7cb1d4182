"""Counts distinct persons without keeping them: HyperLogLog with 2,048 registers, a standard error of 2.3 %.

Persons are the keyed hashes of the call history. A sketch of few persons is stored as its registers that are set, three
bytes each; a fuller one as all of them. Flajolet, Fusy, Gandouet, Meunier: HyperLogLog, 2007.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

_BITS = 11
REGISTERS = 1 << _BITS
_HASH_BITS = 64
#: Up to so many registers are stored one by one.
_SPARSE = 600
_ALPHA = 0.7213 / (1 + 1.079 / REGISTERS)


class Sketch:
    """A sketch that grows. Adding a person twice, or two sketches with the same persons, changes nothing."""

    __slots__ = ("_registers",)

    def __init__(self, stored: bytes = b"") -> None:
        self._registers = bytearray(REGISTERS)
        self.merge(stored)

    def add(self, subjects: Iterable[str]) -> None:
        """Add persons by their hashes, at least 16 hex digits each (registry.journal.chain.subject_hash)."""
        registers = self._registers
        for subject in subjects:
            number = int(subject[:16], 16)
            register, rest = number & (REGISTERS - 1), number >> _BITS
            rank = _HASH_BITS - _BITS - rest.bit_length() + 1
            if rank > registers[register]:
                registers[register] = rank

    def merge(self, stored: bytes) -> None:
        """Add the persons of a stored sketch."""
        registers = self._registers
        if len(stored) == REGISTERS:
            self._registers = bytearray(map(max, registers, stored))
            return
        for at in range(0, len(stored), 3):
            register, rank = stored[at] << 8 | stored[at + 1], stored[at + 2]
            if rank > registers[register]:
                registers[register] = rank

    def dump(self) -> bytes:
        """Return the sketch as it is stored, at most REGISTERS bytes."""
        filled = [(number, rank) for number, rank in enumerate(self._registers) if rank]
        if len(filled) > _SPARSE:
            return bytes(self._registers)
        return b"".join(bytes((number >> 8, number & 255, rank)) for number, rank in filled)

    def count(self) -> int:
        """Return about how many distinct persons were added."""
        estimate = _ALPHA * REGISTERS**2 / sum(2.0**-rank for rank in self._registers)
        empty = self._registers.count(0)
        if empty and estimate <= 2.5 * REGISTERS:  # few persons: by the registers that are empty
            estimate = REGISTERS * math.log(REGISTERS / empty)
        return round(estimate)
