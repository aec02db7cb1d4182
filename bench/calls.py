"""Calls for one row, at saturation: against the floor, and what the journal costs."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from bench.bus import KEY, Bench, Gunicorn
from bench.load import LEGACY, REST, Load, load

ROUNDS = 7


def alternate(spells: dict[str, Callable[[], Load]], rounds: int = ROUNDS) -> dict[str, list[Load]]:
    """Each spell in turn, over and over, so that what else the machine does falls on all alike."""
    for spell in spells.values():
        spell()  # connections, caches and the interpreter's own specialising
    found: dict[str, list[Load]] = {name: [] for name in spells}
    for number in range(rounds):
        names = list(spells) if number % 2 == 0 else list(reversed(spells))
        for name in names:
            found[name].append(spells[name]())
    return found


def against(found: dict[str, list[Load]], name: str, floor: str) -> float:
    """The median, over the rounds, of one's throughput as a part of the other's."""
    return median(one.per_second / other.per_second for one, other in zip(found[name], found[floor], strict=True))


def line_of(
    name: str, target: float, found: dict[str, list[Load]], spell: str, floor: str, **more: Any
) -> dict[str, Any]:
    ratio = against(found, spell, floor)
    return {
        "bench": name,
        "value": round(median(each.per_second for each in found[spell])),
        "unit": "calls/s",
        "ratio": round(ratio, 3),
        "target": target,
        "ok": ratio >= target,
        f"{floor}_per_second": round(median(each.per_second for each in found[floor])),
        "p50_ms": round(median(each.p50 for each in found[spell]), 2),
        "p99_ms": round(median(each.p99 for each in found[spell]), 2),
        "cpu_us": round(median(each.cpu for each in found[spell])),
        f"{floor}_cpu_us": round(median(each.cpu for each in found[floor])),
        f"{floor}_p50_ms": round(median(each.p50 for each in found[floor]), 2),
        "rounds": len(found[spell]),
        **more,
    }


def _spell(bench: Bench, served: Gunicorn, path: str) -> Callable[[], Load]:
    return lambda: load(served.port, path, lambda: served.cpu() + bench.cpu())


def answers(served: Gunicorn, path: str) -> int:
    """That the address really answers with the person asked for: its size in bytes."""
    request = urllib.request.Request(f"http://127.0.0.1:{served.port}{path % 11}", headers={"AccessKey": KEY})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as reply:
        body: bytes = reply.read()
    if b"Pegawai 11" not in body:
        raise RuntimeError(f"not the answer: {body[:300]!r}")
    return len(body)


def _against_gthread(bench: Bench, name: str, path: str) -> dict[str, Any]:
    with (
        bench.gunicorn("bench.hello:application") as hello,
        bench.gunicorn(worker_class="gthread") as gthread,
        bench.gunicorn() as bus,
    ):
        size = answers(bus, path)
        spells = {"bus": bus, "gthread": gthread, "hello": hello}
        found = alternate({name: _spell(bench, served, path) for name, served in spells.items()})
    ratio = round(against(found, "bus", "hello"), 3)
    return line_of(name, 2.0, found, "bus", "gthread", body_bytes=size, hello_ratio=ratio)


def one_row(bench: Bench) -> Iterator[dict[str, Any]]:
    """A REST call by key for one row over PostgreSQL, as JSON, against the same bus in gunicorn's threaded worker."""
    yield _against_gthread(bench, "one-row", REST)


def legacy(bench: Bench) -> Iterator[dict[str, Any]]:
    """The same over the legacy wire."""
    yield _against_gthread(bench, "legacy-one-row", LEGACY)


def journal(bench: Bench) -> Iterator[dict[str, Any]]:
    """The same with the journal and without it; then with the journal being shipped into the history meanwhile."""
    with ExitStack() as stack:
        on = stack.enter_context(bench.gunicorn())
        off = stack.enter_context(bench.gunicorn(MANTRA_JOURNAL="0"))
        for each in (on, off):
            answers(each, REST)
        found = alternate({"on": _spell(bench, on, REST), "off": _spell(bench, off, REST)}, 2 * ROUNDS)
        yield line_of("journal", 0.95, found, "on", "off")
    with ExitStack() as stack:
        off = stack.enter_context(bench.gunicorn(MANTRA_JOURNAL="0"))
        shipped = stack.enter_context(bench.gunicorn(MANTRA_EMBEDDED="1"))
        found = alternate({"shipped": _spell(bench, shipped, REST), "off": _spell(bench, off, REST)})
        # The other process takes its share of these cores: no target, but worth knowing.
        line = line_of("journal-shipped", 0.0, found, "shipped", "off")
        yield line | {"target": None, "ok": None}


def metrics(bench: Bench) -> Iterator[dict[str, Any]]:
    """What it costs to count a call, by itself; then the same call with and without."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bench.counting", folder]
        costs = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    yield {"bench": "counting", "value": costs["ours_us"], "unit": "us CPU a call", "target": 6, **costs} | {
        "ok": costs["ours_us"] <= 6
    }
    with bench.gunicorn(MANTRA_METRICS_TOKEN="a-token-for-measuring") as on, bench.gunicorn() as off:
        for each in (on, off):
            answers(each, REST)
        found = alternate({"on": _spell(bench, on, REST), "off": _spell(bench, off, REST)}, 2 * ROUNDS)
    yield line_of("metrics", 0.95, found, "on", "off")
