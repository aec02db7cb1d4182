"""A proxy operation in a browser: the form shows what its style has a use for, and a move is three clicks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from pytest_httpserver import HTTPServer

from proxyservices.models import ProxyOperation
from registry.models import Agency, Parameter, SampleRequest, Service
from tests.browser.pages import fits, person, sign_in
from tests.proxy.publishing import add_server

DESCRIPTIONS = Path(__file__).parents[1] / "proxy" / "descriptions"
PHONE = {"width": 390, "height": 844}


def operation(httpserver: HTTPServer) -> ProxyOperation:
    agency = Agency.objects.create(code="prov", name="Penyedia")
    service = Service.objects.create(agency=agency, code="data", title="Data uji")
    made = ProxyOperation.objects.create(service=service, code="pegawai", style="rest", path="pegawai/{nip}")
    Parameter.objects.create(operation=made, name="nip")
    add_server(made, httpserver.url_for("/lama"), credential_kind="none")
    SampleRequest.objects.create(operation=made, name="Siti", request=json.dumps({"nip": "1"}))
    for place in ("lama", "baru"):
        httpserver.expect_request(f"/{place}/pegawai/1").respond_with_json({"nama": place})
    person("penerbit", "Publisher", agency)
    return made


def fits_a_phone(page: Page) -> bool:
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.wait_for_timeout(300)
    return fits(page)


def tab(page: Page, name: str) -> None:
    page.locator(f"[data-tab-word={name}]").click()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_form_shows_what_the_style_and_the_credential_have_a_use_for(page: Page, httpserver: HTTPServer) -> None:
    made = operation(httpserver)
    sign_in(page, "penerbit")
    page.goto(f"/admin/proxyservices/proxyoperation/{made.pk}/change/")
    expect(page.locator("#id_method")).to_be_visible()
    expect(page.locator("#id_forwarded_request_headers")).to_be_hidden()
    tab(page, "parameters")
    expect(page.locator("#mappings-group")).to_be_visible()
    tab(page, "query")
    page.select_option("#id_style", "pass-through")
    expect(page.locator("#id_method")).to_be_hidden()
    expect(page.locator("#id_forwarded_request_headers")).to_be_visible()
    tab(page, "parameters")
    expect(page.locator("#mappings-group")).to_be_hidden()
    # What holds something stays in sight.
    expect(page.locator("#parameters-group")).to_be_visible()
    tab(page, "query")
    page.select_option("#id_style", "legacy-get")
    expect(page.locator("#id_forwarded_request_headers")).to_be_hidden()

    tab(page, "backend")
    expect(page.locator("#proxy_live [data-server]")).to_be_visible()
    assert fits_a_phone(page)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_page_of_a_backend_shows_what_its_credential_has_a_use_for(page: Page, httpserver: HTTPServer) -> None:
    made = operation(httpserver)
    sign_in(page, "penerbit")
    page.goto(f"/admin/proxyservices/backend/{made.backend_id}/change/")
    kind = page.locator("#id_credential_kind")
    for value, name, token in (("none", False, False), ("basic", True, False), ("oauth2", True, True)):
        kind.select_option(value)
        expect(page.locator("#id_credential_name")).to_be_visible(visible=name)
        expect(page.locator("#id_token_url")).to_be_visible(visible=token)
    expect(page.locator("#id_servers-0-credential_kind")).to_be_hidden()
    page.locator("#id_servers-0-own_settings").check()
    expect(page.locator("#id_servers-0-credential_kind")).to_be_visible()
    expect(page.locator("#proxy_live [data-server]")).to_be_visible()
    expect(page.locator(f"[data-operation='{made.pk}']")).to_be_visible()
    assert fits_a_phone(page)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_all_of_the_form_is_there_where_the_scripts_are_not(page: Page, httpserver: HTTPServer) -> None:
    made = operation(httpserver)
    for name in ("proxy", "tabs"):
        page.route(f"**/mantra/{name}.js", lambda route: route.fulfill(body=""))
    sign_in(page, "penerbit")
    page.goto(f"/admin/proxyservices/proxyoperation/{made.pk}/change/")
    for name in ("#id_method", "#id_forwarded_request_headers", "#mappings-group"):
        expect(page.locator(name)).to_be_visible()
    page.goto(f"/admin/proxyservices/backend/{made.backend_id}/change/")
    for name in ("#id_token_url", "#id_servers-0-token_url"):
        expect(page.locator(name)).to_be_visible()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_file_is_looked_at_and_its_drafts_are_made(page: Page, httpserver: HTTPServer) -> None:
    operation(httpserver)
    sign_in(page, "penerbit")
    page.goto("/admin/proxyservices/proxyoperation/import/")
    page.select_option("#id_service", label="prov/data")
    page.set_input_files("#id_uploads", [str(DESCRIPTIONS / name) for name in ("pegawai.wsdl", "tipe.xsd")])
    page.locator("form[enctype] button").click()
    expect(page.locator("#found_count")).to_have_text("1")
    expect(page.locator("#found_left li")).to_have_count(3)
    assert fits_a_phone(page)
    page.locator("input[name=draft]").check()
    page.locator("form:has(input[name=packed]) button").click()
    expect(page.get_by_role("link", name="prov/data/Cari")).to_be_visible()
    assert ProxyOperation.objects.get(code="Cari").descriptions.count() == 2
    page.locator("#backend_operations form button").click()
    expect(page.locator("#backend_operations form")).to_have_count(0)
    assert ProxyOperation.objects.get(code="Cari").state == "published"
