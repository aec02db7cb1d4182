"""A little T-SQL over SQLite, enough for the tests: types that last, transactions, variables, procedures, errors."""

from __future__ import annotations

import itertools
import logging
import re
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tests.servers import tds_types
from tests.servers.tds_types import Misfit, Type

logging.getLogger("sqlglot").setLevel(logging.ERROR)


class SqlError(Exception):
    def __init__(self, number: int, message: str, severity: int = 16) -> None:
        super().__init__(message)
        self.number = number
        self.message = message
        self.severity = severity


@dataclass
class Rows:
    columns: list[tuple[str, Type]]
    rows: Iterator[tuple[Any, ...]]
    shown: int = 0


@dataclass
class Done:
    """A statement's end: ``count`` rows touched, -1 when it touches none by nature."""

    count: int = -1
    #: The protocol's word for the statement: 0xC1 SELECT, 0xC3 INSERT, 0xC4 DELETE, 0xC5 UPDATE.
    command: int = 0


@dataclass
class Wait:
    """Let time pass. ``deaf``: without minding an attention."""

    seconds: float
    deaf: bool


@dataclass
class Fault:
    error: SqlError


@dataclass
class Said:
    number: int
    text: str


Event = Rows | Done | Wait | Fault | Said


@dataclass
class Procedure:
    """``parameters`` as (name, type, whether it is an output); ``run`` fills the outputs and gives events."""

    parameters: tuple[tuple[str, str, bool], ...]
    run: Callable[[dict[str, Any]], Iterator[Event]]


def _sums(values: dict[str, Any]) -> Iterator[Event]:
    values["jumlah"] = values["a"] + values["b"]
    values["kali"] = values["a"] * values["b"]
    yield from ()


def _two(values: dict[str, Any]) -> Iterator[Event]:
    for number, word in ((1, "satu"), (2, "dua")):
        yield Rows([("nomor", Type("int")), (word, Type("varchar", length=9))], iter([(number, word)]))
        yield Done(1, 0xC1)


def _fails_late(values: dict[str, Any]) -> Iterator[Event]:
    yield Rows([("nomor", Type("int"))], iter([(1,)]))
    yield Done(1, 0xC1)
    yield Fault(SqlError(8134, "Divide by zero error encountered."))


def _types(values: dict[str, Any]) -> Iterator[Event]:
    """What drivers ask for before their first statement: the largest size of a type, by ODBC's number."""
    name, size = _LARGEST.get(int(values["data_type"] or 0), ("sql_variant", 8000))
    columns = [("TYPE_NAME", Type("nvarchar", length=128)), ("DATA_TYPE", Type("smallint")), ("PRECISION", Type("int"))]
    yield Rows(columns, iter([(name, values["data_type"], size)]))
    yield Done(1, 0xC1)


_LARGEST = {12: ("varchar", 8000), -9: ("nvarchar", 4000), -3: ("varbinary", 8000), 93: ("datetime2", 27)}
_TYPE_INFO = Procedure((("data_type", "int", False), ("odbcver", "tinyint", False)), _types)

PROCEDURES = {
    "sp_datatype_info_100": _TYPE_INFO,
    "sp_datatype_info": _TYPE_INFO,
    "hitung": Procedure(
        (("a", "int", False), ("b", "int", False), ("jumlah", "int", True), ("kali", "bigint", True)), _sums
    ),
    "dua_hasil": Procedure((), _two),
    "gagal_akhir": Procedure((), _fails_late),
}


def _part(kind: str, name: str) -> Any:
    """A part of a declared type, as the catalogues tell it."""
    found = tds_types.parse(kind)
    exact = found.name in ("decimal", "numeric")
    parts = {
        "name": found.name,
        "length": (-1 if found.length == tds_types.MAX else found.length) or None,
        "precision": found.precision if exact else None,
        "scale": found.scale if exact else None,
        "fraction": found.scale if found.name in ("time", "datetime2", "datetimeoffset") else None,
    }
    return parts[name]


