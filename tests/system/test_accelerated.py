"""Calls of which nginx moves the bytes: nginx as shipped, gunicorn as deployed, a real upstream."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from tests.proxy.bus import bus
from tests.proxy.upstream import Answer, Received, Upstream, serve_upstream
from tests.servers.bus import Bus
from tests.servers.nginx import Nginx
from tests.servers.process import free_port, wait_until
from tests.servers.wire import exchange

SECRET = "rahasia-antara-nginx-dan-bus"
ALIAS = "/rest/prov/data"


@dataclass
class Row:
    upstream: Upstream
    bus: Bus
    nginx: Nginx

    def request(
        self, path: str, method: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.nginx.port, timeout=30)
        connection.request(method, ALIAS + path, body, {"AccessKey": self.bus.key} | (headers or {}))
        answer = connection.getresponse()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def end(self, id: str) -> dict[str, Any]:
        """The end of a call, once it is on record."""
        ends: list[dict[str, Any]] = []

        def recorded() -> bool:
            ends[:] = [line for line in self.bus.journal() if line["t"] == "end" and line["id"] == id]
            return bool(ends)

        wait_until(recorded, 10, "the end of a call")
        assert len(ends) == 1
        return ends[0]

    def waits(self, id: str) -> bool:
        """Whether the end of the call was written by the thread that reads what nginx wrote."""
        for path in (self.bus.var / "journal").glob("*.journal"):
            if f'"end","id":"{id}"' in path.read_text():
                return path.name.rsplit("-", 3)[1].startswith("completions")
        return False


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def answer(received: Received) -> Answer:
    """The stand-in for an agency's server."""
    path = received.path.partition("?")[0]
    if path.startswith("/status/"):
        return Answer(b"ya", "text/plain", int(path.rpartition("/")[2]), [("Location", "/lain")])
    if path.startswith("/app/"):
        to = unquote(received.path.partition("?")[2]).replace(
            "UP", f"127.0.0.1:{received.header('Host').split(':')[1]}"
        )
        return Answer(b"", "", 302, [("Location", to), ("Content-Location", to), ("Link", f'<{to}>; title="<b>"')])
    if path == "/slow":
        time.sleep(0.5)
    if path == "/broken":
        return Answer(b"separuh", "text/plain", 200, [("Content-Length", "100"), ("Connection", "close")])
    if path == "/chunked":
        size = int(received.path.partition("?")[2])
        pieces = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in cut(b"x" * size, 50_000))
        # A length that is none keeps the server from saying one of its own.
        return Answer(pieces + b"0\r\n\r\n", "text/plain", 200, [("Transfer-Encoding", "chunked")])
    if path == "/large":
        return Answer(b"x" * 1_000_001, "application/octet-stream")
    if path == "/commands":
        commands = [
            ("X-Accel-Redirect", "@bus"),
            ("X-Accel-Limit-Rate", "1"),
            ("X-Accel-Buffering", "no"),
            ("Set-Cookie", "sessionid=jahat"),
            ("Server", "jahat"),
            ("Strict-Transport-Security", "max-age=1"),
            ("X-Mantra-Target", "http://127.0.0.1:1/"),
            ("X-Lain", "tidak"),
            ("ETag", '"e"'),
            ("Cache-Control", "public, max-age=60"),
            ("Vary", "Accept-Language"),
            ("X-Request-Id", "palsu"),
            ("Connection", "Last-Modified"),
            ("Last-Modified", "x"),
        ]
        return Answer(b"perintah", "text/html", 200, commands)
    return Answer(json.dumps([received.method, received.path]).encode())


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Row]:
    folder = tmp_path_factory.mktemp("cepat")
    ends = folder / "ends"
    ends.mkdir()
    with serve_upstream(answer) as upstream:
        as_is = {"style": "pass-through", "connect_timeout_ms": 5000, "read_timeout_ms": 20_000, "timeout_ms": 20_000}
        one = {"url": upstream.url + "/", "credential_kind": "none"}
        operations: list[dict[str, Any]] = [
            {**as_is, "code": "alias", "upstreams": [one]},
            {
                **as_is,
                "code": "kunci",
                "upstreams": [{**one, "credential_kind": "bearer", "credential": "rahasia-hulu"}],
            },
            {
                **as_is,
                "code": "pindah",
                "returned_response_headers": "Location, Content-Location, Link",
                "upstreams": [{**one, "url": upstream.url + "/app"}],
            },
            {**as_is, "code": "mati", "upstreams": [{**one, "url": f"http://127.0.0.1:{free_port()}"}]},
            {**as_is, "code": "sempit", "max_body_bytes": 1_000_000, "upstreams": [one]},
            {
                **as_is,
                "code": "dua",
                "upstreams": [one, {**one, "url": f"http://localhost:{upstream.port}/", "priority": 2}],
            },
        ]
        environment = {
            "MANTRA_TRUSTED_PROXIES": "1",
            "MANTRA_ACCELERATED": SECRET,
            "MANTRA_OFFLOAD_DIR": str(ends),
        }
        with bus(folder / "bus", operations, **environment) as made:
            web = folder / "nginx"
            web.mkdir()
            nginx = Nginx(web, made, secret=SECRET, ends=ends)
            try:
                yield Row(upstream, made, nginx)
            finally:
                nginx.close()


