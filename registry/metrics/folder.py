"""The folder of the metrics: its files, and its lock."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

#: A process's counts, of a layout with this number, and its gauges. Both have the same stem.
COUNTS, GAUGES = ".counts1", ".gauges"
#: The counts of processes that have ended.
ENDED = "ended1.json"


def path() -> Path:
    """Return the folder. Raises OSError if it can be neither found nor created."""
    folder = Path(settings.METRICS_DIR)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@contextmanager
def locked() -> Iterator[Path]:
    """Hold the folder's lock: no other process creates, adds up or removes files meanwhile. Raises OSError."""
    folder = path()
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(fd)


def is_written(fd: int) -> bool:
    """Return True if the process that counts in an open file is alive."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def write(file: Path, content: bytes) -> None:
    """Replace a file as a whole. Raises OSError."""
    draft = file.with_name(f"{file.name}.new")
    draft.write_bytes(content)
    draft.replace(file)
