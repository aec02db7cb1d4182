"""A proxy operation, ready to run: where its upstreams are, and how they are asked."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from proxyservices import endpoints
from proxyservices.descriptions import documents
from proxyservices.descriptions.documents import Stored
from proxyservices.endpoints import address
from proxyservices.headers import _NEVER_BACK, _NGINX
from proxyservices.models import Contract, Mapping, ProxyOperation, Upstream, header_names
from proxyservices.models.operations import _DESCRIBED
from proxyservices.styles import base, recipe_of
from proxyservices.styles.soap import Soap
from proxyservices.transport.bulkhead import Room, room_of
from proxyservices.transport.client import Limits
from proxyservices.transport.endpoint import Address
from registry.models import Field, Parameter

log = logging.getLogger("mantra.proxyservices")

_WORD = re.compile(r"[A-Za-z -]{1,40}")


@dataclass(slots=True)
class Plan:
    """A proxy operation, ready to run."""

    id: int
    style: str
    recipe: base.Recipe
    addresses: tuple[Address, ...]
    limits: Limits
    retries: int
    room: Room
    methods: tuple[str, ...]
    #: Whether requests are handed on as they come.
    passes: bool
    pass_credentials: bool
    #: Names of answer headers that go back, in lower case; of use to as-is operations only.
    back: frozenset[str]
    cache_seconds: int
    stale_seconds: int
    #: Declared fields, by name, with their type; empty when the provider declares none.
    declared: dict[str, str] = field(default_factory=dict)
    page_size: int = 0
    #: The upstream's own description, where one is stored.
    contract: Stored | None = None

    @property
    def legacy(self) -> bool:
        return self.recipe.legacy


def of(operation: ProxyOperation, mappings: Sequence[Mapping] | None = None) -> Plan:
    """One operation's plan as its rows stand now, or with these mappings instead. Raises ValueError with a word."""
    if mappings is None:
        mappings = list(Mapping.objects.filter(operation=operation).order_by("position", "id"))
    made = _made(
        operation,
        mappings,
        list(Parameter.objects.filter(operation=operation).order_by("position", "id").values_list("name", flat=True)),
    )
    rows = list(
        Upstream.objects.filter(operation=operation, active=True).select_related("operation").order_by("position", "id")
    )
    made.addresses = tuple(address(row) for row in rows)
    if operation.style in _DESCRIBED:
        _describe(made, list(Contract.objects.filter(operation=operation)), [row.url for row in rows])
    made.declared = dict(
        Field.objects.filter(operation=operation).order_by("position", "id").values_list("name", "type")
    )
    return made


def _describe(plan: Plan, contracts: Sequence[Contract], urls: Sequence[str]) -> None:
    """Tell a plan of the description that is stored, or of where one is to be had."""
    plan.contract = documents.stored(contracts)
    if isinstance(plan.recipe, Soap):
        plan.recipe.contract = plan.contract
        plan.recipe.wsdl = endpoints.wsdl_address(urls[0]) if urls else ""


def _made(operation: ProxyOperation, mappings: Sequence[Mapping], parameters: Sequence[str]) -> Plan:
    recipe = recipe_of(operation, mappings, parameters)
    limits = Limits(
        connect=operation.connect_cap_ms / 1000,
        read=operation.read_cap_ms / 1000,
        total=operation.time_cap_ms / 1000,
        size=operation.size_cap,
    )
    back = {name.lower() for name in header_names(operation.response_headers)} - _NEVER_BACK
    back = {name for name in back if not name.startswith(_NGINX)}
    if not operation.pass_credentials:
        back.discard("set-cookie")
    return Plan(
        id=operation.pk or 0,
        style=operation.style,
        recipe=recipe,
        addresses=(),
        limits=limits,
        retries=operation.retries,
        room=room_of(operation.pk or 0, operation.concurrency),
        methods=recipe.methods,
        passes=recipe.passes,
        pass_credentials=operation.pass_credentials,
        back=frozenset(back),
        cache_seconds=operation.cache_seconds,
        stale_seconds=operation.stale_seconds,
    )


def prepare(ids: Iterable[int]) -> dict[int, Plan]:
    """The plans of proxy operations. One that cannot be made, or has no address, is left out."""
    wanted = list(ids)
    if not wanted:
        return {}
    addresses, urls = _addresses()
    mappings: dict[int, list[Mapping]] = {}
    for mapping in Mapping.objects.order_by("operation_id", "position", "id"):
        mappings.setdefault(mapping.operation_id, []).append(mapping)
    parameters: dict[int, list[str]] = {}
    named = Parameter.objects.filter(operation__kind="proxy").order_by("operation_id", "position", "id")
    for pk, name in named.values_list("operation_id", "name"):
        parameters.setdefault(pk, []).append(name)
    declared: dict[int, dict[str, str]] = {}
    fields = Field.objects.filter(operation__kind="proxy").order_by("operation_id", "position", "id")
    for pk, name, kind in fields.values_list("operation_id", "name", "type"):
        declared.setdefault(pk, {})[name] = kind
    contracts: dict[int, list[Contract]] = {}
    for contract in Contract.objects.order_by("operation_id", "-main", "id"):
        contracts.setdefault(contract.operation_id, []).append(contract)
    plans: dict[int, Plan] = {}
    for pk, operation in ProxyOperation.objects.in_bulk(wanted).items():
        if pk not in addresses:
            continue
        try:
            plan = plans[pk] = _made(operation, mappings.get(pk, ()), parameters.get(pk, ()))
        except Exception as error:  # a definition that broke must not take the others with it
            log.error("proxy operation %s cannot be prepared: %s", pk, _word(error))
            continue
        plan.addresses = tuple(addresses[pk])
        plan.declared = declared.get(pk, {})
        if operation.style in _DESCRIBED:
            _describe(plan, contracts.get(pk, ()), urls.get(pk, ()))
    return plans


def _word(error: Exception) -> str:
    """What is wrong, in a word of ours: other texts may quote what is secret."""
    return str(error) if isinstance(error, ValueError) and _WORD.fullmatch(str(error)) else type(error).__name__


def _addresses() -> tuple[dict[int, list[Address]], dict[int, list[str]]]:
    """The addresses of each operation, and how they are written.

    One that cannot be used is left out and logged; the others stand in for it.
    """
    found: dict[int, list[Address]] = {}
    urls: dict[int, list[str]] = {}
    active = Upstream.objects.filter(active=True).select_related("operation")
    for row in active.order_by("operation_id", "position", "id"):
        try:
            made = address(row)
        except Exception as error:  # nor must a broken address
            log.error("upstream %s cannot be used: %s", row.pk, _word(error))
            continue
        found.setdefault(row.operation_id, []).append(made)
        urls.setdefault(row.operation_id, []).append(row.url)
    return found, urls
