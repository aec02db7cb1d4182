"""Which address a call tries, and when one that failed is tried again."""

from __future__ import annotations

import collections
import random
import threading
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from proxyservices import endpoints
from proxyservices.health import balancer, summary, sync, tracker
from proxyservices.models import Backend, BackendServer, ProxyOperation, ServerState
from proxyservices.transport.credentials import Credential
from proxyservices.transport.endpoint import Endpoint, Probe
from proxyservices.transport.errors import UpstreamError
from proxyservices.transport.pool import Target
from registry import faults, processes
from registry.results import Fault
from tests.cast import Cast
from tests.clock import Clock, stopped_clock
from tests.proxy.publishing import add_server

#: Seconds; a fraction of two, and so is its half.
PAUSE = 0.25


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(tracker, "TRIAL_DELAY", PAUSE)
    return stopped_clock(monkeypatch, tracker)


def address(id: int, priority: int = 0, weight: int = 1, probe: Probe | None = None) -> Endpoint:
    url = f"http://127.0.0.1:{id}/"
    return Endpoint(id, url, priority, weight, Target.of(url), Credential(), probe)


def ids(addresses: list[Endpoint]) -> list[int]:
    return [each.id for each in addresses]


def fail(address: Endpoint, times: int = tracker.THRESHOLD, how: UpstreamError | str | None = None) -> None:
    for _ in range(times):
        tracker.failed(address, how or UpstreamError("connect", "refused"))


ONE, TWO, THREE = address(1), address(2), address(3)
LATER = address(4, priority=1)


def test_it_works() -> None:
    assert ids(balancer.select([ONE])) == [1]
    assert ids(balancer.select([LATER, ONE])) == [1, 4]


def test_weights_share_the_calls() -> None:
    random.seed(7)
    light, heavy = address(1, weight=1), address(2, weight=3)
    first = collections.Counter(balancer.select([light, heavy, LATER])[0].id for _ in range(4000))
    assert first[4] == 0
    assert 0.72 < first[2] / 4000 < 0.78


def test_failures_in_a_row_eject() -> None:
    fail(ONE, tracker.THRESHOLD - 1)
    tracker.succeeded(ONE, 0.01)
    fail(ONE, tracker.THRESHOLD - 1)
    assert 1 in ids(balancer.select([ONE, LATER]))
    fail(ONE, 1)
    for _ in range(20):
        assert ids(balancer.select([ONE, LATER])) == [4]


def test_after_the_pause_one_call_tries_the_ejected_address(clock: Clock) -> None:
    fail(ONE)
    clock.move(PAUSE)
    assert ids(balancer.select([ONE, LATER])) == [1, 4]
    assert ids(balancer.select([ONE, LATER])) == [4]
    fail(ONE, 1)
    assert ids(balancer.select([ONE, LATER])) == [4]
    clock.move(PAUSE)
    assert ids(balancer.select([ONE, LATER])) == [1, 4]
    tracker.succeeded(ONE, 0.01)
    assert all(ids(balancer.select([ONE, LATER])) == [1, 4] for _ in range(20))


def test_lower_priority_address_gets_no_trial_but_serves_as_fallback(clock: Clock) -> None:
    fail(LATER)
    clock.move(PAUSE)
    assert all(ids(balancer.select([ONE, LATER])) == [1, 4] for _ in range(5))


def test_equal_addresses_are_tried_again_one_by_one(clock: Clock) -> None:
    fail(ONE)
    fail(TWO)
    clock.move(PAUSE)
    firsts = [balancer.select([ONE, TWO, THREE])[0].id for _ in range(3)]
    assert sorted(firsts) == [1, 2, 3]


def test_call_is_refused_while_all_breakers_are_open(clock: Clock) -> None:
    for each in (ONE, LATER):
        fail(each)
    with pytest.raises(Fault) as caught:
        balancer.select([ONE, LATER])
    assert caught.value.kind is faults.UPSTREAM_CIRCUIT_OPEN
    assert caught.value.retry_after == 1
    assert "1" in caught.value.message("en")
    clock.move(PAUSE)
    assert ids(balancer.select([ONE, LATER])) == [1]
    assert ids(balancer.select([ONE, LATER])) == [4]
    with pytest.raises(Fault):
        balancer.select([ONE, LATER])


