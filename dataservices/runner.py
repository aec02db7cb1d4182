"""Running a data operation: its SQL on its source, as a stream of rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from threading import Thread
from typing import Any, TypeVar

from adapters.base import (
    ConnectFailed,
    Limits,
    LockConflict,
    NotStarted,
    QueryFailed,
    RowTooLarge,
    SourceError,
    Stream,
    TimedOut,
    ValueRefused,
)
from adapters.streaming import widest_row
from dataservices import pool, sql
from dataservices.plan import BlocksRefused, Plan, Projection
from registry import faults
from registry.calls import Call
from registry.field_rights import granted_values
from registry.results import Affected, Column, Fault, Result, Row, Rows

log = logging.getLogger("mantra.dataservices")

#: Seconds that EXPLAIN may take.
EXPLAIN_SECONDS = 10.0

Outcome = TypeVar("Outcome")


def run(call: Call) -> Result:
    """Run a data operation. Raises Fault. The rows of the result hold a connection until they are closed."""
    plan = call.operation.plan  # type: ignore[union-attr]
    assert isinstance(plan, Plan)
    text, bound, limits = statement_of(call, plan)
    call.origin = plan.origin
    adapter = plan.pool.adapter
    deadline = time.monotonic() + limits.seconds
    pooled, stream = execute(
        call, plan, limits, deadline, lambda connection, left: adapter.run(connection, text, bound, left)
    )
    if not stream.columns:
        affected = stream.affected
        close(pooled, stream)
        return Affected(affected)
    try:
        columns, project = plan.shape(stream.columns, call.rights, as_written=call.protocol == "legacy")
    except Fault:
        close(pooled, stream)
        raise
    as_of = stream.as_of
    rows = _rows(call, columns, project, pooled, stream, limits, deadline)
    rows.as_of = as_of
    return rows


def explain(call: Call) -> list[str]:
    """Return the lines of the source's plan for a call's statement, which is not run. Raises Fault."""
    plan = call.operation.plan  # type: ignore[union-attr]
    assert isinstance(plan, Plan)
    text, bound, limits = statement_of(call, plan)
    # EXPLAIN takes little time and writes nothing, whatever the operation does.
    limits = replace(limits, seconds=min(limits.seconds, EXPLAIN_SECONDS), writes=False)
    adapter = plan.pool.adapter
    deadline = time.monotonic() + limits.seconds
    pooled, lines = execute(
        call, plan, limits, deadline, lambda connection, left: adapter.explain(connection, text, bound, left)
    )
    pooled.give_back()
    return lines


def statement_of(call: Call, plan: Plan) -> tuple[str, dict[str, Any], Limits]:
    """Return the statement of a call, its values and its limits. Raises Fault."""
    arguments, limits = call.arguments, plan.limits
    if call.protocol == "tryout":  # only who may change the operation runs it there
        limits = replace(limits, author=True)
    if call.trial is not None:
        limits = replace(limits, seconds=min(limits.seconds, call.trial.seconds))
    if call.per_page:
        arguments = {**arguments, "limit": call.per_page + 1, "offset": (call.page - 1) * call.per_page}
        limits = replace(limits, rows=min(limits.rows, call.per_page))
    if plan.template.grant_values:
        values = granted_values(call.grant_values, plan.template.grant_values)
        # After the caller's: nothing that a caller sends can take their place.
        arguments = {**arguments, **{sql.grant_placeholder(name): value for name, value in values.items()}}
    given = [name for name, value in arguments.items() if value is not None]
    if plan.template.blocks:
        _check_blocks(call, plan, given)
    try:
        text, order = plan.template.render(given, plan.pool.adapter.paramstyle)
    except BlocksRefused:
        log.error("operation %s has optional blocks that fail the SQL check in this combination", call.operation.id)  # type: ignore[union-attr]
        raise Fault(faults.DEFINITION_BROKEN, request_id=call.request_id) from None
    return text, {name: arguments[name] for name in order}, limits


def _check_blocks(call: Call, plan: Plan, given: list[str]) -> None:
    """Raise Fault if a value that the caller set would be without effect: it would get other rows than it requested."""
    defaults = {parameter.name: parameter.default for parameter in call.operation.parameters}  # type: ignore[union-attr]
    chosen = [name for name in given if name in defaults and call.arguments[name] != defaults[name]]
    split = plan.template.split(chosen, given)
    if split is not None:
        raise Fault(faults.PARAMETERS_TOGETHER, given=", ".join(split[0]), missing=", ".join(split[1]))


def execute(
    call: Call, plan: Plan, limits: Limits, deadline: float, action: Callable[[Any, Limits], Outcome]
) -> tuple[pool.PooledConnection, Outcome]:
    """Perform an action on a pooled connection. On a dead one, what may be is repeated once. Raises Fault."""
    source_pool = plan.pool
    for attempt in (1, 2):
        try:
            pooled = source_pool.checkout(limits.writes, deadline - time.monotonic())
        except pool.Busy:
            raise Fault(faults.SOURCE_BUSY, retry_after=1) from None
        except pool.CircuitOpen as error:
            raise Fault(faults.SOURCE_CIRCUIT_OPEN, retry_after=error.seconds, seconds=error.seconds) from None
        except SourceError as error:
            raise to_fault(call, error, limits) from None
        pooled.restores = not limits.plain
        try:
            outcome = action(pooled.connection, _remaining(limits, deadline))
        except _TooLate:
            pooled.restores = False  # no statement was sent
            pooled.give_back()
            raise to_fault(call, TimedOut(), limits) from None
        except QueryFailed as error:
            pooled.give_back()
            source_pool.record_outcome(error)
            raise to_fault(call, error, limits) from None
        except SourceError as error:
            pooled.drop()
            source_pool.record_outcome(error)
            if attempt == 2 or not _may_repeat(error, limits.writes) or time.monotonic() > deadline:
                raise to_fault(call, error, limits) from None
        except BaseException:
            pooled.drop()
            raise
        else:
            source_pool.record_outcome(None)
            return pooled, outcome
    raise AssertionError


def _may_repeat(error: SourceError, writes: bool) -> bool:
    """Return True if a run on a lost connection may be repeated on a new one: a write only if it was not sent."""
    return isinstance(error, NotStarted if writes else ConnectFailed)


class _TooLate(Exception):
    """The time limit was reached before the statement could be sent."""


def _remaining(limits: Limits, deadline: float) -> Limits:
    """Return the limits less the time that was spent on getting a connection, if that was more than a tenth.

    Raises _TooLate.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise _TooLate
    return limits if left > limits.seconds * 0.9 else replace(limits, seconds=left)