_OBJECTS = (
    "SELECT rowid AS id, name, type FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sys%'"
    " AND name NOT LIKE 'tds%' AND name NOT LIKE 'information%' AND name NOT LIKE 'sqlite%'"
)
#: A row for each column of a key: its table, the key's name, and the column's place in it.
_KEYS = (
    "WITH k AS MATERIALIZED (SELECT o.id, o.name AS tbl, 'PK_' || o.name AS name, 1 AS is_unique, 1 AS is_primary,"
    f" i.name AS col, i.pk AS place FROM ({_OBJECTS}) o, pragma_table_info(o.name) i WHERE i.pk > 0"
    ' UNION ALL SELECT o.id, o.name, l.name, l."unique", 0, c.name, c.seqno + 1'
    f" FROM ({_OBJECTS}) o, pragma_index_list(o.name) l, pragma_index_info(l.name) c WHERE l.origin <> 'pk')"
    " SELECT * FROM k"
)
_NUMBERED = f"SELECT *, dense_rank() OVER (PARTITION BY id ORDER BY is_primary DESC, name) AS indid FROM ({_KEYS})"
#: A row for each column of a foreign key, columns by their numbers.
_FOREIGN = (
    "WITH f AS MATERIALIZED (SELECT o.id * 1000 + f.id AS constrid, 'FK_' || o.name || '_' || f.id AS name,"
    " o.id, t.id AS target, f.seq + 1 AS place,"
    ' (SELECT ordinal FROM tds_columns WHERE tbl = o.name AND name = f."from") AS col,'
    ' (SELECT ordinal FROM tds_columns WHERE tbl = t.name AND name = f."to") AS pointed'
    f' FROM ({_OBJECTS}) o, pragma_foreign_key_list(o.name) f JOIN ({_OBJECTS}) t ON t.name = f."table")'
    " SELECT * FROM f"
)
#: What an agency has made: as names alone, for the catalogue. One of each kind, and one that the server brings.
_ROUTINES = " UNION ALL ".join(
    f"SELECT '{name}' AS name, '{kind}' AS type, {shipped} AS shipped"
    for name, kind, shipped in (
        ("hitung", "P", 0), ("sp_ambil", "P", 0), ("fn_umur", "FN", 0), ("daftar", "IF", 0), ("sp_who", "P", 0),
        ("dari_net", "FS", 0), ("sp_bawaan", "P", 1),
    )
)  # fmt: skip
_VIEWS = {
    "sys_databases": "SELECT 'mantra' AS name UNION SELECT 'master'",
    "sys_schemas": "SELECT 1 AS schema_id, 'dbo' AS name",
    "sys_objects": "SELECT id AS object_id, name, 1 AS schema_id, CASE type WHEN 'view' THEN 'V' ELSE 'U' END AS type,"
    f" 0 AS is_ms_shipped FROM ({_OBJECTS}) UNION ALL SELECT NULL, name, 1, type, shipped FROM ({_ROUTINES})",
    "sys_system_objects": "SELECT 'sp_who' AS name UNION SELECT 'fn_helpcollations'",
    "sys_indexes": "SELECT DISTINCT id AS object_id, name AS index_id, name, is_unique, is_primary AS is_primary_key,"
    f" 0 AS has_filter FROM ({_KEYS})",
    "sys_columns": f"SELECT o.id AS object_id, ordinal AS column_id, c.name FROM tds_columns c"
    f" JOIN ({_OBJECTS}) o ON o.name = tbl",
    "sys_index_columns": "SELECT k.id AS object_id, k.name AS index_id, c.ordinal AS column_id, k.place AS key_ordinal,"
    f" 0 AS is_included_column FROM ({_KEYS}) k JOIN tds_columns c ON c.tbl = k.tbl AND c.name = k.col",
    "sys_foreign_keys": f"SELECT DISTINCT constrid AS object_id, name, id AS parent_object_id FROM ({_FOREIGN})",
    "sys_foreign_key_columns": "SELECT constrid AS constraint_object_id, place AS constraint_column_id,"
    f" id AS parent_object_id, col AS parent_column_id, target AS referenced_object_id, pointed AS referenced_column_id"
    f" FROM ({_FOREIGN})",
    "sys_partitions": f"SELECT id AS object_id, 0 AS index_id, row_count(5, id) AS rows FROM ({_OBJECTS})"
    " WHERE type = 'table'",
    # An agency's comments are those on what is called so: on the table itself, and on its first column.
    "sys_extended_properties": "SELECT 1 AS class, 'MS_Description' AS name, o.id AS major_id, n.minor AS minor_id,"
    f" n.words AS value FROM ({_OBJECTS}) o, (SELECT 0 AS minor, 'Data induk' AS words UNION SELECT 1, 'Nomor urut') n"
    " WHERE o.name = 'induk'",
    "information_schema_tables": "SELECT 'dbo' AS TABLE_SCHEMA, name AS TABLE_NAME,"
    f" CASE type WHEN 'view' THEN 'VIEW' ELSE 'BASE TABLE' END AS TABLE_TYPE FROM ({_OBJECTS})",
    "information_schema_columns": "SELECT 'dbo' AS TABLE_SCHEMA, tbl AS TABLE_NAME, name AS COLUMN_NAME,"
    " ordinal AS ORDINAL_POSITION, tds_part(type, 'name') AS DATA_TYPE, tds_part(type, 'length') AS"
    " CHARACTER_MAXIMUM_LENGTH, tds_part(type, 'precision') AS NUMERIC_PRECISION, tds_part(type, 'scale') AS"
    " NUMERIC_SCALE, tds_part(type, 'fraction') AS DATETIME_PRECISION,"
    " CASE nullable WHEN 1 THEN 'YES' ELSE 'NO' END AS IS_NULLABLE FROM tds_columns",
    "information_schema_table_constraints": "SELECT DISTINCT 'dbo' AS CONSTRAINT_SCHEMA, name AS CONSTRAINT_NAME,"
    f" 'PRIMARY KEY' AS CONSTRAINT_TYPE, 'dbo' AS TABLE_SCHEMA, tbl AS TABLE_NAME FROM ({_KEYS}) WHERE is_primary",
    "information_schema_key_column_usage": "SELECT 'dbo' AS CONSTRAINT_SCHEMA, name AS CONSTRAINT_NAME,"
    f" col AS COLUMN_NAME FROM ({_KEYS}) WHERE is_primary",
}
_SYBASE_VIEWS = {
    "sysdatabases": "SELECT 'mantra' AS name UNION SELECT 'master'",
    "sysobjects": f"SELECT id, name, CASE type WHEN 'view' THEN 'V' ELSE 'U' END AS type, 1 AS uid FROM ({_OBJECTS})"
    f" UNION ALL SELECT NULL, name, CASE type WHEN 'FN' THEN 'SF' ELSE type END, 1 FROM ({_ROUTINES})",
    "sybsystemprocs_sysobjects": "SELECT 'sp_who' AS name UNION SELECT 'fn_helpcollations'",
    "syscolumns": "SELECT o.id, ordinal AS colid, c.name, tds_part(c.type, 'name') AS usertype,"
    " coalesce(tds_part(c.type, 'length'), 8) AS length, tds_part(c.type, 'precision') AS prec,"
    " tds_part(c.type, 'scale') AS scale, nullable * 8 AS status FROM tds_columns c"
    f" JOIN ({_OBJECTS}) o ON o.name = tbl",
    "systypes": "SELECT DISTINCT tds_part(type, 'name') AS usertype, tds_part(type, 'name') AS name FROM tds_columns",
    "sysindexes": f"SELECT DISTINCT id, indid, name, is_primary * 2048 + is_unique * 2 AS status FROM ({_NUMBERED})",
    "sysreferences": "SELECT constrid, id AS tableid, target AS reftabid, count(*) AS keycnt, "
    + ", ".join(
        f"max(CASE place WHEN {at} THEN col END) AS fokey{at}, max(CASE place WHEN {at} THEN pointed END) AS refkey{at}"
        for at in range(1, 17)
    )
    + f" FROM ({_FOREIGN}) GROUP BY constrid, id, target",
}

