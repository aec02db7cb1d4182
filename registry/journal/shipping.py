"""Ships the journal's segments into the call history: in batches, each line once.

A batch of records and the offset up to which its segment has been read are written in one database transaction, so that
neither a crash nor an outage duplicates or loses a line: lines that were not committed are read again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from registry import faults, leader
from registry.harvest import hours
from registry.journal import (
    archive,
    changes,
    findings,
    heads,
    key_networks,
    lane_folder,
    leases,
    partitions,
    reader,
    records,
    sealing,
    subjects,
)
from registry.journal.collecting import CALLS_PER_LINE
from registry.journal.records import Record
from registry.models import AccessKey, CallRecord, ChangeRecord, JournalSegment, SubjectsOfJob
from registry.statistics import rollups

log = logging.getLogger("mantra.journal")

#: Lines that are shipped in one transaction, and about how many bytes of them.
BATCH, BATCH_BYTES = 20_000, 16 * 1024 * 1024
#: Those who count calls of the fast lane, which no web process has seen. They get the records when these are stored.
OBSERVERS: list[Callable[[Sequence[Record]], None]] = []
#: The task in the journal's folder that deletes (registry/leader.py).
PRUNING = "prune"
#: The outcome of a call without an end, because its worker process died.
INTERRUPTED = faults.INTERRUPTED.code


def ship() -> int:
    """Ship all lines that the journal has now. Return their number."""
    shipped = 0
    collected = lane_folder.collected()
    known = {row.name: row for row in JournalSegment.objects.filter(closed=False)}
    paths = reader.segments()
    names = [path.name for path in paths]
    closed = set(JournalSegment.objects.filter(closed=True, name__in=names).values_list("name", flat=True))
    # Determined before any line is read: a process that has ended by now writes no more of them.
    living = {reader.process_of(path.name) for path in paths if path.name not in closed and reader.has_writer(path)}
    # What these segments have by now began in the segments that are read next: first those, then these.
    read_last = [
        (path, reader.has_writer(path), path.stat().st_size)
        for path in reader.segments()
        if reader.is_read_last(path) and path.name not in closed
    ]
    for path in reader.segments():
        if path.name not in closed and not reader.is_read_last(path):
            shipped += _ship_segment(path, known.get(path.name) or JournalSegment(name=path.name))
    for path, alive, size in read_last:
        shipped += _ship_segment(path, known.get(path.name) or JournalSegment(name=path.name), alive, size)
    _interrupt([name for name in names if reader.process_of(name) not in living])
    if collected is not None:
        leases.close(collected.upto)
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
    # A line of such a segment has up to CALLS_PER_LINE calls.
    lines_in_batch = BATCH // CALLS_PER_LINE if reader.holds_calls(path) else BATCH
    while batch := _batch(lines, lines_in_batch):
        _ship_batch(batch, row, genuine)
        shipped += len(batch)
    if not alive:
        with transaction.atomic():
            row.closed, row.closed_at, row.headed = True, timezone.now(), 0
            _store(row, genuine)
    return shipped


def _batch(lines: Iterator[reader.Line], most: int) -> list[reader.Line]:
    """Return the next lines, at most so many, and few enough for the memory: some have the persons of a job."""
    batch: list[reader.Line] = []
    size = 0
    for line in islice(lines, most):
        batch.append(line)
        size += len(line.body)
        if size > BATCH_BYTES:
            break
    return batch


def _store(row: JournalSegment, genuine: bool) -> None:
    """Save a segment's row, and seal it unless it was changed without the key: that must stay visible."""
    if row.serial is None:
        row.serial = (JournalSegment.objects.aggregate(last=Max("serial"))["last"] or 0) + 1
    row.seal = sealing.seal(row) if genuine else ""
    row.save()


