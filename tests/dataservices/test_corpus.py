"""A corpus of statements made from the engines' own catalogues: each function, word, type and relation of theirs, in
each spelling of a call. What an engine would run and the lists do not name, the check must refuse.

The engine is the judge of what is a statement: it prepares each text, which analyses it and runs nothing.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import MySQLdb
import psycopg2
import pytest

from adapters import adapter_class
from dataservices.sql import check, functions
from dataservices.sql.functions import BARE, FUNCTIONS, INFORMATION, RELATIONS, SCHEMAS
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

#: Spellings of a call: {f} is the name, {q} the quoted one, {a} the arguments, {s} the server's own schema.
CALLS = (
    "SELECT {f}({a})", "SELECT {f} ({a})", "SELECT {f}/**/({a})", "SELECT {f}\n-- x\n({a})", "SELECT {q}({a})",
    "SELECT {s}.{f}({a})", "SELECT {s}.{q}({a})", "SELECT {s} . {f}({a})", "SELECT * FROM {f}({a})",
    "SELECT * FROM {f}({a}) AS t(x)", "SELECT * FROM {s}.{f}({a}) t", "SELECT 1 WHERE {f}({a}) IS NULL",
    "SELECT 1 ORDER BY {f}({a})", "SELECT CASE WHEN 1 = 1 THEN {f}({a}) END", "SELECT (SELECT {f}({a}))",
    "SELECT * FROM (SELECT {f}({a}) AS x) t", "WITH t AS (SELECT {f}({a}) AS x) SELECT x FROM t",
    "SELECT 1 UNION ALL SELECT 1 FROM (SELECT {f}({a}) AS x) t", "SELECT 1 IN (SELECT 1 FROM (SELECT {f}({a})) t)",
    "SELECT EXISTS (SELECT {f}({a}))", "VALUES (CAST({f}({a}) AS char(10)))", "SELECT COALESCE({f}({a}), NULL)",
    "SELECT 1 GROUP BY {f}({a})", "SELECT 1 HAVING {f}({a}) IS NULL",
    "SELECT 1 LIMIT (SELECT 1 WHERE {f}({a}) IS NULL)",
    "SELECT 1 FROM (SELECT 1 AS x) t JOIN (SELECT 2 AS y) u ON {f}({a}) IS NULL", "({f}({a}))", "TABLE {f}",
)  # fmt: skip
#: Spellings that only PostgreSQL has.
POSTGRESQL_CALLS = (
    "SELECT ({a}).{f}", "SELECT ({a}).{q}", "SELECT (SELECT {a}).{f}", "SELECT (ARRAY[{a}])[1].{f}",
    "SELECT t.{f} FROM (SELECT {a} AS x) t", "SELECT x.{f} FROM (VALUES ({a})) t(x)", "SELECT {f}(VARIADIC ARRAY[{a}])",
    "SELECT * FROM ROWS FROM ({f}({a})) t", "SELECT * FROM (SELECT 1) t, LATERAL {f}({a}) u",
    "SELECT ARRAY(SELECT {f}({a}))", "SELECT ROW({f}({a}))", "SELECT {f}({a})::text", 'SELECT U&{u}({a})',
    "SELECT {f}({a}) OVER ()", "SELECT {f}({a}) FILTER (WHERE true)", "SELECT DISTINCT ON ({f}({a})) 1",
    "SELECT x FROM (SELECT 1 AS x) t WINDOW w AS (ORDER BY {f}({a}))",
    "SELECT 1 FETCH FIRST 1 ROW ONLY OFFSET {f}({a})",
    "SELECT {f}({a}) IS DISTINCT FROM NULL", "SELECT JSON_OBJECT('a': {f}({a}))", "SELECT 1 LIMIT {f}({a})",
    "SELECT * FROM generate_series(1, 1) t(x) WHERE {f}({a}) IS NULL", "SELECT 1 = ANY (ARRAY[{f}({a})::text::int])",
)  # fmt: skip
#: Spellings that only MariaDB has.
MARIADB_CALLS = (
    "SELECT /*!{f}({a})*/", "SELECT /*!50000 {f}({a})*/ + 1", "SELECT @a := {f}({a})", "SELECT {f}({a}) INTO @a",
    "DO {f}({a})", "SET @a = {f}({a})",
)  # fmt: skip
#: What reaches files, other servers, other sessions, settings and other SQL: in every spelling.
POSTGRESQL_DANGERS = (
    ("pg_sleep", "1::float8"), ("pg_read_file", "'x'::text"), ("pg_read_binary_file", "'x'::text"),
    ("pg_ls_dir", "'.'::text"), ("pg_stat_file", "'x'::text"), ("lo_import", "'x'::text"), ("lo_export", "1::oid, 'x'"),
    ("lo_get", "1::oid"), ("pg_terminate_backend", "1"), ("pg_cancel_backend", "1"), ("pg_reload_conf", ""),
    ("pg_advisory_lock", "1::bigint"), ("pg_try_advisory_lock", "1::bigint"), ("set_config", "'a.b', 'x', false"),
    ("current_setting", "'port'"), ("query_to_xml", "'SELECT 1', true, true, ''"), ("ts_stat", "'SELECT 1'::text"),
    ("ts_rewrite", "'a'::tsquery, 'SELECT 1'::text"), ("database_to_xml", "true, true, ''"), ("nextval", "'s'"),
    ("setval", "'s', 1"), ("txid_current", ""), ("pg_notify", "'a', 'b'"), ("pg_stat_get_activity", "NULL::int"),
    ("inet_server_addr", ""), ("version", ""), ("pg_export_snapshot", ""), ("pg_logical_emit_message",
    "true, 'a', 'b'"),
    ("pg_create_restore_point", "'x'"), ("pg_switch_wal", ""), ("pg_current_logfile", ""), ("has_table_privilege",
    "'a', 'b'"),
    ("to_regclass", "'a'"), ("pg_get_userbyid", "10::oid"), ("pg_relation_size", "'a'::regclass"),
)  # fmt: skip
MARIADB_DANGERS = (
    ("sleep", "1"), ("benchmark", "1, 1"), ("load_file", "'x'"), ("get_lock", "'x', 0"), ("release_lock", "'x'"),
    ("is_free_lock", "'x'"), ("is_used_lock", "'x'"), ("release_all_locks", ""), ("user", ""), ("current_user", ""),
    ("session_user", ""), ("system_user", ""), ("database", ""), ("schema", ""), ("version", ""), ("connection_id", ""),
    ("last_insert_id", "7"), ("found_rows", ""), ("row_count", ""), ("master_pos_wait", "'x', 1"), ("lastval", "s"),
    ("nextval", "s"), ("setval", "s, 1"), ("master_gtid_wait", "'x', 0"), ("current_role", ""), ("uuid_short", ""),
    ("decode_histogram", "'a', 'b'"), ("default", "x"), ("name_const", "'a', 1"), ("sys_exec", "'x'"),
)  # fmt: skip


Prepares = Callable[[str], bool]


@pytest.fixture(scope="module")
def postgres(postgresql: PostgreSQLServer) -> Iterator[Any]:
    with closing(psycopg2.connect(postgresql.dsn())) as connection:
        connection.autocommit = True
        connection.cursor().execute("CREATE TEMPORARY SEQUENCE s")
        yield connection


@pytest.fixture(scope="module")
def maria(mariadb: MariaDBServer) -> Iterator[Any]:
    source = mariadb.source()
    connection = MySQLdb.connect(
        host="127.0.0.1", port=source["port"], user=source["user"], password=source["password"], database="mantra"
    )
    with closing(connection):
        yield connection


def postgresql_prepares(connection: Any) -> Prepares:
    def prepares(text: str) -> bool:
        try:
            connection.cursor().execute("PREPARE corpus AS " + text.replace("%", "%%"))
        except psycopg2.Error:
            return False
        connection.cursor().execute("DEALLOCATE corpus")
        return True

    return prepares


def mariadb_prepares(connection: Any) -> Prepares:
    def prepares(text: str) -> bool:
        try:
            connection.cursor().execute("PREPARE corpus FROM %s", (text,))
        except MySQLdb.Error:
            return False
        connection.cursor().execute("DEALLOCATE PREPARE corpus")
        return True

    return prepares


def sqlite_prepares(connection: sqlite3.Connection) -> Prepares:
    def prepares(text: str) -> bool:
        try:
            connection.execute("EXPLAIN " + text).fetchall()
        except (sqlite3.Error, sqlite3.Warning):
            return False
        return True

    return prepares


def taken(texts: Iterator[str], dialect: str, prepares: Prepares) -> tuple[list[str], int]:
    """The texts that the check accepts although the engine would run them, and how many the engine would run."""
    accepted, run = [], 0
    for text in dict.fromkeys(texts):
        if prepares(text):
            run += 1
            if not check(text, dialect):
                accepted.append(text)
    return accepted, run


def rows(connection: Any, text: str) -> list[tuple[Any, ...]]:
    cursor = connection.cursor()
    cursor.execute(text)
    return list(cursor.fetchall())


def spelt(shapes: tuple[str, ...], name: str, arguments: str, schema: str, quote: str) -> Iterator[str]:
    unicode_name = '"' + "".join(f"\\{ord(letter):04x}" for letter in name) + '"'
    for shape in shapes:
        yield shape.format(f=name, q=f"{quote}{name}{quote}", a=arguments, s=schema, u=unicode_name)
        yield shape.format(f=name.upper(), q=f"{quote}{name}{quote}", a=arguments, s=schema, u=unicode_name)


# ------------------------------------------------------------------------------------------- functions

#: Names of types and of an operator that PostgreSQL also has as functions: they convert and compare their argument.
CONVERSIONS = {"bool", "int2", "int4", "int8", "like", "path", "timestamptz", "timetz", "varbit"}


def test_each_function_of_postgresql_that_no_list_names_is_refused(postgres: Any) -> None:
    found = rows(
        postgres,
        "SELECT proname, array(SELECT format_type(t, NULL) FROM unnest(proargtypes) t) FROM pg_proc"
        " WHERE prokind IN ('f', 'a', 'w') AND pronamespace = 'pg_catalog'::regnamespace ORDER BY proname, oid",
    )
    unknown = [(name, types) for name, types in found if name not in FUNCTIONS["postgres"]]
    assert len(unknown) > 1500

    def texts() -> Iterator[str]:
        for name, types in unknown:
            arguments = ", ".join(f"NULL::{kind}" for kind in types)
            yield f"SELECT {name}({arguments})"
            yield f"SELECT {name}({', '.join('NULL' for _kind in types)})"
            if len(types) == 1:
                yield f"SELECT (NULL::{types[0]}).{name}"
                yield f"SELECT (NULL).{name}"

    accepted, run = taken(texts(), "postgres", postgresql_prepares(postgres))
    assert run > 2000, "the engine would run most of them"
    assert {text.removeprefix("SELECT ").partition("(")[0] for text in accepted} <= CONVERSIONS


def test_what_postgresql_says_of_its_own_functions_when_they_are_looked_up(postgresql: PostgreSQLServer) -> None:
    """The second wall: a function of the server is none of the agency's, whatever the lists say."""
    source = postgresql.source()
    adapter = adapter_class("postgresql")({**source, "options": {}})
    with closing(adapter.connect()) as connection, closing(psycopg2.connect(postgresql.dsn())) as own:
        names = [name for (name,) in rows(own, "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 11")]
        assert len(names) > 1500
        for first in range(0, len(names), 500):
            part = names[first : first + 500]
            assert adapter.own_routines(connection, part) == frozenset()
            assert adapter.own_routines(connection, [f"pg_catalog.{name}" for name in part]) == frozenset()


