"""Parameter values: from what a caller wrote to what a database is given, or why not."""

from __future__ import annotations

import re
import re._parser as regex_parser  # type: ignore[import-not-found]  # the only one that knows how re reads a pattern
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from math import factorial
from typing import Any, Protocol

from stdnum.exceptions import ValidationError as BadNumber
from stdnum.id import nik, npwp

MAX_TEXT = 10_000
#: The longest text that a pattern is held against, and one with FEW or more repeats without a small bound.
MATCHED, MATCHED_BY_MANY, FEW = 1000, 120, 3
#: Steps that matching may take at worst: less than a second.
MAX_STEPS = 10**7
#: Up to here a repeat counts as written out so many times.
_SMALL = 10
_REPEATS = frozenset(("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"))
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}\Z")
_DECIMAL = re.compile(r"[+-]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_YES = frozenset({"true", "1", "ya", "yes", "on"})
_NO = frozenset({"false", "0", "tidak", "no", "off"})


class Unfit(ValueError):
    """A value does not fit, with the reason in both languages."""

    def __init__(self, id: str, en: str) -> None:
        super().__init__(en)
        self.id, self.en = id, en


class Hazard(ValueError):
    """A pattern that some values would keep busy for ever. While it is, the whole worker stands still."""


class ParameterLike(Protocol):
    name: Any
    type: Any
    required: Any
    default: Any
    pattern: Any
    min: Any
    max: Any
    choices: Any


def _text(value: str) -> str:
    if len(value) > MAX_TEXT:
        raise Unfit(f"paling banyak {MAX_TEXT} karakter", f"at most {MAX_TEXT} characters")
    if "\x00" in value:
        raise Unfit("tidak boleh memuat karakter NUL", "it may not hold a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unfit("bukan teks UTF-8", "it is not UTF-8 text") from None
    return value


def _integer(value: str) -> int:
    if not _INTEGER.match(value):
        raise Unfit("harus bilangan bulat, misalnya 42", "it must be a whole number such as 42")
    return int(value)


def _decimal(value: str) -> Decimal:
    if not _DECIMAL.match(value):
        raise Unfit("harus bilangan, misalnya 12.50", "it must be a number such as 12.50")
    return Decimal(value)


def _boolean(value: str) -> bool:
    word = value.lower()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise Unfit("harus true atau false", "it must be true or false")


def _date(value: str) -> date:
    try:
        if _DATE.match(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise Unfit("harus tanggal, misalnya 2026-01-31", "it must be a date such as 2026-01-31")


def _datetime(value: str) -> datetime:
    try:
        if len(value) > 10:
            # In a query string a + that nobody encoded has become a space.
            return datetime.fromisoformat(re.sub(r" (\d\d:\d\d)\Z", r"+\1", value) if "T" in value else value)
    except ValueError:
        pass
    raise Unfit(
        "harus tanggal dan waktu, misalnya 2026-01-31T08:00:00",
        "it must be a date and time such as 2026-01-31T08:00:00",
    )


def _nik(value: str) -> str:
    number = nik.compact(value)
    # python-stdnum knows no province founded after 2003, so that its full check would turn away
    # citizens of the six Papuan ones: shape and birth date are what can be checked for good.
    try:
        if re.fullmatch(r"[1-9][0-9]{15}", number) and nik.get_birth_date(number):
            return number
    except BadNumber:
        pass
    raise Unfit("harus NIK 16 angka yang sah", "it must be a valid NIK of 16 digits")


def _npwp(value: str) -> str:
    number = npwp.compact(value)
    # Since 2024 a person's NPWP is the NIK, and the old numbers have a 0 in front.
    if len(number) == 16 and not number.startswith("0"):
        try:
            return _nik(number)
        except Unfit:
            pass
    else:
        try:
            return str(npwp.validate(number))
        except BadNumber:
            pass
    raise Unfit("harus NPWP 15 atau 16 angka yang sah", "it must be a valid NPWP of 15 or 16 digits")


CONVERTERS: dict[str, Callable[[str], Any]] = {
    "text": _text,
    "integer": _integer,
    "decimal": _decimal,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
    "choice": _text,
    "nik": _nik,
    "npwp": _npwp,
}


def bound(type: str, text: str) -> Any:
    """The bound of a range: for text its length, else a value of the type. Raises ValueError."""
    return int(text) if type == "text" else CONVERTERS[type](text)


def compiled(pattern: str) -> tuple[re.Pattern[str], int]:
    """A pattern, and how long a text it may be held against. Raises re.error, or Hazard."""
    try:
        found = re.compile(pattern)
        repeats, ways = _weight(regex_parser.parse(pattern))
    except (OverflowError, RecursionError) as error:
        raise re.error(str(error)) from None
    length = MATCHED if repeats < FEW else MATCHED_BY_MANY
    if ways * length**repeats > MAX_STEPS * factorial(repeats):
        raise Hazard
    return found, length


def _weight(node: Any) -> tuple[int, int]:
    """How many repeats without a small bound a parsed pattern holds, and in how many ways the rest of it can match.

    Raises Hazard for what can split a text in very many ways: a repeat of what repeats or has alternatives itself.
    """
    if isinstance(node, tuple) and node:
        name = str(node[0])
        if name in _REPEATS:
            least, most, body = node[1]
            repeats, ways = _weight(body)
            if most <= _SMALL:
                return int(most) * repeats, min(ways ** int(most) * (int(most) - int(least) + 1), MAX_STEPS + 1)
            if _varies(body):
                raise Hazard
            return 1, 1
        if name == "BRANCH":
            weights = [_weight(each) for each in node[1][1]]
            return max(repeats for repeats, _ways in weights), min(
                sum(ways for _repeats, ways in weights), MAX_STEPS + 1
            )
    repeats, ways = 0, 1
    if isinstance(node, (tuple, list, regex_parser.SubPattern)):
        for each in node:
            more, others = _weight(each)
            repeats, ways = repeats + more, min(ways * others, MAX_STEPS + 1)
    return repeats, ways


def _varies(node: Any) -> bool:
    """Whether a parsed pattern holds a repeat of no fixed number, alternatives, or a reference to a group."""
    if isinstance(node, tuple) and node:
        name = str(node[0])
        if name in ("BRANCH", "GROUPREF", "GROUPREF_EXISTS"):
            return True
        if name in _REPEATS and node[1][0] != node[1][1]:
            return True
    return isinstance(node, (tuple, list, regex_parser.SubPattern)) and any(_varies(each) for each in node)


class Reader:
    """Reads one declared parameter's values. Made once per definition, called once per call."""

    __slots__ = ("choices", "convert", "matched", "max", "min", "pattern", "type")

    def __init__(self, type: str, pattern: str = "", min: str = "", max: str = "", choices: str = "") -> None:
        self.type = type
        self.convert = CONVERTERS[type]
        self.pattern: re.Pattern[str] | None = None
        self.matched = 0
        if pattern:
            self.pattern, self.matched = compiled(pattern)
        self.min = bound(type, min) if min else None
        self.max = bound(type, max) if max else None
        self.choices = frozenset(line.strip() for line in choices.splitlines() if line.strip())

    @classmethod
    def of(cls, parameter: ParameterLike) -> Reader:
        return cls(parameter.type, parameter.pattern, parameter.min, parameter.max, parameter.choices)

    def __call__(self, supplied: Any) -> Any:
        """The value to bind. ``supplied`` is text, or what JSON holds: a number or a truth. Raises Unfit."""
        text = supplied if isinstance(supplied, str) else _as_text(supplied)
        value = self.convert(text)
        if self.pattern is not None and len(text) > self.matched:
            raise Unfit(f"paling banyak {self.matched} karakter", f"at most {self.matched} characters")
        if self.pattern is not None and not self.pattern.fullmatch(text):
            raise Unfit(f"harus cocok dengan pola {self.pattern.pattern}", f"it must match {self.pattern.pattern}")
        if self.choices and text not in self.choices:
            options = ", ".join(sorted(self.choices))
            raise Unfit(f"harus salah satu dari {options}", f"it must be one of {options}")
        if self.min is not None or self.max is not None:
            self._within(value)
        return value

    def _within(self, value: Any) -> None:
        measured: Any = len(value) if self.type == "text" else value
        try:
            low = self.min is not None and measured < self.min
            high = self.max is not None and measured > self.max
        except TypeError:  # one moment with a zone, one without: compared as if both had none
            measured = measured.replace(tzinfo=None)
            low = self.min is not None and measured < self.min.replace(tzinfo=None)
            high = self.max is not None and measured > self.max.replace(tzinfo=None)
        of_id, of_en = (" karakter", " characters") if self.type == "text" else ("", "")
        if low:
            raise Unfit(f"paling sedikit {self.min}{of_id}", f"at least {self.min}{of_en}")
        if high:
            raise Unfit(f"paling banyak {self.max}{of_id}", f"at most {self.max}{of_en}")


def _as_text(value: Any) -> str:
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float | Decimal):
        try:
            number = Decimal(repr(value) if isinstance(value, float) else value)
            # 1e-999999999 is twelve characters that written out would be a thousand million.
            if number.is_finite() and abs(number.adjusted()) <= MAX_TEXT:
                return format(number, "f")
            raise Unfit("di luar jangkauan", "it is out of range")
        except InvalidOperation:
            pass
    raise Unfit("harus satu nilai, bukan daftar atau objek", "it must be one value, not a list or an object")
