"""An upstream over a real socket: it notes what it was asked, and answers as the test says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    """One request as it came in."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """All values of a header, joined; "" without one."""
        return ", ".join(value for key, value in self.headers if key.lower() == name.lower())

    @property
    def names(self) -> set[str]:
        return {name.lower() for name, _ in self.headers}


@dataclass
class Answer:
    body: bytes = b""
    content_type: str = "application/json"
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)


class Upstream:
    def __init__(self, answer: Callable[[Received], Answer] | Answer) -> None:
        self.received: list[Received] = []
        self.answer: Callable[[Received], Answer] = answer if callable(answer) else lambda received: answer
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def last(self) -> Received:
        return self.received[-1]


@contextmanager
def serve_upstream(answer: Callable[[Received], Answer] | Answer) -> Iterator[Upstream]:
    made = Upstream(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            received = Received(self.command, self.path, list(self.headers.items()), self._body())
            made.received.append(received)
            found = made.answer(received)
            self.send_response_only(found.status)
            if found.content_type:
                self.send_header("Content-Type", found.content_type)
            for name, value in found.headers:
                self.send_header(name, value)
            framed = {"content-length", "transfer-encoding"} & {name.lower() for name, _ in found.headers}
            if found.status not in (204, 304) and not framed:
                self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            if self.command != "HEAD":
                with suppress(OSError):
                    self.wfile.write(found.body)
            if ("Connection", "close") in found.headers:
                self.close_connection = True

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            whole = b""
            while size := int(self.rfile.readline(), 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return whole

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

        def log_message(self, format: str, *args: Any) -> None:
            pass

    held: list[socket.socket] = []

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def process_request(self, request: Any, client_address: Any) -> None:
            held.append(request)
            super().process_request(request, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        for connection in held:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        thread.join(5)
