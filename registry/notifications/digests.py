"""The daily digest: one e-mail with the notifications that a person wants to get together."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from registry.models import Notification, OutboxMessage, User
from registry.notifications.composing import MAX_DIGEST
from registry.notifications.smtp import is_configured

#: The most digests that one round makes.
BATCH = 200


def make_due(now: datetime) -> int:
    """Write the digests of notifications from before the last full digest hour. Return their number."""
    waiting = Notification.objects.filter(for_digest=True, created_at__lt=last_hour(now))
    people = User.objects.filter(pk__in=waiting.values("user"))[:BATCH]
    for user in people:
        _make(user, now)
    return len(people)


def last_hour(now: datetime) -> datetime:
    """Return when the digest hour was last, in the bus's time zone."""
    local = timezone.localtime(now)
    today = datetime.combine(local.date(), time(settings.DIGEST_HOUR % 24), local.tzinfo)
    return today if today <= local else today - timedelta(days=1)


@transaction.atomic
def _make(user: User, now: datetime) -> None:
    rows = Notification.objects.filter(user=user, for_digest=True, created_at__lt=last_hour(now))
    ids = list(rows.order_by("created_at", "pk").values_list("pk", flat=True))
    Notification.objects.filter(pk__in=ids).update(for_digest=False)
    if ids and user.is_active and user.email and is_configured():
        context = {"notifications": ids[:MAX_DIGEST], "more": max(0, len(ids) - MAX_DIGEST)}
        OutboxMessage.objects.create(user=user, event=OutboxMessage.DIGEST, context=context, created_at=now, due_at=now)
