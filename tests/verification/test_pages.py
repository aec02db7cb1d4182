"""The admin's pages of verification operations, and what publishing says of them and of their bases."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.core.exceptions import ValidationError
from django.db.models import ProtectedError
from django.test import Client

from mantra.verification.models import VerificationOperation, VerifiedField, declare, inconsistencies
from registry import versions
from registry.models import Field, Parameter
from tests.admin.conftest import make_user
from tests.admin.operation_forms import address as page_of
from tests.admin.operation_forms import form_of
from tests.cast import Cast
from tests.verification.people import COLUMNS, Verifying, people_operation, verifying


@pytest.fixture
def made(cast: Cast) -> Verifying:
    base = people_operation(cast)
    for position, (name, type_) in enumerate(COLUMNS):
        Field.objects.create(operation=base, position=position, name=name, type=type_)
    versions.record(base, None, "uji")
    found = verifying(cast, base)
    versions.record(found.operation, None, "uji")
    return found


@pytest.fixture
def clerk(cast: Cast) -> Client:
    client = Client()
    client.cookies["django_language"] = "en"
    client.force_login(make_user("Provider", cast.provider, "penyedia"))
    return client


def texts(response: Any) -> str:
    return " ".join(str(each) for each in get_messages(response.wsgi_request))


def test_the_page_shows_what_follows_from_it(made: Verifying, clerk: Client) -> None:
    text = clerk.get(page_of(made.operation)).content.decode()
    for name in ("ditemukan", "nama_kemiripan", "tanggal_lahir_sesuai"):
        assert f'<th scope="row">{name}</th>' in text


def test_a_change_goes_into_a_draft_and_is_declared(made: Verifying, clerk: Client) -> None:
    data = form_of(clerk, made.operation)
    number = int(data["verified_fields-TOTAL_FORMS"])
    line = f"verified_fields-{number}"
    data |= {"verified_fields-TOTAL_FORMS": number + 1, f"{line}-operation": made.operation.pk,
             f"{line}-position": 9, f"{line}-name": "saldo", f"{line}-rule": "number"}  # fmt: skip
    reply = clerk.post(page_of(made.operation), data)
    assert reply.status_code == 302, reply.context["errors"]
    draft = versions.draft_of(made.operation)
    assert "saldo_sesuai" in draft.fields.values_list("name", flat=True)
    assert draft.parameters.filter(name="saldo", required=False).exists()
    assert "saldo_sesuai" not in made.operation.fields.values_list("name", flat=True)
    versions.publish(draft, None, "uji")
    assert "saldo_sesuai" in made.operation.fields.values_list("name", flat=True)
    assert inconsistencies(VerificationOperation.objects.get(pk=made.operation.pk)) == []


def test_the_choices_of_the_base_are_published_operations_of_ones_agency(
    made: Verifying, cast: Cast, clerk: Client
) -> None:
    cast.define("konsep", "SELECT 1 AS satu", state="draft")
    page = clerk.get("/admin/verification/verificationoperation/add/")
    found = {str(each) for _value, each in page.context["adminform"].form.fields["base"].choices if _value}
    assert "prov/data/orang" in found
    assert not found & {"prov/data/konsep", "prov/data/cek"}


def test_the_list_and_the_parts_of_the_page(made: Verifying, clerk: Client) -> None:
    assert "prov/data/cek" in clerk.get("/admin/verification/verificationoperation/").content.decode()
    for word in ("callers", "calls", "versions", "compare"):
        assert clerk.get(page_of(made.operation).replace("change/", f"{word}/")).status_code == 200
    assert clerk.get(f"/admin/statistics/operation/{made.operation.pk}/").status_code == 200
    assert clerk.get(f"/admin/registry/operation/{made.operation.pk}/change/").headers["Location"] == page_of(
        made.operation
    )
    assert "prov/data/cek" in clerk.get("/admin/").content.decode()


def test_the_author_tries_it_out(made: Verifying, clerk: Client) -> None:
    data = {"p_nik": "3201010101900001", "p_nama": "Siti Nurhaliza Rahmawati"}
    text = clerk.post(f"/admin/try/{made.operation.pk}/", data).content.decode()
    assert "nama_kemiripan" in text
    assert "1990-01-01" not in text


# ------------------------------------------------------------------------------------------ its base


def test_a_base_that_is_used_cannot_be_deleted(made: Verifying, clerk: Client) -> None:
    page = clerk.get(f"/admin/dataservices/dataoperation/{made.base.pk}/delete/")
    assert "prov/data/cek" in page.content.decode()
    with pytest.raises(ProtectedError):
        made.base.delete()


def test_a_base_that_is_retired_is_warned_of(made: Verifying, clerk: Client) -> None:
    reply = clerk.post(page_of(made.base), {**form_of(clerk, made.base), "state": "retired"})
    assert reply.status_code == 302
    assert "prov/data/cek" in texts(reply)
    rows = {"action": "retire_selected", "_selected_action": [made.base.pk]}
    assert "prov/data/cek" in texts(clerk.post("/admin/dataservices/dataoperation/", rows))


def test_a_new_version_of_the_base_keeps_what_is_compared(made: Verifying) -> None:
    draft = versions.open_draft(made.base, None)
    Field.objects.filter(operation=draft, name="lahir").delete()
    with pytest.raises(ValidationError, match="lahir"):
        versions.publish(draft, None, "uji")
    Field.objects.create(operation=draft, position=2, name="lahir", type="date")
    Parameter.objects.create(operation=draft, position=1, name="tahun", type="integer")
    draft.sql += " AND lahir > :tahun"
    draft.save()
    with pytest.raises(ValidationError, match="prov/data/cek"):
        versions.publish(draft, None, "uji")
    Parameter.objects.filter(operation=draft, name="tahun").update(required=False)
    versions.publish(draft, None, "uji")


# ------------------------------------------------------------------------------------------ the rules


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"access": "open"}, "access"),
        ({"cache_seconds": 60}, "cache_seconds"),
        ({"tries": 0}, "tries"),
        ({"tries_of_all": 1001}, "tries_of_all"),
        ({"lock_minutes": 43_201}, "lock_minutes"),
        ({"min_fields": 0}, "min_fields"),
    ],
)
def test_what_a_verification_must_not_have(made: Verifying, changed: dict[str, Any], field: str) -> None:
    for name, value in changed.items():
        setattr(made.operation, name, value)
    with pytest.raises(ValidationError) as error:
        made.operation.full_clean()
    assert list(error.value.message_dict) == [field]


def test_what_cannot_be_a_base(made: Verifying, cast: Cast) -> None:
    for base in (made.operation, cast.define("konsep", "SELECT 1 AS satu", state="draft"),
                 cast.define("tulis", "UPDATE orang SET unit = :unit WHERE id = :id", writes=True,
                             parameters=({"name": "unit"}, {"name": "id", "type": "integer"}))):  # fmt: skip
        row = VerificationOperation(service=cast.service, code="lain", base=base, state="published")
        with pytest.raises(ValidationError) as error:
            row.full_clean()
        assert "base" in error.value.message_dict


def test_only_names_and_addresses_have_a_threshold(made: Verifying) -> None:
    row = VerifiedField(operation=made.operation, name="tgl", rule="date", threshold=90)
    with pytest.raises(ValidationError, match=r"ambang|names and addresses"):
        row.full_clean()


def test_it_says_what_does_not_go_together(made: Verifying) -> None:
    operation = made.operation
    VerifiedField.objects.create(operation=operation, name="agama", rule="text", position=9)
    declare(operation)
    assert any("agama" in text for text in inconsistencies(operation))
    operation.min_fields = 9
    assert any("9" in text for text in inconsistencies(operation))
    VerifiedField.objects.filter(operation=operation).delete()
    assert inconsistencies(operation)


def test_a_key_that_its_base_takes_otherwise_now_is_taken_so_too(made: Verifying) -> None:
    Parameter.objects.filter(operation=made.base.pk, name="nik").update(pattern="[0-9]{16}")
    declare(made.operation)
    assert made.operation.parameters.get(name="nik").pattern == "[0-9]{16}"
