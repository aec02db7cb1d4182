"""The record of a key: what the operation with the data gives for it. It goes no further than the comparison."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dataservices import runner
from mantra.gateway import admission
from mantra.gateway.http import unwrapped
from mantra.verification.plan import Plan
from proxyservices.forwarding import pipeline
from proxyservices.forwarding.records import records_with
from registry import faults
from registry.calls import Call
from registry.models import Operation as Row
from registry.results import Document, Fault, Result, Rows
from registry.snapshot import parts
from registry.snapshot.types import Operation

#: The most records of one key that are compared. A key with more is none.
MOST = 100

Record = Mapping[str, Any]

_SLOTS: tuple[str, ...] = tuple(Call.__slots__)

_CALLABLE = (Row.State.PUBLISHED.value, Row.State.DEPRECATED.value)


def base_of(call: Call, plan: Plan) -> Operation:
    """Return the operation with the data. Raises Fault VERIFICATION_UNAVAILABLE."""
    if call.needs_key:
        base = admission.snapshot_of(call).operations.get(plan.base_address)
    else:
        base = parts.operation(plan.base)  # the author's try-out runs in processes without a snapshot, too
    if base is None or base.id != plan.base or base.state not in _CALLABLE or base.plan is None:
        raise unavailable(call)
    return base


def unavailable(call: Call) -> Fault:
    return Fault(faults.VERIFICATION_UNAVAILABLE, request_id=call.request_id)


def read(call: Call, plan: Plan, base: Operation) -> list[Record]:
    """Return the records of the call's key, with the columns that are compared; none if there is none. Raises Fault."""
    inner = call_of(call, base)
    inner.arguments = arguments(base, call.arguments, plan.key)
    try:
        result = runner.run(inner) if base.kind == "data" else pipeline.run(inner)
    except Fault as fault:
        if fault.kind is faults.UPSTREAM_STATUS and fault.details.get("upstream_status") == 404:
            return []
        raise
    finally:
        call.origin, call.server = inner.origin, inner.server
    try:
        return records_of(call, plan, result)
    finally:
        result.close()


def _copied(call: Call) -> Call:
    """Return a copy of a call, in half the time that copy.copy() takes."""
    made = Call.__new__(Call)
    for name in _SLOTS:
        setattr(made, name, getattr(call, name))
    return made


def call_of(call: Call, base: Operation) -> Call:
    """Return a call of the operation with the data, as a part of ``call``: nobody's grant restricts its columns."""
    inner = _copied(call)
    inner.operation, inner.grant, inner.raw_request = base, None, None
    inner.agency, inner.service, inner.code = base.agency, base.service, base.code
    # A format that holds rows only, and that no upstream's response has: a document becomes rows where it can.
    inner.protocol, inner.format, inner.method, inner.spelling = "rest", "ndjson", "GET", ()
    inner.page = inner.per_page = 0
    inner.trace = None
    inner.extra_headers = {}
    page_size = base.plan.page_size if base.plan is not None else 0
    if page_size:
        inner.page, inner.per_page = 1, min(MOST, page_size)
    return inner


def arguments(base: Operation, given: Mapping[str, Any], key: Collection[str]) -> dict[str, Any]:
    """Return the arguments of the operation with the data: the key as it was given, and the defaults of all else."""
    return {each.name: given.get(each.name) if each.name in key else each.default for each in base.parameters}


def records_of(call: Call, plan: Plan, result: Result) -> list[Record]:
    """Return the records of a result. Raises Fault VERIFICATION_UNAVAILABLE if it has not the columns."""
    wanted = [each.column for each in plan.fields]
    if isinstance(result, Rows):
        columns = [column.name for column in result.columns]
        return records_of_rows(call, wanted, columns, [row for batch in result.batches for row in batch])
    if not isinstance(result, Document):
        raise unavailable(call)
    try:
        value = unwrapped(result, call.code).value
    except Fault as fault:
        if fault.kind is faults.NO_ROWS:
            return []
        raise
    return [_complete(record, wanted) for record in records_with(value, frozenset(wanted))[:MOST]]


def records_of_rows(
    call: Call, wanted: Sequence[str], columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> list[Record]:
    """Return rows as records. Raises Fault VERIFICATION_UNAVAILABLE if a column is missing, for a key without rows too.

    A table that is empty may have no columns, where it was made of an upstream's document.
    """
    if not rows and not columns:
        return []
    try:
        chosen = [(name, columns.index(name)) for name in wanted]
    except ValueError:
        raise unavailable(call) from None
    return [{name: row[at] for name, at in chosen} for row in rows[:MOST]]


def _complete(record: Mapping[str, Any], wanted: Sequence[str]) -> Record:
    """Return the wanted columns of a record of a document, where an absent one is not stored."""
    return {name: record.get(name) for name in wanted}
