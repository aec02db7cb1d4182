"""A backend's answers through the bus, through the bus as it is composed, through plain nginx and through DRF."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from statistics import median

from bench import proxy
from bench.calls import alternate
from bench.load import Load
from bench.peers import rounds
from bench.peers.one_row import line_of, loaded
from bench.peers.stacks import Peer
from bench.peers.table import Line, Target, spread, times
from bench.proxy import DIRECT, Stage

#: Kept connections, the same for all: with more, one caller would have more than half of a worker's threads.
CONNECTIONS = DIRECT
#: By the name of the file: what part of nginx's figure the composed bus and the bus by itself have to reach.
TARGETS = {
    "small": {"composed": Target(0.40), "bus": Target(0.12)},
    "middle": {"composed": Target(0.85)},
    "large": {"composed": Target(0.9)},
}
_SIZES = {"small": "1 KiB", "middle": "1 MiB", "large": "100 MiB"}
#: Milliseconds that the median of a call may take longer than nginx's, at half of the bus's own load.
ADDED = {"bus": 1.0, "composed": 0.2}
_TAIL = 3.0


class Contest:
    """Who takes part, and by which path each has a file."""

    def __init__(self, peers: list[Peer], paths: dict[str, Callable[[str], str]]) -> None:
        self.peers = {peer.name: peer for peer in peers}
        self._paths = paths

    def path(self, name: str, file: str) -> str:
        return self._paths[name](file)

    def key(self, name: str, file: str) -> str:
        if name == "composed":
            return proxy.SMALL_KEY
        if name == "bus":
            return proxy.LARGE_KEY if file == "large" else proxy.SMALL_KEY
        return self.peers[name].key

    def spell(self, name: str, file: str, rate: float = 0.0) -> Callable[[], Load]:
        path, key = self.path(name, file), self.key(name, file)
        return lambda: loaded(self.peers[name], path, CONNECTIONS, rate, key)

    def transfer(self, made: Stage, name: str) -> float:
        """MiB a second of 100 MiB fetched."""
        port = self.peers[name].port
        return made.transfer.down(port, self.path(name, "large"), self.key(name, "large")) / proxy.MIB


def _by_the_bus(file: str) -> str:
    return proxy.LARGE_PATH if file == "large" else f"/rest/bkn/alias/kecil/{file}"


def proxied(made: Stage, peers: list[Peer]) -> Iterator[Line]:
    """A line for each, size by size, then what the median is longer by at half of the load."""
    duties = "key, grant, quota, journal"
    with ExitStack() as stack:
        bus = stack.enter_context(made.bench.gunicorn())
        front = stack.enter_context(proxy.composed(made, True))
        ours = [
            Peer("bus", duties, bus.port, bus.process.pid),
            Peer("composed", f"{duties} (nginx, Redis)", front.nginx.port, front.bus.process.pid),
        ]
        plain = Peer("nginx", "proxy_pass", made.plain, 0, key="")
        able = [peer for peer in peers if peer.proxied]
        contest = Contest(
            [*ours, plain, *able],
            {
                "bus": _by_the_bus,
                "composed": lambda file: f"/rest/bkn/alias/kecil/{file}",
                "nginx": lambda file: f"/{file}",
                **{peer.name: _under(peer.proxied) for peer in able},
            },
        )
        rates: dict[str, float] = {}
        for file in ("small", "middle"):
            found = alternate({name: contest.spell(name, file) for name in contest.peers}, rounds.ROUNDS)
            if file == "small":
                rates = {name: median(each.per_second for each in loads) / 2 for name, loads in found.items()}
            yield from _judged(contest, file, found)
        yield from _large(made, contest)
        for name, most in ADDED.items():
            yield _added(contest, name, rates[name], most)


def _under(prefix: str) -> Callable[[str], str]:
    return lambda file: f"{prefix}{file}"


def _judged(contest: Contest, file: str, found: dict[str, list[Load]]) -> Iterator[Line]:
    speeds = {name: [each.per_second for each in loads] for name, loads in found.items()}
    for name, loads in found.items():
        line = line_of(f"peers-proxy {_SIZES[file]}", contest.peers[name], loads)
        yield line | _ratio(file, name, speeds)
    if file == "small":
        tail = median(one.p99 / other.p99 for one, other in zip(found["composed"], found["nginx"], strict=True))
        yield {
            "bench": f"peers-proxy {_SIZES[file]}",
            "peer": "composed",
            "duties": "p99 as a multiple of nginx's",
            "value": round(tail, 2),
            "unit": "times",
            "target": f"< {_TAIL}",
            "ok": tail < _TAIL,
        }


def _ratio(file: str, name: str, speeds: dict[str, list[float]]) -> Line:
    """Here the line of the bus has its part of nginx's figure; that of another peer what the composed bus is of it."""
    if name in TARGETS[file]:
        return TARGETS[file][name].judge(speeds[name], speeds["nginx"])
    if name == "nginx":
        return {}
    one, other = (name, "nginx") if name == "bus" else ("composed", name)
    return {"ratio": round(times(speeds[one], speeds[other]), 3)}


def _large(made: Stage, contest: Contest) -> Iterator[Line]:
    speeds: dict[str, list[float]] = {name: [] for name in contest.peers}
    for number in range(-1, rounds.ROUNDS):
        for name in speeds if number % 2 else reversed(speeds):
            speed = contest.transfer(made, name)
            if number >= 0:
                speeds[name].append(speed)
    for name, found in speeds.items():
        peer = contest.peers[name]
        yield {
            "bench": f"peers-proxy {_SIZES['large']}",
            "peer": name,
            "duties": peer.duties,
            **spread(found),
            "unit": "MiB/s",
            "target": None,
            "ok": None,
            **_ratio("large", name, speeds),
        }


def _added(contest: Contest, name: str, rate: float, most: float) -> Line:
    """The medians at so many calls a second, of the bus and of nginx, in turns."""
    found = alternate({each: contest.spell(each, "small", rate) for each in (name, "nginx")}, rounds.ROUNDS)
    added = [one.p50 - other.p50 for one, other in zip(found[name], found["nginx"], strict=True)]
    return {
        "bench": "peers-proxy 1 KiB",
        "peer": name,
        "duties": "added to nginx's median at half load",
        **spread(added, 3),
        "unit": "ms",
        "calls_per_second": round(rate),
        "target": f"< {most}",
        "ok": median(added) < most,
    }
