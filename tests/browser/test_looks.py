"""The pages of looks as people use them: a citizen's question is answered, a leaked key is revoked."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from registry.journal import shipping
from registry.models import AccessKey, ChangeRecord
from registry.snapshot import holder
from tests import cast as cast_module
from tests.browser.pages import SIZES, Troubles, accessibility, fits, new_page, person, picture, signed_in

NIK = "3201010101010001"


def _good(page: Page, name: str) -> None:
    """Look at a page at a desk and on a phone."""
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        assert fits(page), (name, size)
        assert accessibility(page, without="#nav-sidebar") == []
        picture(page, f"{name}-{size}")
    page.set_viewport_size({"width": 1366, "height": 768})


@pytest.mark.timeout(600)
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_citizen_is_answered_and_a_key_revoked(browser: Browser, live_server: LiveServer) -> None:
    cast = cast_module.assemble()
    cast.operation(
        "warga", "SELECT id, nama FROM orang WHERE nama = :nik OR id = 1", title="Data warga menurut NIK",
        parameters=({"name": "nik", "subject": True},),
    )  # fmt: skip
    grant = cast.grants["warga"]
    grant.purpose, grant.legal_basis, grant.agreement = "Penyaluran bantuan", "Perpres 63/2017", "PKS-12/2026"
    grant.save()
    holder.refresh()
    for address in ("10.1.2.3", "203.0.113.9"):
        assert cast.get("warga", f"nik={NIK}", address=address).status == 200
    shipping.ship()

    page = new_page(browser, live_server.url)
    troubles = Troubles(page, live_server.url)
    signed_in(page.context, person("kepala", "Head", cast.provider), live_server.url)
    ChangeRecord.objects.create(
        change_id="0" * 32, at=timezone.now(), user="kepala", origin="admin", action="changed", kind="registry.grant",
        ref=grant.pk, name=str(grant), agency="prov", other_agency="kons", fields="purpose, legal_basis",
        committed=True,
    )  # fmt: skip
    page.goto(reverse("admin:registry_changerecord_changelist"))
    expect(page.get_by_text("purpose, legal_basis")).to_be_visible()
    _good(page, "changes")
    page.goto(reverse("admin:registry_changerecord_change", args=(ChangeRecord.objects.get().pk,)))
    expect(page.get_by_text("versi data induk", exact=False)).to_be_visible()
    assert "Change id" not in page.content() and "('changed'" not in page.content()
    _good(page, "change")
    page.goto(reverse("subject_access"))
    page.fill("#id_identifier", "3201 0101 0101 0001")
    page.get_by_role("button", name="Cari siapa yang melihat").click()
    expect(page.get_by_text("Perpres 63/2017; PKS-12/2026").first).to_be_visible()
    assert NIK not in page.content() and "3201 0101" not in page.content()
    _good(page, "subject-access")
    page.get_by_role("button", name="Surat untuk dicetak").click()
    expect(page.get_by_role("heading", name="Siapa yang melihat data Anda")).to_be_visible()
    _good(page, "subject-letter")

    signed_in(page.context, person("pemanfaat", "Requester", cast.consumer), live_server.url)
    page.goto(reverse("leaked_key"))
    page.fill("#id_text", f"MANTRA_KEY={cast.key}")
    page.get_by_role("button", name="Cari kunci").click()
    expect(page.get_by_text("203.0.113.0/24")).to_be_visible()
    _good(page, "leaked-key")
    page.goto(reverse("key_use", args=(cast.key_row.pk,)))
    page.get_by_role("button", name="Ini kami").first.click()
    expect(page.get_by_text("milik kami")).to_be_visible()
    page.get_by_role("button", name="Cabut kunci").click()
    expect(page.get_by_text("Kunci dicabut.")).to_be_visible()
    assert AccessKey.objects.get().revoked_at is not None
    page.context.close()
    assert not troubles
