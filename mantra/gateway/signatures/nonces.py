"""The replay guard: which signed requests have been received already, by their nonces.

All worker processes share one memory: Redis/Valkey if quotas are counted there, else files in a folder of this host,
which outlive the processes. Neither needs a lock of ours.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import redis
from django.conf import settings

from registry import faults
from registry.circuit_breaker import CircuitBreaker
from registry.results import Fault
from registry.snapshot.types import Key

log = logging.getLogger("mantra.signatures")

#: A signature is accepted for so many seconds before and after the time at which it says that it was made.
WINDOW_SECONDS = 300
#: So long a nonce is remembered: after that its signature is too old.
MEMORY_SECONDS = 2 * WINDOW_SECONDS
#: The processes of a host read one clock: by less than this they see its time differently.
CLOCKS_DIFFER_SECONDS = 30
#: The most nonces that one process writes into the folder within MEMORY_SECONDS.
MAX_NONCES = 500_000


class FolderNonces:
    """Nonces as the names of empty files: a file can be created once only, by whichever process."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock
        self._period = -1
        self._count = 0

    def is_new(self, id: str) -> bool:
        """Remember a nonce. Return False if it was remembered already. Raises OSError."""
        now = self._clock()
        period = int(now // MEMORY_SECONDS)
        if period != self._period:
            self._begin(period)
        self._count += 1
        if self._count > MAX_NONCES:
            raise OSError("too many nonces")
        if not _create(self._path(period, id)):
            return False
        # Created before it is looked for: of two processes whose clocks are at a period's end, one sees the other's.
        if (period + 1) * MEMORY_SECONDS - now < CLOCKS_DIFFER_SECONDS and os.path.exists(self._path(period + 1, id)):
            return False
        return not os.path.exists(self._path(period - 1, id))

    def _path(self, period: int, id: str) -> str:
        return f"{self._folder}/{period}/{id}"

    def _begin(self, period: int) -> None:
        """Begin a period, and delete what was remembered long enough in a thread, so that no call waits for it."""
        Path(self._path(period, "")).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._period, self._count = period, 0
        threading.Thread(target=self._forget, args=(period - 1,), name="nonces", daemon=True).start()

    def _forget(self, before: int) -> None:
        for each in self._folder.iterdir():
            if each.name.isdigit() and int(each.name) < before:
                shutil.rmtree(each, ignore_errors=True)


def _create(path: str) -> bool:
    """Create an empty file. Return False if there is one already."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    return True


class RedisNonces:
    """Nonces as keys that expire."""

    def __init__(self, url: str) -> None:
        self._pool = redis.ConnectionPool.from_url(url, socket_timeout=0.25, socket_connect_timeout=0.25)

    def is_new(self, id: str) -> bool:
        """Remember a nonce. Return False if it was remembered already. Raises redis.RedisError."""
        connection = self._pool.get_connection()
        try:
            connection.send_command("SET", f"NONCE:{id}", "1", "NX", "EX", MEMORY_SECONDS + 1)
            return connection.read_response() is not None
        except BaseException:
            # A late reply must not be read as the reply to the next command.
            connection.disconnect()
            raise
        finally:
            self._pool.release(connection)


class Guard:
    """Lets each nonce of a key pass once."""

    def __init__(self, shared: RedisNonces | None, own: FolderNonces) -> None:
        self._shared = shared
        self._own = own
        #: While the store is away, calls do not wait for it: one tries each second.
        self._breaker = CircuitBreaker(reset_timeout=1.0)
        #: True if nonces have passed by this host alone: it goes on to look at them.
        self._fell_back = False

    def check(self, key: Key, nonce: str) -> None:
        """Let a nonce pass. Raises Fault SIGNATURE_REPLAYED if it has passed before, NOT_READY if nobody can tell.

        While Redis is away, applications that need not sign are guarded by this host alone, others are refused.
        """
        id = hashlib.sha256(f"{key.id}\n{nonce}".encode()).hexdigest()[:40]
        try:
            new = self._is_new(key, id)
        except (OSError, redis.RedisError) as error:
            log.error("nonces cannot be remembered: %s", type(error).__name__)
            new = None
        if new is None:
            raise Fault(faults.NOT_READY, retry_after=5)
        if not new:
            raise Fault(faults.SIGNATURE_REPLAYED)

    def _is_new(self, key: Key, id: str) -> bool | None:
        """Return False for a nonce that has passed before; None if nobody can tell. Raises OSError."""
        if self._shared is None:
            return self._own.is_new(id)
        if self._breaker.try_pass():
            try:
                new = self._shared.is_new(id)
            except redis.RedisError as error:
                self._breaker.failed()
                log.error("the store of nonces failed: %s", type(error).__name__)
            else:
                self._breaker.succeeded()
                # What has passed while the store was away is known here only.
                return new and self._own.is_new(id) if self._fell_back else new
        if key.application.signing_required:
            return None
        self._fell_back = True
        return self._own.is_new(id)


def _of_settings() -> Guard:
    url = settings.QUOTA_STORE
    shared = RedisNonces(url) if url.startswith(("redis://", "rediss://")) else None
    return Guard(shared, FolderNonces(settings.NONCE_DIR))


guard = _of_settings()
