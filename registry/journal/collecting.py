"""Collects the calls of the fast lane: what nginx writes about each becomes a line of the journal, each once.

One thread of the worker reads the files. A line of the journal has the calls of a part of a file and the offset of its
end, in one write: after a kill the collecting goes on at the last offset that the journal has. nginx opens files anew
after seconds, so that one to which nothing was written for minutes is renamed first, and removed later.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from registry import rounds
from registry.journal import lane_folder, reader, segments
from registry.journal.chain import CALLS
from registry.journal.lane_folder import Collected

log = logging.getLogger("mantra.journal")

#: Seconds between two rounds; calls in a line of the journal; bytes that are read at once.
INTERVAL, CALLS_PER_LINE, CHUNK = 0.2, 500, 256 * 1024
#: Seconds after the last write from which on a file is renamed, and from then on until it is removed.
CLOSE_AFTER, REMOVE_AFTER = 600.0, 60.0
#: How a call ended: whole, broken off, or cut because it was larger than its operation allows, or was stopped.
WHOLE, BROKEN, LARGE, STOPPED = range(4)
_CUT = {b"large": LARGE, b"stopped": STOPPED}

#: lease, request id, end, (method, address,) status, bytes, seconds, expected length, completion
_LINE = re.compile(
    rb"([0-9a-f]{16}) ([0-9a-f]{32}) ([0-9]{1,11}\.[0-9]{3}) [A-Z]{1,10} [0-9a-fA-F:.]{1,45} "
    rb"([0-9]{3}) ([0-9]{1,18}) ([0-9]{1,9}\.[0-9]{3}) (-|end|large|stopped|[0-9]{1,18}) (OK)?\Z"
)
_POSITION = re.compile(rb'\{"t":"calls","at":[0-9.]+,"file":"([^"]{1,100})","to":([0-9]+),')

#: A call: request id, when it began, status, bytes, microseconds, and how it ended.
Entry = tuple[str, float, int, int, int, int]


@dataclass(slots=True)
class _File:
    """A file of calls. ``key`` is its name and number, which stay the same when it is renamed."""

    path: Path
    key: str
    fd: int
    position: int


class Collector:
    """Collects what is in the folder. ``clock``: seconds since the epoch."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._files: dict[str, _File] = {}
        self._positions: dict[str, int] | None = None
        self._last_call: float | None = None

    def run(self, stop: threading.Event) -> None:
        """Collect until ``stop`` is set, and once more."""
        failing = False
        while not stop.wait(INTERVAL):
            failing = rounds.survive(self.round, failing, log, "the calls of the fast lane cannot be collected")
        with suppress(OSError):
            self.round()
        self.close()
        segments.close()

    def round(self) -> int:
        """Collect all complete lines. Return the number of calls. Raises OSError; nothing is lost then."""
        if not lane_folder.log_folder().is_dir():
            return 0
        began = self._clock()
        self._open_files()
        count = sum(self._collect(file) for file in self._files.values())
        left = sum(os.fstat(file.fd).st_size - file.position for file in self._files.values())
        self._put_away(began)
        lane_folder.write("collected.json", Collected(began, left, self._last_call))
        return count

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            os.close(file.fd)
        self._files.clear()
        self._positions = None

    # ------------------------------------------------------------------------------------- files

    def _open_files(self) -> None:
        """Open the files that are new."""
        for entry in os.scandir(lane_folder.log_folder()):
            if not entry.name.endswith((lane_folder.CALLS, lane_folder.CLOSING)):
                continue
            key = _key(entry)
            if key in self._files:
                self._files[key].path = Path(entry.path)
                continue
            with suppress(FileNotFoundError):
                fd = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC)
                self._files[key] = _File(Path(entry.path), key, fd, self._position_of(key))

    def _position_of(self, key: str) -> int:
        """Return the offset up to which the journal has a file."""
        if self._positions is None:
            mend()
            self._positions = positions({_key(entry) for entry in os.scandir(lane_folder.log_folder())})
        return self._positions.pop(key, 0)

    def _put_away(self, now: float) -> None:
        """Rename files that get no more lines, and remove those that were renamed."""
        for file in list(self._files.values()):
            stat = os.fstat(file.fd)
            # What is left now is half a line, of an nginx that was killed.
            if file.path.suffix == lane_folder.CLOSING:
                if now - max(stat.st_ctime, stat.st_mtime) > REMOVE_AFTER:
                    self._remove(file)
            elif now - stat.st_mtime > CLOSE_AFTER:
                file.path = file.path.rename(file.path.with_name(f"{file.key.replace(':', '-')}{lane_folder.CLOSING}"))

    def _remove(self, file: _File) -> None:
        file.path.unlink()
        os.close(file.fd)
        del self._files[file.key]
        # Another file may get its number.
        self._write(file.key, 0, {}, 0)

    # ------------------------------------------------------------------------------------- lines

    def _collect(self, file: _File) -> int:
        """Write the calls of a file's complete lines into the journal. Return their number."""
        count = 0
        while chunk := os.pread(file.fd, CHUNK, file.position):
            whole = chunk[: chunk.rfind(b"\n") + 1]
            if not whole:
                break
            lines = whole.split(b"\n")[:-1]
            for start in range(0, len(lines), CALLS_PER_LINE):
                count += self._collect_lines(file, lines[start : start + CALLS_PER_LINE])
        return count

    def _collect_lines(self, file: _File, lines: list[bytes]) -> int:
        calls: dict[str, list[Entry]] = {}
        unreadable, ended = 0, 0.0
        for line in lines:
            match = _LINE.match(line)
            if match is None:
                unreadable += 1
                continue
            lease, id, end, status, size, seconds, expected, complete = match.groups()
            ended, duration = float(end), float(seconds)
            how = _CUT.get(expected, WHOLE if complete and expected in (b"end", size) else BROKEN)
            entry = (id.decode(), round(ended - duration, 3), int(status), int(size), int(duration * 1e6), how)
            calls.setdefault(lease.decode(), []).append(entry)
        to = file.position + sum(map(len, lines)) + len(lines)
        self._write(file.key, to, calls, unreadable)
        file.position = to
        self._last_call = ended or self._last_call
        return len(lines) - unreadable

    def _write(self, key: str, to: int, calls: dict[str, list[Entry]], unreadable: int) -> None:
        line = {"t": "calls", "at": self._clock(), "file": key, "to": to, "calls": calls}
        if unreadable:
            log.error("%d lines of a file of calls cannot be read", unreadable)
            line["unreadable"] = unreadable
        segments.write(line, CALLS)


