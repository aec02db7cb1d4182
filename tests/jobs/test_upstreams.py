"""Jobs of proxy operations: a call for each row, several at a time, and no more than the upstream wants."""

from __future__ import annotations

import json
import threading
from typing import Any

from django.utils import timezone

from mantra.jobs import running, worker
from mantra.jobs.models import Job
from tests.cast import Cast
from tests.jobs.conftest import Time, begin, jobs_of, lines, take_turn, work
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, Received, serve_upstream

NUMBERS = range(1, 101)
BODY = "nip\n" + "".join(f"{number}\n" for number in NUMBERS)


def number_of(received: Received) -> int:
    return int(received.path.rpartition("/")[2])


def record(received: Received) -> Answer:
    number = number_of(received)
    if number % 10 == 0:
        return Answer(b'{"error":"none"}', status=404)
    return Answer(json.dumps({"nip": str(number), "nama": f"Orang {number}"}).encode())


def publish(cast: Cast, url: str, **more: Any) -> None:
    publish_proxy(cast, url, style="rest", path="/orang/{nip}", method="GET", parameters=("nip",), **more)


def check(job: Job) -> None:
    job.refresh_from_db()
    assert (job.state, job.problem, job.found, job.not_found) == ("done", "", 90, 10)
    assert [(row["nip"], row["status"], row["nama"]) for row in lines(job)] == [
        (str(number), "ok", f"Orang {number}") if number % 10 else (str(number), "not-found", None)
        for number in NUMBERS
    ]


def test_each_row_is_a_call_and_few_are_made_at_a_time(cast: Cast) -> None:
    lock, now, most = threading.Lock(), [0], [0]
    together = threading.Event()

    def answer(received: Received) -> Answer:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
            if now[0] > 1:
                together.set()
        together.wait(5)  # until a second one is there: several come at a time
        with lock:
            now[0] -= 1
        return record(received)

    with serve_upstream(answer) as upstream:
        publish(cast, upstream.url, fields=("nip", "nama"))
        job = begin(cast, BODY, "alias")
        work()
        check(job)
        assert sorted(map(number_of, upstream.received)) == list(NUMBERS)
    assert 1 < most[0] <= 8
    assert job.origin[0] == "backend"


def test_an_upstream_that_asks_for_a_pause_gets_it(cast: Cast, time: Time) -> None:
    """It takes ten calls, and says 429 with a Retry-After until its callers have waited that long."""
    taken, since, lock = [0], [-100.0], threading.Lock()

    def answer(received: Received) -> Answer:
        with lock:
            if taken[0] >= 10 and time.now - since[0] < 7:
                return Answer(b"{}", status=429, headers=[("Retry-After", "7")])
            if taken[0] >= 10:
                taken[0] = 0
            since[0] = time.now
            taken[0] += 1
        return record(received)

    with serve_upstream(answer) as upstream:
        publish(cast, upstream.url, fields=("nip", "nama"))
        job = begin(cast, BODY, "alias")
        take_turn(clock=time, sleep=time.sleep)
        check(job)
    assert 9 * 7 <= round(sum(time.slept), 3) <= 12 * 7


def test_a_long_pause_is_kept_by_pausing_the_job(cast: Cast, time: Time) -> None:
    with serve_upstream(Answer(b"{}", status=503, headers=[("Retry-After", "600")])) as upstream:
        publish(cast, upstream.url, fields=("nip", "nama"))
        job = begin(cast, BODY, "alias")
        take_turn(clock=time, sleep=time.sleep)
        asked = len(upstream.received)
    job.refresh_from_db()
    assert (job.state, job.problem, job.done) == ("paused", "busy", 0)
    assert job.retry_at is not None
    assert 590 < (job.retry_at - timezone.now()).total_seconds() < 601
    assert asked <= 8


def test_one_row_that_an_upstream_never_answers_does_not_hold_the_others(cast: Cast, time: Time) -> None:
    def answer(received: Received) -> Answer:
        return Answer(b"{}", status=503) if number_of(received) == 7 else record(received)

    with serve_upstream(answer) as upstream:
        publish(cast, upstream.url, fields=("nip", "nama"))
        job = begin(cast, "nip\n6\n7\n8\n", "alias")
        for _turn in range(5):
            taken = worker.take()
            if taken is None:
                break
            running.Run(taken, clock=time, sleep=time.sleep).go()
            Job.objects.filter(state="paused").update(state="waiting")
        job.refresh_from_db()
        assert job.state == "done"
        assert [row["status"] for row in lines(job)] == ["ok", "11227", "ok"]


def test_pass_through_operations_have_no_jobs(cast: Cast) -> None:
    with serve_upstream(Answer(b"{}")) as upstream:
        publish_proxy(cast, upstream.url)
        reply = jobs_of(cast, "alias", method="POST", body=b"a\n1\n", content_type="text/csv")
        assert (reply.status, reply.body) == (200, b"{}")  # the address is the upstream's
        assert upstream.last.path.endswith("/jobs")
    assert not Job.objects.exists()
