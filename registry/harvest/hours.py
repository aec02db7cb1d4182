"""Counts what each application fetches in an hour, as the journal is shipped into the call history.

The shipping calls count() in the transaction that stores the records and holds the lock of the roll-ups: each call is
counted once, and no two writers at a time. What was called before this was counted is read from the history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import ip_network
from typing import Any

from django.db import transaction
from django.db.models import Min

from registry import faults
from registry.models import CallerHour, CallRecord
from registry.models.harvest import MAX_NETWORKS
from registry.outcomes import COUNTED
from registry.statistics import rollups
from registry.statistics.sketch import Sketch

#: Days for which hours are kept: those that are usual, before each of the days of a dry run over the past.
KEPT_DAYS = 70
#: After so long an hour does not grow: its sketch is not needed any more.
GROWS = timedelta(hours=3)
#: The most records of an hour that are read from the history.
MAX_RECORDS = 500_000
#: The bits of a network, by the version of its address.
_PREFIX = {4: 24, 6: 48}
#: The name of all further networks of an hour.
OTHER = "*"
#: Outcomes by which nothing was found.
_NOTHING = frozenset((faults.NO_ROWS.code, faults.SOAP_EMPTY.code))
_OK, _NOT_FOUND = 200, 404
#: The protocol and the method of a job that was run (registry/journal/subjects.py).
JOB, RUN = "job", "RUN"

Record = Mapping[str, Any]
#: What makes a row unique: hour, key_ref, consumer_agency, application, agency. The names are in small letters, which
#: are the same as capital ones to MariaDB, and to the bus.
Place = tuple[datetime, int, str, str, str]
#: The columns of the history that are counted.
_COLUMNS = (
    "started_at", "protocol", "method", "agency", "consumer_agency", "application", "key", "key_ref", "client_ip",
    "outcome", "status", "rows", "subjects",
)  # fmt: skip


@dataclass(slots=True)
class Counts:
    """What was counted of an hour, and the names of caller and offering agency as they were spelt."""

    names: tuple[str, str, str]
    key: str = ""
    calls: int = 0
    misses: int = 0
    near: int = 0
    rows: int = 0
    most_rows: int = 0
    subjects: set[str] = field(default_factory=set)
    networks: dict[str, int] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        rows = record["rows"] or 0
        self.key = record["key"] or self.key
        self.calls += 1
        self.near += record.get("near") or 0
        self.misses += is_miss(record)
        self.rows += rows
        self.most_rows = max(self.most_rows, rows)
        if record["subjects"]:
            self.subjects.update(record["subjects"].split(", "))
        network = network_of(record["client_ip"] or "")
        add_network(self.networks, network, 1)


def is_miss(record: Record) -> bool:
    """Return True for a call for which nothing was found."""
    outcome = record["outcome"]
    if record.get("miss") or outcome in _NOTHING:
        return True
    return outcome == _OK and (record["rows"] == 0 or record["status"] == _NOT_FOUND)


@lru_cache(maxsize=10_000)
def network_of(address: str) -> str:
    """Return the network of a caller's address: the first three numbers of IPv4, 48 bits of IPv6; "" without one."""
    if not address:
        return ""
    return str(ip_network(f"{address}/{_PREFIX[6 if ':' in address else 4]}", strict=False))


def add_network(networks: dict[str, int], network: str, calls: int) -> None:
    """Add calls to those of a network; further networks than MAX_NETWORKS are counted together."""
    if network:
        name = network if network in networks or len(networks) < MAX_NETWORKS else OTHER
        networks[name] = networks.get(name, 0) + calls


def is_counted(record: Record) -> bool:
    """Return True for a call of an application: try-outs and views belong to none, and a download is no new call."""
    if not record["application"] or not record["agency"]:
        return False
    return record["protocol"] in COUNTED or (record["protocol"] == JOB and record["method"] == RUN)


def count(records: Iterable[Record]) -> None:
    """Add calls that have ended to their hours. Call it in a transaction that holds the lock of the roll-ups."""
    found = _counted(records)
    if found:
        _add(found)


def _counted(records: Iterable[Record]) -> dict[Place, Counts]:
    found: dict[Place, Counts] = {}
    for record in records:
        if is_counted(record):
            names = record["consumer_agency"], record["application"], record["agency"]
            place = _place(hour_of(record["started_at"]), record["key_ref"] or 0, *names)
            counts = found.get(place)
            if counts is None:
                counts = found[place] = Counts(names)
            counts.add(record)
    return found


