"""dBase files as a source: what every adapter promises, and what becomes of files that others write to."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import shutil
import sqlite3
import struct
import time
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.base import ConnectFailed, Limits, QueryFailed, SourceError, TimedOut
from adapters.dbase import MAX_TABLES, DBase, copies, problems, warnings
from adapters.dbf import building, copy_manager, table_copy
from adapters.dbf.tables import Table
from adapters.streaming import BATCH
from tests.adapters.dbase_engine import LIMITS, run
from tests.adapters.engines import everything
from tests.bounds import assert_within
from tests.dbf_writer import F, fpt, write
from tests.servers.process import wait_until

PEGAWAI = [
    F("NIP", "C", 18),
    F("NAMA", "C", 30),
    F("GAJI", "N", 12, 2),
    F("TMT", "D", 8),
    F("AKTIF", "L", 1),
    F("UNIT", "N", 4),
]


def progress(source: dict[str, Any]) -> list[tuple[str, int, int, str]]:
    return [(each.name, each.done, each.total, each.state) for each in copies(source)[0]]


def pegawai(n: int) -> list[bytes]:
    return [
        b"%018d" % n,
        b"Pegawai %d" % n,
        b"%12.2f" % (n / 4),
        b"20240229",
        b"TF?"[n % 3 : n % 3 + 1],
        b"%4d" % (n % 7),
    ]


def table(folder: Path, count: int = 20, name: str = "PEGAWAI.DBF") -> Path:
    return write(folder / name, PEGAWAI, [pegawai(n) for n in range(1, count + 1)])


def unit(folder: Path) -> Path:
    return write(
        folder / "unit.dbf", [F("KODE", "N", 4), F("NAMA", "C", 20)], [[b"%4d" % n, b"Unit %d" % n] for n in range(7)]
    )


@pytest.fixture
def source(tmp_path: Path) -> dict[str, Any]:
    table(tmp_path)
    unit(tmp_path)
    return {"database": ".", "roots": [str(tmp_path)]}


def refusal(source: dict[str, Any], sql: str, **values: Any) -> str:
    """The reason for which a statement is refused. Nothing of the driver's may come with it."""
    with pytest.raises(SourceError) as error:
        run(source, sql, **values)
    assert str(error.value) == error.value.reason
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__ or error.value.__context__ is None
    return error.value.reason


# ------------------------------------------------------------------------------------------ contract


def test_it_works(source: dict[str, Any]) -> None:
    adapter = DBase(source)
    connection = adapter.connect()
    stream = adapter.run(connection, "SELECT * FROM pegawai WHERE nip = :nip", {"nip": "000000000000000004"}, LIMITS)
    assert stream.columns == (
        ("NIP", "text"),
        ("NAMA", "text"),
        ("GAJI", "decimal"),
        ("TMT", "date"),
        ("AKTIF", "boolean"),
        ("UNIT", "integer"),
    )
    assert list(stream) == [[("000000000000000004", "Pegawai 4", "1.00", "2024-02-29", False, 4)]]
    stream.close()
    stream.close()
    assert stream.reusable
    assert stream.affected == -1
    assert adapter.ping(connection)
    assert everything(adapter.run(connection, "SELECT 1", {}, LIMITS)) == [(1,)]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("nip", "000000000000000004"),
        ("gaji", Decimal("1.00")),
        ("gaji", Decimal("1")),
        ("gaji", "1.0"),
        ("gaji", 1),
        ("tmt", date(2024, 2, 29)),
        ("aktif", False),
        ("unit", 4),
        ("unit", "4"),
    ],
)
def test_a_value_is_bound_as_what_it_is(source: dict[str, Any], column: str, value: Any) -> None:
    assert run(
        source,
        f"SELECT nama FROM pegawai WHERE {column} = :value AND unit = 4 AND nip < '00000000000000001'",
        value=value,
    ) == [("Pegawai 4",)]


def test_no_value_is_none(source: dict[str, Any]) -> None:
    assert run(source, "SELECT count(*) FROM pegawai WHERE aktif IS NULL") == [(7,)]
    assert run(source, "SELECT :a, :b, :c", a=None, b="O'R\\ % :x 😀", c=datetime(2024, 2, 29, 1, 2, 3)) == [
        (None, "O'R\\ % :x 😀", "2024-02-29 01:02:03")
    ]


