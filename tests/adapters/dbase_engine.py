"""A statement over dBase files, as the tests run it."""

from __future__ import annotations

from typing import Any

from adapters.base import Limits, Row
from adapters.dbase import DBase
from tests.adapters.engines import everything

LIMITS = Limits(rows=10_000, seconds=20)


def run(source: dict[str, Any], sql: str, limits: Limits = LIMITS, **values: Any) -> list[Row]:
    """The rows of a statement, on a connection of its own."""
    adapter = DBase(source)
    connection = adapter.connect()
    try:
        return everything(adapter.run(connection, sql, values, limits))
    finally:
        connection.close()
