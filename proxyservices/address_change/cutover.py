"""The move of a backend's server to another address: rehearsed with the samples of its operations, switched for all."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from proxyservices.address_change.compare import Difference, ObservedResponse, compare, observe
from proxyservices.address_change.samples import sample_call
from proxyservices.endpoints import endpoint_of
from proxyservices.forwarding.plan import Plan, plan_of
from proxyservices.models import (
    AddressChange,
    Backend,
    BackendServer,
    ParameterMapping,
    ProxyOperation,
)
from registry import versions
from registry.models import Operation, OperationVersion, SampleRequest, User
from registry.models.samples import MAX_SAMPLES
from registry.parameter_values import InvalidValue

#: The most samples of an operation, and those that a rehearsal sends, in so many seconds at most.
SAMPLES, SENT, SECONDS = MAX_SAMPLES, 200, 60.0


# ------------------------------------------------------------------------------------- the rehearsal


@dataclass(slots=True)
class Comparison:
    """One sample of an operation, as the old and the new address or version answer it."""

    operation: Operation
    name: str
    old: ObservedResponse = field(default_factory=ObservedResponse)
    new: ObservedResponse = field(default_factory=ObservedResponse)
    differences: list[Difference] = field(default_factory=list)
    #: Differences in places that are not compared.
    ignored_count: int = 0
    #: Why the sample was not sent at all.
    skipped_because: str = ""


class SecretsUnconfirmed(Exception):
    """A cutover would send a secret to a destination that it was not entered for."""


@dataclass(frozen=True, slots=True)
class Cutover:
    """Where a server is to go, and the secrets that the new place gets."""

    server: BackendServer
    url: str
    #: "credential" → secret, and a secret mapping's id → its value. What is not named stays as it is.
    secrets: Mapping[str, str] = field(default_factory=dict)
    #: The destinations that stored secrets were entered for. Those that were entered just now are not named.
    confirmed: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def server_after(self) -> BackendServer:
        """The row and its backend's as they would be, not saved."""
        row = BackendServer.objects.select_related("backend").get(pk=self.server.pk)
        row.url = self.url
        if "credential" in self.secrets:
            row.settings.credential = self.secrets["credential"]
        return row

    def mappings(self, operation: ProxyOperation) -> list[ParameterMapping]:
        """The mappings of one of the backend's operations as they would be, not saved."""
        rows = list(operation.mappings.all())
        for row in rows:
            row.value = self.secrets.get(str(row.pk), row.value)
        return rows


def secrets_to_reenter(server: BackendServer, url: str) -> dict[str, str]:
    """Return the secrets that must be entered again before anything is sent to ``url``: key → name for people.

    "credential" is the server's or its backend's; a secret mapping is named by its id.
    """
    secrets, settings = {}, server.settings
    new_destination = bool(settings.destinations_of(url) - server.secret_destinations())
    if new_destination and settings.credential and settings.credential_kind != settings.Credential.NONE:
        secrets["credential"] = str(settings.get_credential_kind_display())  # type: ignore[attr-defined]
    after = copy(server)
    after.url = url
    known = {row.server() for row in server.backend.servers.all()}
    if after.server() not in known:
        rows = ParameterMapping.objects.filter(operation__backend=server.backend_id, secret=True, parameter="")
        for mapping in rows.select_related("operation").order_by("operation__code", "position", "id"):
            if mapping.value:
                secrets[str(mapping.pk)] = f"{mapping.operation.code}, {mapping}"
    return secrets


def destinations(server: BackendServer) -> dict[str, frozenset[str]]:
    """Return, for the secrets of a server's backend and operations as in Cutover.secrets, where each is sent.

    ``server``, which need not be saved, replaces its stored row.
    """
    others = server.backend.servers.exclude(pk=server.pk)
    servers = [json.dumps(row.server()) for row in (server, *others)]
    found = {"credential": frozenset(json.dumps(each) for each in server.secret_destinations())}
    for mapping in ParameterMapping.objects.filter(operation__backend=server.backend_id):
        readers = [json.dumps(each) for each in mapping.secret_destinations()]
        found[str(mapping.pk)] = frozenset([*servers, *readers])
    return found


