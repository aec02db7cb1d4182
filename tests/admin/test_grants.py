"""Grants: made and taken back by who provides, read by who calls."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from dataservices.models import DataOperation
from registry.models import Field, Grant, Notification
from registry.snapshot import holder
from tests.admin.conftest import SignIn
from tests.cast import Cast
from tests.proxy.publishing import publish_proxy

LIST = "/admin/registry/grant/"


def page(cast: Cast, what: str) -> str:
    return reverse(f"admin:registry_grant_{what}", args=(cast.grants["satu"].pk,))


def state(cast: Cast) -> str:
    return Grant.objects.get(pk=cast.grants["satu"].pk).state


def test_the_provider_grants_to_another_agencys_application(cast: Cast, sign_in: SignIn) -> None:
    cast.grants["satu"].delete()
    holder.refresh()
    assert cast.get("satu", "id=1").status == 403
    client = sign_in("Provider", cast.provider)
    found = client.get(
        "/admin/autocomplete/",
        {"app_label": "registry", "model_name": "grant", "field_name": "application", "term": "app"},
    ).json()
    assert found["results"][0]["text"] == "kons/app"
    data = {"application": found["results"][0]["id"], "operation": cast.operations["satu"].pk, "purpose": "Pemadanan"}
    response = client.post(LIST + "add/", data)
    assert response.status_code == 302, response.context["adminform"].form.errors
    holder.refresh()
    assert cast.get("satu", "id=1").status == 200


def test_revoke_and_approve(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in("Provider", cast.provider)
    assert client.get(page(cast, "revoke")).status_code == 405
    assert client.post(page(cast, "revoke")).status_code == 302
    assert state(cast) == "revoked"
    holder.refresh()
    assert cast.get("satu", "id=1").status == 403
    client.post(page(cast, "approve"))
    assert state(cast) == "approved"
    chosen = [cast.grants["satu"].pk]
    client.post(LIST, {"action": "revoke", "_selected_action": chosen})
    assert state(cast) == "revoked"
    client.post(LIST, {"action": "approve", "_selected_action": chosen})
    assert state(cast) == "approved"


def test_the_consumer_reads_and_decides_nothing(cast: Cast, sign_in: SignIn) -> None:
    cast.grants["satu"].state = "revoked"
    cast.grants["satu"].save()
    for role in ("Requester", "Provider", "Publisher"):
        client = sign_in(role, cast.consumer)
        assert "prov/data/satu" in client.get(LIST).content.decode()
        assert client.get(page(cast, "change")).status_code == 200
        assert client.post(page(cast, "change"), {"purpose": "lain"}).status_code == 403
        assert client.post(page(cast, "approve")).status_code == 403
        assert client.post(page(cast, "delete"), {"post": "yes"}).status_code == 403
        client.post(LIST, {"action": "approve", "_selected_action": [cast.grants["satu"].pk]})
        client.post(LIST, {"action": "delete_selected", "_selected_action": [cast.grants["satu"].pk], "post": "yes"})
        assert state(cast) == "revoked"


def test_the_consumer_makes_no_grant_for_itself(cast: Cast, sign_in: SignIn) -> None:
    cast.grants["satu"].delete()
    data = {"application": cast.application.pk, "operation": cast.operations["satu"].pk, "purpose": "untuk saya"}
    assert sign_in("Requester", cast.consumer).post(LIST + "add/", data).status_code == 403
    response = sign_in("Provider", cast.consumer).post(LIST + "add/", data)
    assert "operation" in response.context["adminform"].form.errors


def test_the_pair_of_a_grant_is_settled(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in("Provider", cast.provider)
    data: dict[str, Any] = {
        "operation": cast.operations["cari"].pk,
        "purpose": "lain",
        "quota_0": "5",
        "quota_1": "minute",
    }
    assert client.post(page(cast, "change"), data).status_code == 302
    grant = Grant.objects.get(pk=cast.grants["satu"].pk)
    assert (grant.operation.code, grant.purpose, grant.quota) == ("satu", "lain", "5/minute")


def test_the_caller_is_told_how_long_a_changed_grant_holds(cast: Cast, sign_in: SignIn) -> None:
    sign_in("Requester", cast.consumer)
    sign_in("Provider", cast.provider).post(page(cast, "change"), {"purpose": "lain", "valid_until": "2099-01-02"})
    assert Notification.objects.get(event="grant_changed").context["until"] == {"date": "2099-01-02"}


def test_what_the_model_refuses_is_told_at_its_field(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in("Provider", cast.provider)
    data = {
        "purpose": "x", "quota_0": "banyak", "networks": "rumah", "fields": "tidak_ada", "valid_from": "2027-01-02",
        "valid_until": "2027-01-01",
    }  # fmt: skip
    response = client.post(page(cast, "change"), data)
    assert {"quota", "networks"} <= set(response.context["adminform"].form.errors)
    response = client.post(page(cast, "change"), {**data, "quota_0": "", "networks": ""})
    assert {"valid_until"} <= set(response.context["adminform"].form.errors)


def test_fields_of_an_operation_that_declares_none(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in("Provider", cast.provider)
    response = client.post(page(cast, "change"), {"purpose": "x", "fields": "nama"})
    assert "Deklarasikan dulu kolom" in str(response.context["adminform"].form.errors["fields"])


def test_s16_a_field_that_callers_can_search_by_is_told_to_the_provider(cast: Cast, sign_in: SignIn) -> None:
    operation = cast.operations["satu"]
    Field.objects.filter(operation=operation).delete()
    for name in ("ID", "nama"):
        Field.objects.create(operation=operation, name=name)
    client = sign_in("Provider", cast.provider)
    data = {"purpose": "Pemadanan", "fields": "nama"}
    text = client.post(page(cast, "change"), data, follow=True).content.decode()
    assert "dapat dicari pemanggil sehingga nilainya dapat diketahui: ID." in text
    address = f"/manage/api/v1/grants/{cast.grants['satu'].pk}/"
    assert "ID" in client.get(address).json()["warnings"][0]
    grant = Grant.objects.get(pk=cast.grants["satu"].pk)
    for fields in ("nama\nID", ""):
        grant.fields = fields
        grant.full_clean()
        assert grant.warnings == []


@pytest.mark.parametrize(
    ("sql", "searched"),
    [
        ("SELECT id, nik AS x, nama FROM warga WHERE nik = :nomor", True),
        ("SELECT nik FROM warga [[ WHERE LOWER(w.NIK) LIKE :a ]]", True),
        ("SELECT nik FROM warga w JOIN lain ON w.nik=lain.nik AND lain.a > :a", False),
        ("SELECT nik FROM warga WHERE id = :id AND nik IS NOT NULL", False),
        ("SELECT nik::text FROM warga WHERE nik::text <> ''", False),
        ("SELECT nik, :a AS b FROM warga", False),
    ],
)
def test_s16_a_field_in_a_condition_of_the_sql_is_searched_by(cast: Cast, sql: str, searched: bool) -> None:
    operation = cast.operations["satu"]
    Field.objects.filter(operation=operation).delete()
    for name in ("nik", "nama"):
        Field.objects.create(operation=operation, name=name)
    DataOperation.objects.filter(pk=operation.pk).update(sql=sql)
    grant = Grant.objects.get(pk=cast.grants["satu"].pk)
    grant.fields = "nama"
    assert grant.searchable_fields() == (["nik"] if searched else [])


def test_s16_a_field_to_which_a_parameter_is_mapped_is_searched_by(cast: Cast) -> None:
    operation = publish_proxy(
        cast, "http://dalam.invalid/", style="rest", fields=("nik", "nama"), grant="nama", parameters=("nomor",),
        mappings=({"location": "query", "name": "cari.NIK", "parameter": "nomor"},),
    )  # fmt: skip
    assert Grant.objects.get(operation=operation).searchable_fields() == ["nik"]
