"""The sign of life of the process that ships this journal: a small file in the journal's folder.

It is a file because it must be written while the database is away. A thread of its own writes it: a round of shipping
may take minutes after an outage.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from registry import processes

#: Seconds between two beats, and after which a process that gave no sign is taken for silent.
BEAT, SILENT = 2.0, 30.0
#: What a round may have failed of.
DATABASE, JOURNAL = "database", "journal"


@dataclass(frozen=True, slots=True)
class Sign:
    """What the process said last, and when. ``round_at``: when its last round without an error ended.

    ``failing_since`` and ``failed``: since when its rounds fail, and of what (DATABASE or JOURNAL).
    """

    seen_at: datetime
    process: str
    began_at: datetime | None = None
    round_at: datetime | None = None
    failing_since: datetime | None = None
    failed: str = ""

    def is_silent(self, now: datetime) -> bool:
        """Return True if the process has ended or hangs."""
        return (now - self.seen_at).total_seconds() > SILENT


class Heartbeat:
    """Keeps the sign of this process, and writes it every BEAT seconds."""

    def __init__(self, now: Callable[[], datetime] = timezone.now) -> None:
        self._now = now
        self._began_at = now()
        self._round_at: datetime | None = None
        self._failing_since: datetime | None = None
        self._failed = ""

    def succeeded(self) -> None:
        """Note that a round has ended without an error."""
        self._round_at, self._failing_since, self._failed = self._now(), None, ""

    def failed(self, error: Exception) -> None:
        """Note that a round has failed."""
        self._failing_since = self._failing_since or self._now()
        self._failed = DATABASE if isinstance(error, DatabaseError | InterfaceError) else JOURNAL

    def sign(self) -> Sign:
        """Return what the process has to say now."""
        return Sign(
            self._now(), processes.this_process(), self._began_at, self._round_at, self._failing_since, self._failed
        )

    def write(self) -> None:
        """Write the sign. If the disk is full, the file's time still says that the process is alive."""
        path = _path()
        new = path.with_suffix(".new")
        try:
            new.write_bytes(orjson.dumps(self.sign()))
            new.replace(path)
        except OSError:
            with suppress(OSError):
                path.touch()

    def run(self, stop: threading.Event) -> None:
        """Write the sign until ``stop`` is set."""
        while True:
            self.write()
            if stop.wait(BEAT):
                return


def last() -> Sign | None:
    """Return the last sign of the process that ships this host's journal, None if there never was one."""
    path = _path()
    try:
        return _read(orjson.loads(path.read_bytes()), datetime.fromtimestamp(path.stat().st_mtime, UTC))
    except (OSError, ValueError, KeyError, TypeError):  # none, or of another version
        return None


def _read(stored: dict[str, str | None], touched_at: datetime) -> Sign:
    times = {
        name: datetime.fromisoformat(text) if (text := stored[name]) else None
        for name in ("began_at", "round_at", "failing_since")
    }
    return Sign(touched_at, str(stored["process"]), **times, failed=str(stored["failed"]))


def _path() -> Path:
    return Path(settings.JOURNAL_DIR) / "ship.alive"
