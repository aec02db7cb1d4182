"""The fast lane: nginx with njs as shipped, gunicorn as deployed, the worker, and real upstreams."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, unquote

import pytest

from tests.bounds import assert_short
from tests.proxy.test_faults_on_a_bus import SCRIPTED
from tests.proxy.upstream import Answer, Received, Upstream, serve_upstream
from tests.servers.composed import ALIAS, SECRET, Composed, Crowd
from tests.servers.faulty import OK, Asked, Peer, Script, scripted_server
from tests.servers.nginx import Nginx, without_njs
from tests.servers.process import wait_until
from tests.servers.wire import exchange, read_response
from tests.system.count_fast_lane import count_calls

CALLERS = 16


@dataclass
class Row:
    upstream: Upstream
    composed: Composed


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def answer(received: Received) -> Answer:
    """The stand-in for an agency's server."""
    path, _, query = received.path.partition("?")
    if path.startswith(("/status/", "/kedua/status/")):
        return Answer(b"ya", "text/plain", int(path.rpartition("/")[2]), [("Location", "/lain")])
    if path.startswith("/app/"):
        to = unquote(query).replace("UP", f"127.0.0.1:{received.header('Host').split(':')[1]}")
        return Answer(b"", "", 302, [("Location", to), ("Content-Location", to), ("Link", f'<{to}>; title="<b>"')])
    if path == "/slow":
        time.sleep(0.5)
    if path == "/broken":
        return Answer(b"separuh", "text/plain", 200, [("Content-Length", "100"), ("Connection", "close")])
    if path == "/chunked":
        pieces = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in cut(b"x" * int(query), 50_000))
        # A length that is none keeps the server from saying one of its own.
        return Answer(pieces + b"0\r\n\r\n", "text/plain", 200, [("Transfer-Encoding", "chunked")])
    if path == "/large":
        return Answer(b"x" * 1_000_001, "application/octet-stream")
    if path == "/gone":
        return Answer(b"", "", 200, [("Content-Length", "nothing"), ("Connection", "close")])
    return ANSWERS.get(path) or Answer(json.dumps([received.method, received.path]).encode())


COMMANDS = [
    ("X-Accel-Redirect", "@bus"), ("X-Accel-Limit-Rate", "1"), ("X-Accel-Buffering", "no"),
    ("Set-Cookie", "sessionid=jahat"), ("Server", "jahat"), ("Strict-Transport-Security", "max-age=1"),
    ("X-Mantra-Admission", "{}"), ("X-Mantra-Target", "http://127.0.0.1:1/"), ("X-Lain", "tidak"), ("ETag", '"e"'),
    ("Cache-Control", "public, max-age=60"), ("Vary", "Accept-Language"), ("X-Request-Id", "palsu"),
    ("Connection", "Last-Modified"), ("Last-Modified", "x"),
]  # fmt: skip
MANY = [
    ("Content-Range", "bytes 0-0/9"), ("accept-ranges", "bytes"), ("Content-Disposition", "a"), ("Retry-After", "1"),
    ("Content-Language", "id"), ("Expires", "0"), ("Last-Modified", "x"), ("X-Powered-By", "PHP"),
]  # fmt: skip
#: Answers whose heads nginx has to treat as the bus does.
ANSWERS = {
    "/commands": Answer(b"perintah", "text/html", 200, COMMANDS),
    "/private": Answer(b"x", "text/plain", 200, [("Cache-Control", "no-store, private"), ("Vary", "Accept")]),
    "/public": Answer(b"x", "text/plain", 200, [("cache-control", "PUBLIC,s-maxage=9"), ("VARY", "*")]),
    "/twice": Answer(b"x", "text/plain", 200, [("Vary", "A"), ("Vary", "B"), ("Cache-Control", "max-age=1")]),
    "/named": Answer(
        b"x", "", 200, [("Connection", "ETag, Cache-Control"), ("ETag", "e"), ("Cache-Control", "max-age=1")]
    ),
    "/many": Answer(b"x", "text/csv", 206, MANY),
    "/empty": Answer(b"", "", 200, []),
    "/not-modified": Answer(b"", "text/plain", 304, [("ETag", '"e"')]),
}  # fmt: skip

