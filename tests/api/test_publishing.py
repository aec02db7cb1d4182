"""The rules of publishing by the management API: the same as in the admin."""

from __future__ import annotations

from typing import Any

import pytest

from registry.models import Operation, PublishRequest
from registry.snapshot import holder
from tests.api.conftest import Person, person
from tests.cast import Cast

NEW: dict[str, Any] = {
    "kind": "data", "service": "prov/data", "code": "warga", "source": "prov/uji",
    "sql": "SELECT id, nama FROM orang WHERE id = :id", "parameters": [{"name": "id", "type": "integer"}],
    "fields": [{"name": "id", "classification": "public"}, {"name": "nama", "classification": "personal"}],
}  # fmt: skip


@pytest.fixture
def head(cast: Cast) -> Person:
    return person("Head", cast.provider)


def address_of(made: Any) -> str:
    assert made.status_code == 201, made.content
    return f"operations/{made.json()['id']}/"


def test_a_second_person_approves(cast: Cast, provider: Person, head: Person) -> None:
    address = address_of(provider.post("operations/", NEW))
    asked = provider.post(f"{address}publish/", {"reason": "Kerja sama 12/2026", "change_note": "Data baru"})
    assert asked.status_code == 202
    found = asked.json()
    assert (found["operation"], found["state"], found["requested_by"]) == ("prov/data/warga", "waiting", "provider")
    assert provider.get(address).json()["state"] == "draft"
    decide = f"publish-requests/{found['id']}/"
    assert provider.post(f"{decide}approve/").status_code == 403
    approved = head.post(f"{decide}approve/", {"reason": "Setuju"})
    assert approved.status_code == 200, approved.content
    assert (approved.json()["state"], approved.json()["decided_by"]) == ("approved", "head")
    assert head.get(address).json()["state"] == "published"
    assert head.get(f"{address}versions/").json()["results"][0]["change_note"] == found["change_note"] == "Data baru"
    assert head.post(f"{decide}reject/", {"reason": "Terlambat"}).status_code == 403


def test_alone_it_is_published_at_once(cast: Cast, provider: Person) -> None:
    address = address_of(provider.post("operations/", NEW))
    published = provider.post(f"{address}publish/")
    assert (published.status_code, published.json()["state"]) == (200, "published")


def test_a_rejection_and_a_withdrawal(cast: Cast, provider: Person, head: Person) -> None:
    address = address_of(provider.post("operations/", NEW))
    first = provider.post(f"{address}publish/", {"reason": "Uji"}).json()["id"]
    assert list(head.post(f"publish-requests/{first}/reject/").json()) == ["non_field_errors"]
    assert head.post(f"publish-requests/{first}/reject/", {"reason": "Belum"}).json()["state"] == "rejected"
    second = provider.post(f"{address}publish/", {"reason": "Uji"}).json()["id"]
    assert head.post(f"publish-requests/{second}/withdraw/").status_code == 403
    assert provider.post(f"publish-requests/{second}/withdraw/").json()["state"] == "withdrawn"
    assert [row["id"] for row in head.get("publish-requests/?state=rejected").json()["results"]] == [first]


def test_a_changed_draft_is_a_conflict(cast: Cast, provider: Person, head: Person) -> None:
    address = address_of(provider.post("operations/", NEW))
    asked = provider.post(f"{address}publish/", {"reason": "Uji"}).json()["id"]
    assert provider.patch(address, {"max_rows": 5}).status_code == 200
    assert head.post(f"publish-requests/{asked}/approve/").status_code == 409
    assert PublishRequest.objects.get().state == "withdrawn"
    assert provider.get(address).json()["state"] == "draft"


def test_the_reason_is_where_it_is_missing(cast: Cast, provider: Person, head: Person) -> None:
    listed = {**NEW, "sql": "SELECT id, nama FROM orang", "parameters": []}
    address = address_of(provider.post("operations/", listed))
    refused = provider.post(f"{address}publish/")
    assert (refused.status_code, list(refused.json())) == (400, ["reason"])
    assert "nama" in refused.json()["reason"][0]
    assert provider.post(f"{address}publish/", {"reason": "x" * 501}).status_code == 400
    assert provider.post(f"{address}publish/", {"reason": "Daftar untuk Dukcapil"}).status_code == 202


@pytest.mark.parametrize(
    "fields",
    [
        [{"name": "nama", "classification": "internal"}],
        [{"name": "nik", "classification": "public"}],
        [],
    ],
    ids=["not public", "an identifier", "no column"],
)
def test_open_access_is_refused(fields: list[dict[str, str]], cast: Cast, provider: Person) -> None:
    column = fields[0]["name"] if fields else "nama"
    draft = {**NEW, "sql": f"SELECT nama AS {column} FROM orang WHERE id = :id", "access": "open", "fields": fields}
    made = provider.post("operations/", {**draft, "state": "published"})
    assert (made.status_code, list(made.json())) == (400, ["non_field_errors"])
    assert not Operation.objects.filter(code="warga").exists()
    address = address_of(provider.post("operations/", draft))
    assert provider.post(f"{address}publish/", {"reason": "Uji"}).status_code == 400
    assert provider.patch(address, {"state": "published"}).status_code == 400
    assert provider.get(address).json()["state"] == "draft"


def test_what_is_published_is_not_widened_without_a_second_person(cast: Cast, provider: Person, head: Person) -> None:
    address = address_of(provider.post("operations/", NEW))
    asked = provider.post(f"{address}publish/", {"reason": "Uji"}).json()["id"]
    head.post(f"publish-requests/{asked}/approve/")
    wider = {"max_rows": 20_000, "reason": "Lebih banyak"}
    refused = provider.patch(address, wider)
    assert (refused.status_code, list(refused.json())) == (400, ["non_field_errors"])
    assert provider.get(address).json()["max_rows"] == 10_000
    assert provider.patch(address, {"max_rows": 5}).status_code == 200
    assert provider.patch(address, {"access": "open"}).status_code == 400
    holder.refresh()
    assert Operation.objects.get(code="warga").access == "restricted"
