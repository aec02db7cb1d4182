"""A million rows of ten columns, format by format, against the fastest plain loop that writes the same."""

from __future__ import annotations

import csv
import http.client
import io
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from xml.sax.saxutils import escape

import orjson
import psycopg2
import psycopg2.extensions

from bench.bus import COLUMNS, MANY, MANY_KEY, ROOT, Bench, Gunicorn
from bench.calls import answers
from bench.load import REST

ROUNDS = 3
FETCH = 2000
Row = tuple[Any, ...]


# -------------------------------------------------------------------------------- the plain loops


def plain_json(batch: list[Row]) -> bytes:
    return orjson.dumps([dict(zip(COLUMNS, row, strict=True)) for row in batch], default=str)


def plain_csv(batch: list[Row]) -> bytes:
    file = io.StringIO()
    csv.writer(file).writerows(batch)
    return file.getvalue().encode()


_XML = "<row>" + "".join(f"<{name}>%s</{name}>" for name in COLUMNS) + "</row>"


def plain_xml(batch: list[Row]) -> bytes:
    rows = [
        _XML % tuple([escape(value) if type(value) is str else "" if value is None else value for value in row])
        for row in batch
    ]
    return "".join(rows).encode()


_PHP = [f's:{len(name)}:"{name}";' for name in COLUMNS]


def plain_php(batch: list[Row]) -> bytes:
    out = []
    for number, row in enumerate(batch):
        pieces = []
        for name, value in zip(_PHP, row, strict=True):
            if value is None:
                pieces.append(name + "N;")
            elif type(value) is int:
                pieces.append(f"{name}i:{value};")
            else:
                pieces.append(f'{name}s:{len(value) if value.isascii() else len(value.encode())}:"{value}";')
        out.append(f"i:{number};a:10:{{{''.join(pieces)}}}")
    return "".join(out).encode()


#: How a batch is written, and whether decimals, dates and moments are taken as PostgreSQL's text. psycopg2's
#: own objects cost time that a loop whose format wants text anyway need not spend.
LOOPS: dict[str, tuple[Callable[[list[Row]], bytes], bool]] = {
    "json": (plain_json, False),
    "json-text": (plain_json, True),
    "csv": (plain_csv, True),
    "xml": (plain_xml, True),
    "php": (plain_php, True),
}


def loop(dsn: str, name: str) -> float:
    """Run a plain loop over the million rows, in this process. Returns rows per second."""
    write, as_text = LOOPS[name]
    connection = psycopg2.connect(dsn)
    if as_text:
        text = psycopg2.extensions.new_type((1700, 1082, 1114), "TEXT", lambda value, _cursor: value)
        psycopg2.extensions.register_type(text, connection)
    started, rows = time.perf_counter(), 0
    with connection.cursor(name="plain") as cursor:
        cursor.itersize = FETCH
        cursor.execute(f"SELECT {', '.join(COLUMNS)} FROM pegawai_banyak")
        while batch := cursor.fetchmany(FETCH):
            write(batch)
            rows += len(batch)
    seconds = time.perf_counter() - started
    connection.close()
    if rows != MANY:
        raise RuntimeError(f"{rows} rows")
    return rows / seconds


def apart(dsn: str, name: str) -> float:
    """The same in a process of its own, as the worker is one."""
    words = [sys.executable, "-c", "import sys; from bench.streams import loop; print(loop(*sys.argv[1:]))", dsn, name]
    return float(subprocess.run(words, check=True, capture_output=True, text=True, cwd=ROOT).stdout)


# -------------------------------------------------------------------------------------- the bus


@dataclass(frozen=True)
class Streamed:
    """One long answer. ``first_byte`` in seconds."""

    per_second: float
    first_byte: float
    bytes: int


def _memory(pid: int, name: str) -> int:
    """VmRSS or VmHWM (the highest that it was) of a process, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise KeyError(name)


_ENDS = {
    "json": b'"count":%d,"truncated":false}' % MANY,
    "xml": b"<count>%d</count><truncated>false</truncated></response>" % MANY,
    "csv": b"\r\n",
    "php": b's:5:"count";i:%d;s:9:"truncated";b:0;}' % MANY,
}


def stream(served: Gunicorn, suffix: str) -> Streamed:
    """Take one long answer in. Raises RuntimeError unless it came whole."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=600)
    started = time.perf_counter()
    connection.request("GET", f"/rest/bkn/simpeg/semua.{suffix}", headers={"AccessKey": MANY_KEY})
    reply = connection.getresponse()
    tail = reply.read(1)
    first = time.perf_counter() - started
    buffer, size, lines = bytearray(256 * 1024), 1, 0
    view = memoryview(buffer)
    while count := reply.readinto(view):
        size += count
        if suffix == "csv":
            lines += buffer.count(b"\n", 0, count)
        tail = (tail + bytes(view[max(0, count - 64) : count]))[-64:]
    seconds = time.perf_counter() - started
    connection.close()
    if reply.status != 200 or not tail.endswith(_ENDS[suffix]) or (suffix == "csv" and lines != MANY + 1):
        raise RuntimeError(f"{suffix}: status {reply.status}, {size} bytes, end {tail!r}, {lines} lines")
    return Streamed(MANY / seconds, first, size)


def _stream(bench: Bench, suffix: str, target: float, loops: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    bench.many()
    dsn = bench.server.dsn()
    plain: dict[str, list[float]] = {name: [] for name in loops}
    found: list[Streamed] = []
    with bench.gunicorn(workers=1) as bus:
        answers(bus, REST)
        (worker,) = bus.workers()
        before = _memory(worker, "VmRSS")
        for _ in range(ROUNDS):
            for name in loops:
                plain[name].append(apart(dsn, name))
            found.append(stream(bus, suffix))
        growth = (_memory(worker, "VmHWM") - before) / 1024
    ratios = {
        name: median(one.per_second / other for one, other in zip(found, plain[name], strict=True)) for name in loops
    }
    ratio = ratios[loops[0]]
    first = max(each.first_byte for each in found)
    yield {
        "bench": f"stream-{suffix}",
        "value": round(median(each.per_second for each in found)),
        "unit": "rows/s",
        "ratio": round(ratio, 3),
        "target": target,
        "ok": ratio >= target and growth <= 64 and (first < 0.5 or suffix == "php"),
        "plain_per_second": {name: round(median(plain[name])) for name in loops},
        **{f"ratio_{name}": round(ratios[name], 3) for name in loops[1:]},
        "first_byte_s": round(first, 3),
        "memory_growth_mib": round(growth, 1),
        "bytes": found[0].bytes,
        "rounds": ROUNDS,
    }


def stream_json(bench: Bench) -> Iterator[dict[str, Any]]:
    """JSON, against psycopg2's server-side cursor feeding orjson with dicts."""
    yield from _stream(bench, "json", 0.6, ("json", "json-text"))


def stream_csv(bench: Bench) -> Iterator[dict[str, Any]]:
    """CSV, against the csv module."""
    yield from _stream(bench, "csv", 0.5, ("csv",))


def stream_xml(bench: Bench) -> Iterator[dict[str, Any]]:
    """XML, against a template for each row."""
    yield from _stream(bench, "xml", 0.5, ("xml",))


def stream_php(bench: Bench) -> Iterator[dict[str, Any]]:
    """PHP-serialize, against f-strings. The number of rows comes first in it, so that its first byte waits."""
    yield from _stream(bench, "php", 0.5, ("php",))
