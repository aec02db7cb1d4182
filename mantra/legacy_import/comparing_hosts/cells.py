"""Two values of one place: whether they mean the same, and how they are written differently."""

from __future__ import annotations

import base64
import binascii
import re
from decimal import Decimal, InvalidOperation
from math import isclose
from typing import Any

from mantra.legacy_import.comparing_hosts.bodies import Number

_TRUTH = {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})?[ T]?([0-9]{2}:[0-9]{2})?(:[0-9]{2})?(\.[0-9]+)?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_INTERVAL = re.compile(r"-?P(?:[0-9-]+[YMWD])*(?:T(?:[0-9.-]+[HMS])+)?")
_INTERVAL_WORDS = re.compile(r"(?:-?[0-9]+ (?:years?|mons?|days?) ?)*(?:-?[0-9]{2,}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?)?")
#: Characters of a value beyond which it is compared as text only.
_SHORT = 400
#: How near two floating-point numbers are that stand for the same: MySQL shows six digits of a float.
_NEAR = 1e-5


def cell_kind(old: Any, new: Any) -> str:
    """Return the kind by which two values differ; "" if they do not. Both are no lists and no dicts."""
    if old is None or new is None:
        return _with_null(old, new)
    if isinstance(old, bool) or isinstance(new, bool):
        if old is new:
            return ""
        return "boolean-form" if _truth(old) is not None and _truth(old) == _truth(new) else "value"
    if isinstance(old, Number) != isinstance(new, Number) and str(old) == str(new):
        return "number-as-text"
    if str(old) == str(new):
        return ""
    return _text_kind(str(old), str(new))


def _with_null(old: Any, new: Any) -> str:
    if old is new:
        return ""
    other = new if old is None else old
    if other == "":
        return "null-empty"
    # The original's JSON has null for what is no UTF-8.
    return "letters" if isinstance(other, str) and not other.isascii() else "value"


def _truth(value: Any) -> bool | None:
    return value if isinstance(value, bool) else _TRUTH.get(str(value).lower())


def _text_kind(old: str, new: str) -> str:
    if len(old) <= _SHORT and len(new) <= _SHORT:
        if not (old.isdigit() and new.isdigit()) and _truth(old) is not None and _truth(old) == _truth(new):
            return "boolean-form"
        if _are_one_number(old, new):
            return "number-form"
        if _are_one_time(old, new):
            return "time-form"
    if " ".join(old.split()) == " ".join(new.split()):
        return "blanks"
    if _are_one_text(old, new) or _are_one_text(new, old):
        return "letters"
    if _is_base64(new, old) or _is_base64(old, new):
        return "binary"
    return "value"


def _are_one_number(old: str, new: str) -> bool:
    if not _NUMBER.fullmatch(old) or not _NUMBER.fullmatch(new):
        return False
    try:
        before, after = Decimal(old), Decimal(new)
    except InvalidOperation:
        return False
    is_float = "." in old + new or "e" in (old + new).lower()
    return before == after or (is_float and isclose(before, after, rel_tol=_NEAR))


def _are_one_time(old: str, new: str) -> bool:
    before, after = _time(old), _time(new)
    if before is not None and after is not None:
        return before == after
    intervals = (_INTERVAL, _INTERVAL_WORDS), (_INTERVAL_WORDS, _INTERVAL)
    return any(first.fullmatch(old) and second.fullmatch(new) for first, second in intervals if old and new)


def _time(text: str) -> tuple[str, ...] | None:
    """Return a date's or time's parts in one spelling; None if it is neither."""
    match = _MOMENT.fullmatch(text)
    if match is None or not (match[1] or match[2]):
        return None
    day, clock, seconds, fraction, offset = (part or "" for part in match.groups())
    offset = offset.removeprefix("Z").replace(":", "").ljust(5, "0")
    zone = "" if not offset.strip("+-0") else offset
    return day, clock or "00:00", seconds or ":00", fraction.rstrip("0").rstrip("."), zone


def _are_one_text(wrong: str, right: str) -> bool:
    """Return True if one text is the other in a wrong encoding."""
    if wrong.isascii() and right.isascii():
        return False
    for encoding in ("cp1252", "latin-1"):
        for read in (_recoded(wrong, encoding, "utf-8"), _recoded(wrong, "utf-8", encoding)):
            if read is not None and read == right:
                return True
    return len(wrong) == len(right) and all(
        one == other or (one in "?\ufffd" and not other.isascii()) for one, other in zip(wrong, right, strict=True)
    )


def _recoded(text: str, written: str, meant: str) -> str | None:
    try:
        return text.encode(written, "surrogateescape" if written == "utf-8" else "strict").decode(meant)
    except UnicodeError:
        return None


def _is_base64(text: str, raw: str) -> bool:
    if not raw or len(text) != (len(raw.encode("utf-8", "surrogateescape")) + 2) // 3 * 4:
        return False
    try:
        return base64.b64decode(text, validate=True) == raw.encode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        return False


def skeleton(value: Any) -> str:
    """Return what is left of a value in every way to write it: rows with equal ones are taken for the same row."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    text = str(value)
    if len(text) > _SHORT:
        return "".join(each for each in text if each.isalnum() and each.isascii())
    truth = _truth(text)
    if truth is not None:
        return "1" if truth else "0"
    if _NUMBER.fullmatch(text):
        number = Decimal(text)
        # Five digits are what a float has in every way to write it.
        return str(int(number)) if abs(number) < 10**30 and number == int(number) else f"{number:.5g}"
    moment = _time(text)
    if moment is not None:
        return " ".join(moment)
    return "".join(each for each in text if each.isalnum() and each.isascii())


def shape(value: Any) -> str:
    """Return a value's type and length, which is all that results say of it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, list):
        return f"list({len(value)})"
    if isinstance(value, dict):
        return f"object({len(value)})"
    return f"{'number' if isinstance(value, Number) else 'text'}({len(value)})"
