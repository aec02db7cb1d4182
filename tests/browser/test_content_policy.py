"""The content security policy of the pages: what is smuggled in does nothing, and the theme works without eval."""

from __future__ import annotations

import json

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page, Route, expect
from pytest_django.live_server_helper import LiveServer

from registry.models import Agency, Service
from tests import cast as cast_module
from tests.browser.pages import new_page, person, picture, signed_in, wait_for

LOCK = settings.BASE_DIR / "frontend/alpine/package-lock.json"
BUNDLE = settings.BASE_DIR / "static/mantra/vendor/alpine.js"

#: What an attacker writes where a page fails to escape a text; each would set window.smuggled.
ATTACKS = {
    "a script": "<script data-attack>window.smuggled = 1</script>",
    "a handler": "<img data-attack src=/static/none.png onerror='window.smuggled = 1'>",
    "an address": "<a data-attack id=attacked href='javascript:window.smuggled = 1'>x</a>",
    # Responses of upstreams come from the same host as the pages.
    "a response of an upstream": "<script data-attack src='/rest/zamrud/data/skrip'></script>",
    "a script of another host": "<script data-attack src='https://jahat.example/a.js'></script>",
    "a frame": "<iframe data-attack srcdoc='<script>parent.smuggled = 1</script>'></iframe>",
    "Alpine's attributes": "<p data-attack x-data='{}' x-init='window.smuggled = 1'></p>",
    "Alpine's way to functions": "<p data-attack x-data='{}' x-init=\"''.at.constructor('smuggled = 1')()\"></p>",
    "htmx's attributes": "<button data-attack hx-on:click='window.smuggled = 1' id=attacked>x</button>",
}


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_what_is_smuggled_into_a_page_does_nothing(browser: Browser, live_server: LiveServer) -> None:
    page = new_page(browser, live_server.url)
    signed_in(page.context, person("pengurus", "Administrator"), live_server.url)
    attack = ""

    def with_attack(route: Route) -> None:
        """The server's answer with the attack in it, as if a stored text stood there as it is."""
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace("</main>", attack + "</main>", 1))

    def with_script(route: Route) -> None:
        route.fulfill(content_type="text/javascript", body="window.smuggled = 1")

    page.route("**/admin/registry/service/", with_attack)
    page.route("**/rest/zamrud/data/skrip", with_script)
    page.route("https://jahat.example/**", with_script)
    for name, attack in ATTACKS.items():  # noqa: B007 (the route's function reads it)
        page.goto("/admin/registry/service/", wait_until="load")
        assert page.locator("main [data-attack]").count() == 1, name
        if page.locator("#attacked").count():
            page.locator("#attacked").dispatch_event("click")
        wait_for(page, "Boolean(window.Alpine)")
        page.wait_for_timeout(50)
        assert page.evaluate("window.smuggled") is None, name
    page.context.close()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_attacks_would_work_without_the_policy(browser: Browser, live_server: LiveServer) -> None:
    context = browser.new_context(base_url=live_server.url, bypass_csp=True)
    page = context.new_page()
    signed_in(context, person("pengurus", "Administrator"), live_server.url)
    attack = ATTACKS["a script"] + ATTACKS["a handler"].replace("smuggled", "handled")

    def with_attack(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace("</main>", attack + "</main>", 1))

    page.route("**/admin/registry/service/", with_attack)
    page.goto("/admin/registry/service/", wait_until="load")
    assert page.evaluate("[window.smuggled, window.handled]") == [1, 1]
    context.close()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_menus_tabs_dialogs_and_colours_work_without_eval(page: Page, live_server: LiveServer) -> None:
    cast_module.assemble()
    Service.objects.create(agency=Agency.objects.get(code="prov"), code="lain", title="Layanan lain")
    signed_in(page.context, person("pengurus", "Administrator"), live_server.url)
    page.goto("/admin/registry/service/")
    html = page.locator("html")

    # The menu is folded, and stays so on the next page.
    menu = page.locator("#nav-sidebar")
    expect(menu).to_be_visible()
    page.locator("[x-on\\:click='sidebarDesktopOpen = !sidebarDesktopOpen']").click()
    expect(menu).to_be_hidden()
    page.reload()
    expect(menu).to_be_hidden()
    page.locator("[x-on\\:click='sidebarDesktopOpen = !sidebarDesktopOpen']").click()
    expect(menu).to_be_visible()

    # Light and dark, also on the next page.
    for chosen in ("dark", "light"):
        page.locator("[x-on\\:click='openUserLinks = !openUserLinks']").first.click()
        page.locator(f"[x-on\\:click=\"switchTheme('{chosen}')\"]").first.click()
        expect(html).to_have_class(chosen)
        page.reload()
        expect(html).to_have_class(chosen)
        picture(page, f"csp-{chosen}")

    # The filters of a list open and close.
    filters = page.locator("#changelist-filter")
    expect(filters).to_be_hidden()
    page.locator("[x-on\\:click='filterOpen = true']").first.click()
    expect(filters).to_be_visible()
    picture(page, "csp-filters")
    page.keyboard.press("Escape")
    expect(filters).to_be_hidden()

    # Actions appear with a choice of rows, as wide as the list.
    page.locator("input.action-select").first.check()
    actions = page.locator("#changelist-actions")
    expect(actions).to_be_visible()
    assert actions.bounding_box()["width"] > 300  # type: ignore[index]
    picture(page, "csp-actions")

    # The search for pages opens with the keyboard, finds, and closes.
    page.locator("input.action-select").first.uncheck()
    page.locator("input.action-select").first.blur()
    page.keyboard.press("Control+k")
    box = page.locator("#search-input-command")
    expect(box).to_be_visible()
    with page.expect_response("**/admin/search/**"):
        box.press_sequentially("layanan")
    expect(page.locator("#command-results a").first).to_be_visible()
    box.press("ArrowDown")  # the first result is this page
    box.press("ArrowDown")
    picture(page, "csp-search")
    box.press("Enter")
    page.wait_for_url(lambda url: not url.endswith("/admin/registry/service/"))

    # Rows are added to a table and removed; the form is sent to the tab that is shown.
    page.goto("/admin/proxyservices/backend/add/")
    rows = page.locator(".formset .form-group:not(.empty-form)")
    before = rows.count()
    page.locator(".add-row").first.click()
    expect(rows).to_have_count(before + 1)
    page.locator(".form-group:not(.empty-form) .delete-template").last.click()
    expect(rows).to_have_count(before)
    expect(page.locator("form[x-bind\\:action]")).to_have_attribute("action", "/admin/proxyservices/backend/add/")

    # A day is chosen in the calendar.
    page.goto("/admin/registry/grant/add/")
    page.locator(".datetimeshortcuts a").last.click()
    picture(page, "csp-calendar")
    page.locator(".calendarbox:visible td a").first.click()
    page.goto("/admin/")


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_menu_of_a_phone_works(page: Page, live_server: LiveServer) -> None:
    signed_in(page.context, person("pengurus", "Administrator"), live_server.url)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/admin/registry/service/")
    menu = page.locator("#nav-sidebar")
    expect(menu).to_be_hidden()
    page.locator("header [x-on\\:click='sidebarMobileOpen = !sidebarMobileOpen']").click()
    expect(menu).to_be_visible()
    picture(page, "csp-phone")


def test_the_bundle_has_the_locked_versions() -> None:
    packages = json.loads(LOCK.read_text())["packages"]
    head = BUNDLE.read_text()[:600].partition("*/")[0]
    named = dict(part.rsplit(" ", 1) for part in head.removeprefix("/*! ").partition(";")[0].split(", "))
    assert "@alpinejs/csp" in named
    assert named == {name: packages[f"node_modules/{name}"]["version"] for name in named}
    licences = BUNDLE.with_name("alpine.licences.txt").read_text()
    assert all(f"{name} {version} (" in licences for name, version in named.items())
