"""Values of grants select the rows that an application gets. Callers attack them on every protocol."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError

from dataservices import sql
from dataservices.models import DataOperation, DataSource
from dataservices.unsaved import AuthoringError, UnsavedQuery, statement_of
from registry import faults
from registry.models import AccessKey, Application, Field, Grant, Parameter
from registry.snapshot import holder
from tests.cast import Cast, Reply, call, recorded
from tests.jobs.conftest import begin, lines, work
from tests.soap import wire

SQL = "SELECT id, nama, wilayah, diubah FROM warga WHERE wilayah = :grant.wilayah [[ AND nama LIKE :nama ]]"
PARAMETERS = ({"name": "nama", "required": False},)


@pytest.fixture
def source(cast: Cast, tmp_path: Path) -> DataSource:
    path = Path(settings.SOURCE_FILE_DIRS[0]) / "prov" / f"{tmp_path.name}.sqlite3"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE warga (id INTEGER PRIMARY KEY, nama TEXT, wilayah TEXT, diubah INTEGER)")
        made.executemany(
            "INSERT INTO warga VALUES (?, ?, ?, ?)",
            [(n, f"Warga {n}", ("32.01", "32.02", "' OR 1=1 --", "%")[n % 4], n) for n in range(1, 41)],
        )
    made.close()
    return DataSource.objects.create(agency=cast.provider, code="warga", engine="sqlite", database=str(path))


@pytest.fixture
def warga(cast: Cast, source: DataSource) -> DataOperation:
    operation = cast.define("warga", SQL, source=source, parameters=PARAMETERS)
    give(cast, "wilayah=32.01")
    return operation


def give(cast: Cast, values: str, code: str = "warga") -> Grant:
    row = cast.grants[code]
    row.refresh_from_db()
    row.values = values
    row.full_clean()
    row.save()
    holder.refresh()
    return row


def regions(reply: Reply) -> set[str]:
    assert reply.status == 200, reply.text
    return {row["wilayah"] for row in reply.json()["data"]}


def test_it_works(cast: Cast, warga: DataOperation) -> None:
    """One region goes out; another grant of the same operation gets its own; a new value holds at once."""
    assert regions(cast.get("warga")) == {"32.01"} and len(cast.get("warga").json()["data"]) == 10
    application = Application.objects.create(agency=cast.stranger, code="lain", title="Lain")
    Grant.objects.create(application=application, operation=warga, purpose="uji", values="wilayah=32.02")
    _row, key = AccessKey.issue(application)
    holder.refresh()
    assert regions(call("/rest/prov/data/warga", accesskey=key)) == {"32.02"}
    assert regions(cast.get("warga")) == {"32.01"}
    give(cast, "wilayah=32.02")
    assert regions(cast.get("warga")) == {"32.02"}


#: Names under which a caller may try to give the value.
NAMES = (
    "grant.wilayah", "grant__wilayah", "grant_wilayah", "GRANT.WILAYAH", "grant[wilayah]", "wilayah", "grant",
    ":grant.wilayah", "grant%2Ewilayah", "grant.wilayah[]", "nama[grant.wilayah]", "_grant_wilayah",
    "values", "grant..wilayah",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_no_caller_gives_the_value_by_rest(cast: Cast, warga: DataOperation, name: str) -> None:
    """In the query, twice, as a form, as JSON, as a list: refused, and never used."""
    quoted = name if "%" in name else quote(name)
    form = {"content_type": "application/x-www-form-urlencoded"}
    body = f"{quoted}=32.02"
    replies = [
        cast.get("warga", body), cast.get("warga", f"{body}&{body}"), cast.get("warga", f"nama=%25&{body}"),
        call("/rest/prov/data/warga", "POST", body, accesskey=cast.key, **form),
        *(
            call("/rest/prov/data/warga", "POST", json.dumps({name: value}), accesskey=cast.key,
                 content_type="application/json")
            for value in ("32.02", ["32.02", "%"], {"wilayah": "32.02"}, None)
        ),
    ]  # fmt: skip
    for reply in replies:
        if reply.status == 200:
            assert regions(reply) == {"32.01"}
        else:
            assert reply.status == 400 and "32.02" not in reply.text, reply.text


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("format", ["json", "xml", "api"])
def test_no_caller_gives_the_value_on_the_legacy_wire(cast: Cast, warga: DataOperation, name: str, format: str) -> None:
    """Undeclared parameters are ignored there."""
    quoted = name if "%" in name else quote(name)
    for method, query, body in (("GET", f"?{quoted}=32.02", ""), ("POST", "", f"{quoted}=32.02")):
        headers = {"content_type": "application/x-www-form-urlencoded"} if body else {}
        reply = call(f"/{format}/prov/data/warga{query}", method, body, accesskey=cast.key, **headers)
        assert reply.status == 200 and "32.01" in reply.text and "32.02" not in reply.text, reply.text


@pytest.mark.parametrize("inner", [
    "<m:grant.wilayah>32.02</m:grant.wilayah>", "<m:grant__wilayah>32.02</m:grant__wilayah>",
    "<m:grant><m:wilayah>32.02</m:wilayah></m:grant>", "<m:wilayah>32.02</m:wilayah>",
])  # fmt: skip
def test_no_caller_gives_the_value_by_soap(cast: Cast, warga: DataOperation, inner: str) -> None:
    reply = wire.post(wire.envelope("warga", inner), accesskey=cast.key)
    assert reply.status != 200 and "32.02" not in reply.text and "Warga" not in reply.text


@pytest.mark.parametrize("headers", [
    {"grant_wilayah": "32.02"}, {"x_grant_wilayah": "32.02"}, {"x_mantra_grant": "wilayah=32.02"},
    {"cookie": "grant.wilayah=32.02"}, {"x_original_url": "/rest/prov/data/warga?grant.wilayah=32.02"},
])  # fmt: skip
def test_no_header_gives_the_value(cast: Cast, warga: DataOperation, headers: dict[str, str]) -> None:
    assert regions(cast.get("warga", **headers)) == {"32.01"}


@pytest.mark.parametrize("value", ["%", "' OR 1=1 --", "%' OR '1'='1", "32.0_", "\\", "') UNION SELECT 1,2,3,4 --"])
def test_a_value_of_a_parameter_stays_a_value(cast: Cast, warga: DataOperation, value: str) -> None:
    """Wildcards and quotation marks of a caller's own parameter bring no row of another region."""
    reply = cast.get("warga", f"nama={quote(value)}")
    assert regions(reply) <= {"32.01"}


