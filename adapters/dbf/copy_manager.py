"""Keeps the copies of tables up to date: one builder for each table at a time, in the background, over all processes.

Small files are read in a thread. Large ones are read by a process of their own, so that they use neither the memory
nor the interpreter of a worker that answers calls.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from adapters.base import ConnectFailed, SourceError, TimedOut
from adapters.dbf import building, memo, table_copy
from adapters.dbf.building import FileBusy
from adapters.dbf.table_copy import TableCopy
from adapters.dbf.tables import Table

log = logging.getLogger("mantra.adapters")

#: Bytes of table and memo file from which a separate process reads them.
LARGE = 4 * 1024 * 1024

#: Seconds that a call waits for the new state of a small file before it uses the old copy.
_SOON = 0.25

#: A file that changes all the time is read again after a pause: this many times as long as reading it takes.
_PAUSE_FACTOR = 2.0

#: Seconds after which a failed reading is repeated.
_RETRY = 5.0

#: Readings of a table until it has a copy: another process may remove one as soon as it is complete.
_READINGS = 3

#: Builders that may run for the tables of one folder. Each folder has its own: one that hangs does not stop others.
_SLOTS = 2
_slots: dict[Path, threading.Semaphore] = {}

#: Indexes created at most because operations compare their columns.
MAX_INDICES = 12

#: Environment variables that the reading process inherits. The others may be secrets.
_INHERITED = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SQLITE_TMPDIR")

_PROGRESS = struct.Struct("<QQ")
_ROOT = Path(__file__).resolve().parents[2]


@dataclass
class CopyJob:
    """A running reading of a table. ``error`` is set afterwards if it failed."""

    done: threading.Event = field(default_factory=threading.Event)
    error: SourceError | None = None
    ended: float = 0.0


@dataclass
class TrackedCopy:
    """The knowledge of this process about the copy of one table."""

    copy: TableCopy | None = None
    job: CopyJob | None = None
    #: When the file was last seen in the state that the copy shows, epoch seconds.
    seen: float = 0.0


_tracked: dict[Path, TrackedCopy] = {}
_lock = threading.Lock()


def _forget() -> None:
    """Start anew in a forked child: the threads are the parent's."""
    global _lock
    _lock = threading.Lock()
    _tracked.clear()
    _slots.clear()


os.register_at_fork(after_in_child=_forget)


def current(table: Table, indices: Iterable[str], deadline: float) -> tuple[TableCopy, float]:
    """Return a complete copy of the table, and the epoch second at which the file was last seen in its state.

    Waits for the first reading until ``deadline`` (a time.monotonic() value); later ones run in the background.
    Raises TimedOut while the first is not complete, and ConnectFailed.
    """
    wanted = set(indices)
    tracked = _tracked_copy(table)
    if tracked.copy is None:
        tracked.copy = _wait_for_first(table, tracked, wanted, deadline)
        tracked.seen = tracked.copy.meta.read
    copy = tracked.copy
    if not is_fresh(table, copy):
        wait = min(deadline, time.monotonic() + _SOON) if size(table) < LARGE else 0.0
        _refresh(table, tracked, wanted, wait)
        tracked.copy = copy = _tracked_copy(table).copy or copy
        tracked.seen = max(tracked.seen, copy.meta.read)
    elif copy.meta.settled:
        tracked.seen = time.time()
    missing = wanted - set(copy.meta.indices) - _not_indexable(copy, wanted)
    if missing and len(copy.meta.indices) < MAX_INDICES:
        _start_job(table, tracked, wanted)
    return copy, tracked.seen


def _tracked_copy(table: Table) -> TrackedCopy:
    """Return what is known of a table, with the copy that is in place now."""
    with _lock:
        tracked = _tracked.setdefault(table.cache, TrackedCopy())
    identity = table_copy.identity(table.cache)
    if tracked.copy is None or tracked.copy.identity != identity:
        loaded = table_copy.load(table.cache) if identity else None
        if loaded is not None or identity is None:
            tracked.copy = loaded
            tracked.seen = loaded.meta.read if loaded else 0.0
    return tracked


