"""The record of a key: what the operation with the data gives for it. It goes no further than the comparison."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from dataservices import runner
from dataservices.sets import run_set
from mantra.gateway import stops
from mantra.gateway.http import unwrapped
from mantra.verification.plan import Plan
from proxyservices.forwarding import pipeline
from proxyservices.forwarding.records import records_with
from registry import faults
from registry.calls import Call
from registry.models import Operation as Row
from registry.results import Document, Fault, Result, Rows
from registry.snapshot import holder, parts
from registry.snapshot.types import Operation

#: The most records of one key that are compared. A key with more is none.
MOST = 100

Record = Mapping[str, Any]

_CALLABLE = (Row.State.PUBLISHED.value, Row.State.DEPRECATED.value)


def base_of(call: Call, plan: Plan) -> Operation:
    """Return the operation with the data. Raises Fault VERIFICATION_UNAVAILABLE, or STOPPED if that is stopped."""
    snapshot = call.snapshot or holder.current()
    if snapshot is not None:
        base = snapshot.operations.get(plan.base_address)
    else:
        base = parts.operation(plan.base)  # in the worker, which has no snapshot
    if base is None or base.id != plan.base or base.state not in _CALLABLE or base.plan is None:
        raise unavailable(call)
    stops.refuse(call, operation=base)
    return base


def unavailable(call: Call) -> Fault:
    return Fault(faults.VERIFICATION_UNAVAILABLE, request_id=call.request_id)


def read(call: Call, plan: Plan, base: Operation) -> list[Record]:
    """Return the records of the call's key, with the columns that are compared; none if there is none. Raises Fault."""
    inner = call_of(call, base)
    inner.arguments = arguments(base, {name: call.arguments.get(name) for name in plan.key})
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


def read_set(call: Call, plan: Plan, base: Operation, sets: Sequence[Mapping[str, Any]]) -> list[list[Record] | Fault]:
    """Return the records, or a Fault, of the first of these keys, of at least one. Raises Fault if none can be read."""
    if base.kind != "data":
        return [_read_one(call, plan, base, sets[0])]
    inner = call_of(call, base)
    keys = [arguments(base, {name: each.get(name) for name in plan.key}) for each in sets]
    try:
        result = run_set(inner, keys)
    finally:
        call.origin, call.server = inner.origin, inner.server
    wanted, columns = [each.column for each in plan.fields], [column.name for column in result.columns]
    return [each if isinstance(each, Fault) else records_of_rows(call, wanted, columns, each) for each in result.rows]


def _read_one(call: Call, plan: Plan, base: Operation, key: Mapping[str, Any]) -> list[Record] | Fault:
    one = copy.copy(call)
    one.arguments = dict(key)
    try:
        return read(one, plan, base)
    except Fault as fault:
        return fault.without_traceback()
    finally:
        call.origin, call.server = one.origin, one.server


def call_of(call: Call, base: Operation) -> Call:
    """Return a call of the operation with the data, as a part of ``call``: nobody's grant restricts its columns.

    No mask does either: what is compared goes no further. But the caller's grant selects the rows, as it does there.
    """
    inner = Call(
        # A format that holds rows only, and that no upstream's response has: a document becomes rows where it can.
        protocol="rest",
        format="ndjson",
        method="GET",
        client_ip=call.client_ip,
        request_id=call.request_id,
        read_input=call.read_input,
        agency=base.agency,
        service=base.service,
        code=base.code,
        access_key=call.access_key,
        certificate=call.certificate,
        started=call.started,
        started_monotonic=call.started_monotonic,
        operation=base,
        application=call.application,
        key=call.key,
        trial=call.trial,
        internal=True,
        tried_values=call.grant_values,
        hops=call.hops,
        snapshot=call.snapshot,
        trace_context=call.trace_context if call.trace is None else call.trace.context,
    )
    page_size = base.plan.page_size if base.plan is not None else 0
    if page_size:
        inner.page, inner.per_page = 1, min(MOST, page_size)
    return inner


def arguments(base: Operation, key: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the operation with the data: the key, and the defaults of all else."""
    return {each.name: key.get(each.name, each.default) for each in base.parameters}


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
