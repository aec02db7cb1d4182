"""T-SQL types: their names in SQL, and their bytes in TDS 7.4 and TDS 5.0.

Values are kept the way SQLite stores them here: int, float, bytes, and text for everything exact
(decimals digit for digit, dates and times in ISO 8601 with a space, identifiers with hyphens).
"""

from __future__ import annotations

import re
import struct
import uuid
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

MAX = 0xFFFF
_NULL_PLP = b"\xff" * 8

_TEXT = re.compile(
    r"\s*\[?((?:unsigned\s+)?\w+)\]?\s*(?:\(\s*(max|\d+)\s*(?:,\s*(\d+)\s*)?\))?(?:\s+collate\s+(\w+))?\s*", re.I
)

#: Collations: their five bytes in a column's description, and the code page of char and varchar.
COLLATIONS = {
    "sql_latin1_general_cp1_ci_as": (b"\x09\x04\xd0\x00\x34", "cp1252"),
    "cyrillic_general_ci_as": (b"\x19\x04\xd0\x00\x00", "cp1251"),
    "greek_ci_as": (b"\x08\x04\xd0\x00\x00", "cp1253"),
    "latin1_general_100_ci_as_sc_utf8": (b"\x09\x04\xd0\x24\x00", "utf-8"),
}
_DEFAULT_COLLATION = "sql_latin1_general_cp1_ci_as"

INTEGERS = {"tinyint": 1, "smallint": 2, "int": 4, "bigint": 8, "usmallint": 2, "uint": 4, "ubigint": 8}
UNSIGNED = ("tinyint", "usmallint", "uint", "ubigint")
_SIZED = {
    "char": 0xAF, "varchar": 0xA7, "nchar": 0xEF, "nvarchar": 0xE7, "binary": 0xAD, "varbinary": 0xA5,
}  # fmt: skip
_LONG = {"text": 0x23, "ntext": 0x63, "image": 0x22}
_CLOCKS = {"time": 0x29, "datetime2": 0x2A, "datetimeoffset": 0x2B}
_ALIASES = {
    "integer": "int", "dec": "decimal", "float": "float", "double": "float", "character": "char", "sysname": "nvarchar",
    "rowversion": "binary", "timestamp": "binary", "univarchar": "nvarchar", "unichar": "nchar",
    "bigdatetime": "datetime2", "bigtime": "time",
}  # fmt: skip


class Misfit(ValueError):
    """A value that its column's type cannot hold: a server's error number and sentence."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number
        self.message = message


@dataclass(frozen=True, slots=True)
class Type:
    name: str
    length: int = 0
    precision: int = 18
    scale: int = 0
    collation: str = _DEFAULT_COLLATION

    @property
    def wide(self) -> bool:
        return self.name in ("nchar", "nvarchar", "ntext", "xml")

    @property
    def textual(self) -> bool:
        return self.wide or self.name in ("char", "varchar", "text")

    @property
    def binary(self) -> bool:
        return self.name in ("binary", "varbinary", "image")


def parse(text: str) -> Type:
    """The type that SQL text names, as in decimal(38, 10) or varchar(20) COLLATE Greek_CI_AS."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise Misfit(102, f"Incorrect syntax near '{text}'.")
    word, size, scale, collation = found.groups()
    word = re.sub(r"unsigned\s+", "u", word.lower())
    name = _ALIASES.get(word, word)
    collation = (collation or _DEFAULT_COLLATION).lower()
    if name in ("decimal", "numeric"):
        return Type(name, precision=int(size or 18), scale=int(scale or 0))
    if name in _CLOCKS:
        return Type(name, scale=7 if size is None else int(size))
    if name == "real":
        return Type("real")
    if name in _SIZED:
        length = MAX if size and size.lower() == "max" else int(size or (8 if "stamp" in word or "row" in word else 30))
        return Type(name, length=length, collation=collation)
    return Type(name, length=int(size) if size and size.isdigit() else 0, collation=collation)


