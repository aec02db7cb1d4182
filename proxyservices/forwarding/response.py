"""From an upstream's response to a result: relayed unchanged, or decoded, restricted, and encoded anew."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

from django.conf import settings

from proxyservices import decoders
from proxyservices.decoders.limits import DecodeError
from proxyservices.decoders.table import Table, table_of
from proxyservices.decoders.xml import XmlDocument
from proxyservices.forwarding.addresses import AddressMap, alias_path, has_addresses
from proxyservices.forwarding.context import ForwardingContext
from proxyservices.forwarding.fields import restrict
from proxyservices.forwarding.plan import Plan
from proxyservices.forwarding.records import list_items, records_at, records_with, result_rows, whole_list
from proxyservices.headers import CONTENT, DOCUMENT, connection_named
from proxyservices.transport.response import UpstreamResponse
from registry import faults
from registry.calls import Call, RawRequest
from registry.personal_data.masks import Sight
from registry.results import Column, Document, Fault, RelayedResponse, Result, Row, Rows

#: Formats that hold rows and nothing else.
TABULAR = frozenset(("csv", "ndjson", "xlsx"))
#: A body of at most so many bytes, whose length is known, is read whole before anything goes out: what goes wrong is
#: then a fault, not half a response, and the upstream need not wait for a slow caller.
BUFFERED_BYTES = 65_536
_BATCH = 500


def to_result(context: ForwardingContext, response: UpstreamResponse) -> Result:
    """Return what the caller may see of a response. Raises Fault; holds the upstream only while the result needs it."""
    try:
        return _to_result(context, response)
    except BaseException:
        response.close()
        context.release_memory()
        raise


def _to_result(context: ForwardingContext, response: UpstreamResponse) -> Result:
    plan = context.plan
    if plan.pass_through and context.raw_request is not None:
        addresses = partial(address_map, context, context.raw_request)
        return relay(response, plan.returned_headers, addresses, context.deadline)
    restricted = bool(context.sight.allowed or plan.declared)
    # Records that are counted (mantra/gateway/row_quotas.py) have to be read.
    if not restricted and context.call.meter is None and _has_callers_format(context, response):
        return relay(response, DOCUMENT, None, context.deadline)
    try:
        value = plan.style.decode(context, response)
    except DecodeError as error:
        if error.text is not None and not restricted:
            return Document(error.text, close=context.release_memory)
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


def address_map(context: ForwardingContext, raw_request: RawRequest) -> AddressMap:
    """Return what becomes of the upstream's addresses in the response to a pass-through call."""
    call, plan = context.call, context.plan
    return AddressMap(
        alias=alias_path(call.agency, call.service, call.code),
        bus=settings.BASE_URL,
        bases=[endpoint.target.url.partition("?")[0].rstrip("/") + plan.base_path for endpoint in plan.endpoints],
        suffix=raw_request.path_suffix,
    )


def relay(
    response: UpstreamResponse,
    returned: frozenset[str],
    addresses: Callable[[], AddressMap] | None,
    deadline: float = math.inf,
) -> RelayedResponse:
    """Return a response as it came, with the ``returned`` headers (lower case). Raises Fault.

    Addresses of the upstream in its headers become those of the alias, if ``addresses`` returns a map of them.
    ``deadline``: when it must have been sent if it is not read whole here (monotonic seconds).
    """
    dropped = connection_named(response.fields.get("connection", ""))
    headers: list[tuple[str, str]] = []
    for name, value in response.headers:
        lower = name.lower()
        if (lower in returned or lower in CONTENT) and lower not in dropped:
            mapped = addresses().header(lower, value) if addresses and has_addresses(lower) else value
            if mapped is not None:
                headers.append((name, mapped))
    if response.matches_condition:
        response.close()
        return RelayedResponse(304, [each for each in headers if each[0].lower() not in CONTENT], iter(()))
    length = response.length
    if length is not None and length <= BUFFERED_BYTES:
        body = response.read()
        return RelayedResponse(response.status, headers, iter((body,) if body else ()))
    return RelayedResponse(response.status, headers, response.chunks(), response.close, deadline)


def document_response(body: bytes, media_type: str) -> RelayedResponse:
    """Return a body of the bus's own making in place of an upstream's."""
    return RelayedResponse(200, [("Content-Type", media_type), ("Content-Length", str(len(body)))], iter((body,)))