def test_single_address_with_open_breaker_is_refused_then_tried_again(clock: Clock) -> None:
    fail(ONE)
    with pytest.raises(Fault):
        balancer.select([ONE])
    clock.move(PAUSE)
    assert ids(balancer.select([ONE])) == [1]
    with pytest.raises(Fault):
        balancer.select([ONE])


def test_repeated_500_does_not_open_the_breaker_of_a_single_address() -> None:
    """An upstream that answers some question with 500 is ejected only where there is another."""
    fail(ONE, tracker.STORM - 1, tracker.STATUS)
    assert ids(balancer.select([ONE])) == [1]
    assert ids(balancer.select([ONE, LATER])) == [4]


def test_a_storm_of_500_opens_the_breaker(clock: Clock) -> None:
    fail(ONE, tracker.STORM, tracker.STATUS)
    with pytest.raises(Fault):
        balancer.select([ONE])
    clock.move(PAUSE)
    assert ids(balancer.select([ONE])) == [1]
    fail(ONE, 1, tracker.STATUS)
    with pytest.raises(Fault):
        balancer.select([ONE])


def test_response_of_500_resets_the_count_of_missing_responses(clock: Clock) -> None:
    fail(ONE, tracker.THRESHOLD)
    clock.move(PAUSE)
    assert ids(balancer.select([ONE])) == [1]
    fail(ONE, 1, tracker.STATUS)
    assert all(ids(balancer.select([ONE])) == [1] for _ in range(3))


def test_where_all_answer_500_they_are_still_called() -> None:
    for each in (ONE, LATER):
        fail(each, tracker.THRESHOLD, tracker.STATUS)
    assert ids(balancer.select([ONE, LATER])) == [1, 4]


def test_a_call_that_hung_since_before_does_not_count(clock: Clock) -> None:
    began = clock()
    clock.move(PAUSE)
    tracker.succeeded(ONE, 0.0)
    for _ in range(10):
        tracker.failed(ONE, UpstreamError("first-byte", "slow", sent=True, slow=True), began)
    assert ids(balancer.select([ONE, LATER])) == [1, 4]
    fail(ONE)
    clock.move(PAUSE / 2)
    tracker.failed(ONE, UpstreamError("first-byte", "slow", sent=True, slow=True), began)
    clock.move(PAUSE / 2)
    assert ids(balancer.select([ONE, LATER])) == [1, 4]  # the trial was not put off


def test_a_call_that_cannot_be_repeated_leaves_the_trial_to_others_for_a_while(clock: Clock) -> None:
    fail(ONE)
    clock.move(PAUSE)
    assert ids(balancer.select([ONE, LATER], safe=False)) == [4]
    clock.move(PAUSE / 2)
    assert ids(balancer.select([ONE, LATER], safe=False)) == [1, 4]


def cut(address: Endpoint) -> None:
    tracker.succeeded(address, 0.0)
    tracker.failed(address, UpstreamError("body", "closed", sent=True), tracker.clock())


def test_answers_that_break_off_eject_though_they_began_well(clock: Clock) -> None:
    for _ in range(tracker.THRESHOLD):
        assert ids(balancer.select([ONE, LATER])) == [1, 4]
        cut(ONE)
    assert ids(balancer.select([ONE, LATER])) == [4]
    assert ids(balancer.select([ONE])) == [1]
    clock.move(PAUSE)
    assert ids(balancer.select([ONE, LATER])) == [1, 4]
    cut(ONE)
    assert ids(balancer.select([ONE, LATER])) == [4]
    clock.move(PAUSE)
    assert ids(balancer.select([ONE, LATER])) == [1, 4]
    for _ in range(tracker.THRESHOLD):
        tracker.succeeded(ONE, 0.0)
    cut(ONE)  # one among many
    assert ids(balancer.select([ONE, LATER])) == [1, 4]


def test_many_answers_that_break_off_open_the_breaker(clock: Clock) -> None:
    for _ in range(tracker.STORM):
        cut(ONE)
    with pytest.raises(Fault):
        balancer.select([ONE])
    clock.move(PAUSE)
    assert ids(balancer.select([ONE])) == [1]


