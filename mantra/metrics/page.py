"""/metrics, as Prometheus reads it: with a token, and without Django and the database."""

from __future__ import annotations

import hmac
import logging
import time
from importlib import import_module

from django.conf import settings

from mantra.gateway.http import Environ, Response
from mantra.metrics import web
from registry.metrics import merging

log = logging.getLogger("mantra.metrics")

PATH = "/metrics"


def handle(environ: Environ) -> Response:
    """Return the metrics of all processes: 404 unless there is a token, 401 for a request without it."""
    if not settings.METRICS_TOKEN or environ.get("PATH_INFO") != PATH:
        return _text(404, "There is nothing here.")
    if not _is_permitted(environ.get("HTTP_AUTHORIZATION", "")):
        response = _text(401, "Send the header Authorization: Bearer with the value of MANTRA_METRICS_TOKEN.")
        response.headers["WWW-Authenticate"] = 'Bearer realm="metrics"'
        return response
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return _text(405, "Use GET.")
    try:
        web.publish()  # what this process measures is as new as the request
        totals = merging.totals()
    except OSError as error:
        log.error("the metrics could not be read: errno %s", error.errno)
        return _text(503, "The folder of the metrics cannot be read or written: see the log.")
    return _exposition(totals, environ["REQUEST_METHOD"])


def _is_permitted(authorization: str) -> bool:
    scheme, _, token = authorization.partition(" ")
    given = token.strip().encode("utf-8", "surrogateescape")
    return scheme.lower() == "bearer" and hmac.compare_digest(given, settings.METRICS_TOKEN.encode())


def _exposition(totals: merging.Totals, method: str) -> Response:
    # On first use: what it imports takes 14 MiB, of each web process.
    exposition = import_module("mantra.metrics.exposition")
    body = exposition.write(totals, time.time())
    headers = {"Content-Type": exposition.CONTENT_TYPE, "Content-Length": str(len(body)), "Cache-Control": "no-store"}
    return Response(200, b"" if method == "HEAD" else body, headers)


def _text(status: int, text: str) -> Response:
    body = text.encode() + b"\n"
    headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))}
    return Response(status, body, headers)