def test_nginx_fetches_what_the_bus_admits(row: Row) -> None:
    status, headers, body = row.request(
        "/alias/a%2Fb//c%20d/%C3%A9?q=a+b%26c&q=2", headers={"Accept": "image/png", "X-Lain": "tidak"}
    )
    assert (status, json.loads(body)) == (200, ["GET", "/a%2Fb//c%20d/%C3%A9?q=a+b%26c&q=2"])
    received = row.upstream.last
    assert received.header("Host") == row.upstream.url.removeprefix("http://")
    assert received.header("Accept") == "image/png"
    assert received.header("X-Request-Id") == headers["x-request-id"]
    assert received.header("X-Forwarded-For") == "127.0.0.1"
    assert received.header("Mantra-Hops") == "1"
    assert "mantra-" in received.header("Via")
    assert received.header("traceparent").startswith("00-")
    # Neither what the caller's key is, nor what nginx and the bus have to say to each other.
    assert not {name for name in received.names if name.startswith(("x-mantra", "x-accel")) or name == "x-lain"}
    assert row.bus.key not in str(received.headers)
    assert SECRET not in str(received.headers)
    assert "accesskey" not in received.names
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert not {name for name in headers if name.startswith(("x-mantra", "x-accel"))}
    end = row.end(headers["x-request-id"])
    assert (end["code"], end["status"], end["bytes"], end["by"][:2]) == (200, 200, len(body), ["prov", "app"])
    assert 0 <= end["us"] < 5_000_000
    assert "broken" not in end
    assert row.waits(end["id"])


REFERENCES = (
    "http://UP/app/masuk?x=1#y", "HTTP://UP/app", "//UP/app/masuk", "http://UP/aplikasi", "http://UP/app/../rahasia",
    "http://UP/app/%2e%2e/rahasia", "/app/dalam/", "/lain?a=b", "masuk", "../masuk?a=b", "./", "..", "?halaman=2", "#a",
    "https://sso.go.id/masuk", "http://UP:1/app/x", "mailto:a@b.go.id", "/app/a/./b/../c", "/app",
)  # fmt: skip


def test_b16_addresses_lead_below_the_alias_as_from_the_bus_itself(row: Row) -> None:
    for reference in REFERENCES:
        path = f"/pindah/a/b?{quote(reference, safe='')}"
        status, headers, _ = row.request(path)
        row.end(headers["x-request-id"])
        assert row.waits(headers["x-request-id"])  # nginx fetched it
        own = {name.lower(): value for name, value in row.bus.request(ALIAS + path).headers.items()}
        assert status == 302
        for name in ("location", "content-location", "link"):
            assert headers[name] == own[name], reference
    assert own["location"] == f"{ALIAS}/pindah"


