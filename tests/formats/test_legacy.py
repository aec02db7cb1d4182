"""The legacy wire against PHP and against what 1.99y was recorded to answer (legacy.jsonl)."""

from __future__ import annotations

import json
import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from mantra.gateway.formats import LEGACY
from registry import faults, results
from registry.results import Affected, Document, Row
from tests.formats.oracle import Php, answer

RECORDED = [
    json.loads(line) for line in (Path(__file__).parent.parent / "golden" / "legacy.jsonl").read_text().splitlines()
]
FORMAT_OF = {"json": "legacy_json", "xml": "legacy_xml", "api": "legacy_php"}
COLUMNS: list[tuple[str, str | None]] = [
    ("nip", "text"), ("nama", "text"), ("golongan", "text"), ("unit_kerja", "text"), ("tmt", "date"),
    ("gaji", "decimal"), ("aktif", "integer"), ("lahir", "datetime"), ("email", "text"), ("catatan", "text"),
]  # fmt: skip
THOROUGH = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def employee(n: int, native: bool) -> Row:
    """Row ``n`` of the recorded table: with Python's types, or with the texts that a source may hand over."""
    tmt, born = date(2000, 1, 1) + timedelta(n % 8000), datetime(1970, 1, 1, 8) + timedelta(n % 18000)
    pay, active = Decimal(2500000 + n).quantize(Decimal("0.01")), n % 2
    remark = f'catatan & <uji> "{n}"' if n % 5 else None
    typed: tuple[Any, ...] = (tmt, pay, bool(active), born) if native else (str(tmt), str(pay), active, str(born))
    grade, unit = ("II/a", "III/a", "III/b", "IV/a")[n % 4], f"Dinas {n % 37}"
    return (
        f"1980{n:014}", f"Pegawai {n}", grade, unit, *typed[:3], typed[3], f"p{n}@contoh.go.id", remark,
    )  # fmt: skip


def recorded_rows(exchange: dict[str, Any]) -> list[int]:
    return [int(each) for each in dict.fromkeys(re.findall(r"Pegawai (\d+)", exchange["body"]))]


@pytest.mark.parametrize("native", [True, False], ids=["native", "text"])
@pytest.mark.parametrize("exchange", RECORDED, ids=lambda each: f"{each['method']} {each['path']}")
def test_recorded(exchange: dict[str, Any], native: bool) -> None:
    kind, _, _, operation = exchange["path"].strip("/").split("/")[:4]
    wire = LEGACY[FORMAT_OF[kind]]
    body = exchange["body"]
    if numbers := recorded_rows(exchange):
        rows = [employee(n, native) for n in numbers]
        assert answer(wire.name, COLUMNS, rows, operation.replace("proxy_nip", "pegawai_by_nip")).decode() == body
        if kind == "json":
            assert wire.render_document(Document(json.loads(body), enveloped=True)).decode() == body
    else:
        response = json.loads(body)["response"]
        assert wire.render_fault(response["code"], response["message"]).decode() == body


@pytest.mark.parametrize("twin", ["legacy_xml", "legacy_php"])
def test_a_recorded_document_passes_into_the_other_formats(twin: str) -> None:
    by_path = {each["path"]: each["body"] for each in RECORDED if each["method"] == "GET"}
    prefix = "/xml" if twin == "legacy_xml" else "/api"
    pairs = [
        (by_path.get(path.replace(prefix, "/json", 1)), body)
        for path, body in by_path.items()
        if path.startswith(prefix)
    ]
    assert pairs
    assert all(source for source, _ in pairs)
    for source, body in pairs:
        assert LEGACY[twin].render_document(Document(json.loads(source or ""), enveloped=True)).decode() == body


TEXT = st.text(st.characters(codec="utf-8"), max_size=20) | st.text(
    st.sampled_from("ab\"'\\/\0\x08\x0c\n\r\t\x1f\x7f\x80&<>é\u2028\U0001f600u0000"), max_size=12
)


@given(st.lists(st.tuples(st.none() | TEXT, TEXT), min_size=1, max_size=7), TEXT, TEXT)
@THOROUGH
def test_rows_are_what_php_writes(php: Php, rows: list[Row], name: str, operation: str) -> None:
    if name == "w":
        name = "v"
    key = re.sub(r"[ .\-:]", "_", operation)
    data = {key: [{name: row[0], "w": row[1]} for row in rows]}
    envelope = {"response": {"status": 1, "code": 200, "message": "OK", "data": data}}
    columns: list[Any] = [(name, "text"), ("w", "text")]
    assert answer("legacy_json", columns, rows, operation) == php.json(envelope)
    assert answer("legacy_php", columns, rows, operation) == php.serialize(envelope)


