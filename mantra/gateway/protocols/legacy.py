"""The legacy wire, as MANTRA 1.99x had it: /{folder/}{api|json|xml}/{agency}/{service}/{operation}[/…].

Every response is HTTP 200 in text/plain: the client of 1.99x discards any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.conf import settings

from mantra.gateway import admission, http, php_input
from mantra.gateway.fast_lane import wire
from mantra.gateway.formats import LEGACY, wrapping
from mantra.gateway.http import Environ, Response
from mantra.gateway.php_input import decoded, decoded_again
from mantra.gateway.protocols.responding import FaultResponse, respond_to
from mantra.gateway.recording import RecordedResult
from mantra.gateway.signatures import exchange as signatures
from registry import faults
from registry.calls import Call, Trial, request_id
from registry.client_ip import client_ip
from registry.legacy_names import parameter_key, sent_name
from registry.results import Affected, Document, Fault, Result, Row, Rows
from registry.snapshot import holder
from registry.snapshot.types import Operation

MEDIA_TYPE = "text/plain;charset=UTF-8"
#: The folders before the format, each as its segments in lower case, the longest first.
FOLDERS = sorted((tuple(folder.strip("/ ").lower().split("/")) for folder in settings.LEGACY_FOLDERS), key=len)[::-1]
FORMATS_BY_SEGMENT = {"api": "legacy_php", "json": "legacy_json", "xml": "legacy_xml"}
#: A key as 1.99x makes them. Older ones are 8 letters or more; the longest have all of their column, percent-encoded.
_KEY = re.compile(r"[a-z0-9]{10}\Z")
MIN_KEY, MAX_KEY = 8, 3 * 64

#: Faults that 1.99y did not distinguish: code → the fault that it reports instead.
LEGACY_EQUIVALENTS = {
    faults.ADDRESS_INCOMPLETE.code: faults.OPERATION_UNKNOWN,
    faults.OPERATION_UNNAMED.code: faults.OPERATION_UNKNOWN,
    faults.KEY_UNKNOWN.code: faults.OPERATION_UNKNOWN,
    faults.KEY_OF_ANOTHER_OPERATION.code: faults.OPERATION_UNKNOWN,
    faults.GRANT_MISSING.code: faults.OPERATION_UNKNOWN,
    faults.PARAMETER_MISSING.code: faults.PARAMETERS_MISSING,
    faults.PARAMETERS_TOGETHER.code: faults.PARAMETERS_MISSING,
}


def handle(environ: Environ, trial: Trial | None = None) -> Response:
    """Return the response to a request of the legacy wire."""
    response = respond_to(read(environ), respond, write_fault, trial)
    response.headers["Cache-Control"] = "no-store"
    return response


def read(environ: Environ) -> Call:
    """Return the request as a Call. If a part cannot be read, the fault is its error."""
    wire.read(environ)
    rest: list[str] = []
    call = Call(
        protocol="legacy",
        method=environ["REQUEST_METHOD"],
        client_ip=client_ip(environ),
        request_id=request_id(),
        format="legacy_json",
        read_input=lambda call: read_parameters(call, environ, rest),
        access_key=environ.get("HTTP_ACCESSKEY", "").strip(),
        certificate=environ.get(wire.CERTIFICATE, ""),
        signature=signatures.read(environ),
        ignores_unknown=True,
        hops=http.hops_of(environ),
        trace_context=http.trace_context_of(environ),
    )
    try:
        _address(call, segments_of(environ), rest)
    except Fault as fault:
        call.error = fault
    return call


def segments_of(environ: Environ) -> list[str]:
    """Return the segments of the address after the folder, percent-encoded: a delimiter in a value stays a part of it.

    1.99x ignored repeated slashes at the start, and one at the end.
    """
    segments = http.raw_path(environ).lstrip("/").split("/")
    for folder in FOLDERS:
        if tuple(decoded(segment).lower() for segment in segments[: len(folder)]) == folder:
            segments = segments[len(folder) :]
            break
    if segments and not segments[-1]:
        segments.pop()
    return segments


def _address(call: Call, segments: list[str], rest: list[str]) -> None:
    """Set format, agency, service, operation and a key in the path; add the rest to ``rest``. Raises Fault."""
    output = decoded(segments.pop(0)).lower() if segments else ""
    if output not in FORMATS_BY_SEGMENT:
        raise Fault(faults.ADDRESS_INCOMPLETE)
    call.format = FORMATS_BY_SEGMENT[output]
    if _begins_with_key(call, segments):  # generation 1
        _take_key(call, segments.pop(0))
    names = [decoded(segment) for segment in segments[:3]]
    if len(names) < 2 or not all(names[:2]):
        raise Fault(faults.ADDRESS_INCOMPLETE)
    if len(names) < 3 or not names[2]:
        raise Fault(faults.OPERATION_UNNAMED)
    _name_operation(call, names[0], names[1], names[2])
    rest += segments[3:]
    if rest and not call.access_key and _is_key(call, rest[0]):  # generation 2
        _take_key(call, rest.pop(0))


def _name_operation(call: Call, agency: str, service: str, code: str) -> None:
    """Set the operation's names: its codes, also where the caller uses older names."""
    call.spelling = agency, service, code
    operation = admission.snapshot_of(call).legacy_operation(agency, service, code)
    if operation is not None:
        agency, service, code = operation.agency, operation.service, operation.code
    call.agency, call.service, call.code = agency, service, code


