"""Look-ups in a large dBase table that has no copy yet: a scan of the file answers them as the copy would."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from adapters.base import Limits, QueryFailed, TimedOut
from adapters.dbase import DBase, copies
from adapters.dbf import copy_manager, scan, scan_plan, scan_process, statement
from adapters.dbf.comparisons import Comparison
from adapters.dbf.copy_manager import CopyJob
from adapters.dbf.tables import Table, tables
from tests.adapters.dbase_engine import LIMITS, run
from tests.adapters.engines import everything
from tests.bounds import assert_within
from tests.dbf_writer import F, fpt, write
from tests.servers.process import wait_until

RECORDS = 5000
LOOK_UP = "SELECT nip, nama, gaji, catatan FROM pegawai WHERE nip = :nip"


def pegawai(n: int, memo: int) -> list[bytes]:
    return [b"%018d" % n, b"Pegawai %d" % n, b"%12.2f" % (n / 4), b"%-900d" % n, struct.pack("<I", memo)]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table that is large enough for scans; no test leaves a copy of it."""
    folder = tmp_path_factory.mktemp("scans")
    (memo,) = fpt(folder / "pegawai.fpt", [(1, b"catatan")])
    fields = [F("NIP", "C", 18), F("NAMA", "C", 20), F("GAJI", "N", 12, 2), F("ISI", "C", 900), F("CATATAN", "M", 4)]
    path = write(folder / "pegawai.dbf", fields, (pegawai(n, memo) for n in range(RECORDS)), version=0x30, deleted=[7])
    assert path.stat().st_size > copy_manager.LARGE
    _age(folder)
    return folder


def _age(folder: Path) -> None:
    """Make the files old enough that nobody waits for their writer."""
    for path in folder.iterdir():
        os.utime(path, (time.time() - 60, time.time() - 60))


@pytest.fixture
def source(large: Path) -> Iterator[dict[str, Any]]:
    source = {"database": "pegawai.dbf", "roots": [str(large)]}
    yield source
    wait_until(lambda: copies(source)[0][0].state != "reading", 30, "the copy")
    for path in large.glob(".mantra-*"):
        path.unlink()
    copy_manager._tracked.clear()


@contextmanager
def unread(source: dict[str, Any]) -> Iterator[Table]:
    """Within this no copy can be made: its lock is taken."""
    table = tables(source)[0]["pegawai"]
    with table.lock_path().open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield table


# --------------------------------------------------------------------------------------- the first call


def test_it_works(source: dict[str, Any]) -> None:
    adapter = DBase(source)
    connection = adapter.connect()
    began = time.time()
    with unread(source):
        stream = adapter.run(connection, LOOK_UP, {"nip": f"{4000:018d}"}, LIMITS)
        assert stream.columns == (("NIP", "text"), ("NAMA", "text"), ("GAJI", "decimal"), ("CATATAN", "text"))
        assert stream.as_of is not None and began <= stream.as_of <= time.time()
        found = everything(stream)
        assert found == [(f"{4000:018d}", "Pegawai 4000", "1000.00", "catatan")]
        assert not connection.attached
        # What is deleted, or not there, is an answer too.
        assert everything(adapter.run(connection, LOOK_UP, {"nip": f"{7:018d}"}, LIMITS)) == []
        # A wrong statement has its reason at once.
        with pytest.raises(QueryFailed) as error:
            adapter.run(connection, f"{LOOK_UP} AND tidak_ada(nama)", {"nip": "1"}, LIMITS)
        assert error.value.reason == "object-unknown"
        assert not connection.attached
        assert copies(source)[0][0].state == "reading"
    wait_until(lambda: copies(source)[0][0].state == "ready", 30, "the copy")
    assert everything(adapter.run(connection, LOOK_UP, {"nip": f"{4000:018d}"}, LIMITS)) == found
    assert set(connection.attached) == {"pegawai"}
    connection.close()


def test_other_statements_wait_for_the_copy(source: dict[str, Any]) -> None:
    with unread(source):
        for sql in ("SELECT count(*) FROM pegawai", "SELECT nama FROM pegawai WHERE isi LIKE '%5'"):
            with pytest.raises(TimedOut):
                run(source, sql, Limits(10, 0.05))


