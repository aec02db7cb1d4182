"""Parameter values: the caller's text as a typed and checked value."""

from __future__ import annotations

import re
import re._parser as regex_parser  # type: ignore[import-not-found]  # the only parser with re's own reading of a pattern
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from math import factorial
from typing import Any, Protocol

from stdnum.exceptions import ValidationError as BadNumber
from stdnum.id import nik, npwp

MAX_TEXT = 10_000
#: The longest text that is matched against a pattern, and against one with MANY_REPEATS or more unbounded repeats.
MAX_MATCHED, MAX_MATCHED_BY_MANY, MANY_REPEATS = 1000, 120, 3
#: The most steps that matching may take in the worst case: less than a second.
MAX_STEPS = 10**7
#: A repeat with at most this bound counts as that number of copies.
_SMALL_BOUND = 10
_REPEATS = frozenset(("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"))
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}\Z")
_DECIMAL = re.compile(r"[+-]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})\Z")
#: As programs write large and small numbers: Java has 1.2345678E7 for 12345678.0.
_SCIENTIFIC = re.compile(r"[+-]?[0-9]{0,40}\.?[0-9]{0,40}[eE][+-]?[0-9]{1,2}\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_YES = frozenset({"true", "1", "ya", "yes", "on"})
_NO = frozenset({"false", "0", "tidak", "no", "off"})


class InvalidValue(ValueError):
    """A value that does not fit its parameter, with the reason in Indonesian and English."""

    def __init__(self, id: str, en: str) -> None:
        super().__init__(en)
        self.id, self.en = id, en


class UnsafePattern(ValueError):
    """A pattern that needs very many steps for some texts, during which the whole worker process stands still."""


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
        raise InvalidValue(f"paling banyak {MAX_TEXT} karakter", f"at most {MAX_TEXT} characters")
    if "\x00" in value:
        raise InvalidValue("tidak boleh memuat karakter NUL", "it must not contain a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidValue("bukan teks UTF-8", "it is not UTF-8 text") from None
    return value


def _integer(value: str) -> int:
    if not _INTEGER.match(value):
        raise InvalidValue("harus bilangan bulat, misalnya 42", "it must be a whole number such as 42")
    return int(value)


def _decimal(value: str) -> Decimal:
    if _SCIENTIFIC.match(value):
        value = _in_digits(value)
    if not _DECIMAL.match(value):
        raise InvalidValue("harus bilangan, misalnya 12.50", "it must be a number such as 12.50")
    return Decimal(value)


def _in_digits(text: str) -> str:
    """Return a number without an exponent, which some databases would take for a floating-point number."""
    try:
        return format(Decimal(text), "f")
    except InvalidOperation:
        return text


def _boolean(value: str) -> bool:
    word = value.lower()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise InvalidValue("harus true atau false", "it must be true or false")


def _date(value: str) -> date:
    try:
        if _DATE.match(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise InvalidValue("harus tanggal, misalnya 2026-01-31", "it must be a date such as 2026-01-31")


def _datetime(value: str) -> datetime:
    try:
        if len(value) > 10:
            # An unencoded + in a query string is decoded as a space.
            return datetime.fromisoformat(re.sub(r" (\d\d:\d\d)\Z", r"+\1", value) if "T" in value else value)
    except ValueError:
        pass
    raise InvalidValue(
        "harus tanggal dan waktu, misalnya 2026-01-31T08:00:00",
        "it must be a date and time such as 2026-01-31T08:00:00",
    )


def _nik(value: str) -> str:
    number = nik.compact(value)
    # python-stdnum does not know the provinces founded after 2003: its full check would refuse citizens of the six
    # in Papua. Only format and date of birth can be checked reliably.
    try:
        if re.fullmatch(r"[1-9][0-9]{15}", number) and nik.get_birth_date(number):
            return number
    except BadNumber:
        pass
    raise InvalidValue("harus NIK 16 angka yang sah", "it must be a valid NIK of 16 digits")


def _npwp(value: str) -> str:
    number = npwp.compact(value)
    # Since 2024 a person's NPWP is the NIK, and the old numbers have a 0 before them.
    if len(number) == 16 and not number.startswith("0"):
        try:
            return _nik(number)
        except InvalidValue:
            pass
    else:
        try:
            return str(npwp.validate(number))
        except BadNumber:
            pass
    raise InvalidValue("harus NPWP 15 atau 16 angka yang sah", "it must be a valid NPWP of 15 or 16 digits")


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
    """Return the bound of a range: a length for text, else a value of the type. Raises ValueError."""
    return int(text) if type == "text" else CONVERTERS[type](text)


def compiled(pattern: str) -> tuple[re.Pattern[str], int]:
    """Return a pattern and the longest text that may be matched against it. Raises re.error or UnsafePattern."""
    try:
        regex = re.compile(pattern)
        repeats, ways = _weight(regex_parser.parse(pattern))
    except (OverflowError, RecursionError) as error:
        raise re.error(str(error)) from None
    length = MAX_MATCHED if repeats < MANY_REPEATS else MAX_MATCHED_BY_MANY
    if ways * length**repeats > MAX_STEPS * factorial(repeats):
        raise UnsafePattern
    return regex, length


def _weight(node: Any) -> tuple[int, int]:
    """Return the number of a pattern's repeats without a small bound, and of the ways in which the rest can match.

    Raises UnsafePattern for a repeat of a part that itself repeats or has alternatives: that can split a text in very
    many ways.
    """
    if isinstance(node, tuple) and node:
        name = str(node[0])
        if name in _REPEATS:
            minimum, maximum, body = node[1]
            repeats, ways = _weight(body)
            if maximum <= _SMALL_BOUND:
                copies = int(maximum)
                return copies * repeats, min(ways**copies * (copies - int(minimum) + 1), MAX_STEPS + 1)
            if _varies(body):
                raise UnsafePattern
            return 1, 1
        if name == "BRANCH":
            weights = [_weight(branch) for branch in node[1][1]]
            return max(repeats for repeats, _ways in weights), min(
                sum(ways for _repeats, ways in weights), MAX_STEPS + 1
            )
    repeats, ways = 0, 1
    if isinstance(node, (tuple, list, regex_parser.SubPattern)):
        for child in node:
            child_repeats, child_ways = _weight(child)
            repeats, ways = repeats + child_repeats, min(ways * child_ways, MAX_STEPS + 1)
    return repeats, ways


def _varies(node: Any) -> bool:
    """Return True if a parsed pattern has a repeat without a fixed number, alternatives, or a reference to a group."""
    if isinstance(node, tuple) and node:
        name = str(node[0])
        if name in ("BRANCH", "GROUPREF", "GROUPREF_EXISTS"):
            return True
        if name in _REPEATS and node[1][0] != node[1][1]:
            return True
    return isinstance(node, (tuple, list, regex_parser.SubPattern)) and any(_varies(child) for child in node)


class ParameterParser:
    """Parses the values of declared parameters. It is not changed: equal parameters share one (parser_of)."""

    __slots__ = ("choices", "convert", "max", "max_matched", "min", "pattern", "type")

    def __init__(self, type: str, pattern: str = "", min: str = "", max: str = "", choices: str = "") -> None:
        self.type = type
        self.convert = CONVERTERS[type]
        self.pattern: re.Pattern[str] | None = None
        self.max_matched = 0
        if pattern:
            self.pattern, self.max_matched = compiled(pattern)
        self.min = bound(type, min) if min else None
        self.max = bound(type, max) if max else None
        self.choices = frozenset(line.strip() for line in choices.splitlines() if line.strip())

    @classmethod
    def of(cls, parameter: ParameterLike) -> ParameterParser:
        return cls(parameter.type, parameter.pattern, parameter.min, parameter.max, parameter.choices)

    @property
    def longest(self) -> int:
        """The most characters of a text."""
        own = self.max if self.type == "text" and self.max is not None else MAX_TEXT
        return max(0, min(own, self.max_matched or MAX_TEXT, MAX_TEXT))

    def __call__(self, supplied: Any) -> Any:
        """Return the value to bind. ``supplied`` is text, or a number or boolean of JSON. Raises InvalidValue."""
        text = supplied if isinstance(supplied, str) else as_text(supplied, whole=self.type == "integer")
        value = self.convert(text)
        if self.pattern is not None and len(text) > self.max_matched:
            raise InvalidValue(f"paling banyak {self.max_matched} karakter", f"at most {self.max_matched} characters")
        if self.pattern is not None and not self.pattern.fullmatch(text):
            raise InvalidValue(
                f"harus cocok dengan pola {self.pattern.pattern}", f"it must match {self.pattern.pattern}"
            )
        if self.choices and text not in self.choices:
            options = ", ".join(sorted(self.choices))
            raise InvalidValue(f"harus salah satu dari {options}", f"it must be one of {options}")
        if self.min is not None or self.max is not None:
            self._within(value)
        return value

    def _within(self, value: Any) -> None:
        measure: Any = len(value) if self.type == "text" else value
        try:
            low = self.min is not None and measure < self.min
            high = self.max is not None and measure > self.max
        except TypeError:  # one datetime has an offset, another has none
            measure = _local(measure)
            low = self.min is not None and measure < _local(self.min)
            high = self.max is not None and measure > _local(self.max)
        unit_id, unit_en = (" karakter", " characters") if self.type == "text" else ("", "")
        if low:
            raise InvalidValue(f"paling sedikit {self.min}{unit_id}", f"at least {self.min}{unit_en}")
        if high:
            raise InvalidValue(f"paling banyak {self.max}{unit_id}", f"at most {self.max}{unit_en}")


#: Parsers of the parameters of a large registry: most have a pattern that others have too.
parser_of = lru_cache(maxsize=4096)(ParameterParser)


def _local(value: datetime) -> datetime:
    """Return a datetime without an offset: in the process's zone, which Django sets to MANTRA_TIME_ZONE."""
    if value.tzinfo is None:
        return value
    try:
        return value.astimezone().replace(tzinfo=None)
    except OverflowError:  # in the first or the last hours of the calendar
        return value.replace(tzinfo=None)


def as_text(value: Any, whole: bool = False) -> str:
    """Return the text of a value in JSON. ``whole``: 34.0 is 34, as in JSON Schema. Raises InvalidValue."""
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float | Decimal):
        try:
            number = Decimal(repr(value) if isinstance(value, float) else value)
            # 1e-999999999 has 12 characters, but a thousand million digits.
            if number.is_finite() and abs(number.adjusted()) <= MAX_TEXT:
                return format(number.to_integral_value() if whole and number == int(number) else number, "f")
            raise InvalidValue("di luar jangkauan", "it is out of range")
        except InvalidOperation:
            pass
    raise InvalidValue("harus satu nilai, bukan daftar atau objek", "it must be one value, not a list or an object")
