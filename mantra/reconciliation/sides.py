"""What may be a side of a reconciliation, for whom, and the columns that it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from dataservices.models import DataOperation
from mantra.reconciliation.models import Reconciliation, Side
from mantra.reconciliation.pairs import Column
from proxyservices.models import ProxyOperation
from registry import tenancy
from registry.models import Application, Field, Grant, Operation, User
from registry.personal_data.masks import DROPPED, sent_type

CHANGE = "reconciliation.change_reconciliation"
#: Who may issue an application's keys may read what it is granted: registry.add_accesskey, as for trials.
VOUCH = "registry.add_accesskey"
#: The value of a choice that stands for an uploaded file.
FILE = "file"
#: The most choices that a form offers.
MOST = 1_000
#: The kinds of operations that give lists.
_KINDS = ("data", "proxy")
_CALLABLE = (Operation.State.PUBLISHED, Operation.State.DEPRECATED)


@dataclass(frozen=True, slots=True)
class Choice:
    """An operation that a user may choose: "own:7", or "app:3:7" as an application."""

    value: str
    label: str


def choices(user: User) -> list[Choice]:
    """Return the operations that a user may choose, those of the own agency first."""
    return [*_own(user), *_granted(user)][:MOST]


def _own(user: User) -> list[Choice]:
    if user.agency_id is None:
        return []
    kinds = [kind for kind in _KINDS if user.has_perm(tenancy.KINDS[kind])]
    rows = _readable().filter(service__agency=user.agency_id, kind__in=kinds)
    return [Choice(f"own:{row.pk}", f"{_name(row)} ({row.address})") for row in rows[:MOST]]


def _granted(user: User) -> list[Choice]:
    if user.agency_id is None or not user.has_perm(VOUCH):
        return []
    grants = in_force().filter(application__agency=user.agency_id, operation__in=_readable())
    grants = grants.select_related("application", "operation__service__agency").order_by("operation__title", "pk")
    return [
        Choice(
            f"app:{grant.application_id}:{grant.operation_id}",
            _("%(operation)s (%(address)s), as %(application)s")
            % {
                "operation": _name(grant.operation),
                "address": grant.operation.address,
                "application": grant.application.title,
            },
        )
        for grant in grants[:MOST]
    ]


def _name(operation: Operation) -> str:
    return operation.title or operation.code


def _readable() -> Any:
    """Return the operations with declared columns that read, and whose responses the bus reads."""
    writing = DataOperation.objects.filter(writes=True).order_by().values("pk")
    passing = ProxyOperation.objects.filter(style=ProxyOperation.Style.PASS_THROUGH).order_by().values("pk")
    rows = Operation.objects.listed().filter(Exists(Field.objects.filter(operation=OuterRef("pk"))))
    rows = rows.filter(state__in=_CALLABLE, kind__in=_KINDS).exclude(pk__in=writing).exclude(pk__in=passing)
    return rows.select_related("service__agency").order_by("title", "pk")


def in_force() -> Any:
    """Return the grants that are in force today."""
    today = timezone.localdate()
    rows = Grant.objects.filter(state=Grant.State.APPROVED, application__active=True)
    return rows.filter(Q(valid_from=None) | Q(valid_from__lte=today), Q(valid_until=None) | Q(valid_until__gte=today))


def set_choice(side: Side, value: str) -> None:
    """Make a side what a choice says, which choices() has offered."""
    kind, *ids = value.split(":")
    side.kind, side.as_own = Side.Kind.OPERATION, kind == "own"
    side.application = None if side.as_own else Application.objects.get(pk=int(ids[0]))
    side.operation = Operation.objects.get(pk=int(ids[-1]))


def choice_of(side: Side) -> str:
    """Return the choice that a side is."""
    if side.kind == Side.Kind.FILE:
        return FILE
    if side.as_own:
        return f"own:{side.operation_id}"
    return f"app:{side.application_id}:{side.operation_id}"


# ---------------------------------------------------------------------------------------------- rights


def may_use(user: User | None, reconciliation: Reconciliation) -> bool:
    """Return True if a user may change a reconciliation, run it and see its rows: only people of its agency."""
    if user is None or not user.is_active or user.agency_id != reconciliation.agency_id or not user.has_perm(CHANGE):
        return False
    if tenancy.is_supervisor(user):
        return False
    return all(_may_read(user, side) for side in reconciliation.sides.all())


def _may_read(user: User, side: Side) -> bool:
    if side.kind == Side.Kind.FILE or side.operation is None:
        return True
    if not side.as_own:
        return user.has_perm(VOUCH) and (side.application is None or side.application.agency_id == user.agency_id)
    of_agency = side.operation.service.agency_id == user.agency_id
    return of_agency and user.has_perm(tenancy.KINDS.get(side.operation.kind, ""))


# --------------------------------------------------------------------------------------------- columns


def grant_of(side: Side) -> Grant | None:
    """Return the grant by which a side is read; None if there is none in force."""
    if side.as_own or side.application_id is None or side.operation_id is None:
        return None
    found: Grant | None = in_force().filter(application=side.application_id, operation=side.operation_id).first()
    return found


def columns(side: Side) -> list[Column]:
    """Return the columns of a side that may be seen: of an operation those that the grant shows."""
    if side.kind == Side.Kind.FILE:
        return [Column(name, type) for _index, name, _kind, type in side.found.get("columns", ())]
    if side.operation is None:
        return []
    fields = list(side.operation.fields.order_by("position", "pk"))
    sent = {field.name: field.mask for field in fields}
    if not side.as_own:
        grant = grant_of(side)
        if grant is None:
            return []
        sent = grant.sent_masks
    return [
        Column(field.name, sent_type(field.type, sent[field.name])) for field in fields
        if sent.get(field.name, DROPPED) != DROPPED
    ]  # fmt: skip
