"""Requests to the legacy wire in access logs of Apache and nginx, plain or compressed.

The formats are common, combined and vhost_combined, and those that extend them: of a line only the request line and
the status are read.
"""

from __future__ import annotations

import gzip
import re
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import IO, cast
from urllib.parse import unquote

FORMATS = ("json", "xml", "api")
#: Bytes of a line that is read, and of an address.
MAX_LINE, MAX_TARGET = 32_768, 8_000
#: Lines between two reports of how far it is.
REPORT_LINES = 5_000
#: Other folders that are counted by name.
MAX_FOLDERS = 50
_FOLDER = re.compile(r"[a-z0-9_./-]{1,60}")
_REQUEST = re.compile(rb'"([A-Z]{3,10}) (\S{1,16000}) HTTP/[0-9.]{1,5}" ([0-9]{3})\b')
_ESCAPE = re.compile(rb'\\(?:x([0-9A-Fa-f]{2})|(["\\]))')
#: What HTTP allows in an address, and what the client sends.
_SENDABLE = re.compile(rb'[^!"$-~]')


class LogUnreadable(Exception):
    """A log cannot be read. The text says why, without a line of it."""


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A GET of an address of the legacy wire. All parts but ``names`` are as they were sent, percent-encoded."""

    #: The part before the format, "/" or "/mantra/".
    folder: str
    format: str
    #: The segments after the format.
    segments: tuple[str, ...] = field(repr=False)
    #: "" or the part from "?" on.
    query: str = field(repr=False)


@dataclass(slots=True)
class LogCounts:
    """What was in the logs: numbers only."""

    lines: int = 0
    #: Requests to the legacy wire that were answered; of them those that were POST, so that their parameters are not in
    #: a log, and those in a folder that this MANTRA does not have, by its name.
    requests: int = 0
    posts: int = 0
    other_folders: dict[str, int] = field(default_factory=dict)
    #: Requests that failed, or used another method.
    not_answered: int = 0

    def note_other_folder(self, target: str) -> None:
        """Count an address that would be one of the legacy wire in another folder."""
        folder = other_folder(target)
        if folder and (folder in self.other_folders or len(self.other_folders) < MAX_FOLDERS):
            self.other_folders[folder] = self.other_folders.get(folder, 0) + 1


def folders_of(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return folders as their segments in lower case, the longest first, and the one without a name."""
    found = {tuple(part for part in name.strip("/ ").lower().split("/") if part) for name in names}
    return sorted({*found, ()}, key=len, reverse=True)


def read_logs(
    names: Sequence[str],
    folders: Sequence[tuple[str, ...]],
    counts: LogCounts,
    posts: bool = False,
    progress: Callable[[], None] = lambda: None,
) -> Iterator[LoggedRequest]:
    """Yield the repeatable requests of log files, "-" for standard input, line by line. Raises LogUnreadable.

    ``posts``: those that cannot be repeated too. ``progress`` is called now and then.
    """
    for name in names:
        with _opened(name) as file:
            try:
                for line in _lines(file):
                    counts.lines += 1
                    if counts.lines % REPORT_LINES == 1:
                        progress()
                    yield from _of_line(line, folders, counts, posts)
            except (OSError, EOFError, zlib.error):
                raise LogUnreadable(f"{name}: line {counts.lines + 1} cannot be read") from None


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    try:
        raw = sys.stdin.buffer if name == "-" else Path(name).open("rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise LogUnreadable(f"{name}: {error.strerror or 'cannot be opened'}") from None
    try:
        packed = cast("BufferedReader", raw).peek(2)[:2] == b"\x1f\x8b"
        yield cast("IO[bytes]", gzip.GzipFile(fileobj=raw) if packed else raw)
    finally:
        if name != "-":
            raw.close()


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines, of a longer one only its beginning: memory stays the same whatever the file has."""
    while line := file.readline(MAX_LINE):
        yield line
        while not line.endswith(b"\n") and (line := file.readline(MAX_LINE)):
            pass


def _of_line(
    line: bytes, folders: Sequence[tuple[str, ...]], counts: LogCounts, posts: bool
) -> Iterator[LoggedRequest]:
    match = _REQUEST.search(line)
    if match is None:
        return
    method, status, target = match[1], match[3], _target(match[2])
    request = parse(target, folders)
    if request is None:
        counts.note_other_folder(target)
        return
    if status != b"200" or method not in (b"GET", b"POST"):
        counts.not_answered += 1
        return
    counts.requests += 1
    if method == b"POST":
        counts.posts += 1
    if posts or method == b"GET":
        yield request


def _target(written: bytes) -> str:
    """Return an address as it was sent: a log escapes bytes, and some servers log the whole URL."""
    raw = _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()) if found[1] else found[2], written)
    if not raw.startswith(b"/"):
        raw = b"/" + raw.partition(b"://")[2].partition(b"/")[2]
    return _SENDABLE.sub(lambda found: b"%%%02X" % found[0][0], raw).decode("ascii")


def parse(target: str, folders: Sequence[tuple[str, ...]]) -> LoggedRequest | None:
    """Return the parts of an address of the legacy wire; None for another address."""
    if len(target) > MAX_TARGET:
        return None
    path, mark, query = target.partition("?")
    segments = path.lstrip("/").split("/")
    for folder in folders:
        begin = len(folder)
        if tuple(unquote(segment).lower() for segment in segments[:begin]) != folder:
            continue
        format = segments[begin].lower() if begin < len(segments) else ""
        if format in FORMATS and len(segments) > begin + 3:
            before = "/" + "".join(f"{segment}/" for segment in segments[:begin])
            return LoggedRequest(before, format, tuple(segments[begin + 1 :]), mark + query)
    return None


def other_folder(target: str) -> str:
    """Return the folder of an address that looks like one of the legacy wire in a folder that nobody named, else ""."""
    segments = target.partition("?")[0].lstrip("/").split("/")
    for at in range(1, min(4, len(segments) - 3)):
        if segments[at].lower() in FORMATS:
            folder = "/".join(segments[:at]).lower()
            return folder if _FOLDER.fullmatch(folder) else ""
    return ""
