"""The responses of an operation as OpenAPI has them: results in every format, the headers they may have, and faults."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from mantra.contracts.schemas import Schema
from mantra.gateway.formats import FORMATS
from mantra.gateway.protocols import problem
from registry import faults
from registry.results import FaultKind, Scope
from registry.snapshot.types import Operation

#: The parts of the components that responses refer to.
Components = dict[str, dict[str, Any]]

_SAME_SCHEMA = ("json", "xml")


def ref(part: str, name: str) -> dict[str, Any]:
    """Return the reference to a component."""
    return {"$ref": f"#/components/{part}/{name}"}


# ------------------------------------------------------------------------------------------ headers


def headers() -> dict[str, Any]:
    """Return all headers of responses, as components."""
    text, number = {"type": "string"}, {"type": "integer", "minimum": 0}
    described = {
        "X-Request-Id": (_("The number of the request: name it when you report a fault."), text),
        "Cache-Control": (_("How long a response may be reused."), text),
        "ETag": (_("The version of the content, for If-None-Match."), text),
        "RateLimit-Policy": (
            _("The quota of the grant: the number of calls (q), and its period in seconds (w)."),
            text,
        ),
        "RateLimit": (_("The calls that are left (r), and the seconds until the quota begins again (t)."), text),
        "Deprecation": (_("The operation is deprecated."), {"const": "true"}),
        "Sunset": (_("The time at which the operation is retired."), text),
        "X-Data-As-Of": (_("When the data were known to be current, if the bus has a copy of them."), text),
        "X-Truncated": (_("There are more rows than the operation's row limit."), {"const": "true"}),
        "Link": (_("The addresses of the previous and the next page."), text),
        "X-Cursor": (_("The cursor of a page of changes, for since in the next call."), text),
        "Retry-After": (_("Seconds after which a retry makes sense."), number),
        "WWW-Authenticate": (_("How to send the access key."), text),
        "Allow": (_("The methods that the operation has."), text),
        "Accept-Encoding": (_("The compressions that the bus understands."), text),
    }
    return {name: {"description": words, "schema": schema} for name, (words, schema) in described.items()}


def _result_headers(operation: Operation) -> dict[str, Any]:
    """Return the headers of a result (mantra/gateway/http.py and protocols/rest.py set them)."""
    names = ["X-Request-Id", "Cache-Control"]
    if operation.cache_seconds:
        names.append("ETag")
    if not operation.open:
        names += ["RateLimit-Policy", "RateLimit"]
    if operation.state == "deprecated":
        names += ["Deprecation", *(["Sunset"] if operation.sunset else [])]
    if operation.kind == "data":
        names += ["X-Truncated", "X-Data-As-Of"]
    if operation.plan is not None and operation.plan.page_size:
        names.append("Link")
    if operation.plan is not None and operation.plan.change_size:
        names += ["Link", "X-Cursor"]
    return {name: ref("headers", name) for name in names}


# ------------------------------------------------------------------------------------------ results


def result(operation: Operation, schema: Schema, columns: Iterable[str]) -> dict[str, Any]:
    """Return the response with a result in every format. ``schema`` is that of JSON and XML."""
    names = list(columns)
    content = {format.media_type: _media(format.name, schema, names) for format in FORMATS.values()}
    return {"description": _("The result."), "headers": _result_headers(operation), "content": content}


def _media(format: str, schema: Schema, columns: list[str]) -> dict[str, Any]:
    if format in _SAME_SCHEMA:
        return {"schema": schema}
    return {"schema": {"type": "string", "description": _format_words(format, columns)}}


def _format_words(format: str, columns: list[str]) -> str:
    """Return what a text in a format is that JSON Schema has no words for."""
    words = {
        "csv": _("CSV (RFC 4180) with a header row."),
        "ndjson": _("One JSON object on each line."),
        "php": _("For unserialize() of PHP, with the members as in JSON."),
        "phpa": _("As var_export() of PHP writes it, with the members as in JSON."),
        "xlsx": _("An Excel workbook."),
    }[format]
    named = columns and format in ("csv", "ndjson", "xlsx")
    return f"{words} {_('Columns:')} {', '.join(columns)}." if named else words


def not_modified(operation: Operation) -> dict[str, Any]:
    """Return the response to If-None-Match where nothing has changed."""
    return {"description": _("Nothing has changed."), "headers": _result_headers(operation)}


def as_is() -> dict[str, Any]:
    """Return the response of an upstream that is passed through, or a fault of the bus."""
    words = _("The upstream's response, unchanged. Or a fault of the bus: its type begins with urn:mantra:fault:.")
    content = {"*/*": {}, problem.media_type("json"): {"schema": ref("schemas", "Problem")}}
    return {"description": words, "headers": {"X-Request-Id": ref("headers", "X-Request-Id")}, "content": content}


# ------------------------------------------------------------------------------------------- faults


#: Kind of operation → the scopes of its faults. A verification fails as the operation with its data does, too, of
#: which callers know no kind.
_SCOPES: dict[str, tuple[Scope, ...]] = {
    "data": (Scope.DATA,),
    "proxy": (Scope.PROXY,),
    "verification": (Scope.VERIFICATION, Scope.DATA, Scope.PROXY),
}


def faults_of(operation: Operation, method: str) -> list[FaultKind]:
    """Return the faults with which a REST call of an operation can end."""
    if operation.state == "retired":
        return [faults.OPERATION_RETIRED, faults.NOT_READY, faults.JOURNAL_DOWN, faults.INTERNAL]
    scopes = {Scope.ANY, *_SCOPES[operation.kind]}
    scopes |= {Scope.BODY} if method not in ("GET", "HEAD") else set()
    scopes |= set() if operation.open else {Scope.KEYED}
    return [kind for kind in faults.TABLE.values() if kind.scope in scopes]


def add_faults(operation: Operation, method: str, components: Components) -> dict[str, Any]:
    """Return the responses with the faults of a call by status, and add them to the components."""
    by_status: dict[int, list[FaultKind]] = {}
    for kind in faults_of(operation, method):
        by_status.setdefault(kind.status, []).append(kind)
    responses = {}
    for status, kinds in sorted(by_status.items()):
        name = _component_name(status, kinds)
        if name not in components["responses"]:
            components["responses"][name] = _fault_response(status, kinds)
        responses[str(status)] = ref("responses", name)
    return responses


def _component_name(status: int, kinds: list[FaultKind]) -> str:
    """Return a name that is the same for the same faults: the status, and the kinds of calls that meet them."""
    if all(kind.scope is Scope.ANY for kind in kinds) and len(kinds) < 2:
        return f"fault.{status}.{kinds[0].name}"
    scopes = {kind.scope.name.lower() for kind in kinds}
    return ".".join(["fault", str(status), *sorted(scopes)])


def _fault_response(status: int, kinds: list[FaultKind]) -> dict[str, Any]:
    schema = {
        "allOf": [ref("schemas", "Problem")],
        "properties": {"code": {"enum": [kind.code for kind in kinds]}, "status": {"const": status}},
    }
    # An array in XML or PHP is no JSON, but it has the same members.
    types = dict.fromkeys(problem.media_type(name) for name in FORMATS)
    return {
        "description": "\n".join(f"* {kind.code} `{kind.name}`: {_message(kind)}" for kind in kinds),
        "headers": {name: ref("headers", name) for name in _fault_headers(status)},
        "content": {type: {"schema": schema if type.endswith(("json", "xml")) else _TEXT} for type in types},
    }


_TEXT = {"type": "string"}


def _message(kind: FaultKind) -> str:
    """Return a fault's message in the reader's language, with … for what differs from call to call."""
    template = kind.en if (get_language() or "").startswith("en") else kind.id
    return re.sub(r"\{\w+\}", "…", template)


def _fault_headers(status: int) -> list[str]:
    """Return the headers of a fault (mantra/gateway/protocols/problem.py sets them)."""
    own = {
        401: ["WWW-Authenticate"], 405: ["Allow"], 415: ["Accept-Encoding"], 429: ["Retry-After"], 503: ["Retry-After"],
    }  # fmt: skip
    return ["X-Request-Id", "Cache-Control", *own.get(status, [])]


def address_too_long() -> dict[str, Any]:
    """Return the response of the server before the bus, which knows no format and no number of the bus."""
    words = _("The address is too long. Send the parameters in the body, with POST.")
    return {"description": words, "content": {problem.media_type("json"): {"schema": ref("schemas", "Problem")}}}


def problem_schema() -> Schema:
    """Return the schema of a fault (RFC 9457), with the members of gateway.http.problem_members().

    A server before the bus sends the standard's own members only, with the type about:blank.
    """
    text = {"type": "string"}
    members = {
        "type": {"type": "string", "description": _("urn:mantra:fault: and the code.")},
        "title": {"type": "string", "description": _("The name of the fault.")},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": _("What happened, and what to do, in the caller's language.")},
        "code": {"type": "integer", "description": _("The number of the fault. It never has another meaning.")},
        "party": {
            "enum": ["caller", "provider", "bus"],
            "description": _("Who must act: the caller, the provider, or the operators of the bus."),
        },
        "request_id": text,
    }
    return {
        "type": "object",
        "description": _("A fault (RFC 9457)."),
        "xml": {"name": "problem", "namespace": problem.NAMESPACE},
        "properties": members,
        "required": ["type", "title", "status", "request_id"],
    }
