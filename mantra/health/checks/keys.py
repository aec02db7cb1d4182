"""Access keys and grants that are about to end: then their applications can call no more.

And grants that lack something: their applications get less, or nothing.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from mantra.health.findings import Finding
from mantra.health.rows import rows_for
from registry import moments
from registry.models import AccessKey, Field, Grant
from registry.tenancy import AnyUser

AREA = "keys"
#: Days before the end from which on it is spoken of here, and the most findings of a kind.
DAYS, MOST = 7, 50


def check(viewer: AnyUser | None) -> list[Finding]:
    """Return the keys and grants that end within DAYS days, the first to end first."""
    today = timezone.localdate()
    last = today + timedelta(days=DAYS)
    keys = [_key(row) for row in keys_that_end(viewer, last)[:MOST]]
    ending = [_grant(row) for row in grants_that_end(viewer, today, last)[:MOST]]
    return [*map(_incomplete, incomplete_grants(viewer, today)), *keys, *ending]


#: Operations that select rows by values of grants: only these are read for it.
_NEEDING_VALUES = Q(operation__kind__in=("data", "proxy", "verification")) & (
    Q(operation__dataoperation__sql__icontains=":grant.")
    | Q(operation__proxyoperation__mappings__parameter__startswith="grant.")
    | Q(operation__verificationoperation__base__dataoperation__sql__icontains=":grant.")
    | Q(operation__verificationoperation__base__proxyoperation__mappings__parameter__startswith="grant.")
)


def incomplete_grants(viewer: AnyUser | None, today: date) -> list[Grant]:
    """Return grants in force that lack a legal basis or a value, as a viewer may see them: at most MOST of each."""
    rows = rows_for(viewer, Grant).filter(Q(valid_until=None) | Q(valid_until__gte=today), state=Grant.State.APPROVED)
    rows = rows.select_related("application__agency", "operation__service__agency").order_by("pk")
    unlawful = rows.filter(legal_basis="", operation__fields__classification=Field.Classification.SPECIFIC).distinct()
    found = [row for row in unlawful[:MOST] if row.unlawful_fields]
    known = {row.pk for row in found}
    valueless = rows.filter(_NEEDING_VALUES).exclude(pk__in=known).distinct()
    return [*found, *(row for row in valueless[:MOST] if row.missing_values)]


def keys_that_end(viewer: AnyUser | None, last: date) -> QuerySet[AccessKey]:
    """Return the keys in force that end on a day or before, as a viewer may see them."""
    midnight = timezone.make_aware(datetime.combine(last + timedelta(days=1), datetime.min.time()))
    rows = rows_for(viewer, AccessKey) & AccessKey.active().filter(expires_at__lt=midnight)
    return rows.select_related("application__agency").order_by("expires_at", "pk")


def grants_that_end(viewer: AnyUser | None, first: date, last: date) -> QuerySet[Grant]:
    """Return the grants that end between two days, both included, as a viewer may see them."""
    rows = rows_for(viewer, Grant).filter(state=Grant.State.APPROVED, valid_until__range=(first, last))
    return rows.select_related("application__agency", "operation__service__agency").order_by("valid_until", "pk")


def _key(row: AccessKey) -> Finding:
    day = moments.day(row.expires_at)
    return Finding(
        AREA, f"{row.application} {row.public}", "warn", _("The access key ends on %(day)s.") % {"day": day},
        _("Issue a new key and give it to the application before then."),
        url=reverse("admin:registry_accesskey_change", args=(row.pk,)),
    )  # fmt: skip


def _incomplete(row: Grant) -> Finding:
    if missing := row.missing_values:
        sentence = _("Calls are refused: the grant lacks these values: %(names)s.") % {"names": ", ".join(missing)}
        advice = _("Enter the values that select the rows of this application.")
    else:
        text = _("No legal basis is stated, so these fields do not go out: %(names)s.")
        sentence = text % {"names": ", ".join(row.unlawful_fields)}
        advice = _("Enter the legal basis, or hash or omit the fields.")
    url = reverse("admin:registry_grant_change", args=(row.pk,))
    return Finding(AREA, str(row), "warn", sentence, advice, url=url)


def _grant(row: Grant) -> Finding:
    day = moments.day(row.valid_until)
    return Finding(
        AREA, str(row), "warn", _("The grant ends on %(day)s.") % {"day": day},
        _("Request access for longer if the application still needs it."),
        url=reverse("admin:registry_grant_change", args=(row.pk,)),
    )  # fmt: skip