_CONVERT = re.compile(r"\bconvert\s*\(\s*(\w+(?:\s*\([^()]*\))?)\s*,", re.I)
_CAST = re.compile(r"\b(cast)\s*\(", re.I)
_AS_TYPE = re.compile(r"\s+as\s+(\[?(?:unsigned\s+)?\w+\]?\s*(?:\([^()]*\))?(?:\s+collate\s+\w+)?)\s*$", re.I)
_TRANSACTION = re.compile(
    r"(?:if\s+@@trancount\s*>\s*0\s+)?(begin|commit|rollback)\s+tran(?:saction)?|"
    r"if\s+@@trancount\s*>\s*0\s+(commit|rollback)",
    re.I,
)
_ASSIGN = re.compile(r"(?:set|select)\s+@(\w+)\s*=\s*(.+)", re.I | re.S)
_EXEC = re.compile(r"exec(?:ute)?\s+(?:@(\w+)\s*=\s*)?(?:\[?dbo\]?\.)?\[?(\w+)\]?\s*(.*)", re.I | re.S)
_WAIT = re.compile(r"waitfor\s+(delay|time)\s+'(\d+):(\d+):([\d.]+)'", re.I)
_CREATE = re.compile(r"create\s+table\s+(?:dbo\.)?\[?(#?\w+)\]?\s*\((.*)\)\s*", re.I | re.S)
_DROP = re.compile(r"drop\s+table\s+(?:if\s+exists\s+)?(?:dbo\.)?\[?(\w+)\]?\s*;?\s*$", re.I)
_COLUMN = re.compile(
    r"\s*\[?([\w ]+?)\]?\s+(\[?(?:unsigned\s+)?\w+\]?\s*(?:\([^()]*\))?(?:\s+collate\s+\w+)?)(.*)", re.I | re.S
)
_CONSTRAINT = re.compile(r"\s*(?:constraint|primary|unique|check|foreign)\b", re.I)
_MESSAGES = (
    (re.compile(r"no such table: (?:main\.)?(.+)"), 208, "Invalid object name '{0}'."),
    (re.compile(r"no such column: (.+)"), 207, "Invalid column name '{0}'."),
    (re.compile(r"table (\S+) has no column named (\S+)"), 207, "Invalid column name '{1}'."),
    (re.compile(r"no such function: (.+)"), 195, "'{0}' is not a recognized built-in function name."),
    (re.compile(r"UNIQUE constraint failed: (.+)"), 2627, "Violation of PRIMARY KEY constraint on {0}."),
    (re.compile(r"NOT NULL constraint failed: (.+)"), 515, "Cannot insert the value NULL into column '{0}'."),
    (re.compile(r"(?:CHECK|FOREIGN KEY) constraint failed"), 547, "The statement conflicted with a constraint."),
    (re.compile(r"table (\S+) already exists"), 2714, "There is already an object named '{0}'."),
    (re.compile(r"database .*is locked"), 1222, "Lock request time out period exceeded."),
)


