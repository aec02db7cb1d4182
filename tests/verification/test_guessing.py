"""Guessers: 40,000 tries at a birth date against a running bus, over all protocols, by one application and by two."""

from __future__ import annotations

import http.client
import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from mantra.verification import tries
from registry.results import Fault
from tests.servers.bus import Bus
from tests.servers.redis import RedisServer
from tests.soap.wire import NAMESPACE
from tests.soap.wire import envelope as soap_envelope
from tests.verification.people import PEOPLE

NIK, BORN = PEOPLE[0][0], PEOPLE[0][2]
TRIES, TRIES_OF_ALL, MANY = 5, 8, 40_000

# ------------------------------------------------------------------------------------------ the store


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_window_ends_after_its_time() -> None:
    clock = Clock()
    store, limits = tries.Memory(clock), [tries.Limit("a", 2)]
    assert [store.settle(limits, True, 60) for _time in range(3)] == [0, 0, 61]
    clock.now += 59.5
    assert store.settle(limits, True, 60) == 1
    clock.now += 1
    assert store.settle(limits, True, 60) == 0


def test_right_tries_count_nothing_and_are_locked_too() -> None:
    store, limits = tries.Memory(Clock()), [tries.Limit("a", 1), tries.Limit("b", 1)]
    assert [store.settle(limits, False, 60) for _time in range(5)] == [0] * 5
    assert store.settle(limits, True, 60) == 0
    assert store.settle(limits, False, 60) > 0


def test_a_full_window_counts_nowhere() -> None:
    store = tries.Memory(Clock())
    store.settle([tries.Limit("full", 1)], True, 60)
    for _time in range(3):
        assert store.settle([tries.Limit("other", 1), tries.Limit("full", 1)], True, 60) > 0
    assert store.settle([tries.Limit("other", 1)], True, 60) == 0


def test_the_memory_of_a_process_is_bounded() -> None:
    store = tries.Memory(Clock(), most=10)
    for number in range(100):
        store.settle([tries.Limit(str(number), 1)], True, 60)
    assert len(store._windows) == 10


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def test_redis_counts_as_memory_does(redis_server: RedisServer) -> None:
    one, other = tries.Redis(redis_server.url), tries.Redis(redis_server.url)
    limits = [tries.Limit("kunci:1", 2), tries.Limit("kunci", 3)]
    assert [one.settle(limits, wrong, 60) for wrong in (False, True, False)] == [0, 0, 0]
    assert other.settle(limits, True, 60) == 0
    assert 59 <= one.settle(limits, False, 60) <= 60
    second = [tries.Limit("kunci:2", 2), tries.Limit("kunci", 3)]
    assert one.settle(second, True, 60) == 0
    assert one.settle(second, True, 60) > 0  # of all


@pytest.mark.parametrize("made", ["memory", "redis"])
def test_many_tries_at_once_are_no_more_than_the_limit(made: str, redis_server: RedisServer) -> None:
    store: tries.Store = tries.Memory() if made == "memory" else tries.Redis(redis_server.url)
    limits = [tries.Limit("sekaligus:1", 5), tries.Limit("sekaligus", 20)]
    with ThreadPoolExecutor(8) as pool:
        settled = list(pool.map(lambda _number: store.settle(limits, True, 60), range(500)))
    assert settled.count(0) == 5


def test_a_store_that_is_down_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.servers.process import free_port

    monkeypatch.setattr(tries, "store", tries.Redis(f"redis://127.0.0.1:{free_port()}/0"))
    with pytest.raises(Fault) as fault:
        tries.settle(1, "kunci", 1, True, 5, 20, 60)
    assert fault.value.kind.name == "quota-store-down"


# ----------------------------------------------------------------------------------------- the guesser


BUNDLE: dict[str, Any] = {
    "agencies": [{"code": "prov", "name": "Penyedia"}, {"code": "kons", "name": "Konsumen"}],
    "sources": [{"agency": "prov", "code": "uji", "engine": "sqlite", "database": "penduduk.sqlite3"}],
    "services": [{
        "agency": "prov", "code": "data", "title": "Data", "operations": [
            {"code": "orang", "kind": "data", "state": "published", "source": "uji",
             "sql": "SELECT nik, nama, lahir FROM penduduk WHERE nik = :nik", "parameters": [{"name": "nik"}],
             "fields": [{"name": name} for name in ("nik", "nama", "lahir")]},
            {"code": "cek", "kind": "verification", "state": "published", "base": "prov/data/orang", "tries": TRIES,
             "tries_of_all": TRIES_OF_ALL,
             "verified_fields": [{"name": "lahir", "rule": "date"}]},
        ],
    }],
    "applications": [
        {"agency": "kons", "code": code, "title": code, "grants": [{"operation": "prov/data/cek", "purpose": "uji"}]}
        for code in ("satu", "dua")
    ],
}  # fmt: skip

