"""OpenAPI 3.1 documents of an operation and of a service, written from the operations of the snapshot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import quote

import orjson
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from mantra.contracts import responses, schemas
from mantra.contracts.responses import Components, ref
from mantra.contracts.schemas import Schema
from mantra.gateway.formats import FORMATS
from registry import models
from registry.snapshot.types import Field, Operation

VERSION = "3.1.1"
#: The most bytes of operations in the document of a service. Those beyond it are in their own documents, to which it
#: refers: 2,000 operations with 500 columns each would make hundreds of megabytes.
MAX_BYTES = 4_000_000
#: The media types of bodies (gateway/protocols/rest.py reads them), and the components with their schemas.
_BODIES = {"application/json": "json", "application/x-www-form-urlencoded": "form"}
#: What a component's name may not have.
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]")


#: The dotted paths of functions from an operation to the path items below its address, which its own document has.
#: Packages add theirs when their apps are ready.
BELOW_OPERATIONS: list[str] = []


@dataclass(frozen=True, slots=True)
class Readable:
    """An operation as a reader sees it: with the columns that the reader would get."""

    operation: Operation
    fields: tuple[Field, ...]
    #: The address of the operation's own document.
    url: str
    #: The address of the WSDL of an upstream that is passed through, "" if none is stored.
    wsdl: str = ""


def _no_components() -> Components:
    return {"responses": {}, "schemas": {}, "parameters": {}}


@dataclass(slots=True)
class _Document:
    """An OpenAPI document while it is written."""

    paths: dict[str, Any] = field(default_factory=dict)
    components: Components = field(default_factory=_no_components)

    def add(self, readable: Readable) -> int:
        """Add an operation. Return the bytes by which the document grows."""
        before = {part: len(members) for part, members in self.components.items()}
        paths = _paths(readable, self.components)
        self.paths |= paths
        added = [
            list(islice(reversed(members.items()), len(members) - before[part]))
            for part, members in self.components.items()
        ]
        return len(orjson.dumps((paths, added)))

    def refer(self, readable: Readable) -> None:
        """Refer to the operation in its own document."""
        self.paths |= {path: {"$ref": _pointer(readable.url, path)} for path in _addresses(readable.operation)}

    def finish(self, info: dict[str, Any], base: str, more: dict[str, Any]) -> bytes:
        shared: dict[str, Any] = {
            "schemas": {"Problem": responses.problem_schema(), **self.components["schemas"]},
            "responses": {"address-too-long": responses.address_too_long(), **self.components["responses"]},
            "parameters": {"format": _format_parameter(), **self.components["parameters"]},
            "headers": responses.headers(),
            "securitySchemes": security_schemes(),
        }
        document = {"openapi": VERSION, "info": info, "servers": [{"url": base}], **more}
        return orjson.dumps(document | {"paths": self.paths, "components": shared})


def operation_document(service: models.Service, readable: Readable, base: str) -> bytes:
    """Return the document of one operation. ``base`` is the URL of the bus."""
    operation = readable.operation
    document = _Document()
    document.add(readable)
    for below in map(import_string, BELOW_OPERATIONS):
        document.paths |= below(operation)
    info = _info(service, operation.title or operation.code, operation.description, str(operation.revision))
    more = {"externalDocs": {"url": readable.wsdl, "description": _("The upstream's WSDL.")}} if readable.wsdl else {}
    return document.finish(info, base, more)


def service_document(service: models.Service, listed: Sequence[Readable], base: str) -> bytes:
    """Return the document of a service with its operations. ``base`` is the URL of the bus."""
    document, size = _Document(), 0
    for readable in listed:
        if size < MAX_BYTES:
            size += document.add(readable)
        else:
            document.refer(readable)
    revision = sum(readable.operation.revision for readable in listed)
    more = {"externalDocs": {"url": f"{base}/soap/{_path(service)}?wsdl", "description": _("SOAP: the WSDL.")}}
    return document.finish(_info(service, service.title, service.description, str(revision)), base, more)


def _pointer(url: str, path: str) -> str:
    """Return the reference to a path in another document."""
    return f"{url}#/paths/{quote(path.replace('~', '~0').replace('/', '~1'), safe='~')}"


def _path(service: models.Service) -> str:
    return f"{quote(service.agency.code)}/{quote(service.code)}"


def _info(service: models.Service, title: str, description: str, version: str) -> dict[str, Any]:
    info: dict[str, Any] = {
        "title": title,
        "version": version,
        "description": "\n\n".join(part for part in (description.strip(), _how_to_call()) if part),
    }
    if service.contact:
        info["contact"] = {"name": service.contact}
    return info


def _how_to_call() -> str:
    formats = ", ".join(f"`.{format.suffix}` ({format.media_type})" for format in FORMATS.values())
    return _(
        "Send the access key in the header AccessKey. The suffix of an address selects the format, else the header "
        "Accept, else it is JSON: %(formats)s. Names of parameters are case-insensitive. HEAD is accepted where GET is."
    ) % {"formats": formats}


def security_schemes() -> dict[str, Any]:
    """Return how callers send their key (mantra/gateway/http.py, key_of())."""
    return {
        "AccessKey": {"type": "apiKey", "in": "header", "name": "AccessKey", "description": _("The access key.")},
        "Bearer": {"type": "http", "scheme": "bearer", "description": _("The access key, as a bearer token.")},
        "OAuth2": {
            "type": "oauth2",
            "description": _("A token for the access key: its public part is client_id, the key is client_secret."),
            "flows": {"clientCredentials": {"tokenUrl": "/oauth2/token", "scopes": {}}},
        },
        "Signature": {"type": "apiKey", "in": "header", "name": "Signature", "description": _signing()},
    }


def _signing() -> str:
    return _(
        "In place of a key: the request's signature (RFC 9421, hmac-sha256) with a signing key of the application, "
        "together with the header Signature-Input. It covers @method, @target-uri and, with a body, content-digest and "
        "content-type; its parameters are created, nonce and keyid. For a signed response, send "
        "Accept-Signature: mantra=()."
    )


def _format_parameter() -> dict[str, Any]:
    return {
        "name": "format",
        "in": "path",
        "required": True,
        "description": _("The format of the response."),
        "schema": {"type": "string", "enum": list(FORMATS)},
    }


# ----------------------------------------------------------------------------------------- operations


def address(operation: Operation) -> str:
    """Return the path of an operation's address."""
    return "/rest/" + "/".join(quote(part) for part in (operation.agency, operation.service, operation.code))