@dataclass
class Session:
    """A log-in's work on the database: one SQLite connection, its options and variables."""

    path: str
    user: str = "mantra"
    #: Sybase goes on with a batch after an error; T-SQL leaves most batches.
    sybase: bool = False
    plans: bool = True
    spid: int = 51
    options: dict[str, bool] = field(default_factory=dict)
    variables: dict[str, tuple[Type, Any]] = field(default_factory=dict)
    error: Misfit | None = None
    #: What the client told at its log-in.
    facts: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=5)
        self.db.execute("PRAGMA journal_mode = wal")
        self.db.execute("PRAGMA synchronous = off")
        self.db.execute("PRAGMA foreign_keys = on")
        self.db.execute(
            "CREATE TABLE IF NOT EXISTS tds_columns"
            " (tbl TEXT COLLATE NOCASE, ordinal INT, name TEXT COLLATE NOCASE, type TEXT, nullable INT, is_key INT)"
        )
        self._teach()
        for name, select in (_SYBASE_VIEWS if self.sybase else _VIEWS).items():
            self.db.execute(f"CREATE VIEW IF NOT EXISTS {name} AS {select}")

    def _teach(self) -> None:
        db = self.db
        db.create_collation("tdsnumber", _compare_numbers)
        functions: dict[str, tuple[int, Callable[..., Any]]] = {
            "tds_cast": (2, self._fitted),
            "tds_store": (2, self._assigned),
            "concat": (-1, lambda *words: "".join("" if word is None else str(word) for word in words)),
            "newid": (0, lambda: str(uuid.uuid4()).upper()),
            "suser_name": (0, lambda: self.user),
            "db_name": (0, lambda: "mantra"),
            "schema_name": (-1, lambda *schema: "dbo"),
            "schema_id": (0, lambda: 1),
            "tds_fact": (1, self.facts.get),
            "has_dbaccess": (1, lambda name: 1),
            "user_name": (-1, lambda *uid: "dbo"),
            "index_col": (3, self._key_column),
            "col_name": (2, self._column),
            "object_name": (1, self._object),
            "db_id": (0, lambda: 5),
            "row_count": (2, self._row_count),
            "tds_part": (2, _part),
        }
        for name, (count, function) in functions.items():
            db.create_function(name, count, function)

    def _key_column(self, table: str, index: int, place: int) -> str | None:
        return self._one(
            f"SELECT col FROM ({_NUMBERED}) WHERE tbl = ? AND indid = ? AND place = ?", table, index, place
        )

    def _column(self, table: int, place: int | None) -> str | None:
        return self._one(
            f"SELECT c.name FROM tds_columns c JOIN ({_OBJECTS}) o ON o.name = tbl WHERE o.id = ? AND ordinal = ?",
            table,
            place,
        )

    def _object(self, id: int) -> str | None:
        return self._one(f"SELECT name FROM ({_FOREIGN}) WHERE constrid = ?", id)

    def _row_count(self, _database: int, table: int) -> int:
        name = self._one(f"SELECT name FROM ({_OBJECTS}) WHERE id = ?", table)
        return int(self._one(f'SELECT count(*) FROM "{name}"') or 0)

    def _one(self, sql: str, *values: Any) -> str | None:
        row = self.db.execute(sql, values).fetchone()
        return row[0] if row else None

    def _fitted(self, value: Any, kind: str) -> Any:
        try:
            return tds_types.stored(value, tds_types.parse(kind))
        except Misfit as misfit:
            self.error = misfit
            raise

    def _assigned(self, value: Any, kind: str) -> Any:
        """The value as a column takes it. SQL Server makes no bytes of a text unless told to by CAST."""
        if not self.sybase and isinstance(value, str) and tds_types.parse(kind).name in ("binary", "varbinary"):
            self.error = Misfit(257, f"Implicit conversion from data type varchar to {kind} is not allowed.")
            raise self.error
        return self._fitted(value, kind)

    def close(self) -> None:
        self.db.close()

    def run(self, text: str, parameters: dict[str, tuple[Type, Any]] | None = None) -> Iterator[Event]:
        """The events of a batch. Variables live as long as the batch."""
        self.variables = dict(parameters or {})
        try:
            statements = [_checked(statement, self.sybase) for statement in split(text)]
        except SqlError as error:
            yield Fault(error)
            return
        for statement in statements:
            try:
                yield from self._statement(statement)
            except SqlError as error:
                yield Fault(error)
                if self.options.get("xact_abort"):
                    self._end("rollback")
                if not self.sybase:
                    return

    def _statement(self, text: str) -> Iterator[Event]:
        word = text.split(None, 1)[0].lower()
        if _TRANSACTION.fullmatch(text.rstrip("; \n")):
            yield self._transaction(text)
        elif word == "declare":
            yield from self._declare(text[7:])
        elif word in ("set", "select") and (found := _ASSIGN.fullmatch(text)):
            self._assign(found[1], found[2])
            yield Done(1 if word == "select" else -1, 0xC1)
        elif word == "set":
            self._option(text)
            yield Done(command=0xBE)
        elif word == "waitfor":
            found = _WAIT.match(text)
            assert found is not None, text
            yield Wait(int(found[2]) * 3600 + int(found[3]) * 60 + float(found[4]), found[1].lower() == "time")
            yield Done()
        elif word in ("exec", "execute"):
            yield from self._execute(text)
        elif word.startswith("sp_"):
            yield from self._execute(f"exec {text}")
        elif word == "print":
            yield Said(0, text[5:].strip(" '"))
        elif word == "raiserror":
            found = re.search(r"\(\s*(?:(\d+)|N?'([^']*)')\s*,\s*(\d+)", text)
            assert found is not None, text
            raise SqlError(int(found[1] or 50000), found[2] or "", int(found[3]))
        elif word == "create" and (found := _CREATE.fullmatch(text)):
            self._create(found[1], found[2])
            yield Done()
        else:
            yield from self._query(text)

    def _transaction(self, text: str) -> Done:
        words = text.lower().split()
        if words[0] == "if" and not self.db.in_transaction:
            return Done()
        verb = words[0] if words[0] != "if" else words[4] if words[2] == ">" else words[3]
        self._end(verb)
        return Done(command={"begin": 0xD4, "commit": 0xD5, "rollback": 0xD2}[verb])

    def _end(self, verb: str) -> None:
        if verb == "begin":
            if self.db.in_transaction:
                return
            self.db.execute("BEGIN")
        elif self.db.in_transaction:
            self.db.execute(verb)
        elif not self.options.get("xact_abort"):
            raise SqlError(3903 if verb == "rollback" else 3902, f"The {verb} request has no corresponding BEGIN.")

    def _option(self, text: str) -> None:
        for name, value in re.findall(r"set\s+(\w+)\s+(\w+)", text.lower()):
            self.options[name] = value == "on"

    def _declare(self, text: str) -> Iterator[Event]:
        for piece in _pieces(text, ","):
            name, _, rest = piece.strip().partition(" ")
            kind, _, value = rest.partition("=")
            self.variables[name.lstrip("@")] = tds_types.parse(kind.strip().removeprefix("as ")), None
            if value.strip():
                self._assign(name.lstrip("@"), value)
        yield from ()

    def _assign(self, name: str, text: str) -> None:
        if name not in self.variables:
            raise SqlError(137, f'Must declare the scalar variable "@{name}".', 15)
        kind = self.variables[name][0]
        value = next(self._select(f"SELECT {text}").rows)[0]
        self.variables[name] = kind, self._guarded(lambda: tds_types.stored(value, kind))

    def _execute(self, text: str) -> Iterator[Event]:
        found = _EXEC.match(text)
        assert found is not None, text
        into, name, rest = found.groups()
        procedure = PROCEDURES.get(name.lower())
        if procedure is None:
            raise SqlError(2812, f"Could not find stored procedure '{name}'.")
        values: dict[str, Any] = {parameter: None for parameter, _, _ in procedure.parameters}
        outputs: dict[str, str] = {}
        for position, piece in enumerate(_pieces(rest, ",") if rest.strip() else ()):
            self._argument(procedure, position, piece.strip(), values, outputs)
        yield from procedure.run(values)
        for parameter, variable in outputs.items():
            kind = self.variables[variable][0]
            self.variables[variable] = kind, tds_types.stored(values[parameter], kind)
        if into:
            self.variables[into] = Type("int"), 0
        yield Done(command=0xE0)

    def _argument(
        self, procedure: Procedure, position: int, piece: str, values: dict[str, Any], outputs: dict[str, str]
    ) -> None:
        named = re.fullmatch(r"@(\w+)\s*=\s*(.+)", piece, re.S)
        name = named[1].lower() if named else procedure.parameters[position][0]
        expression = named[2] if named else piece
        output = re.fullmatch(r"@(\w+)\s+out(?:put)?", expression, re.I)
        if output:
            outputs[name] = output[1]
            expression = f"@{output[1]}"
        kind = next(kind for parameter, kind, _ in procedure.parameters if parameter == name)
        value = next(self._select(f"SELECT {expression}").rows)[0]
        values[name] = self._guarded(lambda: tds_types.stored(value, tds_types.parse(kind)))

    def _guarded(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except Misfit as misfit:
            raise SqlError(misfit.number, misfit.message) from None

    def _create(self, table: str, body: str) -> None:
        made, notes = [], []
        for ordinal, piece in enumerate(_pieces(body, ","), 1):
            if _CONSTRAINT.match(piece):
                made.append(piece)
                continue
            found = _COLUMN.fullmatch(piece)
            assert found is not None, piece
            name, kind, rest = found.groups()
            key = "primary key" in rest.lower()
            required = key or "not null" in rest.lower()
            made.append(f'"{name}" {_storage(tds_types.parse(kind))} {rest} {"NOT NULL" if key else ""}')
            notes.append((table, ordinal, name, kind, int(not required), int(key)))
        self._sqlite(f'CREATE TABLE "{table}" ({", ".join(made)})', {})
        self.db.executemany("INSERT INTO tds_columns VALUES (?, ?, ?, ?, ?, ?)", notes)

    def _query(self, text: str) -> Iterator[Event]:
        if dropped := _DROP.match(text):
            self._sqlite(_translated(text, self.sybase)[0], {})
            self.db.execute("DELETE FROM tds_columns WHERE tbl = ?", (dropped[1],))
            yield Done()
            return
        if self.plans and (self.options.get("showplan_text") or self.options.get("noexec")):
            yield from self._plan(text)
            return
        found = self._select(text)
        if self.options.get("fmtonly") and found.columns:
            # The columns of the result, and nothing is run: the statement has only been prepared so far.
            found.rows = iter(())
        command = {"insert": 0xC3, "delete": 0xC4, "update": 0xC5}.get(text.split(None, 1)[0].lower(), 0xC1)
        if "berpemicu" in text.lower() and command in (0xC3, 0xC4, 0xC5) and not found.columns:
            # As a trigger without SET NOCOUNT ON: the counts of its own statements come first.
            yield Done(3, 0xC3)
        if not found.columns:
            touched = found.shown if command != 0xC1 else -1
            yield Done(touched, command)
            return
        yield found
        yield Done(found.shown, command)

    def _plan(self, text: str) -> Iterator[Event]:
        """SHOWPLAN: SQL Server's as rows, the statement first; Sybase's as messages."""
        values = {name: value for name, (_, value) in self.variables.items()}
        steps = self._sqlite("EXPLAIN QUERY PLAN " + _translated(text, self.sybase)[0], values).fetchall()
        lines = [str(step[3]) for step in steps]
        if self.sybase:
            yield from (Said(6215, line) for line in ("QUERY PLAN FOR STATEMENT 1 (at line 1).", *lines))
            yield Done()
            return
        for part in ([text], lines):
            yield Rows([("StmtText", Type("nvarchar", length=4000))], iter([(line,) for line in part]))
            yield Done(len(part), 0xC1)

    def _select(self, text: str) -> Rows:
        sql, tree = _translated(text, self.sybase)
        tables = {name.lower(): self._declared(name) for name in _tables(tree)}
        if isinstance(tree, exp.Insert | exp.Update):
            sql = _storing(tree, tables).sql("sqlite")
        cursor = self._sqlite(sql, {name: value for name, (_, value) in self.variables.items()})
        if cursor.description is None:
            return Rows([], iter(()), cursor.rowcount)
        first = self._fetch(cursor)
        kinds = self._kinds(tree, [column[0] for column in cursor.description], tables, first)
        names = [name for name, _ in _projections(tree)] if _plain_list(tree) else [c[0] for c in cursor.description]
        rows = Rows(list(zip(names, kinds, strict=True)), iter(()))
        rows.rows = self._counted(rows, cursor, first)
        return rows

    def _counted(self, rows: Rows, cursor: sqlite3.Cursor, row: Any) -> Iterator[tuple[Any, ...]]:
        while row is not None:
            rows.shown += 1
            yield row
            row = self._fetch(cursor)

    def _fetch(self, cursor: sqlite3.Cursor) -> Any:
        return self._translating(cursor.fetchone)

    def _sqlite(self, sql: str, arguments: dict[str, Any]) -> sqlite3.Cursor:
        found: sqlite3.Cursor = self._translating(lambda: self.db.execute(sql, arguments))
        return found

    def _translating(self, work: Callable[[], Any]) -> Any:
        self.error = None
        try:
            return work()
        except (sqlite3.Error, OverflowError) as error:
            raise self._error(error) from None

    def _error(self, error: Exception) -> SqlError:
        if self.error is not None:
            return SqlError(self.error.number, self.error.message)
        text = str(error)
        for pattern, number, message in _MESSAGES:
            if found := pattern.search(text):
                return SqlError(number, message.format(*found.groups()), 14 if number == 2627 else 16)
        return SqlError(102 if "syntax" in text else 50000, text, 15)

    def _declared(self, table: str) -> dict[str, str]:
        rows = self.db.execute("SELECT name, type FROM tds_columns WHERE tbl = ?", (table,))
        return {name.lower(): kind for name, kind in rows}

    def _kinds(
        self, tree: exp.Expression, names: list[str], tables: dict[str, dict[str, str]], first: Any
    ) -> list[Type]:
        known = {name: kind for columns in tables.values() for name, kind in columns.items()}
        projections = _projections(tree) if _plain_list(tree) else [(name, None) for name in names]
        return [
            self._kind(expression, name, known, first[at] if first else None)
            for at, (name, expression) in enumerate(projections)
        ]

    def _kind(self, expression: exp.Expression | None, name: str, known: dict[str, str], value: Any) -> Type:
        while isinstance(expression, exp.Paren):
            expression = expression.this
        if isinstance(expression, exp.Anonymous) and expression.name.lower() == "tds_cast":
            return tds_types.parse(expression.expressions[1].name)
        if isinstance(expression, exp.Anonymous) and expression.name.lower() in _NAMING:
            return Type("varchar", length=255)
        if isinstance(expression, exp.Parameter) and expression.name in self.variables:
            return self.variables[expression.name][0]
        column = expression.name if isinstance(expression, exp.Column) else name
        if (expression is None or isinstance(expression, exp.Column)) and column.lower() in known:
            return tds_types.parse(known[column.lower()])
        if isinstance(expression, exp.Literal) and expression.is_string:
            return Type("varchar", length=max(1, len(expression.name)))
        if isinstance(value, float):
            return Type("float")
        if isinstance(value, bytes):
            return Type("varbinary", length=8000)
        if isinstance(value, str):
            return Type("nvarchar", length=4000)
        return Type("bigint" if isinstance(value, int) and abs(value) >= 2**31 else "int")


#: Functions that give names, or NULL.
_NAMING = frozenset(("col_name", "index_col", "object_name", "user_name"))


def _compare_numbers(left: str, right: str) -> int:
    try:
        one, other = Decimal(left), Decimal(right)
    except ArithmeticError:
        return (left > right) - (left < right)
    return (one > other) - (one < other)


def _storage(kind: Type) -> str:
    """What SQLite keeps a type's values as, without touching them."""
    if (kind.name in tds_types.INTEGERS and kind.name != "ubigint") or kind.name == "bit":
        return "INT"
    if kind.name in ("float", "real"):
        return "REAL"
    if kind.binary:
        return "BLOB"
    exact = kind.name in ("decimal", "numeric", "money", "smallmoney", "ubigint")
    return "TEXT COLLATE tdsnumber" if exact else "TEXT"


_QUOTED_OR_COMMENT = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/", re.S)


def _pieces(text: str, separator: str) -> list[str]:
    """The text cut at a separator outside brackets, texts and comments."""
    pieces, depth, start, at = [], 0, 0, 0
    pattern = re.compile(r"N?'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|[()]|" + re.escape(separator), re.S)
    for found in pattern.finditer(text):
        depth += (found[0] == "(") - (found[0] == ")")
        if found[0] == separator and not depth:
            pieces.append(text[start : found.start()])
            start = found.end()
        at = found.end()
    return [*pieces, text[start:]] if text[start:].strip() or at < len(text) or not pieces else pieces


_SYBASE_WRAP = re.compile(r"\s*(begin\s+tran\w*)\s*\n(.*)\n\s*(rollback\s+tran\w*)\s*", re.I | re.S)
_FMTONLY = re.compile(r"\s*(set\s+fmtonly\s+on)\s*\n(.*)\n\s*(set\s+fmtonly\s+off)\s*", re.I | re.S)
_BEGINNING = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)+", re.S)
_LEADING = re.compile(
    r"((?:(?:declare|set)\s+@|exec(?:ute)?\s).*?)\s*\n"
    r"(?=\s*(?:declare|set|select|exec|execute|insert|update|delete|with)\b)",
    re.I | re.S,
)


