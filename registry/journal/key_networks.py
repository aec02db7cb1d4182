"""The networks from which keys are used, counted when calls are shipped: calls themselves do nothing for it.

A network is the /24 of an IPv4 address or the /48 of an IPv6 one: what a provider gives to one customer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from registry.models import AccessKey, KeyNetwork

#: A network that a key was not used from for so long counts as new again.
MEMORY = timedelta(days=90)
#: The most networks that are kept of a key: those seen last.
MOST = 100
#: The most rows of a statement.
_CHUNK = 500


@dataclass(slots=True)
class Seen:
    """The calls of a key from one network in a batch."""

    first: datetime
    last: datetime
    calls: int = 0
    rows: int = 0


@lru_cache(maxsize=10_000)
def network_of(address: str) -> str:
    """Return the network of an address. Raises ValueError for another text."""
    prefix = 24 if ip_address(address).version == 4 else 48
    return str(ip_network(f"{address}/{prefix}", strict=False))


def note(records: Iterable[dict[str, Any]]) -> None:
    """Count the ended calls of a batch. A network from which a key was not used lately is marked as new.

    The first network of a key is not: it is where its application runs.
    """
    seen = _gathered(records)
    keys = sorted({key for key, _network in seen})
    for start in range(0, len(keys), _CHUNK):
        _store(keys[start : start + _CHUNK], seen)


def _gathered(records: Iterable[dict[str, Any]]) -> dict[tuple[int, str], Seen]:
    found: dict[tuple[int, str], Seen] = {}
    for record in records:
        key, address, at = record["key_ref"], record["client_ip"], record["started_at"]
        if key is None or address is None:
            continue
        each = found.setdefault((key, network_of(address)), Seen(at, at))
        each.first, each.last = min(each.first, at), max(each.last, at)
        each.calls += 1
        each.rows += record["rows"] or 0
    return found


def _store(keys: Sequence[int], seen: dict[tuple[int, str], Seen]) -> None:
    known: dict[int, dict[str, KeyNetwork]] = {}
    for row in KeyNetwork.objects.filter(key__in=keys).select_for_update():
        known.setdefault(row.key_id, {})[row.network] = row
    # A key may have been deleted since.
    present = set(AccessKey.objects.filter(pk__in=keys).values_list("pk", flat=True))
    new, changed = [], []
    for (key, network), each in sorted(seen.items(), key=lambda item: item[1].first):
        if key not in present:
            continue
        rows = known.setdefault(key, {})
        if network in rows:
            changed.append(_updated(rows[network], each))
        else:
            rows[network] = row = KeyNetwork(
                key_id=key, network=network, first_at=each.first, last_at=each.last, calls=each.calls, rows=each.rows,
                is_new=bool(rows),
            )  # fmt: skip
            new.append(row)
    KeyNetwork.objects.bulk_create(new, batch_size=_CHUNK)
    KeyNetwork.objects.bulk_update(
        [row for row in changed if row.pk], ["first_at", "last_at", "calls", "rows", "is_new", "confirmed_at"],
        batch_size=_CHUNK,
    )  # fmt: skip
    _forget([key for key, rows in known.items() if len(rows) > MOST])


def _updated(row: KeyNetwork, each: Seen) -> KeyNetwork:
    """Count calls from a network that is known; after a long time without any it is new again."""
    if each.first - row.last_at > MEMORY:
        row.is_new, row.first_at, row.confirmed_at = True, each.first, None
    row.last_at = max(row.last_at, each.last)
    row.calls += each.calls
    row.rows += each.rows
    return row


def _forget(keys: Sequence[int]) -> None:
    """Delete the networks that were seen longest ago where a key has too many."""
    for key in keys:
        kept = KeyNetwork.objects.filter(key=key).order_by("-last_at", "-pk").values_list("pk", flat=True)[:MOST]
        KeyNetwork.objects.filter(key=key).exclude(pk__in=list(kept)).delete()
