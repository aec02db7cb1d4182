"""What the bus writes down of every call, and the watch over an answer until its last byte is out.

Names and numbers only: never a payload, a secret, or a person's identifier in clear.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings

from registry import faults
from registry.calls import Call
from registry.journal import chain, segments
from registry.results import Affected, Fault, Relay, Result, Rows

log = logging.getLogger("mantra.mantra")


log = logging.getLogger("mantra.journal")


def begin(call: Call) -> None:
    """Record that a call has come in. Raises Fault JOURNAL_DOWN: what can't be recorded isn't answered."""
    if not settings.JOURNAL:
        return
    operation = call.operation
    line: dict[str, Any] = {
        "t": "begin",
        "id": call.request_id,
        "at": call.started,
        "face": call.face,
        "method": call.method,
        "ip": call.address,
    }
    if operation is not None:
        # An address that names no operation is the caller's own text: it may hold anything.
        line["op"] = (operation.agency, operation.service, operation.code, operation.id, operation.revision)
    if call.user:
        line["user"] = call.user
    try:
        segments.write(line)
    except OSError as error:
        log.error("the journal cannot be written: errno %s", error.errno)
        raise Fault(faults.JOURNAL_DOWN, retry_after=5) from None
    call.recorded = True


def end(call: Call, result: Result, sent: int, broken: bool = False, status: int | None = None) -> None:
    """Record how a call ended. ``status`` where it isn't the result's own. Raises Fault JOURNAL_DOWN."""
    if not call.recorded:
        return
    call.recorded = False
    line: dict[str, Any] = {
        "t": "end",
        "id": call.request_id,
        "code": result.code if isinstance(result, Fault) else 200,
        "status": status or result.status,
        "bytes": sent,
        "us": int((time.perf_counter() - call.clock) * 1_000_000),
        "format": call.format,
    }
    if call.key is not None and call.application is not None:
        line["by"] = (call.application.agency, call.application.code, call.key.public, call.key.id)
    if call.arguments:
        line["params"] = [name for name, value in call.arguments.items() if value is not None]
        subjects = [
            chain.subject_hash(str(call.arguments[parameter.name]))
            for parameter in call.operation.parameters  # type: ignore[union-attr]
            if parameter.subject and call.arguments.get(parameter.name) is not None
        ]
        if subjects:
            line["subjects"] = subjects
    if isinstance(result, Rows):
        line["rows"] = result.count
        line["fields"] = [column.name for column in result.columns]
    elif isinstance(result, Affected):
        line["rows"] = result.count
    if broken:
        line["broken"] = True
    try:
        segments.write(line)
    except OSError as error:
        log.error("the journal cannot be written: errno %s", error.errno)
        raise Fault(faults.JOURNAL_DOWN, retry_after=5) from None


def watch(call: Call, result: Result) -> Answer:
    """Keep an eye on the answer: the face sends its bytes through what this returns."""
    return Answer(call, result)


class Answer:
    """A call and its result, until the last byte is out."""

    __slots__ = ("call", "result")

    def __init__(self, call: Call, result: Result) -> None:
        self.call = call
        self.result = result

    def fail(self, fault: Fault) -> None:
        """The result could not be written after all, and nothing was sent: the fault takes its place."""
        self.result.close()
        self.result = fault.bare()

    def send(self, chunks: Iterator[bytes], settle: Callable[[bytes], tuple[int, bytes]] | None = None) -> bytes | Body:
        """The body to answer with: bytes when it is all there, else an iterator.

        ``settle`` is shown a whole body and decides on the status and body that go out in its stead
        (HEAD, 304). Raises Fault when something goes wrong before the first byte is out; see fail().
        """
        first = next(chunks, b"")
        second = next(chunks, None)
        if second is None:
            status, first = settle(first) if settle is not None else (None, first)
            self.result.close()
            end(self.call, self.result, len(first), status=status)
            return first
        if self.call.method == "HEAD":
            self.result.close()
            end(self.call, self.result, 0)
            return b""
        return Body(self, (first, second), chunks)

    def pass_on(self, relay: Relay) -> bytes | Body:
        """The body of an upstream's answer, each piece as it comes. Raises Fault when the first does not."""
        if self.call.method == "HEAD" or relay.status in (204, 304):
            relay.close()
            end(self.call, relay, 0)
            return b""
        first = next(relay.chunks, b"")
        if not first or relay.whole:
            relay.close()
            end(self.call, relay, len(first))
            return first
        return Body(self, (first,), relay.chunks)


class Body:
    """The bytes of a long answer. Closing it before its end marks the record as broken off."""

    def __init__(self, answer: Answer, ready: tuple[bytes, ...], rest: Iterator[bytes]) -> None:
        self._answer = answer
        self._ready = list(reversed(ready))
        self._rest = rest
        self._sent = 0
        self._open = True

    def __iter__(self) -> Body:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = self._ready.pop() if self._ready else next(self._rest)
        except StopIteration:
            self._finish(broken=False)
            raise
        except Exception as error:
            self._fail(error)
            raise
        self._sent += len(chunk)
        return chunk

    def close(self) -> None:
        if self._open:
            self._finish(broken=True)

    def _finish(self, broken: bool) -> None:
        if self._open:
            self._open = False
            self._answer.result.close()
            end(self._answer.call, self._answer.result, self._sent, broken)

    def _fail(self, error: Exception) -> None:
        """The headers are out: all that can be done is to break the transfer, which the caller's client sees."""
        call = self._answer.call
        log.error("request %s broke off after %d bytes: %s", call.request_id, self._sent, type(error).__name__)
        result = self._answer.result
        result.close()
        if not isinstance(error, Fault):
            error = Fault(faults.INTERNAL, request_id=call.request_id)
        if self._open:
            self._open = False
            end(call, error, self._sent, broken=True)


def unforeseen(call: Call) -> Fault:
    """A defect of the bus: where it happened goes to the log, never its text, which may hold data."""
    kind, _error, trace = sys.exc_info()
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "?"
    log.error("request %s failed: %s at %s", call.request_id, kind.__name__ if kind else "?", where)
    return Fault(faults.INTERNAL, request_id=call.request_id)
