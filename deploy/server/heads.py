"""The head of a request, from bytes to a WSGI environment. httptools (llhttp) decides what is a head."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

import httptools

#: The most bytes of a request line and of a whole head, and the most fields.
MAX_LINE = 32 * 1024
MAX_HEAD = 128 * 1024
MAX_FIELDS = 64
#: The bytes beside its content that a body in chunks may have, and for each byte of content.
MAX_FRAMING, FRAMING_OF_BYTE = 64 * 1024, 16

_NOT_ASCII = re.compile(rb"[\x80-\xff]")
#: Names of fields that were seen before, as the environment has them: at most so many are kept.
_MAX_NAMES = 1000
_names: dict[bytes, str] = {b"content-length": "CONTENT_LENGTH", b"content-type": "CONTENT_TYPE"}
#: Two of these are two different requests, in one.
_SINGLE = frozenset(("CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "HTTP_HOST", "HTTP_EXPECT"))


class Refused(Exception):
    """What came is no request that the server takes: the status of its refusal, and the phrase."""

    def __init__(self, status: int, phrase: str) -> None:
        super().__init__(phrase)
        self.status = status
        self.phrase = phrase


class Head:
    """The head of one request. ``parser`` goes on with the body if that comes in chunks."""

    __slots__ = (
        "_content",
        "_fields",
        "_framed",
        "_is_set",
        "_tail",
        "_url",
        "body",
        "chunked",
        "ended",
        "environ",
        "expects",
        "keep_alive",
        "length",
        "parser",
    )

    def __init__(self, data: bytes, base: dict[str, Any]) -> None:
        """Read a whole head, from the request line to the empty line. Raises Refused.

        ``base``: what the environments of all requests of the connection have in common.
        """
        self._url: list[bytes] = []
        self._fields: list[tuple[bytes, bytes]] = []
        self._is_set = False
        self.parser = httptools.HttpRequestParser(self)
        self._feed(data)
        self._is_set = True
        self.environ = base.copy()
        self._set_line()
        self._set_fields()
        self.keep_alive = _keeps_alive(self.environ)
        self._set_framing()

    def _feed(self, data: bytes) -> None:
        line = data.find(b"\r\n")
        if line > MAX_LINE:
            raise Refused(414, "URI Too Long")
        if not data.isascii():
            # Programs for MANTRA 1.99x write letters such as é into addresses as they are.
            data = _NOT_ASCII.sub(_percent_encoded, data[:line]) + data[line:]
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # the request is served in the protocol in which it came
        except httptools.HttpParserInvalidMethodError:
            raise Refused(501, "Not Implemented") from None
        except httptools.HttpParserError:
            raise Refused(400, "Bad Request") from None

    def on_url(self, part: bytes) -> None:
        self._url.append(part)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_set:  # those behind a body in chunks nobody reads
            self._fields.append((name, value))

    def _set_line(self) -> None:
        version = self.parser.get_http_version()
        if version != "1.1" and version != "1.0":
            raise Refused(505, "HTTP Version Not Supported")
        method, target = self.parser.get_method().decode(), b"".join(self._url).decode("latin-1")
        if method == "CONNECT":
            raise Refused(501, "Not Implemented")
        path, _, query = target.partition("#")[0].partition("?")
        if path[:1] != "/" and "://" in path:  # absolute-form (RFC 9112, 3.2.2)
            path = "/" + path.partition("://")[2].partition("/")[2]
        if "%" in path:
            path = unquote_to_bytes(path).decode("latin-1")
        environ = self.environ
        environ["REQUEST_METHOD"] = method
        environ["RAW_URI"] = target
        environ["PATH_INFO"] = path
        environ["QUERY_STRING"] = query
        environ["SERVER_PROTOCOL"] = "HTTP/" + version

    def _set_fields(self) -> None:
        environ = self.environ
        if len(self._fields) > MAX_FIELDS:
            raise Refused(431, "Request Header Fields Too Large")
        for name, value in self._fields:
            key = _names.get(name) or _environ_name(name)
            text = value.decode("latin-1").rstrip("\t ")
            if key in environ:
                if key in _SINGLE:
                    raise Refused(400, "Bad Request")
                text = f"{environ[key]},{text}"
            if key:  # "": the name has an underscore, by which it could be taken for another one
                environ[key] = text

    def _set_framing(self) -> None:
        """Set how the body's end is found. Raises Refused where two readers could find two ends."""
        environ = self.environ
        #: The body's length in bytes; None if it comes in chunks.
        self.length: int | None = 0
        self.chunked = False
        coding = environ.get("HTTP_TRANSFER_ENCODING")
        if coding is not None:
            if coding.lower() != "chunked" or environ["SERVER_PROTOCOL"] == "HTTP/1.0":
                raise Refused(400, "Bad Request")
            self.length, self.chunked = None, True
        elif "CONTENT_LENGTH" in environ:
            self.length = int(environ["CONTENT_LENGTH"])  # llhttp takes nothing but digits
        expectation = environ.get("HTTP_EXPECT", "").lower()
        if expectation not in ("", "100-continue"):
            raise Refused(417, "Expectation Failed")
        self.expects = bool(expectation) and environ["SERVER_PROTOCOL"] == "HTTP/1.1"
        #: Of a body in chunks: what the parser found of it since that was taken last, and whether its end came.
        self.body = bytearray()
        self.ended = False
        self._tail = b""
        #: The bytes of it that came, and those of its content.
        self._framed = self._content = 0

    # ------------------------------------------------------------------------- a body in chunks

    def on_body(self, part: bytes) -> None:
        self.body += part
        self._content += len(part)

    def on_message_complete(self) -> None:
        self.ended = True

    def feed_chunks(self, data: bytes) -> bytes:
        """Read more of a body in chunks. Return what comes after its end. Raises Refused."""
        start = 0
        for end in self._possible_ends(data):
            self._feed_chunks(data[start:end])
            start = end
            if self.ended:
                break
        return data[start:]

    def _possible_ends(self, data: bytes) -> Iterator[int]:
        """Yield where the body may end: behind each empty line. The parser does not say where it found the end."""
        seen = self._tail + data
        offset, position = len(self._tail), 0
        while (position := seen.find(b"\r\n\r\n", position)) >= 0:
            position += 4
            if position > offset:
                yield position - offset
            position -= 2
        self._tail = seen[-3:]
        yield len(data)

    def _feed_chunks(self, data: bytes) -> None:
        self._framed += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            raise Refused(400, "Bad Request") from None
        if self._framed > MAX_FRAMING + FRAMING_OF_BYTE * self._content:
            raise Refused(400, "Bad Request")


def _keeps_alive(environ: dict[str, Any]) -> bool:
    """Return True if the caller wants to send further requests on the connection."""
    connection = environ.get("HTTP_CONNECTION")
    if connection is None:
        return bool(environ["SERVER_PROTOCOL"] == "HTTP/1.1")
    options = [option.strip() for option in connection.lower().split(",")]
    return "close" not in options and (environ["SERVER_PROTOCOL"] == "HTTP/1.1" or "keep-alive" in options)


def _percent_encoded(byte: re.Match[bytes]) -> bytes:
    return b"%%%02X" % byte[0][0]


def _environ_name(name: bytes) -> str:
    """Return a field's name as the environment has it, "" for one with an underscore."""
    lower = name.lower()
    known = _names.get(lower)
    if known is None:
        known = "" if b"_" in name else "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
    if len(_names) < _MAX_NAMES:
        _names[name] = known
    return known
