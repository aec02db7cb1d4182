"""Access requests as people make and decide them: the page of the catalogue, and those of the admin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from registry.models import AccessKey, AccessRequest, Application, Field, Grant, Notification, Operation
from registry.snapshot import holder
from tests.admin.conftest import SignIn
from tests.cast import Cast
from tests.registry.test_agreements import PDF, SCRIPT, document

FORM = "/catalog/prov/data/warga/request"


@pytest.fixture
def warga(cast: Cast, settings: Any, tmp_path: Path) -> Operation:
    settings.FILES_DIR = tmp_path / "files"
    row = cast.define("warga", "SELECT id, nama, gaji FROM orang WHERE id = :id", parameters=({"name": "id"},))
    for name, classification in {"id": "internal", "nama": "personal", "gaji": "specific"}.items():
        Field.objects.create(operation=row, name=name, classification=classification)
    Grant.objects.all().delete()
    return Operation.objects.get(pk=row.pk)


@pytest.fixture
def asker(cast: Cast, warga: Operation, sign_in: SignIn) -> Client:
    return sign_in("Requester", cast.consumer)


@pytest.fixture
def provider(cast: Cast, sign_in: SignIn) -> Client:
    return sign_in("Provider", cast.provider)


def filled(page: Any, **changed: Any) -> dict[str, Any]:
    """What a browser sends of the form, with what a person has entered."""
    form = page.context["form"]
    values = {bound.html_name: bound.value() for bound in form if bound.value() not in (None, "")}
    return {"purpose": "Verifikasi penerima bantuan", **values, **changed}


def send(client: Client, address: str = FORM, **changed: Any) -> Any:
    return client.post(address, filled(client.get(address), **changed))


def page_of(row: AccessRequest, *more: str) -> str:
    address = reverse("admin:registry_accessrequest_change", args=(row.pk,))
    return address if not more else address.replace("change/", f"{more[0]}/")


def take(client: Client, row: AccessRequest, step: str, **data: Any) -> Any:
    """Press a button of the request's page, with the marks that the page has."""
    page = client.get(page_of(row))
    marks = {form["seen"].html_name: form["seen"].value() for form in page.context.get("part_forms", ())}
    return client.post(page_of(row, "step"), {"step": step, **marks, **data}, follow=True)


def test_it_works(cast: Cast, asker: Client, provider: Client, warga: Operation) -> None:
    page = asker.get(FORM)
    assert page.context["form"][f"columns-{warga.pk}"].value() == ["id", "nama"]  # none of the specific ones
    upload = SimpleUploadedFile("PKS 12.pdf", PDF, "application/x-anything")
    sent = send(asker, legal_basis="PP 12/2026", volume=1000, agreement_file=upload)
    row = AccessRequest.objects.get()
    assert sent["Location"] == page_of(row)
    text = take(provider, row, "approve").content.decode()
    assert "PP 12/2026" in text
    assert Grant.objects.get().quota == "1000/day"
    AccessKey.objects.all().delete()
    shown = asker.post(page_of(row, "key"))
    plain, code = shown.context["plain"], "/catalog/prov/data/warga/code?application=kons/app"
    assert plain in shown.content.decode()
    again = asker.get(page_of(row)).content.decode()
    assert plain not in again
    assert code in shown.content.decode()
    assert code in again
    holder.refresh()
    assert cast.get("warga", "id=7", accesskey=plain).json()["data"] == [{"id": "7", "nama": "Orang 7"}]


def test_the_page_of_a_request_is_read_in_the_bell_too(asker: Client, provider: Client) -> None:
    send(asker)
    address = page_of(AccessRequest.objects.get())
    assert Notification.objects.get().url == address
    asker.get(address)
    assert Notification.objects.get().read_at is None  # the provider's
    provider.get(address)
    assert Notification.objects.get().read_at is not None


def test_the_agreement_is_a_download_for_the_two_agencies(
    cast: Cast, asker: Client, provider: Client, sign_in: SignIn
) -> None:
    send(asker, agreement_file=SimpleUploadedFile('"><b>.pdf', PDF))
    row = AccessRequest.objects.get()
    for client in (asker, provider, sign_in("Head", cast.provider)):
        file = client.get(page_of(row, "agreement"))
        assert b"".join(file.streaming_content) == PDF
        assert file["Content-Disposition"].startswith("attachment")
        assert (file["Content-Type"], file["X-Content-Type-Options"]) == ("application/pdf", "nosniff")
    for role, agency in (("Provider", cast.stranger), ("Supervisor", None), ("Administrator", None)):
        assert sign_in(role, agency).get(page_of(row, "agreement")).status_code == 404


def test_nothing_is_lost_when_something_is_wrong(asker: Client) -> None:
    upload = SimpleUploadedFile("PKS.pdf", PDF)
    page = send(asker, purpose=" ", networks="10.1.2.3", agreement_file=upload)
    assert page.status_code == 400
    assert set(page.context["form"].errors) == {"purpose"}
    text = page.content.decode()
    assert "10.1.2.3" in text
    assert "PKS.pdf" in text
    kept = page.context["form"].file.stored
    again = asker.post(FORM, {**filled(page, purpose="Bantuan"), "kept_file": kept})
    assert again.status_code == 302
    assert AccessRequest.objects.get().agreement_file.name == "PKS.pdf"


