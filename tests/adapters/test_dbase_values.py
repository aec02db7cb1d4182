"""Each type of field, read from bytes that the tests wrote themselves."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.base import Limits, QueryFailed, SourceError
from adapters.dbase import DBase, digits, problems, warnings
from adapters.dbf.cells import Inexact, _currency, _currency_exact, _datetime7
from adapters.dbf.table_copy import compare
from tests.dbf_writer import F, dbt3, dbt4, fpt, write

VFP = 0x30
ROOT = Path(__file__).resolve().parents[2]


def read(path: Path, sql: str = "SELECT * FROM t", **options: Any) -> list[Any]:
    """The rows of a table "t" beside ``path``'s name, each with the types that the stream tells."""
    source = {"database": path.name, "roots": [path.parent], **options}
    # A file that was written just now is waited for a while, in case that its writer goes on.
    os.utime(path, (1.7e9, 1.7e9))
    adapter = DBase(source)
    connection = adapter.connect()
    try:
        stream = adapter.run(connection, sql, {}, Limits(100_000, 20))
        return [row for batch in stream for row in batch]
    finally:
        connection.close()


def told(path: Path, **options: Any) -> list[str]:
    return warnings({"database": path.name, "roots": [path.parent], **options})


def column(folder: Path, field: F, cells: list[bytes], version: int = 0x03, **options: Any) -> list[Any]:
    path = write(folder / "t.dbf", [field], [[cell] for cell in cells], version, **options)
    return [value for (value,) in read(path)]


# ----------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("width", "scale", "cell", "value"),
    [
        (5, 0, b"   42", 42),
        (5, 0, b"42   ", 42),
        (5, 0, b"00042", 42),
        (5, 0, b"  -42", -42),
        (5, 0, b"  +42", 42),
        (5, 0, b"     ", None),
        (5, 0, b"\0\0\0\0\0", None),
        (5, 0, b"  42\0", 42),
        (18, 0, b"999999999999999999", 999999999999999999),
        (19, 0, b"9223372036854775807", 9223372036854775807),
        (19, 0, b"9223372036854775808", "9223372036854775808"),
        (20, 0, b"99999999999999999999", "99999999999999999999"),
        (20, 0, b"-9999999999999999999", "-9999999999999999999"),
        (5, 0, b" 1.50", "1.50"),
        (8, 2, b"   12.50", "12.50"),
        (8, 2, b"    12.5", "12.50"),
        (8, 2, b"     .50", "0.50"),
        (8, 2, b"    -.50", "-0.50"),
        (8, 2, b"   12.  ", "12.00"),
        (8, 2, b"   0.125", "0.125"),
        (8, 2, b" 1.5E+03", "1500.00"),
        (15, 4, b"9999999999.9999", "9999999999.9999"),
        (16, 2, b"9999999999999.99", "9999999999999.99"),
        (16, 2, b"9999999999999999", "9999999999999999.00"),
        (20, 4, b"123456789012345.6789", "123456789012345.6789"),
        (20, 4, b"             12.1235", "12.1235"),
        (20, 18, b"1.234567890123460021", "1.234567890123460021"),
        (20, 18, b"1.234567890123460000", "1.234567890123460000"),
        (20, 18, b"0.123456789012345678", "0.123456789012345678"),
        (20, 4, b"99999999999999999.5", "99999999999999999.5000"),
        (20, 18, b"0.100000000000000000", "0.100000000000000000"),
        (20, 2, b"    1000000000000.00", "1000000000000.00"),
    ],
)
def test_numbers_keep_their_digits(tmp_path: Path, width: int, scale: int, cell: bytes, value: Any) -> None:
    for type_ in "NF":
        folder = tmp_path / type_
        folder.mkdir()
        assert column(folder, F("A", type_, width, scale), [cell]) == [value]
        assert told(folder / "t.dbf") == []


@pytest.mark.parametrize(
    "cell",
    [b"*****", b" 1 2 ", b"1_000", b"  nan", b"  inf", b"0x10 ", b"1,200", b"12-  ", b"--1  ", b"\xb2    ", b"1e9999"],
)
def test_a_number_that_is_none_is_null_and_a_warning(tmp_path: Path, cell: bytes) -> None:
    for scale in (0, 2):
        (tmp_path / str(scale)).mkdir()
        path = write(tmp_path / str(scale) / "t.dbf", [F("A", "N", len(cell), scale)], [[b"  7"], [cell], [b" 8"]])
        assert [row[0] for row in read(path)] == ([7, None, 8] if not scale else ["7.00", None, "8.00"])
        (line,) = told(path)
        assert line.startswith("t: record 2, field A: ")
        assert cell.decode("cp850").strip() not in line