def split(text: str) -> Iterator[str]:
    """The statements of a batch: at semicolons, and where a line begins behind DECLARE or SET."""
    if wrapped := _SYBASE_WRAP.fullmatch(text) or _FMTONLY.fullmatch(text):
        yield wrapped[1]
        yield from split(wrapped[2])
        yield wrapped[3]
        return
    for piece in _pieces(text, ";"):
        rest = _bare(piece)
        while found := _LEADING.match(rest):
            yield found[1]
            rest = _bare(rest[found.end() :])
        if rest:
            yield rest


def _bare(text: str) -> str:
    found = _BEGINNING.match(text)
    return (text[found.end() :] if found else text).rstrip()


_WORDS = ("begin", "commit", "rollback", "if", "declare", "set", "waitfor", "exec", "execute", "print", "raiserror")


def _checked(text: str, sybase: bool) -> str:
    """The statement, if the server can compile it. Raises SqlError 102 or 105."""
    word = text.split(None, 1)[0].lower()
    if "'" in _QUOTED_OR_COMMENT.sub("", text):
        raise SqlError(105, "Unclosed quotation mark after the character string.", 15)
    if word in _WORDS or word.startswith("sp_") or _CREATE.fullmatch(text):
        return text
    if word not in ("select", "with", "insert", "update", "delete", "create", "drop", "merge", "(", "alter"):
        raise SqlError(102, f"Incorrect syntax near '{word}'.", 15)
    _translated(text, sybase)
    return text


