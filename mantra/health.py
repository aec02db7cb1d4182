"""For whoever watches over the bus: is the process alive, and can it serve."""

from __future__ import annotations

import os

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse

from registry import snapshot


def alive(request: WSGIRequest) -> HttpResponse:
    """200 as long as the process answers at all."""
    return HttpResponse("ok\n", content_type="text/plain")


def ready(request: WSGIRequest) -> HttpResponse:
    """200 when calls can be admitted and recorded, else 503 with what is missing."""
    missing = []
    if snapshot.current() is None:
        missing.append("registry")
    if settings.JOURNAL and not os.access(settings.JOURNAL_DIR, os.W_OK):
        missing.append("journal")
    if missing:
        return HttpResponse("not ready: " + ", ".join(missing) + "\n", status=503, content_type="text/plain")
    return HttpResponse("ready\n", content_type="text/plain")