def close(pooled: pool.PooledConnection, stream: Stream) -> None:
    """End a run, and return its connection to the pool, or close it where it cannot be used again."""
    try:
        stream.close()
        if stream.reusable:
            pooled.give_back()
    except SourceError:
        pass
    finally:
        pooled.drop()  # does nothing after give_back()


def _rows(
    call: Call,
    columns: tuple[Column, ...],
    project: Projection | None,
    pooled: pool.PooledConnection,
    stream: Stream,
    limits: Limits,
    deadline: float,
) -> Rows:
    batches = iter(stream)
    try:
        first = next(batches, [])
    except SourceError as error:
        close(pooled, stream)
        raise to_fault(call, error, limits) from None
    if stream.whole and len(first) <= limits.rows:
        # The result is complete: return the connection before the first byte is sent.
        close(pooled, stream)
        rows = Rows(columns, iter((project(first) if project else first,)) if first else iter(()))
        rows.count = len(first)
        return rows
    if call.per_page:
        # A page is short, and its headers say whether there is a next one.
        return _page(call, columns, project, pooled, stream, first, batches, limits)
    rows = Rows(columns, iter(()), lambda: close(pooled, stream), deadline)
    rows.batches = _capped_batches(call, rows, first, batches, project, limits)
    return rows


def _page(
    call: Call,
    columns: tuple[Column, ...],
    project: Projection | None,
    pooled: pool.PooledConnection,
    stream: Stream,
    first: list[Row],
    batches: Iterator[list[Row]],
    limits: Limits,
) -> Rows:
    """Read a whole page at once. One row more than requested shows that there is a next page."""
    rows_read, size = list(first), widest_row(first, limits) * len(first)
    try:
        while len(rows_read) <= limits.rows and (batch := next(batches, None)):
            rows_read += batch
            size += widest_row(batch, limits) * len(batch)
            if size > limits.width:
                raise RowTooLarge
    except SourceError as error:
        raise to_fault(call, error, limits) from None
    finally:
        close(pooled, stream)
    page = rows_read[: limits.rows]
    rows = Rows(columns, iter((project(page) if project else page,)) if page else iter(()))
    rows.count, rows.has_next = len(page), len(rows_read) > len(page)
    return rows


def _capped_batches(
    call: Call, rows: Rows, first: list[Row], batches: Iterator[list[Row]], project: Projection | None, limits: Limits
) -> Iterator[list[Row]]:
    """Yield the batches up to the row cap. One row more than the cap shows that the result is truncated."""
    left = limits.rows
    batch = first
    try:
        while batch:
            if len(batch) > left:
                batch = batch[:left]
                rows.truncated = True
            left -= len(batch)
            if batch:
                rows.count += len(batch)
                yield project(batch) if project else batch
            if rows.truncated:
                _close_later(rows)
                break
            batch = next(batches, [])
    except SourceError as error:
        raise to_fault(call, error, limits) from None
    finally:
        rows.close()


def _numbers(call: Call) -> str:
    """Return the names of the parameters for which the caller gave a number: one of them does not fit into its type."""
    return ", ".join(
        name
        for name, value in call.arguments.items()
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    )


def _close_later(rows: Rows) -> None:
    """Close a result in a thread of its own: a server may take long to end a statement that brings more rows."""
    release = rows.detach_close()
    try:
        Thread(target=release, name="source-release", daemon=True).start()
    except RuntimeError:  # there can be no more threads
        release()


def to_fault(call: Call, error: SourceError, limits: Limits) -> Fault:
    """Return the fault that a caller gets for a source's error, and log its reason."""
    log.warning("request %s: source failed: %s (%s)", call.request_id, error.reason, error.sqlstate or "-")
    # The reason is for the author of the operation; no message to a caller contains it.
    if isinstance(error, RowTooLarge):
        mib = f"{(error.limit or limits.width) / 2**20:.3g}"
        return Fault(faults.ANSWER_TOO_WIDE, request_id=call.request_id, mib=mib, reason=error.reason)
    refused = error.parameter if isinstance(error, ValueRefused) else _numbers(call) if error.reason == "range" else ""
    if refused:
        return Fault(
            faults.PARAMETER_INVALID,
            parameter=refused,
            reason_id="di luar jangkauan yang dapat ditampung sumber data",
            reason_en="it is out of the range that the data source can hold",
        )
    if isinstance(error, TimedOut):
        return Fault(faults.SOURCE_TIMEOUT, seconds=f"{limits.seconds:g}", reason=error.reason)
    if isinstance(error, LockConflict):
        return Fault(faults.SOURCE_LOCKED, retry_after=1, reason=error.reason)
    kind = faults.SOURCE_UNREACHABLE if isinstance(error, ConnectFailed) else faults.QUERY_FAILED
    fault = Fault(kind, request_id=call.request_id, reason=error.reason)
    if error.words is not None:
        fault.details["words"] = error.words.text
    return fault
