"""The prober, over real sockets: what it finds, who may probe, and how soon an address is back in rotation."""

from __future__ import annotations

import contextlib
import itertools
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from proxyservices import endpoints
from proxyservices.health import balancer, probe, prober, summary, sync, tracker
from proxyservices.models import Backend, BackendServer, ProxyOperation, ServerState
from proxyservices.transport import client
from proxyservices.transport.client import Limits, Request
from proxyservices.transport.endpoint import Endpoint
from proxyservices.transport.errors import UpstreamError
from registry import leader, processes
from registry.models import LeaderLock, SnapshotVersion
from registry.results import Fault
from tests.cast import Cast
from tests.clock import stopped_clock
from tests.proxy.bus import bus
from tests.proxy.publishing import add_server
from tests.proxy.scripted import ScriptedUpstream
from tests.servers.bus import Bus
from tests.servers.process import ending_with_us, permit, wait_until

#: Seconds; the shortest that can be configured.
INTERVAL = 1
#: How often the thread of a worker process looks.
LOOK = 0.3


@pytest.fixture
def first() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as made:
        yield made


@pytest.fixture
def second() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as made:
        yield made


@pytest.fixture
def publish(cast: Cast) -> Callable[..., BackendServer]:
    operation = ProxyOperation.objects.create(service=cast.service, code="alias", state="published")

    def made(url: str, **more: object) -> BackendServer:
        values = {"probe_interval_seconds": INTERVAL, "credential_kind": "none", **more}
        row = add_server(operation, url, **values)
        row.backend.full_clean()
        row.full_clean()
        return row

    return made


# --------------------------------------------------------------------------------------------------------- one probe


def probe_once(row: BackendServer) -> probe.Outcome:
    return probe.run_probe(endpoints.endpoint_of(row))


def test_it_works(publish: Callable[..., BackendServer], first: ScriptedUpstream) -> None:
    found = probe_once(publish(first.url, probe_path="sehat?x=1"))
    assert found.healthy
    [(_, method, path, head)] = first.received
    assert (method, path) == ("GET", "/api/sehat?x=1")
    assert "User-Agent: MANTRA probe" in head


@pytest.mark.parametrize(
    ("written", "received"), [("", "/api"), ("cek", "/api/cek"), ("/cek", "/cek")], ids=["none", "below", "root"]
)
def test_probe_asks_its_path(
    publish: Callable[..., BackendServer], first: ScriptedUpstream, written: str, received: str
) -> None:
    probe_once(publish(first.url, probe_path=written))
    assert first.received[0][2] == received


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_any_method(publish: Callable[..., BackendServer], first: ScriptedUpstream, method: str) -> None:
    assert probe_once(publish(first.url, probe_method=method)).healthy
    assert first.received[0][1] == method


@pytest.mark.parametrize(
    ("statuses", "status", "well"),
    [("200-399", 302, True), ("200-399", 404, False), ("200, 401", 401, True), ("204", 200, False)],
)
def test_expected_statuses(
    publish: Callable[..., BackendServer], first: ScriptedUpstream, statuses: str, status: int, well: bool
) -> None:
    found = probe_once(publish(first.url, probe_path=f"/status/{status}", probe_expected_statuses=statuses))
    assert found.healthy is well
    assert found.reason == ("" if well else "status")


def test_an_expected_text(publish: Callable[..., BackendServer], first: ScriptedUpstream) -> None:
    row = publish(first.url, probe_expected_text="semua sehat")
    assert probe_once(row).healthy
    first.set_mode("ill")
    found = probe_once(row)
    assert (found.healthy, found.phase, found.reason) == (False, "body", "text")


def test_a_text_is_found_across_chunks_and_not_sought_for_ever() -> None:
    assert probe._contains(iter([b"..se", b"ha", b"t.."]), b"sehat")
    read: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            read.append(65536)
            yield bytes(65536)

    assert not probe._contains(endless(), b"sehat")
    assert sum(read) <= probe.MAX_SEARCHED_BYTES + 65536


