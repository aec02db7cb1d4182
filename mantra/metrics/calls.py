"""Counts the calls of a worker process. Each call passes here: what it costs is in docs/performance.md."""

from __future__ import annotations

import logging
import threading
from bisect import bisect_left
from collections.abc import Iterator

from registry import outcomes
from registry.calls import Call
from registry.journal.records import Record
from registry.metrics.counters import Counters, Key, Row
from registry.metrics.gauges import Gauge
from registry.results import Affected, Fault, Result, Rows
from registry.snapshot.types import Operation

log = logging.getLogger("mantra.metrics")

#: How calls end, as the statistics count them.
OUTCOMES = tuple(outcomes.Ended)
#: The upper bounds of the classes of durations, in microseconds; one without a bound follows.
BOUNDS = tuple(int(s * 1_000_000) for s in (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30))
#: The cells of an operation's row: its outcomes, then these, then the classes of durations.
MICROSECONDS, BYTES, ROWS, CLASSES = (len(OUTCOMES) + at for at in range(4))
#: The cells of the row of all calls of a thread.
_BEGUN, _ENDED = 0, 1

_PLACES = {outcome: at for at, outcome in enumerate(OUTCOMES)}


class _Own(threading.local):
    """The rows of one thread: that of all its calls, and those by protocol and code of a fault."""

    def __init__(self) -> None:
        self.row: Row | None = None
        self.codes: dict[tuple[str, int], Row] = {}


def _log(error: Exception) -> None:
    """Log what keeps a call from being counted, such as a full disk: the call goes on."""
    log.error("a call could not be counted: %s", type(error).__name__)


class CallCounters:
    """Counts calls in the rows of a process."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        #: The rows of all calls of each thread.
        self._rows: set[Row] = set()
        #: The rows of operations, by their id and code.
        self._operations: dict[tuple[int, str], Row] = {}
        self._own = _Own()

    def begun(self) -> None:
        """Count the beginning of a call. Never raises, as ended()."""
        try:
            self._add_one(self._row_of_thread(), _BEGUN)
        except (OSError, ValueError) as error:
            _log(error)

    def ended(self, call: Call, result: Result, sent: int, broken: bool, status: int, us: int) -> None:
        """Count the end of a call. Never raises: a call does not fail because it cannot be counted."""
        try:
            self._add_one(self._row_of_thread(), _ENDED)
            if call.protocol not in outcomes.COUNTED:
                return
            code = result.code if isinstance(result, Fault) else outcomes.OK
            outcome = _PLACES[outcomes.ended(code, status, broken)]
            rows = result.count if isinstance(result, Rows | Affected) else 0
            self._count(self._row_of(call.operation), outcome, rows, sent, us)
            self._add_one(self._own.codes.get((call.protocol, code)) or self._code_row(call.protocol, code), 0)
        except (OSError, ValueError) as error:
            _log(error)

    def ended_on_lane(self, record: Record) -> None:
        """Count a call that nginx took over the fast lane, from its record. Never raises, as ended()."""
        try:
            protocol, code = record["protocol"], record["outcome"]
            outcome = _PLACES[outcomes.ended(code, record["status"], record["broken"])]
            labels = str(record["operation_ref"]), record["agency"], record["service"], record["operation"]
            row = self._counters.row(("operation", *labels) if record["operation_ref"] else ("operation",))
            self._count(row, outcome, 0, record["bytes"], record["duration_us"])
            self._add_one(self._own.codes.get((protocol, code)) or self._code_row(protocol, code), 0)
            self._add_one(self._counters.own_row(("lane",)), 0)
        except (OSError, ValueError) as error:
            _log(error)

    @staticmethod
    def _add_one(row: Row, cell: int) -> None:
        with row.lock:
            row.cells[cell] += 1

    def _count(self, row: Row, outcome: int, rows: int, sent: int, us: int) -> None:
        at = CLASSES + bisect_left(BOUNDS, us)
        cells = row.cells
        with row.lock:
            cells[outcome] += 1
            cells[MICROSECONDS] += us
            cells[BYTES] += sent
            cells[at] += 1
            if rows > 0:
                cells[ROWS] += rows

    def _row_of(self, operation: Operation | None) -> Row:
        if operation is None:
            return self._counters.row(("operation",))
        key = operation.id, operation.code
        row = self._operations.get(key)
        if row is None:
            if len(self._operations) > 100_000:
                self._operations.clear()  # operations come and go, the process stays
            labels: Key = ("operation", str(operation.id), operation.agency, operation.service, operation.code)
            row = self._operations[key] = self._counters.row(labels)
        return row

    def _code_row(self, protocol: str, code: int) -> Row:
        row = self._own.codes[protocol, code] = self._counters.own_row(("outcome", protocol, str(code)))
        return row

    def _row_of_thread(self) -> Row:
        """Return the row of all calls of this thread."""
        row = self._own.row
        if row is None:
            row = self._own.row = self._counters.own_row(("calls",))
            self._rows.add(row)
        return row

    def in_progress(self) -> Iterator[Gauge]:
        """Yield the calls of this process that have begun and not ended."""
        yield "mantra_calls_in_progress", {}, sum(row.cells[_BEGUN] - row.cells[_ENDED] for row in list(self._rows))


_calls: CallCounters | None = None


def start(counters: Counters) -> CallCounters:
    """Count the calls of this process from now on."""
    global _calls
    _calls = CallCounters(counters)
    return _calls


def stop() -> None:
    """Count no more calls."""
    global _calls
    _calls = None


def begun() -> None:
    """Count the beginning of a call, if calls are counted."""
    if _calls is not None:
        _calls.begun()


def ended(call: Call, result: Result, sent: int, broken: bool, status: int, us: int) -> None:
    """Count the end of a call, if calls are counted."""
    if _calls is not None:
        _calls.ended(call, result, sent, broken, status, us)
