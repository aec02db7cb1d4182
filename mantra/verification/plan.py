"""The plan of a verification: what is compared, and how."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mantra.comparing import Comparison, comparer, is_readable
from mantra.verification.models import (
    AGREES,
    FIELD_AGREES,
    FIELD_SIMILARITY,
    FOUND,
    VerificationOperation,
    VerifiedField,
)
from registry.results import Column, Row
from registry.snapshot.fingerprints import Row as StoredRow
from registry.snapshot.fingerprints import among, by_owner, columns, instance, shared
from registry.snapshot.parts import Planner
from registry.snapshot.types import Operation

log = logging.getLogger("mantra.verification")


#: The rules that read all that begins with a letter or a digit.
_OF_ANY_FORM = frozenset((VerifiedField.Rule.EXACT, VerifiedField.Rule.TEXT, VerifiedField.Rule.NAME))


@dataclass(frozen=True, slots=True)
class Verified:
    """A field that is verified."""

    name: str
    #: The column of the record.
    column: str
    rule: str
    #: (stored value, what the caller sent) → whether they agree, and how similar they are.
    compare: Callable[[Any, str], Comparison]
    has_degrees: bool

    def is_readable(self, given: str) -> bool:
        """Return False for a text that has not the form of the rule, such as a date that is none."""
        return (given[0].isalnum() and self.rule in _OF_ANY_FORM) or is_readable(self.rule, given)


class Shape(NamedTuple):
    """What of a whole row a caller may see: its columns, what cuts a row to them, and if it has similarities."""

    columns: tuple[Column, ...]
    cut: Callable[[Row], Row]
    has_similarity: bool


@dataclass(slots=True)
class Plan:
    """A verification, ready to run."""

    id: int
    #: The id of the operation with the data, and its address in lower case.
    base: int
    base_address: tuple[str, str, str]
    #: The parameters that make the key.
    key: tuple[str, ...]
    fields: tuple[Verified, ...]
    min_fields: int
    hides_existence: bool
    tries: int
    tries_of_all: int
    lock_seconds: int
    methods: tuple[str, ...] = ("GET", "HEAD", "POST")
    page_size: int = 0
    change_size: int = 0
    marks_deletions: bool = False
    pass_through: bool = False
    _shapes: dict[frozenset[str] | None, Shape] = field(default_factory=dict)

    @property
    def traced(self) -> tuple[str, dict[str, str]]:
        """The name of a run in a trace, and its attributes."""
        return "verification", {"mantra.base": "/".join(self.base_address)}

    def shape(self, granted: frozenset[str] | None) -> Shape:
        """Return what a caller sees of a row.

        ``granted``: the fields of the grant; none: all but similarities, which a grant has to name. None: the author.
        """
        shape = self._shapes.get(granted)
        if shape is None:
            if len(self._shapes) > 256:
                self._shapes.clear()
            shape = self._shapes[granted] = self._shape(granted)
        return shape

    def _shape(self, granted: frozenset[str] | None) -> Shape:
        everything = self._columns()
        chosen = [
            at
            for at, column in enumerate(everything)
            if granted is None or (column.name in granted if granted else not column.name.endswith(FIELD_SIMILARITY))
        ]
        columns = tuple(everything[at] for at in chosen)
        has_similarity = any(column.name.endswith(FIELD_SIMILARITY) for column in columns)
        return Shape(columns, lambda row: tuple([row[at] for at in chosen]), has_similarity)

    def _columns(self) -> list[Column]:
        found = [Column(FOUND, "boolean"), Column(AGREES, "boolean")]
        for each in self.fields:
            found.append(Column(f"{each.name}{FIELD_AGREES}", "boolean"))
            if each.has_degrees:
                found.append(Column(f"{each.name}{FIELD_SIMILARITY}", "integer"))
        return found


@dataclass(frozen=True, slots=True)
class _Definition:
    """A verification's rows."""

    row: StoredRow
    fields: tuple[StoredRow, ...]
    base: tuple[str, str, str]

    def build(self, operation: Operation) -> Plan | None:
        """Return the plan; None, and log it, if it cannot be prepared."""
        try:
            return self._build(operation)
        except Exception as error:  # one broken definition must not affect the others
            log.error("operation %s cannot be prepared: %s", operation.id, type(error).__name__)
            return None

    def _build(self, operation: Operation) -> Plan:
        row = instance(VerificationOperation, self.row)
        fields = tuple(map(_verified, (instance(VerifiedField, each) for each in self.fields)))
        verified = {each.name for each in fields}
        return Plan(
            id=operation.id,
            base=row.base_id,
            base_address=self.base,
            key=tuple(each.name for each in operation.parameters if each.name not in verified),
            fields=fields,
            min_fields=row.min_fields,
            hides_existence=row.hides_existence,
            tries=row.tries,
            tries_of_all=row.tries_of_all,
            lock_seconds=row.lock_minutes * 60,
        )


def _verified(row: VerifiedField) -> Verified:
    compare = comparer(row.rule, row.threshold)
    return Verified(row.name, row.compared, row.rule, compare, row.rule in VerifiedField.DEGREES)


def rows(ids: Collection[int]) -> dict[int, StoredRow]:
    """Return the rows of verifications, each with those of its fields and the address of its base."""
    own = VerificationOperation.objects.filter(among("pk", ids)).order_by()
    address = ("base__service__agency__code", "base__service__code", "base__code")
    fields = by_owner(
        VerifiedField.objects.filter(among("operation", ids))
        .order_by("operation_id", "position", "id")
        .values_list("operation_id", *columns(VerifiedField))
    )
    found: dict[int, StoredRow] = {}
    for row in own.values_list(*columns(VerificationOperation), *address):
        values, base = row[:-3], tuple(part.lower() for part in row[-3:])
        found[row[0]] = (shared(values), fields.get(row[0], ()), shared(base))
    return found


def define(rows: Mapping[int, StoredRow]) -> Iterator[tuple[int, _Definition | None]]:
    """Yield the definitions of verifications by their ids."""
    for pk, row in rows.items():
        yield pk, _Definition(*row) if row else None


PLANNER = Planner(
    model=VerificationOperation,
    rows=rows,
    define=define,
    paths={"operation": "base", "service": "base__service", "agency": "base__service__agency"},
    retain=lambda _definitions: None,
)