@pytest.mark.parametrize(("width", "scale"), [(10, 0), (20, 0), (12, 2), (20, 4)])
def test_numbers_compare_as_numbers(tmp_path: Path, width: int, scale: int) -> None:
    wide = ["99999999999999999999", "-9999999999999999998"] if (width, scale) == (20, 0) else []
    wide = ["123456789012345.6789", "-23456789012345.6789"] if (width, scale) == (20, 4) else wide
    texts = ["-10", "-9", "0", "5", "9", "10", "100", *wide]
    path = write(tmp_path / "t.dbf", [F("A", "N", width, scale)], [[text.rjust(width).encode()] for text in texts])
    numbers = sorted(map(Decimal, texts))
    assert [Decimal(str(row[0])) for row in read(path, "SELECT a FROM t ORDER BY a")] == numbers
    assert Decimal(str(read(path, "SELECT max(a) FROM t")[0][0])) == numbers[-1]
    for bound in ("9.5", "'9.5'", "9", "'9'", "'09.0'"):
        found = read(path, f"SELECT count(*) FROM t WHERE a > {bound}")
        assert found == [(sum(number > Decimal(bound.strip("'")) for number in numbers),)]
    assert read(path, "SELECT count(*) FROM t WHERE a = 10.00 OR a IN (5, '9')") == [(3,)]
    assert read(path, "SELECT count(*) FROM t WHERE a BETWEEN -9 AND 9") == [(4,)]


@settings(deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False), st.decimals(allow_nan=False, allow_infinity=False))
def test_the_collation_orders_texts_as_numbers(first: Decimal, second: Decimal) -> None:
    assert compare(str(first), str(second)) == (first > second) - (first < second)


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.text(max_size=4), st.sampled_from(["nan", "1", "01", "1e400", "-1e400", "inf", "9" * 30])))
)
def test_the_collation_is_an_order(texts: list[str]) -> None:
    for a in texts:
        assert compare(a, a) == 0
        for b in texts:
            assert compare(a, b) == -compare(b, a)
            for c in texts:
                assert not (compare(a, b) < 0 and compare(b, c) < 0 and compare(a, c) >= 0)


@settings(deadline=None)
@given(st.integers(-(10**15) + 1, 10**15 - 1), st.integers(0, 18))
def test_fifteen_digits_come_back_from_a_double(number: int, scale: int) -> None:
    exact = Decimal(number).scaleb(-scale)
    assert Decimal(digits(float(exact), scale)) == exact
    assert digits(float(exact), scale) == format(exact, "f") or not number


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(st.integers(1, 20), st.integers(0, 18)).filter(lambda s: s[1] == 0 or s[1] + 2 <= s[0]),
    numbers=st.lists(st.one_of(st.none(), st.integers(-(10**20), 10**20)), min_size=1, max_size=20),
    deleted=st.sets(st.integers(0, 19)),
)
def test_any_number_comes_back(
    tmp_path: Path, shape: tuple[int, int], numbers: list[int | None], deleted: set[int]
) -> None:
    width, scale = shape
    cells = []
    expected = []
    for place, number in enumerate(numbers):
        text = "" if number is None else format(Decimal(number).scaleb(-scale), "f")
        text = text if len(text) <= width else ""
        cells.append([text.rjust(width).encode()])
        if place not in deleted:
            expected.append(Decimal(text) if text else None)
    path = write(tmp_path / "t.dbf", [F("A", "N", width, scale)], cells, deleted=deleted)
    for cache in tmp_path.glob(".mantra*.sqlite3"):
        cache.unlink()
    found = [None if value is None else Decimal(str(value)) for (value,) in read(path)]
    assert found == expected
    assert all(value is None or -value.as_tuple().exponent >= scale for value in found)  # type: ignore[operator]


# -------------------------------------------------------------------------------------------- texts


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (b"abc  ", "abc"),
        (b"  abc", "  abc"),
        (b"     ", ""),
        (b"\0\0\0\0\0", ""),
        (b"ab\0\0\0", "ab"),
        (b"ab \0 ", "ab"),
        (b"ab\t  ", "ab\t"),
        (b"ab\xff  ", "ab\xa0"),
        (b"\x82\x85   ", "éà"),
    ],
)
def test_texts_lose_their_padding_only(tmp_path: Path, cell: bytes, text: str) -> None:
    assert column(tmp_path, F("A", "C", 5), [cell, b"x"]) == [text, "x"]