def test_many_rows_stream_in_batches_up_to_the_row_cap(tmp_path: Path) -> None:
    table(tmp_path, 3000)
    adapter = DBase({"database": "pegawai.dbf", "roots": [tmp_path]})
    connection = adapter.connect()
    for cap in (1, BATCH, 2000, 5000):
        stream = adapter.run(connection, "SELECT unit, gaji FROM pegawai", {}, Limits(cap, 20))
        batches = list(stream)
        stream.close()
        assert max(map(len, batches)) <= BATCH
        rows = [row for batch in batches for row in batch]
        assert rows == [(n % 7, f"{n / 4:.2f}") for n in range(1, 3001)][: cap + 1]
        assert stream.reusable


def test_the_time_cap_ends_a_statement(source: dict[str, Any]) -> None:
    began = time.monotonic()
    endless = "SELECT count(*) FROM pegawai a, pegawai b, pegawai c, pegawai d, pegawai e, pegawai f, pegawai g"
    with pytest.raises(TimedOut) as error:
        run(source, endless, Limits(10, 0.5))
    assert error.value.reason == "timeout"
    assert_within(3, began)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO unit VALUES (8, 'a')",
        "UPDATE unit SET nama = 'b'",
        "DELETE FROM unit",
        "CREATE TABLE lain (id integer)",
        "DROP TABLE unit",
    ],
)
def test_nothing_can_be_written(source: dict[str, Any], sql: str, tmp_path: Path) -> None:
    before = (tmp_path / "unit.dbf").read_bytes()
    assert refusal(source, sql) == "read-only"
    adapter = DBase(source)
    with pytest.raises(QueryFailed) as error:
        adapter.run(adapter.connect(writes=True), sql, {}, Limits(10, 10, writes=True))
    assert error.value.reason == "read-only"
    assert run(source, "SELECT count(*) FROM unit") == [(7,)]
    assert (tmp_path / "unit.dbf").read_bytes() == before


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELEKT 1", "syntax"),
        ("SELECT * FROM unit WHERE", "syntax"),
        ("SELECT * FROM tidak_ada", "object-unknown"),
        ("SELECT tidak_ada FROM unit", "object-unknown"),
        ("ATTACH DATABASE 'x.db' AS x", "forbidden"),
        ("PRAGMA query_only = OFF", "forbidden"),
        ("SELECT about FROM mantra_meta, unit", "forbidden"),
    ],
)
def test_a_refused_statement_has_its_reason(source: dict[str, Any], sql: str, reason: str) -> None:
    adapter = DBase(source)
    connection = adapter.connect()
    for _ in range(2):
        with pytest.raises(QueryFailed) as error:
            adapter.run(connection, sql, {}, LIMITS)
        assert error.value.reason == reason
    assert everything(adapter.run(connection, "SELECT 1", {}, LIMITS)) == [(1,)]


def test_a_closed_connection_is_broken(source: dict[str, Any]) -> None:
    adapter = DBase(source)
    connection = adapter.connect()
    connection.close()
    assert not adapter.ping(connection)
    with pytest.raises(ConnectFailed) as error:
        adapter.run(connection, "SELECT 1", {}, LIMITS)
    assert error.value.reason == "broken"


def test_what_is_in_the_source(source: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "rusak.dbf").write_bytes(b"\x99" * 100)
    adapter = DBase(source)
    connection = adapter.connect()
    assert adapter.schemas(connection) == ["main"]
    assert adapter.tables(connection, "main") == [("pegawai", "table"), ("unit", "table")]
    assert [(c.name, c.type, c.kind) for c in adapter.columns(connection, "main", "Pegawai")] == [
        ("NIP", "C(18)", "text"),
        ("NAMA", "C(30)", "text"),
        ("GAJI", "N(12,2)", "decimal"),
        ("TMT", "D(8)", "date"),
        ("AKTIF", "L(1)", "boolean"),
        ("UNIT", "N(4)", "integer"),
    ]
    assert adapter.columns(connection, "main", "tidak'ada") == []
    assert adapter.columns(connection, "main", "rusak") == []
    assert problems(source) == ["rusak.dbf: no DBF version has the first byte 0x99"]
    # A table that cannot be read is refused alone.
    assert refusal(source, "SELECT * FROM rusak") == "file-format"
    assert run(source, "SELECT count(*) FROM unit") == [(7,)]


