"""Data sources at run time: each with its own pool, so that a sick one hurts only its own operations."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from adapters import adapter_class
from adapters.base import Adapter, ConnectFailed, SourceError

#: Seconds after which a connection that lay idle is looked at before it is used.
IDLE = 30.0


class Busy(Exception):
    """Every connection of the pool was in use for the whole wait."""


class Source:
    """A source as the workers use it. Made anew when its settings change; the old one is then disposed of."""

    def __init__(self, id: int, engine: str, values: dict[str, Any], pool_size: int) -> None:
        self.id = id
        self.identity = (engine, values, pool_size)
        self.adapter: Adapter = adapter_class(engine)(values)
        self._pools = {False: self._pool(False, pool_size)}
        self._size = pool_size

    def _pool(self, writes: bool, size: int) -> QueuePool:
        # No reset on return: a read leaves nothing behind, and a round trip costs more than the query.
        return QueuePool(
            lambda: self.adapter.connect(writes),
            pool_size=size,
            max_overflow=0,
            use_lifo=True,
            timeout=settings.POOL_SECONDS,
            reset_on_return=None,
        )

    def checkout(self, writes: bool = False) -> PoolProxiedConnection:
        """A good connection, to be closed (given back) or invalidated. Raises Busy or ConnectFailed."""
        pool = self._pools.get(writes)
        if pool is None:
            pool = self._pools.setdefault(writes, self._pool(writes, self._size))
        for _attempt in range(self._size + 1):
            try:
                held = pool.connect()
            except PoolTimeout:
                raise Busy from None
            idle = time.monotonic() - held.info.get("used", float("inf"))  # type: ignore[operator]
            held.info["used"] = time.monotonic()
            if idle < IDLE or idle == float("-inf") or self._good(held):
                return held
            held.invalidate()
            held.close()
        raise ConnectFailed("broken")

    def _good(self, held: PoolProxiedConnection) -> bool:
        try:
            return self.adapter.ping(held.driver_connection)
        except SourceError:
            return False

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