def test_no_more_scans_than_there_are_places(large: Path) -> None:
    table = tables({"database": "pegawai.dbf", "roots": [large]})[0]["pegawai"]
    assert _scanned(table, CopyJob()) is not None
    with table.scans_path().open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, scan.SCANS_OF_TABLE)
        assert _scanned(table, CopyJob()) is None
    for _ in range(scan_process.MAX_SCANS):
        assert scan_process._slots.acquire(blocking=False)
    try:
        assert _scanned(table, CopyJob()) is None
    finally:
        for _ in range(scan_process.MAX_SCANS):
            scan_process._slots.release()


def _scanned(table: Table, job: CopyJob, seconds: float = 20) -> Any:
    plan = scan_plan.ScanPlan(frozenset({"nama"}), (Comparison("NIP", (("1", "1"),)),))
    return scan_process.scanned(table, plan, (), job, time.monotonic() + seconds)


@pytest.mark.parametrize("end", ["time", "copy"])
def test_a_scan_ends_with_its_time_or_the_copy(
    large: Path, monkeypatch: Any, request: pytest.FixtureRequest, end: str
) -> None:
    table = tables({"database": "pegawai.dbf", "roots": [large]})[0]["pegawai"]
    started: list[subprocess.Popen[bytes]] = []
    # A copy that is being made for an earlier test may start one too.
    request.addfinalizer(lambda: [each.kill() for each in started])

    def hangs(stdout: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", "import signal; signal.pause()"]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=stdout))
        return started[0]

    monkeypatch.setattr(copy_manager, "start_process", hangs)
    job, began = CopyJob(), time.monotonic()
    if end == "copy":
        threading.Timer(0.1, job.done.set).start()
    assert _scanned(table, job, 0.2 if end == "time" else 20) is None
    assert_within(10, began)
    assert started[0].returncode is not None
    assert _scanned(table, job, 0) is None


def _scan(table: Table, *comparisons: Comparison, seconds: float = 20) -> bytes:
    return scan.scan(table, scan.Scan({"nama", "catatan"}, comparisons, (), time.monotonic() + seconds))


def test_a_scan_gives_up(large: Path, monkeypatch: Any) -> None:
    table = tables({"database": "pegawai.dbf", "roots": [large]})[0]["pegawai"]
    one = Comparison("NIP", ((f"{1:018d}", f"{1:018d}"),))
    assert _scan(table, one)
    with pytest.raises(scan.GaveUp):
        _scan(table, one, seconds=-1)
    for bound, comparison in (("MAX_BYTES", one), ("MAX_RECORDS", Comparison("NIP", (("0", None),)))):
        with monkeypatch.context() as bounded:
            bounded.setattr(scan, bound, 10)
            with pytest.raises(scan.GaveUp):
                _scan(table, comparison)
    filters = scan.filters

    def written_meanwhile(*arguments: Any) -> Any:
        os.utime(large / "pegawai.fpt")
        return filters(*arguments)

    monkeypatch.setattr(scan, "filters", written_meanwhile)
    with pytest.raises(scan.GaveUp):
        _scan(table, one)
    _age(large)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT rowid FROM pegawai WHERE nip = :nip",
        "SELECT nama AS rowid FROM pegawai WHERE nip = :nip ORDER BY rowid",
        "SELECT nama FROM pegawai WHERE nip = :nip OR gaji = 1",
        "SELECT nama FROM pegawai WHERE nip <> :nip",
        "SELECT nama FROM pegawai WHERE NOT nip = :nip",
        "SELECT nama FROM pegawai WHERE nip NOT IN (:nip)",
        "SELECT nama FROM pegawai WHERE nip NOT BETWEEN '1' AND '2'",
        "SELECT nama FROM pegawai WHERE nip NOT LIKE '1%'",
        "SELECT nama FROM pegawai WHERE nip LIKE '1!%%' ESCAPE '!'",
        "SELECT nama FROM pegawai WHERE nip = :nip COLLATE NOCASE",
        "SELECT nama FROM pegawai WHERE catatan = :nip",
        "SELECT nama FROM pegawai WHERE nip = 1.5",
        "SELECT nama FROM pegawai WHERE gaji = 'x'",
        "SELECT nama FROM pegawai WHERE nip IN (SELECT nip FROM pegawai)",
        "SELECT p.nama FROM pegawai p JOIN pegawai q ON p.nip = q.nip WHERE p.nip = :nip",
        "SELECT nama FROM pegawai WHERE nip = :nip UNION SELECT '1'",
        "WITH a AS (SELECT 1) SELECT nama FROM pegawai WHERE nip = :nip",
        "SELECT nama, (SELECT count(*) FROM pegawai) FROM pegawai WHERE nip = :nip",
    ],
)
def test_what_no_scan_can_answer(large: Path, sql: str) -> None:
    table = tables({"database": "pegawai.dbf", "roots": [large]})[0]["pegawai"]
    fields = {field.name.lower(): field for field in table.header().fields}
    assert scan_plan.plan(statement.parse_statement(sql), fields, {"nip": "1"}) is None