ILL = {name: case for name, case in SCRIPTED.items() if name not in ("drips", "storm", "redirects")}


class Read:
    """A connection whose first request has been read already."""

    def __init__(self, peer: Peer, asked: Asked) -> None:
        self._peer, self._asked = peer, asked

    def request(self) -> Asked:
        return self._asked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._peer, name)


def turning(script: Script) -> Script:
    """An upstream that is well until it is asked for /sakit."""

    def serve(peer: Peer) -> None:
        while (asked := peer.request()) is not None:
            if "/sakit" in asked.line:
                script(cast(Peer, Read(peer, asked)))
                return
            peer.send(OK)

    return serve


AS_IS = {"style": "pass-through", "connect_timeout_ms": 5000, "read_timeout_ms": 10_000, "timeout_ms": 20_000}


def operations(upstream: Upstream, ill: dict[str, str]) -> list[dict[str, Any]]:
    """Those of the stand-in, and one for each ill upstream by its address."""
    one = {"url": upstream.url + "/", "credential_kind": "none"}
    credential = {"credential_kind": "bearer", "credential": "rahasia-hulu"}
    below = {"url": upstream.url + "/app", "credential_kind": "none"}
    return [
        {**AS_IS, "code": "alias", "upstreams": [one]},
        {**AS_IS, "code": "ulang", "retries": 1, "upstreams": [one, {**one, "url": upstream.url + "/kedua"}]},
        {**AS_IS, "code": "kunci", "upstreams": [{**one, **credential}]},
        {
            **AS_IS,
            "code": "pindah",
            "returned_response_headers": "Location, Content-Location, Link",
            "upstreams": [below],
        },
        {**AS_IS, "code": "sempit", "max_body_bytes": 1_000_000, "upstreams": [one]},
        {**AS_IS, "code": "agen", "forwarded_request_headers": "User-Agent, Range", "upstreams": [one]},
        {**AS_IS, "code": "tunda", "read_timeout_ms": 60_000, "upstreams": [one]},
        *(
            {
                **AS_IS,
                "code": name,
                "retries": 0,
                "max_body_bytes": 1_000_000,
                "upstreams": [{"url": url, "credential_kind": "none"}],
            }
            for name, url in ill.items()
        ),
    ]


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Row]:
    with ExitStack() as stack:
        upstream = stack.enter_context(serve_upstream(answer))
        ill = {name: stack.enter_context(scripted_server(turning(case.script))).url for name, case in ILL.items()}
        folder = tmp_path_factory.mktemp("cepat")
        with Composed(folder, operations(upstream, ill), read_timeout="1s") as composed:
            yield Row(upstream, composed)


def test_nginx_fetches_what_the_bus_admits(row: Row) -> None:
    status, headers, body = row.composed.fast(
        "/alias/a.b/c-d/~e?q=a+b%26c&q=2", headers={"Accept": "image/png", "X-Lain": "tidak"}
    )
    assert (status, json.loads(body)) == (200, ["GET", "/a.b/c-d/~e?q=a+b%26c&q=2"])
    received = row.upstream.last
    assert received.header("X-Request-Id") == headers["x-request-id"]
    # Neither what the caller's key is, nor what nginx and the bus have to say to each other.
    assert not {name for name in received.names if name.startswith(("x-mantra", "x-accel")) or name == "x-lain"}
    assert row.composed.bus.key not in str(received.headers)
    assert SECRET not in str(received.headers)
    assert not {name for name in headers if name.startswith(("x-mantra", "x-accel"))}
    record = row.composed.record(headers["x-request-id"])
    assert (record["outcome"], record["status"], record["bytes"], record["broken"]) == (200, 200, len(body), 0)
    assert record["application"] == "app"