@pytest.mark.parametrize(
    "content, told",
    [
        (b"PK\x03\x04 makro", "PDF, JPEG"),
        (document(b"3 0 obj\n" + SCRIPT + b"\nendobj\n"), "skrip"),
        (PDF + b"\n" * 100, "lebih besar"),
    ],
)
def test_a_file_that_is_refused_is_named_and_nothing_else_is_lost(
    asker: Client, settings: Any, content: bytes, told: str
) -> None:
    settings.MAX_AGREEMENT_BYTES = len(PDF) + 99
    page = send(asker, agreement_file=SimpleUploadedFile("PKS.pdf", content))
    assert page.status_code == 400
    form = page.context["form"]
    assert told in str(form.errors.pop("agreement_file"))
    assert not form.errors
    assert "Verifikasi penerima bantuan" in page.content.decode()
    assert not AccessRequest.objects.exists()
    assert not list(settings.FILES_DIR.glob("*"))


def test_what_was_left_empty_is_no_line_of_the_page(asker: Client) -> None:
    send(asker, agreement="12/PKS")
    page = asker.get(page_of(AccessRequest.objects.get())).content.decode()
    assert "Nomor perjanjian" in page
    assert "Dasar hukum" not in page


def test_a_retired_operation_is_no_longer_requested(asker: Client, warga: Operation) -> None:
    data = filled(asker.get(FORM))
    Operation.objects.filter(pk=warga.pk).update(state="retired")
    assert "tidak dapat dimohon" in asker.get(FORM).content.decode()
    sent = asker.post(FORM, data)
    assert "tidak lagi ditawarkan" in str(sent.context["form"].errors["operations"])
    assert "Verifikasi penerima bantuan" in sent.content.decode()
    assert "Ajukan permohonan akses" not in asker.get(FORM.removesuffix("/request")).content.decode()
    assert not AccessRequest.objects.exists()


def test_what_was_withdrawn_meanwhile_is_not_approved(asker: Client, provider: Client) -> None:
    send(asker)
    row = AccessRequest.objects.get()
    forms = provider.get(page_of(row)).context["part_forms"]
    marks = {form["seen"].html_name: form["seen"].value() for form in forms}
    take(asker, row, "withdraw")
    for step in ("approve", "part", "reject", "ask", "review"):
        told = provider.post(page_of(row, "step"), {"step": step, "text": "Baik", **marks}, follow=True)
        assert [message.level_tag for message in told.context["messages"]] == ["error"], step
    row.refresh_from_db()
    assert row.state == "withdrawn"
    assert not Grant.objects.exists()


def test_a_double_click_makes_one_request(asker: Client) -> None:
    data = filled(asker.get(FORM))
    first, second = asker.post(FORM, data), asker.post(FORM, data)
    assert first["Location"] == second["Location"]
    page = send(asker)
    assert page.status_code == 400
    assert page_of(AccessRequest.objects.get()) in page.content.decode()


def test_a_new_application_is_made_on_the_same_page(asker: Client, cast: Cast) -> None:
    wrong = send(asker, application="new", new_title="", new_code="e bansos")
    assert "new_title" in wrong.context["form"].errors
    wrong = send(asker, application="new", new_title="E-Bansos", new_code="e bansos")
    assert set(wrong.context["form"].errors) == {"new_code"}
    assert send(asker, application="new", new_title="E-Bansos", new_code="e-bansos").status_code == 302
    assert Application.objects.get(code="e-bansos").agency == cast.consumer
    # Without a code it gets one that is made from its title, and free.
    assert send(asker, application="new", new_title="E-Bansos").status_code == 302
    assert Application.objects.get(code="e-bansos-2").agency == cast.consumer


def test_an_agency_without_applications_only_names_one(asker: Client, cast: Cast) -> None:
    Application.objects.filter(agency=cast.consumer).delete()
    page = asker.get(FORM)
    assert "belum mempunyai aplikasi" in page.content.decode()
    assert page.context["form"]["application"].as_hidden() in page.content.decode()
    assert send(asker, new_title="E-Bansos").status_code == 302
    assert Application.objects.get(agency=cast.consumer).code == "e-bansos"


def test_who_sees_the_form(cast: Cast, asker: Client, provider: Client, sign_in: SignIn, warga: Operation) -> None:
    assert Client().get(FORM)["Location"].startswith("/account/login/?next=/catalog/prov/data/warga/request")
    assert provider.get(FORM).status_code == 403
    assert asker.get("/catalog/prov/data/tidak/request").status_code == 404
    Operation.objects.filter(pk=warga.pk).update(listing="hidden")
    assert asker.get(FORM).status_code == 404
    Operation.objects.filter(pk=warga.pk).update(listing="members", state="draft")
    assert asker.get(FORM).status_code == 404


