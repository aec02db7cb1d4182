"""Traces of calls, sent to a collector by OpenTelemetry (OTLP over HTTP). Off by default: then it is not imported.

A call has a span, with a child for its source or upstream and one for its response. Their attributes are names of the
registry and numbers: no parameter, address or key, and no text of the caller.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.conf import settings

from registry.calls import Call

if TYPE_CHECKING:
    from registry.tracing.spans import Tracing

log = logging.getLogger("mantra.tracing")

_tracing: Tracing | None = None


def start(version: str) -> None:
    """Trace the calls of this process from now on, if the settings say so. After the fork: it starts a thread."""
    global _tracing
    if not settings.TRACING or _tracing is not None:
        return
    try:
        from registry.tracing.spans import Tracing
    except ImportError:  # calls are served all the same
        log.error("no call is traced: requirements-tracing.txt is not installed")
        return
    _tracing = Tracing(version)


def stop() -> None:
    """Send what waits, and trace no more."""
    global _tracing
    if _tracing is not None:
        _tracing.stop()
    _tracing = None


def begin(call: Call) -> None:
    """Begin the trace of a call, if calls are traced."""
    if _tracing is not None:
        call.trace = _tracing.begin(call)
