"""The protocol of styles, and the steps that they share.

A style is built once, when the operation is prepared, and builds one request per call. It knows no endpoint: its
requests can be sent to any of them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from datetime import time as day_time
from decimal import Decimal
from typing import Any, Protocol
from urllib.parse import quote, quote_plus, unquote

import orjson
from django.utils.http import parse_http_date_safe

from proxyservices import decoders
from proxyservices.decoders.limits import MAX_BYTES, DecodeError, inflate
from proxyservices.decoders.memory import Reservation, budget
from proxyservices.models import ParameterMapping
from proxyservices.models.operations import GRANT, grant_value
from proxyservices.transport.response import UpstreamResponse
from proxyservices.transport.upload import Upload
from registry import faults
from registry.calls import RawRequest
from registry.results import Fault

READ_METHODS = ("GET", "HEAD", "POST")
WRITE_METHODS = ("POST",)
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
_END = re.compile(r"[;\x00-\x1f\x7f]")
#: A dot, slash or backslash as old servers read it, and no other: %uXXXX, also of its wide forms, and UTF-8 with more
#: bytes than needed, which RFC 3629 forbids.
_DISGUISED = re.compile(
    "%u(?:00(?:2e|2f|5c)|ff0e|ff0f|ff3c|2024|2044|2215|2216)|%c[01]%(?:2e|2f|5c|9c|ae|af)"
    "|%(?:e0|f0%80|f8%80%80|fc%80%80%80)%(?:80%a[ef]|81%9c)",
    re.IGNORECASE,
)
_HEADER_VALUE = re.compile(r"[\t -~]*\Z")
_MEDIA_TYPES = {
    "json": "application/json", "xml": "application/xml", "csv": "text/csv", "ndjson": "application/x-ndjson",
    "php": "application/vnd.php.serialized", "phpa": "application/x-php-array",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "legacy_xml": "application/xml",
}  # fmt: skip


@dataclass(slots=True)
class RequestContext:
    """The input from which a style builds a request and decodes the response."""

    arguments: dict[str, Any] = field(repr=False)
    #: The request as it came; None on protocols that do not allow to pass it through.
    raw_request: RawRequest | None
    method: str
    request_id: str
    #: Monotonic seconds at which the whole call must be over.
    deadline: float
    max_body_bytes: int
    format: str = "json"
    #: Sent to the upstream in X-Forwarded-For.
    client_ip: str = ""
    #: Removed from the upstream's request unless the operation forwards credentials.
    access_key: str = field(default="", repr=False)
    hops: int = 0
    #: The headers traceparent and tracestate; "" for a new trace.
    trace_context: tuple[str, str] = ("", "")
    operation_id: int = 0
    #: The operation as 1.99x writes it in its messages.
    operation_name: str = ""
    #: The memory of the decoded response, until the result is closed.
    memory: Reservation | None = field(default=None, repr=False)

    def release_memory(self) -> None:
        if self.memory is not None:
            self.memory.release()


@dataclass(slots=True)
class UpstreamRequest:
    """A request without its endpoint. ``path`` follows the endpoint's path, percent-encoded, with its query."""

    method: str
    path: str
    headers: list[tuple[str, str]] = field(repr=False)
    body: bytes | Upload | None = field(default=None, repr=False)
    #: Bytes of the body; None if they are not known before its end.
    length: int | None = 0
    #: The headers that the bus adds: no part of a stored response's key.
    bus_headers: list[tuple[str, str]] = field(default_factory=list, repr=False)

    @property
    def replayable(self) -> bool:
        """True if it can be sent again."""
        return not (isinstance(self.body, Upload) and self.body.started)


class Style(Protocol):
    """Builds an operation's requests to its upstream, and decodes the responses."""

    @property
    def methods(self) -> tuple[str, ...]:
        """The HTTP methods that callers may use."""
        ...

    @property
    def pass_through(self) -> bool:
        """True if requests go to the upstream unchanged."""
        ...

    @property
    def legacy(self) -> bool:
        """True if the content has the envelope of MANTRA 1.99x."""
        ...

    @property
    def result_name(self) -> str:
        """The name of the result in the envelope of MANTRA 1.99x; "" without one."""
        ...

    @property
    def has_envelope(self) -> bool:
        """True if a response's body is not the content itself, so that it must be decoded."""
        ...

    @property
    def may_fetch(self) -> bool:
        """True if building a request may have to fetch the upstream's description first."""
        ...

    def build_request(self, context: RequestContext) -> UpstreamRequest:
        """Return the request for the upstream. Raises Fault."""
        ...

    def decode(self, context: RequestContext, response: UpstreamResponse) -> Any:
        """Return a response's content, and release the upstream. Raises Fault, DecodeError."""
        ...


def successful_body(context: RequestContext, response: UpstreamResponse) -> bytes:
    """Return the body of a 2xx response without its Content-Encoding. Raises Fault, DecodeError."""
    if response.status // 100 != 2:
        raise status_fault(response)
    return plain_body(context, response)


def decode_or_text(context: RequestContext, response: UpstreamResponse) -> Any:
    """Return a 2xx response's content by its media type. Raises Fault; DecodeError with the body as text."""
    body, content_type = successful_body(context, response), response.fields.get("content-type", "")
    try:
        return decoders.decode(body, content_type)
    except DecodeError as error:
        raise DecodeError(str(error), text=decoders.readable_text(body, content_type)) from None


def status_fault(response: UpstreamResponse) -> Fault:
    """Release the upstream, and return the fault of a response whose status is no success.

    Its detail ``pause``: the seconds that the upstream asks its callers to wait, 0 if it says nothing of that.
    """
    response.close()
    pause = _pause_of(response.fields.get("retry-after", ""))
    return Fault(faults.UPSTREAM_STATUS, upstream_status=response.status, pause=pause)


