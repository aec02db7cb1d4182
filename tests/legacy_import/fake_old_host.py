"""FakeOldHost: an HTTP server that responds as MANTRA 1.99x does, from rows that a test gives it.

It is none of the original's code: ``tests/gateway/original.py`` has its rules. What the original was recorded to answer
can be replayed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.gateway import original

#: The values that were sent → the envelope's response, or a body for each format.
Operation = Callable[[dict[str, str]], Any]


class FakeOldHost:
    """Serves operations by their address "agency/service/operation" and key. ``folder`` is "" or "/mantra"."""

    def __init__(self, folder: str = "") -> None:
        self.folder = folder
        self.operations: dict[str, Operation] = {}
        self.keys: set[tuple[str, str]] = set()
        #: Address as it was sent → body: answers that were recorded.
        self.recorded: dict[str, bytes] = {}
        #: What was received: method, address, AccessKey.
        self.received: list[tuple[str, str, str]] = []
        #: Responds with this status and no envelope.
        self.status = 200

    def __enter__(self) -> Self:
        host = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                key = self.headers.get("AccessKey", "")
                host.received.append((self.command, self.path, key))
                body = host.body(self.path, self.headers.get("User-Agent", ""), key)
                self.send_response(host.status)
                if host.status != 200:
                    self.send_header("Location", "http://127.0.0.1:1/")
                self.send_header("Content-Type", "text/plain;charset=UTF-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}{self.folder}"

    def add(self, address: str, key: str, operation: Operation) -> None:
        self.operations[address.lower()] = operation
        self.keys.add((address.lower(), key))

    def body(self, target: str, agent: str, key: str) -> bytes:
        if target in self.recorded:
            return self.recorded[target]
        if agent != "MANTRA" or not key:
            return b""
        path, _, query = target.removeprefix(self.folder).partition("?")
        format, agency, service, operation, *rest = path.strip("/").split("/")
        address = "/".join(original.urldecode(name.encode()).decode() for name in (agency, service, operation)).lower()
        known = self.operations.get(address)
        if known is None or (address, key) not in self.keys:
            return original.written(original.failure(10002, "Fungsi operasi tidak terdaftar"), format)
        sent = original.parse_str((query or "/".join(rest)).encode())
        if rest:
            sent = original.twice(sent)
        answer = known({name.decode().lower(): value.decode() for name, value in sent.items()})
        if callable(answer):
            written: bytes = answer(format)
            return written
        return original.written(answer, format)
