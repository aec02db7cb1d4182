"""The report on a bundle: its problems, each with its place in the file, and the changes to the registry."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mantra.definitions.schema import FieldSpec
from registry.child_rows import Replacement

CREATED, CHANGED = "+", "~"


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault of the bundle. ``path`` is its place, as ``services[0].operations[2].sql``; "" means the whole file."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


@dataclass(frozen=True, slots=True)
class Change:
    """A row that was created or changed, and the lines that give the old and new values."""

    mark: str
    noun: str
    name: str
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([f"{self.mark} {self.noun} {self.name}", *(f"    {line}" for line in self.details)])


@dataclass(slots=True)
class Report:
    """The outcome of applying a bundle. Its text lists the changes and the number of unchanged rows."""

    problems: list[Problem] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    unchanged: int = 0

    def __str__(self) -> str:
        lines = [str(change) for change in self.changes]
        return "\n".join([*lines, f"= {self.unchanged} unchanged"])


def path_of(parent: str, key: str) -> str:
    """Return the path of a key within the mapping at ``parent``."""
    return f"{parent}.{key}" if parent else key


def change_lines(label: str, old: Any, new: Any, key: FieldSpec | None) -> list[str]:
    """Return the lines that describe one changed value. The values of a secret are left out."""
    if key is not None and key.secret:
        return [f"{label}: (changed)"]
    if key is not None:
        old, new = key.write(old), key.write(new)
    if "\n" in str(old) or "\n" in str(new):
        compared = difflib.ndiff(str(old).splitlines(), str(new).splitlines())
        return [f"{label}:", *(f"    {line}" for line in compared if line[:1] != "?")]
    return [f"{label}: {_printable(old)} → {_printable(new)}"]


def list_lines(label: str, replacement: Replacement, keys: Mapping[str, FieldSpec]) -> list[str]:
    """Return the lines that describe a changed list of an operation: rows added, removed, changed or reordered."""
    lines = [f"+ {label}.{row}" for row in replacement.added] + [f"- {label}.{row}" for row in replacement.removed]
    for row, change in replacement.changed:
        for name, (old, new) in change.items():
            lines += change_lines(f"{label}.{row}.{name}", old, new, keys[name])
    return lines or [f"{label}: in another order"]


def _printable(value: Any) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "–"
    return str(value)
