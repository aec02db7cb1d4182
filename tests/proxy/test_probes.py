"""The prober, over real sockets: what it finds, who may probe, and how soon an address is back in rotation."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
import urllib3
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from proxyservices.health import balancer, probe, prober, summary, sync, tracker
from proxyservices.models import Lease, ProxyOperation, Upstream, UpstreamState
from proxyservices.transport import client
from proxyservices.transport.client import Limits, Question
from proxyservices.transport.endpoint import Address
from proxyservices.transport.errors import Failed
from registry.models import SnapshotVersion
from registry.results import Fault
from tests.cast import Cast
from tests.proxy.moody import Moody
from tests.servers.process import free_port

#: Seconds; the shortest that can be configured.
INTERVAL = 1
#: How often the thread of a worker process looks.
LOOK = 0.3


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    tracker._states.clear()
    tracker._findings.clear()


@pytest.fixture
def first() -> Iterator[Moody]:
    with Moody() as made:
        yield made


@pytest.fixture
def second() -> Iterator[Moody]:
    with Moody() as made:
        yield made


@pytest.fixture
def publish(cast: Cast) -> Callable[..., Upstream]:
    operation = ProxyOperation.objects.create(service=cast.service, code="alias", state="published")

    def made(url: str, **more: object) -> Upstream:
        values = {"probe_seconds": INTERVAL, "credential_kind": "none", **more}
        row = Upstream(operation=operation, url=url, **values)
        row.full_clean()
        row.save()
        return row

    return made


# --------------------------------------------------------------------------------------------------------- one probe


def probe_once(row: Upstream) -> probe.Outcome:
    return probe.ask(prober.address_of(row))


def test_it_works(publish: Callable[..., Upstream], first: Moody) -> None:
    found = probe_once(publish(first.url, probe_path="sehat?x=1"))
    assert found.healthy
    [(_, method, path, head)] = first.asked
    assert (method, path) == ("GET", "/api/sehat?x=1")
    assert "User-Agent: MANTRA probe" in head


@pytest.mark.parametrize(
    ("written", "asked"), [("", "/api"), ("cek", "/api/cek"), ("/cek", "/cek")], ids=["none", "below", "root"]
)
def test_where_it_asks(publish: Callable[..., Upstream], first: Moody, written: str, asked: str) -> None:
    probe_once(publish(first.url, probe_path=written))
    assert first.asked[0][2] == asked


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_any_method(publish: Callable[..., Upstream], first: Moody, method: str) -> None:
    assert probe_once(publish(first.url, probe_method=method)).healthy
    assert first.asked[0][1] == method


@pytest.mark.parametrize(
    ("statuses", "status", "well"),
    [("200-399", 302, True), ("200-399", 404, False), ("200, 401", 401, True), ("204", 200, False)],
)
def test_expected_statuses(
    publish: Callable[..., Upstream], first: Moody, statuses: str, status: int, well: bool
) -> None:
    found = probe_once(publish(first.url, probe_path=f"/status/{status}", probe_statuses=statuses))
    assert found.healthy is well
    assert found.reason == ("" if well else "status")


def test_an_expected_text(publish: Callable[..., Upstream], first: Moody) -> None:
    row = publish(first.url, probe_text="semua sehat")
    assert probe_once(row).healthy
    first.be("ill")
    found = probe_once(row)
    assert (found.healthy, found.phase, found.reason) == (False, "body", "text")


def test_a_text_is_found_across_chunks_and_not_sought_for_ever() -> None:
    assert probe._holds(iter([b"..se", b"ha", b"t.."]), b"sehat")
    read: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            read.append(65536)
            yield bytes(65536)

    assert not probe._holds(endless(), b"sehat")
    assert sum(read) <= probe.MOST + 65536


@pytest.mark.parametrize(
    ("mood", "phase", "slow"),
    [("refusing", "connect", False), ("dropping", "first-byte", False), ("hanging", "first-byte", True)],
)
def test_what_fails_is_named(publish: Callable[..., Upstream], first: Moody, mood: str, phase: str, slow: bool) -> None:
    first.be(mood)
    found = probe_once(publish(first.url))
    assert (found.healthy, found.phase, found.slow) == (False, phase, slow)
    assert found.seconds < INTERVAL + 0.5


def test_the_credential_goes_with_it(publish: Callable[..., Upstream], first: Moody) -> None:
    probe_once(publish(first.url, credential_kind="header", credential_name="X-Kunci", credential="rahasia"))
    assert "X-Kunci: rahasia" in first.asked[0][3]


# ------------------------------------------------------------------------------------------- the prober and one worker


class Stage:
    """A prober and a worker process's view, turn by turn in one thread: one database connection serves both."""

    def __init__(self, *rows: Upstream) -> None:
        self.prober = prober.Prober()
        self.exchange = sync.Exchange()
        self.addresses = [prober.address_of(row) for row in rows]
        self._ticked = 0.0
        #: The id of the address that answered each call, or 0.
        self.calls: list[int] = []

    def turn(self, calling: bool = True) -> None:
        self.prober.look()
        self.prober.probe()
        self.prober.write()
        if time.monotonic() - self._ticked > LOOK:
            self._ticked = time.monotonic()
            self.exchange.tick()
        if calling:
            self.calls.append(self.call())
        time.sleep(0.01)

    def call(self) -> int:
        try:
            addresses = balancer.order(self.addresses)
        except Fault:
            return 0
        return next((each.id for each in addresses if self._answers(each)), 0)

    def _answers(self, address: Address) -> bool:
        began = time.monotonic()
        question = Question("GET", "/panggil", [("User-Agent", "call")], None, 0)
        try:
            reply = client.ask(address.target, question, Limits(0.2, 0.2, 0.2, 1000), began + 0.2)
            reply.read()
        except Failed as failure:
            tracker.failed(address, failure, began)
            return False
        if reply.status >= 500:
            tracker.failed(address, tracker.STATUS, began)
            return False
        tracker.succeeded(address, time.monotonic() - began)
        return True

    def until(self, condition: Callable[[], bool], seconds: float, calling: bool = True) -> float:
        """Seconds until the condition held."""
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < seconds, f"not within {seconds} s"
            self.turn(calling)
        return time.monotonic() - began

    def during(self, seconds: float, calling: bool = True) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.turn(calling)

    def in_rotation(self) -> bool:
        return self.call() == self.addresses[0].id


