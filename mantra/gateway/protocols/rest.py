"""The protocol handler of REST: /rest/{agency}/{service}/{operation}[.format]."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from django.conf import settings
from django.utils.module_loading import import_string

from mantra.gateway import admission, http
from mantra.gateway.fast_lane import admissions, wire
from mantra.gateway.formats import FORMATS, Format
from mantra.gateway.http import Environ, Response, unwrapped
from mantra.gateway.protocols import problem
from mantra.gateway.protocols.responding import describe_to, respond_to
from mantra.gateway.recording import RecordedResult
from mantra.gateway.signatures import exchange as signatures
from registry import faults
from registry.calls import Call, Trial, request_id
from registry.client_ip import client_ip
from registry.results import Affected, Document, Fault, RelayedResponse, Result, Rows
from registry.snapshot.types import Operation

_DEFAULT = "json"
_FORM = "application/x-www-form-urlencoded"
_JSON = ("application/json", "text/json")
#: Further media types that select a format.
_ALIASES = {"text/xml": "xml", "text/json": "json", "application/*": _DEFAULT, "*/*": _DEFAULT, "text/*": "csv"}
_TYPES = {name: format.media_type.partition(";")[0] for name, format in FORMATS.items()}
_BY_TYPE = {media_type: name for name, media_type in _TYPES.items()} | _ALIASES


#: The first segment after an operation's address → the dotted path of the handler of requests below it, a function of
#: the environment and the call. Packages above this one add theirs when their apps are ready. The paths of pass-through
#: operations are their upstreams'.
BELOW_OPERATIONS: dict[str, str] = {}


def handle(environ: Environ, trial: Trial | None = None) -> Response:
    """Return the response to a REST request."""
    call = read(environ)
    if call.path_suffix and trial is None and (below := _below(call)) is not None:
        return below(environ, call)
    write_fault = partial(problem.write_fault, environ=environ)
    if call.method == "OPTIONS":
        return describe_to(call, options, write_fault)
    return respond_to(call, lambda recorded, operation: respond(recorded, operation, environ), write_fault, trial)


def _below(call: Call) -> Callable[[Environ, Call], Response] | None:
    """Return the handler of an address below an operation; None if it is the operation's own matter."""
    path = BELOW_OPERATIONS.get(call.path_suffix.split("/", 2)[1])
    if path is None or call.method == "OPTIONS" or _passes_through(call):
        return None
    handler: Callable[[Environ, Call], Response] = import_string(path)
    return handler


def read(environ: Environ) -> Call:
    """Return the request as a Call. If a part cannot be read, the fault is its error."""
    wire.read(environ)
    failed = environ.get(wire.FAILED_CALL)
    call = Call(
        protocol="rest",
        method=environ["REQUEST_METHOD"],
        client_ip=client_ip(environ),
        request_id=request_id() if failed is None else failed.request_id,
        format=_DEFAULT,
        read_input=lambda call: read_parameters(environ),
        access_key=http.key_of(environ),
        certificate=environ.get(wire.CERTIFICATE, ""),
        signature=signatures.read(environ),
        hops=http.hops_of(environ),
        trace_context=http.trace_context_of(environ),
        raw_request=lambda: http.raw_request(environ),
    )
    if failed is not None:
        call.lease, call.earlier = failed.admission, failed.attempt
    try:
        call.agency, call.service, call.code, suffix, call.path_suffix = address(http.path(environ))
        call.format = suffix or accepted(environ.get("HTTP_ACCEPT", ""))
    except Fault as fault:
        if fault.code != faults.NOT_ACCEPTABLE.code or not _passes_through(call):
            call.error = fault
    return call


def _passes_through(call: Call) -> bool:
    """Return True if the call's operation is pass-through: the upstream, not the bus, evaluates Accept."""
    try:
        operation = admission.snapshot_of(call).operation(call.agency, call.service, call.code)
    except Fault:
        return False
    return operation is not None and operation.plan is not None and operation.plan.pass_through


