"""The plan of a data operation: everything a call needs, built when it is needed for the first time."""

from __future__ import annotations

import base64
import logging
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from datetime import time as day_time
from decimal import Decimal
from operator import itemgetter
from typing import Any

import orjson
from django.conf import settings
from django.utils.translation import gettext as _

from adapters.base import Limits
from dataservices import sql
from dataservices.models import MAX_PAGE_SIZE, DataOperation, DataSource
from dataservices.pool import SourcePool, dispose_unused, source_pool
from registry import faults
from registry.field_rights import visible
from registry.models import Agency, reserved_message
from registry.personal_data.masks import FieldRights
from registry.results import Column, Fault, Row
from registry.snapshot.fingerprints import Row as StoredRow
from registry.snapshot.fingerprints import among, columns, instance, names, shared
from registry.snapshot.parts import Planner
from registry.snapshot.types import Field, Operation

log = logging.getLogger("mantra.dataservices")

_READS = ("GET", "HEAD", "POST")
_WRITES = ("POST",)

#: The engines that OpenTelemetry's conventions name otherwise.
_TRACED_ENGINES = {"oracle": "oracle.db", "sqlserver": "microsoft.sql_server"}

Projection = Callable[[list[Row]], list[Row]]


class BlocksRefused(Exception):
    """A combination of optional blocks results in SQL that may not run."""


@dataclass(frozen=True, slots=True)
class ChangeMarker:
    """The columns by which callers find what changed: one that grows, a key, and one for deletions ("": none).

    ``most``: rows of a page. ``lag_seconds``: the age from which on rows are given, if the marker is a time.
    """

    column: str
    key: tuple[str, ...]
    deleted: str
    lag_seconds: int
    most: int


@dataclass(slots=True)
class Plan:
    """A data operation, ready to run."""

    pool: SourcePool
    #: What the record of a call says of its source: "source", its id and its code.
    origin: tuple[str, int, str]
    template: sql.Template
    limits: Limits
    page_size: int
    #: Declared columns in their order, by name; empty when the provider declares none.
    declared: dict[str, str]
    methods: tuple[str, ...]
    _shapes: dict[Any, tuple[tuple[Column, ...], Projection | None]] = field(default_factory=dict)
    pass_through: bool = False
    #: The functions and procedures of the source that the SQL may call.
    routines: frozenset[str] = frozenset()
    #: By what callers find what changed; None if they cannot.
    changes: ChangeMarker | None = None
    #: What sets and changes have learned about its statements.
    learned: dict[Any, Any] = field(default_factory=dict)
    #: The declared columns with their classifications and masks.
    fields: tuple[Field, ...] = ()

    @property
    def change_size(self) -> int:
        """The most rows of a page of changes; 0 if callers cannot ask for changes."""
        return self.changes.most if self.changes is not None else 0

    @property
    def marks_deletions(self) -> bool:
        """True if a page of changes says of each row whether it is deleted."""
        return self.changes is not None and bool(self.changes.deleted)

    @property
    def traced(self) -> tuple[str, dict[str, str]]:
        """The name of a run in a trace, and its attributes."""
        engine, source = self.pool.identity[0], f"{self.pool.agency}/{self.pool.code}"
        return "source", {"db.system.name": _TRACED_ENGINES.get(engine, engine), "mantra.source": source}

    def shape(
        self, columns: tuple[tuple[str, str | None], ...], rights: FieldRights, as_written: bool = False
    ) -> tuple[tuple[Column, ...], Projection | None]:
        """Return the columns of the response, and the projection of a batch to them (None: none is needed).

        ``as_written`` is for the legacy wire: declared types do not count, and values are as the source writes them,
        but for masked ones.
        Raises Fault if a declared column is missing: a response without it would look complete.
        """
        key = columns, rights, as_written
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) > 256:
                self._shapes.clear()
            shape = self._shapes[key] = self._shape(columns, rights, as_written)
        return shape

    def _shape(
        self, columns: tuple[tuple[str, str | None], ...], rights: FieldRights, as_written: bool
    ) -> tuple[tuple[Column, ...], Projection | None]:
        sight = visible(self.fields, rights)
        allowed, masks = sight.allowed, sight.masks
        present = {name for name, _type in columns}
        for name in self.declared:
            if name not in present:
                raise Fault(faults.FIELD_MISSING, column=name)
        indexes = [
            index
            for index, (name, _type) in enumerate(columns)
            if (not self.declared or name in self.declared) and (not allowed or name in allowed)
        ]
        chosen = [columns[index] for index in indexes]
        masked = {at: masks[name] for at, (name, _type) in enumerate(chosen) if name in masks}
        if as_written:
            written = self.pool.adapter.as_written
            conversions = {at: written[type] for at, (_name, type) in enumerate(chosen) if type and type in written}
            types = [type for _name, type in chosen]
        else:
            types = [self.declared.get(name) or type for name, type in chosen]
            conversions = _conversions_to_text(chosen, types)
        out = tuple(
            Column(name, "text", masked=True) if at in masked else Column(name, type)
            for at, ((name, _type), type) in enumerate(zip(chosen, types, strict=True))
        )
        return out, _project(indexes, len(columns), {**conversions, **masked})


