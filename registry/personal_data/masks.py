"""Masks: rules by which a field's value goes out with less in it than is stored. Nothing is read but the value.

A mask never gives more than it says: NULL stays NULL, and a value that a mask cannot read becomes NULL, not itself.

>>> partial("3201012309850001")
'3201••••••••0001'
>>> year("17-08-1990"), initials("Budi Santoso")
('1990', 'B. S.')
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Protocol
from uuid import UUID

from registry import secrets

PARTIAL, HASH, YEAR, INITIALS, DROPPED = "partial", "hash", "year", "initials", "dropped"
#: From the one that shows most on. The stricter of two masks holds.
_STRICTNESS = {kind: rank for rank, kind in enumerate(("", PARTIAL, INITIALS, YEAR, HASH, DROPPED))}
#: The masks that leave nothing of a value: what is specific personal data is none any more.
HIDING = frozenset((HASH, DROPPED))

_NUMBERS = frozenset((PARTIAL, HASH, DROPPED))
_DATES = frozenset((PARTIAL, HASH, YEAR, DROPPED))
#: Type of a field → the masks that it can have. The others have too few values for anything but being absent.
_OF_TYPES = {
    "text": frozenset((PARTIAL, HASH, YEAR, INITIALS, DROPPED)),
    **dict.fromkeys(("integer", "decimal", "uuid"), _NUMBERS),
    **dict.fromkeys(("date", "datetime"), _DATES),
}

#: Characters that stay at each end, and the dots between them: there are no more, so that they tell no length.
_ENDS, _DOTS = 4, "•" * 32
#: Words of which initials are given, and characters of a text that are read.
_WORDS, _READ = 10, 200
#: Hex digits of a hash.
_DIGITS = 32

_YEAR_FIRST = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?!\d)")
_DAY_FIRST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})(?!\d)")
_COMPACT = re.compile(r"((?:18|19|20)\d\d)(\d\d)(\d\d)\Z")

Mask = Callable[[Any], Any]


def possible(type_: str) -> frozenset[str]:
    """Return the masks that a field of a type can have."""
    return _OF_TYPES.get(type_, frozenset((DROPPED,)))


def stricter(one: str, other: str) -> str:
    """Return the stricter of two masks; "" is none. One that is not known is as strict as possible."""
    return max(one, other, key=lambda kind: _STRICTNESS.get(kind, len(_STRICTNESS)))


def sent_type(type_: str, mask: str) -> str:
    """Return the type of a field's values as they are sent: what is masked is text."""
    return "text" if mask else type_


def mask_of(kind: str, reader: str) -> Mask:
    """Return the function that masks a value. ``reader`` is the agency for which hashes are made."""
    if kind == HASH:
        key = _key_of(reader)
        return lambda value: _hashed(value, key)
    return _MASKS.get(kind, _nothing)


def partial(value: Any) -> str | None:
    """Return a value with its first and last characters: never more than half of them, and at most four at each end."""
    text = value.strip() if type(value) is str else text_of(value)
    if text is None:
        return None
    length = len(text)
    ends = _ENDS if length >= 4 * _ENDS else length // 4
    return text[:ends] + _DOTS[: length - 2 * ends] + text[length - ends :]


def year(value: Any) -> str | None:
    """Return the year of a date, NULL for what is none."""
    if isinstance(value, date):
        return str(value.year).zfill(4)
    if not isinstance(value, str):
        return None
    text = value.strip()[:_READ]
    if text[4:5] == "-" and not text[10:11].isdigit():
        try:
            return str(date.fromisoformat(text[:10]).year).zfill(4)
        except ValueError:
            pass
    if found := _YEAR_FIRST.match(text):
        numbers = found[1], found[3], found[4]
    elif found := _DAY_FIRST.match(text):
        numbers = found[4], found[3], found[1]
    elif found := _COMPACT.match(text):
        numbers = found[1], found[2], found[3]
    else:
        return None
    try:
        return f"{date(*map(int, numbers)).year:04d}"
    except ValueError:
        return None


def initials(value: Any) -> str | None:
    """Return the first letters of the words of a name, NULL for what has none."""
    if not isinstance(value, str):
        return None
    letters = [word[0] for word in value[:_READ].split(None, _WORDS)[:_WORDS] if word[0].isalpha()]
    return ". ".join(letters).upper() + "." if letters else None