def test_each_spelling_of_a_call_of_postgresql(postgres: Any) -> None:
    texts = (
        text
        for name, arguments in POSTGRESQL_DANGERS
        for text in spelt(CALLS + POSTGRESQL_CALLS, name, arguments, "pg_catalog", '"')
    )
    accepted, run = taken(texts, "postgres", postgresql_prepares(postgres))
    assert run > 800
    assert accepted == []


def test_each_function_of_mariadb_that_no_list_names_is_refused(maria: Any) -> None:
    names = {name.lower() for (name,) in rows(maria, "SELECT function FROM information_schema.sql_functions")}
    words = rows(maria, "SELECT word FROM information_schema.keywords")
    names |= {name.lower() for (name,) in words if name.isidentifier()}
    unknown = sorted(names - FUNCTIONS["mysql"] - functions.GRAMMAR)
    assert len(unknown) > 300

    def texts() -> Iterator[str]:
        for name in unknown:
            for arguments in ("", "1", "'a'", "'a', 1", "1, 1", "'a', 'b', 'c'", "'a', 1, 1, 1"):
                yield f"SELECT {name}({arguments})"
            yield f"SELECT {name}"

    accepted, run = taken(texts(), "mysql", mariadb_prepares(maria))
    assert run > 100
    # SELECT DISTINCTROW (…) is SELECT DISTINCT.
    literals = {"SELECT true", "SELECT false", "SELECT null"}
    assert [text for text in accepted if text not in literals and not text.startswith("SELECT distinctrow(")] == []


