"""Reading an old database: dumps of any program and a server give the same rows, and nothing else stays."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tracemalloc
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import MySQLdb
import pytest
from django.conf import settings
from django.utils import translation
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mantra.legacy_import.old import OldAgency, OldDatabase, OldOddity
from mantra.legacy_import.reading import UnreadableDatabase, open_database, sql_text
from mantra.legacy_import.reading.sql_text import MAX_VALUE
from tests.legacy_import.old_database import SECRET_OF_TRACKS, SMALL, OldInstallation, make
from tests.legacy_import.old_tables import CREATE
from tests.servers.mariadb import MariaDBServer
from tests.servers.process import find_binary

#: A row for each table that must not be empty.
USER = "INSERT INTO `users` VALUES (1,0,'Admin',NULL,'admin','x','administrator','on',NULL,NULL);\n"
#: Enough of a dump for what a test adds to it.
TABLES = ";\n".join(CREATE.values()) + ";\n" + USER


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    with translation.override("en"):
        yield


@pytest.fixture(scope="module")
def old() -> OldInstallation:
    return make(SMALL)


@pytest.fixture(scope="module")
def dump(old: OldInstallation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return old.write(tmp_path_factory.mktemp("dump") / "mantra.sql")


@pytest.fixture(scope="module")
def loaded(old: OldInstallation, mariadb: MariaDBServer) -> str:
    """The address of the database on a real server, for a user who can only read it."""
    with closing(mariadb.superuser()) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE DATABASE IF NOT EXISTS lama CHARACTER SET utf8")
        cursor.execute("CREATE OR REPLACE USER pembaca@'127.0.0.1' IDENTIFIED BY 'p@s/s:1#2'")
        cursor.execute("GRANT SELECT ON lama.* TO pembaca@'127.0.0.1'")
    with closing(MySQLdb.connect(unix_socket=f"{mariadb.folder}/s.sock", user="root", database="lama")) as connection:
        old.load(connection)
    return f"mysql://pembaca:p%40s%2Fs%3A1%232@127.0.0.1:{mariadb.port}/lama"


def contents(database: OldDatabase) -> dict[str, Any]:
    """All that a database gives."""
    tables = ("agencies", "users", "services", "operations", "orders", "calls", "oddities")
    return {**{name: list(getattr(database, name)()) for name in tables}, "counts": database.counts()}


def read(path: Path | str) -> dict[str, Any]:
    with open_database(str(path)) as database:
        return contents(database)


def written(folder: Path, text: str | bytes, name: str = "x.sql") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def expected(old: OldInstallation) -> dict[str, Any]:
    return {
        "agencies": old.agencies, "users": old.users, "services": old.services, "operations": old.operations,
        "orders": old.orders, "calls": old.history(), "oddities": [], "counts": old.counts(),
    }  # fmt: skip


def agencies_of(folder: Path, rows: str, before: str = "", columns: str = "") -> list[OldAgency]:
    """The agencies of a dump with these rows of the table instances."""
    text = f"{before}{TABLES}INSERT INTO `instances` {columns} VALUES {rows};\n"
    return read(written(folder, text))["agencies"]  # type: ignore[no-any-return]


def refusal(path: Path | str) -> str:
    """The sentence with which a dump or an address is refused."""
    with pytest.raises(UnreadableDatabase) as error, open_database(str(path)):
        pass
    return str(error.value)


# ----------------------------------------------------------------------------------------- the same rows everywhere


def test_a_dump_gives_the_rows_that_were_written(old: OldInstallation, dump: Path) -> None:
    assert read(dump) == expected(old)


def test_a_server_gives_the_same_rows(old: OldInstallation, loaded: str) -> None:
    assert read(loaded) == expected(old)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--skip-extended-insert", "--complete-insert"],
        ["--compact"],
        ["--hex-blob", "--single-transaction"],
        ["--replace", "--order-by-primary", "--tz-utc"],
        ["--insert-ignore", "--skip-add-drop-table", "--no-autocommit"],
        ["--databases"],
        ["--routines", "--triggers", "--events"],
    ],
    ids=" ".join,
)
def test_a_real_mysqldump_reads_back_equal(
    old: OldInstallation, loaded: str, mariadb: MariaDBServer, tmp_path: Path, words: list[str]
) -> None:
    path = tmp_path / "real.sql"
    with path.open("wb") as file:
        command = [find_binary("mysqldump"), "--no-defaults", f"--socket={mariadb.folder}/s.sock", "-uroot", *words]
        subprocess.run([*command, "lama"], stdout=file, check=True)
    assert read(path) == expected(old)


def test_a_dump_in_latin1_gives_the_texts_that_latin1_has(
    old: OldInstallation, loaded: str, mariadb: MariaDBServer, tmp_path: Path
) -> None:
    path = tmp_path / "latin1.sql"
    with path.open("wb") as file:
        command = [find_binary("mysqldump"), "--no-defaults", f"--socket={mariadb.folder}/s.sock", "-uroot"]
        subprocess.run([*command, "--default-character-set=latin1", "lama"], stdout=file, check=True)
    assert b"SET NAMES latin1" in path.read_bytes()
    assert read(path) == expected(old)


def test_it_makes_no_difference_where_the_text_is_cut_into_chunks(
    old: OldInstallation, dump: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in (2, 7, 61, 4096):
        monkeypatch.setattr(sql_text, "CHUNK", size)
        monkeypatch.setattr(sql_text, "_AHEAD", 300)
        assert read(dump) == expected(old)


def test_the_tables_may_come_in_any_order(old: OldInstallation, tmp_path: Path) -> None:
    statements = list(old.statements())
    groups = [statements[place : place + 3] for place in range(3, len(statements) - 2)]
    tables = [group for group in groups if group[0].startswith(b"DROP")]
    for order in (tables, tables[::-1]):
        text = b"".join(s + b";\n" for group in order for s in group if not s.startswith(b"DROP"))
        found = read(written(tmp_path, text))
        assert found["agencies"] == old.agencies and found["orders"] == old.orders


def test_packed_with_gzip(old: OldInstallation, dump: Path, tmp_path: Path) -> None:
    packed = gzip.compress(dump.read_bytes())
    assert read(written(tmp_path, packed, "x.sql.gz")) == expected(old)
    assert "not complete" in refusal(written(tmp_path, packed[:-9]))
    assert "damaged" in refusal(written(tmp_path, packed[:500] + b"\xff" * 40 + packed[540:]))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_with_a_mark_of_its_encoding(old: OldInstallation, dump: Path, tmp_path: Path, encoding: str) -> None:
    assert read(written(tmp_path, dump.read_bytes().decode().encode(encoding))) == expected(old)


# ------------------------------------------------------------------------------------------------- what is written


@pytest.mark.parametrize(
    ("literal", "text"),
    [
        (r"'it\'s'", "it's"),
        ("'it''s'", "it's"),
        ("''''", "'"),
        ("''", ""),
        (r"'\\'", "\\"),
        (r"'\\\\\''", "\\\\'"),
        (r"'a\nb\rc\td\0e\Zf\bg\"h\%i\_j\k'", 'a\nb\rc\td\0e\x1af\bg"h\\%i\\_jk'),
        ("'a;b),(c -- d /* e */ # f\n'", "a;b),(c -- d /* e */ # f\n"),
        ('"it\'s ""so"""', 'it\'s "so"'),
        ("NULL", ""),
        ("null", ""),
        ("0x4d414E54524131", "MANTRA1"),
        ("X'4D41'", "MA"),
        ("_binary 'x\\'y'", "x'y"),
        ("_utf8mb4'Ünï'", "Ünï"),
        ("_binary 0x4D", "M"),
        ("-12.5e3", "-12.5e3"),
        ("'Ünï \U0001f600'", "Ünï \U0001f600"),
        ("/* c */ 'x' -- d\n", "x"),
        ("/*!40101 'x' */", "x"),
    ],
)
def test_literals(tmp_path: Path, literal: str, text: str) -> None:
    (agency,) = agencies_of(tmp_path, f"(1,{literal},'Nama',NULL,NULL,'akhir',NULL,NULL)")
    assert (agency.code, agency.name, agency.description) == (text, "Nama", "akhir")


