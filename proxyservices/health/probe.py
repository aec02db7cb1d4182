"""One probe of an endpoint."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

from proxyservices.health import tracker
from proxyservices.transport import client
from proxyservices.transport.client import Limits, Request, Response
from proxyservices.transport.endpoint import Endpoint, Probe
from proxyservices.transport.errors import UpstreamError
from proxyservices.transport.pool import Target

log = logging.getLogger("mantra.proxyservices")

#: Seconds that a probe may take in the pool for quick endpoints and in that for slow ones, if its interval is not
#: shorter.
QUICK_LIMIT, LIMIT = 1.0, 5.0
#: Seconds after its limit until a probe counts as lost.
SLACK = 1.0
#: Bytes of a response that are searched for the expected text.
MAX_SEARCHED_BYTES = 262_144

#: A probe has no size limit: at most MAX_SEARCHED_BYTES of the body are read.
_ANY_SIZE = 1 << 50
_AGENT = ("User-Agent", "MANTRA probe")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a probe. ``seconds`` is its duration."""

    healthy: bool
    seconds: float
    phase: str = ""
    reason: str = ""
    slow: bool = False


def run_probe(endpoint: Endpoint, limit: float = LIMIT) -> Outcome:
    """Probe an endpoint for at most ``limit`` seconds, or its interval if that is shorter. Raises nothing."""
    began = time.monotonic()
    try:
        _probe(endpoint, began, limit)
    except UpstreamError as error:
        return Outcome(False, time.monotonic() - began, error.phase, error.reason, error.slow)
    except Exception as error:  # a defect in one probe must not stop the others
        log.error("the probe of server %d failed: %s", endpoint.id, type(error).__name__)
        return Outcome(False, time.monotonic() - began, "", "defect")
    return Outcome(True, time.monotonic() - began)


def _probe(endpoint: Endpoint, began: float, limit: float) -> None:
    probe = endpoint.probe
    assert probe is not None
    limit = min(limit, probe.interval_seconds)
    response = _send(endpoint, probe, began, limit)
    if response.status == 401 and endpoint.credential.renew_after_refusal():
        response.close()
        response = _send(endpoint, probe, began, limit)
    try:
        if not any(first <= response.status <= last for first, last in probe.expected_statuses):
            raise UpstreamError("first-byte", tracker.STATUS, sent=True)
        if probe.expected_text and not _contains(response.chunks(), probe.expected_text.encode()):
            raise UpstreamError("body", "text", sent=True)
    finally:
        response.close()


def _send(endpoint: Endpoint, probe: Probe, began: float, limit: float) -> Response:
    headers = endpoint.credential.headers(began + limit)
    if not any(name.lower() == "user-agent" for name, _ in headers):
        headers = [*headers, _AGENT]
    request = Request(probe.method, probe_path(endpoint.target, probe.path), headers, None, 0)
    return client.send(endpoint.target, request, Limits(limit, limit, limit, _ANY_SIZE), began + limit)


def probe_path(target: Target, path: str) -> str:
    """Return a probe's path: from the host's root if ``path`` has a leading slash, at the target if it is a query, else
    below the target.
    """
    if path.startswith("?"):
        return (target.base or "/") + path
    if path:
        return path if path.startswith("/") else f"{target.base}/{path}"
    return (target.base or "/") + (f"?{target.query}" if target.query else "")


def _contains(chunks: Iterator[bytes], text: bytes) -> bool:
    read, tail = 0, b""
    for chunk in chunks:
        window = tail + chunk
        if text in window:
            return True
        read += len(chunk)
        if read > MAX_SEARCHED_BYTES:
            return False
        tail = window[-len(text) :]
    return False
