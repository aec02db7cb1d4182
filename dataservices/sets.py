"""Running a data operation for many sets of arguments with few statements: a statement for some hundred look-ups.

The queries become parts of one statement, each with its number before its first column:

    SELECT 0 AS mantra_n, t.* FROM (…) t UNION ALL SELECT 1 AS mantra_n, t.* FROM (…) t …

That holds for any query, and each part has the plan that the query has by itself. Two things it does not keep. The
order of the rows: where the query has an ORDER BY, the calls that have more than one row are run by themselves. And on
some engines the names and types of columns: the first call of a kind is run by itself, and the statement must have the
same columns. What cannot stand in parentheses is run one by one. A statement that fails is halved, until the fault
belongs to the call that causes it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from adapters.base import Limits, SourceError
from adapters.streaming import widest_row
from dataservices import runner, sql
from dataservices.plan import Plan
from registry import faults
from registry.calls import Call
from registry.results import Column, Fault, Row

#: The most sets of arguments that one statement takes on any engine.
SET_SIZE = 128

#: The same by engine. dBase's statements are parsed for its copies; the others have limits of their own: SQL Server
#: 2,100 parameters, older ones 256 tables, Sybase 50 tables in a statement.
_SIZES = {"dbase": 32, "oracle": 64, "sqlserver": 64, "sybase": 16}
_MOST_PARAMETERS = {"sqlserver": 2_000}

#: Characters that a statement has at most by its texts, and by its values.
_STATEMENT_LENGTH, _VALUES_LENGTH = 400_000, 400_000

#: Rows and seconds after which a result ends: the rest is requested again.
MOST_ROWS, MOST_SECONDS = 100_000, 30.0

#: Seconds after which what was refused, or was too slow, is tried again.
FORGET_SECONDS = 600.0

#: Kinds of arguments about which something is remembered for an operation.
_MOST_STATES = 256

#: The source cannot be called: that is the fault of no arguments.
_UNCALLED = frozenset(kind.code for kind in (faults.SOURCE_BUSY, faults.SOURCE_CIRCUIT_OPEN, faults.SOURCE_UNREACHABLE))
#: Smaller statements cannot be run either.
_CLOSED = frozenset(kind.code for kind in (faults.SOURCE_BUSY, faults.SOURCE_CIRCUIT_OPEN))

#: Why calls were run one by one.
REASONS = ("writes", "statement", "with", "names", "checked", "columns", "refused", "order")

_AFFECTED = (("affected", "integer"),)

Columns = tuple[tuple[str, str | None], ...]
Arguments = Mapping[str, Any]


@dataclass(slots=True)
class SetResult:
    """The rows of calls of one operation, by the index of their arguments.

    ``rows`` answers the first of the arguments, at least one: as many as the bounds on rows, bytes and seconds allow,
    and as have the same columns. A Fault is that of its own arguments only. ``truncated``: the indexes whose rows were
    cut at the row limit, or at the size of a page. ``as_of`` is the oldest epoch second at which a copy of the source
    was current. ``one_by_one`` is "" if sets were run with one statement, else one of REASONS.
    """

    columns: tuple[Column, ...]
    rows: list[list[Row] | Fault]
    truncated: frozenset[int]
    as_of: float | None
    one_by_one: str


def set_size(plan: Plan) -> int:
    """Return the most sets of arguments that one statement of an operation takes: a power of two, 1 for a write."""
    if plan.limits.writes:
        return 1
    engine = plan.pool.adapter.engine
    most = min(_SIZES.get(engine, SET_SIZE), _STATEMENT_LENGTH // (len(plan.template.sql) + 50))
    if engine in _MOST_PARAMETERS and plan.template.occurrences:
        most = min(most, _MOST_PARAMETERS[engine] // len(plan.template.occurrences))
    return _power_of_two(max(most, 1))


def _power_of_two(most: int) -> int:
    """Return the largest power of two up to ``most``. Sets of few sizes are few statements to prepare and remember."""
    return 1 << (most.bit_length() - 1)


def run_set(call: Call, arguments: Sequence[Arguments]) -> SetResult:
    """Run a data operation for each of some sets of validated arguments; ``call.arguments`` is not used.

    Raises Fault if the source cannot be called for even the first of them: all may be run again.
    """
    plan = call.operation.plan  # type: ignore[union-attr]
    assert isinstance(plan, Plan)
    call.origin = plan.origin
    return _Work(call, plan, arguments).result()


def run_sets(call: Call, arguments: Sequence[Arguments]) -> Iterator[SetResult]:
    """Yield the results of all arguments, in order. Raises Fault as run_set() does."""
    done = 0
    while done < len(arguments):
        result = run_set(call, arguments[done:] if done else arguments)
        yield result
        done += len(result.rows)


@dataclass(slots=True)
class _State:
    """What is known about running calls of one kind at once: with the same blocks and the same types of values."""

    query: sql.Query | None
    #: The most calls that one statement takes.
    size: int
    #: Why they are run one by one; "" if they are not.
    reason: str = ""
    #: The columns of one call, once known, and whether a statement for several had the same.
    columns: Columns | None = None
    proven: bool = False
    #: Until when (monotonic) ``size`` or ``reason`` hold; infinite for what no time changes.
    until: float = float("inf")

    def shrink(self, size: int, reason: str) -> None:
        """Run no more than ``size`` calls at once for some time; for 1 the ``reason`` is given."""
        if size < self.size:
            self.size, self.until = size, time.monotonic() + FORGET_SECONDS
            self.reason = reason if size < 2 else ""


@dataclass(slots=True)
class _Fetched:
    """The result of a statement. ``over``: it has more rows or bytes than its limits allow."""

    columns: Columns
    rows: list[Row]
    size: int
    over: bool


class _Uncalled(Exception):
    """The source cannot be called now."""

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self.fault = fault


class _Enough(Exception):
    """The bounds of a result are reached."""


@dataclass(slots=True)
class _Work:
    """One run of a set."""

    call: Call
    plan: Plan
    arguments: Sequence[Arguments]
    answers: dict[int, list[Row] | Fault] = field(default_factory=dict)
    #: The columns of each index that has rows.
    columns: dict[int, tuple[Column, ...]] = field(default_factory=dict)
    truncated: set[int] = field(default_factory=set)
    as_of: float | None = None
    reason: str = ""
    #: Rows and bytes of the answers so far, and when the work began (monotonic).
    count: int = 0
    size: int = 0
    began: float = field(default_factory=time.monotonic)

    def result(self) -> SetResult:
        """Do the work, and return the answers of the first arguments. Raises Fault."""
        self._begin()
        uncalled: Fault | None = None
        try:
            for start in range(0, len(self.arguments), SET_SIZE):
                self._answer(range(start, min(start + SET_SIZE, len(self.arguments))))
        except _Enough:
            pass
        except _Uncalled as error:
            uncalled = error.fault
        rows: list[list[Row] | Fault] = []
        columns: tuple[Column, ...] = ()
        for index in range(len(self.arguments)):
            if index not in self.answers or not _alike(columns, own := self.columns.get(index, ())):
                break
            columns = _common(columns, own)
            rows.append(self.answers[index])
        if uncalled is not None and not rows:
            raise uncalled
        cut = frozenset(index for index in self.truncated if index < len(rows))
        return SetResult(columns, rows, cut, self.as_of, self.reason)

    def _begin(self) -> None:
        """Replace the call by one of its own, whose arguments change: faults tell of them."""
        size = (self.call.per_page or self.plan.page_size) if self.plan.page_size else 0
        self.call = replace(self.call, page=min(size, 1), per_page=size)

    def _answer(self, indexes: range) -> None:
        """Answer these arguments: those of the same kind together."""
        kinds: dict[Any, list[int]] = {}
        statements: dict[int, tuple[dict[str, Any], Limits]] = {}
        for index in indexes:
            self.call.arguments = dict(self.arguments[index])
            try:
                _text, values, limits = runner.statement_of(self.call, self.plan)
            except Fault as fault:
                self.answers[index] = fault.without_traceback()
                continue
            statements[index] = values, limits
            kinds.setdefault(_kind(self.plan, values), []).append(index)
        for kind, members in kinds.items():
            _Kind(self, self._state(kind, statements[members[0]][0]), statements).answer(members)

    def _state(self, kind: Any, values: Mapping[str, Any]) -> _State:
        states = self.plan.learned
        state: _State | None = states.get(kind)
        if state is None or time.monotonic() > state.until:
            if len(states) >= _MOST_STATES:
                states.clear()
            state = states[kind] = self._new_state([name for name, value in values.items() if value is not None])
        self.reason = self.reason or state.reason
        return state

    def _new_state(self, given: list[str]) -> _State:
        plan = self.plan
        if plan.limits.writes:
            return _State(None, 1, "writes")
        dialect = plan.pool.adapter.dialect
        try:
            # MySQL names a column without a name by its text, in which the values are.
            query = sql.wrappable(plan.template, given, dialect, plan.routines, named=dialect == "mysql")
        except sql.NotWrappable as error:
            return _State(None, 1, error.reason)
        size = set_size(plan)
        return _State(query, size, "" if size > 1 else "refused")

    def fetch(self, text: str, values: Mapping[str, Any], limits: Limits) -> _Fetched:
        """Return the rows of a statement. Raises Fault."""
        call, plan = self.call, self.plan
        adapter, deadline = plan.pool.adapter, time.monotonic() + limits.seconds
        pooled, stream = runner.execute(
            call, plan, limits, deadline, lambda connection, left: adapter.run(connection, text, values, left)
        )
        rows: list[Row] = []
        size, over = 0, False
        try:
            for batch in stream:
                rows += batch
                size += widest_row(batch, limits) * len(batch)
                if over := size > limits.width or len(rows) > limits.rows:
                    break
        except SourceError as error:
            raise runner.to_fault(call, error, limits) from None
        finally:
            runner.close(pooled, stream)
        if stream.as_of is not None:
            self.as_of = min(stream.as_of, self.as_of or stream.as_of)
        if not stream.columns:
            return _Fetched(_AFFECTED, [(stream.affected,)], 0, False)
        return _Fetched(stream.columns, rows, size, over)

    def put(self, index: int, columns: Columns, rows: list[Row], most: int) -> None:
        """Store the rows of a call, up to ``most``. Raises Fault if a declared column is missing."""
        call = self.call
        if columns is _AFFECTED:
            self.columns[index] = (Column(*_AFFECTED[0]),)
        else:
            self.columns[index], project = self.plan.shape(columns, call.rights, as_written=call.protocol == "legacy")
            if len(rows) > most:
                rows = rows[:most]
                self.truncated.add(index)
            if project and rows:
                rows = project(rows)
        self.answers[index] = rows

    def check_bounds(self, fetched: _Fetched) -> None:
        """Count what was fetched. Raises _Enough when a result should end."""
        self.count += len(fetched.rows)
        self.size += fetched.size
        late = time.monotonic() - self.began > MOST_SECONDS
        if late or self.count > MOST_ROWS or self.size > self.plan.limits.width:
            raise _Enough


@dataclass(slots=True)
class _Kind:
    """The calls of one kind in a set. ``statements`` has the values and limits of each."""

    work: _Work
    state: _State
    statements: Mapping[int, tuple[dict[str, Any], Limits]]

    def answer(self, indexes: Sequence[int]) -> None:
        """Answer these calls, in order."""
        state, done = self.state, 0
        while done < len(indexes):
            size = 1
            if state.columns is not None and not state.reason:
                # Until a small statement has shown that it works, a large one would fail in many steps.
                size = self._fitting(indexes[done:], state.size if state.proven else 2)
            self._run(indexes[done : done + size])
            done += size

    def _fitting(self, indexes: Sequence[int], most: int) -> int:
        """Return how many of the calls one statement may take: a power of two."""
        length = count = 0
        for index in indexes[:most]:
            length += sum(len(value) for value in self.statements[index][0].values() if isinstance(value, str | bytes))
            if count and length > _VALUES_LENGTH:
                break
            count += 1
        return _power_of_two(count)

    def _run(self, indexes: Sequence[int]) -> None:
        """Answer calls with one statement, or with several where that has been found to be too much."""
        if self.state.reason or len(indexes) == 1:
            for index in indexes:
                self._run_one(index)
        elif len(indexes) > self.state.size:
            for start in range(0, len(indexes), self.state.size):
                self._run(indexes[start : start + self.state.size])
        else:
            self._run_together(indexes)

    def _run_one(self, index: int) -> None:
        """Answer one call by itself."""
        work = self.work
        values, limits = self.statements[index]
        work.call.arguments = dict(work.arguments[index])
        text, values, limits = runner.statement_of(work.call, work.plan)
        limits = replace(limits, rows=min(limits.rows, MOST_ROWS))
        work.truncated.discard(index)
        try:
            fetched = work.fetch(text, values, limits)
            if fetched.over and fetched.size > limits.width:
                raise Fault(faults.ANSWER_TOO_WIDE, request_id=work.call.request_id, mib=f"{limits.width / 2**20:.3g}")
            work.put(index, fetched.columns, fetched.rows, limits.rows)
        except Fault as fault:
            if fault.code in _UNCALLED:
                raise _Uncalled(fault.without_traceback()) from None
            work.answers[index] = fault.without_traceback()
            work.columns.pop(index, None)
            return
        if self.state.columns is None:
            self.state.columns = fetched.columns
        work.check_bounds(fetched)

    def _run_together(self, indexes: Sequence[int]) -> None:
        """Answer some calls with one statement, or with smaller ones if that fails."""
        work, state, query = self.work, self.state, self.state.query
        assert query is not None
        values: dict[str, Any] = {}
        for number, index in enumerate(indexes):
            values |= query.bound(number, self.statements[index][0])
        limits = self.statements[indexes[0]][1]
        most = min(limits.rows, MOST_ROWS)
        limits = replace(limits, rows=min(len(indexes) * most, MOST_ROWS))
        work.call.arguments = {}  # a fault of the statement is nobody's
        try:
            fetched = work.fetch(query.union(len(indexes), work.plan.pool.adapter.paramstyle), values, limits)
        except Fault as fault:
            if fault.code in _CLOSED:
                raise _Uncalled(fault.without_traceback()) from None
            self._halve(indexes)
            return
        if fetched.over:
            self._halve(indexes)
            return
        if not _same(fetched.columns[1:], state.columns):
            # Of this query always, or a table was changed since: later it is tried again.
            state.shrink(1, "columns")
            work.reason = work.reason or state.reason
            self._run(indexes)
            return
        state.proven = True
        self._distribute(indexes, fetched, most)
        work.check_bounds(fetched)

    def _distribute(self, indexes: Sequence[int], fetched: _Fetched, most: int) -> None:
        """Give each call its rows. Those whose order counts are run again, one by one."""
        work, state = self.work, self.state
        by_number: list[list[Row]] = [[] for _ in indexes]
        for row in fetched.rows:
            by_number[int(row[0])].append(row[1:])
        again = []
        for index, rows in zip(indexes, by_number, strict=True):
            if len(rows) > 1 and state.query is not None and state.query.ordered:
                again.append(index)
                continue
            try:
                work.put(index, state.columns or (), rows, most)
            except Fault as fault:
                work.answers[index] = fault.without_traceback()
        if len(again) > 1 and 2 * len(again) > len(indexes):
            state.shrink(1, "order")
            work.reason = work.reason or state.reason
        for index in again:
            self._run_one(index)

    def _halve(self, indexes: Sequence[int]) -> None:
        """Answer calls of which a statement failed, in two halves."""
        work, middle = self.work, len(indexes) // 2
        for half in (indexes[:middle], indexes[middle:]):
            self._run(half)
        if not any(isinstance(work.answers.get(index), Fault) for index in indexes):
            # No call was to blame: so many at once are too much, or cannot be together at all.
            self.state.shrink(middle, "refused")
            work.reason = work.reason or self.state.reason


def _kind(plan: Plan, values: Mapping[str, Any]) -> Any:
    """Return what must be equal for calls in one statement: the values that are given, and their types.

    A database may derive a column's type from a value's: several together would be given the widest.
    """
    return tuple([(name, _type(values.get(name))) for name in plan.template.placeholders])


def _type(value: Any) -> Any:
    if isinstance(value, Decimal):
        return value.as_tuple().exponent, len(value.as_tuple().digits)
    return value.__class__


def _same(columns: Columns, single: Columns | None) -> bool:
    """Return True if columns are those of a single call. SQLite writes a name as its table does there, and as the
    query does here: the single call's count."""
    return single is not None and [(name.lower(), type) for name, type in columns] == [
        (name.lower(), type) for name, type in single
    ]


def _alike(columns: tuple[Column, ...], others: tuple[Column, ...]) -> bool:
    """Return True if columns have the same names, or there are none of one."""
    if not columns or not others:
        return True
    return columns is others or [column.name for column in columns] == [column.name for column in others]


def _common(columns: tuple[Column, ...], others: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return columns whose types hold for both."""
    if not columns or not others or columns is others:
        return columns or others
    pairs = zip(columns, others, strict=True)
    return tuple([one if one == other else Column(one.name) for one, other in pairs])
