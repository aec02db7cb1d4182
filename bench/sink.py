"""python -m bench.sink PORT: reads the bodies that it is sent, and says how many bytes each had."""

from __future__ import annotations

import socket
import sys
import threading


def _serve(link: socket.socket) -> None:
    buffer = bytearray(1024 * 1024)
    with link:
        held = b""
        while True:
            while b"\r\n\r\n" not in held:
                piece = link.recv(65536)
                if not piece:
                    return
                held += piece
            head, _, held = held.partition(b"\r\n\r\n")
            lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
            length = next((int(value) for name, _, value in lines if name.lower() == b"content-length"), 0)
            left = length - len(held)
            held = b""
            while left > 0:
                size = link.recv_into(buffer, min(left, len(buffer)))
                if not size:
                    return
                left -= size
            said = b"%d\n" % length
            link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said))


def main() -> None:
    with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128) as server:
        while True:
            link, _ = server.accept()
            threading.Thread(target=_serve, args=(link,), daemon=True).start()


if __name__ == "__main__":
    main()
