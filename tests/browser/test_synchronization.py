"""A clerk keeps a table equal to an operation: she chooses, pairs columns, tries, runs; at a desk and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from mantra.synchronization.models import Sync
from registry.models import Agency, Field
from tests.browser.pages import Clerk, Troubles, accessibility, fits, idle, new_page, picture, signed_in
from tests.browser.pages import person as clerk_person
from tests.synchronization.conftest import NAMES, Database, Stage, _sqlite, assemble, person, work


@pytest.fixture
def files(transactional_db: None, tmp_path: Path) -> Stage:
    def made(agency: str) -> Database:
        return _sqlite(Path(settings.SOURCE_FILE_DIRS[0]) / agency / tmp_path.name)

    return assemble(made("prov"), made("kons"))


@pytest.fixture(params=["desktop", "phone"])
def screen(request: pytest.FixtureRequest, browser: Browser, live_server: LiveServer, files: Stage) -> Iterator[Page]:
    page = new_page(browser, live_server.url, request.param)
    troubles = Troubles(page, live_server.url)
    yield page
    page.context.close()
    assert troubles == []


def test_a_clerk_keeps_a_table_equal(screen: Page, live_server: LiveServer, files: Stage, settings: Any) -> None:
    for place, name in enumerate(NAMES):
        Field.objects.create(operation=files.operation, name=name, type="text", position=place)
    files.source.put("orang", *(person(n) for n in range(5)))
    files.target.table("salinan", "timestamp")
    files.target.table("lain")
    rini = clerk_person("rini", "Provider", Agency.objects.get(code="kons"))
    signed_in(screen.context, rini, live_server.url)
    clerk = Clerk(screen)
    screen.goto("/admin/synchronization/sync/add/")
    _readable(screen, "sync-choose")
    clerk.choose("#id_table", "main.salinan")
    clerk.click(screen.get_by_role("button", name="Lanjutkan"))
    expect(screen.locator("#id_to-0")).to_have_value("nik")
    expect(screen.locator("#id_key-0")).to_be_checked()
    _readable(screen, "sync-columns")
    clerk.fill("#id_title", "Salinan penduduk")
    clerk.choose("#id_deletions", "tandai dengan waktu")
    clerk.choose("#id_deleted_column", "dihapus")
    clerk.choose("#id_schedule", "setiap hari")
    clerk.check("#id_enabled")
    clerk.click(screen.get_by_role("button", name="Simpan"))
    expect(screen.get_by_text("Sinkronisasi tersimpan")).to_be_visible()
    clerk.click(screen.get_by_role("button", name="Uji coba"))
    expect(screen.locator("[data-state=waiting]")).to_be_visible()
    work()
    expect(screen.locator("[data-state=done]")).to_be_visible()  # the page looks by itself
    clerk.click(screen.get_by_text("Yang akan berubah"))
    expect(screen.get_by_text("35••").first).to_be_visible()
    assert files.target.rows("salinan") == []
    clerk.check(screen.get_by_label("tanpa batas perubahan, kali ini"))
    clerk.click(screen.get_by_role("button", name="Jalankan sekarang"))
    work()
    expect(screen.locator("[data-state=done]")).to_have_count(2)
    assert files.target.rows("salinan") == files.source.rows("orang")
    files.source.put("orang", person(1, "Nama Baru"))
    clerk.click(screen.get_by_role("button", name="Jalankan sekarang"))
    work()
    expect(screen.locator("[data-state=done]")).to_have_count(3)
    expect(screen.locator("svg.mantra-trend")).to_be_visible()
    _readable(screen, "sync-page")
    files.grant.delete()
    clerk.click(screen.get_by_role("button", name="Jalankan sekarang"))
    work()
    expect(screen.get_by_text("Ajukan permohonan akses lagi")).to_be_visible()
    clerk.click(screen.get_by_role("link", name="Ubah", exact=True))
    expect(screen.locator("#id_title")).to_have_value("Salinan penduduk")
    expect(screen.locator("#id_to-5")).to_have_value("diubah")
    sync = Sync.objects.get()
    assert (sync.enabled, sync.deletions, sync.deleted_column) == (True, "timestamp", "dihapus")
    print(clerk)


def _readable(page: Page, name: str) -> None:
    idle(page)
    width = (page.viewport_size or {})["width"]
    picture(page, f"{name}-{width}")
    assert accessibility(page, without="#nav-sidebar") == []
    assert fits(page)