def test_what_an_author_is_told(source: dict[str, Any]) -> None:
    adapter = DBase(source)
    connection = adapter.connect()
    found = adapter.catalogue(connection, "main", 10, 10)
    assert [(table.name, table.rows, len(table.columns)) for table in found.tables] == [
        ("pegawai", 20, 6),
        ("unit", 7, 2),
    ]
    author = Limits(rows=5, seconds=10, author=True)
    sql = "SELECT main.pegawai.nip, gaji, tmt, aktif, count(*) AS n FROM main.pegawai WHERE unit = :unit"
    assert adapter.describe(connection, sql, {"unit": None}, author) == (
        ("NIP", "text"), ("GAJI", "decimal"), ("TMT", "date"), ("AKTIF", "boolean"), ("n", None),
    )  # fmt: skip
    with pytest.raises(QueryFailed) as error:
        adapter.describe(connection, "SELECT nip FROM main.pegawai WHERE WHERE nip = 1", {}, author)
    assert error.value.words is not None
    assert error.value.words.offset == len("SELECT nip FROM main.pegawai WHERE ")
    plan = adapter.explain(connection, "SELECT nip FROM pegawai", {}, LIMITS)
    assert [scan.table for scan in adapter.full_scans(plan)] == ["pegawai"]


# -------------------------------------------------------------------------------------------- tables


def test_tables_are_joined(source: dict[str, Any]) -> None:
    sql = (
        "SELECT p.nama, u.nama AS unit FROM PEGAWAI p JOIN Unit u ON u.kode = p.unit WHERE p.gaji > 4.5 ORDER BY p.gaji"
    )
    assert run(source, sql) == [("Pegawai 19", "Unit 5"), ("Pegawai 20", "Unit 6")]
    assert run(
        source, "SELECT u.nama, sum(gaji) FROM pegawai JOIN unit u ON kode = unit GROUP BY 1 ORDER BY 1 LIMIT 1"
    ) == [("Unit 0", 5.25)]


def test_more_tables_than_can_be_joined(tmp_path: Path) -> None:
    for n in range(MAX_TABLES + 1):
        write(tmp_path / f"t{n}.dbf", [F("A", "N", 3)], [[b"%3d" % n]])
    source = {"database": ".", "roots": [tmp_path]}
    adapter = DBase(source)
    connection = adapter.connect()
    most = ", ".join(f"t{n}" for n in range(MAX_TABLES))
    assert everything(adapter.run(connection, f"SELECT count(*) FROM {most}", {}, LIMITS)) == [(1,)]
    # One connection serves more tables than that, one after another.
    for n in range(MAX_TABLES + 1):
        assert everything(adapter.run(connection, f"SELECT a FROM t{n}", {}, LIMITS)) == [(n,)]
    assert refusal(source, f"SELECT 1 FROM {most}, t{MAX_TABLES}") == "other"


@pytest.mark.parametrize(
    ("sql", "types"),
    [
        ("SELECT gaji AS g, p.tmt, upper(nama) FROM pegawai p", ["decimal", "date", None]),
        ("SELECT max(gaji), sum(gaji), count(*) FROM pegawai", ["decimal", None, None]),
        ("WITH x AS (SELECT gaji, unit FROM pegawai) SELECT * FROM x", ["decimal", "integer"]),
        ("SELECT x.* FROM (SELECT tmt, aktif FROM pegawai) AS x", ["date", "boolean"]),
        ("SELECT nama FROM pegawai UNION SELECT nama FROM unit", ["text"]),
        ("SELECT gaji FROM pegawai UNION SELECT unit FROM pegawai", [None]),
        ("SELECT (SELECT max(tmt) FROM pegawai) FROM unit", ["date"]),
        ("SELECT * FROM pegawai JOIN (SELECT kode AS unit FROM unit) AS u USING (unit)", [None] * 6),
        ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i FROM n", [None]),
        ("WITH unit AS (SELECT gaji AS nama FROM pegawai) SELECT nama FROM unit", ["decimal"]),
    ],
)
def test_column_types_are_told_where_they_are_sure(source: dict[str, Any], sql: str, types: list[str | None]) -> None:
    adapter = DBase(source)
    stream = adapter.run(adapter.connect(), sql, {}, LIMITS)
    assert [type for _, type in stream.columns] == types
    assert everything(stream)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT kode FROM main.unit WHERE kode = 3",
        'SELECT main.unit.kode FROM "main"."unit" WHERE main.unit.kode = 3',
        "SELECT u.kode FROM MAIN . unit AS u JOIN main.unit AS v ON v.kode = u.kode WHERE u.kode = :satu",
        "SELECT main.kode FROM unit AS main WHERE main.kode = 3",
        "SELECT kode FROM (SELECT * FROM main.unit) WHERE kode = 3 AND 'main.unit' = 'main.unit'",
    ],
)
def test_statement_may_name_the_schema(source: dict[str, Any], sql: str) -> None:
    assert run(source, sql, satu=3) == run(source, "SELECT kode FROM unit WHERE kode = 3") != []


