"""The wizard "Publish data" by keyboard, with slow responses, an ended session, and without scripts.

How a clerk publishes with it is in test_stories.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from dataservices.models import DataOperation, DataSource
from registry.models import Agency, User
from tests import population
from tests.browser.pages import LEFT, PASSWORD, Troubles, accessibility, idle, new_page, person, signed_in, wait_for
from tests.servers.postgresql import PostgreSQLServer

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


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
    idle(page)
    assert accessibility(page) == []


def test_what_is_entered_while_a_response_is_on_its_way_stays(opened: Page, source: DataSource) -> None:
    page = opened
    choose(page)
    waiting = []
    page.route(re.compile(r"/2/$"), lambda route: waiting.append(route) if not waiting else route.continue_())
    page.locator("#t0_c2").uncheck()
    wait_for(page, "document.querySelector('[data-guard].htmx-request')")
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