@lru_cache(maxsize=500)
def _translated(text: str, sybase: bool) -> tuple[str, exp.Expression]:
    text = _casts(re.sub(r"@@(\w+)", r"tds_global('\1')", text))
    try:
        tree = sqlglot.parse_one(text, read="tsql")
        if sybase:
            _fill(tree)
        tree = tree.transform(_in_sqlite)
    except SqlglotError as error:
        near = str(error).split("\n")[0][:80]
        raise SqlError(102, f"Incorrect syntax near '{near}'.", 15) from None
    return tree.sql("sqlite"), tree


def _casts(text: str) -> str:
    """CAST(x AS type) as tds_cast(x, 'type'), which SQLite can be taught."""
    text = _CONVERT.sub(r"tds_convert('\1',", text)
    while found := _CAST.search(text):
        depth, end = 1, found.end()
        while depth and end < len(text):
            depth += (text[end] == "(") - (text[end] == ")")
            end += 1
        inner = text[found.end() : end - 1]
        kind = _AS_TYPE.search(inner)
        if kind is None:
            raise SqlError(102, "Incorrect syntax near 'CAST'.", 15)
        text = f"{text[: found.start()]}tds_cast({inner[: kind.start()]}, '{kind[1]}'){text[end:]}"
    return text


_GLOBALS = {"spid": 51, "version": "Tiruan T-SQL untuk pengujian", "trancount": 0, "servername": "tiruan"}


