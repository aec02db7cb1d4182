"""One probe of an endpoint."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

from proxyservices.health import tracker
from proxyservices.transport import client
from proxyservices.transport.client import Limits, Question, Reply
from proxyservices.transport.endpoint import Address, Probe
from proxyservices.transport.errors import Failed
from proxyservices.transport.pool import Target

log = logging.getLogger("mantra.proxyservices")


#: Seconds that a probe may take in the lane for the quick and in that for the slow, where its interval is not
#: shorter; and of slack until it is given up for lost.
QUICK_LIMIT, LIMIT, SLACK = 1.0, 5.0, 1.0
#: Bytes of an answer in which its text is looked for.
MOST = 262_144

#: Only MOST bytes are read of it.
_ANY_SIZE = 1 << 50
_AGENT = ("User-Agent", "MANTRA probe")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a probe found. ``seconds`` is how long it took."""

    healthy: bool
    seconds: float
    phase: str = ""
    reason: str = ""
    slow: bool = False


def ask(address: Address, limit: float = LIMIT) -> Outcome:
    """One probe of at most ``limit`` seconds, or its interval. Raises nothing."""
    began = time.monotonic()
    try:
        _ask(address, began, limit)
    except Failed as failure:
        return Outcome(False, time.monotonic() - began, failure.phase, failure.reason, failure.slow)
    except Exception as error:  # the others' probes must outlive a defect in one
        log.error("the probe of upstream %d failed: %s", address.id, type(error).__name__)
        return Outcome(False, time.monotonic() - began, "", "defect")
    return Outcome(True, time.monotonic() - began)


def _ask(address: Address, began: float, limit: float) -> None:
    probe = address.probe
    assert probe is not None
    limit = min(limit, probe.seconds)
    reply = _reply(address, probe, began, limit)
    if reply.status == 401 and address.credential.refused():
        reply.close()
        reply = _reply(address, probe, began, limit)
    try:
        if not any(first <= reply.status <= last for first, last in probe.statuses):
            raise Failed("first-byte", tracker.STATUS, sent=True)
        if probe.text and not _holds(reply.chunks(), probe.text.encode()):
            raise Failed("body", "text", sent=True)
    finally:
        reply.close()


def _reply(address: Address, probe: Probe, began: float, limit: float) -> Reply:
    headers = address.credential.headers(began + limit)
    if not any(name.lower() == "user-agent" for name, _ in headers):
        headers = [*headers, _AGENT]
    question = Question(probe.method, path_of(address.target, probe.path), headers, None, 0)
    return client.ask(address.target, question, Limits(limit, limit, limit, _ANY_SIZE), began + limit)


def path_of(target: Target, path: str) -> str:
    """A probe's path: from the host's root with a leading slash, else below the upstream's address."""
    if path:
        return path if path.startswith("/") else f"{target.base}/{path}"
    return (target.base or "/") + (f"?{target.query}" if target.query else "")


def _holds(chunks: Iterator[bytes], text: bytes) -> bool:
    read, tail = 0, b""
    for chunk in chunks:
        window = tail + chunk
        if text in window:
            return True
        read += len(chunk)
        if read > MOST:
            return False
        tail = window[-len(text) :]
    return False
