"""What every face shares: reading a request's parts, and turning an answer into a response."""

from __future__ import annotations

import hashlib
import random
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from datetime import time as day_time
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, quote

from django.conf import settings
from django.core.handlers.wsgi import get_path_info
from django.utils.http import http_date

from mantra.gateway.recording import Answer, Body
from registry import faults
from registry.calls import Call, Passage
from registry.results import Document, Fault, Relay, Result, Rows
from registry.snapshot.types import Operation

#: A request, as PEP 3333 has it.
Environ = dict[str, Any]

_PATH = "/:@!$&'()*+,;=~-._"

#: Fields in one query string or form; more are refused before they are parsed.
MAX_FIELDS = 500


class Response:
    """What a face answers with. A body of type Body is sent as it comes, and closed when nobody wants more of it.

    Django's own response costs as much as reading, admitting and checking the call.
    """

    __slots__ = ("body", "cookies", "headers", "status")

    def __init__(self, status: int, body: bytes | Body = b"", headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.body = body
        self.headers = headers if headers is not None else {}
        #: Set-Cookie's values: the one header that cannot be joined to one line.
        self.cookies: list[str] = []


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


@lru_cache(maxsize=512)
def _title(name: str) -> str:
    """A header's name as it is written, from the server's name for it."""
    return name[5:].replace("_", "-").title()


def _cutter(caller: socket.socket | None) -> Callable[[], None] | None:
    """What ends a wait for the caller's next byte."""
    return None if caller is None else lambda: caller.shutdown(socket.SHUT_RD)


def passage(environ: Environ) -> Passage:
    """The request as it came. Raises Fault on a length that is none."""
    stated = environ.get("CONTENT_LENGTH") or ""
    query = environ.get("QUERY_STRING", "")
    chunked = "HTTP_TRANSFER_ENCODING" in environ
    proxied = environ.get("HTTP_X_FORWARDED_PROTO") if settings.TRUSTED_PROXIES else environ["wsgi.url_scheme"]
    if stated and not (stated.isascii() and stated.isdigit()):
        raise Fault(faults.ADDRESS_INVALID)
    headers = {_title(name): value for name, value in environ.items() if name[:5] == "HTTP_"}
    if environ.get("CONTENT_TYPE"):
        headers["Content-Type"] = environ["CONTENT_TYPE"]
    return Passage(
        tail=tail(environ),
        query=query if query.isascii() else quote(query.encode("latin-1"), safe=_PATH + "%?"),
        headers=headers,
        body=environ["wsgi.input"],
        length=int(stated) if stated else None if chunked else 0,
        cut=_cutter(environ.get("gunicorn.socket")) if stated or chunked else None,
        scheme="https" if proxied == "https" else "http",
        host=environ.get("HTTP_HOST", ""),
    )


def tail(environ: Environ) -> str:
    """What follows the operation in a REST address, percent-encoded as it came where the server tells."""
    raw = environ.get("RAW_URI") or quote(environ.get("PATH_INFO", "").encode("latin-1"), safe=_PATH)
    raw = raw.partition("?")[0]
    if not raw.isascii():
        raw = quote(raw.encode("latin-1"), safe=_PATH + "%")
    if "://" in raw[:8]:  # the absolute form of a request line
        raw = "/" + raw.split("/", 3)[3] if raw.count("/") > 2 else "/"
    parts = raw.lstrip("/").split("/", 4)
    return "/" + parts[4] if len(parts) > 4 else ""


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


#: Cookies of the bus itself, which no upstream may set in its name.
_OWN_COOKIES = (settings.SESSION_COOKIE_NAME.lower(), settings.CSRF_COOKIE_NAME.lower())


def _is_own(cookie: str) -> bool:
    """Whether a Set-Cookie may reach us as one of ours. One without a name is sent back as its value alone."""
    name, equals, _value = cookie.partition(";")[0].partition("=")
    name = name.strip()
    return not name or not equals or name.lower() in _OWN_COOKIES


#: Headers' names as they are written; others keep to capitals after each dash.
_NAMES = {name: name for name in ("Content-Type", "Content-Length", "ETag", "Cache-Control", "Vary", "Last-Modified")}
_BY_LOWER = {name.lower(): name for name in (*_NAMES, "WWW-Authenticate")}


def _named(name: str) -> str:
    lower = name.lower()
    return _BY_LOWER.get(lower) or lower.title()


def relay(answer: Answer, found: Relay) -> Response:
    """Send an upstream's answer as it came. Raises Fault before the first byte is out."""
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in found.headers:
        title = _NAMES.get(name) or _named(name)
        if title == "Set-Cookie":
            if not _is_own(value):
                cookies.append(value)
        elif title in headers and title not in ("Content-Length", "Content-Type"):
            headers[title] += ", " + value
        else:
            headers[title] = value
    if found.status == 204:
        headers.pop("Content-Length", None)
    made = Response(found.status, answer.pass_on(found), headers)
    made.cookies = cookies
    return made


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


def describe(found: Response, call: Call, result: Result, operation: Operation) -> None:
    """The headers that say more about an answer, on every face that has true headers."""
    if isinstance(result, Rows) and result.as_of is not None:
        found.headers["X-Data-As-Of"] = datetime.fromtimestamp(result.as_of, UTC).isoformat(timespec="seconds")
    if isinstance(result, Rows) and result.truncated:
        found.headers["X-Truncated"] = "true"
    if call.notes:
        found.headers.update(call.notes)
    if call.quota is not None:
        amount, window, remaining, reset = call.quota
        found.headers["RateLimit-Policy"] = f'"quota";q={amount};w={window}'
        found.headers["RateLimit"] = f'"quota";r={remaining};t={reset}'
    if operation.state == "deprecated":
        found.headers["Deprecation"] = "true"
        if operation.sunset:
            midnight = datetime.combine(operation.sunset, day_time(), UTC)
            found.headers["Sunset"] = http_date(midnight.timestamp())


def unwrapped(document: Document) -> Document:
    """A document without the legacy envelope; what the upstream refused becomes a Fault."""
    if not document.enveloped:
        return document
    envelope = document.value["response"]
    if str(envelope.get("status")) != "1":
        raise Fault(faults.UPSTREAM_REFUSED, upstream_code=short(envelope.get("code")))
    return Document(envelope.get("data"))


def language(environ: Environ) -> str:
    """id, unless the caller likes English better."""
    for part in environ.get("HTTP_ACCEPT_LANGUAGE", "").split(","):
        tag = part.partition(";")[0].strip().lower()
        if tag[:2] in ("id", "en"):
            return str(tag[:2])
    return "id"


def short(value: Any) -> str:
    """An upstream's code, fit to be said on: digits only."""
    text = str(value)
    return text if text.isdigit() and len(text) <= 6 else "?"


def members(fault: Fault, request_id: str, language: str) -> dict[str, Any]:
    """The problem's members, the same in every format."""
    return {
        "type": f"urn:mantra:fault:{fault.code}",
        "title": fault.kind.name,
        "status": fault.status,
        "detail": fault.message(language),
        "code": fault.code,
        "party": fault.kind.party,
        "request_id": request_id,
    }
