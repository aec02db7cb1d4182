"""Reading files: each format, layout and value that people upload, read right or refused with what to do."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from dataservices.tabular.building import build
from dataservices.tabular.inspection import inspect
from dataservices.tabular.shapes import Bounds, ColumnWanted, Layout, Refused, TableFound
from tests.uploads import files

BOUNDS = Bounds(rows=1_000, columns=50, unpacked=32 << 20)
HEADER = ["NIK", "Nama", "Gaji"]
PEOPLE = [HEADER, ["3173010101900001", "Siti", 1500.5], ["3173010101900002", "Budi", 2000]]

Look = Callable[..., TableFound]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    def looked(content: bytes, sheet: str = "", layout: Layout | None = None, bounds: Bounds = BOUNDS) -> TableFound:
        path = tmp_path / "berkas"
        path.write_bytes(content)
        return inspect(path, sheet, layout or Layout(), bounds)

    return looked


@pytest.fixture
def stored(tmp_path: Path) -> Callable[..., list[tuple[Any, ...]]]:
    """The rows that a file becomes, with the kinds that are proposed or those given."""

    def rows(content: bytes, *kinds: str) -> list[tuple[Any, ...]]:
        path, target = tmp_path / "berkas", tmp_path / "tabel.sqlite3"
        path.write_bytes(content)
        target.unlink(missing_ok=True)
        found = inspect(path, "", Layout(), BOUNDS)
        wanted = [
            ColumnWanted(column.index, column.name, kinds[place] if kinds else column.kind)
            for place, column in enumerate(found.columns)
        ]
        count = build(path, target, "", found.layout, wanted, BOUNDS)
        with closing(sqlite3.connect(target)) as connection:
            result = connection.execute("SELECT * FROM rows").fetchall()
        assert len(result) == count == found.rows
        return result

    return rows


def kinds_of(found: TableFound) -> dict[str, str]:
    return {column.name: column.kind for column in found.columns}


def notes_of(found: TableFound) -> dict[str, dict[str, Any]]:
    return {note.code: note.details for note in found.notes}


def column_notes(found: TableFound, name: str) -> dict[str, dict[str, Any]]:
    return {note.code: note.details for column in found.columns if column.name == name for note in column.notes}


def refusal(look: Look, content: bytes, **more: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        look(content, **more)
    return refused.value


# ---------------------------------------------------------------------------------------- formats


@pytest.mark.parametrize(
    ("content", "format"),
    [
        (files.xlsx(PEOPLE), "xlsx"),
        (files.xls(PEOPLE), "xls"),
        (files.ods(PEOPLE), "ods"),
        (b"NIK,Nama,Gaji\n3173010101900001,Siti,1500.5\n3173010101900002,Budi,2000\n", "csv"),
    ],
)
def test_it_works(look: Look, stored: Any, content: bytes, format: str) -> None:
    found = look(content)
    assert found.format == format
    assert found.rows == 2
    assert list(kinds_of(found)) == ["nik", "nama", "gaji"]
    assert stored(content) == [("3173010101900001", "Siti", 1500.5), ("3173010101900002", "Budi", 2000)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "windows-1252"])
def test_csv_in_every_encoding_and_delimiter(look: Look, stored: Any, encoding: str, delimiter: str) -> None:
    rows = [["Kode", "Nama"], ["01", "Café Tōkyō" if encoding != "windows-1252" else "Café – “Ñ”"], ["02", "Biasa"]]
    content = "\r\n".join(delimiter.join(row) for row in rows).encode(encoding)
    found = look(content)
    assert notes_of(found)["dialect"]["delimiter"] == delimiter
    assert stored(content) == [tuple(rows[1]), tuple(rows[2])]


def test_the_delimiter_is_the_one_that_fits_all_rows(stored: Any) -> None:
    content = 'Nama;Alamat;Nilai\n"Siti, S.H.";"Jl. A;B, no. 1";1,5\nBudi;"Baris\nkedua";2,5\n'
    assert stored(content.encode()) == [("Siti, S.H.", "Jl. A;B, no. 1", 1.5), ("Budi", "Baris\nkedua", 2.5)]


def test_excels_own_first_line_names_the_delimiter(stored: Any) -> None:
    assert stored(b"sep=|\na|b,c\n1|2\n") == [(1, 2)]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty-file"),
        (b"%PDF-1.7\n%...", "not-a-table"),
        (b"\x89PNG\r\n\x1a\n....", "not-a-table"),
        (b"MZ\x90\x00\x03\x00\x00\x00\x04" * 20, "not-a-table"),
        (b"<html><table><tr><td>NIK</td></tr></table></html>", "web-page"),
        (b'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook/>', "xml-table"),
        (files.protected(files.xlsx(PEOPLE)), "password"),
        (files.xlsx(PEOPLE)[:-300], "damaged"),
        (files.xls(PEOPLE)[:600], "not-a-table"),
        (
            files.changed(files.xlsx(PEOPLE), "xl/worksheets/sheet1.xml", b"<worksheet><sheetData><row>"),
            "sheet-damaged",
        ),
        (files.xlsx([]), "empty-sheet"),
        (files.xlsx([HEADER]), "no-rows"),
        (b'Nama,Alamat\nSiti,"Jl. Merdeka\n' + b"Budi,Jl. Sudirman\n" * 10_000, "quote"),
        (b"Nama,Alamat\nSiti,Jl. Merdeka, Jakarta\n", "too-many-values"),
        ("a\tb\n1\t2\n".encode("utf-16")[:-1], "encoding"),
        (files.ods(PEOPLE)[:500], "damaged"),
    ],
)
def test_what_cannot_be_read_is_refused(look: Look, content: bytes, code: str) -> None:
    assert refusal(look, content).code == code


# ------------------------------------------------------------------------------------------ bounds


def test_a_zip_bomb_is_refused_by_its_directory(look: Look) -> None:
    begun = time.process_time()
    assert refusal(look, files.bomb(40)).code == "unpacked"
    assert time.process_time() - begun < 2


def test_a_directory_that_lies_is_found_while_unpacking(look: Look) -> None:
    for size in (1000, 30 << 20):
        content = files.lying(files.bomb(8), "xl/worksheets/sheet1.xml", size)
        assert refusal(look, content).code == "damaged"


def test_rows_columns_and_cells_have_a_bound(look: Look) -> None:
    rows = [HEADER, *(["1", "x", n] for n in range(11))]
    few = Bounds(rows=10, columns=2, unpacked=32 << 20)
    wide = Bounds(rows=10, columns=3, unpacked=32 << 20)
    assert refusal(look, files.xlsx(rows), bounds=few).code == "columns"
    for content in (files.xlsx(rows), "\n".join(f"1,x,{n}" for n in range(12)).encode()):
        assert refusal(look, content, bounds=wide).code == "rows"
    assert look(files.xlsx(rows[:-1]), bounds=wide).rows == 10
    assert refusal(look, b"a,b\n1," + b"x" * 40_000).code == "cell"


# ----------------------------------------------------------------------------------------- layouts


def test_titles_above_and_totals_below_are_shown(look: Look, stored: Any) -> None:
    rows = [["Daftar Pegawai 2024"], [], *PEOPLE, ["Jumlah", None, 3500.5], ["Sumber: BKN"]]
    found = look(files.xlsx(rows))
    assert found.titles == ["Daftar Pegawai 2024"]
    assert found.layout == Layout(3, 1, 2)
    assert [line[0] for line in found.last_lines] == ["Jumlah", "Sumber: BKN"]
    assert found.rows == len(stored(files.xlsx(rows))) == 2
    kept = look(files.xlsx(rows), layout=Layout(3, 1, 0))
    assert (kept.rows, kept.last_lines) == (4, [])


def test_a_header_with_merged_cells_is_joined(look: Look) -> None:
    def merged(_workbook: Any, sheet: Any) -> None:
        sheet.merge_range(0, 0, 0, 3, "Data Penduduk")
        sheet.merge_range(1, 0, 2, 0, "No")
        sheet.merge_range(1, 1, 2, 1, "Nama")
        sheet.merge_range(1, 2, 1, 3, "Alamat")

    rows = [[], [], [None, None, "Jalan", "Kota"], ["(1)", "(2)", "(3)", "(4)"], [1, "Siti", "Mawar", "Bogor"],
            [2, "Budi", "Melati", "Depok"]]  # fmt: skip
    found = look(files.xlsx(rows, merged))
    assert list(kinds_of(found)) == ["no", "nama", "alamat_jalan", "alamat_kota"]
    assert found.layout == Layout(2, 2, 0)
    assert {"header-lines", "numbering"} <= notes_of(found).keys()
    assert found.rows == 2


def test_cells_that_are_merged_downwards_count_for_each_row(look: Look, stored: Any) -> None:
    rows = [["Unit", "Nama"], [None, "Siti"], [None, "Budi"], ["B", "Ani"]]
    content = files.xlsx(rows, lambda _workbook, sheet: sheet.merge_range(1, 0, 2, 0, "A"))
    assert stored(content) == [("A", "Siti"), ("A", "Budi"), ("B", "Ani")]
    assert notes_of(look(content))["filled-down"] == {"count": 1}


def test_blank_rows_and_columns_are_left_out(look: Look, stored: Any) -> None:
    content = files.xlsx([["a", None, "b"], [1, None, 2], [], [3, None, 4]])
    assert stored(content) == [(1, 2), (3, 4)]
    assert notes_of(look(content)) == {"blank-rows": {"count": 1}, "blank-columns": {"count": 1}}


def test_columns_get_legal_and_different_names(look: Look) -> None:
    header = ["Nama Lengkap", "Nama lengkap", None, "2024 (Rp)", "Größe/é", "ORDER", "№"]
    found = look(files.xlsx([header, ["a", "b", "c", "d", "e", "f", "g"]], None), layout=Layout(1, 1, 0))
    assert list(kinds_of(found)) == [
        "nama_lengkap", "nama_lengkap_2", "kolom_3", "k_2024_rp", "groe_e", "order_", "no",
    ]  # fmt: skip
    assert "same-header" in column_notes(found, "nama_lengkap_2")
    assert "no-header" in column_notes(found, "kolom_3")


def test_a_file_without_a_header(look: Look) -> None:
    found = look(b"1;2\n3;4\n")
    assert found.layout.header_row == 0
    assert (list(kinds_of(found)), found.rows) == (["kolom_1", "kolom_2"], 2)
    assert "no-header-row" in notes_of(found)
    with pytest.raises(Refused):
        look(b"a;b\n3;4\n", layout=Layout(9, 1, 0))


def test_sheets_are_listed_and_chosen(look: Look) -> None:
    def sheets(workbook: Any, _sheet: Any) -> None:
        workbook.add_worksheet("Kedua").write_column(0, 0, ["kode", "7"])
        hidden = workbook.add_worksheet("Sembunyi")
        hidden.write_column(0, 0, ["x", "y"])
        hidden.hide()

    content = files.xlsx(PEOPLE, sheets)
    found = look(content)
    assert [(sheet.name, sheet.hidden) for sheet in found.sheets] == [
        ("Data", False), ("Kedua", False), ("Sembunyi", True),
    ]  # fmt: skip
    assert list(kinds_of(look(content, sheet="Kedua"))) == ["kode"]
    assert refusal(look, content, sheet="Ketiga").code == "no-sheet"


# ------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("header", "values", "kind", "expected"),
    [
        ("jumlah", ["1", "20", "-3"], "integer", [1, 20, -3]),
        ("jumlah", ["1.234", "12.345.678"], "integer-id", [1234, 12345678]),
        ("jumlah", ["1,234", "12,345,678"], "integer-en", [1234, 12345678]),
        ("jumlah", ["1.234,56", "7"], "decimal-id", [1234.56, 7]),
        ("jumlah", ["1,234.56", "7"], "decimal-en", [1234.56, 7]),
        ("jumlah", ["0,5", "12,25"], "decimal-id", [0.5, 12.25]),
        ("jumlah", ["0.5", "12.250"], "decimal-en", [0.5, 12.25]),
        ("jumlah", ["Rp 1.500.000", "Rp. 2.500,50"], "decimal-id", [1500000, 2500.5]),
        ("jumlah", ["5", "-", "7"], "integer", [5, None, 7]),
        ("jumlah", ["1.234", "1,234.5", "abc"], "text", ["1.234", "1,234.5", "abc"]),
        ("tgl", ["2024-01-31", "2024-2-1"], "date", ["2024-01-31", "2024-02-01"]),
        ("tgl", ["31/01/2024", "01-02-2024"], "date", ["2024-01-31", "2024-02-01"]),
        ("tgl", ["01/31/2024", "02/01/2024"], "date-us", ["2024-01-31", "2024-02-01"]),
        ("tgl", ["1 Januari 2024", "17 Agt 2023", "5 Nopember 1999", "Senin, 6 Mei 2024"], "date",
         ["2024-01-01", "2023-08-17", "1999-11-05", "2024-05-06"]),
        ("tgl", ["31/02/2024", "01/02/2024"], "text", ["31/02/2024", "01/02/2024"]),
        ("waktu", ["31/01/2024 13:05", "2024-02-01T07:08:09"], "datetime",
         ["2024-01-31 13:05:00", "2024-02-01 07:08:09"]),
        ("aktif", ["Ya", "tidak", "YA"], "boolean", [1, 0, 1]),
        ("nik", ["3173010101900001", "3273010101900001"], "text", ["3173010101900001", "3273010101900001"]),
        ("npwp", ["311234567890123"], "text", ["311234567890123"]),
        ("No. HP", ["81234567890"], "text", ["81234567890"]),
        ("telepon", ["0812345", "+62812345"], "text", ["0812345", "+62812345"]),
        ("apa saja", ["007", "12"], "text", ["007", "12"]),
        ("apa saja", ["1234567890123456"], "text", ["1234567890123456"]),
        ("kode_wilayah", ["31", "32"], "text", ["31", "32"]),
        ("versi", ["1.2.3", "1.10.0"], "text", ["1.2.3", "1.10.0"]),
    ],
)  # fmt: skip
def test_types_of_texts(
    look: Look, stored: Any, header: str, values: list[str], kind: str, expected: list[Any]
) -> None:
    content = "\n".join([f"{header};x", *(f"{value};x" for value in values)]).encode()
    assert look(content).columns[0].kind == kind
    assert [row[0] for row in stored(content)] == expected


@pytest.mark.parametrize(
    ("header", "values", "kind", "expected"),
    [
        ("jumlah", [1, 2.0, -3], "integer", [1, 2, -3]),
        ("jumlah", [1.5, 2], "decimal-id", [1.5, 2]),
        ("jumlah", [1.5, "-"], "decimal-id", [1.5, None]),
        ("jumlah", [1, "1.234"], "integer-id", [1, 1234]),
        ("nip", [123456, 5], "text", ["123456", "5"]),
        ("tgl", [date(2024, 1, 31), "1 Februari 2024"], "date", ["2024-01-31", "2024-02-01"]),
        ("aktif", [True, False], "boolean", [1, 0]),
        ("campur", [True, 1, "x"], "text", ["TRUE", "1", "x"]),
    ],
)
def test_types_of_cells(
    look: Look, stored: Any, header: str, values: list[Any], kind: str, expected: list[Any]
) -> None:
    content = files.xlsx([[header, "x"], *([value, "x"] for value in values)])
    assert look(content).columns[0].kind == kind
    assert [row[0] for row in stored(content)] == expected


@pytest.mark.parametrize("from_1904", [False, True])
def test_dates_are_those_that_excel_shows(stored: Any, from_1904: bool) -> None:
    moment = datetime(2024, 1, 31, 13, 5, 7)
    formats = {"default_date_format": "dd/mm/yyyy hh:mm:ss", "date_1904": from_1904}
    assert stored(files.xlsx([["a", "b"], [moment, 1]], **formats)) == [("2024-01-31 13:05:07", 1)]
    serial = 45322 - (1462 if from_1904 else 0)
    content = files.xlsx([["tanggal", "b"], [serial, 1]], date_1904=from_1904)
    assert stored(content, "date-serial", "integer") == [("2024-01-31", 1)]


def test_dates_without_a_date_format_are_noticed(look: Look) -> None:
    assert "day-numbers" in column_notes(look(files.xlsx([["tgl lahir", "b"], [32874, 1]])), "tgl_lahir")


def test_dates_of_an_xls_file(stored: Any) -> None:
    assert stored(files.xls([["tgl", "n"], [date(2024, 1, 31), 5]])) == [("2024-01-31", 5)]


def test_formulas_give_their_saved_values(look: Look, stored: Any) -> None:
    def formulas(_workbook: Any, sheet: Any) -> None:
        sheet.write_formula(1, 1, "=1+1", None, 2)
        sheet.write_formula(2, 1, "=NA()", None, "#N/A")
        sheet.write_formula(3, 1, "=1/0", None, "#DIV/0!")
        sheet.write_formula(4, 1, "=B2", None, "")

    content = files.xlsx([["nama", "nilai"], ["a"], ["b"], ["c"], ["d"]], formulas)
    assert stored(content) == [("a", 2), ("b", None), ("c", None), ("d", None)]
    notes = notes_of(look(content))
    assert (notes["saved-errors"], notes["unsaved-formulas"]) == ({"count": 2}, {"count": 1})


def test_errors_as_texts_become_empty(look: Look, stored: Any) -> None:
    content = b"nama;nilai\na;5\n#N/A;#REF!\n"
    assert stored(content) == [("a", 5), (None, None)]
    assert column_notes(look(content), "nilai")["errors"] == {"count": 1}


@pytest.mark.parametrize(
    "content",
    [
        files.xlsx([["nik", "n"], [3173010101900001, 1], [3173010101900002, 2]]),
        b"nik;n\n3,17301E+15;1\n3,17302E+15;2\n",
        b"nik,n\n3.17301E+15,1\n3.17302E+15,2\n",
    ],
)
def test_numbers_that_excel_has_rounded_are_reported(look: Look, content: bytes) -> None:
    found = look(content)
    assert found.columns[0].kind == "text"
    rounded = column_notes(found, "nik")["rounded"]
    assert (rounded["count"], rounded["row"]) == (2, 2)


def test_identifiers_stored_as_numbers_may_have_lost_zeros(look: Look) -> None:
    assert "number-identifier" in column_notes(look(files.xlsx([["kode", "n"], [11, 1]])), "kode")
    assert "number-identifier" not in column_notes(look(files.xlsx([["kode", "n"], ["11", 1]])), "kode")


def test_what_is_ambiguous_is_reported(look: Look) -> None:
    found = look(b"nilai;tgl;pasti\n1.234;01/02/2024;31/01/2024\n2.345;03/04/2024;01/02/2024\n")
    assert kinds_of(found) == {"nilai": "integer-id", "tgl": "date", "pasti": "date"}
    assert "ambiguous-number" in column_notes(found, "nilai")
    assert "ambiguous-date" in column_notes(found, "tgl")
    assert column_notes(found, "pasti") == {}


def test_nearly_all_values_of_a_type_are_reported(look: Look) -> None:
    values = [*map(str, range(1, 30)), "tidak ada"]
    found = look("\n".join(["jumlah;x", *(f"{value};x" for value in values)]).encode())
    assert found.columns[0].kind == "text"
    assert column_notes(found, "jumlah")["nearly"] == {"kind": "integer", "count": 1, "row": 31, "value": "tidak ada"}


def test_a_value_that_does_not_fit_the_chosen_type_is_named(stored: Any) -> None:
    with pytest.raises(Refused) as refused:
        stored(b"a;b\n1;x\ndua;x\n", "integer", "text")
    assert (refused.value.code, refused.value.details["row"]) == ("unfit", 3)


def test_all_rows_decide_and_not_only_the_first(look: Look) -> None:
    bounds = Bounds(rows=20_000, columns=5, unpacked=1 << 20)
    lines = ["n;x", *(f"{n};x" for n in range(12_000)), "akhir;x"]
    found = look("\n".join(lines).encode(), bounds=bounds)
    assert found.columns[0].unfit["integer"] == (1, 12_002, "akhir")
    assert found.rows == 12_001