@pytest.mark.parametrize("encoding", ["cp850", "cp1252", "utf-8", "cp932", "gbk", "latin-1", "ascii"])
def test_texts_in_any_code_page(tmp_path: Path, encoding: str) -> None:
    texts = ["abc", "", "d e", *{"cp932": ["日本", "ｱ"], "gbk": ["中文"], "ascii": []}.get(encoding, ["é", "äß"])]
    path = write(tmp_path / "t.dbf", [F("A", "C", 8)], [[text.encode(encoding)] for text in texts])
    assert [row[0] for row in read(path, encoding=encoding)] == texts
    assert told(path, encoding=encoding) == []


@pytest.mark.parametrize(
    ("byte", "cell", "text"),
    [
        (0x03, b"\xe9", "é"),
        (0x01, b"\x82", "é"),
        (0x57, b"\x80", "€"),
        (0xC9, b"\xcf", "П"),
        (0x65, b"\x8f", "П"),
        (0x7B, b"\x93\xfa", "日"),
    ],
)
def test_the_code_page_that_the_file_names(tmp_path: Path, byte: int, cell: bytes, text: str) -> None:
    path = write(tmp_path / "t.dbf", [F("A", "C", 5)], [[cell]], code_page=byte)
    assert read(path) == [(text,)]
    assert told(path) == []
    assert read(path, encoding="latin-1") == [(cell.decode("latin-1"),)]


@pytest.mark.parametrize(
    ("byte", "stated", "text"),
    [
        (0, "UTF-8", "Cité d’Or"),
        (0x57, "UTF-8\r\n", "Cité d’Or"),
        (0x57, "\ufeffutf8", "Cité d’Or"),
        (0, "65001", "Cité d’Or"),
        (0x01, "1252", "Cité d’Or"),
        (0, "ANSI 1252", "Cité d’Or"),
        (0, "windows-1251", "больничное"),
        (0, "OEM 866", "больничное"),
        (0, "88595", "больничное"),
        (0, "ISO-8859-5", "больничное"),
    ],
)
def test_b14_the_cpg_file_names_the_code_page(tmp_path: Path, byte: int, stated: str, text: str) -> None:
    pages = {"UTF": "utf-8", "utf": "utf-8", "650": "utf-8", "\ufeff": "utf-8", "125": "cp1252", "ANS": "cp1252"}
    pages |= {"win": "cp1251", "OEM": "cp866", "885": "iso8859-5", "ISO": "iso8859-5"}
    page = next(page for start, page in pages.items() if stated.startswith(start))
    path = write(tmp_path / "T.dbf", [F("A", "C", 30)], [[text.encode(page)]], code_page=byte)
    (tmp_path / "t.CPG").write_text(stated, "utf-8")
    assert read(path) == [(text,)]
    assert told(path) == []
    assert read(path, encoding="cp850") == [(text.encode(page).decode("cp850"),)]


def test_b14_a_cpg_file_is_of_one_table_and_may_change(tmp_path: Path) -> None:
    for name, page in (("a", "utf-8"), ("b", "cp1252")):
        path = write(tmp_path / f"{name}.dbf", [F("A", "C", 9)], [["Cité".encode(page)]])
        (tmp_path / f"{name}.cpg").write_text(page)
        os.utime(path, (1.7e9, 1.7e9))
    adapter = DBase({"database": ".", "roots": [tmp_path]})
    connection = adapter.connect()
    for table in ("a", "b"):
        stream = adapter.run(connection, f"SELECT a FROM {table}", {}, Limits(10, 20))
        assert [row for batch in stream for row in batch] == [("Cité",)]
    connection.close()
    (tmp_path / "a.cpg").write_text("1252")
    assert read(tmp_path / "a.dbf", "SELECT a FROM a") == [("CitÃ©",)]


def test_b14_a_cpg_file_without_a_known_name_is_ignored_and_told(tmp_path: Path) -> None:
    path = write(tmp_path / "t.dbf", [F("A", "C", 5)], [[b"\xe9"]], code_page=0x03)
    other = tmp_path / "luar"
    other.mkdir()
    (other / "t.cpg").write_text("UTF-8")
    cpg = tmp_path / "t.cpg"
    source = {"database": "t.dbf", "roots": [tmp_path]}
    for stated in ("EBCDIC", "utf-16", "x" * 5000, None):
        cpg.unlink(missing_ok=True)
        if stated is None:
            cpg.symlink_to(other / "t.cpg")
        else:
            cpg.write_text(stated)
        assert read(path) == [("é",)]
        assert problems(source) == ["t.dbf: the .cpg file beside it names no known code page: ignored"]
    cpg.unlink()
    cpg.write_text(" ")
    assert read(path) == [("é",)]
    assert problems(source) == []


