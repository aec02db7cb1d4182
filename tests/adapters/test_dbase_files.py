"""Real files of many programs, kept beside the project: each is read as its bytes say, or refused with a reason.

What is expected here was read off the files' bytes by eye, not with the adapter.
"""

from __future__ import annotations

import hashlib
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Limits
from adapters.dbase import DBase, problems, warnings

FILES = Path(__file__).resolve().parents[3] / "shared" / "dbf"

pytestmark = pytest.mark.skipif(not FILES.is_dir(), reason="the collection of real files is not beside the project")

XBASE, READER, DBFREAD = "luads+php-xbase", "yellowfeather+DbfDataReader", "olemb+dbfread"


class Source:
    """One file or folder of the collection, copied, since readings are kept beside what was read."""

    def __init__(self, folder: Path, name: str, **options: Any) -> None:
        self.settings = {"database": name, "roots": [folder], **options}
        self.adapter = DBase(self.settings)
        self.connection = self.adapter.connect()
        self.table = self.adapter.tables(self.connection, "main")[0][0]

    def rows(self, sql: str = "SELECT * FROM {}") -> list[Any]:
        stream = self.adapter.run(self.connection, sql.format(f'"{self.table}"'), {}, Limits(100_000, 20))
        try:
            return [row for batch in stream for row in batch]
        finally:
            stream.close()

    def column(self, name: str) -> list[Any]:
        return [value for (value,) in self.rows(f"SELECT {name} FROM {{}}")]

    def types(self) -> dict[str, str | None]:
        stream = self.adapter.run(self.connection, f'SELECT * FROM "{self.table}"', {}, Limits(1, 20))
        stream.close()
        return dict(stream.columns)

    def warnings(self) -> list[str]:
        return [line.removeprefix(f"{self.table}: ") for line in warnings(self.settings)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dbf") / "files"
    shutil.copytree(FILES, folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)
    return folder


def listing() -> list[tuple[str, int, int]]:
    """(path, records, deleted ones) of each file in the collection's list."""
    lines = (FILES / "LISTING.tsv").read_text().splitlines()[1:] if FILES.is_dir() else []
    return [(parts[0], int(parts[4]), int(parts[5])) for parts in (line.split("\t") for line in lines)]


@pytest.mark.parametrize(("name", "records", "deleted"), listing())
def test_each_listed_file_is_read_whole(files: Path, name: str, records: int, deleted: int) -> None:
    source = Source(files, name)
    assert source.rows("SELECT count(*) FROM {}") == [(records - deleted,)]
    assert problems(source.settings) == []
    assert "_NullFlags" not in source.types()
    assert not any("the file ends" in line or "more behind" in line for line in source.warnings())


@pytest.mark.parametrize("path", sorted(FILES.rglob("*")), ids=lambda path: path.name)
def test_no_other_file_is_silently_wrong(files: Path, path: Path) -> None:
    if path.suffix.lower() != ".dbf":
        return
    source = Source(files, str(path.relative_to(FILES)))
    data = path.read_bytes()
    count, start, width = struct.unpack_from("<IHH", data, 4)
    live = sum(data[start + n * width] != 0x2A for n in range(count))
    assert source.rows("SELECT count(*) FROM {}") == [(live,)]


# --------------------------------------------------------------------------------- numbers and dates


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("dBaseVII_int", [1, -1, 5_000_000, -5_000_000, 2_147_483_647, -2_147_483_647]),
        ("dBaseVII_double", [-199.99, -74.62, 43.65, 150.48, 0.0]),
        (
            "dBaseVII_ts",
            [f"1900-01-0{n} 00:00:00" for n in (1, 2, 3)] + [f"2000-01-{n:02} 00:00:00" for n in (1, 2, 3, 4, 5, 10)],
        ),
    ],
)
def test_binary_fields_of_dbase_7(files: Path, name: str, values: list[Any]) -> None:
    assert [row[0] for row in Source(files, f"{XBASE}/dBase/{name}.dbf").rows()] == values