@pytest.mark.parametrize(
    ("mode", "phase", "slow"),
    [("refusing", "connect", False), ("dropping", "first-byte", False), ("hanging", "first-byte", True)],
)
def test_probe_failure_names_phase_and_reason(
    publish: Callable[..., BackendServer], first: ScriptedUpstream, mode: str, phase: str, slow: bool
) -> None:
    first.set_mode(mode)
    found = probe_once(publish(first.url))
    assert (found.healthy, found.phase, found.slow) == (False, phase, slow)
    assert found.seconds < INTERVAL + 0.5


def test_probe_sends_the_credential(publish: Callable[..., BackendServer], first: ScriptedUpstream) -> None:
    probe_once(publish(first.url, credential_kind="header", credential_name="X-Kunci", credential="rahasia"))
    assert "X-Kunci: rahasia" in first.received[0][3]


# ------------------------------------------------------------------------------------------- the prober and one worker


class Stage:
    """A prober and a worker process's view, turn by turn in one thread: one database connection serves both."""

    def __init__(self, *rows: BackendServer) -> None:
        self.prober = prober.Prober()
        self.exchange = sync.StateExchange()
        self.addresses = [endpoints.endpoint_of(row) for row in rows]
        self._ticked = 0.0
        #: The id of the address that answered each call, or 0.
        self.calls: list[int] = []

    def turn(self, calling: bool = True) -> None:
        self.prober.refresh()
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
            addresses = balancer.select(self.addresses)
        except Fault:
            return 0
        return next((each.id for each in addresses if self._answers(each)), 0)

    def _answers(self, address: Endpoint) -> bool:
        began = time.monotonic()
        question = Request("GET", "/panggil", [("User-Agent", "call")], None, 0)
        try:
            reply = client.send(address.target, question, Limits(0.2, 0.2, 0.2, 1000), began + 0.2)
            reply.read()
        except UpstreamError as failure:
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


MODES = ["refusing", "dropping", "hanging", "broken"]


@pytest.fixture
def rows(
    publish: Callable[..., BackendServer], first: ScriptedUpstream, second: ScriptedUpstream
) -> list[BackendServer]:
    return [publish(first.url), publish(second.url, priority=1)]


@pytest.mark.parametrize("mode", [*MODES, "ill"])
def test_what_the_prober_ejected_is_back_within_two_intervals(
    rows: list[BackendServer], first: ScriptedUpstream, mode: str
) -> None:
    Backend.objects.update(probe_expected_text="semua sehat")
    rows = list(BackendServer.objects.order_by("pk"))
    stage = Stage(*rows)
    stage.until(lambda: ServerState.objects.filter(observer=tracker.PROBER, healthy=True).count() == 2, 3, False)
    first.set_mode(mode)
    # No call is spent on finding out.
    stage.until(lambda: tracker.failing_probe(stage.addresses[0]), 2 * INTERVAL + 3, calling=False)
    assert stage.call() == rows[1].pk
    first.set_mode("well")
    stage.until(stage.in_rotation, 2 * INTERVAL)


@pytest.mark.parametrize("mode", MODES)
def test_what_failing_calls_ejected_is_back_within_two_intervals(
    rows: list[BackendServer], first: ScriptedUpstream, mode: str
) -> None:
    """The mode is over before the prober saw it: the calls alone know."""
    stage = Stage(*rows)
    stage.during(0.5)
    first.set_mode(mode)
    while tracker.state_of(stage.addresses[0]).ejection.state == "closed":
        stage.call()
    assert not tracker.failing_probe(stage.addresses[0])
    first.set_mode("well")
    assert stage.call() == rows[1].pk
    stage.until(stage.in_rotation, 2 * INTERVAL)


@pytest.mark.parametrize("mode", MODES)
def test_the_only_address_with_its_breaker_open_is_back_within_two_intervals(
    publish: Callable[..., BackendServer], first: ScriptedUpstream, mode: str
) -> None:
    stage = Stage(publish(first.url))
    stage.during(0.3)
    first.set_mode(mode)
    stage.until(lambda: tracker.state_of(stage.addresses[0]).breaker.state == "open", 15)
    stage.until(lambda: tracker.failing_probe(stage.addresses[0]), 5)
    first.set_mode("well")
    stage.until(stage.in_rotation, 2 * INTERVAL)