def test_a_look_inside(source: dict[str, Any]) -> None:
    adapter = DBase(source)
    connection = adapter.connect()
    assert (adapter.databases(connection), adapter.schemas(connection)) == (["."], ["main"])
    assert adapter.keys(connection, "main", "unit") == adapter.keys(connection, "main", "tidak'ada") == []
    rows = everything(adapter.sample(connection, "main", "unit", Limits(2, 10)))
    assert rows == everything(adapter.run(connection, "SELECT * FROM unit LIMIT 2", {}, LIMITS))
    assert len(rows) == 2
    sql = "SELECT * FROM main.unit WHERE kode = :kode"
    # An index that a statement could use is made behind its answer.
    until = time.monotonic() + 10
    while not (found := adapter.keys(connection, "main", "unit")) and time.monotonic() < until:
        everything(adapter.run(connection, sql, {"kode": 3}, LIMITS))
        time.sleep(0.05)
    assert [(key.kind, key.columns) for key in found] == [("index", ("KODE",))]
    plan = adapter.explain(connection, sql, {"kode": 3}, LIMITS)
    assert len(plan) == 1 and "mantra kode" in plan[0]
    for wrong in ("DROP TABLE unit", "SELECT FROM"):
        with pytest.raises(QueryFailed):
            adapter.explain(connection, wrong, {}, LIMITS)
    for name in ("unit; x", 'unit" --', "", "x%s"):
        with pytest.raises(QueryFailed):
            adapter.sample(connection, "main", name, Limits(2, 10))
    connection.close()


def test_explain_works(source: dict[str, Any]) -> None:
    found = run(source, "EXPLAIN QUERY PLAN SELECT * FROM unit WHERE kode = 3")
    assert any("unit" in str(row[-1]).lower() for row in found)


# --------------------------------------------------------------------------------------------- files


def test_a_file_is_found_in_any_capital_letters(tmp_path: Path) -> None:
    (tmp_path / "Data").mkdir()
    table(tmp_path / "Data")
    for name in ("Data/PEGAWAI.DBF", "data/pegawai.dbf", "DATA/Pegawai.Dbf", "data"):
        assert run({"database": name, "roots": [tmp_path]}, "SELECT count(*) FROM PEGAWAI") == [(20,)]


