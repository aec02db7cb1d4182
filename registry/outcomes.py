"""How calls end, and the classes of their durations, as roll-ups count them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from enum import StrEnum

from registry import faults

#: The upper bounds of the classes of durations in microseconds. What is longer than the last is in a class of its own.
BOUNDS_US = (
    500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 7_000, 10_000, 15_000, 20_000, 30_000, 50_000, 70_000,
    100_000, 150_000, 200_000, 300_000, 500_000, 700_000, 1_000_000, 1_500_000, 2_000_000, 3_000_000, 5_000_000,
    10_000_000, 30_000_000,
)  # fmt: skip
CLASSES = len(BOUNDS_US) + 1
#: What a duration of the last class is taken for.
_LONGEST_US = 60_000_000
_SERVER_ERROR = 500

#: The protocols of callers, and of the bus where it calls as an application. Try-outs and views in the admin are
#: recorded, and not counted.
COUNTED = frozenset(("rest", "legacy", "soap", "matching"))


class Ended(StrEnum):
    """How a call ended, by whoever has to act."""

    ANSWERED = "answered"
    #: The caller's part: a key, a grant, a parameter.
    REFUSED = "refused"
    #: The provider's part: its source, its upstream, its definition.
    FAILED = "failed"
    #: The bus's own part.
    BUS = "bus"
    #: A response that was answered and broke off: the caller went away, or read too slowly.
    ABORTED = "aborted"


_OF_PARTY = {"caller": Ended.REFUSED, "provider": Ended.FAILED, "bus": Ended.BUS}
OK = 200


def ended(outcome: int, status: int | None, broken: bool) -> Ended:
    """Return how a call ended, by its outcome (200 or a fault's code), its HTTP status, and whether it broke off."""
    kind = faults.TABLE.get(outcome)
    if kind is not None:
        return _OF_PARTY[kind.party]
    if outcome != OK:
        return Ended.BUS
    if (status or 0) >= _SERVER_ERROR:
        return Ended.FAILED  # an upstream's own response, passed through
    return Ended.ABORTED if broken else Ended.ANSWERED


def duration_class(microseconds: int) -> int:
    """Return the class of a duration, 0 for the shortest."""
    return bisect_left(BOUNDS_US, microseconds)


def quantile_ms(counts: Sequence[int], share: float) -> float | None:
    """Return the duration in milliseconds that a share of the counted calls did not exceed; None without calls.

    Within a class durations are taken as evenly spread, so the result is at most a class (a third to a half) off.
    """
    total = sum(counts)
    if not total:
        return None
    wanted, passed = share * total, 0
    for number, count in enumerate(counts):
        if count and passed + count >= wanted:
            low = BOUNDS_US[number - 1] if number else 0
            high = BOUNDS_US[number] if number < len(BOUNDS_US) else _LONGEST_US
            return (low + (high - low) * (wanted - passed) / count) / 1000
        passed += count
    raise AssertionError("a share is at most 1")
