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
        #: Register → rank, while few are set; else all of them.
        self._registers: dict[int, int] | bytearray = {}
        self.merge(stored)

    def add(self, subjects: Iterable[str]) -> None:
        """Add persons by their hashes, at least 16 hex digits each (registry.journal.chain.subject_hash)."""
        for subject in subjects:
            number = int(subject[:16], 16)
            rest = number >> _BITS
            self._set(number & (REGISTERS - 1), _HASH_BITS - _BITS - rest.bit_length() + 1)

    def merge(self, stored: bytes) -> None:
        """Add the persons of a stored sketch."""
        if len(stored) == REGISTERS:
            self._registers = bytearray(map(max, self._all(), stored))
            return
        for at in range(0, len(stored), 3):
            self._set(stored[at] << 8 | stored[at + 1], stored[at + 2])

    def _set(self, register: int, rank: int) -> None:
        registers = self._registers
        if isinstance(registers, bytearray):
            registers[register] = max(rank, registers[register])
        elif rank > registers.get(register, 0):
            registers[register] = rank
            if len(registers) > _SPARSE:
                self._registers = self._all()

    def _all(self) -> bytearray:
        if isinstance(self._registers, bytearray):
            return self._registers
        found = bytearray(REGISTERS)
        for register, rank in self._registers.items():
            found[register] = rank
        return found

    def dump(self) -> bytes:
        """Return the sketch as it is stored, at most REGISTERS bytes."""
        registers = self._registers
        if isinstance(registers, bytearray):
            return bytes(registers)
        return b"".join(bytes((number >> 8, number & 255, registers[number])) for number in sorted(registers))

    def count(self) -> int:
        """Return about how many distinct persons were added."""
        registers = self._all()
        estimate = _ALPHA * REGISTERS**2 / sum(2.0**-rank for rank in registers)
        empty = registers.count(0)
        if empty and estimate <= 2.5 * REGISTERS:  # few persons: by the registers that are empty
            estimate = REGISTERS * math.log(REGISTERS / empty)
        return round(estimate)
