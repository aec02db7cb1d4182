"""Which one of several processes does a task: one for a database (Leadership), or one for a folder (only_one_in).

They are two because a task may belong to either. All prober processes of an installation share its database; the
shipping takes in the segments of one folder, which other hosts may not see. A folder's lock is the kernel's, so that
it holds while the database is away and ends with its holder.
"""

from __future__ import annotations

import fcntl
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db.models import F

from registry import processes
from registry.models import LeaderLock

#: Seconds for which a lock may stand still before another process takes it.
TAKEOVER_SECONDS = 5.0
#: Monotonic seconds. Tests set their own.
clock: Callable[[], float] = time.monotonic


class Leadership:
    """One process's claim to a LeaderLock. A lock whose beat stands still is free: no two clocks are compared."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._own_name = processes.this_process()
        self._seen: tuple[str, int] = ("", -1)
        self._since = 0.0
        self.held = False

    def hold(self) -> bool:
        """Renew the lock or try to get it; True if this process has it. Raises what the database raises."""
        rows = LeaderLock.objects.filter(name=self._name)
        if self.held:
            self.held = bool(rows.filter(holder=self._own_name).update(beat=F("beat") + 1))
            return self.held
        row, _ = LeaderLock.objects.get_or_create(name=self._name)
        if (row.holder, row.beat) != self._seen:
            self._seen, self._since = (row.holder, row.beat), clock()
        if row.holder == self._own_name or self._free(row.holder):
            mine = rows.filter(holder=row.holder, beat=row.beat).update(holder=self._own_name, beat=row.beat + 1)
            self.held = bool(mine)
        return self.held

    def _free(self, holder: str) -> bool:
        host, _, pid = holder.rpartition(":")
        if not holder or clock() - self._since > TAKEOVER_SECONDS:
            return True
        return host == socket.gethostname()[:80] and pid.isdigit() and not processes.pid_alive(int(pid))

    def release(self) -> None:
        """Release the lock, so that the next process need not wait."""
        if self.held:
            self.held = False
            LeaderLock.objects.filter(name=self._name, holder=self._own_name).update(holder="")


@contextmanager
def only_one_in(folder: Path, name: str) -> Iterator[bool]:
    """Yield True to the one process that may do the task in this folder now; False to any other."""
    with (folder / f"{name}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


@contextmanager
def in_turn(folder: Path, name: str) -> Iterator[None]:
    """Wait until no other process does the task in this folder, and keep others from it."""
    with (folder / f"{name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_done_in(folder: Path, name: str) -> bool:
    """Return True if a process does the task in this folder now."""
    try:
        with (folder / f"{name}.lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
