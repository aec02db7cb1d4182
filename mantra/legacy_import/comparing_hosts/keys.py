"""The access keys of 1.99x in plain text, by the operation that each opens: the registry has their digests only.

They come from the old database or from a file, are in memory only, and are sent to the two hosts and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mantra.legacy_import.old import OldDatabase

#: Keys that are read, those of one operation, and bytes of a line of a file.
MAX_KEYS, MAX_PER_OPERATION, MAX_LINE = 500_000, 50, 1_000
_KEY = re.compile(r"[!-~]{8,64}")

#: Agency, service and operation as 1.99x named them, in lower case.
Names = tuple[str, str, str]


class KeysUnreadable(Exception):
    """A line of a file of keys cannot be read. The text names its number only."""


@dataclass(slots=True)
class Keys:
    """Keys by operation. No text of this object has one."""

    _by_operation: dict[Names, list[str]] = field(default_factory=dict, repr=False)
    _all: set[str] = field(default_factory=set, repr=False)

    def add(self, agency: str, service: str, operation: str, key: str) -> None:
        """Add a key that the old program took. One that no header can carry is left out."""
        if _KEY.fullmatch(key) and len(self._all) < MAX_KEYS:
            known = self._by_operation.setdefault((agency.lower(), service.lower(), operation.lower()), [])
            if key not in known and len(known) < MAX_PER_OPERATION:
                known.append(key)
                self._all.add(key)

    def of(self, *addresses: Names) -> list[str]:
        """Return the keys of an operation by its possible names, the first of them that has any."""
        return next((found for names in addresses if (found := self._by_operation.get(names))), [])

    def lines(self) -> Iterator[str]:
        """Yield the keys as keys_of_lines() reads them. Names that no line can carry are left out."""
        for names, keys in self._by_operation.items():
            for key in keys:
                line = f"{key} {'/'.join(names)}\n"
                if line[:-1].isprintable() and [_parsed(text) for _n, text in _written((line,))] == [(key, *names)]:
                    yield line

    def __contains__(self, text: str) -> bool:
        return text in self._all

    def __len__(self) -> int:
        return len(self._all)


def keys_of_database(old: OldDatabase) -> Keys:
    """Return the keys of the active orders of an old database."""
    agencies = {row.id: row.code for row in old.agencies()}
    services = {row.id: (agencies.get(row.agency_id, ""), row.code) for row in old.services()}
    operations = {row.id: (*services.get(row.service_id, ("", "")), row.code) for row in old.operations()}
    keys = Keys()
    for order in old.orders():
        if order.active and order.operation_id in operations:
            keys.add(*operations[order.operation_id], order.key.strip())
    return keys


def keys_of_lines(lines: Iterable[str]) -> Keys:
    """Return the keys of lines ``key agency/service/operation``. Raises KeysUnreadable."""
    keys = Keys()
    for number, text in _written(lines):
        found = _parsed(text)
        if found is None:
            raise KeysUnreadable(f"line {number}: write a key, a blank and agency/service/operation")
        key, *names = found
        keys.add(names[0], names[1], names[2], key)
    return keys


def _parsed(text: str) -> tuple[str, str, str, str] | None:
    """Return the key of a line, and the names of its operation; None if it has no such thing."""
    key, _blank, address = text.partition(" ")
    names = address.strip().strip("/").split("/", 2)
    if len(text) > MAX_LINE or len(names) != 3 or not all(names) or not _KEY.fullmatch(key):
        return None
    return key, names[0], names[1], names[2]


def _written(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield the number and text of each line that is neither empty nor a remark."""
    for number, line in enumerate(lines, 1):
        text = line.strip().replace("\t", " ")
        if text and not text.startswith("#"):
            yield number, text