def _conversions_to_text(
    source: list[tuple[str, str | None]], out: list[str | None]
) -> dict[int, Callable[[Any], str]]:
    """Return the conversions of what the provider declares as text but is none, as a NIK in a bigint, by place."""
    return {
        at: _TEXTS.get(type, _as_text)
        for at, (_name, type) in enumerate(source)
        if out[at] == "text" and type != "text"
    }


def _project(indexes: list[int], width: int, conversions: Mapping[int, Callable[[Any], Any]]) -> Projection | None:
    """Return what cuts a batch to the columns at ``indexes`` and converts values by their place after the cut."""
    cut = None
    if len(indexes) != width:
        cut = itemgetter(*indexes) if len(indexes) > 1 else lambda row: tuple(row[index] for index in indexes)
    if not conversions:
        return None if cut is None else lambda batch: [cut(row) for row in batch]

    def project(batch: list[Row]) -> list[Row]:
        # By columns: a mask costs a call for each value, and nothing for the others of its row.
        columns: list[Any] = list(zip(*(map(cut, batch) if cut else batch), strict=True))
        for at, convert in conversions.items():
            columns[at] = [None if value is None else convert(value) for value in columns[at]]
        return list(zip(*columns, strict=True)) if columns else []

    return project


def _as_text(value: Any) -> str:
    """Return the text that the formats have for a value. Text stays as its source wrote it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, date | day_time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    return str(value)


def _float_text(value: float) -> str:
    if math.isfinite(value):
        return orjson.dumps(value).decode()
    return "NaN" if math.isnan(value) else "-Infinity" if value < 0 else "Infinity"


def _text_of_float(value: Any) -> str:
    """Return the text of a float column's value, which may be text as its source wrote it."""
    try:
        return _float_text(float(value))
    except ValueError:
        return str(value)


#: Conversions to text of the values of a column type; the others are converted by their classes.
_TEXTS: dict[str | None, Callable[[Any], str]] = {"float": _text_of_float}


@dataclass(frozen=True, slots=True)
class _Definition:
    """A data operation's row, and the pool of its source."""

    pool: SourcePool
    origin: tuple[str, int, str]
    row: StoredRow

    def build(self, operation: Operation) -> Plan | None:
        """Return the plan; None, and log it, if it cannot be prepared."""
        try:
            return _plan(instance(DataOperation, self.row), self, operation)
        except Exception as error:  # one broken definition must not affect the others
            log.error("operation %s cannot be prepared: %s", operation.id, _word(error))
            return None


def _word(error: Exception) -> str:
    return str(error) if isinstance(error, _PlaceholdersMissing) else type(error).__name__


class _PlaceholdersMissing(Exception):
    def __str__(self) -> str:
        return "its SQL has placeholders without a parameter"


class _ValuesMissing(_PlaceholdersMissing):
    def __str__(self) -> str:
        return "it is open, and its SQL has values of grants"


_SOURCE_ID = names(DataOperation).index("source_id")


def rows(ids: Collection[int]) -> dict[int, StoredRow]:
    """Return the rows of data operations, each with that of its source and its agency's code."""
    own = [
        shared(row)
        for row in DataOperation.objects.filter(among("pk", ids)).order_by().values_list(*columns(DataOperation))
    ]
    sources = DataSource.objects.filter(pk__in={row[_SOURCE_ID] for row in own}).order_by()
    by_id = {row[0]: row for row in sources.values_list("pk", *columns(DataSource), "agency__code")}
    return {row[0]: (row, by_id.get(row[_SOURCE_ID])) for row in own}


def define(rows: Mapping[int, StoredRow]) -> Iterator[tuple[int, _Definition | None]]:
    """Yield the definitions of data operations by their ids. One whose source cannot be used is None, and logged."""
    sources: dict[StoredRow, tuple[SourcePool, tuple[str, int, str]]] = {}
    for pk, planned in rows.items():
        try:
            own, source = planned
            if source not in sources:
                sources[source] = _pool_of(source)
            yield pk, _Definition(*sources[source], own)
        except Exception as error:  # one broken definition must not affect the others
            log.error("operation %s cannot be prepared: %s", pk, type(error).__name__)
            yield pk, None


