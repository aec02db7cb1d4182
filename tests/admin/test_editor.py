"""What the SQL editor asks for: for who may change an agency's operations, nothing kept, and each look recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from dataservices.models import DataOperation
from registry import faults
from registry.models import CallRecord, Field
from tests.admin.conftest import SignIn
from tests.admin.test_data_operations import post
from tests.cast import Cast, recorded

pytestmark = pytest.mark.django_db

SCHEMA, RUN = reverse("admin:dataservices_dataoperation_schema"), reverse("admin:dataservices_dataoperation_run")


@pytest.fixture
def provider(cast: Cast, sign_in: SignIn) -> Client:
    return sign_in("Provider", cast.provider)


def run(client: Client, cast: Cast, sql: str, **data: Any) -> HttpResponse:
    return client.post(RUN, {"source": cast.source.pk, "sql": sql, **data})


def findings(response: HttpResponse) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(response.content)["findings"]
    return found


def test_the_tables_are_told_and_that_is_recorded(cast: Cast, provider: Client) -> None:
    response = provider.get(SCHEMA, {"source": cast.source.pk})
    told = json.loads(response.content)
    assert (told["dialect"], told["schema"], told["complete"]) == ("sqlite", "main", True)
    (table,) = [table for table in told["tables"] if table["name"] == "orang"]
    assert table["rows"] == 2500
    assert table["columns"][0] == {"name": "id", "type": "INTEGER", "comment": "", "key": True}
    assert "no-store" in response["Cache-Control"]
    *_before, begin, end = recorded()
    assert (begin["protocol"], begin["op"][:3], "rows" in end) == ("browse", ["prov", "uji", "main"], False)


def test_what_is_in_the_form_is_run_with_its_parameters(cast: Cast, provider: Client) -> None:
    before = DataOperation.objects.count()
    sql = 'SELECT id, nama AS "<b>" FROM orang\r\nWHERE id = :id [[ AND unit = :unit ]]'
    declared = {"parameters-TOTAL_FORMS": "2", "parameters-0-name": "id", "parameters-0-type": "integer",
                "parameters-0-required": "on", "parameters-1-name": "lain", "parameters-1-type": "keliru"}  # fmt: skip
    response = run(provider, cast, sql, **declared, value_id="7")
    html = json.loads(response.content)["html"]
    assert "Orang 7" in html and "&lt;b&gt;" in html and "<b>" not in html
    *_before, begin, end = recorded()
    assert (begin["protocol"], begin["op"][:3]) == ("unsaved", ["prov", "uji", ""])
    assert (end["rows"], end["fields"]) == (1, ["id", "<b>"])
    assert "Orang" not in str([begin, end])
    assert DataOperation.objects.count() == before and not CallRecord.objects.exists()
    wrong = findings(run(provider, cast, sql, **declared, value_id="tujuh"))
    assert [(each["kind"], each["name"]) for each in wrong] == [("value", "id")]
    declared["parameters-0-min"] = "x"
    assert findings(run(provider, cast, sql, **declared, value_id="7"))[0]["name"] == "id"


def test_the_databases_words_come_with_their_place(cast: Cast, provider: Client) -> None:
    (found,) = findings(run(provider, cast, "SELECT id,\r\n  namaa FROM orang"))
    assert (found["kind"], found["line"], found["column"], found["text"]) == (
        "database", 2, 3, "no such column: namaa",
    )  # fmt: skip
    (found,) = findings(run(provider, cast, "DROP TABLE orang"))
    assert found["kind"] == "check"
    assert findings(run(provider, cast, ""))[0]["kind"] == "check"
    assert findings(run(provider, cast, "SELECT " + "1," * 30_000 + "1"))[0]["kind"] == "check"


def test_what_changes_data_is_neither_run_nor_described(cast: Cast, provider: Client) -> None:
    sql = "UPDATE orang SET nama = 'x' WHERE id = 1"
    (found,) = findings(run(provider, cast, sql, writes="on"))
    assert found["kind"] == "check"
    assert findings(run(provider, cast, "SELECT nama FROM orang WHERE id = 1")) == []
    operation = cast.define("tulis", sql, writes=True)
    response = post(provider, operation, sql, _continue="columns", writes="on")
    assert response.status_code == 302 and not operation.fields.exists()
    assert (
        run(provider, cast, "SELECT count(*) AS n FROM orang WHERE nama = 'x'").json()["html"].count("<td>0</td>") == 1
    )


@pytest.mark.parametrize("number", ["", "x", "-1", "9" * 30, "999999"])
def test_a_source_that_is_none_is_not_found(provider: Client, number: str) -> None:
    assert provider.get(SCHEMA, {"source": number}).status_code == 404
    assert provider.post(RUN, {"source": number, "sql": "SELECT 1"}).status_code == 404


@pytest.mark.parametrize(("role", "own", "status"), [
    ("Supervisor", None, 403), ("Publisher", True, 403), ("Requester", True, 403), ("Provider", False, 404),
    ("Publisher", False, 404),
])  # fmt: skip
def test_who_may_not_change_the_agencys_operations_sees_nothing(
    cast: Cast, sign_in: SignIn, role: str, own: bool | None, status: int
) -> None:
    agency = {None: None, True: cast.provider, False: cast.stranger}[own]
    client, before = sign_in(role, agency), recorded()
    for response in (client.get(SCHEMA, {"source": cast.source.pk}), run(client, cast, "SELECT nama FROM orang")):
        assert response.status_code == status
        assert b"orang" not in response.content.lower().replace(b"pemanggil", b"")
    assert recorded() == before


def test_a_stranger_has_to_sign_in_and_forms_need_their_token(cast: Cast, sign_in: SignIn) -> None:
    assert run(Client(), cast, "SELECT 1").status_code == 302
    client = sign_in("Provider", cast.provider)
    assert client.get(RUN).status_code == 405 and client.post(SCHEMA).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    assert run(strict, cast, "SELECT 1").status_code == 403


def test_what_cannot_be_recorded_is_not_shown(cast: Cast, provider: Client, settings: Any, tmp_path: Path) -> None:
    settings.JOURNAL_DIR = tmp_path / "bukan folder"
    (tmp_path / "bukan folder").write_text("")
    response = run(provider, cast, "SELECT nama FROM orang WHERE id = 7")
    assert b"Orang 7" not in response.content and faults.JOURNAL_DOWN.id in response.content.decode()
    response = provider.get(SCHEMA, {"source": cast.source.pk})
    assert b"gaji" not in response.content and faults.JOURNAL_DOWN.id in response.content.decode()


def test_columns_are_taken_and_what_was_said_of_them_is_kept(cast: Cast, provider: Client) -> None:
    operation = cast.operations["satu"]
    for position, (name, type_, level) in enumerate([("gaji", "text", "personal"), ("id", "text", "public"),
                                                     ("hilang", "text", "specific")]):  # fmt: skip
        Field.objects.create(operation=operation, position=position, name=name, type=type_, classification=level,
                             description="dari kami")  # fmt: skip
    names = ("id", "name", "type", "classification", "description", "position")
    rows = operation.fields.values(*names)
    fields = {f"fields-{n}-{name}": row[name] for n, row in enumerate(rows) for name in names}
    fields |= {f"fields-{n}-operation": operation.pk for n in range(3)}
    (parameter,) = operation.parameters.all()
    response = post(
        provider, operation, operation.sql, {"id": parameter.pk, "name": "id", "type": "integer"},
        **{"fields-TOTAL_FORMS": 3, "fields-INITIAL_FORMS": 3, "_continue": "columns", **fields},  # type: ignore[arg-type]
    )  # fmt: skip
    assert response.status_code == 302, response.context["errors"]
    draft = DataOperation.objects.get(draft_of=operation)  # callers keep the published fields
    assert list(draft.fields.values_list("name", "type", "classification", "description")) == [
        ("id", "integer", "public", "dari kami"), ("nama", "text", "internal", ""), ("unit", "text", "internal", ""),
        ("gaji", "text", "personal", "dari kami"),
    ]  # fmt: skip
    text = provider.get(response["Location"]).content.decode()
    assert "2 ditambahkan" in text and "1 dihapus" in text


def test_columns_that_cannot_be_read_leave_the_fields_as_they_are(cast: Cast, provider: Client) -> None:
    operation = cast.define("salah", "SELECT id, tiada FROM orang")
    Field.objects.create(operation=operation, name="id")
    response = post(provider, operation, operation.sql, _continue="columns")
    assert response.status_code == 302
    assert [field.name for field in operation.fields.all()] == ["id"]
    assert "no such column: tiada" in provider.get(response["Location"]).content.decode()
