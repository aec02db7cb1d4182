"""Backends and sources that do not work, and that work again: reported once each, also when they flap.

Something is reported when it has not worked for HOLD_DOWN, short recoveries included, and does not work now. It is
reported as well when it has worked for RECOVERED without a break. What nobody calls is neither ill nor well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from registry.models import Event, Illness
from registry.notifications.recipients import members
from registry.notifications.writing import notify

HOLD_DOWN, RECOVERED = timedelta(minutes=2), timedelta(minutes=5)
#: After this time without an observation an illness is forgotten.
FORGOTTEN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Observed:
    """Things with a health, of one kind."""

    kind: str
    model: Any
    ill: Event
    well: Event
    #: The right of those who are in charge of them.
    right: str
    #: Returns whether each works, by id, as far as that is known now.
    states: Callable[[], Mapping[int, bool]]


#: What has a health. Each package adds its own when its app is ready.
OBSERVED: list[Observed] = []


def report(now: datetime) -> int:
    """Compare the health of all things with what was reported, and notify. Return the number of events."""
    return sum(_report(each, now) for each in OBSERVED)


def _report(observed: Observed, now: datetime) -> int:
    states = observed.states()
    known = {row.ref: row for row in Illness.objects.filter(kind=observed.kind)}
    for ref, works in states.items():
        if not works and ref not in known:
            known[ref] = Illness(kind=observed.kind, ref=ref, began_at=now, ill_at=now)
    return sum(_step(observed, row, states.get(ref), now) for ref, row in known.items())


@transaction.atomic
def _step(observed: Observed, row: Illness, works: bool | None, now: datetime) -> bool:
    """Take one observation of something that is or was ill. Return True if it was reported."""
    if works is None:
        if now - max(row.ill_at, row.well_since or row.ill_at) > FORGOTTEN:
            row.delete()
        return False
    if not works:
        row.ill_at, row.well_since = now, None
        due = not row.reported and now - row.began_at >= HOLD_DOWN
        row.reported = row.reported or due
        row.save()
        return due and _notify(observed, observed.ill, row)
    if row.well_since is None:
        row.well_since = now
        row.save()
    if now - row.well_since < RECOVERED:
        return False
    row.delete()
    return row.reported and _notify(observed, observed.well, row)


def _notify(observed: Observed, event: Event, row: Illness) -> bool:
    subject = observed.model.objects.filter(pk=row.ref).select_related("agency").first()
    if subject is None:
        return False
    notify(event, members(subject.agency, observed.right), about=subject, **{observed.kind: str(subject)})
    return True
