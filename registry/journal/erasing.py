"""Erases the content of lines, after settings.CONTENT_DAYS or at a person's lawful request. The chain stays whole.

A line of the journal says of each erasure which lines of which segment it was, and why; it is on the disk before the
content is gone. Then the segment is written anew beside the old one, which it replaces when all of it is on the disk:
after a crash it is erased again. Nothing is erased of a segment that is not as it was written: it is evidence.
"""

from __future__ import annotations

import gzip
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import orjson
from django.conf import settings
from django.db.models import Min

from registry import disk, leader
from registry.journal import archive, reader, sealing, segments, verifying
from registry.journal.chain import subject_hashes
from registry.journal.lines import commitment
from registry.journal.shipping import PRUNING
from registry.models import CallRecord, CallSubject, ChangeRecord, JournalSegment, SubjectsOfJob

log = logging.getLogger("mantra.journal")

#: Why content is erased.
AGE, REQUEST = "age", "request"
#: Lines that one line names.
LINES_IN_LINE = 1_000
#: The members of content that name persons.
_PERSONS = ("subjects", "hashes")
#: What the file with the erased segments of an archive's month, and that with the time of the history are called.
ERASED, HISTORY = "erased", "history.erased"
#: Days of the history that are erased in a round, and how late a record may come into it.
DAYS_IN_ROUND, LATE = 31, timedelta(days=2)
#: Seconds for which the lock of the pruning is waited for.
WAIT = 60.0


class ErasingError(Exception):
    """The reason why nothing was erased."""


@dataclass(slots=True)
class Erased:
    """What was erased of a person. ``left``: segments in which the person is still named, each with the reason."""

    lines: int
    segments: int
    records: int
    left: dict[str, str]


# ------------------------------------------------------------------------------------------- by age


def erase_old(now: datetime, proceed: Callable[[], bool] = lambda: True) -> int:
    """Erase the content that is older than settings.CONTENT_DAYS. Return the number of segments.

    ``proceed``: asked before each segment.
    """
    if not settings.CONTENT_DAYS:
        return 0
    before = now - timedelta(days=settings.CONTENT_DAYS)
    erased = 0
    for row in _due(before):
        if not proceed():
            return erased
        with _unpruned():
            erased += _erase_segment(row)
    for path in _due_in_archive(before):
        if not proceed():
            return erased
        with _unpruned():
            erased += _erase_archived(path)
    erase_history(before)
    segments.close()
    return erased


def _due(before: datetime) -> list[JournalSegment]:
    """Return the rows of segments that are old and have content. Those of format 1 cannot be erased."""
    rows = JournalSegment.objects.filter(closed=True, pruned=False, erased=False, closed_at__lt=before)
    return list(rows.exclude(digest="").order_by("serial")[:1_000])


def _erase_segment(row: JournalSegment) -> bool:
    path = Path(settings.JOURNAL_DIR) / row.name
    if not path.exists() or not sealing.is_genuine(row) or verifying.chain_of(path, {row.name: row}).fault:
        return False  # of another host, or verify_audit says what is wrong with it
    _record(row.name, [(1, row.lines)], AGE)
    _rewrite(path, lambda _number: True)
    _note(row, path, erased=True)
    return True


def _note(row: JournalSegment, path: Path, erased: bool) -> None:
    """Set the row of a segment that was written anew, unless it was changed meanwhile."""
    seal, row.offset, row.erased = row.seal, path.stat().st_size, row.erased or erased
    changed = {"offset": row.offset, "erased": row.erased, "seal": sealing.seal(row)}
    JournalSegment.objects.filter(pk=row.pk, seal=seal).update(**changed)


def _due_in_archive(before: datetime) -> Iterator[Path]:
    """Yield the archived segments of months that were over before a moment, and that were not erased."""
    month = f"{before.astimezone(UTC):%Y-%m}"
    for folder in sorted({path.parent for path in archive.segments()}):
        if folder.name < month:
            done = _listed(folder)
            yield from (path for path in sorted(folder.glob(f"*{archive.PACKED}")) if path.name not in done)