def test_each_spelling_of_a_call_of_mariadb(maria: Any) -> None:
    shapes = (*CALLS, *MARIADB_CALLS)
    texts = (text for name, arguments in MARIADB_DANGERS for text in spelt(shapes, name, arguments, "mysql", "`"))
    accepted, run = taken(texts, "mysql", mariadb_prepares(maria))
    assert run > 300
    assert accepted == []


def test_each_function_of_sqlite_that_no_list_names_is_refused() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        found = set(rows(connection, "SELECT name, narg FROM pragma_function_list"))
        unknown = sorted((name, count) for name, count in found if name.lower() not in FUNCTIONS["sqlite"])
        assert len(unknown) > 10
        modules = [name for (name,) in rows(connection, "SELECT name FROM pragma_module_list")]

        def texts() -> Iterator[str]:
            for name, count in unknown:
                quoted = name if name.replace("_", "a").isalnum() else f'"{name}"'
                for arguments in {", ".join("'a'" for _ in range(max(count, 0))), "'a'", "'a', 'b'", ""}:
                    yield from spelt(CALLS, quoted.strip('"'), arguments, "main", '"')
            for name in modules:
                yield f"SELECT * FROM {name}"
                yield f"SELECT * FROM {name}('x')"

        accepted, run = taken(texts(), "sqlite", sqlite_prepares(connection))
    assert run > 200
    # Lists that SQLite itself makes of a JSON text are on the list.
    assert [text for text in accepted if not text.startswith(("SELECT * FROM json_", "SELECT * FROM jsonb_"))] == []


