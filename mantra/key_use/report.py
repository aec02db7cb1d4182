"""What a key opens, and what was fetched with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Min, QuerySet, Sum
from django.utils import timezone

from registry import tenancy
from registry.models import AccessKey, CallRecord, Field, Grant, KeyNetwork, Operation, User, names

#: How far back calls are counted, and how many of them at most: the latest.
DAYS, MOST_CALLS = 90, 50_000
#: The most operations and networks that are listed.
LINES = 200
#: From the least sensitive on.
_CLASSES = [value for value, _label in Field.Classification.choices]


@dataclass(frozen=True, slots=True)
class Opened:
    """An operation that a key opens: the columns, and the highest classification of them."""

    operation: Operation
    grant: Grant
    in_force: bool
    fields: tuple[str, ...]
    classification: Any


@dataclass(frozen=True, slots=True)
class Fetched:
    """The calls of one operation with a key."""

    operation: str
    calls: int
    succeeded: int
    rows: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Use:
    """``more``: only the latest calls are counted. ``persons``: those that the counted calls were about."""

    key: AccessKey
    opened: tuple[Opened, ...]
    fetched: tuple[Fetched, ...]
    networks: tuple[KeyNetwork, ...]
    calls: int
    rows: int
    persons: int
    since: datetime
    more: bool


def use_of(user: User | None, key: AccessKey, now: datetime | None = None) -> Use:
    """Return what a key opens, of what the user may see, and what was fetched with it in the last DAYS days.

    None: for who operates the bus.
    """
    since = (now or timezone.now()) - timedelta(days=DAYS)
    rows = CallRecord.objects.filter(key_ref=key.pk, started_at__gte=since).order_by("-started_at")
    ids = list(rows.values_list("started_at", flat=True)[: MOST_CALLS + 1])
    more = len(ids) > MOST_CALLS
    if more:
        since = ids[MOST_CALLS - 1]
    counted = rows.filter(started_at__gte=since)
    fetched = tuple(_fetched(counted))
    return Use(
        key=key,
        opened=tuple(_opened(user, key)),
        fetched=fetched,
        networks=tuple(key.seen_networks.select_related("confirmed_by")[:LINES]),
        calls=sum(each.calls for each in fetched),
        rows=sum(each.rows for each in fetched),
        persons=_persons(counted),
        since=since,
        more=more,
    )


def _fetched(rows: Any) -> list[Fetched]:
    """Return the calls by operation, those that fetched most first."""
    by_operation = rows.order_by().values_list("agency", "service", "operation")
    counted = by_operation.annotate(Count("pk"), Sum("rows"), Min("started_at"), Max("started_at"))
    numbers = {"/".join(row[:3]): row[3:] for row in counted[: LINES * 10]}
    good = rows.filter(outcome=200).order_by().values_list("agency", "service", "operation")
    succeeded = {"/".join(row[:3]): row[3] for row in good.annotate(calls=Count("pk"))[: LINES * 10]}
    found = [
        Fetched(name, calls, succeeded.get(name, 0), fetched or 0, first, last)
        for name, (calls, fetched, first, last) in numbers.items()
    ]
    return sorted(found, key=lambda each: (-each.rows, -each.calls, each.operation))[:LINES]


def _persons(rows: Any) -> int:
    found: set[str] = set()
    for subjects in rows.exclude(subjects="").values_list("subjects", flat=True).iterator(2_000):
        found.update(subjects.split(", "))
    return len(found)


def _opened(user: User | None, key: AccessKey) -> list[Opened]:
    """Return the operations that a key opens, the most sensitive first."""
    grants: QuerySet[Grant] = Grant.objects.filter(application=key.application, state=Grant.State.APPROVED)
    if key.operation_id is not None:
        grants = grants.filter(operation=key.operation_id)
    grants = grants if user is None else tenancy.visible(grants, user)
    grants = grants.select_related("operation__service__agency", "application__agency")
    found = [_of_grant(grant) for grant in grants.prefetch_related("operation__fields")[:LINES]]
    return sorted(found, key=_sensitivity, reverse=True)


def _of_grant(grant: Grant) -> Opened:
    granted = set(names(grant.fields))
    columns = [field for field in grant.operation.fields.all() if not granted or field.name in granted]
    highest = max((_CLASSES.index(field.classification) for field in columns), default=-1)
    label = dict(Field.Classification.choices)[_CLASSES[highest]] if highest >= 0 else ""
    in_force = grant.standing == Grant.Standing.IN_FORCE and grant.operation.state in CALLABLE
    return Opened(grant.operation, grant, in_force, tuple(field.name for field in columns), label)


#: The states of operations that can be called.
CALLABLE = (Operation.State.PUBLISHED, Operation.State.DEPRECATED)


def _sensitivity(opened: Opened) -> tuple[bool, int]:
    labels: Sequence[Any] = [str(label) for _value, label in Field.Classification.choices]
    return opened.in_force, labels.index(str(opened.classification)) if opened.classification else -1
