"""What a data call does: the author's SQL on the author's source, as a stream of rows."""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from datetime import time as day_time
from decimal import Decimal
from operator import itemgetter
from typing import Any, TypeVar

from django.conf import settings

from adapters.base import ConnectFailed, Limits, QueryFailed, SourceError, Stream, TimedOut, TooWide, widest
from dataservices import sources, sql
from dataservices.models import DataOperation, DataSource
from registry import faults
from registry.calls import Call
from registry.models import Field, Parameter
from registry.results import Affected, Column, Fault, Result, Row, Rows

log = logging.getLogger("mantra.dataservices")

_READS = ("GET", "HEAD", "POST")
_WRITES = ("POST",)

#: Seconds that the search for a plan may take.
EXPLAIN_SECONDS = 10.0

Found = TypeVar("Found")
Project = Callable[[list[Row]], list[Row]]


class Unfit(Exception):
    """A combination of optional blocks makes SQL that may not run."""


@dataclass(slots=True)
class Plan:
    """A data operation, ready to run."""

    source: sources.Source
    template: sql.Template
    limits: Limits
    page_size: int
    #: Declared columns in their order, by name; empty when the provider declares none.
    declared: dict[str, str]
    methods: tuple[str, ...]
    _shapes: dict[Any, tuple[tuple[Column, ...], Project | None]] = field(default_factory=dict)
    passes: bool = False

    def shape(
        self, columns: tuple[tuple[str, str | None], ...], allowed: frozenset[str]
    ) -> tuple[tuple[Column, ...], Project | None]:
        """The columns that go out, and how to cut a batch to them (None: it is right as it is).

        Raises Fault where a declared column is not among them: an answer without it would look whole.
        """
        found = self._shapes.get((columns, allowed))
        if found is None:
            if len(self._shapes) > 256:
                self._shapes.clear()
            found = self._shapes[columns, allowed] = self._shape(columns, allowed)
        return found

    def _shape(
        self, columns: tuple[tuple[str, str | None], ...], allowed: frozenset[str]
    ) -> tuple[tuple[Column, ...], Project | None]:
        there = {name for name, _type in columns}
        for name in self.declared:
            if name not in there:
                raise Fault(faults.FIELD_MISSING, column=name)
        kept = [
            index
            for index, (name, _type) in enumerate(columns)
            if (not self.declared or name in self.declared) and (not allowed or name in allowed)
        ]
        out = tuple(Column(name, self.declared.get(name) or type) for name, type in (columns[i] for i in kept))
        # A number that its provider calls text, as a NIK kept in a bigint, goes out as text.
        retold = [at for at, index in enumerate(kept) if out[at].type == "text" and columns[index][1] != "text"]
        return out, _project(kept, len(columns), retold)


def _project(kept: list[int], width: int, retold: list[int]) -> Project | None:
    """Cuts a batch to the columns at ``kept`` and makes text of those at ``retold`` (places in the cut row)."""
    cut = None
    if len(kept) != width:
        cut = itemgetter(*kept) if len(kept) > 1 else lambda row: tuple(row[index] for index in kept)
    if not retold:
        return None if cut is None else lambda batch: [cut(row) for row in batch]

    def project(batch: list[Row]) -> list[Row]:
        made = []
        for row in batch:
            values = list(cut(row) if cut else row)
            for at in retold:
                value = values[at]
                if value is not None and not isinstance(value, str):
                    values[at] = _as_text(value)
            made.append(tuple(values))
        return made

    return project


