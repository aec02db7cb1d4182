"""What a proxy call costs: pass-through operations against nginx's proxy_pass to the same upstream, in turns."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.bus import ROOT, Bench, Gunicorn, cpu_seconds, manage
from bench.calls import alternate, line_of
from bench.load import Load, load
from tests.servers.nginx import Nginx
from tests.servers.process import answers, ending_with_us, find_binary, free_port, wait_until
from tests.servers.redis import RedisServer

#: Rounds of load, and of single transfers.
ROUNDS, TRANSFERS = 7, 5
KIB, MIB = 1024, 1024 * 1024
LARGE = 100 * MIB
AT_ONCE = 20
#: Kept connections of a load; behind nginx as many as its callers may well have.
DIRECT, FAST = 8, 16

_BUNDLE = """
backends:
  - {{agency: bkn, code: berkas, servers: [{{url: "http://127.0.0.1:{static}"}}]}}
  - {{agency: bkn, code: telan, servers: [{{url: "http://127.0.0.1:{sink}"}}]}}
services:
  - agency: bkn
    code: alias
    title: Alias
    operations:
      - {{code: kecil, kind: proxy, style: pass-through, title: Small, access: restricted, state: published,
         timeout_ms: 600000, max_body_bytes: 1000000000, backend: berkas}}
      - {{code: besar, kind: proxy, style: pass-through, title: Large, access: restricted, state: published,
         timeout_ms: 600000, read_timeout_ms: 60000, max_body_bytes: 1000000000, max_concurrent_calls: {at_once},
         backend: berkas}}
      - {{code: telan, kind: proxy, style: pass-through, title: Sink, access: restricted, state: published,
         timeout_ms: 600000, read_timeout_ms: 60000, max_body_bytes: 1000000000, max_concurrent_calls: {at_once},
         backend: telan}}
applications:
  - agency: dukcapil
    code: alias
    title: Alias
    keys:
      - {{legacy: {key}, operation: bkn/alias/kecil}}
      - {{legacy: {large_key}, operation: bkn/alias/besar}}
      - {{legacy: {sink_key}, operation: bkn/alias/telan}}
    grants:
      - {{operation: bkn/alias/kecil, purpose: bench, quota: 1000000000/day}}
      - {{operation: bkn/alias/besar, purpose: bench, quota: 1000000000/day}}
      - {{operation: bkn/alias/telan, purpose: bench, quota: 1000000000/day}}
