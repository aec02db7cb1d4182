"""What changed since a caller's last call: pages of rows in the order of a change marker, from a cursor on.

An operation's query becomes a part of a larger one, which finds the rows behind the cursor:

    SELECT t.* FROM (…) t WHERE (t.diubah > :m OR (t.diubah = :m AND t.id > :k)) ORDER BY t.diubah, t.id LIMIT …

The cursor holds the marker and the key of the last row of a page, as the source wrote them. Rows with equal markers are
in the order of their keys, so that none is missed or repeated where a page ends. A row that is changed gets a later
marker, and is given again. A marker that is a time is taken from the source's clock when a row is written, and the row
is seen when its transaction ends, perhaps after others with later markers: rows that are younger than some seconds are
not given yet. Rows without a marker or a key are never given.
"""

from __future__ import annotations

import hashlib
import logging
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from datetime import time as day_time
from decimal import Decimal
from typing import Any

import orjson

from adapters.base import Limits, SourceError
from adapters.streaming import widest_row
from dataservices import runner, sql
from dataservices.plan import ChangeMarker, Plan
from registry import faults, secrets
from registry.calls import Call
from registry.results import DELETED, Column, Fault, Result, Row, Rows

log = logging.getLogger("mantra.dataservices")

#: Characters of a cursor, and of the values in it.
MAX_CURSOR, MAX_VALUES = 4_000, 1_500

#: The callers' words for the beginning. Callers of the legacy wire cannot send an empty value.
BEGINNING = ("", "0")

_PURPOSE, _VERSION = "cursor", 1
#: Texts in a column for deletions that say that there is none.
_NOT_DELETED = frozenset(("", "0", "f", "false", "n", "no", "tidak"))


@dataclass(frozen=True, slots=True)
class Changes:
    """A page of changes. ``columns`` are those of the call; then DELETED if the operation names such a column.

    ``cursor`` is where the next page begins, also if this one has no rows. ``has_more``: there is one already.
    """

    columns: tuple[Column, ...]
    rows: list[Row]
    cursor: str
    has_more: bool


def run(call: Call) -> Result:
    """Run a data operation: the page of changes for a call with a cursor, else all of it. Raises Fault."""
    if call.since is None:
        return runner.run(call)
    changes = read_changes(call, call.since, call.per_page)
    rows = Rows(changes.columns, iter((changes.rows,) if changes.rows else ()))
    rows.count, rows.has_next, rows.cursor = len(changes.rows), changes.has_more, changes.cursor
    return rows


def read_changes(call: Call, cursor: str, limit: int) -> Changes:
    """Return at most ``limit`` rows that changed after ``cursor``; "" is the beginning. Raises Fault."""
    plan = call.operation.plan  # type: ignore[union-attr]
    assert isinstance(plan, Plan)
    assert plan.changes is not None
    call.origin = plan.origin
    return _Reading(call, plan, plan.changes).page(cursor, limit)


@dataclass(frozen=True, slots=True)
class _Named:
    """The columns that changes are found by, as the source names them, and the type of the marker."""

    column: str
    key: tuple[str, ...]
    deleted: str
    type: str | None

    def indexes(self, columns: tuple[tuple[str, str | None], ...]) -> dict[str, int]:
        """Return the places of the columns in a result by their names."""
        return {name: at for at, (name, _type) in reversed(list(enumerate(columns)))}


