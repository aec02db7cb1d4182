"""Verifies the journal: every line and every segment is as it was written, and none is missing.

Four things prove it, each as far as it reaches: the chain in the files, the sealed rows in the database, a signed head
that was stored elsewhere, and the public heads (registry/journal/heads.py). deploy/verify_journal.py does the same
without a line of this code, and mostly without the key.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import orjson
from django.conf import settings

from registry.journal import heads, reader, sealing
from registry.journal.chain import SUFFIX, link
from registry.journal.head import Entry, Head
from registry.journal.heads import PublicHead
from registry.journal.lines import FORMAT, MARK_LENGTH
from registry.models import JournalSegment

#: Line number → the chains that it must have, each with the words for whoever noted it.
Marks = dict[int, list[tuple[str, str]]]

SHIPPED = "shipped to the call history"
#: How far a clock may go back before it is said: a call's time is that of its first byte.
CLOCK, CLOCK_BACK = timedelta(minutes=10), "the clock was put back"
#: How long before the last head a segment was opened that it should name.
UNNAMED = timedelta(hours=2)
#: Ranges of lines that are kept of a segment: more erased lines than these are not looked at one by one.
RANGES = 10_000

_NAME = re.compile(rf".+-\d{{1,19}}-\d{{1,9}}{re.escape(SUFFIX)}")

#: Lines from the first to the second, both included.
Range = tuple[int, int]


@dataclass(slots=True)
class Chain:
    """What the file of a segment says of itself. ``fault``: the fault of its first invalid line, or ""."""

    name: str
    lines: int = 0
    end: str = ""
    #: The public digest of the last line; "" for format 1.
    digest: str = ""
    #: Name and last chain of the segment that it continues, None for the first one of a writer.
    after: tuple[str, str] | None = None
    #: Its format, from the open line.
    format: int = 0
    #: The lines whose content was erased, and those that still have content.
    erased: list[Range] = field(default_factory=list)
    with_content: list[Range] = field(default_factory=list)
    #: What its erase lines say: the segment, and its lines.
    erasures: list[tuple[str, list[Range]]] = field(default_factory=list)
    #: The line before which the clock was put back, and by how much; None if it was not.
    clock: tuple[int, timedelta] | None = None
    has_close: bool = False
    has_writer: bool = False
    fault: str = ""


@dataclass(slots=True)
class Report:
    """The outcome: texts by segment of what is broken, and of what cannot be proven."""

    chains: dict[str, Chain] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    unproven: dict[str, str] = field(default_factory=dict)

    @property
    def lines(self) -> int:
        return sum(chain.lines for chain in self.chains.values())

    def breaks(self, name: str, text: str) -> None:
        """Note a fault. The first one of a segment is kept: others follow from it."""
        self.broken.setdefault(name, text)

    def head(self, at: datetime, rows: Mapping[str, JournalSegment]) -> Head:
        """Return the head of the segments that are not broken."""
        whole = [chain for chain in self.chains.values() if chain.lines and chain.name not in self.broken]
        closed = {name: row.closed_at for name, row in rows.items()}
        return Head(at, tuple(Entry(chain.name, chain.lines, chain.end, closed.get(chain.name)) for chain in whole))


def verify(
    paths: Sequence[Path],
    rows: Mapping[str, JournalSegment] | None,
    head: Head | None,
    now: datetime,
    public: Sequence[PublicHead] = (),
) -> Report:
    """Verify segments. ``rows``: those of the database by name, in the order of their serials; None without it.

    ``public``: the public heads, in the order of their serials.
    """
    report = Report()
    named = _by_segment(public)
    for path in paths:
        name = reader.name_of(path)
        marks = _marks(name, rows, head)
        for entry, words in named.get(name, ()):
            if entry.lines:
                marks.setdefault(entry.lines, []).append((entry.chain, words))
        chain = _read(path, name, marks)
        report.chains[name] = chain
        if chain.fault:
            report.breaks(name, chain.fault)
    if rows is not None:
        _check_rows(report, list(rows.values()))
    if head is not None:
        _check_head(report, head, rows or {}, now)
    _check_public(report, named, rows or {}, public, now)
    _check_links(report, rows, now)
    _check_ends(report, rows, head)
    _check_erased(report)
    _check_clocks(report)
    return report


# ------------------------------------------------------------------------------------------- lines


def chain_of(path: Path, rows: Mapping[str, JournalSegment]) -> Chain:
    """Return the chain of one segment, checked against its row if it has one."""
    name = reader.name_of(path)
    return _read(path, name, _marks(name, rows, None))


def _marks(name: str, rows: Mapping[str, JournalSegment] | None, head: Head | None) -> Marks:
    """Return the lines of a segment that others have noted."""
    marks: Marks = {}
    row = rows.get(name) if rows else None
    if row is not None and row.lines:
        marks.setdefault(row.lines, []).append((row.last_hash, SHIPPED))
    entry = head.by_name.get(name) if head else None
    if head is not None and entry is not None:
        marks.setdefault(entry.lines, []).append((entry.chain, _words(head)))
    return marks


def _words(head: Head) -> str:
    return f"named by the head of {head.at:%Y-%m-%d %H:%M:%S}"


def _read(path: Path, name: str, marks: Marks) -> Chain:
    """Return a segment's chain, checked line by line and at the marks."""
    if not reader.is_archived(path):
        return _read_lines(path, Chain(name, has_writer=reader.has_writer(path)), marks)
    chain = Chain(name)
    try:
        return _read_lines(path, chain, marks)
    except (EOFError, OSError, zlib.error):
        chain.fault = "its archive is damaged"
        return chain


