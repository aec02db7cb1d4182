"""Sockets of the drivers: host names, idle connections, and a watchdog that enforces limits of time and size."""

from __future__ import annotations

import logging
import os
import select
import socket
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from adapters.base import ConnectFailed, RowTooLarge, SourceError, Stream, TimedOut

log = logging.getLogger("mantra.adapters")

#: Seconds after the time limit when the watchdog cuts a connection whose server did not end the statement.
GRACE = 1.0

#: Seconds after the time limit when the bus cancels a statement on a server that keeps the limit itself: it
#: applies the limit to each round trip, and a run may have several.
OVERDUE = 0.2

#: Seconds between two checks. A server may exceed the size limit by what it sends in that time.
_INTERVAL = 0.05

#: Threads that cancel statements at once at most: one may wait for a server that is silent.
_MOST_CANCELS = 32

#: Lookups of names in progress at once at most.
_MOST_LOOKUPS = 64

#: The places of the numbers of acknowledged and received bytes in Linux's struct tcp_info.
_BYTE_COUNTS = struct.Struct("<120xQQ")


class _Lookup(threading.Thread):
    """One lookup of a name, shared by all that need the same name meanwhile: the resolver has no timeout of ours."""

    def __init__(self, name: tuple[str, int]) -> None:
        super().__init__(name="source-lookup", daemon=True)
        self._wanted = name
        self._finished = threading.Event()
        self._count = 0

    def run(self) -> None:
        try:
            with suppress(OSError, UnicodeError):
                self._count = len(socket.getaddrinfo(*self._wanted, type=socket.SOCK_STREAM))
        finally:
            _lookups.pop(self._wanted, None)
            self._finished.set()

    def wait(self, seconds: float) -> int:
        """Return the number of addresses; 0 if there is none, or it is not known within ``seconds``."""
        self._finished.wait(seconds)
        return self._count


_lookups: dict[tuple[str, int], _Lookup] = {}
os.register_at_fork(after_in_child=_lookups.clear)


def address_count(host: str, port: int, seconds: float) -> int:
    """Return how many addresses a host name has. Raises ConnectFailed if none is found within ``seconds``."""
    # An address needs no resolver.
    with suppress(OSError, UnicodeError):
        return len(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
    name = host, port
    lookup = _lookups.get(name)
    if lookup is None:
        if len(_lookups) >= _MOST_LOOKUPS:
            raise ConnectFailed("host-unknown")
        own = _Lookup(name)
        lookup = _lookups.setdefault(name, own)
        if lookup is own:
            try:
                own.start()
            except RuntimeError:  # no more threads to be had
                _lookups.pop(name, None)
                raise ConnectFailed("host-unknown") from None
    count = lookup.wait(seconds)
    if not count:
        raise ConnectFailed("host-unknown")
    return count


def refuses_connections(host: str, port: int) -> bool:
    """Return True if the host refuses connections to the port, as it does where nothing listens."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def is_idle(descriptor: int) -> bool:
    """Return True if nothing was received on an idle connection. When a server has closed it, its end was received."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return not poll.poll(0)


#: What a watchdog looks at.
Use = TypeVar("Use")


class Watchdog(ABC, Generic[Use]):
    """Looks at uses of sockets at short intervals, from a thread of its own, which starts with the first use."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._running: dict[Use, None] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def _look(self, use: Use, now: float) -> None:
        """Shut the socket of a use that is overdue. ``now`` is a time.monotonic() value."""

    def _add(self, use: Use) -> None:
        self._running[use] = None
        if self._thread is None:
            self._start()

    def forget(self) -> None:
        """Start anew in a forked child: the thread is the parent's."""
        self.__init__(self._name)  # type: ignore[misc]

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name=self._name, daemon=True)
                self._thread.start()

    def _watch(self) -> None:
        while True:
            time.sleep(_INTERVAL)
            now = time.monotonic()
            for use in list(self._running):
                try:
                    self._look(use, now)
                except Exception:  # the others must still be watched
                    log.exception("%s failed", self._name)


class Cancel:
    """How a statement is cancelled on its server: ``action``, in a thread of its own, at ``at`` (time.monotonic()).

    ``instant``: the action does not wait for anything. It is called at once, and never after ``StatementWatchdog.end``:
    it may use the connection's socket. ``silent``: it does not show whether the server still answers.
    """

    __slots__ = ("action", "at", "instant", "silent")

    def __init__(self, at: float, action: Callable[[], object], instant: bool = False, silent: bool = False) -> None:
        self.at = at
        self.action = action
        self.instant = instant
        self.silent = silent


class Watch:
    """The watch over one statement: what StatementWatchdog.begin returns."""

    __slots__ = ("before", "cancel", "cancelled", "cut", "cut_at", "descriptor", "ended", "inode", "lock", "max_bytes")

    def __init__(self, descriptor: int, cut_at: float, max_bytes: int, cancel: Cancel | None) -> None:
        self.descriptor = descriptor
        #: By which the socket is known: a driver may close it before the watch ends, and another one get its number.
        self.inode = inode_of(descriptor)
        self.cut_at = cut_at
        self.max_bytes = max_bytes
        self.cancel = cancel
        #: Held while the statement is cancelled or its connection cut, so that neither hits what comes after it.
        self.lock = threading.Lock()
        self.ended = False
        self.cancelled = False
        #: The reason, if the statement was cancelled or its connection cut.
        self.cut: SourceError | None = None
        #: The bytes that the connection had received at the first check.
        self.before = -1


