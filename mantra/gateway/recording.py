"""The record of a call: a begin line, and an end line when the last byte has been sent.

It holds names and numbers only: never a payload, a secret, or a person's identifier in plain text.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings

from mantra.gateway import stops
from mantra.gateway.stops import StopWatch
from mantra.metrics import calls as counted
from registry import faults, logs
from registry.bulkhead import Bulkhead, bulkhead_for
from registry.calls import Call
from registry.harvest import nearness
from registry.journal import chain, segments
from registry.results import Affected, Fault, RelayedResponse, Result, Rows
from registry.snapshot.types import Service

log = logging.getLogger("mantra.journal")

_NOT_FOUND = 404
#: Seconds that a large response waits for a place among those that are being sent.
PLACE_SECONDS = 0.1


def begin(call: Call, described: Service | None = None) -> None:
    """Record that a call has begun. Raises Fault JOURNAL_DOWN: a call that cannot be recorded is not served.

    ``described``: the service, if the call requests the description of one.
    """
    if not settings.JOURNAL:
        return
    operation = call.operation
    line: dict[str, Any] = {
        "t": "begin",
        "id": call.request_id,
        "at": call.started,
        "protocol": call.protocol,
        "method": call.method,
    }
    content: dict[str, Any] = {"ip": call.client_ip}
    if operation is not None:
        # A path that names no operation is the caller's own text, and may contain personal data: it is not recorded.
        line["op"] = (operation.agency, operation.service, operation.code, operation.id, operation.revision)
    elif described is not None:
        line["op"] = (described.agency, described.code, "", None, None)
    if call.user:
        content["user"] = call.user
    if call.lease:
        line["lease"] = call.lease
    counted.begun()
    try:
        segments.write_parts(line, content)
    except OSError as error:
        raise _journal_down(call, error) from None
    call.recorded_by = threading.get_ident()


def _journal_down(call: Call, error: OSError) -> Fault:
    """Return the fault of a call that cannot be recorded. It is counted all the same."""
    log.error("the journal cannot be written: errno %s", error.errno)
    fault = Fault(faults.JOURNAL_DOWN, retry_after=5)
    counted.ended(call, fault, 0, False, fault.status, _microseconds(call))
    return fault


def _microseconds(call: Call) -> int:
    return int((time.perf_counter() - call.started_monotonic) * 1_000_000)


def end(call: Call, result: Result, sent: int, broken: bool = False, status: int | None = None) -> None:
    """Record the end of a call, of which ``sent`` bytes were sent. Raises Fault JOURNAL_DOWN.

    ``broken``: the response was aborted. ``status``: the HTTP status if it differs from the result's.
    """
    logs.current.call = None
    if call.trace is not None:
        trace, call.trace = call.trace, None
        trace.end(call, result, sent, broken, status or result.status)
    if not call.recorded_by:
        return
    # A response that its caller reads slowly may be ended by any thread.
    kind = "" if call.recorded_by == threading.get_ident() else chain.COMPLETIONS
    call.recorded_by = 0
    line: dict[str, Any] = {
        "t": "end",
        "id": call.request_id,
        "code": result.code if isinstance(result, Fault) else 200,
        "status": status or result.status,
        "bytes": sent,
        "us": _microseconds(call),
        "format": call.format,
    }
    content: dict[str, Any] = {}
    if call.key is not None and call.application is not None:
        # What stands for a key in a trial is no row.
        id = call.key.id if call.vouched is None else None
        line["by"] = (call.application.agency, call.application.code, call.key.public, id)
        if call.key_in_path:
            content["in_path"] = 1
    if call.grant is not None:
        line["grant"] = call.grant.id
    if call.origin is not None:
        line["from"] = (*call.origin, call.server)
        if classification := _classification_of_sent(call, result):
            line["class"] = classification
    if call.arguments:
        content["params"] = [name for name, value in call.arguments.items() if value is not None]
        subjects = [
            chain.subject_hash(str(call.arguments[parameter.name]))
            for parameter in call.operation.parameters  # type: ignore[union-attr]
            if parameter.subject and call.arguments.get(parameter.name) is not None
        ]
        if subjects:
            content["subjects"] = subjects
        if call.key is not None and nearness.is_near(call.key.id, call.operation, call.arguments):  # type: ignore[arg-type]
            content["near"] = 1
    if isinstance(result, Rows):
        line["rows"] = result.count
        content["fields"] = [column.name for column in result.columns]
    elif isinstance(result, Affected):
        line["rows"] = result.count
    if call.missed or (isinstance(result, Fault) and result.details.get("upstream_status") == _NOT_FOUND):
        content["miss"] = 1
    if call.guarded:
        content["guard"] = [(place, kind, number) for (place, kind), number in call.guarded.items()]
        content["guard_rule"] = call.operation.guard  # type: ignore[union-attr]
    if broken:
        line["broken"] = True
    try:
        segments.write_parts(line, content, kind)
    except OSError as error:
        raise _journal_down(call, error) from None
    counted.ended(call, result, sent, broken, line["status"], line["us"])


def _classification_of_sent(call: Call, result: Result) -> str:
    """Return the highest classification of the fields that a result sends; "" if it sends none, or they are unknown."""
    if call.operation is None or isinstance(result, Fault | Affected) or result.status >= 400:
        return ""
    if isinstance(result, Rows) and not result.count:
        return ""
    return call.operation.classification(call.rights)


#: The largest body in bytes that is recorded as sent before it is. The kernel takes about as much without waiting for
#: the caller.
SMALL_BODY = 256 * 1024


def finish_when_sent(call: Call, result: Result) -> RecordedResult:
    """Return the result as a protocol handler sends it: its record ends with the last byte."""
    recorded = RecordedResult(call, result)
    if result.is_open:
        # Before its rows are fetched, and perhaps spooled: a refusal must cost little.
        try:
            recorded.hold_places()
        except Fault as fault:
            recorded.fail(fault)
    return recorded


class RecordedResult:
    """A call and its result, until the last byte has been sent."""

    __slots__ = ("_places", "call", "result")

    def __init__(self, call: Call, result: Result) -> None:
        self.call = call
        self.result = result
        #: The bulkheads in which a large response has a place.
        self._places: list[Bulkhead] = []

    def hold_places(self) -> None:
        """Take a place for a large response of this operation and to this key. Raises Fault if there is none.

        A slow caller's response holds a thread of the worker process. Half of the threads stay free for other
        operations and keys.
        """
        if self._places:
            return
        operation, key = self.call.operation, self.call.key
        keys = [("responses", "operation", operation.id)] if operation is not None else []
        if key is not None:
            keys.append(("responses", "key", key.id))
        for bulkhead in map(bulkhead_for, keys):
            if not bulkhead.try_acquire(PLACE_SECONDS):
                self._release_places()
                raise Fault(faults.RESPONSES_BUSY, retry_after=1)
            self._places.append(bulkhead)

    def _refuse_stopped(self) -> None:
        """Raise Fault STOPPED if the call was stopped while it ran."""
        if not isinstance(self.result, Fault):
            stops.refuse(self.call)

    def hold_place(self, places: Bulkhead) -> bool:
        """Take a place until the call's end. Return False if none is free."""
        if not places.try_acquire(PLACE_SECONDS):
            return False
        self._places.append(places)
        return True

    def _release_places(self) -> None:
        while self._places:
            self._places.pop().release()

    def fail(self, fault: Fault) -> None:
        """Replace a result that could not be encoded, and of which no byte was sent, by a fault."""
        self.result.close()
        self.result = fault.without_traceback()

    def end(self, sent: int, fault: Fault | None = None, broken: bool = False, status: int | None = None) -> None:
        """Release what the call holds, and record its end. ``fault``: what ended it, if that is not its result."""
        self.result.close()
        self._release_places()
        if self.call.meter is not None:
            unsent = isinstance(self.result, Fault) or self.call.method == "HEAD" or status == 304
            self.call.meter.settle(unsent)
        end(self.call, fault or self.result, sent, broken, status)

    def send(
        self, chunks: Iterator[bytes], conditional: Callable[[bytes], tuple[int, bytes]] | None = None
    ) -> bytes | StreamedBody:
        """Return the response's body: bytes if it is complete, else an iterator.

        ``conditional`` gets a complete body and returns the status and body to send instead (HEAD, 304). Raises Fault
        if something fails before the first byte; see fail().
        """
        first = next(chunks, b"")
        second = next(chunks, None)
        self._refuse_stopped()
        if second is None:
            status, first = conditional(first) if conditional is not None else (None, first)
            if len(first) > SMALL_BODY:
                return self._large(first)
            self.end(len(first), status=status)
            return first
        if self.call.method == "HEAD":
            self.end(0)
            return b""
        return StreamedBody(self, (first, second), chunks)

    def _large(self, body: bytes) -> StreamedBody:
        """Return a complete body that is recorded as sent only when it is. Raises Fault."""
        self.result.close()
        self.hold_places()
        return StreamedBody(self, (body,), iter(()), len(body))

    def relay(self, response: RelayedResponse) -> bytes | StreamedBody:
        """Return the body of an upstream's response as it comes. Raises Fault if its first chunk cannot be read."""
        if self.call.method == "HEAD" or response.status in (204, 304):
            self.end(0)
            return b""
        first = next(response.chunks, b"")
        self._refuse_stopped()
        if not first or response.whole:
            if len(first) > SMALL_BODY:
                return self._large(first)
            self.end(len(first))
            return first
        return StreamedBody(self, (first,), response.chunks)


