"""Whose is what: the one table that says to which agency a row belongs, and the rules read from it.

The admin and the management API both ask here. What a role may do at all is roles.py's matter; here it is
decided on which rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model, Q, QuerySet

from registry.models import User

M = TypeVar("M", bound=Model)
Visitor = User | AnonymousUser

ADMINISTRATOR = "Administrator"
SUPERVISOR = "Supervisor"


@dataclass(frozen=True, slots=True)
class Scope:
    """Lookups from a row to the agencies that see it, and to those that change it.

    They end in an agency, or with ``by_code`` in an agency's code. ``public``: whoever is signed in sees it.
    """

    seen: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    by_code: bool = False
    public: bool = False


def _both(*paths: str) -> Scope:
    return Scope(paths, paths)


#: Model label → its scope. A model that inherits another's table has that one's. What is not named here
#: belongs to the administrators.
SCOPES: dict[str, Scope] = {
    # The directory of agencies is no secret; only administrators write it.
    "registry.agency": Scope(public=True),
    "registry.user": Scope(),
    "registry.service": _both("agency"),
    "registry.operation": _both("service__agency"),
    "registry.parameter": _both("operation__service__agency"),
    "registry.field": _both("operation__service__agency"),
    "dataservices.datasource": _both("agency"),
    "proxyservices.upstream": _both("operation__service__agency"),
    "proxyservices.mapping": _both("operation__service__agency"),
    "proxyservices.contract": _both("operation__service__agency"),
    "proxyservices.sample": _both("operation__service__agency"),
    "registry.application": _both("agency"),
    "registry.accesskey": _both("application__agency"),
    # Whoever calls may read the grant; whoever offers decides on it.
    "registry.grant": Scope(("operation__service__agency", "application__agency"), ("operation__service__agency",)),
    "registry.callrecord": Scope(("agency", "consumer_agency"), by_code=True),
}

#: The label of what hangs on an operation → the reference to it. Who may not change that kind of operation decides
#: nothing about it either: a publisher lets nobody at the agency's data.
HANGING = {"registry.grant": "operation"}
KINDS = {"data": "dataservices.change_dataoperation", "proxy": "proxyservices.change_proxyoperation"}

#: References to rows of other agencies that are meant to be: a provider grants to anybody's application.
FOREIGN = {("registry.grant", "application")}

#: Nobody rewrites these, administrators included.
FROZEN = frozenset({"registry.callrecord"})


def scope(model: type[Model]) -> Scope:
    """The scope of a model or, by multi-table inheritance, of the model that it extends."""
    for ancestor in (model, *model._meta.get_parent_list()):
        if ancestor._meta.label_lower in SCOPES:
            return SCOPES[ancestor._meta.label_lower]
    return Scope()


def _groups(user: User) -> frozenset[str]:
    held: frozenset[str] | None = user.__dict__.get("_group_names")
    if held is None:
        held = frozenset(user.groups.values_list("name", flat=True))
        user.__dict__["_group_names"] = held
    return held


def is_administrator(user: Visitor) -> bool:
    """Whether the user keeps every agency's book."""
    return isinstance(user, User) and user.is_active and (user.is_superuser or ADMINISTRATOR in _groups(user))


def is_supervisor(user: Visitor) -> bool:
    """Whether the user watches over every agency's book, and therefore changes nothing in any."""
    return isinstance(user, User) and user.is_active and not is_administrator(user) and SUPERVISOR in _groups(user)


def sees_all_agencies(user: Visitor) -> bool:
    """Return True if the user reads every agency's rows."""
    return is_administrator(user) or is_supervisor(user)


def visible(queryset: QuerySet[M], user: Visitor) -> QuerySet[M]:
    """The rows of ``queryset`` that ``user`` may know of."""
    if not isinstance(user, User) or not user.is_active:
        return queryset.none()
    if sees_all_agencies(user):
        return queryset
    rule = scope(queryset.model)
    if rule.public:
        return queryset
    if user.agency is None or not rule.seen:
        return queryset.none()
    own = user.agency.code if rule.by_code else user.agency_id
    return queryset.filter(reduce(or_, (Q(**{path: own}) for path in rule.seen)))


def referable(model: type[Model], field: str, user: Visitor) -> QuerySet[Any]:
    """The rows to which ``user`` may point in the foreign key ``field`` of ``model``."""
    target = model._meta.get_field(field).related_model
    assert isinstance(target, type)
    assert issubclass(target, Model)
    owner = model._meta.get_field(field).model
    rows = target._default_manager.all()
    foreign = (owner._meta.label_lower, field) in FOREIGN and isinstance(user, User) and user.is_active
    if foreign:
        return rows
    rows = visible(rows, user)
    if HANGING.get(owner._meta.label_lower) == field and isinstance(user, User):
        rows = rows.filter(kind__in=[kind for kind, right in KINDS.items() if user.has_perm(right)])
    return rows


def may_change(user: Visitor, row: Model) -> bool:
    """Whether ``user`` may write ``row`` as it now stands, saved or not.

    Ask before a change and after it: a row must not be moved into another agency's book either.
    """
    if not isinstance(user, User) or not user.is_active or row._meta.label_lower in FROZEN:
        return False
    if is_administrator(user):
        return True
    if is_supervisor(user) or user.agency_id is None:
        return False
    if not any(_owner(row, path) == user.agency_id for path in scope(type(row)).changed):
        return False
    hanging = HANGING.get(row._meta.label_lower)
    return hanging is None or user.has_perm(KINDS[getattr(row, hanging).kind])


def _owner(row: Model, path: str) -> Any:
    """The id of the agency at the end of ``path``, None where the path breaks off."""
    *steps, last = path.split("__")
    held: Any = row
    for step in steps:
        if held is None or getattr(held, step + "_id") is None:
            return None
        held = getattr(held, step)
    return getattr(held, last + "_id", None)
