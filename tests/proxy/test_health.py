"""Which address a call tries, and when one that failed is tried again."""

from __future__ import annotations

import collections
import random
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from proxyservices import endpoints
from proxyservices.health import balancer, summary, sync, tracker
from proxyservices.models import ProxyOperation, Upstream, UpstreamState
from proxyservices.transport.credentials import Credential
from proxyservices.transport.endpoint import Address, Probe
from proxyservices.transport.errors import Failed
from proxyservices.transport.pool import Target
from registry import faults
from registry.results import Fault
from tests.cast import Cast

#: Short enough for a test, long against the time that a line takes.
PAUSE = 0.2


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(tracker, "PAUSE", PAUSE)
    tracker._states.clear()
    tracker._findings.clear()
    yield
    tracker._states.clear()
    tracker._findings.clear()


def address(id: int, position: int = 0, weight: int = 1, probe: Probe | None = None) -> Address:
    return Address(id, position, weight, Target.of(f"http://127.0.0.1:{id}/"), Credential(), probe)


def ids(addresses: list[Address]) -> list[int]:
    return [each.id for each in addresses]


def fail(address: Address, times: int = tracker.THRESHOLD, how: Failed | str | None = None) -> None:
    for _ in range(times):
        tracker.failed(address, how or Failed("connect", "refused"))


ONE, TWO, THREE = address(1), address(2), address(3)
LATER = address(4, position=1)


def test_it_works() -> None:
    assert ids(balancer.order([ONE])) == [1]
    assert ids(balancer.order([LATER, ONE])) == [1, 4]


def test_weights_share_the_calls() -> None:
    random.seed(7)
    light, heavy = address(1, weight=1), address(2, weight=3)
    first = collections.Counter(balancer.order([light, heavy, LATER])[0].id for _ in range(4000))
    assert first[4] == 0
    assert 0.72 < first[2] / 4000 < 0.78


def test_failures_in_a_row_eject() -> None:
    fail(ONE, tracker.THRESHOLD - 1)
    tracker.succeeded(ONE, 0.01)
    fail(ONE, tracker.THRESHOLD - 1)
    assert 1 in ids(balancer.order([ONE, LATER]))
    fail(ONE, 1)
    for _ in range(20):
        assert ids(balancer.order([ONE, LATER])) == [4]


def test_after_the_pause_one_call_is_the_trial() -> None:
    fail(ONE)
    time.sleep(PAUSE)
    assert ids(balancer.order([ONE, LATER])) == [1, 4]
    assert ids(balancer.order([ONE, LATER])) == [4]
    fail(ONE, 1)
    assert ids(balancer.order([ONE, LATER])) == [4]
    time.sleep(PAUSE)
    assert ids(balancer.order([ONE, LATER])) == [1, 4]
    tracker.succeeded(ONE, 0.01)
    assert all(ids(balancer.order([ONE, LATER])) == [1, 4] for _ in range(20))


def test_what_stands_behind_is_no_trial_but_helps_out() -> None:
    fail(LATER)
    time.sleep(PAUSE)
    assert all(ids(balancer.order([ONE, LATER])) == [1, 4] for _ in range(5))


def test_two_of_a_kind_have_their_trials_one_by_one() -> None:
    fail(ONE)
    fail(TWO)
    time.sleep(PAUSE)
    firsts = [balancer.order([ONE, TWO, THREE])[0].id for _ in range(3)]
    assert sorted(firsts) == [1, 2, 3]


def test_when_all_breakers_are_open_the_call_is_refused_until_a_trial_is_due() -> None:
    for each in (ONE, LATER):
        fail(each)
    with pytest.raises(Fault) as caught:
        balancer.order([ONE, LATER])
    assert caught.value.kind is faults.UPSTREAM_RESTING
    assert caught.value.retry_after == 1
    assert "1" in caught.value.message("en")
    time.sleep(PAUSE)
    assert ids(balancer.order([ONE, LATER])) == [1]
    assert ids(balancer.order([ONE, LATER])) == [4]
    with pytest.raises(Fault):
        balancer.order([ONE, LATER])


