"""The reader of a page of the catalogue: who reads, for which application, and what is shown to them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Lower
from django.db.models.lookups import Exact
from django.http import Http404, HttpRequest
from django.utils import timezone

from registry import catalogue
from registry.models import Agency, Application, Field, Grant, Operation, Service, User
from registry.tenancy import AnyUser
from registry.versions import kind_of


@dataclass(frozen=True, slots=True)
class Reader:
    """A person who reads the catalogue. ``application``: the one of their agency for which they read it, if any."""

    user: AnyUser
    application: Application | None = None

    def operations(self) -> QuerySet[Operation]:
        """Return the operations that the reader finds."""
        return catalogue.listed(self.user)

    def applications(self) -> QuerySet[Application]:
        """Return the active applications of the reader's agency."""
        if not isinstance(self.user, User) or not self.user.is_active or self.user.agency_id is None:
            return Application.objects.none()
        return Application.objects.filter(agency=self.user.agency_id, active=True).select_related("agency")

    def agency(self, code: str) -> Agency:
        """Return an agency of which the reader finds an operation. Raises Http404."""
        found = by_code(Agency.objects.all(), "code", code)
        agency: Agency | None = found.filter(pk__in=self.operations().values("service__agency")).first()
        if agency is None:
            raise Http404
        return agency

    def service(self, agency: str, code: str) -> Service:
        """Return a service of which the reader finds an operation. Raises Http404."""
        rows = by_code(Service.objects.select_related("agency"), "agency__code", agency)
        found = by_code(rows, "code", code).filter(pk__in=self.operations().values("service"))
        service: Service | None = found.first()
        if service is None:
            raise Http404
        return service

    def operation(self, agency: str, service: str, code: str) -> Any:
        """Return an operation as a row of its kind, if the reader finds it. Raises Http404."""
        rows = by_code(self.operations(), "service__agency__code", agency)
        row = by_code(by_code(rows, "service__code", service), "code", code).first()
        if row is None:
            raise Http404
        return kind_of(row).model._default_manager.select_related("service__agency").get(pk=row.pk)

    def grant(self, operation: Operation) -> Grant | None:
        """Return the grant in force of the reader's application for an operation."""
        return self.grants([operation]).get(operation.pk)

    def grants(self, operations: Collection[Operation]) -> dict[int, Grant]:
        """Return the grants in force of the reader's application for operations, by the operations' ids."""
        if self.application is None:
            return {}
        rows = Grant.objects.filter(application=self.application, operation__in=[each.pk for each in operations])
        return {grant.operation_id: grant for grant in catalogue.in_force(rows, timezone.localdate())}

    def fields(self, operation: Operation) -> list[Field]:
        """Return the columns that the reader's application gets, or would get with a grant, each with its mask."""
        grant, declared = self.grant(operation), list(operation.fields.all())
        if grant is None or not grant.fields:
            is_named_only = operation.of_its_kind.is_named_only
            declared = [field for field in declared if not is_named_only(field.name)]
        sent = grant.sent_masks if grant is not None else {field.name: field.mask for field in declared}
        for field in declared:
            field.mask = sent.get(field.name, Field.Mask.DROPPED)
        return [field for field in declared if field.mask != Field.Mask.DROPPED]


def reader_of(request: HttpRequest) -> Reader:
    """Return the reader of a request: for ``?application=agency/code``, else for the only active one of the agency."""
    own = Reader(request.user).applications()
    agency, _slash, code = request.GET.get("application", "").partition("/")
    chosen = by_code(by_code(own, "agency__code", agency), "code", code).first()
    if chosen is None:
        some = list(own[:2])
        chosen = some[0] if len(some) == 1 else None
    return Reader(request.user, chosen)


def by_code(rows: QuerySet[Any], path: str, code: str) -> QuerySet[Any]:
    """Return the rows with a code at the end of ``path``: capital letters make no difference, as in aliases."""
    return rows.none() if "\0" in code else rows.filter(Exact(Lower(path), code.lower()))
