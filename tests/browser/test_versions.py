"""Versions in a browser: a clerk changes what callers get, looks at it first, publishes it and goes back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from dataservices.models import DataOperation
from registry import versions
from registry.models import Operation
from registry.snapshot import holder
from tests import cast as cast_module
from tests.browser.pages import SIZES, Clerk, Troubles, accessibility, fits, new_page, person, signed_in

#: Where pictures of the pages are put; "": nowhere.
PICTURES = os.environ.get("PICTURES", "")


def look(page: Page, name: str, wrong: list[str]) -> None:
    """Check a page at a desk in light and on a phone in dark colours."""
    for (size, (width, height)), scheme in zip(SIZES.items(), ("light", "dark"), strict=True):
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        wrong += [f"{name} {size}: {line}" for line in accessibility(page)]
        if not fits(page):
            wrong.append(f"{name} {size}: wider than the screen")
        if PICTURES:
            page.screenshot(path=Path(PICTURES) / f"{name}-{size}.png", full_page=True)
    width, height = SIZES["desktop"]
    page.set_viewport_size({"width": width, "height": height})


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_change_is_looked_at_published_and_taken_back(browser: Browser, live_server: LiveServer) -> None:
    cast = cast_module.assemble()
    operation = cast.operations["satu"]
    page, wrong = new_page(browser, live_server.url), list[str]()
    troubles, clerk = Troubles(page, live_server.url), Clerk(page)
    signed_in(page.context, person("ani", "Provider", cast.provider), live_server.url)
    own = reverse("admin:dataservices_dataoperation_change", args=(operation.pk,))
    page.goto(own)
    clerk.fill(".cm-content", "SELECT id,\n  nama\nFROM orang\nWHERE id = :id")
    clerk.click(page.get_by_role("button", name="Simpan", exact=True))
    expect(page.get_by_text("Draf v2 tersimpan; pemanggil tetap menerima v1.")).to_be_visible()
    clerk.click(".mantra-fold > summary")
    clerk.fill("#id_p_id", "1")
    clerk.click("#try_button")
    expect(page.get_by_role("columnheader", name="nama", exact=True)).to_be_visible()
    expect(page.get_by_role("columnheader", name="gaji")).to_have_count(0)
    look(page, "draft", wrong)
    clerk.click(page.get_by_role("link", name="Versi terbit v1"))
    expect(page.locator("#try strong", has_text="Versi terbit v1")).to_be_visible()
    clerk.click(page.locator("#version_bar").get_by_role("link", name="Bandingkan"))
    expect(page.locator("[data-section=query]")).to_be_visible()
    clerk.fill("#id_sample_name", "orang pertama")
    clerk.fill("#id_p_id", "1")
    clerk.click(page.get_by_role("button", name="Simpan contoh"))
    clerk.click("#send_samples")
    expect(page.locator("[data-sample='orang pertama']")).to_contain_text("data.0.gaji")
    look(page, "compare", wrong)
    clerk.fill("#publish_reason", "gaji tidak perlu")
    clerk.click(page.get_by_role("button", name="Terbitkan v2"))
    expect(page.get_by_text("Terbit sebagai v2")).to_be_visible()
    holder.refresh()
    assert set(cast.get("satu", "id=1").json()["data"][0]) == {"id", "nama"}
    clerk.click(page.locator("#version_bar").get_by_role("link", name="Versi"))
    clerk.click(page.get_by_text("Kembali ke v1"))
    clerk.fill("#reason_1", "gaji perlu")
    look(page, "versions", wrong)
    clerk.click(page.get_by_role("button", name="Terbitkan lagi"))
    expect(page.get_by_text("Terbit sebagai v3")).to_be_visible()
    holder.refresh()
    assert "gaji" in cast.get("satu", "id=1").json()["data"][0]
    print(f"change, try, compare with a sample, publish, go back: {clerk}")
    page.context.close()
    assert not [*wrong, *troubles], "\n".join([*wrong, *troubles])


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_two_people_edit_one_draft(browser: Browser, live_server: LiveServer) -> None:
    cast = cast_module.assemble()
    operation = cast.operations["satu"]
    pages, wrong = [new_page(browser, live_server.url) for _ in range(2)], list[str]()
    for page, name in zip(pages, ("ani", "budi"), strict=True):
        signed_in(page.context, person(name, "Provider", cast.provider), live_server.url)
        page.goto(reverse("admin:dataservices_dataoperation_change", args=(operation.pk,)))
    ani, budi = pages
    budi.fill("#id_title", "Judul Budi")
    budi.get_by_role("button", name="Simpan", exact=True).click()
    expect(budi.get_by_text("Draf v2 tersimpan")).to_be_visible()
    ani.fill("#id_title", "Judul Ani")
    ani.get_by_role("button", name="Simpan", exact=True).click()
    expect(ani.locator("#conflict")).to_contain_text("budi")
    expect(ani.locator("#conflict")).to_contain_text("Judul Budi")
    expect(ani.locator("#id_title")).to_have_value("Judul Ani")
    look(ani, "conflict", wrong)
    ani.get_by_label("Simpan isian saya sebagai gantinya").check()
    ani.get_by_role("button", name="Simpan", exact=True).click()
    expect(ani.get_by_text("Draf v2 tersimpan")).to_be_visible()
    assert versions.draft_of(operation).title == "Judul Ani"
    assert DataOperation.objects.get(pk=operation.pk).title == ""
    assert Operation.objects.filter(draft_of=operation).count() == 1
    for page in pages:
        page.context.close()
    assert not wrong, "\n".join(wrong)
