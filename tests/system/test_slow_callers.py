"""One caller against all: callers who send, read or close slowly, and who must delay no other."""

from __future__ import annotations

import http.client
import json
import os
import select
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

from registry import faults
from tests.bounds import assert_short, assert_within
from tests.cast import make_table
from tests.proxy.upstream import Answer, Upstream, serve_upstream
from tests.servers.bus import Bus
from tests.servers.nginx import Nginx
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.process import answers, ending_with_us, free_port, permit, wait_until
from tests.servers.wire import dribble, exchange, read_response

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
        select.select([caller], [], [], 30)  # until it is refused
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


def test_s12_callers_who_trickle_a_request_give_their_threads_back(small: int) -> None:
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


def test_s12_callers_who_trickle_again_and_again_delay_no_other(tmp_path: Path) -> None:
    """With all of the 15 seconds that each may have: not when they are many."""
    stop = threading.Event()

    def again(half: bytes) -> None:
        while not stop.is_set():
            trickle(port, half, stop).join()

    with served(tmp_path, WEB_CALLER_SECONDS="15", WEB_THREADS="4") as port:
        for number in range(12):
            threading.Thread(target=again, args=(list(HALVES.values())[number % 4],), daemon=True).start()
        try:
            for _ in range(3):
                assert_served(port, 5)
        finally:
            stop.set()


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


def test_b24_a_header_is_as_long_as_an_address_may_be(small: int) -> None:
    said = exchange(small, b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"x" * 20_000 + b"\r\nConnection: close\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 200 ")


# -------------------------------------------------------------------------------------- the bus

#: 400 rows of 60 kB.
LARGE_SQLITE = (
    "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 400) "
    f"SELECT n, replace('{'x' * 60}', 'x', '{'y' * 1000}') AS isi FROM s"
)
#: 2,000 rows, and then a number that SQLite cannot hold.
BROKEN_SQLITE = (
    "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 3000) "
    "SELECT CASE WHEN n < 2000 THEN n ELSE abs(-9223372036854775807 - 1) END AS n FROM s"
)
LARGE_POSTGRESQL = f"SELECT n, replace('{'x' * 60}', 'x', '{'y' * 1000}') AS isi FROM generate_series(1, 400) AS s(n)"


def bundle(postgresql: PostgreSQLServer, upstream: Upstream) -> dict[str, Any]:
    """Operations with a large response, open and with a key, and small ones on the same sources."""
    shared = {"kind": "data", "state": "published", "timeout_ms": 2000}
    number = {"name": "n", "type": "integer", "classification": "public"}
    both = [number, {"name": "isi", "classification": "public"}]
    operations = [
        {"code": "besar", "source": "berkas", "access": "open", "sql": LARGE_SQLITE, "fields": both},
        {
            "code": "sedang",
            "source": "berkas",
            "access": "open",
            "sql": LARGE_SQLITE.replace("400", "170"),
            "fields": both,
        },
        {"code": "putus", "source": "berkas", "access": "open", "sql": BROKEN_SQLITE, "fields": [number]},
        {"code": "kecil", "source": "berkas", "access": "open", "sql": "SELECT 1 AS n", "fields": [number]},
        {"code": "besar_pg", "source": "pg", "access": "restricted", "sql": LARGE_POSTGRESQL},
        {"code": "kecil_pg", "source": "pg", "access": "restricted", "sql": "SELECT 1 AS n"},
    ]
    proxy = {
        "code": "besar_proksi",
        "kind": "proxy",
        "style": "pass-through",
        "access": "restricted",
        "max_body_bytes": 30_000_000,
        "max_concurrent_calls": 2,
        "upstreams": [{"url": upstream.url, "credential_kind": "none"}],
    }
    source = {"engine": "postgresql", "host": "127.0.0.1", "port": str(postgresql.port), "database": "mantra"}
    return {
        "agencies": [{"code": "prov", "name": "Penyedia"}],
        "sources": [
            {"agency": "prov", "code": "berkas", "engine": "sqlite", "database": "uji.sqlite3"},
            {"agency": "prov", "code": "pg", "user": "mantra", "password": "env:PG_PASSWORD"} | source,
        ],
        "services": [
            {
                "agency": "prov",
                "code": "data",
                "title": "Data",
                "operations": [shared | each for each in (*operations, proxy)],
            }
        ],
        "applications": [
            {
                "agency": "prov",
                "code": "app",
                "title": "Aplikasi",
                "grants": [
                    {"operation": f"prov/data/{each['code']}", "purpose": "uji"}
                    for each in (*operations, proxy)
                    if each["access"] == "restricted"
                ],
            }
        ],
    }


