"""A stop in several processes and on nginx's fast lane, while many call: how long until the last call is served."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.bounds import assert_short
from tests.proxy.upstream import Answer, Received, Upstream, serve_upstream
from tests.servers.composed import ALIAS, Composed, Crowd, holds
from tests.servers.process import wait_until

AS_IS = {"style": "pass-through", "connect_timeout_ms": 5000, "read_timeout_ms": 10_000, "timeout_ms": 60_000}
LARGE = 64 * 1024 * 1024
STOPPED = 11401
#: Of an operation that nginx calls itself, and of one that the bus calls.
ADDRESSES = {"alias": "/alias/jalan", "bus": "/bus"}
KINDS = ("key", "grant", "application", "operation", "agency", "backend", "all")


@dataclass
class Stage:
    upstream: Upstream
    composed: Composed


def answer(received: Received) -> Answer:
    if received.path.startswith("/besar"):
        return Answer(b"x" * LARGE, "application/octet-stream")
    return Answer(b'{"nama": "Orang"}', "application/json")


def operations(upstream: Upstream) -> list[dict[str, Any]]:
    server = {"url": upstream.url + "/", "credential_kind": "none"}
    large = {"max_body_bytes": 2 * LARGE, "upstreams": [server]}
    return [
        {**AS_IS, "code": "alias", **large},
        # Of these nginx makes no calls: they are converted by the bus.
        {"style": "rest", "code": "bus", "connect_timeout_ms": 5000, "upstreams": [server]},
    ]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with ExitStack() as stack:
        upstream = stack.enter_context(serve_upstream(answer))
        folder = tmp_path_factory.mktemp("henti")
        composed = stack.enter_context(
            Composed(folder, operations(upstream), workers="2", WEB_CONCURRENCY="3", MANTRA_MAX_BODY_MIB="256")
        )
        yield Stage(upstream, composed)


OBJECTS = """
from registry import containment
from registry.models import AccessKey, Agency, Application, Grant, Operation, Stop
operation = Operation.objects.get(code=CODE)
key = AccessKey.objects.order_by("pk")[0]
objects = {
    "key": key.pk, "application": key.application_id, "operation": operation.pk,
    "grant": Grant.objects.get(operation=operation, application=key.application_id).pk,
    "agency": operation.service.agency_id, "backend": operation.proxyoperation.backend_id, "all": 0,
}
"""
#: In the bus's own Python: (when it was committed, the id of the stop).
STOP = (
    OBJECTS
    + """
import time
made = containment.stop(KIND, objects[KIND], "Kebocoran")
result = [time.time(), made.pk]
"""
)
RELEASE = """
from registry import containment
from registry.models import Stop
for each in Stop.in_force():
    containment.release(each, "Sudah")
