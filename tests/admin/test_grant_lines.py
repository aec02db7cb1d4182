"""Masks and values of grants on pages, in the management API, in bundles and in decisions on access requests."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from dataservices.models import DataOperation
from mantra.definitions.export import export
from mantra.health.checks import keys
from registry import publishing, requests, versions
from registry.models import AccessRequest, Field, Grant, RequestedOperation, User
from registry.snapshot import holder
from tests.admin.conftest import SignIn
from tests.cast import Cast

SQL = "SELECT id, nama, unit FROM orang WHERE unit = :grant.unit"


@pytest.fixture
def warga(cast: Cast) -> DataOperation:
    operation = cast.define("warga", SQL)
    for position, (name, kind, classification) in enumerate(
        (("id", "integer", "internal"), ("nama", "text", "personal"), ("unit", "text", "specific"))
    ):
        Field.objects.create(
            operation=operation, position=position, name=name, type=kind, classification=classification
        )
    return operation


def page(grant: Grant, what: str = "change") -> str:
    return reverse(f"admin:registry_grant_{what}", args=(grant.pk,))


def form_data(**more: Any) -> dict[str, Any]:
    return {"purpose": "uji", "legal_basis": "UU 24/2013", "masks-0": "", "masks-1": "", "masks-2": "", **more}


def test_the_form_has_a_line_for_each_field_and_value(cast: Cast, sign_in: SignIn, warga: DataOperation) -> None:
    grant, client = cast.grants["warga"], sign_in("Provider", cast.provider)
    html = client.get(page(grant)).content.decode()
    for name in ("masks-0", "masks-1", "masks-2", "values-0"):
        assert f'name="{name}"' in html
    assert 'aria-label="nama:' in html
    data = form_data(**{"masks-1": "initials", "masks-2": "hash", "values-0": " Unit 3 "})
    response = client.post(page(grant), data)
    assert response.status_code == 302, response.context["adminform"].form.errors
    grant.refresh_from_db()
    assert (grant.masks, grant.values) == ("nama=initials\nunit=hash", "unit=Unit 3")
    html = client.get(page(grant)).content.decode()
    assert '<option value="initials" selected' in html and 'value="Unit 3"' in html
    holder.refresh()
    first = cast.get("warga").json()["data"][0]
    assert first["nama"] == "O." and len(first["unit"]) == 32


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"values-0": ""}, "values"),
        ({"values-0": "a\x85b"}, "values"),
        ({"values-0": "Unit 3", "masks-0": "initials"}, "masks"),
        ({"values-0": "Unit 3", "legal_basis": ""}, "legal_basis"),
    ],
)
def test_what_the_model_refuses_is_told_at_its_line(
    cast: Cast, sign_in: SignIn, warga: DataOperation, data: dict[str, str], field: str
) -> None:
    response = sign_in("Provider", cast.provider).post(page(cast.grants["warga"]), form_data(**data))
    assert list(response.context["adminform"].form.errors) == [field]


def test_a_grant_without_masks_and_values_has_no_such_section(cast: Cast, sign_in: SignIn) -> None:
    """Its operation declares no fields and needs no values: masks stay a text, values are not there."""
    html = sign_in("Provider", cast.provider).get(page(cast.grants["satu"])).content.decode()
    assert 'name="masks"' in html and 'name="values"' not in html


def test_a_grant_that_lacks_something_is_not_approved_again(cast: Cast, sign_in: SignIn, warga: DataOperation) -> None:
    """Not on its page, not from the list."""
    grant, client = cast.grants["warga"], sign_in("Provider", cast.provider)
    client.post(page(grant, "revoke"))
    client.post(page(grant, "approve"))
    client.post("/admin/registry/grant/", {"action": "approve", "_selected_action": [grant.pk]})
    grant.refresh_from_db()
    assert grant.state == "revoked"


def test_the_health_board_and_the_command_name_what_is_missing(
    cast: Cast, warga: DataOperation, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [each for each in keys.check(None) if "warga" in each.name]
    assert len(found) == 1 and "unit" in found[0].sentence and found[0].needs_attention
    with pytest.raises(CommandError):
        call_command("check_publishing")
    printed = capsys.readouterr().out
    assert "no legal basis is stated" in printed and "no value for unit" in printed
    Grant.objects.filter(pk=cast.grants["warga"].pk).update(values="unit=Unit 3", legal_basis="UU 24/2013")
    assert not [each for each in keys.check(None) if "warga" in each.name]


# ------------------------------------------------------------------------------------------ bundles


def test_a_bundle_has_masks_and_values(cast: Cast, warga: DataOperation) -> None:
    """It exports them, applies them, and takes them away again."""
    Field.objects.filter(operation=warga, name="nama").update(mask="partial")
    Grant.objects.filter(pk=cast.grants["warga"].pk).update(
        masks="unit=hash", values="unit=Unit 3", legal_basis="UU 24/2013"
    )
    text = export(None)
    found = yaml.safe_load(text)
    grants = {each["operation"]: each for app in found["applications"] for each in app["grants"]}
    assert grants["prov/data/warga"]["masks"] == {"unit": "hash"}
    assert grants["prov/data/warga"]["values"] == {"unit": "Unit 3"}
    operations = {each["code"]: each for service in found["services"] for each in service["operations"]}
    assert [field.get("mask") for field in operations["warga"]["fields"]] == [None, "partial", None]


# ---------------------------------------------------------------------------------- access requests


def requested(cast: Cast, warga: DataOperation, user: Any, legal_basis: str = "UU 24/2013") -> RequestedOperation:
    cast.grants["warga"].delete()
    row = AccessRequest(
        application=cast.application, service=cast.service, purpose="uji", legal_basis=legal_basis, requested_by=user,
        state="in_review",
    )  # fmt: skip
    row.set_expiry()
    row.save()
    return RequestedOperation.objects.create(
        request=row, application=cast.application, operation=warga, fields="id\nnama\nunit"
    )


def test_who_decides_gives_masks_and_values(cast: Cast, sign_in: SignIn, warga: DataOperation, settings: Any) -> None:
    settings.SECOND_PERSON_GRANTS = "off"
    client: Client = sign_in("Provider", cast.provider)
    item = requested(cast, warga, User.objects.get(agency=cast.provider))
    address = reverse("admin:registry_accessrequest_change", args=(item.request.pk,))
    html = client.get(address).content.decode()
    assert f'name="item-{item.pk}-masks-1"' in html and f'name="item-{item.pk}-values-0"' in html
    step = reverse("admin:registry_accessrequest_step", args=(item.request.pk,))
    data = {
        "step": "part", f"item-{item.pk}-include": "on", f"item-{item.pk}-columns": ["id", "nama"],
        f"item-{item.pk}-masks-1": "partial", f"item-{item.pk}-masks-2": "hash", f"item-{item.pk}-values-0": "Unit 3",
        f"item-{item.pk}-seen": requests.mark(item),
    }  # fmt: skip
    client.post(step, data)
    grant = Grant.objects.get(operation=warga)
    assert (grant.fields, grant.masks, grant.values) == ("id\nnama", "nama=partial", "unit=Unit 3")
    item.refresh_from_db()
    assert (item.state, item.granted_masks, item.granted_values) == ("partly_approved", "nama=partial", "unit=Unit 3")


# --------------------------------------------------------------------------------------- publishing


def test_a_mask_that_is_taken_away_is_a_widening(cast: Cast, warga: DataOperation) -> None:
    field = Field.objects.get(operation=warga, name="nama")
    states = []
    for mask in ("", "partial", "hash", "dropped", "year"):
        field.mask = mask
        field.save()
        states.append(publishing.stored(warga))
    none, partial, hashed, dropped, year = states
    assert publishing.widenings(none, partial) == publishing.widenings(partial, hashed) == []
    assert publishing.widenings(hashed, partial) and publishing.widenings(partial, none)
    assert publishing.widenings(hashed, year) and publishing.widenings(dropped, hashed)
    assert "nama" not in dropped.columns and publishing.needs_second_person(partial, none)


def test_an_open_operation_with_values_of_grants_is_not_published(cast: Cast, warga: DataOperation) -> None:
    definition = versions.definition(warga)
    definition["columns"]["access"] = "open"
    assert len(publishing.problems(publishing.publication("data", definition))) == 1


def test_a_version_of_before_has_no_masks(warga: DataOperation) -> None:
    """It was stored without the column, and is the same."""
    now = versions.definition(warga)
    before = {**now, "lists": {**now["lists"], "fields": [
        {name: value for name, value in each.items() if name != "mask"} for each in now["lists"]["fields"]
    ]}}  # fmt: skip
    assert versions.is_same(before, now, versions.kind_of(warga))
    Field.objects.filter(operation=warga, name="nama").update(mask="partial")
    assert not versions.is_same(before, versions.definition(warga), versions.kind_of(warga))


# ---------------------------------------------------------------------------------------- the try-out


def test_the_author_tries_with_values_and_sees_what_callers_get(
    cast: Cast, sign_in: SignIn, warga: DataOperation
) -> None:
    Field.objects.filter(operation=warga, name="nama").update(mask="initials")
    client = sign_in("Provider", cast.provider)
    address = reverse("try_operation", args=(warga.pk,))
    assert 'name="p_grant.unit"' in client.get(address).content.decode()
    page = client.post(address, {"p_grant.unit": "Unit 3"}).content.decode()
    assert "O." in page and "Orang 3" not in page and "Unit 3" in page
    assert "11405" in client.post(address, {}).content.decode()


def test_the_contract_says_what_is_sent(cast: Cast, sign_in: SignIn, warga: DataOperation) -> None:
    """For the reader's application: masked numbers are text, and what is left out is not there."""
    grant = cast.grants["warga"]
    grant.masks, grant.values, grant.legal_basis = "id=hash\nunit=dropped", "unit=Unit 3", "UU 24/2013"
    grant.full_clean()
    grant.save()
    holder.refresh()
    client = sign_in("Requester", cast.consumer)
    for address in ("/catalog/prov/data/warga/openapi.json", "/catalog/prov/data/openapi.json"):
        document = client.get(address, {"application": "kons/app"})
        assert document.status_code == 200, address
        text = document.content.decode()
        assert '"id":{"$ref":"#/components/schemas/column.text"}' in text and '"unit":{"$ref"' not in text
    html = client.get("/catalog/prov/data/warga").content.decode()
    assert "disamarkan: hash" in html