@pytest.mark.parametrize("mode", MODES)
def test_a_process_that_never_saw_it_takes_it_up_within_two_intervals(
    rows: list[BackendServer], first: ScriptedUpstream, mode: str
) -> None:
    stage = Stage(*rows)
    first.set_mode(mode)
    stage.until(lambda: ServerState.objects.filter(healthy=False).exists(), 5, calling=False)
    tracker.reset()
    stage.exchange = sync.StateExchange()
    stage.exchange.tick()
    assert stage.call() == rows[1].pk
    first.set_mode("well")
    stage.until(stage.in_rotation, 2 * INTERVAL)


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "with another"])
@pytest.mark.parametrize("mode", MODES)
def test_without_a_probe_it_is_back_within_two_pauses(
    publish: Callable[..., BackendServer],
    first: ScriptedUpstream,
    second: ScriptedUpstream,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    alone: bool,
) -> None:
    monkeypatch.setattr(tracker, "TRIAL_DELAY", 0.5)
    rows = [publish(first.url, probe_interval_seconds=0)]
    if not alone:
        rows.append(publish(second.url, priority=1, probe_interval_seconds=0))
    stage = Stage(*rows)
    first.set_mode(mode)
    for _ in range(tracker.STORM + 5):
        stage.call()
    first.set_mode("well")
    stage.until(stage.in_rotation, 2 * tracker.TRIAL_DELAY)


def test_flapping(rows: list[BackendServer], first: ScriptedUpstream) -> None:
    """Half a second well, half a second not: the other address carries the calls, and in the end it is back."""
    stage = Stage(*rows)
    stage.during(0.3)
    for mode in ("refusing", "well", "broken", "well", "dropping", "well", "hanging", "well"):
        first.set_mode(mode)
        stage.during(0.5)
    assert 0 not in stage.calls
    assert stage.calls.count(rows[1].pk) > 10
    stage.until(stage.in_rotation, 2 * INTERVAL)
    stage.during(1)
    assert set(stage.calls[-20:]) == {rows[0].pk}


def test_a_storm_of_500_reaches_few_callers(rows: list[BackendServer], first: ScriptedUpstream) -> None:
    stage = Stage(*rows)
    stage.during(0.3)
    first.set_mode("broken")
    before = len(first.received)
    stage.during(3)
    assert 0 not in stage.calls
    tried = [path for _, _, path, _ in first.received[before:] if path == "/api/panggil" or path == "/panggil"]
    assert len(tried) <= tracker.THRESHOLD + 1
    first.set_mode("well")
    stage.until(stage.in_rotation, 2 * INTERVAL)


# ------------------------------------------------------------------------------------------------------- the prober


def state(row: BackendServer) -> ServerState:
    return ServerState.objects.get(server=row, observer=tracker.PROBER)


def test_probe_result_is_stored(publish: Callable[..., BackendServer], first: ScriptedUpstream) -> None:
    row = publish(first.url)
    stage = Stage(row)
    stage.until(lambda: ServerState.objects.exists(), 3, False)
    assert (state(row).healthy, state(row).failed_at) == (True, None)
    assert 0 < (state(row).latency_us or 0) < 1_000_000
    first.set_mode("refusing")
    stage.until(lambda: not state(row).healthy, 4, False)
    assert (state(row).phase, state(row).reason) == ("connect", "refused")
    assert timezone.now() - (state(row).failed_at or timezone.now()) < timedelta(seconds=3)


def test_one_probe_that_fails_is_looked_at_again(
    publish: Callable[..., BackendServer], first: ScriptedUpstream
) -> None:
    row = publish(first.url, probe_interval_seconds=60)
    stage = Stage(row)
    stage.until(lambda: ServerState.objects.exists(), 3, False)
    watched = stage.prober._targets[row.pk]
    first.set_mode("broken")
    watched.due = 0.0
    stage.until(lambda: watched.failures == 1, 3, False)
    assert state(row).healthy
    first.set_mode("well")
    stage.until(lambda: watched.failures == 0, prober.RECHECK_SECONDS + 1, False)
    assert state(row).healthy


def test_probes_come_at_their_interval(publish: Callable[..., BackendServer], first: ScriptedUpstream) -> None:
    stage = Stage(publish(first.url))
    stage.during(4.5, False)
    times = [at for at, *_ in first.received]
    assert len(times) in (4, 5)
    assert all(0.9 < later - sooner < 1.5 for sooner, later in itertools.pairwise(times))


