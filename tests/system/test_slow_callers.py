"""One caller against all: callers who send, read or close slowly, and who must delay no other."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest
from django.conf import settings

from tests.bounds import assert_within
from tests.servers.process import answers, ending_with_us, free_port, permit, wait_until
from tests.servers.wire import exchange, read_response

ROOT = Path(settings.BASE_DIR)

#: An application that reads every body; /broken ends its response half way.
SMALL = """
def broken():
    yield b"half"
    raise RuntimeError

def application(environ, start):
    environ['wsgi.input'].read()
    if environ['PATH_INFO'] == '/broken':
        start('200 OK', [])
        return broken()
    start('200 OK', [('Content-Length', '2')])
    return [b'ok']
"""


@contextmanager
def served(folder: Path, **environment: str) -> Iterator[int]:
    """Gunicorn as ./run starts it, over a small application, with two threads and little patience: its port."""
    port = free_port()
    (folder / "small.py").write_text(SMALL)
    settings = {"BIND": f"127.0.0.1:{port}", "WEB_THREADS": "2", "WEB_CALLER_SECONDS": "0.4", "MANTRA_EMBEDDED": "0"}
    command = [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "deploy" / "gunicorn.conf.py")]
    permit("gunicorn")
    process = subprocess.Popen(
        ending_with_us([*command, "small:application"]),
        cwd=ROOT,
        env=os.environ | settings | {"PYTHONPATH": str(folder)} | environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: answers(port), 20, "gunicorn")
        yield port
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with served(tmp_path_factory.mktemp("small")) as port:
        yield port


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def assert_served(port: int, seconds: float = 1.0) -> None:
    """Another caller gets a response, soon."""
    began = time.monotonic()
    with closing(connect(port)) as other:
        other.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert read_response(other) == (200, b"ok")
    assert_within(seconds, began)


# -------------------------------------------------------------------------------------- closing


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET / HTTP/1.1\r\nConnection: close",
        b"GET / HTTP/1.0\r\nAccept: */*",
        b"GET /broken HTTP/1.1\r\nConnection: close",
        b"GET /\x00 HTTP/1.1\r\nConnection: close",
    ],
    ids=["close", "1.0", "broken", "malformed"],
)
@pytest.mark.parametrize("reads", [True, False])
def test_b01_a_caller_who_is_slow_to_close_delays_no_other(small: int, request_line: bytes, reads: bool) -> None:
    began = time.monotonic()
    with ExitStack() as held:
        for _ in range(8):
            caller = held.enter_context(connect(small))
            caller.sendall(request_line + b"\r\nHost: x\r\n\r\n")
            if reads:
                while caller.recv(65536):
                    pass
        assert_served(small)
    # One such caller took two seconds, and the next had to wait for it.
    assert_within(2, began)


def test_b01_a_refused_body_does_not_cost_the_caller_the_response(small: int) -> None:
    """The connection is read to the caller's end before it is closed: unread bytes would reset it."""
    with closing(connect(small)) as caller:
        caller.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n")
        time.sleep(0.2)
        for _ in range(20):
            caller.sendall(b"x" * 65536)
        caller.shutdown(socket.SHUT_WR)
        assert read_response(caller, "POST")[0] >= 400


def test_silent_connections_hold_no_thread(small: int) -> None:
    with ExitStack() as held:
        for _ in range(40):
            held.enter_context(connect(small))
        assert_served(small)


def test_the_oldest_silent_connection_makes_room(tmp_path: Path) -> None:
    with served(tmp_path, GUNICORN_CMD_ARGS="--worker-connections 10") as port, ExitStack() as held:
        silent = [held.enter_context(connect(port)) for _ in range(30)]
        assert_served(port)
        assert silent[0].recv(1) == b""


# -------------------------------------------------------------------------------------- sending


def trickle(port: int, start: bytes, stop: threading.Event) -> threading.Thread:
    """A caller who begins a request and goes on with a byte now and then."""

    def run() -> None:
        with suppress(OSError), closing(connect(port)) as caller:
            caller.sendall(start)
            while not stop.wait(0.1):
                caller.sendall(b"1")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


#: By what is missing.
HALVES = {
    "headers": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ",
    "request line": b"GET /",
    "body": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\na",
    "chunks": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n5",
    "a kept connection": b"GET / HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\na",
}


def test_f12_callers_who_trickle_a_request_give_their_threads_back(small: int) -> None:
    stop = threading.Event()
    callers = [trickle(small, half, stop) for half in HALVES.values()]
    try:
        # Two threads, five such callers, less than half a second for each of them.
        assert_served(small, 4)
        for caller in callers:
            caller.join(8)
            assert not caller.is_alive()
    finally:
        stop.set()


def test_callers_who_stop_halfway_give_their_threads_back(small: int) -> None:
    with ExitStack() as held:
        for half in HALVES.values():
            held.enter_context(connect(small)).sendall(half)
        assert_served(small, 4)


def test_a_large_body_may_take_the_time_that_its_bytes_need(tmp_path: Path) -> None:
    with served(tmp_path, WEB_CALLER_RATE="20000") as port, closing(connect(port)) as caller:
        caller.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(10):
            caller.sendall(b"x" * 10000)
            time.sleep(0.1)  # for more than the seconds that a caller has without bytes
        assert read_response(caller, "POST") == (200, b"ok")


# -------------------------------------------------------------------------------------- no request


def test_b24_a_request_that_cannot_be_read_is_refused_as_a_problem(small: int) -> None:
    said = exchange(small, b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = said.partition(b"\r\n\r\n")
    problem = json.loads(body)
    assert head.startswith(b"HTTP/1.1 414 ")
    assert b"application/problem+json" in head
    assert problem["status"] == 414
    assert f"X-Request-Id: {problem['request_id']}".encode() in head


def test_b24_an_address_of_nine_thousand_letters_is_read(small: int) -> None:
    said = exchange(small, b"GET /?x=" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 200 ")
