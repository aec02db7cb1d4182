"""The pages of proxy operations: secrets that go in and never come out, a test that names the phase, the live state."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override
from pytest_httpserver import HTTPServer

from proxyservices.admin import operations
from proxyservices.admin.operations import STATES
from proxyservices.health import advice
from proxyservices.health.connection_test import check_connection
from proxyservices.models import AddressChange, ParameterMapping, ProxyOperation, Upstream, UpstreamState
from proxyservices.transport.errors import PHASES
from registry.models import Parameter
from tests.admin.conftest import MarkedAgency, SignIn
from tests.servers.faulty import once, scripted_server

BASE = {
    "title": "Alias",
    "description": "",
    "style": "rest",
    "method": "GET",
    "allowed_methods": "GET",
    "path": "asal",
    "forwarded_request_headers": "",
    "returned_response_headers": "",
    "timeout_ms": "5000",
    "connect_timeout_ms": "1000",
    "read_timeout_ms": "2000",
    "max_body_bytes": "1000",
    "max_concurrent_calls": "0",
    "retries": "0",
    "stale_if_error_seconds": "0",
    "state": "draft",
    "access": "restricted",
    "cache_seconds": "0",
}


def page(operation: ProxyOperation, word: str = "change") -> str:
    return reverse(f"admin:proxyservices_proxyoperation_{word}", args=(operation.pk,))


def rows(prefix: str, *values: dict[str, Any]) -> dict[str, str]:
    """A formset as a browser sends it."""
    found = {
        f"{prefix}-TOTAL_FORMS": str(len(values)),
        f"{prefix}-INITIAL_FORMS": str(sum("id" in each for each in values)),
    }
    for index, each in enumerate(values):
        found |= {f"{prefix}-{index}-{name}": str(value) for name, value in each.items()}
    return found


UPSTREAM = {
    "priority": 0,
    "weight": 1,
    "active": "on",
    "credential_kind": "bearer",
    "credential_name": "",
    "credential": "",
    "token_url": "",
    "scope": "",
    "client_certificate": "",
    "ca_certificate": "",
    "probe_interval_seconds": 0,
    "probe_method": "GET",
    "probe_path": "",
    "probe_expected_statuses": "200-399",
    "probe_expected_text": "",
}


def form(operation: ProxyOperation, *, upstreams: Any = (), mappings: Any = (), **more: str) -> dict[str, str]:
    data = {**BASE, "service": str(operation.service_id), "code": operation.code, **more}
    parts = {"upstreams": upstreams, "mappings": mappings, "parameters": (), "fields": ()}
    for prefix, values in parts.items():
        data |= rows(prefix, *({**each, "operation": operation.pk} for each in values))
    return data


@pytest.fixture
def operation(marked: MarkedAgency) -> ProxyOperation:
    proxy = marked.proxy
    for rows in (proxy.parameters, proxy.fields, proxy.upstreams, proxy.mappings, proxy.descriptions, proxy.samples):
        rows.all().delete()
    AddressChange.objects.all().delete()
    return marked.proxy


@pytest.fixture
def publisher(sign_in: SignIn, marked: MarkedAgency) -> Client:
    return sign_in("Publisher", marked.agency)


def test_it_works(operation: ProxyOperation, publisher: Client) -> None:
    data = form(
        operation,
        upstreams=[{**UPSTREAM, "url": "https://hulu.contoh.go.id/v1", "credential": "rahasia-hulu"}],
        mappings=[
            {"position": 0, "location": "query", "name": "format", "parameter": "", "value": "json"},
            {
                "position": 1,
                "location": "header",
                "name": "X-Kunci",
                "parameter": "",
                "value": "kunci-x",
                "secret": "on",
            },
        ],
    )
    assert publisher.post(page(operation), data).status_code == 302
    upstream = operation.upstreams.get()
    assert (upstream.url, str(upstream.credential)) == ("https://hulu.contoh.go.id/v1", "rahasia-hulu")
    text = publisher.get(page(operation)).content.decode()
    assert 'value="json"' in text
    for secret in ("rahasia-hulu", "kunci-x"):
        assert secret not in text


def stored(operation: ProxyOperation, **more: Any) -> Upstream:
    return Upstream.objects.create(
        operation=operation, url="https://hulu.contoh.go.id/v1", credential="rahasia", credential_kind="bearer", **more
    )


def posted(row: Upstream, **more: Any) -> dict[str, Any]:
    return {**UPSTREAM, "id": row.pk, "url": row.url, **more}


def test_a_secret_left_empty_stays_and_one_for_another_server_is_typed_again(
    operation: ProxyOperation, publisher: Client
) -> None:
    row = stored(operation)
    data = form(operation, upstreams=[posted(row, url="https://hulu.contoh.go.id/v2")])
    assert publisher.post(page(operation), data).status_code == 302
    row.refresh_from_db()
    assert (row.url, str(row.credential)) == ("https://hulu.contoh.go.id/v2", "rahasia")

    for change in ({"url": "https://lain.contoh.go.id/v2"}, {"credential_kind": "access-key"}):
        response = publisher.post(page(operation), form(operation, upstreams=[posted(row, **change)]))
        assert response.status_code == 200
        assert "credential" in response.context["inline_admin_formsets"][0].formset.errors[0]
    data = form(operation, upstreams=[posted(row, url="https://lain.contoh.go.id/v2", credential="baru")])
    assert publisher.post(page(operation), data).status_code == 302
    row.refresh_from_db()
    assert str(row.credential) == "baru"


def test_an_address_that_is_edited_stands_in_the_history_with_its_way_back(
    operation: ProxyOperation, publisher: Client
) -> None:
    row = stored(operation)
    data = form(operation, upstreams=[posted(row, url="https://lain.contoh.go.id/v2", credential="baru")])
    publisher.post(page(operation), data)
    change = AddressChange.objects.get()
    assert (change.kind, change.old_url, change.new_url) == (
        "switch",
        "https://hulu.contoh.go.id/v1",
        "https://lain.contoh.go.id/v2",
    )
    publisher.post(page(operation, "change-address"), {"action": "roll-back", "change": change.pk})
    row.refresh_from_db()
    assert (row.url, str(row.credential)) == ("https://hulu.contoh.go.id/v1", "rahasia")


def test_a_secret_mapping_goes_to_no_server_that_did_not_have_it(operation: ProxyOperation, publisher: Client) -> None:
    row = stored(operation)
    mapping = ParameterMapping.objects.create(
        operation=operation, location="header", name="X-Kunci", value="kunci-x", secret=True
    )
    line = {"id": mapping.pk, "position": 0, "location": "header", "name": "X-Kunci", "parameter": "", "value": ""}
    kept = {**line, "secret": "on"}
    assert publisher.post(page(operation), form(operation, upstreams=[posted(row)], mappings=[kept])).status_code == 302
    mapping.refresh_from_db()
    assert str(mapping.value) == "kunci-x"
    further = {**UPSTREAM, "url": "https://penyadap.contoh/", "credential": "x"}
    response = publisher.post(page(operation), form(operation, upstreams=[posted(row), further], mappings=[kept]))
    assert response.status_code == 200
    # Nor is it shown by calling it a constant.
    response = publisher.post(page(operation), form(operation, upstreams=[posted(row)], mappings=[line]))
    assert response.status_code == 200
    assert "kunci-x" not in response.content.decode()
    mapping.refresh_from_db()
    assert mapping.secret
    taken = {**line, "parameter": "nip"}
    assert (
        publisher.post(page(operation), form(operation, upstreams=[posted(row)], mappings=[taken])).status_code == 302
    )
    mapping.refresh_from_db()
    assert (mapping.parameter, str(mapping.value)) == ("nip", "")


def test_viewer_sees_no_secret_and_no_sample(operation: ProxyOperation, sign_in: SignIn, marked: MarkedAgency) -> None:
    row = stored(operation, client_certificate="-----BEGIN PEM-42-----")
    row.credential = "hulu-42"
    row.save()
    ParameterMapping.objects.create(
        operation=operation, location="header", name="X-Kunci", value="kunci-x", secret=True
    )
    operation.samples.create(name="contoh", request='{"nip": "3171234567890001"}')
    client = sign_in("Supervisor")
    for word in ("change", "live"):
        text = client.get(page(operation, word)).content.decode()
        assert "hulu.contoh.go.id" in text
        for secret in ("hulu-42", "PEM-42", "kunci-x", "3171234567890001"):
            assert secret not in text
    assert client.get(page(operation, "change-address")).status_code == 403
    assert client.post(page(operation, "test")).status_code == 403


# ------------------------------------------------------------------------------------------- the test


def upstream(operation: ProxyOperation, url: str, **more: Any) -> Upstream:
    operation.timeout_ms, operation.read_timeout_ms = 1500, 700
    operation.save()
    return Upstream.objects.create(operation=operation, url=url, credential_kind="none", **more)


def phase_of(row: Upstream) -> str:
    found = check_connection(row)
    assert not found.ok
    with override("id"):
        assert str(advice.phase_name(found.phase)) in check_connection(row).text
    return found.phase


def test_an_address_that_answers(operation: ProxyOperation, publisher: Client, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v1").respond_with_json({"a": 1})
    row = upstream(operation, httpserver.url_for("/v1"))
    response = publisher.post(page(operation, "test"), {"upstream": row.pk}, follow=True)
    assert [each.level_tag for each in response.context["messages"]] == ["success"]
    assert "200" in str(next(iter(response.context["messages"])))


@pytest.mark.parametrize("status,fine", [(200, True), (404, True), (401, False), (302, False), (500, False)], ids=str)
def test_a_status_is_told_with_what_it_means(
    operation: ProxyOperation, httpserver: HTTPServer, status: int, fine: bool
) -> None:
    httpserver.expect_request("/v1").respond_with_data("", status=status)
    found = check_connection(upstream(operation, httpserver.url_for("/v1")))
    assert found.ok is fine
    assert str(status) in found.text


def test_each_phase_is_named(
    operation: ProxyOperation, httpserver: HTTPServer, silent_port: int, refusing_port: int, settings: Any
) -> None:
    assert phase_of(upstream(operation, "http://tidak-ada.invalid/")) == "dns"
    assert phase_of(upstream(operation, f"http://127.0.0.1:{refusing_port}/")) == "connect"
    assert phase_of(upstream(operation, httpserver.url_for("/").replace("http:", "https:"))) == "tls"
    assert phase_of(upstream(operation, f"http://127.0.0.1:{silent_port}/")) == "first-byte"
    httpserver.expect_request("/rusak").respond_with_data("{rusak", content_type="application/json")
    httpserver.expect_request("/xml").respond_with_data("<a>", content_type="text/xml")
    httpserver.expect_request("/besar").respond_with_data("x" * 2_000_000)
    assert phase_of(upstream(operation, httpserver.url_for("/rusak"))) == "parse"
    assert phase_of(upstream(operation, httpserver.url_for("/xml"))) == "parse"
    operation.max_body_bytes = 1000
    assert phase_of(upstream(operation, httpserver.url_for("/besar"))) == "body"
    settings.UPSTREAM_NETWORKS = ["!127.0.0.0/8"]
    assert phase_of(upstream(operation, httpserver.url_for("/rusak"))) == "address"


def test_an_answer_that_is_no_http(operation: ProxyOperation) -> None:
    with scripted_server(once(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")) as server:
        assert phase_of(upstream(operation, f"http://127.0.0.1:{server.port}/")) == "parse"


def test_every_phase_has_a_name_and_advice() -> None:
    assert set(advice.PHASE_NAMES) == set(PHASES)
    assert {phase for phase, reason in advice.ADVICE if not reason} == set(PHASES)


def test_nobody_elses_upstream_is_tested(operation: ProxyOperation, publisher: Client, httpserver: HTTPServer) -> None:
    other = ProxyOperation.objects.create(service=operation.service, code="lain")
    row = upstream(other, httpserver.url_for("/"))
    assert publisher.post(page(operation, "test"), {"upstream": row.pk}).status_code == 404
    assert publisher.get(page(operation, "test")).status_code == 405


# ------------------------------------------------------------------------------ what cannot be called

FORM, JSON = ({"location": place, "name": "nip", "value": "1"} for place in ("form", "json"))


def test_a_place_in_the_path_gets_its_parameter(operation: ProxyOperation) -> None:
    operation.path, operation.style = "pegawai/{nip}/{jenis}/{unit}", "rest"
    operation.parameters.create(name="NIP")
    operation.mappings.create(location="path", name="jenis", value="aktif")
    operation.save()
    assert operation.declare_missing() == ["unit"]
    assert list(operation.parameters.values_list("name", "position", "required")) == [
        ("NIP", 0, True),
        ("unit", 1, True),
    ]
    assert operation.declare_missing() == []
    operation.path, operation.style = "pegawai#{lain}", "legacy-soap"
    assert operation.declare_missing() == []


def test_saving_says_what_was_declared(operation: ProxyOperation, publisher: Client) -> None:
    data = form(operation, upstreams=[{**UPSTREAM, "url": "https://hulu.contoh.go.id/"}]) | {"path": "warga/{nik}"}
    told = [str(each) for each in publisher.post(page(operation), data, follow=True).context["messages"]]
    assert any("nik" in each for each in told)
    assert [each.name for each in operation.parameters.all()] == ["nik"]
    assert operations.wrong(operation) == ""


@pytest.mark.parametrize(
    "word,path,rows",
    [
        ("path", "x", [{"location": "path", "name": "nip", "value": "1"}]),
        ("parameter", "x", [{"location": "query", "name": "nip", "parameter": "lain"}]),
        ("form and JSON", "x", [FORM, JSON]),
        ("header", "x", [{"location": "header", "name": "Host", "value": "lain"}]),
        ("", "x", []),
    ],
    ids=str,
)
def test_saving_warns_when_an_operation_is_not_callable(
    operation: ProxyOperation, publisher: Client, word: str, path: str, rows: list[dict[str, str]]
) -> None:
    mappings = [{"position": 0, "parameter": "", "value": "", **row} for row in rows]
    data = form(operation, upstreams=[{**UPSTREAM, "url": "https://hulu.contoh.go.id/"}], mappings=mappings)
    told = [
        str(each) for each in publisher.post(page(operation), data | {"path": path}, follow=True).context["messages"]
    ]
    with override("id"):
        assert (str(operations.BROKEN[word]) in told) if word else len(told) == 1


def test_saving_says_that_no_address_is_in_use(operation: ProxyOperation, publisher: Client) -> None:
    told = [str(each) for each in publisher.post(page(operation), form(operation), follow=True).context["messages"]]
    with override("id"):
        assert operations.wrong(operation) in told


# --------------------------------------------------------------------------------------- the live state


def test_the_live_state_in_words(operation: ProxyOperation, publisher: Client) -> None:
    row = stored(operation)
    with override("id"):
        unknown = str(STATES["unknown"][0])
    assert unknown in publisher.get(page(operation, "live")).content.decode()
    UpstreamState.objects.create(
        upstream=row,
        observer="web:1",
        healthy=False,
        breaker="open",
        latency_us=12_345,
        phase="connect",
        reason="refused",
        failed_at=timezone.now(),
    )
    text = publisher.get(page(operation, "live"), headers={"hx-request": "true"}).content.decode()
    for word in ('data-state="open"', "12,3 ms" if "12,3" in text else "12.3 ms", "refused"):
        assert word in text
    with override("id"):
        assert str(advice.ADVICE["connect", "refused"]) in text
    assert "<html" not in text


def test_the_styles_that_pass_on_need_no_parameters_page(operation: ProxyOperation, publisher: Client) -> None:
    stored(operation)
    Parameter.objects.create(operation=operation, name="nip")
    text = publisher.get(page(operation)).content.decode()
    for word in ("mappings-group", "parameters-group", "mantra/proxy.js", "proxy_live"):
        assert word in text
    assert LogEntry.objects.count() == 0
