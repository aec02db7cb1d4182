"""The card of personal data that left although nobody declared it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Max, Sum
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mantra.home.cards import MOST, Card, Line, all_of
from registry import tenancy
from registry.admin.base import listed
from registry.models import Guard, GuardFinding, User
from registry.models.egress import KINDS
from registry.moments import day

MODEL = "registry_guardfinding"
#: Days that the card looks back.
DAYS = 7


def undeclared(user: User) -> Card:
    """Return the columns with undeclared personal data of the last days, the newest first."""
    rows = tenancy.visible(GuardFinding.objects.all(), user).exclude(guard=Guard.MASK)
    rows = rows.filter(day__gt=timezone.localdate() - timedelta(days=DAYS)).order_by()
    names = ("operation", "operation__service__agency__code", "operation__service__code", "operation__code", "place")
    found = rows.values(*names, "kind").annotate(number=Sum("found"), in_calls=Sum("calls"), last=Max("day"))
    return Card(
        "undeclared", _("Personal data that nobody declared"),
        [_line(each) for each in found.order_by("-last", "operation", "place", "kind")[:MOST]],
        _("No personal data was found in columns that are not classified so."),
        (all_of(_("All findings"), MODEL),),
    )  # fmt: skip


def _line(each: dict[str, Any]) -> Line:
    address = "/".join(each[f"operation__{name}"] for name in ("service__agency__code", "service__code", "code"))
    text = gettext("%(operation)s, column %(column)s") % {"operation": address, "column": each["place"] or "–"}
    note = gettext("%(found)d × %(kind)s in %(calls)d calls, last on %(day)s") % {
        "found": each["number"], "kind": KINDS[each["kind"]], "calls": each["in_calls"], "day": day(each["last"]),
    }  # fmt: skip
    return Line(text, listed(GuardFinding, operation__id__exact=each["operation"]), note, _("declare it"), "warn")