def test_what_no_column_needs_may_be_any_expression(tmp_path: Path) -> None:
    text = "(1,'a','b','','','c',CURRENT_TIMESTAMP,ST_GeomFromText('POINT(1 ,2)', (4326)))"
    assert [agency.code for agency in agencies_of(tmp_path, text)] == ["a"]


def test_insert_names_its_columns_in_another_order(tmp_path: Path) -> None:
    found = agencies_of(tmp_path, "('Nama', 3,'kode')", columns="(`organization`, id, `Instance`)")
    assert found == [OldAgency(3, "kode", "Nama", "", "", "")]


def test_a_dump_of_phpmyadmin(tmp_path: Path) -> None:
    text = f"""-- phpMyAdmin SQL Dump
-- version 4.5.1
-- http://www.phpmyadmin.net
SET SQL_MODE = "NO_AUTO_VALUE_ON_ZERO";
SET time_zone = "+00:00";
/*!40101 SET NAMES utf8mb4 */;
--
-- Database: `mantra`
--
{TABLES.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS")}
--
-- Dumping data for table `instances`
--
TRUNCATE TABLE `instances`;
INSERT INTO `instances` (`id`, `instance`, `organization`, `webportal`, `email`, `descript`) VALUES
(0, 'system', 'Default', NULL, NULL, NULL),
(1, 'dinas', 'Dinas ''Kota''', NULL, 'a@b.example', '<p>x;</p>');

ALTER TABLE `instances`
  ADD PRIMARY KEY (`id`),
  MODIFY `id` bigint(20) NOT NULL AUTO_INCREMENT, AUTO_INCREMENT=2;
COMMIT;
"""
    assert [agency.name for agency in read(written(tmp_path, text))["agencies"]] == ["Default", "Dinas 'Kota'"]


