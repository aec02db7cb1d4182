"""A clerk stops a leaking key, opens an incident, writes the notification and releases, at a desk and on a phone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from registry.models import CallRecord, Incident, Stop
from registry.snapshot import holder
from tests import cast as cast_module
from tests.browser.pages import Troubles, accessibility, fits, new_page, person, picture, signed_in
from tests.containment.test_pages import record


def check(page: Page, name: str, wrong: list[str]) -> None:
    wrong += [f"{name}: {line}" for line in accessibility(page, without="#nav-sidebar")]
    if not fits(page):
        wrong.append(f"{name}: wider than the screen")
    picture(page, f"containment-{name}")


@pytest.mark.parametrize("size", ["desktop", "phone"])
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_clerk_contains_a_leak(browser: Browser, live_server: LiveServer, size: str) -> None:
    cast = cast_module.assemble()
    CallRecord.objects.bulk_create(record(cast, number) for number in range(120))
    page = new_page(browser, live_server.url, size, "dark" if size == "phone" else "light")
    signed_in(page.context, person("sari", "Provider", cast.provider), live_server.url)
    troubles = Troubles(page, live_server.url)
    wrong: list[str] = []

    page.goto(reverse("admin:registry_grant_change", args=[cast.grants["satu"].pk]))
    page.get_by_role("link", name="Blokir semua panggilannya seketika").click()
    expect(page.get_by_text("60 panggilan seperti itu")).to_be_visible()
    check(page, f"stop-{size}", wrong)
    page.get_by_label("Alasan").fill("Kunci dipakai dari alamat yang tidak dikenal")
    page.get_by_role("button", name="Blokir sekarang").click()
    expect(page.get_by_text("Diblokir. Panggilan ditolak")).to_be_visible()
    holder.refresh()
    assert cast.get("satu", "id=1").json()["code"] == 11401
    check(page, f"stopped-{size}", wrong)

    page.get_by_role("link", name="Buka insiden").click()
    expect(page.get_by_label("Diketahui pada")).not_to_be_empty()
    check(page, f"incident-new-{size}", wrong)
    page.get_by_role("button", name="Buka insiden ini").click()
    incident = Incident.objects.get()
    expect(page.get_by_text("Beri tahu subjek data dan lembaga paling lambat")).to_be_visible()
    check(page, f"incident-{size}", wrong)

    page.get_by_role("link", name="Tulis pemberitahuan").click()
    page.get_by_label("Data Pribadi yang terungkap").fill("Nama dan nomor pegawai")
    page.get_by_label("Bagaimana data terungkap").fill("Kunci akses dipakai pihak lain")
    page.get_by_label("Upaya penanganan dan pemulihan").fill("Izin diblokir, kunci diganti")
    check(page, f"incident-edit-{size}", wrong)
    page.get_by_role("button", name="Simpan").click()
    page.get_by_role("link", name="Baca dan cetak").click()
    expect(page.get_by_text("Pasal 46 Undang-Undang Nomor 27 Tahun 2022")).to_be_visible()
    expect(page.get_by_text("Kunci akses dipakai pihak lain")).to_be_visible()
    check(page, f"report-{size}", wrong)

    page.goto(reverse("incident", args=[incident.pk]))
    page.locator("#stops").get_by_role("link").first.click()
    page.get_by_label("Kunci akses baru sudah diterbitkan, yang lama dicabut").check()
    page.get_by_label("Alasan blokir dibuka").fill("Kunci sudah diganti")
    page.get_by_role("button", name="Buka blokir").click()
    expect(page.get_by_text("Blokir dibuka. Panggilan dilayani lagi")).to_be_visible()
    stop = Stop.objects.get()
    assert (stop.is_in_force, stop.checks) == (False, "key")
    assert stop.released_at is not None
    assert stop.released_at > timezone.now() - timedelta(minutes=5)
    page.goto(reverse("containment"))
    check(page, f"list-{size}", wrong)
    assert not wrong + list(troubles), "\n".join(wrong + list(troubles))
