"""Leases of admissions: calls that are counted in the quota and recorded before nginx may make them."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass

from mantra.gateway import quotas
from mantra.gateway.quota_stores import SHARE, Lease
from registry.calls import Call
from registry.journal import segments
from registry.snapshot.types import Application, Grant, Key, Operation

log = logging.getLogger("mantra.fast_lane")

#: For how long an admission is good at most, how much earlier than a window of its quota it ends, and the shortest one:
#: in milliseconds.
LONGEST, MARGIN, SHORTEST = 1000, 100, 50


@dataclass(frozen=True, slots=True)
class Caller:
    """What the admission of a call has found: the operation, and by what its caller may call it."""

    operation: Operation
    application: Application
    key: Key
    grant: Grant


@dataclass(frozen=True, slots=True)
class Leased:
    """A lease that was counted. ``quota``: for RateLimit headers: amount, window, calls left, seconds to its end."""

    id: str
    count: int
    milliseconds: int
    quota: tuple[int, int, int, int] | None = None


def caller_of(call: Call) -> Caller | None:
    """Return who makes a call; None if it needs no key."""
    operation, application, key, grant = call.operation, call.application, call.key, call.grant
    if operation is None or application is None or key is None or grant is None:
        return None
    return Caller(operation, application, key, grant)


def take(call: Call, caller: Caller, count: int) -> Leased | None:
    """Count at most ``count`` calls in advance. None if that cannot be done, or not for long enough."""
    id, milliseconds = f"{random.getrandbits(64):016x}", _milliseconds(caller)
    if not caller.grant.quota:
        return Leased(id, count, milliseconds) if milliseconds >= SHORTEST else None
    if call.quota is None or call.quota[2] < SHARE:
        return None  # the call was not counted, or too little is left
    lease = quotas.lease(caller.grant, id, count)
    if lease is None:
        return None
    leased = Leased(id, lease.count, min(milliseconds, lease.milliseconds - MARGIN), _quota(lease, call.quota[3]))
    if leased.milliseconds < SHORTEST:
        give_back(leased)
        return None
    return leased


def give_back(leased: Leased) -> None:
    """Give back a lease that nginx never gets."""
    if leased.quota is not None:
        quotas.give_back([(leased.id, 0)])


def _milliseconds(caller: Caller) -> int:
    """Return for how long an admission may be good: less than LONGEST where the key or the grant ends."""
    ends = min(caller.key.expires_at, caller.grant.valid_until) - time.time()
    return LONGEST if ends > LONGEST / 1000 else int(ends * 1000)


def _quota(lease: Lease, seconds: int) -> tuple[int, int, int, int]:
    return lease.amount, lease.window, lease.remaining, max(1, seconds)


def record(leased: Leased, call: Call, caller: Caller) -> bool:
    """Record a lease, with all that its calls have in common. Return False if it cannot be recorded."""
    operation, application, key = caller.operation, caller.application, caller.key
    line = {
        "t": "lease",
        "id": leased.id,
        "at": time.time(),
        "n": leased.count,
        "protocol": call.protocol,
        "method": call.method,
        "ip": call.client_ip,
        "format": call.format,
        "op": (operation.agency, operation.service, operation.code, operation.id, operation.revision),
        "by": (application.agency, application.code, key.public, key.id),
        "grant": caller.grant.id,
    }
    if call.origin is not None:
        line["from"] = (*call.origin, call.server)
        if classification := operation.classification(caller.grant.rights()):
            line["class"] = classification
    try:
        segments.write(line)
    except OSError as error:
        log.error("the journal cannot be written: errno %s", error.errno)
        return False
    return True