def test_the_only_address_is_refused_too_and_tried_again() -> None:
    fail(ONE)
    with pytest.raises(Fault):
        balancer.order([ONE])
    time.sleep(PAUSE)
    assert ids(balancer.order([ONE])) == [1]
    with pytest.raises(Fault):
        balancer.order([ONE])


def test_one_bad_question_does_not_close_the_only_address() -> None:
    """An upstream that answers some question with 500 is ejected only where there is another."""
    fail(ONE, tracker.STORM - 1, tracker.STATUS)
    assert ids(balancer.order([ONE])) == [1]
    assert ids(balancer.order([ONE, LATER])) == [4]


def test_a_storm_of_500_opens_the_breaker() -> None:
    fail(ONE, tracker.STORM, tracker.STATUS)
    with pytest.raises(Fault):
        balancer.order([ONE])
    time.sleep(PAUSE)
    assert ids(balancer.order([ONE])) == [1]
    fail(ONE, 1, tracker.STATUS)
    with pytest.raises(Fault):
        balancer.order([ONE])


def test_an_answer_of_500_ends_a_row_of_none() -> None:
    fail(ONE, tracker.THRESHOLD)
    time.sleep(PAUSE)
    assert ids(balancer.order([ONE])) == [1]
    fail(ONE, 1, tracker.STATUS)
    assert all(ids(balancer.order([ONE])) == [1] for _ in range(3))


def test_where_all_answer_500_they_are_still_called() -> None:
    for each in (ONE, LATER):
        fail(each, tracker.THRESHOLD, tracker.STATUS)
    assert ids(balancer.order([ONE, LATER])) == [1, 4]


def test_a_call_that_hung_since_before_does_not_count() -> None:
    began = time.monotonic()
    tracker.succeeded(ONE, 0.0)
    for _ in range(10):
        tracker.failed(ONE, Failed("first-byte", "slow", sent=True, slow=True), began)
    assert ids(balancer.order([ONE, LATER])) == [1, 4]
    fail(ONE)
    time.sleep(PAUSE / 2)
    tracker.failed(ONE, Failed("first-byte", "slow", sent=True, slow=True), began)
    time.sleep(PAUSE / 2)
    assert ids(balancer.order([ONE, LATER])) == [1, 4]  # the trial was not put off


def test_a_call_that_cannot_be_repeated_leaves_the_trial_to_others_for_a_while() -> None:
    fail(ONE)
    time.sleep(PAUSE)
    assert ids(balancer.order([ONE, LATER], safe=False)) == [4]
    time.sleep(PAUSE / 2)
    assert ids(balancer.order([ONE, LATER], safe=False)) == [1, 4]


def cut(address: Address) -> None:
    began = time.monotonic()
    tracker.succeeded(address, 0.0)
    tracker.failed(address, Failed("body", "closed", sent=True), began)


def test_answers_that_break_off_eject_though_they_began_well() -> None:
    for _ in range(tracker.THRESHOLD):
        assert ids(balancer.order([ONE, LATER])) == [1, 4]
        cut(ONE)
    assert ids(balancer.order([ONE, LATER])) == [4]
    assert ids(balancer.order([ONE])) == [1]
    time.sleep(PAUSE)
    assert ids(balancer.order([ONE, LATER])) == [1, 4]
    cut(ONE)
    assert ids(balancer.order([ONE, LATER])) == [4]
    time.sleep(PAUSE)
    assert ids(balancer.order([ONE, LATER])) == [1, 4]
    for _ in range(tracker.THRESHOLD):
        tracker.succeeded(ONE, 0.0)
    cut(ONE)  # one among many
    assert ids(balancer.order([ONE, LATER])) == [1, 4]


