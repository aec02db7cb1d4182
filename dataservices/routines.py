"""The functions and procedures that were made in a source: the SQL check lets an operation call these."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from adapters import adapter_class

#: The most routines of one operation.
MAX_ROUTINES = 50


def own_routines(engine: str, settings: Mapping[str, Any], names: Collection[str]) -> frozenset[str]:
    """Return those of ``names`` ("name" or "schema.name") that were made in the source. Raises SourceError.

    The source is connected to as its operations are, within the adapter's time limits, unless its engine knows none.
    """
    cls = adapter_class(engine)
    if not names or not cls.has_own_routines:
        return frozenset()
    adapter = cls(settings)
    connection = adapter.connect()
    try:
        return adapter.own_routines(connection, sorted(names)[:MAX_ROUTINES])
    finally:
        with suppress(Exception):  # an error when closing does not matter here
            connection.close()
