"""The connection test of a server: the phase in which it failed, and the next step."""

from __future__ import annotations

import time
from dataclasses import dataclass

from django.utils.translation import gettext

from proxyservices import decoders
from proxyservices.decoders.limits import DecodeError
from proxyservices.endpoints import endpoint_of
from proxyservices.health import probe
from proxyservices.health.advice import FAILING, MOVED, STATUS_ADVICE, advise, phase_name
from proxyservices.models import BackendServer
from proxyservices.transport import client
from proxyservices.transport.errors import UpstreamError

#: The longest duration of a test in seconds, and the largest response in bytes.
SECONDS, MAX_BODY_BYTES = 10.0, 10_000_000


@dataclass(frozen=True, slots=True)
class ConnectionOutcome:
    """The result of a test. ``phase`` is where it failed; "" if a whole response came."""

    ok: bool
    phase: str
    text: str


def check_connection(server: BackendServer) -> ConnectionOutcome:
    """Send a server the request of its probe, or one for its bare address, and judge the response."""
    began = time.monotonic()
    try:
        status, size = _send(server, began)
    except ValueError as error:
        return _failed("address", str(error))
    except UpstreamError as error:
        return _failed(error.phase, error.reason)
    words = {"status": status, "milliseconds": round((time.monotonic() - began) * 1000), "size": size}
    text = gettext("Response in %(milliseconds)d ms with status %(status)d and %(size)d bytes.") % words
    advice = STATUS_ADVICE.get(status) or (FAILING if status >= 500 else MOVED if 300 <= status < 400 else "")
    ok = status < 300 or status in (304, 404, 405)
    return ConnectionOutcome(ok, "", f"{text} {advice}".strip())


def _failed(phase: str, reason: str) -> ConnectionOutcome:
    text = gettext("Failed in the phase “%(phase)s”. %(advice)s")
    return ConnectionOutcome(False, phase, text % {"phase": phase_name(phase), "advice": advise(phase, reason)})


def _send(server: BackendServer, began: float) -> tuple[int, int]:
    """Return the response's status and size in bytes. Raises UpstreamError, or ValueError with a word."""
    endpoint, settings = endpoint_of(server), server.settings
    limits = client.Limits(SECONDS, SECONDS, SECONDS, MAX_BODY_BYTES)
    headers = endpoint.credential.headers(began + SECONDS)
    if not any(name.lower() == "user-agent" for name, _value in headers):
        headers = [*headers, ("User-Agent", "MANTRA")]
    path = probe.probe_path(endpoint.target, settings.probe_path)
    request = client.Request(settings.probe_method, path, headers, None, 0)
    response = client.send(endpoint.target, request, limits, began + SECONDS)
    try:
        body = response.read()
    finally:
        response.close()
    if 200 <= response.status < 300 and body and not response.header("Content-Encoding"):
        _check_format(response.header("Content-Type"), body)
    return response.status, len(body)


def _check_format(media_type: str, body: bytes) -> None:
    """Raise UpstreamError if a body is not the JSON or XML that its media type states."""
    kind = decoders.kind_of(media_type)
    if kind in ("json", "xml") and "html" not in media_type.lower():
        try:
            decoders.decode(body, media_type)
        except DecodeError:
            raise UpstreamError("parse", kind, sent=True) from None
