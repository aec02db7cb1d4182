"""The REST face: /rest/{agency}/{service}/{operation}[.format]."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from django.conf import settings

from mantra.gateway import admission, http
from mantra.gateway.client_ip import client_ip
from mantra.gateway.formats import FORMATS, Format
from mantra.gateway.http import Environ, Response, unwrapped
from mantra.gateway.offload import decision
from mantra.gateway.offload.result import Handed
from mantra.gateway.protocols import problem
from mantra.gateway.recording import Answer, unforeseen
from mantra.gateway.serve import serve
from registry import faults
from registry.calls import Call
from registry.results import Affected, Document, Fault, Relay, Result, Rows
from registry.snapshot import holder
from registry.snapshot.types import Operation

_DEFAULT = "json"
_FORM = "application/x-www-form-urlencoded"
#: Media types by which a format may be asked for beside its own.
_ALIASES = {"text/xml": "xml", "text/json": "json", "application/*": _DEFAULT, "*/*": _DEFAULT, "text/*": "csv"}
_BY_TYPE = {each.media_type.partition(";")[0]: name for name, each in FORMATS.items()} | _ALIASES


def face(environ: Environ) -> Response:
    """Answer one REST request."""
    call = read(environ)
    if call.method == "OPTIONS" and call.flaw is None and (allowed := options(call)) is not None:
        return allowed
    answer = serve(call)
    try:
        found = respond(answer, environ)
    except Exception as error:  # a format that met what it did not foresee is no reason to leave no record
        answer.fail(error if isinstance(error, Fault) else unforeseen(answer.call))
        found = problem.response(answer, environ)
    found.headers["X-Request-Id"] = call.request_id
    found.headers["X-Content-Type-Options"] = "nosniff"
    return found


def read(environ: Environ) -> Call:
    """The request as a Call. What cannot be made sense of is its flaw."""
    call = Call(
        face="rest",
        method=environ["REQUEST_METHOD"],
        address=client_ip(environ),
        request_id=http.request_id(),
        format=_DEFAULT,
        supply=lambda call: supplied(environ),
        secret=http.key_of(environ),
        hops=http.hops_of(environ),
        passage=lambda: http.passage(environ),
        by_nginx=decision.shown(environ),
    )
    try:
        call.agency, call.service, call.code, suffix, call.tail = address(http.path(environ))
        call.format = suffix or accepted(environ.get("HTTP_ACCEPT", "*/*"))
    except Fault as fault:
        if fault.code != faults.NOT_ACCEPTABLE.code or not _passes(call):
            call.flaw = fault
    return call


def _passes(call: Call) -> bool:
    """Whether the operation hands requests on: then what the caller accepts is the upstream's business."""
    book = holder.current()
    operation = book.operation(call.agency, call.service, call.code) if book is not None else None
    return operation is not None and operation.plan is not None and operation.plan.passes


def address(path: str) -> tuple[str, str, str, str, str]:
    """Agency, service, operation, the format's suffix ("" without one), and what follows. Raises Fault."""
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
    """The format that an Accept header likes best. Raises Fault when we have none that it takes."""
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
        raise Fault(faults.NOT_ACCEPTABLE, formats=", ".join(each.media_type for each in FORMATS.values()))
    return best


def supplied(environ: Environ) -> list[tuple[str, Any]]:
    """The parameters in the query string and, with POST, in a form or JSON body. Raises Fault."""
    found: list[tuple[str, Any]] = list(http.pairs(environ.get("QUERY_STRING", "")))
    if environ["REQUEST_METHOD"] == "POST":
        body = http.body(environ)
        if body:
            found += _from_body(body, environ.get("CONTENT_TYPE", ""))
    return found