def test_a_code_page_that_nobody_names_or_knows_is_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path / "t.dbf", [F("A", "C", 5)], [[b"\x82"], [b"\x85"]])
    assert read(path) == [("é",), ("à",)]
    assert [line[:56] for line in told(path)] == ["t: the file states no code page: it was read as cp850; s"]
    path = write(tmp_path / "u.dbf", [F("A", "C", 5)], [[b"abc"]], code_page=0x7F)
    assert read(path, "SELECT * FROM u") == [("abc",)]
    assert "the code page byte 0x7F is unknown" in told(path)[0]


def test_text_that_is_another_code_page_s(tmp_path: Path) -> None:
    path = write(tmp_path / "t.dbf", [F("A", "C", 9)], [["año".encode()], [b"x"]], code_page=3)
    assert read(path) == [("aÃ±o",), ("x",)]
    assert "looks like UTF-8" in told(path)[0]
    path = write(tmp_path / "u.dbf", [F("A", "C", 9)], [[b"ok"], [b"\x81"]], code_page=3)
    assert read(path, "SELECT * FROM u") == [("ok",), (None,)]
    assert told(path) == ["u: record 2, field A: not valid cp1252 text; returned as NULL"]


def test_a_nul_within_a_text_is_null_and_a_warning(tmp_path: Path) -> None:
    assert column(tmp_path, F("A", "C", 5), [b"\0reak", b"ab\0cd", b"ok"]) == [None, None, "ok"]
    assert len(told(tmp_path / "t.dbf")) == 2


@pytest.mark.parametrize("width", [255, 256, 300, 1040, 4000])
def test_long_texts(tmp_path: Path, width: int) -> None:
    assert column(tmp_path, F("A", "C", width), [b"x" * width]) == ["x" * width]


def test_decimals_of_a_text_field_that_mean_nothing(tmp_path: Path) -> None:
    assert column(tmp_path, F("A", "C", 10, decimals=3), [b"abc"]) == ["abc"]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(codec="cp1252", exclude_characters="\0"), max_size=12), min_size=1, max_size=9))
def test_any_text_comes_back(tmp_path: Path, texts: list[str]) -> None:
    path = write(
        tmp_path / "t.dbf", [F("A", "C", 12), F("B", "N", 3)], [[t.encode("cp1252"), b"1"] for t in texts], code_page=3
    )
    for cache in tmp_path.glob(".mantra*.sqlite3"):
        cache.unlink()
    assert [row[0] for row in read(path)] == [text.rstrip(" ") for text in texts]


# ----------------------------------------------------------------------------- dates, booleans, VFP


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (b"20240229", "2024-02-29"),
        (b"00010101", "0001-01-01"),
        (b"99991231", "9999-12-31"),
        (b"        ", None),
        (b"00000000", None),
        (b"\0\0\0\0\0\0\0\0", None),
    ],
)
def test_dates(tmp_path: Path, cell: bytes, value: str | None) -> None:
    assert column(tmp_path, F("A", "D", 8), [cell]) == [value]
    assert told(tmp_path / "t.dbf") == []


@pytest.mark.parametrize("cell", [b"20230229", b"20241301", b"NotAYear", b"2024-1-1", b"00000101", b" 2024022"])
def test_a_date_that_is_none_is_null_and_a_warning(tmp_path: Path, cell: bytes) -> None:
    assert column(tmp_path, F("A", "D", 8), [b"20240101", cell]) == ["2024-01-01", None]
    assert told(tmp_path / "t.dbf")[0].startswith("t: record 2, field A: ")


def test_booleans(tmp_path: Path) -> None:
    cells = [b"T", b"t", b"Y", b"y", b"F", b"f", b"N", b"n", b"?", b" ", b"\0", b"X"]
    values = [True] * 4 + [False] * 4 + [None] * 4
    found = column(tmp_path, F("A", "L", 1), cells)
    assert found == values
    assert type(found[0]) is bool
    assert told(tmp_path / "t.dbf") == ["t: record 12, field A: neither true nor false; returned as NULL"]


def _julian(moment: date) -> int:
    return moment.toordinal() + 1721425


@pytest.mark.parametrize(
    ("day", "ms", "text"),
    [
        (date(2020, 2, 20), 73_220_000, "2020-02-20 20:20:20"),
        (date(1899, 12, 30), 48_938_999, "1899-12-30 13:35:39"),
        (date(2023, 12, 31), 86_399_999, "2024-01-01 00:00:00"),
        (date(2023, 12, 31), 86_399_500, "2023-12-31 23:59:59.500000"),
        (date(1, 1, 1), 0, "0001-01-01 00:00:00"),
    ],
)
def test_datetimes_of_foxpro(tmp_path: Path, day: date, ms: int, text: str) -> None:
    cells = [struct.pack("<II", _julian(day), ms), bytes(8), b" " * 8]
    assert column(tmp_path, F("A", "T", 8, flags=4), cells, VFP) == [text, None, None]


