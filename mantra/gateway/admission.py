"""Admission: which operation, and may this caller have it now, from here. Memory only."""

from __future__ import annotations

import ipaddress
import time

from registry import faults
from registry.calls import Call
from registry.models import Operation as Row
from registry.results import Fault
from registry.snapshot import holder
from registry.snapshot.types import Grant, Key, Network, Operation, Snapshot

_HIDDEN = Row.State.DRAFT.value
_RETIRED = Row.State.RETIRED.value


def picture() -> Snapshot:
    """The book in force. Raises Fault NOT_READY while the worker has none yet."""
    book = holder.current()
    if book is None:
        raise Fault(faults.NOT_READY, retry_after=1)
    return book


def find(call: Call) -> None:
    """Name the operation that the call is for; None stays where there is none that callers may know of."""
    found = picture().operation(call.agency, call.service, call.code)
    if found is not None and (found.state != _HIDDEN or not call.keyed):
        call.operation = found


def admit(call: Call) -> None:
    """Let the call in, or raise the Fault that says why not."""
    operation = call.operation
    if operation is None:
        raise Fault(faults.OPERATION_UNKNOWN)
    if operation.state == _RETIRED:
        raise Fault(faults.OPERATION_RETIRED)
    if not call.keyed:
        return
    now = time.time()
    key = picture().key(call.secret) if call.secret else None
    if operation.open:
        _recognise(call, key, now)
        return
    if key is None:
        raise Fault(faults.KEY_UNKNOWN if call.secret else faults.KEY_MISSING)
    # From here on the record can say whose key it was, whatever becomes of the call.
    call.key = key
    call.application = key.application
    check_key(call, key, operation, now)
    grant = picture().grants.get((key.application.id, operation.id))
    if grant is None:
        raise Fault(faults.GRANT_MISSING)
    check_grant(call, grant, now)
    call.grant = grant


def check_key(call: Call, key: Key, operation: Operation, now: float) -> None:
    if call.key_in_path and not key.in_path:
        raise Fault(faults.KEY_IN_PATH)
    if now >= key.expires:
        raise Fault(faults.KEY_EXPIRED)
    if key.networks and not within(call.address, key.networks):
        raise Fault(faults.KEY_NETWORK, address=call.address)
    if key.operation_id is not None and key.operation_id != operation.id:
        raise Fault(faults.KEY_ELSEWHERE)


def check_grant(call: Call, grant: Grant, now: float) -> None:
    if now < grant.begins:
        raise Fault(faults.GRANT_EARLY)
    if now >= grant.ends:
        raise Fault(faults.GRANT_EXPIRED)
    if grant.networks and not within(call.address, grant.networks):
        raise Fault(faults.GRANT_NETWORK, address=call.address)


def _recognise(call: Call, key: Key | None, now: float) -> None:
    """An open operation asks for no key, but a good one is worth a name in the history."""
    if key is None or now >= key.expires or (call.key_in_path and not key.in_path):
        return
    if not key.networks or within(call.address, key.networks):
        call.key = key
        call.application = key.application


def within(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)
