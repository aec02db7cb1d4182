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
from proxyservices.models import AddressChange, ParameterMapping, SampleRequest, Upstream, mappings_to_reenter
from registry.models import User
from registry.parameter_values import InvalidValue

#: Samples that one rehearsal asks, seconds that it may take, differences that one sample shows.
SAMPLES, SECONDS = 20, 60.0


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


@dataclass(frozen=True, slots=True)
class AddressMove:
    """Where an upstream is to go, and the secrets that the new place gets."""

    upstream: Upstream
    url: str
    #: "credential" → secret, and a secret mapping's id → its value. What is not named stays as it is.
    secrets: Mapping[str, str] = field(default_factory=dict)

    def moved(self) -> Upstream:
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
    moved = AddressMove(upstream, url).moved()
    secrets = {}
    new_destination = bool(moved.secret_destinations() - upstream.secret_destinations())
    if new_destination and moved.credential and upstream.credential_kind != Upstream.Credential.NONE:
        secrets["credential"] = upstream.get_credential_kind_display()
    operation = upstream.operation
    others = [row for row in operation.upstreams.all() if row.pk != upstream.pk]
    for mapping in mappings_to_reenter(operation, [moved, *others], operation.mappings.all()):
        secrets[str(mapping.pk)] = str(mapping)
    return secrets


def rehearse(move: AddressMove) -> list[Comparison]:
    """Put the operation's samples to both addresses. Raises ValueError with a word where one cannot be asked."""
    operation = move.upstream.operation
    old_plan, new_plan = plan_of(operation), plan_of(operation, move.mappings())
    old, new = endpoint_of(move.upstream), endpoint_of(move.moved())
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
    move: AddressMove, kind: str, user: User, old_url: str, secrets: Mapping[str, str], **more: Any
) -> AddressChange:
    """Write a move down. ``secrets``: those that whoever goes on, or back, from here will need."""
    return AddressChange.objects.create(
        upstream=move.upstream,
        operation=str(move.upstream.operation),
        operation_ref=move.upstream.operation_id,
        old_url=old_url,
        new_url=move.url,
        kind=kind,
        secrets=json.dumps(dict(secrets)) if secrets else "",
        user=user.get_username(),
        **more,
    )


def record_rehearsal(move: AddressMove, pairs: Sequence[Comparison], user: User) -> AddressChange:
    """Write a rehearsal down, with what the switch will need."""
    asked = [pair for pair in pairs if not pair.skipped_because]
    return record(
        move, "rehearse", user, move.upstream.url, move.secrets,
        samples=len(asked), differences=sum(bool(pair.differences) for pair in asked),
    )  # fmt: skip


def secrets_of(change: AddressChange) -> dict[str, str]:
    found: dict[str, str] = json.loads(str(change.secrets)) if change.secrets else {}
    return found


@transaction.atomic
def switch(move: AddressMove, user: User, kind: str = "switch") -> AddressChange:
    """Let the upstream be at the new address from now on, and keep what leads back."""
    row, old_url = move.upstream, move.upstream.url
    before: dict[str, str] = {}
    if "credential" in move.secrets:
        before["credential"] = str(row.credential or "")
        row.credential = move.secrets["credential"]
    for mapping in row.operation.mappings.all():
        if str(mapping.pk) in move.secrets:
            before[str(mapping.pk)] = str(mapping.value or "")
            mapping.value = move.secrets[str(mapping.pk)]
            mapping.save()
    row.url = move.url
    row.save()
    row.operation.save()  # which raises its revision
    # What rehearsals of this upstream kept for a switch has had its use.
    AddressChange.objects.filter(upstream=row, kind="rehearse").update(secrets="")
    return record(move, kind, user, old_url, before)


def rollback_target(upstream: Upstream) -> AddressChange | None:
    """The change that "roll-back" would undo: the last one, if the upstream is still where it led."""
    last = AddressChange.objects.filter(upstream=upstream, kind__in=("switch", "roll-back")).first()
    return last if last is not None and last.new_url == upstream.url else None


def roll_back(change: AddressChange, user: User) -> AddressChange:
    """Undo a change: the address and the secrets that stood before it."""
    assert change.upstream is not None
    return switch(AddressMove(change.upstream, change.old_url, secrets_of(change)), user, kind="roll-back")
