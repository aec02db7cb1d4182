"""What the call history knows of an incident: who, what, whom it concerns, when and how much. One bounded reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from registry import faults
from registry.journal.subjects import RUN
from registry.models import CallRecord, Incident, StopKind, SubjectsOfJob

#: Records that a page reads, and that the worker reads for a file. The latest are read.
ON_PAGES, IN_FILES = 20_000, 2_000_000
#: The most persons counted one by one; callers, networks and operations that are listed; jobs that are looked at.
MOST_SUBJECTS, MOST_LINES, MOST_JOBS = 1_000_000, 50, 1_000
#: Hours from which on the calls are counted by day.
HOURS = 72

_COLUMNS = (
    "started_at", "request_id", "method", "protocol", "agency", "service", "operation", "operation_ref",
    "consumer_agency", "application", "key", "key_ref", "grant_ref", "user", "client_ip", "fields", "subjects",
    "classification", "outcome", "rows", "bytes",
)  # fmt: skip
_SENSITIVITY = ("", "public", "internal", "personal", "specific")


def calls_of(kind: str, ref: int, name: str) -> Q:
    """Return the condition for the calls in which an object took part."""
    if kind == StopKind.APPLICATION:
        agency, _slash, code = name.partition("/")
        return Q(consumer_agency=agency, application=code)
    if kind == StopKind.AGENCY:
        return Q(agency=name) | Q(consumer_agency=name)
    if kind in (StopKind.SOURCE, StopKind.BACKEND):
        return Q(origin_kind=str(kind), origin_ref=ref)
    columns = {StopKind.KEY: "key_ref", StopKind.GRANT: "grant_ref", StopKind.OPERATION: "operation_ref"}
    return Q(**{columns[StopKind(kind)]: ref}) if kind in columns else Q()


def records(incident: Incident) -> QuerySet[CallRecord]:
    """Return the calls of an incident. Those of an agency's incident are its own ones: offered or made by it."""
    conditions = [calls_of(each.kind, each.ref, each.name) for each in incident.objects_of.all()]
    if not conditions:
        return CallRecord.objects.none()
    rows = CallRecord.objects.filter(reduce(or_, conditions), started_at__gte=incident.period_from)
    if incident.period_until is not None:
        rows = rows.filter(started_at__lt=incident.period_until)
    if incident.agency is not None:
        code = incident.agency.code
        rows = rows.filter(Q(agency=code) | Q(consumer_agency=code))
    return rows.order_by("-started_at", "-pk")


@dataclass(slots=True)
class Line:
    """What has something in common: a caller, a network, an operation, an hour."""

    words: tuple[Any, ...]
    calls: int = 0
    served: int = 0
    rows: int = 0
    bytes: int = 0
    first: datetime | None = None
    last: datetime | None = None
    #: The highest classification that left, and the fields.
    classification: str = ""
    fields: set[str] = field(default_factory=set)

    def add(self, record: dict[str, Any]) -> None:
        self.calls += 1
        at = record["started_at"]
        self.first = at if self.first is None else min(self.first, at)
        self.last = at if self.last is None else max(self.last, at)
        if record["outcome"] != 200:
            return
        self.served += 1
        self.rows += record["rows"] or 0
        self.bytes += record["bytes"] or 0
        self.classification = max(self.classification, record["classification"], key=_rank)
        if record["fields"] and len(self.fields) < 500:
            self.fields.update(record["fields"].split(", "))

    @property
    def field_names(self) -> str:
        return ", ".join(sorted(self.fields)[:40])


def _rank(classification: str) -> int:
    return _SENSITIVITY.index(classification) if classification in _SENSITIVITY else 0


@dataclass(slots=True)
class Evidence:
    """What the call history knows. ``complete``: all records were read, not the latest ones only."""

    total: Line = field(default_factory=lambda: Line(()))
    callers: list[Line] = field(default_factory=list)
    networks: list[Line] = field(default_factory=list)
    operations: list[Line] = field(default_factory=list)
    times: list[Line] = field(default_factory=list)
    by_day: bool = False
    users: list[tuple[str, int]] = field(default_factory=list)
    #: Keyed hashes of the persons that the requests named, in calls that were served.
    subjects: set[str] = field(default_factory=set)
    #: Calls that a stop has refused.
    refused: int = 0
    complete: bool = True
    #: Callers, networks or operations beyond MOST_LINES.
    left_out: int = 0


