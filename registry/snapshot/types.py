"""The parts of a snapshot: frozen rows, and the interface of a plan. No Django."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

from registry import secrets
from registry.parameter_values import ParameterParser
from registry.personal_data.masks import ALL, HASH, FieldRights, NothingLeft, sent_type, sight_of

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: The classifications of fields, from the least sensitive on.
_SENSITIVITY = {name: rank for rank, name in enumerate(("public", "internal", "personal", "specific"))}


class Plan(Protocol):
    """An operation as prepared for its runner. The gateway needs these properties only."""

    @property
    def methods(self) -> tuple[str, ...]: ...

    @property
    def page_size(self) -> int: ...

    @property
    def change_size(self) -> int:
        """The most rows of a page of changes; 0 if callers cannot ask for changes."""
        ...

    @property
    def marks_deletions(self) -> bool:
        """True if a page of changes says of each row whether it is deleted."""
        ...

    @property
    def pass_through(self) -> bool:
        """True if requests are forwarded unchanged: then no parameters are read."""
        ...

    @property
    def traced(self) -> tuple[str, dict[str, str]]:
        """The name of a run in a trace, and its attributes."""
        ...


class Definition(Protocol):
    """What an operation's plan is built from: its rows, and connections that it shares with other operations."""

    def build(self, operation: Operation) -> Plan | None:
        """Return the plan of the operation; None, and log it, if the definition cannot be run. No database is asked."""
        ...


class LazyPlan:
    """An operation's plan, built when it is needed for the first time: most operations of a large registry are not.

    There is no lock. If two calls come first, each builds a plan, both are good, and the last one stays.
    """

    __slots__ = ("_plan", "definition", "is_built")

    def __init__(self, definition: Definition | None) -> None:
        self.definition = definition
        self._plan: Plan | None = None
        self.is_built = definition is None

    def of(self, operation: Operation) -> Plan | None:
        """Return the plan of the operation; None if its definition cannot be run."""
        if not self.is_built and self.definition is not None:
            self._plan = self.definition.build(operation)
            self.is_built = True  # after the plan: another thread may look meanwhile
        return self._plan


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    lower: str
    #: The name that callers of 1.99x send, "" if it is the same.
    legacy_name: str
    type: str
    required: bool
    default: Any  # the value to bind, None if there is no default
    parse: ParameterParser
    subject: bool
    description: str

    @property
    def must_be_given(self) -> bool:
        """True if a call without a value is refused."""
        return self.required and self.default is None


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: str
    description: str
    classification: str
    mask: str = ""

    @property
    def sent_type(self) -> str:
        """The type of the values as callers get them, if their grant does not mask them further."""
        return sent_type(self.type, self.mask)


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
    #: The number of the version (registry/versions).
    revision: int
    parameters: tuple[Parameter, ...]
    by_name: dict[str, Parameter] = field(repr=False)
    #: By legacy_names.parameter_key() of its name and of the name that it had in 1.99x.
    by_legacy_name: dict[str, Parameter] = field(repr=False)
    #: Agency, service and operation as 1.99x named them, in lower case.
    legacy_address: tuple[str, str, str]
    fields: tuple[Field, ...]
    lazy_plan: LazyPlan = field(repr=False)
    #: Of the rows that it was prepared from: it differs whenever they do, however they were changed.
    fingerprint: int = 0
    #: True if only its own agency finds it in the catalogue.
    hidden: bool = False
    #: True if fields are masked for all callers, if one of them is hashed, and if one is specific personal data.
    is_masked: bool = False
    is_hashed: bool = False
    has_specific: bool = False

    @property
    def plan(self) -> Plan | None:
        """The plan as its package builds it (PLANNERS in snapshot/parts.py); None if the definition cannot be run."""
        return self.lazy_plan.of(self)

    @property
    def path(self) -> str:
        """The alias: agency/service/operation."""
        return f"{self.agency}/{self.service}/{self.code}"

    def classification(self, rights: FieldRights = ALL) -> str:
        """Return the highest classification of the fields that a caller gets; "" if none is declared.

        What is masked keeps its classification: it is about the same person.
        """
        granted = rights.allowed
        if rights.masks or self.is_masked or (self.has_specific and not rights.lawful):
            try:
                granted = sight_of(self.fields, rights).allowed
            except NothingLeft:
                return ""
        classes = [field.classification for field in self.fields if not granted or field.name in granted]
        return max(classes, key=_SENSITIVITY.__getitem__, default="")


@dataclass(frozen=True, slots=True)
class Service:
    id: int
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
    expires_at: float  # seconds since the epoch; infinity for none
    networks: tuple[Network, ...]
    operation_id: int | None
    in_path: bool


@dataclass(frozen=True, slots=True)
class Grant:
    id: int
    valid_from: float
    valid_until: float
    networks: tuple[Network, ...]
    fields: frozenset[str]
    quota: str
    #: Pairs of a field and its mask.
    masks: tuple[tuple[str, str], ...] = ()
    #: The values by which the operation selects rows, by their names.
    values: Mapping[str, str] = field(default_factory=dict)
    #: True if a legal basis is stated.
    lawful: bool = True

    @property
    def is_hashed(self) -> bool:
        """True if a field is hashed, so that it counts for which agency."""
        return any(kind == HASH for _name, kind in self.masks)

    def rights(self, reader: str = "") -> FieldRights:
        """Return what the grant says of fields. ``reader``: the agency for which hashes are made."""
        return FieldRights(self.fields, self.masks, self.lawful, reader)


@dataclass(frozen=True, slots=True)
class Snapshot:
    operations: dict[tuple[str, str, str], Operation]
    keys: dict[str, Key]
    grants: dict[tuple[int, int], Grant]
    #: By agency and code in lower case.
    services: dict[tuple[str, str], Service]
    #: By agency, service and operation in lower case, as 1.99x named them: addresses with a name other than a code.
    legacy_operations: dict[tuple[str, str, str], Operation] = field(default_factory=dict)
    #: Agency and service of the same addresses, in lower case.
    legacy_services: frozenset[tuple[str, str]] = frozenset()
    #: Documents written from the operations and services, such as WSDLs: valid only with them.
    documents: OrderedDict[Any, bytes] = field(default_factory=OrderedDict, repr=False, compare=False)

    def operation(self, agency: str, service: str, code: str) -> Operation | None:
        """Return the operation with an alias, in any case of letters; None if there is none."""
        return self.operations.get((agency.lower(), service.lower(), code.lower()))

    def legacy_operation(self, agency: str, service: str, code: str) -> Operation | None:
        """Return the operation with an alias or with an address of 1.99x, in any case of letters; None without one."""
        names = agency.lower(), service.lower(), code.lower()
        return self.operations.get(names) or self.legacy_operations.get(names)

    def has_legacy_service(self, agency: str, service: str) -> bool:
        """Return True if there is a service with these codes or names of 1.99x."""
        names = agency.lower(), service.lower()
        return names in self.services or names in self.legacy_services

    def key(self, plain: str) -> Key | None:
        """Return the key with this plain text, None if there is none or it is revoked."""
        for digest in secrets.key_digests(plain):
            key = self.keys.get(digest)
            if key is not None:
                return key
        return None
