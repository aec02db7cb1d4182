"""The door out: what each thing that an upstream can do wrong comes to, in a word, and within its time."""

from __future__ import annotations

import io
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from proxyservices.models import validate_url
from proxyservices.transport import client, errors, pool
from proxyservices.transport.allowlist import Networks
from proxyservices.transport.client import Limits, Request, Response, send
from proxyservices.transport.errors import UpstreamError
from proxyservices.transport.pool import Target
from registry import faults
from registry.results import Fault
from tests.bounds import assert_grows_less, assert_within
from tests.servers.certificates import Authority
from tests.servers.faulty import OK, Peer, Script, ScriptedServer, once, repeating, scripted_server
from tests.servers.process import wait_until

QUICK = Limits(connect=0.6, read=0.6, total=1.2, max_body_bytes=1_000_000)
GET = Request("GET", "/")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


#: Kept, as a plan keeps its targets: a target that is gone leaves no connection.
_targets: dict[int, Target] = {}


@pytest.fixture(autouse=True)
def _fresh_targets() -> Iterator[None]:
    yield
    _targets.clear()


def fetch(
    server: ScriptedServer | int | Target, question: Request = GET, limits: Limits = QUICK
) -> tuple[Response, bytes]:
    if not isinstance(server, Target):
        port = server if isinstance(server, int) else server.port
        server = _targets.setdefault(port, Target.of(f"http://127.0.0.1:{port}"))
    reply = send(server, question, limits)
    return reply, reply.read()


@contextmanager
def failing(phase: str, reason: str, sent: bool | None, slow: bool = False, within: float = 2.0) -> Iterator[None]:
    """What is done inside fails in this way, and in no more than so many seconds. ``sent`` None: either."""
    began = time.monotonic()
    with pytest.raises(UpstreamError) as caught:
        yield
    failed = caught.value
    expected = phase, reason, failed.sent if sent is None else sent, slow
    assert (failed.phase, failed.reason, failed.sent, failed.slow) == expected, repr(failed.__context__)
    assert failed.phase in errors.PHASES
    assert_within(within, began)


def test_it_works() -> None:
    with scripted_server(repeating(b"HTTP/1.1 201 Made\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello")) as server:
        question = Request("GET", "/a%20b?c=d", [("Accept", "text/plain"), ("X-Name", "caf\xe9")])
        reply, body = fetch(server, question)
    assert (reply.status, body) == (201, b"hello")
    assert reply.headers == [("X-A", "b"), ("Content-Length", "5")]
    assert reply.header("x-a") == "b"
    assert server.asked[0].head == (
        f"GET /a%20b?c=d HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAccept: text/plain\r\nX-Name: caf\xe9\r\n\r\n"
    ).encode("latin-1")


# --------------------------------------------------------------------------------- what upstreams do wrong


def test_one_that_refuses(refusing_port: int) -> None:
    with failing("connect", "refused", sent=False):
        fetch(refusing_port)


def test_one_that_hangs_before_it_accepts(full_port: int) -> None:
    with failing("connect", "slow", sent=False, slow=True, within=1.5):
        fetch(full_port)


def test_one_that_accepts_and_never_answers(silent_port: int) -> None:
    with failing("first-byte", "slow", sent=True, slow=True, within=1.2):
        fetch(silent_port)


def test_one_that_never_answers_tls(silent_port: int) -> None:
    with failing("tls", "slow", sent=False, slow=True, within=1.2):
        fetch(Target.of(f"https://127.0.0.1:{silent_port}"))


def test_one_that_hangs_after_its_headers() -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        peer.wait()

    with scripted_server(script) as server, failing("body", "slow", sent=True, slow=True, within=1.5):
        fetch(server)


def drip(beginning: bytes) -> Script:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(beginning)
        for _ in range(200):
            time.sleep(0.1)
            peer.send(b"1")

    return script


@pytest.mark.parametrize(
    "beginning, phase",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", "body"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "body"),
        (CHUNKED + b"3e7\r\n", "body"),
        (CHUNKED + b"3;", "body"),
        (b"HTTP/1.1 200 OK\r\nX-A: ", "first-byte"),
        (b"", "first-byte"),
    ],
    ids=["length", "to the end", "chunk", "chunk size", "header", "status line"],
)
def test_one_that_drips_is_cut_at_the_deadline(beginning: bytes, phase: str) -> None:
    with scripted_server(drip(beginning)) as server:
        began = time.monotonic()
        with failing(phase, "slow", sent=True, slow=True, within=1.7):
            fetch(server)
        # Not before: bytes came all the time.
        assert time.monotonic() - began > 1.0


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        CHUNKED + b"5\r\nhel",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\n",
    ],
    ids=["length", "chunk", "between chunks", "last chunk"],
)
def test_one_that_cuts_the_body(answer: bytes) -> None:
    with scripted_server(once(answer)) as server, failing("body", "closed", sent=True):
        fetch(server)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\nX-A: b\r\n"])
def test_one_that_cuts_the_head(answer: bytes) -> None:
    with scripted_server(once(answer)) as server, failing("first-byte", "closed", sent=True):
        fetch(server)


def test_bytes_beyond_the_content_length_are_dropped_with_their_connection() -> None:
    lie = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    with scripted_server(repeating(lie)) as server:
        assert fetch(server)[1] == b"ok"
        assert fetch(server)[1] == b"ok"
        assert server.connections == 2


