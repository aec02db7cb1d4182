"""What comes of an upstream's answer: passed on as it is, or read, cut to what may be seen, and written anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from proxyservices import decoders
from proxyservices.decoders import limits, table
from proxyservices.decoders.limits import Unreadable
from proxyservices.decoders.table import Table
from proxyservices.forwarding.fields import _restricted, records_of
from proxyservices.forwarding.plan import Plan
from proxyservices.styles.soap import Soap
from proxyservices.transport.response import Fetched
from registry import faults
from registry.calls import Call
from registry.results import Column, Document, Fault, Relay, Result, Row, Rows


def _result(call: Call, plan: Plan, found: Fetched) -> Result:
    """What comes of an answer. Raises Fault, and then holds nothing any more."""
    try:
        return result(call, plan, found)
    except BaseException:
        found.close()
        raise


#: Formats that hold rows and nothing else.
TABULAR = frozenset(("csv", "ndjson", "xlsx"))
#: A body of at most so many bytes, whose length is known, is fetched whole before anything goes out: then what goes
#: wrong is a fault, not half an answer, and the upstream need not wait for a slow caller.
AT_ONCE = 65_536
_WRAPPERS = ("valid_response", "invalid_response", "error_response")
_BATCH = 500
#: What of an answer's description goes on where it is no as-is operation's.
_PLAIN = frozenset(("content-type", "content-length", "etag"))


def result(call: Call, plan: Plan, found: Fetched) -> Result:
    """What the call comes to. Raises Fault; lets go of the upstream unless the result still needs it."""
    if plan.passes and call.passage is not None:
        return relay(found, plan.back)
    allowed = call.grant.fields if call.grant is not None else frozenset()
    if isinstance(plan.recipe, Soap):
        return _cut(call, plan, _of_soap(call, plan, plan.recipe, found), allowed)
    if found.status // 100 != 2:
        found.close()
        raise Fault(faults.UPSTREAM_STATUS, upstream_status=found.status)
    if not plan.legacy and call.face == "rest" and not allowed and not plan.declared and _agrees(found, call.format):
        return relay(found, _PLAIN)
    body = found.read()
    try:
        body = limits.inflate(body, found.fields.get("content-encoding", "").lower(), plan.limits.size)
        value = _value(body, found, plan)
    except Unreadable:
        if plan.passes and not allowed and not plan.declared:
            # Nothing but its text can be shown where no answer goes out as it came.
            return Document(body.decode(errors="replace"))
        raise Fault(faults.UPSTREAM_WRONG, request_id=call.request_id) from None
    return _cut(call, plan, value, allowed)


def _agrees(found: Fetched, format: str) -> bool:
    if found.fields.get("content-encoding", "identity").lower() != "identity":
        return False
    return decoders.kind_of(found.fields.get("content-type", "")) == format


def _value(body: bytes, found: Fetched, plan: Plan) -> Any:
    if plan.legacy:
        return decoders.read_legacy(body)
    return decoders.read(body, decoders.kind_of(found.fields.get("content-type", "")))


def _of_soap(call: Call, plan: Plan, recipe: Soap, found: Fetched) -> Any:
    """The content of an upstream's envelope. A SOAP fault comes under a status of its own. Raises Fault."""
    if found.status != 200 and not decoders.is_soap(found.fields.get("content-type", "")):
        found.close()
        raise Fault(faults.UPSTREAM_STATUS, upstream_status=found.status)
    body = found.read()
    try:
        value = recipe.read(limits.inflate(body, found.fields.get("content-encoding", "").lower(), plan.limits.size))
    except Unreadable:
        raise Fault(faults.UPSTREAM_WRONG, request_id=call.request_id) from None
    if recipe.told_as_1_99 and value in (None, "", [], {}):
        raise Fault(faults.SOAP_EMPTY, operation=call.operation.legacy_name if call.operation else "")
    return value


# -------------------------------------------------------------------------------------------- relay


def relay(found: Fetched, back: frozenset[str]) -> Relay:
    """The answer as it came, with the headers that may go back. Raises Fault."""
    named = found.fields.get("connection", "").lower()
    dropped = {name.strip() for name in named.split(",")} if named else ()
    headers = [
        (name, value)
        for name, value in found.headers
        if ((lower := name.lower()) in back or lower in ("content-type", "content-length")) and lower not in dropped
    ]
    length = found.length
    if length is not None and length <= AT_ONCE:
        body = found.read()
        return Relay(found.status, headers, iter((body,) if body else ()))
    return Relay(found.status, headers, found.chunks(), found.close)


def written(body: bytes, media_type: str) -> Relay:
    """A body of the bus's own making in the place of an upstream's."""
    return Relay(200, [("Content-Type", media_type), ("Content-Length", str(len(body)))], iter((body,)))


# ---------------------------------------------------------------------------------------- documents


def _cut(call: Call, plan: Plan, value: Any, allowed: frozenset[str]) -> Result:
    """A value as the result that the caller may see, in the shape that its format can hold. Raises Fault."""
    enveloped = False
    if plan.legacy:
        value, enveloped = _unwrapped(value)
    if allowed or plan.declared:
        value = _restricted(value, plan.declared, allowed, enveloped)
    if isinstance(value, Table):
        return _rows(value, plan.declared)
    if call.face == "rest" and call.format in TABULAR:
        try:
            return _tabular(value, enveloped, plan) or Document(value, enveloped)
        except Unreadable:
            raise Fault(faults.UPSTREAM_WRONG, request_id=call.request_id) from None
    return Document(value, enveloped)


def _unwrapped(value: Any) -> tuple[Any, bool]:
    """An answer of 1.99x without its wrapper, and whether it has the envelope."""
    if isinstance(value, dict) and len(value) == 1:
        (name, inner), *_ = value.items()
        if name in _WRAPPERS:
            value = inner
    envelope = value.get("response") if isinstance(value, dict) else None
    return value, isinstance(envelope, dict) and "status" in envelope


def _tabular(value: Any, enveloped: bool, plan: Plan) -> Rows | None:
    """A document's records as rows; None where it has none that are clearly its records."""
    if enveloped:
        envelope = value["response"]
        if str(envelope.get("status")) != "1":
            return None
        value = envelope.get("data")
    records = records_of(value)
    return None if records is None else _rows(table.table(records), plan.declared)


def _rows(table: Table, declared: dict[str, str]) -> Rows:
    columns = tuple(Column(name, declared.get(name)) for name in table.names)
    rows = Rows(columns, iter(()))

    def batches() -> Iterator[list[Row]]:
        for start in range(0, len(table.rows), _BATCH):
            batch = table.rows[start : start + _BATCH]
            rows.count += len(batch)
            yield batch

    rows.batches = batches()
    return rows
