"""Plans: proxy operations as the snapshot has them."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

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
from registry.field_rights import visible
from registry.models import Field, Parameter, RegistryModel
from registry.personal_data.masks import FieldRights, Sight
from registry.snapshot.fingerprints import Row, among, by_owner, columns, instance, names, shared
from registry.snapshot.parts import Planner
from registry.snapshot.types import Field as PreparedField
from registry.snapshot.types import Operation

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
    #: The same with their classifications and masks, and what callers with some rights see of them.
    fields: tuple[PreparedField, ...] = ()
    sights: dict[FieldRights, Sight] = field(default_factory=dict, repr=False)
    #: The names of the values of grants that requests have.
    grant_values: tuple[str, ...] = ()
    page_size: int = 0
    change_size: int = 0
    marks_deletions: bool = False
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

    def sight(self, rights: FieldRights) -> Sight:
        """Return what callers with these rights see of the fields. Raises Fault if that is nothing."""
        sight = self.sights.get(rights)
        if sight is None:
            if len(self.sights) > 256:
                self.sights.clear()
            sight = self.sights[rights] = visible(self.fields, rights)
        return sight


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
    if style.pass_through and any(each.grant_value for each in mappings):
        raise ValueError("value of the grant")
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
        grant_values=tuple(dict.fromkeys(each.grant_value for each in mappings if each.grant_value)),
    )


@dataclass(frozen=True, slots=True)
class _Definition:
    """A proxy operation's rows, and the servers that it shares with the others of its backend."""

    row: Row
    cache_seconds: int
    mappings: tuple[Row, ...]
    servers: _Servers
    descriptions: tuple[ServiceDescription, ...]

    def build(self, operation: Operation) -> Plan | None:
        """Return the plan; None, and log it, if it cannot be built."""
        try:
            return self._build(operation)
        except Exception as error:  # an invalid definition must not affect the others
            log.error("proxy operation %s cannot be prepared: %s", operation.id, _word(error))
            return None

    def _build(self, operation: Operation) -> Plan:
        row = instance(ProxyOperation, self.row, cache_seconds=self.cache_seconds)
        mappings = [instance(ParameterMapping, mapping) for mapping in self.mappings]
        plan = _build(row, mappings, [parameter.name for parameter in operation.parameters])
        _give_servers(plan, self.servers.pairs, self.servers.pairs[0][0].backend)
        plan.declared = {field.name: field.type for field in operation.fields}
        plan.fields = operation.fields
        if operation.open and plan.grant_values:
            raise ValueError("open")
        if row.style in DESCRIBED_STYLES:
            _describe(plan, self.descriptions, [server.url for server, _endpoint in self.servers.pairs])
        return plan


_NAMES = names(ProxyOperation)
_BACKEND_ID, _STYLE = _NAMES.index("backend_id"), _NAMES.index("style")
_ACTIVE = names(BackendServer).index("active")


def rows(ids: Collection[int]) -> dict[int, Row]:
    """Return the rows of proxy operations, each with what the plan is built from beside it.

    These are: how long a response is kept, the backend's row, those of its servers and of the mappings, and of the
    descriptions without their texts: such a text may be long, and is only replaced as a whole.
    """
    operations = ProxyOperation.objects.filter(among("pk", ids)).order_by()
    own = {row[1]: row for row in map(shared, operations.values_list("cache_seconds", *columns(ProxyOperation)))}
    used = {row[1 + _BACKEND_ID] for row in own.values()} - {None}
    backends = Backend.objects.filter(pk__in=used).order_by()
    by_id = {row[0]: shared(row) for row in backends.values_list(*columns(Backend))}
    servers = _tuples(BackendServer.objects.filter(Q(backend__in=used)).order_by("priority", "id"), "backend_id")
    mappings = _tuples(_of(ParameterMapping, own, "position", "id"))
    # The main document first.
    descriptions = _tuples(_of(ServiceDescription, own, "-main", "id"), "operation_id", Length("content"))
    found: dict[int, Row] = {}
    for pk, (seconds, *row) in own.items():
        backend = row[_BACKEND_ID]
        of_backend = by_id.get(backend), servers.get(backend, ())
        found[pk] = (seconds, tuple(row), *of_backend, mappings.get(pk, ()), descriptions.get(pk, ()))
    return found


def _tuples(rows: QuerySet[Any, Any], owner: str = "operation_id", *more: Any) -> dict[int, tuple[Row, ...]]:
    """Return rows by their owner, in their order."""
    return by_owner(rows.values_list(owner, *columns(rows.model, without=frozenset({"content"})), *more))


def define(rows: Mapping[int, Row]) -> Iterator[tuple[int, _Definition | None]]:
    """Yield the definitions of proxy operations by their ids; None for those that have no usable server."""
    described = [pk for pk, planned in rows.items() if planned[5] and planned[1][_STYLE] in DESCRIBED_STYLES]
    descriptions: dict[int, list[ServiceDescription]] = {}
    for description in _of(ServiceDescription, described, "-main", "id") if described else ():
        descriptions.setdefault(description.operation_id, []).append(description)
    for pk, (seconds, row, backend, servers, mappings, _descriptions) in rows.items():
        shared_servers = _servers_of(backend, servers, row[_STYLE]) if backend is not None else None
        if shared_servers is None or not shared_servers.pairs:
            yield pk, None
        else:
            yield pk, _Definition(row, seconds, mappings, shared_servers, tuple(descriptions.get(pk, ())))


def _of(model: type[RegistryModel], ids: Collection[int], *order: str) -> QuerySet[Any, Any]:
    """Return the rows of these operations, each operation's in order."""
    return model.objects.filter(among("operation", ids)).order_by("operation_id", *order)


def pass_through_servers(operation: Operation) -> tuple[int, tuple[Endpoint, ...]]:
    """Return the backend of a pass-through operation and its endpoints, without building its plan; none of others."""
    definition = operation.lazy_plan.definition
    if not isinstance(definition, _Definition) or definition.row[_STYLE] != ProxyOperation.Style.PASS_THROUGH:
        return 0, ()
    pairs = definition.servers.pairs
    return pairs[0][0].backend_id or 0, tuple(endpoint for _server, endpoint in pairs)


PLANNER = Planner(
    model=ProxyOperation, rows=rows, define=define, paths={"backend": "backend"}, retain=lambda _definitions: None
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
    """The servers of a backend that can be used, with their endpoints: one for all operations of a style."""

    __slots__ = ("__weakref__", "pairs")

    def __init__(self, pairs: Iterable[tuple[BackendServer, Endpoint]]) -> None:
        self.pairs = tuple(pairs)


#: By the rows that they were made of, and the style, while an operation uses them.
_known_servers: WeakValueDictionary[Row, _Servers] = WeakValueDictionary()


def _servers_of(backend: Row, servers: Row, style: str) -> _Servers:
    """Return the servers in use of a backend. An unusable one is omitted and logged; the others remain."""
    key = backend, servers, style
    known = _known_servers.get(key)
    if known is None:
        owner = instance(Backend, backend)
        rows = [instance(BackendServer, server) for server in servers if server[_ACTIVE]]
        for row in rows:
            row.backend = owner
        pairs = ((row, _endpoint(row, style)) for row in rows)
        known = _known_servers[key] = _Servers((row, endpoint) for row, endpoint in pairs if endpoint is not None)
    return known


def _endpoint(row: BackendServer, style: str) -> Endpoint | None:
    try:
        return endpoint_of(row, style)
    except Exception as error:  # nor must an invalid address affect others
        log.error("server %s cannot be used: %s", row.pk, _word(error))
        return None
