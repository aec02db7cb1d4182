"""The wizard "Publish data" in a browser, as a clerk who knows her tables and no SQL plays it.

``SCREENSHOTS=docs/img`` in the environment also writes the pages of the documentation into that folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from dataservices.models import DataOperation, DataSource
from registry.models import AccessKey, Agency, Application, Grant, User
from registry.snapshot import holder
from tests import population
from tests.browser.pages import PASSWORD, SIZES, Clerk, Troubles, accessibility, fits, new_page, person, signed_in
from tests.cast import call
from tests.servers.postgresql import PostgreSQLServer
from tests.uploads.files import xlsx

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)

#: What the browser reports when a page is left while its preview is on the way.
LEFT = ["htmx:sendAbort", "htmx:afterRequest", "htmx:beforeOnLoad"]


@pytest.fixture
def agency(transactional_db: None) -> Agency:
    return Agency.objects.create(code="disdukcapil", name="Disdukcapil Kota Contoh")


@pytest.fixture
def clerk(agency: Agency) -> User:
    return person("ani", "Provider", agency)


@pytest.fixture
def source(agency: Agency, postgresql: PostgreSQLServer) -> DataSource:
    return DataSource.objects.create(agency=agency, code="siak", **population.make(postgresql))


@pytest.fixture
def opened(browser: Browser, live_server: LiveServer, clerk: User) -> Iterator[Page]:
    """A page of the clerk, who is signed in. It fails the test for what goes wrong on it."""
    page = new_page(browser, live_server.url)
    troubles = Troubles(page, live_server.url)
    troubles.expected += LEFT
    signed_in(page.context, clerk, live_server.url)
    yield page
    idle(page)  # a request that outlives the test would find no database
    page.context.close()
    assert troubles == []


def idle(page: Page) -> None:
    """Wait until nothing is on its way to the bus."""
    page.wait_for_function("!document.querySelector('.htmx-request, .mantra-busy, [aria-busy=true]')")


def picture(page: Page, name: str) -> None:
    """Write a picture of the page for the documentation, if that is wanted."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        idle(page)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=False, scale="css")


def choose(page: Page) -> None:
    """Go to step 2 with three joined tables."""
    page.goto("/admin/publish/")
    page.get_by_role("button", name="disdukcapil/siak").click()
    page.get_by_role("button", name="penduduk").click()
    idle(page)
    page.get_by_role("button", name="+ keluarga").click()
    expect(page.get_by_text("penduduk.no_kk = keluarga.no_kk")).to_be_visible()
    idle(page)
    page.get_by_role("button", name="+ kecamatan").click()
    expect(page.get_by_text("keluarga.kode_kecamatan = kecamatan.kode")).to_be_visible()
    idle(page)


def test_a_clerk_publishes_three_joined_tables_without_sql(
    browser: Browser, live_server: LiveServer, clerk: User, postgresql: PostgreSQLServer
) -> None:
    settings = population.make(postgresql)
    page = new_page(browser, live_server.url)
    troubles = Troubles(page, live_server.url)
    troubles.expected += LEFT
    ani = Clerk(page)
    page.goto("/admin/")
    ani.fill("#id_username", "ani")
    ani.fill("#id_password", PASSWORD)
    ani.click(page.get_by_role("button", name="Masuk"))
    picture(page, "wizard-start")
    ani.click(page.locator("main").get_by_role("link", name="Terbitkan data"))
    ani.click(page.get_by_role("link", name="PostgreSQL"))
    for name in ("host", "port", "database", "user", "password"):
        ani.fill(f"[name=source-{name}]", str(settings[name]))
    ani.click(page.get_by_role("button", name="Uji dan lanjutkan"))
    ani.click(page.get_by_role("button", name="penduduk"))
    idle(page)
    ani.click(page.get_by_role("button", name="+ keluarga"))
    expect(page.get_by_text("penduduk.no_kk = keluarga.no_kk")).to_be_visible()
    idle(page)
    ani.click(page.get_by_role("button", name="+ kecamatan"))
    expect(page.get_by_text("keluarga.kode_kecamatan = kecamatan.kode")).to_be_visible()
    expect(page.locator("#preview").get_by_role("cell", name="Kecamatan 2").first).to_be_visible()
    idle(page)
    picture(page, "wizard-data")
    ani.click(page.get_by_role("button", name="Lanjut"))
    expect(page.get_by_role("heading", name="Langkah 3 dari 4")).to_be_visible()
    idle(page)
    picture(page, "wizard-columns")
    ani.click(page.get_by_role("button", name="Lanjut"))
    idle(page)
    ani.fill("#id_title", "Penduduk kota menurut NIK")
    page.locator("#id_title").blur()
    expect(page.locator("#wizard_address")).to_contain_text("penduduk-kota-menurut-nik.json")
    idle(page)
    picture(page, "wizard-publish")
    ani.click(page.get_by_role("button", name="Terbitkan", exact=True))
    expect(page.get_by_text("sudah terbit")).to_be_visible()
    print(f"from the sign-in page to a published operation: {ani}")
    assert ani.clicks <= 12
    assert ani.fields <= 8
    assert troubles == []
    page.context.close()
    _answers(DataOperation.objects.get())


