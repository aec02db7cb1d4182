"""Verifications in bundles and in the management API."""

from __future__ import annotations

from typing import Any

import pytest

from mantra.definitions.export import export
from mantra.verification.models import VerificationOperation, inconsistencies
from registry.models import Grant, Operation
from registry.snapshot import holder
from tests.api.conftest import Person, person
from tests.cast import Cast
from tests.definitions.test_apply import fine, problems
from tests.definitions.test_export import body
from tests.verification.people import COLUMNS, SITI, make_people, people_operation, verifying

pytestmark = pytest.mark.django_db

#: The verification comes before its base.
BUNDLE = """
agencies: [{code: prov, name: Penyedia}]
sources: [{agency: prov, code: penduduk, engine: sqlite, database: penduduk.sqlite3}]
services:
  - agency: prov
    code: cek
    title: Cek
    operations:
      - code: orang
        kind: verification
        base: prov/data/orang
        state: published
        min_fields: 2
        tries: 3
        verified_fields:
          - {name: nama, rule: name, threshold: 90}
          - {name: tanggal_lahir, column: lahir, rule: date, description: Tanggal lahir}
  - agency: prov
    code: data
    title: Data
    operations:
      - code: orang
        kind: data
        state: published
        source: penduduk
        sql: "SELECT nik, nama, lahir FROM penduduk WHERE nik = :nik"
        parameters: [{name: nik}]
        fields: [{name: nik}, {name: nama}, {name: lahir, type: date}]
"""


@pytest.fixture(autouse=True)
def _people() -> None:
    make_people()


def made() -> VerificationOperation:
    return VerificationOperation.objects.get()


def test_a_bundle_makes_a_verification_whatever_its_order() -> None:
    fine(BUNDLE)
    row = made()
    assert (row.base.address, row.min_fields, row.tries, row.lock_minutes) == ("prov/data/orang", 2, 3, 1440)
    assert list(row.verified_fields.values_list("name", "column", "rule", "threshold")) == [
        ("nama", "", "name", 90), ("tanggal_lahir", "lahir", "date", None),
    ]  # fmt: skip
    assert list(row.parameters.values_list("name", flat=True)) == ["nik", "nama", "tanggal_lahir"]
    assert inconsistencies(row) == []
    assert row.versions.count() == 1


