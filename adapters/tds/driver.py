"""The driver pyodbc, and what its errors and FreeTDS's mean."""

from __future__ import annotations

import importlib
import re
from functools import cache
from types import ModuleType

from adapters.base import (
    ConnectFailed,
    QueryFailed,
    SourceError,
    TimedOut,
)

NUMBERS = {
    **dict.fromkeys((18452, 18456, 18470, 18486, 18487, 18488, 4002, 4001, 10330), "login"),
    **dict.fromkeys((4060, 911, 40615), "database-unknown"),
    **dict.fromkeys((17300, 17809, 10928, 10929, 1601, 40501), "too-many-connections"),
    **dict.fromkeys((229, 230, 262, 297, 300, 916, 10353, 10330, 10331, 2557), "forbidden"),
    **dict.fromkeys((207, 208, 195, 2812, 4121, 4104, 201, 8144, 8145, 2706, 14216), "object-unknown"),
    **dict.fromkeys((2762, 3906, 3908, 25004, 978, 976), "read-only"),
    **dict.fromkeys(
        (102, 103, 105, 107, 109, 110, 113, 121, 137, 145, 156, 170, 174, 178, 189, 205, 213, 319, 4145, 8120, 1033),
        "syntax",
    ),
    **dict.fromkeys((515, 547, 2601, 2627, 546, 548, 233, 2615), "constraint"),
    **dict.fromkeys(
        (206, 235, 241, 242, 244, 245, 247, 249, 257, 260, 295, 296, 517, 535, 2402, 2628, 3606, 3607),
        "data",
    ),
    **dict.fromkeys((220, 232, 248, 8115), "range"),
    **dict.fromkeys((8114, 8134, 8152, 8169, 8170, 9420, 13608, 529, 4819), "data"),
    **dict.fromkeys((1205, 1222, 12205), "timeout"),
    **dict.fromkeys((20003,), "timeout"),
    **dict.fromkeys((20004, 20006, 20011, 20017, 20020, 20047, 596, 6005, 3989, 40197, 40613), "broken"),
}
_STATES = {
    "08S01": "broken",
    "08003": "broken",
    "HY008": "timeout",
    "HYT00": "timeout",
    "HYT01": "timeout",
    "HY091": "data",
    "HY106": "data",
    "28000": "login",
    "08001": "unreachable",
}
_CONNECTING = frozenset(
    ("broken", "refused", "unreachable", "login", "database-unknown", "too-many-connections", "tls")
)
_NATIVE = re.compile(r"\((\d{2,6})\)(?= \(SQL|;|$)")


def native_numbers(error: Exception) -> list[int]:
    """Return the servers' own error numbers in one of pyodbc's messages, in its order."""
    text = " ".join(str(part) for part in error.args[1:])
    return [int(number) for number in _NATIVE.findall(text)]


def to_source_error(error: Exception, cut: SourceError | None = None) -> Exception:
    """Return the driver's error as a SourceError; any other error unchanged."""
    if isinstance(error, SourceError):
        return error
    if cut is not None:
        return cut
    if isinstance(error, (ValueError, UnicodeError, OverflowError, ArithmeticError)):
        return QueryFailed("data")
    driver = pyodbc_driver()
    if not isinstance(error, driver.Error):
        return error
    state = str(error.args[0]) if error.args else ""
    numbers = native_numbers(error)
    number = next((number for number in numbers if number in NUMBERS), numbers[0] if numbers else 0)
    reason = NUMBERS.get(number) or _STATES.get(state) or _reason_of_state(state, number)
    code = str(number) if number else state if len(state) == 5 else ""
    if reason == "timeout":
        return TimedOut(reason, code)
    kind = ConnectFailed if reason in _CONNECTING else QueryFailed
    return kind(reason, code)


def _reason_of_state(state: str, number: int) -> str:
    """Return the reason from the SQLSTATE alone. FreeTDS's own errors (from 20000) concern the connection."""
    if 20000 <= number < 20200 or state.startswith("08"):
        return "broken"
    if state == "HY000" and not number:
        return "broken"
    return {"22": "data", "23": "constraint", "HY": "other"}.get(state[:2], "other")


@cache
def pyodbc_driver() -> ModuleType:
    try:
        return importlib.import_module("pyodbc")
    except ImportError:
        raise ConnectFailed("driver-missing") from None
