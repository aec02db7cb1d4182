"""When a value of an operation and one of a table are the same, by the column's type."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from adapters.base import ColumnInfo
from mantra.synchronization.values import Unfit, converter

JAKARTA = ZoneInfo("Asia/Jakarta")


def fitted(kind: str | None, type_: str, value: Any, engine: str = "postgresql") -> Any:
    return converter(ColumnInfo("k", type_, kind), engine, JAKARTA)(value)


@pytest.mark.parametrize(
    ("kind", "type_", "engine", "value", "wanted"),
    [
        ("text", "varchar(16)", "postgresql", 3201010101010001, "3201010101010001"),
        ("text", "character(5)", "postgresql", "ab   ", "ab"),
        ("text", "character varying(5)", "postgresql", "ab   ", "ab   "),
        ("text", "text", "postgresql", True, "true"),
        ("text", "text", "postgresql", Decimal("1E+3"), "1000"),
        ("text", "VARCHAR2(5)", "oracle", "", None),
        ("text", "text", "postgresql", "", ""),
        ("integer", "bigint", "postgresql", "12", 12),
        ("integer", "bigint", "postgresql", Decimal("12.00"), 12),
        ("integer", "tinyint(1)", "mysql", True, 1),
        ("decimal", "numeric(12,2)", "postgresql", "1.005", Decimal("1.01")),
        ("decimal", "decimal(5)", "mysql", "2.5", Decimal("3")),
        ("decimal", "numeric", "postgresql", "1.500", Decimal("1.5")),
        ("float", "real", "postgresql", 0.1, 0.1),
        ("float", "float", "mysql", 16777217, 16777216.0),
        ("float", "double precision", "postgresql", "0.1", 0.1),
        ("boolean", "boolean", "postgresql", "t", True),
        ("boolean", "boolean", "postgresql", 0, False),
        ("date", "date", "postgresql", datetime(2026, 1, 2, 3), date(2026, 1, 2)),
        ("date", "date", "postgresql", "2026-01-02T03:04:05", date(2026, 1, 2)),
        ("time", "time", "mysql", timedelta(hours=8, microseconds=700_000), time(8, 0, 1)),
        ("datetime", "datetime", "mysql", "2026-01-02 03:04:05.5", datetime(2026, 1, 2, 3, 4, 6)),
        ("datetime", "datetime(3)", "mysql", "2026-01-02 03:04:05.1234", datetime(2026, 1, 2, 3, 4, 5, 123_000)),
        ("datetime", "timestamp", "postgresql", "2026-01-02T03:04:05Z", datetime(2026, 1, 2, 10, 4, 5)),
        (
            "datetime", "timestamp with time zone", "postgresql", "2026-01-02 10:04:05+07",
            datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        ),
        ("datetime", "timestamptz", "postgresql", "2026-01-02 10:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("datetime", "datetime", "sqlserver", "2026-01-02 03:04:05.005", datetime(2026, 1, 2, 3, 4, 5, 7_000)),
        ("datetime", "datetime2(7)", "sqlserver", "2026-01-02 03:04:05.005", datetime(2026, 1, 2, 3, 4, 5, 5_000)),
        ("datetime", "smalldatetime", "sqlserver", "2026-01-02 03:04:30", datetime(2026, 1, 2, 3, 5)),
        ("bytes", "bytea", "postgresql", "aGFsbw==", b"halo"),
        ("json", "jsonb", "postgresql", '{"b": 1, "a": [2]}', '{"a":[2],"b":1}'),
        (
            "uuid", "uuid", "postgresql", "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ),
        (None, "citext", "postgresql", 5, "5"),
        ("integer", "bigint", "postgresql", None, None),
    ],
)  # fmt: skip
def test_a_value_becomes_what_the_column_holds(kind: Any, type_: str, engine: str, value: Any, wanted: Any) -> None:
    found = fitted(kind, type_, value, engine)
    assert found == wanted and type(found) is type(wanted)
    # What the column holds stays as it is: otherwise each run would change it again.
    assert fitted(kind, type_, found, engine) == found


@pytest.mark.parametrize(
    ("kind", "type_", "value"),
    [
        ("integer", "integer", "1.5"),
        ("integer", "integer", "satu"),
        ("decimal", "numeric(5,2)", "NaN"),
        ("float", "double precision", "Infinity"),
        ("boolean", "boolean", "mungkin"),
        ("date", "date", "31-12-2026"),
        ("datetime", "timestamp", "kemarin"),
        ("text", "varchar(3)", "empat"),
        ("uuid", "uuid", "123"),
        ("bytes", "bytea", "bukan base64!"),
        ("json", "json", "{"),
    ],
)
def test_what_cannot_be_a_value_of_the_column_is_refused(kind: str, type_: str, value: str) -> None:
    with pytest.raises(Unfit):
        fitted(kind, type_, value)


def test_a_zone_of_the_value_counts() -> None:
    moment = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=-3)))
    assert fitted("datetime", "timestamp", moment) == datetime(2026, 1, 1, 10)