def test_currency(files: Path) -> None:
    assert Source(files, f"{XBASE}/foxpro/currency.dbf").rows() == [("10412.1241",)]
    assert Source(files, f"{READER}/foxpro_currency_01.dbf").rows() == [
        ("20.0000", "-20.0000"),
        ("50.0000", "-50.0000"),
        ("1.0000", "-1.0000"),
    ]
    source = Source(files, f"{READER}/dbase_31.dbf")
    assert source.rows("SELECT productnam, unitprice, float, double FROM {} WHERE productid = 2") == [
        ("Chang", "19.0000", "42.50", 33.33)
    ]
    assert source.rows("SELECT min(unitprice), max(unitprice) FROM {}") == [("2.5000", "263.5000")]
    assert source.rows("SELECT productnam FROM {} WHERE unitprice = 263.5") == [("Côte de Blaye",)]


def test_more_digits_than_a_double_has(files: Path) -> None:
    found = Source(files, f"{READER}/dbase_8b.dbf").rows(
        "SELECT character, numerical, date, logical, float, memo FROM {}"
    )
    assert found[0] == ("One", "1.00", "1970-01-01", True, "1.234567890123460000", "First memo\r\n")
    assert found[1] == ("Two", "2.00", "1970-12-31", True, "2.000000000000000000", "Second memo")
    assert found[3][:4] == ("Four", "4.00", "1900-01-01", None)
    assert found[9] == ("Ten records stored in this database", "10.00", None, None, "0.100000000000000000", None)


def test_numbers_of_a_bank(files: Path) -> None:
    source = Source(files, f"{XBASE}/dBase/dBaseIII_nomemo.dbf", encoding="cp866")
    assert source.rows("SELECT * FROM {} LIMIT 1") == [
        (1, "А", "10605", "1", 223717, 0, "223717.0000", 478743, 0, "478743.0000", 636389, 0, "636389.0000", 66071, 0,
         "66071.0000", "2019-08-01", 1)
    ]  # fmt: skip
    assert source.rows("SELECT num_sc FROM {} WHERE ora > 6e9") == [("30102",)]


def test_a_bad_cell_is_null_and_named(files: Path) -> None:
    source = Source(files, f"{DBFREAD}/invalid_value.dbf")
    assert source.rows() == [("Alice", None), ("Bob", "1980-11-12")]
    assert source.warnings() == ["record 1, field BIRTHDATE: not a date; returned as NULL"]
    source = Source(files, f"{XBASE}/socios.dbf")
    assert source.column("salario") == ["1.55", None, "600.00"]
    assert source.warnings() == [
        "record 2, field SALARIO: not a number; returned as NULL",
        "the text looks like UTF-8, but was read as cp1252: set the source's encoding",
    ]
    source = Source(files, f"{XBASE}/socios.dbf", encoding="utf-8")
    assert source.rows("SELECT nombre, fecnacim FROM {} WHERE socio = '32144'") == [("ABDIEL", None)]
    # The program that wrote it cut letters of two bytes in half where a field ended; none of it here.
    assert "1 año" in [value for row in source.rows() for value in row]


def test_a_nul_where_text_should_be(files: Path) -> None:
    source = Source(files, f"{READER}/dbase_03_nullchar.dbf")
    assert source.rows() == [("1234test", "5678test"), (None, "ping"), ("test1234", None)]
    assert len(source.warnings()) == 2


# ------------------------------------------------------------------------------------------- FoxPro


def test_times_of_foxpro_are_whole_seconds(files: Path) -> None:
    source = Source(files, f"{READER}/foxprodb")
    sql = "SELECT c.call_date, c.call_time, k.last_name FROM calls c JOIN contacts k ON k.contact_id = c.contact_id"
    assert source.rows(f"{sql} WHERE call_id < 3 ORDER BY call_id") == [
        ("1994-11-21 13:35:39", "1899-12-30 13:35:39", "Davolio"),
        ("1994-12-19 15:19:53", "1899-12-30 15:19:53", "Davolio"),
    ]
    assert [name for name, _ in source.adapter.tables(source.connection, "main")] == [
        "calls",
        "contacts",
        "setup",
        "types",
    ]
    assert source.rows(
        "SELECT t.contact_t2 FROM contacts c JOIN types t USING (contact_ty) WHERE c.dear = 'Steve'"
    ) == [("Buyer",)]


