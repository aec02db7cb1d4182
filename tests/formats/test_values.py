"""One matrix: what each kind of value reads as in each format, from Python's types and from a source's text."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from mantra.gateway.formats import legacy, php
from mantra.gateway.formats.values import FEW, JSON, TEXT, canonical, canonical_column, text_column, unique_names
from registry.results import VALUE_TYPES, Column
from tests.formats.oracle import Php, answer

NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
WIB = timezone(timedelta(hours=7))
OLD = timezone(timedelta(hours=7, minutes=7, seconds=12))
BIG = 2**64 + 1
ID = UUID("12345678-1234-5678-1234-567812345678")

# (type, value, its JSON, its text, its PHP value, the legacy text). SAME stands for the text, and as the
# text for the JSON without its quotes.
SAME = object()
MATRIX: list[tuple[str | None, Any, str, Any, Any, Any]] = [
    ("text", "0012", '"0012"', "0012", "0012", SAME),
    ("text", "é/\u20ac", '"é/€"', "é/€", "é/€", SAME),
    ("text", "a & <b> \"c\" 'd'\\", '"a & <b> \\"c\\" \'d\'\\\\"', "a & <b> \"c\" 'd'\\", SAME, SAME),
    ("integer", 5, "5", "5", 5, "5"),
    ("integer", "5", "5", "5", 5, "5"),
    ("integer", "-17", "-17", "-17", -17, SAME),
    ("integer", 2**63 - 1, str(2**63 - 1), str(2**63 - 1), 2**63 - 1, SAME),
    ("integer", -(2**63), str(-(2**63)), str(-(2**63)), -(2**63), SAME),
    ("integer", 2**63, str(2**63), str(2**63), str(2**63), SAME),
    ("integer", BIG, str(BIG), str(BIG), str(BIG), SAME),
    ("integer", str(BIG), str(BIG), str(BIG), str(BIG), SAME),
    ("integer", "1_000", '"1_000"', "1_000", "1_000", SAME),
    ("integer", "x", '"x"', "x", "x", SAME),
    ("decimal", "2500011.00", "2500011.00", "2500011.00", "2500011.00", SAME),
    ("decimal", Decimal("2500011.00"), "2500011.00", "2500011.00", "2500011.00", SAME),
    ("decimal", Decimal("1E+3"), "1000", "1000", "1000", SAME),
    ("decimal", "1E+3", "1000", "1000", "1000", SAME),
    ("decimal", ".50", "0.50", "0.50", "0.50", SAME),
    ("decimal", "-.5", "-0.5", "-0.5", "-0.5", SAME),
    ("decimal", "007.10", "7.10", "7.10", "7.10", SAME),
    ("decimal", Decimal("0E-10"), "0.0000000000", "0.0000000000", "0.0000000000", SAME),
    ("decimal", "12345678901234567890.123456789", "12345678901234567890.123456789", SAME, SAME, SAME),
    ("decimal", Decimal("NaN"), '"NaN"', "NaN", "NaN", SAME),
    ("decimal", "-Infinity", '"-Infinity"', "-Infinity", "-Infinity", SAME),
    ("decimal", Decimal("Infinity"), '"Infinity"', "Infinity", "Infinity", SAME),
    ("decimal", 7, "7", "7", 7, "7"),
    ("decimal", 1e22, "10000000000000000000000", "10000000000000000000000", SAME, SAME),
    ("decimal", "null", '"null"', "null", "null", SAME),
    ("decimal", "1,2", '"1,2"', "1,2", "1,2", SAME),
    ("decimal", "٣", '"٣"', "٣", "٣", SAME),
    ("decimal", " 5", '" 5"', " 5", " 5", SAME),
    (None, Decimal("1.10"), "1.10", "1.10", "1.10", SAME),
    ("float", 0.1, "0.1", "0.1", 0.1, "0.1"),
    ("float", "0.30000000000000004", "0.30000000000000004", "0.30000000000000004", 0.1 + 0.2, SAME),
    ("float", float("nan"), '"NaN"', "NaN", "NaN", SAME),
    ("float", float("-inf"), '"-Infinity"', "-Infinity", "-Infinity", SAME),
    ("float", "inf", '"Infinity"', "Infinity", "Infinity", SAME),
    (None, float("inf"), '"Infinity"', "Infinity", "Infinity", SAME),
    ("boolean", True, "true", "true", True, "1"),
    ("boolean", False, "false", "false", False, "0"),
    ("boolean", 0, "false", "false", False, "0"),
    ("boolean", 1, "true", "true", True, "1"),
    ("boolean", "t", "true", "true", True, "1"),
    ("boolean", "f", "false", "false", False, "0"),
    ("boolean", "0", "false", "false", False, "0"),
    ("boolean", "1", "true", "true", True, "1"),
    ("boolean", b"\x01", "true", "true", True, "1"),
    ("boolean", 2, "2", "2", 2, "2"),
    ("boolean", "maybe", '"maybe"', "maybe", "maybe", SAME),
    (None, True, "true", "true", True, "1"),
    ("date", "2010-09-08", '"2010-09-08"', "2010-09-08", SAME, SAME),
    ("date", date(44, 3, 15), '"0044-03-15"', "0044-03-15", SAME, SAME),
    (None, date(2010, 9, 8), '"2010-09-08"', "2010-09-08", SAME, SAME),
    ("time", "10:00:00", '"10:00:00"', "10:00:00", SAME, SAME),
    ("time", "10:00:00+07", '"10:00:00+07:00"', "10:00:00+07:00", SAME, SAME),
    ("time", time(1, 2, 3, 4), '"01:02:03.000004"', "01:02:03.000004", SAME, SAME),
    ("time", timedelta(hours=-838, minutes=-59), '"-838:59:00"', "-838:59:00", SAME, SAME),
    ("datetime", "2010-09-08 10:00:00", '"2010-09-08T10:00:00"', "2010-09-08T10:00:00", SAME, "2010-09-08 10:00:00"),
    ("datetime", "2010-09-08T10:00:00", '"2010-09-08T10:00:00"', "2010-09-08T10:00:00", SAME, "2010-09-08 10:00:00"),
    ("datetime", "2010-09-08 10:00:00.120", '"2010-09-08T10:00:00.120"', SAME, SAME, "2010-09-08 10:00:00.120"),
    ("datetime", "2010-09-08 10:00:00+07", '"2010-09-08T10:00:00+07:00"', SAME, SAME, "2010-09-08 10:00:00+07:00"),
    ("datetime", "2010-09-08 10:00:00-0330", '"2010-09-08T10:00:00-03:30"', SAME, SAME, "2010-09-08 10:00:00-03:30"),
    ("datetime", "2010-09-08T10:00:00Z", '"2010-09-08T10:00:00Z"', SAME, SAME, "2010-09-08 10:00:00Z"),
    ("datetime", "0044-03-15 00:00:00 BC", '"0044-03-15 00:00:00 BC"', "0044-03-15 00:00:00 BC", SAME, SAME),
    ("datetime", "infinity", '"infinity"', "infinity", "infinity", SAME),
    ("datetime", datetime(2010, 9, 8, 10), '"2010-09-08T10:00:00"', "2010-09-08T10:00:00", SAME, "2010-09-08 10:00:00"),
    ("datetime", datetime(2010, 9, 8, 10, tzinfo=UTC), '"2010-09-08T10:00:00+00:00"', SAME, SAME,
     "2010-09-08 10:00:00+00:00"),
    (None, datetime(2010, 9, 8, 10, 0, 0, 5, WIB), '"2010-09-08T10:00:00.000005+07:00"', SAME, SAME,
     "2010-09-08 10:00:00.000005+07:00"),
    ("datetime", datetime(1900, 1, 1, tzinfo=OLD), '"1900-01-01T00:00:00+07:07:12"', SAME, SAME,
     "1900-01-01 00:00:00+07:07:12"),
    ("interval", "1 day 02:00:00", '"1 day 02:00:00"', "1 day 02:00:00", SAME, SAME),
    ("interval", timedelta(days=1, hours=2, seconds=4.5), '"P1DT2H4.5S"', "P1DT2H4.5S", SAME, "26:00:04.500000"),
    ("interval", timedelta(), '"PT0S"', "PT0S", "PT0S", "00:00:00"),
    ("interval", -timedelta(days=3), '"-P3D"', "-P3D", "-P3D", "-72:00:00"),
    ("bytes", b"\x00\xff", '"AP8="', "AP8=", "AP8=", SAME),
    ("bytes", memoryview(b"abc"), '"YWJj"', "YWJj", "YWJj", SAME),
    (None, bytearray(b"abc"), '"YWJj"', "YWJj", "YWJj", SAME),
    ("uuid", ID, f'"{ID}"', str(ID), str(ID), SAME),
    ("uuid", str(ID), f'"{ID}"', str(ID), str(ID), SAME),
    ("json", '{"a":[1.10,\n null]}', '{"a":[1.10,  null]}', '{"a":[1.10,  null]}', {"a": [1.1, None]}, SAME),
    ("json", {"a": [Decimal("1.10"), date(2010, 9, 8)]}, '{"a":[1.10,"2010-09-08"]}', SAME,
     {"a": ["1.10", "2010-09-08"]}, SAME),
    ("json", "{broken", '"{broken"', "{broken", "{broken", SAME),
    ("json", "true", "true", "true", True, "true"),
    ("json", "0.12345678901234567890123", "0.12345678901234567890123", SAME, SAME, SAME),
    (None, [1, float("nan"), BIG], f'[1,"NaN",{BIG}]', f'[1,"NaN",{BIG}]', [1, "NaN", str(BIG)], SAME),
    *[(kind, None, "null", "", None, None) for kind in (None, *VALUE_TYPES)],
]  # fmt: skip
CASES = pytest.mark.parametrize(
    ("kind", "value", "as_json", "text", "as_php", "old"),
    [(*row[:3], row[2].strip('"') if row[3] is SAME else row[3], *row[4:]) for row in MATRIX],
    ids=[f"{row[0]}-{type(row[1]).__name__}-{n}" for n, row in enumerate(MATRIX)],
)
#: A lone value, and enough of them, with a null between, to be taken by column.
COUNTS = pytest.mark.parametrize(
    "rows", [lambda value: [(value,)], lambda value: [(value,), (None,), *[(value,)] * FEW]]
)


def expected(as_php: Any, text: str) -> Any:
    return text if as_php is SAME else as_php


def typed(value: Any) -> Any:
    """Python holds 1, True and 1.0 for the same: here they differ."""
    if isinstance(value, dict):
        return {key: typed(each) for key, each in value.items()}
    return [typed(each) for each in value] if isinstance(value, list) else (type(value), value)


@CASES
@COUNTS
def test_json(kind: str, value: Any, as_json: str, text: str, as_php: Any, old: Any, rows: Any) -> None:
    cells = [as_json if row[0] is not None else "null" for row in rows(value)]
    body = answer("json", [("v", kind)], rows(value)).decode()
    inside = ",".join(f'{{"v":{cell}}}' for cell in cells)
    assert body == f'{{"data":[{inside}],"count":{len(cells)},"truncated":false}}'
    assert json.loads(body)["count"] == len(cells)
    assert answer("ndjson", [("v", kind)], rows(value)).decode() == "".join(f'{{"v":{cell}}}\n' for cell in cells)


@CASES
@COUNTS
def test_csv(kind: str, value: Any, as_json: str, text: str, as_php: Any, old: Any, rows: Any) -> None:
    body = answer("csv", [("n", "integer"), ("v", kind)], [(1, *row) for row in rows(value)]).decode()
    read = list(csv.reader(io.StringIO(body, newline=""), strict=True))
    assert read == [["n", "v"], *(["1", text if row[0] is not None else ""] for row in rows(value))]


@CASES
@COUNTS
def test_xml(kind: str, value: Any, as_json: str, text: str, as_php: Any, old: Any, rows: Any) -> None:
    tree = etree.fromstring(answer("xml", [("v", kind)], rows(value)))
    read = [None if cell.get(NIL) == "true" else cell.text for cell in tree.iterfind("data/row/v")]
    assert read == [text if row[0] is not None else None for row in rows(value)]


@CASES
@COUNTS
def test_php(kind: str, value: Any, as_json: str, text: str, as_php: Any, old: Any, rows: Any, php: Php) -> None:
    wanted = [{"v": expected(as_php, text) if row[0] is not None else None} for row in rows(value)]
    whole = {"data": wanted, "count": len(wanted), "truncated": False}
    assert typed(php.unserialize(answer("php", [("v", kind)], rows(value)))) == typed(whole)
    assert typed(php.eval(answer("phpa", [("v", kind)], rows(value)))) == typed(whole)


@CASES
def test_xlsx(kind: str, value: Any, as_json: str, text: str, as_php: Any, old: Any) -> None:
    body = answer("xlsx", [("v", kind)], [(value,)])
    cell = openpyxl.load_workbook(io.BytesIO(body))["data"]["A2"]
    if cell.data_type == "n" and cell.value is not None:
        assert kind in ("integer", "decimal", "float", "boolean", None)
        assert Decimal(repr(cell.value)) == Decimal(text)
        if "." in text and kind == "decimal":
            assert cell.number_format == "0." + "0" * len(text.partition(".")[2])
    elif cell.data_type == "b":
        assert cell.value is (text == "true")
    else:
        assert (cell.value or "") == text


@CASES
@COUNTS
def test_legacy(kind: str, value: Any, as_json: str, text: str, as_php: Any, old: Any, rows: Any, php: Php) -> None:
    """F7, F12: text as its source wrote it, whatever the column's type; bytes unchanged, or as text."""
    if isinstance(value, str):
        old = value
    elif isinstance(value, bytes | bytearray | memoryview):
        old = utf8_or_none(bytes(value))
    old = text if old is SAME else old
    wanted = [{"v": old if row[0] is not None else None} for row in rows(value)]
    envelope = {"response": {"status": 1, "code": 200, "message": "OK", "data": {"op": wanted}}}
    assert answer("legacy_json", [("v", kind)], rows(value)) == php.json(envelope)
    if old is not None or value is None:
        assert answer("legacy_php", [("v", kind)], rows(value)) == php.serialize(envelope)
    tree = etree.fromstring(answer("legacy_xml", [("v", kind)], rows(value)))
    written = [(row["v"] or "").replace("\x01", "\ufffd") for row in wanted]
    assert [cell.text or "" for cell in tree.iterfind("data/op/v")] == written