def test_a_file_outside_the_roots_is_forbidden(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    table(outside)
    (inside / "link.dbf").symlink_to(outside / "PEGAWAI.DBF")
    (inside / "folder").symlink_to(outside)
    for path in ("/etc/passwd", "..", "../outside", "../outside/pegawai.dbf", "link.dbf", "folder", outside, ""):
        with pytest.raises(ConnectFailed) as error:
            DBase({"database": str(path), "roots": [str(inside)]}).connect()
        assert error.value.reason == "file-forbidden"
    with pytest.raises(ConnectFailed) as error:
        DBase({"database": str(outside)}).connect()
    assert error.value.reason == "file-forbidden"
    assert problems({"database": ".", "roots": [inside]}) == ["link.dbf: a link to a file outside the source's folder"]


def test_a_memo_file_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    fpt(tmp_path / "secret.fpt", [(1, b"rahasia")])
    (tmp_path / "in" / "a.fpt").symlink_to(tmp_path / "secret.fpt")
    write(tmp_path / "in" / "a.dbf", [F("M", "M", 4)], [[struct.pack("<I", 8)]], version=0x30)
    source = {"database": "a.dbf", "roots": [tmp_path / "in"]}
    assert refusal(source, "SELECT * FROM a") == "file-format"
    assert problems(source) == ["a.dbf: the memo file is a link to another folder"]


def test_a_missing_file(tmp_path: Path) -> None:
    for name in ("x.dbf", "x", "x/y.dbf", "nul\0.dbf"):
        with pytest.raises(ConnectFailed) as error:
            DBase({"database": name, "roots": [tmp_path]}).connect()
        assert error.value.reason == "file-missing"


def test_a_file_that_went_away(source: dict[str, Any], tmp_path: Path) -> None:
    adapter = DBase(source)
    connection = adapter.connect()
    assert everything(adapter.run(connection, "SELECT count(*) FROM unit", {}, LIMITS)) == [(7,)]
    (tmp_path / "unit.dbf").unlink()
    with pytest.raises((ConnectFailed, QueryFailed)) as error:
        adapter.run(connection, "SELECT count(*) FROM unit", {}, LIMITS)
    assert error.value.reason in ("file-missing", "object-unknown")


@pytest.mark.parametrize(
    "content", [b"", b"abc", b"just a text " * 100, b"\x03" + bytes(31), b"\x30" * 32, b"\x02\1\0"]
)
def test_a_file_that_is_no_dbf(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.dbf").write_bytes(content)
    source = {"database": "x.dbf", "roots": [tmp_path]}
    with pytest.raises(ConnectFailed) as error:
        DBase(source).connect()
    assert error.value.reason == "file-format"
    assert len(problems(source)) == 1


def test_an_unknown_code_page(tmp_path: Path) -> None:
    table(tmp_path)
    for name in ("cp99999", "utf-16", "hex", "x\0y"):
        with pytest.raises(ConnectFailed) as error:
            DBase({"database": ".", "roots": [tmp_path], "encoding": name}).connect()
        assert error.value.reason == "data"


def test_the_names_of_files_may_hold_any_character(tmp_path: Path) -> None:
    name = "a?mode=rwc&x#%41 'b\".dbf"
    write(tmp_path / name, [F("A B", "C", 3), F('"', "N", 2)], [[b"x", b" 1"]])
    source = {"database": name, "roots": [tmp_path]}
    quoted = '"' + name[:-4].replace('"', '""') + '"'
    assert run(source, f'SELECT "a b", """" FROM {quoted}') == [("x", 1)]


def test_two_files_whose_names_differ_in_capital_letters(tmp_path: Path) -> None:
    table(tmp_path, 3, "A.DBF")
    table(tmp_path, 5, "a.dbf")
    source = {"database": ".", "roots": [tmp_path]}
    assert run(source, "SELECT count(*) FROM a") == [(3,)]
    assert problems(source) == ["a.dbf: another file in the folder has the same name with different capital letters"]


# -------------------------------------------------------------------------------------------- caches


def test_the_cache_is_ours_alone_and_no_table(source: dict[str, Any], tmp_path: Path) -> None:
    run(source, "SELECT * FROM unit")
    made = [path for path in tmp_path.iterdir() if path.name.startswith(".mantra-")]
    assert sorted(path.suffix for path in made) == [".lock", ".sqlite3"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in made)
    assert [name for name, *_ in progress(source)] == ["pegawai", "unit"]


def test_a_folder_that_takes_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    unit(folder)
    access = os.access
    # The tests may run as root, whom no folder keeps out.
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder and access(path, mode))
    copies = tmp_path / "salinan" / "prov"
    source = {"database": "data", "roots": [tmp_path], "cache_dir": copies}
    assert run(source, "SELECT count(*) FROM unit") == [(7,)]
    assert os.listdir(folder) == ["unit.dbf"]
    assert any(path.suffix == ".sqlite3" for path in copies.iterdir())


def test_two_code_pages_do_not_share_a_cache(tmp_path: Path) -> None:
    write(tmp_path / "t.dbf", [F("A", "C", 3)], [[b"\xe9\x82"]])
    source = {"database": "t.dbf", "roots": [tmp_path]}
    for _ in range(2):
        assert run({**source, "encoding": "cp1252"}, "SELECT a FROM t") == [("é‚",)]
        assert run({**source, "encoding": "cp437"}, "SELECT a FROM t") == [("Θé",)]


def test_a_cache_that_is_not_ours_or_broken_is_made_anew(source: dict[str, Any], tmp_path: Path) -> None:
    run(source, "SELECT * FROM unit")
    cache = next(path for path in tmp_path.glob(".mantra-unit-*.sqlite3"))
    forged = tmp_path / "forged.sqlite3"
    with sqlite3.connect(forged) as connection:
        connection.execute("CREATE TABLE unit (kode, nama)")
        connection.execute("INSERT INTO unit VALUES (66, 'palsu')")
    connection.close()
    for make in (
        lambda: cache.write_bytes(b"broken"),
        lambda: cache.write_bytes(b""),
        lambda: (cache.unlink(), cache.symlink_to(forged)),
        lambda: (cache.unlink(), cache.write_bytes(forged.read_bytes())),
    ):
        make()
        copy_manager._tracked.clear()
        assert run(source, "SELECT count(*), min(nama) FROM unit") == [(7, "Unit 0")]
        assert not cache.is_symlink()


def test_what_a_killed_builder_left_is_swept(source: dict[str, Any], tmp_path: Path) -> None:
    run(source, "SELECT * FROM unit")
    cache = next(path for path in tmp_path.glob(".mantra-unit-*.sqlite3"))
    (tmp_path / f"{cache.name}-abc.tmp").write_bytes(b"half")
    cache.unlink()
    assert run(source, "SELECT count(*) FROM unit") == [(7,)]
    assert not list(tmp_path.glob("*.tmp"))


# ------------------------------------------------------------------------------------------- changes


def test_a_change_shows_and_the_age_is_said(source: dict[str, Any], tmp_path: Path) -> None:
    adapter = DBase(source)
    connection = adapter.connect()

    def count() -> tuple[int, float]:
        stream = adapter.run(connection, "SELECT count(*) FROM pegawai", {}, LIMITS)
        as_of: float = stream.as_of
        return everything(stream)[0][0], as_of

    assert count()[0] == 20
    table(tmp_path, 30)
    assert count()[0] == 30
    as_of = count()[1]
    assert time.time() - 5 < as_of <= time.time()
    assert DBase(source).run(connection, "SELECT 1", {}, LIMITS).as_of is None


def test_an_old_answer_tells_its_age_while_a_builder_is_held_up(source: dict[str, Any], tmp_path: Path) -> None:
    adapter = DBase(source)
    connection = adapter.connect()
    assert run(source, "SELECT count(*) FROM pegawai") == [(20,)]
    lock = next(tmp_path.glob(".mantra-pegawai-*.lock"))
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        changed = time.time()
        time.sleep(0.05)
        table(tmp_path, 25)
        began = time.monotonic()
        stream = adapter.run(connection, "SELECT count(*) FROM pegawai", {}, LIMITS)
        assert everything(stream) == [(20,)]
        assert stream.as_of <= changed
        assert_within(1, began)
        assert ("pegawai", "reading") in [(name, state) for name, _, _, state in progress(source)]
    wait_until(lambda: run(source, "SELECT count(*) FROM pegawai") == [(25,)], 10, "the copy")
    assert ("pegawai", 25, 25, "ready") in progress(source)


def test_a_change_that_leaves_size_and_time_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "t.dbf", [F("A", "N", 3)], [[b"  1"], [b"  2"]])
    source = {"database": "t.dbf", "roots": [tmp_path]}
    assert run(source, "SELECT count(*) FROM t") == [(2,)]
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[4] = 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    wait_until(lambda: run(source, "SELECT count(*) FROM t") == [(1,)], 10, "the copy")


