"""From an upstream's response to a result: relayed unchanged, or decoded, restricted, and encoded anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from proxyservices import decoders
from proxyservices.decoders.limits import DecodeError
from proxyservices.decoders.table import Table, table_of
from proxyservices.forwarding.context import ForwardingContext
from proxyservices.forwarding.fields import records_of, restrict
from proxyservices.headers import CONTENT, DOCUMENT, connection_named
from proxyservices.transport.response import UpstreamResponse
from registry import faults
from registry.results import Column, Document, Fault, RelayedResponse, Result, Row, Rows

#: Formats that hold rows and nothing else.
TABULAR = frozenset(("csv", "ndjson", "xlsx"))
#: A body of at most so many bytes, whose length is known, is read whole before anything goes out: what goes wrong is
#: then a fault, not half a response, and the upstream need not wait for a slow caller.
BUFFERED_BYTES = 65_536
_WRAPPERS = ("valid_response", "invalid_response", "error_response")
_BATCH = 500


def to_result(context: ForwardingContext, response: UpstreamResponse) -> Result:
    """Return what the caller may see of a response. Raises Fault; holds the upstream only while the result needs it."""
    try:
        return _to_result(context, response)
    except BaseException:
        response.close()
        raise


def _to_result(context: ForwardingContext, response: UpstreamResponse) -> Result:
    plan = context.plan
    if plan.pass_through and context.raw_request is not None:
        return relay(response, plan.returned_headers)
    restricted = bool(context.granted_fields or plan.declared)
    if not restricted and _has_callers_format(context, response):
        return relay(response, DOCUMENT)
    try:
        value = plan.style.decode(context, response)
    except DecodeError as error:
        if error.text is not None and not restricted:
            return Document(error.text)
        raise Fault(faults.UPSTREAM_ANSWER_UNREADABLE, request_id=context.request_id) from None
    return _shaped(context, value)


def _has_callers_format(context: ForwardingContext, response: UpstreamResponse) -> bool:
    """Return True if a response can go to a REST caller as it came."""
    if context.plan.style.has_envelope or context.call.protocol != "rest" or response.status // 100 != 2:
        return False
    if response.fields.get("content-encoding", "identity").lower() != "identity":
        return False
    return decoders.kind_of(response.fields.get("content-type", "")) == context.format


# -------------------------------------------------------------------------------------------- relay


def relay(response: UpstreamResponse, returned: frozenset[str]) -> RelayedResponse:
    """Return a response as it came, with the ``returned`` headers (lower case). Raises Fault."""
    dropped = connection_named(response.fields.get("connection", ""))
    headers = [
        (name, value)
        for name, value in response.headers
        if ((lower := name.lower()) in returned or lower in CONTENT) and lower not in dropped
    ]
    if response.matches_condition:
        response.close()
        return RelayedResponse(304, [each for each in headers if each[0].lower() not in CONTENT], iter(()))
    length = response.length
    if length is not None and length <= BUFFERED_BYTES:
        body = response.read()
        return RelayedResponse(response.status, headers, iter((body,) if body else ()))
    return RelayedResponse(response.status, headers, response.chunks(), response.close)


def document_response(body: bytes, media_type: str) -> RelayedResponse:
    """Return a body of the bus's own making in place of an upstream's."""
    return RelayedResponse(200, [("Content-Type", media_type), ("Content-Length", str(len(body)))], iter((body,)))


# ---------------------------------------------------------------------------------------- documents


def _shaped(context: ForwardingContext, value: Any) -> Result:
    """A decoded value as the result that the caller may see, in a shape that its format can hold. Raises Fault."""
    plan, enveloped = context.plan, False
    if plan.style.legacy:
        value, enveloped = _unwrapped(value)
    if context.granted_fields or plan.declared:
        value = restrict(value, plan.declared, context.granted_fields, enveloped)
    if isinstance(value, Table):
        return _rows(value, plan.declared)
    if context.call.protocol == "rest" and context.format in TABULAR:
        try:
            return _tabular(value, enveloped, plan.declared) or Document(value, enveloped)
        except DecodeError:
            raise Fault(faults.UPSTREAM_ANSWER_UNREADABLE, request_id=context.request_id) from None
    return Document(value, enveloped)


def _unwrapped(value: Any) -> tuple[Any, bool]:
    """A response of 1.99x without its wrapper, and whether it has the envelope."""
    if isinstance(value, dict) and len(value) == 1:
        (name, inner), *_ = value.items()
        if name in _WRAPPERS:
            value = inner
    envelope = value.get("response") if isinstance(value, dict) else None
    return value, isinstance(envelope, dict) and "status" in envelope


def _tabular(value: Any, enveloped: bool, declared: dict[str, str]) -> Rows | None:
    """A document's records as rows; None where it has none that are clearly its records."""
    if enveloped:
        envelope = value["response"]
        if str(envelope.get("status")) != "1":
            return None
        value = envelope.get("data")
    records = records_of(value)
    return None if records is None else _rows(table_of(records), declared)


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
