"""One row by key over PostgreSQL: the bus with all its duties, in several compositions, beside the peers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from bench.bus import Bench
from bench.calls import alternate
from bench.load import CONNECTIONS, REST, Load, load
from bench.peers import rounds
from bench.peers.stacks import Peer
from bench.peers.surroundings import cpu
from bench.peers.table import Line, Target, spread, times
from tests.servers.nginx import Nginx
from tests.servers.redis import RedisServer

DUTIES = "key, grant, quota, journal, select"
#: The bus as it is composed against each; the others stand there for comparison.
TARGETS = {
    "composed-gthread": Target(2.0),
    "php": Target(0.8),
    "datasette": Target(4.0),
    "drf": Target(6.0),
}


@contextmanager
def direct(bench: Bench, key: str, worker_class: str = "") -> Iterator[Peer]:
    """The bus as ./run starts it."""
    with bench.gunicorn(worker_class=worker_class) as bus:
        name = f"bus-{worker_class}" if worker_class else "bus"
        yield Peer(name, DUTIES, bus.port, bus.process.pid, REST, key=key)


@contextmanager
def composed(bench: Bench, key: str, worker_class: str = "") -> Iterator[Peer]:
    """The bus as docker-compose.yml does: the shipped nginx before it, quotas in Redis."""
    folder = Path(tempfile.mkdtemp(prefix="before-", dir=bench.folder))
    words = {"MANTRA_TRUSTED_PROXIES": "1"}
    with (
        RedisServer() as store,
        bench.gunicorn(worker_class=worker_class, MANTRA_QUOTA_STORE=store.url, **words) as bus,
    ):
        front = Nginx(folder, bus)
        try:
            name = f"composed-{worker_class}" if worker_class else "composed"
            yield Peer(name, f"{DUTIES} (nginx, Redis)", front.port, bus.process.pid, REST, key=key)
        finally:
            front.close()


def _spell(peer: Peer) -> Callable[[], Load]:
    return lambda: loaded(peer, peer.one, CONNECTIONS)


def loaded(peer: Peer, path: str, connections: int, rate: float = 0.0, key: str = "") -> Load:
    """A spell of load on a peer. Raises RuntimeError with its name."""
    try:
        return load(peer.port, path, cpu, rounds.SECONDS, connections, key or peer.key, rate)
    except RuntimeError as error:
        raise RuntimeError(f"{peer.name}: {error}") from error


def one_row(bench: Bench, key: str, peers: list[Peer]) -> Iterator[Line]:
    """A line for each: calls a second; ``ratio`` is the composed bus's part of it, ``ratio_direct`` the bus's alone."""
    with ExitStack() as stack:
        ours = [
            stack.enter_context(start(bench, key, worker_class))
            for start in (direct, composed)
            for worker_class in ("", "gthread")
        ]
        every = {peer.name: peer for peer in (*ours, *(peer for peer in peers if peer.one))}
        found = alternate({name: _spell(peer) for name, peer in every.items()}, rounds.ROUNDS)
    speeds = {name: [each.per_second for each in loads] for name, loads in found.items()}
    for name, loads in found.items():
        line = line_of("peers-one-row", every[name], loads)
        if name in TARGETS:
            line |= TARGETS[name].judge(speeds["composed"], speeds[name])
        elif name != "composed":
            line["ratio"] = round(times(speeds["composed"], speeds[name]), 3)
        yield line | {"ratio_direct": round(times(speeds["bus"], speeds[name]), 3)}


def line_of(bench: str, peer: Peer, loads: list[Load]) -> Line:
    """The line of a load, without a judgement."""
    return {
        "bench": bench,
        "peer": peer.name,
        "duties": peer.duties,
        **spread([each.per_second for each in loads]),
        "unit": "calls/s",
        "p50_ms": round(median(each.p50 for each in loads), 2),
        "p99_ms": round(median(each.p99 for each in loads), 2),
        "cpu_us": round(min(each.cpu for each in loads)),
        "target": None,
        "ok": None,
    }
