"""The thread that sends e-mail and looks for what people must be notified of.

It runs in the process that ships the journal: a process of its own would take 100 MiB. One process of an installation
at a time does the work: the one that holds leadership.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Count
from django.utils import timezone

from registry.leader import Leadership
from registry.models import Notification, NotifiedOnce, OutboxMessage, User
from registry.notifications import digests, guard_alarms, health, key_alarms, lock_alarms, outbox, reminders
from registry.notifications.quota_alarms import Alarms
from registry.notifications.smtp import is_configured
from registry.rounds import survive

log = logging.getLogger("mantra.notifications")

#: Seconds between two rounds, and after an error of the database.
ROUND, RETRY_DELAY = 1.0, 5.0
#: Seconds for which all e-mail waits after the mail server failed, by the number of failures in a row.
PAUSES = (5, 15, 30, 60, 120)
#: Days for which it is known what people were notified of once: longer than the longest reminder.
ONCE_DAYS = 400
#: The most notifications that are kept of a user.
MAX_KEPT = 1_000


@dataclass
class Duty:
    """Something that is done every so many seconds."""

    seconds: float
    work: Callable[[], object]
    due: float = float("-inf")


class Messenger:
    """Does its duties while it is wanted and holds leadership."""

    def __init__(self, wanted: Callable[[], bool] = lambda: True) -> None:
        self._wanted = wanted
        self.leadership = Leadership("messages")
        self._failures = 0
        self._sent_at = float("-inf")
        self._stop = threading.Event()
        alarms = Alarms()
        self._sending = Duty(ROUND, self._send)
        self._duties = [
            Duty(15, lambda: health.report(timezone.now())),
            Duty(60, lambda: digests.make_due(timezone.now())),
            Duty(900, lambda: alarms.report(timezone.now())),
            Duty(900, lambda: lock_alarms.report(timezone.now())),
            Duty(60, lambda: key_alarms.report(timezone.now())),
            Duty(900, lambda: guard_alarms.report(timezone.now())),
            Duty(3600, lambda: reminders.remind(timezone.now())),
            Duty(3600, prune),
            self._sending,
        ]

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set."""
        self._stop = stop
        failing = False
        while not stop.is_set():
            failing = survive(self.round, failing, log, "messages are not sent for the moment")
            stop.wait(RETRY_DELAY if failing else ROUND)
        self._release()
        connection.close()

    def round(self) -> None:
        """Do what is due. A duty that fails keeps no other from being done later: it is due after its time again."""
        if not self._wanted():
            self._release()
            return
        if not self.leadership.hold():
            return
        for duty in self._duties:
            if time.monotonic() >= duty.due:
                duty.due = time.monotonic() + duty.seconds
                duty.work()

    def _send(self) -> None:
        """Send a batch. While the mail server fails, the outbox waits, each time longer."""
        if not is_configured():
            return
        found = outbox.send_due(self._may_go_on)
        if not found.problem:
            self._failures = 0
            return
        pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
        if not self._failures:
            log.error("the mail server does not take e-mail (%s); sending will be retried", found.problem)
        self._failures += 1
        self._sending.due = time.monotonic() + pause

    def _may_go_on(self) -> bool:
        """Wait as long as the rate requires. Return False if this process is to end or has lost leadership."""
        pause = self._sent_at + 60 / max(settings.SMTP_PER_MINUTE, 1) - time.monotonic()
        if self._stop.wait(max(pause, 0)) or not self.leadership.hold():
            return False
        self._sent_at = time.monotonic()
        return True

    def _release(self) -> None:
        try:
            self.leadership.release()
        except (DatabaseError, InterfaceError):
            log.warning("the lock of the messages was not released; another process takes it later")


def prune() -> None:
    """Delete what is older than settings.NOTIFICATION_DAYS, and what a user has too many of."""
    now = timezone.now()
    before = now - timedelta(days=settings.NOTIFICATION_DAYS)
    Notification.objects.filter(created_at__lt=before).delete()
    OutboxMessage.objects.filter(created_at__lt=before).exclude(state=OutboxMessage.State.WAITING).delete()
    NotifiedOnce.objects.filter(noted_at__lt=now - timedelta(days=ONCE_DAYS)).delete()
    crowded = User.objects.annotate(number=Count("notifications")).filter(number__gt=MAX_KEPT)
    for user in crowded:
        oldest = user.notifications.order_by("-created_at", "-pk").values_list("pk", flat=True)[MAX_KEPT:]
        Notification.objects.filter(pk__in=list(oldest)).delete()