#: Of one way to send a try: method, path and body, headers.
Way = Callable[[str], tuple[str, str, bytes, dict[str, str]]]


def _query(born: str) -> str:
    return urlencode({"nik": NIK, "lahir": born})


def _soap(born: str) -> bytes:
    return soap_envelope("cek", f"<m:nik>{NIK}</m:nik><m:lahir>{born}</m:lahir>", namespace=NAMESPACE).encode()


WAYS: dict[str, Way] = {
    "rest": lambda born: ("GET", f"/rest/prov/data/cek?{_query(born)}", b"", {}),
    "head": lambda born: ("HEAD", f"/rest/prov/data/cek?{_query(born)}", b"", {}),
    "post": lambda born: ("POST", "/rest/prov/data/cek.csv", _query(born).encode(),
                          {"Content-Type": "application/x-www-form-urlencoded"}),
    "soap": lambda born: ("POST", "/soap/prov/data", _soap(born), {"Content-Type": "text/xml; charset=utf-8"}),
    "legacy": lambda born: ("GET", f"/json/prov/data/cek?{_query(born)}", b"", {"User-Agent": "MANTRA"}),
}  # fmt: skip


class Guesser:
    """Sends tries from several threads, and keeps what came back of those that were compared."""

    def __init__(self, bus: Bus, keys: list[str]) -> None:
        self.bus, self.keys = bus, keys
        self.compared: list[bytes] = []
        self.ends: Counter[str] = Counter()
        self._lock = threading.Lock()

    def try_all(self, days: list[str], threads: int = 8) -> None:
        with ThreadPoolExecutor(threads) as pool:
            for done in [pool.submit(self._some, number, days[number::threads]) for number in range(threads)]:
                done.result()

    def _some(self, number: int, days: list[str]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.bus.port, timeout=60)
        ways = list(WAYS.values())
        for at, day in enumerate(days):
            method, path, body, headers = ways[(at + number) % len(ways)](day)
            key = self.keys[(at // len(ways) + number) % len(self.keys)]
            connection.request(method, path, body or None, {"AccessKey": key, **headers})
            response = connection.getresponse()
            content = response.read()
            locked = response.status in (429, 500) or b"11125" in content
            with self._lock:
                self.ends["locked" if locked else "compared"] += 1
                if not locked:
                    self.compared.append(content)
        connection.close()


def _days() -> list[str]:
    """Return 40,000 birth dates of which the right one is tried many times, but not among the first thousand."""
    first = date(1926, 1, 1)
    days = [str(first + timedelta(days=number)) for number in range(36_524)]
    days.remove(BORN)
    days = (days + days)[: MANY - 50]
    return [*days[:1000], *[BORN] * 50, *days[1000:]]


@pytest.fixture(params=["memory", "redis"])
def bus(request: pytest.FixtureRequest, tmp_path: Path, redis_server: RedisServer) -> Iterator[Bus]:
    # In one process its own memory counts; two processes need a store of their own.
    more = {"WEB_CONCURRENCY": "1"}
    if request.param == "redis":
        more = {"WEB_CONCURRENCY": "2", "MANTRA_QUOTA_STORE": f"{redis_server.url.rpartition('/')[0]}/3"}
    var = tmp_path / "var"
    folder = var / "sources" / "prov"
    folder.mkdir(parents=True)
    with sqlite3.connect(folder / "penduduk.sqlite3") as made:
        made.execute("CREATE TABLE penduduk (nik TEXT PRIMARY KEY, nama TEXT, lahir TEXT)")
        made.executemany("INSERT INTO penduduk VALUES (?, ?, ?)", [(row[0], row[1], row[2]) for row in PEOPLE])
    made.close()
    with Bus(var, BUNDLE, application="kons/satu", **more) as running:
        yield running


def test_a_guesser_is_locked_out_and_learns_nothing(bus: Bus) -> None:
    guesser = Guesser(bus, [bus.key])
    guesser.try_all(_days())
    assert guesser.ends == {"compared": TRIES, "locked": MANY - TRIES}
    assert not any(b"true" in content.replace(b"ditemukan", b"") and _agrees(content) for content in guesser.compared)
    # Another application has its own tries, but not more than all have together; and the right value helps nobody.
    second = Guesser(bus, [bus.issue_key("kons/dua")])
    second.try_all(_days()[:200])
    assert second.ends["compared"] == TRIES_OF_ALL - TRIES
    assert not any(_agrees(content) for content in second.compared)
    assert BORN.encode() not in b"".join(guesser.compared + second.compared)


def _agrees(content: bytes) -> bool:
    """Return True if a response says that the birth date agrees."""
    text = content.decode()
    if text.startswith("{"):
        document = json.loads(text)
        rows = document.get("data") or next(iter(document["response"]["data"].values()))
        row = rows[0] if isinstance(rows, list) else rows["0"]
        return row["sesuai"] in (True, "true", "1", 1)
    return "<m:sesuai>true" in text or "\r\ntrue,true" in text
