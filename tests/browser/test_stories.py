"""Stories of people in a browser on a bus of its own, which callers call meanwhile: at a desk and on a phone.

Each is played at both sizes of screen, but for those of work that is done at a desk; ``-s`` prints the clicks, fields
and pages that it takes. Every page of them is checked by axe, for requests to other hosts and for errors.
``SCREENSHOTS=docs/img`` in the environment also writes the pictures of the documentation into that folder.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from pytest_httpserver import HTTPServer

from tests import population
from tests.browser.desk import Desk, counted
from tests.browser.office import OFFICES, OfficeBus
from tests.browser.pages import Clerk, idle, wait_for
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.process import Server
from tests.uploads.files import xlsx

OPERATIONS = 40


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory, postgresql: PostgreSQLServer) -> Iterator[OfficeBus]:
    with OfficeBus(tmp_path_factory.mktemp("bus"), population.make(postgresql)) as running:
        yield running


@pytest.fixture(params=OFFICES, ids=lambda office: office.size)
def desk(request: pytest.FixtureRequest, browser: Browser, bus: OfficeBus) -> Iterator[Desk[OfficeBus]]:
    desk = Desk(browser, bus, request.param)
    yield desk
    desk.leave()


#: For stories of work that is done at a desk.
at_a_desk = pytest.mark.parametrize("desk", OFFICES[:1], ids=lambda office: office.size, indirect=True)


def tab(clerk: Clerk, name: str) -> None:
    clerk.click(f"[data-tabs=page] [data-tab-word={name}]")
    idle(clerk.page)


def button(clerk: Clerk, name: str) -> Locator:
    return clerk.page.get_by_role("button", name=name, exact=True)


def address_of(page: Page) -> str:
    """The path by which callers reach the operation of a page."""
    there = r"document.documentElement.innerHTML.match(/\/rest\/[^\s\"<]+?\.json/)"
    return str(wait_for(page, there)[0])


def grant(clerk: Clerk) -> None:
    """Grant the operation whose page is open to the application mitra/app."""
    page = clerk.page
    tab(clerk, "callers")
    clerk.click(page.get_by_role("link", name="Tambah izin").first)
    clerk.click(page.locator(".field-application .select2-selection"))
    clerk.fill(".select2-search__field", "mitra")
    clerk.click(page.get_by_role("option", name="mitra/app"))
    clerk.fill("#id_purpose", "Pencocokan data")
    clerk.click(page.locator("button[name=_save]"))
    expect(page.get_by_text("berhasil ditambahkan")).to_be_visible()


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


# --------------------------------------------------------------------------------------------- the wizard


def test_a_lookup_over_three_tables(desk: Desk[OfficeBus], postgresql: PostgreSQLServer) -> None:
    settings = population.make(postgresql)
    ani = desk.sign_in("ani")
    page = ani.page
    desk.look(page)
    ani.click(page.locator("main").get_by_role("link", name="Terbitkan data").first)
    desk.look(page)
    ani.click(page.get_by_role("link", name="PostgreSQL"))
    for name in ("host", "port", "database", "user", "password"):
        ani.fill(f"[name=source-{name}]", str(settings[name]))
    desk.look(page)
    ani.click(button(ani, "Uji dan lanjutkan"))
    ani.click(page.get_by_role("button", name="penduduk"))
    idle(page)
    ani.click(page.get_by_role("button", name="+ keluarga"))
    expect(page.get_by_text("penduduk.no_kk = keluarga.no_kk")).to_be_visible()
    idle(page)
    ani.click(page.get_by_role("button", name="+ kecamatan"))
    expect(page.get_by_text("keluarga.kode_kecamatan = kecamatan.kode")).to_be_visible()
    expect(page.locator("#preview").get_by_role("cell", name="Kecamatan 2").first).to_be_attached()
    desk.look(page, "wizard-data")
    ani.click(page.get_by_role("button", name="Lanjut"))
    expect(page.get_by_role("heading", name="Langkah 3 dari 4")).to_be_visible()
    desk.look(page, "wizard-columns")
    ani.click(page.get_by_role("button", name="Lanjut"))
    idle(page)
    ani.fill("#id_title", "Penduduk kota menurut NIK")
    page.locator("#id_title").blur()
    expect(page.locator("#wizard_address")).to_contain_text("penduduk-kota-menurut-nik.json")
    desk.look(page, "wizard-publish")
    desk.look(page, "wizard-phone", "phone")
    ani.click(button(ani, "Terbitkan"))
    expect(page.get_by_text("sudah terbit")).to_be_visible()
    desk.look(page)
    counted("a lookup over three tables, from the sign-in page to its publication", desk, ani, 12, 8)

    path = address_of(page)
    ani.clicks = ani.fields = ani.pages = 0
    grant(ani)
    counted("a grant from the operation's page", desk, ani, 5, 2)
    reply = desk.bus.waits_for(f"{path}?nik={population.nik(7)}", 200)
    (row,) = reply.json()["data"]
    assert (row["nama_lengkap"], row["alamat"], row["nama"]) == ("Warga Contoh 7", "Jalan Melati 8", "Kecamatan 4")
    assert desk.bus.status(path) == 400
    assert desk.bus.request(path, headers={"AccessKey": "mtr_salah"}).status == 401


def test_an_excel_file(desk: Desk[OfficeBus], tmp_path: Path) -> None:
    file = tmp_path / f"Pasar {desk.office.size}.xlsx"
    rows = [[f"0{n}", f"Pasar {n}", date(1990, 1, n), n * 1000.5, "Menteng"] for n in range(1, 21)]
    header = ["Kode Pasar", "Nama Pasar", "Tgl Berdiri", "Luas", "Kelurahan"]
    file.write_bytes(xlsx([["DAFTAR PASAR"], [], header, *rows]))
    ani = desk.sign_in("ani")
    page = ani.page
    ani.click(page.locator("main").get_by_role("link", name="Terbitkan data").first)
    ani.click(page.get_by_role("link", name="Unggah berkas"))
    ani.upload("input[type=file]", str(file))
    ani.click(button(ani, "Unggah dan pratinjau"))
    expect(page.get_by_text("DAFTAR PASAR")).to_be_visible()
    desk.look(page, "upload-preview")
    ani.click(button(ani, "Buat tabel"))
    desk.look(page)
    ani.click(button(ani, "Terbitkan tabel ini"))
    expect(page.get_by_role("heading", name="Langkah 2 dari 4")).to_be_visible()
    idle(page)
    ani.click(page.get_by_role("button", name="Lanjut"))
    expect(page.get_by_role("heading", name="Langkah 3 dari 4")).to_be_visible()
    idle(page)
    ani.click(page.get_by_role("button", name="Lanjut"))
    expect(page.get_by_role("heading", name="Langkah 4 dari 4")).to_be_visible()
    idle(page)
    ani.click(button(ani, "Terbitkan"))
    expect(page.get_by_text("sudah terbit")).to_be_visible()
    counted("an Excel file, from the sign-in page to its publication", desk, ani, 12, 8)
    path = address_of(page)
    grant(ani)
    reply = desk.bus.waits_for(path, 200)
    assert reply.json()["data"][0]["kode_pasar"] == "01"
    assert len(reply.json()["data"]) == 20


def test_a_source_that_is_down(desk: Desk[OfficeBus], postgresql: PostgreSQLServer) -> None:
    bus, citra = desk.bus, desk.sign_in("citra")
    page = citra.page
    page.goto("/admin/publish/")
    citra.click(page.get_by_role("button", name=f"{desk.office.agency}/siak"))
    citra.click(page.get_by_role("button", name="kecamatan"))
    idle(page)
    path = f"/rest/{desk.office.agency}/siak/kecamatan?kode=327301"
    with stopped(postgresql):
        citra.click(page.get_by_role("button", name="Lanjut"))
        expect(page.get_by_role("alert").last).to_contain_text("Isian Anda tetap tersimpan.")
        desk.look(page)
        assert bus.status(path) in (502, 503)
    bus.waits_for(path, 200)
    # What was chosen is on the bus: the wizard offers to go on, and to try again.
    page.goto("/admin/publish/")
    citra.click(page.get_by_role("link", name=f"{desk.office.agency}/siak · kecamatan"))
    idle(page)
    if page.get_by_role("link", name="Coba lagi").is_visible():
        citra.click(page.get_by_role("link", name="Coba lagi"))
    expect(page.get_by_role("heading", name="Kolom respons")).to_be_visible()


# ------------------------------------------------------------------------------------------------ versions


def open_operation(clerk: Clerk, code: str, kind: str = "dataservices/dataoperation") -> None:
    clerk.page.goto(f"/admin/{kind}/?q={code}")
    clerk.page.get_by_role("link", name=f"/{code}").first.click()
    expect(clerk.page.locator("#version_bar")).to_be_visible()
    idle(clerk.page)


def test_a_change_is_looked_at_published_and_taken_back(desk: Desk[OfficeBus]) -> None:
    bus, budi = desk.bus, desk.sign_in("budi")
    page, path = budi.page, f"/rest/{desk.office.agency}/siak/kecamatan?kode=327301"
    assert bus.revision(bus.waits_for(path, "Kecamatan 1")) == 1
    open_operation(budi, "kecamatan")
    budi.clicks = budi.fields = budi.pages = 0
    budi.fill(".cm-content", "SELECT kode,\n  UPPER(nama) AS nama\nFROM kecamatan WHERE kode = :kode")
    page.get_by_label(":kode").fill("327302")
    page.locator(".cm-content").press("Control+Enter")
    expect(page.locator(".mantra-editor-result").get_by_role("cell", name="KECAMATAN 2", exact=True)).to_be_visible()
    desk.look(page, "editor")
    budi.click(button(budi, "Simpan"))
    expect(page.get_by_text("Draf v2 tersimpan; pemanggil tetap menerima v1.")).to_be_visible()
    assert bus.revision(bus.waits_for(path, "Kecamatan 1")) == 1
    budi.click(".mantra-fold > summary")
    budi.fill("#id_p_kode", "327301")
    budi.click("#try_button")
    expect(page.locator("#try_result").get_by_role("cell", name="KECAMATAN 1", exact=True)).to_be_visible()
    budi.click(page.get_by_role("link", name="Versi terbit v1"))
    expect(page.locator("#try strong", has_text="Versi terbit v1")).to_be_visible()
    budi.click(page.locator("#version_bar").get_by_role("link", name="Bandingkan"))
    expect(page.locator("[data-section=query]")).to_be_visible()
    budi.fill("#id_sample_name", "kecamatan pertama")
    budi.fill("#id_p_kode", "327301")
    budi.click(button(budi, "Simpan contoh"))
    budi.click("#send_samples")
    expect(page.locator("[data-sample='kecamatan pertama']")).to_contain_text("KECAMATAN 1")
    desk.look(page, "versions-compare")
    budi.fill("#publish_reason", "huruf besar, seperti di kartu")
    budi.click(button(budi, "Terbitkan v2"))
    expect(page.get_by_text("Terbit sebagai v2")).to_be_visible()
    assert bus.revision(bus.waits_for(path, "KECAMATAN 1")) == 2
    budi.click(page.locator("#version_bar").get_by_role("link", name="Versi", exact=True))
    budi.click(page.get_by_text("Kembali ke v1"))
    budi.fill("#reason_1", "pemanggil belum siap")
    desk.look(page)
    budi.click(button(budi, "Terbitkan lagi"))
    expect(page.get_by_text("Terbit sebagai v3")).to_be_visible()
    assert bus.revision(bus.waits_for(path, "Kecamatan 1")) == 3
    counted("change, try, compare by a sample, publish, take back", desk, budi, 11, 6)


@at_a_desk
def test_two_people_edit_one_draft(desk: Desk[OfficeBus]) -> None:
    people = [desk.sign_in(name) for name in ("citra", "budi")]
    for clerk in people:
        open_operation(clerk, "wilayah")
    citra, budi = people
    budi.fill("#id_title", "Judul Budi")
    budi.click(button(budi, "Simpan"))
    expect(budi.page.get_by_text("Draf v2 tersimpan")).to_be_visible()
    citra.fill("#id_title", "Judul Citra")
    citra.click(button(citra, "Simpan"))
    conflict = citra.page.locator("#conflict")
    expect(conflict).to_contain_text(desk.office.person("budi"))
    expect(conflict).to_contain_text("Judul Budi")
    expect(citra.page.locator("#id_title")).to_have_value("Judul Citra")
    desk.look(citra.page)
    citra.check(citra.page.get_by_label("Simpan isian saya sebagai gantinya"))
    citra.click(button(citra, "Simpan"))
    expect(citra.page.get_by_text("Draf v2 tersimpan")).to_be_visible()
    citra.click(button(citra, "Terbitkan v2"))
    expect(citra.page.get_by_text("Terbit sebagai v2")).to_be_visible()
    expect(citra.page.locator("#id_title")).to_have_value("Judul Citra")


# ------------------------------------------------------------------------------------------ safe publishing


def test_personal_data_is_never_open_and_a_head_approves_it(desk: Desk[OfficeBus]) -> None:
    bus, budi = desk.bus, desk.sign_in("budi")
    page, path = budi.page, f"/rest/{desk.office.agency}/siak/warga?nik={population.nik(7)}"
    open_operation(budi, "warga")
    tab(budi, "access")
    budi.choose("#id_access", "terbuka: semua pemanggil, tanpa kunci")
    budi.click("#submit-row button[name=_continue]")
    idle(page)
    budi.fill("#publish_reason", "Layanan baru")
    budi.click(page.get_by_role("button", name="Terbitkan v1"))
    expect(page.get_by_text("NIK, KK, dan NPWP tidak boleh terbuka untuk semua orang: nik.")).to_be_visible()
    desk.look(page)
    assert bus.status(path) == 404
    tab(budi, "access")
    budi.choose("#id_access", "terbatas: memerlukan kunci dan izin")
    budi.click("#submit-row button[name=_continue]")
    idle(page)
    budi.fill("#publish_reason", "Kerja sama 12/2026")
    budi.click(page.get_by_role("button", name="Terbitkan v1"))
    expect(page.get_by_text("Menunggu orang kedua")).to_be_visible()
    desk.look(page)
    assert bus.status(path) == 404

    kepala = desk.sign_in("kepala")
    page = kepala.page
    desk.look(page)
    kepala.click(page.locator("#inbox").get_by_role("link", name="warga"))
    expect(page.get_by_text("Kerja sama 12/2026")).to_be_visible()
    desk.look(page, "publish-request")
    kepala.click(button(kepala, "Setujui dan terbitkan"))
    expect(page.get_by_text("v1").first).to_be_visible()
    counted("a head approves, from the sign-in page", desk, kepala, 5, 3)
    assert bus.waits_for(path, 200).json()["data"][0]["nama_lengkap"] == "Warga Contoh 7"
    assert bus.request(path, headers={"AccessKey": ""}).status == 401


# ---------------------------------------------------------------------------------------- shared backends


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, HTTPServer]]:
    """An old and a new server of the same operations."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    running = {name: HTTPServer(port=0) for name in ("lama", "baru")}
    for name, server in running.items():
        server.expect_request(re.compile("/.*")).respond_with_json({"server": name})
        server.start()
    yield running
    for server in running.values():
        server.stop()