def _place(hour: datetime, key_ref: int, consumer: str, application: str, agency: str) -> Place:
    return hour, key_ref, consumer.lower(), application.lower(), agency.lower()


def hour_of(moment: datetime) -> datetime:
    """Return the beginning of the hour of a moment."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _add(found: Mapping[Place, Counts]) -> None:
    stored = _stored(found)
    new, changed = [], []
    for place, counts in found.items():
        row = stored.get(place)
        if row is None:
            consumer, application, agency = counts.names
            row = CallerHour(
                hour=place[0], key_ref=place[1], consumer_agency=consumer, application=application, agency=agency
            )
            new.append(row)
        else:
            changed.append(row)
        _put(row, counts)
    CallerHour.objects.bulk_create(new, batch_size=500)
    CallerHour.objects.bulk_update(changed, _CHANGING, batch_size=200)


_CHANGING = ("key", "calls", "misses", "near", "rows", "most_rows", "persons", "sketch", "networks")


def _stored(places: Mapping[Place, Counts]) -> dict[Place, CallerHour]:
    """Return the stored rows of places. The hours of a batch are few, and so are the callers of an hour."""
    found: dict[Place, CallerHour] = {}
    of_hour: dict[datetime, set[str]] = {}
    for place, counts in places.items():
        of_hour.setdefault(place[0], set()).add(counts.names[1])
    for hour, applications in of_hour.items():
        names = sorted(applications)
        for start in range(0, len(names), 500):
            rows = CallerHour.objects.filter(hour=hour, application__in=names[start : start + 500])
            for row in rows:
                found[_place(row.hour, row.key_ref, row.consumer_agency, row.application, row.agency)] = row
    return found


def _put(row: CallerHour, counts: Counts) -> None:
    row.key = counts.key or row.key
    row.calls += counts.calls
    row.misses += counts.misses
    row.near += counts.near
    row.rows += counts.rows
    row.most_rows = max(row.most_rows, counts.most_rows)
    if counts.subjects:
        sketch = Sketch(bytes(row.sketch))
        sketch.add(counts.subjects)
        row.sketch, row.persons = sketch.dump(), max(row.persons, sketch.count())
    for network, calls in counts.networks.items():
        add_network(row.networks, network, calls)


# ---------------------------------------------------------------------------------------- housekeeping


def fill(now: datetime) -> bool:
    """Count one more hour of the history before the oldest that is counted. Return False if there is none."""
    oldest = CallerHour.objects.aggregate(oldest=Min("hour"))["oldest"] or hour_of(now)
    since = hour_of(now) - timedelta(days=KEPT_DAYS)
    before = CallRecord.objects.filter(started_at__lt=oldest, started_at__gte=since).exclude(application="")
    last = before.order_by("-started_at").values_list("started_at", flat=True).first()
    if last is None:
        return False
    hour = hour_of(last)
    records = CallRecord.objects.filter(started_at__gte=hour, started_at__lt=hour + timedelta(hours=1))
    rows = records.exclude(application="").exclude(outcome=0).values(*_COLUMNS)[:MAX_RECORDS]
    found = _counted(rows.iterator(5000))
    if not found:  # nothing of it counts; a row says that it was looked at
        found = {(hour, 0, "", "", ""): Counts(("", "", ""))}
    with transaction.atomic():
        rollups.lock()
        stored = _stored(found)
        _add({place: counts for place, counts in found.items() if place not in stored})
    return True


def prune(now: datetime) -> None:
    """Delete hours that nobody needs any more, and the sketches of those that do not grow."""
    CallerHour.objects.filter(hour__lt=now - timedelta(days=KEPT_DAYS)).delete()
    grown = CallerHour.objects.filter(hour__lt=now - GROWS, hour__gte=now - GROWS - timedelta(days=1))
    grown.exclude(sketch=b"").update(sketch=b"")


def of_callers(rows: Sequence[CallerHour]) -> dict[tuple[str, str, int], list[CallerHour]]:
    """Return hours by their caller: agency, application and key."""
    found: dict[tuple[str, str, int], list[CallerHour]] = {}
    for row in rows:
        if row.application:
            found.setdefault((row.consumer_agency, row.application, row.key_ref), []).append(row)
    return found
