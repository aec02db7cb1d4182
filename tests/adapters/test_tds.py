"""SQL Server and Sybase beyond the contract: connecting, encryption, limits that hold, procedures, the catalogue."""

from __future__ import annotations

import itertools
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyodbc
import pytest

from adapters import socket_watch, sqlserver
from adapters.base import ConnectFailed, Limits, QueryFailed, TimedOut
from adapters.sqlserver import SQLServer
from adapters.sybase import Sybase
from adapters.tds import adapter as tds
from adapters.tds import dialling
from adapters.tds.driver import to_source_error, words_of
from tests.adapters.engines import LIMITS, WRITES, everything
from tests.bounds import assert_short, assert_within
from tests.servers.certificates import Authority
from tests.servers.tds import TDSServer


@pytest.fixture(scope="module")
def server() -> Iterator[TDSServer]:
    with TDSServer() as made:
        yield made


@pytest.fixture(scope="module")
def ase() -> Iterator[TDSServer]:
    with TDSServer("sybase") as made:
        yield made


@pytest.fixture(scope="module")
def encrypting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, TDSServer]]:
    """Servers by what they say of encryption: off (for the log-in only), on and required."""
    folder = tmp_path_factory.mktemp("tls")
    files = Authority(folder).certificate("127.0.0.1")
    joined = folder / "server.pem"
    joined.write_bytes(b"".join(file.read_bytes() for file in files))
    made = {word: TDSServer(encryption=word, certificate=str(joined)) for word in ("off", "on", "required")}
    yield made
    for server in made.values():
        server.remove()


def asked(adapter: Any, sql: str, limits: Limits = LIMITS, **arguments: Any) -> list[Any]:
    connection = adapter.connect(limits.writes)
    try:
        return everything(adapter.run(connection, sql, arguments, limits))
    finally:
        connection.close()


def reason(adapter: Any, seconds: float = 5) -> str:
    """Why there is no connection."""
    with pytest.raises(ConnectFailed) as error:
        adapter.connect(seconds=seconds).close()
    return error.value.reason


# Connecting.


def test_login_names_application_and_read_intent(server: TDSServer) -> None:
    adapter = SQLServer(server.source(application="bus; {uji}"))
    sql = "SELECT tds_fact('application') AS a, tds_fact('intent') AS i, tds_fact('version') AS v"
    assert asked(adapter, sql) == [("bus; {uji}", "read", "04000074")]
    assert asked(adapter, sql, WRITES) == [("bus; {uji}", "write", "04000074")]
    assert asked(SQLServer(server.source()), sql)[0][0] == "mantra"


@pytest.mark.parametrize(("version", "told"), [("7.2", "02000972"), ("7.3", "03000b73"), ("7.4", "04000074")])
def test_the_version_is_the_sources(server: TDSServer, version: str, told: str) -> None:
    adapter = SQLServer(server.source(tds_version=version))
    assert asked(adapter, "SELECT tds_fact('version') AS v, %(a)s AS a", a="é😀") == [(told, "é😀")]


@pytest.mark.parametrize("name", ["tds_version", "encryption"])
def test_setting_that_would_crash_the_driver_is_refused(server: TDSServer, name: str) -> None:
    for word in ("9.9", "ya", "};SERVER=x", "7.4}"):
        assert reason(SQLServer(server.source(**{name: word}))) == "other"


@pytest.mark.parametrize(
    "password", ["salah;", "a}b", "{a}", "}", "a=b", "a'\"b", " ", "é😀", "};DATABASE=master", "a\x00b"]
)
def test_no_password_breaks_out_of_its_place(server: TDSServer, ase: TDSServer, password: str) -> None:
    assert reason(SQLServer(server.source(password=password))) == "login"
    assert reason(Sybase(ase.source(password=password))) == "login"