def _begins_with_key(call: Call, segments: list[str]) -> bool:
    """Return True if a key stands before agency and service, and is not the name of an agency itself."""
    if call.access_key or len(segments) < 3:
        return False
    snapshot = admission.snapshot_of(call)
    first, second, third = (decoded(segment) for segment in segments[:3])
    if snapshot.has_legacy_service(first, second) or not snapshot.has_legacy_service(second, third):
        return False
    return bool(_KEY.match(first)) or _known(call, segments[0])


def _take_key(call: Call, key: str) -> None:
    """Use a key in the path. The callers that send one expect XML where later ones expect PHP."""
    call.access_key, call.key_in_path = decoded(key), True
    if call.format == "legacy_php":
        call.format = "legacy_xml"


def _is_key(call: Call, segment: str) -> bool:
    """Return True if a segment is a key. One of ten letters and digits may be a value too, for an open operation."""
    if not _KEY.match(segment):
        return _known(call, segment)
    operation = admission.snapshot_of(call).operation(call.agency, call.service, call.code)
    return operation is None or not operation.open or _known(call, segment)


def _known(call: Call, segment: str) -> bool:
    """Return True if a segment is a key of the bus. Some of 1.99x are not of ten letters and digits."""
    if not MIN_KEY <= len(segment) <= MAX_KEY:
        return False
    return admission.snapshot_of(call).key(decoded(segment)) is not None


# ------------------------------------------------------------------------------------ parameters


def read_parameters(call: Call, environ: Environ, rest: list[str]) -> list[tuple[str, Any]]:
    """Return the (name, value) pairs of the parameters, in any of the five styles of 1.99x callers. Raises Fault."""
    operation = call.operation
    assert operation is not None
    # An array of PHP: a repeated name has its last value, in its first place. 1.99x passed over empty values.
    sent = {sent_name(name): value for name, value in _sent(call, environ, rest, operation)}
    return [(_declared_name(name, operation), value) for name, value in sent.items() if value != ""]


def _declared_name(name: str, operation: Operation) -> str:
    parameter = operation.by_legacy_name.get(parameter_key(name))
    return name if parameter is None else parameter.name


def _sent(call: Call, environ: Environ, rest: list[str], operation: Operation) -> list[tuple[str, str]]:
    query = environ.get("QUERY_STRING", "")
    if rest:
        return _from_path(rest, operation)
    if query:
        return php_input.pairs(query)
    if call.method == "POST":
        return [(name, decoded_again(value)) for name, value in php_input.form(environ)]
    return []


def _from_path(rest: list[str], operation: Operation) -> list[tuple[str, str]]:
    if "=" in rest[0]:  # REST: one query string, with values that may contain a slash
        return [(name, decoded_again(value)) for name, value in php_input.pairs("/".join(rest))]
    values = [decoded(segment) for segment in rest]
    names = values[0::2]
    if len(values) % 2 == 0 and all(parameter_key(name) in operation.by_legacy_name for name in names):  # RESTFULLPAR
        return list(zip(names, values[1::2], strict=True))
    declared = [parameter.name for parameter in operation.parameters]  # RESTFULL
    return list(zip(declared, values, strict=False))


# --------------------------------------------------------------------------------------- responses


def respond(recorded: RecordedResult, operation: Operation) -> Response:
    """Return the response to a successful call. Raises Fault, also if the result cannot be encoded."""
    chunks = _chunks(recorded.call, recorded.result)
    if _is_wrapped(recorded.call):
        chunks = wrapping.wrapped(chunks)
    response = http.response(recorded, chunks, 200, MEDIA_TYPE)
    # The bodies of 1.99x have no place for it.
    http.set_cursor(response, recorded.result)
    return response


def _chunks(call: Call, result: Result) -> Iterator[bytes]:
    format = LEGACY[call.format]
    if isinstance(result, Rows):
        _require_rows(result, call)
        return format.render(result, call.spelling[2])
    if isinstance(result, Affected):
        return iter((format.render_affected(result, call.spelling[2]),))
    assert isinstance(result, Document)
    return iter((format.render_document(result),))


def _require_rows(rows: Rows, call: Call) -> None:
    """Read the first batch before anything is written: on this wire a result without rows is a fault. Raises Fault."""
    first = next(rows.batches, None)
    if not first:
        raise Fault(faults.NO_ROWS, operation=call.legacy_name)
    rows.batches = _with(first, rows.batches)


def _with(first: list[Row], others: Iterator[list[Row]]) -> Iterator[list[Row]]:
    yield first
    yield from others


def write_fault(fault: Fault, call: Call) -> FaultResponse:
    """Return a fault as 1.99x writes it: with HTTP 200, in Indonesian."""
    kind = LEGACY_EQUIVALENTS.get(fault.code)
    legacy_fault = Fault(kind) if kind is not None else fault
    content = LEGACY[call.format].render_fault(legacy_fault.code, legacy_fault.message("id"))
    return FaultResponse(wrapping.wrap(content) if _is_wrapped(call) else content, MEDIA_TYPE, 200)


def _is_wrapped(call: Call) -> bool:
    """Return True if the caller unwraps responses: also those to a call that was refused before its key was read."""
    key = call.key
    if key is None and call.access_key:
        snapshot = call.snapshot or holder.current()
        key = snapshot.key(call.access_key) if snapshot is not None else None
    return key is not None and key.wrapped
