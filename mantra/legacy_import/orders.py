"""Keys of 1.99x: which application has which, and what each opens here.

An order is a user's key for one operation. Its column is not unique: one key may open several operations, and even be
two users'. Ours lets a key open one operation, or all that its application is granted; so a key for several gets an
application of its own, whose grants are for these operations only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mantra.legacy_import.old import OldOrder

#: The shortest key that is taken, and the longest that the old table holds.
SHORTEST, LONGEST = 8, 64


@dataclass(frozen=True, slots=True)
class Holding:
    """The operations that a user's keys of one application open: those of ``keys``, each for its operations."""

    username: str
    #: "" for the user's own application; else the key that has this application for itself.
    shared_key: str
    orders: tuple[OldOrder, ...]

    @property
    def operations(self) -> tuple[int, ...]:
        """The ids of the operations, in the order of the orders, each once."""
        return tuple(dict.fromkeys(order.operation_id for order in self.orders))


@dataclass(slots=True)
class Plan:
    """What becomes of the orders: holdings to make, and orders that make nothing, by the reason."""

    holdings: list[Holding] = field(default_factory=list)
    #: Order's id → the id of the order that it is the same as.
    repeated: dict[int, int] = field(default_factory=dict)
    #: Orders that were never approved or were closed again.
    closed: list[OldOrder] = field(default_factory=list)
    #: Orders of an operation, or a user, that is not there or was not taken.
    orphans: list[OldOrder] = field(default_factory=list)
    #: Orders whose key cannot be taken: the grant is made, and a new key must be issued.
    unusable: list[OldOrder] = field(default_factory=list)
    #: Orders whose key other users have too: the key stays with the first user's application.
    foreign: list[OldOrder] = field(default_factory=list)


def is_usable(key: str) -> bool:
    """Return True if our registry can hold a key of 1.99x."""
    return SHORTEST <= len(key) <= LONGEST and key.isascii() and key.isprintable() and " " not in key


def plan(orders: Iterable[OldOrder], operations: Mapping[int, object], users: Mapping[str, object]) -> Plan:
    """Return what becomes of the orders.

    ``operations`` and ``users``: those that were taken, by id and by name in lower case. Keys compare without case
    there, and so they are one here.
    """
    made = Plan()
    by_key: dict[str, list[OldOrder]] = defaultdict(list)
    seen: dict[tuple[str, int, str], int] = {}
    for order in orders:
        user = order.username.strip().lower()
        same = (user, order.operation_id, order.key.lower())
        if not order.active:
            made.closed.append(order)
        elif order.operation_id not in operations or user not in users:
            made.orphans.append(order)
        elif same in seen:
            made.repeated[order.id] = seen[same]
        else:
            seen[same] = order.id
            if not is_usable(order.key):
                made.unusable.append(order)
            by_key[order.key.lower()].append(order)
    made.holdings = list(_holdings(by_key, made))
    return made


def _holdings(by_key: Mapping[str, list[OldOrder]], made: Plan) -> Iterator[Holding]:
    """Yield the users' own holdings, then those of keys that open several operations."""
    own: dict[str, list[OldOrder]] = defaultdict(list)
    shared: list[Holding] = []
    for orders in by_key.values():
        first = orders[0].username.strip().lower()
        others = [order for order in orders if order.username.strip().lower() != first]
        made.foreign += others
        if len({order.operation_id for order in orders}) > 1 and is_usable(orders[0].key):
            shared.append(Holding(first, orders[0].key, tuple(orders)))
            continue
        for order in orders:
            own[order.username.strip().lower()].append(order)
    for username, held in own.items():
        yield Holding(username, "", tuple(sorted(held, key=lambda order: order.id)))
    yield from shared
