"""The driver oracledb, and what its errors mean."""

from __future__ import annotations

import importlib
import time
from functools import cache
from types import ModuleType

from adapters.base import CONNECTING, ConnectFailed, QueryFailed, SourceError, TimedOut, statement_error
from adapters.streaming import BATCH

#: Rows fetched in one round trip of a large result.
FETCH = 4 * BATCH

NUMBERS: dict[int, str] = {
    **dict.fromkeys((1004, 1005, 1017, 28000, 28001, 28002, 28003, 28040, 1988, 1035), "login"),
    **dict.fromkeys((12154, 12504, 12505, 12514, 12521), "database-unknown"),
    **dict.fromkeys((1033, 1034, 1089, 1090, 1109, 12518, 12526, 12527, 12528, 12541), "refused"),
    **dict.fromkeys((18, 20, 2391, 12516, 12519, 12520, 12523), "too-many-connections"),
    **dict.fromkeys((12650, 12660, 12699, 28759, 28860, 29024), "tls"),
    12545: "host-unknown",
    **dict.fromkeys((12170, 12535, 12543), "unreachable"),
    **dict.fromkeys(
        (28, 1012, 1041, 1092, 2396, 2399, 3113, 3114, 3135, 12537, 12547, 12570, 12571, 12583, 24324, 25408), "broken"
    ),
    **dict.fromkeys((1031, 1045, 1720, 1749, 1950, 41900), "forbidden"),
    **dict.fromkeys((904, 942, 980, 1418, 1435, 2289, 4043, 4063), "object-unknown"),
    **dict.fromkeys((1456, 16000, 28193), "read-only"),
    **dict.fromkeys((40, 51, 1013, 2393), "timeout"),
    # Deadlocks, locks that were not to be had in time, conflicts of serializable transactions.
    **dict.fromkeys((54, 60, 4020, 4021, 8177, 30006), "locked"),
    **dict.fromkeys((1, 1400, 1407, 2091, 2290, 2291, 2292, 2293, 2299), "constraint"),
    **dict.fromkeys(
        (932, 1401, 1403, 1410, 1422, 1427, 1465, 1476, 1481, 1482, 1489, 1555, 1722, 6502, 6503, 6592,
         12728, 12899, 22835, 24381, 40441, 40478), "data",
    ),
    **dict.fromkeys((1426, 1438), "range"),
    **dict.fromkeys((1008, 1036, 1745, 1747, 1756, 1789, 1790, 1795, 1799, 6550, 6553), "syntax"),
}  # fmt: skip

_RANGES = ((900, 999, "syntax"), (1830, 1899, "data"), (2438, 2449, "syntax"), (20000, 20999, "constraint"))

_DRIVER_CODES: dict[str, str] = {
    **dict.fromkeys(("DPY-1001", "DPY-4011", "DPY-4005", "DPY-1003"), "broken"),
    **dict.fromkeys(("DPY-4024",), "timeout"),
    **dict.fromkeys(("DPY-6000",), "refused"),
    **dict.fromkeys(("DPY-6001", "DPY-6003", "DPY-4000", "DPY-4026", "DPY-4027", "DPY-4017"), "database-unknown"),
    **dict.fromkeys(("DPY-3001", "DPY-6002", "DPY-6006"), "tls"),
    **dict.fromkeys(("DPY-3010", "DPY-3015", "DPY-3016", "DPY-4001", "DPY-4002"), "login"),
    **dict.fromkeys(("DPY-4008", "DPY-4009", "DPY-4010"), "syntax"),
    **dict.fromkeys(("DPY-2006", "DPY-3002", "DPY-3013", "DPY-3022", "DPY-4003", "DPY-4007", "DPY-4023"), "data"),
}


def reason_of(error: BaseException) -> tuple[str, str]:
    """Return the reason that an error of the driver means, and its number."""
    details = error.args[0] if error.args else None
    number, code = getattr(details, "code", 0), getattr(details, "full_code", "")
    if code.startswith("DPY-"):
        return _DRIVER_CODES.get(code, "broken" if getattr(details, "is_session_dead", False) else "other"), code
    reason = NUMBERS.get(number)
    if reason is None:
        reason = next((word for first, last, word in _RANGES if first <= number <= last), "other")
    if number == 6550 and "PLS-00201" in str(details):
        reason = "object-unknown"
    if reason == "other" and getattr(details, "is_session_dead", False):
        reason = "broken"
    return reason, f"{number:05}" if number else ""


def to_source_error(error: Exception, cut: SourceError | None = None, deadline: float | None = None) -> Exception:
    """Return the driver's error for a statement as a SourceError; any other error unchanged."""
    if isinstance(error, SourceError):
        return error
    if cut is not None:
        return cut
    if isinstance(error, (ValueError, UnicodeError, OverflowError)):
        return QueryFailed("data")
    late = deadline is not None and time.monotonic() >= deadline
    if isinstance(error, OSError):
        return TimedOut(silent=True) if late or isinstance(error, TimeoutError) else ConnectFailed("broken")
    if not isinstance(error, oracledb_driver().Error):
        return error
    reason, code = reason_of(error)
    # When the server does not answer the break either, the driver reports only that the connection is lost.
    if reason == "broken" and late:
        return TimedOut("timeout", code, silent=True)
    # What the server itself says of connecting is of a database link's server.
    return statement_error(reason, code, reason == "broken" or (reason in CONNECTING and code.startswith("DPY-")))


@cache
def oracledb_driver() -> ModuleType:
    """Import the driver on first use. Raises ConnectFailed."""
    try:
        return importlib.import_module("oracledb")
    except ImportError:
        raise ConnectFailed("driver-missing") from None
