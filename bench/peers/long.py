"""A million rows of ten columns in one answer, and the memory that it takes whoever writes it."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bench.bus import MANY, Bench
from bench.peers import rounds
from bench.peers.stacks import Peer
from bench.peers.surroundings import cpu, family
from bench.peers.table import Line, Target, spread

#: The bus is to be faster than every peer.
FASTER = Target(1.0)
_MARKS = {"json": b'"nip"', "csv": b"\n"}
_MOST_MIB = 64


@dataclass(frozen=True)
class Answer:
    """One long answer. ``memory``: MiB that the server's processes held more than before, at the most."""

    per_second: float
    first_byte: float
    cpu: float
    memory: float
    bytes: int


def _held(pid: int, name: str) -> int:
    """VmRSS or VmHWM of a process in KiB; 0 of one that has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
    return 0


class Memory:
    """What a server's processes hold more than now, at the most, from now on."""

    def __init__(self, root: int) -> None:
        self._before = {}
        for pid in family(root):
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the highest is now
            self._before[pid] = _held(pid, "VmRSS")

    def growth(self) -> float:
        """Return it in MiB, of all processes together that were there at the beginning."""
        return sum(max(0, _held(pid, "VmHWM") - before) for pid, before in self._before.items()) / 1024


def _counted(reply: http.client.HTTPResponse, mark: bytes) -> tuple[int, int]:
    """How often a mark occurs in an answer, and its size."""
    count, size, tail = 0, 0, b""
    while piece := reply.read(256 * 1024):
        size += len(piece)
        piece = tail + piece
        count += piece.count(mark)
        tail = piece[len(piece) - len(mark) + 1 :]
    return count, size


def fetch(peer: Peer, path: str, mark: bytes = b"") -> Answer:
    """Take an answer in. With a mark all rows are counted, which costs time. Raises RuntimeError."""
    connection = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=600)
    memory, used, began = Memory(peer.process), cpu(), time.perf_counter()
    connection.request("GET", path, headers={"AccessKey": peer.key})
    reply = connection.getresponse()
    first_byte = time.perf_counter() - began
    if reply.status != 200:
        raise RuntimeError(f"{peer.name}: status {reply.status}: {reply.read(300)!r}")
    if mark:
        count, size = _counted(reply, mark)
        if count != MANY + (mark == b"\n"):
            raise RuntimeError(f"{peer.name}: {count} of {mark!r}")
    else:
        size = _read(reply)
    seconds = time.perf_counter() - began
    connection.close()
    return Answer(MANY / seconds, first_byte, cpu() - used, memory.growth(), size)


def _read(reply: http.client.HTTPResponse) -> int:
    buffer, size = bytearray(256 * 1024), 0
    view = memoryview(buffer)
    while count := reply.readinto(view):
        size += count
    return size


@contextmanager
def streaming(bench: Bench, key: str) -> Iterator[Peer]:
    """The bus as ./run starts it, for long answers."""
    with bench.gunicorn() as bus:
        yield Peer(
            "bus",
            "key, grant, quota, journal, select",
            bus.port,
            bus.process.pid,
            json="/rest/bkn/simpeg/semua.json",
            csv="/rest/bkn/simpeg/semua.csv",
            key=key,
        )


def _alternate(able: dict[str, tuple[Peer, str]], suffix: str) -> dict[str, list[Answer]]:
    """Each in turn: once with all rows counted, then with an answer that must be as long."""
    whole = {name: fetch(peer, path, _MARKS[suffix]) for name, (peer, path) in able.items()}
    found: dict[str, list[Answer]] = {name: [] for name in able}
    for number in range(rounds.LONG_ROUNDS):
        for name in list(able) if number % 2 == 0 else list(reversed(able)):
            answer = fetch(*able[name])
            if answer.bytes != whole[name].bytes:
                raise RuntimeError(f"{name}: {answer.bytes} bytes, not {whole[name].bytes}")
            found[name].append(replace(answer, memory=max(answer.memory, whole[name].memory)))
    return found


def long(bench: Bench, key: str, peers: list[Peer], suffix: str) -> Iterator[Line]:
    """A line for each: rows a second."""
    with streaming(bench, key) as bus:
        able = {peer.name: (peer, getattr(peer, suffix)) for peer in (bus, *peers) if getattr(peer, suffix)}
        found = _alternate(able, suffix)
    speeds = {name: [each.per_second for each in answers] for name, answers in found.items()}
    for name, answers in found.items():
        line = _line_of(f"peers-{suffix}", able[name][0], answers)
        if name == "bus":
            yield line | {"target": f"≤ {_MOST_MIB} MiB", "ok": line["memory_mib"] <= _MOST_MIB}
        else:
            yield line | FASTER.judge(speeds["bus"], speeds[name])


def _line_of(bench: str, peer: Peer, answers: list[Answer]) -> Line:
    return {
        "bench": bench,
        "peer": peer.name,
        "duties": peer.duties,
        **spread([each.per_second for each in answers]),
        "unit": "rows/s",
        "first_byte_ms": round(1000 * min(each.first_byte for each in answers)),
        "cpu_us": round(min(each.cpu for each in answers) / MANY * 1_000_000, 2),
        "memory_mib": round(max(each.memory for each in answers), 1),
        "bytes": answers[0].bytes,
    }
