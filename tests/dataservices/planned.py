"""Data operations as their runner sees them, without a registry: a plan over a source's settings, and calls of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.base import Limits
from dataservices import runner, sql
from dataservices.plan import Plan
from dataservices.pool import SourcePool
from registry.calls import Call
from registry.results import Affected, Fault, Rows
from registry.snapshot.types import Grant, LazyPlan, Operation


class _Ready:
    """A definition whose plan is there already."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def build(self, operation: Operation) -> Plan:
        return self.plan


def plan_of(pool: SourcePool, text: str, **more: Any) -> Plan:
    """The plan of an operation with that SQL; it must be one that could be published."""
    writes = more.pop("writes", False)
    dialect = pool.adapter.dialect
    assert sql.check(text, dialect, writes, more.get("routines", ())) == []
    limits = Limits(more.pop("max_rows", 1000), more.pop("seconds", 20.0), writes, more.pop("width", 2**25), not writes)
    declared = more.pop("declared", {})
    return Plan(
        pool,
        ("source", 1, "uji"),
        sql.parse(text, dialect),
        limits,
        more.pop("page_size", 0),
        declared,
        ("GET",),
        **more,
    )


def call_of(plan: Plan, fields: frozenset[str] = frozenset(), protocol: str = "rest") -> Call:
    """A call of an operation with that plan, of a grant for these fields (none: for all)."""
    operation = Operation(
        1, "data", "prov", "data", "uji", "", "", False, "published", None, 0, 1, (), {}, {}, ("", "", ""), (),
        LazyPlan(_Ready(plan)),
    )  # fmt: skip
    call = Call(protocol, "GET", "127.0.0.1", "0" * 32, "json", lambda _call: [])
    call.operation = operation
    call.grant = Grant(1, 0, 0, (), fields, "") if fields else None
    return call


def single(plan: Plan, arguments: Mapping[str, Any], **more: Any) -> Any:
    """The (columns, rows, truncated) of a single run; its Fault's code."""
    call = call_of(plan, **more)
    call.arguments = dict(arguments)
    if plan.page_size:
        call.page, call.per_page = 1, plan.page_size
    try:
        result = runner.run(call)
        if isinstance(result, Affected):
            return (("affected", "integer"),), [(result.count,)], False
        assert isinstance(result, Rows)
        try:
            rows = [row for batch in result.batches for row in batch]
        finally:
            result.close()
    except Fault as fault:
        return fault.code
    columns = tuple((column.name, column.type) for column in result.columns)
    return columns, rows, result.truncated or result.has_next
