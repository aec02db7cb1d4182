"""The page of an operation: tabs of at most two screens, by mouse, by keyboard and without scripts."""

from __future__ import annotations

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from proxyservices.models import ProxyOperation
from registry.models import Operation, Parameter
from tests import cast as cast_module
from tests.browser.pages import SIZES, person, signed_in, wait_for
from tests.proxy.publishing import add_server

TABS = ("query", "parameters", "columns", "access", "callers", "calls", "history")


def four_parameters(cast: cast_module.Cast) -> tuple[Operation, Operation]:
    """A data operation and a proxy operation with four parameters each."""
    names = ("nik", "nama", "kecamatan", "lahir")
    where = " AND ".join(f"nama <> :{name}" for name in names)
    parameters = tuple({"name": name} for name in names)
    data = cast.define("warga", f"SELECT id FROM orang WHERE {where}", parameters=parameters)
    proxy = ProxyOperation.objects.create(service=cast.service, code="proksi", style="rest", path="/".join(names))
    add_server(proxy, "http://127.0.0.1:9/", credential_kind="none")
    for position, name in enumerate(names):
        Parameter.objects.create(operation=proxy, name=name, position=position)
    return data, proxy


def address(operation: Operation) -> str:
    app = "dataservices_data" if operation.kind == "data" else "proxyservices_proxy"
    return reverse(f"admin:{app}operation_change", args=(operation.pk,))


@pytest.fixture
def cast(transactional_db: None) -> cast_module.Cast:
    return cast_module.assemble()


@pytest.fixture
def provider(page: Page, live_server: LiveServer, cast: cast_module.Cast) -> Page:
    signed_in(page.context, person("pengurus", "Administrator"), live_server.url)
    return page


def shown(page: Page) -> list[str]:
    """The tabs of which a part is in sight."""
    script = "parts => parts.filter(part => part.checkVisibility()).map(part => part.dataset.tab)"
    return sorted(set(page.locator("[data-tab-of=page]").evaluate_all(script)))


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_no_tab_is_higher_than_two_screens(provider: Page, cast: cast_module.Cast) -> None:
    cast_module.call("/rest/prov/data/terbuka")
    for operation in four_parameters(cast):
        provider.goto(address(operation))
        provider.wait_for_selector("#try_button", state="attached")
        for tab in provider.locator("[data-tabs=page] [role=tab]").all():
            tab.click()
            wait_for(provider, "!document.querySelector('.htmx-request')")
            height = provider.evaluate("document.documentElement.scrollHeight")
            assert height <= 2 * SIZES["desktop"][1], (str(operation), tab.inner_text(), height)
        assert provider.locator("[data-tab-word=parameters]").inner_text().endswith("4")


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_tabs_by_keyboard_and_over_a_save(provider: Page, cast: cast_module.Cast) -> None:
    operation = cast.operations["cari"]
    provider.goto(address(operation))
    provider.locator("[data-tab-word=query]").focus()
    provider.keyboard.press("ArrowRight")
    expect(provider.locator("[data-tab-word=parameters]")).to_be_focused()
    assert shown(provider) == ["parameters"]
    provider.keyboard.press("End")
    assert shown(provider) == ["history"]
    provider.keyboard.press("Home")
    assert shown(provider) == ["query"]

    provider.locator("[data-tab-word=access]").click()
    provider.locator("#submit-row button[name=_continue]").click()
    expect(provider.locator("#part-access")).to_be_visible()
    assert shown(provider) == ["access"]
    # The message about what was saved is in sight.
    provider.wait_for_load_state("load")
    assert provider.evaluate("new Promise(done => requestAnimationFrame(() => done(scrollY)))") == 0

    provider.locator("[data-tab-word=callers]").click()
    expect(provider.locator("#callers")).to_contain_text("kons/app")
    provider.locator("[data-tab-word=history]").click()
    expect(provider.locator(".mantra-history li")).to_have_count(1)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_tab_with_an_error_opens(provider: Page, cast: cast_module.Cast) -> None:
    provider.goto(address(cast.operations["cari"]))
    provider.locator("[data-tab-word=parameters]").click()
    provider.fill("#id_parameters-0-name", "bukan nama!")
    provider.locator("[data-tab-word=access]").click()
    provider.locator("#submit-row button[name=_continue]").click()
    expect(provider.locator("[data-tab-word=parameters]")).to_have_attribute("data-errors", "1")
    assert shown(provider) == ["parameters"]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_all_is_reached_without_scripts(browser: Browser, live_server: LiveServer, cast: cast_module.Cast) -> None:
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    signed_in(context, person("pengurus", "Administrator"), live_server.url)
    page = context.new_page()
    page.goto(address(cast.operations["cari"]))
    for name in ("#id_sql", "#id_parameters-0-name", "#id_state", "#fields-group"):
        expect(page.locator(name)).to_be_visible()
    for word in TABS:
        expect(page.locator(f"[data-tab-word={word}]")).to_be_visible()
    page.locator("#part-callers a").click()
    expect(page.locator("#callers")).to_contain_text("kons/app")
    context.close()