MOODS = ["refusing", "dropping", "hanging", "broken"]


@pytest.fixture
def rows(publish: Callable[..., Upstream], first: Moody, second: Moody) -> list[Upstream]:
    return [publish(first.url), publish(second.url, position=1)]


@pytest.mark.parametrize("mood", [*MOODS, "ill"])
def test_what_the_prober_ejected_is_back_within_two_intervals(rows: list[Upstream], first: Moody, mood: str) -> None:
    Upstream.objects.update(probe_text="semua sehat")
    rows = list(Upstream.objects.order_by("pk"))
    stage = Stage(*rows)
    stage.until(lambda: UpstreamState.objects.filter(observer=tracker.PROBER, healthy=True).count() == 2, 3, False)
    first.be(mood)
    # No call is spent on finding out.
    stage.until(lambda: tracker.ill(stage.addresses[0]), 2 * INTERVAL + 3, calling=False)
    assert stage.call() == rows[1].pk
    first.be("well")
    stage.until(stage.in_rotation, 2 * INTERVAL)


@pytest.mark.parametrize("mood", MOODS)
def test_what_failing_calls_ejected_is_back_within_two_intervals(rows: list[Upstream], first: Moody, mood: str) -> None:
    """The mood is over before the prober saw it: the calls alone know."""
    stage = Stage(*rows)
    stage.during(0.5)
    first.be(mood)
    while tracker.state_of(stage.addresses[0]).ejection.state == "closed":
        stage.call()
    assert not tracker.ill(stage.addresses[0])
    first.be("well")
    assert stage.call() == rows[1].pk
    stage.until(stage.in_rotation, 2 * INTERVAL)