def test_many_answers_that_break_off_open_the_breaker() -> None:
    for _ in range(tracker.STORM):
        cut(ONE)
    with pytest.raises(Fault):
        balancer.order([ONE])
    time.sleep(PAUSE)
    assert ids(balancer.order([ONE])) == [1]


def test_an_answer_over_the_size_cap_is_no_illness() -> None:
    fail(ONE, tracker.STORM, Failed("body", "too-large", sent=True))
    assert ids(balancer.order([ONE, LATER])) == [1, 4]


def test_an_upstream_that_moves_begins_anew() -> None:
    fail(ONE)
    moved = Address(1, 0, 1, Target.of("http://127.0.0.1:9/"), Credential())
    assert ids(balancer.order([moved])) == [1]
    with pytest.raises(Fault):
        balancer.order([ONE])


def test_an_address_that_is_probed_often_has_its_trial_as_often() -> None:
    often = address(5, probe=Probe(0.05))
    fail(often)
    time.sleep(0.06)
    assert ids(balancer.order([often])) == [5]


def test_latency_is_smoothed() -> None:
    for seconds in (0.1, 0.2, 0.2):
        tracker.succeeded(ONE, seconds)
    assert tracker.state_of(ONE).latency_us == 136_000


def test_many_threads_at_once() -> None:
    """No lock is shared: what must hold is that nothing breaks, and that a storm of calls makes few trials."""
    addresses = [ONE, TWO, LATER]
    stop = time.monotonic() + 1.0
    asked: list[int] = []

    def call() -> None:
        while time.monotonic() < stop:
            began = time.monotonic()
            for each in balancer.order(addresses):
                if each is ONE:
                    asked.append(1)
                    tracker.failed(each, Failed("connect", "refused"), began)
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
def row(cast: Cast) -> Upstream:
    operation = ProxyOperation.objects.create(service=cast.service, code="alias", state="published")
    return Upstream.objects.create(operation=operation, url="http://127.0.0.1:1/api", probe_seconds=1)


def of(row: Upstream) -> Address:
    return Address(row.pk, 0, 1, Target.of(row.url), Credential(), endpoints.probe_of(row))


def found(row: Upstream, healthy: bool) -> None:
    UpstreamState.objects.update_or_create(
        upstream=row, observer=tracker.PROBER, defaults={"healthy": healthy, "seen_at": timezone.now()}
    )


def test_what_the_prober_finds_counts_here(row: Upstream) -> None:
    exchange = sync.Exchange()
    found(row, False)
    exchange.tick()
    assert ids(balancer.order([of(row), LATER])) == [4]
    # It only comes last: a probe that is wrong must not close what works.
    assert ids(balancer.order([of(row)])) == [row.pk]
    found(row, True)
    exchange.tick()
    assert ids(balancer.order([of(row), LATER])) == [row.pk, 4]


def test_a_probe_that_succeeds_again_closes_the_breaker(row: Upstream) -> None:
    exchange = sync.Exchange()
    found(row, False)
    exchange.tick()
    fail(of(row))
    with pytest.raises(Fault):
        balancer.order([of(row)])
    found(row, True)
    exchange.tick()
    assert all(ids(balancer.order([of(row)])) == [row.pk] for _ in range(5))


def test_a_prober_that_fell_silent_says_nothing(row: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "REFRESH", 0.1)
    row.probe_seconds = 1
    exchange = sync.Exchange()
    found(row, False)
    exchange.tick()
    assert tracker.ill(of(row))
    time.sleep(1)
    assert tracker.ill(of(row))
    time.sleep(1.1)
    assert not tracker.ill(of(row))


def test_a_finding_that_is_taken_back_is_forgotten(row: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "_WHOLE", 0.0)
    exchange = sync.Exchange()
    found(row, False)
    exchange.tick()
    UpstreamState.objects.all().delete()
    exchange.tick()
    assert not tracker.ill(of(row))


