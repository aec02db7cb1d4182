"""Admission: the decision whether a call may run, from its operation, key, network, grant and period.

It reads the snapshot only, never the database.
"""

from __future__ import annotations

import ipaddress
import time

from mantra.gateway import stops
from registry import access_tokens, faults
from registry.calls import Call
from registry.models import Operation as Row
from registry.results import Fault, FaultKind
from registry.snapshot import holder
from registry.snapshot.types import Grant, Key, Network, Operation, Snapshot

_RETIRED = Row.State.RETIRED.value


def current_snapshot() -> Snapshot:
    """Return the current snapshot. Raises Fault NOT_READY if the worker process has none yet."""
    snapshot = holder.current()
    if snapshot is None:
        raise Fault(faults.NOT_READY, retry_after=1)
    return snapshot


def snapshot_of(call: Call) -> Snapshot:
    """Return the snapshot that the call uses from beginning to end. Raises Fault NOT_READY."""
    if call.snapshot is None:
        call.snapshot = current_snapshot()
    return call.snapshot


def find(call: Call) -> None:
    """Set call.operation. It stays None if there is no such operation. The try-out has set it already.

    Without a snapshot that fault is the call's error: the call is recorded, as each one is that is refused.
    """
    if not call.needs_key:
        return
    try:
        call.operation = snapshot_of(call).operation(call.agency, call.service, call.code)
    except Fault as fault:
        call.error = fault.without_traceback()


def admit(call: Call) -> None:
    """Admit the call: set its key, application and grant. Raises Fault if it is refused."""
    operation = call.operation
    if operation is None:
        raise Fault(faults.OPERATION_UNKNOWN)
    if operation.state == _RETIRED:
        raise Fault(faults.OPERATION_RETIRED)
    if not call.needs_key:
        stops.refuse(call)
        return
    now = time.time()
    if operation.open:
        _identify_if_possible(call, now)
        stops.refuse(call)
        return
    key = call.vouched or _key_of(call, now)
    if key is None:
        stops.refuse(call)
        raise Fault(_unknown(call.access_key))
    # From here on the record has the key, also if the call is refused.
    call.key = key
    call.application = key.application
    if key.application.signing_required and not key.secret:
        raise Fault(faults.SIGNATURE_MISSING)
    grant = snapshot_of(call).grants.get((key.application.id, operation.id))
    stops.refuse(call, grant)
    check_key(call, key, operation, now)
    check_certificate(call, key, now)
    if grant is None:
        raise Fault(faults.GRANT_MISSING)
    check_grant(call, grant, now)
    call.grant = grant


def _key_of(call: Call, now: float) -> Key | None:
    """Return the key that signed the request, else the one that it sent; None without either. Raises Fault."""
    if call.signature is not None:
        key = call.signature.key(call, now)
        if key is not None:
            return key
    return snapshot_of(call).key(call.access_key) if call.access_key else None


def may_call(call: Call, key: Key, operation: Operation) -> bool:
    """Return True if a key and its application's grant admit a call of an operation now."""
    grant = snapshot_of(call).grants.get((key.application.id, operation.id))
    if grant is None:
        return False
    now = time.time()
    try:
        stops.refuse(call, grant, operation)
        check_key(call, key, operation, now)
        check_certificate(call, key, now)
        check_grant(call, grant, now)
    except Fault:
        return False
    return True


def check_key(call: Call, key: Key, operation: Operation, now: float) -> None:
    """Check that the key may be used at the time ``now`` (epoch seconds) for this call. Raises Fault."""
    check_caller(call, key, now)
    if key.operation_id is not None and key.operation_id != operation.id:
        raise Fault(faults.KEY_OF_ANOTHER_OPERATION)
    if key.scope and operation.path not in key.scope:
        raise Fault(faults.TOKEN_SCOPE, operation=operation.path)


def check_caller(call: Call, key: Key, now: float) -> None:
    """Check that the key may be used now and from the caller's address, for whatever it opens. Raises Fault."""
    if call.key_in_path and not key.in_path:
        raise Fault(faults.KEY_IN_PATH)
    if now >= key.expires_at:
        raise Fault(faults.TOKEN_INVALID if key.token else faults.KEY_EXPIRED)
    if key.networks and not within(call.client_ip, key.networks):
        raise Fault(faults.KEY_NETWORK, address=call.client_ip)


def check_certificate(call: Call, key: Key, now: float) -> None:
    """Check that the caller has shown a certificate where the application or the token needs one. Raises Fault.

    What the bus itself calls for an application, such as the rows of a job, has no connection of the application's.
    """
    if not (key.application.certificate_required or key.thumbprint) or call.vouched is not None:
        return
    if not call.certificate:
        raise Fault(faults.CERTIFICATE_MISSING)
    known = snapshot_of(call).certificates.get((key.application.id, call.certificate))
    if known is None or now >= known.not_after or (key.thumbprint and key.thumbprint != call.certificate):
        raise Fault(faults.CERTIFICATE_UNKNOWN)


def _unknown(access_key: str) -> FaultKind:
    """Return why nobody is known by what a caller sent in the place of a key."""
    if not access_key:
        return faults.KEY_MISSING
    return faults.TOKEN_INVALID if access_key.startswith(access_tokens.MARK) else faults.KEY_UNKNOWN


def check_grant(call: Call, grant: Grant, now: float) -> None:
    """Check that the grant is valid at the time ``now`` (epoch seconds) for this call. Raises Fault."""
    if now < grant.valid_from:
        raise Fault(faults.GRANT_NOT_YET_VALID)
    if now >= grant.valid_until:
        raise Fault(faults.GRANT_EXPIRED)
    if grant.networks and not within(call.client_ip, grant.networks):
        raise Fault(faults.GRANT_NETWORK, address=call.client_ip)


def _identify_if_possible(call: Call, now: float) -> None:
    """Set the caller of an open operation, which needs no key, if the call has a valid one."""
    try:
        key = call.vouched or _key_of(call, now)
    except Fault:  # the signature is not valid: it is anybody's call
        key = call.key = call.application = None
    if key is None or now >= key.expires_at or (call.key_in_path and not key.in_path):
        return
    if key.application.signing_required and not key.secret:
        return
    try:
        check_certificate(call, key, now)
    except Fault:
        return
    if not key.networks or within(call.client_ip, key.networks):
        call.key = key
        call.application = key.application


def within(address: str, networks: tuple[Network, ...]) -> bool:
    """Return True if an IP address is in one of the networks."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)
