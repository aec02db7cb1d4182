"""Incidents: who may handle one, its number, its objects, its timeline and its states."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry import tenancy
from registry.models import (
    Agency,
    Incident,
    IncidentNote,
    IncidentObject,
    SnapshotVersion,
    Stop,
    StopKind,
    StopOrigin,
    User,
)
from registry.models.bounds import check_number
from registry.stop_targets import Target, target_of

#: The rights to see incidents, and to handle them.
VIEW, CHANGE = "registry.view_incident", "registry.change_incident"
#: What the numbers of the administrators' own incidents begin with.
OF_THE_BUS = "MANTRA"

Step = IncidentNote.Step
State = Incident.State
_STEPS = {State.OPEN: Step.REOPENED, State.CONTAINED: Step.CONTAINED, State.REPORTED: Step.REPORTED,
          State.CLOSED: Step.CLOSED}  # fmt: skip


def seen_by(user: tenancy.AnyUser) -> QuerySet[Incident]:
    """Return the incidents that ``user`` may see."""
    rows = tenancy.visible(Incident.objects.all(), user)
    return rows if user.has_perm(VIEW) else rows.none()


def may_open(user: tenancy.AnyUser) -> bool:
    """Return True if ``user`` may open incidents: of the own agency, an administrator of the bus."""
    if not isinstance(user, User) or not user.is_active or not user.has_perm(CHANGE):
        return False
    return tenancy.is_administrator(user) or (user.agency_id is not None and not tenancy.is_supervisor(user))


def may_handle(user: tenancy.AnyUser, incident: Incident) -> bool:
    """Return True if ``user`` may write to an incident, stop for it, and change its state."""
    return may_open(user) and tenancy.may_change(user, incident)


def open_incident(
    title: str,
    period_from: datetime,
    by: User | None = None,
    agency: Agency | None = None,
    targets: Iterable[Target] = (),
    noticed_at: datetime | None = None,
) -> Incident:
    """Open an incident. Without ``by`` a rule has. Raises ValidationError or PermissionDenied."""
    if by is not None and not may_open(by):
        raise PermissionDenied
    with transaction.atomic():
        SnapshotVersion.lock()  # nobody else takes the same number meanwhile
        owner = (None if tenancy.is_administrator(by) else by.agency) if by is not None else agency
        check_number(Incident.objects.filter(agency=owner), "incidents")
        row = Incident(
            number=_next_number(owner), agency=owner, title=title.strip(), period_from=period_from, opened_by=by,
            origin=StopOrigin.USER if by is not None else StopOrigin.RULE, noticed_at=noticed_at or timezone.now(),
        )  # fmt: skip
        row.full_clean()
        row.save()
        note(row, by, step=Step.OPENED)
        for target in targets:
            add_object(row, target)
    return row


def _next_number(agency: Agency | None) -> str:
    prefix = f"{agency.code if agency is not None else OF_THE_BUS}/{timezone.localdate().year}/"
    serial = Incident.objects.filter(number__startswith=prefix).count() + 1
    while Incident.objects.filter(number=f"{prefix}{serial:04d}").exists():
        serial += 1
    return f"{prefix}{serial:04d}"


def add_object(incident: Incident, target: Target) -> None:
    """Add what an incident is about. What is there already stays. Raises ValidationError if there are too many."""
    found = incident.objects_of.filter(kind=target.kind, ref=target.ref)
    if found.exists():
        return
    if incident.objects_of.count() >= Incident.MAX_OBJECTS:
        raise ValidationError(_("An incident has at most %(most)d objects."), params={"most": Incident.MAX_OBJECTS})
    IncidentObject.objects.create(incident=incident, kind=target.kind, ref=target.ref, name=target.name)


def note(incident: Incident, by: User | None, text: str = "", step: str = Step.NOTE, about: str = "") -> None:
    """Add a line to the timeline. Raises ValidationError if it is full; steps other than notes always fit."""
    if step == Step.NOTE:
        if not text.strip():
            raise ValidationError({"text": _("Write something.")})
        if incident.notes.filter(step=Step.NOTE).count() >= Incident.MAX_NOTES:
            raise ValidationError(_("The timeline has at most %(most)d notes."), params={"most": Incident.MAX_NOTES})
    row = IncidentNote(incident=incident, by=by, text=text.strip(), step=step, about=about)
    row.full_clean(exclude=["incident", "by"])
    row.save()


def stopped(incident: Incident, stop: Stop, by: User | None) -> None:
    """Note a stop in the timeline of its incident, whose object becomes one of the incident's."""
    add_object(incident, target_of(stop.kind, stop.ref))
    note(incident, by, stop.reason, Step.STOPPED, str(stop)[:300])


def released(incident: Incident, stop: Stop, by: User | None) -> None:
    """Note the release of a stop in the timeline of its incident, with what was done before it."""
    done = "; ".join(str(label) for label in stop.check_labels)
    note(incident, by, f"{stop.released_reason}\n{done}".strip(), Step.RELEASED, str(stop)[:300])


def follow(incident: Incident, state: str, by: User, text: str = "") -> Incident:
    """Change the state. Raises ValidationError or PermissionDenied."""
    with transaction.atomic():
        row = Incident.objects.select_for_update().get(pk=incident.pk)
        if not may_handle(by, row):
            raise PermissionDenied
        if state == State.CLOSED and row.stops.filter(released_at=None).exists():
            raise ValidationError(_("Release the stops of the incident before you close it."))
        row.follow(state)
        row.save()
        note(row, by, text, _STEPS[State(state)])
    return row


#: The order in which stops are released: what shuts out fewest comes first.
_NARROW_FIRST = (
    StopKind.OPERATION, StopKind.GRANT, StopKind.KEY, StopKind.APPLICATION, StopKind.SOURCE, StopKind.BACKEND,
    StopKind.AGENCY, StopKind.ALL,
)  # fmt: skip


def in_order(stops: Iterable[Stop]) -> list[Stop]:
    """Return stops in the order in which they should be released: narrow ones first."""
    return sorted(stops, key=lambda stop: (_NARROW_FIRST.index(StopKind(stop.kind)), stop.name, stop.pk))