@contextmanager
def started(folder: Path, postgresql: PostgreSQLServer, caller_seconds: str) -> Iterator[Bus]:
    """A bus with these operations, which waits so long for a caller without bytes."""
    with serve_upstream(Answer(b"x" * 24_000_000, "text/plain")) as upstream:
        made = Bus(
            folder,
            bundle(postgresql, upstream),
            "prov/app",
            MANTRA_SOURCE_FILE_DIRS=str(make_table().parent.parent),
            PG_PASSWORD=postgresql.password,
            WEB_THREADS="8",
            WEB_CALLER_SECONDS=caller_seconds,
        )
        with made:
            yield made


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory, postgresql: PostgreSQLServer) -> Iterator[Bus]:
    with started(tmp_path_factory.mktemp("bus"), postgresql, "1") as made:
        yield made


def slow_reader(port: int, path: str, key: str = "") -> socket.socket:
    """A caller who takes a response through a small buffer, when it takes any of it at all."""
    caller = socket.socket()
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    caller.settimeout(30)
    caller.connect(("127.0.0.1", port))
    caller.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccessKey: {key}\r\n\r\n".encode())
    return caller


@contextmanager
def slow_readers(port: int, path: str, count: int, key: str = "") -> Iterator[list[socket.socket]]:
    """Callers who take about a kilobyte a second."""
    with ExitStack() as held:
        callers: list[socket.socket] = []
        for _ in range(count):
            # One by one: who comes while another's rows are being fetched may be refused.
            callers.append(held.enter_context(slow_reader(port, path, key)))
            select.select(callers[-1:], [], [], 30)
        stop = threading.Event()

        def read() -> None:
            while not stop.wait(0.25):
                for caller in select.select(callers, [], [], 0)[0]:
                    with suppress(OSError):
                        caller.recv(256)

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        try:
            yield callers
        finally:
            stop.set()
            thread.join()


def assert_alive(bus: Bus, seconds: float = 1.5) -> None:
    began = time.monotonic()
    assert bus.request("/healthz", timeout=30).status == 200
    assert_within(seconds, began)


def served_again(bus: Bus, path: str) -> bool:
    return bus.request(path).status == 200


def codes(bus: Bus, before: set[str]) -> list[int]:
    """The codes with which the calls since then ended, without those that went well."""
    return [end["code"] for id, end in bus.ends().items() if id not in before and end["code"] != 200]