def is_fresh(table: Table, copy: TableCopy) -> bool:
    """Return True if the files are in the state that was read. Raises ConnectFailed when they cannot be read."""
    meta = copy.meta
    memo_path = Path(meta.memo) if meta.memo else None
    try:
        if table.state(memo_path) != meta.state:
            return False
        if meta.memo_missing and memo.find(table.path, False) is not None:
            return False
    except OSError as error:
        # A memo file that has vanished is a change; the table itself must exist.
        if memo_path is not None and table.path.is_file() and not memo_path.is_file():
            return False
        raise _to_source_error(error) from None
    return meta.settled or time.time() < meta.read + table_copy.RACY


def _to_source_error(error: OSError) -> ConnectFailed:
    if isinstance(error, FileNotFoundError):
        return ConnectFailed("file-missing")
    return ConnectFailed("file-forbidden" if isinstance(error, PermissionError) else "broken")


def _not_indexable(copy: TableCopy, wanted: set[str]) -> set[str]:
    """Return the indexes that this table cannot have."""
    indexable = {column.name.lower() for column in copy.meta.columns if column.kind != "bytes"}
    return {index for index in wanted if index.removesuffix(table_copy.NOCASE) not in indexable}


def _wait_for_first(table: Table, tracked: TrackedCopy, indices: set[str], deadline: float) -> TableCopy:
    for _ in range(_READINGS):
        job = _start_job(table, tracked, indices)
        if not job.done.wait(max(deadline - time.monotonic(), 0)):
            raise TimedOut("timeout")
        copy = table_copy.load(table.cache)
        if copy is not None:
            return copy
        if job.error is not None:
            raise job.error
    raise ConnectFailed("broken")


def _refresh(table: Table, tracked: TrackedCopy, indices: set[str], wait_until: float) -> None:
    """Start a newer reading unless one has just ended, and wait for it until ``wait_until``."""
    assert tracked.copy is not None
    meta = tracked.copy.meta
    rest = max(_PAUSE_FACTOR * meta.seconds, 0.0)
    if meta.seconds > 0.5 and time.time() < meta.read + rest:
        return
    job = _start_job(table, tracked, indices)
    job.done.wait(max(wait_until - time.monotonic(), 0))


def _start_job(table: Table, tracked: TrackedCopy, indices: set[str]) -> CopyJob:
    """Return the running job of the table, or a new one. A failed one is not repeated at once."""
    with _lock:
        job = tracked.job
        if job is not None and (
            not job.done.is_set() or (job.error is not None and time.monotonic() < job.ended + _RETRY)
        ):
            return job
        job = tracked.job = CopyJob()
    threading.Thread(target=_run_job, args=(table, sorted(indices), job), name="dbf-reader", daemon=True).start()
    return job


def _run_job(table: Table, indices: list[str], job: CopyJob) -> None:
    try:
        with _slots.setdefault(table.path.parent, threading.Semaphore(_SLOTS)):
            if size(table) >= LARGE and sys.executable:
                _build_in_process(table, indices)
            else:
                update(table, indices)
    except OSError as error:
        job.error = _to_source_error(error)
    except FileBusy:
        job.error = ConnectFailed("file-busy")
    except Exception as error:
        log.error("the table %s cannot be read: %s", table.name, type(error).__name__)
        job.error = ConnectFailed("other")
    finally:
        if job.error is not None:
            _write_failure(table, job.error.reason)
        job.ended = time.monotonic()
        job.done.set()


def size(table: Table) -> int:
    """Return the bytes of table and memo file; 0 if they cannot be seen."""
    with suppress(OSError):
        memo_path = memo.find(table.path, False)
        return table.path.stat().st_size + (memo_path.stat().st_size if memo_path else 0)
    return 0


def _build_in_process(table: Table, indices: list[str]) -> None:
    """Read the table in a process of its own. Raises FileBusy and OSError as update() does."""
    with start_process(subprocess.DEVNULL) as process:
        process.communicate(task_of(table, indices=indices))
    if process.returncode == BUSY:
        raise FileBusy
    if process.returncode:
        raise OSError(process.returncode, "the process that reads the file failed")


def start_process(stdout: int) -> subprocess.Popen[bytes]:
    """Start a process that reads a table. It takes its task, as task_of() returns it, from its standard input."""
    return subprocess.Popen(
        [sys.executable, "-m", "adapters.dbf"],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        cwd=_ROOT,
        env={"PYTHONPATH": str(_ROOT), **{name: os.environ[name] for name in _INHERITED if name in os.environ}},
    )