"""


def stop(stage: Stage, kind: str, code: str) -> float:
    code = STOP.replace("CODE", repr(code)).replace("KIND", repr(kind))
    return float(stage.composed.console.run(code)[0])


@pytest.fixture(autouse=True)
def _released(stage: Stage) -> Iterator[None]:
    yield
    stage.composed.console.run(RELEASE)
    wait_until(lambda: all(stage.composed.request(path)[0] == 200 for path in ADDRESSES.values()), 20, "the release")


def on_lane(stage: Stage) -> int:
    return len(stage.composed.calls())


@pytest.mark.parametrize(("code", "kind"), [*(("alias", kind) for kind in KINDS), ("bus", "key"), ("bus", "backend")])
def test_a_stop_is_in_force_everywhere_within_a_second(stage: Stage, code: str, kind: str) -> None:
    with Crowd(stage.composed, ADDRESSES[code]) as crowd:
        if code == "alias":
            before = on_lane(stage)
            wait_until(lambda: on_lane(stage) > before + 200, 30, "the fast lane")
        crowd.wait_for(100)
        at = stop(stage, kind, code)
        wait_until(lambda: crowd.last(403) > at + 1.5, 30, "calls that are refused")
        answers = list(crowd.answers)
    served = max(began for began, status, _body in answers if status == 200)
    print(f"stopped {kind} of {code}: last served call began {served - at:+.2f} s")
    assert_short(served - at, 1.0)
    refused = next(body for _began, status, body in answers if status == 403)
    assert str(STOPPED).encode() in refused


#: A token of a monitor that may do what an administrator may.
TOKEN = """
from datetime import timedelta
from django.contrib.auth.models import Group
from django.utils import timezone
from registry.models import ApiToken, User
user = User.objects.create(username="pemantau")
user.groups.add(Group.objects.get(name="Administrator"))
result = ApiToken.issue(user, timezone.now() + timedelta(days=1))[1]
"""


def manage(stage: Stage, token: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """A request to the management API by nginx, as a monitor makes it."""
    connection = http.client.HTTPConnection("127.0.0.1", stage.composed.nginx.port, timeout=30)
    headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
    connection.request("POST", f"/manage/api/v1/{path}", json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    assert answer.status in (200, 201), text
    found: dict[str, Any] = json.loads(text)
    return found


def test_a_monitor_stops_by_the_management_api_and_releases(stage: Stage) -> None:
    """The API answers while all calls are stopped: it is how they are released."""
    token = stage.composed.console.run(TOKEN)
    with Crowd(stage.composed, ADDRESSES["alias"]) as crowd:
        crowd.wait_for(100)
        one = {"kind": "operation", "target": "prov/data/alias", "reason": "Kebocoran"}
        made = [manage(stage, token, "stops/", one)]
        at = time.time()
        wait_until(lambda: crowd.last(403) > at + 1.5, 30, "calls that are refused")
        served = crowd.last(200) - at
        made.append(manage(stage, token, "stops/", {"kind": "all", "reason": "Kebocoran"}))
        for each in made:
            manage(stage, token, f"stops/{each['id']}/release/", {"reason": "Sudah aman"})
        released = time.time()
        wait_until(lambda: crowd.last(200) > released, 30, "calls that are served")
        again = min(began for began, status, _body in list(crowd.answers) if status == 200 and began > released)
    print(
        f"stopped by the API: last served call began {served:+.2f} s, first after the release {again - released:.2f} s"
    )
    assert_short(served, 1.0)
    assert_short(again - released, 1.0)
    refused = next(body for _began, status, body in crowd.answers if status == 403)
    assert str(STOPPED).encode() in refused


class Download:
    """A caller who takes a large response at a pace of some MB/s."""

    def __init__(self, stage: Stage, headers: dict[str, str]) -> None:
        self._socket = socket.create_connection(("127.0.0.1", stage.composed.nginx.port), timeout=20)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        # The same head as that of the crowd's requests: an admission is for such.
        lines = {"Host": f"127.0.0.1:{stage.composed.nginx.port}", "AccessKey": stage.composed.bus.key, **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._socket.sendall(f"GET {ALIAS}/alias/besar HTTP/1.1\r\n{head}\r\n".encode())
        self._response = http.client.HTTPResponse(self._socket)
        self._response.begin()
        self.id = self._response.getheader("X-Request-Id") or ""
        self.received = 0

    def close(self) -> None:
        self._socket.close()

    def take(self, most: int) -> bool:
        """Take a part. False when there is no more."""
        try:
            piece = self._response.read(most)
        except (OSError, http.client.HTTPException):
            return False
        self.received += len(piece)
        return bool(piece)


def begin_download(stage: Stage, way: str) -> Download:
    """A large response that has begun, over nginx's own call or over the bus."""
    if way == "bus":
        return Download(stage, {"Cookie": "a=b"})  # a cookie is a doubt
    with Crowd(stage.composed, ADDRESSES["alias"], callers=4) as crowd:
        crowd.wait_for(200)
        for _ in range(10):
            download = Download(stage, {})
            if not holds(stage.composed.bus.var / "journal", download.id):
                return download
            download.close()
    raise AssertionError("no download went over the fast lane")


@pytest.mark.parametrize("way", ["lane", "bus"])
def test_a_download_under_way_ends(stage: Stage, way: str) -> None:
    download = begin_download(stage, way)
    assert download.take(1_000_000)
    at = stop(stage, "key", "alias")
    before, ended = download.received, 0.0
    while download.take(200_000):
        time.sleep(0.05)  # 4 MB/s: the whole would take 16 s
        ended = time.time()
    print(f"download over the {way}: {download.received} of {LARGE} bytes, ended {ended - at:.2f} s after the stop")
    # What nginx and the kernel had of it already is all that the caller still gets.
    assert download.received - before < 24 * 1024 * 1024
    record = stage.composed.record(download.id)
    assert (record["outcome"], bool(record["broken"])) == (STOPPED, True)
    assert stage.composed.was_on_lane(download.id) == (way == "lane")