def stored(value: Any, kind: Type) -> Any:
    """The value as a column of the type keeps it. Raises Misfit."""
    if value is None:
        return None
    if kind.name in INTEGERS:
        # SQLite's own integers end at 63 bits.
        return str(_integer(value, kind)) if kind.name == "ubigint" else _integer(value, kind)
    if kind.name == "bit":
        return int(bool(_integer(value, Type("bigint"))))
    if kind.name in ("float", "real"):
        number = float(value)
        return struct.unpack("<f", struct.pack("<f", number))[0] if kind.name == "real" else number
    if kind.name in ("decimal", "numeric", "money", "smallmoney"):
        return _decimal(value, kind)
    if kind.textual:
        return _text(value, kind)
    if kind.binary:
        data = value if isinstance(value, bytes) else str(value).encode("cp1252")
        if kind.name == "binary":
            data = data.ljust(kind.length, b"\x00")
        if kind.length and kind.length != MAX and len(data) > kind.length:
            raise Misfit(2628, "String or binary data would be truncated.")
        return data
    if kind.name == "uniqueidentifier":
        return str(uuid.UUID(value)).upper()
    if kind.name == "sql_variant":
        return value
    return _moment(str(value), kind)


def _integer(value: Any, kind: Type) -> int:
    try:
        number = int(Decimal(str(value).strip() or "0"))
    except InvalidOperation:
        raise Misfit(245, f"Conversion failed when converting the value '{value}' to {kind.name}.") from None
    bits = 8 * INTEGERS[kind.name]
    low, high = (0, (1 << bits) - 1) if kind.name in UNSIGNED else (-(1 << bits - 1), (1 << bits - 1) - 1)
    if not low <= number <= high:
        raise Misfit(8115, f"Arithmetic overflow error converting expression to data type {kind.name}.")
    return number


def _decimal(value: Any, kind: Type) -> str:
    scale = 4 if "money" in kind.name else kind.scale
    try:
        number = _scaled(Decimal(str(value)), scale)
    except InvalidOperation:
        raise Misfit(8114, f"Error converting data type varchar to {kind.name}.") from None
    limit = {"money": 2**63, "smallmoney": 2**31}.get(kind.name, 10**kind.precision)
    if abs(number) > limit or (number == limit):
        raise Misfit(8115, f"Arithmetic overflow error converting expression to data type {kind.name}.")
    digits = str(abs(number)).rjust(scale + 1, "0")
    whole, fraction = (digits[:-scale], "." + digits[-scale:]) if scale else (digits, "")
    return ("-" if number < 0 else "") + whole + fraction


def _scaled(number: Decimal, scale: int) -> int:
    """The number as a count of its smallest unit, rounded half away from zero."""
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        raise InvalidOperation
    count = int("".join(map(str, digits)) or "0")
    shift = exponent + scale
    count = count * 10**shift if shift >= 0 else (count + 5 * 10 ** (-shift - 1)) // 10**-shift
    return -count if sign else count


def _text(value: Any, kind: Type) -> str:
    text = value if isinstance(value, str) else str(value)
    units = len(text.encode("utf-16-le")) // 2 if kind.wide else len(_encoded(text, kind))
    if kind.length and kind.length != MAX and units > kind.length:
        raise Misfit(2628, "String or binary data would be truncated.")
    return text + " " * (kind.length - units) if kind.name in ("char", "nchar") else text


def _encoded(text: str, kind: Type) -> bytes:
    return text.encode(COLLATIONS[kind.collation][1], "replace")


_MOMENT = re.compile(
    r"(?:(\d{4})-?(\d\d)-?(\d\d))?[ T]?(?:(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?\s*(?:([+-])(\d\d):(\d\d))?"
)


def _moment(text: str, kind: Type) -> str:
    """The text of a date or time, its fraction cut to the scale and without zeros at its end."""
    found = _MOMENT.fullmatch(text.strip())
    if found is None:
        raise Misfit(241, "Conversion failed when converting date and/or time from character string.")
    year, month, day, hour, minute, second, fraction, sign, off_hour, off_minute = found.groups()
    try:
        whole_day = str(date(int(year or 1900), int(month or 1), int(day or 1)))
    except ValueError:
        raise Misfit(242, "The conversion resulted in an out-of-range value.") from None
    scale = {"datetime": 3, "smalldatetime": 0}.get(kind.name, kind.scale)
    clock = f"{hour or '00'}:{minute or '00'}:{second or '00'}"
    parts = ((fraction or "")[:scale]).rstrip("0")
    clock += f".{parts}" if parts else ""
    if kind.name == "date":
        return whole_day
    if kind.name == "time":
        return clock
    if kind.name == "datetimeoffset":
        return f"{whole_day} {clock}{sign or '+'}{off_hour or '00'}:{off_minute or '00'}"
    return f"{whole_day} {clock}"


