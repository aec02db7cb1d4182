"""Compares the call history with the journal: who changes a record in the database is found out by its lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings

from registry import faults
from registry.journal import reader, records
from registry.journal.reader import Line
from registry.models import CallRecord, JournalSegment

#: Lines that are compared at once.
CHUNK = 500
#: Columns that come from content, which may be erased in one place earlier than in the other.
_CONTENT = frozenset({"client_ip", "user", "parameters", "subjects", "fields"})


def compare(paths: Iterable[Path], rows: Mapping[str, JournalSegment], now: datetime) -> Iterator[tuple[str, str]]:
    """Yield segments, and what of the history is not as their lines say; of each line one thing at most.

    ``paths``: segments that are as they were written; ``rows``: theirs. What is not shipped yet is left out.
    """
    for path in paths:
        row = rows.get(reader.name_of(path))
        if row is not None:
            for text in _compare_segment(path, row, now):
                yield row.name, text


def _compare_segment(path: Path, row: JournalSegment, now: datetime) -> Iterator[str]:
    lines = (line for line in reader.lines(path) if line.number <= row.lines)
    begun = 0
    while batch := list(islice(lines, CHUNK)):
        wanted = [(line, orjson.loads(line.body)) for line in batch]
        calls = [(line, entry) for line, entry in wanted if entry.get("t") in ("begin", "end")]
        begun += sum(entry["t"] == "begin" for _line, entry in calls)
        yield from _compare_lines(calls, row.name, now)
    stored = CallRecord.objects.filter(segment=row.name).count()
    if not reader.holds_calls(path) and stored > begun:
        yield f"the history has {stored - begun} records that the segment has not"


def _compare_lines(calls: Sequence[tuple[Line, dict[str, Any]]], segment: str, now: datetime) -> Iterator[str]:
    ids = [entry["id"] for _line, entry in calls]
    stored = {record["request_id"]: record for record in CallRecord.objects.filter(request_id__in=ids).values()}
    oldest = now - timedelta(days=settings.HISTORY_DAYS)
    for line, entry in calls:
        record = stored.get(entry["id"])
        if record is not None:
            name = _differs(line, entry, record, segment, now)
            if name:
                yield f"line {line.number}: the history has another {name.replace('_', ' ')}"
        elif entry["t"] == "begin" and records.of_begin(entry, segment)["started_at"] > oldest:
            yield f"line {line.number}: the history has no record of it"


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
    has_content = line.has_content and not _is_erased(record, now)
    return next(
        (name for name in columns if (has_content or name not in _CONTENT) and said[name] != record[name]),
        "",
    )


def _is_erased(record: Mapping[str, Any], now: datetime) -> bool:
    days = settings.CONTENT_DAYS
    return bool(days) and record["started_at"] < now - timedelta(days=days)
