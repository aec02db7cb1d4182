"""A new address tried out before the switch: the saved samples put to the old one and to it, side by side."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from proxyservices.address_change.compare import Difference, ObservedResponse, compare, observe
from proxyservices.address_change.samples import sample_call
from proxyservices.endpoints import endpoint_of
from proxyservices.forwarding.plan import plan_of
from proxyservices.models import AddressChange, ParameterMapping, Upstream, mappings_to_reenter
from registry import versions
from registry.models import OperationVersion, SampleRequest, User
from registry.models.samples import MAX_SAMPLES
from registry.parameter_values import InvalidValue

#: Samples that one rehearsal asks, seconds that it may take.
SAMPLES, SECONDS = MAX_SAMPLES, 60.0


# ------------------------------------------------------------------------------------- the rehearsal


@dataclass(slots=True)
class Comparison:
    """One sample, as the old and the new address answer it."""

    name: str
    old: ObservedResponse
    new: ObservedResponse
    differences: list[Difference]
    #: Differences in places that are not compared.
    ignored_count: int = 0
    #: Why the sample was not asked at all.
    skipped_because: str = ""


class SecretsUnconfirmed(Exception):
    """A cutover would send a secret to a destination that it was not entered for."""


@dataclass(frozen=True, slots=True)
class Cutover:
    """Where an upstream is to go, and the secrets that the new place gets."""

    upstream: Upstream
    url: str
    #: "credential" → secret, and a secret mapping's id → its value. What is not named stays as it is.
    secrets: Mapping[str, str] = field(default_factory=dict)
    #: The destinations that stored secrets were entered for. Those that were entered just now are not named.
    confirmed: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def upstream_after(self) -> Upstream:
        """The row as it would be, not saved."""
        row = Upstream.objects.get(pk=self.upstream.pk)
        row.url = self.url
        row.credential = self.secrets.get("credential", row.credential)
        return row

    def mappings(self) -> list[ParameterMapping]:
        rows = list(self.upstream.operation.mappings.all())
        for row in rows:
            row.value = self.secrets.get(str(row.pk), row.value)
        return rows


def secrets_to_reenter(upstream: Upstream, url: str) -> dict[str, str]:
    """Return the secrets that must be entered again before anything is sent to ``url``: key → name for people.

    "credential" is the upstream's own; a secret mapping is named by its id.
    """
    after = Cutover(upstream, url).upstream_after()
    secrets = {}
    new_destination = bool(after.secret_destinations() - upstream.secret_destinations())
    if new_destination and after.credential and upstream.credential_kind != Upstream.Credential.NONE:
        secrets["credential"] = upstream.get_credential_kind_display()
    operation = upstream.operation
    others = [row for row in operation.upstreams.all() if row.pk != upstream.pk]
    for mapping in mappings_to_reenter(operation, [after, *others], operation.mappings.all()):
        secrets[str(mapping.pk)] = str(mapping)
    return secrets


def destinations(upstream: Upstream) -> dict[str, frozenset[str]]:
    """Return, for the secrets of an upstream's operation as in Cutover.secrets, where each is sent.

    ``upstream``, which need not be saved, replaces its stored row.
    """
    others = upstream.operation.upstreams.exclude(pk=upstream.pk)
    servers = [json.dumps(row.server()) for row in (upstream, *others)]
    found = {"credential": frozenset(json.dumps(each) for each in upstream.secret_destinations())}
    for mapping in upstream.operation.mappings.all():
        readers = [json.dumps(each) for each in mapping.secret_destinations()]
        found[str(mapping.pk)] = frozenset([*servers, *readers])
    return found


def _confirm(planned: Cutover) -> None:
    """Raise SecretsUnconfirmed if a secret would be sent where nobody who knew it said that it may go."""
    if set(secrets_to_reenter(planned.upstream, planned.url)) - set(planned.secrets):
        raise SecretsUnconfirmed
    after = destinations(planned.upstream_after())
    if any(after.get(key, frozenset()) - confirmed for key, confirmed in planned.confirmed.items()):
        raise SecretsUnconfirmed


def rehearse(planned: Cutover) -> list[Comparison]:
    """Put the operation's samples to both addresses. Raises ValueError with a word where one cannot be asked."""
    operation = planned.upstream.operation
    old_plan, new_plan = plan_of(operation), plan_of(operation, planned.mappings())
    old, new = endpoint_of(planned.upstream), endpoint_of(planned.upstream_after())
    ignored = [line.strip() for line in operation.ignored_paths.splitlines() if line.strip()]
    began, pairs = time.monotonic(), []
    for sample in operation.samples.all()[:SAMPLES]:
        if time.monotonic() - began > SECONDS:
            pairs.append(_skipped(sample, _("The rehearsal reached its time limit.")))
            continue
        try:
            asked = sample_call(operation, json.loads(str(sample.request)))
        except InvalidValue as unfit:
            pairs.append(_skipped(sample, unfit.id))
            continue
        before, after = observe(old_plan, old, asked), observe(new_plan, new, asked)
        found, left = compare(before, after, ignored)
        pairs.append(Comparison(sample.name, before, after, found, left))
    return pairs