def test_a_dump_of_heidisql(tmp_path: Path) -> None:
    text = f"""-- --------------------------------------------------------
-- Host:                         127.0.0.1
-- HeidiSQL Version:             9.4.0.5125
/*!50503 SET NAMES utf8mb4 */;
CREATE DATABASE IF NOT EXISTS `mantra` /*!40100 DEFAULT CHARACTER SET utf8 */;
USE `mantra`;
{TABLES}
/*!40000 ALTER TABLE `instances` DISABLE KEYS */;
INSERT IGNORE INTO `instances` (`id`, `instance`, `organization`, `webportal`, `email`, `descript`) VALUES
\t(0, 'system', 'Default', NULL, NULL, NULL),
\t(1, 'dinas', 'Dinas', NULL, NULL, 'satu\\r\\ndua');
/*!40000 ALTER TABLE `instances` ENABLE KEYS */;
DELIMITER //
CREATE DEFINER=`root`@`localhost` PROCEDURE `x`()
BEGIN
  INSERT INTO instances VALUES (9, 'bukan'); -- it's no row
END//
DELIMITER ;
"""
    assert [agency.description for agency in read(written(tmp_path, text))["agencies"]] == ["", "satu\r\ndua"]


def test_comments_and_statements_of_programs_are_passed_over(tmp_path: Path) -> None:
    before = (
        "/*M!999999\\- enable the sandbox mode */ \n# it's one\n-- it's another\n--\n/* it's; a third */\n"
        "SET @x='a;b', @y=\"it's\";;\nLOCK TABLES `x` WRITE;\n"
        "/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`b`*/ /*!50003 TRIGGER t BEFORE INSERT ON x FOR EACH ROW SET @z=1 */;\n"
    )
    assert [row.id for row in agencies_of(tmp_path, "(1,'a','b','','','',NULL,NULL)", before)] == [1]


def test_texts_that_are_not_in_the_dumps_encoding_are_read_and_reported(old: OldInstallation, tmp_path: Path) -> None:
    found = read(old.write(tmp_path / "x.sql", is_garbled=True))
    agency = old.trap("not-utf8")
    assert found["oddities"] == [OldOddity("instances", agency.id, "organization", "encoding")]
    assert found["agencies"] == old.agencies


def test_a_text_without_end_is_cut_and_reported(tmp_path: Path) -> None:
    long = "x" * (MAX_VALUE - 1) + "Ü" * 10
    path = written(tmp_path, f"{TABLES}INSERT INTO instances VALUES (1,'a','{long}',NULL,NULL,'akhir',NULL,NULL);")
    found = read(path)
    assert len(found["agencies"][0].name) <= MAX_VALUE and found["agencies"][0].description == "akhir"
    assert OldOddity("instances", 1, "organization", "long") in found["oddities"]