def _listed(folder: Path) -> set[str]:
    try:
        return set((folder / ERASED).read_text().split("\n"))
    except FileNotFoundError:
        return set()


def _erase_archived(path: Path) -> bool:
    chain = verifying.chain_of(path, {})
    if chain.fault:
        log.error("%s is not as it was written: it is kept; run verify_audit --archive", path.name)
    elif chain.with_content:
        _record(chain.name, [(1, chain.lines)], AGE)
        _rewrite(path, lambda _number: True)
    with (path.parent / ERASED).open("a") as file:
        file.write(f"{path.name}\n")
    return bool(chain.with_content) and not chain.fault


def erase_history(before: datetime) -> int:
    """Erase the content of records that began before a moment, some days at once. Return their number."""
    mark = Path(settings.JOURNAL_DIR) / HISTORY
    try:
        begin = datetime.fromisoformat(mark.read_text()) - LATE
    except (FileNotFoundError, ValueError):
        oldest = CallRecord.objects.filter(started_at__lt=before).aggregate(oldest=Min("started_at"))["oldest"]
        begin = oldest or before
    count = 0
    for _day in range(DAYS_IN_ROUND):
        end = min(before, begin + timedelta(days=1))
        rows = CallRecord.objects.filter(started_at__gte=begin, started_at__lt=end)
        count += rows.update(user="", client_ip=None, parameters="", subjects="", fields="")
        begin = end
        if end == before:
            break
    mark.write_text(begin.isoformat())
    SubjectsOfJob.objects.filter(started_at__lt=before).delete()
    CallSubject.objects.filter(started_at__lt=before).delete()
    ChangeRecord.objects.filter(at__lt=before).update(user="", client_ip=None)
    return count


# --------------------------------------------------------------------------------------- by request


def erase_subject(value: str, reason: str, by: str) -> Erased:
    """Erase a person from the journal, its archive and the history. Raises ErasingError.

    ``value``: what identifies the person, however it is written. ``reason``: it stays, and names nobody.
    """
    digests = frozenset(subject_hashes(value))
    found = Erased(0, 0, 0, {})
    for path in [*archive.segments(), *reader.segments()]:
        with _unpruned():
            if path.exists():  # it was not archived meanwhile
                _erase_in(path, digests, reason, by, found)
    segments.close()
    found.records = _erase_in_history(digests)
    return found


def _erase_in(path: Path, digests: frozenset[str], reason: str, by: str, found: Erased) -> None:
    lines = _lines_about(path, digests)
    if not lines:
        return
    name = reader.name_of(path)
    row = JournalSegment.objects.filter(name=name).first()
    if problem := _problem(path, row, lines):
        found.left[name] = problem
        return
    for line in lines:
        _restate(name, line, digests)
    numbers = [line.number for line in lines]
    for start in range(0, len(numbers), LINES_IN_LINE):
        _record(name, [(number, number) for number in numbers[start : start + LINES_IN_LINE]], REQUEST, reason, by)
    _rewrite(path, frozenset(numbers).__contains__)
    if row is not None and not reader.is_archived(path):
        _note(row, path, erased=False)
    found.lines += len(lines)
    found.segments += 1


def _problem(path: Path, row: JournalSegment | None, lines: Sequence[reader.Line]) -> str:
    """Return why nothing can be erased of a segment, or ""."""
    if any(line.fields is None for line in lines):
        return "its format has no content that can be erased: it stays until it is deleted because of its age"
    if not reader.is_archived(path) and (row is None or not row.closed):
        return "it is being written: try again in an hour"
    rows = {row.name: row} if row is not None and not reader.is_archived(path) else {}
    if verifying.chain_of(path, rows).fault or (row is not None and not sealing.is_genuine(row)):
        return "it is not as it was written: run verify_audit"
    return ""


