"""The functions and procedures that were made in a source: the SQL check lets an operation call these."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, TypeVar

from adapters import adapter_class
from adapters.base import SourceError

#: The most routines of one operation.
MAX_ROUTINES = 50

Outcome = TypeVar("Outcome")
#: A source, and names that may be routines of it.
_Lookup = tuple[str, tuple[str, ...]]
#: What was found in the sources for the change that is being made; None outside of with_lookups().
_findings: ContextVar[dict[_Lookup, frozenset[str] | SourceError] | None] = ContextVar("findings", default=None)


class LookupNeeded(Exception):
    """A change depends on a source's catalogue, and must not wait for it: with_lookups() does, and repeats it."""

    def __init__(self, lookup: _Lookup, run: Callable[[], frozenset[str]]) -> None:
        super().__init__()
        self.lookup = lookup
        self.run = run


def own_routines(engine: str, settings: Mapping[str, Any], names: Collection[str]) -> frozenset[str]:
    """Return those of ``names`` ("name" or "schema.name") that were made in the source. Raises SourceError.

    The source is connected to as its operations are, within the adapter's time limits, unless its engine knows none.
    Raises LookupNeeded within with_lookups().
    """
    if not names or not adapter_class(engine).has_own_routines:
        return frozenset()
    wanted = tuple(sorted(names)[:MAX_ROUTINES])
    findings = _findings.get()
    if findings is None:
        return _look_up(engine, settings, wanted)
    source = json.dumps([engine, settings], sort_keys=True, default=str)
    found = findings.get((source, wanted), findings.get((source, ())))
    if found is None:
        raise LookupNeeded((source, wanted), lambda: _look_up(engine, settings, wanted))
    if isinstance(found, SourceError):
        raise found
    return found


def with_lookups(change: Callable[[], Outcome]) -> Outcome:
    """Make a change of the registry, and repeat it with what was found in its sources meanwhile.

    A change is a transaction for whose end all other changes wait, revocations too: within it no source is waited for.
    """
    findings: dict[_Lookup, frozenset[str] | SourceError] = {}
    token = _findings.set(findings)
    try:
        while True:
            try:
                return change()
            except LookupNeeded as needed:
                source, wanted = needed.lookup
                try:
                    findings[source, wanted] = needed.run()
                except SourceError as error:
                    findings[source, ()] = error  # the source is not tried again in this change
    finally:
        _findings.reset(token)


def _look_up(engine: str, settings: Mapping[str, Any], names: tuple[str, ...]) -> frozenset[str]:
    adapter = adapter_class(engine)(settings)
    connection = adapter.connect()
    try:
        return adapter.own_routines(connection, names)
    finally:
        with suppress(Exception):  # an error when closing does not matter here
            connection.close()
