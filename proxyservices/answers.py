"""What comes of an upstream's answer: passed on as it is, or read, cut to what may be seen, and written anew."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from proxyservices import documents
from proxyservices.client import Failed, Reply
from proxyservices.documents import Table, Unreadable
from proxyservices.plan import Plan
from proxyservices.soap import Soap
from registry import faults
from registry.calls import Call, Column, Document, Relay, Result, Row, Rows
from registry.faults import Fault

#: Formats that hold rows and nothing else.
TABULAR = frozenset(("csv", "ndjson", "xlsx"))
#: A body of at most so many bytes, whose length is known, is fetched whole before anything goes out: then what goes
#: wrong is a fault, not half an answer, and the upstream need not wait for a slow caller.
AT_ONCE = 65_536
_WRAPPERS = ("valid_response", "invalid_response", "error_response")
_BATCH = 500
#: What of an answer's description goes on where it is no as-is operation's.
_PLAIN = frozenset(("content-type", "content-length", "etag"))


class Fetched:
    """An answer's head, and its body to come. ``close`` it, whatever becomes of it."""

    __slots__ = ("_close", "_failed", "_reply", "body", "fields", "headers", "keep", "keep_most", "status")

    def __init__(
        self,
        status: int,
        headers: list[tuple[str, str]],
        reply: Reply | None = None,
        body: bytes = b"",
        close: Callable[[], None] | None = None,
        failed: Callable[[Failed], Fault] | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        #: Each header's first value by lower-case name.
        self.fields: dict[str, str] = {}
        for name, value in headers:
            self.fields.setdefault(name.lower(), value)
        #: The whole body, where no reply brings it.
        self.body = body
        self._reply = reply
        self._close = close
        self._failed = failed
        #: Is given the body once it came whole, if it has at most ``keep_most`` bytes.
        self.keep: Callable[[bytes], None] | None = None
        self.keep_most = 0

    @property
    def length(self) -> int | None:
        """The body's length where the upstream stated it."""
        text = self.fields.get("content-length", "")
        return int(text) if text.isascii() and text.isdigit() else None

    def chunks(self) -> Iterator[bytes]:
        """Raises Fault where the upstream breaks off."""
        if self._reply is None:
            if self.body:
                yield self.body
            return
        chunks = self._reply.chunks()
        try:
            yield from chunks if self.keep is None else self._kept(chunks, self.keep)
        except Failed as failure:
            raise failure if self._failed is None else self._failed(failure) from None

    def _kept(self, chunks: Iterator[bytes], keep: Callable[[bytes], None]) -> Iterator[bytes]:
        held: list[bytes] = []
        size = 0
        for chunk in chunks:
            size += len(chunk)
            if size <= self.keep_most:
                held.append(chunk)
            else:
                held.clear()
            yield chunk
        if size <= self.keep_most:
            keep(b"".join(held))

    def read(self) -> bytes:
        """The whole body; lets go of the upstream. Raises Fault."""
        try:
            return b"".join(self.chunks())
        finally:
            self.close()

    def close(self) -> None:
        if self._reply is not None:
            self._reply.close()
        if self._close is not None:
            close, self._close = self._close, None
            close()


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
        body = documents.inflate(body, found.fields.get("content-encoding", "").lower(), plan.limits.size)
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
    return documents.kind_of(found.fields.get("content-type", "")) == format


def _value(body: bytes, found: Fetched, plan: Plan) -> Any:
    if plan.legacy:
        return documents.read_legacy(body)
    return documents.read(body, documents.kind_of(found.fields.get("content-type", "")))


def _of_soap(call: Call, plan: Plan, recipe: Soap, found: Fetched) -> Any:
    """The content of an upstream's envelope. A SOAP fault comes under a status of its own. Raises Fault."""
    if found.status != 200 and not documents.is_soap(found.fields.get("content-type", "")):
        found.close()
        raise Fault(faults.UPSTREAM_STATUS, upstream_status=found.status)
    body = found.read()
    try:
        value = recipe.read(documents.inflate(body, found.fields.get("content-encoding", "").lower(), plan.limits.size))
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
    return None if records is None else _rows(documents.table(records), plan.declared)


def records_of(value: Any, levels: int = 6) -> list[dict[str, Any]] | None:
    """The one list of objects in a document, or the object itself where it holds plain values only."""
    listed = _listed(value)
    if listed is not None:
        return listed
    if not isinstance(value, dict) or not levels or not value:
        return None
    inner = [each for each in value.values() if isinstance(each, (dict, list))]
    if not inner:
        return [value]
    lists = [found for each in inner if (found := _listed(each)) is not None]
    if len(lists) == 1:
        return lists[0]
    return records_of(inner[0], levels - 1) if len(inner) == 1 else None


def _listed(value: Any) -> list[dict[str, Any]] | None:
    """A list of objects, as it is or as PHP writes it: an object whose names are 0, 1, …"""
    if isinstance(value, dict) and value and list(value) == [str(place) for place in range(len(value))]:
        value = list(value.values())
    if isinstance(value, list) and all(isinstance(each, dict) for each in value):
        return value
    return None


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


# -------------------------------------------------------------------------------------- restrictions


def _restricted(value: Any, declared: dict[str, str], allowed: frozenset[str], enveloped: bool) -> Any:
    """The value with no more than the declared fields, of these the allowed ones. Raises Fault."""
    if isinstance(value, Table):
        return _restricted_table(value, declared, allowed)
    if enveloped:
        envelope = value["response"]
        if str(envelope.get("status")) != "1":
            # Codes and messages of the upstream's bus; it has no data then.
            return {"response": {name: _plain(envelope.get(name)) for name in _HEAD} | {"data": ""}}
        kept = {name: _plain(envelope[name]) for name in _HEAD if name in envelope}
        return {"response": kept | {"data": _restricted(envelope.get("data"), declared, allowed, False)}}
    found = _filtered(value, declared, allowed)
    if found is _NOTHING:
        if value in (None, "", [], {}):
            return value
        if allowed:
            raise Fault(faults.FIELDS_INSEPARABLE)
        raise Fault(faults.FIELD_MISSING, column=next(iter(declared)))
    return found


_NOTHING: Any = object()
_HEAD = ("status", "code", "message")
#: The names that say where records are. Others are data: systems list people by their numbers.
_NAME = re.compile(r"[^\W\d][\w.:-]{0,62}")


def _plain(value: Any) -> Any:
    return None if isinstance(value, (dict, list)) else value


def _filtered(value: Any, declared: dict[str, str], allowed: frozenset[str]) -> Any:
    """What may be seen of a value; _NOTHING for what is no record and holds none.

    A record is an object with at least one field that is declared or allowed. Of it those go out that are both, and
    nothing that is nested under another name. Around the records only the way to them stays; where names are no
    names but data, a list takes their place.
    """
    if isinstance(value, list):
        if not value:
            return value
        items = [item for each in value if (item := _filtered(each, declared, allowed)) is not _NOTHING]
        return items or _NOTHING
    if not isinstance(value, dict):
        return _NOTHING
    if any(name in declared or name in allowed for name in value):
        return {
            name: _retold(each, declared.get(name))
            for name, each in value.items()
            if (not declared or name in declared) and (not allowed or name in allowed)
        }
    inner = {
        name: found
        for name, each in value.items()
        if isinstance(each, (dict, list)) and (found := _filtered(each, declared, allowed)) is not _NOTHING
    }
    if not inner:
        return _NOTHING
    return inner if all(_is_name(name) for name in inner) else list(inner.values())


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None and sum(map(str.isdigit, text)) < 5


def _restricted_table(table: Table, declared: dict[str, str], allowed: frozenset[str]) -> Table:
    kept = [
        place
        for place, name in enumerate(table.names)
        if (not declared or name in declared) and (not allowed or name in allowed)
    ]
    if not kept and table.names:
        if allowed:
            raise Fault(faults.FIELDS_INSEPARABLE)
        raise Fault(faults.FIELD_MISSING, column=next(iter(declared)))
    kinds = [declared.get(table.names[place]) for place in kept]
    rows = [tuple(_retold(row[place], kind) for place, kind in zip(kept, kinds, strict=True)) for row in table.rows]
    return Table([table.names[place] for place in kept], rows)


def _retold(value: Any, kind: str | None) -> Any:
    """A number that its provider calls text goes out as text."""
    if kind != "text" or value is None or isinstance(value, (str, bool, dict, list)):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, date) else str(value)
