"""Values of SQL Server and Sybase: every type, its extremes and NULL; and how values are bound, and written."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.base import Limits, QueryFailed
from adapters.sqlserver import SQLServer, bind
from adapters.sybase import Sybase, literal, written
from tests.adapters.engines import LIMITS, everything
from tests.adapters.tds_engine import CLASSES
from tests.servers import real
from tests.servers.tds import TDSServer

GUID = "6F9619FF-8B86-D011-B42D-00C04FC964FF"
LONG = "é😀" * 5000

#: Type, what is cast to it, what the bus gives, and the bus's word for the type.
BOTH: list[tuple[str, str, Any, str]] = [
    ("tinyint", "255", 255, "integer"),
    ("smallint", "-32768", -32768, "integer"),
    ("int", "-2147483648", -(2**31), "integer"),
    ("bigint", "9223372036854775807", 2**63 - 1, "integer"),
    ("bigint", "-9223372036854775808", -(2**63), "integer"),
    (
        "decimal(38,10)",
        "'1234567890123456789012345678.0123456789'",
        "1234567890123456789012345678.0123456789",
        "decimal",
    ),
    ("decimal(38,38)", "'-0.00000000000000000000000000000000000001'", f"-0.{'0' * 37}1", "decimal"),
    ("decimal(38,10)", "0", "0.0000000000", "decimal"),
    ("numeric(5,2)", "'-0.05'", "-0.05", "decimal"),
    ("numeric(38,0)", f"'{'9' * 38}'", "9" * 38, "decimal"),
    ("money", "'-922337203685477.5808'", "-922337203685477.5808", "decimal"),
    ("money", "'0.0001'", "0.0001", "decimal"),
    ("smallmoney", "'214748.3647'", "214748.3647", "decimal"),
    ("smallmoney", "'-0.5'", "-0.5000", "decimal"),
    ("float", "'0.30000000000000004'", 0.1 + 0.2, "float"),
    ("float", "'1.7976931348623157e308'", 1.7976931348623157e308, "float"),
    ("real", "'1.5'", 1.5, "float"),
    ("datetime", "'1753-01-01 00:00:00'", "1753-01-01 00:00:00", "datetime"),
    ("datetime", "'2024-02-29 13:14:15.997'", "2024-02-29 13:14:15.997", "datetime"),
    ("datetime", "'9999-12-31 23:59:59.993'", "9999-12-31 23:59:59.993", "datetime"),
    ("smalldatetime", "'2079-06-06 23:59:00'", "2079-06-06 23:59:00", "datetime"),
    ("date", "'0001-01-01'", "0001-01-01", "date"),
    ("date", "'9999-12-31'", "9999-12-31", "date"),
    ("char(5)", "'ab'", "ab   ", "text"),
    ("varchar(20)", "'a  '", "a  ", "text"),
    ("text", "'é'", "é", "text"),
    ("varbinary(10)", "0x0102ff", b"\x01\x02\xff", "bytes"),
    ("binary(5)", "0x0102", b"\x01\x02\x00\x00\x00", "bytes"),
    ("image", "0x00ff", b"\x00\xff", "bytes"),
]
SQLSERVER = [
    *BOTH,
    ("bit", "1", True, "boolean"),
    ("bit", "0", False, "boolean"),
    ("time(7)", "'13:14:15.1234567'", "13:14:15.1234567", "time"),
    ("time(0)", "'23:59:59'", "23:59:59", "time"),
    ("time(3)", "'00:00:00.120'", "00:00:00.12", "time"),
    ("datetime2(7)", "'0001-01-01 00:00:00.0000001'", "0001-01-01 00:00:00.0000001", "datetime"),
    ("datetime2(7)", "'9999-12-31 23:59:59.9999999'", "9999-12-31 23:59:59.9999999", "datetime"),
    ("datetime2(0)", "'2024-02-29 13:14:15'", "2024-02-29 13:14:15", "datetime"),
    ("datetimeoffset(7)", "'2024-02-29 13:14:15.1234567+07:00'", "2024-02-29 13:14:15.1234567+07:00", "datetime"),
    ("datetimeoffset(7)", "'2024-03-01 00:30:00-05:30'", "2024-03-01 00:30:00-05:30", "datetime"),
    ("datetimeoffset(3)", "'2024-02-29 13:14:15-00:30'", "2024-02-29 13:14:15-00:30", "datetime"),
    ("datetimeoffset(0)", "'2024-02-29 23:14:15+14:00'", "2024-02-29 23:14:15+14:00", "datetime"),
    ("uniqueidentifier", f"'{GUID}'", GUID, "text"),
    ("xml", "'<a>é😀</a>'", "<a>é😀</a>", "text"),
    ("nchar(5)", "'é😀'", "é😀  ", "text"),
    ("nvarchar(20)", "'é😀\t'", "é😀\t", "text"),
    ("nvarchar(20)", "''", "", "text"),
    ("nvarchar(max)", f"'{LONG}'", LONG, "text"),
    ("nvarchar(max)", "''", "", "text"),
    ("varchar(max)", "'€é'", "€é", "text"),
    ("varchar(max)", f"'{'x' * 9000}'", "x" * 9000, "text"),
    ("ntext", "'é😀'", "é😀", "text"),
    ("varbinary(max)", "''", b"", "bytes"),
    ("varbinary(max)", "0x" + "00ff" * 5000, b"\x00\xff" * 5000, "bytes"),
    ("varchar(5) COLLATE Cyrillic_General_CI_AS", "'Жук'", "Жук", "text"),
    ("varchar(9) COLLATE Greek_CI_AS", "'Ωμέγα'", "Ωμέγα", "text"),
    ("varchar(20) COLLATE Latin1_General_100_CI_AS_SC_UTF8", "'ж😀'", "ж😀", "text"),
]
SYBASE = [
    *BOTH,
    ("bigtime", "'13:14:15.123456'", "13:14:15.123456", "time"),
    ("bigdatetime", "'0001-01-01 00:00:00.000001'", "0001-01-01 00:00:00.000001", "datetime"),
    ("bigdatetime", "'9999-12-31 23:59:59.999999'", "9999-12-31 23:59:59.999999", "datetime"),
    ("univarchar(20)", "'é😀'", "é😀", "text"),
    ("unichar(5)", "'é😀'", "é😀  ", "text"),
    ("varchar(20)", "'é😀Ж'", "é😀Ж", "text"),
]
MATRIX = [("sqlserver", *case) for case in SQLSERVER] + [("sybase", *case) for case in SYBASE]


@pytest.fixture(scope="module")
def reading() -> Iterator[dict[str, tuple[Any, Any]]]:
    """An adapter and a connection that reads, by engine."""
    servers, made = [], {}
    for name, kind in CLASSES.items():
        source = real.source(name)
        if source is None:
            servers.append(TDSServer(name))
            source = servers[-1].source()
        adapter = kind(source)
        made[name] = adapter, adapter.connect()
    yield made
    for _, connection in made.values():
        connection.close()
    for server in servers:
        server.remove()


def asked(reading: dict[str, tuple[Any, Any]], engine: str, sql: str, **arguments: Any) -> tuple[Any, list[Any]]:
    adapter, connection = reading[engine]
    stream = adapter.run(connection, sql, arguments, LIMITS)
    return stream.columns, everything(stream)


@pytest.mark.parametrize(("engine", "type_", "text", "value", "word"), MATRIX)
def test_a_value_is_exact(
    reading: dict[str, tuple[Any, Any]], engine: str, type_: str, text: str, value: Any, word: str
) -> None:
    if real.source(engine) and " COLLATE " in type_:
        kind, _, collation = type_.partition(" COLLATE ")
        cast = f"CAST(N{text} COLLATE {collation} AS {kind})"
    else:
        cast = f"CAST({'N' if engine == 'sqlserver' and not text.isascii() else ''}{text} AS {type_})"
    columns, rows = asked(reading, engine, f"SELECT {cast} AS x")
    assert rows == [(value,)]
    assert type(rows[0][0]) is type(value)
    assert columns == (("x", word),)


@pytest.mark.parametrize(("engine", "type_", "word"), sorted({(case[0], case[1], case[4]) for case in MATRIX}))
def test_null_is_none(reading: dict[str, tuple[Any, Any]], engine: str, type_: str, word: str) -> None:
    if " COLLATE " in type_:
        pytest.skip("a type of its own only with a value")
    columns, rows = asked(reading, engine, f"SELECT CAST(NULL AS {type_}) AS x")
    assert rows == [(None,)]
    # Only a value tells datetimeoffset(0) from binary(26).
    assert columns == (("x", "bytes" if type_ == "datetimeoffset(0)" else word),)


def test_a_variant_is_refused_whole(reading: dict[str, tuple[Any, Any]]) -> None:
    with pytest.raises(QueryFailed) as error:
        asked(reading, "sqlserver", "SELECT CAST(5 AS sql_variant) AS x")
    assert error.value.reason == "data"
    assert asked(reading, "sqlserver", "SELECT 1 AS x")[1] == [(1,)]


BOUND = [
    "", "é😀", "O'Reilly; -- /* %s :x", "x" * 8000, "x" * 8001, "é" * 4000, "é" * 4001, LONG, 0, 2**31, -(2**63),
    Decimal("0.1"), Decimal("-12.50"), Decimal("1E+5"), Decimal("9" * 38), Decimal("0." + "0" * 37 + "1"), 0.1 + 0.2,
    True, False, None, b"", b"\x00\xff", b"a" * 8001, date(1, 1, 1), date(1599, 12, 31), date(2024, 2, 29),
    date(9999, 12, 31), datetime(1, 1, 1), datetime(2024, 2, 29, 13, 14, 15, 123456),
    datetime(9999, 12, 31, 23, 59, 59), time(13, 14, 15, 123456),
]  # fmt: skip


@pytest.mark.parametrize("value", BOUND, ids=lambda value: repr(value)[:40])
def test_a_bound_value_comes_back(reading: dict[str, tuple[Any, Any]], value: Any) -> None:
    found = asked(reading, "sqlserver", "SELECT %(a)s AS x, 1 AS y, %(a)s AS z", a=value)[1][0]
    assert found[0] == found[2]
    assert found[0] == expected(value)


OFFSETS = [
    datetime(2024, 2, 29, 13, 14, 15, 500000, tzinfo=timezone(timedelta(hours=7))),
    datetime(2024, 2, 29, 13, 14, 15, tzinfo=timezone(-timedelta(hours=5, minutes=30))),
]


@pytest.mark.parametrize("value", OFFSETS, ids=str)
def test_b03_an_offset_is_kept_only_for_a_cast_to_the_type_that_has_one(
    reading: dict[str, tuple[Any, Any]], value: datetime
) -> None:
    sql = "SELECT %(a)s AS x, CAST(%(a)s AS datetimeoffset) AS y, CAST( %(a)s\n as DateTimeOffset(3)) AS z"
    local, kept, shorter = asked(reading, "sqlserver", sql, a=value)[1][0]
    assert local == expected(value.astimezone(None).replace(tzinfo=None))
    assert datetime.fromisoformat(kept) == datetime.fromisoformat(shorter) == value
    assert datetime.fromisoformat(kept).utcoffset() == value.utcoffset()


def expected(value: Any) -> Any:
    """How the bus gives a bound value back: exact things as text."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        text = value.isoformat(" ")
        return text.rstrip("0") if "." in text else text
    return value.isoformat() if isinstance(value, date | time) else value


