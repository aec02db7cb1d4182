"""Writes roll-ups: adds calls that have ended to the hours, days and months of their groups.

The shipping of the journal does so in the transaction that stores the records, so that each call is counted once. All
writers take turns (lock): each reads the sketches that the one before it has written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.utils import timezone

from registry.models import CallDay, CallGroup, CallHour, CallMonth, LeaderLock, SubjectDay
from registry.outcomes import CLASSES, COUNTED, Ended, duration_class, ended
from registry.statistics.sketch import Sketch

Kind = CallGroup.Kind
#: The columns of a group.
Group = tuple[Any, ...]
#: A group, a day, and the hour of a CallHour.
Place = tuple[Any, ...]
#: calls, rows, bytes, duration_us, and the calls by class of duration.
Counts = list[int]

_LOCK = "statistics"
_MEASURES = ("calls", "rows", "bytes", "duration_us")
#: The columns by which stored groups are looked up: those with an index, which leave few others.
_LOOKED_UP = ("operation_ref", "agency", "consumer_agency", "application")
#: The most groups whose ids are remembered.
_MAX_KNOWN = 200_000
#: The most values of one statement.
_MAX_VALUES = 30_000
#: From a response that ended so, personal data may have left.
_LEFT = frozenset((Ended.ANSWERED, Ended.ABORTED))


class EndedCall(NamedTuple):
    """What of a call is counted. ``subjects`` are keyed hashes."""

    started_at: datetime
    protocol: str
    agency: str
    service: str
    operation: str
    operation_ref: int | None
    consumer_agency: str
    application: str
    classification: str
    origin_kind: str
    origin_ref: int | None
    outcome: int
    status: int | None
    broken: bool
    rows: int | None
    bytes: int | None
    duration_us: int | None
    subjects: tuple[str, ...]


def _columns(kind: str, **columns: Any) -> Group:
    """Return a group, with what it does not name empty."""
    empty: dict[str, Any] = {"operation_ref": 0, "origin_ref": 0, "outcome": 0}
    return tuple(kind if name == "kind" else columns.get(name, empty.get(name, "")) for name in CallGroup.COLUMNS)


def _groups(call: EndedCall, how: Ended) -> Iterator[tuple[Group, bool, bool]]:
    """Yield the groups that a call belongs to, and whether their hours and their months are counted."""
    ending = {"outcome": call.outcome, "ended": how.value}
    wire = {"protocol": call.protocol, **ending}
    operation = {
        "agency": call.agency, "service": call.service, "operation": call.operation,
        "operation_ref": call.operation_ref or 0,
    }  # fmt: skip
    application = {"consumer_agency": call.consumer_agency, "application": call.application}
    data = {"classification": call.classification}
    origin = {"origin_kind": call.origin_kind, "origin_ref": call.origin_ref or 0}
    yield _columns(Kind.CALL, **operation, **application, **data, **origin, **wire), True, False
    yield _columns(Kind.BUS, **wire), True, False
    yield _columns(Kind.PROVIDER, agency=call.agency, **wire), True, False
    yield _columns(Kind.CONSUMER, consumer_agency=call.consumer_agency, **wire), True, False
    pair = {"agency": call.agency, "consumer_agency": call.consumer_agency}
    yield _columns(Kind.PAIR, **pair, **data, **ending), False, True
    yield _columns(Kind.OPERATION, **operation, **origin, **ending), False, True
    yield _columns(Kind.APPLICATION, **application, **ending), False, True


def _subject_groups(call: EndedCall) -> Iterator[Group]:
    """Yield the groups whose distinct persons are counted."""
    application = {"consumer_agency": call.consumer_agency, "application": call.application}
    yield _columns(Kind.BUS)
    yield _columns(Kind.PROVIDER, agency=call.agency)
    yield _columns(Kind.CONSUMER, consumer_agency=call.consumer_agency)
    yield _columns(Kind.PAIR, agency=call.agency, consumer_agency=call.consumer_agency)
    yield _columns(Kind.OPERATION, operation_ref=call.operation_ref or 0)
    yield _columns(Kind.APPLICATION, **application)


@dataclass(slots=True)
class Batch:
    """Calls that were counted, and are not written yet."""

    hours: dict[Place, Counts] = field(default_factory=dict)
    days: dict[Place, Counts] = field(default_factory=dict)
    months: dict[Place, Counts] = field(default_factory=dict)
    subjects: dict[Place, set[str]] = field(default_factory=dict)
    #: The groups of calls that agree in what decides them: most calls of a batch are alike.
    _seen: dict[Any, tuple[tuple[Group, bool, bool], ...]] = field(default_factory=dict)

    def add(self, call: EndedCall, zone: tzinfo) -> None:
        """Count a call that has ended. ``zone``: the bus's time zone. Try-outs and views are left out."""
        if call.protocol not in COUNTED:
            return
        how = ended(call.outcome, call.status, call.broken)
        started = call.started_at.astimezone(zone)
        day = started.date()
        measures = 1, call.rows or 0, call.bytes or 0, call.duration_us or 0
        at = len(_MEASURES) + duration_class(measures[3])
        alike = call[1:12], how
        groups = self._seen.get(alike)
        if groups is None:
            groups = self._seen[alike] = tuple(_groups(call, how))
        for group, has_hours, has_months in groups:
            if has_hours:
                _count(self.hours, (group, day, started.hour), measures, at)
            if has_months:
                _count(self.months, (group, day.replace(day=1)), measures, at)
            _count(self.days, (group, day), measures, at)
        if call.subjects and how in _LEFT:
            for group in _subject_groups(call):
                self.subjects.setdefault((group, day), set()).update(call.subjects)

    def write(self) -> None:
        """Add the counts to the stored ones. Call it in a transaction that holds lock()."""
        ids = _ids({place[0] for counts in (self.days, self.subjects) for place in counts})
        _add(CallHour, ("group_id", "day", "hour"), self.hours, ids)
        _add(CallDay, ("group_id", "day"), self.days, ids)
        _add(CallMonth, ("group_id", "day"), self.months, ids)
        _add_subjects(self.subjects, ids)