def _read_lines(path: Path, chain: Chain, marks: Marks) -> Chain:
    previous = digest = chain.name.encode()
    if not _NAME.fullmatch(chain.name):
        chain.fault = "its name is not one that the bus gives"
        return chain
    end, latest = 0, _opened(chain.name)
    for line, following in _with_next(reader.lines(path)):
        chained = line.chained(digest)
        chain.fault = _fault_of(line, previous, chained, marks, chain)
        if chain.fault:
            if following is not None and _follows(following, previous, following.chained(digest)):
                chain.fault = f"line {line.number} was added or moved here: the next line continues the one before it"
            return chain
        try:
            latest = _note(line, chain, latest)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            chain.fault = f"line {line.number} is none of this format"
            return chain
        previous, end = line.chain, line.end
        digest = chained if line.fields else b""
        chain.lines, chain.end, chain.digest = line.number, line.chain.decode(), digest.decode()
    torn = 0 if reader.is_archived(path) else path.stat().st_size - end
    chain.fault = _fault_of_end(chain, torn, marks)
    return chain


def _with_next(lines: Iterator[reader.Line]) -> Iterator[tuple[reader.Line, reader.Line | None]]:
    """Yield each line and the one after it, None for the last one."""
    line = next(lines, None)
    while line is not None:
        following = next(lines, None)
        yield line, following
        line = following


def _follows(line: reader.Line, previous: bytes, chained: bytes) -> bool:
    """Return True if a line continues what has this chain. ``chained``: what its chain is made of."""
    is_marked = line.fields is None or chained[:MARK_LENGTH] == line.fields[3]
    return is_marked and link(settings.JOURNAL_KEY, previous, chained) == line.chain


def _fault_of(line: reader.Line, previous: bytes, chained: bytes, marks: Marks, chain: Chain) -> str:
    """Return the fault of a line, or "". ``chained``: what its chain is made of."""
    if line.fields is not None and chained[:MARK_LENGTH] != line.fields[3]:
        return f"line {line.number} was changed, or a line before it was removed"
    if not _follows(line, previous, chained):
        by_key = "was not written with this MANTRA_JOURNAL_KEY" if line.fields else "was changed"
        return f"line {line.number} {by_key}, or a line before it was removed"
    for expected, words in marks.get(line.number, ()):
        if line.chain.decode() != expected:
            return f"line {line.number} is not the line that was {words}"
    if chain.has_close:
        return f"line {line.number} follows the close line"
    return _fault_of_format(line, chain)


def _fault_of_format(line: reader.Line, chain: Chain) -> str:
    if line.number == 1:
        version = orjson.loads(line.body).get("v")
        if version not in range(1, FORMAT + 1):
            return "line 1 names a format that this version does not know"
        chain.format = version
    if (line.fields is None) != (chain.format == 1):
        return f"line {line.number} has another format than its segment"
    return ""


def _note(line: reader.Line, chain: Chain, latest: datetime) -> datetime:
    """Note what a line says of its segment. ``latest``: the latest time before it. Returns the latest time now."""
    entry = orjson.loads(line.body)
    kind = entry.get("t")
    if line.number == 1 and entry.get("after"):
        chain.after = entry["after"][0], entry["after"][1]
    chain.has_close = kind == "close"
    if line.is_erased:
        _extend(chain.erased, line.number)
    elif line.has_content:
        _extend(chain.with_content, line.number)
    if kind == "erase":
        chain.erasures.append((entry["segment"], [(first, last) for first, last in entry["lines"]]))
    if kind != "begin" or "at" not in entry:
        return latest
    at = datetime.fromtimestamp(entry["at"], UTC)
    if latest - at > CLOCK and chain.clock is None:
        chain.clock = line.number, latest - at
    return max(at, latest)


