"""The card of what ends soon: grants, access keys, operations, and the user's own tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from mantra.health.checks.keys import grants_that_end, keys_that_end
from mantra.home import publishing
from mantra.home.cards import MOST, Card, Line, all_of, page_of
from registry import moments
from registry.models import ApiToken, Operation, User

#: Days ahead that the card looks, and from which on a line is urgent.
DAYS, URGENT = 30, 7

#: The lists that the card leads to: (text, model, the required permission).
ALL = (
    (_("All grants"), "registry_grant", "registry.view_grant"),
    (_("All access keys"), "registry_accesskey", "registry.view_accesskey"),
)

#: The last day or moment of something, and what it is.
Ending = tuple[date, str, str, Any]


def ending(user: User) -> Card:
    """Return what ends within DAYS days, the first to end first."""
    today = timezone.localdate()
    found = [each for kind in KINDS for each in kind(user, today, today + timedelta(days=DAYS))]
    lines = [_line(today, *each) for each in sorted(found, key=lambda each: each[:2])[:MOST]]
    return Card(
        "ending", _("Ends within %(days)d days") % {"days": DAYS}, lines,
        _("No grant, access key or operation ends within %(days)d days.") % {"days": DAYS},
        tuple(all_of(text, model) for text, model, right in ALL if user.has_perm(right)),
    )  # fmt: skip


def _line(today: date, day: date, text: str, url: str, kind: Any) -> Line:
    left = (day - today).days
    state = ngettext("%(days)d day left", "%(days)d days left", left) % {"days": left} if left else _("ends today")
    note = gettext("%(kind)s, until %(day)s") % {"kind": kind, "day": moments.day(day)}
    return Line(text, url, note, state, "no" if left <= 1 else "warn" if left <= URGENT else "mute")


def _grants(user: User, today: date, until: date) -> Iterator[Ending]:
    for row in grants_that_end(user, today, until)[:MOST]:
        assert row.valid_until is not None
        yield row.valid_until, str(row), page_of("registry_grant", row.pk), _("grant")


def _keys(user: User, today: date, until: date) -> Iterator[Ending]:
    for row in keys_that_end(user, until)[:MOST]:
        text = f"{row.application} {row.public}"
        yield timezone.localdate(row.expires_at), text, page_of("registry_accesskey", row.pk), _("access key")


def _tokens(user: User, today: date, until: date) -> Iterator[Ending]:
    rows = ApiToken.objects.filter(user=user, expires_at__gt=timezone.now(), expires_at__lt=_midnight_after(until))
    for row in rows.order_by("expires_at", "pk")[:MOST]:
        yield timezone.localdate(row.expires_at), row.public, page_of("registry_apitoken", row.pk), _("API token")


def _operations(user: User, today: date, until: date) -> Iterator[Ending]:
    rows = publishing.operations(user).filter(state=Operation.State.DEPRECATED, sunset__range=(today, until))
    for row in rows.order_by("sunset", "pk")[:MOST]:
        assert row.sunset is not None
        yield row.sunset, str(row), page_of(publishing.PAGES[row.kind], row.pk), _("operation")


def _midnight_after(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day + timedelta(days=1), datetime.min.time()))


KINDS: tuple[Callable[[User, date, date], Iterator[Ending]], ...] = (_grants, _keys, _tokens, _operations)