def gather(incident: Incident, most: int = ON_PAGES, progress: Any = None) -> Evidence:
    """Read the latest records of an incident, at most so many."""
    found = Evidence()
    callers: dict[Any, Line] = {}
    networks: dict[Any, Line] = {}
    operations: dict[Any, Line] = {}
    hours: dict[Any, Line] = {}
    users: Counter[str] = Counter()
    jobs: list[str] = []
    number = 0
    for number, record in enumerate(_read(records(incident), most + 1), 1):
        if number > most:
            found.complete = False
            break
        found.total.add(record)
        _add(callers, _caller(record), record)
        _add(networks, (record["client_ip"] or "",), record)
        operation = (record["agency"], record["service"], record["operation"], record["operation_ref"])
        _add(operations, operation, record)
        hour = record["started_at"].replace(minute=0, second=0, microsecond=0)
        _add(hours, (hour,), record)
        if record["user"]:
            users[record["user"]] += 1
        found.refused += record["outcome"] == faults.STOPPED.code
        if record["outcome"] == 200 and record["subjects"]:
            _put(found, record["subjects"].split(", "))
        if record["method"] == RUN and len(jobs) < MOST_JOBS:
            jobs.append(record["request_id"])
        if progress is not None and number % 1_000 == 0:
            progress(number)
    for hashes in SubjectsOfJob.objects.filter(request_id__in=jobs).values_list("hashes", flat=True).iterator():
        _put(found, hashes.split())
    for lines, name in ((callers, "callers"), (networks, "networks"), (operations, "operations")):
        ordered = sorted(lines.values(), key=lambda line: (-line.rows, -line.calls, str(line.words)))
        found.left_out += max(0, len(ordered) - MOST_LINES)
        setattr(found, name, ordered[:MOST_LINES])
    found.times, found.by_day = _times(hours)
    found.users = users.most_common(MOST_LINES)
    return found


def subjects(incident: Incident, progress: Any = None) -> Iterator[str]:
    """Yield the keyed hashes of an incident's persons, each once, for a file."""
    yield from sorted(gather(incident, IN_FILES, progress).subjects)


def _read(rows: QuerySet[CallRecord], most: int) -> Iterator[dict[str, Any]]:
    yield from rows.values(*_COLUMNS)[:most].iterator(2_000)


def _caller(record: dict[str, Any]) -> tuple[Any, ...]:
    names = ("consumer_agency", "application", "key", "key_ref", "grant_ref")
    return tuple(record[name] for name in names)


def _add(lines: dict[Any, Line], words: tuple[Any, ...], record: dict[str, Any]) -> None:
    line = lines.get(words)
    if line is None:
        if len(lines) >= 20_000:  # a flood of addresses must not take the memory
            return
        line = lines[words] = Line(words)
    line.add(record)


def _put(found: Evidence, hashes: Iterable[str]) -> None:
    if len(found.subjects) < MOST_SUBJECTS:
        found.subjects.update(hashes)


def _times(hours: dict[Any, Line]) -> tuple[list[Line], bool]:
    """Return the lines by hour, or by day if there are many hours; True for days."""
    lines = sorted(hours.values(), key=lambda line: line.words)
    if not lines or lines[-1].words[0] - lines[0].words[0] <= timedelta(hours=HOURS):
        return lines, False
    days: dict[Any, Line] = {}
    for line in lines:
        day = timezone.localtime(line.words[0]).date()
        into = days.setdefault(day, Line((day,)))
        into.calls, into.served = into.calls + line.calls, into.served + line.served
        into.rows, into.bytes = into.rows + line.rows, into.bytes + line.bytes
    return sorted(days.values(), key=lambda line: line.words)[-400:], True