@pytest.mark.parametrize(
    ("name", "why"),
    [("user", "login"), ("password", "login"), ("database", "database-unknown"), ("application", "other")],
)
def test_what_is_too_long_for_the_driver_never_reaches_it(
    server: TDSServer, ase: TDSServer, name: str, why: str
) -> None:
    """FreeTDS never came back from a database's name of 470 letters."""
    for adapter in (SQLServer(server.source(**{name: "x" * 470})), Sybase(ase.source(**{name: "x" * 470}))):
        assert reason(adapter) == why


def test_a_long_statement_arrives_whole(server: TDSServer, ase: TDSServer) -> None:
    for adapter in (SQLServer(server.source()), Sybase(ase.source())):
        for size in (400, 450, 500, 512, 600, 4000, 8001, 90_000):
            sql = f"SELECT %(a)s AS a, {'/* ' + 'x' * size + ' */'} 'ujung' AS b"
            assert asked(adapter, sql, a="y" * 50) == [("y" * 50, "ujung")]


def test_a_full_server_says_so(server: TDSServer, ase: TDSServer) -> None:
    assert reason(SQLServer(server.source(user="penuh"))) == "too-many-connections"
    assert reason(Sybase(ase.source(user="penuh"))) == "too-many-connections"


def test_wrong_password_is_tried_twice_on_the_first_call_only(
    server: TDSServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second knock asks whether it was the database. Servers lock accounts that knock too often."""
    knocks = []
    dial = tds.dial

    def counted(*words: Any) -> Any:
        knocks.append(words)
        return dial(*words)

    monkeypatch.setattr(tds, "dial", counted)
    adapter = SQLServer(server.source(password="salah"))
    assert [reason(adapter) for _ in range(3)] == ["login"] * 3
    assert len(knocks) == 4
    assert reason(SQLServer(server.source(database="tidak_ada"))) == "database-unknown"


@pytest.mark.parametrize("kind", [SQLServer, Sybase])
def test_a_silent_server_costs_no_more_than_was_given(kind: Any, silent_port: int) -> None:
    adapter = kind({"host": "127.0.0.1", "port": silent_port, "user": "x", "password": "x", "database": "x"})
    began = time.monotonic()
    assert reason(adapter, seconds=2) == "unreachable"
    assert_within(3.5, began)


def test_a_server_that_falls_silent_amid_encryption() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    held = []

    def accept() -> None:
        held.append(listener.accept()[0])
        held[0].recv(4096)
        # A pre-login that agrees on encryption, and then no handshake.
        held[0].sendall(bytes.fromhex("0401001a00330100 00000b000601001100 01ff0f0000000000 01".replace(" ", "")))

    threading.Thread(target=accept, daemon=True).start()
    try:
        source = {"host": "127.0.0.1", "port": listener.getsockname()[1], "user": "x", "password": "x", "database": "x"}
        began = time.monotonic()
        assert reason(SQLServer(source), seconds=2) == "unreachable"
        assert_within(4, began)
    finally:
        listener.close()
        for sock in held:
            sock.close()


def test_connections_that_come_about_together_each_know_their_own_socket(server: TDSServer) -> None:
    adapter = SQLServer(server.source())
    with ThreadPoolExecutor(8) as pool:
        connections = list(pool.map(lambda _: adapter.connect(), range(16)))
        descriptors = [os.fstat(connection.descriptor).st_ino for connection in connections]
        assert len(set(descriptors)) == 16
        began = time.monotonic()

        def slow(connection: Any) -> str:
            with pytest.raises(TimedOut):
                adapter.run(connection, "WAITFOR TIME '00:00:20'", {}, Limits(1, 0.5))
            return "cut"

        assert list(pool.map(slow, connections[:8])) == ["cut"] * 8
        assert_within(3, began)
        # The others were not touched.
        for connection in connections[8:]:
            assert everything(adapter.run(connection, "SELECT 1", {}, LIMITS)) == [(1,)]
    for connection in connections:
        connection.close()


def test_connections_to_two_servers_at_once_do_not_mistake_each_others_sockets(
    server: TDSServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looks for the socket of a new connection duplicates all others for a moment: those are not new ones."""
    look, duplicates = dialling._sockets_to, []

    def look_as_another_does(peers: Any) -> Any:
        duplicates.extend(os.dup(descriptor) for _, descriptor in look(peers))
        return look(peers)

    monkeypatch.setattr(dialling, "_sockets_to", look_as_another_does)
    connection = SQLServer(server.source()).connect()
    assert everything(SQLServer(server.source()).run(connection, "SELECT 1", {}, LIMITS)) == [(1,)]
    connection.close()
    for descriptor in duplicates:
        os.close(descriptor)


def test_a_closed_connection_leaves_no_socket(server: TDSServer) -> None:
    adapter = SQLServer(server.source())
    adapter.connect().close()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        connection = adapter.connect()
        connection.close()
        connection.close()
    assert len(os.listdir("/proc/self/fd")) == before


# Named instances.


@pytest.fixture
def browser(server: TDSServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """SQL Server's browser: it knows the instance KEPEGAWAIAN, which is the test server."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", 0))
    monkeypatch.setattr(sqlserver, "BROWSER_PORT", listener.getsockname()[1])
    text = f"ServerName;X;InstanceName;KEPEGAWAIAN;IsClustered;No;Version;15.0.2000.5;tcp;{server.port};;".encode()

    def answer() -> None:
        while True:
            try:
                question, address = listener.recvfrom(1000)
            except OSError:
                return
            if question == b"\x04kepegawaian\x00":
                listener.sendto(b"\x05" + len(text).to_bytes(2, "little") + text, address)
            elif question == b"\x04aneh\x00":
                listener.sendto(b"\x05\x01", address)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield
    with suppress(OSError):
        # An unconnected socket says no, and wakes who waits on it.
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


@pytest.mark.usefixtures("browser")
def test_a_named_instance_is_found_by_its_name(server: TDSServer) -> None:
    for port in ("", "1433", 1433):
        adapter = SQLServer(server.source(port=port, instance="kepegawaian"))
        assert asked(adapter, "SELECT 1 AS x") == [(1,)]
    assert asked(SQLServer(server.source(instance="kepegawaian")), "SELECT 1 AS x") == [(1,)]


@pytest.mark.usefixtures("browser")
def test_an_unknown_instance_is_out_of_reach_soon(server: TDSServer) -> None:
    for name in ("tidak_ada", "aneh"):
        began = time.monotonic()
        assert reason(SQLServer(server.source(port="", instance=name))) == "unreachable"
        assert_within(5, began)


# Encryption.


@pytest.mark.parametrize(
    ("offered", "wished", "told"),
    [
        ("off", "request", "login"),
        ("off", "", "login"),
        ("off", "require", "all"),
        ("on", "request", "all"),
        ("on", "require", "all"),
        ("required", "request", "all"),
        # The server's word is the last one.
        ("required", "off", "all"),
    ],
)
def test_what_goes_through_tls(encrypting: dict[str, TDSServer], offered: str, wished: str, told: str) -> None:
    adapter = SQLServer(encrypting[offered].source(encryption=wished))
    assert asked(adapter, "SELECT tds_fact('encrypted') AS e, %(a)s AS a", a="é" * 3000) == [(told, "é" * 3000)]
    connection = adapter.connect()
    assert connection.encrypted is (told == "all")
    connection.close()


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Authority, dict[str, TDSServer]]]:
    """An authority, and servers by the name in the certificate of its that they show."""
    folder = tmp_path_factory.mktemp("authority")
    authority, made = Authority(folder), {}
    for name in ("127.0.0.1", "localhost", "lain.contoh.go.id"):
        joined = folder / f"{name}-all.pem"
        joined.write_bytes(b"".join(file.read_bytes() for file in authority.certificate(name)))
        made[name] = TDSServer(encryption="on", certificate=str(joined))
    yield authority, made
    for server in made.values():
        server.remove()


def test_a_certificate_is_checked_where_an_authority_is_named(
    certified: tuple[Authority, dict[str, TDSServer]], tmp_path: Path
) -> None:
    authority, servers = certified
    other = Authority(tmp_path, "other").file
    for name, host in (("127.0.0.1", "127.0.0.1"), ("localhost", "localhost")):
        for _ in range(2):
            adapter = SQLServer(servers[name].source(host=host, authority=str(authority.file)))
            assert asked(adapter, "SELECT tds_fact('encrypted') AS e, 1 AS a") == [("all", 1)]
    for name, file in (
        ("lain.contoh.go.id", authority.file),
        ("localhost", other),
        ("localhost", "system"),
        ("localhost", "/tidak/ada.pem"),
        ("localhost", "x\n[global]"),
    ):
        assert reason(SQLServer(servers[name].source(host="localhost", authority=str(file)))) == "tls"
    # Nobody else's connections mind.
    adapter = SQLServer(servers["lain.contoh.go.id"].source(encryption="require"))
    assert asked(adapter, "SELECT 1 AS a") == [(1,)]


def test_an_authority_insists_on_encryption(server: TDSServer, certified: tuple[Authority, Any]) -> None:
    assert reason(SQLServer(server.source(authority=str(certified[0].file)))) == "tls"
    adapter = SQLServer(server.source(authority=str(certified[0].file), encryption="off"))
    assert reason(adapter) == "tls"


@pytest.mark.usefixtures("patient")
def test_an_encrypted_connection_is_shut_at_the_limit(encrypting: dict[str, TDSServer]) -> None:
    """Nobody but the driver could put an attention into it."""
    adapter = SQLServer(encrypting["on"].source(encryption="require"))
    connection = adapter.connect()
    began = time.monotonic()
    with pytest.raises(TimedOut) as error:
        adapter.run(connection, "WAITFOR TIME '00:00:20'", {}, Limits(1, 0.5))
    assert error.value.unanswered
    assert_within(1.5, began)
    connection.close()


# Limits.


@pytest.mark.parametrize("cap", [0.3, 1.0])
def test_the_answer_comes_within_the_cap_and_a_second(server: TDSServer, ase: TDSServer, cap: float) -> None:
    """WAITFOR TIME stands for a server that does not mind the driver's attention."""
    adapters: list[Any] = [SQLServer(server.source()), Sybase(ase.source())]
    cases = list(itertools.product(adapters, ("DELAY", "TIME"), (False, True)))

    def seconds(case: tuple[Any, str, bool]) -> float:
        adapter, wait, writes = case
        connection = adapter.connect(writes)
        began = time.monotonic()
        with pytest.raises(TimedOut) as error:
            adapter.run(connection, f"WAITFOR {wait} '00:00:20'", {}, Limits(10, cap, writes))
        taken = time.monotonic() - began
        assert error.value.reason == "timeout"
        connection.close()
        return taken

    with ThreadPoolExecutor(len(cases)) as pool:
        for taken in pool.map(seconds, cases):
            assert taken >= cap
            assert_short(taken, cap + 1)


def test_a_timed_out_write_is_undone(server: TDSServer) -> None:
    adapter = SQLServer(server.source())
    asked(adapter, "CREATE TABLE undone (id int PRIMARY KEY)", WRITES)
    connection = adapter.connect(writes=True)
    sql = "INSERT INTO undone VALUES (1); WAITFOR DELAY '00:00:20'"
    with pytest.raises(TimedOut):
        adapter.run(connection, sql, {}, Limits(10, 0.5, writes=True))
    connection.close()
    assert asked(adapter, "SELECT count(*) AS c FROM undone") == [(0,)]


class Late(SQLServer):
    """Its statements are done, and then an attention reaches a server that has nothing left to end."""

    def _execute(self, *words: Any) -> None:
        super()._execute(*words)
        while not any(watch.cut for watch in list(socket_watch.watchdog._running)):
            time.sleep(0.01)


@pytest.mark.usefixtures("patient")
def test_a_write_that_is_called_timed_out_is_not_committed(server: TDSServer) -> None:
    """The server's answer to the attention would be taken for that to the commit, which took place all the same."""
    asked(SQLServer(server.source()), "CREATE TABLE late (id int PRIMARY KEY)", WRITES)
    adapter = Late(server.source())
    connection = adapter.connect(writes=True)
    with pytest.raises(TimedOut):
        adapter.run(connection, "INSERT INTO late VALUES (1)", {}, Limits(10, 0.3, writes=True))
    connection.close()
    assert asked(SQLServer(server.source()), "SELECT count(*) AS c FROM late") == [(0,)]


# Batches and procedures.


@pytest.fixture(params=["sqlserver", "sybase"])
def adapter(request: pytest.FixtureRequest, server: TDSServer, ase: TDSServer) -> Any:
    return SQLServer(server.source()) if request.param == "sqlserver" else Sybase(ase.source())


def test_a_batch_may_begin_with_variables(adapter: Any) -> None:
    sql = "DECLARE @x int, @y varchar(10)\nSET @x = %(a)s\nSET @y = 'b'\nSELECT @x AS x, @y AS y, @x AS z"
    assert asked(adapter, sql, a=7) == [(7, "b", 7)]
    assert asked(adapter, "-- komentar\n" + sql, a=7) == [(7, "b", 7)]
    if adapter.engine == "sqlserver":
        assert asked(adapter, "DECLARE @x int = %(a)s; SET @x = @x + 1; SELECT @x AS x;", a=7) == [(8,)]


def test_a_procedure_gives_its_outputs(adapter: Any) -> None:
    sql = (
        "DECLARE @j int, @k bigint\nEXEC dbo.hitung %(a)s, %(b)s, @j OUTPUT, @k OUTPUT\nSELECT @j AS jumlah, @k AS kali"
    )
    connection = adapter.connect(writes=True)
    for a, b in ((3, 4), (-3, 4)):
        stream = adapter.run(connection, sql, {"a": a, "b": b}, WRITES)
        assert stream.columns == (("jumlah", "integer"), ("kali", "integer"))
        assert everything(stream) == [(a + b, a * b)]
    named = "DECLARE @j int\nEXEC hitung @b = %(b)s, @a = %(a)s, @jumlah = @j OUTPUT\nSELECT @j AS jumlah"
    assert everything(adapter.run(connection, named, {"a": 1, "b": 2}, WRITES)) == [(3,)]
    connection.close()


def test_of_several_results_the_first_is_the_answer(adapter: Any) -> None:
    connection = adapter.connect(writes=True)
    stream = adapter.run(connection, "EXEC dua_hasil", {}, WRITES)
    assert [name for name, _ in stream.columns] == ["nomor", "satu"]
    assert everything(stream) == [(1, "satu")]
    assert everything(adapter.run(connection, "SELECT 5 AS x", {}, WRITES)) == [(5,)]
    connection.close()


def test_of_a_batch_with_variables_the_last_result_is(adapter: Any) -> None:
    connection = adapter.connect(writes=True)
    sql = "DECLARE @x int\nEXEC dua_hasil\nSELECT 9 AS x"
    assert everything(adapter.run(connection, sql, {}, WRITES)) == [(9,)]
    connection.close()


def test_an_error_behind_the_answer_is_heard(adapter: Any) -> None:
    connection = adapter.connect(writes=True)
    with pytest.raises(QueryFailed) as error:
        adapter.run(connection, "EXEC gagal_akhir", {}, WRITES)
    assert (error.value.reason, error.value.sqlstate) == ("data", "8134")
    assert everything(adapter.run(connection, "SELECT 5 AS x", {}, WRITES)) == [(5,)]
    connection.close()


def test_a_procedure_that_is_none(adapter: Any) -> None:
    connection = adapter.connect(writes=True)
    with pytest.raises(QueryFailed) as error:
        adapter.run(connection, "EXEC tidak_ada", {}, WRITES)
    assert (error.value.reason, error.value.sqlstate) == ("object-unknown", "2812")
    connection.close()


def test_a_read_is_undone_whatever_it_brings(server: TDSServer) -> None:
    """SQL Server knows no session that only reads."""
    adapter = SQLServer(server.source())
    asked(adapter, "CREATE TABLE sly (id int PRIMARY KEY)", WRITES)
    sql = "INSERT INTO sly (id) OUTPUT inserted.id VALUES (1)"
    assert asked(adapter, sql) == [(1,)]
    assert asked(adapter, "SELECT count(*) AS c FROM sly") == [(0,)]


def test_a_stream_left_early_leaves_no_transaction(adapter: Any) -> None:
    sql = "WITH s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 100000000) SELECT n FROM s"
    connection = adapter.connect()
    for _ in range(3):
        stream = adapter.run(connection, sql, {}, Limits(10**6, 10))
        assert len(next(iter(stream))) == 500
        stream.close()
        assert stream.reusable
    connection.close()


# What is in the source.


def test_the_catalogue(adapter: Any) -> None:
    connection = adapter.connect(writes=True)
    adapter.run(
        connection,
        "CREATE TABLE pegawai (kantor int NOT NULL, nip char(18) NOT NULL, gaji decimal(12,2) NULL, nama univarchar(60)"
        " NULL, foto image NULL, lahir date NULL, PRIMARY KEY (nip))",
        {},
        WRITES,
    )
    reading = adapter.connect()
    columns = adapter.columns(reading, "dbo", "pegawai")
    wide = "nvarchar(60)"
    assert [(c.name, c.type, c.kind, c.nullable) for c in columns] == [
        ("kantor", "int", "integer", False), ("nip", "char(18)", "text", False),
        ("gaji", "decimal(12,2)", "decimal", True), ("nama", wide, "text", True), ("foto", "image", "bytes", True),
        ("lahir", "date", "date", True),
    ]  # fmt: skip
    assert adapter.databases(reading) == ["mantra"]
    adapter.run(connection, "CREATE TABLE kunci (a int PRIMARY KEY, b int NULL)", {}, WRITES)
    assert [(key.kind, key.columns) for key in adapter.keys(reading, "dbo", "kunci")] == [("primary", ("a",))]
    assert [(key.kind, key.columns) for key in adapter.keys(reading, "dbo", "pegawai")] == [("primary", ("nip",))]
    assert adapter.keys(reading, "dbo", "tidak'ada") == []
    for opened in (connection, reading):
        opened.close()


def test_comments_and_numbers_of_rows_are_in_the_catalogue(server: TDSServer, ase: TDSServer) -> None:
    # SQL Server keeps them as properties, Sybase has none.
    for adapter, comments in (
        (SQLServer(server.source()), ("Data induk", "Nomor urut")),
        (Sybase(ase.source()), ("", "")),
    ):
        connection = adapter.connect(writes=True)
        with suppress(QueryFailed):
            adapter.run(connection, "DROP TABLE induk", {}, WRITES)
        adapter.run(connection, "CREATE TABLE induk (kode int PRIMARY KEY, nama varchar(9) NULL)", {}, WRITES)
        adapter.run(connection, "INSERT INTO induk (kode, nama) VALUES (1, 'a')", {}, WRITES)
        reading = adapter.connect()
        (induk,) = [table for table in adapter.catalogue(reading, "dbo", 50, 10).tables if table.name == "induk"]
        assert (induk.comment, induk.columns[0].comment) == comments
        assert (induk.rows, induk.columns[1].comment) == (1, "")
        for opened in (connection, reading):
            opened.close()


def test_the_words_of_a_server_are_without_those_of_its_driver() -> None:
    state = "[42S02] [FreeTDS][SQL Server]Invalid object name 'dbo.orangg'. (208) (SQLExecDirectW)"
    more = "[42000] [FreeTDS][SQL Server]Statement(s) [x] could not be prepared. (8180)"
    told = words_of(pyodbc.ProgrammingError("42S02", f"{state}; {more}"))
    assert told is not None
    assert told.text == "Invalid object name 'dbo.orangg'.\nStatement(s) [x] could not be prepared."
    assert (told.near, told.offset) == ("dbo.orangg", None)
    assert words_of(ValueError("x")) is None


def test_the_plan_of_a_statement_is_shown_and_nothing_run(adapter: Any) -> None:
    connection = adapter.connect()
    plan = adapter.explain(connection, "SELECT 1 AS x WHERE 1 = %(a)s", {"a": "O'Reilly"}, LIMITS)
    assert "SCAN" in "".join(plan)
    assert everything(adapter.run(connection, "SELECT 5 AS x", {}, LIMITS)) == [(5,)]
    with pytest.raises(QueryFailed) as error:
        adapter.explain(connection, "SELECT FROM WHERE", {}, LIMITS)
    assert error.value.reason == "syntax"
    assert everything(adapter.run(connection, "SELECT 5 AS x", {}, LIMITS)) == [(5,)]
    connection.close()


def test_a_code_page_that_the_server_does_not_tell(tmp_path: Path) -> None:
    """A Sybase of the nineties: it says iso_1 of bytes that its clients wrote as cp1252."""
    with TDSServer("sybase", charset="iso_1") as old:
        adapter = Sybase(old.source(charset="cp1252"))
        assert asked(adapter, "SELECT %(a)s AS x, CAST('Jum’at €' AS char(9)) AS y", a="“é”") == [("“é”", "Jum’at € ")]
        with pytest.raises(QueryFailed) as error:
            asked(adapter, "SELECT %(a)s AS x", a="Ж")
        assert error.value.reason == "data"


def test_the_settings_of_a_session_are_set_again_after_a_call(adapter: Any) -> None:
    limits = Limits(10, 10, writes=True)
    connection = adapter.connect(writes=True)
    adapter.run(connection, "CREATE TABLE restored (id int)", {}, limits)
    try:
        insert = "INSERT INTO restored VALUES (1)"
        assert adapter.run(connection, insert, {}, limits).affected == 1
        adapter.run(connection, "SET NOCOUNT ON", {}, limits)
        assert adapter.run(connection, insert, {}, limits).affected != 1
        assert adapter.restore(connection, True)
        assert adapter.run(connection, insert, {}, limits).affected == 1
    finally:
        adapter.run(connection, "DROP TABLE restored", {}, limits)
        connection.close()
    assert not adapter.restore(connection, True)


# What our own responder can show of findings on another author's server. Each says so in its name.


def count(adapter: Any, table: str) -> int:
    return int(asked(adapter, f"SELECT count(*) AS n FROM {table}")[0][0])


@pytest.mark.parametrize("engine", ["sqlserver", "sybase"])
def test_t4_a_responder_that_ignores_showplan_keeps_nothing_of_it(engine: str) -> None:
    with TDSServer(engine, plans=False) as server:
        adapter: Any = SQLServer(server.source()) if engine == "sqlserver" else Sybase(server.source())
        asked(adapter, "CREATE TABLE rencana (id int PRIMARY KEY)", WRITES)
        asked(adapter, "INSERT INTO rencana VALUES (1)", WRITES)
        connection = adapter.connect()
        for sql in ("INSERT INTO rencana VALUES (2)", "DELETE FROM rencana", "SELECT id FROM rencana"):
            with pytest.raises(QueryFailed) as error:
                adapter.explain(connection, sql, {}, LIMITS)
            assert error.value.reason == "no-plan"
            # The session works as before, and is in no transaction.
            assert everything(adapter.run(connection, "SELECT id FROM rencana", {}, LIMITS)) == [(1,)]
        connection.close()
        assert count(adapter, "rencana") == 1


@pytest.mark.usefixtures("patient")
def test_t2_a_responder_ends_its_statement_whatever_the_limit(server: TDSServer, ase: TDSServer) -> None:
    """The attention comes at the limit, not at a whole second."""
    adapters: list[Any] = [SQLServer(server.source()), Sybase(ase.source())]
    cases = list(itertools.product(adapters, (0.3, 0.5, 1.2, 1.5), (False, True)))

    def outcome(case: tuple[Any, float, bool]) -> tuple[float, bool, str]:
        adapter, limit, writes = case
        connection = adapter.connect(writes)
        began = time.monotonic()
        with pytest.raises(TimedOut) as error:
            adapter.run(connection, "WAITFOR DELAY '00:00:20'", {}, Limits(10, limit, writes))
        taken = time.monotonic() - began - limit
        connection.close()
        return taken, error.value.unanswered, error.value.reason

    with ThreadPoolExecutor(len(cases)) as pool:
        for late, unanswered, reason in pool.map(outcome, cases):
            assert (unanswered, reason) == (False, "timeout")
            assert late >= 0
            assert_short(late, 0.5)


@pytest.mark.usefixtures("patient")
def test_t2_a_stream_is_ended_by_the_responder(server: TDSServer) -> None:
    adapter = SQLServer(server.source())
    sql = "WITH s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 100000000) SELECT n FROM s"
    connection = adapter.connect()
    stream = adapter.run(connection, sql, {}, Limits(10**9, 0.7))
    with pytest.raises(TimedOut) as error:
        everything(stream)
    assert not error.value.unanswered
    connection.close()


@pytest.mark.parametrize("number", [17892, 4064, 40914, 18461, 61234])
def test_t13_a_responder_refuses_a_log_in_with_a_number(server: TDSServer, number: int) -> None:
    """It is kept for the administrator, also where the bus has no word for it."""
    with pytest.raises(ConnectFailed) as error:
        SQLServer(server.source(user=f"ditolak{number}", database="")).connect(seconds=5).close()
    assert error.value.sqlstate == str(number)
    assert error.value.reason == ("database-unknown" if number == 4064 else "login")


def test_t11_a_type_that_the_driver_cannot_convert_is_data() -> None:
    state = "[07006] [FreeTDS][SQL Server]Restricted data type attribute violation (0) (SQLGetData)"
    error = to_source_error(pyodbc.Error("07006", state))
    assert isinstance(error, QueryFailed)
    assert (error.reason, error.sqlstate) == ("data", "07006")


def test_the_counts_of_a_trigger_are_not_the_statements(adapter: Any) -> None:
    """Of a table that counts as one with a trigger in our own responder."""
    with suppress(QueryFailed):
        asked(adapter, "DROP TABLE berpemicu", WRITES)
    asked(adapter, "CREATE TABLE berpemicu (id int PRIMARY KEY)", WRITES)
    connection = adapter.connect(writes=True)
    for sql, affected in (
        ("INSERT INTO berpemicu (id) VALUES (%(a)s)", 1),
        ("INSERT INTO berpemicu (id) VALUES (2), (3), (4), (5), (6)", 5),
        ("UPDATE berpemicu SET id = id + 10 WHERE id = %(a)s", 1),
        ("DELETE FROM berpemicu WHERE id = 99", 0),
        ("DECLARE @x int\nSET @x = 7\nINSERT INTO berpemicu (id) VALUES (@x)", 1),
    ):
        assert adapter.run(connection, sql, {"a": 1} if "%" in sql else {}, WRITES).affected == affected
    connection.close()


def test_t2_an_attention_at_the_last_moment_mistakes_nothing(
    server: TDSServer, ase: TDSServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statements that end when they are ended: by our own responder, each gives its own value or none at all."""
    monkeypatch.setattr(socket_watch, "_INTERVAL", 0.0005)

    def run(number: int) -> int:
        adapter: Any = (SQLServer(server.source()), Sybase(ase.source()))[number % 2]
        connection, ended = adapter.connect(), 0
        for each in range(250):
            sql = f"SELECT {each} AS x" if each % 2 else f"DECLARE @x int\nSET @x = {each}\nSELECT @x AS x"
            try:
                stream = adapter.run(connection, sql, {}, Limits(10, 0.002 + each % 5 / 1000))
                assert everything(stream) == [(each,)]
                reusable = stream.reusable
            except TimedOut:
                ended, reusable = ended + 1, False
            if not reusable:
                connection.close()
                connection = adapter.connect()
        connection.close()
        return ended

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(run, range(6))) > 0
