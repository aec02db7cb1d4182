"""The driver pyodbc, and what its errors and FreeTDS's mean."""

from __future__ import annotations

import importlib
import re
from functools import cache
from types import ModuleType

from adapters.base import (
    CONNECTING,
    MAX_WORDS,
    AuthorWords,
    ConnectFailed,
    QueryFailed,
    SourceError,
    statement_error,
)

NUMBERS = {
    **dict.fromkeys((18452, 18456, 18470, 18486, 18487, 18488, 17892, 4002, 4001, 40532), "login"),
    **dict.fromkeys((4060, 4064, 911), "database-unknown"),
    # A firewall of the server's: it names the bus's address.
    **dict.fromkeys((40615, 40914), "login"),
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
    # Deadlocks, lock timeouts, no room for more locks, conflicts of snapshots and of tables in memory.
    **dict.fromkeys((1204, 1205, 1222, 3960, 12205, 41301, 41302, 41305, 41325), "locked"),
    **dict.fromkeys((20003,), "timeout"),
    **dict.fromkeys((20004, 20006, 20011, 20017, 20020, 20047, 596, 6005, 3989, 40197, 40613), "broken"),
}
_STATES = {
    # A type that the driver cannot convert, such as sql_variant.
    "07006": "data",
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
#: What pyodbc and FreeTDS write around a sentence of the server's; the part of the SQL that such a sentence names.
_OF_DRIVER = re.compile(r"^(?:[^\[\]]*\] ?)?(?:\[[^\]]*\] ?)*|(?: \(-?\d+\))?(?: \(SQL\w+\))?$|^ErrorCode:.*")
_NEAR = re.compile(r"(?:near|keyword|column name|object name|procedure) '([^']+)'|^'([^']+)' is not", re.I)
_NATIVE = re.compile(r"\((\d{2,6})\)(?= \(SQL|;|$)")


def native_numbers(error: Exception) -> list[int]:
    """Return the servers' own error numbers in one of pyodbc's messages, in its order."""
    text = " ".join(str(part) for part in error.args[1:])
    return [int(number) for number in _NATIVE.findall(text)]


def words_of(error: Exception) -> AuthorWords | None:
    """Return the server's words about a statement, for its author; None if there are none.

    The number of the line comes with them, but pyodbc does not pass it on.
    """
    if not isinstance(error, pyodbc_driver().Error) or len(error.args) < 2:
        return None
    sentences = [_OF_DRIVER.sub("", part).strip() for part in str(error.args[1]).split("; [")]
    text = "\n".join(dict.fromkeys(filter(None, sentences)))
    near = _NEAR.search(text)
    return AuthorWords(text[:MAX_WORDS], near=(near[1] or near[2]) if near else "")


def of_freetds(number: int) -> bool:
    """Return True for an error of FreeTDS itself, which concerns the connection; the others are the server's."""
    return 20000 <= number < 20200


def to_source_error(error: Exception, cut: SourceError | None = None) -> Exception:
    """Return the driver's error for a statement as a SourceError; any other error unchanged."""
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
    # What the server itself says of a log-in or a connection is of another server, to which the statement leads.
    lost = reason == "broken" or (reason in CONNECTING and (not number or of_freetds(number)))
    return statement_error(reason, code, lost)


def _reason_of_state(state: str, number: int) -> str:
    """Return the reason from the SQLSTATE alone."""
    if of_freetds(number) or (state.startswith("08") and not number):
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
