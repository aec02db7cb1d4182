"""A passkey in a browser, with an authenticator that Chromium plays: made, used instead of the password, taken off."""

from __future__ import annotations

from django.urls import reverse
from playwright.sync_api import CDPSession, Page, expect

from registry.models import Agency, RoleRule
from tests.browser.pages import PASSWORD, accessibility, fits, person


def authenticator(page: Page) -> CDPSession:
    """Give the page's browser a device with a fingerprint reader, whose owner is there."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session


def test_a_passkey_from_the_first_sign_in_on(page: Page) -> None:
    agency = Agency.objects.create(code="dukcapil", name="Disdukcapil")
    person("ani", "Provider", agency)
    RoleRule.objects.filter(role="Provider").update(second_factor=True)
    authenticator(page)
    page.goto("/admin/registry/service/")
    page.get_by_label("Nama pengguna atau alamat email").fill("ani")
    page.get_by_label("Kata sandi").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Peran Anda memerlukan faktor kedua.")).to_be_visible()
    page.get_by_role("link", name="Tambah passkey").click()
    page.get_by_role("button", name="Tambah passkey").click()
    expect(page.get_by_text("Cetak atau simpan kode ini sekarang.")).to_be_visible()
    assert page.locator(".mantra-codes li").count() == 10
    assert accessibility(page) == []
    assert fits(page)
    page.get_by_role("link", name="Sudah saya simpan").click()
    expect(page.locator("#logout-form")).to_be_attached()

    with page.expect_navigation():
        page.evaluate("document.querySelector('#logout-form').submit()")
    page.goto("/admin/registry/service/")
    page.get_by_role("button", name="Pakai passkey").click()
    page.wait_for_url("**/admin/registry/service/")

    page.goto(reverse("mfa_index"))
    page.get_by_role("link", name="Hapus Passkey 1").click()
    page.get_by_role("button", name="Hapus").click()
    expect(page.get_by_text("Pasang yang lain sebelum menghapus yang ini.")).to_be_visible()
