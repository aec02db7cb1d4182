"""Undeclared personal data that calls had in their responses, counted by day: from the records that are shipped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.db.models import Count
from django.utils import timezone

from registry.models import GuardFinding, Operation
from registry.models.egress import KINDS, PLACE, RANKS
from registry.outcomes import COUNTED

#: The most places of an operation and a day. Others are counted as one without a name.
MOST_PLACES = 100
#: The protocols of those who get data: callers, jobs, and the bus where it calls as an application.
_PROTOCOLS = COUNTED | {"job"}
#: Rows that are written at once.
_CHUNK = 200
#: The operation, the day, the place and the kind.
_Key = tuple[int, date, str, str]


@dataclass(slots=True)
class _Sum:
    guard: str
    last_at: datetime
    calls: int = 0
    found: int = 0


def of_line(line: dict[str, Any]) -> dict[str, Any]:
    """Return what the end line of a call, or the line of a part of a job, says. Raises an error for another line."""
    found = [(place[:PLACE], kind, int(number)) for place, kind, number in line["guard"] if kind in KINDS]
    return {"found": found, "guard": line["guard_rule"] if line["guard_rule"] in RANKS else "alarm"}


def of_job(line: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a line of a job. Raises an error for another line."""
    at = datetime.fromtimestamp(line["at"], UTC)
    return {"operation_ref": int(line["op"]), "started_at": at, "protocol": "job", "guarded": of_line(line)}


def store(records: Iterable[dict[str, Any]]) -> None:
    """Add what these records say. It is done in the transaction in which they are stored."""
    sums = _sums(records)
    if not sums:
        return
    known = set(Operation.objects.filter(pk__in={key[0] for key in sums}).values_list("pk", flat=True))
    sums = {key: each for key, each in sums.items() if key[0] in known}
    days = {key[1] for key in sums}
    there = GuardFinding.objects.filter(operation__in=known, day__in=days)
    rows = {(row.operation_id, row.day, row.place, row.kind): row for row in there}
    full = _full(known, days)
    new, changed = dict[_Key, GuardFinding](), dict[_Key, GuardFinding]()
    for key, each in sums.items():
        if key not in rows and key[:2] in full:
            key = (*key[:2], "", key[3])
        row = rows.get(key) or new.get(key)
        if row is None:
            operation, day, place, kind = key
            row = new[key] = GuardFinding(operation_id=operation, day=day, place=place, kind=kind, last_at=each.last_at)
        elif row.pk:
            changed[key] = row
        row.calls += each.calls
        row.found += each.found
        row.guard, row.last_at = each.guard, max(row.last_at, each.last_at)
    GuardFinding.objects.bulk_create(new.values())
    GuardFinding.objects.bulk_update(changed.values(), ["calls", "found", "guard", "last_at"], batch_size=_CHUNK)


def _sums(records: Iterable[dict[str, Any]]) -> dict[_Key, _Sum]:
    sums: dict[_Key, _Sum] = {}
    for record in records:
        guarded, operation = record.get("guarded"), record["operation_ref"]
        if not guarded or operation is None or record["protocol"] not in _PROTOCOLS:
            continue
        at = record["started_at"]
        for place, kind, number in guarded["found"]:
            key = operation, timezone.localdate(at), place, kind
            each = sums.setdefault(key, _Sum(guarded["guard"], at))
            each.calls += 1
            each.found += number
            each.guard, each.last_at = guarded["guard"], max(each.last_at, at)
    return sums


def _full(operations: Iterable[int], days: Iterable[date]) -> set[tuple[int, date]]:
    """Return the operations and days that have the most places already."""
    rows = (
        GuardFinding.objects.filter(operation__in=operations, day__in=days).order_by().values_list("operation", "day")
    )
    return {(operation, day) for operation, day, number in rows.annotate(number=Count("pk")) if number >= MOST_PLACES}


def prune(before: datetime) -> None:
    """Delete what was found last before a moment."""
    GuardFinding.objects.filter(last_at__lt=before).delete()
