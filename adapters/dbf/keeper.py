"""Keeps the generations of tables up to date: one builder at a time, in the background, over all processes.

Small files are read in a thread. Large ones are read by a process of their own, so that neither the memory
nor the interpreter of a worker that answers calls is taken.
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
from adapters.dbf import generation, memo
from adapters.dbf.generation import FileBusy, Generation
from adapters.dbf.tables import Table

log = logging.getLogger("mantra.adapters")

#: Bytes of table and memo from which on a process reads them.
LARGE = 4 * 1024 * 1024

#: Seconds for which an answer waits for the new state of a small file instead of giving the old one.
_SOON = 0.25

#: A file that changes all the time is read again after a rest of so many times the reading's own time.
_REST = 2.0

#: Seconds after which a reading that failed is tried again.
_RETRY = 5.0

#: Builders at work on the tables of one folder. Each folder has its own, or one that hangs would stop the others.
_SLOTS = 2
_slots: dict[Path, threading.Semaphore] = {}

#: At most so many indices are made because operations compare their columns.
MAX_INDICES = 12

#: What the reading process gets of our environment, which holds secrets.
_INHERITED = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SQLITE_TMPDIR")

_PROGRESS = struct.Struct("<QQ")
_ROOT = Path(__file__).resolve().parents[2]


@dataclass
class _Job:
    """A reading under way. ``error`` says, afterwards, why it failed."""

    done: threading.Event = field(default_factory=threading.Event)
    error: SourceError | None = None
    ended: float = 0.0


@dataclass
class _Kept:
    """What this process knows of one table."""

    generation: Generation | None = None
    job: _Job | None = None
    #: When the file was last seen in the generation's state, epoch seconds.
    seen: float = 0.0


_kept: dict[Path, _Kept] = {}
_lock = threading.Lock()


def _forget() -> None:
    """In a forked child the threads were the parent's."""
    global _lock
    _lock = threading.Lock()
    _kept.clear()
    _slots.clear()


os.register_at_fork(after_in_child=_forget)


def current(table: Table, indices: Iterable[str], deadline: float) -> tuple[Generation, float]:
    """A finished reading of the table, and the epoch second at which the file was last seen as it is there.

    Waits for the first reading until ``deadline`` (by time.monotonic()); later ones are made behind the
    answers. Raises TimedOut while the first is not done, and ConnectFailed.
    """
    wanted = set(indices)
    kept = _held(table)
    if kept.generation is None:
        kept.generation = _first(table, kept, wanted, deadline)
        kept.seen = kept.generation.meta.read
    found = kept.generation
    if not fresh(table, found):
        wait = min(deadline, time.monotonic() + _SOON) if _bytes(table) < LARGE else 0.0
        _renew(table, kept, wanted, wait)
        kept.generation = found = _held(table).generation or found
        kept.seen = max(kept.seen, found.meta.read)
    elif found.meta.settled:
        kept.seen = time.time()
    missing = wanted - set(found.meta.indices) - _impossible(found, wanted)
    if missing and len(found.meta.indices) < MAX_INDICES:
        _start(table, kept, wanted)
    return found, kept.seen


def _held(table: Table) -> _Kept:
    """What is known of a table, with the generation that lies in its place now."""
    with _lock:
        kept = _kept.setdefault(table.cache, _Kept())
    identity = generation.identity(table.cache)
    if kept.generation is None or kept.generation.identity != identity:
        loaded = generation.load(table.cache) if identity else None
        if loaded is not None or identity is None:
            kept.generation = loaded
            kept.seen = loaded.meta.read if loaded else 0.0
    return kept


