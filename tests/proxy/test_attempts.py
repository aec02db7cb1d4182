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
from registry import faults, results
from registry.bulkhead import default_limit
from tests.bounds import assert_within
from tests.cast import Cast, Reply, call, ends_of
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, Received, serve_upstream

Responder = Callable[[socket.socket, bytes], None]


@contextmanager
def raw_upstream(responder: Responder) -> Iterator[tuple[str, list[bytes]]]:
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
                responder(connection, head)

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


def responds(text: bytes, seconds: float = 0.0) -> Responder:
    def responder(connection: socket.socket, head: bytes) -> None:
        connection.sendall(text)
        time.sleep(seconds)

    return responder


def request(cast: Cast, method: str = "GET", code: str = "alias", **headers: str) -> Reply:
    return call(f"/rest/prov/data/{code}/x", method, b"isi" if method in ("POST", "PUT") else b"", accesskey=cast.key)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@pytest.mark.parametrize(
    ("responder", "fault"),
    [
        (responds(b""), faults.UPSTREAM_UNREACHABLE),
        (responds(b"", 3), faults.UPSTREAM_TIMEOUT),
        (responds(HEAD + b"Content-Length: 10\r\n\r\nhalf"), faults.UPSTREAM_BROKE_OFF),
        (responds(HEAD + b"Content-Length: 10\r\n\r\nhalf", 3), faults.UPSTREAM_TIMEOUT),
        (responds(HEAD + b"Content-Length: 10\r\nContent-Length: 11\r\n\r\n"), faults.UPSTREAM_ANSWER_UNREADABLE),
        (responds(HEAD + b"Content-Length: 99999999\r\n\r\n"), faults.UPSTREAM_TOO_LARGE),
        (responds(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), faults.UPSTREAM_ANSWER_UNREADABLE),
        (responds(b"SSH-2.0-x\r\n\r\n"), faults.UPSTREAM_ANSWER_UNREADABLE),
    ],
    ids=["closes", "hangs", "cuts", "stalls", "two lengths", "large", "chunks", "no HTTP"],
)
def test_upstream_failure_maps_to_its_fault(cast: Cast, responder: Responder, fault: results.FaultKind) -> None:
    with raw_upstream(responder) as (url, _):
        publish_proxy(cast, url, timeout_ms=700, read_timeout_ms=500, retries=0)
        reply = request(cast)
    assert (reply.status, reply.json()["code"]) == (fault.status, fault.code)
    (end,) = ends_of(reply.headers["x-request-id"])
    assert (end["status"], end["code"]) == (fault.status, fault.code)


def test_a_large_answer_that_breaks_off_looks_broken(cast: Cast) -> None:
    head = HEAD + b"Content-Length: 1000000\r\n\r\n"
    with raw_upstream(responds(head + b"x" * 300_000)) as (url, _):
        publish_proxy(cast, url)
        reply = request(cast)
    assert reply.status == 200
    assert isinstance(reply.broke, results.Fault)
    assert reply.broke.code == faults.UPSTREAM_BROKE_OFF.code
    (end,) = ends_of(reply.headers["x-request-id"])
    assert (end["broken"], end["code"]) == (True, faults.UPSTREAM_BROKE_OFF.code)


def test_a_read_is_tried_again_and_a_write_is_not(cast: Cast) -> None:
    with raw_upstream(responds(b"")) as (url, heads):
        publish_proxy(cast, url, retries=2)
        for method, times in (("GET", 3), ("HEAD", 3), ("POST", 1), ("PUT", 1), ("DELETE", 1)):
            tracker.reset()
            heads.clear()
            request(cast, method)
            assert (method, len(heads)) == (method, times)


def test_a_write_goes_to_the_next_address_if_nothing_was_sent(cast: Cast, refusing_port: int) -> None:
    with serve_upstream(Answer(b"ya")) as upstream:
        publish_proxy(cast, f"http://127.0.0.1:{refusing_port}", upstream.url, retries=0)
        assert request(cast, "POST").body == b"ya"
        assert upstream.last.body == b"isi"


def test_every_address_is_tried_that_cannot_be_reached(cast: Cast, refusing_port: int) -> None:
    dead = f"http://127.0.0.1:{refusing_port}"
    with serve_upstream(Answer(b"ya")) as upstream:
        publish_proxy(cast, dead + "/1", dead + "/2", dead + "/3", upstream.url, retries=0)
        assert request(cast).body == b"ya"


def test_second_address_answers_where_the_first_says_503(cast: Cast) -> None:
    with serve_upstream(Answer(b"tidak", status=503)) as ill, serve_upstream(Answer(b"ya")) as well:
        publish_proxy(cast, ill.url, well.url, retries=1)
        assert request(cast).body == b"ya"
        assert request(cast, "POST").status == 503
        publish_proxy(cast, ill.url, well.url, retries=0, code="sekali")
        assert request(cast, code="sekali").status == 503


def test_all_attempts_share_one_budget(cast: Cast) -> None:
    with raw_upstream(responds(b"", 5)) as (one, first), raw_upstream(responds(b"", 5)) as (other, second):
        publish_proxy(cast, one, other, one, other, retries=5, timeout_ms=1000, read_timeout_ms=400)
        began = time.monotonic()
        assert request(cast).json()["code"] == faults.UPSTREAM_TIMEOUT.code
        assert_within(1.5, began)
        # Two of 400 ms, and one for what is left of the second.
        assert 2 <= len(first) + len(second) <= 3


