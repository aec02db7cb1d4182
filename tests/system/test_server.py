"""The HTTP server by itself: what it takes for a request, how it frames a response, and how it stops and reloads."""

from __future__ import annotations

import errno
import http.client
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.servers.process import answers, ending_with_us, free_port, permit, wait_until
from tests.servers.wire import exchange, read_response

ROOT = Path(settings.BASE_DIR)
sys.path.append(str(ROOT / "deploy"))

from server.bodies import Budget  # noqa: E402
from server.connection import Application, Connection, Server  # noqa: E402
from server.heads import Head, Refused  # noqa: E402
from server.pace import Pace  # noqa: E402
from server.worker import Worker  # noqa: E402

#: An application that says what it was asked, and misbehaves on request.
APPLICATION = r"""
import json, os, time
os.chdir(os.path.dirname(__file__))

class Slow:
    "A body that any thread may go on with."
    resumable = True
    def __init__(self): self.left = 60
    def __iter__(self): return self
    def __next__(self):
        if not self.left: raise StopIteration
        self.left -= 1
        return b"x" * 1_000_000

def broken():
    yield b"half"
    raise RuntimeError

def application(environ, start):
    path = environ["PATH_INFO"]
    if path == "/slow":
        start("200 OK", [])
        return Slow()
    if path == "/wait":
        open("waiting", "x").close()
        while not os.path.exists("go on"):
            time.sleep(0.02)
    if path == "/broken":
        start("200 OK", [])
        return broken()
    if path == "/short":
        start("200 OK", [("Content-Length", "10")])
        return [b"half"]
    if path == "/split":
        start("200 OK", [("X-A", "b\r\nX-B: c")])
        return [b""]
    if path == "/pieces":
        start("200 OK", [])
        return iter([b"a", b"", b"b" * 100_000, b"c"])
    said = {name: value for name, value in environ.items() if isinstance(value, str)}
    said["body"] = environ["wsgi.input"].read().decode() if path != "/unread" else ""
    said["pid"] = os.getpid()
    body = json.dumps(said).encode()
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return (body,)
"""