def fresh(table: Table, found: Generation) -> bool:
    """Whether the files are in the state that was read. Raises ConnectFailed when they cannot be looked at."""
    meta = found.meta
    memo_path = Path(meta.memo) if meta.memo else None
    try:
        if table.state(memo_path) != meta.state:
            return False
        if meta.memo_missing and memo.find(table.path, False) is not None:
            return False
    except OSError as error:
        # A memo file that went away is a change; the table itself must be there.
        if memo_path is not None and table.path.is_file() and not memo_path.is_file():
            return False
        raise _unreadable(error) from None
    return meta.settled or time.time() < meta.read + generation.RACY


def _unreadable(error: OSError) -> ConnectFailed:
    if isinstance(error, FileNotFoundError):
        return ConnectFailed("file-missing")
    return ConnectFailed("file-forbidden" if isinstance(error, PermissionError) else "broken")


def _impossible(found: Generation, wanted: set[str]) -> set[str]:
    """The indices that this table cannot have."""
    able = {column.name.lower() for column in found.meta.columns if column.kind != "bytes"}
    return {index for index in wanted if index.removesuffix(generation.NOCASE) not in able}


def _first(table: Table, kept: _Kept, indices: set[str], deadline: float) -> Generation:
    while True:
        job = _start(table, kept, indices)
        if not job.done.wait(max(deadline - time.monotonic(), 0)):
            raise TimedOut("timeout")
        found = generation.load(table.cache)
        if found is not None:
            return found
        raise job.error or ConnectFailed("broken")


def _renew(table: Table, kept: _Kept, indices: set[str], wait_until: float) -> None:
    """See to a newer reading, and wait for it a moment if it will not take longer."""
    assert kept.generation is not None
    meta = kept.generation.meta
    rest = max(_REST * meta.seconds, 0.0)
    if meta.seconds > 0.5 and time.time() < meta.read + rest:
        return
    job = _start(table, kept, indices)
    job.done.wait(max(wait_until - time.monotonic(), 0))


def _start(table: Table, kept: _Kept, indices: set[str]) -> _Job:
    """The job that is under way for the table, or a new one. A failed one is left alone for a while."""
    with _lock:
        job = kept.job
        if job is not None and (
            not job.done.is_set() or (job.error is not None and time.monotonic() < job.ended + _RETRY)
        ):
            return job
        job = kept.job = _Job()
    threading.Thread(target=_run, args=(table, sorted(indices), job), name="dbf-reader", daemon=True).start()
    return job


def _run(table: Table, indices: list[str], job: _Job) -> None:
    try:
        with _slots.setdefault(table.path.parent, threading.Semaphore(_SLOTS)):
            if _bytes(table) >= LARGE and sys.executable:
                _in_process(table, indices)
            else:
                work(table, indices)
    except OSError as error:
        job.error = _unreadable(error)
    except FileBusy:
        job.error = ConnectFailed("file-busy")
    except Exception as error:
        log.error("the table %s cannot be read: %s", table.name, type(error).__name__)
        job.error = ConnectFailed("other")
    finally:
        if job.error is not None:
            _tell_failure(table, job.error.reason)
        job.ended = time.monotonic()
        job.done.set()


def _bytes(table: Table) -> int:
    with suppress(OSError):
        found = memo.find(table.path, False)
        return table.path.stat().st_size + (found.stat().st_size if found else 0)
    return 0