@pytest.mark.parametrize(
    "framing", [b"Transfer-Encoding: chunked", b"Connection: close", b"Content-Length: 1073741824"]
)
def test_a_gibibyte_is_cut_off_at_the_cap(framing: bytes) -> None:
    sent: list[int] = []

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        piece = b"x" * 65536
        piece = b"10000\r\n" + piece + b"\r\n" if b"chunked" in framing else piece
        for _ in range(16384):
            peer.send(piece)
            sent.append(1)

    def growth() -> int:
        before = resident()
        sent.clear()
        with scripted_server(script) as server:
            with failing("body", "too-large", sent=True):
                fetch(server)
            grown = resident() - before
        assert len(sent) < 400
        return grown

    assert_grows_less(16_000_000, growth)


def test_a_large_answer_is_never_in_memory_whole() -> None:
    size = 200 * 1_048_576

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        piece = b"x" * 1_048_576
        for _ in range(200):
            peer.send(piece)

    def growth() -> int:
        before, most, count = resident(), 0, 0
        with scripted_server(script) as server:
            reply = send(Target.of(server.url), GET, Limits(total=60, max_body_bytes=size))
            for piece in reply.chunks():
                count += len(piece)
                most = max(most, resident()) if count % 100 == 0 or count == size else most
        assert count == size
        return max(most, resident()) - before

    assert_grows_less(16_000_000, growth)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


