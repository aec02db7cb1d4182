"""The fast lane, as nginx sees it: admissions, leases, the tick, and calls that come back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from mantra.gateway.fast_lane import admissions, groups, tick
from mantra.gateway.fast_lane.groups import UpstreamGroups
from mantra.gateway.fast_lane.pacing import Paces
from proxyservices.models import ProxyOperation
from registry import faults
from registry.journal import lane_folder
from registry.journal.lane_folder import Collected
from registry.models import AccessKey, Field, Grant
from registry.snapshot import holder
from tests.cast import Cast, Reply, call, recorded
from tests.proxy.publishing import add_server, publish_proxy
from tests.proxy.upstream import Answer, Upstream, serve_upstream

SECRET = "rahasia-nginx-0123456789"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Lane:
    """nginx, played by the test."""

    cast: Cast
    clock: Clock
    upstream: Upstream
    operation: ProxyOperation

    def call(self, path: str = "/x", last: str = "-", used: str = "-", method: str = "GET", **more: Any) -> Reply:
        """A call that nginx would take over the fast lane, a tenth of a second after the one before."""
        self.clock.now += 0.1
        said = {"x_mantra_nginx": SECRET, "x_mantra_lane": f"{groups.groups.version or '-'};{last};{used}"}
        return call(f"/rest/prov/data/alias{path}", method, accesskey=self.cast.key, **said | more)

    def admission(self, **more: Any) -> dict[str, Any]:
        """An admission, as a caller gets whose second call comes soon."""
        self.call(**more)
        return admission_of(self.call(**more))

    def tick(self, *ended: tuple[str, int], secret: str = SECRET) -> Reply:
        body = json.dumps({"groups": groups.groups.version, "ended": ended})
        return call(tick.PATH, "POST", body, x_mantra_nginx=secret)


def admission_of(reply: Reply) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(reply.headers["x-mantra-admission"])
    return found


def lines(kind: str) -> list[dict[str, Any]]:
    return [line for line in recorded() if line["t"] == kind]


def collect() -> None:
    """The sign of a worker that has collected everything."""
    lane_folder.write("collected.json", Collected(time.time(), 0))


@pytest.fixture
def lane(cast: Cast, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lane]:
    settings.NGINX_SECRET, settings.FAST_LANE_DIR = SECRET, tmp_path / "lane"
    clock = Clock()
    own = UpstreamGroups()
    for module in (groups, admissions, tick):
        monkeypatch.setattr(module, "groups", own)
    monkeypatch.setattr(admissions, "paces", Paces(clock))
    with serve_upstream(Answer(b'{"ok":1}', "application/json")) as upstream:
        operation = publish_proxy(
            cast, upstream.url + "/dasar", path="v2?k=1", forwarded_request_headers="Accept, Prefer, User-Agent"
        )
        (tmp_path / "lane").mkdir()
        collect()
        own.round()
        yield Lane(cast, clock, upstream, operation)
        own.release()


def test_it_works(lane: Lane) -> None:
    first, second = lane.call(), lane.call("/lain?q=1")
    assert "x-mantra-admission" not in first.headers  # who calls rarely gets none
    given = admission_of(second)
    server = lane.operation.backend.servers.get()  # type: ignore[union-attr]
    assert given["version"] == holder.version()
    assert (given["groups"], given["group"]) == (groups.groups.version, f"b{lane.operation.backend_id}s{server.pk}")
    assert (given["base"], given["query"], given["host"]) == ("/dasar/v2", "k=1", f"127.0.0.1:{lane.upstream.port}")
    assert (given["lease"], given["ms"], given["methods"], given["retry"]) == (64, 1000, ["GET"], 0)
    assert given["forward"] == ["accept", "prefer", "user-agent"]
    sent = {name.lower(): value for name, value in lane.upstream.last.headers}
    for name, value in given["send"].items():
        assert sent[name.lower()] == value
    assert {"Via", "Mantra-Hops", "X-Forwarded-For", "X-Forwarded-Proto", "User-Agent"} == set(given["send"])
    assert given["added"] == {"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"}
    assert {"content-type", "content-length", "etag"} <= set(given["returned"])
    assert given["addresses"]["alias"] == "/rest/prov/data/alias"
    assert given["addresses"]["bases"] == [given["addresses"]["base"]] == [f"{lane.upstream.url}/dasar/v2"]
    assert given["quota"] is None
    [lease] = lines("lease")
    assert (lease["id"], lease["n"], lease["ip"]) == (given["id"], 64, "127.0.0.1")
    assert lease["by"][:2] == ["kons", "app"]
    assert lease["from"] == ["backend", lane.operation.backend_id, "alias", server.pk]
    assert lane.cast.key not in second.headers["x-mantra-admission"]


def test_nginx_gets_the_groups_that_it_needs(lane: Lane) -> None:
    text = (lane_folder.log_folder().parent / "upstreams.conf").read_text()
    assert f"server 127.0.0.1:{lane.upstream.port} max_fails=0;" in text
    assert f'map "" $fast_lane_groups {{ default "{groups.groups.version}"; }}' in text
    before = groups.groups.version
    with serve_upstream(Answer(b"{}")) as other:
        publish_proxy(lane.cast, other.url, code="lain")
        another = UpstreamGroups()
        groups.groups.release()
        another.round()
        another.release()
    groups.groups.round()
    assert groups.groups.version != before
    # An nginx that has only the version before may use what is as it was.
    assert lane.admission(x_mantra_lane=f"{before};-;-")["groups"] == before
    assert "x-mantra-admission" not in lane.call(x_mantra_lane="0" * 16 + ";-;-").headers


@pytest.mark.parametrize("secret", ["", "salah", SECRET + "x"])
def test_only_nginx_is_believed(lane: Lane, secret: str) -> None:
    failed = "0" * 16 + " " + "a" * 32 + " late b1s1"
    for _ in range(3):
        reply = lane.call(x_mantra_nginx=secret, x_mantra_failed=failed)
        assert reply.status == 200
        assert "x-mantra-admission" not in reply.headers
        assert reply.headers["x-request-id"] != "a" * 32
    assert lane.tick(secret=secret).status == 404
    assert not [name for name in lane.upstream.last.names if name.startswith("x-mantra")]


def test_an_upstream_gives_no_admission(lane: Lane) -> None:
    lane.operation.returned_response_headers = "ETag, X-Mantra-Admission, X-Accel-Redirect"
    lane.operation.save()
    holder.refresh()
    commands = [("X-Mantra-Admission", "palsu"), ("X-Accel-Redirect", "/")]
    lane.upstream.answer = lambda received: Answer(b"{}", headers=commands)
    assert "palsu" not in str(lane.call().headers)
    assert not [name for name in admission_of(lane.call())["returned"] if name.startswith("x-")]


@pytest.mark.parametrize(
    "changed",
    [
        {"timeout_ms": 9000},
        {"read_timeout_ms": 9000},
        {"read_timeout_ms": 11_000, "timeout_ms": 20_000},
        {"max_concurrent_calls": 1},
        {"cache_seconds": 5},
        {"forward_credentials": True},
        {"forwarded_request_headers": "X-Pesan"},
        {"access": "open"},
    ],
    ids=str,
)
def test_what_goes_by_the_bus(lane: Lane, changed: dict[str, Any]) -> None:
    for name, value in changed.items():
        setattr(lane.operation, name, value)
    lane.operation.save()
    holder.refresh()
    for _ in range(3):
        reply = lane.call()
        assert (reply.status, reply.headers.get("x-mantra-admission")) == (200, None)


def test_no_admission_while_calls_are_not_collected(lane: Lane) -> None:
    for sign in (Collected(time.time() - 61, 0), Collected(time.time(), 65 * 1024 * 1024)):
        lane_folder.write("collected.json", sign)
        groups.groups.round()
        assert [lane.call().headers.get("x-mantra-admission") for _ in range(3)] == [None] * 3
    collect()
    groups.groups.round()
    assert lane.admission()["lease"] == 64


def test_a_lease_follows_what_was_used(lane: Lane) -> None:
    first = lane.admission()
    grown = admission_of(lane.call(last=first["id"], used="64"))
    assert grown["lease"] == 128
    # Until nginx says that it has it, nobody else gets another.
    assert "x-mantra-admission" not in lane.call(last=first["id"], used="64").headers
    assert admission_of(lane.call(last=grown["id"], used="900000"))["lease"] == 10_000


def test_an_admission_ends_with_the_key(lane: Lane) -> None:
    AccessKey.objects.filter(pk=lane.cast.key_row.pk).update(expires_at=timezone.now() + timedelta(seconds=0.5))
    holder.refresh()
    assert lane.admission()["ms"] <= 500


def test_a_change_of_the_registry_is_told_and_older_admissions_are_recognised(lane: Lane) -> None:
    given = lane.admission()
    assert lane.tick().json() == {"version": given["version"], "groups": groups.groups.version, "stops": ""}
    lane.cast.key_row.revoke()
    holder.refresh()
    assert lane.tick().json()["version"] > given["version"]
    assert lane.call(last=given["id"], used="64").status == 401


def test_a_call_that_began_before_a_change_gets_no_admission(lane: Lane) -> None:
    lane.call()

    def answer(received: Any) -> Answer:
        lane.operation.title = "Baru"
        lane.operation.save()
        holder.refresh()
        return Answer(b"{}")

    lane.upstream.answer = answer
    assert "x-mantra-admission" not in lane.call().headers


def test_what_was_not_used_is_given_back(lane: Lane) -> None:
    Grant.objects.filter(operation=lane.operation).update(quota="1000/hour")
    holder.refresh()
    given = lane.admission()
    assert given["quota"][:3] == [1000, 3600, 1000 - 2 - 64]
    assert lane.tick((given["id"], 4)).status == 200
    assert lane.tick((given["id"], 4)).status == 200  # as nginx says it again when it heard no answer
    assert [line["leases"] for line in lines("used")] == [[[given["id"], 4]]] * 2
    left = lane.call(last=given["id"], used="0").headers["ratelimit"]
    assert left.startswith(f'"quota";r={1000 - 2 - 4 - 1};')


def test_a_lease_takes_a_tenth_of_what_is_left_at_most(lane: Lane) -> None:
    Grant.objects.filter(operation=lane.operation).update(quota="42/hour")
    holder.refresh()
    assert lane.admission()["lease"] == 4
    Grant.objects.filter(operation=lane.operation).update(quota="9/hour")
    holder.refresh()
    lane.clock.now += 1
    assert [lane.call().headers.get("x-mantra-admission") for _ in range(2)] == [None, None]


def test_a_call_that_could_not_connect_is_served_anew(lane: Lane) -> None:
    given = lane.admission()
    failed = f"{given['id']} {'a' * 32} unreachable {given['group']}"
    reply = call("/rest/prov/data/alias/x", accesskey=lane.cast.key, x_mantra_nginx=SECRET, x_mantra_failed=failed)
    assert (reply.status, reply.headers["x-request-id"]) == (200, "a" * 32)
    [begin] = [line for line in lines("begin") if line["id"] == "a" * 32]
    assert begin["lease"] == given["id"]


@pytest.mark.parametrize(
    ("reason", "status", "code"), [("late", 504, 11206), ("closed", 502, 11205), ("large", 502, 11221)]
)
def test_a_call_that_cannot_be_sent_again_ends_with_the_buss_fault(
    lane: Lane, reason: str, status: int, code: int
) -> None:
    lane.operation.retries = 0
    lane.operation.save()
    holder.refresh()
    given = lane.admission()
    before = len(lane.upstream.received)
    failed = f"{given['id']} {'a' * 32} {reason} {given['group']}"
    reply = call("/rest/prov/data/alias/x", accesskey=lane.cast.key, x_mantra_nginx=SECRET, x_mantra_failed=failed)
    assert (reply.status, reply.json()["code"], reply.json()["request_id"]) == (status, code, "a" * 32)
    assert len(lane.upstream.received) == before


def test_an_admission_is_for_the_server_that_has_just_responded(lane: Lane) -> None:
    """With retries nginx hands a 503 over, and the bus goes on with the other server."""
    with serve_upstream(lambda received: Answer(b"dua", "text/plain")) as second:
        lane.operation.retries = 1
        lane.operation.save()
        add_server(lane.operation, second.url, priority=1)
        holder.refresh()
        groups.groups.release()
        another = UpstreamGroups()
        another.round()
        another.release()
        groups.groups.round()
        given = lane.admission()
        assert (given["retry"], given["group"].split("s")[0]) == (1, f"b{lane.operation.backend_id}")
        assert given["addresses"]["base"] == f"{lane.upstream.url}/dasar/v2"
        assert given["addresses"]["bases"][1:] == [f"{second.url}/v2"]
        before = len(lane.upstream.received)
        failed = f"{given['id']} {'a' * 32} status {given['group']}"
        reply = call("/rest/prov/data/alias/x", accesskey=lane.cast.key, x_mantra_nginx=SECRET, x_mantra_failed=failed)
        assert (reply.status, reply.body) == (200, b"dua")
        assert len(lane.upstream.received) == before


def test_a_grant_for_some_networks_holds_for_each_caller(lane: Lane) -> None:
    Grant.objects.filter(operation=lane.operation).update(networks="10.0.0.0/8")
    holder.refresh()
    assert lane.admission(address="10.1.2.3")["send"]["X-Forwarded-For"] == "10.1.2.3"
    for _ in range(2):
        assert lane.call(address="192.0.2.1").status == 403


@pytest.mark.parametrize("host", ["bus\u00e9.go.id", 'bus".go.id', "bus\\.go.id"])
def test_a_host_that_is_not_plain_goes_by_the_bus(lane: Lane, host: str) -> None:
    assert [lane.call(host=host).headers.get("x-mantra-admission") for _ in range(2)] == [None] * 2


def test_failures_on_the_lane_open_the_circuit(lane: Lane) -> None:
    given = lane.admission()
    for number in range(3):
        failed = f"{given['id']} {number:032x} late {given['group']}"
        call("/rest/prov/data/alias/x", accesskey=lane.cast.key, x_mantra_nginx=SECRET, x_mantra_failed=failed)
    assert lane.call().json()["code"] == faults.UPSTREAM_CIRCUIT_OPEN.code


@pytest.mark.parametrize(
    "body",
    ["", "[]", '{"ended":[]}', '{"groups":"-","ended":[["x",1]]}', '{"groups":"-","ended":[["aaaaaaaaaaaaaaaa",-1]]}'],
)
def test_a_tick_that_cannot_be_read_is_refused(lane: Lane, body: str) -> None:
    assert call(tick.PATH, "POST", body, x_mantra_nginx=SECRET).status == 400
    assert not lines("used")


def test_calls_with_masks_go_by_the_bus(lane: Lane) -> None:
    """nginx masks nothing: a call whose fields are masked, or need a legal basis, is never admitted."""
    lane.admission()
    grant = Grant.objects.get(operation=lane.operation)
    Field.objects.create(operation=lane.operation, name="ok")
    for masks, mask, classification in (("ok=partial", "", ""), ("", "partial", ""), ("", "", "specific")):
        Grant.objects.filter(pk=grant.pk).update(masks=masks)
        Field.objects.filter(operation=lane.operation).update(mask=mask, classification=classification or "internal")
        holder.refresh()
        for _call in range(3):
            reply = lane.call()
            assert reply.status == 403 and "x-mantra-admission" not in reply.headers
    Field.objects.filter(operation=lane.operation).update(classification="internal")
    holder.refresh()
    assert lane.admission()
