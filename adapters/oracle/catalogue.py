"""Oracle's data dictionary: schemas, tables, columns, keys."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from adapters.base import (
    LOOK_SECONDS,
    MAX_COLUMNS,
    MAX_COMMENT,
    Catalogue,
    ColumnInfo,
    Key,
    Row,
    TimedOut,
    catalogue_of,
    keys_of,
)
from adapters.oracle.driver import FETCH, to_source_error
from adapters.server_names import is_oracle_schema
from adapters.socket_watch import watchdog

#: The bus's names of ALL_TAB_COLUMNS's types, without their parentheses.
_NAMES = {
    **dict.fromkeys(("FLOAT", "DECIMAL"), "decimal"),
    **dict.fromkeys(("BINARY_FLOAT", "BINARY_DOUBLE"), "float"),
    **dict.fromkeys(("BLOB", "RAW", "LONG RAW"), "bytes"),
    **dict.fromkeys(("INTERVAL DAY TO SECOND", "INTERVAL YEAR TO MONTH"), "interval"),
    "BOOLEAN": "boolean",
    "JSON": "json",
}


#: The columns of an owner's tables and their primary keys; {} takes a condition for one table.
_COLUMNS = (
    "SELECT table_name, column_name, data_type, data_precision, data_scale, char_length, nullable FROM all_tab_columns"
    " WHERE owner = :schema{} ORDER BY table_name, column_id"
)
_PRIMARY_KEYS = (
    "SELECT whole.table_name, part.column_name FROM all_constraints whole JOIN all_cons_columns part"
    " ON part.owner = whole.owner AND part.constraint_name = whole.constraint_name"
    " WHERE whole.owner = :schema{} AND whole.constraint_type = 'P'"
)
#: The foreign keys of an owner's tables: the table, and a row for keys_of().
_FOREIGN_KEYS = (
    "SELECT c.table_name, c.constraint_name, 'foreign', part.column_name, target.owner, target.table_name,"
    " target.column_name FROM all_constraints c JOIN all_cons_columns part ON part.owner = c.owner"
    " AND part.constraint_name = c.constraint_name JOIN all_cons_columns target ON target.owner = c.r_owner"
    " AND target.constraint_name = c.r_constraint_name AND target.position = part.position"
    " WHERE c.owner = :schema AND c.constraint_type = 'R' ORDER BY c.table_name, c.constraint_name, part.position"
)
#: About how many rows an owner's tables have, when they were analysed last; comments on tables, views and columns.
_ROW_ESTIMATES = "SELECT table_name, num_rows FROM all_tables WHERE owner = :schema"
_TABLE_COMMENTS = "SELECT table_name, comments FROM all_tab_comments WHERE owner = :schema AND comments IS NOT NULL"
_COLUMN_COMMENTS = (
    "SELECT table_name, column_name, comments FROM all_col_comments WHERE owner = :schema AND comments IS NOT NULL"
)

#: The owners of what a name stands for if the current schema has no procedure, function or package of it.
_SYNONYM_OWNERS = (
    "SELECT table_owner FROM all_synonyms WHERE synonym_name = :name"
    " AND owner IN ('PUBLIC', sys_context('USERENV', 'CURRENT_SCHEMA'))"
    " AND NOT EXISTS (SELECT 1 FROM all_objects WHERE object_name = :name"
    " AND owner = sys_context('USERENV', 'CURRENT_SCHEMA') AND object_type IN ('PROCEDURE', 'FUNCTION', 'PACKAGE'))"
)


def is_of_the_server(connection: Any, called: tuple[str, ...]) -> bool:
    """Return True if a procedure, function or package is Oracle's own. ``called`` are the parts of its written name,
    as the dictionary has them; none if they are unknown."""
    if not called or (len(called) > 1 and is_oracle_schema(called[0])):
        return True
    return any(is_oracle_schema(owner or "") for (owner,) in _query(connection, _SYNONYM_OWNERS, name=called[0]))


def databases(connection: Any) -> list[str]:
    """Return the session's database: an account belongs to one."""
    return [name for (name,) in _query(connection, "SELECT sys_context('USERENV', 'DB_NAME') FROM dual")]


def schemas(connection: Any) -> list[str]:
    rows = _query(
        connection,
        "SELECT owner FROM (SELECT owner FROM all_tables UNION SELECT owner FROM all_views) found"
        " ORDER BY CASE WHEN owner = sys_context('USERENV', 'CURRENT_SCHEMA') THEN 0 ELSE 1 END, owner",
    )
    return [name for (name,) in rows if not is_oracle_schema(name)]


def tables(connection: Any, schema: str, seconds: float = LOOK_SECONDS) -> list[tuple[str, str]]:
    rows = _query(
        connection,
        "SELECT table_name, 'table' FROM all_tables WHERE owner = :schema"
        " UNION ALL SELECT view_name, 'view' FROM all_views WHERE owner = :schema ORDER BY 1",
        seconds,
        schema=schema,
    )
    return [(name, kind) for name, kind in rows if not name.startswith("BIN$")]