def address(path: str) -> tuple[str, str, str, str, str]:
    """Split a path into agency, service, operation, format ("" without a suffix) and the path suffix. Raises Fault."""
    parts = path.strip("/").split("/", 4)[1:]
    if len(parts) < 2 or not all(parts[:2]):
        raise Fault(faults.ADDRESS_INCOMPLETE)
    if len(parts) == 2 or not parts[2]:
        raise Fault(faults.OPERATION_UNNAMED)
    agency, service, code = parts[:3]
    if len(parts) > 3:
        return agency, service, code, "", "/" + parts[3]
    stem, dot, suffix = code.rpartition(".")
    if dot and suffix.lower() in FORMATS:
        return agency, service, stem, suffix.lower(), ""
    return agency, service, code, "", ""


@lru_cache(maxsize=1024)
def accepted(header: str) -> str:
    """Return the format with the highest quality in an Accept header. Raises Fault if it accepts none.

    An empty header names no type, and so excludes none.
    """
    if not header.strip(", \t"):
        return _DEFAULT
    best, best_quality = "", 0.0
    for part in header.split(",")[:50]:
        media_type, *options = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0
        for option in options:
            name, _, value = option.partition("=")
            if name.strip() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        name = _BY_TYPE.get(media_type, "")
        if name and quality > best_quality:
            best, best_quality = name, quality
    if not best:
        raise Fault(faults.NOT_ACCEPTABLE, formats=", ".join(_TYPES.values()))
    return best


def read_parameters(environ: Environ) -> list[tuple[str, Any]]:
    """Return the (name, value) pairs of the query string and, with POST, of a form or JSON body. Raises Fault.

    The value of a null in JSON is None.
    """
    pairs: list[tuple[str, Any]] = list(http.pairs(environ.get("QUERY_STRING", "")))
    if environ["REQUEST_METHOD"] == "POST":
        body = http.body(environ)
        if body:
            pairs += _from_body(body, environ.get("CONTENT_TYPE", ""))
    return pairs


def _from_body(body: bytes, content_type: str) -> list[tuple[str, Any]]:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == _FORM:
        return list(http.form_pairs(body))
    if media_type not in _JSON and not media_type.endswith("+json"):
        raise Fault(faults.BODY_TYPE)
    body = body.removeprefix(codecs.BOM_UTF8)  # RFC 8259, section 8.1: it may be ignored
    try:
        # orjson is the stricter of the two; json keeps repeated names and all digits.
        orjson.loads(body)
        document = _json(body)
    except (ValueError, RecursionError):
        raise Fault(faults.BODY_INVALID, reason_id="bukan JSON yang sah", reason_en="it is not valid JSON") from None
    if not isinstance(document, _Pairs):
        raise Fault(
            faults.BODY_INVALID,
            reason_id='harus objek, misalnya {"nip": "1980"}',
            reason_en='it must be an object such as {"nip": "1980"}',
        )
    return document


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object, repeated names included."""


def _json(body: bytes) -> Any:
    return json.loads(body, object_pairs_hook=_Pairs, parse_float=Decimal)


# --------------------------------------------------------------------------------------- responses


def respond(recorded: RecordedResult, operation: Operation, environ: Environ) -> Response:
    """Return the response to a successful call. Raises Fault, also if the result cannot be encoded."""
    call, result = recorded.call, recorded.result
    if isinstance(result, RelayedResponse):
        response = _relayed(recorded, result, operation)
        if (lane_request := environ.get(wire.LANE_REQUEST)) is not None:
            admissions.offer(lane_request, call, response)
        return response
    format = FORMATS[call.format]
    caller_tags = None
    if operation.cache_seconds and call.method != "POST" and call.since is None:
        tags = environ.get("HTTP_IF_NONE_MATCH", "").split(",")
        caller_tags = [tag.strip().removeprefix("W/") for tag in tags]
    response = http.response(recorded, _chunks(format, result, operation), 200, format.media_type, caller_tags)
    _set_headers(response, call, result, operation)
    if "ETag" in response.headers:
        scope = "public" if operation.open else "private"
        response.headers["Cache-Control"] = f"{scope}, max-age={operation.cache_seconds}"
        response.headers["Vary"] = http.CALLER_VARY
    else:
        response.headers["Cache-Control"] = "no-store"
    return response


def _relayed(recorded: RecordedResult, result: RelayedResponse, operation: Operation) -> Response:
    """Return an upstream's response, for this caller only unless the operation is open.

    Browsers see it as coming from the bus's origin: the sandbox keeps its pages from acting in the bus's name.
    """
    response = http.relay(recorded, result)
    headers = response.headers
    headers["Content-Security-Policy"] = "sandbox"
    _set_headers(response, recorded.call, result, operation)
    control = headers.get("Cache-Control", "")
    if not control and operation.cache_seconds and "ETag" in headers and result.status in (200, 304):
        max_age = max(0, operation.cache_seconds - int(recorded.call.extra_headers.get("Age", "0")))
        control = f"{'public' if operation.open else 'private'}, max-age={max_age}"
    headers["Cache-Control"] = control if operation.open and control else _private(control)
    if headers["Cache-Control"] != "no-store":
        vary = headers.get("Vary", "")
        headers["Vary"] = f"{vary}, {http.CALLER_VARY}" if vary else http.CALLER_VARY
    return response


@lru_cache(maxsize=1024)
def _private(control: str) -> str:
    """Return an upstream's Cache-Control for a response that only its caller may store."""
    directives = [
        part.strip()
        for part in control.split(",")
        if part.strip().partition("=")[0].lower() not in ("", "public", "private", "s-maxage")
    ]
    if not directives or "no-store" in (part.lower() for part in directives):
        return "no-store"
    return ", ".join(["private", *directives])


