"""The parts of a snapshot: how the rows of each kind are read, prepared and kept.

A row is prepared once and kept until it changes, so that the cost of a change is that of the rows that changed.
"""

from __future__ import annotations

import logging
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, NamedTuple

from django.db.models import QuerySet
from django.utils import timezone

from registry import models
from registry.legacy_names import parameter_key
from registry.parameter_values import ParameterParser
from registry.snapshot.fingerprints import add_rows, columns
from registry.snapshot.types import Application, Field, Grant, Key, Operation, Parameter, Plan, Service

log = logging.getLogger("mantra.registry")


@dataclass(frozen=True, slots=True)
class Planner:
    """How a package prepares the plans of its kind of operation."""

    model: type[models.Operation]
    #: Yields the plans by the ids of operations, one at a time; None for one that cannot be prepared: it must not
    #: affect others.
    prepare: Callable[[Collection[int]], Iterator[tuple[int, Plan | None]]]
    #: Returns the rows, each with an operation's id as its first value, that the plans of these ids are made of.
    rows: Callable[[Collection[int]], Iterable[Iterable[tuple[Any, ...]]]]
    #: Kind of row (RegistryModel.snapshot_unit) → the path to it from the model.
    paths: Mapping[str, str]
    #: Called with all plans in use after some were replaced.
    retain: Callable[[Iterable[Plan]], None]


#: Kind of operation → its planner. Each package registers its own when its app is ready.
PLANNERS: dict[str, Planner] = {}


class Prepared(NamedTuple):
    """A row of the snapshot: its place in a dict, and what is there (None if the row is invalid)."""

    id: int
    fingerprint: int
    place: Hashable
    value: Any


class Part(ABC):
    """One dict of the snapshot, by places, and what is known of the rows that it was made of."""

    kind: ClassVar[str]
    #: Rows that are read at once.
    batch: ClassVar[int] = 1000

    def __init__(self) -> None:
        self._values: dict[Hashable, Any] = {}
        #: Id → place (None: the row is invalid) and fingerprint.
        self._held: dict[int, tuple[Hashable, int]] = {}
        self._published: dict[Any, Any] | None = None

    # What the kinds differ in.

    @abstractmethod
    def rows(self) -> QuerySet[Any, Any]:
        """Return the rows that are in a snapshot, as tuples that begin with the id."""

    def prepared(self, row: tuple[Any, ...]) -> tuple[Hashable, Any]:
        """Return a row's place and value, where rows are prepared one by one. Raises ValueError or OverflowError."""
        raise NotImplementedError

    def fingerprints(self, ids: Collection[int]) -> dict[int, int]:
        """Return the fingerprints of those rows that are in a snapshot."""
        return {row[0]: hash(row) for row in self.rows().filter(pk__in=ids)}

    def read(self, ids: Collection[int]) -> Iterator[Prepared]:
        """Yield those of the rows that are in a snapshot, prepared."""
        for row in self.rows().filter(pk__in=ids):
            place = value = None
            try:
                place, value = self.prepared(row)
            except (ValueError, OverflowError):
                # It grants nothing, and must not prevent the changes of other rows.
                log.error("%s %s is invalid and ignored", self.kind, row[0])
            yield Prepared(row[0], hash(row), place, value)

    # What they have in common.

    def ids(self, after: int = 0, most: int | None = None) -> list[int]:
        """Return the ids of the rows in the tables in their order: ``most`` of those above ``after``."""
        return list(self.rows().filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:most])

    @property
    def held(self) -> Collection[int]:
        return self._held.keys()

    def differing(self, ids: Collection[int]) -> set[int]:
        """Return those ids whose rows are not those that were prepared: changed, new or gone."""
        found = self.fingerprints(ids)
        return {id for id in ids if self._held.get(id, (None, None))[1] != found.get(id)}

    def refresh(self, ids: Collection[int], deadline: float = float("inf")) -> Collection[int]:
        """Read and prepare rows again until the deadline, but at least one. Return the ids that are left."""
        left = set(ids)
        for row in self.read(ids):
            self._put(row)
            left.discard(row.id)
            if time.monotonic() > deadline:
                return left
        for id in left:  # those that are gone
            self._drop(id)
        return ()

    def publish(self) -> dict[Any, Any]:
        """Return the dict as it is now, which is not changed any more."""
        if self._published is None:
            self._published = self._values.copy()
        return self._published

    def _put(self, row: Prepared) -> None:
        place, _fingerprint = self._held.get(row.id, (None, 0))
        if place is not None and (place != row.place or row.value is None):
            self._vacate(place, row.id)
        self._held[row.id] = (row.place, row.fingerprint)
        if row.value is not None:
            self._values[row.place] = row.value
            self._published = None

    def _drop(self, id: int) -> None:
        place, _fingerprint = self._held.pop(id, (None, 0))
        if place is not None:
            self._vacate(place, id)

    def _vacate(self, place: Hashable, id: int) -> None:
        """Empty a place, unless another row has it by now."""
        value = self._values.get(place)
        if value is not None and value.id == id:
            del self._values[place]
            self._published = None


