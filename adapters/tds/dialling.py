"""Connections: the connection string, the socket of each, and a limit to the time that connecting takes."""

from __future__ import annotations

import os
import re
import socket
import stat
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from adapters.base import (
    ConnectFailed,
)
from adapters.socket_watch import Cancel, Watch, address_count, byte_counts, duplicate, watchdog
from adapters.tds.driver import pyodbc_driver, to_source_error
from adapters.tds.freetds import server_name

#: Seconds after the time limit when a connection is cut. Until then an attention may end the statement.
CUT_AFTER = 0.5

#: Seconds after the time limit, rounded down, when the driver's own timeout ends a statement that nothing else has.
DRIVER_AFTER = 2

#: Seconds after the time limit of connecting when the driver's own timeout ends it. FreeTDS may then wait without end
#: for a signal of its own: a thread that shuts the socket comes first, however late a busy machine runs it.
DRIVER_CONNECTS_AFTER = 60

#: Seconds that ending a statement may take.
RELEASE_SECONDS = 2.0


#: The packet by which a client asks the server to end what it runs: its type, "the last packet of its message", its
#: length, and what the version of the protocol wants behind.
_ATTENTION = {version: bytes.fromhex("06010008" + rest) for version, rest in ((5, "00000000"), (7, "00000100"))}

#: The bytes before a batch's text in a packet of TDS 7.2 and later: the packet's header, and the batch's.
_BEFORE_BATCH = 8 + 22


