"""An upstream of many modes, over a real socket."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from typing import Self

WELL = b"semua sehat"


class ScriptedUpstream:
    """Modes: well, broken (500), ill (200 with another text), hanging (no answer), dropping (no byte), refusing."""

    def __init__(self, mode: str = "well") -> None:
        self.port = 0
        #: (monotonic seconds, method, path, head) of every request.
        self.received: list[tuple[float, str, str, str]] = []
        self._held: set[socket.socket] = set()
        self._listener = self._bind()
        self._mode = "refusing"
        self._closed = threading.Event()
        self.set_mode(mode)

    def _bind(self) -> socket.socket:
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1", self.port))
        self.port = made.getsockname()[1]
        return made

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def mode(self) -> str:
        return self._mode

    def set_mode(self, mode: str) -> None:
        """Change the mode; whoever hangs or refuses now lets go of what was held."""
        before, self._mode = self._mode, mode
        if mode == "refusing":
            self._listener.close() if before == "refusing" else self._deafen()
            self._listener = self._bind()
        elif before == "refusing":
            self._listener.listen(128)
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _deafen(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._held):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._held.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        waiting = b""
        try:
            while not self._closed.is_set() and self._mode != "dropping":
                while b"\r\n\r\n" not in waiting:
                    read = connection.recv(65536)
                    if not read:
                        return
                    waiting += read
                head, _, waiting = waiting.partition(b"\r\n\r\n")
                self._answer(connection, head.decode("latin-1"))
        except OSError:
            pass
        finally:
            self._held.discard(connection)
            connection.close()

    def _answer(self, connection: socket.socket, head: str) -> None:
        method, path, _ = head.split("\r\n")[0].split(" ")
        self.received.append((time.monotonic(), method, path, head))
        while self._mode == "hanging" and not self._closed.is_set():
            time.sleep(0.01)
        status, text = {"broken": (500, b"rusak"), "ill": (200, b"sakit")}.get(self._mode, (200, WELL))
        if found := re.match(r"/status/(\d+)", path):
            status = int(found[1])
        line = f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n".encode()
        connection.sendall(line + (b"" if method == "HEAD" else text))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        if self._mode == "refusing":
            self._listener.close()
        else:
            self._deafen()