def test_a_copy_that_is_removed_as_soon_as_it_is_complete_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may: it has seen an earlier state of the table."""
    write(tmp_path / "t.dbf", [F("A", "N", 3)], [[b"  1"]])
    load, removed = table_copy.load, []

    def removing(path: Path) -> Any:
        if path.exists() and not removed:
            removed.append(path)
            path.unlink()
        return load(path)

    monkeypatch.setattr(table_copy, "load", removing)
    assert run({"database": "t.dbf", "roots": [tmp_path]}, "SELECT * FROM t") == [(1,)]
    assert removed


def test_a_fresh_file_is_looked_at_again(tmp_path: Path) -> None:
    """Two changes within one tick of the clock look alike: a reading so soon after a change is not the last."""
    write(tmp_path / "t.dbf", [F("A", "N", 3)], [[b"  1"]])
    source = {"database": "t.dbf", "roots": [tmp_path]}
    run(source, "SELECT * FROM t")
    cache = next(tmp_path.glob(".mantra-t-*.sqlite3"))
    first = table_copy.load(cache)
    assert first is not None and not first.meta.settled
    time.sleep(table_copy.RACY + 0.1)
    run(source, "SELECT * FROM t")
    wait_until(lambda: bool((found := table_copy.load(cache)) and found.meta.settled), 10, "the copy")
    settled = table_copy.load(cache)
    run(source, "SELECT * FROM t")
    time.sleep(0.1)
    assert table_copy.load(cache) == settled


def test_a_file_server_whose_clock_is_ahead(tmp_path: Path) -> None:
    path = write(tmp_path / "t.dbf", [F("A", "N", 3)], [[b"  1"]])
    os.utime(path, (time.time() + 9000, time.time() + 9000))
    source = {"database": "t.dbf", "roots": [tmp_path]}
    run(source, "SELECT * FROM t")
    time.sleep(table_copy.RACY + 0.1)
    run(source, "SELECT * FROM t")
    cache = next(tmp_path.glob(".mantra-t-*.sqlite3"))
    wait_until(lambda: bool((found := table_copy.load(cache)) and found.meta.settled), 10, "the copy")


def test_a_memo_that_changes_or_comes_late(tmp_path: Path) -> None:
    write(tmp_path / "t.dbf", [F("M", "M", 4)], [[struct.pack("<I", 8)]], version=0x30)
    source = {"database": "t.dbf", "roots": [tmp_path]}
    assert run(source, "SELECT m FROM t") == [(None,)]
    assert warnings(source) == ["t: the memo file is missing: field M is returned as NULL"]
    for text in (b"satu", b"dua lagi"):
        fpt(tmp_path / "T.FPT", [(1, text)])
        wait_until(lambda text=text: run(source, "SELECT m FROM t") == [(text.decode(),)], 10, "the copy")
    (tmp_path / "T.FPT").unlink()
    wait_until(lambda: run(source, "SELECT m FROM t") == [(None,)], 10, "the copy")


def test_a_file_that_breaks_is_refused_and_comes_back(source: dict[str, Any], tmp_path: Path) -> None:
    good = (tmp_path / "unit.dbf").read_bytes()
    assert run(source, "SELECT count(*) FROM unit") == [(7,)]
    (tmp_path / "unit.dbf").write_bytes(good[:40])
    wait_until(lambda: _outcome(source) == "file-format", 10, "the copy")
    assert problems(source) == ["unit.dbf: the file ends in its header"]
    (tmp_path / "unit.dbf").write_bytes(good)
    wait_until(lambda: _outcome(source) == "7", 10, "the copy")


def _outcome(source: dict[str, Any]) -> str:
    try:
        return str(run(source, "SELECT count(*) FROM unit")[0][0])
    except QueryFailed as error:
        return error.reason


SIZE = 9000


def _numbers(folder: Path, number: int) -> Path:
    """A table all of whose records hold one number. Written in place, as a database program does."""
    path = folder / "t.dbf"
    made = write(folder / "t.new", [F("A", "N", 10)], [[b"%10d" % number]] * SIZE)
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(made.read_bytes())
    made.unlink()
    return path


def _meddle(folder: Path, number: int) -> None:
    _numbers(folder, number)


def _read_while(folder: Path, meddle: Callable[[int], None]) -> list[Any]:
    """Read the table while ``meddle`` is called between its records, with the number of the call."""
    path = _numbers(folder, 0)
    found = Table("t", path, "", folder / "t.sqlite3")
    calls = iter(range(10**6))
    building.build(found, [], None, lambda done, total: meddle(next(calls)))
    connection = sqlite3.connect(found.cache)
    rows = connection.execute("SELECT min(a), max(a), count(*) FROM t").fetchall()
    connection.close()
    return rows


def test_a_change_during_the_reading_begins_it_anew(tmp_path: Path) -> None:
    def meddle(call: int) -> None:
        if call == 0:
            _numbers(tmp_path, 1)

    assert _read_while(tmp_path, meddle) == [(1, 1, SIZE)]


def test_a_file_that_changes_at_each_reading_is_copied_first(tmp_path: Path) -> None:
    ((low, high, count),) = _read_while(tmp_path, lambda call: _meddle(tmp_path, call + 1))
    assert low == high > 0
    assert count == SIZE


def test_a_file_that_never_stands_still_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "_GIVE_UP_SECONDS", 0.5)
    copy = shutil.copyfile
    numbers = iter(range(1, 10**6))

    def copyfile(source: Path, target: Path) -> Any:
        _numbers(tmp_path, next(numbers))
        return copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", copyfile)
    with pytest.raises(building.FileBusy):
        _read_while(tmp_path, lambda call: _meddle(tmp_path, next(numbers)))
    assert [path.name for path in tmp_path.iterdir()] == ["t.dbf"]


def _rewrite(path: Path) -> None:
    """Change every record, in a hundred writes without a pause, again and again."""
    for number in range(1, 1000):
        body = (b" " + b"%10d" % number) * (SIZE // 100)
        with path.open("r+b", buffering=0) as file:
            file.seek(65)
            for _part in range(100):
                file.write(body)
        time.sleep(0.3)


def test_a_writer_that_pauses_between_its_changes_is_read_between_them(tmp_path: Path) -> None:
    path = _numbers(tmp_path, 0)
    source = {"database": "t.dbf", "roots": [tmp_path]}
    # A process of its own: as a thread it would wait for this one in the middle of its work, and nobody can
    # tell a writer that waits there from one that has finished.
    writer = multiprocessing.get_context("spawn").Process(target=_rewrite, args=(path,), daemon=True)
    writer.start()
    seen = set()
    try:
        began = time.monotonic()
        # A busy machine may not come to a second reading in four seconds.
        while (since := time.monotonic() - began) < 4 or (len(seen) <= 2 and since < 40):
            seen.add(run(source, "SELECT min(a), max(a), count(*) FROM t")[0])
    finally:
        writer.terminate()
        writer.join()
    assert all(low == high and count == SIZE for low, high, count in seen), seen
    assert len(seen) > 2


def test_processes_share_one_reading(tmp_path: Path) -> None:
    table(tmp_path, 5000)
    source = {"database": "pegawai.dbf", "roots": [str(tmp_path)]}
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        counts = pool.starmap(_count, [(source,)] * 6)
    assert counts == [5000] * 6
    assert len(list(tmp_path.glob(".mantra-*.sqlite3"))) == 1


def _count(source: dict[str, Any]) -> int:
    return int(run(source, "SELECT count(*) FROM pegawai")[0][0])


@pytest.fixture
def large(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A table that a process of its own reads."""
    table(tmp_path, 60_000)
    assert (tmp_path / "PEGAWAI.DBF").stat().st_size > copy_manager.LARGE
    return {"database": "pegawai.dbf", "roots": [str(tmp_path)]}


