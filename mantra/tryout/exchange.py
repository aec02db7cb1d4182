"""One trial: the request, what the bus answered to the byte, and how long each step took. Nothing of it is stored."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext_lazy as _

from mantra.gateway.http import Response, header_fields, status_line
from mantra.tryout.wire import WireRequest
from registry.calls import Trial

log = logging.getLogger("mantra.tryout")

#: The most bytes of a body that are shown. The others are counted; a download has them.
MAX_SHOWN = 64 * 1024
#: Seconds that the source or upstream of a trial has, and that its response may take after its first byte.
SECONDS = 30.0

#: Step of a call (mantra/gateway/serve.py) → what it does, in order.
STEPS: dict[str, Any] = {
    "admission": _("Admission: key, grant, networks, period"),
    "parameters": _("Parameters"),
    "quota": _("Quota"),
    "run": _("Source or upstream"),
    "first": _("First byte"),
    "last": _("Last byte"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was taken. ``ended``: the call ended in it."""

    label: Any
    milliseconds: float
    ended: bool = False


@dataclass(slots=True)
class Exchange:
    """A request and its response."""

    request: WireRequest
    trial: Trial
    response: Response
    #: When the handler had the response's first bytes, and when the last one came.
    first: float = 0.0
    last: float = 0.0
    body: bytearray = field(default_factory=bytearray)
    size: int = 0
    #: The response ended before its last byte.
    aborted: bool = False

    @property
    def status(self) -> str:
        return status_line(self.response)

    @property
    def head(self) -> bytes:
        """The bytes of the response before its body, but for what the web server adds."""
        lines = [f"HTTP/1.1 {self.status}", *(f"{name}: {value}" for name, value in header_fields(self.response))]
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1", "replace")

    @property
    def media_type(self) -> str:
        return self.response.headers.get("Content-Type", "")

    @property
    def steps(self) -> list[Step]:
        """The steps that the call took, with their times."""
        assert self.trial.call is not None
        passed = self.trial.steps
        begun = [self.trial.call.started_monotonic, *(end for _name, end in passed)]
        found = [Step(STEPS[name], (end - begin) * 1000) for (name, end), begin in zip(passed, begun, strict=False)]
        if len(passed) < 4:  # the fault's own bytes cost nothing worth telling
            refused = list(STEPS)[len(passed)]
            return [*found, Step(STEPS[refused], (self.first - begun[-1]) * 1000, ended=True)]
        writing = Step(STEPS["first"], (self.first - begun[-1]) * 1000, ended=self.trial.fault is not None)
        return [*found, writing, Step(STEPS["last"], (self.last - self.first) * 1000)]

    def close(self) -> None:
        """End the response, if it has not ended."""
        if not isinstance(self.response.body, bytes):
            self.response.body.close()
        self.last = self.last or time.perf_counter()

    @property
    def milliseconds(self) -> float:
        assert self.trial.call is not None
        return (self.last - self.trial.call.started_monotonic) * 1000


def send(request: WireRequest, meta: Mapping[str, Any], trial: Trial) -> Exchange:
    """Send a request to its protocol handler, in this process. Only the response's beginning is read."""
    response = request.handle(request.environ(meta), trial)
    return Exchange(request, trial, response, first=time.perf_counter())


def read(exchange: Exchange) -> Exchange:
    """Read the response to its end, and keep what is shown of it."""
    for chunk in chunks_of(exchange):
        if len(exchange.body) < MAX_SHOWN:
            exchange.body += chunk[: MAX_SHOWN - len(exchange.body)]
    return exchange


def chunks_of(exchange: Exchange) -> Generator[bytes]:
    """Yield the body of a response. It ends as aborted, and is recorded so, where it takes too long or fails."""
    body = exchange.response.body
    chunks: Iterable[bytes] = (body,) if isinstance(body, bytes) else body
    deadline = time.monotonic() + SECONDS
    try:
        for chunk in chunks:
            exchange.size += len(chunk)
            yield chunk
            if time.monotonic() > deadline:
                exchange.aborted = True
                break
    except Exception as error:  # the log and the call history have it (mantra/gateway/recording.py)
        log.info("a trial was aborted: %s", type(error).__name__)
        exchange.aborted = True
    finally:
        exchange.close()