def _chunks(format: Format, result: Result, operation: Operation) -> Iterator[bytes]:
    if isinstance(result, Rows):
        return format.render(result, operation.code)
    if isinstance(result, Affected):
        return iter((format.render_affected(result, operation.code),))
    assert isinstance(result, Document)
    return iter((format.render_document(unwrapped(result, operation.code)),))


def _set_headers(response: Response, call: Call, result: Result, operation: Operation) -> None:
    """Set the headers about the result, links to other pages, and CORS for open operations."""
    http.set_result_headers(response, call, result, operation)
    if call.page:
        links = []
        if call.page > 1:
            links.append(f'<{_page_url(call, call.page - 1)}>; rel="prev"')
        if isinstance(result, Rows) and result.has_next:
            links.append(f'<{_page_url(call, call.page + 1)}>; rel="next"')
        if links:
            response.headers["Link"] = ", ".join(links)
    if isinstance(result, Rows) and result.cursor and result.has_next:
        response.headers["Link"] = f'<{_url(call, since=result.cursor, per_page=call.per_page)}>; rel="next"'
    if operation.open:
        response.headers["Access-Control-Allow-Origin"] = "*"


def _page_url(call: Call, page: int) -> str:
    """Return the URL of another page of the same call."""
    return _url(call, page=page, per_page=call.per_page)


def _url(call: Call, **more: Any) -> str:
    """Return the URL of the same call with other values."""
    values = {name: value for name, value in call.arguments.items() if value is not None} | more
    path = quote(f"/rest/{call.agency}/{call.service}/{call.code}")
    return f"{settings.BASE_URL}{path}.{call.format}?{urlencode(values)}"


def options(call: Call) -> Response:
    """Return the response to OPTIONS (CORS preflight). Raises Fault if the operation cannot be called."""
    operation = call.operation
    if operation is None:
        raise Fault(faults.OPERATION_UNKNOWN)
    if operation.plan is None:
        raise Fault(faults.DEFINITION_BROKEN)
    response = Response(204)
    response.headers["Allow"] = ", ".join((*operation.plan.methods, "OPTIONS"))
    if operation.open:
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Access-Control-Allow-Methods"] = response.headers["Allow"]
        response.headers["Access-Control-Allow-Headers"] = "Accept, Content-Type, If-None-Match"
    return response
