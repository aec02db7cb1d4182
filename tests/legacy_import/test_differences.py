"""Each kind of difference between a response of MANTRA 1.99x and ours, in each format that can have it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from mantra.legacy_import.comparing_hosts import bodies
from mantra.legacy_import.comparing_hosts.differences import Difference, Response, differences
from mantra.legacy_import.comparing_hosts.kinds import CODES, KINDS, advice_on
from registry import faults
from tests.gateway import original
from tests.gateway.original import FORMATS, failure, rows, written

ROW = {"nip": "198000000000000001", "nama": "Siti", "gaji": "2500001.00", "aktif": "1", "tmt": "2000-01-02"}


def response(body: bytes, **more: Any) -> Response:
    return Response(200, body, hashlib.sha256(body).digest(), len(body), **more)


def found(old: Any, new: Any, format: str = "json", row_limit: int = 0) -> list[Difference]:
    sides = [each if isinstance(each, bytes) else written(each, format) for each in (old, new)]
    return differences(response(sides[0]), response(sides[1]), format, row_limit)


def kinds(*args: Any, **more: Any) -> list[str]:
    return [each.kind for each in found(*args, **more)]


def row(**changed: str | None) -> dict[str, Any]:
    return rows("cari", [{**ROW, **changed}])


@pytest.mark.parametrize("format", FORMATS)
def test_equal_bytes_are_no_difference(format: str) -> None:
    assert found(row(), row(), format) == []


#: The old value, the new one → the kind.
CELLS: list[tuple[str | None, str | None, str]] = [
    ("7", "7.0", "number-form"),
    ("1e20", "1e+20", "number-form"),
    ("0.1", "0.10000000149011612", "number-form"),
    ("t", "1", "boolean-form"),
    ("t", "true", "boolean-form"),
    ("f", "0", "boolean-form"),
    ("2026-01-02 03:04:05+00", "2026-01-02 03:04:05+00:00", "time-form"),
    ("2026-01-02 03:04:05", "2026-01-02T03:04:05", "time-form"),
    ("2026-01-02 00:00:00", "2026-01-02", "time-form"),
    ("1 day 02:03:04", "P1DT2H3M4S", "time-form"),
    ("Ünï", "ÃœnÃ¯", "letters"),
    ("?n?", "Ünï", "letters"),
    ("Siti Nurhaliza Ünï", "Siti Nurhaliza \ufffdn\ufffd", "letters"),
    ("halo dunia", "aGFsbyBkdW5pYQ==", "binary"),
    ("Siti", "Budi", "value"),
    ("12", "13", "value"),
    ("2026-01-02 03:04:05+07", "2026-01-02 03:04:05+00", "value"),
]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("old", "new", "kind"), CELLS)
def test_a_value_that_is_written_in_another_way(old: str, new: str, kind: str, format: str) -> None:
    for before, after in ((old, new), (new, old)):
        (difference,) = found(row(nama=before), row(nama=after), format)
        assert (difference.kind, difference.column) == (kind, "nama")
        assert (difference.old, difference.new) == (f"text({len(before)})", f"text({len(after)})")


@pytest.mark.parametrize("format", ["json", "api"])
@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [(None, "", "null-empty"), (None, "Ünï", "letters"), (None, "Siti", "value"), ("Siti ", "Siti", "blanks"),
     ("a\r\nb", "a\nb", "blanks")],
)  # fmt: skip
def test_null_and_blanks(old: str | None, new: str | None, kind: str, format: str) -> None:
    assert kinds(row(nama=old), row(nama=new), format) == [kind]


def test_a_number_where_a_text_was() -> None:
    new = written(row(), "json").replace(b'"2500001.00"', b"2500001.00")
    (difference,) = found(written(row(), "json"), new)
    assert (difference.kind, difference.column, difference.new) == ("number-as-text", "gaji", "number(10)")


def test_white_space_of_xml_is_harmless() -> None:
    old = row(nama="Siti  binti Ani")
    tidied = written(old, "xml").replace(b"Siti  binti Ani", b"Siti binti\nAni").replace(b"\n  ", b"\n ")
    assert kinds(tidied, old, "xml") == ["white-space"]
    assert kinds(row(nama="a"), row(nama="b"), "xml") == ["value"]


def test_old_xml_that_is_none() -> None:
    broken = written(row(), "xml").replace(b"Siti", b"Si\x01ti")
    assert kinds(broken, row(), "xml") == ["old-xml"]
    assert KINDS["old-xml"].harmless


def test_bytes_in_php_that_are_no_utf8() -> None:
    """A latin1 table behind a connection that says nothing of it."""
    old = written(row(nama="xxxx"), "api").replace(b"xxxx", "Ünïx".encode("latin-1"))
    (difference,) = found(old, row(nama="Ünïx"), "api")
    assert (difference.kind, difference.column) == ("letters", "nama")


MANY = [{"nomor": str(number), "nama": f"Orang {number}"} for number in range(1, 21)]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("old", "new", "row_limit", "expected", "shown"),
    [
        (MANY, MANY[:15], 0, ["missing-rows"], ("rows(20)", "rows(15)")),
        (MANY[:15], MANY, 0, ["extra-rows"], ("rows(15)", "rows(20)")),
        (MANY, MANY[::-1], 0, ["row-order"], ("rows(20)", "rows(20)")),
        (MANY, MANY[:15], 15, ["truncated"], ("rows(20)", "rows(15)")),
        (MANY[:10], MANY[10:], 0, ["missing-rows", "extra-rows"], ("rows(10)", "rows(10)")),
    ],
)
def test_sets_of_rows(
    old: Any, new: Any, row_limit: int, expected: list[str], shown: tuple[str, str], format: str
) -> None:
    differing = found(rows("semua", old), rows("semua", new), format, row_limit)
    assert [each.kind for each in differing] == expected
    assert (differing[0].old, differing[0].new) == shown


def test_other_order_and_other_values_at_once() -> None:
    new = [{**each, "nomor": f"{each['nomor']}.0"} for each in MANY[::-1]]
    assert kinds(rows("semua", MANY), rows("semua", new)) == ["row-order", "number-form"]


def test_one_changed_row_of_many() -> None:
    old = [{**each, "unit": "Dinas"} for each in MANY]
    new = [*old[:7], {**old[7], "nama": "Lain"}, *old[8:]]
    (difference,) = found(rows("semua", old), rows("semua", new))
    assert (difference.kind, difference.column, difference.old, difference.new) == (
        "value", "nama", "text(7)", "text(4)",
    )  # fmt: skip


@pytest.mark.parametrize("format", FORMATS)
def test_columns(format: str) -> None:
    without = {name: value for name, value in ROW.items() if name != "tmt"}
    (missing,) = found(row(), rows("cari", [without]), format)
    assert (missing.kind, missing.column) == ("missing-column", "tmt")
    (extra,) = found(rows("cari", [without]), row(), format)
    assert (extra.kind, extra.column) == ("extra-column", "tmt")
    assert kinds(row(), rows("cari", [dict(reversed(ROW.items()))]), format) == ["column-order"]


@pytest.mark.parametrize("format", FORMATS)
def test_key_under_data(format: str) -> None:
    (difference,) = found(rows("Cari", [ROW]), rows("cari", [ROW]), format)
    assert (difference.kind, difference.old, difference.new) == ("data-key", "Cari", "cari")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (row(), failure(10002, "Fungsi operasi tidak terdaftar"), "refused"),
        (row(), failure(10012, "tidak ada (kosong)"), "refused"),
        (failure(10012, "tidak ada (kosong)"), row(), "extra-rows"),
        (failure(10005, "wajib diisi"), row(), "more-accepted"),
        (failure(-9999, "SQLSTATE[42S02]: Table simpeg.x"), row(), "old-failed"),
        (failure(-9999, "SQLSTATE"), failure(10005, "wajib diisi"), "new-code"),
        (failure(1146, "Table"), failure(11202, "Koneksi database gagal"), "new-code"),
        (failure(10002, "tidak terdaftar"), failure(10004, "tidak terdefinisi"), "new-code"),
        (failure(10012, "kosong"), failure(10005, "wajib diisi"), "other-code"),
        (failure(10018, "a"), failure(10018, "b"), "message"),
    ],
)
def test_refusals(old: Any, new: Any, expected: str, format: str) -> None:
    (difference,) = found(old, new, format)
    assert difference.kind == expected
    assert (difference.code == new["code"]) == (expected == "refused")


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_no_response_of_the_old_program(format: str) -> None:
    assert kinds(b"", row(), format) == ["old-silent"]
    assert kinds(b"<html><body>Fatal error</body></html>", row(), format) == ["old-unreadable"]
    assert kinds(row(), b"<html>404</html>", format) == ["new-unreadable"]


def test_transport() -> None:
    body = response(written(row(), "json"))
    down, moved = Response(failure="connect refused"), Response(301, b"", b"x", 0)
    assert [each.kind for each in differences(down, body, "json")] == ["old-down"]
    assert [each.kind for each in differences(body, down, "json")] == ["new-down"]
    (status,) = differences(moved, body, "json")
    assert (status.kind, status.old, status.new) == ("http-status", "301", "200")


def test_large_bodies_are_compared_by_their_hash() -> None:
    old, new = Response(200, None, b"x" * 32, 9_000_000), Response(200, None, b"y" * 32, 9_000_001)
    assert differences(old, old, "json") == []
    assert [each.kind for each in differences(old, new, "json")] == ["large"]
    cut = response(written(rows("semua", MANY[:15]), "json"))
    (truncated,) = differences(old, cut, "json", 15)
    assert (truncated.kind, truncated.old, truncated.new) == ("truncated", "text(9000000)", "rows(15)")
    assert [each.kind for each in differences(old, cut, "json", 16)] == ["large"]
    unread = Response(200, None, b"", 300_000_000)
    assert [each.kind for each in differences(unread, unread, "json")] == ["large"]


def document(value: Any) -> dict[str, Any]:
    return {"status": 1, "code": 200, "message": "OK", "data": value}


@pytest.mark.parametrize(
    ("old", "new", "kind", "column"),
    [
        ({"suhu": 27.5}, {"suhu": "27.5"}, "number-as-text", "suhu"),
        ({"cari": {"nama": "Siti"}}, {"nama": "Siti"}, "structure", "cari"),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1]}}, "structure", "a.b"),
        ({"a": {"b": ""}}, {"a": {"b": None}}, "null-empty", "a.b"),
        ({"a": {"ya": True}}, {"a": {"ya": "1"}}, "boolean-form", "a.ya"),
        ("OK", {"a": "OK"}, "structure", ""),
    ],
)
def test_documents_of_proxies(old: Any, new: Any, kind: str, column: str) -> None:
    for format in ("json", "api"):
        first = found(document(old), document(new), format)[0]
        assert (first.kind, first.column) == (kind, column)


def test_names_that_are_data_are_not_shown() -> None:
    (difference, *_) = found(document({"3578010101800001": {"a": "b"}}), document({"x": "y"}))
    assert "3578" not in repr(difference)
    assert difference.column == "…(16)"


def test_the_same_values_in_other_bytes() -> None:
    old = written(row(), "json")
    assert kinds(old, json.dumps(json.loads(old)).encode()) == ["bytes"]


@pytest.mark.parametrize("old", [b"a:1:{i:0;", b"a:9999999:{}", b's:5:"x";', b"a:1:{" * 500, b"{" * 100_000, b"<?xml"])
def test_damaged_bodies(old: bytes) -> None:
    for format in FORMATS:
        assert kinds(old, row(), format) in (["old-unreadable"], ["old-xml"])


@pytest.mark.parametrize("format", FORMATS)
def test_both_readers_of_each_format_agree(format: str) -> None:
    value = original.rows("cari", [ROW, {**ROW, "nama": "Ünï & <b>"}])
    assert bodies.read(written(value, format), format)["response"]["data"]["cari"][1]["nama"] == "Ünï & <b>"


def test_no_difference_has_a_value() -> None:
    """What is personal in the rows is in no result."""
    secret = "Rahasia Negara"
    for old, new in ((row(nama=secret), row(nama="x")), (row(), row(nama=secret)), (rows("a", [ROW]), row(nama=None))):
        for format in FORMATS:
            assert secret not in repr(found(old, new, format))
            assert ROW["nip"] not in repr(found(old, new, format))


def test_every_code_has_advice() -> None:
    assert set(CODES) <= set(faults.TABLE)
    assert all(str(advice_on(code)) for code in faults.TABLE)