@pytest.mark.parametrize("value", ["' OR 1=1 --", "%"])
def test_the_value_of_the_grant_is_bound_too(cast: Cast, warga: DataOperation, value: str) -> None:
    """It selects what is equal to it, and nothing else."""
    give(cast, f"wilayah={value}")
    assert regions(cast.get("warga")) == {value}


def test_cursors_belong_to_the_value(cast: Cast, source: DataSource, warga: DataOperation) -> None:
    """A cursor of another region, or of before a change of the value, begins nothing."""
    query = SQL.partition(" [[")[0]
    cast.operation("ubah", query, source=source, change_marker="diubah", change_key="id")
    assert cast.get("ubah", "since=").json()["code"] == faults.GRANT_INCOMPLETE.code
    give(cast, "wilayah=32.01", "ubah")
    first = cast.get("ubah", "since=&per_page=3")
    cursor = first.headers["x-cursor"]
    assert regions(first) == regions(cast.get("ubah", f"since={cursor}")) == {"32.01"}
    give(cast, "wilayah=32.02", "ubah")
    assert cast.get("ubah", f"since={cursor}").json()["code"] == faults.PARAMETER_INVALID.code
    assert regions(cast.get("ubah", "since=")) == {"32.02"}


def test_sets_of_a_job_have_the_value_in_each_part(
    cast: Cast, source: DataSource, tmp_path: Path, settings: Any
) -> None:
    """One statement has many look-ups: each has the grant's value, and a row of another region is not found."""
    settings.JOB_DIR = tmp_path / "jobs"
    cast.define(
        "cari-id", "SELECT id, wilayah FROM warga WHERE id = :id AND wilayah = :grant.wilayah", source=source,
        parameters=({"name": "id", "type": "integer"},),
    )  # fmt: skip
    give(cast, "wilayah=32.01", "cari-id")
    job = begin(cast, "id\n" + "".join(f"{n}\n" for n in range(1, 41)), "cari-id")
    work()
    found = [row for row in lines(job) if row.get("wilayah")]
    assert len(found) == 10 and {row["wilayah"] for row in found} == {"32.01"}
    attack = begin(cast, "id,grant.wilayah,grant__wilayah\n1,32.02,32.02\n4,32.02,32.02\n", "cari-id")
    work()
    assert [(row["id"], row["wilayah"]) for row in lines(attack) if row.get("wilayah")] == [("4", "32.01")]