@pytest.mark.parametrize("mood", MOODS)
def test_the_only_address_with_its_breaker_open_is_back_within_two_intervals(
    publish: Callable[..., Upstream], first: Moody, mood: str
) -> None:
    stage = Stage(publish(first.url))
    stage.during(0.3)
    first.be(mood)
    stage.until(lambda: tracker.state_of(stage.addresses[0]).breaker.state == "open", 15)
    stage.until(lambda: tracker.ill(stage.addresses[0]), 5)
    first.be("well")
    stage.until(stage.in_rotation, 2 * INTERVAL)


@pytest.mark.parametrize("mood", MOODS)
def test_a_process_that_never_saw_it_takes_it_up_within_two_intervals(
    rows: list[Upstream], first: Moody, mood: str
) -> None:
    stage = Stage(*rows)
    first.be(mood)
    stage.until(lambda: UpstreamState.objects.filter(healthy=False).exists(), 5, calling=False)
    tracker._findings.clear()
    tracker._states.clear()
    stage.exchange = sync.Exchange()
    stage.exchange.tick()
    assert stage.call() == rows[1].pk
    first.be("well")
    stage.until(stage.in_rotation, 2 * INTERVAL)


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "with another"])
@pytest.mark.parametrize("mood", MOODS)
def test_without_a_probe_it_is_back_within_two_pauses(
    publish: Callable[..., Upstream],
    first: Moody,
    second: Moody,
    monkeypatch: pytest.MonkeyPatch,
    mood: str,
    alone: bool,
) -> None:
    monkeypatch.setattr(tracker, "PAUSE", 0.5)
    rows = [publish(first.url, probe_seconds=0)]
    if not alone:
        rows.append(publish(second.url, position=1, probe_seconds=0))
    stage = Stage(*rows)
    first.be(mood)
    for _ in range(tracker.STORM + 5):
        stage.call()
    first.be("well")
    stage.until(stage.in_rotation, 2 * tracker.PAUSE)


def test_flapping(rows: list[Upstream], first: Moody) -> None:
    """Half a second well, half a second not: the other address carries the calls, and in the end it is back."""
    stage = Stage(*rows)
    stage.during(0.3)
    for mood in ("refusing", "well", "broken", "well", "dropping", "well", "hanging", "well"):
        first.be(mood)
        stage.during(0.5)
    assert 0 not in stage.calls
    assert stage.calls.count(rows[1].pk) > 10
    stage.until(stage.in_rotation, 2 * INTERVAL)
    stage.during(1)
    assert set(stage.calls[-20:]) == {rows[0].pk}


def test_a_storm_of_500_reaches_few_callers(rows: list[Upstream], first: Moody) -> None:
    stage = Stage(*rows)
    stage.during(0.3)
    first.be("broken")
    before = len(first.asked)
    stage.during(3)
    assert 0 not in stage.calls
    tried = [path for _, _, path, _ in first.asked[before:] if path == "/api/panggil" or path == "/panggil"]
    assert len(tried) <= tracker.THRESHOLD + 1
    first.be("well")
    stage.until(stage.in_rotation, 2 * INTERVAL)


# ------------------------------------------------------------------------------------------------------- the prober


def state(row: Upstream) -> UpstreamState:
    return UpstreamState.objects.get(upstream=row, observer=tracker.PROBER)


