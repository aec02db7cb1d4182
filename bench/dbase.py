"""A dBase table of 1,000,000 records × 12 fields (209 MB): the first answer from cold, each look-up while the copy is
made and after it, and what callers of another table notice."""

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
  - {{agency: bkn, code: foxpro, engine: dbase, database: foxpro}}
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
          - {{name: NAMA, classification: public}}
          - {{name: GAJI, type: decimal, classification: public}}
          - {{name: TMT, type: date, classification: public}}
      - code: kota
        kind: data
        title: Another table
        source: foxpro
        access: open
        state: published
        max_rows: 10
        sql: "SELECT nama FROM kota WHERE kode = :kode"
        parameters:
          - {{name: kode}}
        fields:
          - {{name: NAMA, classification: public}}
"""


def dbase(bench: Bench) -> Iterator[dict[str, Any]]:
    """Over HTTP: the first look-up while there is no copy yet, those until there is one, what that takes of memory and
    of others' time, and the look-ups after it."""
    root = bench.folder / "sources" / "bkn"
    (root / "foxpro").mkdir(parents=True, exist_ok=True)
    path = write(root / "foxpro" / "pegawai.dbf", FIELDS, _records(RECORDS))
    write(root / "foxpro" / "kota.dbf", [F("KODE", "C", 4), F("NAMA", "C", 20)], [[b"3171", b"Jakarta Pusat"]])
    bundle = bench.folder / "foxpro.yaml"
    bundle.write_text(_BUNDLE.format())
    manage(bench.environment, "apply_definitions", str(bundle), "--reason", "measurement")
    source = {"database": "foxpro", "roots": [str(root)]}
    _forget_copies(root / "foxpro", source)
    with bench.gunicorn(workers=1) as served:
        yield from _measured(served, source, path.stat().st_size)


def _forget_copies(folder: Path, source: dict[str, Any]) -> None:
    """Remove the copies that the check of the definitions has caused."""
    while _state(source) == "reading":
        time.sleep(0.1)
    for path in folder.glob(".mantra-*"):
        path.unlink()


def _state(source: dict[str, Any]) -> str:
    """As the admin reads it, which may be another process than the one that answers calls."""
    return next(each.state for each in copies(source)[0] if each.name == "pegawai")


def _measured(served: Gunicorn, source: dict[str, Any], size: int) -> Iterator[dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=300)
    alone = [_other(connection) for _ in range(LOOK_UPS)]
    watch = _Watch(served, source)
    first = _look_up(connection, RECORDS // 2)
    early = []
    while watch.state() != "ready":
        early.append(_look_up(connection, random.randrange(RECORDS)))
    watch.end()
    yield {
        "bench": "dbase-cold",
        "value": round(first, 2),
        "unit": "s",
        "target": 1,
        "ok": first < 1 and "reading" in watch.seen,
        "megabytes": round(size / 1e6),
        "progress_shown": "reading" in watch.seen,
        "next_look_ups_s": [round(each, 2) for each in early[:10]],
        "copy_after_s": round(watch.seconds, 1),
        "load": os.getloadavg()[0],
    }
    growth = (watch.memory.most - watch.memory.before) / 2**20
    yield {"bench": "dbase-memory", "value": round(growth, 1), "unit": "MiB", "target": 150, "ok": growth < 150}
    yield {
        "bench": "dbase-others",
        "value": round(1000 * _p99(watch.others), 2),
        "unit": "ms, p99 of another table while the copy is made",
        "target": 20,
        "ok": _p99(watch.others) < 0.02,
        "median_ms": round(1000 * statistics.median(watch.others), 2),
        "alone_median_ms": round(1000 * statistics.median(alone), 2),
        "alone_p99_ms": round(1000 * _p99(alone), 2),
    }
    times = [1000 * _look_up(connection, n) for n in random.Random(7).sample(range(RECORDS), LOOK_UPS)]
    connection.close()
    yield {
        "bench": "dbase-look-up",
        "value": round(statistics.median(times), 2),
        "unit": "ms",
        "target": 5,
        "ok": statistics.median(times) < 5,
        "p99_ms": round(_p99(times), 2),
        "worst_ms": round(max(times), 2),
    }


def _p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


def _look_up(connection: http.client.HTTPConnection, n: int) -> float:
    """Seconds that it takes to get the row of a person over HTTP."""
    return _get(connection, f"cari.json?nip=1980{n:014d}", b'"Pegawai %d"' % n)


def _other(connection: http.client.HTTPConnection) -> float:
    """Seconds that a call of another table takes."""
    return _get(connection, "kota.json?kode=3171", b"Jakarta Pusat")


def _get(connection: http.client.HTTPConnection, address: str, expected: bytes) -> float:
    began = time.perf_counter()
    connection.request("GET", f"/rest/bkn/foxpro/{address}", headers={"User-Agent": "MANTRA"})
    reply = connection.getresponse()
    body = reply.read()
    took = time.perf_counter() - began
    if reply.status != 200 or expected not in body:
        raise RuntimeError(f"not the answer: {reply.status} {body[:300]!r}")
    return took


class _Watch:
    """What happens until the copy is ready: the states that the admin shows, memory, and the calls of another table."""

    def __init__(self, served: Gunicorn, source: dict[str, Any]) -> None:
        self.memory, self.seen, self.others = _Memory(served.workers()), set[str](), list[float]()
        self.seconds = 0.0
        self._source, self._port = source, served.port
        self._began, self._done = time.perf_counter(), threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._look, self._call)]
        for thread in self._threads:
            thread.start()

    def state(self) -> str:
        state = _state(self._source)
        self.seen.add(state)
        return state

    def end(self) -> None:
        self.seconds = time.perf_counter() - self._began
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.1):
            self.state()
            self.memory.look()

    def _call(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=300)
        while not self._done.wait(0.002):
            self.others.append(_other(connection))
        connection.close()


class _Memory:
    """The memory of the workers and of the processes that they start: bytes before, and the most."""

    def __init__(self, workers: list[int]) -> None:
        self.workers = workers
        self.before = self.most = self.now()

    def look(self) -> None:
        self.most = max(self.most, self.now())

    def now(self) -> int:
        return sum(_resident(pid) + sum(map(_resident, _below(pid))) for pid in self.workers)


def _below(pid: int) -> list[int]:
    """Return the processes that a worker has started. One that is not its own program yet has the worker's memory."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        children = [child for thread in threads for child in (thread / "children").read_text().split()]
        return [int(child) for child in children if b"adapters.dbf" in Path(f"/proc/{child}/cmdline").read_bytes()]
    except OSError:
        return []


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        return 0
