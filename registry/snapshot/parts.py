"""The parts of a snapshot: how the rows of each kind are read, prepared and kept.

A row is prepared once and kept until it changes, so that the cost of a change is that of the rows that changed.
"""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from sys import intern
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from django.db.models import QuerySet
from django.utils import timezone

from registry import models
from registry.legacy_names import parameter_key
from registry.models import RegistryModel
from registry.parameter_values import parser_of
from registry.personal_data.kinds import PERSONAL, SPECIFIC
from registry.personal_data.masks import HASH
from registry.secrets import Sealed
from registry.snapshot.fingerprints import Row, among, by_owner, columns, names, shared
from registry.snapshot.types import (
    Application,
    ClientCertificate,
    Definition,
    Field,
    Grant,
    Key,
    LazyPlan,
    Network,
    Operation,
    Parameter,
    Periods,
    RevokedToken,
    Service,
    highest,
)

log = logging.getLogger("mantra.registry")


@dataclass(frozen=True, slots=True)
class Planner:
    """How a package prepares the plans of its kind of operation."""

    model: type[models.Operation]
    #: Returns the rows that the plans of these operations are built from, by operation, beside the operations' own.
    rows: Callable[[Collection[int]], dict[int, Row]]
    #: Yields definitions by the ids of operations and these rows; None for one that cannot be run: it must not affect
    #: others.
    define: Callable[[Mapping[int, Row]], Iterator[tuple[int, Definition | None]]]
    #: Kind of row (RegistryModel.snapshot_unit) → the path to it from the model.
    paths: Mapping[str, str]
    #: Called with the definitions of all operations after some were replaced.
    retain: Callable[[Iterable[Definition]], None]


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
        #: True if others have ``_values``: then it is copied before the next change.
        self._is_published = False

    # What the kinds differ in.

    @abstractmethod
    def rows(self) -> QuerySet[Any, Any]:
        """Return the rows that are in a snapshot, as tuples that begin with the id."""

    def prepared(self, row: tuple[Any, ...]) -> tuple[Hashable, Any]:
        """Return a row's place and value, where rows are prepared one by one. Raises ValueError or OverflowError."""
        raise NotImplementedError

    def fingerprints(self, ids: Collection[int]) -> dict[int, int]:
        """Return the fingerprints of those rows that are in a snapshot."""
        return {row[0]: hash(row) for row in self.rows().filter(among("pk", ids))}

    def read(self, ids: Collection[int]) -> Iterator[Prepared]:
        """Yield those of the rows that are in a snapshot, prepared."""
        for row in self.rows().filter(among("pk", ids)):
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

    def refresh(self, ids: Collection[int]) -> None:
        """Read and prepare rows again."""
        gone = set(ids)
        for row in self.read(ids):
            self._put(row)
            gone.discard(row.id)
        for id in gone:
            self._drop(id)

    def publish(self) -> dict[Any, Any]:
        """Return the dict as it is now, which is not changed any more."""
        self._is_published = True
        return self._values

    def _changeable(self) -> dict[Hashable, Any]:
        """Return the dict for a change."""
        if self._is_published:
            self._values, self._is_published = self._values.copy(), False
        return self._values

    def _put(self, row: Prepared) -> None:
        place, _fingerprint = self._held.get(row.id, (None, 0))
        if place is not None and (place != row.place or row.value is None):
            self._vacate(place, row.id)
        self._held[row.id] = (row.place, row.fingerprint)
        if row.value is not None:
            self._changeable()[row.place] = row.value

    def _drop(self, id: int) -> None:
        place, _fingerprint = self._held.pop(id, (None, 0))
        if place is not None:
            self._vacate(place, id)

    def _vacate(self, place: Hashable, id: int) -> None:
        """Empty a place, unless another row has it by now."""
        value = self._values.get(place)
        if value is not None and value.id == id:
            del self._changeable()[place]


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
                "application__certificate_required", "application__agency_id", "application__signing_required",
                "application__row_limit", "application__subject_limit", "expires_at", "networks", "operation_id",
                "in_path", "secret", "slow_seconds", "slowed_until", "wrapped",
            )
        )  # fmt: skip

    def prepared(self, row: tuple[Any, ...]) -> tuple[Hashable, Key]:
        id, digest, public, *owner, expires_at, networks, operation_id, in_path, secret = row[:-3]
        slow_seconds, slowed_until, wrapped = row[-3:]
        if isinstance(secret, Sealed):
            raise ValueError("no key opens the secret")
        return public if secret else digest, Key(
            id=id,
            public=public,
            application=self._application(*owner),
            expires_at=expires_at.timestamp() if expires_at else _ENDLESS,
            networks=_networks(networks),
            operation_id=operation_id,
            in_path=in_path,
            secret=secret.encode(),
            slow_seconds=slow_seconds if slowed_until else 0,
            slowed_until=slowed_until.timestamp() if slowed_until else 0.0,
            wrapped=wrapped,
        )

    def _application(self, id: int, *values: Any) -> Application:
        """Return an application: one for all of its keys."""
        agency, code, certificate_required, agency_id, signing_required, row_limit, subject_limit = values
        limits = _periods(row_limit), _periods(subject_limit)
        new = Application(id, agency, code, certificate_required, agency_id, signing_required, *limits)
        if self._applications.get(id) != new:
            self._applications[id] = new
        return self._applications[id]