def _addresses(operation: Operation) -> list[str]:
    return [address(operation), address(operation) + ("/{path}" if is_as_is(operation) else ".{format}")]


def is_as_is(operation: Operation) -> bool:
    """Return True if requests and responses are passed through unchanged: the upstream decides what they contain."""
    return operation.plan is not None and operation.plan.pass_through


def _below() -> dict[str, Any]:
    words = _("What follows the operation in the address. It may contain slashes.")
    return {"name": "path", "in": "path", "required": True, "description": words, "schema": {"type": "string"}}


def methods(operation: Operation) -> list[str]:
    """Return the methods that a contract shows: HEAD is GET without a body."""
    known = operation.plan.methods if operation.plan is not None else ("GET", "POST")
    return [method for method in known if method != "HEAD"]


def _paths(readable: Readable, components: Components) -> dict[str, Any]:
    """Return the path items of an operation, and add what they refer to to the components."""
    operation = readable.operation
    plain, second = _addresses(operation)
    answers = {method: _responses(operation, method, components) for method in methods(operation)}
    if is_as_is(operation):
        return {
            plain: _item(operation, answers, ""),
            second: {"parameters": [_below()], **_item(operation, answers, "below")},
        }
    _add_components(readable, components)
    with_suffix = {"parameters": [ref("parameters", "format")], **_item(operation, answers, "as")}
    return {plain: _item(operation, answers, ""), second: with_suffix}