# ------------------------------------------------------------------------------ as the copy has it

FIELDS = [
    F("C", "C", 4, 0, 2),
    F("V", "V", 4, 0, 2),
    F("X", "C", 3, 0, 4),
    F("N", "N", 5),
    F("P", "N", 8, 2),
    F("W", "N", 20, 3),
    F("I", "I", 4),
    F("B", "B", 8),
    F("Y", "Y", 8),
    F("D", "D", 8),
    F("T", "T", 8),
    F("L", "L", 1),
    F("M", "M", 4),
    F("_NullFlags", "0", 1, 0, 5),
]

TEXTS = ["", "a", "A", "ab", "aB", "abcd", " a", "é", "É", "aé", "ж", "日", "5", "05", "a\x01", "~"]
CELLS = {
    "N": [
        "    5",
        "00005",
        "5    ",
        "   +5",
        "   -5",
        "  5E1",
        "*****",
        "     ",
        "\0\0\0\0\0",
        "   50",
        "    0",
        "1 2",
    ],
    "P": [
        "    5.00",
        "    5.0 ",
        "5       ",
        "     .50",
        "    0.50",
        "   -5.00",
        "*" * 8,
        " " * 8,
        "   50.25",
        "00005.00",
    ],
    "W": ["5.000".rjust(20), "5".ljust(20), "12345678901.234".rjust(20), "0.100".rjust(20), " " * 20],
    "D": ["20240229", "20240301", "        ", "00000000", "2024x229", "20230229"],
    "L": list("TtFfYn? x"),
}
#: Plain digits, in other places than usual.
PLAIN = {
    "N": ["    5", "00005", "5    ", "   +5", "   -5", "     ", "   50", "50   ", "5\0\0\0\0"],
    "P": [
        "    5.00",
        "    5.0 ",
        "5       ",
        "       5",
        "     .50",
        "    0.50",
        "   -5.00",
        " " * 8,
        "   50.25",
        "00005.00",
    ],
    "W": ["5.000".rjust(20), "5".rjust(20), "0.100".rjust(20), ".1".rjust(20), " " * 20],
}
#: How numbers are written as a rule: all of a block may be.
USUAL = {
    "N": ["    5", "   -5", "   50", "   15", "    0", "     "],
    "P": ["    5.00", "    0.50", "   -5.00", "   50.25", "   15.00"],
    "W": ["5.000".rjust(20), "0.100".rjust(20), "-0.100".rjust(20)],
}
#: Numbers for which the copy stores a column as text.
INEXACT = {"N": "  1.5", "P": "1.5E-9".ljust(8), "W": "12345678901234567.89".rjust(20)}
CODE_PAGES = {3: "cp1252", 0xC9: "cp1251", 0x7B: "cp932", 0: "utf-8"}
NUMBERS = [True, 0, 1, 5, -5, 15, 50, 5.0, 0.5, 0.1, 50.25, "5.0", "0.50", " 5", "abc", 12345678901.234, 10**17, 1e300]
VALUES = {
    "text": [*TEXTS, "abcde", 5, 5.0],
    "date": ["2024-02-29", "2024-03-01", "2024-03", "", "x", 2024],
    "datetime": ["2024-02-29 00:00:00", "2024-02-29 01:00:00", "2024-02-29"],
    "number": NUMBERS,
}
ANY = [*TEXTS, *NUMBERS, None, b"a"]
KINDS = {"c": "text", "v": "text", "x": "text", "d": "date", "t": "datetime", "m": "text"}
COLUMNS = [field.name.lower() for field in FIELDS[:-1]]
CONDITIONS = [
    "{c} = :p{n}", "{c} = :p{n}", "{c} = :p{n}", ":p{n} = {c}", "{c} IN (:p{n}, :q{n}, 'ab', 5)", "{c} IN (:p{n})",
    "{c} BETWEEN :p{n} AND :q{n}", "{c} > :p{n}", ":p{n} > {c}", "{c} >= :p{n} AND {c} <= :q{n}",
    "{c} LIKE :p{n} || '%'", "{c} LIKE 'A%'", "{c} LIKE :p{n}", "{c} LIKE 'é%'", "{c} = 5", "{c} = -5.0", "{c} = '5'",
    "{c} = TRUE", "{c} < 50", "{c} = NULL",
]  # fmt: skip
FURTHER = ["{c} IS NULL", "{c} <> :p{n}", "({c} = :p{n} OR {c} = :q{n})", "NOT {c} = :p{n}", *CONDITIONS]
RESULTS = [
    "*", "c, v, n", "m, x", "count(*)", "sum(p), max(n), min(c)", "typeof(n), typeof(p), upper(c)", "n, p, w, y, b",
    "DISTINCT l, d", "t, i, length(m)", "c || v AS rangkai, n + 1",
]  # fmt: skip


