"""What the values of each column are: they decide its kind, over all rows and not only the first."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from dataservices.tabular import kinds
from dataservices.tabular.kinds import FITS
from dataservices.tabular.layout import Numbered
from dataservices.tabular.shapes import SHOWN_CHARACTERS, Cell, ColumnFound, Note

#: Rows that are profiled at once: a value that occurs again among them costs nothing.
BATCH = 5_000

_COUNTS_AS_EMPTY = kinds.ERROR | kinds.ABSENT
#: Headers of numbers that identify something, and so are texts.
_IDENTIFIER = re.compile(
    r"\b(?:nik|npwp|nip|nrp|nisn|nuptk|no ?kk|kk|kode|kd|telp|telepon|tlp|hp|handphone|phone|ponsel|wa|whatsapp|faks?|"
    r"rekening|norek|no rek|nop|nib|bpjs|imei|kodepos|(?:no|nomor) (?:induk|kartu|hp|telp|telepon))\b",
    re.IGNORECASE,
)
_DATE = re.compile(r"\b(?:tgl|tanggal|tmt|date)\b", re.IGNORECASE)
#: A share of different values from which a column is worth an index, and the longest of its values.
_SELECTIVE, _INDEXABLE = 0.5, 100


@dataclass(slots=True)
class _Seen:
    """Values with the same bits: how many, and the first of them."""

    count: int
    row: int
    value: str


@dataclass(slots=True)
class ColumnProfile:
    """The values of a column by their bits."""

    seen: dict[int, _Seen] = field(default_factory=dict)
    different: int = 0
    longest: int = 0

    def add(self, values: list[tuple[int, Cell]]) -> None:
        """Add values that are not empty, with the numbers of their rows."""
        counts: dict[tuple[type, Cell], int] = {}
        for _number, value in values:
            key = (value.__class__, value)  # 1 and True are equal
            counts[key] = counts.get(key, 0) + 1
        self.different += len(counts)
        new: set[int] = set()
        for (_type, value), count in counts.items():
            bits = kinds.fits(value)
            if isinstance(value, str):
                self.longest = max(self.longest, len(value))
            if bits in self.seen:
                self.seen[bits].count += count
            else:
                self.seen[bits] = _Seen(count, 0, kinds.as_text(value)[:SHOWN_CHARACTERS])
                new.add(bits)
        if new:
            self._note_first(values, new)

    def _note_first(self, values: list[tuple[int, Cell]], new: set[int]) -> None:
        for number, value in values:
            bits = kinds.fits(value)
            if bits in new:
                new.remove(bits)
                self.seen[bits].row = number
                self.seen[bits].value = kinds.as_text(value)[:SHOWN_CHARACTERS]
            if not new:
                return

    def count(self, bits: int) -> int:
        """Return how many values have one of the bits."""
        return sum(seen.count for found, seen in self.seen.items() if found & bits)

    def unfit(self, kind: str) -> tuple[int, int, str] | None:
        """Return how many values do not fit a kind, with row and text of the first; None if all do."""
        allowed = FITS[kind] | _COUNTS_AS_EMPTY
        found = [seen for bits, seen in self.seen.items() if not bits & allowed]
        if not found:
            return None
        first = min(found, key=lambda seen: seen.row)
        return sum(seen.count for seen in found), first.row, first.value


def describe(profile: ColumnProfile, found: ColumnFound) -> ColumnFound:
    """Fill in what a column's values are: its kind, what does not fit the others, and what the user must know."""
    total = profile.count(-1) + (profile.seen[0].count if 0 in profile.seen else 0)
    found.filled = total - profile.count(kinds.ERROR)
    found.selective = profile.longest <= _INDEXABLE and profile.different >= _SELECTIVE * max(total, 1)
    found.unfit = {kind: unfit for kind in FITS if (unfit := profile.unfit(kind)) is not None}
    found.kind = _kind(profile, found)
    found.notes = _notes(profile, found, total)
    return found