MALFORMED = {
    "too many headers": (b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 5000 + b"\r\n", "head-too-large"),
    "a header without end": (b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 2_000_000, "head-too-large"),
    "many large headers": (b"HTTP/1.1 200 OK\r\n" + (b"X-A: " + b"b" * 8000 + b"\r\n") * 20, "head-too-large"),
    "a status line without end": (b"HTTP/1.1 200 " + b"b" * 200_000, "head-too-large"),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\nokok", "length"),
    "two lengths in one": (b"HTTP/1.1 200 OK\r\nContent-Length: 2, 4\r\n\r\nokok", "length"),
    "a signed length": (b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", "length"),
    "an odd length": (b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok", "length"),
    "length and chunks": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "length",
    ),
    "an unknown coding": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nok", "encoding"),
    "two codings": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "encoding"),
    "chunked twice": (b"HTTP/1.1 200 OK\r\n" + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n", "encoding"),
    "bare line feeds": (b"HTTP/1.1 200 OK\r\nX-A: b\nContent-Length: 2\r\n\r\nok", "header"),
    "a bare line feed at the end": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok", "header"),
    "a bare line feed behind the status": (b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok", "status-line"),
    "a bare carriage return": (b"HTTP/1.1 200 OK\r\nX-A: b\rc: d\r\nContent-Length: 2\r\n\r\nok", "header"),
    "a folded line": (b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok", "header"),
    "a folded first line": (b"HTTP/1.1 200 OK\r\n X-A: b\r\nContent-Length: 2\r\n\r\nok", "header"),
    "a space before the colon": (b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", "header"),
    "no colon": (b"HTTP/1.1 200 OK\r\nhello\r\n\r\n", "header"),
    "a nul": (b"HTTP/1.1 200 OK\r\nX-A: b\0c\r\n\r\n", "header"),
    "no http": (b"220 mail.contoh.go.id ESMTP\r\nhello\r\n\r\n", "status-line"),
    "another version": (b"HTTP/2.0 200 OK\r\n\r\n", "status-line"),
    "no status": (b"HTTP/1.1 OK\r\n\r\n", "status-line"),
    "a status out of range": (b"HTTP/1.1 999 Odd\r\n\r\n", "status-line"),
    "another protocol": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "upgrade"),
    "interim answers without end": (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 30, "interim"),
    "a chunk's odd size": (CHUNKED + b"0x2\r\nok\r\n0\r\n\r\n", "chunks"),
    "a chunk's signed size": (CHUNKED + b"+2\r\nok\r\n0\r\n\r\n", "chunks"),
    "a chunk's negative size": (CHUNKED + b"-2\r\nok\r\n0\r\n\r\n", "chunks"),
    "a chunk's size in words": (CHUNKED + b"two\r\nok\r\n0\r\n\r\n", "chunks"),
    "a chunk's enormous size": (CHUNKED + b"ffffffffffffffffff\r\nok\r\n", "chunks"),
    "a chunk longer than it says": (CHUNKED + b"2\r\nokok\r\n0\r\n\r\n", "chunks"),
    "a chunk's bare line feed": (CHUNKED + b"2\nok\r\n0\r\n\r\n", "chunks"),
    "a chunk's endless extension": (CHUNKED + b"2;" + b"a" * 9000 + b"\r\nok\r\n0\r\n\r\n", "chunks"),
    "a folded trailer": (CHUNKED + b"2\r\nok\r\n0\r\nX: y\r\n z\r\n\r\n", "chunks"),
    "trailers without end": (CHUNKED + b"0\r\n" + b"X: y\r\n" * 9999, "head-too-large"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_an_answer_that_is_not_to_be_understood(name: str) -> None:
    answer, reason = MALFORMED[name]
    with scripted_server(repeating(answer)) as server:
        with failing("parse", reason, sent=True):
            fetch(server)
        # And its connection is not used again.
        with failing("parse", reason, sent=True):
            fetch(server)
        assert server.connections == 2


def test_a_length_that_is_said_twice_alike_is_one() -> None:
    with scripted_server(once(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok")) as server:
        assert fetch(server)[1] == b"ok"


def test_interim_answers_are_passed_over() -> None:
    with scripted_server(
        repeating(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\n" + OK)
    ) as server:
        reply, body = fetch(server)
        assert (reply.status, reply.headers, body) == (200, [("Content-Length", "2")], b"ok")
        assert fetch(server)[1] == b"ok"
        assert server.connections == 1


def test_a_redirect_is_handed_up_and_not_followed() -> None:
    away = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/\r\nContent-Length: 0\r\n\r\n"
    with scripted_server(repeating(away)) as server:
        reply, body = fetch(server)
    assert (reply.status, body) == (302, b"")
    assert reply.header("Location") == "http://169.254.169.254/latest/meta-data/"
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "method, answer",
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nETag: a\r\n\r\n"),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_answers_without_a_body(method: str, answer: bytes) -> None:
    with scripted_server(repeating(answer)) as server:
        for _ in range(3):
            assert fetch(server, Request(method, "/"))[1] == b""
        assert server.connections == 1


@pytest.mark.parametrize(
    "answer, body",
    [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\n",
            b"hello",
        ),
        (b"HTTP/1.1 200\r\nConnection: close\r\n\r\nhello", b"hello"),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", b"hello"),
    ],
)
def test_bodies_without_a_length(answer: bytes, body: bytes) -> None:
    with scripted_server(once(answer)) as server:
        assert fetch(server)[1] == body


def test_other_systems_are_not_disturbed(silent_port: int) -> None:
    """While one upstream keeps eight threads waiting, another one answers as fast as ever."""

    def wait() -> None:
        with failing("first-byte", "slow", sent=True, slow=True):
            fetch(silent_port)

    slow = [threading.Thread(target=wait) for _ in range(8)]
    with scripted_server(repeating(OK)) as server:
        fetch(server)
        for thread in slow:
            thread.start()
        began = time.monotonic()
        for _ in range(50):
            fetch(server)
        assert_within(0.5, began)
        for thread in slow:
            thread.join()
        assert server.connections == 1


# ------------------------------------------------------------------------------------- kept connections


def test_a_connection_is_kept_only_when_its_answer_was_read_whole() -> None:
    with scripted_server(repeating(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000)) as server:
        target = Target.of(server.url)
        fetch(target)
        fetch(target)
        assert server.connections == 1
        reply = send(target, GET, QUICK)
        next(reply.chunks())
        reply.close()
        reply.close()
        fetch(target)
        assert server.connections == 2


def test_an_answer_that_is_still_being_read_lends_its_connection_to_nobody() -> None:
    with scripted_server(repeating(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")) as server:
        target = Target.of(server.url)
        first, second = send(target, GET, QUICK), send(target, GET, QUICK)
        assert (first.read(), second.read(), server.connections) == (b"hello", b"hello", 2)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
def test_a_connection_that_is_to_be_closed_is_not_kept(answer: bytes) -> None:
    with scripted_server(repeating(answer)) as server:
        fetch(server)
        fetch(server)
        assert server.connections == 2


def test_a_connection_that_was_closed_meanwhile_is_not_used() -> None:
    with scripted_server(once(OK)) as server:
        target = Target.of(server.url)
        for _ in range(3):
            assert fetch(target, Request("POST", "/", body=b"once"))[1] == b"ok"
            time.sleep(0.1)
        assert (server.connections, len(server.asked)) == (3, 3)


def closing_on_the_second(peer: Peer) -> None:
    """Answers one request on each connection; closes on the next one only when it has it."""
    peer.request()
    peer.send(OK)
    peer.request()


def test_a_safe_request_goes_again_when_its_connection_was_stale() -> None:
    with scripted_server(closing_on_the_second) as server:
        target = Target.of(server.url)
        assert [fetch(target)[1] for _ in range(3)] == [b"ok"] * 3
        assert (server.connections, len(server.asked)) == (3, 5)


@pytest.mark.parametrize(
    "question",
    [
        Request("POST", "/", body=b"once"),
        Request("POST", "/"),
        Request("PUT", "/", body=io.BytesIO(b"once"), length=4),
        Request("DELETE", "/"),
        Request("GET", "/", body=io.BytesIO(b"once"), length=4),
    ],
    ids=["post", "empty post", "streamed put", "delete", "get whose body is gone"],
)
def test_unsafe_request_that_may_have_arrived_is_not_repeated(question: Request) -> None:
    with scripted_server(closing_on_the_second) as server:
        target = Target.of(server.url)
        fetch(target)
        with failing("first-byte", "closed", sent=True):
            fetch(target, question)
        assert (server.connections, len(server.asked)) == (1, 2)


def test_a_fresh_connection_that_breaks_is_not_tried_again() -> None:
    with scripted_server(once(b"")) as server, failing("first-byte", "closed", sent=True):
        fetch(server)
    assert server.connections == 1


def test_a_stale_answer_that_has_begun_is_none() -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(OK)
        peer.request()
        peer.send(b"HTTP/1.1 2")

    with scripted_server(script) as server:
        target = Target.of(server.url)
        fetch(target)
        with failing("first-byte", "closed", sent=True):
            fetch(target)


def test_idle_connections_are_bounded_and_grow_old(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_server(repeating(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")) as server:
        target = Target.of(server.url)
        for reply in [send(target, GET, QUICK) for _ in range(pool.MAX_IDLE + 5)]:
            reply.read()
        assert len(target.origin.idle) == pool.MAX_IDLE
        monkeypatch.setattr(pool, "IDLE_SECONDS", 0.05)
        time.sleep(0.1)
        target.origin.close_idle()
        assert not target.origin.idle
        fetch(target)
        time.sleep(0.1)
        # Nor is one taken that nobody has swept yet.
        assert target.origin.acquire() is None
        monkeypatch.setattr(pool, "IDLE_SECONDS", 30.0)
        monkeypatch.setattr(pool, "MAX_AGE_SECONDS", 0.0)
        fetch(target)
        assert not target.origin.idle


def test_sweeper_closes_idle_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(OK)
        peer.wait()
        gone.set()

    monkeypatch.setattr(pool, "IDLE_SECONDS", 0.2)
    with scripted_server(script) as server:
        target = Target.of(server.url)
        pool.sweeper.reset_after_fork()
        fetch(target)
        assert gone.wait(3)
        assert not target.origin.idle


def test_targets_of_one_host_share_their_connections() -> None:
    with scripted_server(repeating(OK)) as server:
        first, second = Target.of(f"{server.url}/a/"), Target.of(f"{server.url}/b?c=d")
        assert (first.base, second.base, second.query) == ("/a", "/b", "c=d")
        fetch(first)
        fetch(second)
        assert server.connections == 1
        other = Target.of(f"http://localhost:{server.port}")
        assert other.origin is not first.origin


def test_a_target_that_is_gone_leaves_no_connection() -> None:
    gone = threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(OK)
        peer.wait()
        gone.set()

    with scripted_server(script) as server:
        fetch(Target.of(server.url))
        assert not _targets
        assert gone.wait(3)


def test_a_forked_child_leaves_the_parents_connections_alone() -> None:
    with scripted_server(repeating(OK)) as server:
        target = Target.of(server.url)
        fetch(target)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if not target.origin.idle and fetch(target)[1] == b"ok" else 2
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert server.connections == 2
        fetch(target)
        # The parent's is still the one it was.
        assert server.connections == 2


def test_many_threads_at_once() -> None:
    def script(peer: Peer) -> None:
        while asked := peer.request():
            word = asked.line.split()[1].encode()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(word), word))

    wrong: list[str] = []
    with scripted_server(script) as server:
        target = Target.of(server.url)

        def work(name: int) -> None:
            for turn in range(100):
                path = f"/{name}/{turn}"
                if fetch(target, Request("GET", path), Limits())[1] != path.encode():
                    wrong.append(path)

        threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert server.connections <= 16
        assert len(server.asked) == 800


# ---------------------------------------------------------------------------------------- what is sent


@pytest.mark.parametrize("length", [None, 300_000], ids=["chunked", "length"])
def test_a_body_is_streamed(length: int | None) -> None:
    body = os.urandom(300_000)
    with scripted_server(repeating(OK)) as server:
        for _ in range(2):
            fetch(server, Request("POST", "/", body=io.BytesIO(body), length=length))
        assert server.connections == 1
    asked = server.asked[0]
    assert asked.body == body
    assert asked.header("Content-Length") == ([] if length is None else ["300000"])
    assert asked.header("Transfer-Encoding") == (["chunked"] if length is None else [])


@pytest.mark.parametrize(
    "method, body, lengths",
    [("POST", b"", ["0"]), ("POST", None, ["0"]), ("PUT", b"ab", ["2"]), ("GET", None, []), ("DELETE", None, [])],
)
def test_the_length_is_said(method: str, body: bytes | None, lengths: list[str]) -> None:
    with scripted_server(repeating(OK)) as server:
        fetch(server, Request(method, "/", body=body))
    assert server.asked[0].header("Content-Length") == lengths


class Breaking:
    def __init__(self, error: Exception | None, first: bytes = b"x" * 100) -> None:
        self.pieces = [first]
        self.error = error

    def read(self, size: int, /) -> bytes:
        if self.pieces:
            return self.pieces.pop()
        if self.error:
            raise self.error
        return b""


@pytest.mark.parametrize("length", [None, 300], ids=["chunked", "length"])
def test_a_body_that_breaks_off(length: int | None) -> None:
    def script(peer: Peer) -> None:
        peer.head()
        peer.wait()
        peer.link.recv(1000)

    with scripted_server(script) as server:
        with failing("write", "caller", sent=True):
            fetch(server, Request("POST", "/", body=Breaking(OSError("of the caller")), length=length))
        # A Fault says itself what it is.
        with pytest.raises(Fault) as caught:
            fetch(server, Request("POST", "/", body=Breaking(Fault(faults.UPSTREAM_BUSY)), length=length))
        assert caught.value.kind is faults.UPSTREAM_BUSY
        # Neither connection is used again: half a request is on it.
        wait_until(lambda: server.connections == 2, 2, "the second connection")


def test_a_body_that_ends_early_is_no_whole_request() -> None:
    with scripted_server(repeating(OK)) as server:
        with failing("write", "caller", sent=True):
            fetch(server, Request("POST", "/", body=Breaking(None), length=300))
        with failing("write", "caller", sent=True):
            fetch(server, Request("POST", "/", body=Breaking(None, b"x" * 70_000), length=300))
        assert fetch(server)[1] == b"ok"


def test_a_body_over_the_cap() -> None:
    with scripted_server(repeating(OK)) as server:
        with failing("write", "too-large", sent=False):
            fetch(server, Request("POST", "/", body=b"x" * 1_000_001))
        with failing("write", "too-large", sent=True):
            fetch(server, Request("POST", "/", body=io.BytesIO(b"x" * 1_000_001)))


@pytest.mark.parametrize("length", [None, 300], ids=["chunked", "length"])
def test_a_caller_that_drips_is_not_the_upstreams_fault(length: int | None) -> None:
    class Dripping:
        def read(self, size: int, /) -> bytes:
            time.sleep(0.1)
            return b"x"

    with scripted_server(repeating(OK)) as server, failing("write", "caller", sent=True, slow=True):
        fetch(server, Request("POST", "/", body=Dripping(), length=length))


class Endless:
    def __init__(self) -> None:
        self.count = 0

    def read(self, size: int, /) -> bytes:
        self.count += size
        time.sleep(0.001)
        return b"x" * size


@pytest.mark.parametrize("closes", [True, False], ids=["and closes", "and waits"])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_an_upstream_that_refuses_before_it_has_the_whole_body(closes: bool, secure: bool, trusted: Trusted) -> None:
    def script(peer: Peer) -> None:
        peer.head()
        peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        if not closes:
            while peer.link.recv(65536):
                pass
        peer.link.shutdown(socket.SHUT_WR)
        time.sleep(0.5)

    body = Endless()
    with scripted_server(script, trusted.server("127.0.0.1") if secure else None) as server:
        question = Request("POST", "/", body=body, length=500_000_000)
        target = trusted.target(server) if secure else Target.of(server.url)
        reply, answer = fetch(target, question, Limits(total=5, max_body_bytes=10**9))
        assert (reply.status, answer) == (413, b"no")
        assert body.count < 50_000_000
        assert not target.origin.idle


def test_an_interim_answer_does_not_end_the_request() -> None:
    def script(peer: Peer) -> None:
        head = peer.head()
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        left = int(re.findall(rb"Content-Length: (\d+)", head)[0])
        while left:
            left -= len(peer._file.read1(65536))
        peer.send(OK)

    with scripted_server(script) as server:
        body = io.BytesIO(b"x" * 3_000_000)
        assert fetch(server, Request("POST", "/", body=body, length=3_000_000), Limits())[1] == b"ok"


def test_an_upstream_that_does_not_take_the_body(silent_port: int) -> None:
    with failing("write", "slow", sent=True, slow=True):
        question = Request("POST", "/", body=io.BytesIO(b"x" * 50_000_000), length=50_000_000)
        fetch(silent_port, question, Limits(0.6, 0.6, 1.2, 10**9))


@pytest.mark.parametrize(
    "question",
    [
        Request("GET", "/a b"),
        Request("GET", "/a\r\nX: y"),
        Request("GET", "/\n"),
        Request("GET", "a"),
        Request("GET", ""),
        Request("GET", "/\u0100"),
        Request("GET", "/a#b"),
        Request("GET", "/\x7f"),
        Request("GET", "/ HTTP/1.1\r\nHost: evil\r\n\r\nGET /"),
        Request("GET", "http://evil/"),
        Request("GET /x HTTP/1.1\r\nX:", "/"),
        Request("", "/"),
        Request("GE\tT", "/"),
        Request("GET", "/", [("X", "a\r\nContent-Length: 5")]),
        Request("GET", "/", [("X", "a\nb")]),
        Request("GET", "/", [("X", "a\rb")]),
        Request("GET", "/", [("X", "a\0b")]),
        Request("GET", "/", [("X", "\x7f")]),
        Request("GET", "/", [("X: y\r\nZ", "a")]),
        Request("GET", "/", [("X ", "a")]),
        Request("GET", "/", [("", "a")]),
        Request("GET", "/", [("X", "\u0100")]),
        Request("GET", "/", [("X\u0100", "a")]),
    ],
)
def test_nothing_is_smuggled_in_by_a_value(question: Request) -> None:
    with scripted_server(repeating(OK)) as server, failing("write", "malformed", sent=False):
        fetch(server, question)
    assert server.connections == 0


def test_framing_headers_of_the_caller_are_replaced() -> None:
    foreign = [
        ("Content-Length", "99"),
        ("transfer-encoding", "chunked"),
        ("Host", "evil"),
        ("Connection", "X-A, close"),
        ("Expect", "100-continue"),
        ("TE", "trailers"),
        ("Upgrade", "h2c"),
        ("X-A", "stays"),
    ]
    with scripted_server(repeating(OK)) as server:
        fetch(server, Request("POST", "/", foreign, body=b"ab"))
    assert (
        server.asked[0].head
        == (f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nX-A: stays\r\nContent-Length: 2\r\n\r\n").encode()
    )


# ------------------------------------------------------------------------------------------ addresses


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a/",
        "http://",
        "http:///a",
        "http://a@b/",
        "http://a:b@c/",
        "http://a:99999/",
        "http://a:x/",
        "http://a\r\nb/",
        "http://a b/",
        "http://a/b c",
        "http://a/\r\n",
        "http://[::1",
        "http://[fe80::1%25eth0]/",
        "//a/",
        "a",
        "",
        "http://" + "a" * 70 + ".id/",
        "http://a..b/",
        "file:///etc/passwd",
        "http://a/\u0100",
    ],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ValueError, match=r"^address$"):
        Target.of(url)
    # What cannot be called is refused when it is entered.
    with pytest.raises(ValidationError):
        validate_url(url)


@pytest.mark.parametrize(
    "url, authority, base",
    [
        ("http://Layanan.Contoh.go.id/api/", "layanan.contoh.go.id", "/api"),
        ("https://a:443", "a", ""),
        ("https://a:8443/", "a:8443", ""),
        ("http://a:443/x", "a:443", "/x"),
        ("http://[::1]:8080/x", "[::1]:8080", "/x"),
        ("http://kementerian-é.id/", "xn--kementerian--meb.id", ""),
    ],
)
def test_addresses(url: str, authority: str, base: str) -> None:
    target = Target.of(url)
    assert (target.authority, target.base) == (authority, base)


PUBLIC = ["8.8.8.8", "10.0.0.1", "192.168.1.1", "172.16.0.1", "2001:4860:4860::8888", "fd00::1"]
SPECIAL = [
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.0.1",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "100::1",
    "4000::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0.0.0.0",  # IPv4-mapped
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",  # NAT64
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",  # 6to4
    "2001:0:a9fe:a9fe::",
    "2001:0:808:808:0:0:80ff:fffe",  # Teredo: its server, and its client's address inverted
    "::127.0.0.1",
    "::a9fe:a9fe",  # IPv4-compatible
]


@pytest.mark.parametrize("address", PUBLIC)
def test_any_address_is_allowed_where_nothing_is_said(address: str) -> None:
    assert Networks([]).allow(address)
    assert Networks(["0.0.0.0/0", "::/0"]).allow(address)


@pytest.mark.parametrize("address", SPECIAL)
@pytest.mark.parametrize("entries", [[], ["0.0.0.0/0", "::/0"], ["10.0.0.0/8"]], ids=["nothing", "all", "some"])
def test_special_addresses_are_not(address: str, entries: list[str]) -> None:
    assert not Networks(entries).allow(address)


@pytest.mark.parametrize(
    "entries, address, allowed",
    [
        (["127.0.0.0/8"], "127.0.0.1", True),
        (["127.0.0.1"], "127.0.0.1", True),
        (["127.0.0.1"], "127.0.0.2", False),
        (["127.0.0.0/8"], "::ffff:127.0.0.1", True),
        (["127.0.0.0/8"], "64:ff9b::7f00:1", True),
        (["127.0.0.0/8"], "2002:7f00:1::", True),
        (["127.0.0.0/8"], "8.8.8.8", False),
        (["127.0.0.0/8"], "169.254.169.254", False),
        (["::1/128"], "::1", True),
        (["::1/128"], "127.0.0.1", False),
        (["fe80::/10"], "fe80::1%eth0", True),
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.0.0.0/8"], "11.1.2.3", False),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", True),
        (["10.0.0.0/8", "!10.1.0.0/16"], "10.1.2.3", False),
        (["10.0.0.0/8", "!10.1.0.0/16"], "::ffff:10.1.2.3", False),
        (["10.0.0.0/8", "!10.1.0.0/16"], "64:ff9b::10.1.2.3", False),
        (["10.0.0.0/8", "! 10.1.0.0/16"], "10.2.2.3", True),
        (["!10.0.0.0/8"], "8.8.8.8", True),
        (["!10.0.0.0/8"], "10.0.0.1", False),
        (["!64:ff9b::/96"], "64:ff9b::8.8.8.8", False),
        ([], "64:ff9b::8.8.8.8", True),
        ([], "nonsense", False),
    ],
)
def test_the_operators_networks(entries: list[str], address: str, allowed: bool) -> None:
    assert Networks(entries).allow(address) is allowed


@pytest.mark.parametrize("text", ["10.0.0.0/33", "contoh.go.id", "!", "10.0.0.0/8;11.0.0.0/8"])
def test_networks_that_are_none_stop_the_bus_from_starting(text: str) -> None:
    environment = {**os.environ, "MANTRA_UPSTREAM_NETWORKS": f"10.0.0.0/8, {text}"}
    command = [sys.executable, "-c", "import mantra.settings"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert (
        ended.stderr.strip()
        .splitlines()[-1]
        .startswith("django.core.exceptions.ImproperlyConfigured: MANTRA_UPSTREAM_NETWORKS must list networks")
    )


def test_a_forbidden_address_is_not_called(settings: Any) -> None:
    settings.UPSTREAM_NETWORKS = []
    with scripted_server(repeating(OK)) as server:
        for host in ("127.0.0.1", "localhost", "2130706433", "127.1", "0x7f.1", "0", "[::ffff:127.0.0.1]"):
            with failing("address", "forbidden", sent=False):
                fetch(Target.of(f"http://{host}:{server.port}/"))
        settings.UPSTREAM_NETWORKS = ["127.0.0.0/8"]
        fetch(Target.of(f"http://127.1:{server.port}/"))
        assert server.connections == 1


class Resolver:
    """Stands in the place of the network's resolver: that cannot be made to lie."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.real = socket.getaddrinfo
        self.delay = 0.0

    def __call__(self, host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        if not host.endswith("contoh.go.id"):
            return self.real(host, port, *args, **kwargs)
        time.sleep(self.delay)
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not answer:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return [
            (socket.AF_INET6 if ":" in text else socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, port))
            for text in answer
        ]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Resolver]:
    def made(*answers: list[str]) -> Resolver:
        found = Resolver(*answers)
        monkeypatch.setattr(socket, "getaddrinfo", found)
        return found

    return made


def test_the_address_that_was_judged_is_the_one_that_is_called(
    resolver: Callable[..., Resolver], settings: Any
) -> None:
    settings.UPSTREAM_NETWORKS = ["127.0.0.0/8", "!127.0.0.1"]
    # Fine when it is looked at, the forbidden one ever after.
    names = resolver(["127.0.0.2"], ["127.0.0.1"])
    with scripted_server(repeating(OK)) as server:
        target = Target.of(f"http://hulu.contoh.go.id:{server.port}/")
        with failing("connect", "refused", sent=False):
            fetch(target)
        assert (names.asked, server.connections) == (1, 0)
        with failing("address", "forbidden", sent=False):
            fetch(target)
        assert (names.asked, server.connections) == (2, 0)


def test_of_several_addresses_those_that_are_allowed_are_tried_in_turn(
    resolver: Callable[..., Resolver], settings: Any
) -> None:
    names = resolver(["169.254.169.254", "127.0.0.9", "::ffff:169.254.169.254", "127.0.0.1"])
    with scripted_server(repeating(OK)) as server:
        target = Target.of(f"http://hulu.contoh.go.id:{server.port}/")
        assert fetch(target)[1] == b"ok"
        assert names.asked == 1
        assert server.asked[0].header("Host") == [f"hulu.contoh.go.id:{server.port}"]


def test_an_address_that_hangs_leaves_time_for_the_next(resolver: Callable[..., Resolver], full_port: int) -> None:
    with socket.create_server(("127.0.0.2", full_port)) as listener:
        resolver(["127.0.0.1", "127.0.0.2"])
        threading.Thread(target=lambda: listener.accept()[0].sendall(OK), daemon=True).start()
        assert fetch(Target.of(f"http://hulu.contoh.go.id:{full_port}/"))[1] == b"ok"


def test_a_name_that_nobody_knows(resolver: Callable[..., Resolver]) -> None:
    resolver([])
    with failing("dns", "unknown", sent=False):
        fetch(Target.of("http://hulu.contoh.go.id/"))


def test_a_resolver_that_hangs(resolver: Callable[..., Resolver]) -> None:
    names = resolver(["127.0.0.1"])
    names.delay = 1.5
    with scripted_server(repeating(OK)) as server:
        target = Target.of(f"http://hulu.contoh.go.id:{server.port}/")
        failures: list[UpstreamError] = []

        def work() -> None:
            with pytest.raises(UpstreamError) as caught:
                fetch(target)
            failures.append(caught.value)

        threads = [threading.Thread(target=work) for _ in range(5)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert_within(1.3, began)
        assert {(failed.phase, failed.reason, failed.slow) for failed in failures} == {("dns", "slow", True)}
        time.sleep(1.2)
        # One question for all five.
        assert names.asked == 1
        names.delay = 0
        assert fetch(target)[1] == b"ok"


# -------------------------------------------------------------------------------------------------- TLS


class Trusted:
    """An authority, and servers and clients with its certificates."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.authority = Authority(folder, name)
        self.pem = self.authority.file.read_text()

    def server(self, address: str, days: tuple[int, int] = (-1, 1)) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate, key = self.authority.certificate(address, days)
        context.load_cert_chain(certificate, key)
        return context

    def client(self, name: str = "klien.contoh.go.id") -> str:
        certificate, key = self.authority.certificate(name)
        return key.read_text() + certificate.read_text()

    def target(self, server: ScriptedServer, certificate: str = "", host: str = "127.0.0.1") -> Target:
        return Target.of(f"https://{host}:{server.port}", self.pem, certificate)


@pytest.fixture
def trusted(tmp_path: Path) -> Trusted:
    return Trusted(tmp_path)


def test_tls_with_a_private_authority(trusted: Trusted) -> None:
    with scripted_server(repeating(OK), trusted.server("127.0.0.1")) as server:
        target = trusted.target(server)
        for _ in range(3):
            assert fetch(target)[1] == b"ok"
        assert server.connections == 1


def test_the_name_is_verified_and_told(trusted: Trusted, resolver: Callable[..., Resolver]) -> None:
    resolver(["127.0.0.1"])
    context = trusted.server("hulu.contoh.go.id")
    told: list[str | None] = []
    context.sni_callback = lambda link, name, _: told.append(name)
    with scripted_server(repeating(OK), context) as server:
        assert fetch(trusted.target(server, host="hulu.contoh.go.id"))[1] == b"ok"
        with failing("tls", "wrong-name", sent=False):
            fetch(trusted.target(server, host="lain.contoh.go.id"))
        with failing("tls", "wrong-name", sent=False):
            fetch(trusted.target(server))
    assert told == ["hulu.contoh.go.id", "lain.contoh.go.id", None]


@pytest.mark.parametrize(
    "address, days, reason",
    [("127.0.0.2", (-1, 1), "wrong-name"), ("127.0.0.1", (-9, -1), "expired"), ("127.0.0.1", (1, 9), "not-yet-valid")],
)
def test_a_certificate_that_is_not_good(trusted: Trusted, address: str, days: tuple[int, int], reason: str) -> None:
    with scripted_server(repeating(OK), trusted.server(address, days)) as server:
        with failing("tls", reason, sent=False):
            fetch(trusted.target(server))
        assert not server.asked


def test_certificate_of_an_unknown_authority_is_refused(trusted: Trusted, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    stranger = Trusted(tmp_path / "other")
    with scripted_server(repeating(OK), trusted.server("127.0.0.1")) as server:
        with failing("tls", "untrusted", sent=False):
            fetch(Target.of(f"https://127.0.0.1:{server.port}"))
        with failing("tls", "untrusted", sent=False):
            fetch(stranger.target(server))
        assert not server.asked


def test_a_certificate_that_vouches_for_itself(trusted: Trusted) -> None:
    certificate, _ = trusted.authority.certificate("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    with scripted_server(repeating(OK), context) as server:
        # It alone is trusted, not who signed it.
        assert fetch(Target.of(f"https://127.0.0.1:{server.port}", certificate.read_text()))[1] == b"ok"
        with failing("tls", "untrusted", sent=False):
            fetch(Target.of(f"https://127.0.0.1:{server.port}"))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate(trusted: Trusted, tmp_path: Path, version: ssl.TLSVersion) -> None:
    context = trusted.server("127.0.0.1")
    context.maximum_version = context.minimum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(trusted.authority.file)
    (tmp_path / "other").mkdir()
    stranger = Trusted(tmp_path / "other", "other").client()
    # Up to TLS 1.2 there is no alert that says that a certificate is missing. TLS 1.3 is finished on our side before
    # the server has looked: our request may be out by then.
    late = version == ssl.TLSVersion.TLSv1_3
    sent = None if late else False
    with scripted_server(repeating(OK), context) as server:
        assert fetch(trusted.target(server, trusted.client()))[1] == b"ok"
        with failing("tls", "client-certificate" if late else "handshake", sent=sent):
            fetch(trusted.target(server))
        with failing("tls", "client-certificate", sent=sent):
            fetch(trusted.target(server, stranger))
        assert len(server.asked) == 1
        wait_until(lambda: len(server.refusals) == 2, 2, "the second refusal")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_an_old_protocol_is_refused(trusted: Trusted) -> None:
    context = trusted.server("127.0.0.1")
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with scripted_server(repeating(OK), context) as server, failing("tls", "broken", sent=False):
        fetch(trusted.target(server))


def test_a_server_that_speaks_no_tls(trusted: Trusted) -> None:
    def script(peer: Peer) -> None:
        peer.link.recv(1000)
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with scripted_server(script) as server, failing("tls", "broken", sent=False):
        fetch(trusted.target(server))


def test_an_answer_over_tls_that_was_cut_is_not_taken_for_whole(trusted: Trusted) -> None:
    """Without a length only TLS's farewell says that the answer has ended."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")

    with scripted_server(script, trusted.server("127.0.0.1")) as server, failing("body", "closed", sent=True):
        fetch(trusted.target(server))


def test_tls_that_drips_is_cut_at_the_deadline(trusted: Trusted) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"
    served = scripted_server(drip(answer), trusted.server("127.0.0.1"))
    with served as server, failing("body", "slow", sent=True, slow=True, within=1.7):
        fetch(trusted.target(server))


def test_certificates_that_are_none() -> None:
    with pytest.raises(ValueError, match=r"^ca-certificate$"):
        Target.of("https://a", "nonsense")
    with pytest.raises(ValueError, match=r"^client-certificate$"):
        Target.of("https://a", "", "nonsense")


def test_a_locked_key_asks_nobody_for_its_password(trusted: Trusted) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(trusted.client().encode(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"rahasia"),
    ).decode()
    # Without the key that is not locked: one time in 256 OpenSSL takes the wrong password for right, and reads on.
    certificate = trusted.client()[trusted.client().index("-----BEGIN CERTIFICATE-----") :]
    assert "PRIVATE KEY" not in certificate
    with pytest.raises(ValueError, match=r"^client-certificate$"):
        Target.of("https://a", "", locked + certificate)


def test_no_key_stays_on_the_disk(trusted: Trusted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    seen: list[int] = []
    real = ssl.SSLContext.load_cert_chain

    def look(self: ssl.SSLContext, file: str, **kwargs: Any) -> None:
        seen.append(Path(file).stat().st_mode & 0o777)
        real(self, file, **kwargs)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", look)
    Target.of("https://a", "", trusted.client())
    assert seen == [0o600]
    assert not list(folder.iterdir())


def test_an_end_within_tls_that_has_no_class_of_its_own_is_known() -> None:
    """Python 3.11.2 raises OpenSSL 3's error as an ssl.SSLError."""
    error = ssl.SSLError(1, "[SSL: UNEXPECTED_EOF_WHILE_READING] unexpected eof while reading")
    error.reason = "UNEXPECTED_EOF_WHILE_READING"
    failed = client._as_upstream_error(error, True, "body")
    assert isinstance(failed, UpstreamError)
    assert (failed.phase, failed.reason) == ("body", "closed")