@given(st.dates())
@settings(max_examples=60, deadline=None)
def test_no_date_is_sent_a_day_off(reading: dict[str, tuple[Any, Any]], value: date) -> None:
    moment = datetime(value.year, value.month, value.day, 13, 14, 15, 123456)
    found = asked(reading, "sqlserver", "SELECT %(a)s AS x, %(b)s AS y", a=value, b=moment)[1]
    assert found == [(value.isoformat(), moment.isoformat(" "))]


def test_values_are_typed_as_narrowly_as_they_are() -> None:
    values = {"a": "abc", "b": "é", "c": Decimal("12.50"), "d": 2**40, "e": None, "f": 2**70}
    sql = "SELECT %(a)s, %(b)s, %(c)s, %(d)s, %(e)s, %(f)s, %(a)s, 10 %% 4"
    text, declared, bound, sizes = bind(sql, values)
    assert text == "SELECT @P1, @P2, @P3, @P4, NULL, @P5, @P1, 10 % 4"
    # ASCII goes as varchar: Unicode would keep the server from the index of a varchar column.
    assert declared == "@P1 varchar(8000), @P2 nvarchar(4000), @P3 decimal(4,2), @P4 bigint, @P5 decimal(22,0)"
    assert bound == ["abc", "é", Decimal("12.50"), 2**40, Decimal(2**70)]
    assert len(sizes) == len(bound)


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), 10**38, Decimal("1E+40"), "a\x00b", object()])
def test_what_no_type_holds_is_refused(reading: dict[str, tuple[Any, Any]], value: Any) -> None:
    for engine in CLASSES:
        with pytest.raises(QueryFailed) as error:
            asked(reading, engine, "SELECT %(a)s AS x", a=value)
        assert error.value.reason == "data"


