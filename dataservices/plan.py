"""The plan of a data operation: everything a call needs, prepared when the registry's snapshot is loaded."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from datetime import time as day_time
from decimal import Decimal
from operator import itemgetter
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from adapters.base import Limits
from dataservices import sql
from dataservices.models import DataOperation, DataSource
from dataservices.pool import SourcePool, dispose_unused, source_pool
from registry import faults
from registry.models import Field, Parameter
from registry.results import Column, Fault, Row

log = logging.getLogger("mantra.dataservices")

_READS = ("GET", "HEAD", "POST")
_WRITES = ("POST",)

Projection = Callable[[list[Row]], list[Row]]


class BlocksRefused(Exception):
    """A combination of optional blocks results in SQL that may not run."""


@dataclass(slots=True)
class Plan:
    """A data operation, ready to run."""

    pool: SourcePool
    template: sql.Template
    limits: Limits
    page_size: int
    #: Declared columns in their order, by name; empty when the provider declares none.
    declared: dict[str, str]
    methods: tuple[str, ...]
    _shapes: dict[Any, tuple[tuple[Column, ...], Projection | None]] = field(default_factory=dict)
    pass_through: bool = False

    def shape(
        self, columns: tuple[tuple[str, str | None], ...], allowed: frozenset[str]
    ) -> tuple[tuple[Column, ...], Projection | None]:
        """Return the columns of the response, and the projection of a batch to them (None: none is needed).

        Raises Fault if a declared column is missing: a response without it would look complete.
        """
        shape = self._shapes.get((columns, allowed))
        if shape is None:
            if len(self._shapes) > 256:
                self._shapes.clear()
            shape = self._shapes[columns, allowed] = self._shape(columns, allowed)
        return shape

    def _shape(
        self, columns: tuple[tuple[str, str | None], ...], allowed: frozenset[str]
    ) -> tuple[tuple[Column, ...], Projection | None]:
        present = {name for name, _type in columns}
        for name in self.declared:
            if name not in present:
                raise Fault(faults.FIELD_MISSING, column=name)
        indexes = [
            index
            for index, (name, _type) in enumerate(columns)
            if (not self.declared or name in self.declared) and (not allowed or name in allowed)
        ]
        out = tuple(Column(name, self.declared.get(name) or type) for name, type in (columns[i] for i in indexes))
        # A number that the provider declares as text, as a NIK in a bigint, is converted to text.
        as_text = [at for at, index in enumerate(indexes) if out[at].type == "text" and columns[index][1] != "text"]
        return out, _project(indexes, len(columns), as_text)


def _project(indexes: list[int], width: int, as_text: list[int]) -> Projection | None:
    """Return what cuts a batch to the columns at ``indexes`` and converts those at ``as_text`` (after the cut)."""
    cut = None
    if len(indexes) != width:
        cut = itemgetter(*indexes) if len(indexes) > 1 else lambda row: tuple(row[index] for index in indexes)
    if not as_text:
        return None if cut is None else lambda batch: [cut(row) for row in batch]

    def project(batch: list[Row]) -> list[Row]:
        projected = []
        for row in batch:
            values = list(cut(row) if cut else row)
            for at in as_text:
                value = values[at]
                if value is not None and not isinstance(value, str):
                    values[at] = _as_text(value)
            projected.append(tuple(values))
        return projected

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
    """Return the plans of data operations. One that cannot be prepared is omitted and logged."""
    plans: dict[int, Plan] = {}
    declared: dict[int, dict[str, str]] = {}
    parameters: dict[int, list[str]] = {}
    for operation_id, name in Parameter.objects.values_list("operation_id", "name"):
        parameters.setdefault(operation_id, []).append(name)
    for row in Field.objects.filter(operation__kind="data").order_by("operation_id", "position", "id"):
        declared.setdefault(row.operation_id, {})[row.name] = row.type
    operations = DataOperation.objects.select_related("source__agency").in_bulk(list(ids))
    pools: dict[int, SourcePool] = {}
    for pk, operation in operations.items():
        try:
            pool = pools.get(operation.source_id)
            if pool is None:
                pool = pools[operation.source_id] = _pool_of(operation.source)
            if operation.undeclared(parameters.get(pk, ())):
                log.error("operation %s cannot be prepared: its SQL has placeholders without a parameter", pk)
                continue
            plans[pk] = _plan(operation, pool, declared.get(pk, {}))
        except Exception as error:  # one broken definition must not affect the others
            log.error("operation %s cannot be prepared: %s", pk, type(error).__name__)
    dispose_unused(set(pools))
    return plans


def _pool_of(row: DataSource) -> SourcePool:
    return source_pool(row.pk, row.engine, row.settings(), row.pool_size)


def _plan(row: DataOperation, pool: SourcePool, declared: dict[str, str]) -> Plan:
    template = row.template()

    def check_blocks(given: frozenset[str]) -> None:
        if sql.check_combination(template, given, pool.adapter.dialect, row.writes):
            raise BlocksRefused

    # SQL that may run with all blocks may not with some of them.
    template.check_blocks = check_blocks if template.blocks else None
    return Plan(
        pool=pool,
        template=template,
        # The functions that the check allows in a read leave nothing behind in a session.
        limits=Limits(row.max_rows, row.timeout_ms / 1000, row.writes, settings.ROW_BYTES, plain=not row.writes),
        page_size=row.page_size,
        declared=declared,
        methods=_WRITES if row.writes else _READS,
    )


def parameters_message(operation: DataOperation, parameters: Collection[str]) -> str:
    """Return the message about placeholders without one of the ``parameters``, and the other way; "" if they agree.

    The SQL and the parameters are checked together only here: each may be saved before the other. SQL that cannot be
    parsed results in "": the model's own validation reports it.
    """
    try:
        missing, unused = operation.undeclared(parameters), operation.unused(parameters)
    except sql.TemplateError:
        return ""
    if missing:
        return _("No parameter is declared for %(marks)s.") % {"marks": ", ".join(f":{name}" for name in missing)}
    return unused_message(unused[0]) if unused else ""


def unused_message(name: str) -> str:
    """Return the message about a declared parameter that the SQL does not contain."""
    return _("The SQL does not contain :%(name)s. Remove the parameter, or write :%(name)s in the SQL.") % {
        "name": name
    }