def test_what_it_finds_is_written(publish: Callable[..., Upstream], first: Moody) -> None:
    row = publish(first.url)
    stage = Stage(row)
    stage.until(lambda: UpstreamState.objects.exists(), 3, False)
    assert (state(row).healthy, state(row).failed_at) == (True, None)
    assert 0 < (state(row).latency_us or 0) < 1_000_000
    first.be("refusing")
    stage.until(lambda: not state(row).healthy, 4, False)
    assert (state(row).phase, state(row).reason) == ("connect", "refused")
    assert timezone.now() - (state(row).failed_at or timezone.now()) < timedelta(seconds=3)


def test_one_probe_that_fails_is_looked_at_again(publish: Callable[..., Upstream], first: Moody) -> None:
    row = publish(first.url, probe_seconds=60)
    stage = Stage(row)
    stage.until(lambda: UpstreamState.objects.exists(), 3, False)
    watched = stage.prober._watched[row.pk]
    first.be("broken")
    watched.due = 0.0
    stage.until(lambda: watched.failures == 1, 3, False)
    assert state(row).healthy
    first.be("well")
    stage.until(lambda: watched.failures == 0, prober.AGAIN + 1, False)
    assert state(row).healthy


def test_probes_come_at_their_interval(publish: Callable[..., Upstream], first: Moody) -> None:
    stage = Stage(publish(first.url))
    stage.during(4.5, False)
    times = [at for at, *_ in first.asked]
    assert len(times) in (4, 5)
    assert all(0.9 < later - sooner < 1.5 for sooner, later in itertools.pairwise(times))


def test_one_that_hangs_holds_no_other_up(publish: Callable[..., Upstream], first: Moody) -> None:
    with contextlib.ExitStack() as stack:
        hanging = [stack.enter_context(Moody("hanging")) for _ in range(prober.QUICK)]
        for each in hanging:
            publish(each.url, probe_seconds=5)
        stage = Stage(publish(first.url))
        stage.during(12, False)
        times = [at for at, *_ in first.asked]
        assert len(times) >= 10
        assert all(later - sooner < 1.5 for sooner, later in itertools.pairwise(times))
        assert UpstreamState.objects.filter(healthy=False).count() == len(hanging)
        for each in hanging:
            each.be("well")
        stage.until(lambda: UpstreamState.objects.filter(healthy=True).count() == len(hanging) + 1, 10, False)


def test_when_many_begin_to_hang_at_once_the_others_are_asked_on(
    publish: Callable[..., Upstream], first: Moody
) -> None:
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(Moody()) for _ in range(prober.QUICK + prober.SLOW + 10)]
        for each in others:
            publish(each.url, probe_seconds=5)
        stage = Stage(publish(first.url))
        stage.until(lambda: UpstreamState.objects.filter(healthy=True).count() == len(others) + 1, 10, False)
        for each in others:
            each.be("hanging")
        began = time.monotonic()
        stage.during(12, False)
        times = [at for at, *_ in first.asked if at > began]
        # At most as long as one probe in the lane of the quick may take, for each time that it is filled.
        assert all(later - sooner < 4.5 for sooner, later in itertools.pairwise(times))
        assert len(times) >= 6


def test_a_change_in_the_book_is_taken_up(
    publish: Callable[..., Upstream], first: Moody, second: Moody, cast: Cast
) -> None:
    row = publish(first.url, probe_seconds=60)
    stage = Stage(row)
    stage.until(lambda: len(first.asked) == 1, 3, False)
    row.url = second.url
    row.save()
    stage.until(lambda: len(second.asked) == 1, 3, False)
    row.active = False
    row.save()
    stage.until(lambda: not stage.prober._watched, 3, False)
    stage.prober.tidy()
    assert not UpstreamState.objects.exists()
    row.active = True
    row.save()
    ProxyOperation.objects.update(state="retired")
    stage.during(1, False)
    assert len(second.asked) == 1


def test_a_row_that_cannot_be_used_is_ill_and_harms_no_other(publish: Callable[..., Upstream], first: Moody) -> None:
    row, well = publish("https://127.0.0.1:1/", authority="tidak benar"), publish(first.url)
    stage = Stage(well)
    stage.until(lambda: UpstreamState.objects.count() == 2, 5, False)
    assert (state(row).healthy, state(row).phase, state(row).reason) == (False, "address", "authority")
    assert state(well).healthy