def test_the_later_copy_of_a_table_counts(tmp_path: Path) -> None:
    rows = "INSERT INTO instances VALUES ({},'a','b','','','',NULL,NULL);\n"
    text = (
        TABLES
        + rows.format(1)
        + "DROP TABLE IF EXISTS `instances`, x;\n"
        + CREATE["instances"]
        + ";\n"
        + rows.format(2)
    )
    found = read(written(tmp_path, text))
    assert [agency.id for agency in found["agencies"]] == [2] and found["counts"]["instances"] == 1


def test_a_row_that_is_there_twice_is_read_once_and_reported(tmp_path: Path) -> None:
    row = "(5,'{}','b','','','',NULL,NULL)"
    found = read(written(tmp_path, f"{TABLES}INSERT INTO instances VALUES {row.format('a')},{row.format('c')};"))
    assert ([agency.code for agency in found["agencies"]], found["counts"]["instances"]) == (["a"], 1)
    assert found["oddities"] == [OldOddity("instances", 5, "id", "repeated")]


def test_a_number_that_is_none_is_reported(tmp_path: Path) -> None:
    text = TABLES + "INSERT INTO orders VALUES (1,'admin','abc',NULL,'on',NULL,NULL);"
    found = read(written(tmp_path, text))
    assert found["orders"][0].operation_id == -1
    assert found["oddities"] == [OldOddity("orders", 1, "methodid", "number")]


# ------------------------------------------------------------------------------------------------- incomplete, damaged


def test_a_dump_that_is_cut_anywhere_is_refused(dump: Path, tmp_path: Path) -> None:
    text = dump.read_bytes()
    for length in range(1, len(text) - 60, 1789):
        assert refusal(written(tmp_path, text[:length])), length


def test_the_refusal_says_where_the_dump_ends(tmp_path: Path) -> None:
    text = "-- kepala\n" + TABLES.replace(USER, "") + USER.rpartition("'admin")[0]
    lines = text.count("\n") + 1
    assert f"line {lines} (table users)" in refusal(written(tmp_path, text))


def test_a_damaged_dump_is_refused_with_its_line(tmp_path: Path) -> None:
    rows = "INSERT INTO instances VALUES (1,'a','b','','','',NULL,NULL),\n(2,'a','b' 'c',\n(3);\n"
    text = TABLES + rows
    message = refusal(written(tmp_path, text))
    assert f"line {TABLES.count(chr(10)) + 2} " in message and "table instances" in message


@pytest.mark.parametrize("row", ["(1,'a')", "(1,'a','b','','','',NULL,NULL,5)", "('x','a','b','','','',NULL,NULL)"])
def test_a_row_that_does_not_fit_its_table_is_refused(tmp_path: Path, row: str) -> None:
    assert "instances" in refusal(written(tmp_path, f"{TABLES}INSERT INTO instances VALUES {row};"))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (b"", "lacks instances"),
        (b"PK\x03\x04 x", "Unpack"),
        (b"\x00\x01\x02 hello", "no SQL"),
        (b"id;nama\n1;Budi\n", "no SQL"),
        (b"<?xml version='1.0'?><mysqldump>", "no SQL"),
        (b"SET NAMES gbk;", "gbk"),
        (b"INSERT INTO users VALUES (1);", "CREATE TABLE"),
        ("".join(f"{text};\n" for text in CREATE.values()).encode(), "no rows"),
    ],
)
def test_what_is_no_dump_of_1_99x_is_refused(tmp_path: Path, text: bytes, part: str) -> None:
    assert part in refusal(written(tmp_path, text))


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "cannot be opened" in refusal(tmp_path / "missing.sql")
    assert "cannot be opened" in refusal(tmp_path)
    for path in (pipe, Path("/dev/zero")):
        assert "no file" in refusal(path)


@given(st.binary(max_size=400))
@hypothesis_settings(max_examples=200)
def test_any_bytes_after_the_tables_give_rows_or_a_refusal(rest: bytes) -> None:
    _try(TABLES.encode() + rest)


