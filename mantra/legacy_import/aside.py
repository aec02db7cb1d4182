"""A dry run works aside of the registry, so that no change of the registry waits for its end.

Its changes are one transaction, which is undone. SQLite lets one transaction write at a time: there a dry run has a
copy of the registry, in a temporary file without a name. Elsewhere it has a connection of its own, and only who changes
a row that the dry run changes too waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from typing import Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections

#: What calls, people and the bus's own work fill without a bound by the registry. No rule of a definition reads it.
_FILLED = (
    "admin.LogEntry", "axes.AccessAttempt", "axes.AccessFailureLog", "axes.AccessLog", "jobs.Job",
    "legacy_import.ImportedRow", "legacy_import.OldCallsOfDay", "reconciliation.ReconciliationRun",
    "reconciliation.Side", "registry.CallDay", "registry.CallGroup", "registry.CallHour", "registry.CallLease",
    "registry.CallMonth", "registry.CallRecord", "registry.CallSubject", "registry.CallerHour",
    "registry.ChangeRecord", "registry.ExportJob", "registry.GuardFinding", "registry.HarvestAlarm",
    "registry.JournalSegment", "registry.Notification", "registry.OutboxMessage", "registry.RegistryChange",
    "registry.SubjectDay", "registry.SubjectsOfJob", "sessions.Session", "synchronization.SyncRun",
    "usersessions.UserSession",
)  # fmt: skip
#: The name of the registry's file while it is copied, and SQLite's name for a temporary file.
_REGISTRY, _TEMPORARY = "registry", "file:"


@contextmanager
def aside() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Let this thread work aside of the registry, and give what returns a block in which it works on the registry.

    Within a transaction it works in that one: nobody else sees what it has changed.
    """
    registry = connections[DEFAULT_DB_ALIAS]
    if registry.in_atomic_block:
        yield nullcontext
        return
    other = registry.copy()
    if registry.vendor == "sqlite":
        other.settings_dict["NAME"] = _TEMPORARY
        # Nothing of it is to last.
        other.settings_dict.setdefault("OPTIONS", {})["init_command"] = "PRAGMA synchronous=OFF"
    with closing(other):
        if registry.vendor == "sqlite":
            _copy(str(registry.settings_dict["NAME"]), other)
        with _working_on(other):
            yield lambda: _working_on(registry)


@contextmanager
def _working_on(connection: Any) -> Iterator[None]:
    before = connections[DEFAULT_DB_ALIAS]
    connections[DEFAULT_DB_ALIAS] = connection
    try:
        yield
    finally:
        connections[DEFAULT_DB_ALIAS] = before


def _left_out() -> set[str]:
    """Return the tables whose rows are not copied."""
    return {apps.get_model(label)._meta.db_table for label in _FILLED}


def _copy(place: str, connection: Any) -> None:
    """Copy a SQLite database, as it is at one moment, without the rows of what is _FILLED."""
    empty = _left_out()
    connection.ensure_connection()
    into = connection.connection
    into.execute("PRAGMA foreign_keys=OFF")
    into.execute(f"ATTACH DATABASE ? AS {_REGISTRY}", (place,))
    into.execute("BEGIN")
    made = into.execute(
        f"SELECT type, name, sql FROM {_REGISTRY}.sqlite_master WHERE sql IS NOT NULL "  # noqa: S608
        "AND substr(name, 1, 7) <> 'sqlite_' ORDER BY type <> 'table'"
    ).fetchall()
    for kind, name, text in made:
        into.execute(text)
        if kind == "table" and name not in empty:
            table = connection.ops.quote_name(name)
            into.execute(f"INSERT INTO main.{table} SELECT * FROM {_REGISTRY}.{table}")  # noqa: S608
    # Rows get the ids that they would get there.
    into.execute("DELETE FROM main.sqlite_sequence")
    into.execute(f"INSERT INTO main.sqlite_sequence SELECT * FROM {_REGISTRY}.sqlite_sequence")  # noqa: S608
    into.execute("COMMIT")
    into.execute(f"DETACH DATABASE {_REGISTRY}")
    into.execute("PRAGMA foreign_keys=ON")
