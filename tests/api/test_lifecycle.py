"""What people of an agency do by the API, from a new source to a call that is answered and a key that is revoked."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils.translation import gettext

from dataservices.models import DataOperation, DataSource
from proxyservices.models import Backend, ProxyOperation
from registry.models import AccessKey, Grant, Operation
from registry.snapshot import holder
from tests.api.conftest import Person
from tests.cast import Cast, call

NEW: dict[str, Any] = {
    "kind": "data",
    "service": "prov/data",
    "code": "baru",
    "source": "prov/uji",
    "sql": "SELECT id, nama FROM orang WHERE id = :id",
    "parameters": [{"name": "id", "type": "integer"}],
    "fields": [{"name": "id", "type": "integer"}, {"name": "nama", "classification": "personal"}],
}


def made(person: Person, **more: Any) -> dict[str, Any]:
    answer = person.post("operations/", {**NEW, **more})
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


def test_an_operation_is_made_published_granted_called_and_taken_away(
    cast: Cast, provider: Person, requester: Person
) -> None:
    operation = made(provider)
    assert operation["state"] == "draft"
    assert operation["address"] == "prov/data/baru"
    assert provider.post(f"operations/{operation['id']}/publish/").json()["state"] == "published"
    grant = provider.post("grants/", {"application": "kons/app", "operation": "prov/data/baru", "purpose": "uji"})
    assert grant.status_code == 201, grant.content
    AccessKey.objects.all().delete()
    key = requester.post("keys/", {"application": "kons/app"})
    assert key.status_code == 201, key.content
    plain = key.json()["key"]
    holder.refresh()
    assert call("/rest/prov/data/baru?id=3", accesskey=plain).status == 200

    assert provider.post(f"grants/{grant.json()['id']}/revoke/").json()["state"] == "revoked"
    holder.refresh()
    assert call("/rest/prov/data/baru?id=3", accesskey=plain).status == 403
    assert provider.delete(f"operations/{operation['id']}/").status_code == 204
    assert provider.get(f"operations/{operation['id']}/").status_code == 404


def test_a_key_is_told_once_and_can_be_revoked_once_for_all(cast: Cast, requester: Person) -> None:
    answer = requester.post("keys/", {"application": "kons/app", "networks": ["10.0.0.0/8"]})
    plain, row = answer.json()["key"], f"keys/{answer.json()['id']}/"
    assert "key" not in requester.get(row).json()
    assert plain not in requester.get("keys/").content.decode()
    assert AccessKey.objects.get(pk=answer.json()["id"]).networks == "10.0.0.0/8"
    assert requester.delete(row).status_code == 409
    assert requester.post(row + "revoke/").json()["revoked_at"]
    assert requester.delete(row).status_code == 204


def test_no_third_live_key_is_issued(cast: Cast, requester: Person) -> None:
    assert requester.post("keys/", {"application": "kons/app"}).status_code == 201
    answer = requester.post("keys/", {"application": "kons/app"})
    assert answer.status_code == 400
    assert "non_field_errors" in answer.json()


def test_a_list_that_is_given_replaces_the_stored_one_and_raises_the_revision(cast: Cast, provider: Person) -> None:
    address = f"operations/{made(provider)['id']}/"
    operation = provider.post(f"{address}publish/").json()
    before = Operation.objects.get(pk=operation["id"]).parameters.get().pk
    answer = provider.patch(
        address,
        {
            "sql": f"{NEW['sql']} [[ AND nama = :nama ]]",
            "parameters": [{"name": "nama", "required": False}, {"name": "id", "type": "integer", "min": "1"}],
        },
    )
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert [parameter["name"] for parameter in found["parameters"]] == ["nama", "id"]
    assert found["revision"] == operation["revision"] + 1
    assert [field["name"] for field in found["fields"]] == ["id", "nama"]
    assert Operation.objects.get(pk=operation["id"]).parameters.get(name="id").pk == before
    assert provider.patch(address, {"sql": NEW["sql"], "parameters": []}).json() == {"sql": [_undeclared("id")]}
    unused = provider.patch(address, {"sql": NEW["sql"], "parameters": [*NEW["parameters"], {"name": "lain"}]})
    assert ":lain" in str(unused.json()["sql"])


def test_t8_an_operation_with_pages_takes_no_parameter_that_paging_fills(cast: Cast, provider: Person) -> None:
    paged = {
        "sql": "SELECT id, nama FROM orang LIMIT :limit OFFSET :offset",
        "parameters": [{"name": "limit", "type": "integer"}, {"name": "offset", "type": "integer"}],
    }
    operation = made(provider, **paged)
    address = f"operations/{operation['id']}/"
    answer = provider.patch(address, {"page_size": 10})
    assert answer.status_code == 400
    assert "limit" in str(answer.json())
    assert provider.patch(address, {"page_size": 10, "parameters": []}).status_code == 200
    assert provider.patch(address, {"parameters": paged["parameters"]}).status_code == 400


def test_what_the_sql_newly_needs_is_declared_as_in_the_form(cast: Cast, provider: Person) -> None:
    operation = made(provider)
    address = f"operations/{operation['id']}/"
    sql = "SELECT id, nama FROM orang WHERE id = :id AND unit = :unit [[ AND nama = :nama ]]"
    declared = provider.patch(address, {"sql": sql}).json()["parameters"]
    assert [(each["name"], each["type"], each["required"]) for each in declared if each["name"] != "id"] == [
        ("unit", "text", True), ("nama", "text", False),
    ]  # fmt: skip
    listed = {"sql": sql, "parameters": [{"name": "id", "type": "integer"}]}
    assert provider.patch(address, listed).json() == {"sql": [_undeclared("unit, :nama").replace("::", ":")]}


def _undeclared(name: str) -> str:
    return gettext("No parameter is declared for %(marks)s.") % {"marks": f":{name}"}


def test_what_breaks_a_rule_is_refused_at_its_place(cast: Cast, provider: Person) -> None:
    answer = provider.post(
        "operations/",
        {
            **NEW,
            "parameters": [{"name": "id", "type": "integer", "min": "x"}, {"name": "b", "pattern": "("}],
        },
    )
    assert answer.status_code == 400
    assert [sorted(item) for item in answer.json()["parameters"]] == [["min"], ["pattern"]]
    assert "sql" in provider.post("operations/", {**NEW, "sql": "DELETE FROM orang"}).json()
    assert "code" in provider.post("operations/", {**NEW, "code": "satu"}).json()
    assert "kind" in provider.post("operations/", {**NEW, "kind": "program"}).json()
    assert "service" in provider.post("operations/", {**NEW, "service": "prov/tidakada"}).json()
    assert "parameters" in provider.post("operations/", {**NEW, "parameters": [{"name": "id"}, {"name": "ID"}]}).json()
    assert not Operation.objects.filter(code="baru").exists()


def test_put_and_the_filters_of_lists(cast: Cast, provider: Person) -> None:
    operation = made(provider)
    answer = provider.put(f"operations/{operation['id']}/", {**NEW, "title": "Judul", "parameters": NEW["parameters"]})
    assert answer.status_code == 200, answer.content
    assert answer.json()["title"] == "Judul"
    assert [row["code"] for row in provider.get("operations/?code=baru").json()["results"]] == ["baru"]
    assert provider.get("operations/?state=draft").json()["count"] == 1
    assert provider.get("operations/?agency=asing").json()["count"] == 0
    assert provider.get("calls/?outcome=banyak").status_code == 400
    assert provider.get("calls/?since=kemarin").status_code == 400


def test_a_proxy_operation_is_the_publishers_and_needs_a_backend(
    cast: Cast, provider: Person, publisher: Person
) -> None:
    proxy = {"kind": "proxy", "service": "prov/data", "code": "alias", "path": "x", "parameters": [{"name": "nip"}]}
    assert provider.post("operations/", proxy).status_code == 403
    assert publisher.post("operations/", NEW).status_code == 403
    operation = publisher.post("operations/", proxy).json()
    address = f"operations/{operation['id']}/"
    assert operation["path"] == "x"
    assert operation["address"] == "prov/data/alias"
    assert provider.get(address).status_code == 404
    assert "backend" in publisher.post(address + "publish/").json()
    hulu = {"url": "http://hulu.contoh.go.id"}
    backend = {"agency": "prov", "code": "hulu", "credential": "rahasia-hulu", "servers": [hulu]}
    assert provider.post("backends/", backend).status_code == 403
    made = publisher.post("backends/", backend)
    assert made.status_code == 201, made.content
    assert "credential" not in made.json()
    place = f"backends/{made.json()['id']}/"
    assert publisher.patch(address, {"backend": "prov/hulu"}).json()["backend"] == "prov/hulu"
    # Whoever changes the servers without knowing the credential keeps it, but cannot send it elsewhere.
    servers = [{"url": "http://lain.contoh.go.id"}, hulu]
    assert list(publisher.patch(place, {"servers": servers}).json()) == ["servers"]
    assert publisher.patch(place, {"servers": [{"url": "http://hulu.contoh.go.id/v2"}]}).status_code == 200
    assert publisher.patch(place, {"servers": servers, "credential": "rahasia-hulu"}).status_code == 200
    assert str(Backend.objects.get().credential) == "rahasia-hulu"
    assert publisher.post(address + "publish/").json()["state"] == "published"
    assert ProxyOperation.objects.get().state == "published"


def test_a_password_does_not_follow_its_source_to_another_host(cast: Cast, provider: Person) -> None:
    body = {
        "agency": "prov", "code": "pg", "engine": "postgresql", "host": "db.contoh.go.id", "database": "d", "user": "u",
        "password": " rahasia ",
    }  # fmt: skip
    address = f"sources/{provider.post('sources/', body).json()['id']}/"
    assert "password" in provider.patch(address, {"host": "jahat.example"}).json()
    assert provider.patch(address, {"database": "e"}).status_code == 200
    assert str(DataSource.objects.get(code="pg").password) == " rahasia "
    assert provider.patch(address, {"host": "db2.contoh.go.id", "password": "baru"}).status_code == 200
    assert str(DataSource.objects.get(code="pg").password) == "baru"


def test_row_that_others_refer_to_cannot_be_deleted(cast: Cast, provider: Person) -> None:
    assert provider.delete(f"sources/{cast.source.pk}/").status_code == 409
    assert provider.delete(f"services/{cast.service.pk}/").status_code == 409
    assert DataOperation.objects.filter(source=cast.source).exists()


def test_a_grants_pair_is_settled_when_it_is_made(cast: Cast, provider: Person) -> None:
    address = f"grants/{cast.grants['satu'].pk}/"
    assert "operation" in provider.patch(address, {"operation": "prov/data/semua"}).json()
    assert provider.patch(address, {"quota": "5/day"}).json()["quota"] == "5/day"
    assert "quota" in provider.patch(address, {"quota": "banyak"}).json()
    assert provider.patch(address, {"state": "revoked"}).json()["state"] == "approved"
    assert Grant.objects.get(pk=cast.grants["satu"].pk).state == "approved"


@pytest.mark.parametrize("word", ["Token", "Bearer", "token"])
def test_token_is_accepted_after_token_and_bearer(cast: Cast, provider: Person, word: str) -> None:
    answer = provider.client.get("/manage/api/v1/services/", headers={"Authorization": f"{word} {provider.token}"})
    assert answer.status_code == 200
