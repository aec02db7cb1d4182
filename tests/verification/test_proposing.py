"""The page that makes a verification of an operation."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from mantra.verification import proposals
from mantra.verification.models import VerificationOperation
from registry.models import Agency, Field, Operation, PublishRequest
from registry.snapshot import holder
from tests.admin.conftest import make_user
from tests.cast import Cast
from tests.verification.people import COLUMNS, SITI, people_operation


@pytest.fixture
def base(cast: Cast) -> Operation:
    row = people_operation(cast)
    for position, (name, type_) in enumerate(COLUMNS):
        Field.objects.create(operation=row, position=position, name=name, type=type_)
    return row


@pytest.fixture
def clerk(cast: Cast) -> Client:
    client = Client()
    client.cookies["django_language"] = "en"
    client.force_login(make_user("Provider", cast.provider, "penyedia"))
    return client


def posted(client: Client, base: Operation, finish: str = "publish", **changed: Any) -> Any:
    """Send the form as the page has it, with some values changed."""
    page = client.get(f"/admin/verify/{base.pk}/")
    assert page.status_code == 200
    form, lines = page.context["form"], page.context["lines"]
    data: dict[str, Any] = {name: form[name].value() for name in form.fields}
    for line in (lines.management_form, *lines.forms):
        data |= {line.add_prefix(name): line[name].value() for name in line.fields}
    data = {name: value for name, value in data.items() if value is not None and value is not False}
    return client.post(f"/admin/verify/{base.pk}/", {**data, "finish": finish, **changed})


def test_it_works(cast: Cast, base: Operation, clerk: Client) -> None:
    reply = posted(clerk, base)
    made = VerificationOperation.objects.get()
    assert reply.headers["Location"] == f"/admin/verification/verificationoperation/{made.pk}/change/"
    assert (made.state, made.base_id, made.access) == ("published", base.pk, "restricted")
    rules = dict(made.verified_fields.values_list("name", "rule"))
    assert rules == {"nama": "name", "lahir": "date", "alamat": "address", "telepon": "phone"}
    made.grants.create(application=cast.application, purpose="uji")
    holder.refresh()
    row = cast.get(made.code, f"nik={SITI}&nama=Siti+Nurhaliza+Rahmawati&lahir=1990-01-01").json()["data"][0]
    assert (row["sesuai"], row["lahir_sesuai"]) == (True, True)


def test_what_is_proposed_of_each_kind_of_column(base: Operation) -> None:
    found = {each.column: (each.rule, each.chosen) for each in proposals.propose(base)}
    assert found == {
        "nama": ("name", True),
        "lahir": ("date", True),
        "alamat": ("address", True),
        "telepon": ("phone", True),
        "saldo": ("number", False),
    }


def test_a_draft_has_no_callers(base: Operation, clerk: Client) -> None:
    posted(clerk, base, finish="draft")
    assert VerificationOperation.objects.get().state == "draft"


def test_nothing_ticked_is_said_and_nothing_is_made(base: Operation, clerk: Client) -> None:
    page = clerk.get(f"/admin/verify/{base.pk}/")
    lines = {line.add_prefix("chosen"): "" for line in page.context["lines"].forms}
    reply = posted(clerk, base, **lines)
    assert reply.status_code == 200
    assert "Tick at least one column" in reply.content.decode()
    assert not VerificationOperation.objects.exists()


def test_a_code_that_is_taken_is_said_at_its_field(base: Operation, clerk: Client) -> None:
    reply = posted(clerk, base, code=base.code)
    assert reply.context["form"].errors
    assert not VerificationOperation.objects.exists()


def test_a_second_person_is_asked(settings: Any, cast: Cast, base: Operation, clerk: Client) -> None:
    settings.SECOND_PERSON = "available"
    make_user("Head", cast.provider, "kepala")
    assert clerk.get(f"/admin/verify/{base.pk}/").context["second_person"]
    reply = posted(clerk, base)
    assert "reason" in reply.context["form"].errors
    assert not VerificationOperation.objects.exists()
    posted(clerk, base, reason="Verifikasi penerima bantuan")
    assert PublishRequest.objects.get().operation_id == VerificationOperation.objects.get().pk


def test_columns_of_an_operation_that_declares_none_are_typed(cast: Cast, clerk: Client) -> None:
    base = people_operation(cast)
    page = clerk.get(f"/admin/verify/{base.pk}/")
    assert page.context["typed"]
    reply = posted(clerk, base, **{"lines-0-chosen": "on", "lines-0-column": "nama", "lines-0-rule": "name"})
    assert reply.status_code == 302
    assert list(VerificationOperation.objects.get().verified_fields.values_list("name", "column")) == [("nama", "")]


def test_columns_of_a_sample_are_proposed(cast: Cast) -> None:
    from registry import sample_responses

    base = people_operation(cast)
    sample_responses.save(base, b'{"data": [{"nik": "1", "nama": "Siti", "lahir": "1990-01-01"}], "count": 1}')
    assert [each.column for each in proposals.propose(base)] == ["nama", "lahir"]


def test_the_list_leads_to_what_can_be_verified(cast: Cast, base: Operation, clerk: Client) -> None:
    text = clerk.get("/admin/verify/").content.decode()
    assert f"/admin/verify/{base.pk}/" in text
    assert f"/admin/verify/{base.pk}/" not in clerk.get("/admin/verify/?q=lain").content.decode()


def test_an_operation_without_a_key_cannot_be_verified(cast: Cast, clerk: Client) -> None:
    reply = clerk.get(f"/admin/verify/{cast.operations['semua'].pk}/", follow=True)
    assert "no required parameter" in reply.content.decode()


def test_the_button_of_the_operations_page_leads_there(base: Operation, clerk: Client) -> None:
    page = f"/admin/dataservices/dataoperation/{base.pk}/"
    assert f"{page}verify/" in clerk.get(f"{page}change/").content.decode()
    assert clerk.post(f"{page}verify/").headers["Location"] == f"/admin/verify/{base.pk}/"


@pytest.mark.parametrize("role", ["Requester", "Head", "Supervisor"])
def test_who_may_not_make_operations_makes_no_verification(cast: Cast, base: Operation, role: str) -> None:
    client = Client()
    client.cookies["django_language"] = "en"
    client.force_login(make_user(role, cast.provider, "orang"))
    assert client.get(f"/admin/verify/{base.pk}/").status_code == 403


def test_another_agency_finds_nothing(cast: Cast, base: Operation) -> None:
    client = Client()
    client.cookies["django_language"] = "en"
    client.force_login(make_user("Provider", Agency.objects.get(code="asing"), "orang"))
    assert client.get(f"/admin/verify/{base.pk}/").status_code == 404


def test_a_publisher_verifies_no_data_that_it_may_not_offer(cast: Cast, base: Operation) -> None:
    client = Client()
    client.cookies["django_language"] = "en"
    client.force_login(make_user("Publisher", cast.provider, "proksi"))
    assert client.get(f"/admin/verify/{base.pk}/").status_code == 404
