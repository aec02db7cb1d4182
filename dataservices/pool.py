"""Connection pools: each source has its own, with a bulkhead and a circuit breaker, so that one that fails affects
only its own operations.

The connection that was used last is used next, so that the others may grow old and are closed by their servers.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from adapters import adapter_class
from adapters.base import CONNECT_SECONDS, Adapter, SourceError
from registry.bulkhead import Bulkhead, default_limit
from registry.circuit_breaker import CircuitBreaker

#: Seconds after which an idle connection is checked before it is used.
IDLE_SECONDS = 30.0

#: Seconds that opening a connection may take at least, however little time a call has: a server that takes that long
#: is not away, and the next call has the connection.
LEAST_CONNECT_SECONDS = 2.0

#: Seconds that a call waits at a full bulkhead, if another has entered or left it within that time.
BULKHEAD_WAIT = 0.1


class Busy(Exception):
    """The source's bulkhead or its pool is full."""


class CircuitOpen(Exception):
    """The source has failed several times in a row and is not tried for ``seconds``."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class PooledConnection:
    """A connection that one call uses. The call must end it with give_back() or drop().

    ``restores``: its session may have been changed, so that it is put back to its first state before the next call.
    """

    __slots__ = ("_in_use", "_pool", "_writes", "connection", "restores")

    def __init__(self, source_pool: SourcePool, connection: Any, writes: bool) -> None:
        self._pool = source_pool
        self._writes = writes
        self._in_use = True
        self.connection = connection
        self.restores = True

    def give_back(self) -> None:
        """Return the connection to the pool, as good as new; it is closed if that fails."""
        if self._in_use:
            self._end(good=not self.restores or self._pool.restore(self.connection, self._writes))

    def drop(self) -> None:
        """Close the connection: it cannot be used again. Does nothing after give_back()."""
        self._end(good=False)

    def _end(self, good: bool) -> None:
        if self._in_use:
            self._in_use = False
            self._pool.take_back(self.connection, self._writes, good)


class Health:
    """The last failure to reach a source, and since when it is as it is. Times in seconds since the epoch."""

    __slots__ = ("failed_at", "healthy", "reason", "since", "used")

    def __init__(self) -> None:
        self.healthy = True
        self.reason = ""
        self.failed_at: float | None = None
        self.since = time.time()
        #: True if a call came since the state was written.
        self.used = False

    @property
    def content(self) -> tuple[bool, str]:
        """The part in which a change is worth a write."""
        return self.healthy, self.reason

    def note(self, healthy: bool, reason: str = "") -> None:
        """Note that the source was reached, or for which reason not."""
        self.used = True
        if reason:
            self.reason, self.failed_at = reason, time.time()
        if healthy != self.healthy:
            self.healthy, self.since = healthy, time.time()


@dataclass(frozen=True, slots=True)
class Usage:
    """The connections of a source in this process, and the calls that wait for one."""

    in_use: int
    idle: int
    waiting: int
    size: int


class SourcePool:
    """The pool of one source in this process. Replaced when the source's settings change."""

    #: The codes of the source, once an operation of it is prepared.
    agency = code = ""

    def __init__(self, id: int, engine: str, values: dict[str, Any], pool_size: int) -> None:
        self.id = id
        self.identity = (engine, values, pool_size)
        self.adapter: Adapter = adapter_class(engine)(values)
        self.breaker = CircuitBreaker()
        self.health = Health()
        #: The idle connections by whether they write, and when each was used last (monotonic).
        self._idle: dict[bool, list[tuple[Any, float]]] = {False: [], True: []}
        #: The kinds of connections that were asked for.
        self._kinds = {False}
        #: True once other settings are in force: then connections are closed when they are returned.
        self._is_replaced = False
        self._size = pool_size
        # A call that runs here or waits for a connection occupies a thread of the worker. Half of the threads stay
        # free for other sources, however slow this one is.
        self._bulkhead = Bulkhead(min(2 * pool_size, default_limit()))
        self._last_movement = 0.0
        #: The places of the connections that may be in use.
        self._free = {writes: Bulkhead(pool_size) for writes in (False, True)}
        #: Connections that were last used before this time are not used again: one of them was lost or silent.
        self._distrusted_before = 0.0

    def checkout(self, writes: bool, seconds: float) -> PooledConnection:
        """Return a working connection within about ``seconds``. Raises Busy, CircuitOpen or ConnectFailed."""
        deadline = time.monotonic() + seconds
        if not self.breaker.try_pass():
            raise CircuitOpen(self.breaker.retry_after())
        if not (self._bulkhead.try_acquire() or self._wait()):
            raise Busy
        self._last_movement = time.monotonic()
        if not self._free[writes].try_acquire(min(seconds, settings.POOL_SECONDS)):
            self._release_slot()
            raise Busy
        try:
            return PooledConnection(self, self._connection(writes, deadline), writes)
        except BaseException as error:
            self.release_slots(writes)
            if isinstance(error, SourceError):
                self.breaker.failed()
                self.health.note(False, error.reason)
            raise

    def _wait(self) -> bool:
        """Wait for a place in the bulkhead if one was taken or released just now. Returns True if there is one."""
        return time.monotonic() - self._last_movement < BULKHEAD_WAIT and self._bulkhead.try_acquire(BULKHEAD_WAIT)

    def restore(self, connection: Any, writes: bool) -> bool:
        """Put a session back to its first state. Returns False if the connection must be closed."""
        try:
            return self.adapter.restore(connection, writes)
        except Exception:  # whatever it is, the connection is closed then, and the call's places are released
            return False

    def release_slots(self, writes: bool) -> None:
        """Release the places of a call: its connection, and its place in the bulkhead."""
        self._free[writes].release()
        self._release_slot()

    def _release_slot(self) -> None:
        self._last_movement = time.monotonic()
        self._bulkhead.release()

    def _connection(self, writes: bool, deadline: float) -> Any:
        """Return an idle connection that works, else a new one. Raises ConnectFailed."""
        idle = self._idle[writes]
        while idle:
            try:
                connection, used = idle.pop()
            except IndexError:  # another call took it
                break
            if self._is_good(connection, used, writes):
                return connection
            _close(connection)
        self._kinds.add(writes)
        seconds = min(max(deadline - time.monotonic(), LEAST_CONNECT_SECONDS), CONNECT_SECONDS)
        connection = self.adapter.connect(writes, seconds)
        self.record_outcome(None)
        return connection

    def _is_good(self, connection: Any, used: float, writes: bool) -> bool:
        """Return True if an idle connection can still be used. A write is not repeated: it checks each one."""
        if used < self._distrusted_before or not self.adapter.is_current(connection):
            return False
        if not writes and time.monotonic() - used < IDLE_SECONDS:
            return True
        try:
            return self.adapter.ping(connection)
        except SourceError:
            return False

    def take_back(self, connection: Any, writes: bool, good: bool) -> None:
        """Make a connection idle, or close one that is not ``good``, and release the places of its call."""
        try:
            if good and not self._is_replaced:
                self._idle[writes].append((connection, time.monotonic()))
            else:
                _close(connection)
        finally:
            self.release_slots(writes)

    def record_outcome(self, error: SourceError | None) -> None:
        """Record the outcome of a run. A source that refuses or ends a statement is healthy.

        One that was silent, or lost its connection, may be away, or it may be that statement. So this is no failure
        for the breaker; but no idle connection is used again, and opening one shows what it is.
        """
        if error is not None and error.unanswered:
            self._distrusted_before = time.monotonic()
            return
        if self.breaker.failures:
            self.breaker.succeeded()
        self.health.note(True)

    def usage(self) -> Usage:
        """Return how the pool is used now."""
        in_use = sum(free.in_flight for free in self._free.values())
        idle = sum(map(len, self._idle.values()))
        waiting = max(0, self._bulkhead.in_flight - in_use)
        return Usage(in_use, idle, waiting, self._size * len(self._kinds))

    def dispose(self) -> None:
        """Close the idle connections; those in use are closed when they are returned."""
        self._is_replaced = True
        for idle in self._idle.values():
            with suppress(IndexError):
                while True:
                    _close(idle.pop()[0])


def _close(connection: Any) -> None:
    """Close a connection, also one that is lost already."""
    with suppress(Exception):  # drivers have no common error
        connection.close()


_source_pools: dict[int, SourcePool] = {}
#: A draft that its author tries is prepared in the thread of that request.
_source_pools_lock = threading.Lock()


def source_pool(id: int, engine: str, values: dict[str, Any], pool_size: int) -> SourcePool:
    """Return the pool of a source: the existing one, or a new one if the settings have changed."""
    with _source_pools_lock:
        existing = _source_pools.get(id)
        if existing is not None and existing.identity == (engine, values, pool_size):
            return existing
        created = _source_pools[id] = SourcePool(id, engine, values, pool_size)
    if existing is not None:
        existing.dispose()
    return created


def source_pools() -> list[SourcePool]:
    """Return the pools of this process."""
    with _source_pools_lock:
        return list(_source_pools.values())


def dispose_unused(in_use: set[int]) -> None:
    """Dispose of the pools that no operation uses any more."""
    with _source_pools_lock:
        unused = [_source_pools.pop(id) for id in set(_source_pools) - in_use]
    for pool in unused:
        pool.dispose()
