"""Writes roll-ups: adds calls that have ended to the hours, days and months of their groups.

The shipping of the journal does so in the transaction that stores the records, so that each call is counted once. All
writers take turns (lock): each reads the sketches that the one before it has written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from functools import lru_cache
from operator import add
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


@lru_cache(maxsize=20_000)
def _groups(alike: Alike) -> tuple[tuple[Group, bool, bool], ...]:
    """Return the groups that calls belong to, and whether their hours and their months are counted."""
    protocol, agency, service, code, ref, consumer, application, classification, *rest = alike
    origin_kind, origin_ref, outcome, how = rest
    ending = {"outcome": outcome, "ended": str(how)}
    wire = {"protocol": protocol, **ending}
    operation = {"agency": agency, "service": service, "operation": code, "operation_ref": ref or 0}
    caller = {"consumer_agency": consumer, "application": application}
    data = {"classification": classification}
    origin = {"origin_kind": origin_kind, "origin_ref": origin_ref or 0}
    pair = {"agency": agency, "consumer_agency": consumer}
    return (
        (_columns(Kind.CALL, **operation, **caller, **data, **origin, **wire), True, False),
        (_columns(Kind.BUS, **wire), True, False),
        (_columns(Kind.PROVIDER, agency=agency, **wire), True, False),
        (_columns(Kind.CONSUMER, consumer_agency=consumer, **wire), True, False),
        (_columns(Kind.PAIR, **pair, **data, **ending), False, True),
        (_columns(Kind.OPERATION, **operation, **origin, **ending), False, True),
        (_columns(Kind.APPLICATION, **caller, **ending), False, True),
    )


def _subject_groups(alike: Alike) -> tuple[Group, ...]:
    """Return the groups whose distinct persons are counted."""
    _protocol, agency, _service, _code, ref, consumer, application, *_rest = alike
    return (
        _columns(Kind.BUS),
        _columns(Kind.PROVIDER, agency=agency),
        _columns(Kind.CONSUMER, consumer_agency=consumer),
        _columns(Kind.PAIR, agency=agency, consumer_agency=consumer),
        _columns(Kind.OPERATION, operation_ref=ref or 0),
        _columns(Kind.APPLICATION, consumer_agency=consumer, application=application),
    )


#: What calls have in common that are counted in the same groups: the columns of EndedCall from protocol to outcome, and
#: how they ended.
Alike = tuple[Any, ...]


@dataclass(slots=True)
class Batch:
    """Calls that were counted, and are not written yet.

    Most calls of a batch are alike: they are counted together first, and distributed to their groups when it is
    written.
    """

    _cells: dict[tuple[Alike, date, int], Counts] = field(default_factory=dict)
    _subjects: dict[tuple[Alike, date], set[str]] = field(default_factory=dict)

    def add(self, call: EndedCall, zone: tzinfo) -> None:
        """Count a call that has ended. ``zone``: the bus's time zone. Try-outs and views are left out."""
        if call.protocol not in COUNTED:
            return
        how = ended(call.outcome, call.status, call.broken)
        started = call.started_at.astimezone(zone)
        day = started.date()
        alike = (*call[1:12], how)
        cell = self._cells.get((alike, day, started.hour))
        if cell is None:
            cell = self._cells[alike, day, started.hour] = [0] * (len(_MEASURES) + CLASSES)
        duration = call.duration_us or 0
        cell[0] += 1
        cell[1] += call.rows or 0
        cell[2] += call.bytes or 0
        cell[3] += duration
        cell[len(_MEASURES) + duration_class(duration)] += 1
        if call.subjects and how in _LEFT:
            self._subjects.setdefault((alike, day), set()).update(call.subjects)

    def write(self, months: bool = True) -> None:
        """Add the counts to the stored ones. Call it in a transaction that holds lock().

        ``months``: False leaves out the months.
        """
        hours, days, of_months = self._distributed()
        subjects = self._distributed_subjects()
        ids = _ids({place[0] for places in (days, subjects) for place in places})
        _add(CallHour, ("group_id", "day", "hour"), hours, ids)
        _add(CallDay, ("group_id", "day"), days, ids)
        if months:
            _add(CallMonth, ("group_id", "day"), of_months, ids)
        _add_subjects(subjects, ids)

    def _distributed(self) -> tuple[dict[Place, Counts], dict[Place, Counts], dict[Place, Counts]]:
        hours: dict[Place, Counts] = {}
        days: dict[Place, Counts] = {}
        months: dict[Place, Counts] = {}
        for (alike, day, hour), counts in self._cells.items():
            for group, has_hours, has_months in _groups(alike):
                if has_hours:
                    _sum(hours, (group, day, hour), counts)
                if has_months:
                    _sum(months, (group, day.replace(day=1)), counts)
                _sum(days, (group, day), counts)
        return hours, days, months

    def _distributed_subjects(self) -> dict[Place, set[str]]:
        found: dict[Place, set[str]] = {}
        for (alike, day), hashes in self._subjects.items():
            for group in _subject_groups(alike):
                found.setdefault((group, day), set()).update(hashes)
        return found


def _sum(places: dict[Place, Counts], place: Place, counts: Counts) -> None:
    found = places.get(place)
    places[place] = list(map(add, found, counts)) if found else counts


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
        found |= {group: _id_of(group) for group in new if group not in found}
        # Only what is stored for good may be remembered.
        transaction.on_commit(lambda: _known.update(found))
    return {group: found.get(group) or _known[group] for group in groups}


def _id_of(group: Group) -> int:
    """Return the id of a stored group that the database takes for this one: to MariaDB, capital letters are small ones.

    It is that of an application, say, whose code was spelt otherwise before.
    """
    return CallGroup.objects.values_list("pk", flat=True).get(**dict(zip(CallGroup.COLUMNS, group, strict=True)))


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
    new: dict[tuple[int, date], set[str]] = {}
    for (group, day), hashes in subjects.items():
        new.setdefault((ids[group], day), set()).update(hashes)
    for day in {day for _group, day in new}:
        _add_subjects_of(day, {group: hashes for (group, other), hashes in new.items() if other == day})


def _add_subjects_of(day: date, subjects: dict[int, set[str]]) -> None:
    groups = sorted(subjects)
    for start in range(0, len(groups), 500):
        part = groups[start : start + 500]
        stored = dict(SubjectDay.objects.filter(day=day, group__in=part).values_list("group_id", "sketch"))
        rows: list[tuple[Any, ...]] = []
        for group in part:
            sketch = Sketch(bytes(stored.get(group, b"")))
            sketch.add(subjects[group])
            rows.append((group, day, sketch.dump()))
        _execute_values(_replace(SubjectDay._meta.db_table), rows, 3)


def _replace(table: str) -> Callable[[str], str]:
    """Return a function from the rows' placeholders to the statement that stores sketches."""
    quote = connection.ops.quote_name
    if connection.vendor == "mysql":
        end = "ON DUPLICATE KEY UPDATE sketch = VALUES(sketch)"
    else:
        end = "ON CONFLICT (group_id, day) DO UPDATE SET sketch = excluded.sketch"
    return lambda places: f"INSERT INTO {quote(table)} (group_id, day, sketch) VALUES {places} {end}"  # noqa: S608


def prune(before: date) -> None:
    """Delete what was counted of the days before a date."""
    for model in (CallHour, CallDay, SubjectDay):
        model.objects.filter(day__lt=before).delete()
    CallMonth.objects.filter(day__lt=before.replace(day=1)).delete()
