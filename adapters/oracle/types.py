"""Values and columns: what is bound, what is fetched, and what each type is to the bus."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from decimal import Decimal
from functools import cache
from typing import Any

from adapters.base import QueryFailed, local_time
from adapters.floats import single
from adapters.oracle.driver import oracledb_driver

Columns = tuple[tuple[str, str | None], ...]


def bindable(value: Any, zone: tzinfo | None) -> Any:
    """Return the value as a type Oracle has: SQL had no booleans before 23ai, and its numbers have no NaN.

    A datetime with an offset becomes the local time of ``zone``, the session's. Stored in a DATE, a value with a zone
    would lose it without a conversion; compared with one, it would keep the server from using an index.
    """
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, Decimal) and not value.is_finite():
        raise ValueError("Oracle cannot represent this number")
    return local_time(value, zone) if isinstance(value, datetime) else value


def timestamp_type(value: datetime) -> Any:
    """Return DATE where that holds the value: for a TIMESTAMP Oracle would convert the column and use no index."""
    oracledb = oracledb_driver()
    return oracledb.DB_TYPE_TIMESTAMP if value.microsecond else oracledb.DB_TYPE_DATE


def out_value(value: Any) -> Any:
    """Return an OUT parameter's value in the form it would have in a row."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return str(value)
    return value.read() if hasattr(value, "read") else value


def loses_precision(column: Any) -> bool:
    """Return True if the driver would lose a part of a timestamp: its zone, or digits beyond microseconds."""
    if _kinds().get(column.type_code) != "datetime":
        return False
    oracledb = oracledb_driver()
    if column.type_code is oracledb.DB_TYPE_TIMESTAMP:
        return (column.scale or 0) > 6
    return column.type_code is not oracledb.DB_TYPE_DATE


def with_exact_timestamps(text: str, description: Sequence[Any]) -> str:
    """Return the query with such timestamps as text from the server. Its columns are renamed: names may repeat."""
    names = [f"c{number}" for number in range(1, len(description) + 1)]
    chosen = ", ".join(
        f'{_as_exact_text(name, column)} AS "{column.name}"' for name, column in zip(names, description, strict=True)
    )
    return f"WITH mantra ({', '.join(names)}) AS (\n{text}\n) SELECT {chosen} FROM mantra"  # noqa: S608 (the definition's own text)


def _as_exact_text(name: str, column: Any) -> str:
    if not loses_precision(column):
        return name
    zone = "" if column.type_code is oracledb_driver().DB_TYPE_TIMESTAMP else "TZH:TZM"
    fraction = f".FF{column.scale}" if column.scale else ""
    return f"TO_CHAR({name}, 'YYYY-MM-DD HH24:MI:SS{fraction}{zone}')"


def columns_of(described: Sequence[Any]) -> Columns:
    kinds = _kinds()
    return tuple([(column.name, _kind(column, kinds)) for column in described])


def _kind(column: Any, kinds: Mapping[Any, str]) -> str:
    kind = kinds.get(column.type_code)
    if kind == "decimal":
        return "integer" if _holds_integers(column) else "decimal"
    if kind is None:
        # BFILE, objects, cursors in columns: none has a text form.
        raise QueryFailed("data")
    return "json" if column.is_json else kind


def _holds_integers(column: Any) -> bool:
    """Return True if a NUMBER column holds whole numbers only. A scale of -127 means that none was declared."""
    return bool(column.precision) and column.scale is not None and -127 < column.scale <= 0


@cache
def _kinds() -> dict[Any, str]:
    oracledb = oracledb_driver()
    words = {
        "text": "CHAR NCHAR VARCHAR NVARCHAR LONG LONG_NVARCHAR CLOB NCLOB ROWID UROWID XMLTYPE VECTOR",
        "decimal": "NUMBER",
        "integer": "BINARY_INTEGER",
        "float": "BINARY_DOUBLE BINARY_FLOAT",
        "datetime": "DATE TIMESTAMP TIMESTAMP_TZ TIMESTAMP_LTZ",
        "interval": "INTERVAL_DS INTERVAL_YM",
        "bytes": "RAW LONG_RAW BLOB",
        "boolean": "BOOLEAN",
        "json": "JSON",
    }
    return {getattr(oracledb, f"DB_TYPE_{name}"): kind for kind, names in words.items() for name in names.split()}


@cache
def output_type_handler() -> Any:
    """Return the driver's hook that chooses the type to fetch a column as: always one that holds it exactly."""
    oracledb = oracledb_driver()
    text, long_ = oracledb.DB_TYPE_VARCHAR, oracledb.DB_TYPE_LONG
    # A DATE has whole seconds, which Python's own type holds; formatting each takes longer than fetching it.
    others: dict[Any, tuple[Any, Any]] = {
        oracledb.DB_TYPE_TIMESTAMP: (text, None),
        oracledb.DB_TYPE_TIMESTAMP_TZ: (text, None),
        oracledb.DB_TYPE_TIMESTAMP_LTZ: (text, None),
        oracledb.DB_TYPE_CLOB: (long_, None),
        oracledb.DB_TYPE_NCLOB: (oracledb.DB_TYPE_LONG_NVARCHAR, None),
        oracledb.DB_TYPE_BLOB: (oracledb.DB_TYPE_LONG_RAW, None),
        oracledb.DB_TYPE_JSON: (text, None),
        oracledb.DB_TYPE_VECTOR: (long_, None),
        oracledb.DB_TYPE_BINARY_FLOAT: (oracledb.DB_TYPE_BINARY_FLOAT, single),
        oracledb.DB_TYPE_INTERVAL_YM: (oracledb.DB_TYPE_INTERVAL_YM, _years_months),
    }

    def fetched_as(cursor: Any, column: Any) -> Any:
        if column.type_code is oracledb.DB_TYPE_NUMBER:
            # For a scale below zero the driver would return floats.
            whole = _holds_integers(column) and not column.scale
            return None if whole else cursor.var(text, arraysize=cursor.arraysize)
        if column.is_json and column.type_code is oracledb.DB_TYPE_BLOB:
            return cursor.var(oracledb.DB_TYPE_LONG_RAW, arraysize=cursor.arraysize, outconverter=bytes.decode)
        if column.is_json and column.type_code not in others:
            # Otherwise the driver would parse it, and its numbers would become floats.
            return cursor.var(column.type_code, column.internal_size or 0, cursor.arraysize)
        type_, converter = others.get(column.type_code, (None, None))
        return None if type_ is None else cursor.var(type_, arraysize=cursor.arraysize, outconverter=converter)

    # The driver reads it at each execution, and computing it costs a third of a look-up.
    fetched_as.__signature__ = inspect.signature(fetched_as)  # type: ignore[attr-defined]
    return fetched_as


def _years_months(value: Any) -> str:
    sign = "-" if value.years < 0 or value.months < 0 else ""
    return f"{sign}P{abs(value.years)}Y{abs(value.months)}M"