# ------------------------------------------------------------------------------------ words, types, tables

#: What words of PostgreSQL's grammar may give without brackets: times and literals only.
POSTGRESQL_WORDS = {
    "current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "true", "false", "null",
    # SELECT without columns.
    "", "select", "all",
}  # fmt: skip


def test_each_word_of_postgresqls_grammar(postgres: Any) -> None:
    words = [word for (word,) in rows(postgres, "SELECT word FROM pg_get_keywords()")]
    shapes = ("SELECT {w}", "SELECT 1 WHERE {w} IS NULL", "SELECT * FROM {w}", "SELECT {w}::text", "{w}")
    accepted, run = taken(
        (shape.format(w=word) for word in words for shape in shapes), "postgres", postgresql_prepares(postgres)
    )
    assert run > 20
    assert {re.sub(r"SELECT 1 WHERE | IS NULL|SELECT|\* FROM|::text", "", text).strip() for text in accepted} <= (
        POSTGRESQL_WORDS
    )
    assert BARE["postgres"].isdisjoint(POSTGRESQL_WORDS)


def test_no_type_of_postgresql_looks_up_objects_or_accounts(postgres: Any) -> None:
    found = rows(
        postgres,
        "SELECT format_type(oid, NULL), typinput::text FROM pg_type WHERE typtype IN ('b', 'd')"
        " AND typnamespace = 'pg_catalog'::regnamespace ORDER BY 1",
    )
    looking = [
        kind
        for kind, reader in found
        if (reader.startswith(("reg", "aclitem", "txid", "pg_")) or kind == "refcursor")
        # These name configurations of the text search, which searches need.
        and kind not in ("regconfig", "regdictionary")
    ]
    assert {"regclass", "regrole", "aclitem"} <= set(looking)
    shapes = ("SELECT 'x'::{k}", "SELECT CAST('x' AS {k})", "SELECT {k} 'x'", "SELECT CAST('x' AS pg_catalog.{k})",
              "SELECT '{{x}}'::{k}[]", 'SELECT \'x\'::"{k}"', "SELECT x::{k} FROM (SELECT 'x' AS x) t",
              "SELECT NULL::{k}", "SELECT * FROM json_to_record('{{}}') AS t(x {k})")  # fmt: skip
    accepted, run = taken(
        (shape.format(k=kind) for kind in looking for shape in shapes), "postgres", postgresql_prepares(postgres)
    )
    assert run > 30
    assert accepted == []


