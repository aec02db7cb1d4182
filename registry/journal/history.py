"""Compares the call history with the journal: who changes a record in the database is found out by its lines."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings

from registry import faults
from registry.journal import leases, reader, records
from registry.journal.reader import Line
from registry.journal.records import Record
from registry.models import CallRecord, JournalSegment

#: Lines that are compared at once.
CHUNK = 500
#: Leases of the fast lane that are kept while segments are read; of calls of older ones only OWN_COLUMNS are compared.
MOST_LEASES = 50_000
#: What the line of a call on the fast lane says without its lease.
OWN_COLUMNS = ("started_at", "segment", "status", "bytes", "duration_us", "broken")
#: Columns that come from content, which may be erased in one place earlier than in the other.
_CONTENT = frozenset({"client_ip", "user", "parameters", "subjects", "fields"})


def compare(paths: Iterable[Path], rows: Mapping[str, JournalSegment], now: datetime) -> Iterator[tuple[str, str]]:
    """Yield segments, and what of the history is not as their lines say; of each line one thing at most.

    ``paths``: segments that are as they were written; ``rows``: theirs. What is not shipped yet is left out.
    """
    given: _Leases = OrderedDict()
    # Their leases are in other segments.
    for path in sorted(paths, key=reader.holds_calls):
        row = rows.get(reader.name_of(path))
        if row is not None:
            for text in _compare_segment(path, row, given, now):
                yield row.name, text


#: Leases by their id: the line's content is there, and what the calls have in common.
_Leases = OrderedDict[str, tuple[bool, dict[str, Any]]]


def _compare_segment(path: Path, row: JournalSegment, given: _Leases, now: datetime) -> Iterator[str]:
    lines = (line for line in reader.lines(path) if line.number <= row.lines)
    begun = 0
    while batch := list(islice(lines, CHUNK)):
        wanted = [(line, orjson.loads(line.body)) for line in batch]
        calls = [(line, entry) for line, entry in wanted if entry.get("t") in ("begin", "end")]
        begun += sum(entry["t"] == "begin" for _line, entry in calls)
        yield from _compare_lines(calls, row.name, now)
        for line, entry in wanted:
            if entry.get("t") == "lease":
                given[entry["id"]] = line.has_content, leases.common_of(entry)
                if len(given) > MOST_LEASES:
                    given.popitem(last=False)
            elif entry.get("t") == "calls":
                begun += sum(map(len, entry["calls"].values()))
                yield from _compare_calls(line, entry, row.name, given, now)
    stored = CallRecord.objects.filter(segment=row.name).count()
    if stored > begun:
        yield f"the history has {stored - begun} records that the segment has not"


def _compare_calls(line: Line, entry: dict[str, Any], segment: str, given: _Leases, now: datetime) -> Iterator[str]:
    """Compare the records of calls on the fast lane with their line and with those of their leases."""
    said = []
    for id, calls in entry["calls"].items():
        has_content, common = given.get(id, (False, {}))
        template = leases.template(common, id, segment)
        columns = [name for name in (records.COLUMNS if common else OWN_COLUMNS) if has_content or name not in _CONTENT]
        said += [(leases.record_of(template, call), columns) for call in calls]
    for begin in range(0, len(said), CHUNK):
        some = said[begin : begin + CHUNK]
        stored = _stored(record["request_id"] for record, _columns in some)
        for record, columns in some:
            found = stored.get(record["request_id"])
            if found is not None:
                if name := _first_that_differs(columns, record, found, now):
                    yield _another(line, name)
            elif record["started_at"] > _oldest(now):
                yield _missing(line)


def _compare_lines(calls: Sequence[tuple[Line, dict[str, Any]]], segment: str, now: datetime) -> Iterator[str]:
    stored = _stored(entry["id"] for _line, entry in calls)
    for line, entry in calls:
        record = stored.get(entry["id"])
        if record is not None:
            if name := _differs(line, entry, record, segment, now):
                yield _another(line, name)
        elif entry["t"] == "begin" and records.of_begin(entry, segment)["started_at"] > _oldest(now):
            yield _missing(line)


def _stored(ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    return {record["request_id"]: record for record in CallRecord.objects.filter(request_id__in=list(ids)).values()}


def _oldest(now: datetime) -> datetime:
    """Return when the oldest calls began whose records are kept."""
    return now - timedelta(days=settings.HISTORY_DAYS)


def _another(line: Line, name: str) -> str:
    return f"line {line.number}: the history has another {name.replace('_', ' ')}"


def _missing(line: Line) -> str:
    return f"line {line.number}: the history has no record of it"


def _differs(line: Line, entry: dict[str, Any], record: Mapping[str, Any], segment: str, now: datetime) -> str:
    """Return the first column of a record that is not as a line says, or ""."""
    if entry["t"] == "begin":
        said = records.of_begin(entry, segment)
        columns: Iterable[str] = records.BEGIN_COLUMNS
    else:
        # What was taken for interrupted keeps that when its end comes later.
        if record["outcome"] == faults.INTERRUPTED.code:
            return ""
        said = records.of_end(entry)
        columns = records.END_COLUMNS
    columns = [name for name in columns if line.has_content or name not in _CONTENT]
    return _first_that_differs(columns, said, record, now)


def _first_that_differs(columns: Iterable[str], said: Record, record: Mapping[str, Any], now: datetime) -> str:
    """Return the first of the columns of a record that is not as it is said, or "". Erased content says nothing."""
    is_erased = _is_erased(record, now)
    return next(
        (name for name in columns if said[name] != record[name] and not (is_erased and name in _CONTENT)),
        "",
    )


def _is_erased(record: Mapping[str, Any], now: datetime) -> bool:
    days = settings.CONTENT_DAYS
    return bool(days) and record["started_at"] < now - timedelta(days=days)