def test_the_record_has_the_time_that_it_took(row: Row) -> None:
    _, headers, _ = row.request("/alias/slow")
    assert 400_000 <= row.end(headers["x-request-id"])["us"] < 5_000_000


def test_the_upstreams_credential_goes_there_and_nowhere_else(row: Row) -> None:
    status, headers, body = row.request("/kunci/x")
    assert status == 200
    assert row.upstream.last.header("Authorization") == "Bearer rahasia-hulu"
    assert "rahasia-hulu" not in str(headers) + body.decode() + row.nginx.logs()
    assert row.waits(row.end(headers["x-request-id"])["id"])


@pytest.mark.parametrize("status", [201, 204, 301, 304, 401, 404, 429, 500, 502, 503, 504])
def test_every_status_of_the_upstream_comes_back(row: Row, status: int) -> None:
    found, headers, body = row.request(f"/alias/status/{status}")
    assert (found, headers["location"]) == (status, f"{ALIAS}/alias/lain")
    assert body == (b"" if status in (204, 304) else b"ya")
    end = row.end(headers["x-request-id"])
    assert (end["code"], end["status"], end["bytes"]) == (200, status, len(body))
    assert row.waits(end["id"])
    row.request("/alias/baik")  # so that no storm of bad answers opens the breaker


def test_head_brings_no_body(row: Row) -> None:
    status, headers, body = row.request("/alias/large", "HEAD")
    assert (status, body, headers["content-length"]) == (200, b"", "1000001")
    assert row.upstream.last.method == "HEAD"
    assert row.end(headers["x-request-id"])["bytes"] == 0


def test_an_upstream_commands_nothing(row: Row) -> None:
    status, headers, body = row.request("/alias/commands")
    assert (status, body) == (200, b"perintah")
    assert set(headers) == {
        "server",
        "date",
        "connection",
        "content-type",
        "content-length",
        "etag",
        "cache-control",
        "vary",
        "x-request-id",
        "x-content-type-options",
        "content-security-policy",
    }
    assert headers["server"] == "nginx"
    assert headers["cache-control"] == "private, max-age=60"
    assert headers["vary"] == "Accept-Language, Accept, AccessKey, Authorization"
    assert headers["x-request-id"] != "palsu"
    assert headers["content-security-policy"] == "sandbox"


@pytest.mark.parametrize(
    ("path", "key", "status", "code"),
    [("/alias/x", "", 401, 11101), ("/alias/x", "salah", 401, 11102), ("/tidakada/x", None, 404, 11108)],
)
def test_refused_caller_reaches_no_upstream(row: Row, path: str, key: str | None, status: int, code: int) -> None:
    row.upstream.received.clear()
    found, headers, body = row.request(path, headers={} if key is None else {"AccessKey": key})
    told = json.loads(body)
    assert (found, told["status"]) == (status, status)
    assert row.upstream.received == []
    assert row.end(headers["x-request-id"])["code"] == told["code"]


@pytest.mark.parametrize(
    "name",
    [
        "X-Accel-Redirect",
        "X-Mantra-Target",
        "X-Mantra-Nginx",
        "X-Mantra-Completions",
        "X-Mantra-Id",
        "X-Mantra-Authorization",
    ],
)
def test_a_caller_says_nothing_to_nginx_or_the_bus(row: Row, name: str) -> None:
    with serve_upstream(Answer(b"dicuri")) as elsewhere:
        for value in (elsewhere.url + "/", "@upstream", SECRET + "x"):
            status, headers, body = row.request("/alias/x", headers={name: value})
            assert (status, json.loads(body)) == (200, ["GET", "/x"])
            assert row.end(headers["x-request-id"])["status"] == 200
            assert name.lower() not in row.upstream.last.names
        assert elsewhere.received == []


