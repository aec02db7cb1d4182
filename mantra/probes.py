"""Liveness and readiness of a worker process, for monitoring."""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings

from mantra.gateway.http import Environ, Response
from registry.snapshot import holder

#: Bytes that must be free on the journal's disk: a few minutes of a busy bus.
MIN_FREE = 32 * 1024 * 1024


def alive(environ: Environ) -> Response:
    """Return 200: the process responds."""
    return _text_response("ok", 200)


def ready(environ: Environ) -> Response:
    """Return 200 if calls can be admitted and recorded, else 503 with the missing parts."""
    if lacking := missing():
        return _text_response("not ready: " + ", ".join(lacking), 503)
    return _text_response("ready", 200)


def missing() -> list[str]:
    """Return what is missing to admit and record calls: registry, journal."""
    lacking = []
    if holder.current() is None:
        lacking.append("registry")
    if settings.JOURNAL and not _is_writable(settings.JOURNAL_DIR):
        lacking.append("journal")
    return lacking


def _is_writable(folder: Path) -> bool:
    """Return True if the journal can be written, and its disk has MIN_FREE bytes."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return os.access(folder, os.W_OK) and disk.f_bavail * disk.f_frsize > MIN_FREE


def _text_response(text: str, status: int) -> Response:
    body = text.encode() + b"\n"
    return Response(status, body, {"Content-Type": "text/plain", "Content-Length": str(len(body))})
