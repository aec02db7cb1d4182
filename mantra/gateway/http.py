"""HTTP, as the three protocol handlers share it: the parts of a request, and a result as a response."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from datetime import time as day_time
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote

from django.conf import settings
from django.core.handlers.wsgi import get_path_info
from django.http.request import split_domain_port, validate_host
from django.utils.http import http_date

from mantra.gateway.recording import RecordedResult, StreamedBody
from proxyservices.decoders.limits import DecodeError, inflate
from registry import faults
from registry.calls import Call, RawRequest
from registry.results import Document, Fault, RelayedResponse, Result, Rows
from registry.snapshot.types import Operation

#: A request's WSGI environment (PEP 3333).
Environ = dict[str, Any]

_TRACE_PARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\Z")
_TRACE_STATE = re.compile(r"[ -~]{1,1000}\Z")
_PATH = "/:@!$&'()*+,;=~-._"

#: The most fields in a query string or form. More are refused before they are parsed.
MAX_FIELDS = 500

#: The request headers on which a caller's response depends: they select the format and identify the caller.
CALLER_VARY = "Accept, AccessKey, Authorization"


class Response:
    """A protocol handler's response. A StreamedBody is sent as it comes, and closed if the caller disconnects.

    Django's own response class costs as much time as reading, admitting and checking the call.
    """

    __slots__ = ("body", "cookies", "headers", "status")

    def __init__(self, status: int, body: bytes | StreamedBody = b"", headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.body = body
        self.headers = headers if headers is not None else {}
        #: Values of Set-Cookie, the only header that cannot be joined into one line (RFC 9110, section 5.3).
        self.cookies: list[str] = []


_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


def status_line(response: Response) -> str:
    """Return a response's status with its phrase; an upstream may have used one that is not registered."""
    return _STATUS_LINES.get(response.status) or f"{response.status} -"


def header_fields(response: Response) -> list[tuple[str, str]]:
    """Return the lines of a response's head as (name, value)."""
    fields = list(response.headers.items())
    if response.cookies:
        fields += [("Set-Cookie", cookie) for cookie in response.cookies]
    return fields


def stamp(response: Response, request_id: str) -> None:
    """Set the headers of every response of the bus: the request id, and nosniff: browsers must trust the media type."""
    response.headers["X-Request-Id"] = request_id
    response.headers["X-Content-Type-Options"] = "nosniff"


def path(environ: Environ) -> str:
    """Return the request's path, percent-decoded once. Bytes that are not UTF-8 stay percent-encoded. Raises Fault."""
    decoded: str = get_path_info(environ)
    if "\x00" in decoded:
        raise Fault(faults.ADDRESS_INVALID)
    return decoded


def pairs(text: str) -> list[tuple[str, str]]:
    """Return the (name, value) pairs of a query string, decoded once. Letters beyond ASCII are bytes. Raises Fault."""
    try:
        if not text.isascii():  # letters that nobody encoded
            text = text.encode("latin-1").decode()
        # The most frequent case: one pair, nothing to decode.
        if "%" not in text and "+" not in text and "&" not in text:
            name, equals, value = text.partition("=")
            return [(name, value)] if name or equals else []
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:  # bad UTF-8, or too many fields
        raise Fault(faults.ADDRESS_INVALID) from None


def form_pairs(body: bytes) -> list[tuple[str, str]]:
    """Return the (name, value) pairs of a form's body. Raises Fault."""
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise Fault(faults.BODY_INVALID, reason_id="bukan formulir UTF-8", reason_en="it is not a UTF-8 form") from None


def body(environ: Environ) -> bytes:
    """Return the request's body without its Content-Encoding, at most settings.MAX_BODY_BYTES. Raises Fault."""
    content = _received_body(environ)
    encoding = environ.get("HTTP_CONTENT_ENCODING", "")
    return _inflated(content, encoding.strip().lower()) if encoding and content else content


def _inflated(content: bytes, encoding: str) -> bytes:
    try:
        return inflate(content, encoding, settings.MAX_BODY_BYTES)
    except DecodeError as error:
        raise _undecodable(str(error)) from None


