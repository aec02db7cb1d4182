"""The page on which callers try the calls of a service: with their own key, and without any other host."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import Page, Route, expect
from pytest_django.live_server_helper import LiveServer

from registry.models import Operation
from registry.snapshot import holder
from tests import cast as cast_module
from tests.browser.pages import SIZES, accessibility, fits


def _by_the_bus(route: Route) -> None:
    """Have the bus answer a call: the server of browser tests is Django alone."""
    asked = urlsplit(route.request.url)
    reply = cast_module.call(f"{asked.path}?{asked.query}", accesskey=route.request.headers.get("accesskey", ""))
    route.fulfill(status=reply.status, headers=reply.headers, body=reply.body)


def test_a_caller_tries_a_call_with_their_own_key(page: Page, live_server: LiveServer) -> None:
    cast = cast_module.assemble()
    Operation.objects.filter(pk=cast.operations["satu"].pk).update(listing="public")
    holder.refresh()
    page.route("**/rest/**", _by_the_bus)
    page.goto(f"{live_server.url}/catalog/prov/data/swagger.html")
    page.get_by_role("button", name="Authorize").click()
    dialog = page.locator(".modal-ux")
    dialog.locator("input").first.fill(cast.key)
    dialog.get_by_role("button", name="Authorize").first.click()
    assert accessibility(page, within=".modal-ux") == []
    dialog.get_by_role("button", name="Close").last.click()

    block = page.locator("[id$=get_satu]")
    block.locator(".opblock-summary-control").click()
    block.get_by_placeholder("id").fill("7")
    block.get_by_role("button", name="Execute").click()
    expect(block.locator(".live-responses-table")).to_contain_text("Orang 7")
    stored = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert cast.key not in stored
    for width, height in SIZES.values():
        page.set_viewport_size({"width": width, "height": height})
        assert fits(page)
    assert accessibility(page, within="main") == []
    page.reload()
    page.get_by_role("button", name="Authorize").click()
    expect(page.locator(".modal-ux input").first).to_have_value("")
