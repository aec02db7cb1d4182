"""Commands of manage.py as children of this process, started again when they end."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: What runs beside the server: takes the journal into the history, and asks upstreams whether they are well.
COMMANDS = ("ship_journal", "probe_upstreams")
#: How far they stand back where processors are short.
NICE = 5


class Child:
    """``manage.py COMMAND --follow --parent PID``, kept running."""

    def __init__(self, command: str, closed: Iterable[int] = ()) -> None:
        """``closed``: the files that the child must not hold open."""
        self._command = command
        self._closed = tuple(closed)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._gone = threading.Event()
        self._gone.set()
        self._pid = 0

    def start(self) -> None:
        self._gone.clear()
        threading.Thread(target=self._watch, name=self._command, daemon=True).start()

    def _watch(self) -> None:
        # The shipping itself checks the settings: what is wrong with them belongs to the log, in its form.
        options = ["--follow", "--skip-checks", "--parent", str(os.getpid())]
        command = [sys.executable, str(ROOT / "manage.py"), self._command, *options]
        files = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            *((os.POSIX_SPAWN_CLOSE, number) for number in self._closed),
        ]
        while True:
            with self._lock:
                if self._ended.is_set():
                    break
                # Not subprocess: it waits for the end of a pipe that a worker forked meanwhile would hold open.
                # A session of its own: Ctrl-C is for the parent, which ends the child after the last call.
                self._pid = os.posix_spawn(sys.executable, command, os.environ, file_actions=files, setsid=True)
                # Calls come first.
                with contextlib.suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, self._pid, NICE)
            # The server collects its dead children itself and may be the first to hear of this one.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
            self._pid = 0
            self._ended.wait(1)
        self._gone.set()

    def ask_to_end(self) -> None:
        with self._lock:
            self._ended.set()
        self._kill(signal.SIGTERM)

    def renew(self) -> None:
        """Ask the process to end: a new one takes its place, and reads the settings that are in files again."""
        # Without the lock, so that a signal's handler may do it. A process that starts meanwhile reads them anyway.
        self._kill(signal.SIGTERM)

    def end(self) -> None:
        """See to it that it is gone: by force after 10 seconds."""
        if not self._gone.wait(10):
            self._kill(signal.SIGKILL)
            self._gone.wait(1)

    def _kill(self, way: signal.Signals) -> None:
        pid = self._pid  # once: it may become 0 meanwhile, which to kill() would be this whole group
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, way)


class Children:
    """All that is to run beside, as one."""

    def __init__(self, commands: Iterable[str] = COMMANDS, closed: Iterable[int] = ()) -> None:
        files = tuple(closed)
        self._children = [Child(command, files) for command in commands]

    def start(self) -> None:
        for child in self._children:
            child.start()

    def start_after(self, wait: Callable[[], object]) -> None:
        """Start them when ``wait`` has returned, which a thread calls."""

        def start() -> None:
            wait()
            self.start()

        threading.Thread(target=start, name="children", daemon=True).start()

    def renew(self) -> None:
        """Let new processes take their place. Does not wait for them."""
        for child in self._children:
            child.renew()

    def end(self) -> None:
        """End them for good. Blocks until they are gone, some 10 seconds at most."""
        for child in self._children:
            child.ask_to_end()
        for child in self._children:
            child.end()