def description(server: HTTPServer) -> bytes:
    """An OpenAPI document of 40 operations."""
    codes = [f"data-{number:02}" for number in range(1, OPERATIONS + 1)]
    answer = {"200": {"description": "baik", "content": {"application/json": {"schema": {"type": "object"}}}}}
    paths = {f"/{code}": {"get": {"operationId": code, "summary": code, "responses": answer}} for code in codes}
    info = {"title": "Gerbang data", "version": "1"}
    return json.dumps(
        {"openapi": "3.0.3", "info": info, "servers": [{"url": server.url_for("/")}], "paths": paths}
    ).encode()


@at_a_desk
def test_forty_operations_are_imported_published_and_moved_together(
    desk: Desk[OfficeBus], servers: dict[str, HTTPServer], tmp_path: Path
) -> None:
    bus, penerbit = desk.bus, desk.sign_in("penerbit")
    page, service = penerbit.page, f"{desk.office.publishing}/gerbang"
    codes = [f"data-{number:02}" for number in range(1, OPERATIONS + 1)]
    file = tmp_path / "gerbang.json"
    file.write_bytes(description(servers["lama"]))
    page.goto("/admin/proxyservices/proxyoperation/import/")
    penerbit.choose("#id_service", service)
    penerbit.upload("#id_uploads", str(file))
    penerbit.click(page.locator("form[enctype] button"))
    expect(page.locator("#found_count")).to_have_text(str(OPERATIONS))
    desk.look(page)
    penerbit.click(button(penerbit, "Buat draf yang dipilih"))
    expect(page.locator("#backend_operations tbody tr")).to_have_count(OPERATIONS)
    penerbit.choose("#id_credential_kind", "tidak ada")
    penerbit.click(button(penerbit, "Simpan dan terus mengubah"))
    desk.look(page)
    penerbit.click(button(penerbit, f"Terbitkan {OPERATIONS} draf"))
    expect(page.locator("#backend_operations form")).to_have_count(0)
    counted("40 operations, from the sign-in page to their publication", desk, penerbit, 6, 6)
    bus.grant(desk.office, codes)
    for code in codes:
        bus.waits_for(f"/rest/{service}/{code}", '"lama"')

    penerbit.clicks = penerbit.fields = penerbit.pages = 0
    penerbit.click(page.get_by_role("link", name="Perubahan alamat").first)
    penerbit.click(page.get_by_role("link", name=f"{service}/data-01"))
    penerbit.fill("#id_name", "satu")
    penerbit.click(button(penerbit, "Simpan contoh"))
    penerbit.click(page.get_by_role("link", name="Perubahan alamat"))
    penerbit.fill("#id_url", servers["baru"].url_for("/"))
    penerbit.click("button[value=rehearse]")
    expect(page.locator("[data-sample=satu] .mantra-new")).to_have_text('"baru"')
    desk.look(page, "address-change")
    penerbit.click("#rehearsal button[value=switch]")
    expect(page.locator("[data-kind=switch]")).to_be_visible()
    for code in codes:
        bus.waits_for(f"/rest/{service}/{code}", '"baru"')
    penerbit.click("[data-kind=switch] button[value=roll-back]")
    expect(page.locator("[data-kind=roll-back]")).to_be_visible()
    desk.look(page)
    for code in codes:
        bus.waits_for(f"/rest/{service}/{code}", '"lama"')
    counted("a move of 40 operations: sample, rehearse, switch, back", desk, penerbit, 8, 3)

    servers["lama"].stop()
    try:
        statuses = {bus.request(f"/rest/{service}/{code}").status for code in codes[:10]}
        assert statuses <= {502, 503}, statuses
        page.goto("/admin/health/")
        # The processes tell the registry of their state every few seconds, and the board looks anew by itself.
        worst = page.locator("[data-kind=backends]").first
        expect(worst).to_have_attribute("data-state", re.compile("ill|warn"), timeout=30_000)
        desk.look(page, "health-board")
    finally:
        servers["lama"].start()
