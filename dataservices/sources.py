"""Data sources at run time: each with its own pool, so that a sick one hurts only its own operations."""

from __future__ import annotations

import threading
import time
from typing import Any

from django.conf import settings
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from adapters import adapter_class
from adapters.base import CONNECT_SECONDS, Adapter, ConnectFailed, SourceError, TimedOut
from registry.circuit_breaker import Breaker

#: Seconds after which a connection that lay idle is looked at before it is used.
IDLE = 30.0

#: Seconds for which a call waits at a full source, if another has come in or left there as lately as that.
MOVING = 0.1


class Busy(Exception):
    """As many calls as the source may hold are with it already."""


class Tripped(Exception):
    """The source has failed several times running and is left alone for ``seconds``."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Lease:
    """A connection in the hands of one call. It must be ended with one of give_back() and drop()."""

    __slots__ = ("_held", "_source", "connection")

    def __init__(self, source: Source, held: PoolProxiedConnection) -> None:
        self._source = source
        self._held: PoolProxiedConnection | None = held
        self.connection: Any = held.driver_connection

    def give_back(self) -> None:
        """The next call may use the connection."""
        self._end(good=True)

    def drop(self) -> None:
        """Nobody may use the connection again."""
        self._end(good=False)

    def _end(self, good: bool) -> None:
        held, self._held = self._held, None
        if held is None:
            return
        try:
            if not good:
                held.invalidate()
            held.close()
        finally:
            self._source.leave()


class Source:
    """A source as the workers use it. Made anew when its settings change; the old one is then disposed of."""

    def __init__(self, id: int, engine: str, values: dict[str, Any], pool_size: int) -> None:
        self.id = id
        self.identity = (engine, values, pool_size)
        self.adapter: Adapter = adapter_class(engine)(values)
        self.breaker = Breaker()
        #: How long the calling thread may wait for a new connection: the pool hands nothing on to its maker.
        self._patience = threading.local()
        self._pools = {False: self._pool(False, pool_size)}
        self._size = pool_size
        # Calls that run here or wait for a connection each hold a thread of the worker. However sick the
        # source is, half of the threads stay with the others: only a quick one may have more, for a moment.
        self._room = threading.Semaphore(min(2 * pool_size, max(1, settings.WEB_THREADS // 2)))
        self._moved = 0.0

    def _pool(self, writes: bool, size: int) -> QueuePool:
        # No reset on return: a read leaves nothing behind, and a round trip costs more than the query.
        return QueuePool(
            lambda: self.adapter.connect(writes, self._patience.seconds),
            pool_size=size,
            max_overflow=0,
            use_lifo=True,
            timeout=settings.POOL_SECONDS,
            reset_on_return=None,
        )

    def checkout(self, writes: bool, seconds: float) -> Lease:
        """A good connection within about ``seconds``. Raises Busy, Tripped or ConnectFailed."""
        if not self.breaker.allows():
            raise Tripped(self.breaker.retry_after())
        if not (self._room.acquire(blocking=False) or self._wait()):
            raise Busy
        self._moved = time.monotonic()
        self._patience.seconds = min(seconds, CONNECT_SECONDS)
        try:
            return Lease(self, self._connection(writes))
        except BaseException:
            self.leave()
            raise

    def _wait(self) -> bool:
        """Wait for room at a source whose calls come and go. One that lets none go is not waited for."""
        return time.monotonic() - self._moved < MOVING and self._room.acquire(timeout=MOVING)

    def leave(self) -> None:
        self._moved = time.monotonic()
        self._room.release()

    def _connection(self, writes: bool) -> PoolProxiedConnection:
        pool = self._pools.get(writes)
        if pool is None:
            pool = self._pools.setdefault(writes, self._pool(writes, self._size))
        for _attempt in range(self._size + 1):
            try:
                held = pool.connect()
            except PoolTimeout:
                raise Busy from None
            now = time.monotonic()
            fresh = now - held.info.get("used", now) < IDLE
            held.info["used"] = now
            if fresh or self._good(held):
                return held
            held.invalidate()
            held.close()
        raise ConnectFailed("broken")

    def _good(self, held: PoolProxiedConnection) -> bool:
        try:
            return self.adapter.ping(held.driver_connection)
        except SourceError:
            return False

    def judge(self, error: SourceError | None) -> None:
        """Tell the breaker how a run went. A server that refuses or ends a statement itself is well."""
        if isinstance(error, ConnectFailed) or (isinstance(error, TimedOut) and not error.sqlstate):
            self.breaker.failed()
        elif self.breaker.failures:
            self.breaker.succeeded()

    def dispose(self) -> None:
        """Close the idle connections; those in use close when they come back."""
        for pool in self._pools.values():
            pool.dispose()


_sources: dict[int, Source] = {}


def source(id: int, engine: str, values: dict[str, Any], pool_size: int) -> Source:
    """The running source of these settings: the one there is, or a new one in its place."""
    held = _sources.get(id)
    if held is None or held.identity != (engine, values, pool_size):
        made = Source(id, engine, values, pool_size)
        _sources[id] = made
        if held is not None:
            held.dispose()
        return made
    return held


def forget(kept: set[int]) -> None:
    """Dispose of the sources that no operation uses any more."""
    for id in set(_sources) - kept:
        _sources.pop(id).dispose()
