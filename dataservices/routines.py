"""The functions and procedures that were made in a source: the SQL check lets an operation call these."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from adapters import adapter_class
from adapters.base import SourceError
from registry.lookups import look_up

#: The most routines of one operation.
MAX_ROUTINES = 50


def own_routines(engine: str, settings: Mapping[str, Any], names: Collection[str]) -> frozenset[str]:
    """Return those of ``names`` ("name" or "schema.name") that were made in the source. Raises SourceError.

    The source is connected to as its operations are, within the adapter's time limits, unless its engine knows none.
    Raises LookupNeeded within registry.lookups.with_lookups().
    """
    if not names or not adapter_class(engine).has_own_routines:
        return frozenset()
    wanted = tuple(sorted(names)[:MAX_ROUTINES])
    source = json.dumps([engine, settings], sort_keys=True, default=str)
    return look_up(source, ("routines", *wanted), lambda: _look_up(engine, settings, wanted), SourceError)


def _look_up(engine: str, settings: Mapping[str, Any], names: tuple[str, ...]) -> frozenset[str]:
    adapter = adapter_class(engine)(settings)
    connection = adapter.connect()
    try:
        return adapter.own_routines(connection, names)
    finally:
        with suppress(Exception):  # an error when closing does not matter here
            connection.close()
