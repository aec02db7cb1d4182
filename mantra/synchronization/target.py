"""The table of a synchronisation: reading and writing it over its source's pool, as calls do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

from django.conf import settings
from django.utils import timezone

from adapters import missing_driver
from adapters.base import Adapter, ColumnInfo, ConnectFailed, Limits, QueryFailed, Row, SourceError
from dataservices import pool
from mantra.gateway import stops
from mantra.synchronization.models import Sync
from mantra.synchronization.problems import Problem
from mantra.synchronization.statements import Statement, Table
from mantra.synchronization.values import Convert, Unfit, converter

#: Seconds that a statement for a set of rows may take, and one that reads the keys of all rows or counts them.
SECONDS, SCAN_SECONDS = 60.0, 1_800.0
#: Rows of a table whose keys are read, at most.
MAX_TABLE_ROWS = 100_000_000
#: Reason of a source's error → the word of the problem. Others of a connection: target-away; of a statement:
#: target-error.
_REASONS = {
    "forbidden": "target-rights",
    "read-only": "target-rights",
    "file-forbidden": "target-rights",
    "object-unknown": "target-columns",
    "constraint": "target-constraint",
    "data": "target-value",
    "range": "target-value",
    "too-wide": "target-value",
    "timeout": "target-slow",
    "locked": "target-slow",
    "temporary-space": "target-error",
}

Outcome = TypeVar("Outcome")


def problem_of(error: SourceError) -> Problem:
    """Return what a source's error means for a run."""
    if isinstance(error, ConnectFailed):
        return Problem("target-rights" if error.reason in ("read-only", "file-forbidden") else "target-away")
    return Problem(_REASONS.get(error.reason, "target-error"))