def seen_by_upstream(row: Row, ask: Callable[[], tuple[int, dict[str, str], bytes]]) -> tuple[Any, ...]:
    """What the upstream received and the caller got, without what differs with each call."""
    status, headers, body = ask()
    received = row.upstream.last
    own = headers.pop("x-request-id")
    sent = {name.lower(): value for name, value in received.headers}
    assert sent.pop("x-request-id") == own
    assert sent.pop("traceparent") == f"00-{own}-{own[-16:]}-01"
    # Frames and dates are each server's own.
    for name in ("server", "date", "connection", "keep-alive", "transfer-encoding"):
        headers.pop(name, None)
    return received.method, received.path, sent, status, headers, body


REQUESTS: list[tuple[str, str, dict[str, str]]] = [
    ("/alias", "GET", {}),
    ("/alias/x?a=1", "HEAD", {}),
    ("/alias/x", "GET", {"Accept": "text/html", "Accept-Language": "id", "User-Agent": "peramban", "X-Lain": "tidak"}),
    ("/alias/x", "GET", {"If-None-Match": '"e"', "Range": "bytes=0-1", "Prefer": "x", "Content-Type": "a/b"}),
    ("/agen/x", "GET", {"User-Agent": "peramban", "Range": "bytes=0-1", "Accept": "text/html"}),
    ("/agen/x", "GET", {}),
    ("/kunci/x", "GET", {"Authorization": ""}),
    *((f"/alias{path}", "GET", {}) for path in ANSWERS),
    ("/alias/commands", "HEAD", {}),
]


@pytest.mark.parametrize(("path", "method", "headers"), REQUESTS, ids=[f"{m} {p} {len(h)}" for p, m, h in REQUESTS])
def test_upstream_and_caller_see_no_difference(row: Row, path: str, method: str, headers: dict[str, str]) -> None:
    headers = {name: value for name, value in headers.items() if value}
    fast = seen_by_upstream(row, lambda: row.composed.fast(path, method=method, headers=headers))
    # Any cookie sends a request by the bus, which forwards none.
    slow = seen_by_upstream(row, lambda: row.composed.request(path, method, None, {**headers, "Cookie": "a=b"}))
    assert fast == slow
    assert not row.composed.was_on_lane(row.upstream.last.header("X-Request-Id"))


REFERENCES = (
    "http://UP/app/masuk?x=1#y", "HTTP://UP/app", "//UP/app/masuk", "http://UP/aplikasi", "http://UP/app/../rahasia",
    "http://UP/app/%2e%2e/rahasia", "/app/dalam/", "/lain?a=b", "masuk", "../masuk?a=b", "./", "..", "?halaman=2", "#a",
    "https://sso.go.id/masuk", "http://UP:1/app/x", "mailto:a@b.go.id", "/app/a/./b/../c", "/app",
)  # fmt: skip


def test_b16_addresses_lead_below_the_alias_as_from_the_bus_itself(row: Row) -> None:
    for reference in REFERENCES:
        # A character that needs no encoding must have none on the fast lane.
        path = f"/pindah/a/b?{quote(reference, safe='/?:@.')}"
        status, headers, _ = row.composed.fast(path)
        own = row.composed.request(path, headers={"Cookie": "a=b"})[1]
        assert status == 302
        for name in ("location", "content-location", "link"):
            assert headers[name] == own[name], reference
    assert own["location"] == f"{ALIAS}/pindah"


def test_the_upstreams_credential_goes_there_and_nowhere_else(row: Row) -> None:
    status, headers, body = row.composed.fast("/kunci/x")
    assert status == 200
    assert row.upstream.last.header("Authorization") == "Bearer rahasia-hulu"
    assert "rahasia-hulu" not in str(headers) + body.decode() + row.composed.nginx.logs()