def test_null_flags_and_lengths(files: Path) -> None:
    source = Source(files, f"{XBASE}/foxpro/vfp.dbf")
    names = "name, birthday, is_man, money, rate, currency, datetime, double, integer, ai"
    assert source.rows(f"SELECT {names} FROM {{}}") == [
        ("Groot", "1960-11-01", False, "12.1235", "1.20", "1.2000", "1800-01-01 01:01:01", 2.3, 0, 1),
        ("Rocket Raccoon", "1976-06-01", False, "325.3200", "1.23", "1.2300", "1970-01-01 00:00:00", 4.56, 1, 2),
        ("Star-Lord", "1976-01-01", True, "0.0000", "15.16", "15.1600", "2020-02-20 20:20:20", 987.654, 2, 3),
    ]
    assert source.rows("SELECT varchar, name_bin, varbinary, varchar_bi FROM {}") == [
        ("qwe", b"Groot               ", b"\xab\xcd\xef", b"qwe"),
        ("asd", b"Rocket Raccoon      ", b"\x12\x34", b"asd"),
        ("zxc", b"Star-Lord           ", b"\xfa\xce\x8d", b""),
    ]
    assert source.types()["VARBINARY"] == "bytes"
    blobs = source.column("blob")
    assert blobs[0].startswith(b"\x89PNG\r\n\x1a\n") and blobs[0].endswith(b"IEND\xaeB`\x82")
    assert blobs[1:] == [None, None]
    source = Source(files, f"{XBASE}/foxpro/issue115.dbf")
    assert source.rows("SELECT cod, tel, masina, blocat FROM {} LIMIT 2") == [
        ("0001", "0738178556", "", None),
        ("0002", "", None, None),
    ]


def test_the_blob_type_of_foxpro_and_pictures(files: Path) -> None:
    for name in ("foxpro/vfp", "foxpro/Foxpro2"):
        source = Source(files, f"{XBASE}/{name}.dbf")
        images = source.column("image")
        assert [image[:4] for image in images] == [b"\xff\xd8\xff\xe0", b"\x89PNG", b"\x89PNG"]
        assert images[0].endswith(b"\xff\xd9")
        assert all(image.endswith(b"IEND\xaeB`\x82") for image in images[1:])


def test_the_same_pictures_in_dbase_4_and_foxpro(files: Path) -> None:
    """One and the same pictures, in memo files of two kinds."""
    digests = [
        [hashlib.sha256(image).hexdigest() for image in Source(files, f"{XBASE}/{name}.dbf").column("image")]
        for name in ("dBase/dBaseIV", "foxpro/Foxpro2", "foxpro/vfp")
    ]
    assert digests[0] == digests[1] == digests[2]


def test_wide_text_fields(files: Path) -> None:
    source = Source(files, f"{READER}/FolderRoot.dbf")
    assert source.rows("SELECT name, disc_id, root_type, sys_path, fold_rt_id, ts FROM {} LIMIT 3") == [
        ("C:", "F0A65FAE", "Local", "C:", 1.0, "2020-09-15 14:48:58.501000"),
        ("D:", "F64AADF0", "Local", "D:", 2.0, "2020-09-15 14:48:58.485000"),
        ("\\\\diskserveur", "00000000", "Remote", "\\\\diskserveur", 3.0, "2020-09-15 14:48:58.717000"),
    ]
    assert source.warnings() == [
        "the code page byte 0x7F is unknown: text was read as cp850; set the source's encoding if that is wrong"
    ]
    source = Source(files, f"{XBASE}/foxpro/pr90.dbf")
    note = source.column("note")[1]
    assert len(note) == 300
    assert note == ("".join(digit * 10 for digit in "0123456789") * 3)[:300]
    assert source.column("notememo")[:3] == [
        "He will call us on the 18th to settle - 123 xp",
        "He will pay-off the loan next month",
        "First note main field",
    ]


# -------------------------------------------------------------------------------------------- memos