def _confirm(planned: Cutover) -> None:
    """Raise SecretsUnconfirmed if a secret would be sent where nobody who knew it said that it may go."""
    if set(secrets_to_reenter(planned.server, planned.url)) - set(planned.secrets):
        raise SecretsUnconfirmed
    after = destinations(planned.server_after())
    if any(after.get(key, frozenset()) - confirmed for key, confirmed in planned.confirmed.items()):
        raise SecretsUnconfirmed


def operations_of_backend(backend: Backend) -> list[ProxyOperation]:
    """Return the operations that an address change concerns, with their samples, in the order of their aliases."""
    rows = backend.operations.filter(draft_of=None).select_related("service__agency", "backend")
    return list(rows.prefetch_related("samples"))


def _in_turns(operations: Sequence[ProxyOperation]) -> Iterator[tuple[ProxyOperation, SampleRequest]]:
    """Yield the first sample of each operation, then the second of each: the limits cut no operation off."""
    lists = [[(operation, sample) for sample in operation.samples.all()[:SAMPLES]] for operation in operations]
    for turn in zip_longest(*lists):
        yield from (each for each in turn if each is not None)


def rehearse(planned: Cutover) -> list[Comparison]:
    """Send the samples of all operations to both addresses. Return the outcomes by operation and name.

    Raises ValueError with a word where one of the addresses cannot be called.
    """
    before, after = planned.server, planned.server_after()
    endpoint_of(before), endpoint_of(after)
    plans: dict[int, tuple[Plan, Plan] | None] = {}
    began, pairs = time.monotonic(), []
    for number, (operation, sample) in enumerate(_in_turns(operations_of_backend(before.backend))):
        pair = Comparison(operation, sample.name)
        if number >= SENT:
            pair.skipped_because = _("A rehearsal sends at most %(most)d samples.") % {"most": SENT}
        elif time.monotonic() - began > SECONDS:
            pair.skipped_because = _("The rehearsal reached its time limit.")
        else:
            if operation.pk not in plans:
                plans[operation.pk] = _plans(planned, operation)
            _compare(pair, operation, plans[operation.pk], (before, after), sample)
        pairs.append(pair)
    return sorted(pairs, key=lambda pair: (pair.operation.address, pair.name))


def _plans(planned: Cutover, operation: ProxyOperation) -> tuple[Plan, Plan] | None:
    """Return an operation's plan now and with the new secrets; None if its definition cannot be called."""
    try:
        return plan_of(operation), plan_of(operation, planned.mappings(operation))
    except ValueError:
        return None


def _compare(
    pair: Comparison,
    operation: ProxyOperation,
    plans: tuple[Plan, Plan] | None,
    servers: tuple[BackendServer, BackendServer],
    sample: SampleRequest,
) -> None:
    """Send one sample to both addresses, and note what differs."""
    if plans is None:
        pair.skipped_because = _("The operation cannot be called as it is defined.")
        return
    try:
        call = sample_call(operation, json.loads(str(sample.request)))
    except InvalidValue as unfit:
        pair.skipped_because = unfit.id
        return
    pair.old, pair.new = (
        observe(plan, endpoint_of(server, operation.style), call) for plan, server in zip(plans, servers, strict=True)
    )
    ignored = [line.strip() for line in operation.ignored_paths.splitlines() if line.strip()]
    pair.differences, pair.ignored_count = compare(pair.old, pair.new, ignored)


# -------------------------------------------------------------------------------------- the history


