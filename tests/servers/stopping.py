"""Servers that hang: all their processes are stopped, while the kernel still takes connections and bytes for them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.bus import children
from tests.servers.process import Server, wait_until

#: Seconds after which a server goes on at the latest.
MOST_SECONDS = 30


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """Stop all processes of the server, which then answers no request to cancel a statement either.

    Another process lets them go on after a time: this one cannot, if a driver keeps the interpreter's lock until then.
    """
    assert server.process is not None
    family = [server.process.pid, *children(server.process.pid)]
    for process in family:
        os.kill(process, signal.SIGSTOP)
    words = ["sh", "-c", f"sleep {MOST_SECONDS}; kill -CONT {' '.join(map(str, family))}"]
    with subprocess.Popen(words, start_new_session=True) as rescuer:
        try:
            wait_until(lambda: all(_state(task) == "T" for task in _tasks(family)), 5, "the stop of each thread")
            yield
        finally:
            os.killpg(rescuer.pid, signal.SIGTERM)
            for process in family:
                os.kill(process, signal.SIGCONT)


def _tasks(family: list[int]) -> list[Path]:
    return [task for process in family for task in Path(f"/proc/{process}/task").iterdir()]


def _state(task: Path) -> str:
    return (task / "stat").read_text().rpartition(")")[2].split()[0]