def test_datetimes_that_are_none(tmp_path: Path) -> None:
    cells = [struct.pack("<II", 2_459_108, 86_400_000), struct.pack("<II", 9_999_999, 0), struct.pack("<II", 5, 0)]
    assert column(tmp_path, F("A", "T", 8), cells, VFP) == [None] * 3
    assert len(told(tmp_path / "t.dbf")) == 3


@settings(deadline=None)
@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)))
def test_any_datetime_of_dbase_7(moment: datetime) -> None:
    whole = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    ms = (whole - datetime(1, 1, 1)) // timedelta(milliseconds=1) + 86_400_000
    assert _datetime7(struct.pack(">d", float(ms))) == whole.isoformat(" ")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (0, "0.0000"),
        (1, "0.0001"),
        (-1, "-0.0001"),
        (104_121_241, "10412.1241"),
        (10**15 - 1, "99999999999.9999"),
        (2**63 - 1, "922337203685477.5807"),
        (-(2**63), "-922337203685477.5808"),
    ],
)
def test_currency_keeps_four_digits(tmp_path: Path, raw: int, text: str) -> None:
    assert column(tmp_path, F("A", "Y", 8), [struct.pack("<q", raw), struct.pack("<q", 25_000)], VFP) == [
        text,
        "2.5000",
    ]


@settings(deadline=None)
@given(st.integers(-(2**63), 2**63 - 1))
def test_any_currency(raw: int) -> None:
    exact = Decimal(raw).scaleb(-4)
    assert Decimal(_currency_exact(struct.pack("<q", raw))) == exact
    try:
        assert Decimal(digits(_currency(struct.pack("<q", raw)), 4)) == exact
    except Inexact:
        assert abs(raw) >= 10**15


def test_binary_numbers_of_foxpro(tmp_path: Path) -> None:
    fields = [F("I", "I", 4, flags=4), F("B", "B", 8, 2, flags=4), F("A", "I", 4, flags=0x0C)]
    rows = [
        [struct.pack("<i", n), struct.pack("<d", n / 7), struct.pack("<i", n + 1)] for n in (0, -(2**31), 2**31 - 2)
    ]
    path = write(tmp_path / "t.dbf", fields, [*rows, [bytes(4), struct.pack("<d", float("nan")), bytes(4)]], VFP)
    assert read(path) == [
        (0, 0.0, 1),
        (-(2**31), -(2**31) / 7, -(2**31) + 1),
        (2**31 - 2, (2**31 - 2) / 7, 2**31 - 1),
        (0, None, 0),
    ]
    assert told(path) == ["t: record 4, field B: not a number; returned as NULL"]


def _flipped(value: float) -> bytes:
    """A double as dBase 7 has it: it sorts by its bytes."""
    bits = int.from_bytes(struct.pack(">d", value), "big")
    return (bits ^ (2**64 - 1 if bits >> 63 else 2**63)).to_bytes(8, "big")


def test_dbase_7(tmp_path: Path) -> None:
    fields = [F("a_long_name_of_a_field", "I", 4), F("b", "O", 8), F("c", "@", 8), F("d", "+", 4), F("e", "C", 4)]
    rows = [
        [
            struct.pack(">I", 2**31 + n),
            _flipped(n / 3),
            bytes.fromhex("42ccf9bdcaa9d000"),
            struct.pack(">I", 2**31 + n),
            b"\xe9",
        ]
        for n in (1, 0, -1)
    ]
    path = write(tmp_path / "t.dbf", fields, [*rows, [bytes(4), bytes(8), bytes(8), bytes(4), b""]], 0x04)
    moment = "2020-02-20 20:20:20"
    assert read(path) == [
        (1, 1 / 3, moment, 1, "é"),
        (0, 0.0, moment, 0, "é"),
        (-1, -1 / 3, moment, -1, "é"),
        (None, None, None, None, ""),
    ]
    assert read(path, "SELECT A_Long_Name_of_a_Field FROM t WHERE b > 0") == [(1,)]


def test_dbase_2(tmp_path: Path) -> None:
    fields = [F("NAMA", "C", 10), F("UMUR", "N", 3), F("GAJI", "N", 8, 2), F("AKTIF", "L", 1)]
    rows = [[b"Ani", b" 42", b" 1200.50", b"T"], [b"Budi", b"", b"", b"?"], [b"Cici", b" 7", b" 1", b"F"]]
    path = write(tmp_path / "t.dbf", fields, rows, 0x02, deleted=[2])
    assert path.read_bytes()[521:525] == b" Ani"
    assert read(path) == [("Ani", 42, "1200.50", True), ("Budi", None, None, None)]


