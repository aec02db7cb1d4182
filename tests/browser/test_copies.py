"""The copies of a dBase source in a browser: their progress moves without a click."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Page, expect

from adapters.base import Limits
from adapters.dbase import DBase
from dataservices.models import DataSource
from registry.models import Agency
from tests.browser.pages import person, sign_in
from tests.dbf_writer import F, write

FIELDS = [F("NIP", "C", 18), F("TGL", "D", 8)]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_progress_moves_by_itself_and_an_opened_list_stays_open(page: Page) -> None:
    agency = Agency.objects.create(code="prov", name="Penyedia")
    person("penyedia", "Provider", agency)
    folder = Path(settings.SOURCE_FILE_DIRS[0]) / "prov" / "layar"
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    write(folder / "PEGAWAI.DBF", FIELDS, [[b"%018d" % n, b"20260230" if n < 3 else b"20260131"] for n in range(40)])
    (folder / "rusak.dbf").write_bytes(b"bukan tabel")
    write(folder / "unit.dbf", FIELDS, [])
    source = DataSource.objects.create(agency=agency, code="foxpro", engine="dbase", database="layar")
    adapter = DBase(source.settings())
    adapter.run(adapter.connect(), "SELECT * FROM pegawai", {}, Limits(100, 30)).close()
    (lock,) = folder.glob(".mantra-pegawai-*.lock")

    sign_in(page, "penyedia")
    with lock.open("r+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.pwrite(file.fileno(), struct.pack("<QQ", 10, 40), 0)
        page.goto(f"/admin/dataservices/datasource/{source.pk}/change/")
        row = page.locator("[data-table=pegawai]")
        expect(row).to_contain_text("25%")
        row.locator("summary").click()
        expect(row.locator("li").first).to_contain_text("TGL")
        os.pwrite(file.fileno(), struct.pack("<QQ", 30, 40), 0)
        expect(row).to_contain_text("75%")
        expect(row.locator("li").first).to_be_visible()
    expect(row.locator("progress")).to_have_count(0)
    expect(row.locator("td").nth(2)).to_have_text("40")
    expect(page.locator("[data-table=rusak]")).to_have_attribute("data-state", "refused")