def test_no_relation_of_postgresqls_own_is_read(postgres: Any) -> None:
    found = rows(
        postgres, "SELECT relname, relnamespace::regnamespace::text FROM pg_class WHERE relkind IN ('r', 'v')"
        " AND relnamespace::regnamespace::text IN ('pg_catalog', 'information_schema') ORDER BY 1"
    )  # fmt: skip
    assert len(found) > 150
    shapes = ("SELECT * FROM {r}", "SELECT * FROM {s}.{r}", 'SELECT * FROM "{r}"', 'SELECT * FROM "{s}"."{r}"',
              "TABLE {s}.{r}", "SELECT 1 FROM (SELECT 1) t WHERE EXISTS (SELECT 1 FROM {s}.{r})",
              "WITH x AS (SELECT * FROM {s}.{r}) SELECT * FROM x", "SELECT * FROM {s}.{r} TABLESAMPLE SYSTEM (1)",
              "SELECT * FROM ONLY {s}.{r}")  # fmt: skip
    texts = (shape.format(r=name, s=schema) for name, schema in found for shape in shapes)
    accepted, run = taken(texts, "postgres", postgresql_prepares(postgres))
    assert run > 700
    told = RELATIONS["postgres"] | SCHEMAS["postgres"]
    assert [text for text in accepted if "information_schema" not in text] == []
    assert [text for text in accepted if any(name in text for name in told)] == []


def test_no_relation_of_mariadbs_own_is_read(mariadb: MariaDBServer, maria: Any) -> None:
    with closing(mariadb.superuser()) as root:
        found = rows(
            root, "SELECT table_name, table_schema FROM information_schema.tables"
            " WHERE table_schema IN ('mysql', 'performance_schema', 'sys', 'information_schema')"
        )  # fmt: skip
        assert len(found) > 150
        shapes = ("SELECT * FROM {s}.{r}", "SELECT * FROM `{s}`.`{r}`", "SELECT * FROM {S}.{r}", "TABLE {s}.{r}",
                  "SELECT * FROM {s} . {r}", "SELECT 1 WHERE EXISTS (SELECT 1 FROM {s}.{r})",
                  "WITH x AS (SELECT * FROM {s}.{r}) SELECT * FROM x", "SELECT {s}.{r}.* FROM {s}.{r}")  # fmt: skip
        texts = (shape.format(r=name, s=schema, S=schema.upper()) for name, schema in found for shape in shapes)
        accepted, run = taken(texts, "mysql", mariadb_prepares(root))
    assert run > 500
    left = [
        text
        for text in accepted
        if not any(
            f"information_schema.{name}" in text.lower().replace("`", "").replace(" . ", ".") for name in INFORMATION
        )
    ]
    assert left == []


# ----------------------------------------------------------------------------------------------- writing