def _split(text: str, scale: int) -> tuple[int, int, int]:
    """Days since 0001-01-01, units of 10**-scale seconds since midnight, offset in minutes."""
    found = _MOMENT.fullmatch(text)
    assert found is not None, text
    year, month, day, hour, minute, second, fraction, sign, off_hour, off_minute = found.groups()
    days = date(int(year or 1), int(month or 1), int(day or 1)).toordinal() - 1
    seconds = int(hour or 0) * 3600 + int(minute or 0) * 60 + int(second or 0)
    units = seconds * 10**scale + int((fraction or "").ljust(9, "0")[:scale] or 0)
    offset = (int(off_hour or 0) * 60 + int(off_minute or 0)) * (-1 if sign == "-" else 1)
    return days, units, offset


# TDS 7.4.


def described(kind: Type) -> bytes:
    """TYPE_INFO."""
    name = kind.name
    if name in INTEGERS:
        return bytes((0x26, INTEGERS[name]))
    if name == "bit":
        return b"\x68\x01"
    if name in ("float", "real"):
        return bytes((0x6D, 8 if name == "float" else 4))
    if name in ("decimal", "numeric"):
        return bytes((0x6A if name == "decimal" else 0x6C, 17, kind.precision, kind.scale))
    if name in ("money", "smallmoney"):
        return bytes((0x6E, 8 if name == "money" else 4))
    if name in ("datetime", "smalldatetime"):
        return bytes((0x6F, 8 if name == "datetime" else 4))
    if name == "date":
        return b"\x28"
    if name in _CLOCKS:
        return bytes((_CLOCKS[name], kind.scale))
    if name == "uniqueidentifier":
        return b"\x24\x10"
    if name == "xml":
        return b"\xf1\x00"
    if name == "sql_variant":
        return b"\x62" + struct.pack("<I", 8009)
    collation = COLLATIONS[kind.collation][0] if kind.textual else b""
    if name in _LONG:
        # The table's name follows, which only these types have.
        return bytes((_LONG[name],)) + struct.pack("<I", 2**31 - 1) + collation + b"\x01\x01\x00t\x00"
    size = kind.length if kind.length == MAX else kind.length * (2 if kind.wide else 1)
    return bytes((_SIZED[name],)) + struct.pack("<H", size) + collation


def encoded(value: Any, kind: Type) -> bytes:
    """A value of a row, with its length before it."""
    name = kind.name
    if kind.name == "xml" or kind.length == MAX:
        return _plp(value, kind)
    if name in _SIZED:
        data = None if value is None else _data(value, kind)
        return b"\xff\xff" if data is None else struct.pack("<H", len(data)) + data
    if name in _LONG:
        if value is None:
            return b"\x00"
        data = _data(value, kind)
        return b"\x10" + b"\x01" * 16 + b"\x02" * 8 + struct.pack("<I", len(data)) + data
    if name == "sql_variant":
        data = b"" if value is None else _variant(value)
        return struct.pack("<I", len(data)) + data
    if value is None:
        return b"\x00"
    data = _data(value, kind)
    return bytes((len(data),)) + data


def _plp(value: Any, kind: Type) -> bytes:
    if value is None:
        return _NULL_PLP
    data = _data(value, kind)
    pieces = [struct.pack("<Q", len(data))]
    for start in range(0, len(data), 3000):
        piece = data[start : start + 3000]
        pieces += [struct.pack("<I", len(piece)), piece]
    return b"".join([*pieces, b"\x00\x00\x00\x00"])