def test_rows_of_processes_that_are_gone_are_removed(publish: Callable[..., Upstream], first: Moody) -> None:
    row = publish(first.url)
    old = timezone.now() - timedelta(seconds=summary.GONE + 1)
    UpstreamState.objects.create(upstream=row, observer="lama:1", seen_at=old)
    UpstreamState.objects.create(upstream=row, observer="baru:1")
    stage = Stage(row)
    stage.turn(False)
    assert list(UpstreamState.objects.exclude(observer=tracker.PROBER).values_list("observer", flat=True)) == ["baru:1"]


def test_no_probes_no_writes(publish: Callable[..., Upstream], first: Moody) -> None:
    publish(first.url, probe_seconds=0)
    stage = Stage()
    stage.during(1.2, False)
    assert not UpstreamState.objects.exists()
    assert first.asked == []


# -------------------------------------------------------------------------------------------------------- the lease


def as_holder(name: str) -> prober.Holder:
    made = prober.Holder()
    made._me = name
    return made


def test_one_prober_at_a_time(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober, "PATIENCE", 0.3)
    one, two = as_holder("a:1"), as_holder("b:2")
    assert one.hold()
    assert not two.hold()
    for _ in range(4):  # it goes on holding as long as it says so
        time.sleep(0.15)
        assert one.hold()
        assert not two.hold()
    time.sleep(0.35)
    assert two.hold()
    assert not one.hold()
    assert not one.hold()


def test_a_lease_that_is_given_back_is_free_at_once(db: None) -> None:
    one, two = as_holder("a:1"), as_holder("b:2")
    assert one.hold()
    one.release()
    assert two.hold()
    one.release()
    assert Lease.objects.get().holder == "b:2"


def test_a_lease_of_a_dead_process_of_this_machine_is_free_at_once(db: None) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    host = sync.observer().rpartition(":")[0]
    assert as_holder(f"{host}:{gone.pid}").hold()
    assert as_holder("b:2").hold()


def test_who_lost_the_lease_stops(publish: Callable[..., Upstream], first: Moody) -> None:
    stage = Stage(publish(first.url))
    stage.until(lambda: len(first.asked) == 1, 3, False)
    Lease.objects.update(holder="lain:1")
    stage.during(1, False)
    assert not stage.prober.lease.held
    asked = len(first.asked)
    stage.during(2, False)
    assert len(first.asked) == asked


# ------------------------------------------------------------------------------------------------------- the command


def test_the_command_asks_once(publish: Callable[..., Upstream], first: Moody) -> None:
    publish(first.url)
    out = StringIO()
    call_command("probe_upstreams", stdout=out)
    assert out.getvalue().startswith(f"prov/data/alias {first.url}: well (")
    first.be("refusing")
    with pytest.raises(CommandError, match="1 of 1 upstreams are not well"):
        call_command("probe_upstreams", stdout=out)
    assert f"{first.url}: ill: connect refused" in out.getvalue()


class Follower:
    """``probe_upstreams --follow`` as a process of its own, over a database of its own."""

    def __init__(self, var: Path, book: Path, url: str) -> None:
        (var / "journal").mkdir(parents=True)
        self.path = var / "mantra.sqlite3"
        shutil.copy(book, self.path)
        self.log = var / "log"
        self._environment = {**os.environ, "MANTRA_VAR_DIR": str(var)}
        self.processes: list[subprocess.Popen[bytes]] = []
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as database:
            database.execute("UPDATE proxyservices_upstream SET url = ? WHERE position = 0", (url,))

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "manage.py", "probe_upstreams", "--follow", *words]
        with self.log.open("ab") as log:
            self.processes.append(subprocess.Popen(command, cwd=settings.BASE_DIR, env=self._environment, stderr=log))
        return self.processes[-1]

    def asks(self, sql: str) -> list[tuple[object, ...]]:
        with contextlib.closing(sqlite3.connect(self.path, timeout=20)) as database:
            return database.execute(sql).fetchall()

    def holder(self) -> int:
        rows = self.asks("SELECT holder FROM proxyservices_lease")
        return int(str(rows[0][0]).rpartition(":")[2] or 0) if rows else 0