# Sybase's literals.


def outside(sql: str) -> str:
    """What of a statement is no text, as Sybase's own lexer would see it: a quotation mark ends it, two stay in it."""
    kept, at = [], 0
    while at < len(sql):
        if sql[at] != "'":
            kept.append(sql[at])
            at += 1
            continue
        at += 1
        while True:
            end = sql.index("'", at)
            at = end + 1
            if sql[at : at + 1] != "'":
                break
            at += 1
        kept.append("T")
    return "".join(kept)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
@example("'")
@example("''")
@example("\\'")
@example("'; DROP TABLE t --")
@example("*/ '")
@example("%(a)s")
def test_text_value_never_leaves_its_quotation_marks(value: str) -> None:
    text = written("SELECT %(a)s, '%%' + %(a)s", {"a": value})
    assert outside(text) == "SELECT T, T + T"
    assert literal(value)[1:-1].replace("''", "'") == value


@given(
    st.one_of(
        st.integers(-(10**38) + 1, 10**38 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**30), max_value=10**30),
        st.booleans(),
        st.dates(),
        st.datetimes(),
        st.times(),
        st.binary(min_size=1),
        st.none(),
    )
)
def test_non_text_value_makes_no_comment_and_no_second_token(value: Any) -> None:
    text = written("a -%(a)s- b", {"a": value})
    assert "--" not in text
    assert "/*" not in text
    assert text.count("'") in (0, 2)
    inside = outside(literal(value))
    assert set(inside) <= set("0123456789abcdefx.+-()eNULL, convertdatetimebigT")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=40))