def _extend(ranges: list[Range], number: int) -> None:
    """Add a line to ranges of lines in order. Beyond RANGES of them the last one grows over what lies between."""
    if ranges and (ranges[-1][1] == number - 1 or len(ranges) >= RANGES):
        ranges[-1] = ranges[-1][0], number
    else:
        ranges.append((number, number))


def _fault_of_end(chain: Chain, torn: int, marks: Marks) -> str:
    """Return the fault of a segment's end, or "". ``torn``: the bytes after its last complete line."""
    for number in sorted(marks):
        if number > chain.lines:
            return f"line {chain.lines + 1} is missing: {number} lines were {marks[number][0][1]}"
    if torn and not chain.has_writer:
        return f"line {chain.lines + 1} is incomplete: {torn} bytes without a line end"
    return ""


# ---------------------------------------------------------------------------------- rows and head


def _check_rows(report: Report, rows: Sequence[JournalSegment]) -> None:
    """Check the seals, that no row between two others is missing, and that each row has its file."""
    for row in rows:
        if not sealing.is_genuine(row):
            report.breaks(row.name, "its row in the database was changed")
        elif row.adopted:
            report.unproven[row.name] = "its row was sealed by an upgrade: a change from before cannot be proven"
        chain = report.chains.get(row.name)
        if chain is None and not row.pruned:
            report.breaks(row.name, f"the segment is missing: {row.lines} lines were {SHIPPED}")
        if chain is not None and row.closed and chain.lines > row.lines:
            report.breaks(row.name, f"line {row.lines + 1} was added after the segment was {SHIPPED}")
    if rows and rows[0].serial != 1 and not rows[0].first:
        report.breaks(rows[0].name, "rows of earlier segments are missing from the database")
    for before, row in pairwise(rows):
        if (before.serial or 0) + 1 != row.serial:
            report.breaks(row.name, f"rows between {before.name} and this segment are missing from the database")


def _check_head(report: Report, head: Head, rows: Mapping[str, JournalSegment], now: datetime) -> None:
    """Check that each segment of the head is there, unless the bus itself deleted it because of its age."""
    for entry in head.entries:
        row = rows.get(entry.name)
        pruned = row is not None and row.pruned and sealing.is_genuine(row)
        if entry.name not in report.chains and not pruned and not head.may_be_pruned(entry, now):
            report.breaks(entry.name, f"the segment is missing: {entry.lines} lines were {_words(head)}")


#: Segment → what public heads say of it, in order, each with the words for the head.
_Named = dict[str, list[tuple[heads.Entry, str]]]


def _by_segment(public: Sequence[PublicHead]) -> _Named:
    named: _Named = {}
    for head in public:
        for entry in head.entries:
            named.setdefault(entry.name, []).append((entry, f"named by head {head.serial}"))
    return named


def _check_public(
    report: Report, named: _Named, rows: Mapping[str, JournalSegment], public: Sequence[PublicHead], now: datetime
) -> None:
    """Check that each segment of the heads is there, and as long as it was when it was closed."""
    days = timedelta(days=max((head.days for head in public), default=0))
    for name, said in named.items():
        entry, words = said[-1]
        chain, row = report.chains.get(name), rows.get(name)
        if chain is not None:
            if entry.state != heads.OPEN and chain.lines > entry.lines:
                report.breaks(name, f"line {entry.lines + 1} was added after the segment was {words}")
            continue
        pruned = entry.state == heads.PRUNED or (row is not None and row.pruned and sealing.is_genuine(row))
        is_old = bool(entry.closed_at) and datetime.fromisoformat(entry.closed_at) < now - days
        if not pruned and not is_old:
            report.breaks(name, f"the segment is missing: {entry.lines} lines were {words}")
    for head, after in pairwise(public):
        if after.at < head.at - CLOCK:
            report.unproven.setdefault(
                heads.named(after.serial), "it is older than the one before: the clock was put back"
            )
    if public and public[0].serial == 1:
        for name, chain in report.chains.items():
            if name not in named and chain.lines and _opened(name) < public[-1].at - UNNAMED:
                report.unproven.setdefault(name, "no head names it")


# ------------------------------------------------------------------------------------------- links


def _check_links(report: Report, rows: Mapping[str, JournalSegment] | None, now: datetime) -> None:
    """Check that each segment continues the end of its predecessor, and that each predecessor is there."""
    continued: dict[str, str] = {}
    for chain in report.chains.values():
        if chain.after is None:
            continue
        name, end = chain.after
        if name in continued:
            report.breaks(chain.name, f"it continues {name}, as {continued[name]} does")
        continued[name] = chain.name
        before = report.chains.get(name)
        if before is None:
            _check_missing(report, chain, name, rows, now)
        elif not before.fault and before.end != end:
            report.breaks(name, f"line {before.lines} is not its last one: {chain.name} continues it after another")


