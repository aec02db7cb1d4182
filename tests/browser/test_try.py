"""The page of trials in a browser: the result comes without leaving the page, and is announced."""

from __future__ import annotations

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from mantra.tryout import limits
from registry.models import Grant
from registry.snapshot import holder
from tests import cast as cast_module
from tests.browser.pages import SIZES, Troubles, accessibility, fits, new_page, person, signed_in


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_requester_calls_and_reads_why_she_is_refused(browser: Browser, live_server: LiveServer) -> None:
    limits.forget()
    cast = cast_module.assemble()
    page = new_page(browser, live_server.url)
    troubles = Troubles(page, live_server.url)
    signed_in(page.context, person("pemohon", "Requester", cast.consumer), live_server.url)
    page.goto(reverse("try_as_application", args=("prov", "data", "satu")))
    wrong = [f"form: {line}" for line in accessibility(page)]

    page.get_by_label("id", exact=True).fill("5")
    page.get_by_label("Panggil sebagai").select_option("key")
    page.get_by_label("Kunci akses", exact=True).fill(cast.key)
    page.get_by_label("Protokol dan format").select_option("legacy-json-rest")
    page.get_by_label("Alamat server aplikasi Anda").focus()
    page.keyboard.press("Enter")
    result = page.locator("#try-result")
    expect(result).to_contain_text("Orang 5")
    expect(result).to_be_focused()
    expect(result).not_to_contain_text(cast.key)
    expect(page.get_by_label("Kunci akses", exact=True)).to_have_value(cast.key)  # for the next call

    Grant.objects.filter(operation=cast.operations["satu"]).update(networks="10.1.0.0/16")
    holder.refresh()
    page.get_by_role("button", name="Panggil operasi").click()
    expect(result).to_contain_text("hanya berlaku dari 10.1.0.0/16")
    for size, scheme in (("desktop", "light"), ("phone", "dark")):
        width, height = SIZES[size]
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        wrong += [f"{size} {scheme}: {line}" for line in accessibility(page)]
        assert fits(page), size
    page.context.close()
    found = [*wrong, *troubles]
    assert not found, "\n".join(found)
