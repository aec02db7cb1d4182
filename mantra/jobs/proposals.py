"""Which column of a file goes to which parameter, as it is proposed to the person who sent the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rapidfuzz.fuzz import ratio

#: From this similarity (0–100) of the letters on, a column is proposed; that of a name that has all words of the other.
ALIKE, ALL_WORDS = 70, 90


def proposed(parameters: Iterable[str], header: Sequence[str], matched: Mapping[str, str]) -> dict[str, str]:
    """Return a column for each parameter that has one in ``matched`` or a similar one. No column is proposed twice."""
    found = {name: column for name, column in matched.items() if column in header}
    left = [column for column in header if column not in found.values()]
    names, columns = [_Name(name) for name in parameters if name not in found], [_Name(column) for column in left]
    pairs = [(one.likeness(other), one.text, other.text) for one in names for other in columns]
    for likeness, name, column in sorted(pairs, key=lambda pair: -pair[0]):
        if likeness < ALIKE:
            break
        if name not in found and column not in found.values():
            found[name] = column
    return found


class _Name:
    """A name of a column or a parameter, as it is compared."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._words = "".join(letter if letter.isalnum() else " " for letter in text.casefold()).split()
        self._letters, self._set = "".join(self._words), set(self._words)

    def likeness(self, other: _Name) -> float:
        """Return how similar two names are, from 0 to 100."""
        if not self._letters or not other._letters:
            return 0.0
        if self._letters == other._letters:
            return 100.0
        # "nik" in "Nomor NIK KTP", as a word of its own.
        if self._set <= other._set or other._set <= self._set:
            return float(ALL_WORDS)
        return ratio(self._letters, other._letters, score_cutoff=ALIKE)
