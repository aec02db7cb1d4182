"""The parts of a snapshot: frozen rows, and the interface of a plan. No Django."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from typing import Any, Protocol

from registry import access_tokens, secrets
from registry.parameter_values import ParameterParser
from registry.personal_data.masks import ALL, HASH, FieldRights, NothingLeft, sent_type, sight_of

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: The classifications of fields, from the least sensitive on.
_SENSITIVITY = {name: rank for rank, name in enumerate(("public", "internal", "personal", "specific"))}


#: Quotas of rows or persons: each a number and the seconds of its period.
Periods = tuple[tuple[int, int], ...]


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


def highest(fields: Iterable[Field]) -> str:
    """Return the highest classification of fields; "" without any."""
    return max((field.classification for field in fields), key=_SENSITIVITY.__getitem__, default="")


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
    agency_id: int = 0
    #: The operation beside which it is a draft; 0 for none.
    draft_of: int = 0
    #: What becomes of personal data in its responses that nobody declared: allow, alarm, mask or block; and the kinds
    #: that are meant to go out (registry/models/egress.py).
    guard: str = "alarm"
    guard_expected: frozenset[str] = frozenset()
    #: True if fields are masked for all callers, if one of them is hashed, and if one is specific personal data.
    is_masked: bool = False
    is_hashed: bool = False
    has_specific: bool = False
    #: The fields that are declared as personal data, and the highest classification of all; "" if none is declared.
    personal: frozenset[str] = frozenset()
    highest: str = ""

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
        return highest(field for field in self.fields if field.name in granted) if granted else self.highest


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
    #: True if its callers must show a certificate of its own.
    certificate_required: bool = False
    agency_id: int = 0
    #: True if requests with an access key are refused: they must be signed.
    signing_required: bool = False
    #: How many rows and persons all of its calls together may get.
    row_limits: Periods = ()
    subject_limits: Periods = ()


@dataclass(frozen=True, slots=True)
class Key:
    id: int
    public: str
    application: Application
    expires_at: float  # seconds since the epoch; infinity for none
    networks: tuple[Network, ...]
    operation_id: int | None
    in_path: bool
    #: Of a key that stands for an access token: the token's id, the aliases that it opens (empty: all), and the
    #: certificate that its bearer must show ("": none).
    token: str = ""
    scope: frozenset[str] = frozenset()
    thumbprint: str = ""
    #: The text of a signing key, with which requests are signed; b"" for a key that is sent.
    secret: bytes = field(default=b"", repr=False)
    #: Seconds between two calls, and until when (seconds since the epoch); 0 for a key that is not slowed down.
    slow_seconds: int = 0
    slowed_until: float = 0.0
    #: True if responses on the legacy wire are wrapped (mantra/gateway/formats/wrapping.py).
    wrapped: bool = False


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate that an application may show, until ``not_after`` (epoch seconds)."""

    id: int
    not_after: float


@dataclass(frozen=True, slots=True)
class RevokedToken:
    id: int


@dataclass(frozen=True, slots=True)
class Grant:
    id: int
    valid_from: float
    valid_until: float
    networks: tuple[Network, ...]
    fields: frozenset[str]
    quota: str
    row_limits: Periods = ()
    subject_limits: Periods = ()
    #: Pairs of a field and its mask.
    masks: tuple[tuple[str, str], ...] = ()
    #: The values by which the operation selects rows, by their names.
    values: Mapping[str, str] = field(default_factory=dict)
    #: True if a legal basis is stated.
    lawful: bool = True

    @property
    def is_hashed(self) -> bool:
        """True if a field is hashed, so that it counts for which agency."""
        return bool(self.masks) and any(kind == HASH for _name, kind in self.masks)

    def rights(self, reader: str = "") -> FieldRights:
        """Return what the grant says of fields. ``reader``: the agency for which hashes are made."""
        return _rights(self.fields, self.masks, self.lawful, reader)


