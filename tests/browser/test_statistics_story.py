"""A head of office, a supervisor and an operator see what goes on, and act on it, at a desk and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from registry import faults
from registry.exports import worker
from registry.journal import segments, shipping
from tests.browser.office import SCHEMES
from tests.browser.pages import Troubles, accessibility, fits, idle, new_page, person, picture, signed_in
from tests.cast import Cast

ANSWERED, FAILED = 6, 3


@pytest.fixture(params=list(SCHEMES))
def page(request: pytest.FixtureRequest, browser: Browser, live_server: LiveServer) -> Iterator[Page]:
    """A screen of one size."""
    found = new_page(browser, live_server.url, request.param, SCHEMES[request.param])
    troubles = Troubles(found, live_server.url)
    yield found
    found.context.close()
    assert troubles == []


def write_calls(cast: Cast) -> None:
    """Record calls of an hour ago, some of which failed, as worker processes do, and ship them."""
    operation, at = cast.operations["satu"], (timezone.now() - timedelta(hours=1)).timestamp()
    for number in range(ANSWERED + FAILED):
        id = f"{int(at * 1000) + number:012x}{number:020x}"
        failed = (
            {"code": faults.SOURCE_TIMEOUT.code, "status": 504} if number < FAILED else {"code": 200, "status": 200}
        )
        segments.write(
            {
                "t": "begin", "id": id, "at": at + number, "protocol": "rest", "method": "GET", "ip": "10.0.0.1",
                "op": [cast.provider.code, "data", "satu", operation.pk, 1],
            }
        )  # fmt: skip
        segments.write(
            {
                "t": "end", "id": id, "bytes": 90, "us": 20_000, "format": "json", "rows": 1, "fields": ["nama"],
                "by": [cast.consumer.code, "app", "mtr_1", None], "class": "personal" if number >= FAILED else "",
                "from": ["source", cast.source.pk, cast.source.code, None], **failed,
            }
        )  # fmt: skip
    shipping.ship()


def look(page: Page, name: str) -> None:
    idle(page)
    assert accessibility(page) == []
    assert fits(page)
    picture(page, name)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_head_sees_what_fails_and_takes_the_report_home(
    page: Page, live_server: LiveServer, cast: Cast, settings: Any, tmp_path: Path
) -> None:
    settings.EXPORT_DIR = tmp_path / "exports"
    write_calls(cast)
    signed_in(page.context, person("kepala", "Head", cast.provider), live_server.url)
    page.goto("/admin/")
    page.get_by_role("link", name="Semua statistik").click()
    page.get_by_role("link", name="7 hari").click()
    expect(page.locator("body")).to_contain_text(str(ANSWERED + FAILED))
    expect(page.get_by_text("Perlu perhatian")).to_be_visible()
    look(page, "statistics")
    # The calls behind a number are one click away, each told in a sentence.
    page.get_by_role("link", name=str(FAILED), exact=True).first.click()
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(FAILED)
    look(page, "history")
    rows.first.get_by_role("link").first.click()
    expect(page.get_by_role("main")).to_contain_text("status 504")
    look(page, "call")
    page.goto("/admin/statistics/")
    page.get_by_role("link", name="Laporan bulanan (PDF)").click()
    page.locator("#content form button[type=submit]").first.click()
    worker.Worker().round()
    page.goto("/admin/exports/")
    with page.expect_download() as download:
        page.get_by_role("link", name="Unduh").first.click()
    assert Path(download.value.path()).read_bytes().startswith(b"%PDF")


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_supervisor_sees_who_calls_whom(page: Page, live_server: LiveServer, cast: Cast) -> None:
    write_calls(cast)
    signed_in(page.context, person("pengawas", "Supervisor"), live_server.url)
    page.goto("/admin/")
    page.goto("/admin/statistics/")
    page.get_by_role("link", name="Siapa memanggil siapa").first.click()
    expect(page.get_by_role("main")).to_contain_text(cast.consumer.code)
    page.get_by_role("link", name=str(ANSWERED + FAILED), exact=True).first.click()
    expect(page).to_have_title("Panggilan oleh Konsumen ke Penyedia | MANTRA")
    page.get_by_role("link", name=str(ANSWERED + FAILED), exact=True).first.click()
    expect(page.locator("#result_list tbody tr")).to_have_count(ANSWERED + FAILED)
    page.goto("/admin/statistics/")
    page.get_by_role("link", name="Data pribadi yang keluar").first.click()
    expect(page.get_by_role("main")).to_contain_text("data pribadi")
    expect(page.get_by_role("main")).to_contain_text(str(ANSWERED))
    look(page, "personal-data")


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_an_operator_sees_that_nobody_ships_the_journal(page: Page, live_server: LiveServer, cast: Cast) -> None:
    signed_in(page.context, person("operator", "Administrator"), live_server.url)
    page.goto("/admin/")
    page.get_by_role("main").get_by_role("link", name="Papan kesehatan").first.click()
    row = page.locator("tr[data-kind=worker]").first
    expect(row).to_have_attribute("data-state", "ill")
    look(page, "health-board")