@pytest.mark.parametrize("status", [201, 204, 301, 401, 404, 429, 500, 502, 503, 504])
def test_every_status_of_the_upstream_comes_back(row: Row, status: int) -> None:
    found, headers, body = row.composed.fast(f"/alias/status/{status}", warm="/alias/baik")
    assert (found, headers["location"]) == (status, f"{ALIAS}/alias/lain")
    assert body == (b"" if status == 204 else b"ya")
    record = row.composed.record(headers["x-request-id"])
    assert (record["outcome"], record["status"], record["bytes"]) == (200, status, len(body))


@pytest.mark.parametrize("status", [429, 598])
def test_a_refusal_of_one_of_several_upstreams_comes_back(row: Row, status: int) -> None:
    """And is on record, also where nginx has a number of its own for something else."""
    row.composed.fast("/ulang/sehat")
    found, headers, body = row.composed.request(f"/ulang/status/{status}")
    assert (found, body) == (status, b"ya")
    assert row.composed.record(headers["x-request-id"])["status"] == status


def test_head_brings_no_body(row: Row) -> None:
    status, headers, body = row.composed.fast("/alias/large", method="HEAD")
    assert (status, body, headers["content-length"]) == (200, b"", "1000001")
    record = row.composed.record(headers["x-request-id"])
    assert (record["method"], record["bytes"], record["broken"]) == ("HEAD", 0, 0)


@pytest.mark.parametrize(
    ("path", "key", "status"), [("/alias/x", "", 401), ("/alias/x", "salah", 401), ("/tidakada/x", None, 404)]
)
def test_refused_caller_reaches_no_upstream(row: Row, path: str, key: str | None, status: int) -> None:
    row.composed.fast("/alias/x")
    row.upstream.received.clear()
    found, headers, body = row.composed.request(path, headers={} if key is None else {"AccessKey": key})
    told = json.loads(body)
    assert (found, told["status"]) == (status, status)
    assert row.upstream.received == []
    assert row.composed.record(headers["x-request-id"])["outcome"] == told["code"]


NGINX_HEADERS = ("X-Accel-Redirect", "X-Mantra-Nginx", "X-Mantra-Lane", "X-Mantra-Failed", "X-Mantra-Admission")


@pytest.mark.parametrize("name", NGINX_HEADERS)
def test_a_caller_says_nothing_to_nginx_or_the_bus(row: Row, name: str) -> None:
    lane = f"{'0' * 16};-;-"
    failed = f"{'0' * 16} {'0' * 32} status b1s1"
    for value in ("@lane_ask", "/.lane/call", SECRET, lane, failed, "tick"):
        for cookie in ({}, {"Cookie": "a=b"}):
            status, headers, body = row.composed.request("/alias/x", headers={name: value, **cookie})
            assert (status, json.loads(body)) == (200, ["GET", "/x"])
            assert headers["x-request-id"] != "0" * 32
            assert name.lower() not in row.upstream.last.names
            assert not {each for each in headers if each.startswith("x-mantra")}


@pytest.mark.parametrize("secret", ["", "salah", SECRET + "x"])
def test_the_bus_believes_nobody_but_nginx(row: Row, secret: str) -> None:
    """Who reaches the bus past nginx gets the answer, and never an admission."""
    headers = {"X-Mantra-Nginx": secret, "X-Mantra-Lane": f"{row.composed.nginx_groups()};-;-"}
    for _ in range(3):
        found = row.composed.bus.request(ALIAS + "/kunci/x", headers=headers)
        assert (found.status, json.loads(found.data)) == (200, ["GET", "/x"])
        assert not [header for header in found.headers if header.lower().startswith(("x-accel", "x-mantra"))]


