"""The head of a response, and its refusal of what the server itself cannot read."""

from __future__ import annotations

import json
import time
import uuid
from email.utils import formatdate
from typing import Any

Headers = list[tuple[str, str]]

_NO_BODY = ("204", "304")


class Response:
    """What the application said of its response, and how the response is framed."""

    __slots__ = ("chunked", "headers", "keep_alive", "length", "started", "status")

    def __init__(self) -> None:
        self.status = ""
        self.headers: Headers = []
        #: True once its head has gone out.
        self.started = False
        #: The bytes of the body that are still to come; None if nobody knows.
        self.length: int | None = None
        self.chunked = False
        self.keep_alive = False

    @property
    def is_framed(self) -> bool:
        """True if the caller notices where the body's end is missing."""
        return self.chunked or self.length is not None

    def start(self, status: str, headers: Headers, exc_info: Any = None) -> Any:
        """The start_response of PEP 3333. Its write() is not offered: no application of the bus uses it."""
        if exc_info is not None and self.started:
            raise exc_info[1].with_traceback(exc_info[2])
        self.status, self.headers = status, headers

    def head(self, version: str, method: str, size: int | None, keep_alive: bool) -> bytes:
        """Return the head's bytes. Raises ValueError if a header has a line break, or cannot be encoded.

        ``size``: the body's length if it is known.
        """
        lines = "".join([f"{name}: {value}\r\n" for name, value in self.headers])
        count = len(self.headers)
        if lines.count("\n") != count or lines.count("\r") != count or "\0" in lines:
            raise ValueError("a header has a line break")
        framing = self._frame(version, method, size)
        # Where nothing else says so, the end of the connection is the end of the body.
        self.keep_alive = keep_alive and self.is_framed
        connection = "keep-alive" if self.keep_alive else "close"
        text = f"HTTP/1.1 {self.status}\r\nDate: {_date()}\r\nConnection: {connection}\r\n{framing}{lines}\r\n"
        encoded = text.encode("latin-1")
        self.started = True
        return encoded

    def _frame(self, version: str, method: str, size: int | None) -> str:
        """Decide how the caller finds the body's end, and return the header that says so if there is none yet."""
        stated = next((value for name, value in self.headers if name.lower() == "content-length"), None)
        if method == "HEAD" or self.status[:3] in _NO_BODY:
            self.length = 0
        elif stated is not None:
            self.length = int(stated)
        elif size is not None:
            self.length = size
            return f"Content-Length: {size}\r\n"
        elif version == "HTTP/1.1":
            self.chunked = True
            return "Transfer-Encoding: chunked\r\n"
        return ""


_dates: tuple[int, str] = (0, "")


def _date() -> str:
    """Return the time as HTTP has it; it is written once a second."""
    global _dates
    now = int(time.time())
    second, text = _dates
    if second != now:
        text = formatdate(now, usegmt=True)
        _dates = now, text
    return text


def problem(status: int, phrase: str) -> tuple[str, bytes]:
    """Return a refusal of the server's own: its request id and bytes, in the shape in which nginx refuses such."""
    request_id = uuid.uuid4().hex
    content = {"type": "about:blank", "title": phrase, "status": status, "request_id": request_id}
    body = json.dumps(content).encode() + b"\n"
    head = (
        f"HTTP/1.1 {status} {phrase}\r\nDate: {_date()}\r\nConnection: close\r\n"
        f"Content-Type: application/problem+json\r\nContent-Length: {len(body)}\r\nX-Request-Id: {request_id}\r\n\r\n"
    )
    return request_id, head.encode() + body
