"""Traces of calls: what goes to the collector and to the upstream, and that nothing of it is there when it is off."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from proxyservices.models import Backend
from registry import logs, tracing
from tests.cast import Cast, Reply, call
from tests.metrics.test_logs import objects, written
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, serve_upstream

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class FakeCollector:
    """A receiver of OTLP over HTTP that keeps what it gets."""

    def __init__(self, server: HTTPServer) -> None:
        self.url = server.url_for("/v1/traces")
        self.requests: list[ExportTraceServiceRequest] = []
        server.expect_request("/v1/traces", method="POST").respond_with_handler(self._take)

    def _take(self, request: Request) -> Response:
        assert request.content_type == "application/x-protobuf"
        self.requests.append(ExportTraceServiceRequest.FromString(request.get_data()))
        return Response(b"", content_type="application/x-protobuf")

    def spans(self) -> dict[str, Span]:
        """The spans by name, after all have been sent."""
        assert tracing._tracing is not None and tracing._tracing.flush()
        return {
            span.name: span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }


@pytest.fixture
def collector(httpserver: HTTPServer, settings: Any) -> Iterator[FakeCollector]:
    fake = FakeCollector(httpserver)
    settings.TRACING, settings.TRACING_URL, settings.TRACING_RATIO = True, fake.url, 1.0
    tracing.start("2.0.0")
    yield fake
    tracing.stop()


def attributes(span: Span) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


def test_it_works(cast: Cast, collector: FakeCollector) -> None:
    reply = cast.get("satu.json", "id=7")
    spans = collector.spans()
    assert set(spans) == {"GET prov/data/satu", "source", "respond"}
    root, source, respond = spans["GET prov/data/satu"], spans["source"], spans["respond"]
    id = reply.headers["x-request-id"]
    assert root.trace_id.hex() == source.trace_id.hex() == respond.trace_id.hex() == id
    assert root.parent_span_id == b""
    assert source.parent_span_id == respond.parent_span_id == root.span_id
    assert (root.kind, source.kind, respond.kind) == (
        Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_INTERNAL,
    )  # fmt: skip
    assert (
        root.start_time_unix_nano
        <= source.start_time_unix_nano
        <= source.end_time_unix_nano
        <= respond.start_time_unix_nano
        <= respond.end_time_unix_nano
        <= root.end_time_unix_nano
    )
    assert attributes(root) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.response.body.size": len(reply.body),
        "mantra.protocol": "rest",
        "mantra.request_id": id,
        "mantra.outcome": 200,
        "mantra.agency": "prov",
        "mantra.operation": "prov/data/satu",
        "mantra.application": "kons/app",
        "mantra.rows": 1,
    }
    assert attributes(source) == {"db.system.name": "sqlite", "mantra.source": "prov/uji"}
    (resource_spans,) = collector.requests[0].resource_spans
    resource = {each.key: each.value.string_value for each in resource_spans.resource.attributes}
    assert (resource["service.name"], resource["service.version"]) == ("mantra", "2.0.0")


def test_a_callers_trace_goes_on(cast: Cast, collector: FakeCollector) -> None:
    cast.get("satu.json", "id=7", traceparent=f"00-{TRACE}-{PARENT}-01", tracestate="vendor=1")
    root = collector.spans()["GET prov/data/satu"]
    assert (root.trace_id.hex(), root.parent_span_id.hex(), root.trace_state) == (TRACE, PARENT, "vendor=1")


def test_an_upstreams_trace_goes_on_from_the_bus(cast: Cast, collector: FakeCollector) -> None:
    with serve_upstream(Answer(b"{}", "application/json")) as upstream:
        publish_proxy(cast, upstream.url)
        trace = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}
        assert call("/rest/prov/data/alias/x", accesskey=cast.key, **trace).status == 200
    span = collector.spans()["upstream"]
    assert upstream.last.header("traceparent") == f"00-{TRACE}-{span.span_id.hex()}-01"
    assert upstream.last.header("tracestate") == "vendor=1"
    backend = Backend.objects.get()
    assert attributes(span) == {"mantra.style": "PassThrough", "mantra.backend": backend.code}


@pytest.mark.parametrize("path", ["/mantra/json/prov/data/satu/id=7", "/rest/prov/data/satu.json?id=7"])
def test_a_caller_decides_whether_its_trace_is_kept(cast: Cast, collector: FakeCollector, path: str) -> None:
    call(path, accesskey=cast.key, user_agent="MANTRA", traceparent=f"00-{TRACE}-{PARENT}-00")
    assert collector.spans() == {}
    call(path, accesskey=cast.key, user_agent="MANTRA", traceparent=f"00-{TRACE}-{PARENT}-01")
    assert len(collector.spans()) == 3


def test_the_bus_keeps_a_share(cast: Cast, settings: Any, httpserver: HTTPServer) -> None:
    fake = FakeCollector(httpserver)
    settings.TRACING, settings.TRACING_URL, settings.TRACING_RATIO = True, fake.url, 0.0
    tracing.start("2.0.0")
    try:
        assert cast.get("satu.json", "id=7").status == 200
        assert fake.spans() == {}
    finally:
        tracing.stop()


def refused(cast: Cast) -> Reply:
    return cast.get("satu.json", "id=3201019001010001", accesskey="wrong-3201019001010001")


def failed(cast: Cast) -> Reply:
    cast.operation("rusak", "SELECT tidak_ada FROM orang")
    return cast.get("rusak.json")


def test_what_the_provider_fails_is_an_error_and_what_the_caller_does_is_none(
    cast: Cast, collector: FakeCollector
) -> None:
    assert refused(cast).status == 401
    assert failed(cast).status == 502
    spans = collector.spans()
    assert spans["GET prov/data/satu"].status.code == Status.STATUS_CODE_UNSET
    assert spans["GET prov/data/rusak"].status.code == spans["source"].status.code == Status.STATUS_CODE_ERROR
    assert attributes(spans["source"])["error.type"] == "query-failed"


def test_nothing_that_a_caller_wrote_is_in_a_trace(cast: Cast, collector: FakeCollector) -> None:
    refused(cast)
    call("/rest/prov/data/3201019001010001?x=3201019001010001", "X3201019001010001", accesskey=cast.key)
    collector.spans()
    assert collector.requests
    for request in collector.requests:
        assert "3201019001010001" not in str(request)
        assert cast.key not in str(request)


def test_a_line_of_the_log_names_the_trace(
    cast: Cast, collector: FakeCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mantra.gateway.serve.quotas.consume", lambda _: 1 / 0)
    with written("json") as lines:
        cast.get("satu.json", "id=7", traceparent=f"00-{TRACE}-{PARENT}-01")
    assert [line.get("trace_id") for line in objects(lines())] == [TRACE]
    assert logs.current.call is None


def test_a_collector_that_is_away_delays_no_call(cast: Cast, settings: Any) -> None:
    settings.TRACING, settings.TRACING_URL, settings.TRACING_RATIO = True, "http://127.0.0.1:1/v1/traces", 1.0
    tracing.start("2.0.0")
    try:
        assert all(cast.get("satu.json", "id=7").status == 200 for _ in range(3))
    finally:
        tracing.stop()


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each import of OpenTelemetry fails from now on."""
    monkeypatch.delitem(sys.modules, "registry.tracing.spans", raising=False)
    monkeypatch.delattr(tracing, "spans", raising=False)
    for name in [*sys.modules, "opentelemetry"]:
        if name.partition(".")[0] == "opentelemetry":
            monkeypatch.setitem(sys.modules, name, None)


def test_off_it_is_not_even_imported(cast: Cast, without_library: None) -> None:
    tracing.start("2.0.0")
    assert cast.get("satu.json", "id=7").status == 200


def test_without_the_library_calls_are_served(
    cast: Cast, without_library: None, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.TRACING = True
    tracing.start("2.0.0")
    assert cast.get("satu.json", "id=7").status == 200
    assert "requirements-tracing.txt is not installed" in caplog.text