@pytest.mark.parametrize(
    "path", ["/lane:call", "/lane:retry", "//lane:ask", "/@lane_ask", "lane:call", "@lane_ask", "http://xlane:call"]
)
def test_the_locations_are_closed_to_callers(row: Row, path: str) -> None:
    row.upstream.received.clear()
    said = exchange(row.composed.nginx.port, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert said.split(b" ", 2)[1] in (b"400", b"404", b"302")
    assert row.upstream.received == []


@pytest.mark.parametrize(
    "path", ["/fast-lane/tick", "//fast-lane/tick", "/Fast-Lane/tick", "/x/../fast-lane/tick", "/%66ast-lane/tick?x"]
)
def test_callers_reach_no_tick(row: Row, path: str) -> None:
    said = exchange(
        row.composed.nginx.port,
        f"POST {path} HTTP/1.1\r\nHost: x\r\nX-Mantra-Nginx: {SECRET}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
        "{}".encode(),
    )
    assert said.split(b" ", 2)[1] == b"404"


@pytest.mark.parametrize("tail", ["/../rahasia", "/%2e%2e/rahasia", "/a/..%2frahasia", "/.%252e/rahasia"])
def test_no_path_climbs_out_of_the_upstreams(row: Row, tail: str) -> None:
    row.composed.fast("/alias/x")
    row.upstream.received.clear()
    said = exchange(
        row.composed.nginx.port,
        f"GET {ALIAS}/alias{tail} HTTP/1.1\r\nHost: x\r\nAccessKey: {row.composed.bus.key}\r\n"
        "Connection: close\r\n\r\n".encode(),
    )
    assert said.split(b" ", 2)[1] == b"400"
    assert row.upstream.received == []


KEY = "KEY"
DOUBTS: dict[str, tuple[str, str, bytes | None, dict[str, str]]] = {
    "a body": ("/alias/x", "POST", b"isi", {}),
    "another method": ("/alias/x", "DELETE", None, {}),
    "a body with GET": ("/alias/x", "GET", b"isi", {}),
    "an encoded delimiter": ("/alias/a%2Fb", "GET", None, {}),
    "an empty segment": ("/alias/a//b", "GET", None, {}),
    "a trace": ("/alias/x", "GET", None, {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}),
    "hops": ("/alias/x", "GET", None, {"Mantra-Hops": "1"}),
    "via": ("/alias/x", "GET", None, {"Via": "1.1 lain"}),
    "a cookie": ("/alias/x", "GET", None, {"Cookie": "a=b"}),
    "Connection names a header": ("/alias/x", "GET", None, {"Connection": "Accept"}),
    "two keys": ("/alias/x", "GET", None, {"Authorization": "Bearer lain"}),
    "the key in a header": ("/alias/x", "GET", None, {"Prefer": f"x{KEY}x"}),
    "an encoded letter": ("/alias/x?a=%61", "GET", None, {}),
    "another read timeout": ("/tunda/x", "GET", None, {}),
}


@pytest.mark.parametrize("name", DOUBTS)
def test_what_is_in_doubt_goes_by_the_bus(row: Row, name: str) -> None:
    path, method, body, headers = DOUBTS[name]
    if not path.startswith("/tunda"):
        row.composed.fast("/alias/x")
    headers = {each: value.replace(KEY, row.composed.bus.key) for each, value in headers.items()}
    for _ in range(3):
        status, found, _said = row.composed.request(path, method, body, headers)
        assert status == 200
        assert not row.composed.was_on_lane(found["x-request-id"])
        assert row.composed.bus.key not in str(row.upstream.last.headers) + row.upstream.last.path


@pytest.mark.parametrize("query", ["kunci=KEY", "a=1&b=xKEYx"])
def test_a_key_in_the_address_is_refused_as_ever(row: Row, query: str) -> None:
    row.composed.fast("/alias/x")
    row.upstream.received.clear()
    assert row.composed.request(f"/alias/x?{query.replace(KEY, row.composed.bus.key)}")[0] == 400
    assert row.upstream.received == []


def test_an_answer_above_the_cap_does_not_come_through(row: Row) -> None:
    row.composed.fast("/sempit/x")
    with pytest.raises((http.client.HTTPException, OSError)):
        row.composed.fast("/sempit/large", warm="/sempit/x")
    record = row.composed.record(row.upstream.last.header("X-Request-Id"))
    assert (record["outcome"], record["broken"], record["bytes"]) == (11221, 1, 0)


@pytest.mark.parametrize("size", [999_999, 2_000_000])
def test_the_cap_holds_where_no_length_is_stated(row: Row, size: int) -> None:
    if size < 1_000_000:
        status, headers, body = row.composed.fast(f"/sempit/chunked?{size}")
        assert (status, len(body)) == (200, size)
        assert row.composed.record(headers["x-request-id"])["outcome"] == 200
        return
    with pytest.raises((http.client.HTTPException, OSError)):
        row.composed.fast(f"/sempit/chunked?{size}", warm="/sempit/x")
    record = row.composed.record(row.upstream.last.header("X-Request-Id"))
    assert (record["outcome"], record["broken"]) == (11221, 1)
    assert record["bytes"] <= 1_100_000


def test_an_answer_that_breaks_off_is_not_whole(row: Row) -> None:
    with pytest.raises(http.client.IncompleteRead):
        row.composed.fast("/alias/broken", warm="/alias/x")
    assert row.composed.record(row.upstream.last.header("X-Request-Id"))["broken"] == 1


def test_a_caller_who_leaves_is_on_record(row: Row) -> None:
    nginx, key = row.composed.nginx, row.composed.bus.key
    line = f"GET {ALIAS}/alias/slow HTTP/1.1\r\nHost: 127.0.0.1:{nginx.port}\r\nAccessKey: {key}\r\n\r\n"
    on_lane = False
    while not on_lane:
        row.composed.fast("/alias/x")
        with socket.create_connection(("127.0.0.1", nginx.port)) as link:
            link.sendall(line.encode())
            wait_until(lambda: row.upstream.last.path == "/slow", 10, "the request")
        id = row.upstream.last.header("X-Request-Id")
        on_lane = row.composed.was_on_lane(id)
    record = row.composed.record(id)
    assert (record["broken"], record["bytes"]) == (1, 0)


def test_the_record_has_the_time_that_it_took(row: Row) -> None:
    _, headers, _ = row.composed.fast("/alias/slow", warm="/alias/x")
    assert 400_000 <= row.composed.record(headers["x-request-id"])["duration_us"] < 5_000_000


# ------------------------------------------------------------------------- many callers at the same time


def calls_of(row: Row, path: str) -> list[str]:
    """The request ids that the upstream saw with this path."""
    return [each.header("X-Request-Id") for each in row.upstream.received if each.path == path]


def test_nothing_is_lost_or_doubled_under_load(row: Row) -> None:
    with Crowd(row.composed, "/alias/banyak") as crowd:
        wait_until(lambda: len(row.composed.calls().keys() & set(calls_of(row, "/banyak"))) > 200, 30, "the fast lane")
    assert {status for _, status, _ in crowd.answers} == {200}
    seen = calls_of(row, "/banyak")
    assert len(seen) == len(set(seen)) == len(crowd.answers)
    on_lane = row.composed.calls()
    assert set(on_lane.values()) == {1}

    def are_recorded() -> bool:
        records = [record["request_id"] for record in row.composed.records()]
        assert len(records) == len(set(records))
        return set(seen) <= set(records)

    wait_until(are_recorded, 30, "every record")


def test_a_call_that_nginx_refuses_is_none_of_a_lease(row: Row) -> None:
    """More at once than one address may have. Such a call is in no history, and counts in no quota."""
    row.composed.fast("/alias/sehat")
    began = time.time()
    since = f"SELECT used, calls FROM registry_calllease WHERE at > '{datetime.fromtimestamp(began, UTC):%F %T}'"
    head = f"GET {ALIAS}/alias/slow HTTP/1.1\r\nHost: 127.0.0.1:{row.composed.nginx.port}\r\n"
    callers = [socket.create_connection(("127.0.0.1", row.composed.nginx.port), timeout=20) for _ in range(90)]
    with Crowd(row.composed, "/alias/sehat", callers=4) as crowd:
        crowd.wait_for(250)
    for caller in callers:
        caller.sendall(f"{head}AccessKey: {row.composed.bus.key}\r\n\r\n".encode())
    statuses = [read_response(caller)[0] for caller in callers]
    for caller in callers:
        caller.close()
    assert statuses.count(429) >= 90 - 64

    def explained() -> bool:
        rows = row.composed.query(since)
        return bool(rows) and all(each["used"] == each["calls"] for each in rows)

    wait_until(explained, 20, "leases of which every call is known")
    # So many at once were too many for the upstream: each web process may have opened its circuit. A cookie is a doubt.
    by_the_bus = partial(row.composed.request, "/alias/sehat", headers={"Cookie": "a=b"})
    wait_until(lambda: all(by_the_bus()[0] == 200 for _ in range(20)), 30, "the upstream")


def give(row: Row, application: str, quota: str = "") -> str:
    """Make an application that may call prov/data/alias, and return its key."""
    return str(
        row.composed.console.run(f"""
from django.db import transaction
from registry.models import AccessKey, Agency, Application, Grant, Operation
with transaction.atomic():
    made = Application.objects.create(agency=Agency.objects.get(code="prov"), code={application!r}, title="x")
    Grant.objects.create(
        application=made, operation=Operation.objects.get(code="alias"), purpose="uji", quota={quota!r})
    result = AccessKey.issue(made)[1]
""")
    )


def test_no_more_calls_than_the_quota(row: Row) -> None:
    # Enough for some to go over the lane: the first ones do not.
    key = give(row, "hemat", "1500/hour")
    with Crowd(row.composed, "/alias/hemat", key) as crowd:
        # What was leased and not used is given back: the caller gets every one of them, and not one more.
        wait_until(lambda: len(calls_of(row, "/hemat")) >= 1500, 60, "the whole quota")
        crowd.wait_for(100)
    assert {status for _, status, _ in crowd.answers} <= {200, 401, 429}
    seen = calls_of(row, "/hemat")
    assert len(seen) == len([status for _, status, _ in crowd.answers if status == 200]) == 1500
    assert row.composed.calls().keys() & set(seen)


CHANGES = {
    "a revoked key": ("AccessKey.objects.get(application__code=name).revoke()", 401, None),
    "a grant that ends": (
        "grant = Grant.objects.get(application__code=name); "
        "grant.valid_until = datetime.date(2020, 1, 1); grant.save()",
        403,
        None,
    ),
    "another upstream": (
        "server = BackendServer.objects.get(backend__operations__code='alias'); server.url = URL; server.save()",
        200,
        b"pindah",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_in_force_within_a_second_while_many_call(row: Row, name: str) -> None:
    change, status, body = CHANGES[name]
    code = f"ubah{list(CHANGES).index(name)}"
    key = give(row, code)
    with serve_upstream(Answer(b"pindah")) as elsewhere, Crowd(row.composed, f"/alias/{code}", key) as crowd:
        wait_until(lambda: row.composed.calls().keys() & set(calls_of(row, f"/{code}")), 30, "the fast lane")
        crowd.wait_for(100)
        changed = row.composed.console.run(f"""
import datetime, time
from proxyservices.models import BackendServer
from registry.models import AccessKey, Grant
name, URL = {code!r}, {elsewhere.url!r}
before = BackendServer.objects.get(backend__operations__code="alias").url
{change}
result = [time.time(), before]
""")
        wait_until(lambda: crowd.last(status, body) > changed[0] + 1, 30, "calls by the new state")
        if body is not None:
            wait_until(lambda: fast_elsewhere(row, elsewhere), 30, "the fast lane to the new upstream")
            row.composed.console.run(
                "from proxyservices.models import BackendServer; "
                "server = BackendServer.objects.get(backend__operations__code='alias'); "
                f"server.url = {changed[1]!r}; server.save()"
            )
    old = (
        max(began for began, got, _ in crowd.answers if got == 200 and began < changed[0] + 60)
        if body is None
        else max(began for began, got, text in crowd.answers if text != body and began < crowd.last(200, body))
    )
    assert_short(old - changed[0], 1.0)


def fast_elsewhere(row: Row, elsewhere: Upstream) -> bool:
    """Whether nginx has fetched an answer from the new upstream itself."""
    return bool(row.composed.calls().keys() & {each.header("X-Request-Id") for each in elsewhere.received})


# ---------------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("program", ["without", "off"])
def test_without_njs_every_call_goes_by_the_bus(row: Row, tmp_path: Path, program: str) -> None:
    nginx = Nginx(
        tmp_path,
        row.composed.bus,
        secret=SECRET,
        lane=row.composed.lane,
        program=without_njs() if program == "without" else "",
        switch="1" if program == "without" else "0",
    )
    try:
        key = row.composed.bus.key
        for _ in range(4):
            assert nginx.request(ALIAS + "/alias/tanpa", AccessKey=key)[0] == 200
            assert not row.composed.was_on_lane(nginx.headers["X-Request-Id"])
            assert not [name for name in nginx.headers if name.lower().startswith("x-mantra")]
        assert nginx.request("/fast-lane/tick", "POST", b"{}")[0] == 404
    finally:
        nginx.close()
    assert "The fast lane is left out" in nginx.logs()


#: Where nginx has begun the answer, or cannot hand the call over any more: the caller's connection is closed.
HALF = {"hangs-after-headers", "cuts", "gibibyte", "bad-chunks", "too-large", "no-http", "switches", "no-status"}


@pytest.mark.parametrize("name", ILL)
def test_an_ill_upstream_is_told_as_by_the_bus_and_recorded_once(row: Row, name: str) -> None:
    said: Any = None
    before = len(row.composed.calls())
    while said is None:
        row.composed.fast(f"/{name}/sehat")
        try:
            said = row.composed.request(f"/{name}/sakit")
        except (OSError, http.client.HTTPException) as error:
            said = error
    if name in HALF:
        assert isinstance(said, Exception), said
        (record,) = row.composed.wait_for_records(f"operation = '{name}' AND broken = 1")
        assert record["outcome"] in (200, 11221)
        assert len(row.composed.calls()) > before
        return
    status, headers, body = said
    told = json.loads(body)
    assert (status, told["request_id"]) == (ILL[name].wanted, headers["x-request-id"])
    record = row.composed.record(told["request_id"])
    assert (record["outcome"], record["status"]) == (told["code"], status)
    assert told["party"] == "provider"


def test_each_call_is_recorded_once_whichever_process_is_killed(row: Row) -> None:
    """Last of all: every process is another one afterwards."""
    counted = count_calls(row.composed, row.upstream, "/alias/hitung", 560)
    assert counted.doubled == 0
    assert counted.unknown == 0
    # Of a killed nginx the calls that were under way have no line.
    assert counted.missing <= counted.nginx_kills * CALLERS
    assert counted.on_lane > counted.calls / 4


def test_callers_are_told_when_the_bus_is_away(row: Row) -> None:
    """After the last of all. What asked for an admission, or was to be handed over, is told as everybody else."""
    row.composed.bus.stop()
    wait_until(lambda: row.composed.request("/alias/pergi")[0] != 200, 10, "the end of the last admission")
    status, headers, body = row.composed.request("/alias/pergi")
    assert (status, headers["content-type"], headers["retry-after"]) == (503, "application/problem+json", "5")
    assert json.loads(body)["title"] == "The bus cannot be reached"
