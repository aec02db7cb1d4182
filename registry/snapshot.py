"""The picture of the book that admission reads: immutable, in memory, swapped whole.

A worker polls one version row and takes a new picture when it has moved. What a kind of operation
needs to run is prepared by its own room (``PREPARERS``), so that this one need not know of it.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone

from registry import models, secrets
from registry.values import Reader

log = logging.getLogger("mantra.snapshot")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Plan(Protocol):
    """What a kind's runner needs, and the little that the gateway asks of it."""

    @property
    def methods(self) -> tuple[str, ...]: ...

    @property
    def page_size(self) -> int: ...

    @property
    def passes(self) -> bool:
        """Whether requests are handed on as they come: then no parameters are read."""
        ...


#: kind → a function from the ids of that kind's operations to their plans. A room registers its own
#: when its app is ready. An operation that cannot be prepared is left out, never in others' way.
PREPARERS: dict[str, Callable[[Iterable[int]], Mapping[int, Plan]]] = {}


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    lower: str
    type: str
    required: bool
    default: Any  # the value to bind, None when there is no default
    read: Reader
    subject: bool
    description: str


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: str
    description: str
    classification: str


@dataclass(frozen=True, slots=True)
class Operation:
    id: int
    kind: str
    agency: str
    service: str
    code: str
    title: str
    description: str
    open: bool
    state: str
    sunset: date | None
    cache_seconds: int
    revision: int
    parameters: tuple[Parameter, ...]
    by_name: dict[str, Parameter] = field(repr=False)
    fields: tuple[Field, ...]
    #: From PREPARERS; None when the definition cannot be run.
    plan: Plan | None = field(repr=False)

    @property
    def path(self) -> str:
        return f"{self.agency}/{self.service}/{self.code}"

    @property
    def legacy_name(self) -> str:
        """The name as the messages of the legacy wire write it."""
        return f"{self.agency}:{self.service}.{self.code}"


@dataclass(frozen=True, slots=True)
class Service:
    agency: str
    code: str
    title: str
    description: str


@dataclass(frozen=True, slots=True)
class Application:
    id: int
    agency: str
    code: str


@dataclass(frozen=True, slots=True)
class Key:
    id: int
    public: str
    application: Application
    expires: float  # seconds since the epoch; infinity for none
    networks: tuple[Network, ...]
    operation_id: int | None
    in_path: bool


@dataclass(frozen=True, slots=True)
class Grant:
    id: int
    begins: float
    ends: float
    networks: tuple[Network, ...]
    fields: frozenset[str]
    quota: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    version: int
    operations: dict[tuple[str, str, str], Operation]
    keys: dict[str, Key]
    grants: dict[tuple[int, int], Grant]
    #: By agency and code in small letters.
    services: dict[tuple[str, str], Service]
    #: What was written from this picture, such as WSDLs: kept as long as it is.
    written: OrderedDict[Any, bytes] = field(default_factory=OrderedDict, repr=False, compare=False)

    def operation(self, agency: str, service: str, code: str) -> Operation | None:
        return self.operations.get((agency.lower(), service.lower(), code.lower()))

    def key(self, plain: str) -> Key | None:
        for digest in secrets.key_digests(plain):
            found = self.keys.get(digest)
            if found is not None:
                return found
        return None


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


class _Holder:
    """The current picture and the thread that keeps it so."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.checked = 0.0
        self.thread: threading.Thread | None = None
        self.stopping = threading.Event()
        self.failing = False


_holder = _Holder()


def current() -> Snapshot | None:
    """The picture in force, or None while the first could not be taken yet."""
    return _holder.snapshot


def refresh() -> Snapshot:
    """Take a new picture if the version has moved, and put it in force."""
    held = _holder.snapshot
    if held is None or _version() != held.version:
        held = _holder.snapshot = take()
    _holder.checked = time.monotonic()
    return held


def age() -> float:
    """Seconds since the picture was last known to be the newest."""
    return time.monotonic() - _holder.checked


def start() -> None:
    """Keep the picture fresh in a thread of its own. One per process, started after the fork.

    With settings.SNAPSHOT_SECONDS = 0 nobody keeps it so but who calls refresh().
    """
    if settings.SNAPSHOT_SECONDS and (_holder.thread is None or not _holder.thread.is_alive()):
        _holder.stopping.clear()
        _try()  # at once, so that a fresh worker turns no call away
        _holder.thread = threading.Thread(target=_watch, name="snapshot", daemon=True)
        _holder.thread.start()


def stop() -> None:
    """End the thread; the picture stays."""
    _holder.stopping.set()
    if _holder.thread is not None:
        _holder.thread.join(timeout=5)
        _holder.thread = None


def _watch() -> None:
    while not _holder.stopping.wait(settings.SNAPSHOT_SECONDS):
        _try()
    connection.close()


def _try() -> None:
    """Refresh; while the database is away the last picture stays in force."""
    try:
        refresh()
        _holder.failing = False
    except Exception as error:  # the thread must outlive whatever a reload meets
        if not _holder.failing:
            log.error("the book could not be read (%s); the last picture stays in force", type(error).__name__)
        _holder.failing = True
        if isinstance(error, DatabaseError | InterfaceError):
            connection.close()
