"""The admin in a browser: from nothing to rows, as a provider does it, and a key, as a requester does it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from dataservices.models import DataOperation
from registry.models import AccessKey, Agency, Application, Service
from tests.browser.pages import person, sign_in, signed_in
from tests.cast import make_table


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_from_a_source_to_rows(page: Page) -> None:
    agency = Agency.objects.create(code="prov", name="Penyedia")
    file = make_table()
    person("penyedia", "Provider", agency)
    sign_in(page, "penyedia")

    page.get_by_role("link", name="Buat layanan").click()
    page.fill("#id_code", "data")
    page.fill("#id_title", "Data uji")
    page.click("button[name=_save]")

    page.goto("/admin/dataservices/datasource/add/")
    page.get_by_role("link", name="SQLite").click()
    page.fill("#id_code", "uji")
    page.fill("#id_database", "tidak-ada.sqlite3")
    page.get_by_role("button", name="Uji pengaturan ini").click()
    expect(page.locator("#source_test [role=alert]")).to_contain_text("sources/prov")
    page.fill("#id_database", str(file))
    page.get_by_role("button", name="Uji pengaturan ini").click()
    expect(page.locator("#source_test")).to_contain_text("Terhubung ke SQLite")
    page.click("#submit-row button[name=_continue]")
    page.get_by_role("button", name="Uji koneksi").click()
    expect(page.get_by_text("Terhubung ke SQLite")).to_be_visible()

    page.goto("/admin/dataservices/dataoperation/add/")
    page.select_option("#id_service", label="prov/data")
    page.select_option("#id_source", label="prov/uji")
    page.fill("#id_code", "cari")
    page.locator(".cm-content").fill("DROP TABLE orang")
    page.click("#submit-row button[name=_continue]")
    expect(page.locator(".field-sql .errornote, .field-sql .errors, .errors #id_sql").first).to_be_attached()

    page.locator(".cm-content").fill(
        "SELECT id, nama, unit FROM orang WHERE unit = :unit [[ AND nama = :nama ]] ORDER BY id"
    )
    page.click("#submit-row button[name=_continue]")
    expect(page.get_by_text("Parameter ditambahkan untuk unit, nama")).to_be_visible()
    assert DataOperation.objects.get().state == "draft"

    page.locator(".mantra-fold > summary").click()
    page.locator("#id_p_unit").fill("Unit 3")
    page.locator("#id_p_nama").fill("Orang 3")
    page.get_by_role("button", name="Jalankan", exact=False).last.click()
    expect(page.locator("#try_rows")).to_have_text("1")
    expect(page.get_by_role("cell", name="Orang 3")).to_be_visible()
    page.get_by_role("tab", name="JSON").click()
    expect(page.locator("[data-format=json]")).to_contain_text('{"id":3,"nama":"Orang 3","unit":"Unit 3"}')
    expect(page.get_by_role("cell", name="Orang 3")).to_be_hidden()
    page.get_by_role("tab", name="XML").click()
    expect(page.locator("[data-format=xml]")).to_contain_text("<nama>Orang 3</nama>")
    page.locator("#id_p_unit").fill("")
    page.locator("#try_button").click()
    expect(page.get_by_role("alert")).to_contain_text("11101")


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_history_is_filtered_by_a_name_from_the_keyboard(page: Page, live_server: LiveServer) -> None:
    agency = Agency.objects.create(code="kons", name="Dinas Sosial")
    Application.objects.create(agency=agency, code="app", title="Bantuan Pangan")
    signed_in(page.context, person("pemohon", "Requester", agency), live_server.url)
    page.goto("/admin/registry/callrecord/")
    page.locator("a").filter(has_text="Saringan").last.click()
    field = page.get_by_role("combobox", name="aplikasi")
    field.press_sequentially("pangan")
    suggestion = page.get_by_role("option", name="Bantuan Pangan")
    expect(suggestion).to_be_visible()
    field.press("ArrowDown")
    expect(field).to_have_attribute("aria-activedescendant", str(suggestion.get_attribute("id")))
    field.press("Enter")
    expect(field).to_have_value("kons/app")
    expect(suggestion).to_be_hidden()
    field.press("Enter")
    expect(page.get_by_text("Disaring menurut")).to_contain_text("aplikasi kons/app")
    page.get_by_text("Simpan saringan ini").click()
    page.get_by_label("Nama", exact=True).fill("Pangan")
    page.get_by_role("button", name="Simpan saringan").click()
    expect(page.get_by_role("link", name="Pangan", exact=True)).to_have_attribute("aria-current", "page")


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_key_is_issued_once(page: Page) -> None:
    agency = Agency.objects.create(code="kons", name="Konsumen")
    Application.objects.create(agency=agency, code="app", title="Aplikasi")
    person("pemohon", "Requester", agency)
    sign_in(page, "pemohon")

    page.goto("/admin/registry/accesskey/add/")
    page.select_option("#id_application", label="kons/app")
    page.click("button[name=_save]")
    page.wait_for_load_state("load")  # the button's script is there then
    plain = page.locator("#issued").inner_text()
    assert re.fullmatch(r"mtr_\w{8}_\w{36}", plain)
    page.get_by_role("button", name="Salin").click()
    expect(page.get_by_role("button", name="Tersalin")).to_be_visible()

    page.reload()
    assert page.url.endswith("/change/")
    assert plain not in page.content()
    assert AccessKey.objects.count() == 1
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cabut kunci").click()
    expect(page.get_by_text("Kunci dicabut.")).to_be_visible()
    assert not AccessKey.objects.get().is_active


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_english_by_switch(page: Page) -> None:
    person("penyedia", "Provider", Agency.objects.create(code="prov", name="Penyedia"))
    sign_in(page, "penyedia")
    page.get_by_text("penyedia", exact=True).click()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_text("First steps")).to_be_visible()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_unsaved_changes_are_warned_of(page: Page, live_server: LiveServer) -> None:
    agency = Agency.objects.create(code="prov", name="Penyedia")
    service = Service.objects.create(agency=agency, code="data", title="Data uji")
    signed_in(page.context, person("penyedia", "Provider", agency), live_server.url)
    page.goto(f"/admin/registry/service/{service.pk}/change/")
    questions: list[str] = []
    page.on("dialog", lambda dialog: (questions.append(dialog.type), dialog.accept()))
    page.get_by_role("link", name="Sumber data").click()
    assert questions == []
    page.go_back()
    page.locator("#id_title").press_sequentially("!")
    page.get_by_role("link", name="Sumber data").click()
    page.wait_for_url("**/datasource/")
    assert questions == ["beforeunload"]
    page.go_back()
    page.fill("#id_title", "Data baru")
    page.click("button[name=_save]")
    page.wait_for_url("**/service/")
    assert questions == ["beforeunload"]
    assert Service.objects.get().title == "Data baru"
