"""Servers that do wrong, and one that does what a test says, over real sockets."""

from __future__ import annotations

import re
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.servers.process import wait_until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextmanager
def silent_server() -> Iterator[int]:
    """A port that accepts every connection and never sends a byte."""
    listener = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                held.append(listener.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        # Only shutdown wakes a thread that waits in accept().
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
        for connection in held:
            connection.close()


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port that refuses every connection: bound, so that nobody else takes it, but not listening."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@contextmanager
def full_port() -> Iterator[int]:
    """A port that neither takes a connection nor refuses it: its queue is full and nobody accepts."""
    held: list[socket.socket] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)

        def full() -> bool:
            probe = socket.socket()
            held.append(probe)
            probe.settimeout(0.3)
            try:
                probe.connect(listener.getsockname())
            except TimeoutError:
                return True
            return False

        wait_until(full, 20, "a full queue")
        try:
            yield listener.getsockname()[1]
        finally:
            for probe in held:
                probe.close()


# --------------------------------------------------------------------------- a server that a test speaks for


@dataclass
class Asked:
    """A request as it came: everything up to the empty line, and the body without its framing."""

    head: bytes
    body: bytes

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    def header(self, name: str) -> list[str]:
        found = re.findall(rb"(?im)^" + re.escape(name.encode()) + rb":[ \t]*([^\r\n]*)", self.head)
        return [value.decode("latin-1") for value in found]


class Peer:
    """One connection, seen from the server."""

    def __init__(self, link: socket.socket, number: int, server: ScriptedServer) -> None:
        self.link = link
        #: 0 for the first connection that the server got.
        self.number = number
        self._server = server
        self._file = link.makefile("rb")

    def request(self) -> Asked | None:
        """The next request, or None when there is none. Raises OSError."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self._file.readline()
            if not line:
                return None
            head += line
        asked = Asked(head, b"")
        if asked.header("Transfer-Encoding"):
            asked.body = self._chunked()
        elif lengths := asked.header("Content-Length"):
            asked.body = self._file.read(int(lengths[0]))
        self._server.asked.append(asked)
        return asked

    def _chunked(self) -> bytes:
        body = b""
        while size := int(self._file.readline(), 16):
            body += self._file.read(size)
            self._empty_line()
        self._empty_line()
        return body

    def _empty_line(self) -> None:
        if self._file.readline() != b"\r\n":
            raise ValueError("a chunk does not end where it says")

    def send(self, data: bytes) -> None:
        self.link.sendall(data)

    def head(self) -> bytes:
        """The next request up to its body, which stays unread."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self._file.readline()
            if not line:
                break
            head += line
        return head

    def wait(self) -> None:
        """Say nothing until the other side goes away or the server ends."""
        with suppress(OSError):
            self._file.read(1)


Script = Callable[[Peer], None]


@dataclass
class ScriptedServer:
    port: int
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    #: What TLS refused, on this side.
    refusals: list[Exception] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def repeating(*answers: bytes) -> Script:
    """Answers each request of a connection with the next of ``answers``, the last one for ever."""

    def script(peer: Peer) -> None:
        left = list(answers)
        while peer.request() is not None:
            peer.send(left.pop(0) if len(left) > 1 else left[0])

    return script


def once(answer: bytes) -> Script:
    """Answers one request and closes."""

    def script(peer: Peer) -> None:
        if peer.request() is not None:
            peer.send(answer)

    return script


@contextmanager
def scripted_server(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[ScriptedServer]:
    """A server on 127.0.0.1 that runs ``script`` on each connection, in a thread, and closes it then."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = ScriptedServer(listener.getsockname()[1])
    held: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(link: socket.socket, number: int) -> None:
        # A request that breaks off is none: its sender's test knows.
        with suppress(OSError, ValueError):
            try:
                if tls is not None:
                    link = tls.wrap_socket(link, server_side=True)
                    held.append(link)
            except ssl.SSLError as error:
                server.refusals.append(error)
                link.close()
                return
            peer = Peer(link, number, server)
            try:
                script(peer)
            except ssl.SSLError as error:
                server.refusals.append(error)
            finally:
                with suppress(OSError):
                    link.shutdown(socket.SHUT_RDWR)
                peer._file.close()
                link.close()

    def accept() -> None:
        while True:
            try:
                link = listener.accept()[0]
            except OSError:
                return
            held.append(link)
            threads.append(threading.Thread(target=serve, args=(link, server.connections), daemon=True))
            server.connections += 1
            threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(5)
        for link in held:
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)
        for link in held:
            link.close()


@contextmanager
def relay(port: int, replies: int) -> Iterator[int]:
    """A port that leads to the server on ``port``, and falls silent after so many of the server's replies."""
    left = iter(range(replies))

    def script(peer: Peer) -> None:
        with socket.create_connection(("127.0.0.1", port)) as server:
            while True:
                for ready in select.select([peer.link, server], [], [])[0]:
                    data = ready.recv(65536)
                    if ready is server and next(left, None) is None:
                        while peer.link.recv(65536):
                            pass
                        return
                    if not data:
                        return
                    (server if ready is peer.link else peer.link).sendall(data)

    with scripted_server(script) as server:
        yield server.port
