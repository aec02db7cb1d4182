"""The wire of MANTRA 1.99x: /{mantra/}{api|json|xml}/{agency}/{service}/{operation}[/…].

Every answer is HTTP 200 in text/plain: the stock client throws anything else away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

from mantra.gateway import admission, http
from mantra.gateway.client_ip import client_ip
from mantra.gateway.formats import LEGACY, LegacyFormat
from mantra.gateway.http import Environ, Response
from mantra.gateway.recording import Answer, unforeseen
from mantra.gateway.serve import serve
from registry import faults
from registry.calls import Call
from registry.results import Affected, Document, Fault, Result, Row, Rows
from registry.snapshot.types import Operation

MEDIA_TYPE = "text/plain;charset=UTF-8"
PREFIX = "mantra"
FACES = {"api": "legacy_php", "json": "legacy_json", "xml": "legacy_xml"}
_KEY = re.compile(r"[a-z0-9]{10}\Z")

#: What 1.99y said in one word for things that the bus tells apart.
_TOLD_AS = {
    faults.KEY_UNKNOWN.code: faults.OPERATION_UNKNOWN,
    faults.KEY_ELSEWHERE.code: faults.OPERATION_UNKNOWN,
    faults.GRANT_MISSING.code: faults.OPERATION_UNKNOWN,
    faults.PARAMETER_MISSING.code: faults.PARAMETERS_MISSING,
}


def face(environ: Environ) -> Response:
    """Answer one request of the legacy wire."""
    answer = serve(read(environ))
    try:
        return respond(answer)
    except Exception as error:  # a format that met what it did not foresee is no reason to leave no record
        answer.fail(error if isinstance(error, Fault) else unforeseen(answer.call))
        return _failure(answer)


def read(environ: Environ) -> Call:
    """The request as a Call. What cannot be made sense of is its flaw."""
    rest: list[str] = []
    call = Call(
        face="legacy",
        method=environ["REQUEST_METHOD"],
        address=client_ip(environ),
        request_id=http.request_id(),
        format="legacy_json",
        supply=lambda call: supplied(call, environ, rest),
        secret=environ.get("HTTP_ACCESSKEY", "").strip(),
        lenient=True,
        hops=http.hops_of(environ),
    )
    try:
        parts = http.path(environ).lstrip("/").split("/")
        if parts[0].lower() == PREFIX:
            parts = parts[1:]
        if parts and not parts[-1]:
            parts.pop()
        if parts:
            call.format = FACES.get(parts[0].lower(), call.format)
        _address(call, parts, rest)
    except Fault as fault:
        call.flaw = fault
    return call


def _address(call: Call, parts: list[str], rest: list[str]) -> None:
    """Find agency, service, operation, a key in the address, and what is left over for parameters."""
    if not parts or parts[0].lower() not in FACES:
        raise Fault(faults.ADDRESS_INCOMPLETE)
    serialized = parts[0].lower() == "api"
    names = parts[1:]
    services = admission.picture().services
    if serialized and not call.secret and len(names) > 2 and _KEY.match(names[0]):
        first, second = ((names[at].lower(), names[at + 1].lower()) for at in (0, 1))
        if first not in services and second in services:  # generation 1: the key before the agency, and XML
            call.secret, call.key_in_path, call.format = names.pop(0), True, "legacy_xml"
    if len(names) < 2 or not all(names[:2]):
        raise Fault(faults.ADDRESS_INCOMPLETE)
    if len(names) < 3 or not names[2]:
        raise Fault(faults.OPERATION_UNNAMED)
    call.agency, call.service, call.code = names[:3]
    rest += names[3:]
    if serialized and not call.secret and rest and _KEY.match(rest[0]) and _is_key(call, rest[0]):
        # Generation 2 put it right behind the operation.
        call.secret, call.key_in_path, call.format = rest.pop(0), True, "legacy_xml"


def _is_key(call: Call, text: str) -> bool:
    """Whether a segment of ten letters and digits is a key: on an open operation it may as well be a value."""
    book = admission.picture()
    operation = book.operation(call.agency, call.service, call.code)
    return operation is None or not operation.open or book.key(text) is not None


# ------------------------------------------------------------------------------------ parameters


def supplied(call: Call, environ: Environ, rest: list[str]) -> list[tuple[str, Any]]:
    """The parameters, in whichever of the five caller styles they come. Raises Fault."""
    operation = call.operation
    assert operation is not None
    query = environ.get("QUERY_STRING", "")
    if rest:
        found = _from_path(rest, operation)
    elif query:
        found = http.pairs(query)
    elif call.method == "POST":
        found = http.form_pairs(http.body(environ))
    else:
        found = []
    # A column's spaces are underscores in the parameter's name.
    return [(name.replace(" ", "_"), value) for name, value in found]


def _from_path(rest: list[str], operation: Operation) -> list[tuple[str, str]]:
    if "=" in rest[0]:  # REST: one query string, whose values may hold a bare slash
        pairs = (piece.partition("=") for piece in "/".join(rest).split("&") if piece)
        return [(_decoded(name), _decoded(value)) for name, _equals, value in pairs]
    values = [_decoded(segment) for segment in rest]
    names = [name.replace(" ", "_").lower() for name in values[0::2]]
    if len(values) % 2 == 0 and all(name in operation.by_name for name in names):  # RESTFULLPAR
        return list(zip(names, values[1::2], strict=True))
    declared = [parameter.name for parameter in operation.parameters]  # RESTFULL
    return list(zip(declared, values, strict=False))


def _decoded(text: str) -> str:
    """The second decoding: the stock client encodes what it puts into a path twice. Raises Fault."""
    try:
        return unquote_to_bytes(text.replace("+", " ")).decode()
    except UnicodeDecodeError:
        raise Fault(faults.ADDRESS_INVALID) from None


# --------------------------------------------------------------------------------------- answers


def respond(answer: Answer) -> Response:
    """The response to a call that went well. Raises Fault, also where writing the result fails."""
    call, result = answer.call, answer.result
    if isinstance(result, Fault):
        raise result
    operation = call.operation
    assert operation is not None
    return _headers(http.response(answer, _chunks(LEGACY[call.format], result, operation), 200, MEDIA_TYPE), call)


def _chunks(written: LegacyFormat, result: Result, operation: Operation) -> Iterator[bytes]:
    if isinstance(result, Rows):
        _some(result, operation)
        return written.render(result, operation.code)
    if isinstance(result, Affected):
        return iter((written.render_affected(result, operation.code),))
    assert isinstance(result, Document)
    return iter((written.render_document(result),))


def _some(rows: Rows, operation: Operation) -> None:
    """On this wire no rows is a failure: look at the first batch before anything is written."""
    first = next(rows.batches, None)
    if not first:
        raise Fault(faults.NO_ROWS, operation=operation.legacy_name)
    rows.batches = _with(first, rows.batches)


def _with(first: list[Row], others: Iterator[list[Row]]) -> Iterator[list[Row]]:
    yield first
    yield from others


def _failure(answer: Answer) -> Response:
    """Answer a call with the fault that it came to, still HTTP 200."""
    call = answer.call
    for _attempt in (1, 2):
        fault = answer.result
        assert isinstance(fault, Fault)
        kind = _TOLD_AS.get(fault.code)
        told = Fault(kind) if kind is not None else fault
        content = LEGACY[call.format].render_fault(told.code, told.message("id"))
        try:
            return _headers(http.response(answer, iter((content,)), 200, MEDIA_TYPE), call)
        except Fault as journal_down:  # without a record there is no answer but this
            answer.fail(journal_down)
    raise AssertionError


def _headers(found: Response, call: Call) -> Response:
    found.headers["X-Request-Id"] = call.request_id
    found.headers["Cache-Control"] = "no-store"
    found.headers["X-Content-Type-Options"] = "nosniff"
    return found