def _as_text(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, date | day_time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    return str(value)


def prepare(ids: Iterable[int]) -> dict[int, Plan]:
    """The plans of data operations. One that cannot be made is left out and logged."""
    plans: dict[int, Plan] = {}
    declared: dict[int, dict[str, str]] = {}
    parameters: dict[int, list[str]] = {}
    for operation_id, name in Parameter.objects.values_list("operation_id", "name"):
        parameters.setdefault(operation_id, []).append(name)
    for row in Field.objects.filter(operation__kind="data").order_by("operation_id", "position", "id"):
        declared.setdefault(row.operation_id, {})[row.name] = row.type
    operations = DataOperation.objects.select_related("source__agency").in_bulk(list(ids))
    running: dict[int, sources.Source] = {}
    for pk, operation in operations.items():
        try:
            source = running.get(operation.source_id)
            if source is None:
                source = running[operation.source_id] = _running(operation.source)
            if operation.undeclared(parameters.get(pk, ())):
                log.error("operation %s cannot be prepared: its SQL has marks that no parameter fills", pk)
                continue
            plans[pk] = _plan(operation, source, declared.get(pk, {}))
        except Exception as error:  # a definition that broke must not take the others with it
            log.error("operation %s cannot be prepared: %s", pk, type(error).__name__)
    sources.forget(set(running))
    return plans


def _running(row: DataSource) -> sources.Source:
    return sources.source(row.pk, row.engine, row.settings(), row.pool_size)


def _plan(row: DataOperation, source: sources.Source, declared: dict[str, str]) -> Plan:
    template = row.template()

    def judge(given: frozenset[str]) -> None:
        if sql.judged(template, given, source.adapter.dialect, row.writes):
            raise Unfit

    # Blocks that are harmless all together may not be so in part.
    template.judge = judge if template.blocks else None
    return Plan(
        source=source,
        template=template,
        limits=Limits(row.row_cap, row.time_cap_ms / 1000, row.writes, settings.ROW_BYTES),
        page_size=row.page_size,
        declared=declared,
        methods=_WRITES if row.writes else _READS,
    )


def run(call: Call) -> Result:
    """Run a data operation. Raises Fault; the rows that come back hold a connection until closed."""
    plan = call.operation.plan  # type: ignore[union-attr]
    assert isinstance(plan, Plan)
    text, bound, limits = _asked(call, plan)
    adapter = plan.source.adapter
    lease, stream = _open(call, plan, limits, lambda connection, left: adapter.run(connection, text, bound, left))
    if not stream.columns:
        affected = stream.affected
        _release(lease, stream)
        return Affected(affected)
    allowed = call.grant.fields if call.grant is not None else frozenset()
    try:
        columns, project = plan.shape(stream.columns, allowed)
    except Fault:
        _release(lease, stream)
        raise
    as_of = stream.as_of
    rows = _rows(call, columns, project, lease, stream, limits)
    rows.as_of = as_of
    return rows


def explain(call: Call) -> list[str]:
    """The lines of the source's plan for a call's statement, which is not run. Raises Fault."""
    plan = call.operation.plan  # type: ignore[union-attr]
    assert isinstance(plan, Plan)
    text, bound, limits = _asked(call, plan)
    # A plan is looked for at once or not at all, and nothing is written by it.
    limits = replace(limits, seconds=min(limits.seconds, EXPLAIN_SECONDS), writes=False)
    adapter = plan.source.adapter
    lease, lines = _open(call, plan, limits, lambda connection, left: adapter.explain(connection, text, bound, left))
    lease.give_back()
    return lines


def _asked(call: Call, plan: Plan) -> tuple[str, dict[str, Any], Limits]:
    """The statement of a call, its values and its limits. Raises Fault."""
    arguments, limits = call.arguments, plan.limits
    if call.per_page:
        arguments = {**arguments, "limit": call.per_page + 1, "offset": (call.page - 1) * call.per_page}
        limits = replace(limits, rows=min(limits.rows, call.per_page))
    given = [name for name, value in arguments.items() if value is not None]
    try:
        text, order = plan.template.render(given, plan.source.adapter.paramstyle)
    except Unfit:
        log.error("operation %s has blocks that may not run in this combination", call.operation.id)  # type: ignore[union-attr]
        raise Fault(faults.DEFINITION_BROKEN, request_id=call.request_id) from None
    return text, {name: arguments[name] for name in order}, limits


def _open(call: Call, plan: Plan, limits: Limits, work: Callable[[Any, Limits], Found]) -> tuple[sources.Lease, Found]:
    """Do a statement's work on a pooled connection. A read on a connection that had died is tried once more."""
    source = plan.source
    deadline = time.monotonic() + limits.seconds
    for attempt in (1, 2):
        try:
            lease = source.checkout(limits.writes, deadline - time.monotonic())
        except sources.Busy:
            raise Fault(faults.SOURCE_BUSY, retry_after=1) from None
        except sources.Tripped as tripped:
            raise Fault(faults.SOURCE_TRIPPED, retry_after=tripped.seconds, seconds=tripped.seconds) from None
        except SourceError as error:
            source.judge(error)
            raise _fault(call, error, limits) from None
        try:
            found = work(lease.connection, _left(limits, deadline))
        except QueryFailed as error:
            lease.give_back()
            source.judge(error)
            raise _fault(call, error, limits) from None
        except SourceError as error:
            lease.drop()
            final = attempt == 2 or limits.writes or time.monotonic() > deadline
            if final or not isinstance(error, ConnectFailed):
                source.judge(error)
                raise _fault(call, error, limits) from None
        except BaseException:
            lease.drop()
            raise
        else:
            source.judge(None)
            return lease, found
    raise AssertionError


def _left(limits: Limits, deadline: float) -> Limits:
    """The limits less the time that was spent on getting a connection, where that was worth speaking of."""
    left = deadline - time.monotonic()
    return limits if left > limits.seconds * 0.9 else replace(limits, seconds=max(left, 0.1))


def _release(lease: sources.Lease, stream: Stream) -> None:
    try:
        stream.close()
        if stream.reusable:
            lease.give_back()
    except SourceError:
        pass
    finally:
        lease.drop()  # does nothing where it was given back


def _rows(
    call: Call,
    columns: tuple[Column, ...],
    project: Project | None,
    lease: sources.Lease,
    stream: Stream,
    limits: Limits,
) -> Rows:
    batches = iter(stream)
    try:
        first = next(batches, [])
    except SourceError as error:
        _release(lease, stream)
        raise _fault(call, error, limits) from None
    if stream.whole and len(first) <= limits.rows:
        # All there is: the connection goes back before a byte is written.
        _release(lease, stream)
        rows = Rows(columns, iter((project(first) if project else first,)) if first else iter(()))
        rows.count = len(first)
        return rows
    if call.per_page:
        # A page is short, and whether there is a next one must be known before its headers go out.
        return _page(call, columns, project, lease, stream, first, batches, limits)
    rows = Rows(columns, iter(()), lambda: _release(lease, stream))
    rows.batches = _capped(call, rows, first, batches, project, limits)
    return rows


def _page(
    call: Call,
    columns: tuple[Column, ...],
    project: Project | None,
    lease: sources.Lease,
    stream: Stream,
    first: list[Row],
    batches: Iterator[list[Row]],
    limits: Limits,
) -> Rows:
    """A whole page at once. One row more than asked for is how we know of a next page."""
    found, size = list(first), widest(first, limits) * len(first)
    try:
        while len(found) <= limits.rows and (batch := next(batches, None)):
            found += batch
            size += widest(batch, limits) * len(batch)
            if size > limits.width:
                raise TooWide
    except SourceError as error:
        raise _fault(call, error, limits) from None
    finally:
        _release(lease, stream)
    page = found[: limits.rows]
    rows = Rows(columns, iter((project(page) if project else page,)) if page else iter(()))
    rows.count, rows.has_next = len(page), len(found) > len(page)
    return rows


def _capped(
    call: Call, rows: Rows, first: list[Row], batches: Iterator[list[Row]], project: Project | None, limits: Limits
) -> Iterator[list[Row]]:
    """The batches up to the row cap. One row more than the cap is how we know that there were more."""
    left = limits.rows
    batch = first
    try:
        while batch:
            if len(batch) > left:
                batch = batch[:left]
                rows.truncated = True
            left -= len(batch)
            if batch:
                rows.count += len(batch)
                yield project(batch) if project else batch
            if rows.truncated:
                break
            batch = next(batches, [])
    except SourceError as error:
        raise _fault(call, error, limits) from None
    finally:
        rows.close()


def _fault(call: Call, error: SourceError, limits: Limits) -> Fault:
    log.warning("request %s: source failed: %s (%s)", call.request_id, error.reason, error.sqlstate or "-")
    # The reason is for the author in the try panel; no message to a caller names it.
    if isinstance(error, TooWide):
        mib = f"{limits.width / 2**20:g}"
        return Fault(faults.ANSWER_TOO_WIDE, request_id=call.request_id, mib=mib, reason=error.reason)
    if isinstance(error, TimedOut):
        return Fault(faults.SOURCE_SLOW, seconds=f"{limits.seconds:g}", reason=error.reason)
    kind = faults.SOURCE_DOWN if isinstance(error, ConnectFailed) else faults.SOURCE_REFUSED
    return Fault(kind, request_id=call.request_id, reason=error.reason)