def _undecodable(reason: str) -> Fault:
    if reason == "encoding":
        return Fault(faults.BODY_ENCODING)
    if reason == "size":
        return Fault(faults.BODY_TOO_LARGE, limit=settings.MAX_BODY_BYTES)
    return Fault(
        faults.BODY_INVALID,
        reason_id="kompresinya (Content-Encoding) rusak",
        reason_en="its compression (Content-Encoding) is damaged",
    )


def _received_body(environ: Environ) -> bytes:
    limit = settings.MAX_BODY_BYTES
    content_length = environ.get("CONTENT_LENGTH") or ""
    stream = environ["wsgi.input"]
    if not content_length:
        if "HTTP_TRANSFER_ENCODING" not in environ:
            return b""
        size = limit + 1
    elif not content_length.isdigit() or int(content_length) > limit:
        raise Fault(faults.BODY_TOO_LARGE, limit=limit)
    else:
        size = int(content_length)
    try:
        content: bytes = stream.read(size)
    except TimeoutError:
        raise Fault(faults.REQUEST_TOO_SLOW) from None
    except OSError:
        raise Fault(faults.BODY_INVALID, reason_id="koneksi terputus", reason_en="the connection was lost") from None
    if len(content) > limit:
        raise Fault(faults.BODY_TOO_LARGE, limit=limit)
    if content_length and len(content) < size:
        raise Fault(faults.BODY_INVALID, reason_id="tidak lengkap", reason_en="it is incomplete")
    return content


@lru_cache(maxsize=512)
def _title(name: str) -> str:
    """Return the HTTP name of a header, given its name in the WSGI environment (HTTP_ACCEPT_LANGUAGE)."""
    return name[5:].replace("_", "-").title()


def caller_socket(environ: Environ) -> socket.socket | None:
    """Return the caller's socket if the server gives it. PEP 3333 has no name for it."""
    return environ.get("mantra.socket")


def _aborter(caller: socket.socket | None) -> Callable[[], None] | None:
    """Return a function that ends a blocked read of the caller's body."""
    return None if caller is None else lambda: caller.shutdown(socket.SHUT_RD)


def raw_request(environ: Environ) -> RawRequest:
    """Return the request as it was received. Raises Fault if its Content-Length is invalid."""
    content_length = environ.get("CONTENT_LENGTH") or ""
    query = environ.get("QUERY_STRING", "")
    chunked = "HTTP_TRANSFER_ENCODING" in environ
    scheme = environ.get("HTTP_X_FORWARDED_PROTO") if settings.TRUSTED_PROXIES else environ["wsgi.url_scheme"]
    if content_length and not (content_length.isascii() and content_length.isdigit()):
        raise Fault(faults.ADDRESS_INVALID)
    headers = {_title(name): value for name, value in environ.items() if name[:5] == "HTTP_"}
    if environ.get("CONTENT_TYPE"):
        headers["Content-Type"] = environ["CONTENT_TYPE"]
    return RawRequest(
        path_suffix=path_suffix(environ),
        query=query if query.isascii() else quote(query.encode("latin-1"), safe=_PATH + "%?"),
        headers=headers,
        body=environ["wsgi.input"],
        length=int(content_length) if content_length else None if chunked else 0,
        abort=_aborter(caller_socket(environ)) if content_length or chunked else None,
        scheme="https" if scheme == "https" else "http",
        host=environ.get("HTTP_HOST", ""),
    )


def raw_path(environ: Environ) -> str:
    """Return the path of the request target as it was received: ASCII, percent-encoded, without the query string.

    The bus's server and gunicorn give the target as RAW_URI, uWSGI and Apache as REQUEST_URI. Of other servers only the
    decoded path is known, in which an encoded delimiter cannot be told from a delimiter.
    """
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    raw = raw or quote(environ.get("PATH_INFO", "").encode("latin-1"), safe=_PATH)
    raw = raw.partition("?")[0]
    if not raw.isascii():
        raw = quote(raw.encode("latin-1"), safe=_PATH + "%")
    if "://" in raw[:8]:  # absolute-form (RFC 9112, section 3.2.2)
        raw = "/" + raw.split("/", 3)[3] if raw.count("/") > 2 else "/"
    return str(raw)


def path_suffix(environ: Environ) -> str:
    """Return the part of a REST path after the operation, percent-encoded as it was received; "" if there is none."""
    parts = raw_path(environ).lstrip("/").split("/", 4)
    return "/" + parts[4] if len(parts) > 4 else ""