# ---------------------------------------------------------------------------------------- documents


def _shaped(context: ForwardingContext, value: Any) -> Result:
    """A decoded value as the result that the caller may see, in a shape that its format can hold. Raises Fault."""
    plan, sight = context.plan, context.sight
    enveloped = plan.style.legacy and _has_envelope(value)
    if not isinstance(value, Table) and context.call.protocol == "rest" and context.format in TABULAR:
        try:
            table = _table(plan, value, enveloped, sight)
        except DecodeError:
            raise Fault(faults.UPSTREAM_ANSWER_UNREADABLE, request_id=context.request_id) from None
        if table is None:
            return Document(value, enveloped, context.release_memory)
        return _rows(table, plan.declared, sight, context.release_memory)
    if sight.allowed or plan.declared:
        value = restrict(value, plan.declared, sight.allowed, enveloped, sight.masks)
    if isinstance(value, Table):
        return _rows(value, plan.declared, sight, context.release_memory)
    return Document(value, enveloped, context.release_memory)


def _has_envelope(value: Any) -> bool:
    """Return True if a document has the envelope of 1.99x."""
    envelope = value.get("response") if isinstance(value, dict) else None
    return isinstance(envelope, dict) and "status" in envelope


def _table(plan: Plan, value: Any, enveloped: bool, sight: Sight) -> Table | None:
    """A document's records as a table; None where it does not say which they are. Raises Fault, DecodeError."""
    if enveloped and str(value["response"].get("status")) != "1":
        return None
    granted, masks = sight.allowed, sight.masks
    if not granted and not plan.declared:
        records = records_of(plan, value, enveloped)
        return None if records is None else table_of(records)
    columns = [name for name in plan.declared if not granted or name in granted]
    names = columns or granted
    if plan.records_path is None:
        records = records_of(plan, restrict(value, plan.declared, granted, enveloped, masks), enveloped, names)
    elif (records := records_of(plan, value, enveloped)) is not None:
        records = records_with(restrict(records, plan.declared, granted, False, masks), names)
    return None if records is None else table_of(records, columns)


def records_of(plan: Plan, document: Any, enveloped: bool, names: Collection[str] = ()) -> list[dict[str, Any]] | None:
    """Return the records of a document; None where it does not say which they are.

    They are at the operation's path, else they have one of the ``names``, else they are the rows in the envelope of
    1.99x, else the items of a document that is a list.
    """
    from_xml = isinstance(document, XmlDocument)
    value = document["response"].get("data") if enveloped else document
    if plan.records_path is not None:
        return records_at(XmlDocument(value) if from_xml and isinstance(value, dict) else value, plan.records_path)
    if names:
        return records_with(value, names)
    return result_rows(value, plan.style.result_name, from_xml) if enveloped else whole_list(value)


def records_in(call: Call, document: Document) -> list[Any]:
    """Return the records of a document that a caller gets, to be counted.

    Where the document does not say which they are, they are its longest list of objects, else the document itself.
    """
    plan, value = call.operation.plan, document.value  # type: ignore[union-attr]
    if value in (None, "", [], {}) or not isinstance(plan, Plan):
        return []
    granted = call.grant.fields if call.grant is not None else frozenset()
    names = [name for name in plan.declared if not granted or name in granted] or granted
    found = records_of(plan, value, document.enveloped, names)
    return found if found is not None else longest_list(value) or [value]


def longest_list(value: Any) -> list[Any]:
    """Return the longest list of objects in a document; [] if there is none."""
    best: list[Any] = []
    waiting = [value]
    while waiting:
        each = waiting.pop()
        items = list_items(each)
        if items is not None and len(items) > len(best) and any(isinstance(item, dict) for item in items):
            best = items
        members = items if items is not None else each.values() if isinstance(each, dict) else ()
        waiting += [member for member in members if isinstance(member, dict | list)]
    return best


def _rows(table: Table, declared: dict[str, str], sight: Sight, close: Callable[[], None]) -> Rows:
    columns = tuple(
        Column(name, "text", masked=True) if name in sight.kinds else Column(name, declared.get(name))
        for name in table.names
    )
    rows = Rows(columns, iter(()), close)

    def batches() -> Iterator[list[Row]]:
        for start in range(0, len(table.rows), _BATCH):
            batch = table.rows[start : start + _BATCH]
            rows.count += len(batch)
            yield batch

    rows.batches = batches()
    return rows