@example("{fn now()}")
@example("it's {d '2020-01-01'} -- ?")
@settings(max_examples=60, deadline=None)
def test_a_text_arrives_at_the_server_as_it_is(reading: dict[str, tuple[Any, Any]], value: str) -> None:
    for engine in CLASSES:
        sql = "SELECT %(a)s AS x -- it's a comment {\n, '{fn x}?' AS y"
        assert asked(reading, engine, sql, a=value)[1] == [(value, "{fn x}?")]


@pytest.mark.parametrize("value", [math.nan, math.inf, "\ud800", b"", datetime(2024, 1, 1, tzinfo=UTC), [1], {}])
def test_what_sybase_cannot_write_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        literal(value)


class Clever(str):
    """A text whose replace does not double anything."""

    def replace(self, *_: Any) -> str:
        return "'; DROP TABLE t --"


def test_only_plain_values_are_written() -> None:
    with pytest.raises(ValueError, match="cannot represent this value"):
        literal(Clever("x"))


def test_sybase_moments_mean_the_same_in_every_dateformat() -> None:
    assert literal(date(2024, 2, 29)) == "convert(date, '20240229')"
    assert literal(datetime(2024, 2, 29, 13, 14, 15)) == "convert(datetime, '20240229 13:14:15.000')"
    assert literal(datetime(2024, 2, 29, 13, 14, 15, 5)) == "convert(bigdatetime, '20240229 13:14:15.000005')"


def test_a_row_cap_is_no_cap_of_what_a_statement_gathers(reading: dict[str, tuple[Any, Any]]) -> None:
    """SET ROWCOUNT would be one: the adapters send none."""
    adapter, connection = reading["sqlserver"]
    sql = (
        "WITH s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 5000) SELECT count(*) AS c FROM s"
        " OPTION (MAXRECURSION 0)"
    )
    assert everything(adapter.run(connection, sql, {}, Limits(3, 10))) == [(5000,)]
    assert isinstance(adapter, SQLServer)
    assert isinstance(reading["sybase"][0], Sybase)