# --------------------------------------------------------------------------- null flags and varchars


def test_null_flags(tmp_path: Path) -> None:
    fields = [
        F("A", "N", 4, flags=2),
        F("B", "C", 4),
        F("C", "C", 4, flags=2),
        F("D", "L", 1, flags=2),
        F("_NullFlags", "0", 1, flags=5),
    ]
    rows = [
        [b"   0", b"b", b"", b"F", b"\x00"],
        [b"   0", b"b", b"", b"F", b"\x01"],
        [b"   0", b"b", b"", b"F", b"\x02"],
        [b"****", b"b", b"\0x", b"X", b"\x07"],
    ]
    path = write(tmp_path / "t.dbf", fields, rows, VFP)
    assert read(path) == [(0, "b", "", False), (None, "b", "", False), (0, "b", None, False), (None, "b", None, None)]
    assert told(path) == []


def test_varchar_and_varbinary(tmp_path: Path) -> None:
    fields = [F("A", "V", 5), F("B", "Q", 4, flags=2), F("C", "V", 3, flags=4), F("_NullFlags", "0", 1, flags=5)]
    # Bits: A's length, B's length, B's null, C's length.
    rows = [
        [b"ab\0\0\x02", b"\1\2\0\2", b"\xff\0\1", b"\x0b"],
        [b"abcde", b"\1\2\3\4", b"\xff\xfe\xfd", b"\x00"],
        [b"a  \0\x03", b"\0\0\0\0", b"\0\0\0", b"\x0f"],
        [b"\0\0\0\0\0", b"\0\0\0\0", b"\0\0\0", b"\x0b"],
        [b"abcd\x09", b"\0\0\0\0", b"\0\0\0", b"\x0b"],
    ]
    path = write(tmp_path / "t.dbf", fields, rows, 0x32)
    assert read(path) == [
        ("ab", b"\1\2", b"\xff"),
        ("abcde", b"\1\2\3\4", b"\xff\xfe\xfd"),
        ("a  ", None, b""),
        ("", b"", b""),
        (None, b"", b""),
    ]
    assert told(path) == ["t: record 5, field A: the length exceeds the field; returned as NULL"]


def test_more_null_flags_than_one_byte_holds(tmp_path: Path) -> None:
    fields = [F(f"C{n}", "C", 1, flags=2) for n in range(17)] + [F("_NullFlags", "0", 3, flags=5)]
    path = write(tmp_path / "t.dbf", fields, [[b"x"] * 17 + [struct.pack("<I", 1 << n)[:3]] for n in range(17)], VFP)
    assert read(path) == [tuple(None if m == n else "x" for m in range(17)) for n in range(17)]


def test_a_varchar_without_null_flags_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t.dbf", [F("A", "V", 5)], [[b"abcde"]], 0x32)
    with pytest.raises(Exception, match="file-format"):
        read(path)


# -------------------------------------------------------------------------------------------- memos


@pytest.mark.parametrize(("block", "count"), [(64, 3), (512, 3), (33, 40), (1, 3)])
def test_memos_of_foxpro(tmp_path: Path, block: int, count: int) -> None:
    memos = [(1, f"memo {n} é\r\n".encode("cp1252") * n) for n in range(count)]
    places = fpt(tmp_path / "t.fpt", memos, block)
    rows = [[struct.pack("<I", place)] for place in places] + [[bytes(4)], [struct.pack("<I", 10**6)]]
    path = write(tmp_path / "t.dbf", [F("M", "M", 4)], rows, VFP, code_page=3)
    assert read(path) == [(data.decode("cp1252"),) for _, data in memos] + [(None,), (None,)]
    assert told(path) == [
        f"t: record {count + 2}, field M: its memo starts after the end of the memo file; returned as NULL"
    ]


def test_binary_memos_of_foxpro(tmp_path: Path) -> None:
    data = bytes(range(256))
    places = fpt(tmp_path / "T.FPT", [(0, data), (1, data[32:127]), (1, b"")])
    fields = [F("B", "M", 4, flags=4), F("W", "W", 4), F("G", "G", 4), F("M", "M", 4)]
    rows = [[struct.pack("<I", place)] * 4 for place in places]
    path = write(tmp_path / "t.dbf", fields, rows, VFP)
    text = data[32:127]
    assert read(path) == [(data,) * 4, (text, text, text, text.decode()), (b"", b"", b"", "")]
    assert told(path) == ["t: field M has binary data besides text: returned as bytes"]