def test_hanging_probe_delays_no_other(publish: Callable[..., BackendServer], first: ScriptedUpstream) -> None:
    with contextlib.ExitStack() as stack:
        hanging = [stack.enter_context(ScriptedUpstream("hanging")) for _ in range(prober.QUICK)]
        for each in hanging:
            publish(each.url, probe_interval_seconds=5)
        stage = Stage(publish(first.url))
        stage.during(12, False)
        times = [at for at, *_ in first.received]
        assert len(times) >= 10
        assert all(later - sooner < 1.5 for sooner, later in itertools.pairwise(times))
        assert ServerState.objects.filter(healthy=False).count() == len(hanging)
        for each in hanging:
            each.set_mode("well")
        stage.until(lambda: ServerState.objects.filter(healthy=True).count() == len(hanging) + 1, 10, False)


def test_when_many_begin_to_hang_at_once_the_others_are_asked_on(
    publish: Callable[..., BackendServer], first: ScriptedUpstream
) -> None:
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(ScriptedUpstream()) for _ in range(prober.QUICK + prober.SLOW + 10)]
        for each in others:
            publish(each.url, probe_interval_seconds=5)
        stage = Stage(publish(first.url))
        stage.until(lambda: ServerState.objects.filter(healthy=True).count() == len(others) + 1, 10, False)
        for each in others:
            each.set_mode("hanging")
        began = time.monotonic()
        stage.during(12, False)
        times = [at for at, *_ in first.received if at > began]
        # At most as long as one probe in the lane of the quick may take, for each time that it is filled.
        assert all(later - sooner < 4.5 for sooner, later in itertools.pairwise(times))
        assert len(times) >= 6


def test_a_change_in_the_book_is_taken_up(
    publish: Callable[..., BackendServer], first: ScriptedUpstream, second: ScriptedUpstream, cast: Cast
) -> None:
    row = publish(first.url, probe_interval_seconds=60)
    stage = Stage(row)
    stage.until(lambda: len(first.received) == 1, 3, False)
    row.url = second.url
    row.save()
    stage.until(lambda: len(second.received) == 1, 3, False)
    row.active = False
    row.save()
    stage.until(lambda: not stage.prober._targets, 3, False)
    stage.prober.prune()
    assert not ServerState.objects.exists()
    row.active = True
    row.save()
    ProxyOperation.objects.update(state="retired")
    stage.during(1, False)
    assert len(second.received) == 1


def test_a_row_that_cannot_be_used_is_ill_and_harms_no_other(
    publish: Callable[..., BackendServer], first: ScriptedUpstream
) -> None:
    row, well = publish("https://127.0.0.1:1/", ca_certificate="tidak benar"), publish(first.url)
    stage = Stage(well)
    stage.until(lambda: ServerState.objects.count() == 2, 5, False)
    assert (state(row).healthy, state(row).phase, state(row).reason) == (False, "address", "ca-certificate")
    assert state(well).healthy


def test_rows_of_processes_that_are_gone_are_removed(
    publish: Callable[..., BackendServer], first: ScriptedUpstream
) -> None:
    row = publish(first.url)
    old = timezone.now() - timedelta(seconds=summary.STALE_AFTER + 1)
    ServerState.objects.create(server=row, observer="lama:1", seen_at=old)
    ServerState.objects.create(server=row, observer="baru:1")
    stage = Stage(row)
    stage.turn(False)
    assert list(ServerState.objects.exclude(observer=tracker.PROBER).values_list("observer", flat=True)) == ["baru:1"]


def test_no_probes_no_writes(publish: Callable[..., BackendServer], first: ScriptedUpstream) -> None:
    publish(first.url, probe_interval_seconds=0)
    stage = Stage()
    stage.during(1.2, False)
    assert not ServerState.objects.exists()
    assert first.received == []


# -------------------------------------------------------------------------------------------------------- the lease


def as_holder(name: str) -> leader.Leadership:
    made = leader.Leadership("probes")
    made._own_name = name
    return made


