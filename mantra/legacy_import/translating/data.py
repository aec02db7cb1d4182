"""A data operation of 1.99x: the connection of its source, its SQL and its parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataservices.sql import TemplateError, check, parse, quoted_placeholders
from dataservices.sql.tokens import COMMENT, QUOTED
from mantra.legacy_import.old import OldOperation
from mantra.legacy_import.translating.conditions import OldParameter, Statement, comment_lines
from mantra.legacy_import.translating.connections import Connection, connection_of
from mantra.legacy_import.translating.definitions import Definition, parameter_keys
from mantra.legacy_import.translating.remarks import Kind, Refused, Remark
from mantra.legacy_import.translating.sourcecode import Source

#: Characters of an operation's SQL.
MAX_SQL = 50_000
#: What a response has at most where 1.99x had no limit. Somebody who knows the table can choose less.
MAX_ROWS, TIMEOUT_MS = 100_000, 60_000
#: The highest row limit of an operation.
_HIGHEST = 10_000_000
#: Characters of a statement that a draft has as a comment.
_MAX_COMMENT = 20_000
#: The types of databases of which 1.99x used the limit.
_LIMITED = frozenset(("mysql", "postgres"))


@dataclass(frozen=True, slots=True)
class DataDefinition(Definition):
    """An operation with SQL, and the connection of its source.

    ``source_remarks`` are those on the connection: each operation of it has the same.
    """

    connection: Connection
    source_remarks: tuple[Remark, ...]
    sql: str
    parameters: tuple[OldParameter, ...]
    max_rows: int

    @property
    def all_remarks(self) -> tuple[Remark, ...]:
        return (*self.source_remarks, *self.remarks)

    def bundle(self, code: str, source: str, legacy_name: str = "") -> dict[str, Any]:
        """Return the operation as a bundle has it. ``source`` is the code of its source."""
        return {
            **self._keys(code, "data", legacy_name),
            "source": source,
            "sql": self.sql,
            "max_rows": self.max_rows,
            "timeout_ms": TIMEOUT_MS,
            "parameters": parameter_keys(self.parameters),
        }


def data_definition(operation: OldOperation, source: Source, hosts: Mapping[str, str]) -> DataDefinition:
    """Return what a ``database`` definition is here. Raises Refused."""
    connection, source_remarks = connection_of(source, hosts)
    statement = Statement(connection.dialect)
    for name in ("tbname", "columns", "conditions", "orders", "limrows", "limoffset"):
        if name in source.lost:
            statement.note(Kind.VALUE_LOST, name=name)
        if len(source.text(name)) > MAX_SQL:
            raise Refused(Kind.TOO_LONG, what=name, most=MAX_SQL)
    columns = statement.columns(source.text("columns"))
    parts = [f"SELECT {columns} FROM {statement.table(source.text('tbname'))}"]  # noqa: S608 (text for a definition)
    parts.append(statement.conditions(source.text("conditions")))
    orders = statement.orders(source.text("orders"))
    parts.append(f"ORDER BY {orders}" if orders else "")
    limit, rows = _limit(source, statement)
    parts.append(limit)
    sql = " ".join(part for part in parts if part)
    if len(sql) > MAX_SQL:
        raise Refused(Kind.TOO_LONG, what="SQL", most=MAX_SQL)
    names = [parameter.name for parameter in statement.parameters]
    if not statement.plain and (reason := _problem(sql, connection.dialect, names)):
        statement.note(Kind.SQL_REFUSED, reason=reason)
        sql = unfinished(sql, names, connection.dialect)
    return DataDefinition(
        title=operation.code,
        description=operation.description,
        remarks=(*source.remarks, *statement.remarks),
        connection=connection,
        source_remarks=source_remarks,
        sql=sql,
        parameters=tuple(statement.parameters),
        max_rows=rows,
    )


def _limit(source: Source, statement: Statement) -> tuple[str, int]:
    """Return LIMIT as 1.99x wrote it, and the row limit for it."""
    rows, offset = (_unset(source.text(name)) for name in ("limrows", "limoffset"))
    if (rows or offset) and source.text("dbtype").strip() not in _LIMITED:
        statement.note(Kind.LIMIT_UNUSED)
    elif rows or offset:
        number = rows.isascii() and rows.isdigit() and len(rows) < 16
        if number and (not offset or (offset.isascii() and offset.isdigit() and len(offset) < 16)):
            most = min(int(rows), _HIGHEST)
            statement.note(Kind.TIME_LIMIT, seconds=TIMEOUT_MS // 1000)
            return f"LIMIT {int(rows)}" + (f" OFFSET {int(offset)}" if offset else ""), most
        statement.note(Kind.LIMIT_UNCLEAR)
    statement.note(Kind.LIMITS, rows=MAX_ROWS, seconds=TIMEOUT_MS // 1000)
    return "", MAX_ROWS


def _unset(text: str) -> str:
    """Return a number's text, "" for 0: that is nothing to PHP."""
    return "" if not text.strip().strip("0") else text.strip()


def _problem(sql: str, dialect: str, names: Sequence[str]) -> str:
    """Return why a statement cannot be an operation's as it stands; "" if it can."""
    try:
        template = parse(sql, dialect)
    except TemplateError as error:
        return error.problem.code
    if template.blocks or sorted(template.placeholders) != sorted(names):
        # Somebody's text, a comment or a quotation mark that is not closed, changes what is a parameter.
        return "placeholders"
    if re.search(rf"(?s:{COMMENT[dialect]})", re.sub(rf"(?s:{QUOTED[dialect]})", " ", sql)):
        return "comment"
    problems = check(sql, dialect) or quoted_placeholders(sql, dialect)
    return ", ".join(dict.fromkeys(problem.code for problem in problems))


def unfinished(text: str, names: Sequence[str], dialect: str) -> str:
    """Return SQL for a draft: ``text`` as a comment, and a query that returns its parameters and no data."""
    columns = ", ".join(f":{name} AS p{number}" for number, name in enumerate(names, start=1)) or "1 AS p1"
    query = f"SELECT {columns}" + (" FROM dual" if dialect == "oracle" else "")  # noqa: S608 (text for a definition)
    lines = list(comment_lines(text[:_MAX_COMMENT]))
    return "\n".join(["-- MANTRA 1.99x:", *lines, query])
