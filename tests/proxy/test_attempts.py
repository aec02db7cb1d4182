"""Which address is asked, how often, how many at once, and what a failure is called."""

from __future__ import annotations

import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from django.conf import settings

from proxyservices.health import tracker
from proxyservices.transport.bulkhead import half
from registry import faults, results
from tests.cast import Cast, Reply, call, ends_of
from tests.proxy.publishing import publish
from tests.proxy.upstream import Answer, Asked, upstream

Talk = Callable[[socket.socket, bytes], None]


@contextmanager
def talking(talk: Talk) -> Iterator[tuple[str, list[bytes]]]:
    """An upstream that reads a request's head and then does as it likes: its address, and the heads it read."""
    listener = socket.create_server(("127.0.0.1", 0))
    heads: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                part = connection.recv(65536)
                if not part:
                    return
                head += part
            heads.append(head)
            with suppress(OSError):
                talk(connection, head)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", heads
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def says(text: bytes, seconds: float = 0.0) -> Talk:
    def talk(connection: socket.socket, head: bytes) -> None:
        connection.sendall(text)
        time.sleep(seconds)

    return talk


def ask(cast: Cast, method: str = "GET", code: str = "alias", **headers: str) -> Reply:
    return call(f"/rest/prov/data/{code}/x", method, b"isi" if method in ("POST", "PUT") else b"", accesskey=cast.key)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@pytest.mark.parametrize(
    ("talk", "fault"),
    [
        (says(b""), faults.UPSTREAM_DOWN),
        (says(b"", 3), faults.UPSTREAM_SLOW),
        (says(HEAD + b"Content-Length: 10\r\n\r\nhalf"), faults.UPSTREAM_BROKE),
        (says(HEAD + b"Content-Length: 10\r\n\r\nhalf", 3), faults.UPSTREAM_SLOW),
        (says(HEAD + b"Content-Length: 10\r\nContent-Length: 11\r\n\r\n"), faults.UPSTREAM_WRONG),
        (says(HEAD + b"Content-Length: 99999999\r\n\r\n"), faults.UPSTREAM_LARGE),
        (says(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), faults.UPSTREAM_WRONG),
        (says(b"SSH-2.0-x\r\n\r\n"), faults.UPSTREAM_WRONG),
    ],
    ids=["closes", "hangs", "cuts", "stalls", "two lengths", "large", "chunks", "no HTTP"],
)
def test_what_a_failure_is_called(cast: Cast, talk: Talk, fault: results.FaultKind) -> None:
    with talking(talk) as (url, _):
        publish(cast, url, time_cap_ms=700, read_cap_ms=500, retries=0)
        reply = ask(cast)
    assert (reply.status, reply.json()["code"]) == (fault.status, fault.code)
    (end,) = ends_of(reply.headers["x-request-id"])
    assert (end["status"], end["code"]) == (fault.status, fault.code)


def test_a_large_answer_that_breaks_off_looks_broken(cast: Cast) -> None:
    head = HEAD + b"Content-Length: 1000000\r\n\r\n"
    with talking(says(head + b"x" * 300_000)) as (url, _):
        publish(cast, url)
        reply = ask(cast)
    assert reply.status == 200
    assert isinstance(reply.broke, results.Fault)
    assert reply.broke.code == faults.UPSTREAM_BROKE.code
    (end,) = ends_of(reply.headers["x-request-id"])
    assert (end["broken"], end["code"]) == (True, faults.UPSTREAM_BROKE.code)


def test_a_read_is_tried_again_and_a_write_is_not(cast: Cast) -> None:
    with talking(says(b"")) as (url, heads):
        publish(cast, url, retries=2)
        for method, times in (("GET", 3), ("HEAD", 3), ("POST", 1), ("PUT", 1), ("DELETE", 1)):
            tracker._states.clear()
            heads.clear()
            ask(cast, method)
            assert (method, len(heads)) == (method, times)


def test_a_write_goes_to_the_next_address_if_nothing_was_sent(cast: Cast, refusing_port: int) -> None:
    with upstream(Answer(b"ya")) as there:
        publish(cast, f"http://127.0.0.1:{refusing_port}", there.url, retries=0)
        assert ask(cast, "POST").body == b"ya"
        assert there.last.body == b"isi"


def test_every_address_is_tried_that_cannot_be_reached(cast: Cast, refusing_port: int) -> None:
    dead = f"http://127.0.0.1:{refusing_port}"
    with upstream(Answer(b"ya")) as there:
        publish(cast, dead + "/1", dead + "/2", dead + "/3", there.url, retries=0)
        assert ask(cast).body == b"ya"


def test_another_address_may_better_a_503(cast: Cast) -> None:
    with upstream(Answer(b"tidak", status=503)) as ill, upstream(Answer(b"ya")) as well:
        publish(cast, ill.url, well.url, retries=1)
        assert ask(cast).body == b"ya"
        assert ask(cast, "POST").status == 503
        publish(cast, ill.url, well.url, retries=0, code="sekali")
        assert ask(cast, code="sekali").status == 503


def test_all_attempts_share_one_budget(cast: Cast) -> None:
    with talking(says(b"", 5)) as (one, _), talking(says(b"", 5)) as (other, _):
        publish(cast, one, other, one, other, retries=5, time_cap_ms=1000, read_cap_ms=400)
        began = time.monotonic()
        assert ask(cast).json()["code"] == faults.UPSTREAM_SLOW.code
        assert time.monotonic() - began < 1.5


