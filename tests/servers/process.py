"""What every test server shares: an account, a folder, a port, a start and an end."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

IS_ROOT = os.geteuid() == 0


def as_nobody(command: Sequence[str]) -> list[str]:
    """The command as an ordinary account runs it: database servers refuse to run as root.

    The kernel ends it when the thread that started it ends, so that a killed test run leaves nothing behind.
    """
    account = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"] if IS_ROOT else []
    return ["setpriv", *account, "--pdeathsig=TERM", "--", *command]


def ending_with_us(command: Sequence[str]) -> list[str]:
    """The command under this account; the kernel ends it as it does those of as_nobody."""
    return ["setpriv", "--pdeathsig=TERM", "--", *command]


#: Whether the test that runs now is marked as one that starts processes: ``./test quick`` leaves those out.
permitted = True


def permit(what: str) -> None:
    """Called before a process is started. Raises AssertionError where no marker says that the test needs one."""
    assert permitted, f"{what}: mark the test or its fixture, see tests/markers.py"


#: Below the ports that the kernel hands out to connections by itself.
_FIRST, _LAST = 20_000, 32_000


def _own_ports() -> Iterator[int]:
    """This process's share of the ports, round and round: xdist's workers have one each, and never take the same."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    count = max(int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")), number + 1)
    share = range(_FIRST + (_LAST - _FIRST) * number // count, _FIRST + (_LAST - _FIRST) * (number + 1) // count)
    # Another run on this machine begins elsewhere.
    start = random.randrange(len(share))
    return itertools.cycle([*share[start:], *share[:start]])


_ports = _own_ports()


def free_port() -> int:
    """A port that nobody uses, and that no other worker of this run will be given."""
    for port in itertools.islice(_ports, _LAST - _FIRST):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free")


def new_folder(prefix: str) -> Path:
    """A fresh folder that the servers' account owns. Its path is short: a UNIX socket's has 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix=f"mantra-{prefix}-", dir="/tmp"))
    if IS_ROOT:
        shutil.chown(folder, "nobody")
    return folder


def find_binary(name: str, *folders: str) -> str:
    """The full path of a server's program. Raises FileNotFoundError naming it."""
    places = [*folders, *os.get_exec_path(), "/usr/sbin", "/usr/local/sbin"]
    for place in places:
        candidate = Path(place, name)
        if candidate.exists():
            return str(candidate)
    raise FileNotFoundError(f"{name} is not installed: ./test says which packages the tests need")


def wait_until(ready: Callable[[], object], seconds: float, what: str) -> float:
    """Wait until it is so, for so many seconds at most. Returns how many it took; raises TimeoutError."""
    began = time.monotonic()
    while not ready():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"{what} was not ready within {seconds:g} s")
        time.sleep(0.05)
    return time.monotonic() - began


def answers(port: int) -> bool:
    """Whether something listens on the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """A server of our own on 127.0.0.1. ``start`` may follow ``stop``: port and data stay."""

    name = "server"
    #: What a test that starts one is marked with.
    marker = "server"
    farewell = signal.SIGTERM

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = new_folder(self.name)
        #: More words for the command line, from the next start on.
        self.options: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def ready(self) -> bool:
        return answers(self.port)

    def start(self) -> None:
        permit(self.name)
        with open(self.folder / "output.log", "ab") as log:
            self.process = subprocess.Popen(
                as_nobody([*self.command(), *self.options]),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
            )
        wait_until(self._ready_or_dead, 60, self.name)

    def _ready_or_dead(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            log = (self.folder / "output.log").read_text(errors="replace")
            raise RuntimeError(f"{self.name} ended at once:\n{log[-2000:]}")
        return self.ready()

    def stop(self) -> None:
        """End the server, politely first."""
        if self.process is None:
            return
        self.process.send_signal(self.farewell)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()