def _ship_batch(batch: list[reader.Line], row: JournalSegment, genuine: bool) -> None:
    parsed = _parse(batch, row.name)
    begun, ends = parsed.begun, parsed.ends
    for name in begun.keys() & ends.keys():
        begun[name].update(ends.pop(name))
    on_lane = leases.records_of(parsed.of_leases["calls"], row.name)
    wanted = [*begun.values(), *on_lane]
    partitions.create({partitions.month_of(record["started_at"]) for record in wanted})
    with transaction.atomic():
        rollups.lock()
        leases.store(parsed.of_leases["lease"])
        new = records.store(wanted)
        complete = [record for record in new if record["outcome"]] + records.complete(ends)
        rollups.count(map(records.counted, complete))
        hours.count(complete)
        leases.note(new, timezone.now())
        leases.report(parsed.of_leases["used"], timezone.now())
        subjects.store(parsed.subjects)
        subjects.index(complete)
        key_networks.note(complete)
        changes.store(parsed.changes, parsed.committed)
        findings.store([*complete, *parsed.guarded])
        last = batch[-1]
        row.offset, row.lines, row.last_hash = last.end, last.number, last.chain.decode("ascii", "replace")
        row.digest, row.headed = _digest(batch, row), 0
        _store(row, genuine)
    _update_last_used("last_used_at", complete)
    _update_last_used("last_used_in_path_at", (record for record in complete if record.get("in_path")))
    if on_lane:
        for observe in OBSERVERS:
            observe(new)


def _digest(batch: list[reader.Line], row: JournalSegment) -> str:
    """Return the public digest of a batch's last line; "" for a segment of format 1."""
    digest = (row.digest or row.name).encode()
    for line in batch:
        if line.fields is None:
            return ""
        digest = line.digest(digest)
    return digest.decode()


@dataclass(slots=True)
class _Parsed:
    """The lines of a batch. ``begun`` and ``ends``: by request ids. ``of_leases``: by what they say of leases.

    ``subjects``: the persons of jobs. ``changes``: those of definitions; ``committed``: the ids of those that were.
    ``guarded``: what the egress guard has found in the results of jobs.
    """

    begun: dict[str, Record] = field(default_factory=dict)
    ends: dict[str, Record] = field(default_factory=dict)
    of_leases: dict[str, list[leases.Line]] = field(default_factory=lambda: {"lease": [], "used": [], "calls": []})
    subjects: list[SubjectsOfJob] = field(default_factory=list)
    changes: list[ChangeRecord] = field(default_factory=list)
    committed: list[str] = field(default_factory=list)
    guarded: list[Record] = field(default_factory=list)


def _parse(batch: list[reader.Line], segment: str) -> _Parsed:
    """Return the lines of a batch. Those that cannot be read are logged and left out."""
    parsed = _Parsed()
    for line in batch:
        try:
            entry = orjson.loads(line.body)
        except orjson.JSONDecodeError:
            log.error("line %d of %s is not JSON; run verify_audit", line.number, segment)
            continue
        try:
            _add(parsed, entry, segment, line.number)
        except (AttributeError, KeyError, TypeError, ValueError):
            # Nothing after it would be shipped otherwise. The line stays in its segment.
            log.error("line %d of %s is not a line of this version", line.number, segment)
    return parsed


def _add(parsed: _Parsed, entry: dict[str, Any], segment: str, number: int) -> None:
    """Add a line to those of its batch. Raises an error for one of another version."""
    kind = entry.get("t")
    if kind == "begin":
        parsed.begun[entry["id"]] = records.of_begin(entry, segment)
    elif kind == "end":
        parsed.ends[entry["id"]] = records.of_end(entry)
    elif kind == "subjects" and "hashes" in entry:  # they may be erased
        parsed.subjects.append(subjects.of_line(entry, segment, number))
    elif kind == changes.CHANGE:
        parsed.changes.append(changes.of_line(entry, segment))
    elif kind == changes.COMMITTED:
        parsed.committed.append(str(entry["id"]))
    elif kind == "guard":
        parsed.guarded.append(findings.of_job(entry))
    elif kind in parsed.of_leases:
        leases.check(entry)
        parsed.of_leases[kind].append(entry)


def _update_last_used(column: str, shipped: Iterable[Record]) -> None:
    """Set the time at which keys were last used, to the minute, so that few batches have to write it."""
    last: dict[int, datetime] = {}
    for record in shipped:
        if key := record["key_ref"]:
            last[key] = max(record["started_at"], last.get(key, record["started_at"]))
    minutes: dict[datetime, list[int]] = {}
    for key, time in last.items():
        minutes.setdefault(time.replace(second=0, microsecond=0), []).append(key)
    for minute, keys in minutes.items():
        stale = AccessKey.objects.filter(pk__in=keys).exclude(**{f"{column}__gte": minute})
        stale.update_without_bump(**{column: max(last[key] for key in keys)})