class Target:
    """The table of a synchronisation, opened for one run. Its methods raise Problem."""

    def __init__(self, sync: Sync) -> None:
        source = sync.source
        if source.engine == "dbase" or source.holds_uploads:
            raise Problem("target-kind")
        if missing_driver(source.engine):
            raise Problem("target-away")
        #: What can be stopped here: the source, its agency, and all.
        self._stoppable = {("all", 0), ("source", source.pk), ("agency", source.agency_id)}
        self._pool = pool.source_pool(source.pk, source.engine, source.settings(), source.pool_size)
        self._adapter: Adapter = self._pool.adapter
        pairs = sync.pairs
        self.names = [pair.target for pair in pairs]
        self.keys = sum(pair.key for pair in pairs)
        self._flags = sync.deletions == Sync.Deletions.FLAG
        self.mark = sync.deleted_column if sync.deletions != Sync.Deletions.NONE else ""
        self._check_layout(sync)
        self._table = self._made(lambda: Table(
            self._adapter, sync.schema, sync.table, self.names, self.keys, self.mark
        ))  # fmt: skip
        self.set_size = self._table.set_size()

    def _made(self, make: Callable[[], Outcome]) -> Outcome:
        try:
            return make()
        except QueryFailed as error:  # a name that no column can have
            raise problem_of(error) from None

    # -------------------------------------------------------------------------------------- layout

    def _check_layout(self, sync: Sync) -> None:
        """Read the table's columns and keys, and set the converters. Raises Problem if they do not suit."""

        def look(connection: Any) -> tuple[list[ColumnInfo], list[Any]]:
            columns = self._adapter.columns(connection, sync.schema, sync.table)
            return columns, self._adapter.keys(connection, sync.schema, sync.table)

        columns, keys = self._on_connection(False, SECONDS, look)
        by_name = {column.name: column for column in columns}
        for name in (*self.names, *([self.mark] if self.mark else [])):
            if name not in by_name:
                raise Problem("target-columns", column=name)
        engine, zone = self._adapter.engine, self._adapter.zone
        self.converters: list[Convert] = [converter(by_name[name], engine, zone) for name in self.names]
        self._mark_column = by_name.get(self.mark)
        self._convert_mark = converter(by_name[self.mark], engine, zone) if self.mark else None
        unique = [frozenset(key.columns) for key in keys if key.kind in ("primary", "unique")]
        wanted = frozenset(self.names[: self.keys])
        if wanted not in unique:
            raise Problem("target-key")
        # ON DUPLICATE KEY does not say which key: another one would lead to another row.
        if engine == "mysql" and any(other != wanted and other <= set(self.names) for other in unique):
            raise Problem("target-other-key")

    def is_gone(self, mark: Any) -> bool:
        """Return True if the mark of a row of the table says that it is deleted."""
        if not self._flags:
            return mark is not None
        return mark is not None and str(mark).strip().lower() not in ("", "0", "false", "f", "n", "no", "tidak")

    def present_mark(self) -> Any:
        """Return the mark of a row that is not deleted."""
        return self._flag(False) if self._flags else None

    def gone_mark(self, now: datetime) -> Any:
        """Return the mark of a row that is deleted at a time. Raises Problem if the column cannot hold it."""
        if self._flags:
            return self._flag(True)
        assert self._convert_mark is not None
        # As the source's own sessions write their local time: a column without a zone says nothing of one.
        moment = now.astimezone(self._adapter.zone) if self._adapter.zone else timezone.localtime(now)
        try:
            return self._convert_mark(moment)
        except Unfit:
            raise Problem("target-value", column=self.mark) from None

    def _flag(self, value: bool) -> Any:
        assert self._convert_mark is not None
        if self._mark_column is not None and self._mark_column.kind in (None, "text"):
            return "1" if value else "0"
        try:
            return self._convert_mark(value)
        except Unfit:
            raise Problem("target-value", column=self.mark) from None

    # ------------------------------------------------------------------------------------- reading

    def count(self) -> int:
        """Return the number of rows."""
        rows = self._read(self._table.count(), 1, SCAN_SECONDS)
        return int(rows[0][0])

    def rows(self, keys: Sequence[Row]) -> list[Row]:
        """Return the rows with these keys, each with the mark at its end if there is one. Values are converted."""
        found = self._read(self._table.rows(keys), len(keys) + 1, SECONDS)
        return [self.converted(row) for row in found]

    def converted(self, row: Row) -> Row:
        """Return a row of the table with values that can be compared."""
        width = len(self.names)
        return (*(self._comparable(at, value) for at, value in enumerate(row[:width])), *row[width:])

    def _comparable(self, at: int, value: Any) -> Any:
        try:
            return self.converters[at](value)
        except Unfit:
            # What another program has put there is not equal to anything, and so is overwritten.
            return _Different

    def all_keys(self) -> Iterator[tuple[Row, bool]]:
        """Yield the key of each row of the table, and whether the row is marked as deleted."""
        statement = self._table.keys()
        pooled = self._checkout(False, SECONDS)
        try:
            limits = self._limits(MAX_TABLE_ROWS, SCAN_SECONDS)
            stream = self._adapter.run(pooled.connection, statement.text, statement.values, limits)
            try:
                for batch in stream:
                    for row in batch:
                        key = tuple(self._comparable(at, value) for at, value in enumerate(row[: self.keys]))
                        yield key, bool(self.mark) and self.is_gone(row[-1])
            finally:
                stream.close()
            if stream.reusable:
                pooled.give_back()
        except SourceError as error:
            raise problem_of(error) from None
        finally:
            pooled.drop()  # does nothing after give_back()

    def _read(self, statement: Statement, rows: int, seconds: float) -> list[Row]:
        def run(connection: Any) -> list[Row]:
            limits = self._limits(rows, seconds)
            stream = self._adapter.run(connection, statement.text, statement.values, limits)
            try:
                return [row for batch in stream for row in batch]
            finally:
                stream.close()

        return self._on_connection(False, seconds, run)

    # ------------------------------------------------------------------------------------- writing

    def check_rights(self) -> None:
        """Raise Problem if the account may not write to the table."""
        for statement in self._table.rehearsals():
            self._write(statement)

    def put(self, rows: Sequence[Row]) -> None:
        """Make these rows be in the table, each as it is here. A statement is a transaction."""
        for statement in self._table.puts(rows):
            self._write(statement)

    def mark_gone(self, keys: Sequence[Row], mark: Any) -> None:
        """Mark the rows with these keys as deleted."""
        self._write(self._table.mark(keys, mark))

    def _write(self, statement: Statement) -> None:
        def run(connection: Any) -> None:
            limits = self._limits(10, SECONDS, writes=True)
            self._adapter.run(connection, statement.text, statement.values, limits).close()

        self._on_connection(True, SECONDS, run)

    # ---------------------------------------------------------------------------------- connections

    def _limits(self, rows: int, seconds: float, writes: bool = False) -> Limits:
        seconds = min(seconds, self._adapter.max_seconds)
        return Limits(rows, seconds, writes, settings.ROW_BYTES, plain=not writes)

    def _checkout(self, writes: bool, seconds: float) -> pool.PooledConnection:
        if not self._stoppable.isdisjoint(stops.in_force()):
            raise Problem("stopped")
        try:
            return self._pool.checkout(writes, seconds)
        except (pool.Busy, pool.CircuitOpen):
            raise Problem("target-away") from None
        except SourceError as error:
            raise problem_of(error) from None

    def _on_connection(self, writes: bool, seconds: float, action: Callable[[Any], Outcome]) -> Outcome:
        """Perform an action on a pooled connection. One that was lost is tried once more: each action may be repeated.

        Raises Problem.
        """
        deadline = time.monotonic() + seconds
        for attempt in (1, 2):
            pooled = self._checkout(writes, deadline - time.monotonic())
            pooled.restores = False  # names are quoted and values bound: nothing changes the session
            try:
                outcome = action(pooled.connection)
                pooled.give_back()
            except QueryFailed as error:
                pooled.give_back()
                self._pool.record_outcome(error)
                raise problem_of(error) from None
            except SourceError as error:
                self._pool.record_outcome(error)
                if attempt == 2 or not isinstance(error, ConnectFailed):
                    raise problem_of(error) from None
            else:
                self._pool.record_outcome(None)
                return outcome
            finally:
                pooled.drop()  # does nothing after give_back()
        raise AssertionError


class _Different:
    """Equal to no value of a row."""
