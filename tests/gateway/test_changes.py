"""Callers ask for what changed since their last call: over REST, SOAP and the legacy wire."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import translation

from dataservices.models import DataOperation, DataSource
from dataservices.plan import parameters_message
from mantra.gateway.parameters import CHANGES_PER_PAGE
from registry import faults, versions
from registry.models import Field
from registry.snapshot import holder
from tests.cast import Cast, Reply, call
from tests.dataservices.test_paging import FORM
from tests.soap import wire

SQL = "SELECT id, nama, diubah, dihapus FROM warga WHERE kota = :kota"
COLUMNS: dict[str, Any] = {"change_marker": "diubah", "change_key": "id", "deleted_column": "dihapus"}


@pytest.fixture
def source(cast: Cast, tmp_path: Path) -> DataSource:
    path = Path(settings.SOURCE_FILE_DIRS[0]) / "prov" / f"{tmp_path.name}.sqlite3"
    with sqlite3.connect(path) as made:
        made.execute(
            "CREATE TABLE warga (id INTEGER PRIMARY KEY, nama TEXT, kota TEXT, diubah TIMESTAMP, dihapus INTEGER)"
        )
        made.executemany(
            "INSERT INTO warga VALUES (?, ?, 'A', ?, ?)",
            [(n, f"Warga {n}", f"2020-01-0{1 + n // 4} 00:00:00", n % 5 == 0) for n in range(1, 11)],
        )
    made.close()
    row = DataSource(agency=cast.provider, code="berubah", engine="sqlite", database=str(path))
    row.save()
    return row


@pytest.fixture
def operation(cast: Cast, source: DataSource) -> DataOperation:
    return cast.operation("warga", SQL, source=source, parameters=({"name": "kota"},), **COLUMNS)


def change(source: DataSource, sql: str) -> None:
    with sqlite3.connect(source.database) as made:
        made.execute(sql)
    made.close()


def data(reply: Reply) -> list[dict[str, Any]]:
    assert reply.status == 200, reply.text
    rows: list[dict[str, Any]] = reply.json()["data"]
    return rows


def test_it_works(cast: Cast, operation: DataOperation, source: DataSource) -> None:
    """From the beginning, page by page, and then only what changed."""
    first = cast.get("warga", "kota=A&since=&per_page=6")
    assert [row["id"] for row in data(first)] == [1, 2, 3, 4, 5, 6]
    assert [row["_deleted"] for row in data(first)] == [False, False, False, False, True, False]
    cursor = first.headers["x-cursor"]
    assert first.headers["link"] == (
        f'<{settings.BASE_URL}/rest/prov/data/warga.json?kota=A&since={cursor}&per_page=6>; rel="next"'
    )
    assert first.headers["cache-control"] == "no-store"
    last = call(first.headers["link"].split(">")[0].removeprefix(f"<{settings.BASE_URL}"), accesskey=cast.key)
    assert [row["id"] for row in data(last)] == [7, 8, 9, 10]
    assert "link" not in last.headers and last.headers["x-cursor"] != cursor
    later = cast.get("warga", f"kota=A&since={last.headers['x-cursor']}")
    assert data(later) == [] and "link" not in later.headers
    change(source, "UPDATE warga SET nama = 'Baru', diubah = '2021-01-01 00:00:00' WHERE id = 3")
    again = cast.get("warga", f"kota=A&since={later.headers['x-cursor']}")
    assert [(row["id"], row["nama"]) for row in data(again)] == [(3, "Baru")]


def test_without_a_cursor_all_is_given_as_before(cast: Cast, operation: DataOperation) -> None:
    reply = cast.get("warga", "kota=A")
    assert len(data(reply)) == 10 and "_deleted" not in data(reply)[0]
    assert "x-cursor" not in reply.headers and "link" not in reply.headers


@pytest.mark.parametrize("format", ["csv", "xml", "ndjson", "php", "phpa", "xlsx"])
def test_every_format_has_rows_only(cast: Cast, operation: DataOperation, format: str) -> None:
    reply = call("/rest/prov/data/warga." + format + "?kota=A&since=&per_page=2", accesskey=cast.key)
    assert reply.status == 200 and reply.headers["x-cursor"].encode() not in reply.body


@pytest.mark.parametrize(
    ("query", "kind", "parameter"),
    [
        ("kota=A&since=abc", faults.PARAMETER_INVALID, "since"),
        (f"kota=A&since={'a' * 5000}", faults.PARAMETER_INVALID, "since"),
        ("kota=A&since=&per_page=0", faults.PARAMETER_INVALID, "per_page"),
        ("kota=A&since=&per_page=10001", faults.PARAMETER_INVALID, "per_page"),
        ("kota=A&per_page=5", faults.PARAMETERS_TOGETHER, "since"),
        ("kota=A&page=2", faults.PARAMETER_UNKNOWN, "page"),
    ],
)
def test_what_is_refused(cast: Cast, operation: DataOperation, query: str, kind: Any, parameter: str) -> None:
    reply = cast.get("warga", query)
    assert (reply.status, reply.json()["code"]) == (400, kind.code)
    assert parameter in reply.json()["detail"]


def test_a_cursor_of_another_operation_is_refused(cast: Cast, operation: DataOperation, source: DataSource) -> None:
    cursor = cast.get("warga", "kota=A&since=&per_page=2").headers["x-cursor"]
    cast.operation("lain", SQL, source=source, parameters=({"name": "kota"},), **COLUMNS)
    for code, query in (("lain", f"kota=A&since={cursor}"), ("warga", f"kota=B&since={cursor}")):
        reply = cast.get(code, query, accept_language="en")
        assert reply.status == 400 and "Begin again with an empty since" in reply.json()["detail"]


def test_an_operation_without_a_marker_knows_no_cursor(cast: Cast) -> None:
    reply = cast.get("satu", "id=1&since=")
    assert reply.json()["code"] == faults.PARAMETER_UNKNOWN.code


def test_soap_has_the_cursor_as_an_element(cast: Cast, operation: DataOperation) -> None:
    """Valid against the schema, with and without declared fields."""
    answer = wire.request(cast.key, "warga", "<m:kota>A</m:kota><m:since></m:since><m:per_page>4</m:per_page>")
    assert len(wire.rows(answer)) == 4
    assert answer.findtext(f"{wire.M}has_next") == "true"
    cursor = answer.findtext(f"{wire.M}cursor")
    for name, kind in (("id", "integer"), ("nama", "text")):
        Field.objects.create(operation=operation, name=name, type=kind, position=len(name))
    holder.refresh()
    inner = f"<m:kota>A</m:kota><m:since>{cursor}</m:since>"
    answer = wire.request(cast.key, "warga", inner)
    assert [row["id"] for row in wire.rows(answer)] == ["5", "6", "7", "8", "9", "10"]
    assert [row["_deleted"] for row in wire.rows(answer)] == ["true", "false", "false", "false", "false", "true"]
    assert answer.findtext(f"{wire.M}has_next") == "false" and answer.findtext(f"{wire.M}cursor")
    whole = wire.request(cast.key, "warga", "<m:kota>A</m:kota>")
    assert whole.find(f"{wire.M}cursor") is None and "_deleted" not in wire.rows(whole)[0]


def test_the_legacy_wire_has_the_cursor_in_a_header(cast: Cast, operation: DataOperation) -> None:
    """Its bodies stay as 1.99x wrote them. It knows no empty values: 0 is the beginning."""
    reply = call("/json/prov/data/warga/kota=A&since=0&per_page=3", accesskey=cast.key)
    rows = reply.json()["response"]["data"]["warga"]
    assert [(row["id"], row["_deleted"]) for row in rows.values()] == [("1", "0"), ("2", "0"), ("3", "0")]
    cursor = reply.headers["x-cursor"]
    reply = call(f"/json/prov/data/warga/kota=A&since={cursor}&per_page=3", accesskey=cast.key)
    rows = reply.json()["response"]["data"]["warga"]
    assert [(row["id"], row["_deleted"]) for row in rows.values()] == [("4", "0"), ("5", "1"), ("6", "0")]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"change_key": ""}, "change_key"),
        ({"change_key": "id, id"}, "change_key"),
        ({"change_key": "diubah"}, "change_key"),
        ({"change_key": "a,b,c,d,e,f,g,h,i"}, "change_key"),
        ({"change_key": "id; DROP TABLE warga"}, "change_key"),
        ({"change_marker": 'diubah" OR 1'}, "change_marker"),
        ({"change_marker": ""}, "change_marker"),
        ({"deleted_column": "a b"}, "deleted_column"),
        ({"change_lag_seconds": 100_000}, "change_lag_seconds"),
        ({"page_size": 5, "sql": "SELECT id, diubah FROM warga LIMIT :limit OFFSET :offset"}, "change_marker"),
        ({"writes": True, "sql": "UPDATE warga SET nama = 'a' WHERE id = 1"}, "change_marker"),
    ],
)
def test_what_a_definition_may_not_say(cast: Cast, source: DataSource, changed: dict[str, Any], field: str) -> None:
    row = DataOperation(service=cast.service, source=source, code="uji", **{"sql": SQL, **COLUMNS, **changed})
    with pytest.raises(ValidationError) as error:
        row.full_clean()
    assert field in error.value.message_dict


def test_a_query_that_cannot_be_a_part_of_another_is_refused_when_it_is_saved(cast: Cast) -> None:
    source = DataSource.objects.create(
        agency=cast.provider, code="mssql", engine="sqlserver", host="db", database="x", user="x"
    )
    text = "WITH x AS (SELECT id, diubah FROM warga) SELECT id, diubah FROM x"
    row = DataOperation(
        service=cast.service, source=source, code="uji", sql=text, change_marker="diubah", change_key="id"
    )
    with pytest.raises(ValidationError) as error:
        row.full_clean()
    assert "change_marker" in error.value.message_dict


def test_the_form_has_the_columns(cast: Cast, source: DataSource, admin_client: Any) -> None:
    address = "/admin/dataservices/dataoperation/add/"
    assert b'name="change_marker"' in admin_client.get(address).content
    form = FORM | {"service": cast.service.pk, "source": source.pk, "sql": "SELECT id, diubah FROM warga"}
    form |= {"page_size": "0", "parameters-TOTAL_FORMS": "0", "change_marker": "diubah", "change_lag_seconds": ""}
    refused = admin_client.post(address, form)
    assert refused.status_code == 200 and "change_key" in refused.context["adminform"].form.errors
    assert admin_client.post(address, form | {"change_key": "id"}).status_code == 302
    row = DataOperation.objects.get(code=FORM["code"])
    assert (row.change_marker, row.key_columns, row.change_lag_seconds) == ("diubah", ["id"], 5)


def test_its_names_are_no_parameters(cast: Cast, operation: DataOperation) -> None:
    for name in ("since", "per_page"):
        assert name in parameters_message(operation, ["kota", name])
    assert CHANGES_PER_PAGE < 10_000


def test_versions_of_older_releases_lack_these_columns(cast: Cast, operation: DataOperation) -> None:
    """They had their defaults then: nothing has changed by the upgrade."""
    plain = cast.operations["satu"]
    stored = versions.definition(plain)
    old = {**stored, "columns": {name: each for name, each in stored["columns"].items() if "change_" not in name}}
    kind = versions.kind_of(plain)
    assert versions.is_same(old, stored, kind) and versions.compare(kind, old, stored) == []
    changed = versions.definition(operation)
    before = {**changed, "columns": {name: each for name, each in changed["columns"].items() if "change_" not in name}}
    assert not versions.is_same(before, changed, kind)
    with translation.override("en"):
        found = versions.compare(kind, before, changed)
    assert {each.label for section in found for each in section.differences} == {
        "Change marker", "Key of a row",
    }  # fmt: skip
