"""Which column of a file goes to which parameter, as it is proposed to the person who sent the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher

#: From this part of equal letters on, a column is proposed.
ALIKE = 0.7


def proposed(parameters: Iterable[str], header: Sequence[str], matched: Mapping[str, str]) -> dict[str, str]:
    """Return a column for each parameter that has one in ``matched`` or a similar one. No column is proposed twice."""
    found = {name: column for name, column in matched.items() if column in header}
    left = [column for column in header if column not in found.values()]
    pairs = [
        (_likeness(name, column), name, column) for name in parameters if name not in found for column in left
    ]  # fmt: skip
    for likeness, name, column in sorted(pairs, key=lambda pair: -pair[0]):
        if likeness < ALIKE:
            break
        if name not in found and column not in found.values():
            found[name] = column
    return found


def _likeness(name: str, column: str) -> float:
    one, other = _letters(name), _letters(column)
    if not one or not other:
        return 0.0
    if one == other:
        return 1.0
    # "nik" in "Nomor NIK KTP", as a word of its own.
    if _words(name) <= _words(column) or _words(column) <= _words(name):
        return 0.9
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def _letters(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _words(name: str) -> set[str]:
    return set("".join(letter if letter.isalnum() else " " for letter in name.casefold()).split())