class _Reading:
    """One page of changes."""

    def __init__(self, call: Call, plan: Plan, changes: ChangeMarker) -> None:
        # The pages of changes are not those of :limit and :offset.
        self.call = replace(call, page=0, per_page=0)
        self.plan = plan
        self.changes = changes
        _text, values, limits = runner.statement_of(self.call, plan)
        self.limits = limits
        self._granted = {name: call.grant_values[name] for name in plan.template.grant_values}
        self.query = self._query([name for name, value in call.arguments.items() if value is not None])
        self.values = self.query.bound(0, values)
        self.text = self.query.text(plan.pool.adapter.paramstyle, 0)
        self.named = self._named()

    def page(self, cursor: str, limit: int) -> Changes:
        """Return the page behind a cursor. Raises Fault."""
        after = self._opened(cursor)
        values = dict(self.values)
        if after:
            values |= {f"c{at}": self._bindable(value, at) for at, value in enumerate(after)}
        limit = min(limit, self.changes.most)
        raw, columns = self._rows(self._statement(bool(after), limit + 1), values, limit + 1)
        page, has_more = raw[:limit], len(raw) > limit
        at = self.named.indexes(columns)
        if page:
            after = [page[-1][at[name]] for name in (self.named.column, *self.named.key)]
        shown, project = self.plan.shape(columns, self.call.rights, as_written=self.call.protocol == "legacy")
        rows = project(page) if project and page else page
        if self.named.deleted:
            deleted = at[self.named.deleted]
            rows = [(*row, _is_deletion(own[deleted])) for row, own in zip(rows, page, strict=True)]
            shown = (*shown, DELETED)
        return Changes(shown, rows, self._sealed(after), has_more)

    # ------------------------------------------------------------------------------- the statement

    def _query(self, given: list[str]) -> sql.Query:
        plan = self.plan
        dialect = plan.pool.adapter.dialect
        try:
            return sql.wrappable(plan.template, given, dialect, plan.routines)
        except sql.NotWrappable as error:
            log.error("operation %s cannot give changes: %s", self.call.operation.id, error.reason)  # type: ignore[union-attr]
            raise Fault(faults.DEFINITION_BROKEN, request_id=self.call.request_id) from None

    def _named(self) -> _Named:
        """Return the columns by their names in the source, which are looked up once. Raises Fault."""
        key = ("changes", self.text)
        named: _Named | None = self.plan.learned.get(key)
        if named is None:
            types = dict(self._described())
            by_lower = {name.lower(): name for name in reversed(types)}

            def real(name: str) -> str:
                found = name if name in types else by_lower.get(name.lower())
                if found is None:
                    raise Fault(faults.FIELD_MISSING, column=name)
                return found

            changes = self.changes
            marker = real(changes.column)
            deleted = real(changes.deleted) if changes.deleted else ""
            named = _Named(marker, tuple(map(real, changes.key)), deleted, types[marker])
            if len(self.plan.learned) > 256:
                self.plan.learned.clear()
            self.plan.learned[key] = named
        return named

    def _described(self) -> tuple[tuple[str, str | None], ...]:
        adapter, deadline = self.plan.pool.adapter, time.monotonic() + self.limits.seconds
        pooled, columns = runner.execute(
            self.call,
            self.plan,
            self.limits,
            deadline,
            lambda connection, left: adapter.describe(connection, self.text, self.values, left),
        )
        pooled.give_back()
        return columns

    def _statement(self, after: bool, rows: int) -> str:
        """Return the statement that finds the first rows, behind a cursor or from the beginning."""
        adapter, named = self.plan.pool.adapter, self.named
        columns = [f"t.{adapter.quoted(name)}" for name in (named.column, *named.key)]
        conditions = [f"{column} IS NOT NULL" for column in columns]
        if too_young := self._age(columns[0]):
            conditions.append(too_young)
        if after:
            marks = [self._marked(at) for at in range(len(columns))]
            # The first one says nothing more, but by it an index is read from there on, not from its beginning.
            conditions += [f"{columns[0]} >= {marks[0]}", _behind(columns, marks)]
        order = ", ".join(columns)
        where = " AND ".join(conditions)
        top, limit = _LIMITS[adapter.dialect]
        body = f"FROM (\n{self.text}\n) t WHERE {where} ORDER BY {order}"
        return (
            f"SELECT {top.format(rows)}t.* {body}{limit.format(rows)}"
            if adapter.dialect != "oracle"
            else (
                f"SELECT * FROM (SELECT t.* {body}) WHERE ROWNUM <= {rows}"  # noqa: S608
            )
        )

    def _age(self, marker: str) -> str:
        """Return the condition that a row is old enough, by the source's clock; "" for a marker that is no time."""
        engine, type = self.plan.pool.adapter.engine, self.named.type
        if engine == "sqlserver" and type == "bytes":
            # The server knows from which rowversion on transactions may still be open.
            return f"{marker} < MIN_ACTIVE_ROWVERSION()"
        if type not in ("datetime", "date"):
            return ""
        now = _CLOCKS[self.plan.pool.adapter.dialect].format(seconds=int(self.changes.lag_seconds))
        if type == "datetime":
            return f"{marker} <= {now}"
        return f"{marker} < {_DAYS[self.plan.pool.adapter.dialect].format(now=now)}"

    def _marked(self, at: int) -> str:
        """Return the placeholder of a value of the cursor."""
        style = self.plan.pool.adapter.paramstyle
        return f"%(c{at})s" if style == "pyformat" else f":c{at}"

    def _bindable(self, value: Any, at: int) -> Any:
        """Return a value of a cursor as the source compares it with its column exactly."""
        if at == 0 and isinstance(value, str):
            if self.named.type in ("integer", "decimal"):
                return Decimal(value)
            if self.named.type == "datetime":
                return _moment(value, self.plan.pool.adapter.dialect)
        return value

    def _rows(
        self, text: str, values: Mapping[str, Any], most: int
    ) -> tuple[list[Row], tuple[tuple[str, str | None], ...]]:
        """Return the rows of a statement, and its columns. Raises Fault."""
        plan, limits = self.plan, replace(self.limits, rows=most)
        adapter, deadline = plan.pool.adapter, time.monotonic() + limits.seconds
        pooled, stream = runner.execute(
            self.call, plan, limits, deadline, lambda connection, left: adapter.run(connection, text, values, left)
        )
        rows: list[Row] = []
        size = 0
        try:
            for batch in stream:
                rows += batch
                size += widest_row(batch, limits) * len(batch)
                if size > limits.width:
                    raise _too_wide(self.call, limits)
        except SourceError as error:
            raise runner.to_fault(self.call, error, limits) from None
        finally:
            runner.close(pooled, stream)
        return rows, stream.columns

    # ---------------------------------------------------------------------------------- the cursor

    def _opened(self, cursor: str) -> list[Any]:
        """Return the values in a cursor; none at the beginning. Raises Fault."""
        if cursor in BEGINNING:
            return []
        plain = secrets.unseal(cursor, _PURPOSE) if len(cursor) <= MAX_CURSOR else None
        try:
            version, bound, values = orjson.loads(plain or "[0, 0, 0]")
            opened = [_read(value) for value in values] if version == _VERSION and bound == self._bound() else None
        except (ValueError, TypeError, KeyError, ArithmeticError):
            opened = None
        if opened is None or len(opened) not in (0, 1 + len(self.changes.key)):
            raise _foreign()
        return opened

    def _sealed(self, values: list[Any]) -> str:
        """Return a cursor. It is encrypted: a grant may not show the columns of which it has values. Raises Fault."""
        content = orjson.dumps([_VERSION, self._bound(), [_written(value) for value in values]])
        if len(content) > MAX_VALUES:
            log.error("operation %s has a key that is too long for a cursor", self.call.operation.id)  # type: ignore[union-attr]
            raise Fault(faults.DEFINITION_BROKEN, request_id=self.call.request_id)
        return secrets.seal(content.decode(), _PURPOSE)

    def _bound(self) -> str:
        """Return what a cursor belongs to: the operation, its marker and key, and the values that select its rows.

        Other values of the grant select other rows, of which those before the cursor would be missed.
        """
        changes = self.changes
        arguments = sorted((name, repr(value)) for name, value in self.call.arguments.items())
        arguments += sorted((f"grant.{name}", value) for name, value in self._granted.items())
        parts = [self.call.operation.id, changes.column, list(changes.key), arguments]  # type: ignore[union-attr]
        return hashlib.blake2b(orjson.dumps(parts), digest_size=12).hexdigest()


