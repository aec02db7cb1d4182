"""Every text, number and count of the registry has a bound, in the admin, the management API and bundles alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, MaxValueValidator
from django.db import models

from dataservices.models import MAX_SQL, DataOperation, DataSource
from mantra.definitions.apply import apply
from mantra.definitions.reading import Environment
from proxyservices.models import Backend, ParameterMapping, ProxyOperation, ServiceDescription
from registry.models import AccessKey, Application, Field, Grant, Operation, Parameter, RegistryModel, Service
from registry.models.base import networks, validate_quota
from registry.models.bounds import NETWORKS, MaxJsonLength
from registry.secrets import EncryptedField
from registry.snapshot import holder
from tests.api.conftest import person
from tests.cast import Cast
from tests.servers.surroundings import ROOT

#: Models that only the bus writes, from what has a bound of its own.
WRITTEN_BY_THE_BUS = frozenset(
    (
        "SnapshotVersion",
        "RegistryChange",
        "CallRecord",
        "CallSubject",
        "ChangeRecord",
        "KeyNetwork",
        "CallLease",
        "SubjectsOfJob",
        "JournalSegment",
        "JournalHead",
        "CallGroup",
        "CallHour",
        "CallerHour",
        "HarvestAlarm",
        "CallDay",
        "CallMonth",
        "SubjectDay",
        "LeaderLock",
        "ServerState",
        "SourceState",
        "AddressChange",
        "Illness",
        "ImportedRow",
        "ComparedOperation",
        "OldCallsOfDay",
    )
)
ROOMS = ("registry", "dataservices", "proxyservices", "reconciliation", "legacy_import")


def fields() -> Iterator[Any]:
    for room in ROOMS:
        for model in apps.get_app_config(room).get_models():
            if model.__name__ not in WRITTEN_BY_THE_BUS:
                yield from (field for field in model._meta.local_fields if not field.primary_key)


def bounded(field: Any) -> bool:
    """Whether the model's own rules have a bound for the field's values."""
    if isinstance(field, models.CharField | models.TextField):
        return field.max_length is not None and any(isinstance(each, MaxLengthValidator) for each in field.validators)
    if isinstance(field, models.IntegerField):
        return not field.editable or any(isinstance(each, MaxValueValidator) for each in field._validators)
    if isinstance(field, models.JSONField):
        return any(isinstance(each, MaxJsonLength) for each in field.validators)
    return isinstance(
        field,
        models.BooleanField
        | models.DateField
        | models.ForeignKey
        | models.OneToOneField
        | models.BigAutoField
        | models.UUIDField,
    )


@pytest.mark.parametrize("field", list(fields()), ids=str)
def test_s4_every_field_has_a_bound(field: Any) -> None:
    assert bounded(field)


@pytest.mark.parametrize(
    "field",
    [
        models.TextField(),
        models.TextField(max_length=5),  # Django checks it in forms only
        models.PositiveIntegerField(),
        models.JSONField(),
        models.BinaryField(),
        models.FloatField(),
        EncryptedField(),
    ],
    ids=lambda field: type(field).__name__,
)
def test_a_field_without_a_bound_is_noticed(field: Any) -> None:
    assert not bounded(field)


@pytest.mark.parametrize("model", RegistryModel.__subclasses__()[0].__subclasses__() + RegistryModel.__subclasses__())
def test_s4_every_row_is_counted(model: type[RegistryModel]) -> None:
    if not model._meta.abstract:
        assert (model.counted or (model.listed,))[0] in settings.ROW_LIMITS


# ------------------------------------------------------------------------------ texts and numbers


def test_s4_a_key_has_at_most_a_hundred_networks(cast: Cast) -> None:
    requester = person("Requester", cast.consumer)
    apart = [f"10.{number}.0.0/24" for number in range(NETWORKS)]
    made = requester.patch(f"keys/{cast.key_row.pk}/", {"networks": apart})
    assert made.status_code == 200
    refused = requester.patch(f"keys/{cast.key_row.pk}/", {"networks": [*apart, "10.200.0.0/24"]})
    assert refused.status_code == 400
    assert "100" in str(refused.json()["networks"])
    adjacent = [f"10.1.2.{number}" for number in range(256)]
    assert requester.patch(f"keys/{cast.key_row.pk}/", {"networks": adjacent}).status_code == 200
    refused = requester.patch(f"keys/{cast.key_row.pk}/", {"networks": ["10.1.2.3"] * 120_000})
    assert refused.status_code == 400


def test_networks_are_collapsed() -> None:
    found = [str(each) for each in networks("10.0.0.0/9 10.128.0.0/9 10.1.2.3, ::1 ::1")]
    assert found == ["10.0.0.0/8", "::1/128"]


@pytest.mark.parametrize("quota", ["2000000000/day", "1/400 day", "1/day;" * 6 + "1/day", "1/1000 year"])
def test_a_quota_has_a_maximum(quota: str) -> None:
    with pytest.raises(ValidationError):
        validate_quota(quota)
    validate_quota("10/second; 100000/day; 1000000000/year")


def test_a_long_sql_is_refused_unread(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataservices.sql.check", lambda *_args: pytest.fail("it was read"))
    provider = person("Provider", cast.provider)
    refused = provider.patch(f"operations/{cast.operations['semua'].pk}/", {"sql": "SELECT 1 --" + "x" * MAX_SQL})
    assert refused.status_code == 400
    assert list(refused.json()) == ["sql"]


def test_an_agencys_texts_have_a_bound_in_total(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = sum(len(row.sql) for row in cast.operations.values())
    monkeypatch.setattr(settings, "AGENCY_TEXT_BYTES", stored)
    provider = person("Provider", cast.provider)
    path = f"operations/{cast.operations['semua'].pk}/"
    assert provider.patch(path, {"sql": "SELECT id FROM orang"}).status_code == 200
    assert provider.patch(path, {"sql": "SELECT id, nama, unit FROM orang ORDER BY id -- dan"}).status_code == 400
    publisher = person("Publisher", cast.provider)
    made = ProxyOperation.objects.create(service=cast.service, code="terusan", style="pass-through")
    documents = [{"url": f"https://a.go.id/{n}", "content": "x" * (stored // 2), "main": n == 0} for n in range(3)]
    assert publisher.patch(f"operations/{made.pk}/", {"descriptions": documents[:2]}).status_code == 200
    assert publisher.patch(f"operations/{made.pk}/", {"descriptions": documents}).status_code == 400


def test_a_row_beyond_a_new_bound_stays_in_force(cast: Cast) -> None:
    """It was stored before there was one. Its next change must respect it."""
    many = "\n".join(["10.0.0.0/8", "127.0.0.1", *(f"10.{n}.0.0/16" for n in range(250)), *["192.168.1.1"] * 1000])
    AccessKey.objects.filter(pk=cast.key_row.pk).update(networks=many)
    holder.refresh()
    assert cast.get("satu", "id=1").status == 200
    assert cast.get("satu", "id=1", address="8.8.8.8").status == 403
    refused = person("Requester", cast.consumer).patch(f"keys/{cast.key_row.pk}/", {"in_path": True})
    assert refused.status_code == 400
    assert list(refused.json()) == ["networks"]


# ------------------------------------------------------------------------------ counts


def few(monkeypatch: pytest.MonkeyPatch, **limits: int) -> None:
    monkeypatch.setattr(settings, "ROW_LIMITS", {**settings.ROW_LIMITS, **limits})


def _new_rows(cast: Cast) -> dict[str, tuple[RegistryModel, RegistryModel]]:
    """A row that is one too many, and one of another agency, application or service, by the key of the limit."""
    other = Service.objects.create(agency=cast.stranger, code="lain", title="Lain")
    foreign = Application.objects.create(agency=cast.stranger, code="app", title="Asing")
    source = DataSource.objects.create(agency=cast.stranger, code="db", engine="sqlite", database="x.sqlite3")
    theirs = DataOperation.objects.create(service=other, code="op", source=source, sql="SELECT 1")
    sql: dict[str, Any] = {"sql": "SELECT 1", "kind": "data"}
    return {
        "services": (
            Service(agency=cast.provider, code="baru", title="B"),
            Service(agency=cast.consumer, code="baru", title="B"),
        ),
        "applications": (
            Application(agency=cast.consumer, code="baru", title="B"),
            Application(agency=cast.provider, code="baru", title="B"),
        ),
        "sources": (
            DataSource(agency=cast.provider, code="baru", engine="sqlite", database="x.sqlite3"),
            DataSource(agency=cast.consumer, code="baru", engine="sqlite", database="x.sqlite3"),
        ),
        "operations": (
            DataOperation(service=cast.service, code="baru", source=cast.source, **sql),
            DataOperation(service=other, code="baru", source=source, **sql),
        ),
        "grants": (
            Grant(application=foreign, operation=cast.operations["satu"], purpose="uji"),
            Grant(application=cast.application, operation=theirs, purpose="uji"),
        ),
        "keys": (
            AccessKey(application=cast.application, digest="1:x", public="x"),
            AccessKey(application=foreign, digest="1:x", public="x"),
        ),
    }  # fmt: skip


COUNTED = ("services", "applications", "sources", "operations", "grants", "keys")


@pytest.mark.parametrize("kind", COUNTED)
def test_s4_rows_of_an_agency_are_counted(cast: Cast, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refused, allowed = _new_rows(cast)[kind]
    stored = {"operations": 5, "grants": 5}.get(kind, 1)
    few(monkeypatch, **{kind: stored + (kind == "operations")})
    if kind == "operations":
        cast.define("keenam", "SELECT 1")
    with pytest.raises(ValidationError) as error:
        refused.full_clean()
    assert f"MANTRA_MAX_{kind.upper()}" in str(error.value)
    allowed.full_clean()
    # What is stored can still be changed, also where there are more than are allowed by now.
    few(monkeypatch, **{kind: 0})
    type(refused)._default_manager.first().full_clean()


def test_s4_a_row_that_moves_is_counted(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch, services=1)
    moved = Service.objects.create(agency=cast.consumer, code="pindah", title="P")
    moved.agency = cast.provider
    with pytest.raises(ValidationError):
        moved.full_clean()


LISTED: dict[str, tuple[type[RegistryModel], dict[str, Any]]] = {
    "parameters": (Parameter, {"name": "p{}"}),
    "fields": (Field, {"name": "f{}"}),
    "mappings": (ParameterMapping, {"name": "m{}", "value": "1"}),
    "descriptions": (ServiceDescription, {"url": "https://a.go.id/{}", "content": "<a/>"}),
}


def items(label: str, number: int) -> list[dict[str, Any]]:
    _model, values = LISTED[label]
    return [{name: value.format(n) for name, value in values.items()} for n in range(number)]


@pytest.mark.parametrize("label", LISTED)
def test_s4_lists_are_counted_in_the_api_and_in_bundles(
    cast: Cast, label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few(monkeypatch, **{label: 3})
    made = ProxyOperation.objects.create(service=cast.service, code="terusan", path="p", state="draft")
    publisher = person("Publisher", cast.provider)
    path = f"operations/{made.pk}/"
    assert publisher.patch(path, {label: items(label, 3)}).status_code == 200
    # All are new again: the stored ones are replaced.
    renamed = [{**each, **{name: f"{each[name]}x" for name in ("name", "url") if name in each}}
               for each in items(label, 3)]  # fmt: skip
    assert publisher.patch(path, {label: renamed}).status_code == 200
    refused = publisher.patch(path, {label: items(label, 4)})
    assert refused.status_code == 400
    assert f"MANTRA_MAX_{label.upper()}" in str(refused.json()[label])

    operation = {"code": "terusan", "kind": "proxy", label: items(label, 4)}
    bundle = json.dumps({"services": [{"agency": "prov", "code": "data", "operations": [operation]}]})
    report = apply(bundle, Environment({}, ROOT))
    assert [f"MANTRA_MAX_{label.upper()}" in str(problem) for problem in report.problems] == [True]


def test_s4_the_servers_of_a_backend_are_counted(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch, backends=1, backend_servers=2)
    servers = [{"url": f"https://a{number}.go.id/"} for number in range(3)]
    made = Backend.objects.create(agency=cast.provider, code="hulu")
    publisher = person("Publisher", cast.provider)
    assert publisher.patch(f"backends/{made.pk}/", {"servers": servers[:2]}).status_code == 200
    refused = publisher.patch(f"backends/{made.pk}/", {"servers": servers})
    assert "MANTRA_MAX_BACKEND_SERVERS" in str(refused.json()["servers"])
    backend = {"agency": "prov", "code": "hulu", "servers": servers}
    report = apply(json.dumps({"backends": [backend]}), Environment({}, ROOT))
    assert ["MANTRA_MAX_BACKEND_SERVERS" in str(problem) for problem in report.problems] == [True]
    answer = publisher.post("backends/", {"agency": "prov", "code": "lain"})
    assert "MANTRA_MAX_BACKENDS" in str(answer.json())


def test_s4_placeholders_become_no_more_parameters_than_there_may_be(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    few(monkeypatch, parameters=3)
    row = cast.operations["satu"]
    row.sql = "SELECT :a, :b, :c"
    row.full_clean()
    row.sql += ", :d"
    with pytest.raises(ValidationError):
        row.full_clean()


def test_s4_the_admin_counts_the_rows_of_its_forms(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.contrib import admin
    from django.test import RequestFactory

    few(monkeypatch, parameters=3)
    page = admin.site.get_model_admin(DataOperation)
    request = RequestFactory().get("/")
    request.user = person("Administrator", None).user
    for inline in page.get_inline_instances(request):
        formset = inline.get_formset(request)
        assert formset.validate_max
        assert formset.max_num == settings.ROW_LIMITS[inline.model.listed]
    assert Operation.objects.count() == 5


# ------------------------------------------------------------------------------ requests and bundles


@pytest.mark.parametrize("path", ["/manage/api/v1/keys/", "/admin/registry/accesskey/add/"])
def test_s4_a_large_request_is_refused_unread(cast: Cast, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DATA_UPLOAD_MAX_MEMORY_SIZE", 1000)
    client = person("Requester", cast.consumer).client
    for size, expected in ((1000, {401, 403, 302}), (1001, {413})):
        answer = client.generic("POST", path, data=b"x" * size, content_type="application/json")
        assert answer.status_code in expected
    assert "1000" in answer.content.decode()
    if "api" in path:
        assert list(answer.json()) == ["detail"]


def test_a_large_bundle_is_refused(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "MAX_BUNDLE_BYTES", 100)
    report = apply("agencies: []\n#" + "x" * 100, Environment({}, ROOT))
    assert "100" in str(report.problems[0])
    assert not apply("agencies: []\n#" + "x" * 50, Environment({}, ROOT)).problems


def test_aliases_of_aliases_are_counted(cast: Cast) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    report = apply("\n".join(lines), Environment({}, ROOT))
    assert len(report.problems) == 1
    assert "2000000" in str(report.problems[0])
