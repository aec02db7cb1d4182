"""What is SQLite's alone: a file, and what a statement could do with other files."""

from __future__ import annotations

import sqlite3
import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.base import ConnectFailed, Limits, LockConflict, QueryFailed, RowTooLarge
from adapters.sqlite import SQLite
from tests.adapters.engines import LIMITS, WRITES, Engine, everything, sqlite_engine
from tests.bounds import assert_within


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return sqlite_engine(tmp_path)


def test_a_file_outside_the_roots_is_forbidden(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "x.db").write_bytes(b"")
    (inside / "link.db").symlink_to(outside / "x.db")
    paths = [outside / "x.db", inside / "link.db", inside / ".." / "outside" / "x.db", "", inside, "/etc/passwd"]
    for path in paths:
        with pytest.raises(ConnectFailed) as error:
            SQLite({"database": str(path), "roots": [str(inside)]}).connect()
        assert error.value.reason == "file-forbidden"
    with pytest.raises(ConnectFailed) as error:
        SQLite({"database": str(outside / "x.db")}).connect()
    assert error.value.reason == "file-forbidden"


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    for writes in (False, True):
        with pytest.raises(ConnectFailed) as error:
            SQLite({"database": str(tmp_path / "x.db"), "roots": [tmp_path]}).connect(writes)
        assert error.value.reason == "file-missing"
    assert not (tmp_path / "x.db").exists()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("just a text " * 100)
    with pytest.raises(ConnectFailed) as error:
        SQLite({"database": str(tmp_path / "x.db"), "roots": [tmp_path]}).connect()
    assert error.value.reason == "database-unknown"


def test_a_name_with_marks_of_its_own(tmp_path: Path) -> None:
    name = tmp_path / "a?mode=rwc&x#%41 b.db"
    sqlite3.connect(name).execute("CREATE TABLE t (a)")
    connection = SQLite({"database": str(name), "roots": [tmp_path]}).connect()
    assert connection.execute("SELECT count(*) FROM t").fetchall() == [(0,)]


@pytest.mark.parametrize("writes", [False, True])
@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH DATABASE 'x.db' AS x",
        "DETACH DATABASE main",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = ON",
        "SELECT * FROM pragma_database_list",
        "SELECT load_extension('x')",
        "VACUUM INTO 'copy.db'",
    ],
)
def test_no_way_to_another_file_or_setting(engine: Engine, sql: str, writes: bool) -> None:
    limits = WRITES if writes else LIMITS
    with engine.connection(writes) as (adapter, connection), pytest.raises(QueryFailed):
        everything(adapter.run(connection, sql, {}, limits))


def test_numbers_keep_their_digits(engine: Engine) -> None:
    for value, found in (
        (Decimal("12.5"), 12.5),
        (Decimal("12.00"), 12),
        (Decimal("0.1234567890123456789"), "0.1234567890123456789"),
        (Decimal(2**70), str(2**70)),
    ):
        assert engine.query("SELECT :x", {"x": value}) == [(found,)]


def test_a_number_over_64_bits_is_bad_data(engine: Engine) -> None:
    with pytest.raises(QueryFailed) as error:
        engine.query("SELECT :x", {"x": 2**63})
    assert error.value.reason == "data"


def test_a_value_cannot_fill_the_memory(engine: Engine) -> None:
    for sql in ("SELECT hex(zeroblob(500000000))", "SELECT replace(hex(zeroblob(9000000)), '0', hex(zeroblob(99)))"):
        with pytest.raises(RowTooLarge):
            engine.query(sql)


def test_a_write_waits_for_another_only_as_long_as_its_time_cap(engine: Engine) -> None:
    holder = sqlite3.connect(engine.source["database"], isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()
    with engine.connection(writes=True) as (adapter, connection):
        with pytest.raises(LockConflict):
            adapter.run(connection, "INSERT INTO counter VALUES (1, 'a')", {}, Limits(10, 0.5, writes=True))
        assert_within(2, began)
        release = threading.Timer(0.6, lambda: holder.execute("ROLLBACK"))
        release.start()
        stream = adapter.run(connection, "INSERT INTO counter VALUES (1, 'a')", {}, Limits(10, 10, writes=True))
        assert stream.affected == 1
        release.join()
