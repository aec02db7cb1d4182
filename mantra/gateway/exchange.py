"""What every face shares: reading a request's parts, and turning an answer into a response."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from django.conf import settings
from django.core.handlers.wsgi import get_path_info

from mantra.gateway.journal import Answer, Body
from registry import faults
from registry.faults import Fault

#: A request, as PEP 3333 has it.
Environ = dict[str, Any]

#: Fields in one query string or form; more are refused before they are parsed.
MAX_FIELDS = 500


class Response:
    """What a face answers with. A body of type Body is sent as it comes, and closed when nobody wants more of it.

    Django's own response costs as much as reading, admitting and checking the call.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes | Body = b"", headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.body = body
        self.headers = headers if headers is not None else {}


def request_id() -> str:
    """32 hex digits, beginning with the time in milliseconds so that they sort by it. Unique, and no secret."""
    return f"{time.time_ns() // 1_000_000:012x}{random.getrandbits(80):020x}"


def path(environ: Environ) -> str:
    """The address path, percent-decoded once; bytes that are no UTF-8 stay percent-encoded. Raises Fault."""
    found: str = get_path_info(environ)
    if "\x00" in found:
        raise Fault(faults.ADDRESS_INVALID)
    return found


def pairs(text: str) -> list[tuple[str, str]]:
    """The pairs of a query string or form, decoded once. Raises Fault."""
    if "%" not in text and "+" not in text and "&" not in text:  # most often: one pair and nothing to decode
        name, equals, value = text.partition("=")
        return [(name, value)] if name or equals else []
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:  # bad UTF-8 as well as too many fields
        raise Fault(faults.ADDRESS_INVALID) from None


def form_pairs(body: bytes) -> list[tuple[str, str]]:
    """The pairs of a form's body. Raises Fault."""
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise Fault(faults.BODY_INVALID, why_id="bukan formulir UTF-8", why_en="it is no UTF-8 form") from None


def body(environ: Environ) -> bytes:
    """The request's body, at most settings.MAX_BODY_BYTES. Raises Fault."""
    limit = settings.MAX_BODY_BYTES
    stated = environ.get("CONTENT_LENGTH") or ""
    stream = environ["wsgi.input"]
    if not stated:
        if "HTTP_TRANSFER_ENCODING" not in environ:
            return b""
        size = limit + 1
    elif not stated.isdigit() or int(stated) > limit:
        raise Fault(faults.BODY_TOO_LARGE, limit=limit)
    else:
        size = int(stated)
    try:
        read: bytes = stream.read(size)
    except OSError:
        raise Fault(faults.BODY_INVALID, why_id="sambungan terputus", why_en="the connection broke") from None
    if len(read) > limit:
        raise Fault(faults.BODY_TOO_LARGE, limit=limit)
    if stated and len(read) < size:
        raise Fault(faults.BODY_INVALID, why_id="tidak lengkap", why_en="it is incomplete")
    return read


def hops_of(environ: Environ) -> int:
    """Through how many buses a request says that it has come."""
    text = environ.get("HTTP_MANTRA_HOPS", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0


def key_of(meta: dict[str, Any]) -> str:
    """The access key in a request's headers: AccessKey, or a bearer token; "" without one."""
    key: str = meta.get("HTTP_ACCESSKEY", "")
    if not key:
        scheme, _, token = meta.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() == "bearer":
            key = token
    return key.strip()


@dataclass(slots=True)
class _Settled:
    """What became of a whole body: HEAD and If-None-Match send less of it than there is."""

    status: int
    head: bool
    #: The entity tags that the caller holds; None where the answer gets no tag.
    held: list[str] | None
    etag: str = ""
    length: int = 0

    def __call__(self, body: bytes) -> tuple[int, bytes]:
        self.length = len(body)
        if self.held is not None:
            self.etag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
            if self.etag in self.held or "*" in self.held:
                self.status, body = 304, b""
        return self.status, b"" if self.head else body


def response(
    answer: Answer, chunks: Iterator[bytes], status: int, media_type: str, held: list[str] | None = None
) -> Response:
    """Send an answer's bytes; with ``held``, under an entity tag. Raises Fault before the first byte is out."""
    head = answer.call.method == "HEAD"
    settled = _Settled(status, head, held) if head or held is not None else None
    sent = answer.send(chunks, settled)
    headers = {"Content-Type": media_type}
    if not isinstance(sent, bytes):
        return Response(status, sent, headers)
    if settled is None:
        headers["Content-Length"] = str(len(sent))
        return Response(status, sent, headers)
    if settled.status == 304:
        del headers["Content-Type"]
    elif settled.length:
        headers["Content-Length"] = str(settled.length)
    if settled.etag:
        headers["ETag"] = settled.etag
    return Response(settled.status, sent, headers)