def _key(entry: os.DirEntry[str]) -> str:
    """Return what names a file of calls for ever: its period, and its number."""
    return f"{entry.name.partition('.')[0].partition('-')[0]}:{entry.inode()}"


def mend() -> None:
    """Take away half a line at the end of the last segment: a kill came while it was written. It is collected again."""
    segment = next((path for path in reversed(reader.segments()) if reader.holds_calls(path)), None)
    if segment is None or reader.has_writer(segment):
        return
    end = 0
    for line in reader.lines(segment):
        end = line.end
    if end < segment.stat().st_size:
        log.error("%s ends with half a line: its writer was killed", segment.name)
        os.truncate(segment, end)


def positions(wanted: set[str]) -> dict[str, int]:
    """Return the offsets up to which the journal has files of calls, by their keys: those that it has.

    The newest segments are read first, and none from before the oldest of the files.
    """
    found: dict[str, int] = {}
    missing = set(wanted)
    for path in reversed([path for path in reader.segments() if reader.holds_calls(path)]):
        if not missing or path.stat().st_mtime < min(map(_period_of, missing)):
            break
        in_segment = {key: to for key, to in _positions_in(path) if key in missing}
        found |= in_segment
        missing -= in_segment.keys()
    return found


def _positions_in(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the files and offsets of a segment's lines, in order."""
    for line in reader.lines(path):
        if match := _POSITION.match(line.body):
            yield match[1].decode(), int(match[2])


def _period_of(key: str) -> float:
    """Return the beginning of the period of a file's name: it has no line from before."""
    period = key.partition(":")[0]
    return float(period) if period.isdigit() else 0.0
