"""Sending what is in the outbox, each message once.

A message is claimed in a transaction of its own before it is sent, and marked after the mail server has taken it. If
this process dies in between, the claim ends by itself and the message is sent again: the mail server may have taken it
already, which nobody can know. Its Message-ID stays the same.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, QuerySet
from django.utils import timezone

from registry.models import OutboxMessage
from registry.notifications.composing import compose
from registry.notifications.problems import MailError, Scope
from registry.notifications.smtp import CONNECTING, MESSAGE, Session

State = OutboxMessage.State
#: The most messages of one round.
BATCH = 50
#: Minutes until the next attempt, by the number of attempts.
PAUSES = (1, 5, 15, 60, 180, 360)


@dataclass(frozen=True, slots=True)
class Round:
    """What became of a round: the number of messages that were sent, and why it ended early."""

    sent: int = 0
    problem: str = ""


def send_due(proceed: Callable[[], bool] = lambda: True, now: Callable[[], datetime] = timezone.now) -> Round:
    """Send what is due, at most BATCH messages, until ``proceed`` returns False. It is called before each message."""
    give_up(now())
    sent = 0
    with ExitStack() as stack:
        session: Session | None = None
        for _number in range(BATCH):
            row = _claim(now()) if proceed() else None
            if row is None:
                break
            try:
                message, address = compose(row)
                session = session or stack.enter_context(Session())
                session.send(message, address)
            except MailError as error:
                _note(row, error, now())
                if error.scope == Scope.SERVER:
                    return Round(sent, error.key)
            else:
                _mark(row, state=State.SENT, sent_at=now(), problem="", code=None, link="")
                sent += 1
    return Round(sent)


def _due(now: datetime) -> QuerySet[OutboxMessage]:
    return OutboxMessage.objects.filter(state=State.WAITING, due_at__lte=now).order_by("due_at", "id")


def _claim(now: datetime) -> OutboxMessage | None:
    """Return the message that is due next, so that no other process takes it; None if there is none."""
    for row in _due(now).select_related("user")[:3]:
        mine = _due(now).order_by().filter(pk=row.pk, due_at=row.due_at)
        if mine.update(due_at=now + _lease(), attempts=F("attempts") + 1, problem=""):
            row.attempts += 1
            return row
    return None


def _lease() -> timedelta:
    """Return how long a claim holds: longer than connecting and sending can take."""
    return timedelta(seconds=2 * (CONNECTING + MESSAGE + 1) * settings.SMTP_SECONDS)


def _note(row: OutboxMessage, error: MailError, now: datetime) -> None:
    """Note why a message was not sent, and when it is tried next."""
    found: dict[str, Any] = {"problem": error.key, "code": error.code or None}
    if error.scope == Scope.FINAL:
        found |= {"state": State.FAILED, "link": ""}
    elif error.scope == Scope.LATER:
        found["due_at"] = now + timedelta(minutes=PAUSES[min(row.attempts, len(PAUSES)) - 1])
    else:  # it keeps its place, and the attempt was not its own
        found |= {"due_at": row.due_at, "attempts": row.attempts - 1}
    _mark(row, **found)


def _mark(row: OutboxMessage, **values: Any) -> None:
    OutboxMessage.objects.filter(pk=row.pk, state=State.WAITING).update(**values)


def give_up(now: datetime) -> int:
    """Give up messages that could not be sent for settings.MAIL_DAYS. Return their number."""
    late = _due(now).order_by().filter(created_at__lt=now - timedelta(days=settings.MAIL_DAYS))
    return late.update(state=State.FAILED, problem="too-old", link="")


def retry(rows: QuerySet[OutboxMessage], now: datetime) -> int:
    """Send messages that failed again, as if they were new. Return their number.

    One whose secret link was cleared cannot be: what sent it must be repeated.
    """
    again = rows.filter(state=State.FAILED).exclude(user=None)
    return again.update(state=State.WAITING, due_at=now, created_at=now, attempts=0, problem="", code=None)


def wake(rows: QuerySet[OutboxMessage], now: datetime) -> int:
    """Make waiting messages due, but for those that are being sent: they have no problem. Return their number."""
    return rows.filter(state=State.WAITING, due_at__gt=now).exclude(problem="").update(due_at=now)