def test_part_is_granted(asker: Client, provider: Client, cast: Cast, warga: Operation) -> None:
    send(asker, operations=[warga.pk, cast.operations["satu"].pk])
    row = AccessRequest.objects.get()
    forms = provider.get(page_of(row)).context["part_forms"]
    data = {bound.html_name: bound.value() for form in forms for bound in form if bound.value() is not None}
    first = {form.item.operation.code: form.prefix for form in forms}
    data[f"{first['warga']}-columns"] = ["id"]
    data[f"{first['warga']}-quota_0"], data[f"{first['warga']}-quota_1"] = "5", "day"
    del data[f"{first['satu']}-include"]
    data = {name: value for name, value in data.items() if not name.endswith("-quota")}
    again = take(provider, row, "part", **data)
    assert not Grant.objects.exists()  # one operation is rejected without a reason
    assert again.status_code == 400
    kept = {form.item.operation.code: form for form in again.context["part_forms"]}
    assert (kept["warga"]["columns"].value(), kept["satu"]["include"].value()) == (["id"], False)
    take(provider, row, "part", text="Satu tidak perlu", **data)
    assert [(grant.operation.code, grant.fields, grant.quota) for grant in Grant.objects.all()] == [
        ("warga", "id", "5/day")
    ]


def test_a_button_says_what_it_approves(asker: Client, cast: Cast, warga: Operation, sign_in: SignIn) -> None:
    send(asker, operations=[warga.pk, cast.operations["satu"].pk])
    row = AccessRequest.objects.get()
    head = sign_in("Head", cast.provider)
    assert head.get(page_of(row)).context["approve_label"] == "Setujui sesuai permohonan"
    row.items.filter(operation=cast.operations["satu"]).update(state="confirming")
    assert head.get(page_of(row)).context["approve_label"] == "Konfirmasi, dan setujui yang lain sesuai permohonan"
    row.items.update(state="confirming")
    assert head.get(page_of(row)).context["approve_label"] == "Konfirmasi"


def test_question_answer_and_change(asker: Client, provider: Client, cast: Cast) -> None:
    send(asker)
    row = AccessRequest.objects.get()
    take(provider, row, "review")
    take(provider, row, "ask", text="Dasar hukumnya?")
    assert "Dasar hukumnya?" in asker.get(page_of(row)).content.decode()
    take(asker, row, "answer", text="Menyusul")
    change = asker.get(page_of(row)).context["change_address"]
    assert send(asker, change, legal_basis="PP 12/2026").status_code == 302
    row.refresh_from_db()
    assert (row.legal_basis, row.revision) == ("PP 12/2026", 3)
    take(asker, row, "withdraw")
    row.refresh_from_db()
    assert row.state == "withdrawn"
    assert asker.get(change).status_code == 404


def test_what_was_not_seen_is_not_approved(asker: Client, provider: Client) -> None:
    send(asker)
    row = AccessRequest.objects.get()
    page = provider.get(page_of(row))
    marks = {form["seen"].html_name: form["seen"].value() for form in page.context["part_forms"]}
    send(asker, asker.get(page_of(row)).context["change_address"], purpose="Lain")
    told = provider.post(page_of(row, "step"), {"step": "approve", **marks}, follow=True)
    assert [message.level_tag for message in told.context["messages"]] == ["error"]
    assert not Grant.objects.exists()


def test_other_buttons_and_people_change_nothing(asker: Client, provider: Client, cast: Cast, sign_in: SignIn) -> None:
    send(asker)
    row = AccessRequest.objects.get()
    assert take(asker, row, "approve").status_code == 403
    assert take(provider, row, "withdraw").status_code == 403
    assert take(provider, row, "hapus").status_code == 403
    assert provider.post(page_of(row, "key")).status_code == 403
    stranger = sign_in("Provider", cast.stranger)
    for address in (page_of(row), page_of(row, "step"), page_of(row, "key"), page_of(row, "agreement")):
        assert stranger.get(address).status_code in (404, 405)
        assert stranger.post(address, {"step": "approve"}).status_code in (403, 404, 405)
    asker.post(page_of(row, "key"))
    assert AccessKey.objects.count() == 1  # nothing is approved yet
    assert row.items.get().state == "waiting"


def test_renewal_shows_what_the_application_has(asker: Client, cast: Cast, warga: Operation) -> None:
    Grant.objects.create(
        application=cast.application,
        operation=warga,
        purpose="Lama",
        fields="gaji",
        legal_basis="PP 1",
        quota="50/hour",
    )
    page = asker.get(FORM)
    form = page.context["form"]
    assert (form["purpose"].value(), form["legal_basis"].value()) == ("Lama", "PP 1")
    assert form[f"columns-{warga.pk}"].value() == ["gaji"]
    assert (form["volume"].value(), form["volume_period"].value()) == (50, "hour")
    assert page.context["grant"] is not None