class StatementWatchdog(Watchdog[Watch]):
    """Ends statements that exceed their time or size.

    At the time limit it asks the server to end the statement (``Cancel``), where the server does not keep the limit by
    itself. A server that hangs, or is unreachable, does not even do that, and no driver's own timeout is reliable
    then: shutting the socket down under the driver makes it return at once. ``begin`` and ``end`` cost a dict write
    and a lock that nobody else wants.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._cancels = threading.BoundedSemaphore(_MOST_CANCELS)

    def begin(
        self, descriptor: int, deadline: float, width: int = 0, cancel: Cancel | None = None, grace: float | None = None
    ) -> Watch:
        """Start to watch a socket, which is cut ``grace`` seconds (GRACE) after ``deadline``, a time.monotonic() value.

        ``width``: also cut it once about twice that many bytes have arrived. A driver buffers what it fetches.
        """
        watch = Watch(descriptor, deadline + (GRACE if grace is None else grace), 2 * width, cancel)
        self._add(watch)
        return watch

    def end(self, watch: Watch) -> SourceError | None:
        """Stop watching. Returns the reason if the statement was cancelled or the connection cut.

        The connection must not be used again then: what was to end the statement may still reach it.
        """
        with watch.lock:
            self._running.pop(watch, None)
            watch.ended = True
            cut, watch.cut = watch.cut, None
            return cut

    def may_commit(self, watch: Watch) -> bool:
        """Return True if the statement was not cancelled; it will not be from here on, only its connection cut.

        The answer to a commit that is cancelled does not say whether it took place.
        """
        with watch.lock:
            watch.cancel = None
            return watch.cut is None

    def hasten(self, watch: Watch) -> None:
        """Have a statement cancelled at once, or else its connection cut: nobody needs its result any more."""
        watch.cut_at = time.monotonic() + GRACE
        if watch.cancel is not None:
            watch.cancel.at = 0.0

    def finish(self, watch: Watch, stream: Stream, writes: bool) -> Stream:
        """Stop watching a run that has succeeded, and return its result.

        Raises the reason if a read was cancelled: not every server says so, and some return less then. What was
        written is committed, and stays.
        """
        cut = self.end(watch)
        if cut is not None:
            if not writes:
                raise cut
            stream.reusable = False
        return stream

    def _look(self, watch: Watch, now: float) -> None:
        cancel = watch.cancel
        if watch.cut_at < now:
            self._cut(watch, TimedOut(silent=True))
        elif cancel is not None and cancel.at < now and not watch.cancelled:
            (self._cancel_at_once if cancel.instant else self._cancel)(watch, cancel)
        elif watch.max_bytes and self._received(watch) > watch.max_bytes:
            self._cut(watch, RowTooLarge())

    def _cancel_at_once(self, watch: Watch, cancel: Cancel) -> None:
        with watch.lock:
            if not watch.ended and watch.cancel is cancel:
                watch.cancelled, watch.cut = True, TimedOut(silent=cancel.silent)
                # A connection that is lost, or takes no more: it is cut a little later.
                with suppress(OSError):
                    cancel.action()

    def _cancel(self, watch: Watch, cancel: Cancel) -> None:
        if not self._cancels.acquire(blocking=False):
            return
        thread = threading.Thread(target=self._run_cancel, args=(cancel,), name="statement-cancel", daemon=True)
        with watch.lock:
            if not watch.ended:
                # No more threads to be had: it is cut a little later.
                with suppress(RuntimeError):
                    thread.start()
                    watch.cancelled, watch.cut = True, TimedOut()
                    return
        self._cancels.release()

    def _run_cancel(self, cancel: Cancel) -> None:
        try:
            # Whether it worked shows in the statement.
            with suppress(Exception):
                cancel.action()
        finally:
            self._cancels.release()

    def _cut(self, watch: Watch, why: SourceError) -> None:
        with watch.lock:
            if not watch.ended:
                watch.cut = why
                self._running.pop(watch, None)
                _shut_down(watch)

    def _received(self, watch: Watch) -> int:
        """Return the bytes that a connection has received since the first check of its statement."""
        with watch.lock:
            if watch.ended:
                return 0
            received = _received_bytes(watch)
        if watch.before < 0:
            watch.before = received
        return received - watch.before


def byte_counts(connection: socket.socket) -> tuple[int, int]:
    """Return how many bytes a TCP connection has delivered to its peer and received. Raises OSError for others."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTE_COUNTS.size)
    try:
        delivered, received = _BYTE_COUNTS.unpack(info)
    except struct.error:  # an old kernel
        raise OSError("the kernel does not count bytes") from None
    return delivered, received


def inode_of(descriptor: int) -> int:
    """Return the number by which a socket is known as long as it is open; -1 for no socket."""
    try:
        return os.fstat(descriptor).st_ino
    except OSError:
        return -1


def duplicate(inode: int, descriptor: int) -> socket.socket | None:
    """Return a duplicate of the socket; None if the descriptor belongs to another one by now."""
    with suppress(OSError):
        twin = socket.socket(fileno=os.dup(descriptor))
        if inode_of(twin.fileno()) == inode:
            return twin
        twin.close()
    return None


def _received_bytes(watch: Watch) -> int:
    """Return the bytes that a TCP connection has received; 0 for other sockets."""
    twin = duplicate(watch.inode, watch.descriptor)
    if twin is not None:
        with suppress(OSError), twin:
            return byte_counts(twin)[1]
    return 0


def _shut_down(watch: Watch) -> None:
    twin = duplicate(watch.inode, watch.descriptor)
    if twin is not None:
        with suppress(OSError), twin:
            twin.shutdown(socket.SHUT_RDWR)


watchdog = StatementWatchdog("statement-watch")
os.register_at_fork(after_in_child=watchdog.forget)
