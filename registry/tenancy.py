"""Tenancy: the table of the agencies to which rows belong, and the rules derived from it.

The admin and the management API both use it. roles.py decides the kinds of rows a role may read or change; this
module decides which rows of a kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model, Q, QuerySet

from registry.models import CallRecord, User
from registry.models.base import RegistryQuerySet
from registry.roles import ADMINISTRATOR, SUPERVISOR

M = TypeVar("M", bound=Model)
AnyUser = User | AnonymousUser


@dataclass(frozen=True, slots=True)
class Scope:
    """Lookups from a row to the agencies that may read it, and to those that may change it.

    They end in an agency, or with ``by_code`` in an agency's code. ``public``: every user may read it.
    """

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    by_code: bool = False
    public: bool = False


def _both(*paths: str) -> Scope:
    return Scope(paths, paths)


#: Model label → its scope. A model that inherits another model's table has that model's scope. A model that is not
#: listed belongs to the administrators.
SCOPES: dict[str, Scope] = {
    # The directory of agencies is no secret; only administrators write it.
    "registry.agency": Scope(public=True),
    "registry.user": Scope(),
    "registry.service": _both("agency"),
    "registry.operation": _both("service__agency"),
    "registry.parameter": _both("operation__service__agency"),
    "registry.field": _both("operation__service__agency"),
    "registry.guardfinding": Scope(("operation__service__agency",)),
    "registry.operationversion": _both("operation__service__agency"),
    "registry.versiontext": _both("operation__service__agency"),
    "registry.sampleresponse": _both("operation__service__agency"),
    "registry.publishrequest": _both("operation__service__agency"),
    "dataservices.datasource": _both("agency"),
    "proxyservices.backend": _both("agency"),
    "proxyservices.backendserver": _both("backend__agency"),
    "dataservices.uploadedtable": _both("source__agency"),
    "dataservices.uploadversion": _both("table__source__agency"),
    "proxyservices.parametermapping": _both("operation__service__agency"),
    "verification.verifiedfield": _both("operation__service__agency"),
    "proxyservices.servicedescription": _both("operation__service__agency"),
    "registry.samplerequest": _both("operation__service__agency"),
    "registry.application": _both("agency"),
    "registry.accesskey": _both("application__agency"),
    "registry.clientcertificate": _both("application__agency"),
    "registry.revokedtoken": _both("application__agency"),
    "registry.keynetwork": Scope(("key__application__agency",)),
    # The caller's agency may read the grant; the provider's agency decides on it.
    "registry.grant": Scope(("operation__service__agency", "application__agency"), ("operation__service__agency",)),
    # The applicant's agency and the one that decides. Neither changes a request but by the steps of requests.py.
    "registry.accessrequest": Scope(("application__agency", "service__agency"), ("application__agency",)),
    "registry.requestedoperation": Scope(("request__application__agency", "request__service__agency")),
    "registry.requeststep": Scope(("request__application__agency", "request__service__agency")),
    "reconciliation.reconciliation": _both("agency"),
    "reconciliation.side": _both("reconciliation__agency"),
    "reconciliation.reconciliationrun": _both("reconciliation__agency"),
    "synchronization.sync": _both("agency"),
    "synchronization.syncrun": Scope(("sync__agency",)),
    "registry.callrecord": Scope(("agency", "consumer_agency"), by_code=True),
    # Who has stopped it, whose it is, and who is shut out. Nobody changes one but by the rules of containment.py.
    "registry.stop": Scope(("agency", "owner", "caller")),
    "registry.incident": _both("agency"),
    "registry.incidentobject": Scope(("incident__agency",)),
    "registry.incidentnote": Scope(("incident__agency",)),
    "registry.changerecord": Scope(("agency", "other_agency"), by_code=True),
    # A rule of an agency looks at the calls of its own operations. Those of all agencies are the administrators'.
    "registry.harvestrule": _both("agency"),
    "registry.harvestalarm": Scope(("agency",), by_code=True),
    "jobs.job": Scope(("application__agency",)),
}

#: Label of a model that depends on an operation → its reference to the operation. A user who may not change that kind
#: of operation may not change these rows either: a publisher grants no access to the agency's data, nor verifies it.
DEPENDS_ON = {"registry.grant": "operation", "verification.verificationoperation": "base"}
KINDS = {
    "data": "dataservices.change_dataoperation",
    "proxy": "proxyservices.change_proxyoperation",
    "verification": "verification.change_verificationoperation",
}

#: References that may go to rows of other agencies: a provider grants access to any agency's application.
CROSS_AGENCY_REFERENCES = {("registry.grant", "application")}

#: Rows that no user changes, not even an administrator.
READ_ONLY = frozenset(
    {
        "registry.callrecord",
        "registry.changerecord",
        "registry.harvestalarm",
        "registry.operationversion",
        "registry.versiontext",
        "registry.accessrequest",
        "registry.requestedoperation",
        "registry.requeststep",
        "registry.agreementfile",
        "registry.stop",
        "registry.incidentobject",
        "registry.incidentnote",
        "jobs.job",
    }
)


def scope(model: type[Model]) -> Scope:
    """Return the scope of a model or, by multi-table inheritance, of the model that it extends."""
    for ancestor in (model, *model._meta.get_parent_list()):
        if ancestor._meta.label_lower in SCOPES:
            return SCOPES[ancestor._meta.label_lower]
    return Scope()


def _groups(user: User) -> frozenset[str]:
    names: frozenset[str] | None = user.__dict__.get("_group_names")
    if names is None:
        names = frozenset(user.groups.values_list("name", flat=True))
        user.__dict__["_group_names"] = names
    return names


def roles(user: AnyUser) -> frozenset[str]:
    """Return the roles of an active user. A superuser is an administrator."""
    if not isinstance(user, User) or not user.is_active:
        return frozenset()
    return _groups(user) | {ADMINISTRATOR} if user.is_superuser else _groups(user)


def is_administrator(user: AnyUser) -> bool:
    """Return True if the user may change the rows of all agencies."""
    return ADMINISTRATOR in roles(user)


def is_supervisor(user: AnyUser) -> bool:
    """Return True if the user may read the rows of all agencies and change none."""
    return SUPERVISOR in roles(user) and not is_administrator(user)


def sees_all_agencies(user: AnyUser) -> bool:
    """Return True if the user may read the rows of all agencies."""
    return is_administrator(user) or is_supervisor(user)


def holders(agency: int | None, rights: Iterable[str]) -> QuerySet[User]:
    """Return the active users of an agency who have all of these rights. A supervisor changes nothing."""
    found = User.objects.filter(agency=agency, is_active=True)
    for right in rights:
        _app, _dot, codename = right.partition(".")
        granted = Q(groups__permissions__codename=codename) | Q(is_superuser=True)
        found = found.filter(pk__in=User.objects.filter(granted).values("pk"))
    return found.exclude(groups__name=SUPERVISOR)


def visible(queryset: QuerySet[M], user: AnyUser) -> QuerySet[M]:
    """Return the rows of ``queryset`` that ``user`` may read."""
    if not isinstance(user, User) or not user.is_active:
        return queryset.none()
    if sees_all_agencies(user):
        return queryset
    rule = scope(queryset.model)
    if rule.public:
        return queryset
    if user.agency is None or not rule.read:
        return queryset.none()
    own = user.agency.code if rule.by_code else user.agency_id
    return queryset.filter(reduce(or_, (Q(**{path: own}) for path in rule.read)))


def may_see_person(user: AnyUser, record: CallRecord) -> bool:
    """Return True if a viewer of a call's record may see which user made it: of a trial, the caller's agency only."""
    if not record.consumer_agency or sees_all_agencies(user):
        return True
    return isinstance(user, User) and user.agency is not None and user.agency.code == record.consumer_agency


def may_see_origin(user: AnyUser, record: CallRecord) -> bool:
    """Return True if a viewer of a call's record may see its source or backend: of the providing agency only."""
    return sees_all_agencies(user) or (
        isinstance(user, User) and user.agency is not None and user.agency.code == record.agency
    )


