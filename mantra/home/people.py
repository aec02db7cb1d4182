"""The card of users who cannot work yet: without a role, or without the agency that their role needs."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from mantra.home.cards import MOST, Card, Line, all_of, page_of
from registry.models import User
from registry.roles import WITHOUT_AGENCY

Membership = User.groups.through


def incomplete(user: User) -> Card:
    """Return the users without a role or agency, the newest first."""
    roles = Membership.objects.filter(user=OuterRef("pk"))
    rows = User.objects.filter(is_active=True, is_superuser=False).annotate(
        has_role=Exists(roles), works_alone=Exists(roles.filter(group__name__in=WITHOUT_AGENCY))
    )
    rows = rows.filter(Q(has_role=False) | Q(agency=None, works_alone=False)).order_by("-pk")
    return Card(
        "incomplete", _("Users who cannot work yet"), [_line(row) for row in rows[:MOST]],
        _("Every user has a role and an agency."), (all_of(_("All users"), "registry_user"),),
    )  # fmt: skip


def _line(row: Any) -> Line:
    state = _("without an agency") if row.has_role else _("without a role")
    return Line(row.get_username(), page_of("registry_user", row.pk), row.get_full_name(), state, "warn")