INNER = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | st.sampled_from("0123"), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(INNER)
@THOROUGH
def test_documents_are_what_php_writes(php: Php, value: Any) -> None:
    wrapped = {"response": {"status": 1, "code": 200, "message": "OK", "data": value}}
    assert LEGACY["legacy_json"].render_document(Document(value)) == php.json(wrapped)
    assert LEGACY["legacy_php"].render_document(Document(value)) == php.serialize(wrapped)
    assert LEGACY["legacy_json"].render_document(Document(wrapped, enveloped=True)) == php.json(wrapped)
    assert LEGACY["legacy_php"].render_document(Document(wrapped, enveloped=True)) == php.serialize(wrapped)


@given(st.integers(), TEXT)
@THOROUGH
def test_failures_are_what_php_writes(php: Php, code: int, message: str) -> None:
    code = code % 99999
    envelope = {"response": {"status": 0, "code": code, "message": message, "data": ""}}
    assert LEGACY["legacy_json"].render_fault(code, message) == php.json(envelope)
    assert LEGACY["legacy_php"].render_fault(code, message) == php.serialize(envelope)
    tree = etree.fromstring(LEGACY["legacy_xml"].render_fault(code, message))
    assert [child.tag for child in tree] == ["status", "code", "message", "data"]
    assert tree.findtext("code") == str(code)


def test_a_failure_in_xml() -> None:
    assert LEGACY["legacy_xml"].render_fault(10012, 'Hasil "a:b.c" & <d>').decode() == (
        '<?xml version="1.0" encoding="utf-8"?>\n<response>\n  <status>0</status>\n  <code>10012</code>\n'
        '  <message>Hasil "a:b.c" &amp; &lt;d&gt;</message>\n  <data></data>\n</response>'
    )


def test_a_document_in_xml() -> None:
    value = {"a b": {"0": {"x": 1}, "1": {"x": None}}, "daftar": ["p", ["q", "r"]], "kosong": {}, "ya": True, "f": 1e25}
    assert LEGACY["legacy_xml"].render_document(Document(value)).decode() == (
        '<?xml version="1.0" encoding="utf-8"?>\n<response>\n  <status>1</status>\n  <code>200</code>\n'
        "  <message>OK</message>\n  <data>\n"
        "    <a_b>\n      <x>1</x>\n    </a_b>\n    <a_b>\n      <x></x>\n    </a_b>\n"
        "    <daftar>p</daftar>\n    <daftar>\n      <daftar>q</daftar>\n      <daftar>r</daftar>\n    </daftar>\n"
        "    <kosong></kosong>\n    <ya>true</ya>\n    <f>1.0E+25</f>\n  </data>\n</response>"
    )


def test_rows_touched(php: Php) -> None:
    for count, text in ((4, "4"), (-1, None)):
        data = {"simpan_data": [{"affected": text}]}
        envelope = {"response": {"status": 1, "code": 200, "message": "OK", "data": data}}
        assert LEGACY["legacy_json"].render_affected(Affected(count), "simpan.data") == php.json(envelope)
        assert LEGACY["legacy_php"].render_affected(Affected(count), "simpan.data") == php.serialize(envelope)
    body = LEGACY["legacy_xml"].render_affected(Affected(4), "simpan.data")
    assert b"    <simpan_data>\n      <affected>4</affected>\n    </simpan_data>\n" in body


def test_tags() -> None:
    body = answer("legacy_xml", [("unit kerja", "text"), ("é", "text")], [("a\r\n", "\0")], "daftar pegawai:1.2-3")
    assert b"<daftar_pegawai_1_2_3>\n      <unit_kerja>a&#13;\n</unit_kerja>\n" in body
    assert "<é>\ufffd</é>".encode() in body
    for name in ("1x", "a:b", "a<b", "", "count(*)"):
        with pytest.raises(results.Fault) as refused:
            answer("legacy_xml", [(name, "text")], [("x",)])
        assert (refused.value.kind, refused.value.details) == (faults.TAG_IMPOSSIBLE, {"column": name})
    for name in ("1x", "a<b", "", "count(*)", ":b", "a:", "a:b:c"):
        with pytest.raises(results.Fault) as refused:
            LEGACY["legacy_xml"].render_document(Document({name: "x"}))
        assert refused.value.kind is faults.TAG_IMPOSSIBLE
    assert b"<a:b>x</a:b>" in LEGACY["legacy_xml"].render_document(Document({"a:b": "x"}))
    assert answer("legacy_json", [("count(*)", "integer")], [(5,)]).decode().count('"count(*)": "5"') == 1
