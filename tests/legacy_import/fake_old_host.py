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
from tests.legacy_import.old_database import OldInstallation
from tests.legacy_import.old_definitions import ROWS, Shape

#: The values that were sent → the envelope's response, or a body for each format.
Operation = Callable[[dict[str, str]], Any]


class FakeOldHost:
    """Serves operations by their address "agency/service/operation" and key. ``folder`` is "" or "/mantra"."""

    def __init__(self, folder: str = "") -> None:
        self.folder = folder
        self.operations: dict[str, Operation] = {}
        #: Address in lower case → an operation of an installation.
        self.shapes: dict[str, Shape] = {}
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

    def serve(self, old: OldInstallation) -> None:
        """Serve what an installation has: all its operations that can be called, with their keys."""
        for order in old.orders:
            call = old.call(order) if order.active else None
            if call is not None:
                address = f"{call.agency}/{call.service}/{call.operation}".lower()
                self.shapes[address] = old.shapes[call.operation_id]
                self.keys.add((address, order.key))

    def body(self, target: str, agent: str, key: str) -> bytes:
        if target in self.recorded:
            return self.recorded[target]
        path, _, query = target.removeprefix(self.folder).partition("?")
        format, agency, service, operation, *rest = path.strip("/").split("/")
        spelt = [original.urldecode(name.encode()).decode() for name in (agency, service, operation)]
        address = "/".join(spelt).lower()
        if (address, rest[0] if rest else "") in self.keys:  # generation 2, which had XML under this address
            key, *rest = rest
            format = "xml"
        if agent != "MANTRA" or not key:
            return b""
        known, shape = self.operations.get(address), self.shapes.get(address)
        if (known is None and shape is None) or (address, key) not in self.keys:
            return original.written(original.failure(10002, "Fungsi operasi tidak terdaftar"), format)
        sent = original.parse_str((query or "/".join(rest)).encode())
        if rest:
            sent = original.twice(sent)
        values = {name.decode().lower(): value.decode() for name, value in sent.items()}
        answer = known(values) if known else _answer(shape, values, spelt)
        if callable(answer):
            written: bytes = answer(format)
            return written
        return original.written(answer, format)


def _answer(shape: Shape | None, sent: dict[str, str], spelt: list[str]) -> Any:
    """What 1.99x answers to a call of an operation of an installation."""
    assert shape is not None
    names = {original.sent_name(name).lower(): name for name in shape.parameters(ROWS[0])}
    if not names.keys() <= sent.keys():
        return original.failure(10005, "Seluruh parameter fungsi operasi wajib diisi")
    found = shape.answer({own: sent[name] for name, own in names.items()})
    if isinstance(found, dict):
        return {"status": 1, "code": 200, "message": "OK", "data": found}
    agency, service, operation = spelt
    if not found:
        name = f"{agency}:{service}.{operation}"
        return original.failure(10012, f'Hasil operasi data "{name}" tidak ada (kosong)')
    return original.rows(operation, found)
