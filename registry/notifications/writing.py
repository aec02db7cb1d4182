"""Writing notifications and e-mail for sending, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Model
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from registry.models import Event, Notification, NotificationChoice, NotifiedOnce, OutboxMessage, User, Way
from registry.models.notifications import URL
from registry.notifications.kinds import KINDS, Month
from registry.notifications.smtp import is_configured

Value = str | int | date | Month | list[str]

#: The most people who are notified of one event, characters of a text in a message, and items of a list.
MAX_RECIPIENTS, MAX_TEXT, MAX_ITEMS = 1_000, 200, 20
#: The most e-mails that a person gets in an hour. Beyond them, the person is notified in the admin only.
MAX_MAILS = 60


def notify(
    event: Event, recipients: Iterable[User], *, about: Model | None = None, url: str = "", **context: Value
) -> None:
    """Notify these users of an event, each in the way that the user chose. Writes rows only; nothing is sent here.

    ``url``: the path of the page to open; without it, the page of the row ``about`` in the admin. ``context`` may have
    the keys of KINDS[event] only: a ValueError says which. A message contains no free text; it is on that page.
    """
    stored = _stored(event, context)
    path = url or page_of(about)
    now = timezone.now()
    ways = chosen_ways(event, _informed(recipients))
    Notification.objects.bulk_create(
        Notification(
            user=user, event=event, context=stored, url=path[:URL], created_at=now, for_digest=way == Way.DIGEST
        )
        for user, way in ways
        if way != Way.NONE
    )
    wanted = [user for user, way in ways if way == Way.MAIL and user.email] if is_configured() else []
    mails = wanted if KINDS[event].fixed else _without_many_mails(wanted, now)
    OutboxMessage.objects.bulk_create(
        OutboxMessage(user=user, event=event, context=stored, url=path[:URL], created_at=now, due_at=now)
        for user in mails[: _room_for_mails(len(mails))]
    )


def mail(event: Event, address: str, language: str, *, link: str = "", **context: Value) -> None:
    """Send an e-mail to an address that may belong to no user, with a link that is kept secret."""
    known = language if language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE
    row = OutboxMessage(address=address, language=known, event=event, context=_stored(event, context), link=link)
    row.clean_fields()  # a bad address is the caller's to report
    row.save()


def first_time(name: str) -> bool:
    """Return True the first time that it is asked about a name."""
    return NotifiedOnce.first_time(name)


def chosen_ways(event: Event, users: list[User]) -> list[tuple[User, Way]]:
    """Return the users with the way in which each is notified of an event."""
    kind = KINDS[event]
    if kind.fixed:
        return [(user, kind.default) for user in users]
    rows = NotificationChoice.objects.filter(event=event, user__in=users)
    chosen = dict(rows.values_list("user_id", "way"))
    roles = _roles_of(users) if kind.default_of else {}
    return [(user, Way(chosen.get(user.pk, kind.way_of(roles.get(user.pk, ()))))) for user in users]


def wanting(event: Event, recipients: Iterable[User]) -> list[User]:
    """Return the active users who are notified of an event in one way or another."""
    return [user for user, way in chosen_ways(event, _informed(recipients)) if way != Way.NONE]


def _roles_of(users: list[User]) -> dict[int, set[str]]:
    """Return the names of each user's roles, by one query."""
    found: dict[int, set[str]] = {}
    for user, role in User.groups.through.objects.filter(user__in=users).values_list("user_id", "group__name"):
        found.setdefault(user, set()).add(role)
    return found


def _informed(recipients: Iterable[User]) -> list[User]:
    """Return the active users, each once, the first MAX_RECIPIENTS."""
    users: dict[int, User] = {}
    for user in recipients:
        if user.is_active:
            users[user.pk] = user
        if len(users) == MAX_RECIPIENTS:
            break
    return list(users.values())


def _without_many_mails(users: list[User], now: datetime) -> list[User]:
    """Return the users who got fewer than MAX_MAILS e-mails in the last hour.

    Otherwise one person who repeats a step, such as submitting and withdrawing, fills the outbox, and others get none.
    """
    rows = OutboxMessage.objects.filter(user__in=users, created_at__gt=now - timedelta(hours=1)).order_by()
    numbers = dict(rows.values("user").annotate(number=Count("pk")).values_list("user", "number"))
    return [user for user in users if numbers.get(user.pk, 0) < MAX_MAILS]


def _room_for_mails(wanted: int) -> int:
    """Return how many e-mails may be added. Beyond the outbox's maximum, people are notified in the admin only."""
    if not wanted:
        return 0
    waiting = OutboxMessage.objects.filter(state=OutboxMessage.State.WAITING).count()
    return max(0, min(wanted, settings.MAX_OUTBOX - waiting))


def _stored(event: Event, context: Mapping[str, Value]) -> dict[str, Any]:
    """Return a context as JSON. Raises ValueError for keys that messages must not have."""
    if unknown := sorted(set(context) - KINDS[event].keys):
        raise ValueError(f"{event} has no {', '.join(unknown)}: registry/notifications/kinds.py lists its keys")
    return {key: _json(value) for key, value in context.items()}


def _json(value: Value) -> Any:
    if isinstance(value, date):
        return {"date": value.isoformat()[:10]}
    if isinstance(value, Month):
        return {"month": f"{value.year:04}-{value.month:02}"}
    if isinstance(value, list):
        return [str(item)[:MAX_TEXT] for item in value[:MAX_ITEMS]]
    return value if isinstance(value, int) else str(value)[:MAX_TEXT]


def page_of(about: Model | None) -> str:
    """Return the path of a row's page in the admin, "" if it has none."""
    if about is None:
        return ""
    try:
        return reverse(f"admin:{about._meta.app_label}_{about._meta.model_name}_change", args=[about.pk])
    except NoReverseMatch:
        return ""


def seen(user: User, url: str) -> None:
    """Mark a user's notifications that lead to a page as read: the user has opened it."""
    Notification.objects.filter(user=user, url=url, read_at=None).update(read_at=timezone.now())