class Certificates(Part):
    kind = "certificate"

    def rows(self) -> QuerySet[Any, Any]:
        rows = models.ClientCertificate.objects.filter(revoked_at=None).order_by()
        return rows.values_list("id", "application_id", "thumbprint", "not_after")

    def prepared(self, row: tuple[Any, ...]) -> tuple[Hashable, ClientCertificate]:
        id, application_id, thumbprint, not_after = row
        return (application_id, thumbprint), ClientCertificate(id, not_after.timestamp())


class RevokedTokens(Part):
    kind = "revoked-token"

    def rows(self) -> QuerySet[Any, Any]:
        return models.RevokedToken.objects.order_by().values_list("id", "token")

    def prepared(self, row: tuple[Any, ...]) -> tuple[Hashable, RevokedToken]:
        return row[1], RevokedToken(row[0])


class Grants(Part):
    kind = "grant"

    def rows(self) -> QuerySet[Any, Any]:
        return (
            models.Grant.objects.filter(state=models.Grant.State.APPROVED)
            .order_by()
            .values_list(
                "id", "application_id", "operation_id", "valid_from", "valid_until", "networks", "fields", "quota",
                "row_limit", "subject_limit", "masks", "values", "legal_basis",
            )
        )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        #: Each application's id once, for all of its grants.
        self._applications: dict[int, int] = {}

    def prepared(self, row: tuple[Any, ...]) -> tuple[Hashable, Grant]:
        id, application_id, operation_id, valid_from, valid_until, networks, fields, quota, *more = row
        row_limit, subject_limit, masks, values, legal_basis = more
        return (self._applications.setdefault(application_id, application_id), operation_id), Grant(
            id=id,
            valid_from=_midnight(valid_from) if valid_from else _BEGINNINGLESS,
            valid_until=_after(valid_until),
            networks=_networks(networks),
            fields=_names(fields),
            quota=intern(quota),
            row_limits=_periods(row_limit),
            subject_limits=_periods(subject_limit),
            masks=_masks(masks),
            values=_values(values),
            lawful=bool(legal_basis.strip()),
        )


#: One object each for the rows of a large registry that have the same.
_ENDLESS, _BEGINNINGLESS = float("inf"), float("-inf")


@lru_cache(maxsize=4096)
def _periods(text: str) -> Periods:
    return models.periods(text)