def referable(model: type[Model], field: str, user: AnyUser) -> QuerySet[Any]:
    """Return the rows to which ``user`` may point the foreign key ``field`` of ``model``."""
    target = model._meta.get_field(field).related_model
    assert isinstance(target, type)
    assert issubclass(target, Model)
    owner = model._meta.get_field(field).model
    rows: QuerySet[Any] = target._default_manager.all()
    if isinstance(rows, RegistryQuerySet):
        rows = rows.listed()
    cross_agency = (owner._meta.label_lower, field) in CROSS_AGENCY_REFERENCES
    if cross_agency and isinstance(user, User) and user.is_active:
        return rows
    rows = visible(rows, user)
    if DEPENDS_ON.get(owner._meta.label_lower) == field and isinstance(user, User):
        rows = rows.filter(kind__in=[kind for kind, right in KINDS.items() if user.has_perm(right)])
    return rows


def may_change(user: AnyUser, row: Model) -> bool:
    """Return True if ``user`` may write ``row`` with its present values, saved or not.

    Check before a change and after it: a row must not be moved to another agency either.
    """
    if not isinstance(user, User) or not user.is_active or row._meta.label_lower in READ_ONLY:
        return False
    if is_administrator(user):
        return True
    if is_supervisor(user) or user.agency_id is None:
        return False
    if not any(_owner(row, path) == user.agency_id for path in scope(type(row)).write):
        return False
    reference = DEPENDS_ON.get(row._meta.label_lower)
    if reference is None or getattr(row, f"{reference}_id") is None:
        return True
    return user.has_perm(KINDS[getattr(row, reference).kind])


def _owner(row: Model, path: str) -> Any:
    """Return the id of the agency at the end of ``path``, None if a reference on the way is not set."""
    *steps, last = path.split("__")
    current: Any = row
    for step in steps:
        if current is None or getattr(current, step + "_id") is None:
            return None
        current = getattr(current, step)
    return getattr(current, last + "_id", None)