def task_of(table: Table, **task: Any) -> bytes:
    """Return a task for a reading process."""
    return json.dumps({**{name: str(value) for name, value in asdict(table).items()}, **task}).encode()


#: Exit code of the reading process for a file that changes without a pause.
BUSY = 75


def main(task: dict[str, Any]) -> int:
    """Run the reading process for a task of _build_in_process(). Returns the exit code."""
    table = Table(task["name"], Path(task["path"]), task["encoding"], Path(task["cache"]))
    try:
        update(table, task["indices"])
    except FileBusy:
        return BUSY
    return 0


def update(table: Table, indices: Iterable[str]) -> None:
    """Bring a table's copy up to date, unless another process has done so. Raises FileBusy and OSError."""
    wanted = set(indices)
    with _locked(table) as descriptor:
        building.sweep(table.cache)
        copy = table_copy.load(table.cache)
        if copy is not None:
            # The new copy gets the indexes of the old one.
            wanted |= set(copy.meta.indices)
            if is_fresh(table, copy):
                missing = wanted - set(copy.meta.indices) - _not_indexable(copy, wanted)
                if missing and not copy.meta.refused:
                    building.add_indices(copy, table.name, missing)
                return
        building.build(table, wanted, copy, lambda done, total: _write_progress(descriptor, done, total))


@contextmanager
def _locked(table: Table) -> Iterator[int]:
    """Hold the table's lock against all other processes. The file is never removed: that would break the lock."""
    path = table.lock_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        _write_progress(descriptor, 0, 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _write_progress(descriptor: int, done: int, total: int) -> None:
    """Write the progress into the lock file, where every process can read it."""
    os.pwrite(descriptor, _PROGRESS.pack(done, total), 0)


def _write_failure(table: Table, reason: str) -> None:
    """Write the reason of a failure after the progress, unless another reading has started meanwhile."""
    with suppress(OSError), table.lock_path().open("r+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.pwrite(file.fileno(), reason.encode(), _PROGRESS.size)


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a table's copy. ``done`` of ``total`` records are read; ``total`` is 0 before the header is read.

    States: "none" (not read yet), "reading", "ready", "old" (the file has changed since), "failed" (the last
    reading; ``reason`` is a word from REASONS), "refused" (``warnings`` has the reason as a sentence).
    ``as_of`` is the epoch second at which the file was last read in the copy's state; None without a copy.
    """

    name: str
    state: str
    done: int = 0
    total: int = 0
    as_of: float | None = None
    reason: str = ""
    warnings: Sequence[str] = ()


def status(table: Table) -> Status:
    """Return the state of a table's copy, whichever process builds it."""
    copy = _tracked_copy(table).copy
    warnings = copy.meta.warnings if copy else []
    as_of = copy.meta.read if copy and not copy.meta.refused else None
    running, done, total, reason = _read_lock_file(table)
    if running:
        return Status(table.name, "reading", done, total, as_of, "", warnings)
    if copy is None:
        return Status(table.name, "failed" if reason else "none", reason=reason)
    state = "refused" if copy.meta.refused else "ready"
    try:
        if not is_fresh(table, copy):
            state = "failed" if reason else "old"
    except SourceError as error:
        state, reason = "failed", error.reason
    if state != "failed":
        reason = ""
    return Status(table.name, state, copy.meta.records, copy.meta.records, as_of, reason, warnings)


def _read_lock_file(table: Table) -> tuple[bool, int, int, str]:
    """Read the lock file: whether a reading runs, its progress, and why the last one failed."""
    with suppress(OSError), table.lock_path().open("rb") as file:
        running = False
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            running = True
        content = file.read(_PROGRESS.size + 64)
        done, total = _PROGRESS.unpack(content[: _PROGRESS.size].ljust(_PROGRESS.size, b"\0"))
        return running, done, total, content[_PROGRESS.size :].decode("ascii", "replace")
    return False, 0, 0, ""


def start_reading(table: Table, indices: Iterable[str]) -> CopyJob:
    """Start reading a table unless it is being read, without waiting for it."""
    return _start_job(table, _tracked_copy(table), set(indices))


def existing(table: Table) -> TableCopy | None:
    """Return the copy that exists, however old."""
    return _tracked_copy(table).copy