def _from_body(body: bytes, content_type: str) -> list[tuple[str, Any]]:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == _FORM:
        return list(http.form_pairs(body))
    if media_type != "application/json":
        raise Fault(faults.BODY_TYPE)
    try:
        # Checked for what orjson alone takes; then read with every name and digit that was written.
        orjson.loads(body)
        document = _json(body)
    except (ValueError, RecursionError):
        raise Fault(faults.BODY_INVALID, why_id="bukan JSON yang sah", why_en="it is not valid JSON") from None
    if not isinstance(document, _Pairs):
        raise Fault(
            faults.BODY_INVALID,
            why_id='harus objek, misalnya {"nip": "1980"}',
            why_en='it must be an object such as {"nip": "1980"}',
        )
    return [(name, value) for name, value in document if value is not None]


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as it was written, repeated names included."""


def _json(body: bytes) -> Any:
    return json.loads(body, object_pairs_hook=_Pairs, parse_float=Decimal)


# --------------------------------------------------------------------------------------- answers


def respond(answer: Answer, environ: Environ) -> Response:
    """The response to a call that went well. Raises Fault, also where writing the result fails."""
    call, result = answer.call, answer.result
    if isinstance(result, Fault):
        raise result
    operation = call.operation
    assert operation is not None
    if isinstance(result, Relay):
        return _relayed(answer, result, operation)
    if isinstance(result, Handed):
        return _handed(call, result, operation)
    written = FORMATS[call.format]
    held = None
    if operation.cache_seconds and call.method != "POST":
        tags = environ.get("HTTP_IF_NONE_MATCH", "").split(",")
        held = [tag.strip().removeprefix("W/") for tag in tags]
    found = http.response(answer, _chunks(written, result, operation), 200, written.media_type, held)
    _describe(found, call, result, operation)
    if "ETag" in found.headers:
        scope = "public" if operation.open else "private"
        found.headers["Cache-Control"] = f"{scope}, max-age={operation.cache_seconds}"
        found.headers["Vary"] = "Accept, AccessKey, Authorization"
    else:
        found.headers["Cache-Control"] = "no-store"
    return found


def _relayed(answer: Answer, result: Relay, operation: Operation) -> Response:
    """An upstream's own answer. It is the bus's origin that it comes from: no page of it may act in its name."""
    found = http.relay(answer, result)
    headers = found.headers
    headers["Content-Security-Policy"] = "sandbox"
    _describe(found, answer.call, result, operation)
    control = headers.get("Cache-Control", "")
    if not control and operation.cache_seconds and "ETag" in headers and result.status in (200, 304):
        left = max(0, operation.cache_seconds - int(answer.call.notes.get("Age", "0")))
        control = f"{'public' if operation.open else 'private'}, max-age={left}"
    headers["Cache-Control"] = control if operation.open and control else _own(control)
    if headers["Cache-Control"] != "no-store":
        vary = headers.get("Vary", "")
        headers["Vary"] = f"{vary}, Accept, AccessKey, Authorization" if vary else "Accept, AccessKey, Authorization"
    return found


def _handed(call: Call, result: Handed, operation: Operation) -> Response:
    """What nginx needs to fetch the answer, and what it is to add to it."""
    told = Response(200)
    http.describe(told, call, result, operation)
    told.headers |= {"X-Request-Id": call.request_id, "X-Content-Type-Options": "nosniff"}
    told.headers["Content-Security-Policy"] = "sandbox"
    return decision.response(call, result, told.headers)


@lru_cache(maxsize=1024)
def _own(control: str) -> str:
    """Cache-Control of an answer that is for its caller only, whatever its upstream would allow."""
    kept = [
        part.strip()
        for part in control.split(",")
        if part.strip().partition("=")[0].lower() not in ("", "public", "private", "s-maxage")
    ]
    if not kept or "no-store" in (part.lower() for part in kept):
        return "no-store"
    return ", ".join(["private", *kept])


def _chunks(written: Format, result: Result, operation: Operation) -> Iterator[bytes]:
    if isinstance(result, Rows):
        return written.render(result, operation.code)
    if isinstance(result, Affected):
        return iter((written.render_affected(result, operation.code),))
    assert isinstance(result, Document)
    return iter((written.render_document(unwrapped(result)),))


def _describe(found: Response, call: Call, result: Result, operation: Operation) -> None:
    """The headers that say more about the answer."""
    http.describe(found, call, result, operation)
    if call.page:
        links = []
        if call.page > 1:
            links.append(f'<{_page(call, call.page - 1)}>; rel="prev"')
        if isinstance(result, Rows) and result.has_next:
            links.append(f'<{_page(call, call.page + 1)}>; rel="next"')
        if links:
            found.headers["Link"] = ", ".join(links)
    if operation.open:
        found.headers["Access-Control-Allow-Origin"] = "*"


def _page(call: Call, page: int) -> str:
    """The address of another page of the same question."""
    values = {name: value for name, value in call.arguments.items() if value is not None}
    values |= {"page": page, "per_page": call.per_page}
    path = quote(f"/rest/{call.agency}/{call.service}/{call.code}")
    return f"{settings.BASE_URL}{path}.{call.format}?{urlencode(values)}"


def options(call: Call) -> Response | None:
    """What may be done at an address, for clients that ask before they call; None where nothing may."""
    admission.find(call)
    operation = call.operation
    if operation is None or operation.plan is None:
        return None
    found = Response(204)
    found.headers["Allow"] = ", ".join((*operation.plan.methods, "OPTIONS"))
    found.headers["X-Request-Id"] = call.request_id
    if operation.open:
        found.headers["Access-Control-Allow-Origin"] = "*"
        found.headers["Access-Control-Allow-Methods"] = found.headers["Allow"]
        found.headers["Access-Control-Allow-Headers"] = "Accept, Content-Type, If-None-Match"
    return found