@pytest.mark.parametrize("secret", ["", "salah", SECRET + "x"])
def test_the_bus_believes_nobody_but_nginx(row: Row, secret: str) -> None:
    """Who reaches the bus past nginx gets the answer, and never what nginx is told."""
    found = row.bus.request(ALIAS + "/kunci/x", headers={"X-Mantra-Nginx": secret})
    assert (found.status, json.loads(found.data)) == (200, ["GET", "/x"])
    assert not [header for header in found.headers if header.lower().startswith(("x-accel", "x-mantra"))]
    assert not row.waits(row.end(found.headers["X-Request-Id"])["id"])
    assert "x-mantra-nginx" not in row.upstream.last.names


@pytest.mark.parametrize("path", ["/@upstream", "/%40upstream", "/_upstream", "@upstream"])
def test_the_location_is_closed_to_callers(row: Row, path: str) -> None:
    row.upstream.received.clear()
    said = exchange(
        row.nginx.port,
        f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Mantra-Target: {row.upstream.url}/\r\nConnection: close\r\n\r\n".encode(),
    )
    assert said.split(b" ", 2)[1] in (b"400", b"404", b"302")
    assert row.upstream.received == []


@pytest.mark.parametrize("tail", ["/../rahasia", "/%2e%2e/rahasia", "/a/..%2frahasia", "/.%252e/rahasia"])
def test_no_path_climbs_out_of_the_upstreams(row: Row, tail: str) -> None:
    row.upstream.received.clear()
    said = exchange(
        row.nginx.port,
        f"GET {ALIAS}/alias{tail} HTTP/1.1\r\nHost: x\r\nAccessKey: {row.bus.key}\r\n"
        "Connection: close\r\n\r\n".encode(),
    )
    assert said.split(b" ", 2)[1] == b"400"
    assert row.upstream.received == []


def test_an_upstream_that_is_down_is_a_fault(row: Row) -> None:
    status, headers, body = row.request("/mati/x")
    told = json.loads(body)
    assert (status, told["code"], told["status"]) == (502, 11205, 502)
    assert headers["content-type"] == "application/problem+json"
    assert told["request_id"] == headers["x-request-id"]
    end = row.end(told["request_id"])
    assert (end["code"], end["status"]) == (11205, 502)
    assert row.waits(end["id"])
    # What nginx met counts for the bus: after three times it does not ask there any more.
    wait_until(lambda: json.loads(row.request("/mati/x")[2])["code"] == 11220, 10, "the breaker")


def test_an_answer_above_the_cap_does_not_come_through(row: Row) -> None:
    with pytest.raises((http.client.HTTPException, OSError)):
        row.request("/sempit/large")
    id = row.upstream.last.header("X-Request-Id")
    end = row.end(id)
    assert (end["code"], end["broken"], end["bytes"]) == (11221, True, 0)


@pytest.mark.parametrize("size", [999_999, 2_000_000])
def test_the_cap_holds_where_no_length_is_stated(row: Row, size: int) -> None:
    if size < 1_000_000:
        status, headers, body = row.request(f"/sempit/chunked?{size}")
        assert (status, len(body)) == (200, size)
        assert row.end(headers["x-request-id"])["code"] == 200
        return
    with pytest.raises((http.client.HTTPException, OSError)):
        row.request(f"/sempit/chunked?{size}")
    end = row.end(row.upstream.last.header("X-Request-Id"))
    assert (end["code"], end["broken"]) == (11221, True)
    assert end["bytes"] <= 1_100_000


def test_an_answer_that_breaks_off_is_not_whole(row: Row) -> None:
    with pytest.raises(http.client.IncompleteRead):
        row.request("/alias/broken")
    end = row.end(row.upstream.last.header("X-Request-Id"))
    assert end["broken"] is True
    row.request("/alias/baik")


