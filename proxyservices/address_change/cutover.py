"""A new address tried out before the switch: the saved samples put to the old one and to it, side by side."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.utils.translation import gettext as _

from proxyservices.address_change.compare import Answer, Difference, ask, compare
from proxyservices.address_change.samples import read
from proxyservices.endpoints import address
from proxyservices.forwarding.plan import of
from proxyservices.models import AddressChange, Sample, Upstream
from proxyservices.models import Mapping as Placed
from registry.models import User
from registry.parameter_values import Unfit

#: Samples that one rehearsal asks, seconds that it may take, differences that one sample shows.
SAMPLES, SECONDS = 20, 60.0


# ------------------------------------------------------------------------------------- the rehearsal


@dataclass(slots=True)
class Pair:
    """One sample, as the old and the new address answer it."""

    name: str
    old: Answer
    new: Answer
    differences: list[Difference]
    #: Differences in places that are not compared.
    ignored: int = 0
    #: Why the sample was not asked at all.
    unasked: str = ""


@dataclass(frozen=True, slots=True)
class Move:
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

    def mappings(self) -> list[Placed]:
        rows = list(self.upstream.operation.mappings.all())
        for row in rows:
            row.value = self.secrets.get(str(row.pk), row.value)
        return rows


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: what tells one server from another. Raises ValueError."""
    parts = urlsplit(url)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or usual


def same_place(one: str, other: str) -> bool:
    """Whether two addresses lie on one server, so that a secret which one has may go to the other."""
    try:
        return origin(one) == origin(other)
    except ValueError:
        return False


def needed(upstream: Upstream, url: str) -> dict[str, str]:
    """The secrets that must be given anew before anything is sent to ``url``, each with its name for people.

    Whoever may change an operation may not know its secrets, and could have them sent to a server of theirs.
    """
    if same_place(upstream.url, url):
        return {}
    found = {}
    if upstream.credential and upstream.credential_kind != Upstream.Credential.NONE:
        found["credential"] = upstream.get_credential_kind_display()
    for mapping in upstream.operation.mappings.all():
        if mapping.secret and mapping.value:
            found[str(mapping.pk)] = str(mapping)
    return found


def rehearse(move: Move) -> list[Pair]:
    """Put the operation's samples to both addresses. Raises ValueError with a word where one cannot be asked."""
    operation = move.upstream.operation
    old_plan, new_plan = of(operation), of(operation, move.mappings())
    old, new = address(move.upstream), address(move.moved())
    ignored = [line.strip() for line in operation.ignored.splitlines() if line.strip()]
    began, pairs = time.monotonic(), []
    for sample in operation.samples.all()[:SAMPLES]:
        if time.monotonic() - began > SECONDS:
            pairs.append(_unasked(sample, _("The rehearsal has taken long enough.")))
            continue
        try:
            asked = read(operation, json.loads(str(sample.question)))
        except Unfit as unfit:
            pairs.append(_unasked(sample, unfit.id))
            continue
        before, after = ask(old_plan, old, asked), ask(new_plan, new, asked)
        found, left = compare(before, after, ignored)
        pairs.append(Pair(sample.name, before, after, found, left))
    return pairs


def _unasked(sample: Sample, why: str) -> Pair:
    return Pair(sample.name, Answer(), Answer(), [], unasked=why)


# -------------------------------------------------------------------------------------- the history


def record(move: Move, kind: str, user: User, old_url: str, secrets: Mapping[str, str], **more: Any) -> AddressChange:
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


def rehearsed(move: Move, pairs: Sequence[Pair], user: User) -> AddressChange:
    """Write a rehearsal down, with what the switch will need."""
    asked = [pair for pair in pairs if not pair.unasked]
    return record(
        move, "rehearse", user, move.upstream.url, move.secrets,
        samples=len(asked), differences=sum(bool(pair.differences) for pair in asked),
    )  # fmt: skip


def secrets_of(change: AddressChange) -> dict[str, str]:
    found: dict[str, str] = json.loads(str(change.secrets)) if change.secrets else {}
    return found


@transaction.atomic
def switch(move: Move, user: User, kind: str = "switch") -> AddressChange:
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


def way_back(upstream: Upstream) -> AddressChange | None:
    """The change that "back" would undo: the last one, if the upstream is still where it led."""
    last = AddressChange.objects.filter(upstream=upstream, kind__in=("switch", "back")).first()
    return last if last is not None and last.new_url == upstream.url else None


def back(change: AddressChange, user: User) -> AddressChange:
    """Undo a change: the address and the secrets that stood before it."""
    assert change.upstream is not None
    return switch(Move(change.upstream, change.old_url, secrets_of(change)), user, kind="back")
