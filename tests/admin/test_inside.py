"""A look inside a source, and the plan of an operation's SQL: for who may change them, in time, and nothing run."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from dataservices import pool
from dataservices.models import DataOperation, DataSource
from registry import faults
from registry.journal import shipping
from registry.models import CallRecord
from tests.admin.conftest import MarkedAgency, SignIn, make_agency
from tests.bounds import assert_within
from tests.cast import Cast, recorded
from tests.servers.postgresql import PostgreSQLServer


def inside(source: DataSource) -> str:
    return reverse("admin:dataservices_datasource_inside", args=(source.pk,))


def explain(operation: DataOperation) -> str:
    return reverse("explain_operation", args=(operation.pk,))


@pytest.fixture
def provider(cast: Cast, sign_in: SignIn) -> Iterator[Client]:
    path = Path(settings.SOURCE_FILE_DIRS[0]) / cast.provider.code / cast.source.database
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE golongan (kode TEXT PRIMARY KEY);"
        "CREATE TABLE riwayat (id INTEGER PRIMARY KEY, golongan TEXT NOT NULL REFERENCES golongan (kode),"
        " catatan TEXT, foto BLOB); CREATE INDEX riwayat_golongan ON riwayat (golongan);"
        "INSERT INTO golongan VALUES ('III/a');"
        "INSERT INTO riwayat VALUES (1, 'III/a', '<b>rahasia</b>', x'010203'), (2, 'III/a', NULL, NULL);"
    )
    yield sign_in("Provider", cast.provider)
    # Other tests count the tables of this file.
    connection.executescript("DROP TABLE riwayat; DROP TABLE golongan;")
    connection.close()


def test_tables_columns_and_keys_are_shown_and_no_row(cast: Cast, provider: Client) -> None:
    text = provider.get(inside(cast.source)).content.decode()
    assert 'value="riwayat"' in text and 'id="columns"' not in text
    response = provider.get(inside(cast.source), {"schema": "main", "table": "riwayat"})
    text = response.content.decode()
    assert "<td>golongan</td><td>TEXT</td><td>teks</td>" in text
    assert 'data-kind="primary"' in text and 'data-kind="index"' in text
    assert "<td>main.golongan (kode)</td>" in text
    assert "rahasia" not in text
    assert response["Cache-Control"].startswith("no-store")
    assert not LogEntry.objects.exists()


def test_the_first_rows_are_shown_on_demand_and_that_is_noted(cast: Cast, provider: Client) -> None:
    asked = {"schema": "main", "table": "riwayat", "sample": "1"}
    assert 'id="sample"' not in provider.get(inside(cast.source), asked).content.decode()
    text = provider.post(inside(cast.source), asked).content.decode()
    assert "<td>&lt;b&gt;rahasia&lt;/b&gt;</td><td>3 " in text
    assert "<em>NULL</em>" in text
    assert "main.riwayat" in LogEntry.objects.get().change_message
    *_names, begin, end = recorded()
    assert (begin["protocol"], begin["method"]) == ("browse", "POST")
    assert begin["op"] == ["prov", "uji", "main.riwayat", None, None]
    assert begin["user"] == "Provider-prov".lower() and begin["ip"] == "127.0.0.1"
    assert (end["rows"], end["fields"]) == (2, ["id", "golongan", "catatan", "foto"])
    assert "rahasia" not in str([begin, end])
    shipping.ship()
    record = CallRecord.objects.get(method="POST")
    assert (record.protocol, record.agency, record.operation, record.rows) == ("browse", "prov", "main.riwayat", 2)


def test_s20_names_are_recorded_too_but_no_text_of_the_user(cast: Cast, provider: Client) -> None:
    provider.get(inside(cast.source), {"schema": "main", "table": "3201010101010001"})
    _open, begin, end = recorded()
    assert begin["op"] == ["prov", "uji", "main", None, None]
    assert "rows" not in end


def test_s20_what_cannot_be_recorded_is_not_shown(cast: Cast, provider: Client, settings: Any, tmp_path: Path) -> None:
    settings.JOURNAL_DIR = tmp_path / "bukan folder"
    (tmp_path / "bukan folder").write_text("")
    asked = {"schema": "main", "table": "riwayat", "sample": "1"}
    text = provider.post(inside(cast.source), asked).content.decode()
    assert "rahasia" not in text and "golongan" not in text
    assert faults.JOURNAL_DOWN.id in text
    assert faults.JOURNAL_DOWN.id in provider.post(explain(cast.operations["satu"]), {"p_id": "1"}).content.decode()


def test_a_name_that_is_not_there_shows_nothing(cast: Cast, provider: Client) -> None:
    for table in ("tidak_ada", "riwayat; DROP TABLE riwayat", 'riwayat" --'):
        response = provider.post(inside(cast.source), {"schema": "x'y", "table": table, "sample": "1"})
        assert response.status_code == 200
        assert "rahasia" not in response.content.decode()


def test_a_long_value_is_cut(cast: Cast, provider: Client) -> None:
    path = Path(settings.SOURCE_FILE_DIRS[0]) / cast.provider.code / cast.source.database
    connection = sqlite3.connect(path)
    connection.execute("UPDATE riwayat SET catatan = ?", ("x" * 100_000,))
    connection.commit()
    connection.close()
    asked = {"schema": "main", "table": "riwayat", "sample": "1"}
    assert f">{'x' * 200}…<" in provider.post(inside(cast.source), asked).content.decode()


@pytest.mark.parametrize(("role", "status"), [("Supervisor", 403), ("Publisher", 404), ("Requester", 404)])
def test_who_may_not_change_the_source_sees_nothing_of_it(
    role: str, status: int, cast: Cast, sign_in: SignIn, provider: Client
) -> None:
    client = sign_in(role, None if role == "Supervisor" else cast.stranger)
    for response in (client.get(inside(cast.source)), client.post(inside(cast.source), {"table": "riwayat"})):
        assert response.status_code in (status, 403)
        assert b"riwayat" not in response.content


def test_what_fails_is_told_with_what_to_do(cast: Cast, provider: Client) -> None:
    cast.source.database = "hilang.sqlite3"
    cast.source.save()
    text = provider.get(inside(cast.source)).content.decode()
    assert 'role="alert"' in text and "sources/prov" in text


def test_a_server_that_never_answers_does_not_hold_the_page(
    marked: MarkedAgency, sign_in: SignIn, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataservices.schema_browser.SECONDS", 2.0)
    DataSource.objects.filter(pk=marked.source.pk).update(host="127.0.0.1", port=silent_port)
    client = sign_in("Provider", marked.agency)
    began = time.monotonic()
    response = client.get(inside(marked.source))
    assert_within(6, began)
    assert 'role="alert"' in response.content.decode()


def test_a_full_source_is_told_of_as_that(cast: Cast, provider: Client) -> None:
    row = cast.source
    held = pool.source_pool(row.pk, row.engine, row.settings(), row.pool_size)
    leases = [held._bulkhead.try_acquire() for _ in range(min(2 * row.pool_size, settings.WEB_THREADS // 2))]
    try:
        assert 'role="alert"' in provider.get(inside(row)).content.decode()
    finally:
        for _ in leases:
            held._bulkhead.release()
    assert 'role="alert"' not in provider.get(inside(row)).content.decode()


def test_a_look_gives_its_connection_back(postgresql: PostgreSQLServer, sign_in: SignIn, db: None) -> None:
    marked = make_agency("permata")
    for name, value in postgresql.source().items():
        setattr(marked.source, name, value)
    marked.source.pool_size = 1
    marked.source.save()
    client = sign_in("Provider", marked.agency)
    for _ in range(4):
        for asked in ({}, {"schema": "public", "table": "tidak_ada"}):
            assert 'role="alert"' not in client.post(inside(marked.source), asked).content.decode()


# ---------------------------------------------------------------------------------------- the plan


def test_the_plan_is_shown_for_the_values_of_the_panel(cast: Cast, provider: Client) -> None:
    operation = cast.operations["satu"]
    form = provider.get(reverse("try_operation", args=(operation.pk,))).content.decode()
    assert f"formaction={explain(operation)} hx-post={explain(operation)} " in form
    before = len(recorded())
    for headers in ({"HX-Request": "true"}, {}):
        response = provider.post(explain(operation), {"p_id": "5"}, headers=headers)
        text = response.content.decode()
        assert 'id="plan"' in text and "orang" in text.lower()
        assert "Orang 5" not in text
        assert ("<html" in text) is not bool(headers)
        assert response["Cache-Control"].startswith("no-store")
    added = recorded()[before:]
    views = [(line["protocol"], line["op"][2]) for line in added if line["t"] == "begin"]
    assert views == [("explain", "satu"), ("explain", "satu")]
    assert not any("rows" in line for line in added)


def test_values_that_do_not_fit_are_told(cast: Cast, provider: Client) -> None:
    for data in ({"p_id": "bukan"}, {}):
        text = provider.post(explain(cast.operations["satu"]), data, headers={"HX-Request": "true"}).content.decode()
        assert "1110" in text and 'id="plan"' not in text


def test_the_plan_of_what_writes_writes_nothing(cast: Cast, provider: Client) -> None:
    operation = cast.operation(
        "tulis", "UPDATE orang SET nama = :nama WHERE id = 1", parameters=({"name": "nama"},), writes=True
    )
    path = Path(settings.SOURCE_FILE_DIRS[0]) / cast.provider.code / cast.source.database
    before = path.read_bytes()
    text = provider.post(explain(operation), {"p_nama": "Lain"}, headers={"HX-Request": "true"}).content.decode()
    assert 'id="plan"' in text
    assert path.read_bytes() == before


def test_a_plan_is_for_who_may_change_the_operation(cast: Cast, sign_in: SignIn, provider: Client) -> None:
    operation = cast.operations["satu"]
    assert provider.get(explain(operation)).status_code == 405
    assert sign_in("Supervisor").post(explain(operation), {"p_id": "5"}).status_code == 403
    assert sign_in("Provider", cast.stranger).post(explain(operation), {"p_id": "5"}).status_code == 404
    assert Client().post(explain(operation), {"p_id": "5"}).status_code == 302


def test_a_proxy_operation_has_no_plan(marked: MarkedAgency, sign_in: SignIn) -> None:
    assert sign_in("Publisher", marked.agency).post(explain(marked.proxy)).status_code == 404  # type: ignore[arg-type]