def test_a_grant_of_before_is_refused_without_the_value(cast: Cast, source: DataSource) -> None:
    """The fault says what is missing, and nothing of the source is asked; the model refuses such a grant."""
    cast.operation("baru", SQL, source=source, parameters=PARAMETERS)
    reply = cast.get("baru", accept_language="en")
    assert (reply.status, reply.json()["code"]) == (403, faults.GRANT_INCOMPLETE.code)
    assert "wilayah" in reply.json()["detail"]
    row = cast.grants["baru"]
    assert row.missing_values == ["wilayah"]
    for values, field in (("", "values"), ("wilayah=", "values"), ("wilayah=1\nlain=2", "values")):
        row.values = values
        with pytest.raises(ValidationError) as refused:
            row.full_clean()
        assert list(refused.value.message_dict) == [field]


@pytest.mark.parametrize("values", [
    "wilayah", "wilayah=a\nwilayah=b", "Wilayah=1", "wi layah=1", "wilayah=" + "x" * 201, "wilayah=a\x00b",
    "\n".join(f"w{n}=1" for n in range(21)), "w" * 24 + "=1", "=1",
])  # fmt: skip
def test_values_that_are_refused(cast: Cast, warga: DataOperation, values: str) -> None:
    with pytest.raises(ValidationError):
        give(cast, values)


# -------------------------------------------------------------------------------------- authoring


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SELECT 1 FROM t WHERE 1=1 [[ AND w = :grant.w ]]", "grant-optional"),
        ("SELECT 1 FROM t WHERE 1=1 [[ AND w = :GRANT.w AND n = :n ]]", "grant-optional"),
        ("SELECT 1 FROM t WHERE w = :grant__w", "grant-name"),
        ("SELECT 1 FROM t WHERE w = :GRANT__w", "grant-name"),
        (f"SELECT 1 FROM t WHERE w = :grant.{'w' * 24}", "grant-name"),
        ("SELECT 1 FROM t WHERE w = :grant.wé", "grant-name"),
    ],
)
@pytest.mark.parametrize("dialect", ["sqlite", "postgres", "mysql", "tsql", "oracle"])
def test_what_an_author_cannot_write(text: str, code: str, dialect: str) -> None:
    with pytest.raises(sql.TemplateError) as refused:
        sql.parse(text, dialect)
    assert refused.value.problem.code == code


@pytest.mark.parametrize("dialect", ["sqlite", "postgres", "mysql", "tsql", "oracle"])
def test_what_an_author_can_write(dialect: str) -> None:
    """In every dialect, in literals and comments it is text; drivers get a placeholder that no parameter can have."""
    template = sql.parse(
        "SELECT ':grant.x' FROM t WHERE a = :grant.Wil AND b = :b AND c = :grant.wil /* :grant.y */", dialect
    )
    assert template.grant_values == ("wil",) and template.undeclared(["b"], paging=False) == []
    assert template.render(["b"], "named")[1] == ("grant__wil", "b", "grant__wil")
    assert "%(grant__wil)s" in template.render(["b"], "pyformat")[0]
    row = Parameter(name="grant__wil")
    with pytest.raises(ValidationError):
        row.clean()


def test_an_open_operation_has_no_values_of_grants(cast: Cast, source: DataSource, warga: DataOperation) -> None:
    """Nor does one run that was opened past the model."""
    warga.access = "open"
    with pytest.raises(ValidationError) as refused:
        warga.full_clean()
    assert list(refused.value.message_dict) == ["access"]
    DataOperation.objects.filter(pk=warga.pk).update(access="open")
    holder.refresh()
    reply = call("/rest/prov/data/warga")
    assert reply.status != 200 and "Warga" not in reply.text


def test_a_filter_by_the_grant_is_no_search(cast: Cast, warga: DataOperation) -> None:
    """A grant that hides the region warns of nothing: callers cannot search by it."""
    for name in ("id", "nama", "wilayah", "diubah"):
        Field.objects.create(operation=warga, name=name)
    row = cast.grants["warga"]
    row.refresh_from_db()
    row.fields = "id"
    assert row.searchable_fields() == ["nama"]


def test_the_editor_asks_for_the_value(source: DataSource) -> None:
    query = UnsavedQuery(source, SQL, (Parameter(name="nama", required=False),))
    with pytest.raises(AuthoringError) as refused:
        statement_of(query, {})
    assert refused.value.findings[0].name == "grant.wilayah"
    assert statement_of(query, {"grant.wilayah": "32.01"}).arguments == {"grant__wilayah": "32.01", "nama": None}


def test_the_journal_has_no_value(cast: Cast, warga: DataOperation) -> None:
    cast.get("warga")
    assert "32.01" not in json.dumps(recorded(), default=str)