def test_only_what_is_new_is_read_and_written(row: Upstream, django_assert_num_queries: object) -> None:
    exchange = sync.Exchange()
    found(row, True)
    tracker.succeeded(of(row), 0.01)
    exchange.tick()
    with django_assert_num_queries(1):  # type: ignore[operator]
        exchange.tick()
    tracker.succeeded(of(row), 0.01)
    with django_assert_num_queries(1):  # type: ignore[operator]
        exchange.tick()


def test_this_process_says_what_it_sees(row: Upstream) -> None:
    exchange = sync.Exchange()
    tracker.succeeded(of(row), 0.002)
    exchange.tick()
    state = UpstreamState.objects.get(upstream=row)
    assert (state.observer, state.healthy, state.breaker) == (sync.observer(), True, "closed")
    assert state.latency_us == 2000
    fail(of(row), how=Failed("tls", "certificate"))
    exchange.tick()
    state.refresh_from_db()
    assert (state.healthy, state.breaker, state.phase, state.reason) == (False, "open", "tls", "certificate")
    assert state.failed_at is not None


def test_what_did_not_change_is_renewed_at_times(row: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "REFRESH", 0.1)
    exchange = sync.Exchange()
    tracker.succeeded(of(row), 0.002)
    exchange.tick()
    [before] = UpstreamState.objects.values_list("seen_at", flat=True)
    time.sleep(0.12)
    exchange.tick()  # nobody called meanwhile
    assert UpstreamState.objects.get().seen_at == before
    tracker.succeeded(of(row), 0.002)
    exchange.tick()
    assert UpstreamState.objects.get().seen_at > before


def test_an_upstream_that_is_gone_is_forgotten(row: Upstream) -> None:
    exchange = sync.Exchange()
    gone = of(row)
    tracker.succeeded(gone, 0.002)
    row.delete()
    exchange.tick()
    assert not UpstreamState.objects.exists()
    assert not tracker._states


def test_the_page_has_a_summary(row: Upstream) -> None:
    assert summary.live([row.pk])[row.pk].state == "unknown"
    found(row, True)
    at = timezone.now()
    first = {"breaker": "closed", "latency_us": 900}
    UpstreamState.objects.create(upstream=row, observer="a:1", seen_at=at, **first)
    told = summary.live([row.pk])[row.pk]
    assert (told.state, told.probe, told.observers, told.against, told.latency_us) == ("healthy", True, 1, 0, 900)
    UpstreamState.objects.create(
        upstream=row, observer="b:2", healthy=False, breaker="open", phase="dns", reason="unknown", failed_at=at
    )
    told = summary.live([row.pk])[row.pk]
    assert (told.state, told.observers, told.against, told.phase, told.reason) == ("open", 2, 1, "dns", "unknown")
    old = at - timedelta(seconds=summary.GONE + 1)
    UpstreamState.objects.filter(observer="b:2").update(seen_at=old)
    assert summary.live([row.pk])[row.pk].state == "healthy"
    found(row, False)
    assert summary.live([row.pk])[row.pk].state == "ejected"


def test_a_rarely_probed_upstream_is_not_unknown_between_its_probes(row: Upstream) -> None:
    Upstream.objects.filter(pk=row.pk).update(probe_seconds=600)
    found(row, True)
    UpstreamState.objects.update(seen_at=timezone.now() - timedelta(seconds=900))
    assert summary.live([row.pk])[row.pk].state == "healthy"
    UpstreamState.objects.update(seen_at=timezone.now() - timedelta(seconds=1300))
    assert summary.live([row.pk])[row.pk].state == "unknown"


@pytest.mark.parametrize(
    ("text", "ranges"),
    [("200", ((200, 200),)), ("200-399", ((200, 399),)), ("200, 204-206 ,401", ((200, 200), (204, 206), (401, 401)))],
)
def test_statuses_are_read(text: str, ranges: tuple[tuple[int, int], ...]) -> None:
    assert endpoints.statuses(text) == ranges
