"""A dBase table of 1,000,000 records × 12 fields (209 MB): the first answer from cold, and each look-up after it."""

from __future__ import annotations

import http.client
import os
import random
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapters.dbase import copies
from bench.bus import Bench, Gunicorn, manage
from tests.dbf_writer import F, write

RECORDS = 1_000_000
LOOK_UPS = 500
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


_BUNDLE = """
sources:
  - {{agency: bkn, code: foxpro, engine: dbase, database: foxpro/pegawai.dbf}}
services:
  - agency: bkn
    code: foxpro
    title: FoxPro
    operations:
      - code: cari
        kind: data
        title: Look-up
        source: foxpro
        access: open
        state: published
        max_rows: 10
        timeout_ms: 120000
        sql: "SELECT nama, gaji, tmt FROM pegawai WHERE nip = :nip"
        parameters:
          - {{name: nip, subject: true}}
        fields:
          - {{name: nama, classification: public}}
          - {{name: gaji, type: decimal, classification: public}}
          - {{name: tmt, type: date, classification: public}}
"""


def dbase(bench: Bench) -> Iterator[dict[str, Any]]:
    """Over HTTP: the first look-up while there is no copy yet, what it takes of memory, and those after it."""
    root = bench.folder / "sources" / "bkn"
    (root / "foxpro").mkdir(parents=True, exist_ok=True)
    path = write(root / "foxpro" / "pegawai.dbf", FIELDS, _records(RECORDS))
    bundle = bench.folder / "foxpro.yaml"
    bundle.write_text(_BUNDLE.format())
    manage(bench.environment, "apply_definitions", str(bundle), "--reason", "measurement")
    with bench.gunicorn(workers=1) as served:
        yield from _measured(served, {"database": "foxpro/pegawai.dbf", "roots": [str(root)]}, path.stat().st_size)


def _measured(served: Gunicorn, source: dict[str, Any], size: int) -> Iterator[dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=300)
    memory, seen = _Memory(served.workers()), set[str]()
    watch = threading.Thread(target=_watch, args=(source, seen, memory), daemon=True)
    watch.start()
    first = _look_up(connection, RECORDS // 2)
    memory.done.set()
    watch.join()
    yield {
        "bench": "dbase-cold",
        "value": round(first, 2),
        "unit": "s",
        "target": 12,
        "ok": first <= 12 and "reading" in seen,
        "megabytes": round(size / 1e6),
        "progress_shown": "reading" in seen,
    }
    growth = (memory.most - memory.before) / 2**20
    yield {"bench": "dbase-memory", "value": round(growth, 1), "unit": "MiB", "target": 150, "ok": growth < 150}
    times = [1000 * _look_up(connection, n) for n in random.Random(7).sample(range(RECORDS), LOOK_UPS)]
    connection.close()
    yield {
        "bench": "dbase-look-up",
        "value": round(statistics.median(times), 2),
        "unit": "ms",
        "target": 5,
        "ok": statistics.median(times) < 5,
        "p99_ms": round(sorted(times)[int(LOOK_UPS * 0.99)], 2),
        "worst_ms": round(max(times), 2),
    }


def _look_up(connection: http.client.HTTPConnection, n: int) -> float:
    """Seconds that it takes to get the row of a person over HTTP."""
    began = time.perf_counter()
    connection.request("GET", f"/rest/bkn/foxpro/cari.json?nip=1980{n:014d}", headers={"User-Agent": "MANTRA"})
    reply = connection.getresponse()
    body = reply.read()
    took = time.perf_counter() - began
    if reply.status != 200 or b'"Pegawai %d"' % n not in body:
        raise RuntimeError(f"not the answer: {reply.status} {body[:300]!r}")
    return took


class _Memory:
    """The memory of the workers and of the processes that they start, sampled: bytes before, and the most."""

    def __init__(self, workers: list[int]) -> None:
        self.done = threading.Event()
        self.workers = workers
        self.before = self.most = self.now()

    def now(self) -> int:
        return sum(_resident(pid) + sum(map(_resident, _below(pid))) for pid in self.workers)


def _below(pid: int) -> list[int]:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except OSError:
        return []


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        return 0


def _watch(source: dict[str, Any], seen: set[str], memory: _Memory) -> None:
    while not memory.done.wait(0.1):
        # As the admin does, which may be another process than the one that answers calls.
        seen.update(each.state for each in copies(source)[0])
        memory.most = max(memory.most, memory.now())