#: By dialect: what is written before the columns, and at the end, for a number of rows.
_LIMITS = {
    **dict.fromkeys(("postgres", "mysql", "sqlite"), ("", " LIMIT {}")),
    "tsql": ("TOP {} ", ""),
    "oracle": ("", ""),
}
#: By dialect: the source's time, some seconds ago.
_CLOCKS = {
    "postgres": "LOCALTIMESTAMP - INTERVAL '{seconds} second'",
    "mysql": "NOW(6) - INTERVAL {seconds} SECOND",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now', '-{seconds} seconds')",
    "tsql": "DATEADD(second, -{seconds}, GETDATE())",
    "oracle": "SYSDATE - NUMTODSINTERVAL({seconds}, 'SECOND')",
}
#: By dialect: the day of such a time.
_DAYS = {
    **dict.fromkeys(("postgres", "mysql", "tsql"), "CAST({now} AS date)"),
    "sqlite": "date({now})",
    "oracle": "TRUNC({now})",
}


def _behind(columns: list[str], marks: list[str]) -> str:
    """Return the condition that columns are behind the marks, in their order: the first decides, then the next."""
    condition = f"{columns[-1]} > {marks[-1]}"
    for column, mark in zip(columns[-2::-1], marks[-2::-1], strict=True):
        condition = f"({column} > {mark} OR ({column} = {mark} AND {condition}))"
    return condition