def record(
    planned: Cutover,
    kind: str,
    user: User,
    old_url: str,
    secrets: Mapping[str, str],
    confirmed: Mapping[str, frozenset[str]],
    **more: Any,
) -> AddressChange:
    """Store a change. ``secrets``: those that a later switch or roll-back needs, ``confirmed``: where they may go."""
    stored = {key: [value, sorted(confirmed[key])] for key, value in secrets.items() if key in confirmed}
    return AddressChange.objects.create(
        server=planned.server,
        backend=str(planned.server.backend),
        backend_ref=planned.server.backend_id,
        old_url=old_url,
        new_url=planned.url,
        kind=kind,
        secrets=json.dumps(stored) if stored else "",
        user=user.get_username(),
        **more,
    )


def record_rehearsal(planned: Cutover, pairs: Sequence[Comparison], user: User) -> AddressChange:
    """Write a rehearsal down, with what the switch will need."""
    sent = [pair for pair in pairs if not pair.skipped_because]
    return record(
        planned, "rehearse", user, planned.server.url, planned.secrets, destinations(planned.server_after()),
        samples=len(sent), differences=sum(bool(pair.differences) for pair in sent),
    )  # fmt: skip


def _stored_cutover(change: AddressChange, url: str) -> Cutover:
    """Return the cutover of a change's server to ``url`` with the change's secrets."""
    assert change.server is not None
    secrets, confirmed = {}, {}
    for key, entry in (json.loads(str(change.secrets)) if change.secrets else {}).items():
        # Changes from before 0005_plain_names have no destinations: their secrets go nowhere.
        secrets[key], places = entry if isinstance(entry, list) else (entry, ())
        confirmed[key] = frozenset(places)
    return Cutover(change.server, url, secrets, confirmed)


@transaction.atomic
def switch(planned: Cutover, user: User, kind: str = "switch") -> AddressChange:
    """Let all operations of the backend call the new address from now on, and keep what leads back.

    Raises SecretsUnconfirmed.
    """
    _confirm(planned)
    row, old_url = planned.server, planned.server.url
    sent_before = destinations(BackendServer.objects.get(pk=row.pk))
    before: dict[str, str] = {}
    if "credential" in planned.secrets:
        before["credential"] = str(row.settings.credential or "")
        _give_credential(row, planned.secrets["credential"])
    changed = set()
    for mapping in ParameterMapping.objects.filter(operation__backend=row.backend_id):
        if str(mapping.pk) in planned.secrets:
            changed.add(mapping.operation_id)
            before[str(mapping.pk)] = str(mapping.value or "")
            mapping.value = planned.secrets[str(mapping.pk)]
            mapping.save()
    row.url = planned.url
    row.save()
    for operation in ProxyOperation.objects.filter(pk__in=changed, draft_of=None):  # their secrets belong to versions
        versions.record(operation, user, f"{old_url} → {planned.url}", OperationVersion.Origin.ADDRESS)
    # What rehearsals of this server kept for a switch has had its use.
    AddressChange.objects.filter(server=row, kind="rehearse").update(secrets="")
    return record(planned, kind, user, old_url, before, sent_before)


def _give_credential(row: BackendServer, credential: str) -> None:
    """Set a server's credential: its own if other servers, which stay where they are, have the backend's."""
    others = row.backend.servers.exclude(pk=row.pk).filter(own_settings=False)
    if not row.own_settings and str(row.backend.credential or "") != credential and others.exists():
        row.take_own_settings()
    row.settings.credential = credential
    if not row.own_settings:
        row.backend.save()


def switch_as_rehearsed(rehearsal: AddressChange, user: User) -> AddressChange:
    """Switch to the address of a rehearsal, with the secrets entered for it. Raises SecretsUnconfirmed."""
    return switch(_stored_cutover(rehearsal, rehearsal.new_url), user)


def rollback_target(server: BackendServer) -> AddressChange | None:
    """The change that "roll-back" would undo: the last one, if the server is still where it led."""
    last = AddressChange.objects.filter(server=server, kind__in=("switch", "roll-back")).first()
    return last if last is not None and last.new_url == server.url else None


def roll_back(change: AddressChange, user: User) -> AddressChange:
    """Restore the address and the secrets from before a change. Raises SecretsUnconfirmed."""
    return switch(_stored_cutover(change, change.old_url), user, kind="roll-back")
