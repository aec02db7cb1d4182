"""A dBase table of 1,000,000 records × 12 fields (209 MB): the first answer from cold, and each look-up after it."""

from __future__ import annotations

import os
import random
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapters.base import Limits
from adapters.dbase import DBase, progress
from tests.dbf_writer import F, write

RECORDS = 1_000_000
LOOK_UPS = 200
LIMITS = Limits(rows=10_000, seconds=120)
FIELDS = [
    F("NIP", "C", 18),
    F("NAMA", "C", 30),
    F("TMT", "D", 8),
    F("URUT", "N", 10),
    F("GAJI", "N", 12, 2),
    F("AKTIF", "L", 1),
    F("KOTA", "C", 20),
    F("ALAMAT", "C", 40),
    F("LAHIR", "D", 8),
    F("GOL", "C", 5),
    F("EMAIL", "C", 30),
    F("CATATAN", "C", 26),
]


def _records(count: int) -> Iterator[list[bytes]]:
    for n in range(count):
        yield [
            b"1980%014d" % n,
            b"Pegawai %d" % n,
            b"20%02d0101" % (n % 100),
            b"%10d" % n,
            b"%12.2f" % (2_500_000 + n / 100),
            b"TF"[n % 2 : n % 2 + 1],
            b"Kota %d" % (n % 514),
            b"Jl. Merdeka Utara %d" % n,
            b"19%02d0228" % (n % 100),
            b"III/a",
            b"p%d@contoh.go.id" % n,
            b"",
        ]


def measure(records: int = RECORDS) -> Iterator[dict[str, Any]]:
    """One object for each measurement: its name, what was measured, and whether the target was met."""
    folder = Path(tempfile.mkdtemp(prefix="bench-dbase-"))
    try:
        path = write(folder / "pegawai.dbf", FIELDS, _records(records))
        source = {"database": "pegawai.dbf", "roots": [str(folder)]}
        yield from _measured(source, path.stat().st_size, records)
    finally:
        shutil.rmtree(folder)


def _measured(source: dict[str, Any], size: int, records: int) -> Iterator[dict[str, Any]]:
    memory = _Memory()
    adapter = DBase(source)
    connection = adapter.connect()
    seen: set[str] = set()
    watch = threading.Thread(target=_watch, args=(source, seen, memory), daemon=True)
    began = time.perf_counter()
    watch.start()
    assert _look_up(adapter, connection, records // 2) == [(f"Pegawai {records // 2}",)]
    first = time.perf_counter() - began
    memory.done.set()
    watch.join()
    yield {
        "name": "dbase-cold",
        "seconds": round(first, 2),
        "megabytes": round(size / 1e6),
        "progress_shown": "reading" in seen,
        "ok": first <= 12,
    }
    growth = memory.most - memory.before
    yield {"name": "dbase-memory", "mib": round(growth / 2**20, 1), "ok": growth < 150 * 2**20}
    times = []
    for n in random.Random(7).sample(range(records), min(LOOK_UPS, records)):
        began = time.perf_counter()
        _look_up(adapter, connection, n)
        times.append(1000 * (time.perf_counter() - began))
    yield {
        "name": "dbase-look-up",
        "median_ms": round(statistics.median(times), 3),
        "worst_ms": round(max(times), 3),
        "ok": statistics.median(times) < 5,
    }


def _look_up(adapter: DBase, connection: Any, n: int) -> list[Any]:
    stream = adapter.run(connection, "SELECT nama FROM pegawai WHERE nip = :nip", {"nip": f"1980{n:014d}"}, LIMITS)
    try:
        return [row for batch in stream for row in batch]
    finally:
        stream.close()


class _Memory:
    """The memory of this process and of its children together, sampled: bytes before, and the most."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.before = self.most = self.now()

    def now(self) -> int:
        me = os.getpid()
        children = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and _parent(path) == me]
        return sum(_resident(pid) for pid in (me, *children))


def _parent(path: Path) -> int:
    try:
        return int((path / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        return 0


def _watch(source: dict[str, Any], seen: set[str], memory: _Memory) -> None:
    while not memory.done.wait(0.1):
        seen.update(state for *_, state in progress(source))
        memory.most = max(memory.most, memory.now())
