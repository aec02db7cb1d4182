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

from proxyservices import publishing
from proxyservices.admin.backends import STATES
from proxyservices.health import advice, connection_test
from proxyservices.health.connection_test import check_connection
from proxyservices.models import (
    AddressChange,
    Backend,
    BackendServer,
    ParameterMapping,
    ProxyOperation,
    ServerState,
)
from proxyservices.transport.errors import PHASES
from registry.models import Parameter
from tests.admin.conftest import MarkedAgency, SignIn
from tests.proxy.publishing import add_server
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
    "listing": "members",
    "cache_seconds": "0",
    "guard": "alarm",
}


def page(row: ProxyOperation | Backend, word: str = "change") -> str:
    return reverse(f"admin:proxyservices_{row._meta.model_name}_{word}", args=(row.pk,))


def rows(prefix: str, *values: dict[str, Any]) -> dict[str, str]:
    """A formset as a browser sends it."""
    found = {
        f"{prefix}-TOTAL_FORMS": str(len(values)),
        f"{prefix}-INITIAL_FORMS": str(sum("id" in each for each in values)),
    }
    for index, each in enumerate(values):
        found |= {f"{prefix}-{index}-{name}": str(value) for name, value in each.items()}
    return found


SETTINGS = {
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
SERVER = {"priority": 0, "weight": 1, "active": "on", **SETTINGS}


def form(operation: ProxyOperation, *, mappings: Any = (), **more: str) -> dict[str, str]:
    """The operation's page as a browser sends it."""
    backend = str(operation.backend_id or "")
    data = {**BASE, "service": str(operation.service_id), "code": operation.code, "backend": backend, **more}
    parts = {"mappings": mappings, "parameters": (), "fields": ()}
    for prefix, values in parts.items():
        data |= rows(prefix, *({**each, "operation": operation.pk} for each in values))
    return data


def backend_form(backend: Backend, *servers: dict[str, Any], **more: Any) -> dict[str, str]:
    """The backend's page as a browser sends it."""
    data = {"agency": backend.agency_id, "code": backend.code, "title": "", "contact": "", "max_concurrent_calls": 0}
    data |= {**SETTINGS, "credential_kind": backend.credential_kind, **more}
    return {name: str(value) for name, value in data.items()} | rows("servers", *servers)


@pytest.fixture
def operation(marked: MarkedAgency) -> ProxyOperation:
    proxy = marked.proxy
    for rows in (proxy.parameters, proxy.fields, proxy.mappings, proxy.descriptions, proxy.samples):
        rows.all().delete()
    AddressChange.objects.all().delete()
    assert proxy.backend is not None
    proxy.backend.servers.all().delete()
    marked.proxy.backend = None
    marked.proxy.save()
    return marked.proxy


@pytest.fixture
def publisher(sign_in: SignIn, marked: MarkedAgency) -> Client:
    return sign_in("Publisher", marked.agency)


def test_it_works(operation: ProxyOperation, publisher: Client) -> None:
    address = reverse("admin:proxyservices_backend_add") + f"?operation={operation.pk}"
    backend = Backend(agency=operation.service.agency, code="hulu", credential_kind="bearer")
    data = backend_form(backend, {**SERVER, "url": "https://hulu.contoh.go.id/v1"}, credential="rahasia-hulu")
    response = publisher.post(address, {**data, "_save": "1"})
    server = BackendServer.objects.get()
    # Back on the operation's page, the new backend is chosen.
    assert response["Location"] == f"{page(operation)}?backend={server.backend_id}"
    assert f'value="{server.backend_id}" selected' in publisher.get(response["Location"]).content.decode()
    assert (server.url, str(server.backend.credential)) == ("https://hulu.contoh.go.id/v1", "rahasia-hulu")
    data = form(
        operation,
        backend=str(server.backend_id),
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
    operation.refresh_from_db()
    assert operation.backend == server.backend
    text = publisher.get(page(operation)).content.decode()
    assert 'value="json"' in text
    text += publisher.get(page(server.backend)).content.decode()
    for secret in ("rahasia-hulu", "kunci-x"):
        assert secret not in text


def stored(operation: ProxyOperation, **more: Any) -> BackendServer:
    return add_server(operation, "https://hulu.contoh.go.id/v1", credential="rahasia", credential_kind="bearer", **more)


def posted(row: BackendServer, **more: Any) -> dict[str, Any]:
    return {**SERVER, "id": row.pk, "backend": row.backend_id, "url": row.url, **more}


def fresh(row: BackendServer) -> BackendServer:
    return BackendServer.objects.select_related("backend").get(pk=row.pk)


def test_a_secret_left_empty_stays_and_one_for_another_server_is_typed_again(
    operation: ProxyOperation, publisher: Client
) -> None:
    row = stored(operation)
    place, backend = page(row.backend), row.backend
    data = backend_form(backend, posted(row, url="https://hulu.contoh.go.id/v2"))
    assert publisher.post(place, data).status_code == 302
    assert (fresh(row).url, str(fresh(row).settings.credential)) == ("https://hulu.contoh.go.id/v2", "rahasia")

    response = publisher.post(place, backend_form(backend, posted(row, url="https://lain.contoh.go.id/v2")))
    assert response.status_code == 200
    assert response.context["inline_admin_formsets"][0].formset.non_form_errors()
    response = publisher.post(place, backend_form(backend, posted(row), credential_kind="access-key"))
    assert response.status_code == 200
    assert "credential" in response.context["adminform"].form.errors
    data = backend_form(backend, posted(row, url="https://lain.contoh.go.id/v2"), credential="baru")
    assert publisher.post(place, data).status_code == 302
    assert str(fresh(row).settings.credential) == "baru"


def test_a_server_has_settings_of_its_own(operation: ProxyOperation, publisher: Client) -> None:
    row = stored(operation)
    place, backend = page(row.backend), row.backend
    own = {**SERVER, "url": "https://dua.contoh.go.id/", "own_settings": "on", "credential": "kunci-dua"}
    assert publisher.post(place, backend_form(backend, posted(row), own)).status_code == 302
    second = fresh(backend.servers.get(own_settings=True))
    assert [str(each.settings.credential) for each in (fresh(row), second)] == ["rahasia", "kunci-dua"]
    # Without them it would get the backend's secret, which was not entered for it.
    shared = {**posted(second), "own_settings": ""}
    assert publisher.post(place, backend_form(backend, posted(row), shared)).status_code == 200
    assert publisher.post(place, backend_form(backend, posted(row), shared, credential="rahasia")).status_code == 302
    second = fresh(second)
    assert (second.own_settings, str(second.credential)) == (False, "")


def test_an_address_that_is_edited_stands_in_the_history_with_its_way_back(
    operation: ProxyOperation, publisher: Client
) -> None:
    row = stored(operation)
    data = backend_form(row.backend, posted(row, url="https://lain.contoh.go.id/v2"), credential="baru")
    publisher.post(page(row.backend), data)
    change = AddressChange.objects.get()
    assert (change.kind, change.old_url, change.new_url) == (
        "switch",
        "https://hulu.contoh.go.id/v1",
        "https://lain.contoh.go.id/v2",
    )
    publisher.post(page(row.backend, "change-address"), {"action": "roll-back", "change": change.pk})
    assert (fresh(row).url, str(fresh(row).settings.credential)) == ("https://hulu.contoh.go.id/v1", "rahasia")


def test_a_secret_mapping_goes_to_no_server_that_did_not_have_it(operation: ProxyOperation, publisher: Client) -> None:
    row = stored(operation)
    mapping = ParameterMapping.objects.create(
        operation=operation, location="header", name="X-Kunci", value="kunci-x", secret=True
    )
    line = {"id": mapping.pk, "position": 0, "location": "header", "name": "X-Kunci", "parameter": "", "value": ""}
    kept = {**line, "secret": "on"}
    assert publisher.post(page(operation), form(operation, mappings=[kept])).status_code == 302
    mapping.refresh_from_db()
    assert str(mapping.value) == "kunci-x"
    # Neither with a further server of the backend nor with another backend.
    further = {**SERVER, "url": "https://penyadap.contoh/", "own_settings": "on", "credential": "x"}
    response = publisher.post(page(row.backend), backend_form(row.backend, posted(row), further))
    assert response.status_code == 200
    assert operation.code in str(response.context["inline_admin_formsets"][0].formset.non_form_errors())
    other = Backend.objects.create(agency=operation.service.agency, code="penyadap", credential_kind="none")
    BackendServer.objects.create(backend=other, url="https://penyadap.contoh/")
    response = publisher.post(page(operation), form(operation, mappings=[kept], backend=str(other.pk)))
    assert response.status_code == 200
    again = {**kept, "value": "kunci-x"}
    assert publisher.post(page(operation), form(operation, mappings=[again], backend=str(other.pk))).status_code == 302
    # Nor is it shown by calling it a constant.
    operation.refresh_from_db()
    response = publisher.post(page(operation), form(operation, mappings=[line]))
    assert response.status_code == 200
    assert "kunci-x" not in response.content.decode()
    mapping.refresh_from_db()
    assert mapping.secret
    taken = {**line, "parameter": "nip"}
    assert publisher.post(page(operation), form(operation, mappings=[taken])).status_code == 302
    mapping.refresh_from_db()
    assert (mapping.parameter, str(mapping.value)) == ("nip", "")


def test_viewer_sees_no_secret_and_no_sample(operation: ProxyOperation, sign_in: SignIn, marked: MarkedAgency) -> None:
    row = stored(operation, client_certificate="-----BEGIN PEM-42-----")
    row.backend.credential = "hulu-42"
    row.backend.save()
    ParameterMapping.objects.create(
        operation=operation, location="header", name="X-Kunci", value="kunci-x", secret=True
    )
    operation.samples.create(name="contoh", request='{"nip": "3171234567890001"}')
    client = sign_in("Supervisor")
    for place in (page(operation), page(row.backend), page(row.backend, "live")):
        text = client.get(place).content.decode()
        assert place == page(operation) or "hulu.contoh.go.id" in text
        for secret in ("hulu-42", "PEM-42", "kunci-x", "3171234567890001"):
            assert secret not in text
    assert client.get(page(operation, "samples")).status_code == 403
    assert client.get(page(row.backend, "change-address")).status_code == 403
    assert client.post(page(row.backend, "test")).status_code == 403
    assert client.post(page(row.backend, "publish-drafts")).status_code == 403


# ------------------------------------------------------------------------------------------- the test


def upstream(operation: ProxyOperation, url: str, **more: Any) -> BackendServer:
    return add_server(operation, url, credential_kind="none", **more)


def phase_of(row: BackendServer) -> str:
    found = check_connection(row)
    assert not found.ok
    with override("id"):
        assert str(advice.phase_name(found.phase)) in check_connection(row).text
    return found.phase


def test_an_address_that_answers(operation: ProxyOperation, publisher: Client, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v1").respond_with_json({"a": 1})
    row = upstream(operation, httpserver.url_for("/v1"))
    response = publisher.post(page(row.backend, "test"), {"server": row.pk}, follow=True)
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
    operation: ProxyOperation,
    httpserver: HTTPServer,
    silent_port: int,
    refusing_port: int,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection_test, "SECONDS", 0.7)
    assert phase_of(upstream(operation, "http://tidak-ada.invalid/")) == "dns"
    assert phase_of(upstream(operation, f"http://127.0.0.1:{refusing_port}/")) == "connect"
    assert phase_of(upstream(operation, httpserver.url_for("/").replace("http:", "https:"))) == "tls"
    assert phase_of(upstream(operation, f"http://127.0.0.1:{silent_port}/")) == "first-byte"
    httpserver.expect_request("/rusak").respond_with_data("{rusak", content_type="application/json")
    httpserver.expect_request("/xml").respond_with_data("<a>", content_type="text/xml")
    httpserver.expect_request("/besar").respond_with_data("x" * 2_000_000)
    assert phase_of(upstream(operation, httpserver.url_for("/rusak"))) == "parse"
    assert phase_of(upstream(operation, httpserver.url_for("/xml"))) == "parse"
    monkeypatch.setattr(connection_test, "MAX_BODY_BYTES", 1000)
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
    own = stored(operation).backend
    assert publisher.post(page(own, "test"), {"server": row.pk}).status_code == 404
    assert publisher.get(page(own, "test")).status_code == 405


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
    stored(operation)
    data = form(operation, path="warga/{nik}")
    told = [str(each) for each in publisher.post(page(operation), data, follow=True).context["messages"]]
    assert any("nik" in each for each in told)
    assert [each.name for each in operation.parameters.all()] == ["nik"]
    assert publishing.problem_of(operation) == ""


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
    stored(operation)
    data = form(operation, mappings=mappings)
    told = [
        str(each) for each in publisher.post(page(operation), data | {"path": path}, follow=True).context["messages"]
    ]
    with override("id"):
        assert (str(publishing.BROKEN[word]) in told) if word else len(told) == 1


def test_saving_says_that_no_address_is_in_use(operation: ProxyOperation, publisher: Client) -> None:
    told = [str(each) for each in publisher.post(page(operation), form(operation), follow=True).context["messages"]]
    with override("id"):
        assert publishing.problem_of(operation) in told


# --------------------------------------------------------------------------------------- the live state


def test_the_live_state_in_words(operation: ProxyOperation, publisher: Client) -> None:
    row = stored(operation)
    with override("id"):
        unknown = str(STATES["unknown"][0])
    assert unknown in publisher.get(page(row.backend, "live")).content.decode()
    ServerState.objects.create(
        server=row,
        observer="web:1",
        healthy=False,
        breaker="open",
        latency_us=12_345,
        phase="connect",
        reason="refused",
        failed_at=timezone.now(),
    )
    text = publisher.get(page(row.backend, "live"), headers={"hx-request": "true"}).content.decode()
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
