"""An upstream's response, from the network or the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from proxyservices.transport.client import Response
from proxyservices.transport.errors import UpstreamError
from registry import faults
from registry.results import Fault


class UpstreamResponse:
    """A response's head, with its body still to come. ``close`` it in every case."""

    __slots__ = (
        "_close", "_failed", "_response", "body", "fields", "headers", "matches_condition", "on_complete",
        "on_complete_max_bytes", "status",
    )  # fmt: skip

    def __init__(
        self,
        status: int,
        headers: list[tuple[str, str]],
        response: Response | None = None,
        body: bytes = b"",
        close: Callable[[], None] | None = None,
        failed: Callable[[UpstreamError], Fault] | None = None,
        matches_condition: bool = False,
    ) -> None:
        self.status = status
        self.headers = headers
        #: The first value of each header by its name in lower case.
        self.fields: dict[str, str] = {}
        for name, value in headers:
            self.fields.setdefault(name.lower(), value)
        #: The whole body of a response that does not come from a connection.
        self.body = body
        #: True if the caller's If-None-Match names this very response.
        self.matches_condition = matches_condition
        self._response = response
        self._close = close
        self._failed = failed
        #: Called with the body once it is complete, if it has at most ``on_complete_max_bytes``.
        self.on_complete: Callable[[bytes], None] | None = None
        self.on_complete_max_bytes = 0

    @property
    def length(self) -> int | None:
        """The body's length in bytes, if the upstream stated it."""
        text = self.fields.get("content-length", "")
        return int(text) if text.isascii() and text.isdigit() else None

    def chunks(self) -> Iterator[bytes]:
        """Return the body as it comes, with its Content-Encoding. Raises Fault if the upstream aborts it."""
        if self._response is None:
            if self.body:
                yield self.body
            return
        chunks = self._response.chunks()
        try:
            yield from chunks if self.on_complete is None else self._captured(chunks, self.on_complete)
        except UpstreamError as error:
            raise error if self._failed is None else self._failed(error) from None

    def _captured(self, chunks: Iterator[bytes], on_complete: Callable[[bytes], None]) -> Iterator[bytes]:
        chunks_so_far: list[bytes] = []
        size = 0
        for chunk in chunks:
            size += len(chunk)
            if size <= self.on_complete_max_bytes:
                chunks_so_far.append(chunk)
            else:
                chunks_so_far.clear()
            yield chunk
        if size <= self.on_complete_max_bytes:
            on_complete(b"".join(chunks_so_far))

    def read(self, max_bytes: int | None = None) -> bytes:
        """Return the whole body, and release the upstream. Raises Fault, also for more than ``max_bytes``."""
        try:
            return b"".join(self.chunks() if max_bytes is None else self._limited(max_bytes))
        finally:
            self.close()

    def _limited(self, max_bytes: int) -> Iterator[bytes]:
        size = self.length or 0
        if size <= max_bytes:
            size = 0
            for chunk in self.chunks():
                size += len(chunk)
                if size > max_bytes:
                    break
                yield chunk
        if size > max_bytes:
            raise Fault(faults.UPSTREAM_TOO_LARGE, limit=max_bytes)

    def close(self) -> None:
        """Release the connection and the call's places in the bulkheads. A second call does nothing."""
        if self._response is not None:
            self._response.close()
        if self._close is not None:
            close, self._close = self._close, None
            close()