def _kind(profile: ColumnProfile, found: ColumnFound) -> str:
    values = profile.count(~_COUNTS_AS_EMPTY) + (profile.seen[0].count if 0 in profile.seen else 0)
    if not values or profile.count(kinds.LONG | kinds.ZERO | kinds.ROUNDED):
        return "text"
    fitting = [kind for kind in FITS if kind not in found.unfit and kind != "date-serial"]
    if not fitting or (_is_identifier(found.header) and FITS[fitting[0]] & kinds.NUMBER):
        return "text"
    return fitting[0]


def _is_identifier(header: str) -> bool:
    return _IDENTIFIER.search(re.sub(r"[\W_]+", " ", header)) is not None


def _notes(profile: ColumnProfile, found: ColumnFound, total: int) -> list[Note]:
    notes = []
    rounded = [seen for bits, seen in profile.seen.items() if bits & kinds.ROUNDED]
    if rounded:
        first = min(rounded, key=lambda seen: seen.row)
        notes.append(Note("rounded", {"count": sum(s.count for s in rounded), "row": first.row, "value": first.value}))
    elif found.kind == "text" and _is_identifier(found.header) and _is_stored_as_number(profile):
        notes.append(Note("number-identifier"))
    elif found.kind == "text":
        notes += _nearly(profile, found, total)
    if profile.count(kinds.AMBIGUOUS) and found.kind != "text" and _other_way(found.kind) not in found.unfit:
        notes.append(Note("ambiguous-date" if found.kind.startswith("date") else "ambiguous-number"))
    if found.kind in ("integer", "decimal-id") and _DATE.search(found.header) and "date-serial" not in found.unfit:
        notes.append(Note("day-numbers"))
    if absent := profile.count(kinds.ABSENT) * (found.kind != "text"):
        notes.append(Note("absent", {"count": absent}))
    if errors := profile.count(kinds.ERROR):
        notes.append(Note("errors", {"count": errors}))
    return notes


def _is_stored_as_number(profile: ColumnProfile) -> bool:
    return any(bits & kinds.NUMBER and not bits & kinds.WRITTEN for bits in profile.seen)


def _other_way(kind: str) -> str:
    """Return the kind of the same type that is written in the other way."""
    ways = {"integer-id": "decimal-en", "integer": "decimal-en", "decimal-id": "decimal-en",
            "date": "date-us", "datetime": "datetime-us"}  # fmt: skip
    return ways.get(kind, "text")


def _nearly(profile: ColumnProfile, found: ColumnFound, total: int) -> list[Note]:
    """Return a note if nearly all values of a text column fit another kind."""
    if profile.count(kinds.LONG | kinds.ZERO) or not found.unfit:
        return []
    kind, (count, row, value) = min(found.unfit.items(), key=lambda each: each[1][0])
    if kind == "date-serial" or count * 10 > total:
        return []
    return [Note("nearly", {"kind": kind, "count": count, "row": row, "value": value})]


class Profiler:
    """Profiles the columns of rows, a batch at a time."""

    def __init__(self) -> None:
        self.columns: list[ColumnProfile] = []
        self.rows = 0
        #: Rows with one value only, and the number of the first.
        self.lonely, self.first_lonely = 0, 0
        self._batch: list[Numbered] = []

    def add(self, number: int, row: list[Cell]) -> None:
        self._batch.append((number, row))
        self.rows += 1
        if len(self._batch) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Profile the rows that were added."""
        batch, self._batch = self._batch, []
        width = max((len(row) for _number, row in batch), default=0)
        self.columns += [ColumnProfile() for _ in range(width - len(self.columns))]
        for index in range(width):
            values = [(number, row[index]) for number, row in batch if index < len(row) and row[index] is not None]
            self.columns[index].add(values)
        for number, row in batch:
            if len(row) - row.count(None) == 1:
                self.lonely += 1
                self.first_lonely = self.first_lonely or number
