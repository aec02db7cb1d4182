"""Plans: proxy operations as the snapshot has them."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Length

from proxyservices import endpoints
from proxyservices.descriptions import documents
from proxyservices.descriptions.documents import StoredDescription
from proxyservices.endpoints import endpoint_of, source_of
from proxyservices.forwarding.records import parse_path
from proxyservices.headers import NEVER_RETURNED, NGINX_PREFIXES
from proxyservices.models import (
    Backend,
    BackendServer,
    ParameterMapping,
    ProxyOperation,
    ServiceDescription,
    header_names,
)
from proxyservices.models.operations import DESCRIBED_STYLES
from proxyservices.styles import base, style_of
from proxyservices.styles.soap import Soap
from proxyservices.transport.client import Limits
from proxyservices.transport.endpoint import Endpoint
from registry.bulkhead import Bulkhead, bulkhead_for
from registry.models import Field, Parameter, RegistryModel
from registry.snapshot.fingerprints import columns
from registry.snapshot.parts import Planner

log = logging.getLogger("mantra.proxyservices")

_WORD = re.compile(r"[A-Za-z -]{1,40}")


@dataclass(slots=True)
class Plan:
    """A proxy operation, prepared for calls."""

    id: int
    style: base.Style
    endpoints: tuple[Endpoint, ...]
    limits: Limits
    retries: int
    bulkhead: Bulkhead
    #: The limit on the calls in progress of all operations of the backend; None: no limit.
    backend_bulkhead: Bulkhead | None
    methods: tuple[str, ...]
    #: True if requests go to the upstream unchanged.
    pass_through: bool
    #: The operation's path after each endpoint's own, without a query.
    base_path: str
    forward_credentials: bool
    #: Names, in lower case, of response headers that go back to callers of a pass-through operation.
    returned_headers: frozenset[str]
    cache_seconds: int
    stale_if_error_seconds: int
    #: The type of each declared field by its name; empty if the provider declares none.
    declared: dict[str, str] = field(default_factory=dict)
    page_size: int = 0
    #: The names that lead to a document's records; None if the publisher does not state them.
    records_path: tuple[str, ...] | None = None
    #: The upstream's own description, if one is stored.
    description: StoredDescription | None = None
    #: What the record of a call says of its backend: "backend", its id and its code.
    origin: tuple[str, int, str] | None = None
    #: Differs if the responses may be another upstream's: the servers, or the credential, have changed.
    source: int = 0

    @property
    def traced(self) -> tuple[str, dict[str, str]]:
        """The name of a run in a trace, and its attributes."""
        backend = {"mantra.backend": self.origin[2]} if self.origin is not None else {}
        return "upstream", {"mantra.style": type(self.style).__name__, **backend}


def plan_of(operation: ProxyOperation, mappings: Sequence[ParameterMapping] | None = None) -> Plan:
    """Return an operation's plan by its current rows, or with these mappings instead. Raises ValueError."""
    if mappings is None:
        mappings = list(ParameterMapping.objects.filter(operation=operation).order_by("position", "id"))
    plan = _build(
        operation,
        mappings,
        list(Parameter.objects.filter(operation=operation).order_by("position", "id").values_list("name", flat=True)),
    )
    rows = _servers([operation.backend_id]).get(operation.backend_id, [])
    _give_servers(plan, [(row, endpoint_of(row, operation.style)) for row in rows], operation.backend)
    if operation.style in DESCRIBED_STYLES:
        _describe(plan, list(ServiceDescription.objects.filter(operation=operation)), [row.url for row in rows])
    plan.declared = dict(
        Field.objects.filter(operation=operation).order_by("position", "id").values_list("name", "type")
    )
    return plan


def _give_servers(plan: Plan, servers: Sequence[tuple[BackendServer, Endpoint]], backend: Backend | None) -> None:
    """Give a plan its endpoints, and the bulkhead that it shares with the backend's other operations."""
    plan.endpoints = tuple(endpoint for _row, endpoint in servers)
    plan.source = hash(tuple(source_of(row) for row, _endpoint in servers))
    if backend is None:
        return
    plan.origin = "backend", backend.pk, backend.code
    if backend.max_concurrent_calls:
        plan.backend_bulkhead = bulkhead_for(("backend", backend.pk), backend.max_concurrent_calls)


def _describe(plan: Plan, descriptions: Sequence[ServiceDescription], urls: Sequence[str]) -> None:
    """Give a plan the stored description, or the address of one."""
    plan.description = documents.stored_description(descriptions)
    if isinstance(plan.style, Soap):
        plan.style.description = plan.description
        plan.style.wsdl_url = endpoints.description_url(urls[0]) if urls else ""


def _build(operation: ProxyOperation, mappings: Sequence[ParameterMapping], parameters: Sequence[str]) -> Plan:
    style = style_of(operation, mappings, parameters)
    limits = Limits(
        connect=operation.connect_timeout_ms / 1000,
        read=operation.read_timeout_ms / 1000,
        total=operation.timeout_ms / 1000,
        max_body_bytes=operation.max_body_bytes,
    )
    returned = {name.lower() for name in header_names(operation.returned_response_headers)} - NEVER_RETURNED
    returned = {name for name in returned if not name.startswith(NGINX_PREFIXES)}
    if not operation.forward_credentials:
        returned.discard("set-cookie")
    return Plan(
        id=operation.pk or 0,
        style=style,
        endpoints=(),
        limits=limits,
        retries=operation.retries,
        bulkhead=bulkhead_for(operation.pk or 0, operation.max_concurrent_calls),
        backend_bulkhead=None,
        methods=style.methods,
        pass_through=style.pass_through,
        base_path=base.quoted_path(operation.path).partition("?")[0].rstrip("/"),
        forward_credentials=operation.forward_credentials,
        returned_headers=frozenset(returned),
        cache_seconds=operation.cache_seconds,
        stale_if_error_seconds=operation.stale_if_error_seconds,
        records_path=parse_path(operation.records_path),
    )