def test_one_prober_at_a_time(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = stopped_clock(monkeypatch, leader)
    one, two = as_holder("a:1"), as_holder("b:2")
    assert one.hold()
    assert not two.hold()
    for _ in range(4):  # it goes on holding as long as it says so
        clock.move(leader.TAKEOVER_SECONDS)
        assert one.hold()
        assert not two.hold()
    clock.move(leader.TAKEOVER_SECONDS)
    assert not two.hold()
    clock.move(0.25)
    assert two.hold()
    assert not one.hold()
    assert not one.hold()


def test_a_lease_that_is_given_back_is_free_at_once(db: None) -> None:
    one, two = as_holder("a:1"), as_holder("b:2")
    assert one.hold()
    one.release()
    assert two.hold()
    one.release()
    assert LeaderLock.objects.get().holder == "b:2"


def test_a_lease_of_a_dead_process_of_this_machine_is_free_at_once(db: None) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    host = processes.this_process().rpartition(":")[0]
    assert as_holder(f"{host}:{gone.pid}").hold()
    assert as_holder("b:2").hold()


def test_prober_without_the_lease_stops(publish: Callable[..., BackendServer], first: ScriptedUpstream) -> None:
    stage = Stage(publish(first.url))
    stage.until(lambda: len(first.received) == 1, 3, False)
    LeaderLock.objects.update(holder="lain:1")
    stage.during(1, False)
    assert not stage.prober.leadership.held
    received = len(first.received)
    stage.during(2, False)
    assert len(first.received) == received


# ------------------------------------------------------------------------------------------------------- the command


def test_the_command_asks_once(publish: Callable[..., BackendServer], first: ScriptedUpstream) -> None:
    publish(first.url)
    out = StringIO()
    call_command("probe_upstreams", stdout=out)
    assert out.getvalue().startswith(f"prov/alias {first.url}: healthy (")
    first.set_mode("refusing")
    with pytest.raises(CommandError, match="1 of 1 servers are unhealthy"):
        call_command("probe_upstreams", stdout=out)
    assert f"{first.url}: unhealthy: connect refused" in out.getvalue()


class Follower:
    """``probe_upstreams --follow`` as a process of its own, over a database of its own."""

    def __init__(self, var: Path, url: str) -> None:
        self.path = var / "mantra.sqlite3"
        self.log = var / "prober.log"
        self._environment = bus(var, [alias(url)]).environment
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        permit("the prober")
        command = [sys.executable, "manage.py", "probe_upstreams", "--follow", *words]
        with self.log.open("ab") as log:
            self.processes.append(
                subprocess.Popen(ending_with_us(command), cwd=settings.BASE_DIR, env=self._environment, stderr=log)
            )
        return self.processes[-1]

    def asks(self, sql: str) -> list[tuple[object, ...]]:
        with contextlib.closing(sqlite3.connect(self.path, timeout=20)) as database:
            return database.execute(sql).fetchall()

    def holder(self) -> int:
        rows = self.asks("SELECT holder FROM registry_leaderlock")
        return int(str(rows[0][0]).rpartition(":")[2] or 0) if rows else 0


def alias(*urls: str) -> dict[str, Any]:
    """The operation prov/data/alias, with these upstreams."""
    upstreams = [
        {"url": url, "credential_kind": "none", "priority": priority, "probe_interval_seconds": 1}
        for priority, url in enumerate(urls)
    ]
    return {"code": "alias", "style": "pass-through", "read_timeout_ms": 300, "upstreams": upstreams}


@pytest.fixture
def follower(tmp_path: Path, first: ScriptedUpstream) -> Iterator[Follower]:
    made = Follower(tmp_path / "var", first.url)
    yield made
    for process in made.processes:
        process.kill()
        process.wait()


def test_prober_runs_until_it_is_stopped(follower: Follower, first: ScriptedUpstream) -> None:
    process = follower.start()
    wait_until(lambda: len(first.received) >= 3, 20, "the probes")
    assert (follower.path.parent / "journal" / "probes.alive").exists()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert follower.asks("SELECT holder FROM registry_leaderlock") == [("",)]
    assert follower.log.read_text() == ""


def test_prober_ends_with_its_parent(follower: Follower, first: ScriptedUpstream) -> None:
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = follower.start("--parent", str(parent.pid))
    wait_until(lambda: first.received, 20, "the probes")
    parent.communicate(b"\n")
    assert process.wait(5) == 0


def test_a_hung_probe_does_not_keep_it_from_ending(follower: Follower, first: ScriptedUpstream) -> None:
    first.set_mode("hanging")
    process = follower.start()
    wait_until(lambda: first.received, 20, "the probes")
    process.terminate()
    assert process.wait(3) == 0


def test_second_prober_takes_over_when_the_first_ends(follower: Follower, first: ScriptedUpstream) -> None:
    one, two = follower.start(), follower.start()
    wait_until(lambda: len(first.received) >= 4, 20, "the probes")
    times = [at for at, *_ in first.received]
    assert all(later - sooner > 0.8 for sooner, later in itertools.pairwise(times))
    leader = next(each for each in (one, two) if each.pid == follower.holder())
    other = two if leader is one else one
    leader.kill()
    leader.wait()
    received = len(first.received)
    wait_until(lambda: follower.holder() == other.pid, 4, "the new leader")
    wait_until(lambda: len(first.received) > received + 1, 4, "the probes")


def test_prober_survives_an_outage_of_the_database(follower: Follower, first: ScriptedUpstream) -> None:
    process = follower.start()
    wait_until(lambda: follower.asks("SELECT healthy FROM proxyservices_serverstate") == [(1,)], 20, "the state")
    with contextlib.closing(sqlite3.connect(follower.path, timeout=20, isolation_level=None)) as database:
        database.execute("ALTER TABLE registry_leaderlock RENAME TO gone")
        time.sleep(2)
        first.set_mode("refusing")
        time.sleep(4)
        assert process.poll() is None
        database.execute("ALTER TABLE gone RENAME TO registry_leaderlock")
    wait_until(lambda: follower.asks("SELECT healthy FROM proxyservices_serverstate") == [(0,)], 20, "the state")
    first.set_mode("well")
    wait_until(lambda: follower.asks("SELECT healthy FROM proxyservices_serverstate") == [(1,)], 4, "the state")
    log = follower.log.read_text()
    assert log.count("the prober is paused") == 1
    assert log.count("the prober has resumed") == 1


# --------------------------------------------------------------------------------------------------------- the whole


def calls_of(scripted: ScriptedUpstream) -> int:
    return sum(path.endswith("/panggil") for _, _, path, _ in scripted.received)


def test_failing_upstream_is_ejected_and_comes_back_on_a_running_bus(
    tmp_path: Path, first: ScriptedUpstream, second: ScriptedUpstream
) -> None:
    """Two worker processes, the prober, and every mode: nobody is refused, and the first address is soon back."""
    path = "/rest/prov/data/alias/panggil"
    with bus(tmp_path / "var", [alias(first.url, second.url)], MANTRA_EMBEDDED="1", WEB_CONCURRENCY="2") as running:
        wait_until(lambda: running.status(path) == 200, 20, "the operation")
        wait_until((tmp_path / "var" / "journal" / "probes.alive").exists, 20, "the prober")
        for mode in MODES:
            first.set_mode(mode)
            until = time.monotonic() + 2.5
            statuses = []
            while time.monotonic() < until:
                statuses.append(running.status(path))
            reached = calls_of(second)
            assert statuses[-1] == 200
            assert set(statuses) <= {200} | ({500} if mode == "broken" else set()), mode
            assert reached
            first.set_mode("well")
            taken = wait_until(_steady(running, path, first), 2 * INTERVAL, "the first address")
            print(f"{mode}: back after {taken:.2f} s")


def _steady(running: Bus, path: str, scripted: ScriptedUpstream) -> Callable[[], bool]:
    """Whether five calls in a row, over all workers, reach it."""

    def reached() -> bool:
        before = calls_of(scripted)
        return all(running.status(path) == 200 for _ in range(5)) and calls_of(scripted) == before + 5

    return reached


def test_the_version_moves_when_an_upstream_does(
    publish: Callable[..., BackendServer], first: ScriptedUpstream
) -> None:
    """What the prober goes by."""
    row = publish(first.url)
    before = SnapshotVersion.objects.get(pk=1).version
    row.save()
    assert SnapshotVersion.objects.get(pk=1).version > before
