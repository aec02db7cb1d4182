"""Pairs of columns: which of them make the key, which are compared, and by which rules."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

from mantra.comparing import DEFAULT_THRESHOLDS, RULES, comparer, normalised
from registry.personal_data import recognize

#: Between the parts of a key of several columns. No normalised text has it.
_SEPARATOR = "\x1f"
#: Types whose values may be texts that a program wrote, and no person: 1.234 is a fraction there.
_NUMBERS = ("integer", "decimal", "float")
#: Names for the same, as lists of different offices have them; without blanks and marks.
_ALIKE = (
    frozenset({"nik", "noktp", "nomorktp", "ktp", "nonik", "nomorindukkependudukan"}),
    frozenset({"kk", "nokk", "nomorkk", "nokartukeluarga"}),
    frozenset({"nama", "namalengkap", "namapenduduk", "namapegawai", "namapenerima", "namaorang", "name"}),
    frozenset({"tgllahir", "tanggallahir", "tgllhr", "lahir", "birthdate", "dateofbirth"}),
    frozenset({"alamat", "alamatlengkap", "address"}),
    frozenset({"hp", "nohp", "nomorhp", "telepon", "notelepon", "telp", "notelp", "nomortelepon", "phone"}),
    frozenset({"nip", "nonip", "nomorindukpegawai"}),
    frozenset({"npwp", "nonpwp"}),
    frozenset({"jk", "jeniskelamin", "kelamin"}),
    frozenset({"kel", "kelurahan", "desa"}),
    frozenset({"kec", "kecamatan"}),
)
#: Kind of personal data, or type of a column → its rule. Others are compared as texts.
_RULES = {
    "NIK": "exact", "KK": "exact", "NPWP": "exact", "ID_NUMBER": "exact", "NAME": "name", "BIRTH_DATE": "date",
    "PHONE": "phone", "ADDRESS": "address", "date": "date", "datetime": "date", "integer": "number",
    "decimal": "number", "float": "number",
}  # fmt: skip
#: Kinds that make a key, the best first.
_KEYS = ("NIK", "NPWP", "ID_NUMBER", "KK")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a side."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A column of each list. ``key``: rows with equal values belong together; otherwise the values are compared."""

    left: str
    right: str
    key: bool = False
    rule: str = "text"
    threshold: int | None = None

    def stored(self) -> dict[str, Any]:
        return asdict(self)


def of(rows: Iterable[Mapping[str, Any]]) -> list[Pair]:
    """Return the pairs that Pair.stored() has made."""
    return [Pair(**row) for row in rows]


# -------------------------------------------------------------------------------------------- proposing


def propose(left: Sequence[Column], right: Sequence[Column]) -> list[Pair]:
    """Return the pairs that the names of the columns suggest, the key first."""
    pairs, free = [], list(right)
    for column in left:
        match = next((other for other in free if _alike(column.name, other.name)), None)
        if match is not None:
            free.remove(match)
            pairs.append(Pair(column.name, match.name, rule=rule_for(column, match), threshold=None))
    key = _key_of(pairs)
    found = [Pair(each.left, each.right, each == key, "exact" if each == key else each.rule) for each in pairs]
    return sorted(found, key=lambda pair: not pair.key)


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def _alike(name: str, other: str) -> bool:
    one, two = _plain(name), _plain(other)
    return one == two or any(one in names and two in names for names in _ALIKE)


def rule_for(column: Column, other: Column) -> str:
    """Return the rule by which two columns are best compared."""
    for each in (column, other):
        found = recognize(each.name, (), "pegawai")
        if found is not None and found.kind in _RULES:
            return _RULES[found.kind]
    # A number that one list has as text may have zeros in front.
    return _RULES.get(column.type, "text") if column.type == other.type else "text"


def _key_of(pairs: Sequence[Pair]) -> Pair | None:
    kinds = {pair: found.kind for pair in pairs if (found := recognize(pair.left, (), "pegawai")) is not None}
    for kind in _KEYS:
        for pair in pairs:
            if kinds.get(pair) == kind:
                return pair
    return next((pair for pair in pairs if _plain(pair.left) in ("id", "kode", "nomor", "no")), None)


# --------------------------------------------------------------------------------------------- applying


def native(values: Sequence[Any], type: str | None, rule: str) -> Sequence[Any]:
    """Return values as the rule for numbers reads them: what a program wrote as text is a number already."""
    if rule != "number" or type not in _NUMBERS:
        return values
    return [_number(value) if isinstance(value, str) else value for value in values]


def _number(text: str) -> Any:
    with suppress(InvalidOperation):
        return Decimal(text)
    return text


def key_texts(columns: Sequence[Sequence[Any]], types: Sequence[str | None], rules: Sequence[str]) -> list[str | None]:
    """Return the keys of rows, by the columns that make them; None for a row without one of them."""
    parts = [
        [_key_part(rule, value) for value in native(values, type, rule)]
        for values, type, rule in zip(columns, types, rules, strict=True)
    ]
    if len(parts) == 1:
        return parts[0]
    return [None if None in row else _SEPARATOR.join(row) for row in zip(*parts, strict=True)]  # type: ignore[arg-type]


def _key_part(rule: str, value: Any) -> str | None:
    if value is None:
        return None
    # What has not the rule's form, such as a date that is none, is a key of its own.
    return normalised(rule, value) or (f"?{text}" if (text := str(value).strip()) else None)


def difference(pair: Pair, left_type: str | None, right_type: str | None) -> Callable[[str | None, str | None], bool]:
    """Return a function that returns True if two texts differ by the rule of a pair."""
    alike = (left_type in _NUMBERS) == (right_type in _NUMBERS)
    if pair.rule in DEFAULT_THRESHOLDS:
        compare = comparer(pair.rule, pair.threshold)

        def differ_by_degree(left: str | None, right: str | None) -> bool:
            if left == right or _is_same_words(left, right):
                return False
            if _is_blank(left) or _is_blank(right):
                return _is_blank(left) != _is_blank(right)
            return not compare(left, str(right)).matches

        return differ_by_degree
    ignores_case = pair.rule == "text"
    read_left, read_right = (partial(_read, pair.rule, type) for type in (left_type, right_type))

    def differ(left: str | None, right: str | None) -> bool:
        # Most rows are equal to the letter. A number as a program wrote it may be another one as people write it.
        if (left == right and alike) or (ignores_case and _is_same_words(left, right)):
            return False
        return read_left(left) != read_right(right)

    return differ


def _is_same_words(left: str | None, right: str | None) -> bool:
    """Return True if two texts differ by capitals and blanks only: many do, and reading them by a rule takes longer."""
    return left is not None and right is not None and left.casefold().split() == right.casefold().split()


def _is_blank(text: str | None) -> bool:
    return text is None or not text.strip()


def _read(rule: str, type: str | None, text: str | None) -> str | None:
    """Return a text as the rule reads it; None if it is blank."""
    if text is None or _is_blank(text):
        return None
    value = _number(text) if rule == "number" and type in _NUMBERS else text
    return normalised(rule, value) or f"?{text.strip()}"


# --------------------------------------------------------------------------------------------- checking


def problem(pairs: Sequence[Pair], left: Collection[str], right: Collection[str]) -> str:
    """Return what is wrong with pairs as a word, "" if nothing is: "key", "column" or "rule"."""
    if not any(pair.key for pair in pairs):
        return "key"
    if any(pair.left not in left or pair.right not in right for pair in pairs):
        return "column"
    if any(pair.rule not in RULES or (pair.key and pair.rule in DEFAULT_THRESHOLDS) for pair in pairs):
        return "rule"
    return ""
