"""The pages on which people choose masks and values of grants, at a desk and on a phone."""

from __future__ import annotations

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from registry.models import AccessRequest, Field, Grant, RequestedOperation
from tests import cast as cast_module
from tests.browser.pages import SIZES, Troubles, accessibility, fits, new_page, person, picture, signed_in

FIELDS = (
    ("nik", "text", "personal", ""), ("nama_lengkap_menurut_ktp_elektronik", "text", "personal", "partial"),
    ("tanggal_lahir", "date", "personal", ""), ("diagnosa", "text", "specific", ""),
)  # fmt: skip


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_masks_are_chosen_line_by_line(browser: Browser, live_server: LiveServer) -> None:
    """For a grant, and in a decision; the section of the operation's fields has them too."""
    cast = cast_module.assemble()
    operation = cast.define(
        "warga",
        "SELECT nama AS nik, nama AS nama_lengkap_menurut_ktp_elektronik, lahir AS tanggal_lahir, unit AS diagnosa"
        " FROM orang WHERE unit = :grant.unit",
    )
    for position, (name, type_, classification, mask) in enumerate(FIELDS):
        Field.objects.create(
            operation=operation, position=position, name=name, type=type_, classification=classification, mask=mask
        )
    user = person("penyedia", "Provider", cast.provider)
    grant = cast.grants["warga"]
    page = new_page(browser, live_server.url)
    troubles = Troubles(page, live_server.url)
    signed_in(page.context, user, live_server.url)
    page.goto(reverse("admin:registry_grant_change", args=(grant.pk,)))
    page.get_by_label("nik: penyamaran", exact=True).select_option("partial")
    page.get_by_label("tanggal_lahir: penyamaran").select_option("year")
    page.get_by_label("diagnosa: penyamaran").select_option("hash")
    page.get_by_label("unit: isi").fill("Unit 3")
    page.locator("[name=_continue]").first.click()
    expect(page.get_by_label("nik: penyamaran", exact=True)).to_have_value("partial")
    grant.refresh_from_db()
    assert grant.masks == "nik=partial\ntanggal_lahir=year\ndiagnosa=hash" and grant.values == "unit=Unit 3"
    request = AccessRequest(application=cast.application, service=cast.service, purpose="uji", requested_by=user)
    request.set_expiry()
    request.save()
    RequestedOperation.objects.create(
        request=request, application=cast.application, operation=operation, fields="nik\ndiagnosa"
    )
    decision = reverse("admin:registry_accessrequest_change", args=(request.pk,))
    fields = reverse("admin:dataservices_dataoperation_change", args=(operation.pk,))
    wrong: list[str] = []
    for name, address in (("izin", reverse("admin:registry_grant_change", args=(grant.pk,))), ("putusan", decision),
                          ("kolom", fields)):  # fmt: skip
        for size, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            page.goto(address)
            if name == "putusan":
                page.locator("details.mantra-part summary").click()
            if name == "kolom":
                page.locator("[data-tabs=page] [role=tab]").nth(2).click()
            lines = page.locator(".mantra-grant-lines")
            if lines.count():
                lines.first.scroll_into_view_if_needed()
            picture(page, f"{name}-{size}")
            wrong += [f"{name} {size}: {line}" for line in accessibility(page, without="#nav-sidebar")]
            if not fits(page):
                wrong.append(f"{name} {size}: wider than the screen")
    page.context.close()
    assert Grant.objects.get(pk=grant.pk).warnings
    assert not [*wrong, *troubles], "\n".join([*wrong, *troubles])