def _check_missing(
    report: Report, chain: Chain, name: str, rows: Mapping[str, JournalSegment] | None, now: datetime
) -> None:
    """Note a predecessor without a file. The bus itself deletes those that are old and shipped (shipping.prune)."""
    recent = _opened(chain.name) > now - timedelta(days=settings.JOURNAL_DAYS)
    has_earlier = any(_is_earlier(other, name) for other in report.chains)
    if rows is not None and name in rows:
        return  # its row was checked
    if recent or has_earlier:
        report.breaks(name, f"the segment is missing, but {chain.name} continues it")
    elif rows is None:
        report.unproven[chain.name] = f"it continues {name}, which was deleted because of its age, or removed"


def _check_ends(report: Report, rows: Mapping[str, JournalSegment] | None, head: Head | None) -> None:
    """Note the segments whose end nothing proves: no close line, no successor, no row or head as long as they are."""
    continued = {chain.after[0] for chain in report.chains.values() if chain.after}
    for name, chain in report.chains.items():
        row = rows.get(name) if rows else None
        entry = head.by_name.get(name) if head else None
        proven = chain.has_close or name in continued or chain.has_writer or (row is not None and row.closed)
        if not proven and (entry is None or entry.lines != chain.lines):
            report.unproven.setdefault(name, "it has no close line: its writer was killed, or its end was cut off")


# ------------------------------------------------------------------------------------------ content


def _check_erased(report: Report) -> None:
    """Check that a line of the journal says of each erased content that it was erased, and that it is."""
    recorded: dict[str, list[Range]] = {}
    for chain in report.chains.values():
        if chain.name not in report.broken:
            for name, ranges in chain.erasures:
                recorded.setdefault(name, []).extend(ranges)
    for name, chain in report.chains.items():
        ranges = _merged(recorded.get(name, ()))
        if number := _first_outside(chain.erased, ranges):
            report.breaks(name, f"line {number} was erased, and no line of the journal says so")
        if number := _first_inside(chain.with_content, ranges):
            report.unproven.setdefault(name, f"line {number} was to be erased, and its content is there")


def _merged(ranges: Iterable[Range]) -> list[Range]:
    """Return ranges in order, with those that touch each other as one."""
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    return merged


def _first_outside(lines: Iterable[Range], ranges: Sequence[Range]) -> int:
    """Return the first of lines that is in none of the ranges, 0 if there is none. Both are in order."""
    place = 0
    for first, last in lines:
        while place < len(ranges) and ranges[place][1] < first:
            place += 1
        if place == len(ranges) or first < ranges[place][0]:
            return first
        if last > ranges[place][1]:
            return ranges[place][1] + 1
    return 0


def _first_inside(lines: Iterable[Range], ranges: Sequence[Range]) -> int:
    """Return the first of lines that is in one of the ranges, 0 if there is none. Both are in order."""
    place = 0
    for first, last in lines:
        while place < len(ranges) and ranges[place][1] < first:
            place += 1
        if place < len(ranges) and ranges[place][0] <= last:
            return max(first, ranges[place][0])
    return 0


def _check_clocks(report: Report) -> None:
    for name, chain in report.chains.items():
        if chain.clock is not None:
            number, back = chain.clock
            minutes = int(back.total_seconds() // 60)
            report.unproven.setdefault(
                name, f"line {number} is {minutes} minutes older than a line before: the clock was put back"
            )


def _parts(name: str) -> tuple[str, int, int]:
    """Return a segment's writer, the time of its opening in nanoseconds, and its number in the writer's sequence."""
    writer, opened, sequence = name.removesuffix(SUFFIX).rsplit("-", 2)
    return writer, int(opened), int(sequence)


def _opened(name: str) -> datetime:
    return datetime.fromtimestamp(_parts(name)[1] / 1e9, UTC)


def _is_earlier(name: str, than: str) -> bool:
    """Return True if a segment is an earlier one of the same sequence."""
    writer, opened, sequence = _parts(than)
    return _parts(name)[0] == writer and _parts(name)[1] < opened and _parts(name)[2] < sequence


def in_order(rows: Iterable[JournalSegment]) -> dict[str, JournalSegment]:
    """Return rows by name, in the order of their serials."""
    return {row.name: row for row in sorted(rows, key=lambda row: row.serial or 0)}