def test_an_answer_over_the_size_cap_is_no_illness() -> None:
    fail(ONE, tracker.STORM, UpstreamError("body", "too-large", sent=True))
    assert ids(balancer.select([ONE, LATER])) == [1, 4]


def test_an_upstream_that_moves_begins_anew() -> None:
    fail(ONE)
    url = "http://127.0.0.1:9/"
    moved = Endpoint(1, url, 0, 1, Target.of(url), Credential())
    assert ids(balancer.select([moved])) == [1]
    with pytest.raises(Fault):
        balancer.select([ONE])


def test_an_address_that_is_probed_often_has_its_trial_as_often(clock: Clock) -> None:
    often = address(5, probe=Probe(0.05))
    fail(often)
    clock.move(0.0625)
    assert ids(balancer.select([often])) == [5]


def test_latency_is_smoothed() -> None:
    for seconds in (0.1, 0.2, 0.2):
        tracker.succeeded(ONE, seconds)
    assert tracker.state_of(ONE).latency_us == 136_000


def test_many_threads_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No lock is shared: what must hold is that nothing breaks, and that a storm of calls makes few trials."""
    monkeypatch.setattr(tracker, "clock", time.monotonic)
    addresses = [ONE, TWO, LATER]
    stop = time.monotonic() + 1.0
    asked: list[int] = []

    def call() -> None:
        while time.monotonic() < stop:
            began = time.monotonic()
            for each in balancer.select(addresses):
                if each is ONE:
                    asked.append(1)
                    tracker.failed(each, UpstreamError("connect", "refused"), began)
                else:
                    tracker.succeeded(each, 0.001)
                    break

    threads = [threading.Thread(target=call) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tracker.THRESHOLD <= len(asked) < 16 * (1 / PAUSE + tracker.THRESHOLD + 1)


# ------------------------------------------------------------------------------------- findings and states, by rows


@pytest.fixture
def row(cast: Cast) -> BackendServer:
    operation = ProxyOperation.objects.create(service=cast.service, code="alias", state="published")
    return add_server(operation, "http://127.0.0.1:1/api", probe_interval_seconds=1)


def of(row: BackendServer) -> Endpoint:
    return Endpoint(row.pk, row.url, 0, 1, Target.of(row.url), Credential(), endpoints.probe_of(row.settings))


def found(row: BackendServer, healthy: bool) -> None:
    ServerState.objects.update_or_create(
        server=row, observer=tracker.PROBER, defaults={"healthy": healthy, "seen_at": timezone.now()}
    )


def test_prober_result_changes_the_order(row: BackendServer) -> None:
    exchange = sync.StateExchange()
    found(row, False)
    exchange.tick()
    assert ids(balancer.select([of(row), LATER])) == [4]
    # It only comes last: a probe that is wrong must not close what works.
    assert ids(balancer.select([of(row)])) == [row.pk]
    found(row, True)
    exchange.tick()
    assert ids(balancer.select([of(row), LATER])) == [row.pk, 4]


def test_a_probe_that_succeeds_again_closes_the_breaker(row: BackendServer) -> None:
    exchange = sync.StateExchange()
    found(row, False)
    exchange.tick()
    fail(of(row))
    with pytest.raises(Fault):
        balancer.select([of(row)])
    found(row, True)
    exchange.tick()
    assert all(ids(balancer.select([of(row)])) == [row.pk] for _ in range(5))


def test_result_of_a_silent_prober_expires(row: BackendServer, clock: Clock) -> None:
    row.probe_interval_seconds = 1
    exchange = sync.StateExchange()
    found(row, False)
    exchange.tick()
    assert tracker.failing_probe(of(row))
    clock.move(2 * tracker.REFRESH - 1)
    assert tracker.failing_probe(of(row))
    clock.move(1)
    assert not tracker.failing_probe(of(row))


def test_a_finding_that_is_taken_back_is_forgotten(row: BackendServer, clock: Clock) -> None:
    exchange = sync.StateExchange()
    found(row, False)
    exchange.tick()
    ServerState.objects.all().delete()
    clock.move(sync._FULL_READ + 1)
    exchange.tick()
    assert not tracker.failing_probe(of(row))


def test_only_what_is_new_is_read_and_written(row: BackendServer, django_assert_num_queries: object) -> None:
    exchange = sync.StateExchange()
    found(row, True)
    tracker.succeeded(of(row), 0.01)
    exchange.tick()
    with django_assert_num_queries(1):  # type: ignore[operator]
        exchange.tick()
    tracker.succeeded(of(row), 0.01)
    with django_assert_num_queries(1):  # type: ignore[operator]
        exchange.tick()


def test_process_stores_the_states_it_sees(row: BackendServer) -> None:
    exchange = sync.StateExchange()
    tracker.succeeded(of(row), 0.002)
    exchange.tick()
    state = ServerState.objects.get(server=row)
    assert (state.observer, state.healthy, state.breaker) == (processes.this_process(), True, "closed")
    assert state.latency_us == 2000
    fail(of(row), how=UpstreamError("tls", "certificate"))
    exchange.tick()
    state.refresh_from_db()
    assert (state.healthy, state.breaker, state.phase, state.reason) == (False, "open", "tls", "certificate")
    assert state.failed_at is not None


def test_unchanged_state_is_renewed_at_intervals(row: BackendServer, clock: Clock) -> None:
    exchange = sync.StateExchange()
    tracker.succeeded(of(row), 0.002)
    exchange.tick()
    [before] = ServerState.objects.values_list("seen_at", flat=True)
    clock.move(tracker.REFRESH + 1)
    exchange.tick()  # nobody called meanwhile
    assert ServerState.objects.get().seen_at == before
    tracker.succeeded(of(row), 0.002)
    exchange.tick()
    assert ServerState.objects.get().seen_at > before


def test_an_upstream_that_is_gone_is_forgotten(row: BackendServer) -> None:
    exchange = sync.StateExchange()
    gone = of(row)
    tracker.succeeded(gone, 0.002)
    row.delete()
    exchange.tick()
    assert not ServerState.objects.exists()
    assert not tracker.states


def test_live_summarises_all_observers(row: BackendServer) -> None:
    assert summary.live([row.pk])[row.pk].state == "unknown"
    found(row, True)
    at = timezone.now()
    first = {"breaker": "closed", "latency_us": 900}
    ServerState.objects.create(server=row, observer="a:1", seen_at=at, **first)
    told = summary.live([row.pk])[row.pk]
    assert (told.state, told.probe, told.observers, told.against, told.latency_us) == ("healthy", True, 1, 0, 900)
    ServerState.objects.create(
        server=row, observer="b:2", healthy=False, breaker="open", phase="dns", reason="unknown", failed_at=at
    )
    told = summary.live([row.pk])[row.pk]
    assert (told.state, told.observers, told.against, told.phase, told.reason) == ("open", 2, 1, "dns", "unknown")
    old = at - timedelta(seconds=summary.STALE_AFTER + 1)
    ServerState.objects.filter(observer="b:2").update(seen_at=old)
    assert summary.live([row.pk])[row.pk].state == "healthy"
    found(row, False)
    assert summary.live([row.pk])[row.pk].state == "ejected"


def test_a_rarely_probed_upstream_is_not_unknown_between_its_probes(row: BackendServer) -> None:
    Backend.objects.update(probe_interval_seconds=600)
    found(row, True)
    ServerState.objects.update(seen_at=timezone.now() - timedelta(seconds=900))
    assert summary.live([row.pk])[row.pk].state == "healthy"
    ServerState.objects.update(seen_at=timezone.now() - timedelta(seconds=1300))
    assert summary.live([row.pk])[row.pk].state == "unknown"


@pytest.mark.parametrize(
    ("text", "ranges"),
    [("200", ((200, 200),)), ("200-399", ((200, 399),)), ("200, 204-206 ,401", ((200, 200), (204, 206), (401, 401)))],
)
def test_statuses_are_read(text: str, ranges: tuple[tuple[int, int], ...]) -> None:
    assert endpoints.status_ranges(text) == ranges