def _moment(text: str, dialect: str) -> Any:
    """Return a time as the source's server reads it, whatever its settings for dates are."""
    if dialect == "tsql":
        return text[:10].replace("-", "") + " " + text[11:]
    if dialect == "oracle":
        return datetime.fromisoformat(text)
    return text


def _is_deletion(value: Any) -> bool:
    """Return True if a value in the column for deletions says that its row is deleted: set, and not "no"."""
    if isinstance(value, str):
        return value.strip().lower() not in _NOT_DELETED
    if isinstance(value, bytes):
        return any(value)
    return value is not None and (not isinstance(value, int | float | Decimal) or value != 0)


def _foreign() -> Fault:
    return Fault(
        faults.PARAMETER_INVALID,
        parameter="since",
        reason_id="bukan kursor operasi ini dengan parameter yang sama. Mulai dari awal dengan since kosong",
        reason_en="it is no cursor of this operation with the same parameters. Begin again with an empty since",
    )


def _too_wide(call: Call, limits: Limits) -> Fault:
    return Fault(faults.ANSWER_TOO_WIDE, request_id=call.request_id, mib=f"{limits.width / 2**20:.3g}")


def _written(value: Any) -> Any:
    """Return a value for a cursor: JSON's own types, others as [type, text]."""
    if isinstance(value, memoryview | bytearray | bytes):
        return ["b", b64encode(bytes(value)).decode()]
    if isinstance(value, datetime):
        return ["t", value.isoformat()]
    if isinstance(value, date | day_time):
        return ["d" if isinstance(value, date) else "c", value.isoformat()]
    if isinstance(value, int) and not isinstance(value, bool):
        return ["i", str(value)]
    if isinstance(value, Decimal):
        return ["n", str(value)]
    return value if isinstance(value, str | float | bool) else str(value)


_READERS: dict[str, Callable[[str], Any]] = {
    "b": b64decode, "t": datetime.fromisoformat, "d": date.fromisoformat, "c": day_time.fromisoformat, "i": int,
    "n": Decimal,
}  # fmt: skip


def _read(value: Any) -> Any:
    return _READERS[value[0]](value[1]) if isinstance(value, list) else value
