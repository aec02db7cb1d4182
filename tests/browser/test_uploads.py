"""A clerk makes a table of her Excel file and replaces it, at a desk and on a phone."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from dataservices.models import UploadedTable
from registry.models import Agency
from tests.browser.pages import Clerk, Troubles, accessibility, fits, new_page, person, signed_in
from tests.browser.test_pages import VISITS
from tests.uploads import files
from tests.uploads.test_tables import rows_of

HEADER = ["No", "NIK", "Nama Lengkap", "Tgl Lahir", "Gaji Pokok", "Kecamatan"]


def workbook(folder: Path, name: str, count: int) -> str:
    rows = [[n, f"31730{n:011}", f"Siti {n}", date(1990, 1, n), n * 1000.5, "Menteng"] for n in range(1, count + 1)]
    path = folder / name
    path.write_bytes(files.xlsx([["DAFTAR PEGAWAI"], [], HEADER, *rows, ["Jumlah", None, None, None, 1]]))
    return str(path)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize(("size", "scheme"), VISITS)
def test_a_table_from_excel(
    browser: Browser, live_server: LiveServer, tmp_path: Path, settings: Any, size: str, scheme: str
) -> None:
    settings.UPLOAD_DIR = tmp_path / "uploads"
    clerk_user = person("ibu-ani", "Provider", Agency.objects.create(code="dinsos", name="Dinas Sosial"))
    page = new_page(browser, live_server.url, size, scheme)
    troubles, clerk, wrong = Troubles(page, live_server.url), Clerk(page), list[str]()
    signed_in(page.context, clerk_user, live_server.url)
    page.goto("/admin/dataservices/uploadedtable/")

    def check() -> None:
        wrong.extend(f"{page.url}: {line}" for line in accessibility(page, VISITS[size, scheme]))
        if not fits(page):
            wrong.append(f"{page.url}: wider than the screen")

    clerk.click(page.get_by_role("link", name="Unggah berkas"))
    check()
    clerk.upload("#id_file", workbook(tmp_path, "Pegawai 2024.xlsx", 20))
    clerk.click(page.get_by_role("button", name="Unggah dan pratinjau"))
    expect(page.get_by_text("DAFTAR PEGAWAI")).to_be_visible()
    expect(page.locator("#sample tbody tr")).to_have_count(20)
    assert "3173000000000001" not in page.content()
    check()
    clerk.click(page.get_by_role("button", name="Buat tabel"))
    expect(page.locator("#versions tbody tr")).to_have_count(1)
    print(f"\nA table from Excel ({size}): {clerk}")
    check()
    table = UploadedTable.objects.get()
    assert rows_of(table.source, "SELECT count(*), min(nik) FROM pegawai_2024") == [(20, "3173000000000001")]

    clerk.upload("#id_file", workbook(tmp_path, "Pegawai baru.xlsx", 22))
    clerk.click(page.get_by_role("button", name="Unggah dan bandingkan"))
    expect(page.locator("#row_change")).to_contain_text("22")
    check()
    clerk.click(page.get_by_role("button", name="Ganti isi tabel"))
    expect(page.locator("#versions tbody tr")).to_have_count(2)
    clerk.click(page.get_by_role("button", name="Pakai lagi versi 1"))
    expect(page.locator("tr[data-version='1']")).to_contain_text("dipakai")
    assert rows_of(table.source, "SELECT count(*) FROM pegawai_2024") == [(20,)]
    page.context.close()
    assert [*wrong, *troubles] == [], "\n".join([*wrong, *troubles])
