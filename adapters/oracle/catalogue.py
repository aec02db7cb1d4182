"""Oracle's data dictionary: schemas, tables, columns, keys."""

from __future__ import annotations

import re
import time
from typing import Any

from adapters.base import (
    LOOK_SECONDS,
    ColumnInfo,
    Key,
    Row,
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


def tables(connection: Any, schema: str) -> list[tuple[str, str]]:
    rows = _query(
        connection,
        "SELECT table_name, 'table' FROM all_tables WHERE owner = :schema"
        " UNION ALL SELECT view_name, 'view' FROM all_views WHERE owner = :schema ORDER BY 1",
        schema=schema,
    )
    return [(name, kind) for name, kind in rows if not name.startswith("BIN$")]


def columns(connection: Any, schema: str, table: str) -> list[ColumnInfo]:
    keys = _query(
        connection,
        "SELECT part.column_name FROM all_constraints whole JOIN all_cons_columns part"
        " ON part.owner = whole.owner AND part.constraint_name = whole.constraint_name"
        " WHERE whole.owner = :schema AND whole.table_name = :name AND whole.constraint_type = 'P'",
        schema=schema,
        name=table,
    )
    rows = _query(
        connection,
        "SELECT column_name, data_type, data_precision, data_scale, char_length, nullable FROM all_tab_columns"
        " WHERE owner = :schema AND table_name = :name ORDER BY column_id",
        schema=schema,
        name=table,
    )
    return [
        ColumnInfo(name, *_describe_type(type_, precision, scale, length), nullable == "Y", (name,) in keys)
        for name, type_, precision, scale, length, nullable in rows
    ]


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


def _query(connection: Any, sql: str, **arguments: str) -> list[Row]:
    token = watchdog.begin(connection.descriptor, time.monotonic() + LOOK_SECONDS)
    try:
        connection.call_timeout = 1000 * LOOK_SECONDS
        cursor = connection.cursor()
        cursor.prefetchrows = cursor.arraysize = FETCH
        cursor.execute(sql, arguments)
        return cursor.fetchall()  # type: ignore[no-any-return]
    except Exception as error:
        raise to_source_error(error, watchdog.end(token)) from None
    finally:
        watchdog.end(token)