def test_a_token_that_was_refused_is_fetched_anew_once(cast: Cast) -> None:
    tokens = iter(["lama", "baru", "lagi"])

    def answer(received: Received) -> Answer:
        if received.path == "/token":
            return Answer(b'{"access_token":"%b","expires_in":3600}' % next(tokens).encode())
        good = received.header("Authorization") == "Bearer baru"
        return Answer(b"ya" if good else b"", status=200 if good else 401)

    with serve_upstream(answer) as upstream:
        publish_proxy(
            cast,
            upstream.url,
            retries=0,
            upstream={
                "credential_kind": "oauth2",
                "credential_name": "bus",
                "credential": "s",
                "token_url": upstream.url + "/token",
            },
        )
        request(cast)  # the first token, refused: another may not be had within a second
        time.sleep(1.1)
        reply = request(cast)
        assert (reply.status, reply.body) == (200, b"ya")
        assert [each.path for each in upstream.received].count("/token") == 2


def test_no_token_is_a_fault_of_its_own(cast: Cast, refusing_port: int) -> None:
    with serve_upstream(Answer()) as upstream:
        publish_proxy(
            cast,
            upstream.url,
            upstream={
                "credential_kind": "oauth2",
                "credential_name": "bus",
                "credential": "s",
                "token_url": f"http://127.0.0.1:{refusing_port}/token",
            },
        )
        assert request(cast).json()["code"] == faults.UPSTREAM_CREDENTIAL.code
    assert upstream.received == []


# ---------------------------------------------------------------------------------------- at once


def together(calls: int, one: Callable[[], Reply]) -> list[Reply]:
    found: list[Reply] = []
    threads = [threading.Thread(target=lambda: found.append(one())) for _ in range(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize(("max_concurrent_calls", "places"), [(0, None), (2, 2), (1000, None)])
def test_an_operation_holds_so_many_threads_at_most(cast: Cast, max_concurrent_calls: int, places: int | None) -> None:
    places = places or default_limit()
    with raw_upstream(responds(b"", 3)) as (url, _):
        publish_proxy(cast, url, timeout_ms=1000, max_concurrent_calls=max_concurrent_calls, retries=0)
        codes = [reply.json()["code"] for reply in together(places + 3, lambda: request(cast))]
    assert codes.count(faults.UPSTREAM_BUSY.code) == 3
    assert codes.count(faults.UPSTREAM_TIMEOUT.code) == places
    with serve_upstream(Answer(b"ya")) as upstream:
        publish_proxy(cast, upstream.url, code="sesudah")
        assert request(cast, code="sesudah").body == b"ya"


def test_operations_of_one_host_share_its_bulkhead(cast: Cast) -> None:
    with raw_upstream(responds(b"", 3)) as (url, _):
        publish_proxy(cast, url, timeout_ms=1000, retries=0)
        publish_proxy(cast, url + "/lain", timeout_ms=1000, code="kedua", retries=0)
        turns = iter(["alias", "kedua"] * default_limit())
        lock = threading.Lock()

        def one() -> Reply:
            with lock:
                code = next(turns)
            return request(cast, code=code)

        codes = [reply.json()["code"] for reply in together(2 * default_limit(), one)]
    assert codes.count(faults.UPSTREAM_TIMEOUT.code) == default_limit()
    assert codes.count(faults.UPSTREAM_BUSY.code) == default_limit()


def test_a_place_is_held_until_the_last_byte_is_out(cast: Cast) -> None:
    go = threading.Event()

    def responder(connection: socket.socket, head: bytes) -> None:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        go.wait(5)
        connection.sendall(b"1\r\ny\r\n0\r\n\r\n")

    with raw_upstream(responder) as (url, heads):
        publish_proxy(cast, url, max_concurrent_calls=1)
        found: list[Reply] = []
        thread = threading.Thread(target=lambda: found.append(request(cast)))
        thread.start()
        while not heads:
            time.sleep(0.01)
        time.sleep(0.2)
        assert request(cast).json()["code"] == faults.UPSTREAM_BUSY.code
        go.set()
        thread.join()
        assert found[0].body == b"xy"
        assert request(cast).body == b"xy"


def test_a_place_is_given_back_whatever_happens(cast: Cast) -> None:
    with raw_upstream(responds(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\nzz")) as (url, _):
        publish_proxy(cast, url, max_concurrent_calls=1, retries=0)
        for _ in range(3):
            tracker.reset()
            assert request(cast).broke is not None
        for method in ("HEAD", "GET", "DELETE"):
            tracker.reset()
            assert request(cast, method).status == 200


def test_others_hardly_notice_a_slow_upstream(cast: Cast) -> None:
    """With as many threads as a worker has, all of them asked at once."""
    with raw_upstream(responds(b"", 5)) as (url, _), serve_upstream(Answer(b"ya")) as upstream:
        publish_proxy(cast, url, timeout_ms=2500, retries=0)
        publish_proxy(cast, upstream.url, code="lain")

        def median() -> float:
            taken = []
            for _ in range(30):
                began = time.perf_counter()
                assert request(cast, code="lain").body == b"ya"
                taken.append(time.perf_counter() - began)
            return statistics.median(taken)

        alone = median()
        slow = [threading.Thread(target=lambda: request(cast)) for _ in range(settings.WEB_THREADS)]
        for thread in slow:
            thread.start()
        beside = median()
        for thread in slow:
            thread.join()
    assert beside < alone * 5 + 0.02, (alone, beside)
