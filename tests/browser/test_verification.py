"""A clerk makes a verification of a published operation, at a desk and on a phone, and a requester finds it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from mantra.verification.models import VerificationOperation
from registry.models import Field
from tests.browser.pages import Troubles, accessibility, fits, new_page, person, picture, signed_in
from tests.cast import assemble
from tests.verification.people import COLUMNS, people_operation

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_a_clerk_makes_a_verification(browser: Browser, live_server: LiveServer, size: str) -> None:
    cast = assemble()
    base = people_operation(cast)
    base.title = "Penduduk menurut NIK"
    base.save()
    for position, (name, type_) in enumerate(COLUMNS):
        Field.objects.create(operation=base, position=position, name=name, type=type_)
    page = new_page(browser, live_server.url, size)
    troubles = Troubles(page, live_server.url)
    signed_in(page.context, person("penyedia", "Provider", cast.provider), live_server.url)
    page.goto("/admin/verification/verificationoperation/")
    page.get_by_role("link", name="Buat verifikasi").click()
    picture(page, f"verification-choose-{size}")
    assert accessibility(page) == []
    assert fits(page)
    page.get_by_role("link", name="Penduduk menurut NIK").click()
    expect(page.get_by_role("checkbox", name="nama")).to_be_checked()
    expect(page.get_by_role("checkbox", name="saldo")).not_to_be_checked()
    picture(page, f"verification-propose-{size}")
    assert accessibility(page) == []
    assert fits(page)
    page.get_by_role("checkbox", name="alamat").uncheck()
    page.get_by_role("checkbox", name="telepon").uncheck()
    page.get_by_label("Jumlah kolom paling sedikit").fill("9")
    page.get_by_role("button", name="Terbitkan").click()
    expect(page.get_by_text("Pemanggil harus mengirim 9 kolom")).to_be_visible()
    page.get_by_label("Jumlah kolom paling sedikit").fill("1")
    page.get_by_role("button", name="Terbitkan").click()
    expect(page.get_by_text("sudah terbit")).to_be_visible()
    picture(page, f"verification-page-{size}")
    assert accessibility(page) == []
    assert fits(page)
    made = VerificationOperation.objects.get()
    assert list(made.verified_fields.values_list("name", flat=True)) == ["nama", "lahir"]
    page.context.clear_cookies()
    signed_in(page.context, person("pemohon", "Requester", cast.stranger), live_server.url)
    page.goto(f"/catalog/prov/data/{made.code}")
    expect(page.locator("#verification")).to_be_visible()
    picture(page, f"verification-catalogue-{size}")
    assert accessibility(page) == []
    page.goto(f"/catalog/prov/data/{made.code}/request")
    expect(page.get_by_role("checkbox", name="nama_kemiripan")).not_to_be_checked()
    picture(page, f"verification-request-{size}")
    assert fits(page)
    page.context.close()
    assert not troubles, "\n".join(troubles)
