"""Leases of calls on the fast lane, as the shipping knows them: their calls become records, and each lease is closed.

What the calls of a lease have in common is in the lease's line, which a web process has written before any of them
began. Lines about a lease may be read in any order but for its calls, which are read last: a row is there for whatever
comes first.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.db import connection
from django.db.models import F, Q

from registry import faults
from registry.journal import records, segments
from registry.journal.collecting import LARGE, STOPPED, WHOLE
from registry.journal.records import Record
from registry.models import CallLease

#: After so long without a word from nginx it was killed; calls of a lease may last for so long.
UNREPORTED, LASTING = timedelta(minutes=2), timedelta(hours=1)
#: For how long explained leases are kept, and others.
EXPLAINED, KEPT = timedelta(minutes=10), timedelta(days=7)
#: Leases that are closed in one round, and that one line of the journal has.
MOST, LEASES_PER_LINE = 5_000, 500
#: What a lease's line has of its own.
_OWN = ("t", "id", "at", "n")

Line = dict[str, Any]


def check(line: Line) -> None:
    """Raise KeyError, TypeError or ValueError for a line that is none about leases, or of another version."""
    match line["t"]:
        case "lease":
            records.of_begin(line, "")
            int(line["n"])
        case "used":
            [(str(id), int(used)) for id, used in line["leases"]]
        case "calls" if not isinstance(line["calls"], dict):
            raise TypeError


def store(lines: Iterable[Line]) -> None:
    """Store leases that were given."""
    rows = [
        CallLease(
            id=line["id"],
            at=datetime.fromtimestamp(line["at"], UTC),
            count=line["n"],
            common=orjson.dumps(common_of(line)).decode(),
        )
        for line in lines
    ]
    _upsert(rows, ["at", "count", "common"])


def common_of(line: Line) -> Line:
    """Return what the calls of a lease have in common, from its line."""
    return {name: value for name, value in line.items() if name not in _OWN}


def report(lines: Iterable[Line], now: datetime) -> None:
    """Store how many calls were used of leases. What was closed already is closed anew."""
    used = {id: count for line in lines for id, count in line["leases"]}
    _upsert([CallLease(id=id, at=now, used=count) for id, count in used.items()], ["used", "unexplained"])


def note(new: Iterable[Record], now: datetime) -> None:
    """Count the calls of leases among records that are new."""
    counts = Counter(record["lease"] for record in new if record.get("lease"))
    CallLease.objects.bulk_create([CallLease(id=id, at=now) for id in counts], ignore_conflicts=True)
    by_count: dict[int, list[str]] = {}
    for id, count in counts.items():
        by_count.setdefault(count, []).append(id)
    for count, ids in by_count.items():
        CallLease.objects.filter(pk__in=ids).update(calls=F("calls") + count, unexplained=None)


def _upsert(rows: Sequence[CallLease], columns: list[str]) -> None:
    if rows:
        target = ["id"] if connection.features.supports_update_conflicts_with_target else None
        unique = list({row.id: row for row in rows}.values())
        CallLease.objects.bulk_create(unique, update_conflicts=True, update_fields=columns, unique_fields=target)


# ------------------------------------------------------------------------------------------ records


def records_of(lines: Sequence[Line], segment: str) -> list[Record]:
    """Return the records of the calls in lines."""
    ids = {id for line in lines for id in line["calls"]}
    leases = CallLease.objects.in_bulk(ids)
    common = {id: orjson.loads(lease.common) for id, lease in leases.items() if lease.common}
    # Of a lease that is lost nothing is known.
    templates = {id: template(common.get(id, {}), id, segment) for id in ids}
    return [record_of(templates[id], call) for line in lines for id, calls in line["calls"].items() for call in calls]


def template(common: Mapping[str, Any], id: str, segment: str) -> Record:
    """Return what the records of a lease's calls have in common."""
    begin = {"id": "", "at": 0.0, "protocol": "rest", "method": "GET", "ip": "", **common}
    end = {"code": 200, "status": 0, "bytes": 0, "us": 0, "format": "", **common}
    return {**records.of_begin(begin, segment), **records.of_end(end), "lease": id}


def record_of(template: Record, call: Sequence[Any]) -> Record:
    """Return the record of a call, from its part of a line."""
    request_id, began, status, size, microseconds, how = call
    record = {
        **template,
        "request_id": request_id,
        "started_at": datetime.fromtimestamp(began, UTC),
        "status": status,
        "bytes": size,
        "duration_us": microseconds,
        "broken": how != WHOLE,
    }
    if how == LARGE:
        record["outcome"] = faults.UPSTREAM_TOO_LARGE.code
    elif how == STOPPED:
        record["outcome"] = faults.STOPPED.code
    if status >= 400 or how == LARGE:
        record["classification"] = ""  # what left is no response of the operation
    return record


# ------------------------------------------------------------------------------------------ closing


def close(collected_upto: float) -> None:
    """Close the leases whose calls are all known, and those of which no more will be.

    ``collected_upto``: all calls that ended before then are in the call history (seconds since the epoch).
    """
    until = datetime.fromtimestamp(collected_upto, UTC)
    explained = Q(calls__gte=F("used"))
    silent = Q(used=None, at__lt=until - UNREPORTED)
    open_leases = CallLease.objects.filter(unexplained=None)
    due = list(open_leases.filter(explained | silent | Q(at__lt=until - LASTING)).order_by("at")[:MOST])
    for start in range(0, len(due), LEASES_PER_LINE):
        _close(due[start : start + LEASES_PER_LINE])
    if due:
        CallLease.objects.filter(unexplained=0, at__lt=until - EXPLAINED).delete()


def _close(due: Sequence[CallLease]) -> None:
    """Record how many calls of leases are unexplained. A kill after the line repeats it: the last one counts."""
    for lease in due:
        taken = lease.used if lease.used is not None else lease.count
        lease.unexplained = max(0, taken - lease.calls)
    columns = [(lease.id, lease.count, lease.used, lease.calls, lease.unexplained) for lease in due]
    segments.write({"t": "leased", "at": time.time(), "leases": columns})
    whole = [lease.pk for lease in due if not lease.unexplained]
    CallLease.objects.filter(pk__in=whole).update(unexplained=0)
    CallLease.objects.bulk_update([lease for lease in due if lease.unexplained], ["unexplained"])


def prune(now: datetime) -> None:
    """Delete leases that were closed long ago."""
    CallLease.objects.filter(at__lt=now - KEPT).delete()
