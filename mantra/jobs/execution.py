"""Runs an operation for several rows of a job: in sets where its kind has them, else one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from dataservices import sets
from mantra.egress import guard
from mantra.gateway.http import unwrapped
from mantra.gateway.row_quotas import Meter
from mantra.gateway.serve import runner_of
from mantra.verification import records
from mantra.verification import runner as verification
from proxyservices.forwarding.plan import Plan as ProxyPlan
from proxyservices.forwarding.response import longest_list
from registry import faults
from registry.calls import Call
from registry.results import Column, Document, Fault, Result, Row, Rows
from registry.snapshot.types import Operation

#: The most calls of a job that wait for an upstream at a time, and the share of its bulkhead that they take.
MOST_AT_ONCE, SHARE = 8, 4
#: The most rows of one answer of an upstream.
MOST_ROWS = 10_000

#: Faults after which a row is run again: nobody was there to respond.
_AWAY = frozenset(
    kind.code
    for kind in (
        faults.SOURCE_UNREACHABLE, faults.SOURCE_CIRCUIT_OPEN, faults.UPSTREAM_UNREACHABLE,
        faults.UPSTREAM_CIRCUIT_OPEN,
    )
)  # fmt: skip
_BUSY = frozenset(kind.code for kind in (faults.SOURCE_BUSY, faults.SOURCE_LOCKED, faults.UPSTREAM_BUSY))
_QUOTA = frozenset((faults.QUOTA_STORE_DOWN.code,))
#: HTTP statuses by which an upstream asks for a pause.
_PAUSES = frozenset((429, 503))
_NOT_FOUND = 404


@dataclass(slots=True)
class Answers:
    """The answers of the first of some rows, in their order.

    ``cut``: the places of those that have more rows than one answer may have.
    """

    columns: tuple[Column, ...]
    rows: list[list[Row] | Fault]
    cut: frozenset[int] = field(default_factory=frozenset)


def can_run(operation: Operation) -> bool:
    """Return True if an operation can be run as a job: it is a kind of ours, and reads."""
    plan = operation.plan
    return plan is not None and not plan.pass_through and "GET" in plan.methods and operation.kind in _ENGINES


def waits(fault: Fault) -> str:
    """Return why the row of a fault is run again later: source, busy or quota-store; "" if it is not."""
    if fault.code in _AWAY:
        return "source"
    if fault.code in _QUOTA:
        return "quota-store"
    paused = fault.code == faults.UPSTREAM_STATUS.code and fault.details.get("upstream_status") in _PAUSES
    return "busy" if fault.code in _BUSY or paused else ""


def is_answer(fault: Fault) -> bool:
    """Return True for a fault with which an upstream has answered: perhaps it never answers this row otherwise."""
    return fault.code == faults.UPSTREAM_STATUS.code


def pause_of(fault: Fault) -> float:
    """Return the seconds for which a row that is run again has to wait at least."""
    return float(max(fault.retry_after or 0, fault.details.get("pause") or 0))


def counted(meter: Meter, columns: Sequence[Column], rows: Sequence[Row]) -> tuple[int, set[bytes]]:
    """Return the rows and persons that an answer counts as: a document has as many as its longest list."""
    if len(columns) == 1 and columns[0].type == "json" and len(rows) == 1:
        return len(longest_list(rows[0][0])) or 1, set()
    return len(rows), meter.persons_of(rows)


def answers_of(call: Call, arguments: Sequence[Mapping[str, Any]]) -> Answers:
    """Return the answers of the first of some rows, one at least. Raises Fault if none could be run."""
    assert call.operation is not None
    return _guarded(call, _ENGINES[call.operation.kind](call, arguments))


def _guarded(call: Call, answers: Answers) -> Answers:
    """Return answers as they may leave. A row whose answer must not has a fault in its place."""
    rows = [row for found in answers.rows if not isinstance(found, Fault) for row in found]
    if guard.is_clean(call, answers.columns, rows):
        return answers
    for place, found in enumerate(answers.rows):
        if not isinstance(found, Fault):
            try:
                answers.rows[place] = guard.rows_of(call, answers.columns, found)
            except Fault as fault:
                answers.rows[place] = fault.without_traceback()
    return answers


def size_of(operation: Operation) -> int:
    """Return how many rows are run together."""
    return 4 * sets.SET_SIZE if operation.kind != "proxy" else 4 * MOST_AT_ONCE


def _data(call: Call, arguments: Sequence[Mapping[str, Any]]) -> Answers:
    found = sets.run_set(call, arguments)
    call.origin = call.operation.plan.origin  # type: ignore[union-attr]
    return Answers(found.columns, found.rows, frozenset(found.truncated))


def _verification(call: Call, arguments: Sequence[Mapping[str, Any]]) -> Answers:
    base = records.base_of(call, call.operation.plan)  # type: ignore[union-attr,arg-type]
    if base.kind != "data":
        return _each(call, arguments, base)
    rows = verification.verify_set(call, arguments)
    call.origin = base.plan.origin  # type: ignore[union-attr]
    return Answers(verification.columns_of(call), [row if isinstance(row, Fault) else [row] for row in rows])


# ---------------------------------------------------------------------------------------- one by one


#: The columns and rows of an answer, and whether there are more.
Found = tuple[tuple[Column, ...], list[Row], bool]


def _each(call: Call, arguments: Sequence[Mapping[str, Any]], asked: Operation | None = None) -> Answers:
    """Answer rows by calls of their own, several at a time. It ends with the first row that has to wait.

    ``asked``: the operation whose upstream is called, if that is not the call's own.
    """
    assert call.operation is not None
    run = runner_of(call.operation.kind)
    found: list[Found | Fault | None] = [None] * len(arguments)
    places, lock, ended = iter(range(len(arguments))), threading.Lock(), threading.Event()

    def work() -> None:
        while not ended.is_set():
            with lock:
                place = next(places, None)
            if place is None:
                return
            answer = found[place] = _one(call, run, arguments[place])
            if isinstance(answer, Fault) and waits(answer):
                ended.set()

    def work_and_leave() -> None:
        try:
            work()
        finally:
            connection.close()

    threads = [
        threading.Thread(target=work_and_leave, name="job-row")
        for _number in range(_at_once(asked or call.operation) - 1)
    ]
    for thread in threads:
        thread.start()
    work()
    for thread in threads:
        thread.join()
    return _together(found)


def _at_once(operation: Operation) -> int:
    plan = operation.plan
    if not isinstance(plan, ProxyPlan):
        return 1
    limits = [each.limit for each in (plan.bulkhead, plan.backend_bulkhead) if each is not None]
    return max(1, min(MOST_AT_ONCE, *(limit // SHARE for limit in limits)))


_NOTHING = frozenset((faults.NO_ROWS.code, faults.SOAP_EMPTY.code))


def _one(call: Call, run: Callable[[Call], Result], arguments: Mapping[str, Any]) -> Found | Fault:
    own = copy(call)
    own.arguments = dict(arguments)
    try:
        result = run(own)
        call.origin = own.origin
        try:
            return _rows_of(unwrapped(result, call.code) if isinstance(result, Document) else result)
        finally:
            result.close()
    except Fault as fault:
        return ((), [], False) if _says_nothing(fault) else fault.without_traceback()


def _says_nothing(fault: Fault) -> bool:
    """Return True for a fault by which an upstream says that nothing matches."""
    status = fault.details.get("upstream_status")
    return fault.code in _NOTHING or (fault.code == faults.UPSTREAM_STATUS.code and status == _NOT_FOUND)


def _rows_of(result: Result) -> Found:
    """Return the rows of a result. Raises Fault."""
    if isinstance(result, Rows):
        rows: list[Row] = []
        for batch in result.batches:
            rows += batch
            if len(rows) > MOST_ROWS:
                return result.columns, rows[:MOST_ROWS], True
        return result.columns, rows, result.truncated
    if isinstance(result, Document):
        return (Column("data", "json"),), [] if result.value is None else [(result.value,)], False
    raise Fault(faults.FORMAT_IMPOSSIBLE, format="csv")


def _together(found: Sequence[Found | Fault | None]) -> Answers:
    """Return the answers up to the first that is missing, with the columns of all: upstreams may leave some out."""
    answers = Answers((), [])
    names: dict[str, Column] = {}
    known: list[Found | Fault] = []
    for answer in found:
        if answer is None:
            break
        known.append(answer)
        if isinstance(answer, tuple):
            for column in answer[0]:
                names.setdefault(column.name, column)
    answers.columns = tuple(names.values())
    cut = set()
    for place, answer in enumerate(known):
        if not isinstance(answer, tuple):
            answers.rows.append(answer)
            continue
        columns, rows, more = answer
        if more:
            cut.add(place)
        answers.rows.append(rows if columns == answers.columns else _arranged(columns, rows, names))
    answers.cut = frozenset(cut)
    return answers


def _arranged(columns: Sequence[Column], rows: Sequence[Row], names: Mapping[str, Column]) -> list[Row]:
    places = {column.name: place for place, column in enumerate(columns)}
    return [tuple([row[places[name]] if name in places else None for name in names]) for row in rows]


_ENGINES: dict[str, Callable[[Call, Sequence[Mapping[str, Any]]], Answers]] = {
    "data": _data,
    "verification": _verification,
    "proxy": _each,
}