def _variant(value: Any) -> bytes:
    if isinstance(value, int):
        return b"\x38\x00" + struct.pack("<i", value)
    data = str(value).encode("utf-16-le")
    return b"\xe7\x07" + COLLATIONS[_DEFAULT_COLLATION][0] + struct.pack("<H", 8000) + data


def _data(value: Any, kind: Type) -> bytes:
    name = kind.name
    if name in INTEGERS:
        return int(value).to_bytes(INTEGERS[name], "little", signed=name not in UNSIGNED)
    if name == "bit":
        return bytes((int(value),))
    if name in ("float", "real"):
        return struct.pack("<d" if name == "float" else "<f", float(value))
    if name in ("decimal", "numeric"):
        number = _scaled(Decimal(value), kind.scale)
        size = next(size for top, size in ((9, 4), (19, 8), (28, 12), (38, 16)) if kind.precision <= top)
        return bytes((int(number >= 0),)) + abs(number).to_bytes(size, "little")
    if name in ("money", "smallmoney"):
        number = _scaled(Decimal(value), 4)
        if name == "smallmoney":
            return struct.pack("<i", number)
        return struct.pack("<iI", number >> 32, number & 0xFFFFFFFF)
    if kind.wide:
        return str(value).encode("utf-16-le", "surrogatepass")
    if kind.textual:
        return _encoded(str(value), kind)
    if kind.binary:
        return bytes(value)
    if name == "uniqueidentifier":
        return uuid.UUID(value).bytes_le
    return _clock_data(str(value), kind)


