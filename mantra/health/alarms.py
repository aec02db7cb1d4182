"""Which of the server's own areas administrators are notified of, and the thread that does it while the worker is away.

The worker's messages come from the worker (registry/notifications/messenger.py). One that does not work can tell nobody
so: then a web process does the messages' work, e-mail too, until the worker gives a sign again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from mantra.health.checks import SERVER, certificates, disk, journal, mail, proof, worker
from mantra.health.findings import State, worst
from registry.journal import heartbeat
from registry.models import Event
from registry.notifications.health import RECOVERED, Observed, Subject
from registry.notifications.messenger import Messenger
from registry.notifications.recipients import administrators
from registry.rounds import ProcessThread

#: Area → the states of which administrators are notified, and how long it must be better until that is said: the free
#: space of a disk may go up and down around its limit.
ALARMS: dict[str, tuple[tuple[State, ...], timedelta]] = {
    disk.AREA: (("warn", "ill"), timedelta(hours=6)),
    journal.AREA: (("ill",), RECOVERED),
    proof.AREA: (("ill",), RECOVERED),
    worker.AREA: (("ill",), RECOVERED),
    mail.AREA: (("ill",), RECOVERED),
    certificates.AREA: (("warn", "ill"), RECOVERED),
}


#: Area → what measures it, so that its check can say what grows.
MEASURED: dict[str, Callable[[], None]] = {disk.AREA: disk.note, journal.AREA: journal.note}


def observed() -> list[Observed]:
    """Return the server's own areas, as things with a health."""
    return [
        Observed(area, Event.SERVER_ILL, Event.SERVER_WELL, _states(area, bad), _subject(area), recovered)
        for area, (bad, recovered) in ALARMS.items()
    ]


def _states(area: str, bad: tuple[State, ...]) -> Callable[[], dict[int, bool]]:
    def states() -> dict[int, bool]:
        if area in MEASURED:
            MEASURED[area]()
        state = worst(SERVER[area]())
        return {} if state == "unknown" else {0: state not in bad}

    return states


def _subject(area: str) -> Callable[[int], Subject]:
    return lambda _ref: Subject(administrators(), reverse("health_board"), {"area": area})


class Absence:
    """Whether the worker has been silent for heartbeat.SILENT seconds, as this process sees it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen = clock()

    def __call__(self) -> bool:
        sign = heartbeat.last()
        if sign is not None and not sign.is_silent(timezone.now()):
            self._seen = self._clock()
        return self._clock() - self._seen > heartbeat.SILENT


_thread = ProcessThread("absence", lambda stop: Messenger(wanted=Absence()).run(stop))
start, stop = _thread.start, _thread.stop