def utf8_or_none(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


@COUNTS
@pytest.mark.parametrize("value", [b"\x00\xff", bytearray(range(256)), memoryview(b'";i:1;'), b"\xed\xa0\x80", b""])
def test_f12_bytes_are_unchanged_in_legacy_serialize(value: Any, rows: Any, php: Php) -> None:
    body = answer("legacy_php", [("v", "bytes"), ("t", "text")], [(*row, "é") for row in rows(value)])
    raw = bytes(value)
    assert body.count(b's:1:"v";s:%d:"%b";s:1:"t";s:2:"\xc3\xa9";' % (len(raw), raw)) == len(rows(value)) - (
        rows(value).count((None,))
    )


def test_a_column_may_mix_what_its_source_mixed() -> None:
    values = [1, "2", None, Decimal("3.0"), 4.5, True, "x", date(2010, 9, 8)]
    body = answer("json", [("v", "decimal")], [(value,) for value in values])
    assert [row["v"] for row in json.loads(body)["data"]] == [1, 2, None, 3.0, 4.5, True, "x", "2010-09-08"]


TEXTS = st.text(st.characters(codec=None), max_size=12) | st.sampled_from(
    [
        "2010-09-08 10:00:00",
        "2010-09-08",
        "10:00:00+07",
        "1.50",
        "-0",
        "1e5",
        ".5",
        "5,6",
        "t",
        "0",
        "NaN",
        "[1]",
        "null",
        "",
    ]
)
VALUES = st.lists(
    TEXTS | st.none() | st.integers() | st.booleans() | st.floats() | st.decimals() | st.datetimes() | st.dates()
    | st.times() | st.timedeltas() | st.binary(max_size=9) | st.uuids(),
    min_size=FEW,
    max_size=9,
)  # fmt: skip


OF_ONE_CLASS = st.sampled_from(
    [TEXTS, st.integers(), st.booleans(), st.floats(), st.decimals(), st.datetimes()]
).flatmap(lambda each: st.lists(st.none() | each, min_size=FEW, max_size=9))


@given(VALUES | OF_ONE_CLASS, st.sampled_from([None, *VALUE_TYPES]))
@settings(max_examples=1000, deadline=None)
def test_by_column_and_by_value_are_the_same(values: list[Any], kind: str | None) -> None:
    if kind in ("text", "date", "uuid"):
        values = [each if each is None else str(each) for each in values]
    for style in (TEXT, legacy.STYLE, php.STYLE):
        assert typed(list(canonical_column(values, kind, style))) == typed([canonical(v, kind, style) for v in values])
        assert all(each is None or type(each) is str for each in text_column(values, kind, style))
    one_by_one = b"".join(answer("ndjson", [("v", kind)], [(value,)]) for value in values)
    assert answer("ndjson", [("v", kind)], [(value,) for value in values]) == one_by_one
    for line in one_by_one.splitlines():
        assert list(json.loads(line)) == ["v"]
    assert len(canonical_column(values, kind, JSON)) == len(values)


def test_column_names_that_repeat_get_a_number_that_is_free() -> None:
    assert unique_names([Column(name) for name in ("a", "b", "a", "a_2", "a", "b")]) == [
        "a",
        "b",
        "a_3",
        "a_2",
        "a_4",
        "b_2",
    ]
    assert unique_names([Column("\ud800"), Column("\udfff")]) == ["\ufffd", "\ufffd_2"]