class Services(Part):
    kind = "service"

    def rows(self) -> QuerySet[Any, Any]:
        return models.Service.objects.order_by().values_list("id", "agency__code", "code", "title", "description")

    def prepared(self, row: tuple[Any, ...]) -> tuple[Hashable, Service]:
        return (row[1].lower(), row[2].lower()), Service(*row)


class Keys(Part):
    kind = "key"

    def __init__(self) -> None:
        super().__init__()
        self._applications: dict[int, Application] = {}

    def rows(self) -> QuerySet[Any, Any]:
        return (
            models.AccessKey.objects.filter(revoked_at=None, application__active=True)
            .order_by()
            .values_list(
                "id", "digest", "public", "application_id", "application__agency__code", "application__code",
                "expires_at", "networks", "operation_id", "in_path",
            )
        )  # fmt: skip

    def prepared(self, row: tuple[Any, ...]) -> tuple[Hashable, Key]:
        id, digest, public, *owner, expires_at, networks, operation_id, in_path = row
        return digest, Key(
            id=id,
            public=public,
            application=self._application(*owner),
            expires_at=expires_at.timestamp() if expires_at else float("inf"),
            networks=tuple(models.networks(networks)),
            operation_id=operation_id,
            in_path=in_path,
        )

    def _application(self, id: int, agency: str, code: str) -> Application:
        """Return an application: one for all of its keys."""
        new = Application(id, agency, code)
        if self._applications.get(id) != new:
            self._applications[id] = new
        return self._applications[id]


class Grants(Part):
    kind = "grant"

    def rows(self) -> QuerySet[Any, Any]:
        return (
            models.Grant.objects.filter(state=models.Grant.State.APPROVED)
            .order_by()
            .values_list(
                "id", "application_id", "operation_id", "valid_from", "valid_until", "networks", "fields", "quota"
            )
        )

    def prepared(self, row: tuple[Any, ...]) -> tuple[Hashable, Grant]:
        id, application_id, operation_id, valid_from, valid_until, networks, fields, quota = row
        return (application_id, operation_id), Grant(
            id=id,
            valid_from=_midnight(valid_from) if valid_from else float("-inf"),
            valid_until=_after(valid_until),
            networks=tuple(models.networks(networks)),
            fields=frozenset(models.names(fields)),
            quota=quota,
        )


def _after(day: date | None) -> float:
    """Return the end of a last day. 9999-12-31, which people write for "unlimited", has no end, as has None."""
    return float("inf") if day is None or day == date.max else _midnight(day + timedelta(days=1))


def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=timezone.get_default_timezone()).timestamp()


class Operations(Part):
    """Operations with their parameters, fields and plans. A draft is in no snapshot: only its author may run it."""

    kind = "operation"
    batch = 50

    def __init__(self, drafts: bool = False) -> None:
        super().__init__()
        self._drafts = drafts

    def rows(self) -> QuerySet[Any, Any]:
        rows = models.Operation.objects.order_by()
        if not self._drafts:
            # A draft beside a published operation has its address: it must not get there, whatever its state.
            rows = rows.listed().exclude(state=models.Operation.State.DRAFT)
        names = ("service__code", "service__legacy_name", "service__agency__code", "service__agency__legacy_name")
        return rows.values_list("id", *columns(models.Operation), *names)

    def fingerprints(self, ids: Collection[int]) -> dict[int, int]:
        found: dict[int, int] = {}
        add_rows(found, self.rows().filter(pk__in=ids))
        for model in (models.Parameter, models.Field):
            rows = model.objects.filter(operation_id__in=ids).order_by("operation_id", "position", "id")
            add_rows(found, rows.values_list("operation_id", *columns(model)))
        for planner in PLANNERS.values():
            for tuples in planner.rows(ids):
                add_rows(found, tuples)
        return found

    def differing(self, ids: Collection[int]) -> set[int]:
        listed = set(self.rows().filter(pk__in=ids).values_list("pk", flat=True))
        return super().differing(listed) | ((set(ids) - listed) & self._held.keys())

    def read(self, ids: Collection[int]) -> Iterator[Prepared]:
        # Before the rows: of what changes in between, the fingerprint is the older one.
        fingerprints = self.fingerprints(ids)
        broken: set[int] = set()
        parameters, fields = _parameters(ids, broken), _fields(ids)
        pks = self.rows().filter(pk__in=ids).values_list("pk", flat=True)
        rows = models.Operation.objects.select_related("service__agency").in_bulk(list(pks))
        for pk, plan in _plans(rows):
            row = rows[pk]
            value = _operation(row, parameters.get(pk, ()), fields.get(pk, ()), None if pk in broken else plan)
            value = replace(value, fingerprint=fingerprints.get(pk, 0))
            place = value.agency.lower(), value.service.lower(), value.code.lower()
            yield Prepared(pk, value.fingerprint, place, value)

    def restrict(self, ids: Collection[int]) -> None:
        """Put the states of operations into force at once, before their plans: it may be that they were closed."""
        rows = self.rows().filter(pk__in=ids).values_list("pk", "state", "access", "sunset")
        states = {row[0]: row[1:] for row in rows}
        for id in self._held.keys() & set(ids):
            if id not in states:
                self._drop(id)
                continue
            place, fingerprint = self._held[id]
            held = self._values.get(place)
            if held is None or held.id != id:
                continue  # another row has the address by now: this one is prepared next
            state, access, sunset = states[id]
            value = replace(held, state=state, open=access == "open", sunset=sunset)
            self._put(Prepared(id, fingerprint, place, value))


