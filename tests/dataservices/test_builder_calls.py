"""Built queries as operations: their parameters are declared from drafts, and callers get the right rows."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from adapters.base import ColumnInfo
from dataservices.builder import Column, ColumnRef, Filter, Order, Spec, Table, Value, parameters, to_sql
from dataservices.models import DataOperation, DataSource
from dataservices.plan import parameters_message
from dataservices.schema_browser import browse
from registry.models import AccessKey
from registry.snapshot import holder
from tests import dbf_writer
from tests.cast import Cast, call
from tests.soap import wire

COLUMNS = {
    ("main", "orang"): [
        ColumnInfo("id", "INTEGER", "integer"),
        ColumnInfo("nama", "TEXT", "text"),
        ColumnInfo("unit", "TEXT", "text"),
        ColumnInfo("lahir", "TEXT", "text"),
    ]
}


def column(name: str) -> ColumnRef:
    return ColumnRef("orang", name)


def built(cast: Cast, *filters: Filter, **more: Any) -> DataOperation:
    spec = Spec(
        Table("main", "orang"),
        (),
        (Column(column("id")), Column(column("nama"))),
        filters,
        (Order(column("id")),),
        **more,
    )
    drafts = tuple(dataclasses.asdict(draft) for draft in parameters(spec, COLUMNS))
    row = cast.operation("bangun", to_sql(spec, "sqlite"), parameters=drafts, page_size=spec.page_size)
    assert parameters_message(row, [draft["name"] for draft in drafts]) == ""
    return row


def ids(cast: Cast, query: str = "") -> list[int]:
    return [row["id"] for row in cast.get("bangun", query).json()["data"]]


def test_a_list_is_one_parameter_in_rest_and_soap(cast: Cast) -> None:
    built(cast, Filter(column("id"), "in", (), ("id",)))
    assert ids(cast, "id=3,1,12") == [1, 3, 12]
    assert ids(cast, "id=2") == [2]
    assert ids(cast, "id=") == []
    answer = wire.request(cast.key, "bangun", "<m:id>3,1,12</m:id>")
    assert [row["nama"] for row in wire.rows(answer)] == ["Orang 1", "Orang 3", "Orang 12"]
    too_long = cast.get("bangun", "id=" + ",".join("1" * 1500))
    assert too_long.status == 400


def test_a_search_needs_a_letter(cast: Cast) -> None:
    built(cast, Filter(column("nama"), "contains", (), ("nama",)))
    assert ids(cast, "nama=ORANG%2025") == [25, *range(250, 260), *range(2500, 2501)]
    assert ids(cast, "nama=%25") == []
    assert cast.get("bangun", "nama=").status == 400
    assert cast.get("bangun").status == 400


def test_half_of_an_optional_range_is_refused(cast: Cast) -> None:
    between = Filter(column("id"), "between", (), ("dari", "sampai"), True)
    built(cast, Filter(column("id"), "<=", (Value("integer", "5"),)), between)
    assert ids(cast) == [1, 2, 3, 4, 5]
    assert ids(cast, "dari=2&sampai=3") == [2, 3]
    refused = cast.get("bangun", "dari=2")
    assert refused.status == 400
    assert "sampai" in refused.text


def test_a_built_page_is_followed_by_the_next(cast: Cast) -> None:
    built(cast, Filter(column("unit"), "=", (), ("unit",), True), page_size=3)
    assert ids(cast) == [1, 2, 3]
    assert ids(cast, "page=2&unit=Unit%201") == [29, 36, 43]


@pytest.mark.parametrize("name", ["id", "unit"])
def test_a_value_of_the_wrong_type_is_the_callers_fault(cast: Cast, name: str) -> None:
    built(cast, Filter(column(name), "=", (), (name,)))
    assert cast.get("bangun", f"{name}=abc").status == (400 if name == "id" else 200)


def test_a_list_on_the_legacy_wire(cast: Cast) -> None:
    row = built(cast, Filter(column("id"), "in", (), ("id",)))
    AccessKey.import_legacy(cast.application, "kunci-lama-0123456789", row)
    holder.refresh()
    answer = call("/json/prov/data/bangun?id=3,1", accesskey="kunci-lama-0123456789")
    assert ("Orang 1" in answer.text, "Orang 3" in answer.text, "Orang 2" in answer.text) == (True, True, False)


def test_files_of_dbase_are_queried_the_same_way(cast: Cast) -> None:
    folder = Path(settings.SOURCE_FILE_DIRS[0]) / "prov" / "bangun"
    folder.mkdir(exist_ok=True)
    fields = [dbf_writer.F("NIP", "C", 18), dbf_writer.F("NAMA", "C", 20), dbf_writer.F("LAHIR", "D", 8)]
    rows = [[f"{n:018}".encode(), f"Pegawai {n}%".encode(), f"199001{n:02}".encode()] for n in range(1, 21)]
    dbf_writer.write(folder / "PEGAWAI.DBF", fields, rows, version=0x03)
    source = DataSource(agency=cast.provider, code="bangun", engine="dbase", database="bangun")
    source.full_clean()
    source.save()
    browsed = browse(source, table="pegawai")
    table = Table(browsed.schema, browsed.table)
    filters = (
        Filter(ColumnRef("pegawai", "NAMA"), "contains", (), ("nama",)),
        Filter(ColumnRef("pegawai", "LAHIR"), "between", (), ("dari", "sampai"), True),
        Filter(ColumnRef("pegawai", "LAHIR"), "<>", (Value.of("date", "1990-01-12"),)),
    )
    spec = Spec(table, (), (Column(ColumnRef("pegawai", "NIP"), "nip"),), filters)
    drafts = parameters(spec, {(browsed.schema, browsed.table): browsed.columns})
    assert [draft.type for draft in drafts] == ["text", "date", "date"]
    declared = tuple(dataclasses.asdict(draft) for draft in drafts)
    cast.operation("berkas", to_sql(spec, "dbase"), source=source, parameters=declared)
    found = cast.get("berkas", "nama=I%201&dari=1990-01-10&sampai=1990-01-13").json()["data"]
    assert [int(row["nip"]) for row in found] == [10, 11, 13]
    assert len(cast.get("berkas", "nama=%25").json()["data"]) == 19