def _count(counts: dict[Place, Counts], place: Place, measures: tuple[int, ...], at: int) -> None:
    found = counts.get(place)
    if found is None:
        found = counts[place] = [0] * (len(_MEASURES) + CLASSES)
    for number, measure in enumerate(measures):
        found[number] += measure
    found[at] += 1


def count(calls: Iterable[EndedCall]) -> None:
    """Count calls that have ended, in the transaction that stores their records, which holds lock()."""
    batch, zone = Batch(), timezone.get_default_timezone()
    for call in calls:
        batch.add(call, zone)
    batch.write()


def lock() -> None:
    """Wait until no other process writes roll-ups, up to the end of this transaction."""
    if not LeaderLock.objects.select_for_update().filter(pk=_LOCK).exists():
        LeaderLock.objects.get_or_create(pk=_LOCK)
        LeaderLock.objects.select_for_update().get(pk=_LOCK)


# ---------------------------------------------------------------------------------------- groups

_known: dict[Group, int] = {}


def forget_groups() -> None:
    """Forget the ids of groups: their rows may have been deleted, or rolled back."""
    _known.clear()


def _ids(groups: set[Group]) -> dict[Group, int]:
    """Return the ids of groups; those that are new are stored."""
    if len(_known) > _MAX_KNOWN:
        _known.clear()
    new = [group for group in groups if group not in _known]
    found: dict[Group, int] = {}
    if new:
        rows = [CallGroup(**dict(zip(CallGroup.COLUMNS, group, strict=True))) for group in new]
        CallGroup.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1000)
        found = _read_ids(new)
        # Only what is stored for good may be remembered.
        transaction.on_commit(lambda: _known.update(found))
    return {group: found.get(group) or _known[group] for group in groups}


def _read_ids(groups: list[Group]) -> dict[Group, int]:
    """Return the ids of stored groups. Those of a kind and a few operations are read together."""
    wanted, found = set(groups), {}
    of_kind: dict[str, list[Group]] = {}
    for group in sorted(groups):
        of_kind.setdefault(group[0], []).append(group)
    for kind, members in of_kind.items():
        for start in range(0, len(members), 500):
            part = [dict(zip(CallGroup.COLUMNS, group, strict=True)) for group in members[start : start + 500]]
            rows = CallGroup.objects.filter(
                kind=kind,
                **{f"{name}__in": {group[name] for group in part} for name in _LOOKED_UP},
            )
            for pk, *columns in rows.values_list("pk", *CallGroup.COLUMNS).iterator(5000):
                if (group := tuple(columns)) in wanted:
                    found[group] = pk
    return found


