"""The SQL editor in a browser: tables, completion, a run of what is not saved, an error at its place, columns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from dataservices.models import DataOperation
from registry.models import CallRecord, Field
from tests import cast as cast_module
from tests.browser.pages import Troubles, accessibility, fits, new_page, person, signed_in
from tests.cast import Cast

LOCK = settings.BASE_DIR / "frontend/sql-editor/package-lock.json"
BUNDLE = settings.BASE_DIR / "static/mantra/vendor/sql-editor.js"

ALL = pytest.mark.django_db(transaction=True, serialized_rollback=True)


def test_the_bundle_names_the_versions_that_the_lock_fixes() -> None:
    packages = json.loads(LOCK.read_text())["packages"]
    locked = {name.removeprefix("node_modules/"): each["version"] for name, each in packages.items() if name}
    named = dict(re.findall(r"((?:@\w+/)?[\w-]+) (\d+\.\d+\.\d+)", BUNDLE.read_text().partition("*/")[0]))
    assert {"@codemirror/state", "@codemirror/view", "@codemirror/lang-sql", "@codemirror/lint"} <= set(named)
    assert named == {name: locked[name] for name in named}
    assert "codemirror" not in locked
    licences = BUNDLE.with_name("sql-editor.licences.txt").read_text()
    assert all(f"{name} {version} (MIT)" in licences for name, version in named.items())


@pytest.fixture
def cast(transactional_db: None) -> Cast:
    return cast_module.assemble()


@pytest.fixture(params=[("desktop", "light"), ("phone", "dark")], ids=["desktop", "phone"])
def clerk(request: pytest.FixtureRequest, browser: Browser, live_server: LiveServer, cast: Cast) -> Iterator[Page]:
    page = new_page(browser, live_server.url, *request.param)
    troubles = Troubles(page, live_server.url)
    signed_in(page.context, person("penyedia", "Provider", cast.provider), live_server.url)
    yield page
    page.context.close()
    assert troubles == []


def write(page: Page, sql: str) -> None:
    page.locator(".cm-content").fill(sql)


@ALL
def test_sql_is_written_completed_run_and_its_columns_taken(clerk: Page, cast: Cast) -> None:
    page, operation = clerk, cast.operations["satu"]
    page.goto(f"/admin/dataservices/dataoperation/{operation.pk}/change/")
    expect(page.locator("#id_sql")).to_be_hidden()
    tables = page.locator(".mantra-schema")
    if tables.get_attribute("open") is None:
        tables.locator("summary").first.click()
    tables.get_by_role("searchbox").fill("gaji")
    column = tables.get_by_role("button", name="gaji")
    expect(column).to_be_visible()

    write(page, "SELECT id, nama\nFROM oran")
    page.locator(".cm-content").press("Control+End")
    page.keyboard.type("g WHERE id = :")
    option = page.locator(".cm-tooltip-autocomplete li", has_text=":id")
    expect(option).to_be_visible()
    page.wait_for_timeout(100)  # the list takes no key in its first 75 ms
    page.keyboard.press("Enter")
    expect(page.locator(".cm-content")).to_contain_text("WHERE id = :id")
    page.get_by_label(":id").fill("7")
    page.locator(".cm-content").press("Control+Enter")
    result = page.locator(".mantra-editor-result")
    expect(result.get_by_role("cell", name="Orang 7", exact=True)).to_be_visible()
    expect(result.get_by_text("ms", exact=False).first).to_be_visible()

    # The values stay, and the error has its place.
    write(page, "SELECT id,\n  namaa\nFROM orang WHERE id = :id")
    page.get_by_label(":id").press("Enter")
    expect(result.get_by_role("alert")).to_contain_text("Baris 2, kolom 3")
    expect(result.get_by_role("alert")).to_contain_text("no such column: namaa")
    expect(page.locator(".cm-lintRange-error")).to_have_text("namaa")
    assert page.get_by_label(":id").input_value() == "7"
    operation.refresh_from_db()
    assert "namaa" not in operation.sql, "nothing is saved by a run"

    write(page, "SELECT id, nama, lahir FROM orang WHERE id = :id")
    column.click()
    expect(page.locator(".cm-content")).to_contain_text("gaji")
    write(page, "SELECT id, nama, lahir FROM orang WHERE id = :id")
    page.get_by_role("button", name="Jalankan tanpa menyimpan").click()
    expect(result.get_by_role("columnheader", name="lahir")).to_be_visible()
    assert fits(page)
    assert accessibility(page) == []

    expect(result).to_contain_text("Data pribadi: ")
    result.get_by_role("button", name="Simpan dan ambil kolom dari hasil").click()
    expect(page.get_by_text("Kolom dari hasil: 3 ditambahkan")).to_be_visible()
    fields = Field.objects.filter(operation__draft_of=operation)
    assert list(fields.values_list("name", "type", "classification")) == [
        ("id", "integer", "internal"), ("nama", "text", "personal"), ("lahir", "text", "personal"),
    ]  # fmt: skip


@ALL
def test_a_query_is_run_before_there_is_an_operation(clerk: Page, cast: Cast) -> None:
    page, before = clerk, DataOperation.objects.count()
    page.goto("/admin/dataservices/dataoperation/add/")
    page.get_by_role("button", name="Jalankan tanpa menyimpan").click()
    result = page.locator(".mantra-editor-result")
    expect(result).to_contain_text("Pilih sumber data dahulu.")
    page.select_option("#id_source", label="prov/uji")
    write(page, "SELECT * FROM orang ORDER BY id")
    page.locator(".cm-content").press("Control+Enter")
    expect(result.get_by_role("cell", name="Orang 1", exact=True)).to_be_visible()
    expect(result).to_contain_text("SELECT * mengembalikan semua kolom")
    assert DataOperation.objects.count() == before
    assert not CallRecord.objects.exists()


@ALL
def test_a_content_security_policy_stops_nothing_of_the_editor(
    browser: Browser, live_server: LiveServer, cast: Cast
) -> None:
    page = new_page(browser, live_server.url)
    page.add_init_script(
        "window.stopped = []; document.addEventListener('securitypolicyviolation', (event) =>"
        " stopped.push(event.sourceFile + ' ' + event.violatedDirective))"
    )
    signed_in(page.context, person("penyedia", "Provider", cast.provider), live_server.url)
    page.goto(f"/admin/dataservices/dataoperation/{cast.operations['terbuka'].pk}/change/")
    page.locator(".cm-content").press("Control+Enter")
    expect(page.locator(".mantra-editor-result").get_by_role("cell", name="2500")).to_be_visible()
    page.locator(".cm-content").press("Control+Space")
    expect(page.locator(".cm-tooltip-autocomplete")).to_be_visible()
    assert page.evaluate("stopped") == []
    assert page.locator(".cm-scroller").evaluate("each => getComputedStyle(each).fontFamily").startswith("ui-monospace")
    page.context.close()


@ALL
def test_without_scripts_the_text_area_and_the_try_out_remain(
    browser: Browser, live_server: LiveServer, cast: Cast
) -> None:
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    signed_in(context, person("penyedia", "Provider", cast.provider), live_server.url)
    page, operation = context.new_page(), cast.operations["satu"]
    page.goto(f"/admin/dataservices/dataoperation/{operation.pk}/change/")
    page.locator("#id_sql").fill("SELECT id, nama FROM orang WHERE id = :id")
    page.get_by_role("button", name="Simpan dan ambil kolom dari hasil").click()
    expect(page.get_by_text("Kolom dari hasil: 2 ditambahkan")).to_be_visible()
    assert [field.name for field in Field.objects.filter(operation__draft_of=operation)] == ["id", "nama"]
    assert page.locator("#try a").count() == 1
    context.close()