#: Ways to change something, or to have something else run; {t} is a table with one column, x.
WRITES = (
    "INSERT INTO {t} VALUES (9)", "INSERT INTO {t} SELECT 9", "UPDATE {t} SET x = 9",
    "UPDATE {t} SET x = 9 WHERE x = 1",
    "DELETE FROM {t}", "DELETE FROM {t} WHERE x = 1", "TRUNCATE TABLE {t}", "DROP TABLE {t}",
    "ALTER TABLE {t} ADD y int",
    "CREATE TABLE baru (x int)", "CREATE TABLE baru AS SELECT * FROM {t}", "CREATE VIEW baru AS SELECT 1 AS a",
    "CREATE INDEX baru ON {t} (x)", "GRANT SELECT ON {t} TO PUBLIC", "SELECT 1; DELETE FROM {t}",
    "SELECT 1;DELETE FROM {t};", "/* */ DELETE FROM {t}", "-- x\nDELETE FROM {t}", "(DELETE FROM {t})",
)  # fmt: skip
POSTGRESQL_WRITES = (
    *WRITES, "WITH d AS (DELETE FROM {t} RETURNING x) SELECT * FROM d", "SELECT * INTO baru FROM {t}",
    "WITH d AS MATERIALIZED (INSERT INTO {t} VALUES (9) RETURNING x) SELECT * FROM d", "TRUNCATE {t}",
    "MERGE INTO {t} USING (SELECT 1 AS y) u ON x = y WHEN MATCHED THEN DELETE", "DO $$ BEGIN DELETE FROM {t}; END $$",
    "EXPLAIN ANALYZE DELETE FROM {t}", "PREPARE p AS DELETE FROM {t}", "COPY {t} TO STDOUT", "COPY {t} FROM STDIN",
    "COPY (DELETE FROM {t} RETURNING x) TO STDOUT", "LOCK TABLE {t}", "SELECT * FROM {t} FOR UPDATE",
    "SELECT * FROM {t} FOR NO KEY UPDATE", "SELECT * FROM {t} FOR SHARE", "SELECT * FROM {t} FOR KEY SHARE",
    "SELECT nextval('s')", "SET transaction_read_only = off", "SET SESSION AUTHORIZATION DEFAULT", "RESET ALL",
    "BEGIN; DELETE FROM {t}; COMMIT", "COMMIT; DELETE FROM {t}", "LISTEN a", "NOTIFY a", "VACUUM {t}", "ANALYZE {t}",
    "REFRESH MATERIALIZED VIEW m", "COMMENT ON TABLE {t} IS 'x'",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "DECLARE c CURSOR FOR SELECT 1", "DISCARD ALL", "CHECKPOINT", "LOAD 'x'", "SECURITY LABEL ON TABLE {t} IS 'x'",
    "INSERT INTO {t} VALUES (9) ON CONFLICT DO NOTHING RETURNING x",
    "WITH RECURSIVE d AS (UPDATE {t} SET x = 9 RETURNING x) TABLE d",
)  # fmt: skip
MARIADB_WRITES = (
    *WRITES, "REPLACE INTO {t} VALUES (9)", "SELECT * FROM {t} FOR UPDATE", "SELECT * FROM {t} LOCK IN SHARE MODE",
    "SELECT * FROM {t} INTO OUTFILE '/tmp/x'", "SELECT * INTO DUMPFILE '/tmp/x' FROM {t}", "SELECT x INTO @a FROM {t}",
    "LOAD DATA INFILE '/tmp/x' INTO TABLE {t}", "LOAD DATA LOCAL INFILE '/tmp/x' INTO TABLE {t}", "HANDLER {t} OPEN",
    "DELETE FROM {t} RETURNING x", "INSERT INTO {t} VALUES (9) RETURNING x", "SET @a = 1",
    "SET GLOBAL max_connections = 1",
    "DO SLEEP(0)", "CALL p()", "LOCK TABLES {t} WRITE", "FLUSH TABLES", "KILL 1", "PREPARE p FROM 'SELECT 1'",
    "EXECUTE IMMEDIATE 'DELETE FROM {t}'", "EXPLAIN DELETE FROM {t}", "ANALYZE DELETE FROM {t}", "SHOW GRANTS",
    "SHOW PROCESSLIST", "SHOW VARIABLES", "USE mysql", "BEGIN NOT ATOMIC DELETE FROM {t}; END", "OPTIMIZE TABLE {t}",
    "/*! DELETE FROM {t} */", "SELECT 1 /*! FROM {t} FOR UPDATE */", "SELECT NEXT VALUE FOR s", "RENAME TABLE {t} TO u",
    "XA START 'x'", "INSTALL SONAME 'x'", "BINLOG 'x'", "UPDATE {t}, {t} u SET {t}.x = 9", "DELETE {t} FROM {t}",
)  # fmt: skip
SQLITE_WRITES = (
    *WRITES[:11], *WRITES[14:], "REPLACE INTO {t} VALUES (9)", "INSERT OR REPLACE INTO {t} VALUES (9)", "VACUUM",
    "ATTACH DATABASE '/tmp/x' AS y", "PRAGMA writable_schema = 1", "PRAGMA table_info({t})", "REINDEX", "ANALYZE",
    "VACUUM INTO '/tmp/x'", "DETACH DATABASE main", "DELETE FROM {t} RETURNING x", "SAVEPOINT a", "BEGIN IMMEDIATE",
    "WITH d AS (SELECT 1) DELETE FROM {t}", "WITH d AS (SELECT 9 AS x) INSERT INTO {t} SELECT x FROM d",
    "EXPLAIN DELETE FROM {t}", "SELECT load_extension('x')", "SELECT * FROM pragma_database_list",
)  # fmt: skip
TSQL_WRITES = (
    *WRITES, "SELECT * INTO baru FROM {t}", "EXEC p", "EXECUTE('DELETE FROM {t}')",
    "EXEC sp_executesql N'DELETE FROM {t}'",
    "EXEC xp_cmdshell 'x'", "DELETE FROM {t} OUTPUT deleted.x", "INSERT INTO {t} OUTPUT inserted.x VALUES (9)",
    "MERGE {t} AS a USING (SELECT 1 AS y) u ON a.x = u.y WHEN MATCHED THEN DELETE;", "WAITFOR DELAY '00:00:01'",
    "SELECT * FROM OPENROWSET('a', 'b', 'c')", "SELECT * FROM OPENQUERY(s, 'x')",
    "SELECT * FROM OPENDATASOURCE('a', 'b').c.d.e",
    "BULK INSERT {t} FROM 'x'", "DBCC CHECKDB", "BACKUP DATABASE a TO DISK = 'x'", "KILL 1", "SHUTDOWN", "USE master",
    "SELECT NEXT VALUE FOR s", "SELECT * FROM {t} WITH (UPDLOCK)", "SELECT * FROM {t} WITH (TABLOCKX)",
    "SET ROWCOUNT 1",
    "DECLARE @a int; DELETE FROM {t}", "GRANT CONTROL TO PUBLIC", "RECONFIGURE", "SELECT 1 DELETE FROM {t}",
    "SETUSER 'a'",
)  # fmt: skip
ORACLE_WRITES = (
    *WRITES, "BEGIN DELETE FROM {t}; END;", "DECLARE a int; BEGIN NULL; END;", "SELECT * FROM {t} FOR UPDATE",
    "MERGE INTO {t} a USING (SELECT 1 AS y FROM dual) u ON (a.x = u.y) WHEN MATCHED THEN UPDATE SET x = 9",
    "SELECT s.nextval FROM dual", "EXECUTE IMMEDIATE 'x'", "CALL dbms_lock.sleep(1)",
    "SELECT dbms_xmlgen.getxml('x') FROM dual",
    "SELECT utl_http.request('x') FROM dual", "SELECT httpuritype('x').getclob() FROM dual",
    "LOCK TABLE {t} IN SHARE MODE",
    "SELECT * FROM {t}@jauh", "ALTER SESSION SET a = 1", "EXPLAIN PLAN FOR DELETE FROM {t}", "SET ROLE ALL",
    "WITH FUNCTION f RETURN int IS BEGIN RETURN 1; END; SELECT f FROM dual",
    "INSERT ALL INTO {t} VALUES (9) SELECT 1 FROM dual",
)  # fmt: skip


@pytest.mark.parametrize(
    ("dialect", "texts"),
    [
        ("postgres", POSTGRESQL_WRITES), ("mysql", MARIADB_WRITES), ("sqlite", SQLITE_WRITES), ("tsql", TSQL_WRITES),
        ("oracle", ORACLE_WRITES),
    ],
)  # fmt: skip
def test_nothing_that_changes_something_is_taken_for_reading(dialect: str, texts: tuple[str, ...]) -> None:
    assert [text for text in texts if not check(text.format(t="korban"), dialect)] == []
