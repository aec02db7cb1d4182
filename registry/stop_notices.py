"""Notifying those whom a stop concerns: whose it is, who is shut out, and the administrators."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from registry.models import Agency, Event, Grant, Operation, Stop, StopKind, User
from registry.notifications.recipients import administrators, members, with_right
from registry.notifications.writing import notify
from registry.pages import address
from registry.stop_targets import Target

_OFFERS, _CALLS = "registry.change_grant", "registry.change_application"


def stopped(stop: Stop, target: Target) -> None:
    """Notify the people whom a new stop concerns, except the one who made it."""
    _notify(Event.CALLS_STOPPED, stop, target)


def released(stop: Stop, target: Target | None) -> None:
    """Notify the people whom a stop has concerned. Of an object that is gone only the administrators."""
    _notify(Event.CALLS_RELEASED, stop, target)


def _notify(event: Event, stop: Stop, target: Target | None) -> None:
    actor = stop.started_by_id if event == Event.CALLS_STOPPED else stop.released_by_id
    told = {user.pk: user for user in (*administrators(), *(_insiders(target) if target is not None else ()))}
    told.pop(actor or 0, None)
    notify(event, told.values(), url=address("containment_stop", stop.pk), what=stop.name)
    if target is not None:
        # They see no page of the stop, which is another agency's.
        callers = [user for user in _callers(target) if user.pk not in told and user.pk != actor]
        notify(event, callers, url=address("catalogue"), what=stop.name)


def _insiders(target: Target) -> list[User]:
    """Return the people of the agency that an object belongs to, and of the one whose application a grant shuts out."""
    if target.owner is None:
        return []
    found = [*members(target.owner, _OFFERS)] if target.kind not in (StopKind.KEY, StopKind.APPLICATION) else []
    if target.kind in (StopKind.KEY, StopKind.APPLICATION, StopKind.AGENCY):
        found += members(target.owner, _CALLS)
    if isinstance(target.row, Grant):
        found += members(target.row.application.agency, _CALLS)
    return found


def _callers(target: Target) -> list[User]:
    """Return the people whose applications call what is stopped."""
    if target.kind == StopKind.ALL:
        return [*with_right(_OFFERS), *with_right(_CALLS)]
    operations = operations_of(target)
    if operations is None:
        return []
    grants = Grant.objects.filter(operation__in=operations, state=Grant.State.APPROVED)
    agencies = Agency.objects.filter(applications__in=grants.values("application"))
    return list(with_right(_CALLS).filter(agency__in=agencies))


def operations_of(target: Target) -> QuerySet[Operation] | None:
    """Return the operations that a stop of this shuts, None if it is a caller that is shut out."""
    rows = Operation.objects.listed()
    conditions = {
        StopKind.OPERATION: Q(pk=target.ref),
        StopKind.SOURCE: Q(dataoperation__source=target.ref),
        StopKind.BACKEND: Q(proxyoperation__backend=target.ref),
        StopKind.AGENCY: Q(service__agency=target.ref),
        StopKind.ALL: Q(),
    }
    condition = conditions.get(target.kind)
    return None if condition is None else rows.filter(condition)