def _lines_about(path: Path, digests: frozenset[str]) -> list[reader.Line]:
    """Return the lines that name a person by one of the keyed hashes."""
    wanted = [digest.encode() for digest in digests]
    return [
        line for line in reader.lines(path) if any(digest in line.body for digest in wanted) and _names(line, digests)
    ]


def _names(line: reader.Line, digests: frozenset[str]) -> bool:
    try:
        entry = orjson.loads(line.body)
        return any(not digests.isdisjoint(entry.get(member, ())) for member in _PERSONS)
    except (orjson.JSONDecodeError, AttributeError, TypeError):
        return False


def _restate(segment: str, line: reader.Line, digests: frozenset[str]) -> None:
    """Write the content of a line again, without the person: it is about others, too."""
    content = orjson.loads((line.fields or (b"", b"{}"))[1])
    for member in _PERSONS:
        if member in content:
            content[member] = [each for each in content[member] if each not in digests]
    id = orjson.loads(line.body).get("id", "")
    segments.write({**content, "t": "restated", "id": id, "segment": segment, "line": line.number})


def _erase_in_history(digests: frozenset[str]) -> int:
    """Erase a person from the call history. Return the number of records and of parts of jobs."""
    count = 0
    for digest in digests:
        records = CallRecord.objects.filter(subjects__contains=digest)
        for id, started_at, subjects in list(records.values_list("id", "started_at", "subjects")):
            left = ", ".join(each for each in subjects.split(", ") if each not in digests)
            count += CallRecord.objects.filter(pk=id, started_at=started_at).update(subjects=left)
        for part in SubjectsOfJob.objects.filter(hashes__contains=digest):
            part.hashes = " ".join(each for each in part.hashes.split(" ") if each not in digests)
            part.save(update_fields=["hashes"])
            count += 1
    CallSubject.objects.filter(hash__in=digests).delete()
    return count


# -------------------------------------------------------------------------------------------- files


def _record(segment: str, lines: Sequence[tuple[int, int]], because: str, reason: str = "", by: str = "") -> None:
    """Write the line of an erasure, and wait for the disk: without it, erased content is a fault."""
    line: dict[str, Any] = {"t": "erase", "at": time.time(), "segment": segment, "lines": lines, "because": because}
    if reason:
        line |= {"reason": reason, "by": by}
    segments.write(line)
    segments.sync()


def _rewrite(path: Path, wanted: Callable[[int], bool]) -> None:
    """Write a segment anew, without the content of some lines, and put it in the place of the old one."""
    new = path.with_name(f".{path.name}.new")
    with new.open("wb") as target:
        os.fchmod(target.fileno(), path.stat().st_mode & 0o777)
        if reader.is_archived(path):
            with gzip.GzipFile(reader.name_of(path), "wb", fileobj=target, mtime=0) as packed:
                _write_lines(path, wanted, packed)  # type: ignore[arg-type]
        else:
            _write_lines(path, wanted, target)
        target.flush()
        os.fsync(target.fileno())
    new.replace(path)
    disk.sync(path.parent)


def _write_lines(path: Path, wanted: Callable[[int], bool], target: IO[bytes]) -> None:
    for line in reader.lines(path):
        assert line.fields is not None
        facts, content, seal, mark = line.fields
        if content and wanted(line.number):
            content, seal = b"", commitment(seal, content)
        target.write(b"%b\t%b\t%b\t%b\t%b\n" % (facts, content, seal, mark, line.chain))


@contextmanager
def _unpruned() -> Iterator[None]:
    """Keep others from pruning, and backups from being made. Raises ErasingError."""
    until = time.monotonic() + WAIT
    while True:
        with leader.only_one_in(Path(settings.JOURNAL_DIR), PRUNING) as alone:
            if alone:
                yield
                return
        if time.monotonic() > until:
            raise ErasingError("a backup is being made, or the journal is being pruned: try again later")
        time.sleep(0.1)