def hops_of(environ: Environ) -> int:
    """Return the number of buses that a request has passed, as its header states; 0 without a valid one."""
    text = environ.get("HTTP_MANTRA_HOPS", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0


def trace_context_of(environ: Environ) -> tuple[str, str]:
    """Return the request's traceparent and tracestate (W3C Trace Context); "" for what is missing or invalid."""
    parent = environ.get("HTTP_TRACEPARENT")
    if not parent or not _TRACE_PARENT.match(parent):
        return "", ""
    state = environ.get("HTTP_TRACESTATE", "")
    return parent, state if _TRACE_STATE.match(state) else ""


def key_of(meta: dict[str, Any]) -> str:
    """Return the access key in the headers AccessKey or Authorization (Bearer), "" if there is none."""
    key: str = meta.get("HTTP_ACCESSKEY", "")
    if not key:
        scheme, _, token = meta.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() == "bearer":
            key = token
    return key.strip()


@dataclass(slots=True)
class _ConditionalBody:
    """Reduces a complete body for HEAD and If-None-Match, and keeps its status, length and entity tag."""

    status: int
    head: bool
    #: The entity tags in If-None-Match; None if the response gets no tag.
    caller_tags: list[str] | None
    etag: str = ""
    length: int = 0

    def __call__(self, body: bytes) -> tuple[int, bytes]:
        self.length = len(body)
        if self.caller_tags is not None:
            self.etag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
            if self.etag in self.caller_tags or "*" in self.caller_tags:
                self.status, body = 304, b""
        return self.status, b"" if self.head else body


#: Cookies of the bus itself, which no upstream may set.
_OWN_COOKIES = (settings.SESSION_COOKIE_NAME.lower(), settings.CSRF_COOKIE_NAME.lower())


def _is_own(cookie: str) -> bool:
    """Return True if browsers could send a Set-Cookie's cookie back as one of the bus's own.

    A cookie without a name is sent as its value alone, which may look like "name=value".
    """
    name, equals, _value = cookie.partition(";")[0].partition("=")
    name = name.strip()
    return not name or not equals or name.lower() in _OWN_COOKIES


#: Names of headers in their usual spelling. Other names get a capital after each dash.
_NAMES = {name: name for name in ("Content-Type", "Content-Length", "ETag", "Cache-Control", "Vary", "Last-Modified")}
_BY_LOWER = {name.lower(): name for name in (*_NAMES, "WWW-Authenticate")}


def _canonical_name(name: str) -> str:
    lower = name.lower()
    return _BY_LOWER.get(lower) or lower.title()


def relay(recorded: RecordedResult, upstream_response: RelayedResponse) -> Response:
    """Return an upstream's response unchanged, but without cookies of the bus. Raises Fault before the first byte."""
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in upstream_response.headers:
        title = _NAMES.get(name) or _canonical_name(name)
        if title == "Set-Cookie":
            if not _is_own(value):
                cookies.append(value)
        elif title in headers and title not in ("Content-Length", "Content-Type"):
            headers[title] += ", " + value
        else:
            headers[title] = value
    if upstream_response.status == 204:
        headers.pop("Content-Length", None)
    response = Response(upstream_response.status, recorded.relay(upstream_response), headers)
    response.cookies = cookies
    return response


def response(
    recorded: RecordedResult,
    chunks: Iterator[bytes],
    status: int,
    media_type: str,
    caller_tags: list[str] | None = None,
) -> Response:
    """Return the response with a result's bytes. Raises Fault, only before the first byte.

    With ``caller_tags``, the entity tags of If-None-Match, it gets an entity tag, and is 304 if that is among them.
    """
    head = recorded.call.method == "HEAD"
    conditional = _ConditionalBody(status, head, caller_tags) if head or caller_tags is not None else None
    body = recorded.send(chunks, conditional)
    headers = {"Content-Type": media_type}
    if not isinstance(body, bytes):
        if body.length is not None:
            headers["Content-Length"] = str(body.length)
            if conditional is not None and conditional.etag:
                headers["ETag"] = conditional.etag
        return Response(status, body, headers)
    if conditional is None:
        headers["Content-Length"] = str(len(body))
        return Response(status, body, headers)
    if conditional.status == 304:
        del headers["Content-Type"]
    elif conditional.length:
        headers["Content-Length"] = str(conditional.length)
    if conditional.etag:
        headers["ETag"] = conditional.etag
    return Response(conditional.status, body, headers)


def set_result_headers(response: Response, call: Call, result: Result, operation: Operation) -> None:
    """Set the headers about the result, its quota and its operation, on the protocols that use HTTP headers."""
    if isinstance(result, Rows) and result.as_of is not None:
        response.headers["X-Data-As-Of"] = datetime.fromtimestamp(result.as_of, UTC).isoformat(timespec="seconds")
    if isinstance(result, Rows) and result.truncated:
        response.headers["X-Truncated"] = "true"
    set_cursor(response, result)
    if call.extra_headers:
        response.headers.update(call.extra_headers)
    if call.quota is not None or call.meter is not None:
        _set_rate_limits(response, call)
    if operation.state == "deprecated":
        response.headers["Deprecation"] = "true"
        if operation.sunset:
            midnight = datetime.combine(operation.sunset, day_time(), UTC)
            response.headers["Sunset"] = http_date(midnight.timestamp())


def _set_rate_limits(response: Response, call: Call) -> None:
    """Set the headers about what is left of the quotas of calls, rows and persons, of those that there are."""
    found = {"quota": call.quota} if call.quota is not None else {}
    if call.meter is not None:
        found |= call.meter.left
    if found:
        policies = [f'"{name}";q={each[0]};w={each[1]}' for name, each in found.items()]
        response.headers["RateLimit-Policy"] = ", ".join(policies)
        response.headers["RateLimit"] = ", ".join(f'"{name}";r={each[2]};t={each[3]}' for name, each in found.items())


def set_cursor(response: Response, result: Result) -> None:
    """Set the header with the cursor of a page of changes."""
    if isinstance(result, Rows) and result.cursor:
        response.headers["X-Cursor"] = result.cursor


#: The codes by which an upstream of 1.99x reports that nothing matches: it has not failed.
_NOTHING_FOUND = frozenset((str(faults.NO_ROWS.code), str(faults.SOAP_EMPTY.code)))


def unwrapped(document: Document, operation: str) -> Document:
    """Return an operation's document without the legacy envelope. Raises Fault if the envelope reports a failure."""
    if not document.enveloped:
        return document
    envelope = document.value["response"]
    if str(envelope.get("status")) != "1":
        code = printable_code(envelope.get("code"))
        if code in _NOTHING_FOUND:
            raise Fault(faults.NO_ROWS, operation=operation)
        raise Fault(faults.UPSTREAM_REFUSED, upstream_code=code)
    return Document(envelope.get("data"))


def language(environ: Environ) -> str:
    """Return the caller's language: "en" if Accept-Language has it before Indonesian, else "id"."""
    for part in environ.get("HTTP_ACCEPT_LANGUAGE", "").split(","):
        tag = part.partition(";")[0].strip().lower()
        if tag[:2] in ("id", "en"):
            return str(tag[:2])
    return "id"


def printable_code(value: Any) -> str:
    """Return an upstream's fault code if it is a number of at most 6 digits, else "?"."""
    text = str(value)
    return text if text.isdigit() and len(text) <= 6 else "?"


def problem_members(fault: Fault, request_id: str, language: str) -> dict[str, Any]:
    """Return the members of a problem (RFC 9457), the same in every format."""
    return {
        "type": f"urn:mantra:fault:{fault.code}",
        "title": fault.kind.name,
        "status": fault.status,
        "detail": fault.message(language),
        "code": fault.code,
        "party": fault.kind.party,
        "request_id": request_id,
    }


def base_url(environ: Environ) -> str:
    """Return the URL by which callers reach the bus, without a path."""
    if settings.BASE_URL:
        return str(settings.BASE_URL)
    scheme = environ["wsgi.url_scheme"]
    if settings.TRUSTED_PROXIES and environ.get("HTTP_X_FORWARDED_PROTO") == "https":
        scheme = "https"
    host = environ.get("HTTP_HOST", "")
    domain, _port = split_domain_port(host)
    # The caller chooses this header, and the WSDL may be given to others: only permitted hosts are used.
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        host = f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    return f"{scheme}://{host}"