def test_memos_of_foxpro_2(tmp_path: Path) -> None:
    (place,) = fpt(tmp_path / "t.fpt", [(1, b"satu")])
    path = write(tmp_path / "t.dbf", [F("M", "M", 10)], [[b"%10d" % place], [b""], [b"x"]], 0xF5)
    assert read(path) == [("satu",), (None,), (None,)]
    assert told(path) == ["t: record 3, field M: it does not point into the memo file; returned as NULL"]


def test_memos_of_dbase_3(tmp_path: Path) -> None:
    memos = [b"satu\r\ndua", b"x" * 1500, b"terbungkus\x8d\noleh editor", b"\x89PNG\r\n\x1a\n\0\0", b"a\0b", b""]
    places = dbt3(tmp_path / "t.dbt", memos)
    path = write(tmp_path / "t.dbf", [F("M", "M", 10)], [[b"%10d" % place] for place in places], 0x83)
    assert [row[0] for row in read(path)] == ["satu\r\ndua", "x" * 1500, "terbungkus\r\noleh editor", None, None, ""]
    assert [line[:19] for line in told(path)] == ["t: record 4, field ", "t: record 5, field "]


@pytest.mark.parametrize("block", [512, 1024, 64])
def test_memos_of_dbase_4(tmp_path: Path, block: int) -> None:
    data = bytes(range(256)) * 5
    places = dbt4(tmp_path / "t.dbt", [b"satu\r\n", b"dua\x1a\x1f", data], block)
    rows = [[b"%010d" % place] * 2 for place in places] + [[b"%010d" % (places[0] + 9999)] * 2]
    path = write(tmp_path / "t.dbf", [F("M", "M", 10), F("B", "B", 10)], rows, 0x8B)
    assert read(path) == [("satu\r\n", b"satu\r\n"), ("dua\x1a\x1f", b"dua\x1a\x1f"), (data, data), (None, None)]


