"""A fault on the REST face: RFC 9457's problem, in the format that the caller asked for."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

import orjson

from mantra.gateway import http
from mantra.gateway.formats import FORMATS
from mantra.gateway.http import Environ, Response, language, members
from mantra.gateway.recording import Answer
from registry.results import Document, Fault

_JSON = "application/problem+json"
_XML = "application/problem+xml"


def written(problem: dict[str, Any], format: str) -> tuple[bytes, str]:
    """The problem's bytes and media type in a format."""
    if format == "xml":
        inner = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in problem.items())
        text = f'<?xml version="1.0" encoding="utf-8"?><problem xmlns="urn:ietf:rfc:7807">{inner}</problem>'
        return text.encode(), _XML
    if format in ("php", "phpa"):
        return FORMATS[format].render_document(Document(problem)), FORMATS[format].media_type
    return orjson.dumps(problem), _JSON


def _headers(found: Response, fault: Fault) -> Response:
    found.headers["Cache-Control"] = "no-store"
    if fault.status == 401:
        found.headers["WWW-Authenticate"] = 'Bearer realm="MANTRA"'
    if fault.status == 405:
        found.headers["Allow"] = str(fault.details.get("allowed", ""))
    if fault.retry_after is not None:
        found.headers["Retry-After"] = str(fault.retry_after)
    return found


def response(answer: Answer, environ: Environ) -> Response:
    """Answer a call with the fault that it came to."""
    call = answer.call
    for _attempt in (1, 2):
        fault = answer.result
        assert isinstance(fault, Fault)
        content, media_type = written(members(fault, call.request_id, language(environ)), call.format)
        try:
            return _headers(http.response(answer, iter((content,)), fault.status, media_type), fault)
        except Fault as journal_down:  # without a record there is no answer but this
            answer.fail(journal_down)
    raise AssertionError