def test_a_caller_who_leaves_is_on_record(row: Row) -> None:
    with socket.create_connection(("127.0.0.1", row.nginx.port)) as link:
        link.sendall(f"GET {ALIAS}/alias/slow HTTP/1.1\r\nHost: x\r\nAccessKey: {row.bus.key}\r\n\r\n".encode())
        time.sleep(0.15)
    end = row.end(row.upstream.last.header("X-Request-Id"))
    assert end["broken"] is True
    assert end["bytes"] == 0


@pytest.mark.parametrize(
    ("path", "method", "body"), [("/alias/x", "POST", b"isi"), ("/alias/x", "DELETE", None), ("/dua/x", "GET", None)]
)
def test_call_that_nginx_cannot_fetch_is_fetched_by_the_bus(
    row: Row, path: str, method: str, body: bytes | None
) -> None:
    status, headers, said = row.request(path, method, body)
    assert (status, json.loads(said)) == (200, [method, "/x"])
    assert row.upstream.last.body == (body or b"")
    assert not row.waits(row.end(headers["x-request-id"])["id"])


def test_nothing_is_lost_or_doubled_under_load(row: Row) -> None:
    failures: list[object] = []

    def many() -> None:
        for _ in range(50):
            status, _headers, _body = row.request("/alias/banyak")
            if status != 200:
                failures.append(status)

    threads = [threading.Thread(target=many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    begun = {line["id"] for line in row.bus.journal() if line["t"] == "begin"}

    def settled() -> bool:
        ended = [line["id"] for line in row.bus.journal() if line["t"] == "end"]
        return len(ended) == len(set(ended)) and set(ended) == begun

    wait_until(settled, 10, "every end")


def test_the_history_takes_it_in_and_the_journal_is_proven(row: Row) -> None:
    _, headers, body = row.request("/alias/riwayat")
    row.end(headers["x-request-id"])
    found = row.bus.manage(
        "shell",
        "-c",
        "from registry.models import CallRecord; from registry.journal import shipping; shipping.ship(); "
        "shipping.ship(); "
        f"r = CallRecord.objects.get(request_id='{headers['x-request-id']}'); "
        "print(r.outcome, r.status, r.bytes, r.broken, CallRecord.objects.filter(outcome=0).count())",
    )
    assert found.split()[-5:] == ["200", "200", str(len(body)), "False", "0"]
    assert "broken" not in row.bus.manage("verify_audit").lower()


def test_a_worker_that_stops_waits_for_what_is_under_way(row: Row) -> None:
    """Last of all: the server is told to begin anew."""
    said: list[tuple[int, dict[str, str], bytes]] = []
    caller = threading.Thread(target=lambda: said.append(row.request("/alias/slow")))
    caller.start()
    time.sleep(0.2)
    os.kill(row.bus.pid, signal.SIGHUP)
    caller.join()
    ((status, headers, _body),) = said
    assert status == 200
    end = row.end(headers["x-request-id"])
    assert (end["code"], end["status"]) == (200, 200)


def test_a_call_whose_worker_is_killed_is_interrupted(row: Row) -> None:
    """nginx goes on and the caller gets the answer, but nobody is left who could put its end on record."""
    said: list[tuple[int, dict[str, str], bytes]] = []
    caller = threading.Thread(target=lambda: said.append(row.request("/alias/slow")))
    wait_until(lambda: row.request("/alias/x")[0] == 200, 30, "the new worker")
    caller.start()
    time.sleep(0.2)
    for pid in Path(f"/proc/{row.bus.pid}/task/{row.bus.pid}/children").read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    caller.join()
    ((status, headers, _body),) = said
    assert status == 200
    found = row.bus.manage(
        "shell",
        "-c",
        "from registry.models import CallRecord; from registry.journal import shipping; shipping.ship(); "
        f"r = CallRecord.objects.get(request_id='{headers['x-request-id']}'); print(r.outcome, r.broken)",
    )
    assert found.split()[-2:] == ["11903", "True"]