def _interrupt(names: list[str]) -> None:
    """End the calls in progress of segments whose process has ended: nobody else will."""
    ended = JournalSegment.objects.filter(name__in=names, closed=True).values("name")
    open_calls = CallRecord.objects.filter(outcome=0, segment__in=ended)
    # A job goes on in another process, which ends its record.
    open_calls = open_calls.exclude(protocol=subjects.PROTOCOL, method=subjects.RUN)
    if not open_calls.exists():
        return
    with transaction.atomic():
        rollups.lock()
        interrupted: list[Record] = [{**row, "outcome": INTERRUPTED, "broken": True} for row in open_calls.values()]
        open_calls.update(outcome=INTERRUPTED, broken=True)
        rollups.count(map(records.counted, interrupted))


def prune() -> None:
    """Delete records after settings.HISTORY_DAYS, and completely shipped segments after settings.JOURNAL_DAYS.

    Segments go to the archive first. Nothing is deleted while a backup is being made, of which database and files must
    agree. An hour later is soon enough.
    """
    with leader.only_one_in(Path(settings.JOURNAL_DIR), PRUNING) as alone:
        if alone:
            _prune()


def _prune() -> None:
    now = timezone.now()
    _prune_history(now)
    leases.prune(now)
    findings.prune(now - timedelta(days=settings.HISTORY_DAYS))
    rollups.prune(timezone.localdate(now) - timedelta(days=settings.STATISTICS_DAYS))
    before = now - timedelta(days=settings.JOURNAL_DAYS)
    for row in JournalSegment.objects.filter(closed=True, pruned=False, closed_at__lt=before):
        if not sealing.is_genuine(row):
            log.error("the row of %s was changed: its segment is kept; run verify_audit", row.name)
            continue
        path = Path(settings.JOURNAL_DIR) / row.name
        try:
            archive.keep(path, row.closed_at or now)
        except OSError as error:
            log.error("%s cannot be archived: errno %s; it is kept", row.name, error.errno)
            continue
        path.unlink(missing_ok=True)
        row.pruned, row.headed = True, 0
        _store(row, genuine=True)
    _forget_pruned()
    if settings.ARCHIVE_DAYS:
        archive.prune(now - timedelta(days=settings.ARCHIVE_DAYS))


def _prune_history(now: datetime) -> None:
    """Delete old records. On PostgreSQL a month is dropped when all of it is old."""
    before = now - timedelta(days=settings.HISTORY_DAYS)
    partitions.create_ahead(now)
    partitions.prune(before)
    subjects.prune(before)
    changes.prune(before)


@transaction.atomic
def _forget_pruned() -> None:
    """Delete the rows of pruned segments up to the first that is not, but for the last one: it says that they were.

    It stops at a row that was changed or removed: verify_audit must find that.
    """
    forgotten: list[JournalSegment] = []
    for row in JournalSegment.objects.order_by("serial").iterator(BATCH):
        follows = row.serial == (forgotten[-1].serial or 0) + 1 if forgotten else row.first or row.serial == 1
        # A head says that it was deleted, before its row is.
        is_said = bool(row.headed) or not settings.HEAD_KEYS
        if not (row.pruned and follows and is_said and sealing.is_genuine(row)):
            break
        forgotten.append(row)
    if len(forgotten) > 1:
        last = forgotten.pop()
        last.first = True
        _store(last, genuine=True)
        JournalSegment.objects.filter(pk__in=[row.pk for row in forgotten]).delete()


def start_over() -> int:
    """Forget all segments, after their files were put into an archive. Return their number.

    The next head names them as deleted: so no later proof misses them.
    """
    if settings.HEAD_KEYS:
        for row in JournalSegment.objects.filter(pruned=False).iterator(BATCH):
            row.pruned, row.headed = True, 0
            _store(row, sealing.is_genuine(row))
        heads.make_due(timezone.now())
    return JournalSegment.objects.all().delete()[0]