"""
SMALL_KEY, LARGE_KEY, SINK_KEY = "aaaaaaaaaa", "cccccccccc", "dddddddddd"

_NGINX = """
worker_processes auto;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    sendfile on;
    {content}
}}
"""
_STATIC = "server {{ listen 127.0.0.1:{port}; root {folder}/files; }}"
_PROXY = """
    upstream files {{ server 127.0.0.1:{static}; keepalive 64; keepalive_requests 1000000000; }}
    upstream sink {{ server 127.0.0.1:{sink}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_max_temp_file_size 0;
        location / {{ proxy_pass http://files; }}
        location /telan {{ proxy_request_buffering off; proxy_pass http://sink; }}
    }}
"""


@contextmanager
def nginx(folder: Path, content: str) -> Iterator[None]:
    """An nginx with these servers in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, content=content))
    account = ["-g", "user root;"] if os.geteuid() == 0 else []
    process = subprocess.Popen([find_binary("nginx"), "-c", str(folder / "nginx.conf"), *account])
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def sink() -> Iterator[int]:
    """The port of a server that reads bodies and says how many bytes it read."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.sink", str(port)], cwd=ROOT)
    try:
        wait_until(lambda: answers(port), 10, "the sink")
        yield port
    finally:
        process.terminate()
        process.wait(10)


class Transfer:
    """One large body, either way, with a client that costs next to nothing."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def down(self, port: int, path: str, key: str = "") -> float:
        """Bytes per second of LARGE bytes fetched. Raises RuntimeError."""
        began = time.perf_counter()
        with socket.create_connection(("127.0.0.1", port)) as link:
            link.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccessKey: {key}\r\nConnection: close\r\n\r\n".encode())
            buffer = bytearray(MIB)
            head, count = b"", 0
            while b"\r\n\r\n" not in head:
                piece = link.recv(65536)
                if not piece:
                    break
                head += piece
            count = len(head.partition(b"\r\n\r\n")[2])
            while size := link.recv_into(buffer):
                count += size
        if not head.startswith(b"HTTP/1.1 200") or count != LARGE:
            raise RuntimeError(f"{count} bytes: {head[:300]!r}")
        return LARGE / (time.perf_counter() - began)

    def up(self, port: int, path: str, key: str = "") -> float:
        """Bytes per second of LARGE bytes sent. Raises RuntimeError."""
        began = time.perf_counter()
        with socket.create_connection(("127.0.0.1", port)) as link, self._file.open("rb") as file:
            link.sendall(
                f"PUT {path} HTTP/1.1\r\nHost: x\r\nAccessKey: {key}\r\nContent-Length: {LARGE}\r\n"
                "Connection: close\r\n\r\n".encode()
            )
            link.sendfile(file)
            said = b""
            while piece := link.recv(65536):
                said += piece
        if not said.startswith(b"HTTP/1.1 200") or not said.endswith(b"%d\n" % LARGE):
            raise RuntimeError(f"{said[:300]!r}")
        return LARGE / (time.perf_counter() - began)


def at_once(transfer: Callable[[], float], count: int) -> float:
    """Bytes per second of so many transfers at the same time, together. Raises what one of them raised."""
    failures: list[Exception] = []

    def run() -> None:
        try:
            transfer()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return LARGE * count / (time.perf_counter() - began)


class Memory:
    """The most that the workers held for themselves while it watched, in bytes over what they held before."""

    def __init__(self, served: Gunicorn) -> None:
        self._pids = served.workers()
        self._over = threading.Event()
        self.before = self.most = self._held()
        self._thread = threading.Thread(target=self._watch)

    def _held(self) -> int:
        found = 0
        for pid in self._pids:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Private_Dirty:"):
                    found += int(line.split()[1]) * KIB
        return found

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self.most = max(self.most, self._held())

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def growth(self) -> float:
        """In MiB."""
        return (self.most - self.before) / MIB


class Stage:
    """The upstreams, plain nginx before them, and a registry that knows them."""

    def __init__(self, bench: Bench, static: int, plain: int, sink_port: int, folder: Path) -> None:
        self.bench = bench
        self.static = static
        self.plain = plain
        self.sink = sink_port
        self.folder = folder
        self.transfer = Transfer(folder / "files" / "large")

    def spell(
        self, port: int, path: str, key: str, cpu: Callable[[], float], connections: int, rate: float = 0.0
    ) -> Callable[[], Load]:
        return lambda: load(port, path, cpu, connections=connections, key=key, rate=rate)


def _no_cpu() -> float:
    return 0.0


@contextmanager
def stage(bench: Bench) -> Iterator[Stage]:
    folder = bench.folder / "proxy"
    files = folder / "files"
    files.mkdir(parents=True, exist_ok=True)
    for name, size in (("small", KIB), ("middle", MIB), ("large", LARGE)):
        (files / name).write_bytes(os.urandom(MIB)[:size] * max(1, size // MIB))
    static, plain = free_port(), free_port()
    with ExitStack() as stack:
        swallow = stack.enter_context(sink())
        stack.enter_context(
            nginx(
                folder,
                _STATIC.format(port=static, folder=folder) + _PROXY.format(port=plain, static=static, sink=swallow),
            )
        )
        wait_until(lambda: answers(plain), 10, "nginx")
        bundle = folder / "proxy.yaml"
        bundle.write_text(
            _BUNDLE.format(
                static=static, sink=swallow, at_once=AT_ONCE, key=SMALL_KEY, large_key=LARGE_KEY, sink_key=SINK_KEY
            )
        )
        bench.environment["MANTRA_UPSTREAM_NETWORKS"] = "127.0.0.0/8"
        manage(bench.environment, "apply_definitions", str(bundle), "--reason", "measurement")
        yield Stage(bench, static, plain, swallow, folder)


SMALL = "/rest/bkn/alias/kecil/small"
MIDDLE = "/rest/bkn/alias/kecil/middle"
LARGE_PATH = "/rest/bkn/alias/besar/large"
SINK_PATH = "/rest/bkn/alias/telan"


def _throughput(made: Stage, bus: Gunicorn, name: str, target: float) -> Iterator[dict[str, Any]]:
    """1 KiB at saturation, then what a call takes longer at half of that load."""
    ours = made.spell(bus.port, SMALL, SMALL_KEY, bus.cpu, DIRECT)
    plain = made.spell(made.plain, "/small", "", _no_cpu, DIRECT)
    found = alternate({"bus": ours, "nginx": plain}, ROUNDS)
    line = line_of(name, target, found, "bus", "nginx", body_bytes=KIB)
    yield line
    rate = line["value"] / 2
    found = alternate(
        {
            "bus": made.spell(bus.port, SMALL, SMALL_KEY, bus.cpu, DIRECT, rate),
            "nginx": made.spell(made.plain, "/small", "", _no_cpu, DIRECT, rate),
        },
        ROUNDS,
    )
    added = median(one.p50 - other.p50 for one, other in zip(found["bus"], found["nginx"], strict=True))
    yield {
        "bench": f"{name}-latency",
        "value": round(added, 2),
        "unit": "ms added to the median",
        "target": 2.0,
        "ok": added <= 2.0,
        "calls_per_second": round(median(each.per_second for each in found["bus"])),
        "p50_ms": round(median(each.p50 for each in found["bus"]), 2),
        "nginx_p50_ms": round(median(each.p50 for each in found["nginx"]), 2),
        "rounds": ROUNDS,
    }


def _large(made: Stage, bus: Gunicorn, name: str) -> Iterator[dict[str, Any]]:
    """100 MiB each way, one at a time against nginx, then twenty at once."""
    ways: dict[str, tuple[Callable[[], float], Callable[[], float]]] = {
        "down": (
            lambda: made.transfer.down(bus.port, LARGE_PATH, LARGE_KEY),
            lambda: made.transfer.down(made.plain, "/large"),
        ),
        "up": (
            lambda: made.transfer.up(bus.port, SINK_PATH, SINK_KEY),
            lambda: made.transfer.up(made.plain, "/telan"),
        ),
    }
    for way, (ours, theirs) in ways.items():
        ours(), theirs()  # connections and caches
        with Memory(bus) as memory:
            pairs = []
            for number in range(TRANSFERS):
                first, second = (ours(), theirs()) if number % 2 else reversed((theirs(), ours()))
                pairs.append((first, second))
        with Memory(bus) as crowd:
            many = [(at_once(ours, AT_ONCE), at_once(theirs, AT_ONCE)) for _ in range(3)]
        ratio = median(one / other for one, other in pairs)
        growth = max(memory.growth, crowd.growth)
        yield {
            "bench": f"{name}-100m-{way}",
            "value": round(median(one for one, _ in pairs) / MIB),
            "unit": "MiB/s",
            "ratio": round(ratio, 3),
            "target": 0.5,
            "ok": ratio >= 0.5 and growth < 32,
            "nginx_mib_per_second": round(median(other for _, other in pairs) / MIB),
            "memory_mib": round(memory.growth, 1),
            "memory_mib_20_at_once": round(crowd.growth, 1),
            "ratio_20_at_once": round(median(one / other for one, other in many), 3),
            "rounds": TRANSFERS,
        }


SECRET = "between-nginx-and-the-bus"

#: A server beside those that are shipped, of the same nginx: what all others are measured against.
_PLAIN = """
upstream plain {{ server 127.0.0.1:{static}; keepalive 64; keepalive_requests 1000000000; }}
server {{
    listen 127.0.0.1:{port};
    access_log off;
    location / {{ proxy_set_header Connection ""; proxy_pass http://plain; }}
}}
"""


@dataclass
class Composition:
    """What docker-compose.yml runs: nginx as shipped, gunicorn, the worker, quotas in a store for all."""

    nginx: Nginx
    #: The port of plain proxy_pass in the same nginx.
    plain: int
    bus: Gunicorn

    def cpu(self) -> float:
        """Seconds of CPU of nginx and the bus."""
        return self.bus.cpu() + self.plain_cpu()

    def plain_cpu(self) -> float:
        """Seconds of CPU of nginx."""
        return sum(cpu_seconds(pid) for pid in self.nginx.workers())


@contextmanager
def composed(made: Stage, fast_lane: bool, workers: str = "auto") -> Iterator[Composition]:
    """The composition, with nginx's fast lane or without it."""
    folder = Path(tempfile.mkdtemp(prefix="composed-", dir=made.folder))
    lane = folder / "lane"
    lane.mkdir()
    with ExitStack() as stack:
        environment = {
            "MANTRA_QUOTA_STORE": stack.enter_context(RedisServer()).url,
            "MANTRA_TRUSTED_PROXIES": "1",
            "MANTRA_NGINX_SECRET": SECRET,
            "MANTRA_FAST_LANE_DIR": str(lane),
            "MANTRA_JOURNAL_DIR": str(folder),
        }
        stack.enter_context(_worker(made.bench, environment))
        # Half of the threads may wait for one upstream: before there is an admission all callers go by the bus.
        bus = stack.enter_context(made.bench.gunicorn(threads=40, **environment))
        wait_until((lane / "upstreams.conf").exists, 30, "the groups of upstreams")
        place, port = folder / "nginx", free_port()
        place.mkdir()
        (place / "plain.conf").write_text(_PLAIN.format(static=made.static, port=port))
        switch = "1" if fast_lane else "0"
        front = Nginx(place, bus, secret=SECRET, lane=lane, workers=workers, switch=switch)
        stack.callback(front.close)
        yield Composition(front, port, bus)


@contextmanager
def _worker(bench: Bench, environment: dict[str, str]) -> Iterator[None]:
    """What collects the calls of the fast lane, and ships the journal."""
    command = [sys.executable, "manage.py", "ship_journal", "--follow"]
    process = subprocess.Popen(
        ending_with_us(command), cwd=ROOT, env={**bench.environment, **environment}, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def _composed(made: Stage) -> Iterator[dict[str, Any]]:
    """The same through nginx, which makes the calls itself where it can: one worker of nginx, and one for each core."""
    for workers in ("1", "auto"):
        with composed(made, True, workers) as fast:
            for path, connections, target in ((SMALL, FAST, 0.40), (MIDDLE, FAST, 0.85)):
                yield _against_plain(made, fast, path, connections, target, f"{workers}-")
            if workers == "auto":
                yield _large_composed(made, fast)
    with composed(made, False) as slow:
        yield _against_plain(made, slow, SMALL, DIRECT, 0.0, "bus-")


def _against_plain(
    made: Stage, front: Composition, path: str, connections: int, target: float, name: str
) -> dict[str, Any]:
    """Calls through the composition against plain proxy_pass of the same nginx."""
    file = path.rpartition("/")[2]
    found = alternate(
        {
            "composed": made.spell(front.nginx.port, path, SMALL_KEY, front.cpu, connections),
            "nginx": made.spell(front.plain, f"/{file}", "", front.plain_cpu, connections),
        },
        ROUNDS,
    )
    slower = median(one.p99 / other.p99 for one, other in zip(found["composed"], found["nginx"], strict=True))
    line = line_of(
        f"proxy-composed-{name}{file}", target, found, "composed", "nginx", load=round(os.getloadavg()[0], 1)
    )
    return line | {"p99_ratio": round(slower, 2), "p99_target": 3}


def _large_composed(made: Stage, front: Composition) -> dict[str, Any]:
    """100 MiB, one at a time."""
    path = LARGE_PATH.replace("besar", "kecil")
    ours = lambda: made.transfer.down(front.nginx.port, path, SMALL_KEY)  # noqa: E731
    theirs = lambda: made.transfer.down(front.plain, "/large")  # noqa: E731
    ours(), theirs()
    pairs = [(ours(), theirs()) for _ in range(TRANSFERS)]
    ratio = median(one / other for one, other in pairs)
    return {
        "bench": "proxy-composed-100m-down",
        "value": round(median(one for one, _ in pairs) / MIB),
        "unit": "MiB/s",
        "ratio": round(ratio, 3),
        "target": 0.9,
        "ok": ratio >= 0.9,
        "nginx_mib_per_second": round(median(other for _, other in pairs) / MIB),
        "rounds": TRANSFERS,
    }


def proxy(bench: Bench) -> Iterator[dict[str, Any]]:
    """As-is operations, with key, grant, quota and journal."""
    with stage(bench) as made:
        with bench.gunicorn() as bus:
            yield from _throughput(made, bus, "proxy", 0.055)
        with bench.gunicorn(threads=2 * AT_ONCE) as bus:
            yield from _large(made, bus, "proxy")
        yield from _composed(made)


def composed_only(bench: Bench) -> Iterator[dict[str, Any]]:
    """As docker-compose.yml runs it."""
    with stage(bench) as made:
        yield from _composed(made)