def _skipped(sample: SampleRequest, why: str) -> Comparison:
    return Comparison(sample.name, ObservedResponse(), ObservedResponse(), [], skipped_because=why)


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
        upstream=planned.upstream,
        operation=str(planned.upstream.operation),
        operation_ref=planned.upstream.operation_id,
        old_url=old_url,
        new_url=planned.url,
        kind=kind,
        secrets=json.dumps(stored) if stored else "",
        user=user.get_username(),
        **more,
    )


def record_rehearsal(planned: Cutover, pairs: Sequence[Comparison], user: User) -> AddressChange:
    """Write a rehearsal down, with what the switch will need."""
    asked = [pair for pair in pairs if not pair.skipped_because]
    return record(
        planned, "rehearse", user, planned.upstream.url, planned.secrets, destinations(planned.upstream_after()),
        samples=len(asked), differences=sum(bool(pair.differences) for pair in asked),
    )  # fmt: skip


def _stored_cutover(change: AddressChange, url: str) -> Cutover:
    """Return the cutover of a change's upstream to ``url`` with the change's secrets."""
    assert change.upstream is not None
    secrets, confirmed = {}, {}
    for key, entry in (json.loads(str(change.secrets)) if change.secrets else {}).items():
        # Changes from before 0005_plain_names have no destinations: their secrets go nowhere.
        secrets[key], places = entry if isinstance(entry, list) else (entry, ())
        confirmed[key] = frozenset(places)
    return Cutover(change.upstream, url, secrets, confirmed)


@transaction.atomic
def switch(planned: Cutover, user: User, kind: str = "switch") -> AddressChange:
    """Let the upstream be at the new address from now on, and keep what leads back. Raises SecretsUnconfirmed."""
    _confirm(planned)
    row, old_url = planned.upstream, planned.upstream.url
    sent_before = destinations(Upstream.objects.get(pk=row.pk))
    before: dict[str, str] = {}
    if "credential" in planned.secrets:
        before["credential"] = str(row.credential or "")
        row.credential = planned.secrets["credential"]
    for mapping in row.operation.mappings.all():
        if str(mapping.pk) in planned.secrets:
            before[str(mapping.pk)] = str(mapping.value or "")
            mapping.value = planned.secrets[str(mapping.pk)]
            mapping.save()
    row.url = planned.url
    row.save()
    versions.record(row.operation, user, f"{old_url} → {planned.url}", OperationVersion.Origin.ADDRESS)
    # What rehearsals of this upstream kept for a switch has had its use.
    AddressChange.objects.filter(upstream=row, kind="rehearse").update(secrets="")
    return record(planned, kind, user, old_url, before, sent_before)


def switch_as_rehearsed(rehearsal: AddressChange, user: User) -> AddressChange:
    """Switch to the address of a rehearsal, with the secrets entered for it. Raises SecretsUnconfirmed."""
    return switch(_stored_cutover(rehearsal, rehearsal.new_url), user)


def rollback_target(upstream: Upstream) -> AddressChange | None:
    """The change that "roll-back" would undo: the last one, if the upstream is still where it led."""
    last = AddressChange.objects.filter(upstream=upstream, kind__in=("switch", "roll-back")).first()
    return last if last is not None and last.new_url == upstream.url else None


def roll_back(change: AddressChange, user: User) -> AddressChange:
    """Restore the address and the secrets from before a change. Raises SecretsUnconfirmed."""
    return switch(_stored_cutover(change, change.old_url), user, kind="roll-back")
