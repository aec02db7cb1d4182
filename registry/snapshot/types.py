"""What a snapshot is made of: frozen rows, and what the gateway needs of a plan. No Django."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

from registry import secrets
from registry.parameter_values import Reader

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
