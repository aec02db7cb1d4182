"""Stops: who may stop what, and who may release it again. Their rules hold for pages, the API, commands and rules.

A stop is a row of the registry: every process has it with its next snapshot, before all other changes.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry import incidents, stop_notices, tenancy
from registry.models import Agency, Incident, SnapshotVersion, Stop, StopKind, StopOrigin, User
from registry.stop_targets import Target, find, kind_of, model_of, target_of, target_of_row

__all__ = [
    "Target", "in_force", "is_inside", "is_stopped", "join", "kind_of", "may_release", "may_stop", "model_of",
    "recently_in_force", "release", "seen_target", "stop", "stop_or_find", "stops_of", "target_of", "target_of_row",
]  # fmt: skip


# ------------------------------------------------------------------------------ who may


def may_stop(user: tenancy.AnyUser, target: Target) -> bool:
    """Return True if ``user`` may stop this: an administrator anything, others what they may change."""
    if not isinstance(user, User) or not user.is_active:
        return False
    if tenancy.is_administrator(user):
        return True
    if target.row is None or isinstance(target.row, Agency):
        return False
    right = _right_of(target)
    return user.has_perm(right) and tenancy.may_change(user, target.row)


def seen_target(user: tenancy.AnyUser, kind: str, name: str = "", pk: int = 0) -> Target:
    """Return the object with a name, or without one that with an id, among what ``user`` may see.

    Raises ValidationError, the same for what others have and for what nobody has.
    """
    if name or kind == StopKind.ALL:
        return find(kind, name, lambda rows: tenancy.visible(rows, user))
    row = tenancy.visible(model_of(kind)._default_manager.filter(pk=pk), user).first()
    if row is None:
        raise ValidationError(_("There is nothing like this to stop."))
    return target_of_row(row)


def _right_of(target: Target) -> str:
    if target.kind == StopKind.OPERATION:
        return tenancy.KINDS[target.row.kind]  # type: ignore[union-attr]
    meta = model_of(target.kind)._meta
    return f"{meta.app_label}.change_{meta.model_name}"


def is_inside(user: User, stop: Stop) -> bool:
    """Return True if ``user`` may see why and by whom something was stopped. Those who are shut out see that it is."""
    return tenancy.sees_all_agencies(user) or user.agency_id in (stop.agency_id, stop.owner_id)


def may_release(user: tenancy.AnyUser, stop: Stop) -> bool:
    """Return True if ``user`` may release a stop: an administrator any, others one of their own agency's people.

    So an agency cannot end what the administrators have stopped.
    """
    if not isinstance(user, User) or not user.is_active or not stop.is_in_force:
        return False
    if tenancy.is_administrator(user):
        return True
    if stop.agency_id is None or stop.agency_id != user.agency_id:
        return False
    try:
        target = target_of(stop.kind, stop.ref)
    except ValidationError:  # its object is gone
        return tenancy.roles(user) != frozenset() and not tenancy.is_supervisor(user)
    return may_stop(user, target)


# ------------------------------------------------------------------------------ stopping and releasing


def stop(
    kind: str,
    pk: int,
    reason: str,
    by: User | None = None,
    incident: Incident | None = None,
    origin: str = "",
) -> Stop:
    """Stop an object, or return the stop that is in force already. Raises ValidationError or PermissionDenied.

    The parameters are those of stop_or_find().
    """
    return stop_or_find(kind, pk, reason, by, incident, origin)[0]


def stop_or_find(
    kind: str,
    pk: int,
    reason: str,
    by: User | None = None,
    incident: Incident | None = None,
    origin: str = "",
) -> tuple[Stop, bool]:
    """Stop an object. Return the stop, and True; False if it was in force already.

    Raises ValidationError or PermissionDenied.

    Without ``by`` a rule has done it: the agency that the object belongs to may release it. ``origin`` "operator": a
    command has; then only administrators may.
    """
    target = target_of(kind, pk)
    if by is not None and not may_stop(by, target):
        raise PermissionDenied
    source = StopOrigin(origin) if origin else StopOrigin.USER if by is not None else StopOrigin.RULE
    with transaction.atomic():
        SnapshotVersion.lock()  # nobody else stops the same meanwhile
        agency = _releasing(target, by, source)
        earlier = Stop.in_force().filter(kind=target.kind, ref=target.ref, agency=agency).first()
        if earlier is not None:
            return earlier, False
        row = Stop(
            kind=target.kind, ref=target.ref, name=target.name, agency=agency, owner=target.owner,
            caller=_caller_of(target), reason=reason, origin=source, started_by=by, incident=incident,
        )  # fmt: skip
        row.full_clean()
        row.save()
        if incident is not None:
            incidents.stopped(incident, row, by)
        stop_notices.stopped(row, target)
    return row, True


def _caller_of(target: Target) -> Agency | None:
    """Return the agency whose application a grant shuts out."""
    return target.row.application.agency if target.kind == StopKind.GRANT else None  # type: ignore[union-attr]


def _releasing(target: Target, by: User | None, origin: str) -> Agency | None:
    """Return the agency whose people may release a stop; None for the administrators only."""
    if by is not None:
        return None if tenancy.is_administrator(by) else by.agency
    return target.owner if origin == StopOrigin.RULE else None


def release(stop: Stop, reason: str, by: User | None = None, checks: Collection[str] = ()) -> Stop:
    """End a stop. Without ``by`` an operator has done it by a command. Raises ValidationError or PermissionDenied."""
    with transaction.atomic():
        SnapshotVersion.lock()
        row = Stop.objects.select_for_update().get(pk=stop.pk)
        if not row.is_in_force:
            raise ValidationError(_("This stop was released already."))
        if by is not None and not may_release(by, row):
            raise PermissionDenied
        if not reason.strip():
            raise ValidationError({"released_reason": _("Enter a reason.")})
        row.released_by, row.released_at, row.released_reason = by, timezone.now(), reason
        row.checks = " ".join(name for name in Stop.CHECKS if name in checks)
        row.full_clean()
        row.save()
        if row.incident is not None:
            incidents.released(row.incident, row, by)
        stop_notices.released(row, _target_or_none(row))
    return row


def join(stop: Stop, incident: Incident, by: User) -> None:
    """Make a stop one of an incident's that the user handles. Raises PermissionDenied."""
    if not incidents.may_handle(by, incident):
        raise PermissionDenied
    with transaction.atomic():
        SnapshotVersion.lock()
        row = Stop.objects.select_for_update().get(pk=stop.pk)
        if row.incident is None:
            row.incident = incident
            row.save(update_fields=["incident"])
            incidents.stopped(incident, row, by)