def some_record(chosen: Random, encoding: str, memos: list[int], cells: dict[str, list[str]]) -> list[bytes]:
    texts = [text.encode(encoding, "ignore") for text in TEXTS] + [b"\xff\x81", b"a\0b", b"a\0\0\0"]
    varying = chosen.choice(texts)[:4]
    counted = len(varying) < 4
    return [
        chosen.choice(texts)[:4],
        varying.ljust(3, b" ") + bytes((len(varying),)) if counted else varying,
        chosen.choice([b"a", b"\0\xff", b"5"]),
        *[chosen.choice(cells[name]).encode() for name in "NPW"],
        struct.pack("<i", chosen.choice([0, 1, 5, 50, -5, 2**31 - 1])),
        struct.pack("<d", chosen.choice([5.0, 0.1, -5.0, float("nan")])),
        struct.pack("<q", chosen.choice([50_000, 5_000, -50_000, 2**47])),
        chosen.choice(cells["D"]).encode(),
        chosen.choice([struct.pack("<II", 2460370, 0), struct.pack("<II", 2460370, 3_599_999), b" " * 8]),
        chosen.choice(cells["L"]).encode(),
        struct.pack("<I", chosen.choice([0, 9999, *memos])),
        bytes((chosen.choice([0, 0, 1, 4, 5]) | counted << 1,)),
    ]


def some_table(chosen: Random, folder: Path, code_page: int, cells: dict[str, list[str]]) -> dict[str, Any]:
    """Write a table, and return its source."""
    memos = fpt(folder / "t.fpt", [(1, b"satu"), (1, b"dua\0"), *chosen.choice([[], [(0, b"\0\1")]])])
    encoding = CODE_PAGES[code_page]
    records = [some_record(chosen, encoding, memos, CELLS | cells) for _ in range(80)]
    if chosen.random() < 0.1:
        name = chosen.choice(list(INEXACT))
        records[70][[field.name for field in FIELDS].index(name)] = INEXACT[name].encode()
    deleted = chosen.sample(range(80), chosen.choice([0, 9]))
    write(folder / "t.dbf", FIELDS, records, version=0x32, code_page=code_page, deleted=deleted)
    _age(folder)
    return {"database": "t.dbf", "roots": [folder], "encoding": "" if code_page else encoding}


