"""What the egress guard costs: the same operations without it, watched, covered and refused, in turns."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Callable, Iterator
from random import Random
from statistics import fmean
from typing import Any

from bench.bus import MANY, Bench, Gunicorn, manage
from bench.proxy import nginx
from tests.servers.process import answers, free_port, wait_until

RULES = ("allow", "alarm", "mask", "block")
#: The rules that look at all of a response.
WHOLE = ("mask", "block")
#: Texts, numbers and dates: nothing that must not leave, so that all is looked at.
COLUMNS = "nama, golongan, unit_kerja, tmt, gaji, aktif, lahir, catatan"
KIB, MIB = 1024, 1024 * 1024
#: The operation without the guard is measured twice in a round: how much the two differ is the noise.
AGAIN = "again"
TARGET = 0.9
_KEY = "guard{number:05}"

_BUNDLE = """
backends:
  - {{agency: bkn, code: guard, servers: [{{url: "http://127.0.0.1:{static}"}}]}}
services:
  - agency: bkn
    code: guard
    title: Guard
    operations:
{operations}
applications:
  - agency: dukcapil
    code: guard
    title: Guard
    keys:
{keys}
    grants:
{grants}
"""
_DATA = """
      - {{code: {code}, kind: data, title: x, source: bkn/db, access: restricted, state: published, guard: {rule},
         max_rows: {rows}, timeout_ms: 600000, sql: "SELECT {columns} FROM {table}{where}"{parameters}}}"""
_PROXY = """
      - {{code: {code}, kind: proxy, style: pass-through, title: x, access: restricted, state: published, guard: {rule},
         timeout_ms: 600000, max_body_bytes: 1000000000, backend: guard}}"""
_STATIC = "server {{ listen 127.0.0.1:{port}; root {folder}/files; types {{ application/json json; }} }}"


def _definitions(static: int) -> tuple[str, dict[str, str]]:
    """The bundle, and the key of each operation."""
    operations, keys = "", {}
    for number, rule in enumerate(RULES):
        found = {"rule": rule, "columns": COLUMNS}
        operations += _DATA.format(
            code=f"satu-{rule}", rows=10, table="pegawai", where=" WHERE nip = :nip",
            parameters=", parameters: [{name: nip, subject: true}]", **found,
        )  # fmt: skip
        operations += _DATA.format(
            code=f"semua-{rule}", rows=MANY, table="pegawai_banyak", where="", parameters="", **found
        )
        operations += _PROXY.format(code=f"berkas-{rule}", rule=rule)
        for at, code in enumerate(("satu", "semua", "berkas")):
            keys[f"{code}-{rule}"] = _KEY.format(number=number * 10 + at)
    lines = "\n".join(f"      - {{legacy: {key}, operation: bkn/guard/{code}}}" for code, key in keys.items())
    grants = "\n".join(
        f"      - {{operation: bkn/guard/{code}, purpose: bench, quota: 1000000000/day}}" for code in keys
    )
    return _BUNDLE.format(static=static, operations=operations, keys=lines, grants=grants), keys


def _body(size: int) -> bytes:
    """JSON with texts and numbers, as an upstream sends it."""
    rows, length, number = [], 0, 0
    while length < size:
        row = json.dumps({
            "id": number, "nama": f"Pegawai {number}", "unit": f"Dinas {number % 37}", "gaji": 2_500_000 + number,
            "mulai": "2020-01-31", "diubah": "2024-05-01T10:20:30", "keterangan": 'catatan & <uji> tanpa nomor',
        })  # fmt: skip
        rows.append(row)
        length += len(row) + 1
        number += 1
    return ("[" + ",".join(rows) + "]").encode()


def _fetch(bus: Gunicorn, path: str, key: str, times: int = 1) -> int:
    """Fetch a response so many times. Returns its bytes. Raises RuntimeError unless it is a success."""
    connection = http.client.HTTPConnection("127.0.0.1", bus.port, timeout=600)
    buffer, size = memoryview(bytearray(256 * KIB)), 0
    for _number in range(times):
        connection.request("GET", path, headers={"AccessKey": key})
        reply = connection.getresponse()
        while count := reply.readinto(buffer):
            size += count
        if reply.status != 200:
            raise RuntimeError(f"{path}: {reply.status}")
    connection.close()
    return size


def egress(bench: Bench) -> Iterator[dict[str, Any]]:
    """CPU of the worker process, which bounds the throughput: other work on the machine disturbs rates more."""
    bench.many()
    folder, static = bench.folder / "guard", free_port()
    (folder / "files").mkdir(parents=True)
    for name, size in (("kecil", KIB), ("sedang", MIB), ("besar", 100 * MIB)):
        (folder / "files" / f"{name}.json").write_bytes(_body(size))
    bench.environment["MANTRA_UPSTREAM_NETWORKS"] = "127.0.0.0/8"
    text, keys = _definitions(static)
    (folder / "guard.yaml").write_text(text)
    with nginx(folder, _STATIC.format(port=static, folder=folder)):
        wait_until(lambda: answers(static), 10, "nginx")
        manage(bench.environment, "apply_definitions", str(folder / "guard.yaml"), "--reason", "measurement")
        with bench.gunicorn(workers=1) as bus:
            #: Operation, the rest of the address, calls of a turn, turns, and in how many turns once WHOLE is measured.
            #: The same second of work takes half as much CPU again while the machine is at other things: the
            #: shorter the turns and the more of them, the more evenly that falls on all.
            cases: dict[str, tuple[str, str, int, int, int]] = {
                "one-row": ("satu", ".json?nip=198000000000000077", 4, 1200, 1),
                "rows-json": ("semua", ".json", 1, 16, 5),
                "rows-csv": ("semua", ".csv", 1, 16, 5),
                "relay-1k": ("berkas", "/kecil.json", 4, 1200, 1),
                "relay-1m": ("berkas", "/sedang.json", 2, 300, 5),
                "relay-100m": ("berkas", "/besar.json", 1, 60, 20),
            }
            for name, (code, path, times, turns, whole) in cases.items():

                def spent(rule: str, code: str = code, path: str = path, times: int = times) -> float:
                    named = f"{code}-{'allow' if rule == AGAIN else rule}"
                    before = bus.cpu()
                    _fetch(bus, f"/rest/bkn/guard/{named}{path}", keys[named], times)
                    return (bus.cpu() - before) / times

                yield from _lines(name, _in_turns(spent, turns, whole))


def _lines(name: str, found: dict[str, list[float]]) -> Iterator[dict[str, Any]]:
    found = {rule: _middle(spent) for rule, spent in found.items()}
    without = fmean(found["allow"])
    for rule in RULES[1:]:
        ratio = without / fmean(found[rule])
        yield {
            "bench": f"egress-{name}-{rule}",
            "value": round(fmean(found[rule]) * 1000, 3),
            "unit": "ms of CPU a call",
            "without_ms": round(without * 1000, 3),
            "ratio": round(ratio, 3),
            "noise": round(without / fmean(found[AGAIN]), 3),
            "target": TARGET,
            # What is covered or refused is looked at in whole: docs/performance.md has the figures.
            "ok": ratio >= TARGET or rule != "alarm",
            "turns": len(found[rule]),
            "load": round(os.getloadavg()[0], 1),
        }


def _middle(spent: list[float]) -> list[float]:
    """Without the least and the most tenth: turns in which the bus did something else, such as reading its registry."""
    cut = len(spent) // 10
    return sorted(spent)[cut : len(spent) - cut]


def _in_turns(spent: Callable[[str], float], turns: int, whole: int) -> dict[str, list[float]]:
    order, random = [*RULES, AGAIN], Random(1)
    found: dict[str, list[float]] = {rule: [] for rule in order}
    for rule in order * 3:
        spent(rule)  # connections, caches and the interpreter's own specialising
    for turn in range(turns):
        random.shuffle(order)
        for rule in order:
            if rule not in WHOLE or turn % whole == 0:
                found[rule].append(spent(rule))
    return found
