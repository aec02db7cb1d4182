"""What does not work, and works again: backends, sources, the server itself. Each is reported once, also if it flaps.

Something is reported when it has not worked for HOLD_DOWN, short recoveries included, and does not work now. It is
reported as well when it has worked without a break for as long as its kind asks. What nobody calls is neither ill nor
well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from registry.models import Event, Illness, User
from registry.notifications.recipients import members
from registry.notifications.writing import notify, page_of

HOLD_DOWN, RECOVERED = timedelta(minutes=2), timedelta(minutes=5)
#: After this time without an observation an illness is forgotten.
FORGOTTEN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom an event concerns, and what a message says of it: its page, and its name by the key of KINDS."""

    recipients: Iterable[User]
    url: str
    context: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Observed:
    """Things with a health, of one kind."""

    kind: str
    ill: Event
    well: Event
    #: Returns whether each works, by id, as far as that is known now.
    states: Callable[[], Mapping[int, bool]]
    #: Returns what a message says of one, None if it is gone.
    subject: Callable[[int], Subject | None]
    #: For how long it must work until it counts as well.
    recovered: timedelta = RECOVERED

    @classmethod
    def of_agencies(
        cls, kind: str, model: Any, ill: Event, well: Event, right: str, states: Callable[[], Mapping[int, bool]]
    ) -> Observed:
        """Return rows of agencies, of which those of the agency who have a right are notified."""

        def subject(ref: int) -> Subject | None:
            row = model.objects.filter(pk=ref).select_related("agency").first()
            return Subject(members(row.agency, right), page_of(row), {kind: str(row)}) if row else None

        return cls(kind, ill, well, states, subject)


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
    if now - row.well_since < observed.recovered:
        return False
    row.delete()
    return row.reported and _notify(observed, observed.well, row)


def _notify(observed: Observed, event: Event, row: Illness) -> bool:
    subject = observed.subject(row.ref)
    if subject is None:
        return False
    notify(event, subject.recipients, url=subject.url, **subject.context)
    return True
