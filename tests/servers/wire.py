"""HTTP by hand, over a socket: for requests that no client library would send.

A response may come in any number of segments, and the server may close before it has read all of the request. So the
first ``recv`` is no response yet, and sending may end in a reset although a response waits to be read.
"""

from __future__ import annotations

import http.client
import select
import socket
import time
from contextlib import suppress


def read_response(connection: socket.socket, method: str = "GET") -> tuple[int, bytes]:
    """Read one whole response: its status and its body."""
    response = http.client.HTTPResponse(connection, method=method)
    try:
        response.begin()
        return response.status, response.read()
    finally:
        response.close()


def send(connection: socket.socket, data: bytes) -> None:
    """Send what the server takes. It may have refused already, and closed: its response can still be read."""
    with suppress(ConnectionError):
        connection.sendall(data)


def dribble(connection: socket.socket, seconds: float, pause: float = 0.2) -> None:
    """Send a byte now and then until the server answers, for so many seconds at most."""
    until = time.monotonic() + seconds
    while not select.select([connection], [], [], pause)[0]:
        assert time.monotonic() < until, f"no answer within {seconds:g} s"
        send(connection, b"x")


def exchange(port: int, data: bytes, silence: float = 10, first: float = 0, finish: bool = False) -> bytes:
    """Send these bytes; return all that comes back until the server closes or is silent for so many seconds.

    ``first`` is how long the first bytes may take where that is longer. With ``finish`` the server is told that nothing
    more will come.
    """
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.settimeout(max(first, silence))
        send(connection, data)
        with suppress(OSError):
            if finish:
                connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                received += piece
                connection.settimeout(silence)
    return received
