"""An upstream's response: its head, and its body to come."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from proxyservices.transport.client import Reply
from proxyservices.transport.errors import Failed
from registry.results import Fault


class Fetched:
    """An answer's head, and its body to come. ``close`` it, whatever becomes of it."""

    __slots__ = ("_close", "_failed", "_reply", "body", "fields", "headers", "keep", "keep_most", "status")

    def __init__(
        self,
        status: int,
        headers: list[tuple[str, str]],
        reply: Reply | None = None,
        body: bytes = b"",
        close: Callable[[], None] | None = None,
        failed: Callable[[Failed], Fault] | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        #: Each header's first value by lower-case name.
        self.fields: dict[str, str] = {}
        for name, value in headers:
            self.fields.setdefault(name.lower(), value)
        #: The whole body, where no reply brings it.
        self.body = body
        self._reply = reply
        self._close = close
        self._failed = failed
        #: Is given the body once it came whole, if it has at most ``keep_most`` bytes.
        self.keep: Callable[[bytes], None] | None = None
        self.keep_most = 0

    @property
    def length(self) -> int | None:
        """The body's length where the upstream stated it."""
        text = self.fields.get("content-length", "")
        return int(text) if text.isascii() and text.isdigit() else None

    def chunks(self) -> Iterator[bytes]:
        """Raises Fault where the upstream breaks off."""
        if self._reply is None:
            if self.body:
                yield self.body
            return
        chunks = self._reply.chunks()
        try:
            yield from chunks if self.keep is None else self._kept(chunks, self.keep)
        except Failed as failure:
            raise failure if self._failed is None else self._failed(failure) from None

    def _kept(self, chunks: Iterator[bytes], keep: Callable[[bytes], None]) -> Iterator[bytes]:
        held: list[bytes] = []
        size = 0
        for chunk in chunks:
            size += len(chunk)
            if size <= self.keep_most:
                held.append(chunk)
            else:
                held.clear()
            yield chunk
        if size <= self.keep_most:
            keep(b"".join(held))

    def read(self) -> bytes:
        """The whole body; lets go of the upstream. Raises Fault."""
        try:
            return b"".join(self.chunks())
        finally:
            self.close()

    def close(self) -> None:
        if self._reply is not None:
            self._reply.close()
        if self._close is not None:
            close, self._close = self._close, None
            close()