def prepare(ids: Collection[int]) -> Iterator[tuple[int, Plan | None]]:
    """Yield the plans of proxy operations by their ids; None for those that cannot be built or have no endpoint."""
    operations = ProxyOperation.objects.in_bulk(list(ids))
    servers = _Servers(operations.values())
    mappings: dict[int, list[ParameterMapping]] = {}
    for mapping in _of(ParameterMapping, ids, "position", "id"):
        mappings.setdefault(mapping.operation_id, []).append(mapping)
    parameters: dict[int, list[str]] = {}
    for pk, name in _of(Parameter, ids, "position", "id").values_list("operation_id", "name"):
        parameters.setdefault(pk, []).append(name)
    declared: dict[int, dict[str, str]] = {}
    for pk, name, kind in _of(Field, ids, "position", "id").values_list("operation_id", "name", "type"):
        declared.setdefault(pk, {})[name] = kind
    descriptions: dict[int, list[ServiceDescription]] = {}
    for description in _of(ServiceDescription, ids, "-main", "id"):
        descriptions.setdefault(description.operation_id, []).append(description)
    for pk, operation in operations.items():
        plan = None
        try:
            if usable := servers.of(operation):
                plan = _build(operation, mappings.get(pk, ()), parameters.get(pk, ()))
                _give_servers(plan, usable, usable[0][0].backend)
                plan.declared = declared.get(pk, {})
                if operation.style in DESCRIBED_STYLES:
                    _describe(plan, descriptions.get(pk, ()), [row.url for row, _endpoint in usable])
        except Exception as error:  # an invalid definition must not affect the others
            plan = None
            log.error("proxy operation %s cannot be prepared: %s", pk, _word(error))
        yield pk, plan


def _of(model: type[RegistryModel], ids: Collection[int], *order: str) -> QuerySet[Any, Any]:
    """Return the rows of these operations, each operation's in order."""
    return model.objects.filter(Q(operation__in=ids)).order_by("operation_id", *order)


def rows(ids: Collection[int]) -> Iterator[Iterable[tuple[Any, ...]]]:
    """Yield the rows that the plans of these operations are made of, beside the operations' own."""
    yield ProxyOperation.objects.filter(pk__in=ids).order_by().values_list("pk", *columns(ProxyOperation))
    of_backend = Backend.objects.filter(operations__in=ids).order_by("operations")
    yield of_backend.values_list("operations", *columns(Backend))
    of_servers = BackendServer.objects.filter(backend__operations__in=ids).order_by("backend__operations", "id")
    yield of_servers.values_list("backend__operations", *columns(BackendServer))
    yield _of(ParameterMapping, ids, "id").values_list("operation_id", *columns(ParameterMapping))
    # A stored document may be long, and is only replaced as a whole.
    documents = columns(ServiceDescription, without=frozenset({"content"}))
    yield _of(ServiceDescription, ids, "id").values_list("operation_id", *documents, Length("content"))


PLANNER = Planner(
    model=ProxyOperation, prepare=prepare, rows=rows, paths={"backend": "backend"}, retain=lambda _plans: None
)


def _word(error: Exception) -> str:
    """Return the error in one of the bus's words: other texts may quote a secret."""
    return str(error) if isinstance(error, ValueError) and _WORD.fullmatch(str(error)) else type(error).__name__


def _servers(backends: Iterable[int | None]) -> dict[int | None, list[BackendServer]]:
    """Return the servers in use of each backend in the order of their priorities."""
    found: dict[int | None, list[BackendServer]] = {}
    rows = BackendServer.objects.filter(backend__in=set(backends) - {None}, active=True).select_related("backend")
    for row in rows.order_by("priority", "id"):
        found.setdefault(row.backend_id, []).append(row)
    return found


class _Servers:
    """The servers of some operations. Those of one backend and style have the same endpoints."""

    def __init__(self, operations: Iterable[ProxyOperation]) -> None:
        self._rows = _servers(operation.backend_id for operation in operations)
        self._usable: dict[tuple[int | None, str], list[tuple[BackendServer, Endpoint]]] = {}

    def of(self, operation: ProxyOperation) -> list[tuple[BackendServer, Endpoint]]:
        """Return an operation's servers. An unusable one is omitted and logged; the others remain."""
        key = operation.backend_id, operation.style
        if key not in self._usable:
            rows = self._rows.get(operation.backend_id, ())
            pairs = ((row, _endpoint(row, operation.style)) for row in rows)
            self._usable[key] = [(row, endpoint) for row, endpoint in pairs if endpoint is not None]
        return self._usable[key]


def _endpoint(row: BackendServer, style: str) -> Endpoint | None:
    try:
        return endpoint_of(row, style)
    except Exception as error:  # nor must an invalid address affect others
        log.error("server %s cannot be used: %s", row.pk, _word(error))
        return None