class Connection:
    """A pyodbc connection, a duplicate of its socket (the twin), and the driver's own timeout."""

    def __init__(self, raw: Any, twin: socket.socket) -> None:
        self.raw = raw
        self.twin = twin
        self._timeout = 0
        #: Whether all that goes through the socket is encrypted, or may be.
        self.encrypted = True
        self._attention = _ATTENTION[7]

    @property
    def descriptor(self) -> int:
        descriptor = self.twin.fileno()
        if descriptor < 0:
            raise ConnectFailed("broken")
        return descriptor

    def cursor(self, seconds: float) -> Any:
        """Return a cursor for a statement of ``seconds`` at most. Raises ConnectFailed if the connection is closed.

        The driver's own timeout, in whole seconds, is for what neither an attention nor a cut ends.
        """
        if self.twin.fileno() < 0:
            raise ConnectFailed("broken")
        timeout = int(seconds) + DRIVER_AFTER
        if timeout != self._timeout:
            self.raw.timeout = self._timeout = timeout
        return self.raw.cursor()

    def set_up(self, sql: str, sybase: bool) -> None:
        """Run the batch that sets the session up, and see whether it went out encrypted. Raises SourceError.

        The driver does not say whether it encrypts: the server has the last word. A batch is longer then.
        """
        self._attention = _ATTENTION[5 if sybase else 7]
        before = self._delivered()
        self.execute(sql)
        # FreeTDS does not encrypt TDS 5.0.
        self.encrypted = not sybase and self._delivered() - before != _BEFORE_BATCH + 2 * len(sql)

    def _delivered(self) -> int:
        """Return the bytes that the server has received; 0 where the kernel does not count them."""
        with suppress(OSError):
            return byte_counts(self.twin)[0]
        return 0

    def execute(self, sql: str, seconds: float = RELEASE_SECONDS) -> None:
        """Run a batch of the adapter's own. Raises SourceError."""
        cursor = self.cursor(seconds)
        watch = self.watch(time.monotonic() + seconds)
        try:
            cursor.execute(sql)
            while cursor.nextset():
                pass
        except Exception as error:
            raise to_source_error(error, watchdog.end(watch)) from None
        if (cut := watchdog.end(watch)) is not None:
            raise cut
        cursor.close()

    def watch(self, deadline: float, width: int = 0) -> Watch:
        """Send an attention at the deadline, and cut the connection half a second later.

        The driver's own timeout counts whole seconds. Its SQLCancel must not be called beside another call for the
        same statement: FreeTDS then unlocks a statement that the other call has locked, and both change its list of
        errors. So the attention goes past the driver, which takes the server's answer to it for that to its statement.
        Nobody but the driver can write to an encrypted connection: that is shut at the deadline.
        """
        action = self._shut if self.encrypted else self._send_attention
        cancel = Cancel(deadline, action, instant=True, silent=self.encrypted)
        return watchdog.begin(self.descriptor, deadline, width, cancel, CUT_AFTER)

    def _send_attention(self) -> None:
        self.twin.send(self._attention, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def _shut(self) -> None:
        self.twin.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        # The twin keeps the socket open: without the shutdown the server would not notice the end.
        with suppress(OSError):
            self.twin.shutdown(socket.SHUT_WR)
        with suppress(Exception):
            self.raw.close()
        self.twin.close()


#: Characters that the servers allow in a name or password.
_MAX_LENGTH = 128
_REASONS = {"UID": "login", "PWD": "login", "DATABASE": "database-unknown", "SERVER": "host-unknown"}

_ANYTHING = re.compile(r".*", re.S)
_VALID = {
    "SERVER": re.compile(r"[^;{}\\,\s/]+"),
    "TDS_Version": re.compile(r"5\.0|7\.[2-4]"),
    "Encryption": re.compile(r"off|request|require"),
}
_BARE = frozenset(
    ("DRIVER", "SERVERNAME", "SERVER", "PORT", "TDS_Version", "ClientCharset", "Encryption", "ApplicationIntent")
)

_locks: dict[tuple[str, int], threading.Lock] = {}
os.register_at_fork(after_in_child=_locks.clear)


def connection_string(words: Mapping[str, str], authority: str) -> str:
    """Return the words as FreeTDS reads them. Raises ConnectFailed for a value that it cannot take.

    ``authority`` is a PEM file, or "system": the server's certificate must then be from it. "" for no check.
    """
    for name, value in words.items():
        # A wrong word crashes FreeTDS and the process with it; a database's name that is too long for its
        # first packet sends it into an endless loop.
        if (
            len(value) > _MAX_LENGTH
            or "};" in value
            or "\x00" in value
            or not _VALID.get(name, _ANYTHING).fullmatch(value)
        ):
            raise ConnectFailed(_REASONS.get(name, "other"))
    if authority:
        others = {name: value for name, value in words.items() if name not in ("SERVER", "PORT")}
        server = server_name(words["SERVER"], words["PORT"], authority)
        words = {"SERVERNAME": server, **others, "Encryption": "require"}
    # FreeTDS reads a value in braces to the next "};", without any escapes, and only there.
    return "".join([f"{name}={value};" if name in _BARE else f"{name}={{{value}}};" for name, value in words.items()])


def dial(words: str, host: str, port: int, seconds: float) -> Connection:
    """Connect, and find the socket of the connection: neither pyodbc nor FreeTDS has an attribute for it.

    It is the socket to the server's address that did not exist before. Only one connection to an address is opened
    at a time, so there is only one. Raises pyodbc's errors and ConnectFailed.
    """
    deadline = time.monotonic() + seconds
    count = address_count(host, port, seconds)
    driver = pyodbc_driver()
    lock = _locks.setdefault((host, port), threading.Lock())
    if not lock.acquire(timeout=seconds):
        raise ConnectFailed("unreachable")
    try:
        peers = {info[4][:2] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        before = {inode for inode, _ in _sockets_to(peers)}
        late, over = threading.Event(), threading.Event()
        left = max(0.1, deadline - time.monotonic())
        threading.Thread(target=_shut_when_late, args=(peers, before, left, count, late, over), daemon=True).start()
        try:
            raw = driver.connect(words, autocommit=True, timeout=int(left) + DRIVER_CONNECTS_AFTER)
        except driver.Error:
            if late.is_set():
                raise ConnectFailed("unreachable") from None
            raise
        finally:
            over.set()
        # FreeTDS takes a log-in for complete whose last statements failed, because the socket was shut.
        twin = None if late.is_set() else _only_new_socket(peers, before)
        if twin is None:
            raw.close()
            raise ConnectFailed("unreachable" if late.is_set() else "other")
        # Every text is bound as a whole, however long: pyodbc cannot send it in parts to a procedure.
        raw.maxwrite = 2**30
        return Connection(raw, twin)
    finally:
        lock.release()


def _only_new_socket(peers: set[tuple[Any, ...]], before: set[int]) -> socket.socket | None:
    """Return a duplicate of the only socket to the addresses whose inode is not in ``before``; None if it is not one.

    It may have several descriptors for a moment: another thread looks for the socket of its own connection.
    """
    new = [(inode, descriptor) for inode, descriptor in _sockets_to(peers) if inode not in before]
    if len({inode for inode, _ in new}) != 1:
        return None
    return next((twin for inode, descriptor in new if (twin := duplicate(inode, descriptor)) is not None), None)


def _sockets_to(peers: set[tuple[Any, ...]]) -> list[tuple[int, int]]:
    """Return (inode, descriptor) of this process's sockets that are connected to one of the addresses."""
    sockets = []
    for name in os.listdir("/dev/fd"):
        descriptor = int(name)
        with suppress(OSError):
            status = os.fstat(descriptor)
            if stat.S_ISSOCK(status.st_mode) and (twin := duplicate(status.st_ino, descriptor)) is not None:
                with twin:
                    if twin.family in (socket.AF_INET, socket.AF_INET6) and twin.getpeername()[:2] in peers:
                        sockets.append((status.st_ino, descriptor))
    return sockets


def _shut_when_late(
    peers: set[tuple[Any, ...]],
    before: set[int],
    seconds: float,
    count: int,
    late: threading.Event,
    over: threading.Event,
) -> None:
    """Shut the socket of a connection that is not open after ``seconds``: the driver then returns.

    Repeated until it has returned: it may have opened another socket, or none yet. Each of ``count`` addresses has an
    equal part of the time to accept the connection; the driver then tries the next one.
    """
    for _ in range(count - 1):
        if over.wait(seconds / count):
            return
        _shut(_connecting_to(peers))
    if over.wait(seconds / count):
        return
    late.set()
    while True:
        _shut([each for each in _sockets_to(peers) if each[0] not in before] + _connecting_to(peers))
        if over.wait(0.1):
            return


def _shut(sockets: Iterable[tuple[int, int]]) -> None:
    for inode, descriptor in sockets:
        twin = duplicate(inode, descriptor)
        if twin is not None:
            with suppress(OSError), twin:
                twin.shutdown(socket.SHUT_RDWR)


#: The state of a socket in /proc/net/tcp that no address has accepted yet.
_SYN_SENT = "02"


def _connecting_to(peers: set[tuple[Any, ...]]) -> list[tuple[int, int]]:
    """Return (inode, descriptor) of this process's sockets that none of the addresses has accepted yet.

    Such a socket does not know its peer; the kernel's table does.
    """
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError), open(table) as lines:
            for words in map(str.split, lines):
                if words[3] == _SYN_SENT and _peer(words[2]) in peers:
                    inodes.add(int(words[9]))
    found = []
    for name in os.listdir("/dev/fd") if inodes else ():
        with suppress(OSError):
            status = os.fstat(int(name))
            if stat.S_ISSOCK(status.st_mode) and status.st_ino in inodes:
                found.append((status.st_ino, int(name)))
    return found


def _peer(text: str) -> tuple[str, int]:
    """Return an address and port from /proc/net/tcp, which has an address as 32-bit numbers of this machine."""
    address, _, port = text.partition(":")
    numbers = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
    packed = b"".join(number.to_bytes(4, sys.byteorder) for number in numbers)
    return socket.inet_ntop(socket.AF_INET if len(numbers) == 1 else socket.AF_INET6, packed), int(port, 16)


def is_reachable(host: str, port: int) -> bool:
    """Return True if something accepts connections on the port, within a second."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
