"""A clerk compares her list with another one, watches the run, and gets the rows, at a desk and on a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from mantra.reconciliation.models import Reconciliation
from mantra.reconciliation.worker import Task
from registry.exports.worker import Worker
from registry.models import Agency
from tests.browser.pages import Clerk, Troubles, accessibility, fits, new_page, person, picture, signed_in
from tests.browser.test_pages import VISITS

HEADER = ("NIK", "Nama", "Tanggal Lahir")
#: Of ten people eight are in both lists; one has another name, and one another birth date.
PEOPLE = [(f"3201{number:012}", f"Warga {number}", f"1990-01-{number:02}") for number in range(1, 11)]


def csv(folder: Path, name: str, rows: list[tuple[str, ...]]) -> str:
    path = folder / name
    path.write_text("\n".join(";".join(row) for row in [HEADER, *rows]))
    return str(path)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize(("size", "scheme"), VISITS)
def test_two_lists_are_compared(
    browser: Browser, live_server: LiveServer, tmp_path: Path, settings: Any, size: str, scheme: str
) -> None:
    settings.EXPORT_DIR, settings.UPLOAD_DIR = tmp_path / "exports", tmp_path / "uploads"
    user = person("ibu-rina", "Requester", Agency.objects.create(code="dinsos", name="Dinas Sosial"))
    page = new_page(browser, live_server.url, size, scheme)
    troubles, clerk, wrong = Troubles(page, live_server.url), Clerk(page), list[str]()
    signed_in(page.context, user, live_server.url)
    page.goto("/admin/reconciliations/")

    def check() -> None:
        wrong.extend(f"{page.url}: {line}" for line in accessibility(page, VISITS[size, scheme]))
        if not fits(page):
            wrong.append(f"{page.url}: wider than the screen")

    def run() -> None:
        clerk.click(page.get_by_role("button", name="Cocokkan sekarang"))
        expect(page.locator("#progress")).to_be_visible()
        check()
        task = Task()
        task.round()
        task.leadership.release()
        expect(page.locator("[data-figure=equal]")).to_contain_text("6", timeout=20_000)
        expect(page.locator("#progress")).to_have_count(0)

    check()
    clerk.click(page.get_by_role("link", name="Rekonsiliasi baru"))
    check()
    clerk.fill("#id_title", "Penerima bantuan 2026")
    changed = [(PEOPLE[0][0], "Nama Lain", PEOPLE[0][2]), (PEOPLE[1][0], PEOPLE[1][1], "1991-12-31"), *PEOPLE[2:8]]
    for place, rows in (("left", PEOPLE), ("right", [*changed, ("3201999999999999", "Orang Baru", "2000-01-01")])):
        clerk.choose(f"#id_{place}", "berkas yang saya unggah")
        clerk.upload(f"#id_{place}_file", csv(tmp_path, f"{place}.csv", rows))
    clerk.click(page.get_by_role("button", name="Simpan dan pilih kolom"))
    # The columns are paired by their names, and the NIK is the key.
    expect(page.locator("#id_pairs-0-left")).to_have_value("NIK")
    expect(page.locator("#id_pairs-0-key")).to_be_checked()
    expect(page.locator("#id_pairs-1-rule")).to_have_value("name")
    check()
    clerk.click(page.get_by_role("button", name="Simpan", exact=True))
    check()
    run()
    check()
    picture(page, f"reconciliation-{size}")
    for figure, number in (("different", "2"), ("only_left", "2"), ("only_right", "1")):
        expect(page.locator(f"[data-figure={figure}] .statistics-number")).to_have_text(number)
    expect(page.get_by_text("Nama Lain")).to_be_visible()
    if size == "desktop":
        expect(page.locator("[data-chart=chart-lists-0] canvas")).to_be_visible()
    run()
    expect(page.locator("#title-trend")).to_be_visible()
    check()
    clerk.click(page.get_by_role("button", name="Semua baris sebagai Excel"))
    expect(page.locator("tr[data-state=waiting]")).to_contain_text("Penerima bantuan 2026")
    Worker().round()
    link = page.get_by_role("link", name="Unduh")
    expect(link).to_be_visible(timeout=20_000)
    with page.expect_download() as download:
        clerk.click(link)
    assert Path(download.value.path()).read_bytes().startswith(b"PK")
    print(f"\nTwo lists compared ({size}): {clerk}")
    page.goto(f"/admin/reconciliations/{Reconciliation.objects.get().pk}/delete/")
    check()
    clerk.click(page.get_by_role("button", name="Hapus"))
    expect(page.get_by_text("Rekonsiliasi dihapus")).to_be_visible()
    page.context.close()
    assert [*wrong, *troubles] == [], "\n".join([*wrong, *troubles])