def _answers(operation: DataOperation) -> None:
    """Check what a granted caller gets."""
    application = Application.objects.create(agency=operation.service.agency, code="app", title="Aplikasi")
    _row, key = AccessKey.issue(application)
    Grant.objects.create(application=application, operation=operation, purpose="uji")
    holder.refresh()
    reply = call(f"/rest/{operation.address}?nik={population.nik(7)}", accesskey=key)
    assert reply.status == 200
    (row,) = reply.json()["data"]
    assert (row["nama_lengkap"], row["alamat"], row["nama"]) == ("Warga Contoh 7", "Jalan Melati 8", "Kecamatan 4")
    assert call(f"/rest/{operation.address}", accesskey=key).status == 400


def test_a_clerk_publishes_an_excel_file(
    browser: Browser, live_server: LiveServer, clerk: User, tmp_path: Path
) -> None:
    file = tmp_path / "pegawai.xlsx"
    file.write_bytes(xlsx([["NIP", "Nama Pegawai", "Unit"], ["197001011990031001", "Budi Santoso", "Umum"]] * 5))
    page = new_page(browser, live_server.url)
    troubles = Troubles(page, live_server.url)
    troubles.expected += LEFT
    ani = Clerk(page)
    page.goto("/admin/")
    ani.fill("#id_username", "ani")
    ani.fill("#id_password", PASSWORD)
    ani.click(page.get_by_role("button", name="Masuk"))
    ani.click(page.locator("main").get_by_role("link", name="Terbitkan data"))
    ani.click(page.get_by_role("link", name="Unggah berkas"))
    ani.upload("input[type=file]", str(file))
    ani.click(page.locator("main form button[type=submit]").first)
    ani.click(page.get_by_role("button", name="Buat tabel"))
    ani.click(page.get_by_role("button", name="Terbitkan tabel ini"))
    expect(page.get_by_role("heading", name="Langkah 2 dari 4")).to_be_visible()
    idle(page)
    ani.click(page.get_by_role("button", name="Lanjut"))
    expect(page.get_by_role("heading", name="Langkah 3 dari 4")).to_be_visible()
    idle(page)
    ani.click(page.get_by_role("button", name="Lanjut"))
    idle(page)
    # A list of people: the reason is asked for before anything is sent.
    ani.fill("#id_reason", "Buku telepon pegawai")
    page.locator("#id_reason").blur()
    idle(page)
    ani.click(page.get_by_role("button", name="Terbitkan", exact=True))
    expect(page.get_by_text("sudah terbit")).to_be_visible()
    print(f"an Excel file, from the sign-in page to a published operation: {ani}")
    assert ani.clicks <= 12
    assert ani.fields <= 8
    assert troubles == []
    page.context.close()


def test_each_step_can_be_read_and_used_everywhere(opened: Page, source: DataSource) -> None:
    page = opened
    choose(page)
    page.select_option("#new_filter", "keluarga:alamat")
    page.get_by_role("button", name="Tambah saringan").click()
    idle(page)
    page.select_option("#f1_operator", "between")
    idle(page)
    page.get_by_role("button", name="Lanjut").click()
    page.wait_for_url("**/3/")
    idle(page)
    page.get_by_role("button", name="Lanjut").click()
    page.wait_for_url("**/4/")
    draft = urlsplit(page.url).path.rpartition("4/")[0]
    addresses = ["/admin/publish/", f"{draft}1/?engine=oracle", *(f"{draft}{step}/" for step in (2, 3, 4))]
    wrong: list[str] = []
    for address in addresses:
        for size, scheme in (("desktop", "light"), ("phone", "dark")):
            width, height = SIZES[size]
            page.set_viewport_size({"width": width, "height": height})
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(address)
            idle(page)
            wrong += [f"{address} {size} {scheme}: {line}" for line in accessibility(page)]
            if not fits(page):
                wrong.append(f"{address} {size}: wider than the screen")
    picture(page, "wizard-phone")
    assert wrong == []


