"""The door: call addresses are answered here, everything else by Django.

A call needs nothing of Django's middleware, URL resolver or signals, and they cost more than it does.
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mantra.settings")

from django.core.wsgi import get_wsgi_application

django_application = get_wsgi_application()

from mantra import probes
from mantra.gateway.http import Environ, Response
from mantra.gateway.protocols import legacy, rest
from mantra.gateway.protocols.soap import handler
from proxyservices.health import sync
from registry.snapshot import holder

log = logging.getLogger("mantra.wsgi")

#: The first segment of an address → what answers it.
FACES: dict[str, Callable[[Environ], Response]] = {
    "rest": rest.face,
    "soap": handler.face,
    "mantra": legacy.face,
    "api": legacy.face,
    "json": legacy.face,
    "xml": legacy.face,
    "healthz": probes.alive,
    "readyz": probes.ready,
}

_STATUS = {each.value: f"{each.value} {each.phrase}" for each in HTTPStatus}

# Gunicorn imports this after the fork, so that each worker has threads of its own.
holder.start()
sync.start()

# What was imported stays: the collector need not look at it again, nor look as often as a small program's would.
gc.collect()
gc.freeze()
gc.set_threshold(10_000, 20, 20)


def _first(path: str) -> str:
    """The first segment of an address. 1.99x minded neither case nor a missing slash."""
    return path.lstrip("/").partition("/")[0].lower()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The WSGI application."""
    face = FACES.get(_first(environ.get("PATH_INFO", "")))
    if face is None:
        found: Iterable[bytes] = django_application(environ, start_response)
        return found
    try:
        response = face(environ)
    except Exception as error:  # serve() lets nothing through: this is a defect in a face
        log.error("a face failed: %s", type(error).__name__)
        response = Response(500)
    fields = list(response.headers.items())
    if response.cookies:
        fields += [("Set-Cookie", cookie) for cookie in response.cookies]
    # An upstream's status may be one that no book has.
    start_response(_STATUS.get(response.status) or f"{response.status} -", fields)
    body = response.body
    return (body,) if isinstance(body, bytes) else body
