"""Reads the registry's tables into a snapshot."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta

from django.db import transaction
from django.utils import timezone

from registry import models
from registry.parameter_values import Reader
from registry.snapshot.types import Application, Field, Grant, Key, Operation, Parameter, Plan, Service, Snapshot

log = logging.getLogger("mantra.registry")


#: kind → a function from the ids of that kind's operations to their plans. A room registers its own
#: when its app is ready. An operation that cannot be prepared is left out, never in others' way.
PREPARERS: dict[str, Callable[[Iterable[int]], Mapping[int, Plan]]] = {}


def _version() -> int:
    found = models.SnapshotVersion.objects.filter(pk=1).values_list("version", flat=True).first()
    return found or 0


def _after(day: date | None) -> float:
    """The end of a last day; the calendar's own last day, which people write for "for ever", has none."""
    return float("inf") if day is None or day == date.max else _midnight(day + timedelta(days=1))


def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=timezone.get_default_timezone()).timestamp()


def _parameters(broken: set[int]) -> dict[int, list[Parameter]]:
    """The parameters of each operation; operations with one that cannot be read go into ``broken``."""
    found: dict[int, list[Parameter]] = {}
    for row in models.Parameter.objects.order_by("operation_id", "position", "id"):
        try:
            read = Reader.of(row)
            default = read(row.default) if row.default else None
        except (ValueError, KeyError, re.error):
            log.error("parameter %s of operation %s cannot be read", row.pk, row.operation_id)
            broken.add(row.operation_id)
            continue
        found.setdefault(row.operation_id, []).append(
            Parameter(
                name=row.name,
                lower=row.name.lower(),
                type=row.type,
                required=row.required,
                default=default,
                read=read,
                subject=row.subject,
                description=row.description,
            )
        )
    return found


def _operations() -> dict[tuple[str, str, str], Operation]:
    broken: set[int] = set()
    parameters = _parameters(broken)
    fields: dict[int, list[Field]] = {}
    for column in models.Field.objects.order_by("operation_id", "position", "id"):
        fields.setdefault(column.operation_id, []).append(
            Field(column.name, column.type, column.description, column.classification)
        )
    rows = list(models.Operation.objects.select_related("service__agency"))
    plans: dict[int, Plan] = {}
    for kind, prepare in PREPARERS.items():
        plans.update(prepare([row.pk for row in rows if row.kind == kind]))
    found = {}
    for row in rows:
        own = tuple(parameters.get(row.pk, ()))
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
            parameters=own,
            by_name={parameter.lower: parameter for parameter in own},
            fields=tuple(fields.get(row.pk, ())),
            plan=None if row.pk in broken else plans.get(row.pk),
        )
        found[operation.agency.lower(), operation.service.lower(), operation.code.lower()] = operation
    return found


def _keys() -> dict[str, Key]:
    applications: dict[int, Application] = {}
    found = {}
    live = models.AccessKey.objects.filter(revoked_at=None, application__active=True)
    for row in live.select_related("application__agency"):
        owner = row.application
        application = applications.setdefault(owner.pk, Application(owner.pk, owner.agency.code, owner.code))
        with _left_out("key", row.pk):
            found[row.digest] = Key(
                id=row.pk,
                public=row.public,
                application=application,
                expires=row.expires_at.timestamp() if row.expires_at else float("inf"),
                networks=tuple(models.networks(row.networks)),
                operation_id=row.operation_id,
                in_path=row.in_path,
            )
    return found


def _grants() -> dict[tuple[int, int], Grant]:
    found = {}
    for row in models.Grant.objects.filter(state=models.Grant.State.APPROVED):
        with _left_out("grant", row.pk):
            found[row.application_id, row.operation_id] = Grant(
                id=row.pk,
                begins=_midnight(row.valid_from) if row.valid_from else float("-inf"),
                ends=_after(row.valid_until),
                networks=tuple(models.networks(row.networks)),
                fields=frozenset(models.names(row.fields)),
                quota=row.quota,
            )
    return found


@contextmanager
def _left_out(noun: str, pk: int) -> Iterator[None]:
    """A row that cannot be read opens nothing, and must not keep all the others' changes from coming into force."""
    try:
        yield
    except (ValueError, OverflowError):
        log.error("%s %s cannot be read: it opens nothing", noun, pk)


def take() -> Snapshot:
    """Read the whole book. Raises what the database raises."""
    with transaction.atomic():
        # The version comes first: a change that lands while we read makes us read again.
        version = _version()
        services = models.Service.objects.values_list("agency__code", "code", "title", "description")
        return Snapshot(
            version=version,
            operations=_operations(),
            keys=_keys(),
            grants=_grants(),
            services={(row[0].lower(), row[1].lower()): Service(*row) for row in services},
        )
