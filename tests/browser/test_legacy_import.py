"""An administrator who has never seen it moves in from 1.99x: a dump, the dry run, its report, and the run for good."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from dataservices.models import DataOperation
from mantra.legacy_import.models import ImportInput, LegacyImport
from mantra.legacy_import.pages.worker import Task
from registry.exports.worker import Worker
from registry.models import Agency
from tests.browser.pages import Clerk, Troubles, accessibility, fits, new_page, person, picture, signed_in
from tests.browser.test_pages import VISITS
from tests.legacy_import.fake_old_host import FakeOldHost
from tests.legacy_import.old_database import OldInstallation, Sizes
from tests.legacy_import.rows import Rows, data_source, small
from tests.legacy_import.test_comparison_pages import OPERATION, line, serve


def dump(folder: Path, rows: Rows) -> str:
    """Write a dump of rows whose operations say localhost."""
    operation = rows.operation_rows[0]
    rows.operation_rows[0] = type(operation)(
        operation.id, operation.service_id, operation.code, operation.kind, operation.listed,
        data_source(hostname="localhost"), operation.description,
    )  # fmt: skip
    sizes = Sizes(0, 0, 0, 0, 0, tracks=60, track_bytes=200)
    old = OldInstallation(
        sizes, 7, rows.agency_rows, rows.user_rows, rows.service_rows, rows.operation_rows, rows.order_rows
    )
    return str(old.write(folder / "lama.sql"))


def compare(page: Page, clerk: Clerk, check: Callable[[], None], folder: Path, settings: Any, size: str) -> None:
    """Compare with the old server from the report of the import, mend what differs, compare again, and come back."""
    report = page.url
    log = folder / "access.log"
    log.write_text(
        "".join(line(f"/mantra/json/{OPERATION}/nip={number}") for number in range(1, 4))
        + line("/mantra/json/bkd/simpeg/lama/nip=1")
    )
    with FakeOldHost("/mantra") as old, FakeOldHost() as new:
        settings.BASE_URL, new.folder = new.url, "/mantra"
        serve(old, unit="Kepegawaian")
        serve(new, unit="Umum")
        clerk.click(page.get_by_role("link", name="Bandingkan", exact=True))
        check()
        clerk.fill("#id_old_url", old.url)
        clerk.upload("#id_log", str(log))
        page.locator("summary", has_text="Pilihan lain").click()
        clerk.fill("#id_operations", f"{OPERATION}\nbkd/simpeg/lama")
        check()
        picture(page, f"compare-form-{size}")
        clerk.click(page.get_by_role("button", name="Bandingkan kedua server"))
        expect(page.locator("#progress")).to_be_visible()
        check()
        picture(page, f"compare-progress-{size}")
        compared()
        expect(page.locator("#kinds tr[data-kind=value]")).to_contain_text("9", timeout=20_000)
        check()
        picture(page, f"compare-result-{size}")
        clerk.click(page.locator("#kinds tr[data-kind=value] a"))
        expect(page.locator("#rows tr[data-kind]")).to_have_count(1)
        expect(page.locator("#rows tr[data-kind=value]")).to_contain_text("unit: text(11) → text(4)")
        check()
        picture(page, f"compare-rows-{size}")
        assert page.locator("#rows tr[data-kind=value] a").get_attribute("href")
        serve(new, unit="Kepegawaian")
        clerk.click(page.get_by_role("button", name="Bandingkan lagi"))
        expect(page.locator("#progress")).to_be_visible()
        compared()
        expect(page.locator("#kinds tr[data-kind=equal]")).to_contain_text("9", timeout=20_000)
        expect(page.locator("#kinds tr[data-kind=value]")).to_contain_text("9")  # before
        expect(page.locator("#summary")).to_contain_text("Belum bersih")  # an operation is not here
        check()
        picture(page, f"compare-again-{size}")
    clerk.click(page.get_by_role("link", name="Laporan impor"))
    assert page.url == report
    expect(page.locator("tr[data-comparison=done]")).to_have_count(2)
    check()
    page.locator("#comparisons").scroll_into_view_if_needed()
    picture(page, f"compare-report-{size}")


def compared() -> None:
    """Let the worker compare, at a time at which the processes have what was imported."""
    task = Task(now=lambda: timezone.now() + timedelta(minutes=1))
    task.round()
    task.leadership.release()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize(("size", "scheme"), VISITS)
def test_a_whole_installation_moves_in(
    browser: Browser, live_server: LiveServer, tmp_path: Path, settings: Any, size: str, scheme: str
) -> None:
    settings.EXPORT_DIR = tmp_path / "exports"
    page = new_page(browser, live_server.url, size, scheme)
    troubles, clerk, wrong = Troubles(page, live_server.url), Clerk(page), list[str]()
    signed_in(page.context, person("bu-admin", "Administrator"), live_server.url)

    def check() -> None:
        wrong.extend(f"{page.url}: {line}" for line in accessibility(page, VISITS[size, scheme]))
        if not fits(page):
            wrong.append(f"{page.url}: wider than the screen")

    def work(name: str) -> None:
        """Let the worker make the run, which the page waits for without a click."""
        expect(page.locator("#progress")).to_be_visible()
        check()
        picture(page, f"import-{name}-{size}")
        task = Task()
        task.round()
        task.leadership.release()
        expect(page.locator("#numbers")).to_be_visible(timeout=20_000)
        check()

    page.goto("/admin/")
    page.goto("/admin/moving-in/")
    check()
    clerk.click(page.get_by_role("link", name="Unggah berkas dump"))
    check()
    clerk.upload("#id_dump", dump(tmp_path, small()))
    clerk.click(page.get_by_role("button", name="Mulai uji coba"))
    work("reading")
    expect(page.get_by_role("heading", name="Uji coba: tidak ada yang diubah")).to_be_visible()
    assert not Agency.objects.exists()
    # The numbers of a table lead to its rows.
    refused = page.locator("#numbers tr[data-table=methods] a[href*=refused]")
    expect(refused).to_have_text("2")
    clerk.click(refused)
    expect(page.locator("tr[data-outcome]")).to_have_count(2)
    expect(page.locator("tr[data-outcome=refused]")).to_have_count(2)
    # What a person must do leads to the rows, with what to do.
    clerk.click(page.locator("[data-task=programs] > a"))
    expect(page.locator("tr[data-outcome=person]")).to_have_count(1)
    check()
    picture(page, f"import-report-{size}")
    # The report asks for the address of the old server.
    expect(page.get_by_text("Definisi menyebut localhost")).to_be_visible()
    clerk.fill("#id_localhost", "10.1.1.5")
    clerk.click(page.get_by_role("button", name="Uji coba lagi"))
    work("again")
    expect(page.get_by_text("Definisi menyebut localhost")).to_have_count(0)
    expect(page.locator("#id_localhost")).to_have_value("10.1.1.5")
    clerk.click(page.get_by_role("button", name="Impor sekarang"))
    work("for-good")
    expect(page.get_by_role("heading", name="Impor sesungguhnya")).to_be_visible()
    assert Agency.objects.count() == 2
    assert DataOperation.objects.get(code="by_nip").source.host == "10.1.1.5"
    assert not ImportInput.objects.exists()
    picture(page, f"import-done-{size}")
    compare(page, clerk, check, tmp_path, settings, size)
    # To the draft of a program, and to the report as a file.
    clerk.click(page.locator("[data-task=programs] > a"))
    clerk.click(page.locator("tr[data-outcome=person] a"))
    expect(page.locator("#id_code")).to_have_value("hitung")
    page.goto("/admin/moving-in/")
    expect(page.locator("tr[data-state=done]")).to_have_count(3)
    check()
    clerk.click(page.locator("tr[data-state=done] a").first)
    clerk.click(page.get_by_role("button", name="Laporan sebagai CSV"))
    Worker().round()
    link = page.get_by_role("link", name="Unduh")
    expect(link).to_be_visible(timeout=20_000)
    with page.expect_download() as download:
        clerk.click(link)
    assert len(Path(download.value.path()).read_text("utf-8-sig").splitlines()) == 1 + 22
    page.goto("/admin/moving-in/calls/")
    check()
    print(f"\nMoved in ({size}): {clerk}")
    page.context.close()
    assert [*wrong, *troubles] == [], "\n".join([*wrong, *troubles])


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_it_can_be_done_without_javascript(
    browser: Browser, live_server: LiveServer, tmp_path: Path, settings: Any
) -> None:
    settings.EXPORT_DIR = tmp_path / "exports"
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    signed_in(context, person("bu-admin", "Administrator"), live_server.url)
    page = context.new_page()
    page.goto("/admin/moving-in/new/")
    page.set_input_files("#id_dump", dump(tmp_path, small()))
    page.get_by_role("button", name="Mulai uji coba").click()
    expect(page.locator("#progress")).to_be_visible()
    page.get_by_role("button", name="Batalkan impor").click()
    assert LegacyImport.objects.get().state == "cancelled"
    page.get_by_role("button", name="Impor sekarang").click()
    task = Task()
    task.round()
    task.leadership.release()
    page.reload()
    expect(page.locator("#numbers")).to_be_visible()
    assert Agency.objects.count() == 2
    context.close()