_READER = """
import json, sys
from pathlib import Path
from adapters.dbf.copy_manager import main
before = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
assert main(json.load(sys.stdin)) == 0
print(before, Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def test_many_large_memos_need_little_memory(tmp_path: Path) -> None:
    places = fpt(tmp_path / "t.fpt", [(1, bytes((65 + n % 26,)) * 500_000) for n in range(160)])
    path = write(tmp_path / "t.dbf", [F("M", "M", 4)], [[struct.pack("<I", place)] for place in places], VFP)
    task = {"name": "t", "path": str(path), "encoding": "", "cache": str(tmp_path / "t.sqlite3"), "indices": []}
    ended = subprocess.run(
        [sys.executable, "-c", _READER], input=json.dumps(task), capture_output=True, text=True, check=True, cwd=ROOT
    )
    before, most = map(int, ended.stdout.split())
    assert (tmp_path / "t.sqlite3").stat().st_size > 80_000_000
    assert most - before < 60 * 1024


# ------------------------------------------------------------------------------- records and headers


def test_deleted_records_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "t.dbf", [F("A", "N", 5)], [[b"%5d" % n] for n in range(9000)], deleted=range(0, 9000, 3))
    assert [row[0] for row in read(path)] == [n for n in range(9000) if n % 3]
    path = write(tmp_path / "u.dbf", [F("A", "N", 5)], [[b"x"], [b"y"]], deleted=[0, 1])
    assert read(path, "SELECT * FROM u") == []
    assert told(path) == []


def test_warnings_count_deleted_records_as_dbase_does(tmp_path: Path) -> None:
    path = write(tmp_path / "t.dbf", [F("A", "N", 2)], [[b"x"], [b" 1"], [b"y"]], deleted=[0])
    assert read(path) == [(1,), (None,)]
    assert told(path) == ["t: record 3, field A: not a number; returned as NULL"]


def test_warnings_do_not_grow_with_the_table(tmp_path: Path) -> None:
    path = write(tmp_path / "t.dbf", [F("A", "N", 2)], [[b"x"]] * 5000)
    assert read(path, "SELECT count(a), count(*) FROM t") == [(0, 5000)]
    lines = told(path)
    assert len(lines) == 21
    assert lines[-1] == "t: field A: 4980 more cells are returned as NULL"


@pytest.mark.parametrize(
    ("options", "rows", "word"),
    [
        ({"count": 9}, 3, "the file ends after 3 records, but its header states 9"),
        ({"count": 9, "end": b""}, 3, "the file ends after 3 records, but its header states 9"),
        ({"count": 2}, 2, "the file has more data after the 2 records that its header states: ignored"),
        ({"end": b""}, 3, ""),
        ({"end": b"\x1a" + b" " * 90}, 3, ""),
        ({"date": b"\xff\xff\xff"}, 3, ""),
    ],
)
def test_ends_of_files(tmp_path: Path, options: dict[str, Any], rows: int, word: str) -> None:
    path = write(tmp_path / "t.dbf", [F("A", "N", 5)], [[b"1"], [b"2"], [b"3"]], **options)
    assert len(read(path)) == rows
    assert told(path) == ([f"t: {word}"] if word else [])


def test_names_of_fields(tmp_path: Path) -> None:
    fields = [
        F("Nama", "C", 1),
        F("NAMA", "C", 1),
        F("nama_2", "C", 1),
        F("order", "C", 1),
        F("é", "C", 1),
        F(" ", "C", 1),
    ]
    path = write(tmp_path / "t.dbf", fields, [[b"a", b"b", b"c", b"d", b"e", b"f"]])
    assert read(path, 'SELECT nama_3, "order", é, field_6 FROM t') == [("b", "d", "e", "f")]
    assert told(path)[0].startswith("t: the name NAMA occurs twice")


def test_an_unknown_type_is_bytes_and_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path / "t.dbf", [F("A", "Z", 3), F("B", "C", 1)], [[b"\1\2 ", b"x"]])
    assert read(path) == [(b"\1\2 ", "x")]
    assert told(path) == ["t: field A has the unknown type 'Z': its bytes are returned unchanged"]


def _changed(path: Path, at: int, to: bytes) -> Path:
    data = bytearray(path.read_bytes())
    data[at : at + len(to)] = to
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("at", "to", "word"),
    [
        (0, b"\x99", "no DBF version has the first byte 0x99"),
        (0, b"\xe5", "the memo format of HiPer-Six (SMT) is not supported"),
        (8, b"\xff\xff", "the file ends in its header"),
        (10, b"\x63", "the fields take 6 bytes, but a record has 99"),
        (15, b"\x01", "the file is encrypted"),
        (32 + 11, b"D", "field A of type D cannot be 5 bytes wide"),
        (32, b"\r", "the file has no field"),
    ],
)
def test_a_header_that_cannot_be_read_right_is_refused(tmp_path: Path, at: int, to: bytes, word: str) -> None:
    _changed(write(tmp_path / "t.dbf", [F("A", "N", 5)], [[b"1"]]), at, to)
    (tmp_path / "u.dbf").write_bytes(b"")
    source = {"database": ".", "roots": [tmp_path]}
    assert f"t.dbf: {word}" in problems(source)
    adapter = DBase(source)
    with pytest.raises(QueryFailed) as error:
        adapter.run(adapter.connect(), "SELECT * FROM t", {}, Limits(10, 10))
    assert error.value.reason == "file-format"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.integers(0, 120), st.sampled_from([0x02, 0x03, 0x04, 0x30, 0x83, 0xF5]))
def test_no_damage_ends_in_anything_but_rows_or_a_refusal(tmp_path: Path, noise: bytes, at: int, version: int) -> None:
    fields = [F("A", "N", 5), F("B", "C", 3), F("C", "D", 8), F("D", "L", 1)]
    path = write(
        tmp_path / "t.dbf",
        fields[: 2 if version == 2 else 4],
        [[b"1", b"a", b"20240101", b"T"][: 2 if version == 2 else 4]] * 5,
        version,
    )
    _changed(path, at, noise)
    for cache in tmp_path.glob(".mantra*.sqlite3"):
        cache.unlink()
    assert _outcome(path) in ("rows", "file-format")


def _outcome(path: Path) -> str:
    try:
        read(path)
    except SourceError as error:
        return error.reason
    return "rows"


WIDE = F("CATATAN", "C", 300)
STRAY = F("TINGGI", "C", 8, 2)


@pytest.mark.parametrize(
    "fields", [[STRAY, WIDE], [WIDE, STRAY], [STRAY, WIDE, F("N", "N", 5, 2), STRAY], [WIDE, WIDE]]
)
def test_b22_the_width_of_the_record_tells_a_high_byte_from_stray_decimals(tmp_path: Path, fields: list[F]) -> None:
    named = [F(f"F{number}", each.type, each.width, each.decimals) for number, each in enumerate(fields)]
    values = [b"1.25 " if each.type == "N" else b"x" * each.width for each in fields]
    path = write(tmp_path / "t.dbf", named, [values])
    assert read(path) == [tuple(value.decode().strip() for value in values)]


def test_b22_widths_that_can_be_read_in_two_ways_are_refused(tmp_path: Path) -> None:
    """One of two equal fields is wide, and nothing tells which."""
    write(tmp_path / "t.dbf", [F("A", "C", 256 + 8), F("B", "C", 8, 1)], [[b"a", b"b"]])
    assert problems({"database": "t.dbf", "roots": [tmp_path]}) == [
        "t.dbf: the fields take 17 bytes, but a record has 273"
    ]