@contextmanager
def served(folder: Path, **environment: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Gunicorn as ./run starts it, over this application, with two threads: its port, and the process."""
    port = free_port()
    (folder / "said.py").write_text(APPLICATION)
    variables = {"BIND": f"127.0.0.1:{port}", "WEB_THREADS": "2", "MANTRA_EMBEDDED": "0", "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "deploy" / "gunicorn.conf.py")]
    permit("gunicorn")
    process = subprocess.Popen(
        ending_with_us([*command, "said:application"]), cwd=ROOT, env=os.environ | variables | environment
    )
    try:
        wait_until(lambda: answers(port), 20, "gunicorn")
        yield port, process
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with served(tmp_path_factory.mktemp("said")) as (port, _process):
        yield port


def said(port: int, request: bytes) -> dict[str, str]:
    """What the application was asked."""
    found = exchange(port, request)
    head, _, body = found.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), found
    answer: dict[str, str] = json.loads(body)
    return answer


def get(target: bytes, fields: bytes = b"") -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + fields + b"\r\n"


# -------------------------------------------------------------------------------------- requests


@pytest.mark.parametrize(
    ("target", "raw", "path", "query"),
    [
        (b"/a%2Fb//c;d?q=1&q=%20", "/a%2Fb//c;d?q=1&q=%20", "/a/b//c;d", "q=1&q=%20"),
        (b"//a", "//a", "//a", ""),
        (b"http://x/a/b?c", "http://x/a/b?c", "/a/b", "c"),
        (b"http://x", "http://x", "/", ""),
        (b"/\xc3\xa9?n=\xc3\xa9", "/%C3%A9?n=%C3%A9", "/\xc3\xa9", "n=%C3%A9"),
        (b"/a?b?c", "/a?b?c", "/a", "b?c"),
    ],
)
def test_the_target_is_as_it_came(port: int, target: bytes, raw: str, path: str, query: str) -> None:
    found = said(port, get(target))
    assert (found["RAW_URI"], found["PATH_INFO"], found["QUERY_STRING"]) == (raw, path, query)


def test_names_with_an_underscore_are_taken_for_no_other(port: int) -> None:
    found = said(port, get(b"/", b"Access_Key: a\r\nAccess-Key: b\r\nX_A: c\r\n"))
    assert found["HTTP_ACCESS_KEY"] == "b"
    assert "HTTP_X_A" not in found


def test_a_header_that_comes_twice_is_joined(port: int) -> None:
    assert said(port, get(b"/", b"X-A: a\r\nX-A:\tb \r\n"))["HTTP_X_A"] == "a,b"


def test_who_comes_through_no_proxy_of_ours_chooses_no_scheme(port: int) -> None:
    found = said(port, get(b"/", b"X-Forwarded-Proto: https\r\nScript-Name: /x\r\n"))
    assert (found["wsgi.url_scheme"], found["SCRIPT_NAME"]) == ("http", "")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: \x01\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nExpect: something\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 65 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 140_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 33_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"FETCH / HTTP/1.1\r\nHost: x\r\n\r\n", 501),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n", 501),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET /\r\n\r\n", 505),
        (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 400),
    ],
)
def test_what_is_no_request_is_refused(port: int, request_: bytes, status: int) -> None:
    found = exchange(port, request_)
    assert found.startswith(b"HTTP/1.1 %d " % status)
    assert b"application/problem+json" in found and b"\r\nConnection: close\r\n" in found
    assert found.count(b"HTTP/1.1 ") == 1


def test_a_small_body_is_asked_for_where_its_sender_waits(port: int) -> None:
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as caller:
        caller.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert caller.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        caller.sendall(b"ok")
        assert b'"body": "ok"' in read_response(caller, "POST")[1]


@pytest.mark.parametrize("size", [1, 262_144, 262_145, 1_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_arrive_whole_and_the_connection_goes_on(port: int, size: int, chunked: bool) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        for _ in range(2):
            body = b"z" * size
            connection.request("POST", "/", iter([body]) if chunked else body, encode_chunked=chunked)
            answer = connection.getresponse()
            assert answer.read().count(b"z") >= size
            assert answer.getheader("Connection") == "keep-alive"


def test_an_unread_body_ends_the_connection_and_not_the_response(port: int) -> None:
    found = exchange(port, b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 600000\r\n\r\n" + b"x" * 400_000)
    assert b"\r\nConnection: close\r\n" in found and found.endswith(b"}")


def test_chunks_may_be_split_anywhere() -> None:
    """The end of the body is found whatever the pieces in which it comes, and what follows is left."""
    source = random.Random(1)
    for _ in range(2000):
        body, wire = b"", b""
        for _ in range(source.randint(0, 4)):
            chunk = bytes(source.choice(b"\r\n0ab") for _ in range(source.randint(1, 12)))
            body += chunk
            wire += b"%x\r\n%b\r\n" % (len(chunk), chunk)
        wire += b"0\r\n" + source.choice([b"", b"A: b\r\n", b"A: b\r\nB: 0\r\n"]) + b"\r\n"
        after = source.choice([b"", b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n"])
        head = Head(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", {})
        data, rest = wire + after, b""
        while data:
            size = source.randint(1, len(data))
            piece, data = data[:size], data[size:]
            rest += piece if head.ended else head.feed_chunks(piece)
        assert (head.ended, bytes(head.body), rest) == (True, body, after)


def test_a_name_that_nobody_uses_fills_no_memory() -> None:
    from server import heads

    for number in range(3 * heads._MAX_NAMES):
        Head(b"GET / HTTP/1.1\r\nX-%d: a\r\n\r\n" % number, {})
    assert len(heads._names) <= heads._MAX_NAMES


def test_a_byte_that_no_header_may_have_is_refused() -> None:
    with pytest.raises(Refused):
        Head(b"GET / HTTP/1.1\r\nX: \x00\r\n\r\n", {})


# -------------------------------------------------------------------------------------- responses


def test_a_body_of_unknown_length_comes_in_chunks(port: int) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        for _ in range(2):
            connection.request("GET", "/pieces")
            answer = connection.getresponse()
            assert answer.getheader("Transfer-Encoding") == "chunked"
            assert answer.read() == b"a" + b"b" * 100_000 + b"c"
        connection.request("HEAD", "/pieces")
        assert connection.getresponse().read() == b""


def test_to_http_1_0_the_end_of_the_connection_is_the_end(port: int) -> None:
    found = exchange(port, b"GET /pieces HTTP/1.0\r\n\r\n")
    assert found.endswith(b"bc") and b"chunked" not in found


@pytest.mark.parametrize("path", ["/broken", "/short"])
def test_a_broken_response_never_looks_whole(port: int, path: str) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", path)
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            connection.getresponse().read()


def test_to_http_1_0_a_broken_response_is_a_reset_connection(port: int) -> None:
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as caller:
        caller.sendall(b"GET /broken HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionError):
            read_to_end(caller)


def read_to_end(caller: socket.socket) -> None:
    while caller.recv(65536):
        pass


def test_a_header_that_would_be_two_is_none(port: int) -> None:
    found = exchange(port, get(b"/split"))
    assert found.startswith(b"HTTP/1.1 500 ") and b"X-B" not in found


def test_readers_who_stop_hold_no_thread(port: int) -> None:
    """Ten responses of 60 MB wait for their readers, in a process with two threads."""
    with ExitStack() as held:
        for _ in range(10):
            caller = held.enter_context(closing(socket.create_connection(("127.0.0.1", port), timeout=20)))
            caller.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            assert caller.recv(10)
        for _ in range(5):
            assert said(port, get(b"/"))["body"] == ""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", "/slow")
        assert len(connection.getresponse().read()) == 60_000_000


def test_hundreds_of_silent_connections_delay_nobody(port: int) -> None:
    with ExitStack() as held:
        for _ in range(900):
            caller = held.enter_context(closing(socket.create_connection(("127.0.0.1", port), timeout=20)))
            caller.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            read_response(caller)
        began = time.monotonic()
        said(port, get(b"/"))
        assert time.monotonic() - began < 5


# -------------------------------------------------------------------------------------- the process


def test_a_reload_and_a_stop_lose_no_call(tmp_path: Path) -> None:
    failed: list[object] = []
    pids: set[str] = set()
    stop = threading.Event()

    def calls() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        while not stop.is_set():
            try:
                connection.request("GET", "/")
                pids.add(connection.getresponse().read().decode().rpartition("pid")[2])
            except Exception as error:
                failed.append(error)
                connection.close()

    with served(tmp_path, WEB_THREADS="4") as (port, process):
        threads = [threading.Thread(target=calls) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(pids) == 1, 20, "calls")
        for number in (2, 3):
            process.send_signal(signal.SIGHUP)
            wait_until(lambda: len(pids) >= number, 20, "the next process")  # noqa: B023
        stop.set()
        for thread in threads:
            thread.join()
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as waiting:
            waiting.request("GET", "/wait")
            wait_until((tmp_path / "waiting").exists, 20, "the call")
            process.terminate()
            wait_until(lambda: not answers(port), 20, "the listener's end")
            (tmp_path / "go on").touch()
            answer = waiting.getresponse()
            assert (answer.status, answer.getheader("Connection")) == (200, "close")
            assert answer.read()
        process.wait(20)
    assert failed == []


# ------------------------------------------------------------- one connection, and the threads that would serve it


class Ends:
    """A connection without a server around it: the caller's end, and what threads would be told of it."""

    def __init__(self, application: Application) -> None:
        self.caller, served = socket.socketpair()
        served.setblocking(False)
        self.caller.settimeout(5)
        self.woken: list[int] = []
        self.connections: dict[int, Connection] = {}
        budget, pace = Budget(1_000_000), Pace()
        server = Server(application, pace, 75, False, budget, self.connections, self.woken.append)
        self.connection = self.connections[served.fileno()] = Connection(served, {}, server)

    def received(self) -> bytes:
        """What the caller has got by now."""
        data = b""
        self.caller.setblocking(False)
        with suppress(BlockingIOError, ConnectionResetError):
            while piece := self.caller.recv(65536):
                data += piece
        return data


@contextmanager
def ends(application: Application) -> Iterator[Ends]:
    both = Ends(application)
    try:
        yield both
    finally:
        both.caller.close()
        both.connection.ready(True)


def asked(target: bytes) -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n"


def greet(environ: dict[str, Any], start: Any) -> tuple[bytes]:
    start("200 OK", [("X-Path", environ["PATH_INFO"])])
    return (b"halo",)


def test_a_caller_who_ends_its_side_with_the_request_is_let_go() -> None:
    """The kernel tells of both at once, and only once."""
    with ends(greet) as both:
        both.caller.sendall(asked(b"/a"))
        both.caller.shutdown(socket.SHUT_WR)
        both.connection.ready(True)
        assert b"halo" in both.received()
        for _ in both.woken:
            both.connection.ready()
        assert not both.connections


def test_who_sends_many_requests_at_once_waits_its_turn() -> None:
    with ends(greet) as both:
        both.caller.sendall(asked(b"/1") + asked(b"/2") + asked(b"/3"))
        for path in (b"/1", b"/2", b"/3"):
            both.connection.ready()
            received = both.received()
            assert received.count(b"X-Path") == 1
            assert b"X-Path: " + path in received
        assert len(both.woken) >= 2


def test_news_that_come_while_a_connection_is_looked_at_are_not_lost() -> None:
    """The connection is no idle one any more: half a request is there, and the rest comes just now."""

    class Interrupted:
        def __init__(self) -> None:
            self.lock, self.waits = threading.Lock(), True

        def acquire(self, blocking: bool) -> bool:
            taken = self.lock.acquire(blocking)
            if taken and self.waits:
                self.waits = False
                both.caller.sendall(b"Host: x\r\n\r\n")
                both.connection.ready()
            return taken

        def release(self) -> None:
            self.lock.release()

    with ends(greet) as both:
        both.caller.sendall(b"GET / HTTP/1.1\r\n")
        both.connection.ready()
        both.connection._lock = Interrupted()  # type: ignore[assignment]
        assert not both.connection.close_idle()
        assert b"halo" in both.received()


def test_an_error_costs_its_connection_and_not_the_thread() -> None:
    def leaves(environ: dict[str, Any], start: Any) -> tuple[bytes]:
        raise SystemExit

    with ends(leaves) as both:
        both.caller.sendall(asked(b"/"))
        both.connection.ready()
        assert both.received() == b""
        assert not both.connections


def test_a_header_that_cannot_be_written_is_a_fault_and_not_silence() -> None:
    def foreign(environ: dict[str, Any], start: Any) -> tuple[bytes]:
        start("200 OK", [("X-A", "\u2713")])
        return (b"",)

    with ends(foreign) as both:
        both.caller.sendall(asked(b"/"))
        both.connection.ready()
        assert both.received().startswith(b"HTTP/1.1 500 ")


def test_the_look_at_times_waits_for_no_end_of_a_response() -> None:
    """It tells the master that the process lives. The end of a response may have to wait for a source."""
    closed: list[str] = []

    class Endless:
        resumable = True

        def __iter__(self) -> Endless:
            return self

        def __next__(self) -> bytes:
            return b"x" * 1_000_000

        def close(self) -> None:
            # The socket's number is still its own: what watches it may just be about to shut it.
            closed.append(threading.current_thread().name if both.connection._socket.fileno() >= 0 else "late")

    def endless(environ: dict[str, Any], start: Any) -> Endless:
        start("200 OK", [])
        return Endless()

    with ends(endless) as both:
        both.caller.sendall(asked(b"/"))
        both.connection.ready()
        both.connection.expire(time.monotonic() + 1e6)
        assert not closed
        thread = threading.Thread(target=both.connection.ready, name="serves")
        thread.start()
        thread.join(5)
        assert closed == ["serves"]
        assert not both.connections


@pytest.mark.parametrize(
    ("begin", "more"),
    [(b"0\r\n", b"a: b\r\n" * 1000), (b"1;", b"x" * 5000), (b"", b"1;" + b"x" * 500 + b"\r\nx\r\n")],
    ids=["trailers", "one extension", "extensions"],
)
def test_what_is_no_content_of_a_body_is_bounded(begin: bytes, more: bytes) -> None:
    head = Head(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", {})
    head.feed_chunks(begin)

    def feed() -> None:
        for _ in range(1000):
            head.feed_chunks(more)

    with pytest.raises(Refused):
        feed()
    assert len(head._fields) == 2


def test_the_smallest_chunks_are_read() -> None:
    head = Head(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", {})
    head.feed_chunks(b"0001\r\nx\r\n" * 100_000 + b"0\r\nX-Sum: 1\r\n\r\n")
    assert head.ended
    assert len(head.body) == 100_000


def test_a_signal_wakes_the_process_once() -> None:
    """Each one leaves a byte in a pipe. As long as it is there, the process never rests."""
    worker = Worker.__new__(Worker)
    worker._connections = {}
    worker.PIPE = os.pipe()
    worker.notify = lambda: None
    try:
        os.write(worker.PIPE[1], b"\x1c")
        worker._round()
        assert not select.select([worker.PIPE[0]], [], [], 0)[0]
    finally:
        for descriptor in worker.PIPE:
            os.close(descriptor)


def test_where_no_descriptor_is_left_a_silent_connection_makes_room() -> None:
    class Full:
        def accept(self) -> None:
            raise OSError(errno.EMFILE, "")

    with ends(greet) as both:
        worker = Worker.__new__(Worker)
        worker._connections = both.connections
        worker._accept(Full())
        assert not both.connections
