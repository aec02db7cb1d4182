"""The latest calls, as they come in: the page polls itself until it is paused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from mantra.statistics import words
from mantra.statistics.overall import sentence
from mantra.statistics.scopes import Scope
from registry import outcomes, tenancy
from registry.models import CallRecord, User
from registry.models.history import FAILED_OR_BUS
from registry.statistics.reading import Selection

#: Seconds between two looks of an open page, and the calls on it.
SECONDS, LINES = 5, 30
#: How a call ended → the colour of its label.
_COLOURS = {"answered": "yes", "refused": "warn", "aborted": "warn", "failed": "no", "bus": "no"}


@dataclass(frozen=True, slots=True)
class Line:
    """A call of the list. ``colour``: of its outcome's label, as on the health board."""

    url: str
    began: datetime
    outcome: str
    colour: str
    operation: str
    caller: str
    rows: str
    duration: str


def lines(scope: Scope, user: User, only_ill: bool) -> list[Line]:
    """Return the latest calls of a scope that the user may see. ``only_ill``: those that were refused or failed."""
    found = tenancy.visible(CallRecord.objects.filter(protocol__in=outcomes.COUNTED), user)
    found = _of(found, scope.selection)
    if only_ill:
        found = found.filter(FAILED_OR_BUS | ~Q(outcome__in=(0, outcomes.OK)))
    return list(_lines(found.order_by("-started_at", "-id")[:LINES]))


def _of(records: QuerySet[CallRecord], selection: Selection) -> QuerySet[CallRecord]:
    """Return the records of a selection."""
    given = {"agency": selection.provider, "service": selection.service, "consumer_agency": selection.consumer,
             "application": selection.application}  # fmt: skip
    records = records.filter(**{column: code for column, code in given.items() if code})
    if selection.operations is not None:
        records = records.filter(operation_ref__in=selection.operations)
    if selection.agency:
        records = records.filter(Q(agency=selection.agency) | Q(consumer_agency=selection.agency))
    return records


def _lines(records: QuerySet[CallRecord]) -> Iterator[Line]:
    for record in records:
        operation = "/".join(filter(None, (record.agency, record.service, record.operation)))
        caller = "/".join(filter(None, (record.consumer_agency, record.application)))
        url = reverse("admin:registry_callrecord_change", args=(record.pk,))
        duration = None if record.duration_us is None else record.duration_us / 1000
        yield Line(
            url, record.started_at, *_outcome(record), operation or words.NOTHING, caller or _("(without a key)"),
            words.text_of(record.rows, "number"), words.text_of(duration, "ms"),
        )  # fmt: skip


def _outcome(record: Any) -> tuple[str, str]:
    """Return how a call ended, and the colour of it."""
    if record.outcome == 0:
        return _("in progress"), "mute"
    how = outcomes.ended(record.outcome, record.status, record.broken)
    return sentence(record.outcome, how), _COLOURS[how]
