"""Proxy operations towards a MANTRA 1.99x: its answers taken over, and its failures kept apart from ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from django.conf import settings
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from proxyservices.models import ProxyOperation
from registry import faults
from registry.models import Grant, Parameter
from registry.snapshot import holder
from tests.bounds import assert_within
from tests.cast import Cast, Reply, call
from tests.proxy.publishing import add_server

ROWS = '{"response":{"status":1,"code":200,"message":"OK","data":{"asal":{"0":{"nip":"007","nama":null}}}}}'


@pytest.fixture
def publish(cast: Cast) -> Callable[..., ProxyOperation]:
    def made(*urls: str, **more: object) -> ProxyOperation:
        operation = ProxyOperation.objects.create(
            service=cast.service, code="alias", path="asal", state="published", style="legacy-rest", **more
        )
        Parameter.objects.create(operation=operation, name="nip")
        for priority, url in enumerate(urls):
            add_server(operation, url, priority=priority, credential="kuncihulu1").full_clean()
        Grant.objects.create(application=cast.application, operation=operation, purpose="uji")
        holder.refresh()
        return operation

    return made


def request(cast: Cast, face: str = "json", nip: str = "007") -> Reply:
    return call(f"/{face}/prov/data/alias/nip={nip}", accesskey=cast.key)


def code_of(reply: Reply) -> int:
    found: int = reply.json()["response"]["code"]
    return found


def test_it_works(cast: Cast, publish: Callable[..., ProxyOperation], httpserver: HTTPServer) -> None:
    received: list[Request] = []

    def answer(sent: Request) -> Response:
        received.append(sent)
        return Response(ROWS)

    httpserver.expect_request("").respond_with_handler(answer)
    publish(httpserver.url_for("/json/bkn/simpeg"))
    reply = request(cast, nip="a%252Fb+c")
    assert reply.json()["response"]["data"] == {"asal": {"0": {"nip": "007", "nama": None}}}
    (sent,) = received
    # Encoded twice, as the stock client does.
    assert sent.environ["RAW_URI" if "RAW_URI" in sent.environ else "REQUEST_URI"].endswith(
        "/json/bkn/simpeg/asal/nip=a%252Fb%2Bc"
    )
    assert sent.headers["AccessKey"] == "kuncihulu1"
    assert sent.headers["User-Agent"] == "MANTRA"
    assert cast.key not in str(sent.headers)


@pytest.mark.parametrize("face", ["json", "xml", "api"])
def test_the_answer_comes_in_the_callers_format(
    cast: Cast, publish: Callable[..., ProxyOperation], httpserver: HTTPServer, face: str
) -> None:
    httpserver.expect_request("").respond_with_data(
        '<?xml version="1.0"?><response><status>1</status><code>200</code><message>OK</message>'
        "<data><asal><nip>007</nip></asal></data></response>"
    )
    publish(httpserver.url_for("/xml/bkn/simpeg"))
    reply = request(cast, face)
    assert reply.status == 200
    assert b"007" in reply.body
    assert reply.body[:1] == {"json": b"{", "xml": b"<", "api": b"a"}[face]


def test_a_document_without_the_envelope_becomes_data(
    cast: Cast, publish: Callable[..., ProxyOperation], httpserver: HTTPServer
) -> None:
    # 1.99x has code that takes this wrapper off, and never runs it.
    httpserver.expect_request("").respond_with_data('{"valid_response": {"hasil": {"a": "1"}}}')
    publish(httpserver.url_for("/"))
    assert request(cast).json()["response"]["data"] == {"valid_response": {"hasil": {"a": "1"}}}


def test_rest_takes_the_envelope_off(
    cast: Cast, publish: Callable[..., ProxyOperation], httpserver: HTTPServer
) -> None:
    httpserver.expect_request("").respond_with_data(ROWS)
    publish(httpserver.url_for("/"))
    assert cast.get("alias.json", "nip=007").json() == {"asal": {"0": {"nip": "007", "nama": None}}}


def test_what_the_upstream_refuses_is_said(
    cast: Cast, publish: Callable[..., ProxyOperation], httpserver: HTTPServer
) -> None:
    refused = '{"response":{"status":0,"code":10005,"message":"wajib","data":""}}'
    httpserver.expect_request("").respond_with_data(refused)
    publish(httpserver.url_for("/"))
    assert code_of(request(cast)) == 10005
    reply = cast.get("alias.json", "nip=007")
    assert (reply.status, reply.json()["code"]) == (502, faults.UPSTREAM_REFUSED.code)
    assert "10005" in reply.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"{broken}",
        b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
        b"<?xml version='1.0'?><a>",
    ],
    ids=["json", "doctype", "xml"],
)
def test_an_answer_that_cannot_be_read(
    cast: Cast, publish: Callable[..., ProxyOperation], httpserver: HTTPServer, body: bytes
) -> None:
    httpserver.expect_request("").respond_with_data(body)
    publish(httpserver.url_for("/"), max_body_bytes=1_000_000)
    assert code_of(request(cast)) == faults.UPSTREAM_ANSWER_UNREADABLE.code


def test_an_answer_over_the_size_cap(
    cast: Cast, publish: Callable[..., ProxyOperation], httpserver: HTTPServer
) -> None:
    httpserver.expect_request("").respond_with_data(b"x" * 2_000_000)
    publish(httpserver.url_for("/"), max_body_bytes=1_000_000)
    assert code_of(request(cast)) == faults.UPSTREAM_TOO_LARGE.code


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_status_that_is_no_success(
    cast: Cast, publish: Callable[..., ProxyOperation], httpserver: HTTPServer, status: int
) -> None:
    other = httpserver.url_for("/lain")
    httpserver.expect_request("/lain").respond_with_data(ROWS)
    httpserver.expect_request("/a/asal/nip=007").respond_with_data(ROWS, status=status, headers={"Location": other})
    publish(httpserver.url_for("/a"))
    reply = request(cast)
    assert code_of(reply) == faults.UPSTREAM_STATUS.code
    assert str(status) in reply.text


def test_an_upstream_that_says_nothing_is_given_up(
    cast: Cast, publish: Callable[..., ProxyOperation], silent_port: int
) -> None:
    publish(f"http://127.0.0.1:{silent_port}/json", timeout_ms=500)
    began = time.monotonic()
    assert code_of(request(cast)) == faults.UPSTREAM_TIMEOUT.code
    assert_within(5, began)


def test_a_call_that_goes_in_a_circle_is_ended(
    cast: Cast, publish: Callable[..., ProxyOperation], httpserver: HTTPServer
) -> None:
    hops: list[str] = []

    def answer(sent: Request) -> Response:
        hops.append(sent.headers["Mantra-Hops"])
        return Response(ROWS)

    httpserver.expect_request("").respond_with_handler(answer)
    publish(httpserver.url_for("/"))
    path = "/json/prov/data/alias/nip=007"
    codes = [code_of(call(path, accesskey=cast.key, mantra_hops=text)) for text in ("", "2", "3", "4", "99", "-1")]
    assert codes == [200, 200, 200, faults.LOOP.code, faults.LOOP.code, 200]
    assert hops == ["1", "3", "4", "1"]


def test_a_slow_upstream_leaves_threads_to_the_others(
    cast: Cast, publish: Callable[..., ProxyOperation], silent_port: int
) -> None:
    publish(f"http://127.0.0.1:{silent_port}/json", timeout_ms=1500)
    codes: list[int] = []
    threads = [threading.Thread(target=lambda: codes.append(code_of(request(cast)))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes.count(faults.UPSTREAM_BUSY.code) == 12 - settings.WEB_THREADS // 2
    assert codes.count(faults.UPSTREAM_TIMEOUT.code) == settings.WEB_THREADS // 2


def test_the_next_address_is_tried_when_the_first_is_dead(
    cast: Cast, publish: Callable[..., ProxyOperation], httpserver: HTTPServer, refusing_port: int
) -> None:
    httpserver.expect_request("").respond_with_data(ROWS)
    dead = f"http://127.0.0.1:{refusing_port}/json"
    operation = publish(dead)
    assert code_of(request(cast)) == faults.UPSTREAM_UNREACHABLE.code
    add_server(operation, httpserver.url_for("/"), priority=1)
    holder.refresh()
    assert code_of(request(cast)) == 200
