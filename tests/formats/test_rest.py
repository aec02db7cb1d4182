"""Each REST format against somebody else's reader."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import openpyxl
import phpserialize
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from openpyxl.utils.escape import unescape

from mantra.gateway.formats import FORMATS, xlsx
from registry import faults, results
from registry.results import Document
from tests.formats.oracle import Php, answer

ANY_TEXT = st.text(st.characters(codec=None), max_size=30)
SHARP = st.text(st.sampled_from("ab,\"'\\\r\n\t\0\x01\x1f\x7f&<>]/é€\U0001f600\ufffe\ud800 "), max_size=12)
TEXTS = ANY_TEXT | SHARP
CELLS = st.lists(st.none() | TEXTS, min_size=1, max_size=8)
NAMES = st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=1, max_size=4, unique=True)
THOROUGH = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def utf8(text: str | None) -> str | None:
    """What UTF-8 can carry of a text."""
    return text if text is None else "".join("\ufffd" if "\ud800" <= each <= "\udfff" else each for each in text)


def xml10(text: str | None) -> str | None:
    """What XML 1.0 can carry of a text."""
    if text is None:
        return None
    legal = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
    return "".join(each if legal.match(each) else "\ufffd" for each in text)


@given(CELLS)
@THOROUGH
def test_any_text_passes(php: Php, cells: list[str | None]) -> None:
    rows, clean = [(cell, "x") for cell in cells], [utf8(cell) for cell in cells]
    columns: list[Any] = [("v", "text"), ("w", "text")]
    data = [{"v": cell, "w": "x"} for cell in clean]
    assert json.loads(answer("json", columns, rows))["data"] == data
    assert [json.loads(line) for line in answer("ndjson", columns, rows).split(b"\n")[:-1]] == data
    assert php.unserialize(answer("php", columns, rows))["data"] == data
    assert php.eval(answer("phpa", columns, rows))["data"] == data
    old = phpserialize.loads(answer("php", columns, rows), decode_strings=True)
    assert [row["v"] for row in old["data"].values()] == clean
    tree = etree.fromstring(answer("xml", columns, rows))
    nil = "{http://www.w3.org/2001/XMLSchema-instance}nil"
    read = [None if cell.get(nil) == "true" else (cell.text or "") for cell in tree.iterfind("data/row/v")]
    assert read == [xml10(cell) for cell in cells]


@given(CELLS)
@THOROUGH
def test_csv_keeps_null_and_empty_apart(cells: list[str | None]) -> None:
    body = answer("csv", [("v", "text"), ("w", "text")], [(cell, "x") for cell in cells]).decode()
    read = list(csv.reader(io.StringIO(body, newline=""), strict=True))
    assert read == [["v", "w"], *([utf8(cell) or "", "x"] for cell in cells)]
    for cell, one in zip(cells, (answer("csv", ["v", "w"], [(cell, "x")]) for cell in cells), strict=True):
        assert one.startswith(b"v,w\r\n,x\r\n") == (cell is None)
        assert one.startswith(b'v,w\r\n"",x\r\n') == (cell == "")


@given(NAMES)
@THOROUGH
def test_any_column_name_passes(php: Php, names: list[str]) -> None:
    row = tuple(str(place) for place in range(len(names)))
    data = dict(zip(names, row, strict=True))
    columns = [(name, "text") for name in names]
    assert json.loads(answer("json", columns, [row]))["data"] == [data]
    assert answer("php", columns, [row]) == php.serialize({"data": [data], "count": 1, "truncated": False})
    assert answer("phpa", columns, [row]) == php.export({"data": [data], "count": 1, "truncated": False})
    read = list(csv.reader(io.StringIO(answer("csv", columns, [row]).decode(), newline=""), strict=True))
    assert read == [names, list(row)]
    cells = etree.fromstring(answer("xml", columns, [row])).find("data/row")
    assert cells is not None
    named = {cell.get("name", cell.tag): cell.text for cell in cells}
    assert named == {xml10(name): value for name, value in data.items()} or len(set(map(xml10, names))) < len(names)


def test_xml_names() -> None:
    body = answer(
        "xml", ["nama", "a b", "2x", 'q"<&>', "é", "a:b", "-"], [("1", None, "3", "4", "5", "6", "7")]
    ).decode()
    assert (
        "<row><nama>1</nama>"
        '<column name="a b" xsi:nil="true"/>'
        '<column name="2x">3</column>'
        '<column name="q&quot;&lt;&amp;&gt;">4</column>'
        "<é>5</é>"
        '<column name="a:b">6</column>'
        '<column name="-">7</column></row>'
    ) in body


def test_columns_that_repeat_are_all_there(php: Php) -> None:
    columns: list[Any] = ["id", "id", "nama", "id"]
    row = (1, 2, "x", 3)
    data = {"id": 1, "id_2": 2, "nama": "x", "id_3": 3}
    assert json.loads(answer("json", columns, [row]))["data"] == [data]
    assert php.unserialize(answer("php", columns, [row]))["data"] == [data]
    assert php.eval(answer("phpa", columns, [row]))["data"] == [data]
    assert answer("csv", columns, [row]) == b"id,id_2,nama,id_3\r\n1,2,x,3\r\n"
    assert b"<id>1</id><id_2>2</id_2><nama>x</nama><id_3>3</id_3>" in answer("xml", columns, [row])
    sheet = openpyxl.load_workbook(io.BytesIO(answer("xlsx", columns, [row])))["data"]
    assert [cell.value for cell in sheet[1]] == list(data)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=9),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSONS)
@THOROUGH
def test_any_document_passes_as_php_would_write_it(php: Php, value: Any) -> None:
    assert FORMATS["php"].render_document(Document(value)) == php.serialize(value)
    assert FORMATS["phpa"].render_document(Document(value)) == php.export(value)
    assert json.loads(FORMATS["json"].render_document(Document(value))) == value
    etree.fromstring(FORMATS["xml"].render_document(Document(value)))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
@THOROUGH
def test_floats_are_the_same_float_everywhere(php: Php, values: list[float]) -> None:
    rows = [(value,) for value in values]
    assert [row["v"] for row in json.loads(answer("json", [("v", "float")], rows))["data"]] == values
    assert [row["v"] for row in php.unserialize(answer("php", [("v", "float")], rows))["data"]] == values
    assert answer("php", [("v", "float")], rows) == php.serialize(
        {"data": [{"v": value} for value in values], "count": len(values), "truncated": False}
    )
    texts = answer("csv", [("v", "float")], rows).decode().split("\r\n")[1:-1]
    assert list(map(float, texts)) == values


def test_a_document_in_xml() -> None:
    value = {"nip": "1", "anak": [{"nama": "A & B"}, None], "a b": [], "aktif": True, "tinggi": 1.5, "kosong": ""}
    assert FORMATS["xml"].render_document(Document(value)).decode() == (
        '<?xml version="1.0" encoding="utf-8"?>\n<response xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        '<nip>1</nip><anak><item><nama>A &amp; B</nama></item><item xsi:nil="true"/></anak>'
        '<column name="a b"></column><aktif>true</aktif><tinggi>1.5</tinggi><kosong></kosong></response>'
    )
    assert FORMATS["xml"].render_document(Document(["x", 1])).endswith(b"<item>x</item><item>1</item></response>")
    assert FORMATS["xml"].render_document(Document("x")).endswith(b'instance">x</response>')


def workbook(columns: list[Any], rows: list[Any]) -> Any:
    return openpyxl.load_workbook(io.BytesIO(answer("xlsx", columns, rows)))["data"]


def test_a_workbook_makes_nothing_of_text() -> None:
    texts = [
        "0012345678901234",
        "=1+1",
        "{=1}",
        "http://contoh.go.id/",
        "5",
        " a ",
        "<r>x</r>",
        "<r></r>",
        "é€",
        "a\nb",
        "TRUE",
        "#N/A",
        "a\0\x1fb",
        "_x0041_",
    ]
    sheet = workbook([("v", "text")], [(text,) for text in texts])
    # openpyxl leaves the workbook's own escapes (_x0000_) of text within a cell as they stand.
    assert [unescape(cell.value) for cell in sheet["A"]] == ["v", *texts]
    assert {cell.data_type for cell in sheet["A"]} == {"s"}
    assert all(cell.hyperlink is None for cell in sheet["A"])
    assert sheet["A1"].font.bold
    assert not sheet["A2"].font.bold


def test_a_workbook_holds_as_numbers_what_its_digits_hold() -> None:
    cases: list[tuple[str, Any, Any]] = [
        ("integer", 10**15 - 1, 10**15 - 1),
        ("integer", 10**15, str(10**15)),
        ("integer", "5", 5),
        ("decimal", "2500011.00", 2500011),
        ("decimal", "1234567890123.45", 1234567890123.45),
        ("decimal", "12345678901234.567", "12345678901234.567"),
        ("decimal", "-0.00", "-0.00"),
        ("float", 0.1, 0.1),
        ("float", 0.1 + 0.2, "0.30000000000000004"),
        ("float", 1e300, 1e300),
    ]
    for kind, value, shown in cases:
        cell = workbook([("v", kind)], [(value,)])["A2"]
        assert (type(cell.value) is str, cell.value) == (type(shown) is str, shown)
    assert workbook([("v", "decimal")], [("2500011.00",)])["A2"].number_format == "0.00"


def test_what_a_workbook_cannot_hold_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(columns: list[Any], rows: list[Any]) -> bool:
        with pytest.raises(results.Fault) as fault:
            answer("xlsx", columns, rows)
        return fault.value.kind is faults.FORMAT_IMPOSSIBLE

    assert workbook(["v"], [("x" * 32_767,)])["A2"].value == "x" * 32_767
    assert refused(["v"], [("x" * 32_768,)])
    assert refused(["v"] * 16_385, [])
    monkeypatch.setattr(xlsx, "MAX_ROWS", 3)
    assert workbook(["v"], [("x",)] * 3).max_row == 4
    assert refused(["v"], [("x",)] * 4)