def test_an_export_applied_gives_the_same_export_and_changes_nothing() -> None:
    fine(BUNDLE)
    before = export()
    assert not fine(before).changes
    VerificationOperation.objects.update(tries=9, hides_existence=True)
    made().verified_fields.filter(name="nama").delete()
    assert fine(before).changes
    assert body(export()) == body(before)
    Grant.objects.all().delete()
    VerificationOperation.objects.all().delete()
    fine(before)
    assert body(export()) == body(before)


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("prov/data/orang", "prov/data/bukan", "base"),
        ("{name: nama, rule: name, threshold: 90}", "{name: nama, rule: bunyi}", "verified_fields[0].rule"),
        ("{name: nama, rule: name, threshold: 90}", "{name: nama, rule: name, threshold: 20}",
         "verified_fields[0].threshold"),
        ("{name: nama, rule: name, threshold: 90}", "{name: agama}", ""),
        ("min_fields: 2", "min_fields: 3", ""),
        ("min_fields: 2", "access: open", "access"),
        ("min_fields: 2", "cache_seconds: 5", "cache_seconds"),
        ("min_fields: 2", "parameters: []", "parameters"),
        ("tries: 3", "tries: 0", "tries"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_place(old: str, new: str, path: str) -> None:
    place = "services[0].operations[0]"
    assert f"{place}.{path}".rstrip(".") in problems(BUNDLE.replace(old, new))


def test_a_verification_without_fields_is_refused() -> None:
    text = BUNDLE.partition("        verified_fields")
    rest = text[2].partition("  - agency: prov\n    code: data")
    assert problems(text[0] + "  - agency: prov\n    code: data" + rest[2])
    assert not VerificationOperation.objects.exists()


# ----------------------------------------------------------------------------------------------- API


NEW: dict[str, Any] = {
    "kind": "verification", "service": "prov/data", "code": "cek", "base": "prov/data/orang", "tries": 7,
    "verified_fields": [{"name": "nama", "rule": "name"}, {"name": "tgl", "column": "lahir", "rule": "date"}],
}  # fmt: skip


@pytest.fixture
def provider(cast: Cast) -> Person:
    from registry.models import Field

    base = people_operation(cast)
    for position, (name, type_) in enumerate(COLUMNS):
        Field.objects.create(operation=base, position=position, name=name, type=type_)
    return person("Provider", cast.provider)


def test_the_api_makes_changes_and_publishes_one(cast: Cast, provider: Person) -> None:
    answer = provider.post("operations/", NEW)
    assert answer.status_code == 201, answer.content
    found = answer.json()
    assert (found["base"], found["state"], found["tries"]) == ("prov/data/orang", "draft", 7)
    assert [each["name"] for each in found["parameters"]] == ["nik", "nama", "tgl"]
    assert [each["name"] for each in found["fields"]][:3] == ["ditemukan", "sesuai", "nama_sesuai"]
    row = f"operations/{found['id']}/"
    changed = provider.patch(row, {"verified_fields": [{"name": "nama", "rule": "name"}], "parameters": []})
    assert [each["name"] for each in changed.json()["parameters"]] == ["nik", "nama"]
    assert provider.post(f"{row}publish/").json()["state"] == "published"
    grant = {"application": "kons/app", "operation": "prov/data/cek", "purpose": "uji"}
    assert provider.post("grants/", grant).status_code == 201
    holder.refresh()
    assert cast.get("cek", f"nik={SITI}&nama=Siti+Nurhaliza+Rahmawati").json()["data"][0]["sesuai"] is True
    assert provider.get("operations/?kind=verification").json()["count"] == 1
    assert provider.get("grants/").json()["count"] >= 1


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"verified_fields": []}, "verified_fields"),
        ({"verified_fields": [{"name": "nama", "rule": "bunyi"}]}, "verified_fields"),
        ({"verified_fields": [{"name": "agama"}]}, "verified_fields"),
        ({"base": "prov/data/tiada"}, "base"),
        ({"access": "open"}, "access"),
        ({"cache_seconds": 60}, "cache_seconds"),
        ({"tries": 0}, "tries"),
        ({"min_fields": 3}, "verified_fields"),
    ],
)
def test_what_the_api_refuses(provider: Person, changed: dict[str, Any], name: str) -> None:
    answer = provider.post("operations/", {**NEW, **changed})
    assert answer.status_code == 400
    assert name in answer.json(), answer.content
    assert not VerificationOperation.objects.exists()


def test_a_new_one_needs_its_fields(provider: Person) -> None:
    answer = provider.post("operations/", {name: value for name, value in NEW.items() if name != "verified_fields"})
    assert answer.status_code == 400
    assert not VerificationOperation.objects.exists()


def test_the_kinds_are_named(provider: Person) -> None:
    assert "verification" in provider.post("operations/", {**NEW, "kind": "lain"}).content.decode()


def test_another_agency_and_other_roles_make_none(cast: Cast, provider: Person) -> None:
    assert person("Provider", cast.stranger, "asing").post("operations/", NEW).status_code in (400, 403)
    # The base is data, which publishers of proxies may not offer.
    assert person("Publisher", cast.provider).post("operations/", NEW).status_code in (400, 403)
    assert person("Requester", cast.consumer).post("operations/", NEW).status_code == 403
    assert not VerificationOperation.objects.exists()


def test_a_base_in_use_is_not_deleted_by_the_api(cast: Cast, provider: Person) -> None:
    base = Operation.objects.get(code="orang")
    verifying(cast, base.of_its_kind)
    assert provider.delete(f"operations/{base.pk}/").status_code in (400, 403, 409)
    assert Operation.objects.filter(pk=base.pk).exists()