_SIGNS = (
    "'", '"', "`", "\\", ";", ",", "(", ")", "/*", "*/", "/*!40101 ", "-- ", "\n", "#", "NULL", "0x4", "x'", "1", "-",
    ".5",
)  # fmt: skip
_WORDS = (
    "_binary ", "INSERT INTO `orders` VALUES ", "INSERT INTO orders (id) VALUES ", "CREATE TABLE `users` (", "VALUES",
    "é", "DROP TABLE users", "SET NAMES latin1", "USE b;", "DELIMITER $$\n", "(1,'a','b',2,'on',NULL,NULL)",
    "TRUNCATE orders;", "REPLACE INTO b.orders", "id int",
)  # fmt: skip
_PIECES = st.sampled_from((*_SIGNS, *_WORDS))


@given(st.lists(_PIECES, max_size=30))
@hypothesis_settings(max_examples=200)
def test_any_pieces_of_sql_give_rows_or_a_refusal(pieces: list[str]) -> None:
    _try(TABLES.encode() + "".join(pieces).encode())


@given(st.data())
@hypothesis_settings(max_examples=100)
def test_a_dump_with_wrong_bytes_gives_rows_or_a_refusal(data: st.DataObject) -> None:
    text = bytearray(_SMALL_DUMP)
    for _time in range(data.draw(st.integers(1, 5))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    _try(bytes(text))


def _small_dump() -> bytes:
    file = io.BytesIO()
    make(SMALL).write_to(file)
    return file.getvalue()


_SMALL_DUMP = _small_dump()
_SCRATCH = Path(settings.VAR_DIR) / f"reading-{os.getpid()}.sql"


@pytest.fixture(scope="module", autouse=True)
def _no_scratch() -> Iterator[None]:
    yield
    _SCRATCH.unlink(missing_ok=True)


def _try(text: bytes) -> None:
    _SCRATCH.parent.mkdir(parents=True, exist_ok=True)
    _SCRATCH.write_bytes(text)
    with suppress(UnreadableDatabase):
        assert read(_SCRATCH)["users"] is not None


# ------------------------------------------------------------------------------------------------- which database


def test_an_older_database_is_refused_with_what_to_do(tmp_path: Path) -> None:
    older = """CREATE TABLE providers (id int, providername text, url text, `desc` text);
CREATE TABLE tokens (id int, token text, tokenstatus int, servicename text, methodname text);
CREATE TABLE users (id int, userlog text, userpass text, userlevel int, userstatus int);
INSERT INTO users VALUES (1, 'admin', 'x', 9, 1);
"""
    assert "upgrades" in refusal(written(tmp_path, older))
    # An upgraded one may keep what it was made from.
    assert read(written(tmp_path, f"{TABLES}{older.partition('CREATE TABLE users')[0]}"))["counts"]["tokens"] == 0


@pytest.mark.parametrize("missing", ["instances", "orders"])
def test_a_dump_without_one_of_the_tables_is_refused(tmp_path: Path, missing: str) -> None:
    text = ";\n".join(sql for name, sql in CREATE.items() if name != missing) + ";\n" + USER
    assert f"lacks {missing}" in refusal(written(tmp_path, text))


def test_a_foreign_database_with_tables_of_these_names_is_refused(tmp_path: Path) -> None:
    text = TABLES.replace("`sourcecode`", "`isi`").replace("`accesskey`", "`kunci`")
    assert "methods.sourcecode, orders.accesskey" in refusal(written(tmp_path, text))


def test_the_history_may_be_missing(tmp_path: Path) -> None:
    found = read(written(tmp_path, TABLES.replace(CREATE["tracks"] + ";\n", "")))
    assert found["calls"] == [] and "tracks" not in found["counts"]


def test_the_database_of_1_99x_is_found_among_others(old: OldInstallation, dump: Path, tmp_path: Path) -> None:
    other = "CREATE TABLE users (id int, nama text); INSERT INTO users VALUES (1,'x'),(2,'y');\n"
    text = f"USE `wp`;\n{other}USE `lama`;\n".encode() + dump.read_bytes()
    assert read(written(tmp_path, text)) == expected(old)
    twice = b"USE `satu`;\n" + dump.read_bytes() + b"USE `dua`;\n" + dump.read_bytes()
    assert "dua, satu" in refusal(written(tmp_path, twice))


# ------------------------------------------------------------------------------------------- what stays, and memory


def test_nothing_of_the_history_but_counts_is_kept_and_no_file_stays(dump: Path) -> None:
    before = set(Path(settings.VAR_DIR).iterdir())
    assert SECRET_OF_TRACKS.encode() in dump.read_bytes()
    with open_database(str(dump)) as database:
        assert set(Path(settings.VAR_DIR).iterdir()) == before  # it has no name
        (file,) = _deleted_files()
        assert file.stat().st_mode & 0o777 == 0o600
        stored = file.read_bytes()
        assert b"Dinas Perhubungan" in stored and SECRET_OF_TRACKS.encode() not in stored
        assert sum(calls.calls for calls in database.calls()) > 0
    assert _deleted_files() == []


def _deleted_files() -> list[Path]:
    """The files without a name that this process has open for an import."""
    paths = Path("/proc/self/fd").iterdir()
    return [path for path in paths if path.is_symlink() and "legacy-import-" in os.readlink(path)]


def test_memory_is_flat_however_long_a_statement_or_a_value_is(tmp_path: Path) -> None:
    row = "({},'u','::1','a','database','api','SUCCESS','OK','{}','2017-01-02 03:04:05')"
    path = tmp_path / "long.sql"
    with path.open("w") as file:
        file.write(TABLES + "INSERT INTO tracks VALUES " + row.format(1, "x\\'\\\\" * (6 << 20)))
        for number in range(2, 5_000):
            file.write("," + row.format(number, "y" * 2000))
        file.write(";\n")
    assert path.stat().st_size > 32 << 20
    tracemalloc.start()
    try:
        found = read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found["counts"]["tracks"] == 4_999 and [calls.calls for calls in found["calls"]] == [4_999]
    assert peak < 12 << 20, peak


def test_progress_is_reported_and_may_end_the_reading(dump: Path, loaded: str) -> None:
    seen: list[tuple[int, int]] = []
    with open_database(str(dump), lambda *step: seen.append(step)):
        pass
    assert seen[-1] == (dump.stat().st_size, dump.stat().st_size)

    def stop(_read: int, _all: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError), open_database(str(dump), stop):
        pass
    assert _deleted_files() == []


# --------------------------------------------------------------------------------------------------------- servers


@pytest.mark.parametrize(
    "address",
    [
        "mysql://", "mysql://host/db", "mysql://user@host", "mysql://user:p@host:99999/db", "postgres://u:p@h/db",
        "mysql://u:p@h/db?x=1", "mysql://u:p@h/db?ssl_mode=NO", "mysql://u:p@h:x/db", "mysql://u:%ff@h/db", "mysql://u:p@[::1/db",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(address: str) -> None:
    assert "mysql://user:password@host:port/database" in refusal(address)


def test_errors_of_a_server_say_what_to_do_without_its_words(loaded: str, refusing_port: int) -> None:
    wrong = refusal(loaded.replace("p%40s", "salah"))
    assert "rejects the user or the password" in wrong and "pembaca" not in wrong and "salah" not in wrong
    assert "has no right" in refusal(loaded.replace("/lama", "/rahasia"))
    assert "nothing is listening" in refusal(f"mysql://u:p@127.0.0.1:{refusing_port}/x")


def test_a_server_with_another_database_is_refused(mariadb: MariaDBServer) -> None:
    with closing(mariadb.superuser()) as connection:
        connection.cursor().execute("CREATE OR REPLACE TABLE mantra.users (id int, nama text)")
    try:
        message = refusal(f"mysql://mantra:mantra@127.0.0.1:{mariadb.port}/mantra")
    finally:
        with closing(mariadb.superuser()) as connection:
            connection.cursor().execute("DROP TABLE mantra.users")
    assert "lacks instances, services, methods, orders" in message


def test_a_server_is_read_as_it_is_at_one_moment(loaded: str, old: OldInstallation, mariadb: MariaDBServer) -> None:
    """A row that is added while the tables are read is in none of them."""
    seen = 0

    def add(_read: int, _all: int) -> None:
        nonlocal seen
        seen += 1
        with closing(mariadb.superuser()) as connection:
            connection.cursor().execute(
                "INSERT INTO lama.orders (userlog, accesskey, methodid, orderstatus) VALUES ('admin', 'baru', 1, 'on')"
            )

    try:
        with open_database(loaded, add) as database:
            assert seen and list(database.orders()) == old.orders
            assert database.counts() == old.counts()
    finally:
        with closing(mariadb.superuser()) as connection:
            connection.cursor().execute("DELETE FROM lama.orders WHERE accesskey = 'baru'")
