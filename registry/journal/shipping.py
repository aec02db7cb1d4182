"""From the journal's segments to the history: in batches, each line once, in step with the segment's row.

A batch of records and the place up to which its segment has been read are written in one database
transaction, so that neither a crash nor an outage doubles or loses a line: what did not commit is
read again.
"""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from registry import faults
from registry.journal import reader
from registry.models import AccessKey, CallRecord, JournalSegment

log = logging.getLogger("mantra.journal")

BATCH = 1000
#: What of a record comes with the call's end.
_ENDED = (
    "consumer_agency", "application", "key", "key_ref", "format", "parameters", "subjects", "fields",
    "outcome", "status", "rows", "bytes", "duration_us", "broken",
)  # fmt: skip
#: The outcome of a call whose worker died before it could say how the call ended.
INTERRUPTED = faults.INTERRUPTED.code


@contextmanager
def only_one() -> Iterator[bool]:
    """True for the one process that may ship from this journal now; false for any other."""
    with (Path(settings.JOURNAL_DIR) / "ship.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def ship() -> int:
    """Take in all that the journal holds by now. Returns the number of lines taken in."""
    shipped = 0
    known = {row.name: row for row in JournalSegment.objects.filter(closed=False)}
    names = [path.name for path in reader.segments()]
    closed = set(JournalSegment.objects.filter(closed=True, name__in=names).values_list("name", flat=True))
    # An end that is there now has its begin in what is read from now on, in whichever segment that is.
    ends = [
        (path, reader.alive(path), path.stat().st_size)
        for path in reader.segments()
        if reader.of_ends(path) and path.name not in closed
    ]
    for path in reader.segments():
        if path.name not in closed and not reader.of_ends(path):
            shipped += _segment(path, known.get(path.name) or JournalSegment(name=path.name))
    for path, alive, size in ends:
        shipped += _segment(path, known.get(path.name) or JournalSegment(name=path.name), alive, size)
    return shipped


def _segment(path: Path, row: JournalSegment, alive: bool | None = None, size: int | None = None) -> int:
    """Take in a segment, at most up to ``size``. ``alive``: whether it had its writer when the size was taken."""
    # Looked at before the lines: a writer that is gone now will not have written since.
    alive = reader.alive(path) if alive is None else alive
    shipped = 0
    lines = reader.lines(path, row.offset, row.lines)
    if size is not None:
        lines = takewhile(lambda line: line.end <= size, lines)
    while batch := list(islice(lines, BATCH)):
        _batch(batch, row)
        shipped += len(batch)
    if not alive:
        with transaction.atomic():
            row.closed = True
            row.save()
            _interrupt(row)
    return shipped


def _batch(batch: list[reader.Line], row: JournalSegment) -> None:
    begun: dict[str, CallRecord] = {}
    ended: dict[str, dict[str, Any]] = {}
    for line in batch:
        try:
            told = orjson.loads(line.body)
        except orjson.JSONDecodeError:
            log.error("line %d of %s is no JSON; verify_audit says more", line.number, row.name)
            continue
        if told.get("t") == "begin":
            begun[told["id"]] = _begun(told, row.name)
        elif told.get("t") == "end":
            ended[told["id"]] = told
    with transaction.atomic():
        for id in list(ended):
            if id in begun:
                _end(begun[id], ended.pop(id))
        CallRecord.objects.bulk_create(begun.values(), ignore_conflicts=True)
        late: list[CallRecord] = []
        if ended:
            late = list(CallRecord.objects.filter(request_id__in=ended))
            for record in late:
                _end(record, ended[record.request_id])
            CallRecord.objects.bulk_update(late, _ENDED)
        _used([*begun.values(), *late])
        last = batch[-1]
        row.offset, row.lines, row.last_hash = last.end, last.number, last.chain.decode("ascii", "replace")
        row.save()


def _begun(told: dict[str, Any], segment: str) -> CallRecord:
    record = CallRecord(
        request_id=told["id"],
        started_at=datetime.fromtimestamp(told["at"], UTC),
        face=told["face"],
        method=told["method"][:10],
        address=_address(told["ip"]),
        user=told.get("user", ""),
        segment=segment,
    )
    if "op" in told:
        record.agency, record.service, record.operation, record.operation_ref, record.revision = told["op"]
    return record


def _address(text: str) -> str | None:
    """An address as every database takes it: a link-local one's zone (fe80::1%eth0) is of this machine only."""
    try:
        return str(ip_address(text.partition("%")[0]))
    except ValueError:
        return None


def _end(record: CallRecord, told: dict[str, Any]) -> None:
    record.outcome, record.status = told["code"], told["status"]
    record.bytes, record.duration_us, record.format = told["bytes"], told["us"], told["format"]
    record.rows = told.get("rows")
    record.broken = told.get("broken", False)
    if "by" in told:
        record.consumer_agency, record.application, record.key, record.key_ref = told["by"]
    record.parameters = ", ".join(told.get("params", ()))
    record.subjects = ", ".join(told.get("subjects", ()))
    record.fields = ", ".join(told.get("fields", ()))


def _used(records: list[CallRecord]) -> None:
    """Note when keys were last used. To the minute is enough, so that few batches write at all."""
    last: dict[int, datetime] = {}
    for record in records:
        if record.key_ref:
            last[record.key_ref] = max(record.started_at, last.get(record.key_ref, record.started_at))
    for key, moment in last.items():
        stale = AccessKey.objects.filter(pk=key).exclude(last_used_at__gt=moment - timedelta(minutes=1))
        stale.quietly(last_used_at=moment)


def _interrupt(row: JournalSegment) -> None:
    """Calls whose worker is gone and that never ended are over."""
    CallRecord.objects.filter(segment=row.name, outcome=0).update(outcome=INTERRUPTED, broken=True)


def prune() -> None:
    """Let go of what has been kept long enough: records, and segments that were taken in whole."""
    now = timezone.now()
    CallRecord.objects.filter(started_at__lt=now - timedelta(days=settings.HISTORY_DAYS)).delete()
    before = now - timedelta(days=settings.JOURNAL_DAYS)
    old = JournalSegment.objects.filter(closed=True, updated_at__lt=before)
    for row in old:
        (Path(settings.JOURNAL_DIR) / row.name).unlink(missing_ok=True)
    old.delete()
