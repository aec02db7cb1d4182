"""Ships the journal's segments into the call history: in batches, each line once.

A batch of records and the offset up to which its segment has been read are written in one database transaction, so that
neither a crash nor an outage duplicates or loses a line: lines that were not committed are read again.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from registry import faults, statistics
from registry.journal import reader, sealing
from registry.models import AccessKey, CallRecord, JournalSegment

log = logging.getLogger("mantra.journal")

BATCH = 1000
#: Columns that are set from the end line.
_END_COLUMNS = (
    "consumer_agency",
    "application",
    "key",
    "key_ref",
    "format",
    "parameters",
    "subjects",
    "fields",
    "outcome",
    "status",
    "rows",
    "bytes",
    "duration_us",
    "broken",
)
#: The outcome of a call without an end, because its worker process died.
INTERRUPTED = faults.INTERRUPTED.code
#: Lines from before the migration 0002_plain_names have "face" for "protocol", and may be shipped after it.
_OLD_PROTOCOLS = {"console": "tryout"}


def ship() -> int:
    """Ship all lines that the journal has now. Return their number."""
    shipped = 0
    known = {row.name: row for row in JournalSegment.objects.filter(closed=False)}
    names = [path.name for path in reader.segments()]
    closed = set(JournalSegment.objects.filter(closed=True, name__in=names).values_list("name", flat=True))
    # Ends that are written by now have their begin lines in the segments that are read next: first those, then these.
    completions = [
        (path, reader.has_writer(path), path.stat().st_size)
        for path in reader.segments()
        if reader.holds_completions(path) and path.name not in closed
    ]
    for path in reader.segments():
        if path.name not in closed and not reader.holds_completions(path):
            shipped += _ship_segment(path, known.get(path.name) or JournalSegment(name=path.name))
    for path, alive, size in completions:
        shipped += _ship_segment(path, known.get(path.name) or JournalSegment(name=path.name), alive, size)
    return shipped


def _ship_segment(path: Path, row: JournalSegment, alive: bool | None = None, size: int | None = None) -> int:
    """Ship a segment, at most up to ``size``, and return the number of lines.

    ``alive``: True if the segment had its writer when the size was determined.
    """
    # Determined before the lines are read: a writer that has ended adds none.
    alive = reader.has_writer(path) if alive is None else alive
    genuine = row.pk is None or sealing.is_genuine(row)
    shipped = 0
    lines = reader.lines(path, row.offset, row.lines)
    if size is not None:
        lines = takewhile(lambda line: line.end <= size, lines)
    while batch := list(islice(lines, BATCH)):
        _ship_batch(batch, row, genuine)
        shipped += len(batch)
    if not alive:
        with transaction.atomic():
            row.closed, row.closed_at = True, timezone.now()
            _store(row, genuine)
            _interrupt(row)
    return shipped


def _store(row: JournalSegment, genuine: bool) -> None:
    """Save a segment's row, and seal it unless it was changed without the key: that must stay visible."""
    if row.serial is None:
        row.serial = (JournalSegment.objects.aggregate(last=Max("serial"))["last"] or 0) + 1
    row.seal = sealing.seal(row) if genuine else ""
    row.save()


def _ship_batch(batch: list[reader.Line], row: JournalSegment, genuine: bool) -> None:
    begun: dict[str, CallRecord] = {}
    ended: dict[str, dict[str, Any]] = {}
    for line in batch:
        try:
            entry = orjson.loads(line.body)
        except orjson.JSONDecodeError:
            log.error("line %d of %s is not JSON; run verify_audit", line.number, row.name)
            continue
        try:
            if entry.get("t") == "begin":
                begun[entry["id"]] = _record_of_begin(entry, row.name)
            elif entry.get("t") == "end":
                ended[entry["id"]] = _checked_end(entry)
        except (AttributeError, KeyError, TypeError, ValueError):
            # Nothing after it would be shipped otherwise. The line stays in its segment.
            log.error("line %d of %s is not a line of this version", line.number, row.name)
    complete = [begun[id] for id in ended if id in begun]
    with transaction.atomic():
        for id in list(ended):
            if id in begun:
                _apply_end(begun[id], ended.pop(id))
        CallRecord.objects.bulk_create(begun.values(), ignore_conflicts=True)
        earlier: list[CallRecord] = []
        if ended:
            earlier = list(CallRecord.objects.filter(request_id__in=ended))
            for record in earlier:
                _apply_end(record, ended[record.request_id])
            CallRecord.objects.bulk_update(earlier, _END_COLUMNS)
        statistics.count([*complete, *earlier])
        _update_last_used([*begun.values(), *earlier])
        last = batch[-1]
        row.offset, row.lines, row.last_hash = last.end, last.number, last.chain.decode("ascii", "replace")
        _store(row, genuine)


