"""The state of the bus as a whole, as this process knows it. Asks no database."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from django.utils import timezone

from mantra import probes
from mantra.status.states import State
from registry.snapshot import holder

_lock = threading.Lock()
_last: tuple[State, datetime | None] = ("unknown", None)


def state() -> tuple[State, datetime | None]:
    """Return the state of the bus, and since when a disturbance was seen.

    It is down if calls are refused, and disturbed if changes of the registry are not put into force.
    """
    global _last
    now: State = "down" if probes.missing() else "disturbed" if holder.failure() else "working"
    with _lock:
        if now != _last[0]:
            _last = now, _began(now)
        return _last


def _began(now: State) -> datetime | None:
    failure = holder.failure()
    if now == "disturbed" and failure is not None:
        return datetime.fromtimestamp(failure[0], UTC)
    return None if now == "working" else timezone.now()