class StreamedBody:
    """The bytes of a large response. Closing it before its end marks the record as aborted."""

    def __init__(
        self, recorded: RecordedResult, ready: tuple[bytes, ...], rest: Iterator[bytes], length: int | None = None
    ) -> None:
        #: The length of the whole body if it is known.
        self.length = length
        self._recorded = recorded
        self._ready = list(reversed(ready))
        self._rest = rest
        self._sent = 0
        self._open = True
        self._stop_watch = StopWatch(recorded.call)

    def __iter__(self) -> StreamedBody:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = self._ready.pop() if self._ready else next(self._rest)
            if (stopped := self.stopped()) is not None:
                raise stopped
        except StopIteration:
            self._finish(broken=False)
            raise
        except Exception as error:
            self._fail(error)
            raise
        self._sent += len(chunk)
        return chunk

    def stopped(self) -> Fault | None:
        """Return Fault STOPPED if the response must go no further."""
        return self._stop_watch.fault()

    def hold_place(self, places: Bulkhead) -> bool:
        """Take a place for a body that is held in memory, until it has been sent. Return False if none is free."""
        return self._recorded.hold_place(places)

    def read_ahead(self, most: int) -> list[bytes] | None:
        """Read the body before it is sent, which follows as before. Return its pieces; None if it is longer.

        Raises what the source of the body raises: no byte of it was sent.
        """
        pieces = list(reversed(self._ready))
        size = sum(map(len, pieces))
        whole = False
        while size <= most and not whole:
            piece = next(self._rest, None)
            if piece is None:
                whole = True
            else:
                pieces.append(piece)
                size += len(piece)
        self._ready = list(reversed(pieces))
        return pieces if whole and size <= most else None

    @property
    def deadline(self) -> float:
        """When the body must have been sent, in monotonic seconds; infinite if nothing waits for that."""
        return self._recorded.result.deadline

    def close(self) -> None:
        """End the response; it is recorded as aborted if bytes are left."""
        self._finish(broken=True)

    def abort(self, fault: Fault) -> None:
        """Record a response that ended before its last byte, and why."""
        call = self._recorded.call
        log.warning("request %s: response aborted after %d bytes: %s", call.request_id, self._sent, fault.kind.name)
        self._finish(broken=True, fault=fault)

    def _finish(self, broken: bool, fault: Fault | None = None) -> None:
        if self._open:
            self._open = False
            self._recorded.end(self._sent, fault, broken)

    def _fail(self, error: Exception) -> None:
        """Record an aborted response. Its headers have been sent: only the broken transfer shows it to the caller."""
        call = self._recorded.call
        log.error("request %s: response aborted after %d bytes: %s", call.request_id, self._sent, type(error).__name__)
        if not isinstance(error, Fault):
            error = Fault(faults.INTERNAL, request_id=call.request_id)
        self._finish(broken=True, fault=error)


def internal_fault(call: Call) -> Fault:
    """Return the fault for the exception being handled. The log gets its class and place, not its text: that may
    contain data."""
    cls, _error, trace = sys.exc_info()
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "?"
    log.error("request %s failed: %s at %s", call.request_id, cls.__name__ if cls else "?", place)
    return Fault(faults.INTERNAL, request_id=call.request_id)
