"""PHP's two notations of a value, serialize() and var_export(), byte for byte as PHP 8 writes them."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from mantra.gateway.formats.values import Style, clean

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1
_WHOLE_KEY = re.compile("0|-?[1-9][0-9]{0,18}", re.ASCII)


def _digits(text: str) -> float | str:
    """Return a JSON number with a point or exponent: as a float if that keeps all its digits, else as text."""
    value = float(text)
    return value if Decimal(repr(value)) == Decimal(text) else text


def _parsed(text: str) -> Any:
    return json.loads(text, parse_float=_digits)


#: Decimals are strings, digit for digit. JSON documents become nested arrays.
STYLE = Style(document=_parsed, nested=True)


def key(name: str) -> int | str:
    """Return an array's key: PHP converts the text of a 64-bit integer to the integer."""
    if _WHOLE_KEY.fullmatch(name) and MIN_INTEGER <= (number := int(name)) <= MAX_INTEGER:
        return number
    return name


def float_text(value: float) -> str:
    """Return the shortest text that is read as the same float, in PHP's notation (1.0E+25, 0.0001, -0)."""
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    minus, text = "-" * sign, "".join(map(str, digits))
    point = len(text) + exponent
    if value and not -3 <= point <= 17:
        return f"{minus}{text[0]}.{text[1:] or '0'}E{point - 1:+d}"
    return minus + format(Decimal((0, digits, exponent)), "f")


def serialize(value: Any) -> str:
    """Return PHP's serialize() of a canonical value."""
    if isinstance(value, str):
        text = clean(value)
        return f's:{len(text.encode())}:"{text}";'
    if isinstance(value, bytes):
        # Only the legacy wire has bytes. They come back when the whole text is encoded in the same way.
        return f's:{len(value)}:"{value.decode("utf-8", "surrogateescape")}";'
    if value is None:
        return "N;"
    if isinstance(value, bool):
        return f"b:{value:d};"
    if isinstance(value, int):
        return f"i:{value};" if MIN_INTEGER <= value <= MAX_INTEGER else serialize(str(value))
    if isinstance(value, float):
        return f"d:{float_text(value)};"
    pairs = enumerate(value) if isinstance(value, list) else ((key(name), member) for name, member in value.items())
    return f"a:{len(value)}:{{{''.join(serialize(name) + serialize(member) for name, member in pairs)}}}"


def quoted(text: str) -> str:
    """Return a string as var_export() writes it."""
    text = clean(text).replace("\\", "\\\\").replace("'", "\\'")
    return "'" + text.replace("\0", "' . \"\\0\" . '") + "'"


def var_export(value: Any, indent: str = "") -> str:
    """Return PHP's var_export() of a canonical value. ``indent`` precedes the lines of an array."""
    if isinstance(value, str):
        return quoted(value)
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if value == MIN_INTEGER:
            return f"{MIN_INTEGER + 1}-1"
        return str(value) if MIN_INTEGER < value <= MAX_INTEGER else quoted(str(value))
    if isinstance(value, float):
        text = float_text(value)
        return text if "." in text else text + ".0"
    pairs = enumerate(value) if isinstance(value, list) else ((key(name), member) for name, member in value.items())
    return f"array (\n{''.join(entry(name, member, indent) for name, member in pairs)}{indent})"


def entry(name: int | str, value: Any, indent: str) -> str:
    """Return the line ``key => value,`` of an array with the indent ``indent``."""
    return f"{entry_start(name, indent, isinstance(value, (list, dict)))}{var_export(value, indent + '  ')},\n"


def entry_start(name: int | str, indent: str, nested: bool = False) -> str:
    """Return the line of an array's entry up to its value."""
    key_text = str(name) if isinstance(name, int) else quoted(name)
    return f"{indent}  {key_text} => " + (f"\n{indent}  " if nested else "")
