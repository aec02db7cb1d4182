"""A fault in a REST response: a problem (RFC 9457) in the format that the caller selected."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

import orjson

from mantra.gateway.formats import FORMATS
from mantra.gateway.http import Environ, language, problem_members
from mantra.gateway.protocols.asking import request_url
from mantra.gateway.protocols.responding import FaultResponse
from registry import faults
from registry.calls import Call
from registry.results import Document, Fault

_JSON = "application/problem+json"
_XML = "application/problem+xml"
NAMESPACE = "urn:ietf:rfc:7807"


#: Fault → what the challenge says of it (RFC 6750, section 3.1).
_BEARER_ERRORS = {
    faults.TOKEN_INVALID.code: ', error="invalid_token"',
    faults.TOKEN_SCOPE.code: ', error="insufficient_scope"',
}


def media_type(format: str) -> str:
    """Return the media type of a problem where a caller selected a format."""
    if format in ("php", "phpa"):
        return FORMATS[format].media_type
    return _XML if format == "xml" else _JSON


def render(problem: dict[str, Any], format: str) -> tuple[bytes, str]:
    """Return a problem in a format: (bytes, media type)."""
    written = media_type(format)
    if written == _JSON:
        return orjson.dumps(problem), written
    if written == _XML:
        inner = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in problem.items())
        text = f'<?xml version="1.0" encoding="utf-8"?><problem xmlns="{NAMESPACE}">{inner}</problem>'
        return text.encode(), written
    return FORMATS[format].render_document(Document(problem)), written


def write_fault(fault: Fault, call: Call, environ: Environ) -> FaultResponse:
    """Return a fault as a problem in the format that the caller selected."""
    members = problem_members(fault, call.request_id, language(environ))
    if url := request_url(fault, call, environ):
        members["request_url"] = url
    content, media_type = render(members, call.format)
    headers = {"Cache-Control": "no-store"}
    if fault.status == 401 or fault.code in _BEARER_ERRORS:
        headers["WWW-Authenticate"] = 'Bearer realm="MANTRA"' + _BEARER_ERRORS.get(fault.code, "")
    if fault.status == 405:
        headers["Allow"] = str(fault.details.get("allowed", ""))
    if fault.code == faults.BODY_ENCODING.code:
        headers["Accept-Encoding"] = "gzip, deflate"  # RFC 9110, section 15.5.16
    if fault.retry_after is not None:
        headers["Retry-After"] = str(fault.retry_after)
    return FaultResponse(content, media_type, fault.status, headers)
