"""What every test server shares: an account, a folder, a port, a start and an end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

IS_ROOT = os.geteuid() == 0


def as_nobody(command: Sequence[str]) -> list[str]:
    """The command as an ordinary account runs it: database servers refuse to run as root.

    The kernel ends it when the thread that started it ends, so that a killed test run leaves nothing behind.
    """
    account = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"] if IS_ROOT else []
    return ["setpriv", *account, "--pdeathsig=TERM", "--", *command]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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


def wait_until(ready: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} was not ready within {seconds:g} s")
        time.sleep(0.05)


def answers(port: int) -> bool:
    """Whether something listens on the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """A server of our own on 127.0.0.1. ``start`` may follow ``stop``: port and data stay."""

    name = "server"
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