def retain(definitions: Iterable[Any]) -> None:
    """Close the pools that none of these definitions uses."""
    dispose_unused({each.pool.id for each in definitions if isinstance(each, _Definition)})


PLANNER = Planner(
    model=DataOperation,
    rows=rows,
    define=define,
    paths={"source": "source", "agency": "source__agency"},
    retain=retain,
)


def _pool_of(stored: StoredRow) -> tuple[SourcePool, tuple[str, int, str]]:
    """Return the pool of a source, and what the records of calls say of it."""
    _pk, *values, agency = stored
    row = instance(DataSource, tuple(values))
    row.agency = Agency(pk=row.agency_id, code=agency)
    pool = source_pool(row.pk, row.engine, row.settings(), row.pool_size)
    pool.agency, pool.code = agency, row.code
    return pool, ("source", row.pk, row.code)


def _plan(row: DataOperation, definition: _Definition, operation: Operation) -> Plan:
    """Return the plan of an operation. Raises sql.TemplateError, _PlaceholdersMissing."""
    pool = definition.pool
    template = sql.parse(row.sql, pool.adapter.dialect)
    if template.undeclared([parameter.name for parameter in operation.parameters], bool(row.page_size)):
        raise _PlaceholdersMissing
    if operation.open and template.grant_values:
        raise _ValuesMissing
    if template.blocks:
        template.check_blocks = _check_blocks(pool.adapter.dialect, row.writes, row.routines)
    return Plan(
        pool=pool,
        origin=definition.origin,
        template=template,
        # The functions that the check allows in a read leave nothing behind in a session.
        limits=Limits(
            row.max_rows,
            min(row.timeout_ms / 1000, pool.adapter.max_seconds),
            row.writes,
            settings.ROW_BYTES,
            plain=not row.writes and not row.routines,
        ),
        page_size=row.page_size,
        declared={field.name: field.type for field in operation.fields},
        fields=operation.fields,
        methods=_WRITES if row.writes else _READS,
        routines=frozenset(row.routines),
        changes=_changes(row),
    )


def _changes(row: DataOperation) -> ChangeMarker | None:
    if not row.change_marker:
        return None
    most = min(row.max_rows, MAX_PAGE_SIZE)
    return ChangeMarker(row.change_marker, tuple(row.key_columns), row.deleted_column, row.change_lag_seconds, most)


def _check_blocks(
    dialect: str, writes: bool, routines: Collection[str]
) -> Callable[[sql.Template, frozenset[str]], None]:
    """Return the check of a combination of blocks: SQL that may run with all of them may not with some.

    It does not hold the template, which holds it: plans that are not used any more are gone at once.
    """

    def check(template: sql.Template, given: frozenset[str]) -> None:
        if sql.check_combination(template, given, dialect, writes, routines):
            raise BlocksRefused

    return check


def parameters_message(
    operation: DataOperation,
    parameters: Collection[str],
    removed: Collection[str] | None = None,
    check_unused: bool = True,
) -> str:
    """Return the message about ``parameters`` whose name paging keeps, about placeholders without one of them, and the
    other way; "" if they agree.

    With ``removed``, only placeholders among these count: the others will be declared (DataOperation.declare_missing).
    ``check_unused``: False reports no parameter without a placeholder.

    The operation and its parameters are checked together only here: each may be saved before the other. SQL that cannot
    be parsed results in "": the model's own validation reports it.
    """
    for name in parameters:
        if name.lower() in operation.reserved_names:
            return _taken_message(name) if operation.change_marker else reserved_message(name)
    try:
        missing, unused = operation.undeclared(parameters), operation.unused(parameters)
    except sql.TemplateError:
        return ""
    if removed is not None:
        missing = [name for name in missing if name in removed]
    if missing:
        return _("No parameter is declared for %(marks)s.") % {"marks": ", ".join(f":{name}" for name in missing)}
    return unused_message(unused[0]) if unused and check_unused else ""


def _taken_message(name: str) -> str:
    """Return why an operation with a change marker has no parameter of this name."""
    return _("Callers use the name %(name)s to ask for changes. Remove this parameter, or the change marker.") % {
        "name": name
    }


def unused_message(name: str) -> str:
    """Return the message about a declared parameter that the SQL does not contain."""
    return _("The SQL does not contain :%(name)s. Remove the parameter, or write :%(name)s in the SQL.") % {
        "name": name
    }