_BOOK = """
from registry.models import *
from proxyservices.models import *
agency = Agency.objects.create(code="prov", name="Penyedia")
service = Service.objects.create(agency=agency, code="data", title="Data")
operation = ProxyOperation.objects.create(
    service=service, code="alias", state="published", style="as-is", access="open", read_cap_ms=300
)
for position in (0, 1):
    Upstream.objects.create(
        operation=operation, url=f"http://127.0.0.1:{1 + position}/", credential_kind="none", position=position,
        active=not position, probe_seconds=1 - position,
    )
"""


def wait(condition: Callable[[], object], seconds: float = 20) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds} s"
        time.sleep(0.05)
    return time.monotonic() - began


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one upstream."""
    var = tmp_path_factory.mktemp("book")
    (var / "journal").mkdir()
    environment = {**os.environ, "MANTRA_VAR_DIR": str(var)}
    for words in (("migrate", "--noinput", "-v0"), ("shell", "-v0", "-c", _BOOK)):
        subprocess.run([sys.executable, "manage.py", *words], cwd=settings.BASE_DIR, env=environment, check=True)
    with contextlib.closing(sqlite3.connect(var / "mantra.sqlite3")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return var / "mantra.sqlite3"


@pytest.fixture
def follower(tmp_path: Path, book: Path, first: Moody) -> Iterator[Follower]:
    made = Follower(tmp_path / "var", book, first.url)
    yield made
    for process in made.processes:
        process.kill()
        process.wait()


def test_it_follows_until_it_is_told_to_stop(follower: Follower, first: Moody) -> None:
    process = follower.start()
    wait(lambda: len(first.asked) >= 3)
    assert (follower.path.parent / "journal" / "probes.alive").exists()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert follower.asks("SELECT holder FROM proxyservices_lease") == [("",)]
    assert follower.log.read_text() == ""


def test_it_ends_with_its_parent(follower: Follower, first: Moody) -> None:
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = follower.start("--parent", str(parent.pid))
    wait(lambda: first.asked)
    parent.communicate(b"\n")
    assert process.wait(5) == 0


def test_a_hung_probe_does_not_keep_it_from_ending(follower: Follower, first: Moody) -> None:
    first.be("hanging")
    process = follower.start()
    wait(lambda: first.asked)
    process.terminate()
    assert process.wait(3) == 0


def test_a_second_one_stands_by_and_takes_over(follower: Follower, first: Moody) -> None:
    one, two = follower.start(), follower.start()
    wait(lambda: len(first.asked) >= 4)
    times = [at for at, *_ in first.asked]
    assert all(later - sooner > 0.8 for sooner, later in itertools.pairwise(times))
    leader = next(each for each in (one, two) if each.pid == follower.holder())
    other = two if leader is one else one
    leader.kill()
    leader.wait()
    asked = len(first.asked)
    wait(lambda: follower.holder() == other.pid, 4)
    wait(lambda: len(first.asked) > asked + 1, 4)


def test_it_survives_an_outage_of_the_database(follower: Follower, first: Moody) -> None:
    process = follower.start()
    wait(lambda: follower.asks("SELECT healthy FROM proxyservices_upstreamstate") == [(1,)])
    with contextlib.closing(sqlite3.connect(follower.path, timeout=20, isolation_level=None)) as database:
        database.execute("ALTER TABLE proxyservices_lease RENAME TO gone")
        time.sleep(2)
        first.be("refusing")
        time.sleep(4)
        assert process.poll() is None
        database.execute("ALTER TABLE gone RENAME TO proxyservices_lease")
    wait(lambda: follower.asks("SELECT healthy FROM proxyservices_upstreamstate") == [(0,)])
    first.be("well")
    wait(lambda: follower.asks("SELECT healthy FROM proxyservices_upstreamstate") == [(1,)], 4)
    log = follower.log.read_text()
    assert log.count("the prober stands still") == 1
    assert log.count("the prober goes on") == 1


# --------------------------------------------------------------------------------------------------------- the whole


class Bus:
    """gunicorn with its children, as ./run starts it."""

    def __init__(self, var: Path, book: Path, *urls: str) -> None:
        (var / "journal").mkdir(parents=True)
        shutil.copy(book, var / "mantra.sqlite3")
        with contextlib.closing(sqlite3.connect(var / "mantra.sqlite3", isolation_level=None)) as database:
            for position, url in enumerate(urls):
                values = (url, position)
                database.execute(
                    "UPDATE proxyservices_upstream SET url = ?, active = 1, probe_seconds = 1 WHERE position = ?",
                    values,
                )
        self.base = f"http://127.0.0.1:{free_port()}"
        environment = {
            **os.environ, "MANTRA_VAR_DIR": str(var), "MANTRA_SNAPSHOT_SECONDS": "0.3", "MANTRA_EMBEDDED": "1",
            "WEB_CONCURRENCY": "2", "BIND": self.base.removeprefix("http://"),
        }  # fmt: skip
        serve = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "mantra.wsgi:application"]
        with (var / "log").open("wb") as log:
            self.process = subprocess.Popen(serve, cwd=settings.BASE_DIR, env=environment, stderr=log)

    def status(self, path: str) -> int:
        # A connection for each call, so that the workers take turns.
        try:
            answer = urllib3.request(
                "GET", self.base + path, retries=False, timeout=15, headers={"Connection": "close"}
            )
        except urllib3.exceptions.HTTPError:
            return 0
        return answer.status


def calls_of(moody: Moody) -> int:
    return sum(path.endswith("/panggil") for _, _, path, _ in moody.asked)


def test_the_whole_bus(tmp_path: Path, book: Path, first: Moody, second: Moody) -> None:
    """Two worker processes, the prober, and every mood: nobody is refused, and the first address is soon back."""
    bus = Bus(tmp_path / "var", book, first.url, second.url)
    path = "/rest/prov/data/alias/panggil"
    try:
        wait(lambda: bus.status("/readyz") == 200, 60)
        wait(lambda: bus.status(path) == 200)
        wait((tmp_path / "var" / "journal" / "probes.alive").exists)
        for mood in MOODS:
            first.be(mood)
            until = time.monotonic() + 2.5
            statuses = []
            while time.monotonic() < until:
                statuses.append(bus.status(path))
            reached = calls_of(second)
            assert statuses[-1] == 200
            assert set(statuses) <= {200} | ({500} if mood == "broken" else set()), mood
            assert reached
            first.be("well")
            print(f"{mood}: back after {wait(_steady(bus, path, first), 2 * INTERVAL):.2f} s")
    finally:
        bus.process.terminate()
        bus.process.wait(30)


def _steady(bus: Bus, path: str, moody: Moody) -> Callable[[], bool]:
    """Whether five calls in a row, over all workers, reach it."""

    def reached() -> bool:
        before = calls_of(moody)
        return all(bus.status(path) == 200 for _ in range(5)) and calls_of(moody) == before + 5

    return reached


def test_the_version_moves_when_an_upstream_does(publish: Callable[..., Upstream], first: Moody) -> None:
    """What the prober goes by."""
    row = publish(first.url)
    before = SnapshotVersion.objects.get(pk=1).version
    row.save()
    assert SnapshotVersion.objects.get(pk=1).version > before