@pytest.mark.parametrize("name", ["dBase/dBaseIII", "dBase/dBaseIV", "dBase/dBaseVII", "foxpro/Foxpro2", "foxpro/vfp"])
def test_the_same_heroes_in_five_formats(files: Path, name: str) -> None:
    source = Source(files, f"{XBASE}/{name}.dbf")
    assert source.rows("SELECT name, birthday, is_man, money FROM {}") == [
        ("Groot", "1960-11-01", False, "12.1235"),
        ("Rocket Raccoon", "1976-06-01", False, "325.3200"),
        ("Star-Lord", "1976-01-01", True, "0.0000"),
    ]
    texts = [text.rstrip("\r\n") for text in source.column("bio")]
    assert [text[:9] for text in texts] == ["Groot (/?", "Rocket Ra", "Star-Lord"]
    assert [text[-9:] for text in texts] == ["net meme.", "ean Gunn.", "y Vol. 3."]


def test_pictures_in_a_memo_file_of_dbase_3(files: Path) -> None:
    """Nothing in it tells where a picture ends: what looks like the end is not."""
    source = Source(files, f"{XBASE}/dBase/dBaseIII.dbf")
    assert source.column("image") == [None] * 3
    assert [line[:22] for line in source.warnings()] == [f"record {n}, field IMAGE:" for n in (1, 2, 3)]


def test_binary_memos_of_dbase_7(files: Path) -> None:
    source = Source(files, f"{XBASE}/dBase/dBaseVII.dbf")
    assert source.rows("SELECT auto_inc, integer, large_int, datetime, blob, dbase_ole FROM {}") == [
        (0, 1, 4, "1800-01-01 01:01:01", b"qwe", None),
        (1, 2, 5, "1970-01-01 00:00:00", b"asd", None),
        (2, 3, 6, "2020-02-20 20:20:20", b"zxc", None),
    ]


def test_missing_memo_files(files: Path) -> None:
    source = Source(files, f"{DBFREAD}/no_memofile.dbf")
    assert source.rows() == [("Alice", "1987-03-01", None), ("Bob", "1980-11-12", None)]
    assert source.warnings() == ["the memo file is missing: field MEMO is returned as NULL"]
    source = Source(files, f"{READER}/dbase_83_missing_memo.dbf")
    assert source.column("desc") == [None] * 67
    assert Source(files, f"{DBFREAD}/memotest.dbf").column("memo") == ["Alice memo", "Bob memo"]


def test_memos_of_dbase_3_and_4(files: Path) -> None:
    found = Source(files, f"{READER}/dbase_83.dbf").rows('SELECT id, price, weight, taxable, "desc" FROM {} LIMIT 1')
    assert found[0][:4] == (87, "0.00", "5.51", True)
    assert found[0][4].startswith("Our Original assortment...a little taste of heaven for everyone.  Let us\r\nselect")
    assert found[0][4].endswith("Milk chocolate squares, and Raspberry Blanc.")
    source = Source(files, f"{READER}/client.dbf")
    assert source.rows("SELECT clien_hist FROM {} WHERE client_id = 'A00001'") == [
        ("85-200  08/02/85\r\n    C-300-400 BOOK CASE                535.00 1\r\n",)
    ]


# --------------------------------------------------------------------------------------- code pages


def test_code_pages(files: Path) -> None:
    assert Source(files, f"{READER}/cp1251.dbf").rows()[1] == (2, "больничное")
    name = f"{XBASE}/dbf/cbrf_122019N1.dbf"
    assert Source(files, name, encoding="cp866").rows("SELECT name_b FROM {} WHERE regn = 1000") == [
        ("Банк ВТБ (ПАО)",)
    ]
    source = Source(files, name)
    assert source.rows("SELECT regn FROM {} WHERE name_b = 'Банк ВТБ (ПАО)'") == []
    assert [line[:56] for line in source.warnings()] == ["the file states no code page: it was read as cp850; set "]


def test_deleted_records_and_names_that_occur_twice(files: Path) -> None:
    assert Source(files, f"{DBFREAD}/people.dbf").rows() == [("Alice", "1987-03-01"), ("Bob", "1980-11-12")]
    source = Source(files, f"{READER}/dbase_03.dbf")
    assert source.rows("SELECT point_id, type, time, max_pdop, std_dev, northing FROM {} LIMIT 1") == [
        ("0507121", "CMP", "10:56:30am", "5.2", "0.897088", "557904.898")
    ]
    assert source.rows("SELECT point_id_2 FROM {} LIMIT 2") == [(401,), (402,)]
    assert source.warnings() == ["the name Point_ID occurs twice: the later field is named Point_ID_2"]