#: Each combination once: making one takes as long as the rest of the question.
_rights = lru_cache(maxsize=4096)(FieldRights)


@dataclass(frozen=True, slots=True)
class Snapshot:
    operations: dict[tuple[str, str, str], Operation]
    #: By their digests; signing keys by their public parts.
    keys: dict[str, Key]
    grants: dict[tuple[int, int], Grant]
    #: By agency and code in lower case.
    services: dict[tuple[str, str], Service]
    #: By agency, service and operation in lower case, as 1.99x named them: addresses with a name other than a code.
    legacy_operations: dict[tuple[str, str, str], Operation] = field(default_factory=dict)
    #: Agency and service of the same addresses, in lower case.
    legacy_services: frozenset[tuple[str, str]] = frozenset()
    #: By the application's id and the certificate's SHA-256.
    certificates: dict[tuple[int, str], ClientCertificate] = field(default_factory=dict)
    #: By the token's id: access tokens that ended before their time.
    revoked_tokens: dict[str, RevokedToken] = field(default_factory=dict)
    #: Documents written from the operations and services, such as WSDLs: valid only with them.
    documents: OrderedDict[Any, bytes] = field(default_factory=OrderedDict, repr=False, compare=False)
    #: Kind and id of all that is stopped (registry/containment.py); ("all", 0) for all calls.
    stops: frozenset[tuple[str, int]] = frozenset()

    def stop_of(
        self,
        operation: Operation | None,
        application: Application | None = None,
        key: Key | None = None,
        grant: Grant | None = None,
        origin: tuple[str, int, str] | None = None,
    ) -> tuple[str, int] | None:
        """Return the kind and id of a stop that forbids this; None if there is none, as nearly always.

        ``origin``: the source or backend that was asked, where that is not the operation's own.
        """
        if not self.stops:
            return None
        taking_part = stoppable(operation, application, key, grant, origin)
        return next((each for each in taking_part if each in self.stops), None)

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
        """Return the key with this plain text, None if there is none or it is revoked.

        For an access token it is the token's key, with the token's own end and scope.
        """
        if plain.startswith(access_tokens.MARK):
            return self._key_of_token(plain)
        for digest in secrets.key_digests(plain):
            key = self.keys.get(digest)
            if key is not None:
                return key
        return None

    def digest(self, plain: str) -> str:
        """Return the digest by which the key with this plain text is known; "" if there is no such key."""
        return next((digest for digest in secrets.key_digests(plain) if digest in self.keys), "")

    def _key_of_token(self, plain: str) -> Key | None:
        token = access_tokens.read(plain)
        key = self.keys.get(token.digest) if token is not None else None
        if token is None or key is None or token.id in self.revoked_tokens:
            return None
        expires_at = min(key.expires_at, token.expires)
        return replace(
            key, expires_at=expires_at, token=token.id, scope=frozenset(token.scope), thumbprint=token.thumbprint
        )

    def signing_key(self, public: str) -> Key | None:
        """Return the signing key with this public part, None if there is none or it is revoked."""
        key = self.keys.get(public)
        return key if key is not None and key.secret else None


def stoppable(
    operation: Operation | None,
    application: Application | None,
    key: Key | None,
    grant: Grant | None,
    asked: tuple[str, int, str] | None,
) -> Iterator[tuple[str, int]]:
    """Yield the kind and id of whatever takes part in a call, and can be stopped."""
    yield "all", 0
    if operation is not None:
        yield "operation", operation.draft_of or operation.id
        yield "agency", operation.agency_id
        origin = getattr(operation.plan, "origin", None)
        if origin is not None:
            yield origin[0], origin[1]
    if application is not None:
        yield "application", application.id
        yield "agency", application.agency_id
    if key is not None:
        yield "key", key.id
    if grant is not None:
        yield "grant", grant.id
    if asked is not None:
        yield asked[0], asked[1]
