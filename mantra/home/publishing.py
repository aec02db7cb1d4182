"""Cards of those who publish, and of those who decide what is published."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mantra.home.cards import MOST, Card, Line, Link, all_of, page_of
from registry import approvals, tenancy
from registry.models import Operation, OperationVersion, PublishRequest, User
from registry.moments import day, moment

#: Kind of operation → the page of its rows.
PAGES = {
    "data": "dataservices_dataoperation",
    "proxy": "proxyservices_proxyoperation",
    "verification": "verification_verificationoperation",
}
#: The right to open the wizard "Publish data".
WIZARD = "dataservices.add_dataoperation"


def to_decide(user: User) -> Iterable[tuple[Any, Line]]:
    """Yield (time, line) of the publish requests that wait for the user's decision, the oldest first."""
    return _waiting(approvals.inbox(user))


def undecided(user: User) -> Iterable[tuple[Any, Line]]:
    """Yield (time, line) of the publish requests that wait for anybody's decision, the oldest first."""
    rows = tenancy.visible(PublishRequest.waiting(), user).select_related("operation__service__agency", "requested_by")
    return _waiting(rows.order_by("requested_at", "pk"))


def _waiting(rows: QuerySet[PublishRequest]) -> Iterator[tuple[Any, Line]]:
    for row in rows[:MOST]:
        note = gettext("publish request by %(user)s, %(moment)s") % {
            "user": row.requested_by, "moment": moment(row.requested_at),
        }  # fmt: skip
        yield row.requested_at, Line(str(row), page_of("registry_publishrequest", row.pk), note)


def drafts(user: User) -> Card:
    """Return what is not published yet: drafts, and those among them that wait for a second person."""
    waiting = Exists(PublishRequest.waiting().filter(Q(operation=OuterRef("pk")) | Q(operation=OuterRef("draft_of"))))
    rows = operations(user).filter(Q(state=Operation.State.DRAFT) | Q(draft_of__isnull=False))
    rows = rows.annotate(waits=waiting).order_by("-updated_at", "-pk")
    return Card(
        "drafts", _("Drafts"), [_draft(row) for row in rows[:MOST]], _("There are no drafts."),
        (all_of(_("All operations"), "registry_operation"),), start_of(user),
    )  # fmt: skip


def _draft(row: Any) -> Line:
    state, colour = (_("waits for a second person"), "warn") if row.waits else (_("draft"), "mute")
    note = gettext("changed on %(day)s") % {"day": day(row.updated_at)}
    return Line(str(row), page_of(PAGES[row.kind], row.draft_of_id or row.pk), note, state, colour)


def start_of(user: User) -> Link | None:
    """Return where a user begins to publish something."""
    if user.has_perm(WIZARD):
        hint = _("In four steps, without SQL: from a database or an Excel file to an address that others can call.")
        return Link(_("Publish data"), reverse("wizard"), hint)
    if user.has_perm("proxyservices.add_proxyoperation"):
        hint = _("The operations of an existing web service become drafts. You get a preview first.")
        page = reverse("admin:proxyservices_proxyoperation_import")
        return Link(_("Import a WSDL or OpenAPI document"), page, hint)
    return None


def published(user: User) -> Card:
    """Return what was published last."""
    rows = tenancy.visible(OperationVersion.objects.all(), user).filter(
        operation__kind__in=approvals.viewed_kinds(user)
    )
    rows = rows.select_related("operation__service__agency")
    rows = rows.defer("definition").order_by("-published_at", "-pk")
    return Card(
        "published", _("Published last"), [_version(row) for row in rows[:MOST]], _("Nothing has been published yet."),
        (all_of(_("All operations"), "registry_operation"),), start_of(user),
    )  # fmt: skip


def _version(row: OperationVersion) -> Line:
    published_on = day(row.published_at)
    by = gettext("by %(user)s, %(day)s") % {"user": row.user, "day": published_on} if row.user else published_on
    return Line(str(row.operation), page_of(PAGES[row.operation.kind], row.operation_id), by, str(row))


def operations(user: User) -> QuerySet[Operation]:
    """Return the operations of the kinds that a user may see, with the drafts beside them."""
    rows = tenancy.visible(Operation.objects.all(), user).filter(kind__in=approvals.viewed_kinds(user))
    return rows.select_related("service__agency")