def _in_sqlite(node: exp.Expression) -> exp.Expression:
    if isinstance(node, exp.National):
        return exp.Literal.string(node.name)
    if isinstance(node, exp.Column) and node.name == "0x":
        # sqlglot takes the empty bytes for a name.
        return exp.HexString(this="")
    if isinstance(node, exp.Neg | exp.Literal) and (number := _exact(node)):
        return number
    if isinstance(node, exp.Anonymous) and node.name.lower() == "tds_global":
        return exp.convert(_GLOBALS.get(node.expressions[0].name.lower(), 0))
    if isinstance(node, exp.Anonymous) and node.name.lower() == "tds_convert":
        return exp.func("tds_cast", node.expressions[1], node.expressions[0])
    if isinstance(node, exp.Table) and node.catalog.lower() == "sybsystemprocs":
        node.set("this", exp.to_identifier(f"sybsystemprocs_{node.name}".lower()))
    if isinstance(node, exp.Table) and node.catalog:
        node.set("catalog", None)
        if not node.db:
            node.set("db", None)
    if isinstance(node, exp.Table) and node.db:
        if node.db.lower() == "dbo":
            node.set("db", None)
        elif node.db.lower() in ("sys", "information_schema"):
            node.set("this", exp.to_identifier(f"{node.db}_{node.name}".lower()))
            node.set("db", None)
    if isinstance(node, exp.Column) and node.table.lower() in ("inserted", "deleted"):
        node.set("table", None)
    if isinstance(node, exp.Add) and any(_is_text(side) for side in node.flatten()):
        return exp.DPipe(this=node.left.transform(_in_sqlite), expression=node.right.transform(_in_sqlite))
    if isinstance(node, exp.CurrentSchema):
        return exp.Literal.string("dbo")
    if isinstance(node, exp.CurrentTimestamp):
        return exp.Literal.string(datetime.now().isoformat(" ", "milliseconds"))
    return node


