"""Whether a call is stopped now (registry/containment.py): at admission, before its response, and while it is sent."""

from __future__ import annotations

from django.conf import settings

from registry import containment, faults
from registry.calls import Call
from registry.results import Fault
from registry.snapshot import holder
from registry.snapshot.types import Grant, Operation, Snapshot


def refuse(call: Call, grant: Grant | None = None, operation: Operation | None = None) -> None:
    """Raise Fault STOPPED if anything that takes part in the call is stopped: the operation (or ``operation``, the one
    with its data), its source or backend, both agencies, the application, the key, the grant."""
    snapshot = _now()
    if not snapshot.stops:
        return
    asked = operation or call.operation
    if snapshot.stop_of(asked, call.application, call.key, grant or call.grant, call.origin) is not None:
        raise Fault(faults.STOPPED)


def in_force() -> frozenset[tuple[str, int]]:
    """Return kind and id of all that is stopped now, for what is no call, such as writing to a source."""
    return _now().stops


def _now() -> Snapshot:
    """Return a snapshot with what is stopped now, whichever one the call itself uses."""
    followed = holder.followed()
    if followed is not None:
        return followed
    if holder.follows() or not settings.SNAPSHOT_SECONDS:
        return holder.current() or _EMPTY
    # The worker reads the tables for what it does itself. No caller waits for it.
    return Snapshot({}, {}, {}, {}, stops=containment.recently_in_force())


_EMPTY = Snapshot({}, {}, {}, {})


class StopWatch:
    """Looks whether a response that is under way has been stopped. It costs nothing as long as the registry stays."""

    __slots__ = ("_call", "_seen")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._seen: Snapshot | None = None

    def fault(self) -> Fault | None:
        """Return Fault STOPPED if the call has been stopped."""
        current = holder.current()
        if current is not None and current is self._seen:
            return None
        self._seen = current
        try:
            refuse(self._call)
        except Fault as fault:
            self._seen = None  # whoever asks next gets the same answer
            return fault.without_traceback()
        return None
