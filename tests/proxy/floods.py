"""An upstream for much: it sends and takes bodies of any size at flat memory, or drips."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PIECE = bytes(range(256)) * 256


class Handler(BaseHTTPRequestHandler):
    """/send?size=N, /chunked?size=N, /take (answers size and digest), /drip?times=N (server-sent events)."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: int(values[0]) for name, values in parse_qs(parts.query).items()}
        self.send_response_only(200)
        if parts.path.endswith("/drip"):
            self._drip(query["times"])
            return
        chunked = parts.path.endswith("/chunked")
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(query["size"]))))
        self.end_headers()
        left = query["size"]
        while left:
            piece = PIECE[: min(left, len(PIECE))]
            left -= len(piece)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _drip(self, times: int) -> None:
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(times):
            event = b"data: %d %.6f\n\n" % (number, time.time())
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
            time.sleep(0.3)
        self.wfile.write(b"0\r\n\r\n")

    def do_POST(self) -> None:
        digest, size = hashlib.blake2b(), 0
        for piece in self._pieces():
            digest.update(piece)
            size += len(piece)
        said = b"%d %b" % (size, digest.hexdigest().encode())
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def _pieces(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while left := int(self.rfile.readline(), 16):
                while left:
                    piece = self.rfile.read(min(left, 65536))
                    left -= len(piece)
                    yield piece
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            piece = self.rfile.read(min(left, 65536))
            if not piece:
                return
            left -= len(piece)
            yield piece

    def log_message(self, format: str, *args: Any) -> None:
        pass


def digest_of(size: int) -> str:
    digest = hashlib.blake2b()
    while size:
        digest.update(PIECE[: min(size, len(PIECE))])
        size -= min(size, len(PIECE))
    return digest.hexdigest()


@contextmanager
def flood() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