def application_of(row: models.Application) -> Application:
    """Return an application as a snapshot has it, for calls that the bus makes in its name."""
    # What its own callers must show is nothing that the bus has.
    return Application(
        row.pk, row.agency.code, row.code, agency_id=row.agency_id,
        row_limits=_periods(row.row_limit), subject_limits=_periods(row.subject_limit),
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _networks(text: str) -> tuple[Network, ...]:
    return tuple(models.networks(text))


@lru_cache(maxsize=4096)
def _names(text: str) -> frozenset[str]:
    return frozenset(intern(name) for name in models.names(text))


@lru_cache(maxsize=4096)
def _masks(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((intern(name), intern(kind)) for name, kind in models.pairs(text).items())


@lru_cache(maxsize=4096)
def _values(text: str) -> Mapping[str, str]:
    return MappingProxyType(models.pairs(text))


@lru_cache(maxsize=4096)
def _after(day: date | None) -> float:
    """Return the end of a last day. 9999-12-31, which people write for "unlimited", has no end, as has None."""
    return _ENDLESS if day is None or day == date.max else _midnight(day + timedelta(days=1))


@lru_cache(maxsize=4096)
def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=timezone.get_default_timezone()).timestamp()


@dataclass(slots=True)
class _Stored:
    """The rows of an operation as the database has them."""

    row: Row
    parameters: tuple[Row, ...]
    fields: tuple[Row, ...]
    #: From its planner.
    planned: Row

    @property
    def fingerprint(self) -> int:
        return hash((self.row, self.parameters, self.fields, self.planned))


class Operations(Part):
    """Operations with their parameters, fields and plans. A draft is in no snapshot: only its author may run it."""

    kind = "operation"
    batch = 100
    #: The plans of so many operations that change at once are built at once, so that no call waits for them and errors
    #: are logged. Of more, only those are that were in use.
    few: ClassVar[int] = 50

    def __init__(self, drafts: bool = False) -> None:
        super().__init__()
        self._drafts = drafts

    def rows(self) -> QuerySet[Any, Any]:
        rows = models.Operation.objects.order_by()
        if not self._drafts:
            # A draft beside a published operation has its address: it must not get there, whatever its state.
            rows = rows.listed().exclude(state=models.Operation.State.DRAFT)
        return rows.values_list("id", *columns(models.Operation), *_ADDRESS)

    def fingerprints(self, ids: Collection[int]) -> dict[int, int]:
        return {pk: stored.fingerprint for pk, stored in self._stored(ids).items()}

    def read(self, ids: Collection[int]) -> Iterator[Prepared]:
        rows = self._stored(ids)
        definitions = _definitions(rows)
        for pk, stored in rows.items():
            value = _operation(stored, definitions.get(pk))
            yield Prepared(pk, value.fingerprint, _place(value), value)

    def refresh(self, ids: Collection[int]) -> None:
        before = self._values
        super().refresh(ids)
        for place in {self._held[id][0] for id in self._held.keys() & set(ids)}:
            value, used = self._values[place], before.get(place)
            if len(ids) <= self.few or (used is not None and used.lazy_plan.is_built):
                value.lazy_plan.of(value)

    def _stored(self, ids: Collection[int]) -> dict[int, _Stored]:
        """Return those of the operations that are in a snapshot, as the database has them."""
        rows = {row[0]: shared(row[1:]) for row in self.rows().filter(among("pk", ids))}
        parameters, fields = _children(models.Parameter, rows), _children(models.Field, rows)
        planned: dict[int, Row] = {}
        for kind, planner in PLANNERS.items():
            planned |= planner.rows([pk for pk, row in rows.items() if row[_KIND] == kind])
        return {
            pk: _Stored(row, parameters.get(pk, ()), fields.get(pk, ()), planned.get(pk, ()))
            for pk, row in rows.items()
        }

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


_COLUMNS = names(models.Operation)
_KIND = _COLUMNS.index("kind")
#: What makes the address of an operation, beside its own names.
_ADDRESS = (
    "service__code", "service__legacy_name", "service__agency__code", "service__agency__legacy_name",
    "service__agency_id",
)  # fmt: skip


def _children(model: type[RegistryModel], ids: Collection[int]) -> dict[int, tuple[Row, ...]]:
    """Return the parameters or fields of operations in their order."""
    rows = model.objects.filter(among("operation_id", ids)).order_by("operation_id", "position", "id")
    return by_owner(rows.values_list("operation_id", *columns(model)))


def _definitions(rows: Mapping[int, _Stored]) -> dict[int, Definition | None]:
    """Return what the plans are built from, as the package of each kind does it."""
    found: dict[int, Definition | None] = {}
    for kind, planner in PLANNERS.items():
        found.update(planner.define({pk: each.planned for pk, each in rows.items() if each.row[_KIND] == kind}))
    return found


def _operation(stored: _Stored, definition: Definition | None) -> Operation:
    row = dict(zip(_COLUMNS, stored.row, strict=False))
    service, legacy_service, agency, legacy_agency, agency_id = stored.row[len(_COLUMNS) :]
    parameters, valid = _parameters(stored.parameters)
    place = _lower(agency), _lower(service), _lower(row["code"])
    legacy = (
        _lower(legacy_agency or agency),
        _lower(legacy_service or service),
        _lower(row["legacy_name"] or row["code"]),
    )
    by_name = {parameter.lower: parameter for parameter in parameters}
    by_legacy_name = _by_legacy_name(parameters)
    fields = tuple(_field(*map(field.__getitem__, _FIELD)) for field in stored.fields)
    return Operation(
        id=row["id"],
        kind=row["kind"],
        agency=agency,
        service=service,
        code=row["code"],
        title=row["title"],
        description=row["description"],
        open=row["access"] == models.Operation.Access.OPEN,
        state=row["state"],
        sunset=row["sunset"],
        cache_seconds=row["cache_seconds"],
        revision=row["revision"],
        parameters=parameters,
        by_name=by_name,
        by_legacy_name=by_name if by_legacy_name == by_name else by_legacy_name,
        legacy_address=place if legacy == place else legacy,
        fields=fields,
        lazy_plan=LazyPlan(definition if valid else None),
        fingerprint=stored.fingerprint,
        hidden=row["listing"] == models.Operation.Listing.HIDDEN,
        agency_id=agency_id,
        guard=row["guard"],
        guard_expected=_names(row["guard_expected"]),
        is_masked=any(field.mask for field in fields),
        is_hashed=any(field.mask == HASH for field in fields),
        draft_of=row["draft_of_id"] or 0,
        has_specific=any(field.classification == models.Field.Classification.SPECIFIC for field in fields),
        personal=_personal(fields),
        highest=highest(fields),
    )


@lru_cache(maxsize=4096)
def _personal(fields: tuple[Field, ...]) -> frozenset[str]:
    return frozenset(field.name for field in fields if field.classification in (PERSONAL, SPECIFIC))


def _lower(name: str) -> str:
    """Return the name in lower case: itself, if it is."""
    lower = name.lower()
    return name if lower == name else intern(lower)


def _place(operation: Operation) -> tuple[str, str, str]:
    own = _lower(operation.agency), _lower(operation.service), _lower(operation.code)
    return operation.legacy_address if operation.legacy_address == own else own


def _by_legacy_name(parameters: tuple[Parameter, ...]) -> dict[str, Parameter]:
    """Return the parameters by their names of 1.99x and by their own, which win."""
    named = [(parameter.legacy_name, parameter) for parameter in parameters if parameter.legacy_name]
    named += [(parameter.name, parameter) for parameter in parameters]
    return {parameter_key(name): parameter for name, parameter in named}


def _parameters(rows: Iterable[Row]) -> tuple[tuple[Parameter, ...], bool]:
    """Return the valid ones of an operation's parameters, and True if all of them are."""
    parameters, valid = [], True
    for row in rows:
        values = dict(zip(_PARAMETER, row, strict=True))
        try:
            parameters.append(_parameter(*map(values.__getitem__, _DECLARED)))
        except (ValueError, KeyError, re.error):
            log.error("parameter %s of operation %s is invalid", values["id"], values["operation_id"])
            valid = False
    return tuple(parameters), valid


_PARAMETER = names(models.Parameter)
#: The columns in which parameters of two operations may be equal.
_DECLARED = tuple(name for name in _PARAMETER if name not in ("id", "operation_id", "position"))
_FIELD = tuple(map(names(models.Field).index, ("name", "type", "description", "classification", "mask")))
#: Operations of one agency often have the same parameters and fields: these are shared.
_field = lru_cache(maxsize=4096)(Field)


@lru_cache(maxsize=4096)
def _parameter(*values: Any) -> Parameter:
    row = dict(zip(_DECLARED, values, strict=True))
    parser = parser_of(row["type"], row["pattern"], row["min"], row["max"], row["choices"])
    return Parameter(
        name=row["name"],
        lower=_lower(row["name"]),
        legacy_name=row["legacy_name"],
        type=row["type"],
        required=row["required"],
        default=parser(row["default"]) if row["default"] else None,
        parse=parser,
        subject=row["subject"],
        description=row["description"],
    )


def operation(pk: int) -> Operation | None:
    """Return an operation as its rows are now, drafts too, for its author to try; None if there is none."""
    return next((row.value for row in Operations(drafts=True).read([pk])), None)