#: The longest pause that an upstream can ask for.
_LONGEST_PAUSE = 3600


def _pause_of(text: str) -> int:
    """Return the seconds of a Retry-After header (RFC 9110, section 10.2.3)."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), _LONGEST_PAUSE)
    until = parse_http_date_safe(text) if text else None
    return 0 if until is None else max(0, min(int(until - time.time()), _LONGEST_PAUSE))


def plain_body(context: RequestContext, response: UpstreamResponse) -> bytes:
    """Return a response's body without its Content-Encoding. Raises Fault, DecodeError.

    The memory of its decoded value is reserved for the call. No body is read or inflated that is too large to decode.
    """
    encoding = response.fields.get("content-encoding", "").lower()
    limit = min(context.max_body_bytes, MAX_BYTES)
    body = inflate(response.read(limit), encoding, limit)
    context.memory = budget.reserve(body, context.deadline - time.monotonic())
    if context.memory is None:
        raise Fault(faults.UPSTREAM_BUSY, retry_after=1)
    return body


def not_convertible(reason_id: str, reason_en: str) -> Fault:
    """Return the fault of a request that cannot become the upstream's, with the reason in two languages."""
    return Fault(faults.REQUEST_NOT_CONVERTIBLE, reason_id=reason_id, reason_en=reason_en)


def text_of(value: Any) -> str:
    """Return a parameter's value as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date | day_time | datetime):
        return value.isoformat()
    return str(value)


def leaves_base(path: str) -> bool:
    """Return True if a path has a segment "." or "..", also if it is encoded up to three times (RFC 3986, 5.2.4).

    True too for an encoding of dots and slashes that has no other use than to hide them.
    """
    if "." not in path and "%" not in path:
        return False
    for _layer in range(4):
        if _DISGUISED.search(path):
            return True
        for segment in re.split(r"[/\\]", path):
            # Some servers read a segment only up to a semicolon or a control character.
            if _END.split(segment, 1)[0].strip() in (".", ".."):
                return True
        inner = unquote(path)
        if inner == path:
            return False
        path = inner
    return True


def path_segment(value: str, name: str) -> str:
    """Return a value as one segment of a path, percent-encoded. Raises Fault if it is empty or leaves the path."""
    if not value:
        raise not_convertible(f"parameter {name} tidak boleh kosong", f"the parameter {name} must not be empty")
    if leaves_base(value):
        raise not_convertible(
            f"parameter {name} berisi titik saja", f"the parameter {name} must not consist of dots only"
        )
    return quote(value, safe="")


def header_value(value: str, name: str) -> str:
    """Return a value for a header. Raises Fault if it is not printable ASCII (RFC 9110, 5.5)."""
    if not _HEADER_VALUE.match(value):
        raise not_convertible(
            f"parameter {name} hanya boleh berisi huruf ASCII", f"the parameter {name} must contain ASCII letters only"
        )
    return value


def form_encoded(pairs: Iterable[tuple[str, str]]) -> str:
    """Return pairs as application/x-www-form-urlencoded."""
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)


def with_query(path: str, query: str) -> str:
    """Return a path with a query, after the query that it may have already."""
    if not query:
        return path
    return f"{path}{'&' if '?' in path else '?'}{query}"


def quoted_path(path: str) -> str:
    """Return a configured path as "" or "/…", percent-encoded where a request line requires it."""
    path = quote(path.strip(), safe="/:@!$&'()*+,;=~-._?%{}")
    return "/" + path.lstrip("/") if path else ""


@dataclass(frozen=True, slots=True)
class ValueSource:
    """The source of a value in the request: a parameter, or a fixed value."""

    name: str
    parameter: str
    value: str = field(default="", repr=False)

    def value_from(self, arguments: dict[str, Any]) -> Any:
        """Return the value; None if an optional parameter has none."""
        return arguments.get(self.parameter) if self.parameter else self.value


def source_of(mapping: ParameterMapping, parameter: str) -> ValueSource:
    """Return the source of a mapping's value. ``parameter``: the declared one of its name. Raises ValueError."""
    if value := grant_value(mapping.parameter):
        parameter = GRANT + value
    if mapping.parameter and not parameter:
        raise ValueError("parameter")
    return ValueSource(mapping.name, parameter, str(mapping.value or ""))


def named_texts(sources: Sequence[ValueSource], arguments: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (name, text) of each value that is there."""
    return [(each.name, text_of(value)) for each in sources if (value := each.value_from(arguments)) is not None]


def nested_object(sources: Sequence[ValueSource], arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the values as a JSON object; a dot in a name begins a level. Raises Fault if two names collide."""
    document: dict[str, Any] = {}
    for each in sources:
        value = each.value_from(arguments)
        if value is None:
            continue
        *outer, last = each.name.split(".")
        level = document
        for name in outer:
            level = level.setdefault(name, {})
            if not isinstance(level, dict):
                raise not_convertible(f"{each.name} berbenturan", f"{each.name} collides with another name")
        level[last] = value
    return document


def exact_json(value: Any) -> Any:
    """Return a Decimal for orjson with all its digits. Raises TypeError for other types."""
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError


def accept_header(format: str) -> str:
    """Return an Accept header that prefers the caller's format: such a response needs no conversion."""
    best = _MEDIA_TYPES.get(format, "application/json")
    others = [each for each in ("application/json", "application/xml") if each != best]
    return ", ".join([best, *(f"{each};q=0.{8 - index}" for index, each in enumerate(others)), "*/*;q=0.1"])