def _clock_data(text: str, kind: Type) -> bytes:
    name, scale = kind.name, kind.scale
    if name == "date":
        return _split(text, 0)[0].to_bytes(3, "little")
    if name == "datetime":
        days, units, _ = _split(text, 3)
        return struct.pack("<iI", days - _1900, (units * 3 + 5) // 10)
    if name == "smalldatetime":
        days, units, _ = _split(text, 0)
        return struct.pack("<HH", days - _1900, units // 60)
    days, units, offset = _split(text, scale)
    size = 3 if scale < 3 else 4 if scale < 5 else 5
    if name == "time":
        return units.to_bytes(size, "little")
    if name == "datetime2":
        return units.to_bytes(size, "little") + days.to_bytes(3, "little")
    # On the wire the moment is UTC, and the offset stands beside it.
    units -= offset * 60 * 10**scale
    days, units = days + units // (86400 * 10**scale), units % (86400 * 10**scale)
    return units.to_bytes(size, "little") + days.to_bytes(3, "little") + struct.pack("<h", offset)


_1900 = date(1900, 1, 1).toordinal() - 1


class Reader:
    """Bytes of a request, read from front to back."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def take(self, count: int) -> bytes:
        found = self.data[self.at : self.at + count]
        if len(found) < count:
            raise EOFError
        self.at += count
        return found

    def number(self, code: str) -> int:
        found: int = struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]
        return found

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def wide(self, count: int) -> str:
        return self.take(2 * count).decode("utf-16-le", "surrogatepass")

    def parameter(self) -> tuple[Type, Any]:
        """TYPE_INFO and value of an RPC's parameter."""
        code = self.take(1)[0]
        return _READERS[code](self, code)


def _read_integer(reader: Reader, code: int) -> tuple[Type, Any]:
    names = {1: "tinyint", 2: "smallint", 4: "int", 8: "bigint"}
    size = reader.take(1)[0]
    data = reader.take(reader.take(1)[0])
    value = int.from_bytes(data, "little", signed=size > 1) if data else None
    return Type(names[size]), value


def _read_fixed(reader: Reader, code: int) -> tuple[Type, Any]:
    size, name = {0x30: (1, "tinyint"), 0x32: (1, "bit"), 0x34: (2, "smallint"), 0x38: (4, "int"), 0x7F: (8, "bigint")}[
        code
    ]
    return Type(name), int.from_bytes(reader.take(size), "little", signed=name not in ("tinyint", "bit"))


def _read_bit(reader: Reader, code: int) -> tuple[Type, Any]:
    reader.take(1)
    data = reader.take(reader.take(1)[0])
    return Type("bit"), data[0] if data else None


def _read_float(reader: Reader, code: int) -> tuple[Type, Any]:
    size = reader.take(1)[0]
    data = reader.take(reader.take(1)[0])
    return Type("float" if size == 8 else "real"), struct.unpack("<d" if size == 8 else "<f", data)[0] if data else None


def _read_decimal(reader: Reader, code: int) -> tuple[Type, Any]:
    _, precision, scale = reader.take(3)
    data = reader.take(reader.take(1)[0])
    kind = Type("decimal", precision=precision, scale=scale)
    if not data:
        return kind, None
    number = int.from_bytes(data[1:], "little") * (1 if data[0] else -1)
    return kind, _decimal(Decimal((number < 0, tuple(map(int, str(abs(number)))), -scale)), kind)


def _read_date(reader: Reader, code: int) -> tuple[Type, Any]:
    data = reader.take(reader.take(1)[0])
    return Type("date"), str(_day(data)) if data else None


def _day(data: bytes) -> date:
    return date.fromordinal(int.from_bytes(data, "little") + 1)


def _read_clock(reader: Reader, code: int) -> tuple[Type, Any]:
    name = {0x29: "time", 0x2A: "datetime2", 0x2B: "datetimeoffset"}[code]
    scale = reader.take(1)[0]
    data = reader.take(reader.take(1)[0])
    kind = Type(name, scale=scale)
    if not data:
        return kind, None
    size = 3 if scale < 3 else 4 if scale < 5 else 5
    units = int.from_bytes(data[:size], "little")
    seconds, fraction = divmod(units, 10**scale)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction:0{scale or 1}}"
    day = str(_day(data[size : size + 3])) if name != "time" else ""
    return kind, _moment(f"{day} {clock}".strip() + ("+00:00" if name == "datetimeoffset" else ""), kind)


def _read_datetime(reader: Reader, code: int) -> tuple[Type, Any]:
    size = reader.take(1)[0]
    data = reader.take(reader.take(1)[0])
    kind = Type("datetime" if size == 8 else "smalldatetime")
    if not data:
        return kind, None
    days, ticks = struct.unpack("<iI" if size == 8 else "<HH", data)
    milliseconds = (ticks * 10 + 1) // 3 if size == 8 else ticks * 60_000
    clock = str(timedelta(milliseconds=milliseconds)).rjust(8, "0")
    return kind, _moment(f"{date.fromordinal(days + _1900 + 1)} {clock}", kind)


def _read_sized(reader: Reader, code: int) -> tuple[Type, Any]:
    name = next(name for name, known in _SIZED.items() if known == code)
    size = reader.number("H")
    collation = reader.take(5) if code not in (0xA5, 0xAD) else b""
    kind = Type(name, length=size if size == MAX or not name.startswith("n") else size // 2)
    data = _read_plp(reader) if size == MAX else _short(reader)
    return kind, None if data is None else _decoded(data, kind, collation)


def _short(reader: Reader) -> bytes | None:
    size = reader.number("H")
    return None if size == MAX else reader.take(size)


def _read_plp(reader: Reader) -> bytes | None:
    if reader.take(8) == _NULL_PLP:
        return None
    pieces = []
    while size := reader.number("I"):
        pieces.append(reader.take(size))
    return b"".join(pieces)


def _decoded(data: bytes, kind: Type, collation: bytes) -> Any:
    if kind.binary:
        return data
    if kind.wide:
        return data.decode("utf-16-le", "surrogatepass")
    page = next((page for known, page in COLLATIONS.values() if known == collation), "cp1252")
    return data.decode(page, "replace")


def _read_long(reader: Reader, code: int) -> tuple[Type, Any]:
    name = next(name for name, known in _LONG.items() if known == code)
    reader.number("I")
    collation = reader.take(5) if name != "image" else b""
    size = reader.number("i")
    kind = Type(name)
    return kind, None if size < 0 else _decoded(reader.take(size), kind, collation)


def _read_guid(reader: Reader, code: int) -> tuple[Type, Any]:
    reader.take(1)
    data = reader.take(reader.take(1)[0])
    return Type("uniqueidentifier"), str(uuid.UUID(bytes_le=data)).upper() if data else None


_READERS = {
    0x26: _read_integer,
    0x68: _read_bit,
    0x6D: _read_float,
    0x6A: _read_decimal,
    0x6C: _read_decimal,
    0x28: _read_date,
    0x6F: _read_datetime,
    0x24: _read_guid,
    **dict.fromkeys((0x30, 0x32, 0x34, 0x38, 0x7F), _read_fixed),
    **dict.fromkeys(_CLOCKS.values(), _read_clock),
    **dict.fromkeys(_SIZED.values(), _read_sized),
    **dict.fromkeys(_LONG.values(), _read_long),
}

# TDS 5.0: lengths are shorter, magnitudes of decimals stand with their highest byte first, and there is no time zone.


def described5(kind: Type) -> bytes:
    """A column's user type, type and length in a TDS 5.0 row format, with its empty locale."""
    name = kind.name
    if name in INTEGERS:
        return _five(7, bytes((0x44 if name in UNSIGNED[1:] else 0x26, INTEGERS[name])))
    if name == "bit":
        return _five(16, b"\x32")
    if name in ("float", "real"):
        return _five(8, bytes((0x6D, 8 if name == "float" else 4)))
    if name in ("decimal", "numeric"):
        return _five(10, bytes((0x6A if name == "decimal" else 0x6C, 17, kind.precision, kind.scale)))
    if name in ("money", "smallmoney"):
        return _five(11, bytes((0x6E, 8 if name == "money" else 4)))
    if name in ("datetime", "smalldatetime"):
        return _five(12, bytes((0x6F, 8 if name == "datetime" else 4)))
    if name == "date":
        return _five(37, b"\x7b\x04")
    if name == "time":
        return _five(38, b"\xbc\x08\x06") if kind.scale > 3 else _five(38, b"\x93\x04")
    if name == "datetime2":
        return _five(51, b"\xbb\x08\x06")
    if name in ("char", "varchar"):
        return _five(1 if name == "char" else 2, b"\xaf" + struct.pack("<I", kind.length))
    if name in ("nchar", "nvarchar"):
        return _five(34 if name == "nchar" else 35, b"\xe1" + struct.pack("<I", 2 * kind.length))
    if name in ("binary", "varbinary"):
        return _five(4, b"\xe1" + struct.pack("<I", kind.length))
    code, user_type = {"text": (0x23, 19), "image": (0x22, 20)}[name]
    return _five(user_type, bytes((code,)) + struct.pack("<IH", 2**31 - 1, 1) + b"t")


def _five(user_type: int, rest: bytes) -> bytes:
    return struct.pack("<I", user_type) + rest + b"\x00"


def encoded5(value: Any, kind: Type, page: str) -> bytes:
    name = kind.name
    if name == "bit":
        return bytes((int(value or 0),))
    if name in ("text", "image"):
        if value is None:
            return b"\x00"
        data = _data5(value, kind, page)
        return b"\x10" + b"\x01" * 16 + b"\x02" * 8 + struct.pack("<I", len(data)) + data
    long = kind.textual or kind.binary
    if value is None:
        return b"\x00\x00\x00\x00" if long else b"\x00"
    data = _data5(value, kind, page)
    return (struct.pack("<I", len(data)) if long else bytes((len(data),))) + data


def _data5(value: Any, kind: Type, page: str) -> bytes:
    name = kind.name
    if name in ("decimal", "numeric"):
        number = _scaled(Decimal(value), kind.scale)
        size = (len(f"{10**kind.precision:x}") + 1) // 2
        return bytes((int(number < 0),)) + abs(number).to_bytes(size, "big")
    if kind.textual and not kind.wide:
        return str(value).encode(page)
    if name == "date":
        return struct.pack("<i", _split(str(value), 0)[0] - _1900)
    if name == "time" and kind.scale <= 3:
        return struct.pack("<I", (_split(str(value), 3)[1] * 3 + 5) // 10)
    if name in ("time", "datetime2"):
        days, units, _ = _split(str(value), 6)
        # Microseconds since the year 0, which is 366 days before the year 1.
        return struct.pack("<Q", units if name == "time" else units + (days + 366) * 86_400_000_000)
    return _data(value, kind)
