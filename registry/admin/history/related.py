"""The rows that a call's record names, as far as its viewer may see them, the pages about them, and the calls nearby.

A record outlives the rows that it names: each of them can be gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext as _

from registry import catalogue, tenancy
from registry.admin.history import names
from registry.models import AccessKey, Agency, CallRecord, Grant, User
from registry.pages import address

SERVER = "proxyservices.BackendServer"
#: How far from a call its neighbours are looked for: in a month's partition, and in the next.
NEARBY = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Link:
    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The calls before and after one, of the same application or of the same operation. "" where there is none."""

    text: str
    older: str
    newer: str


class Related:
    """The rows that a record names. What its viewer may not see is None."""

    def __init__(self, viewer: User, record: CallRecord) -> None:
        self.viewer = viewer
        self.record = record
        agencies = Agency.objects.filter(code__in=(record.agency, record.consumer_agency))
        self.agencies = {row.code: row.name for row in agencies}
        self.operation = names.known_operations(viewer).filter(pk=record.operation_ref or 0).first()
        self.application = self._application()
        self.grant = self._seen(Grant, record.grant_ref)
        self.key = self._seen(AccessKey, record.key_ref)
        of_provider = tenancy.may_see_origin(viewer, record)
        self.origin = self._seen(apps.get_model(names.ORIGINS[record.origin_kind][0]), record.origin_ref) if (
            of_provider and record.origin_kind in names.ORIGINS
        ) else None  # fmt: skip
        self.server = self._seen(apps.get_model(SERVER), record.server_ref) if of_provider else None

    def _application(self) -> Any:
        record = self.record
        if not record.application:
            return None
        known = names.known_applications(self.viewer)
        return known.filter(agency__code=record.consumer_agency, code=record.application).first()

    def _seen(self, model: type[Model], pk: int | None) -> Any:
        """Return a row with an id if there is one and the viewer may see it."""
        if pk is None or not self.viewer.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}"):
            return None
        return tenancy.visible(model._default_manager.filter(pk=pk), self.viewer).first()

    # ------------------------------------------------------------------------------------------ links

    def links(self) -> list[Link]:
        """Return the links to what the call was about, and to how it goes in general."""
        record = self.record
        found = [
            *self._operation_links(),
            *self._row_link(_("Application"), self._own(self.application)),
            *self._row_link(_("Grant"), self.grant),
            *self._row_link(_("Access key"), self.key),
            *self._row_link(_("Data source") if record.origin_kind == "source" else _("Backend"), self.origin),
        ]
        if self.operation is not None and self._of_own_agency(self.operation):
            found += _page(_("Statistics of the operation"), "statistics_operation", self.operation.pk)
        if self._own(self.application) is not None:
            found += _page(_("Statistics of the application"), "statistics_application", self.application.pk)
        if self.origin is not None:
            found += _page(_("Statistics of the source or backend"), f"statistics_{record.origin_kind}", self.origin.pk)
        return found

    def _own(self, row: Any) -> Any:
        """Return an application of the viewer's agency, or None: others are known by name only."""
        own = row is not None and (tenancy.sees_all_agencies(self.viewer) or row.agency_id == self.viewer.agency_id)
        return row if own else None

    def _of_own_agency(self, operation: Any) -> bool:
        return tenancy.sees_all_agencies(self.viewer) or operation.service.agency_id == self.viewer.agency_id

    def _operation_links(self) -> Iterator[Link]:
        operation = self.operation
        if operation is None:
            return
        if self._of_own_agency(operation):
            yield from self._row_link(_("Operation"), operation.of_its_kind)
        if catalogue.listed(self.viewer).filter(pk=operation.pk).exists():
            codes = operation.service.agency.code, operation.service.code, operation.code
            yield from _page(_("Operation in the catalogue"), "catalogue_operation", *codes)

    def _row_link(self, text: str, row: Model | None) -> Iterator[Link]:
        if row is None:
            return
        label = f"{row._meta.app_label}_{row._meta.model_name}"
        if self.viewer.has_perm(f"{row._meta.app_label}.view_{row._meta.model_name}"):
            yield from _page(f"{text}: {row}", f"admin:{label}_change", row.pk)

    # -------------------------------------------------------------------------------- calls nearby

    def neighbours(self) -> list[Neighbours]:
        """Return the ways to the calls before and after this one."""
        record, found = self.record, []
        if record.application:
            same = Q(consumer_agency=record.consumer_agency, application=record.application)
            found.append(self._neighbours(_("Calls of this application"), same))
        if record.operation_ref is not None:
            same = Q(operation_ref=record.operation_ref)
            found.append(self._neighbours(_("Calls of this operation"), same))
        return found

    def _neighbours(self, text: str, same: Q) -> Neighbours:
        rows = tenancy.visible(CallRecord.objects.filter(same), self.viewer)
        at = self.record.started_at
        older = rows.filter(_beyond(self.record, "lt"), started_at__range=(at - NEARBY, at))
        newer = rows.filter(_beyond(self.record, "gt"), started_at__range=(at, at + NEARBY))
        return Neighbours(
            text, _first(older.order_by("-started_at", "-id")), _first(newer.order_by("started_at", "id"))
        )


def _beyond(record: CallRecord, side: str) -> Q:
    """Return the condition for the records on one side of a record, in the order of the list."""
    return Q(**{f"started_at__{side}": record.started_at}) | Q(
        started_at=record.started_at, **{f"pk__{side}": record.pk}
    )


def _first(rows: QuerySet[CallRecord]) -> str:
    """Return the address of the first record's page, "" without one."""
    found = rows.values_list("pk", flat=True).first()
    return address("admin:registry_callrecord_change", found) if found is not None else ""


def _page(text: str, name: str, *args: Any) -> list[Link]:
    """Return the link to a page by its name; none where this installation has no such page."""
    found = address(name, *args)
    return [Link(text, found)] if found else []
