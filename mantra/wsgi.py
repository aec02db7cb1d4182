"""The WSGI application: calls go to their protocol handler, all other requests to Django.

A call needs neither Django's middleware nor its URL resolver and signals, which take more time than the call itself.
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable, Iterable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mantra.settings")
# Before anything is imported: nearly all that this makes stays, and each collection would look through it in vain.
gc.set_threshold(10_000, 20, 20)

from django.conf import settings
from django.core.wsgi import get_wsgi_application

django_application = get_wsgi_application()

from dataservices import health
from mantra import VERSION, administration, old_addresses, probes
from mantra.gateway import delivery
from mantra.gateway.fast_lane import groups, tick
from mantra.gateway.http import Environ, Response, header_fields, status_line
from mantra.gateway.protocols import legacy, oauth2, rest
from mantra.gateway.protocols.soap import handler
from mantra.health import alarms
from mantra.metrics import page, web
from mantra.status import page as status_page
from proxyservices.health import sync
from registry import logs, tracing
from registry.snapshot import holder

log = logging.getLogger("mantra.wsgi")

administer = administration.limited(django_application)

#: The first segment of the addresses of static files. They are read from memory and the disk, not from the database.
STATIC = settings.STATIC_URL.strip("/").lower()

#: First segment of the path → handler.
HANDLERS: dict[str, Callable[[Environ], Response]] = {
    **{folder[0]: old_addresses.handle for folder in legacy.FOLDERS},
    old_addresses.PROGRAM: old_addresses.handle,
    "rest": rest.handle,
    "soap": handler.handle,
    "api": legacy.handle,
    "json": legacy.handle,
    "xml": legacy.handle,
    oauth2.PROTOCOL: oauth2.handle,
    "healthz": probes.alive,
    "readyz": probes.ready,
    "metrics": page.handle,
    "fast-lane": tick.handle,
    **({"status": status_page.handle} if settings.STATUS_PAGE else {}),
}

# Gunicorn imports this module after the fork, so that each worker process starts its own threads.
holder.start()
sync.start()
health.start()
web.start()
tracing.start(VERSION)
alarms.start()
groups.start()

# Imported modules stay: the garbage collector skips them from now on.
gc.collect()
gc.freeze()


def _first_segment(path: str) -> str:
    """Return the first segment of a path, in lower case: 1.99x ignored case and repeated slashes at the start."""
    return path.lstrip("/").partition("/")[0].lower()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Respond to one HTTP request (PEP 3333)."""
    logs.current.call = None  # of a call whose response ended in another thread
    first = _first_segment(environ.get("PATH_INFO", ""))
    handle = HANDLERS.get(first)
    if handle is None:
        to_django = django_application if first == STATIC else administer
        return delivery.watched(to_django(environ, start_response), environ)
    try:
        response = handle(environ)
    except Exception as error:  # serve() raises nothing: this is a defect of a handler
        log.error("a protocol handler failed: %s", type(error).__name__)
        response = Response(500)
    start_response(status_line(response), header_fields(response))
    body = response.body
    return (body,) if isinstance(body, bytes) else delivery.watched(body, environ)
