"""For whoever watches over the bus: is the process alive, and can it serve."""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings

from mantra.gateway.http import Environ, Response
from registry.snapshot import holder

#: Bytes that the journal's disk must have free: some minutes of a busy bus.
MIN_FREE = 32 * 1024 * 1024


def alive(environ: Environ) -> Response:
    """200 as long as the process answers at all."""
    return _said("ok", 200)


def ready(environ: Environ) -> Response:
    """200 when calls can be admitted and recorded, else 503 with what is missing."""
    missing = []
    if holder.current() is None:
        missing.append("registry")
    if settings.JOURNAL and not _room(settings.JOURNAL_DIR):
        missing.append("journal")
    if missing:
        return _said("not ready: " + ", ".join(missing), 503)
    return _said("ready", 200)


def _room(folder: Path) -> bool:
    """Whether the journal can be written, now and for some time."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return os.access(folder, os.W_OK) and disk.f_bavail * disk.f_frsize > MIN_FREE


def _said(word: str, status: int) -> Response:
    body = word.encode() + b"\n"
    return Response(status, body, {"Content-Type": "text/plain", "Content-Length": str(len(body))})