def test_a_token_that_was_refused_is_fetched_anew_once(cast: Cast) -> None:
    tokens = iter(["lama", "baru", "lagi"])

    def answer(asked: Asked) -> Answer:
        if asked.path == "/token":
            return Answer(b'{"access_token":"%b","expires_in":3600}' % next(tokens).encode())
        good = asked.header("Authorization") == "Bearer baru"
        return Answer(b"ya" if good else b"", status=200 if good else 401)

    with upstream(answer) as there:
        publish(
            cast, there.url, retries=0,
            upstream={
                "credential_kind": "oauth2", "credential_name": "bus", "credential": "s",
                "token_url": there.url + "/token",
            },
        )  # fmt: skip
        ask(cast)  # the first token, refused: another may not be had within a second
        time.sleep(1.1)
        reply = ask(cast)
        assert (reply.status, reply.body) == (200, b"ya")
        assert [each.path for each in there.asked].count("/token") == 2


def test_no_token_is_a_fault_of_its_own(cast: Cast, refusing_port: int) -> None:
    with upstream(Answer()) as there:
        publish(
            cast, there.url,
            upstream={
                "credential_kind": "oauth2", "credential_name": "bus", "credential": "s",
                "token_url": f"http://127.0.0.1:{refusing_port}/token",
            },
        )  # fmt: skip
        assert ask(cast).json()["code"] == faults.UPSTREAM_CREDENTIAL.code
    assert there.asked == []


# ---------------------------------------------------------------------------------------- at once


def together(calls: int, one: Callable[[], Reply]) -> list[Reply]:
    found: list[Reply] = []
    threads = [threading.Thread(target=lambda: found.append(one())) for _ in range(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize(("concurrency", "places"), [(0, None), (2, 2), (1000, None)])
def test_an_operation_holds_so_many_threads_at_most(cast: Cast, concurrency: int, places: int | None) -> None:
    places = places or half()
    with talking(says(b"", 3)) as (url, _):
        publish(cast, url, time_cap_ms=1000, concurrency=concurrency, retries=0)
        codes = [reply.json()["code"] for reply in together(places + 3, lambda: ask(cast))]
    assert codes.count(faults.UPSTREAM_BUSY.code) == 3
    assert codes.count(faults.UPSTREAM_SLOW.code) == places
    with upstream(Answer(b"ya")) as there:
        publish(cast, there.url, code="sesudah")
        assert ask(cast, code="sesudah").body == b"ya"


def test_operations_of_one_host_share_its_room(cast: Cast) -> None:
    with talking(says(b"", 3)) as (url, _):
        publish(cast, url, time_cap_ms=1000, retries=0)
        publish(cast, url + "/lain", time_cap_ms=1000, code="kedua", retries=0)
        turns = iter(["alias", "kedua"] * half())
        lock = threading.Lock()

        def one() -> Reply:
            with lock:
                code = next(turns)
            return ask(cast, code=code)

        codes = [reply.json()["code"] for reply in together(2 * half(), one)]
    assert codes.count(faults.UPSTREAM_SLOW.code) == half()
    assert codes.count(faults.UPSTREAM_BUSY.code) == half()


def test_a_place_is_held_until_the_last_byte_is_out(cast: Cast) -> None:
    go = threading.Event()

    def talk(connection: socket.socket, head: bytes) -> None:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        go.wait(5)
        connection.sendall(b"1\r\ny\r\n0\r\n\r\n")

    with talking(talk) as (url, heads):
        publish(cast, url, concurrency=1)
        found: list[Reply] = []
        thread = threading.Thread(target=lambda: found.append(ask(cast)))
        thread.start()
        while not heads:
            time.sleep(0.01)
        time.sleep(0.2)
        assert ask(cast).json()["code"] == faults.UPSTREAM_BUSY.code
        go.set()
        thread.join()
        assert found[0].body == b"xy"
        assert ask(cast).body == b"xy"


def test_a_place_is_given_back_whatever_happens(cast: Cast) -> None:
    with talking(says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\nzz")) as (url, _):
        publish(cast, url, concurrency=1, retries=0)
        for _ in range(3):
            tracker._states.clear()
            assert ask(cast).broke is not None
        for method in ("HEAD", "GET", "DELETE"):
            tracker._states.clear()
            assert ask(cast, method).status == 200


def test_others_hardly_notice_a_slow_upstream(cast: Cast) -> None:
    """With as many threads as a worker has, all of them asked at once."""
    with talking(says(b"", 5)) as (url, _), upstream(Answer(b"ya")) as there:
        publish(cast, url, time_cap_ms=2500, retries=0)
        publish(cast, there.url, code="lain")

        def median() -> float:
            taken = []
            for _ in range(30):
                began = time.perf_counter()
                assert ask(cast, code="lain").body == b"ya"
                taken.append(time.perf_counter() - began)
            return statistics.median(taken)

        alone = median()
        slow = [threading.Thread(target=lambda: ask(cast)) for _ in range(settings.WEB_THREADS)]
        for thread in slow:
            thread.start()
        beside = median()
        for thread in slow:
            thread.join()
    assert beside < alone * 5 + 0.02, (alone, beside)
