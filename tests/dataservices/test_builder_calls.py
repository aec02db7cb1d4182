"""Built queries as operations: their parameters are declared from drafts, and callers get the right rows."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from adapters.base import ColumnInfo
from dataservices.builder import Column, ColumnRef, Filter, Order, Spec, Table, Value, parameters, to_sql
from dataservices.models import DataOperation
from dataservices.plan import parameters_message
from tests.cast import Cast
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
