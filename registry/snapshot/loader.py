"""Loads the registry's tables into a snapshot."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta

from django.db import transaction
from django.utils import timezone

from registry import models
from registry.legacy_names import parameter_key
from registry.parameter_values import ParameterParser
from registry.snapshot.types import Application, Field, Grant, Key, Operation, Parameter, Plan, Service, Snapshot

log = logging.getLogger("mantra.registry")

#: Kind → function from the ids of that kind's operations to their plans. Each package registers its own function when
#: its app is ready. The function omits operations that cannot be prepared: they must not affect others.
PLANNERS: dict[str, Callable[[Iterable[int]], Mapping[int, Plan]]] = {}


def current_version() -> int:
    """Return the version of the registry in the database, 0 if nothing was ever changed."""
    version = models.SnapshotVersion.objects.filter(pk=1).values_list("version", flat=True).first()
    return version or 0


def _after(day: date | None) -> float:
    """Return the end of a last day. 9999-12-31, which people write for "unlimited", has no end, as has None."""
    return float("inf") if day is None or day == date.max else _midnight(day + timedelta(days=1))


def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=timezone.get_default_timezone()).timestamp()


def _parameters(broken: set[int]) -> dict[int, list[Parameter]]:
    """Return the parameters of each operation. Operations with an invalid one are added to ``broken``."""
    parameters: dict[int, list[Parameter]] = {}
    for row in models.Parameter.objects.order_by("operation_id", "position", "id"):
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


def _by_legacy_name(parameters: tuple[Parameter, ...]) -> dict[str, Parameter]:
    """Return the parameters by their names of 1.99x and by their own, which win."""
    named = [(parameter.legacy_name, parameter) for parameter in parameters if parameter.legacy_name]
    named += [(parameter.name, parameter) for parameter in parameters]
    return {parameter_key(name): parameter for name, parameter in named}


def _operations() -> tuple[dict[tuple[str, str, str], Operation], dict[tuple[str, str, str], Operation]]:
    """Return the operations by alias, and those with an address of 1.99x by that, both in lower case."""
    broken: set[int] = set()
    parameters = _parameters(broken)
    fields: dict[int, list[Field]] = {}
    for column in models.Field.objects.order_by("operation_id", "position", "id"):
        fields.setdefault(column.operation_id, []).append(
            Field(column.name, column.type, column.description, column.classification)
        )
    rows = list(models.Operation.objects.select_related("service__agency"))
    plans: dict[int, Plan] = {}
    for kind, prepare in PLANNERS.items():
        plans.update(prepare([row.pk for row in rows if row.kind == kind]))
    operations = {}
    legacy_operations = {}
    for row in rows:
        own_parameters = tuple(parameters.get(row.pk, ()))
        operation = Operation(
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
            fields=tuple(fields.get(row.pk, ())),
            plan=None if row.pk in broken else plans.get(row.pk),
        )
        operations[operation.agency.lower(), operation.service.lower(), operation.code.lower()] = operation
        legacy_operations[_legacy_address(row)] = operation
    return operations, {names: operation for names, operation in legacy_operations.items() if names not in operations}


def _legacy_address(row: models.Operation) -> tuple[str, str, str]:
    """Return agency, service and operation as 1.99x named them, in lower case."""
    agency, service, code = (part.legacy_name or part.code for part in (row.service.agency, row.service, row))
    return agency.lower(), service.lower(), code.lower()


def _keys() -> dict[str, Key]:
    applications: dict[int, Application] = {}
    keys = {}
    active = models.AccessKey.objects.filter(revoked_at=None, application__active=True)
    for row in active.select_related("application__agency"):
        owner = row.application
        application = applications.setdefault(owner.pk, Application(owner.pk, owner.agency.code, owner.code))
        with _skip_broken("key", row.pk):
            keys[row.digest] = Key(
                id=row.pk,
                public=row.public,
                application=application,
                expires_at=row.expires_at.timestamp() if row.expires_at else float("inf"),
                networks=tuple(models.networks(row.networks)),
                operation_id=row.operation_id,
                in_path=row.in_path,
            )
    return keys


def _grants() -> dict[tuple[int, int], Grant]:
    grants = {}
    for row in models.Grant.objects.filter(state=models.Grant.State.APPROVED):
        with _skip_broken("grant", row.pk):
            grants[row.application_id, row.operation_id] = Grant(
                id=row.pk,
                valid_from=_midnight(row.valid_from) if row.valid_from else float("-inf"),
                valid_until=_after(row.valid_until),
                networks=tuple(models.networks(row.networks)),
                fields=frozenset(models.names(row.fields)),
                quota=row.quota,
            )
    return grants


@contextmanager
def _skip_broken(noun: str, pk: int) -> Iterator[None]:
    """Skip a row that is invalid: it grants nothing, and must not prevent the changes of other rows."""
    try:
        yield
    except (ValueError, OverflowError):
        log.error("%s %s is invalid and ignored", noun, pk)


def load() -> Snapshot:
    """Load the whole registry. Raises errors of the database."""
    with transaction.atomic():
        # The version is read first: a change during loading causes another loading.
        version = current_version()
        services = models.Service.objects.values_list("agency__code", "code", "title", "description")
        operations, legacy_operations = _operations()
        return Snapshot(
            version=version,
            operations=operations,
            keys=_keys(),
            grants=_grants(),
            services={(row[0].lower(), row[1].lower()): Service(*row) for row in services},
            legacy_operations=legacy_operations,
            legacy_services=frozenset(names[:2] for names in legacy_operations),
        )