def columns(connection: Any, schema: str, table: str) -> list[ColumnInfo]:
    rows = _query(connection, _COLUMNS.format(" AND table_name = :name"), schema=schema, name=table)
    keys = _query(connection, _PRIMARY_KEYS.format(" AND whole.table_name = :name"), schema=schema, name=table)
    return [column for _, column in _columns_of(rows, keys, {})]


def _columns_of(
    rows: Iterable[Row], keys: Collection[Row], comments: Mapping[tuple[str, str], str]
) -> list[tuple[str, ColumnInfo]]:
    """Return columns with their tables' names. ``keys`` are (table, column) of primary keys."""
    return [
        (
            table,
            ColumnInfo(
                name, *_describe_type(type_, precision, scale, length), nullable == "Y", (table, name) in keys,
                comments.get((table, name), ""),
            ),
        )
        for table, name, type_, precision, scale, length, nullable in rows
    ]  # fmt: skip


def catalogue(connection: Any, schema: str, most: int, seconds: float) -> Catalogue:
    deadline = time.monotonic() + seconds

    def query(sql: str) -> list[Row]:
        return _query(connection, sql, deadline - time.monotonic(), schema=schema)

    numbers = {name: None if rows is None else int(rows) for name, rows in query(_ROW_ESTIMATES)}
    comments = {name: str(text)[:MAX_COMMENT] for name, text in query(_TABLE_COMMENTS)}
    of_columns = {(table, name): str(text)[:MAX_COMMENT] for table, name, text in query(_COLUMN_COMMENTS)}
    listed = tables(connection, schema, deadline - time.monotonic())
    first = f"SELECT * FROM ({_COLUMNS.format('')}) WHERE ROWNUM <= {MAX_COLUMNS + 1}"  # noqa: S608 (a constant)
    found = _columns_of(query(first), frozenset(query(_PRIMARY_KEYS.format(""))), of_columns)
    return catalogue_of(
        [(name, kind, comments.get(name, ""), numbers.get(name)) for name, kind in listed],
        found,
        query(_FOREIGN_KEYS),
        most,
    )


def keys(connection: Any, schema: str, table: str) -> list[Key]:
    constraints = _query(
        connection,
        "SELECT c.constraint_name, CASE c.constraint_type WHEN 'P' THEN 'primary' WHEN 'U' THEN 'unique'"
        " ELSE 'foreign' END, part.column_name, target.owner, target.table_name, target.column_name"
        " FROM all_constraints c JOIN all_cons_columns part ON part.owner = c.owner"
        " AND part.constraint_name = c.constraint_name LEFT JOIN all_cons_columns target"
        " ON target.owner = c.r_owner AND target.constraint_name = c.r_constraint_name"
        " AND target.position = part.position WHERE c.owner = :schema AND c.table_name = :name"
        " AND c.constraint_type IN ('P', 'U', 'R') ORDER BY c.constraint_name, part.position",
        schema=schema,
        name=table,
    )
    indexes = _query(
        connection,
        "SELECT i.index_name, CASE i.uniqueness WHEN 'UNIQUE' THEN 'unique' ELSE 'index' END, part.column_name"
        " FROM all_indexes i JOIN all_ind_columns part ON part.index_owner = i.owner"
        " AND part.index_name = i.index_name WHERE i.table_owner = :schema AND i.table_name = :name"
        " ORDER BY i.index_name, part.column_position",
        schema=schema,
        name=table,
    )
    keys = keys_of(constraints)
    # The index that enforces a key is not listed twice.
    covered = {key.columns for key in keys if key.kind != "foreign"}
    return [*keys, *(index for index in keys_of(indexes) if index.columns not in covered)]


def _describe_type(type_: str, precision: Any, scale: Any, length: Any) -> tuple[str, str]:
    """Return a column's type as in CREATE TABLE, and the bus's name for it."""
    name = re.sub(r"\(\d+\)", "", type_)
    if type_ == "NUMBER":
        digits = "" if precision is None and scale is None else f"({'*' if precision is None else precision},{scale})"
        return type_ + digits, "integer" if scale is not None and int(scale) <= 0 else "decimal"
    if length and int(length) and name in ("CHAR", "NCHAR", "VARCHAR2", "NVARCHAR2"):
        return f"{type_}({length})", "text"
    if name == "DATE" or name.startswith("TIMESTAMP"):
        return type_, "datetime"
    return type_, _NAMES.get(name, "text")


def _query(connection: Any, sql: str, seconds: float = LOOK_SECONDS, **arguments: str) -> list[Row]:
    """Return the rows of a query on the dictionary. Raises TimedOut if no time is left for it."""
    if seconds <= 0:
        raise TimedOut
    token = watchdog.begin(connection.descriptor, time.monotonic() + seconds)
    try:
        connection.call_timeout = max(1, int(1000 * seconds))
        cursor = connection.cursor()
        cursor.prefetchrows = cursor.arraysize = FETCH
        cursor.execute(sql, arguments)
        return cursor.fetchall()  # type: ignore[no-any-return]
    except Exception as error:
        raise to_source_error(error, watchdog.end(token)) from None
    finally:
        watchdog.end(token)