def test_a_large_table_is_read_elsewhere_and_its_progress_shows(large: dict[str, Any], tmp_path: Path) -> None:
    assert progress(large) == [("pegawai", 0, 0, "none")]
    with pytest.raises(TimedOut):
        run(large, "SELECT 1 FROM pegawai", Limits(1, 0.001))
    states = set()

    def ready() -> bool:
        ((_, done, total, state),) = progress(large)
        states.add((state, total, 0 < done < total))
        return state == "ready"

    wait_until(ready, 30, "the copy")
    assert ("reading", 60_000, True) in states
    assert progress(large) == [("pegawai", 60_000, 60_000, "ready")]
    assert run(large, "SELECT count(*), max(gaji) FROM pegawai") == [(60_000, "15000.00")]
    assert not list(tmp_path.glob("*.tmp"))


# ------------------------------------------------------------------------------------------- indices


def _plan(source: dict[str, Any], sql: str) -> str:
    return " ".join(str(row[-1]) for row in run(source, f"EXPLAIN QUERY PLAN {sql}"))


def test_compared_columns_get_an_index(source: dict[str, Any], tmp_path: Path) -> None:
    run(source, "SELECT count(*) FROM pegawai")
    sql = "SELECT nama FROM pegawai WHERE nip = '000000000000000004'"
    assert run(source, sql) == [("Pegawai 4",)]
    wait_until(lambda: "USING INDEX mantra nip" in _plan(source, sql), 10, "the copy")
    sql = "SELECT 1 FROM pegawai p JOIN unit u ON p.unit = u.kode WHERE p.nama LIKE 'pegawai 1%' AND u.nama > 'Unit 5'"
    assert len(run(source, sql)) == 1
    wait_until(lambda: set(_indices(tmp_path, "pegawai")) == {"nip", "unit", "nama nocase"}, 10, "the copy")
    wait_until(lambda: set(_indices(tmp_path, "unit")) == {"kode", "nama"}, 10, "the copy")
    like = "SELECT 1 FROM pegawai WHERE nama LIKE 'pegawai 1%'"
    assert "USING INDEX mantra nama nocase" in _plan(source, like) or "USING COVERING INDEX" in _plan(source, like)
    # A new state of the file has them from the start.
    table(tmp_path, 40)
    wait_until(lambda: run(source, "SELECT count(*) FROM pegawai") == [(40,)], 10, "the copy")
    assert set(_indices(tmp_path, "pegawai")) == {"nip", "unit", "nama nocase"}


def _indices(folder: Path, name: str) -> list[str]:
    found = table_copy.load(next(folder.glob(f".mantra-{name}-*.sqlite3")))
    return found.meta.indices if found else []


def test_the_first_statement_finds_its_index_made(source: dict[str, Any], tmp_path: Path) -> None:
    run({**source, "index": "NAMA, tidak_ada"}, "SELECT * FROM pegawai WHERE nip >= :a", a="x")
    assert _indices(tmp_path, "pegawai") == ["nama", "nip"]