def in_transaction(postgresql: PostgreSQLServer) -> int:
    """How many sessions of the source are in a transaction and wait for the bus."""
    with closing(postgresql.superuser()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'")
        return int(cursor.fetchone()[0])  # type: ignore[index]


def test_s3_slow_readers_give_a_sources_connections_back(bus: Bus) -> None:
    with slow_readers(bus.port, "/rest/prov/data/besar.json", 8):
        assert_alive(bus)
        # The time limit is two seconds; one more is left for what is on its way.
        took = wait_until(lambda: served_again(bus, "/rest/prov/data/kecil.json"), 12, "the source")
    assert_short(took, 4)


def test_s3_no_session_of_the_source_stays_in_a_transaction(bus: Bus, postgresql: PostgreSQLServer) -> None:
    with slow_readers(bus.port, "/rest/prov/data/besar_pg.json", 6, bus.key):
        wait_until(lambda: in_transaction(postgresql), 10, "the transactions")
        assert_short(wait_until(lambda: not in_transaction(postgresql), 12, "their end"), 4)
        assert served_again(bus, "/rest/prov/data/kecil_pg.json")


def test_half_a_response_does_not_look_whole_to_http_1_0(bus: Bus) -> None:
    """It has no chunks, and no length is known: the end of the connection is the end of the response."""
    before = set(bus.ends())
    with closing(connect(bus.port)) as caller, caller.makefile("rb") as file:
        caller.sendall(b"GET /rest/prov/data/putus.json HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            file.read()
    [end] = [end for id, end in bus.ends().items() if id not in before]
    assert (end["code"], end["broken"]) == (faults.QUERY_FAILED.code, True)
    assert end["bytes"] > 0


def test_s3_slow_readers_give_an_upstream_back(bus: Bus) -> None:
    with slow_readers(bus.port, "/rest/prov/data/besar_proksi", 2, bus.key):
        assert bus.request("/rest/prov/data/besar_proksi").status == 503
        took = wait_until(lambda: served_again(bus, "/rest/prov/data/besar_proksi"), 12, "the upstream")
    assert_short(took, 4)


def test_s3_slow_readers_of_a_spooled_response_leave_threads_to_others(bus: Bus) -> None:
    with slow_readers(bus.port, "/rest/prov/data/besar.php", 20):
        for _ in range(10):
            assert_alive(bus, 3)
        wait_until(lambda: served_again(bus, "/rest/prov/data/kecil.json"), 12, "the source")


def test_s3_the_journal_says_that_the_caller_was_too_slow(bus: Bus) -> None:
    before = set(bus.ends())
    with slow_readers(bus.port, "/rest/prov/data/besar.json", 2):
        wait_until(lambda: len(codes(bus, before)) == 2, 12, "the records")
    assert codes(bus, before) == [faults.RESPONSE_TOO_SLOW.code] * 2
    ends = [end for id, end in bus.ends().items() if id not in before]
    assert all(end["broken"] for end in ends)


def test_s3_slow_readers_behind_nginx_hold_no_thread(bus: Bus, postgresql: PostgreSQLServer, tmp_path: Path) -> None:
    nginx = Nginx(tmp_path, bus)
    try:
        with slow_readers(nginx.port, "/rest/prov/data/besar.php", 20):
            for _ in range(5):
                began = time.monotonic()
                assert nginx.request("/healthz") == (200, b"ok\n")
                assert_within(2, began)
            with slow_readers(nginx.port, "/rest/prov/data/besar_pg.json", 6, bus.key):
                wait_until(lambda: served_again(bus, "/rest/prov/data/kecil_pg.json"), 12, "the source")
                assert_short(wait_until(lambda: not in_transaction(postgresql), 12, "the transactions' end"), 4)
    finally:
        nginx.close()


def test_s3_nginx_takes_a_response_at_once_for_a_slow_caller(bus: Bus, tmp_path: Path) -> None:
    """10 MB: the bus is done with it, and its caller has read nothing yet."""
    nginx = Nginx(tmp_path, bus)
    before = set(bus.ends())
    try:
        with closing(slow_reader(nginx.port, "/rest/prov/data/sedang.php")) as caller:
            wait_until(lambda: [end for id, end in bus.ends().items() if id not in before], 10, "the record")
            response = http.client.HTTPResponse(caller)
            response.begin()
            assert len(response.read()) > 10_000_000
    finally:
        nginx.close()
    [end] = [end for id, end in bus.ends().items() if id not in before]
    assert end["code"] == 200 and "broken" not in end


def test_s3_a_caller_who_keeps_the_rate_gets_all_of_a_response(bus: Bus) -> None:
    """It takes three times as long as a caller may be waited for without bytes."""
    with closing(connect(bus.port)) as caller:
        caller.sendall(b"GET /rest/prov/data/besar.php HTTP/1.1\r\nHost: x\r\n\r\n")
        response = http.client.HTTPResponse(caller)
        response.begin()
        began, size = time.monotonic(), 0
        while piece := response.read(400_000):
            size += len(piece)
            time.sleep(max(0.0, size / 8_000_000 - (time.monotonic() - began)))
    assert size > 24_000_000


def test_s3_large_responses_of_one_operation_are_bounded(postgresql: PostgreSQLServer, tmp_path: Path) -> None:
    """Half of the threads; the others of that operation are told to come again, and other operations are not.

    The bus is patient: the first caller must still be waited for when a slow machine has let the last one in.
    """
    with started(tmp_path, postgresql, "60") as bus:
        with slow_readers(bus.port, "/rest/prov/data/besar.php", 4):
            refused = bus.request("/rest/prov/data/besar.php")
            assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
            assert served_again(bus, "/rest/prov/data/kecil.json")
        wait_until(lambda: bus.request("/rest/prov/data/besar.php").status == 200, 10, "a place")


def test_s12_a_body_that_trickles_is_a_fault(bus: Bus) -> None:
    before = set(bus.ends())
    with closing(connect(bus.port)) as caller:
        head = "POST /soap/prov/data HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: 900\r\n\r\n"
        caller.sendall(head.encode())
        dribble(caller, 10)
        status, body = read_response(caller, "POST")
    assert status == 500 and b"11121" in body
    assert codes(bus, before) == [faults.REQUEST_TOO_SLOW.code]