# ----------------------------------------------------------------------------------------- facts


def _add(model: type[Any], keys: tuple[str, ...], counts: dict[Place, Counts], ids: dict[Group, int]) -> None:
    """Add counts to the rows of a model, in one statement for some hundred rows."""
    classes = [f"d{number}" for number in range(CLASSES)]
    statement = _upsert(model._meta.db_table, keys, classes)
    rows = sorted((ids[place[0]], *place[1:], *_nulls(found)) for place, found in counts.items())
    width = len(keys) + len(_MEASURES) + len(classes)
    _execute_values(statement, rows, width)


def _nulls(found: Counts) -> list[int | None]:
    """Return counts as they are stored: a class without calls takes no room."""
    return [*found[: len(_MEASURES)], *(count or None for count in found[len(_MEASURES) :])]


def _upsert(table: str, keys: tuple[str, ...], classes: list[str]) -> Callable[[str], str]:
    """Return a function from the rows' placeholders to the statement that adds them to a table."""
    quote = connection.ops.quote_name
    columns = ", ".join(quote(name) for name in (*keys, *_MEASURES, *classes))
    mysql = connection.vendor == "mysql"

    def new(name: str) -> str:
        return f"VALUES({quote(name)})" if mysql else f"excluded.{quote(name)}"

    def old(name: str) -> str:
        return f"{quote(table)}.{quote(name)}"

    sums = [f"{quote(name)} = {old(name)} + {new(name)}" for name in _MEASURES]
    sums += [f"{quote(name)} = COALESCE({old(name)} + {new(name)}, {old(name)}, {new(name)})" for name in classes]
    begin = "ON DUPLICATE KEY UPDATE" if mysql else f"ON CONFLICT ({', '.join(map(quote, keys))}) DO UPDATE SET"
    end = f"{begin} {', '.join(sums)}"
    return lambda places: f"INSERT INTO {quote(table)} ({columns}) VALUES {places} {end}"  # noqa: S608


def _execute_values(statement: Callable[[str], str], rows: list[tuple[Any, ...]], width: int) -> None:
    place = f"({', '.join(['%s'] * width)})"
    size = max(1, min(_MAX_VALUES, connection.features.max_query_params or _MAX_VALUES) // width)
    with connection.cursor() as cursor:
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            cursor.execute(statement(", ".join([place] * len(part))), [value for row in part for value in row])


def _add_subjects(subjects: dict[Place, set[str]], ids: dict[Group, int]) -> None:
    """Add persons to the sketches of their groups and days."""
    new = {(ids[group], day): hashes for (group, day), hashes in subjects.items()}
    for day in {day for _group, day in new}:
        _add_subjects_of(day, {group: hashes for (group, other), hashes in new.items() if other == day})


def _add_subjects_of(day: date, subjects: dict[int, set[str]]) -> None:
    groups = sorted(subjects)
    for start in range(0, len(groups), 500):
        part = groups[start : start + 500]
        stored = {row.group_id: row for row in SubjectDay.objects.filter(day=day, group__in=part)}
        created: list[SubjectDay] = []
        for group in part:
            row = stored.get(group)
            sketch = Sketch(bytes(row.sketch) if row is not None else b"")
            sketch.add(subjects[group])
            if row is None:
                created.append(SubjectDay(group_id=group, day=day, sketch=sketch.dump()))
            else:
                row.sketch = sketch.dump()
        SubjectDay.objects.bulk_update(stored.values(), ["sketch"], batch_size=100)
        SubjectDay.objects.bulk_create(created)


def prune(before: date) -> None:
    """Delete what was counted of the days before a date."""
    for model in (CallHour, CallDay, SubjectDay):
        model.objects.filter(day__lt=before).delete()
    CallMonth.objects.filter(day__lt=before.replace(day=1)).delete()