def test_the_keyboard_is_enough(opened: Page, source: DataSource) -> None:
    page = opened
    page.goto("/admin/publish/")
    page.get_by_role("button", name="disdukcapil/siak").press("Enter")
    # Search narrows the list while one types.
    page.get_by_role("searchbox", name="Cari").press_sequentially("catat")
    expect(page.get_by_role("button", name="penduduk")).to_be_hidden()
    page.get_by_role("searchbox", name="Cari").fill("")
    page.get_by_role("button", name="penduduk").press("Enter")
    page.wait_for_selector("#preview")
    idle(page)
    page.get_by_role("button", name="+ keluarga").press("Enter")
    # The focus is on what was added.
    expect(page.locator("legend", has_text="keluarga")).to_be_focused()
    idle(page)
    page.get_by_role("button", name="Tambah saringan").press("Enter")
    expect(page.locator("#f1_operator")).to_be_focused()
    idle(page)
    page.locator("#f1_mode").select_option("fixed")
    expect(page.locator("#f1_value0")).to_be_visible()
    idle(page)
    page.get_by_role("button", name="Lanjut").press("Enter")
    # An empty value is an error, and the focus goes to it.
    expect(page.locator("#f1_value0")).to_be_focused()
    expect(page.locator("#f1_value0")).to_have_attribute("aria-invalid", "true")


def test_what_is_entered_while_a_response_is_on_its_way_stays(opened: Page, source: DataSource) -> None:
    page = opened
    choose(page)
    waiting = []
    page.route(re.compile(r"/2/$"), lambda route: waiting.append(route) if not waiting else route.continue_())
    page.locator("#t0_c2").uncheck()
    page.wait_for_function("document.querySelector('[data-guard].htmx-request')")
    page.locator("#t0_c3").uncheck()
    waiting[0].continue_()
    expect(page.locator("legend", has_text="penduduk – Penduduk")).to_contain_text("4 dari 6 kolom dipilih")
    expect(page.locator("#t0_c2")).not_to_be_checked()
    expect(page.locator("#t0_c3")).not_to_be_checked()


def test_a_session_that_ends_loses_nothing(opened: Page, source: DataSource) -> None:
    page = opened
    choose(page)
    page.context.clear_cookies(name="sessionid")
    page.locator("#t0_c2").uncheck()
    page.fill("#id_username", "ani")
    page.fill("#id_password", PASSWORD)
    page.get_by_role("button", name="Masuk").click()
    expect(page.get_by_text("keluarga.kode_kecamatan = kecamatan.kode")).to_be_visible()


def test_without_scripts(browser: Browser, live_server: LiveServer, clerk: User, source: DataSource) -> None:
    plain = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    signed_in(plain, clerk, live_server.url)
    page = plain.new_page()
    choose_plainly(page)
    page.get_by_role("link", name="Tampilkan pratinjau").click()
    expect(page.locator("#preview table")).to_be_visible()
    page.get_by_role("button", name="Lanjut").click()
    page.get_by_role("button", name="Lanjut").click()
    page.get_by_role("link", name="Tampilkan contoh").click()
    expect(page.locator("#sample table")).to_be_visible()
    page.get_by_role("button", name="Simpan draf").click()
    assert DataOperation.objects.get().code == "penduduk-menurut-nik"
    plain.close()


def choose_plainly(page: Page) -> None:
    page.goto("/admin/publish/")
    page.get_by_role("button", name="disdukcapil/siak").click()
    page.get_by_role("button", name="penduduk").click()
    page.get_by_role("button", name="+ keluarga").click()
    page.get_by_role("button", name="Terapkan perubahan").click()
    expect(page.get_by_text("penduduk.no_kk = keluarga.no_kk")).to_be_visible()