def some_statement(chosen: Random) -> tuple[str, dict[str, Any]]:
    conditions, values = [], {}
    for n in range(chosen.choice([1, 1, 1, 2, 3])):
        column = chosen.choice(COLUMNS)
        conditions.append(chosen.choice(FURTHER if n else CONDITIONS).format(c=column, n=n))
        fitting = VALUES[KINDS.get(column, "number")]
        values |= {f"{letter}{n}": chosen.choice(fitting if chosen.random() < 0.9 else ANY) for letter in "pq"}
    results, order = chosen.choice(RESULTS), ""
    if "(" not in results and chosen.random() < 0.5:
        width = len(COLUMNS) if results == "*" else results.count(",") + 1
        order = f" ORDER BY {', '.join(map(str, range(1, width + 1)))}"
        order += chosen.choice(["", " LIMIT 2", " LIMIT 2 OFFSET 1"])
    chosen.shuffle(conditions)
    return f"SELECT {results} FROM t WHERE {' AND '.join(conditions)}{order}", values


def every_comparison() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each column with each value of its kind."""
    for column in COLUMNS:
        values = VALUES[KINDS.get(column, "number")]
        for operator in ["= :a", *["LIKE :a || '%'"] * (column in "cv")]:
            for value in values:
                yield f"SELECT c, v, n, p, i, d FROM t WHERE {column} {operator}", {"a": value}


def _outcome(adapter: DBase, connection: Any, sql: str, values: dict[str, Any]) -> Any:
    try:
        stream = adapter.run(connection, sql, values, LIMITS)
        rows = everything(stream)
        # That a memo field has binary data besides text shows in all of its memos only.
        columns = [(name, None if name == "M" else kind) for name, kind in stream.columns]
        # Without ORDER BY the order is SQLite's choice, here as there.
        return columns, rows if "ORDER BY" in sql else Counter(map(repr, rows))
    except QueryFailed as error:
        return error.reason


def _outcomes(source: dict[str, Any], statements: list[tuple[str, dict[str, Any]]]) -> list[Any]:
    adapter = DBase(source)
    connection = adapter.connect()
    outcomes = [_outcome(adapter, connection, *each) for each in statements]
    connection.close()
    return outcomes


answered: Counter[str] = Counter()


def _in_this_process(table: Table, plan: Any, indices: Any, job: CopyJob, deadline: float) -> bytes:
    """What the process does, for the many scans of this test."""
    try:
        return scan.run(json.loads(scan_process.task(table, plan, indices, deadline)))
    except scan.GaveUp:
        return b""


def _no_copy(*arguments: Any) -> Any:
    raise QueryFailed("waits for the copy")


def _compare(source: dict[str, Any], statements: list[tuple[str, dict[str, Any]]]) -> None:
    """Run the statements over scans, and then over the copy."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(copy_manager, "LARGE", 0)
        patched.setattr(copy_manager, "start_reading", lambda table, indices: CopyJob())
        patched.setattr(scan_process, "_scan", _in_this_process)
        patched.setattr(copy_manager, "current", _no_copy)
        scanned = _outcomes(source, statements)
    copied = _outcomes(source, statements)
    for statement_, outcome, expected in zip(statements, scanned, copied, strict=True):
        if outcome == "waits for the copy":
            answered[outcome] += 1
            continue
        assert outcome == expected, statement_
        answered["rows" if outcome[1] else "none"] += 1


@pytest.mark.parametrize("seed", range(4))
def test_a_scan_answers_as_the_copy_does(tmp_path: Path, seed: int) -> None:
    chosen = Random(seed)
    source = some_table(chosen, tmp_path, list(CODE_PAGES)[seed], chosen.choice([{}, PLAIN, USUAL]))
    _compare(source, [some_statement(chosen) for _ in range(40)])


@pytest.mark.parametrize(("code_page", "cells"), [(3, {}), (0, PLAIN), (0xC9, USUAL)])
def test_every_comparison_is_as_the_copy_has_it(tmp_path: Path, code_page: int, cells: dict[str, list[str]]) -> None:
    _compare(some_table(Random(1), tmp_path, code_page, cells), list(every_comparison()))


def test_most_of_these_statements_were_scanned_and_found_rows() -> None:
    assert answered["rows"] > 100
    assert answered["waits for the copy"] < answered.total() / 2