def _record_of_begin(line: dict[str, Any], segment: str) -> CallRecord:
    record = CallRecord(
        request_id=line["id"],
        started_at=datetime.fromtimestamp(line["at"], UTC),
        protocol=line["protocol"] if "protocol" in line else _OLD_PROTOCOLS.get(line["face"], line["face"]),
        method=line["method"][:10],
        client_ip=_client_ip(line["ip"]),
        user=line.get("user", ""),
        segment=segment,
    )
    if "op" in line:
        record.agency, record.service, record.operation, record.operation_ref, record.revision = line["op"]
    return record


def _checked_end(line: dict[str, Any]) -> dict[str, Any]:
    """Return an end line. Raises KeyError if it lacks what each end line has."""
    for name in ("id", "code", "status", "bytes", "us", "format"):
        line[name]
    return line


def _client_ip(text: str) -> str | None:
    """Return an IP address as every database accepts it: without a zone (fe80::1%eth0). None if it is invalid."""
    try:
        return str(ip_address(text.partition("%")[0]))
    except ValueError:
        return None


def _apply_end(record: CallRecord, line: dict[str, Any]) -> None:
    record.outcome, record.status = line["code"], line["status"]
    record.bytes, record.duration_us, record.format = line["bytes"], line["us"], line["format"]
    record.rows = line.get("rows")
    record.broken = line.get("broken", False)
    if "by" in line:
        record.consumer_agency, record.application, record.key, record.key_ref = line["by"]
    record.parameters = ", ".join(line.get("params", ()))
    record.subjects = ", ".join(line.get("subjects", ()))
    record.fields = ", ".join(line.get("fields", ()))


def _update_last_used(records: list[CallRecord]) -> None:
    """Set the time at which keys were last used, to the minute, so that few batches have to write it."""
    last: dict[int, datetime] = {}
    for record in records:
        if record.key_ref:
            last[record.key_ref] = max(record.started_at, last.get(record.key_ref, record.started_at))
    for key, time in last.items():
        stale = AccessKey.objects.filter(pk=key).exclude(last_used_at__gt=time - timedelta(minutes=1))
        stale.update_without_bump(last_used_at=time)


def _interrupt(row: JournalSegment) -> None:
    """Mark the calls of a closed segment that have no end as interrupted."""
    CallRecord.objects.filter(segment=row.name, outcome=0).update(outcome=INTERRUPTED, broken=True)


def prune() -> None:
    """Delete records after settings.HISTORY_DAYS, and completely shipped segments after settings.JOURNAL_DAYS."""
    now = timezone.now()
    CallRecord.objects.filter(started_at__lt=now - timedelta(days=settings.HISTORY_DAYS)).delete()
    statistics.prune(timezone.localdate(now) - timedelta(days=settings.HISTORY_DAYS))
    before = now - timedelta(days=settings.JOURNAL_DAYS)
    for row in JournalSegment.objects.filter(closed=True, pruned=False, closed_at__lt=before):
        if not sealing.is_genuine(row):
            log.error("the row of %s was changed: its segment is kept; run verify_audit", row.name)
            continue
        (Path(settings.JOURNAL_DIR) / row.name).unlink(missing_ok=True)
        row.pruned = True
        _store(row, genuine=True)
    _forget_pruned()


@transaction.atomic
def _forget_pruned() -> None:
    """Delete the rows of pruned segments up to the first that is not, but for the last one: it says that they were.

    It stops at a row that was changed or removed: verify_audit must find that.
    """
    forgotten: list[JournalSegment] = []
    for row in JournalSegment.objects.order_by("serial").iterator(BATCH):
        follows = row.serial == (forgotten[-1].serial or 0) + 1 if forgotten else row.first or row.serial == 1
        if not (row.pruned and follows and sealing.is_genuine(row)):
            break
        forgotten.append(row)
    if len(forgotten) > 1:
        last = forgotten.pop()
        last.first = True
        _store(last, genuine=True)
        JournalSegment.objects.filter(pk__in=[row.pk for row in forgotten]).delete()


def start_over() -> int:
    """Forget all segments, after their files were put into an archive. Return their number."""
    return JournalSegment.objects.all().delete()[0]
