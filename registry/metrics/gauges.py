"""The gauges of one process: what is now, and how long it was busy. A thread writes them every few seconds."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson
from django.db import connection

from registry.metrics import folder
from registry.metrics.counters import Counters
from registry.rounds import survive

log = logging.getLogger("mantra.metrics")

#: Seconds between two writings.
INTERVAL = 5.0

#: A gauge: its name, its labels and its value. mantra/metrics/families.py says what each name means.
Gauge = tuple[str, dict[str, str], float]
#: Returns the gauges of a part of the bus.
Source = Callable[[], Iterable[Gauge]]

_STARTED = time.time()
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Publisher:
    """Writes the gauges of this process, and counts its processor time. ``role``: web, worker or prober."""

    def __init__(self, role: str, counters: Counters, sources: Iterable[Source]) -> None:
        self._role = role
        self._counters = counters
        self._sources = tuple(sources)
        self._lock = threading.Lock()
        self._busy_ms = 0

    def publish(self) -> None:
        """Write all gauges. A part that fails is left out, and raised when the others are written."""
        gauges: list[Gauge] = list(process_gauges(self._role))
        failure: Exception | None = None
        for source in self._sources:
            try:
                gauges += source()
            except Exception as error:  # such as the database's
                failure = error
        with self._lock:
            self._count_processor_time()
            content = orjson.dumps({"at": time.time(), "role": self._role, "gauges": gauges})
            folder.write(folder.path() / f"{self._counters.stem}{folder.GAUGES}", content)
        if failure is not None:
            raise failure

    def _count_processor_time(self) -> None:
        times = os.times()
        busy = int((times.user + times.system) * 1000)
        self._counters.row(("processor", self._role)).cells[0] += busy - self._busy_ms
        self._busy_ms = busy


def process_gauges(role: str) -> Iterable[Gauge]:
    """Yield what the process takes of the machine."""
    labels = {"role": role}
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    yield "mantra_processes", labels, 1
    yield "mantra_process_start_time_seconds", labels, _STARTED
    yield "mantra_process_resident_memory_bytes", labels, pages * _PAGE
    yield "mantra_process_threads", labels, threading.active_count()
    yield "mantra_process_open_fds", labels, len(os.listdir("/proc/self/fd"))


@dataclass(frozen=True, slots=True)
class Published:
    """The gauges that a process has written, and when, in seconds since the epoch."""

    at: float
    role: str
    gauges: list[Gauge]


def read(path: Path) -> Published | None:
    """Return the gauges of a process, None if it has written none."""
    with suppress(OSError, orjson.JSONDecodeError, KeyError):
        content = orjson.loads(path.read_bytes())
        return Published(content["at"], content["role"], [tuple(each) for each in content["gauges"]])
    return None


class Thread:
    """The thread of a process's publisher."""

    def __init__(self, publisher: Publisher, interval: float = INTERVAL) -> None:
        self._publisher = publisher
        self._interval = interval
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        failing = False
        while True:
            failing = survive(self._publisher.publish, failing, log, "some metrics could not be written")
            if self._stopping.wait(self._interval):
                break
        connection.close()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join(timeout=5)
