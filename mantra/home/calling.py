"""The card of those who call: their applications."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, F, Max, OuterRef, QuerySet
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mantra.home.cards import MOST, Card, Line, Link, all_of, page_of
from registry import tenancy
from registry.models import AccessKey, Application, User
from registry.moments import moment


def applications(user: User) -> Card:
    """Return the agency's applications: those that have not called yet, then the last to call first."""
    advice = Link(_("Register an application"), reverse("admin:registry_application_add"))
    return Card(
        "applications", _("Your applications"), [_application(row) for row in _with_last_call(user)],
        _("No application is registered yet. It is the system that calls operations."),
        (all_of(_("All applications"), "registry_application"),),
        advice if user.has_perm("registry.add_application") else None,
    )  # fmt: skip


def _with_last_call(user: User) -> QuerySet[Application]:
    """Read what the keys know of their last use: the call history is long."""
    rows = tenancy.visible(Application.objects.filter(active=True), user).select_related("agency")
    keys = Exists(AccessKey.active().filter(application=OuterRef("pk")))
    rows = rows.annotate(last_call=Max("access_keys__last_used_at"), has_key=keys)
    return rows.order_by(F("last_call").desc(nulls_first=True), "agency__code", "code")[:MOST]


def _application(row: Any) -> Line:
    """Return the line of an application, or what is missing for its first call."""
    page = page_of("registry_application", row.pk)
    if row.last_call:
        return Line(str(row), page, gettext("last call %(moment)s") % {"moment": moment(row.last_call)})
    if row.has_key:
        return Line(str(row), page, _("has not called yet"))
    key = reverse("admin:registry_accesskey_add") + f"?application={row.pk}"
    return Line(str(row), key, _("Issue an access key, so that it can call."), _("without a key"), "warn")
