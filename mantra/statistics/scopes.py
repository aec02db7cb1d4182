"""Whose calls a page of statistics is about, and who may see them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model, QuerySet
from django.http import Http404
from django.urls import reverse
from django.utils.translation import gettext as _

from dataservices.models import DataOperation, DataSource
from mantra.verification.models import VerificationOperation
from proxyservices.models import Backend, ProxyOperation
from registry import tenancy
from registry.admin.numbers import number_of
from registry.models import Agency, Application, Operation, Service, User
from registry.statistics.reading import Selection

#: The right to see statistics: who may read the history of calls may see what it sums up.
RIGHT = "registry.view_callrecord"


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose calls are counted. ``kind`` and ``key`` name it; ``home`` is the page of the row that it is about.

    ``filters``: the query of the call history that has these calls, None if no query has them.
    """

    kind: str
    key: str
    title: str
    selection: Selection
    filters: dict[str, str] | None = field(default_factory=dict)
    home: str = ""
    agency: str = ""

    @property
    def address(self) -> str:
        if self.kind == "bus":
            return reverse("statistics")
        return reverse(f"statistics_{self.kind}", args=self.key.split("/") if self.key else ())


def may_open(user: Any) -> bool:
    """Return True if a user may see statistics."""
    return bool(user.has_perm(RIGHT)) and (tenancy.sees_all_agencies(user) or user.agency_id is not None)


def sees(user: User, *agencies: str) -> bool:
    """Return True if a user may see all calls of one of these agencies, given by their codes."""
    if tenancy.sees_all_agencies(user):
        return True
    return user.agency is not None and user.agency.code in agencies


def scope_of(kind: str, key: str, user: User) -> Scope:
    """Return a scope by its name. Raises Http404 if there is none, or if the user may not see it."""
    if kind not in _KINDS or "\0" in key or not may_open(user):
        raise Http404
    return _KINDS[kind](key, user)


def of_reader(user: User) -> Scope:
    """Return what a user sees first: the bus, what their agency offers, or what it calls if it offers nothing."""
    if user.agency is None:
        return scope_of("bus", "", user)
    offers = Service.objects.filter(agency=user.agency).exists()
    return scope_of("agency" if offers else "caller", user.agency.code, user)


# ---------------------------------------------------------------------------------------------- kinds


def _bus(key: str, user: User) -> Scope:
    if not tenancy.sees_all_agencies(user):
        raise Http404
    return Scope("bus", "", _("All agencies"), Selection())


def _agency(key: str, user: User) -> Scope:
    row = _agency_row(key, user)
    title = _("Calls to operations of %(agency)s") % {"agency": row.name}
    filters = {"of_operation": f"{row.code}/"}
    return Scope("agency", row.code, title, Selection(provider=row.code), filters, _page(row, user), row.code)


def _caller(key: str, user: User) -> Scope:
    row = _agency_row(key, user)
    title = _("Calls by applications of %(agency)s") % {"agency": row.name}
    filters = {"of_application": f"{row.code}/"}
    return Scope("caller", row.code, title, Selection(consumer=row.code), filters, _page(row, user), row.code)


def _agency_row(code: str, user: User) -> Agency:
    row = Agency.objects.filter(code=code).first()
    if row is None or not sees(user, row.code):
        raise Http404
    return row


def _pair(key: str, user: User) -> Scope:
    provider, _slash, consumer = key.partition("/")
    names = dict(Agency.objects.filter(code__in=(provider, consumer)).values_list("code", "name"))
    if not {provider, consumer} <= set(names) or not sees(user, provider, consumer):
        raise Http404
    title = _("Calls by %(caller)s to %(agency)s") % {"caller": names[consumer], "agency": names[provider]}
    filters = {"of_operation": f"{provider}/", "of_application": f"{consumer}/"}
    return Scope("pair", key, title, Selection(provider=provider, consumer=consumer), filters)


def _matrix(key: str, user: User) -> Scope:
    return _across("matrix", _("Who calls whom"), user)


def _personal_data(key: str, user: User) -> Scope:
    return _across("personal_data", _("Personal data that left"), user)


def _across(kind: str, title: str, user: User) -> Scope:
    """Return the calls of all agencies, or of both sides of the user's own."""
    if user.agency is None or tenancy.sees_all_agencies(user):
        return Scope(kind, "", title, Selection())
    code = user.agency.code
    return Scope(kind, "", title, Selection(agency=code), {"of_agency": code}, agency=code)


def _service(key: str, user: User) -> Scope:
    agency, _slash, code = key.partition("/")
    row = tenancy.visible(Service.objects.select_related("agency"), user).filter(agency__code=agency, code=code).first()
    if row is None:
        raise Http404
    selection = Selection(provider=agency, service=code)
    title = _("Service %(name)s") % {"name": row.title or row}
    return Scope("service", key, title, selection, {"of_operation": f"{key}/"}, _page(row, user), agency)


def _operation(key: str, user: User) -> Scope:
    row = _row(Operation.objects.select_related("service__agency"), key, user)
    page = _page(_OPERATIONS[row.kind](pk=row.pk), user)
    title = _("Operation %(name)s") % {"name": row.title or row}
    filters = {"of_operation": row.address}
    return Scope("operation", key, title, Selection(operations=(row.pk,)), filters, page, row.service.agency.code)


#: Kind of operation → its model, which has the page.
_OPERATIONS: dict[str, type[Model]] = {
    "data": DataOperation,
    "proxy": ProxyOperation,
    "verification": VerificationOperation,
}


def _application(key: str, user: User) -> Scope:
    row = _row(Application.objects.select_related("agency"), key, user)
    selection = Selection(consumer=row.agency.code, application=row.code)
    title = _("Application %(name)s") % {"name": row.title or row}
    filters = {"of_application": f"{row.agency.code}/{row.code}"}
    return Scope("application", key, title, selection, filters, _page(row, user), row.agency.code)


def _source(key: str, user: User) -> Scope:
    row = _row(DataSource.objects.select_related("agency"), key, user, "dataservices.view_datasource")
    return _origin("source", _("Data source %(name)s") % {"name": row}, row, row.data_operations, user)


def _backend(key: str, user: User) -> Scope:
    row = _row(Backend.objects.select_related("agency"), key, user, "proxyservices.view_backend")
    return _origin("backend", _("Backend %(name)s") % {"name": row}, row, row.operations, user)


def _origin(kind: str, title: str, row: Any, operations: Any, user: User) -> Scope:
    selection = Selection(operations=tuple(operations.order_by().values_list("pk", flat=True)))
    # Calls that were refused have no origin: the history's filter by origin has fewer.
    return Scope(kind, str(row.pk), title, selection, None, _page(row, user), row.agency.code)


def _row(rows: QuerySet[Any], key: str, user: User, right: str = RIGHT) -> Any:
    found = tenancy.visible(rows, user).filter(pk=number_of(key)).first() if user.has_perm(right) else None
    if found is None:
        raise Http404
    return found


def _page(row: Model, user: User) -> str:
    """Return the page of a row, "" if the user may not open it."""
    app, model = row._meta.app_label, row._meta.model_name
    return reverse(f"admin:{app}_{model}_change", args=(row.pk,)) if user.has_perm(f"{app}.view_{model}") else ""


_KINDS: dict[str, Callable[[str, User], Scope]] = {
    "bus": _bus, "agency": _agency, "caller": _caller, "pair": _pair, "service": _service, "operation": _operation,
    "application": _application, "backend": _backend, "source": _source, "matrix": _matrix,
    "personal_data": _personal_data,
}  # fmt: skip