def _fill(tree: exp.Expression) -> None:
    """Sybase has no empty text: it takes one for a single blank."""
    for literal in tree.find_all(exp.Literal):
        if literal.is_string and not literal.name:
            literal.set("this", " ")


def _exact(node: exp.Expression) -> exp.Expression | None:
    """A number with a point as the decimal that T-SQL takes it for; SQLite would make a float of it."""
    sign, literal = ("-", node.this) if isinstance(node, exp.Neg) else ("", node)
    if not isinstance(literal, exp.Literal) or literal.is_string or not re.fullmatch(r"\d*\.\d*", literal.name):
        return None
    whole, _, fraction = literal.name.partition(".")
    kind = f"decimal({max(1, len(whole.lstrip('0')) + len(fraction))},{len(fraction)})"
    return exp.func("tds_cast", exp.Literal.string(sign + literal.name), exp.Literal.string(kind))


def _is_text(node: exp.Expression) -> bool:
    return (isinstance(node, exp.Literal) and node.is_string) or isinstance(node, exp.National)


def _tables(tree: exp.Expression) -> list[str]:
    return [table.name for table in tree.find_all(exp.Table)]


def _returned(tree: exp.Expression) -> list[exp.Expression]:
    if isinstance(tree, exp.Insert | exp.Update | exp.Delete):
        returning = tree.args.get("returning")
        return list(returning.expressions) if returning else []
    return list(tree.selects) if isinstance(tree, exp.Query) else []


def _plain_list(tree: exp.Expression) -> bool:
    found = _returned(tree)
    return bool(found) and not any(item.find(exp.Star) and not item.find(exp.Count) for item in found)


def _projections(tree: exp.Expression) -> list[tuple[str, exp.Expression | None]]:
    return [
        (item.alias_or_name if not isinstance(item, exp.Literal) else "", item.unalias()) for item in _returned(tree)
    ]


def _storing(tree: exp.Expression, tables: dict[str, dict[str, str]]) -> exp.Expression:
    """INSERT and UPDATE with each value brought into its column's type."""
    tree = tree.copy()
    target = tree.this.find(exp.Table)
    kinds = tables.get(target.name.lower(), {}) if target is not None else {}
    if isinstance(tree, exp.Update):
        for setting in tree.expressions:
            setting.set("expression", _stored(setting.expression, kinds.get(setting.this.name.lower())))
        return tree
    named = (
        [column.name.lower() for column in tree.this.expressions] if isinstance(tree.this, exp.Schema) else list(kinds)
    )
    if isinstance(tree.expression, exp.Values):
        for values in tree.expression.expressions:
            filled = [
                _stored(value, kinds.get(name)) for value, name in itertools.zip_longest(values.expressions, named)
                if value is not None
            ]  # fmt: skip
            values.set("expressions", filled)
    return tree


def _stored(value: exp.Expression, kind: str | None) -> exp.Expression:
    return value if kind is None else exp.func("tds_store", value.copy(), exp.Literal.string(kind))