def _target_or_none(stop: Stop) -> Target | None:
    try:
        return target_of(stop.kind, stop.ref)
    except ValidationError:
        return None  # its object is gone


# ------------------------------------------------------------------------------ what is in force


def in_force() -> frozenset[tuple[str, int]]:
    """Return kind and id of all objects that are stopped, from the tables; ("all", 0) for all calls."""
    return Stop.stopped()


def is_stopped(*objects: tuple[str, int]) -> bool:
    """Return True if one of these objects, or everything, is stopped, from the tables."""
    return not in_force().isdisjoint({(StopKind.ALL.value, 0), *objects})


def recently_in_force() -> frozenset[tuple[str, int]]:
    """Return in_force() as it was a moment ago, for a process without a snapshot that asks often."""
    at, stops = _Recent.read
    if time.monotonic() - at > RECENT_SECONDS:
        stops = in_force()
        _Recent.read = (time.monotonic(), stops)
    return stops


#: Seconds for which recently_in_force() does not read again.
RECENT_SECONDS = 0.3


class _Recent:
    read: tuple[float, frozenset[tuple[str, int]]] = (float("-inf"), frozenset())


def stops_of(row: Model) -> QuerySet[Stop]:
    """Return the stops in force of a row itself."""
    target = target_of_row(row)
    return Stop.in_force().filter(kind=target.kind, ref=target.ref)