def _in_process(table: Table, indices: list[str]) -> None:
    """Have a process of its own read the table. Raises FileBusy and OSError as work() does."""
    task = {**{name: str(value) for name, value in asdict(table).items()}, "indices": indices}
    ended = subprocess.run(
        [sys.executable, "-m", "adapters.dbf"],
        input=json.dumps(task).encode(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=_ROOT,
        env={"PYTHONPATH": str(_ROOT), **{name: os.environ[name] for name in _INHERITED if name in os.environ}},
        check=False,
    )
    if ended.returncode == BUSY:
        raise FileBusy
    if ended.returncode:
        raise OSError(ended.returncode, "the reading process failed")


#: Exit code of the reading process for a file that never stands still.
BUSY = 75


def main(task: dict[str, Any]) -> int:
    """The reading process: a task as _in_process() writes it. Returns the exit code."""
    table = Table(task["name"], Path(task["path"]), task["encoding"], Path(task["cache"]))
    try:
        work(table, task["indices"])
    except FileBusy:
        return BUSY
    return 0


def work(table: Table, indices: Iterable[str]) -> None:
    """Bring a table's generation up to date, unless another process does so first. Raises FileBusy and OSError."""
    wanted = set(indices)
    with _locked(table) as descriptor:
        generation.sweep(table.cache)
        found = generation.load(table.cache)
        if found is not None:
            # What was worth an index before is worth one again.
            wanted |= set(found.meta.indices)
            if fresh(table, found):
                missing = wanted - set(found.meta.indices) - _impossible(found, wanted)
                if missing and not found.meta.refused:
                    generation.add_indices(found, table.name, missing)
                return
        generation.build(table, wanted, found, lambda done, total: _tell(descriptor, done, total))


def _lock_path(table: Table) -> Path:
    return table.cache.with_suffix(".lock")


@contextmanager
def _locked(table: Table) -> Iterator[int]:
    """Hold the table's lock against all other processes. The file stays: to remove it would break the lock."""
    path = _lock_path(table)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        _tell(descriptor, 0, 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _tell(descriptor: int, done: int, total: int) -> None:
    """Leave the progress in the lock file, where any process can read it."""
    os.pwrite(descriptor, _PROGRESS.pack(done, total), 0)


def _tell_failure(table: Table, reason: str) -> None:
    """Leave behind the progress why the last reading failed, unless another has begun meanwhile."""
    with suppress(OSError), _lock_path(table).open("r+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.pwrite(file.fileno(), reason.encode(), _PROGRESS.size)


@dataclass(frozen=True, slots=True)
class Status:
    """How far the copy of a table is. ``done`` of ``total`` records are read; before the header is, ``total`` is 0.

    States: "none" (not read yet), "reading", "ready", "old" (the file has changed since), "failed" (the last
    reading was, and ``reason`` is a word from REASONS), "refused" (``warnings`` has the sentence that says why).
    ``as_of`` is the epoch second at which the file was last read as the copy shows it, None where there is none.
    """

    name: str
    state: str
    done: int = 0
    total: int = 0
    as_of: float | None = None
    reason: str = ""
    warnings: Sequence[str] = ()


def status(table: Table) -> Status:
    """What any process can know of a table's copy, whichever process makes it."""
    found = _held(table).generation
    warnings = found.meta.warnings if found else []
    as_of = found.meta.read if found and not found.meta.refused else None
    under_way, done, total, reason = _left(table)
    if under_way:
        return Status(table.name, "reading", done, total, as_of, "", warnings)
    if found is None:
        return Status(table.name, "failed" if reason else "none", reason=reason)
    state = "refused" if found.meta.refused else "ready"
    try:
        if not fresh(table, found):
            state = "failed" if reason else "old"
    except SourceError as error:
        state, reason = "failed", error.reason
    if state != "failed":
        reason = ""
    return Status(table.name, state, found.meta.records, found.meta.records, as_of, reason, warnings)


def _left(table: Table) -> tuple[bool, int, int, str]:
    """What the lock file tells: whether a reading is under way, its progress, and why the last one failed."""
    with suppress(OSError), _lock_path(table).open("rb") as file:
        under_way = False
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            under_way = True
        said = file.read(_PROGRESS.size + 64)
        done, total = _PROGRESS.unpack(said[: _PROGRESS.size].ljust(_PROGRESS.size, b"\0"))
        return under_way, done, total, said[_PROGRESS.size :].decode("ascii", "replace")
    return False, 0, 0, ""


def begin(table: Table, indices: Iterable[str]) -> None:
    """Have a table read without waiting for it."""
    _start(table, _held(table), set(indices))


def known(table: Table) -> Generation | None:
    """The reading that there is, however old."""
    return _held(table).generation
