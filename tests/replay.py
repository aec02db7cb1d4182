"""Rows that many tests begin with: models write them once in a process, then the same statements do, far faster."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from django.db import connection

Made = TypeVar("Made")
Statement = tuple[str, Any]

#: What is to be made, and in which state of the database → the statements that make it, and what is returned.
_known: dict[Hashable, tuple[list[Statement], bytes]] = {}


def replayed(what: Hashable, make: Callable[[], Made]) -> Made:
    """Return what ``make`` returns, with its rows in the database.

    In a transaction of a test, what ``make`` did before is repeated: the keys and times of its rows are those of then.
    """
    if not connection.in_atomic_block:  # a live server hears of these rows by what models do on commit
        return make()
    found = _known.get(key := (what, _state()))
    if found is None:
        return _recorded(key, make)
    statements, made = found
    with connection.cursor() as cursor:
        for sql, values in statements:
            cursor.execute(sql, values)
    return pickle.loads(made)  # type: ignore[no-any-return]


def _state() -> Hashable:
    """Return what new rows depend on: the keys that were given out, and the version of the registry."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, seq FROM sqlite_sequence UNION ALL SELECT '', version FROM registry_snapshotversion"
        )
        return frozenset(cursor.fetchall())


def _recorded(key: Hashable, make: Callable[[], Made]) -> Made:
    statements: list[Statement] = []

    def record(execute: Callable[..., Any], sql: str, values: Any, many: bool, context: dict[str, Any]) -> Any:
        if sql.startswith(("INSERT", "UPDATE", "DELETE")):
            assert not many, sql
            statements.append((sql, values))
        return execute(sql, values, many, context)

    with connection.execute_wrapper(record):
        made = make()
    _known[key] = statements, pickle.dumps(made)
    return made