def _item(operation: Operation, answers: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {method.lower(): _operation(operation, method, answers[method], prefix) for method in answers}


def name_of(operation: Operation) -> str:
    """Return an operation's code as the name of a component."""
    return _NOT_IN_NAMES.sub(lambda letter: f"_x{ord(letter[0]):02X}_", operation.code)


def _operation(operation: Operation, method: str, answers: dict[str, Any], prefix: str) -> dict[str, Any]:
    written: dict[str, Any] = {
        "operationId": f"{method.lower()}{prefix}_{name_of(operation)}",
        "summary": operation.title or operation.code,
        "tags": [operation.service],
        "security": [] if operation.open else [{"AccessKey": []}, {"Bearer": []}, {"OAuth2": []}, {"Signature": []}],
        "responses": answers,
    }
    if description := _description(operation):
        written["description"] = description
    if operation.state in ("deprecated", "retired"):
        written["deprecated"] = True
    if is_as_is(operation):
        return written
    return written | (_query(operation) if method == "GET" else _body(operation))


def _description(operation: Operation) -> str:
    ending = ""
    if operation.state == "retired":
        ending = _("This operation is retired: every call is refused.")
    elif operation.sunset:
        ending = _("This operation will be retired on %(day)s.") % {"day": operation.sunset.isoformat()}
    return "\n\n".join(part for part in (operation.description.strip(), ending) if part)


def _query(operation: Operation) -> dict[str, Any]:
    names = [f"{name_of(operation)}.{name}" for name in schemas.arguments(operation)]
    parameters: list[dict[str, Any]] = [ref("parameters", name) for name in names]
    if operation.cache_seconds:
        parameters.append(
            {"name": "If-None-Match", "in": "header", "schema": {"type": "string"},
             "description": _("The ETag of an earlier response.")}
        )  # fmt: skip
    return {"parameters": parameters} if parameters else {}


def _body(operation: Operation) -> dict[str, Any]:
    if not schemas.arguments(operation):
        return {}
    content = {type: {"schema": ref("schemas", f"{name_of(operation)}.{part}")} for type, part in _BODIES.items()}
    return {"requestBody": {"required": bool(schemas.required(operation)), "content": content}}


def _responses(operation: Operation, method: str, components: Components) -> dict[str, Any]:
    if is_as_is(operation) and operation.state != "retired":
        return {"default": responses.as_is()}
    found = responses.add_faults(operation, method, components)
    if operation.state == "retired" or operation.plan is None:
        return found
    # What an upstream answers with success keeps its own status.
    success = "200" if operation.kind != "proxy" else "2XX"
    found = {success: ref("responses", f"result.{name_of(operation)}"), **found}
    if method == "GET":
        found["414"] = ref("responses", "address-too-long")
    if operation.cache_seconds and method == "GET":
        found["304"] = responses.not_modified(operation)
    return found


# ----------------------------------------------------------------------------------------- components


def _add_components(readable: Readable, components: Components) -> None:
    """Add an operation's parameters, request and result."""
    operation, name = readable.operation, name_of(readable.operation)
    values, needed = schemas.arguments(operation), schemas.required(operation)
    for each, schema in values.items():
        components["parameters"][f"{name}.{each}"] = _parameter(each, schema, each in needed)
    if values and "POST" in methods(operation):
        for part in _BODIES.values():
            components["schemas"][f"{name}.{part}"] = schemas.body(operation, with_null=part == "json")
    if operation.state != "retired" and operation.plan is not None:
        _add_result(readable, components)


def _parameter(name: str, schema: Schema, required: bool) -> dict[str, Any]:
    parameter: dict[str, Any] = {"name": name, "in": "query", "required": required, "schema": schema}
    return parameter | ({"description": schema["description"]} if "description" in schema else {})


def _add_result(readable: Readable, components: Components) -> None:
    operation, name = readable.operation, name_of(readable.operation)
    for each in readable.fields:
        components["schemas"][schemas.column_type_name(each.type)] = schemas.COLUMN_TYPES[each.type]
    row = f"{name}.row"
    if operation.kind != "proxy" or readable.fields:
        components["schemas"][row] = schemas.row_schema(
            readable.fields, operation.plan is not None and operation.plan.marks_deletions
        )
    schema = _result_schema(operation, ref("schemas", row), bool(readable.fields))
    components["schemas"][f"{name}.result"] = schema
    columns = _names(readable.fields)
    components["responses"][f"result.{name}"] = responses.result(operation, ref("schemas", f"{name}.result"), columns)


def _names(fields: Iterable[Field]) -> list[str]:
    return [field.name for field in fields]


def _result_schema(operation: Operation, row: Schema, declared: bool) -> Schema:
    if operation.kind == "proxy":
        words = _("The upstream decides the structure.")
        if declared:
            return {"description": f"{words} {_('Its records have these columns only.')}", "x-record": row}
        return {"description": words}
    table = schemas.table_schema(row)
    writes = operation.plan is not None and "GET" not in operation.plan.methods
    return {"anyOf": [schemas.affected_schema(), table]} if writes else table