def _plans(rows: Mapping[int, models.Operation]) -> Iterator[tuple[int, Plan | None]]:
    """Yield each operation's plan as its package prepares it, None where there is none."""
    left = set(rows)
    for kind, planner in PLANNERS.items():
        for pk, plan in planner.prepare([pk for pk, row in rows.items() if row.kind == kind]):
            left.discard(pk)
            yield pk, plan
    for pk in left:
        yield pk, None


def _operation(
    row: models.Operation, parameters: Iterable[Parameter], fields: Iterable[Field], plan: Plan | None
) -> Operation:
    own_parameters = tuple(parameters)
    return Operation(
        id=row.pk,
        kind=row.kind,
        agency=row.service.agency.code,
        service=row.service.code,
        code=row.code,
        title=row.title,
        description=row.description,
        open=row.access == row.Access.OPEN,
        state=row.state,
        sunset=row.sunset,
        cache_seconds=row.cache_seconds,
        revision=row.revision,
        parameters=own_parameters,
        by_name={parameter.lower: parameter for parameter in own_parameters},
        by_legacy_name=_by_legacy_name(own_parameters),
        legacy_address=_legacy_address(row),
        fields=tuple(fields),
        plan=plan,
        hidden=row.listing == row.Listing.HIDDEN,
    )


def _by_legacy_name(parameters: tuple[Parameter, ...]) -> dict[str, Parameter]:
    """Return the parameters by their names of 1.99x and by their own, which win."""
    named = [(parameter.legacy_name, parameter) for parameter in parameters if parameter.legacy_name]
    named += [(parameter.name, parameter) for parameter in parameters]
    return {parameter_key(name): parameter for name, parameter in named}


def _legacy_address(row: models.Operation) -> tuple[str, str, str]:
    """Return agency, service and operation as 1.99x named them, in lower case."""
    agency, service, code = (part.legacy_name or part.code for part in (row.service.agency, row.service, row))
    return agency.lower(), service.lower(), code.lower()


def _parameters(ids: Collection[int], broken: set[int]) -> dict[int, list[Parameter]]:
    """Return the parameters of each operation. Operations with an invalid one are added to ``broken``."""
    parameters: dict[int, list[Parameter]] = {}
    rows = models.Parameter.objects.filter(operation_id__in=ids)
    for row in rows.order_by("operation_id", "position", "id"):
        try:
            parser = ParameterParser.of(row)
            default = parser(row.default) if row.default else None
        except (ValueError, KeyError, re.error):
            log.error("parameter %s of operation %s is invalid", row.pk, row.operation_id)
            broken.add(row.operation_id)
            continue
        parameters.setdefault(row.operation_id, []).append(
            Parameter(
                name=row.name,
                lower=row.name.lower(),
                legacy_name=row.legacy_name,
                type=row.type,
                required=row.required,
                default=default,
                parse=parser,
                subject=row.subject,
                description=row.description,
            )
        )
    return parameters


def _fields(ids: Collection[int]) -> dict[int, list[Field]]:
    fields: dict[int, list[Field]] = {}
    rows = models.Field.objects.filter(operation_id__in=ids).order_by("operation_id", "position", "id")
    for operation_id, *values in rows.values_list("operation_id", "name", "type", "description", "classification"):
        fields.setdefault(operation_id, []).append(Field(*values))
    return fields


def operation(pk: int) -> Operation | None:
    """Return an operation as its rows are now, drafts too, for its author to try; None if there is none."""
    return next((row.value for row in Operations(drafts=True).read([pk])), None)