def text_of(value: Any) -> str | None:
    """Return the text of a value that a mask can read, without the blanks around it; None for others and for NULL."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool | bytes):  # either would show all of itself by its length
        return None
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, int | UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return value.isoformat() if isinstance(value, date) else None


def _hashed(value: Any, key: bytes) -> str | None:
    text = text_of(value)
    return None if text is None else secrets.authenticate(key, text.encode("utf-8", "surrogatepass"))[:_DIGITS]


@lru_cache(maxsize=1024)
def _key_of(reader: str) -> bytes:
    return secrets.mask_key(reader)


def _nothing(_value: Any) -> None:
    return None


_MASKS: dict[str, Mask] = {PARTIAL: partial, YEAR: year, INITIALS: initials}


# ------------------------------------------------------------------------------- what a caller sees


class NothingLeft(Exception):
    """A caller may see none of an operation's fields."""


@dataclass(frozen=True, slots=True)
class FieldRights:
    """What a grant says of the fields of its operation, and whom it is for.

    ``allowed``: the only fields that may be seen; empty for all. ``masks``: pairs of a field and its mask. ``lawful``:
    a legal basis is stated, without which no specific personal data goes out. ``reader``: the agency for which hashes
    are made; "" where there are none. ``internal``: the bus reads for itself, and nothing goes out.
    """

    allowed: frozenset[str] = frozenset()
    masks: tuple[tuple[str, str], ...] = ()
    lawful: bool = True
    reader: str = ""
    internal: bool = False


#: Of callers without a grant: open operations, and the author's try-out.
ALL = FieldRights()
INTERNAL = FieldRights(internal=True)


class DeclaredField(Protocol):
    """A field of an operation, as the snapshot has it."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def classification(self) -> str: ...
    @property
    def mask(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Sight:
    """What of an operation's fields goes out. ``allowed``: the only fields; empty for all. ``masks``: by field."""

    allowed: frozenset[str] = frozenset()
    kinds: Mapping[str, str] = field(default_factory=dict)
    reader: str = ""

    @property
    def masks(self) -> dict[str, Mask]:
        """The functions that mask the values of fields, by the fields' names."""
        return {name: mask_of(kind, self.reader) for name, kind in self.kinds.items()}


def sight_of(fields: Iterable[DeclaredField], rights: FieldRights) -> Sight:
    """Return what goes out of an operation with these fields. Raises NothingLeft."""
    if rights.internal:
        return Sight(rights.allowed)
    declared = list(fields)
    kinds = effective(declared, dict(rights.masks))
    hidden = {name for name, kind in kinds.items() if kind == DROPPED} | set(withheld(declared, rights))
    if not hidden:
        return Sight(rights.allowed, kinds, rights.reader)
    allowed = frozenset(each.name for each in declared if not rights.allowed or each.name in rights.allowed) - hidden
    if not allowed:
        raise NothingLeft
    return Sight(allowed, {name: kind for name, kind in kinds.items() if name in allowed}, rights.reader)


def effective(fields: Iterable[DeclaredField], granted: Mapping[str, str]) -> dict[str, str]:
    """Return the masks of fields: of the operation's and the grant's the stricter one."""
    kinds = {each.name: each.mask for each in fields if each.mask}
    for name, kind in granted.items():
        kinds[name] = stricter(kinds.get(name, ""), kind)
    return kinds


def withheld(fields: Collection[DeclaredField], rights: FieldRights) -> list[str]:
    """Return the fields with specific personal data that do not go out because no legal basis is stated."""
    return [] if rights.lawful or rights.internal else revealing(fields, rights.allowed, dict(rights.masks))


def revealing(fields: Collection[DeclaredField], allowed: Collection[str], granted: Mapping[str, str]) -> list[str]:
    """Return the fields with specific personal data of which a grant shows something. No allowed ones: all are."""
    kinds = effective(fields, granted)
    return [
        each.name for each in fields
        if each.classification == "specific" and (not allowed or each.name in allowed)
        and kinds.get(each.name, "") not in HIDING
    ]  # fmt: skip
