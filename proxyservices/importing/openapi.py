"""OpenAPI 3.x and Swagger 2 documents as draft operations of the style rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable

from proxyservices.descriptions.documents import DescriptionError, DocumentSet, absolute_url
from proxyservices.headers import NEVER_FORWARDED
from proxyservices.importing.drafts import MAX_OPERATIONS, Draft, ImportPreview, NameAllocator, parameter
from proxyservices.importing.yaml_guard import MAX_NODES, load
from proxyservices.models import METHODS, ServerSettings, validate_url
from proxyservices.models.validators import validate_records_path

#: The levels of a body's objects that are read, and the longest chain of references.
DEPTH, HOPS = 6, 32
#: The largest exponent of a number that is written out in digits.
MAX_EXPONENT = 40
_VERBS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_JSON = re.compile(r"application/(?:[\w.+-]+\+)?json\s*(?:;|\Z)", re.IGNORECASE)
_FORM = "application/x-www-form-urlencoded"
#: OpenAPI says to ignore the first three as parameters (4.8.12); the others belong to the connection or to the bus.
_SET_BY_THE_BUS = frozenset(("accept", "content-type", "authorization")) | NEVER_FORWARDED


def read(documents: DocumentSet, main: str) -> ImportPreview:
    """Return the operations of a document. Raises DescriptionError."""
    root = load(documents.text(main))
    if not isinstance(root, dict):
        raise DescriptionError(_("This is not an OpenAPI document."))
    version = str(root.get("openapi") or root.get("swagger") or "")
    if not version.startswith(("3.", "2.")) or ("swagger" in root) != version.startswith("2."):
        raise DescriptionError(_("This is not an OpenAPI 3 or Swagger 2 document."))
    info = root.get("info")
    kind = f"{'Swagger' if version.startswith('2.') else 'OpenAPI'} {version}"
    preview = ImportPreview(kind, str(info.get("title", "")) if isinstance(info, dict) else "")
    document = _Document(documents, main, root)
    paths = root.get("paths")
    names = NameAllocator()
    for path, item in (paths if isinstance(paths, dict) else {}).items():
        _read_path(document, preview, names, str(path), item)
    for name in ("webhooks", "callbacks"):
        if root.get(name):
            preview.skipped.append((name, _("The bus does not accept callbacks from upstreams.")))
    if not preview.drafts and not preview.skipped:
        raise DescriptionError(_("The document contains no operation."))
    return preview


@dataclass(slots=True)
class _Node:
    """A node of a document, and the resolver of its relative references."""

    node: Any
    resolver: Any


class _Document:
    """The main document with all that it references, and the number of nodes that may still be read."""

    def __init__(self, documents: DocumentSet, main: str, root: dict[str, Any]) -> None:
        self.documents, self.main, self.root = documents, main, root
        self.swagger = "swagger" in root
        self.left = MAX_NODES
        registry: Any = Registry(retrieve=self._retrieve)  # type: ignore[call-arg]  # attrs defines its parameters
        self.top = _Node(root, registry.with_resource(main, Resource.opaque(root)).resolver(main))

    def _retrieve(self, url: str) -> Resource[Any]:
        return Resource.opaque(load(self.documents.text(url)))

    def resolve(self, node: Any, base: _Node) -> _Node:
        """Follow a node's reference, relative to ``base``. Raises DescriptionError."""
        resolver = base.resolver
        for _hop in range(HOPS):
            self.left -= 1
            if self.left < 0:
                raise DescriptionError(_("The document is too large, or its references are endless."))
            if not isinstance(node, dict) or not isinstance(node.get("$ref"), str):
                return _Node(node, resolver)
            reference = node["$ref"]
            try:
                resolved = resolver.lookup(reference)
            except Unresolvable as error:
                cause = error.__cause__
                if isinstance(cause, DescriptionError):
                    raise cause from None
                raise DescriptionError(_("The reference %(ref)s has no target.") % {"ref": reference}) from None
            node, resolver = resolved.contents, resolved.resolver
        raise DescriptionError(_("The reference %(ref)s is circular.") % {"ref": reference})


def _read_path(document: _Document, preview: ImportPreview, names: NameAllocator, path: str, node: Any) -> None:
    try:
        item = document.resolve(node, document.top)
    except DescriptionError as error:
        preview.skipped.append((path, str(error)))
        return
    if not isinstance(item.node, dict) or path.startswith("x-"):
        return
    for verb in _VERBS:
        if verb not in item.node:
            continue
        label = f"{verb.upper()} {path}"
        if len(preview.drafts) >= MAX_OPERATIONS:
            preview.skipped.append(
                (label, _("A document can have at most %(most)d operations.") % {"most": MAX_OPERATIONS})
            )
            continue
        try:
            preview.drafts.append(_draft(document, item, verb, path, names))
        except DescriptionError as error:
            preview.skipped.append((label, str(error)))


@dataclass(slots=True)
class _DraftBuilder:
    """A draft in progress."""

    document: _Document
    draft: Draft
    names: NameAllocator = field(default_factory=NameAllocator)
    #: The ids of the schemas above the one that is read: a schema may contain itself.
    above: list[int] = field(default_factory=list)

    def note(self, label: str, reason: Any) -> None:
        self.draft.notes.append(f"{label}: {reason}")

    def declare(
        self, schema: _Node, parts: tuple[str, ...], location: str, name: str, required: bool, text: str
    ) -> str:
        """Declare a parameter and its location in the request. Return its name. Raises DescriptionError."""
        self.draft.check_parameter_limit()
        values, notes = _values(self.document, schema, name)
        values["description"] = text or values.get("description", "")
        parameter_name = self.names.parameter(*parts)
        values |= {"name": parameter_name, "required": required and not values.get("default")}
        self.draft.parameters.append(parameter(values, name, notes))
        self.draft.notes += notes
        if location != "path":
            self.draft.mappings.append({"location": location, "name": name, "parameter": parameter_name})
        return parameter_name


def _draft(document: _Document, item: _Node, verb: str, path: str, names: NameAllocator) -> Draft:
    """Return the draft of one operation of a path item. Raises DescriptionError."""
    operation = document.resolve(item.node[verb], item)
    node = operation.node
    if not isinstance(node, dict):
        raise DescriptionError(_("It has no description."))
    if verb.upper() not in METHODS or verb == "head":
        raise DescriptionError(_("The method %(method)s is not supported.") % {"method": verb.upper()})
    draft = Draft(
        code=str(node.get("operationId") or f"{verb}_{path}"),
        title=" ".join(str(node.get("summary") or "").split())[:200],
        description=str(node.get("description") or ""),
        method=verb.upper(),
        path=path.partition("#")[0].lstrip("/"),
    )
    builder = _DraftBuilder(document, draft)
    if "#" in path:
        draft.notes.append(_("What follows # in its path is not imported: it is never sent to a server."))
    if node.get("deprecated"):
        draft.notes.append(_("The upstream marks this operation as deprecated."))
    if node.get("callbacks"):
        draft.notes.append(_("Its callbacks are not imported: the bus does not accept callbacks."))
    _set_address(builder, item, operation)
    _set_credential(builder, node)
    body = _declare_parameters(builder, item, operation)
    if not document.swagger and "requestBody" in node:
        _declare_request_body(builder, operation)
    elif body is not None:
        _declare_json_body(
            builder, document.resolve(body.node.get("schema") or {}, body), bool(body.node.get("required"))
        )
    draft.records_path = records_path(document, operation)
    undeclared = [name for name in re.findall(r"\{([^{}]*)\}", draft.path) if name.lower() not in builder.names.taken]
    if undeclared:
        raise DescriptionError(_("Its path has %(names)s, which is not declared.") % {"names": ", ".join(undeclared)})
    if len(draft.path) > 500:
        raise DescriptionError(_("Its path is too long."))
    draft.code = names.code(draft.code)
    return draft


def records_path(document: _Document, operation: _Node) -> str:
    """Return the path to the records of a successful response; "" where its schema does not make it evident.

    It is evident if the response has one list of objects, or is one object of plain values. A response that is itself
    a list needs no path.
    """
    try:
        schema = _response_schema(document, operation)
        lists = list(_lists_of_objects(document, schema, ())) if schema is not None else []
        if schema is None or len(lists) > 1 or lists == [()] or any("." in name for names in lists for name in names):
            return ""
        text = ".".join(lists[0]) if lists else "." if _is_plain_object(document, schema) else ""
        if text:
            validate_records_path(text)
    except (DescriptionError, ValidationError):
        return ""
    return text


def _response_schema(document: _Document, operation: _Node) -> _Node | None:
    """Return the schema of the first successful response in JSON. Raises DescriptionError."""
    responses = operation.node.get("responses")
    for status, node in (responses if isinstance(responses, dict) else {}).items():
        if not str(status).startswith("2"):
            continue
        response = document.resolve(node, operation)
        content = response.node if isinstance(response.node, dict) else {}
        if not document.swagger:
            types = content.get("content")
            types = types.items() if isinstance(types, dict) else ()
            content = next((each for name, each in types if _JSON.match(str(name)) and isinstance(each, dict)), {})
        if "schema" in content:
            return document.resolve(content["schema"], response)
    return None


def _lists_of_objects(document: _Document, schema: _Node, names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the names that lead to each list of objects that is in no other. Raises DescriptionError."""
    node = schema.node
    if not isinstance(node, dict) or len(names) > DEPTH:
        return
    if "items" in node:
        if _properties(document, document.resolve(node["items"], schema)):
            yield names
        return
    for name, member in _properties(document, schema).items():
        yield from _lists_of_objects(document, member, (*names, name))


def _is_plain_object(document: _Document, schema: _Node) -> bool:
    """Return True for an object of plain values only. Raises DescriptionError."""
    members = [each.node for each in _properties(document, schema).values()]
    return bool(members) and all(
        isinstance(node, dict) and node.get("type") in ("string", "integer", "number", "boolean") for node in members
    )


def _properties(document: _Document, schema: _Node, depth: int = 0) -> dict[str, _Node]:
    """Return the members of an object, with those of its parts (allOf). Raises DescriptionError."""
    node = schema.node
    if not isinstance(node, dict) or depth > DEPTH:
        return {}
    properties = node.get("properties")
    found = {
        str(name): document.resolve(each, schema)
        for name, each in (properties if isinstance(properties, dict) else {}).items()
    }
    for part in node["allOf"] if isinstance(node.get("allOf"), list) else ():
        found |= _properties(document, document.resolve(part, schema), depth + 1)
    return found


def _declare_parameters(builder: _DraftBuilder, item: _Node, operation: _Node) -> _Node | None:
    """Declare the parameters. Return the one that is the body (Swagger 2). Raises DescriptionError."""
    document, body = builder.document, None
    parameters: dict[tuple[str, str], _Node] = {}
    for owner in (item, operation):  # the operation's parameters replace the path's of the same name
        listed = owner.node.get("parameters")
        for each in listed if isinstance(listed, list) else ():
            resolved = document.resolve(each, owner)
            if isinstance(resolved.node, dict):
                parameters[str(resolved.node.get("in")), str(resolved.node.get("name"))] = resolved
    for (where, name), parameter_node in parameters.items():
        if where == "body":
            body = parameter_node
            continue
        if where == "header" and name.lower() in _SET_BY_THE_BUS:
            builder.note(name, _("the bus sets this header itself"))
            continue
        required = bool(parameter_node.node.get("required")) or where == "path"
        try:
            _declare_parameter(builder, parameter_node, where, name, required)
        except DescriptionError as error:
            if required:
                raise DescriptionError(f"{name}: {error}") from None
            builder.note(name, error)
    return body


def _declare_parameter(builder: _DraftBuilder, parameter_node: _Node, where: str, name: str, required: bool) -> None:
    node = parameter_node.node
    location = {"path": "path", "query": "query", "header": "header", "formData": "form"}.get(where)
    if location is None:
        raise DescriptionError(_("cookies are not forwarded"))
    if node.get("type") == "file":
        raise DescriptionError(_("a file cannot be a parameter"))
    if "content" in node:
        raise DescriptionError(_("a parameter cannot contain a document"))
    schema = parameter_node
    if not builder.document.swagger:
        schema = builder.document.resolve(node.get("schema") or {}, parameter_node)
    declared = builder.declare(schema, (name,), location, name, required, str(node.get("description") or ""))
    if location == "path":
        builder.draft.path = builder.draft.path.replace(f"{{{name}}}", f"{{{declared}}}")


def _set_address(builder: _DraftBuilder, item: _Node, operation: _Node) -> None:
    """Set the first usable address that the document names for the operation."""
    root, main = builder.document.root, builder.document.main
    if builder.document.swagger:
        schemes = [
            each for each in (operation.node.get("schemes") or root.get("schemes") or ()) if each in ("https", "http")
        ]
        host = root.get("host")
        scheme = "https" if "https" in schemes or not schemes else schemes[0]
        addresses = [f"{scheme}://{host}{root.get('basePath') or ''}" if host else root.get("basePath") or "/"]
    else:
        listed = operation.node.get("servers") or item.node.get("servers") or root.get("servers") or [{"url": "/"}]
        addresses = (
            [_server_address(each) for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        )
    for address in addresses:
        url = absolute_url(main, str(address)).rstrip("/")
        if url.startswith(main.split("://")[0] + "://upload.invalid"):
            continue
        try:
            validate_url(url)
        except ValidationError:
            continue
        builder.draft.address = url
        return
    builder.draft.notes.append(_("The document has no address that can be called. Enter one on its backend's page."))


def _server_address(server: dict[str, Any]) -> str:
    """Return a server's address with the defaults of its variables."""
    url = str(server.get("url", ""))
    variables = server.get("variables")
    for name, each in (variables if isinstance(variables, dict) else {}).items():
        if isinstance(each, dict):
            url = url.replace(f"{{{name}}}", str(each.get("default", "")))
    return url


def _set_credential(builder: _DraftBuilder, node: dict[str, Any]) -> None:
    """Set the kind of credential that the first security requirement means. The publisher enters the secret."""
    root = builder.document.root
    requirements = node.get("security", root.get("security"))
    if not isinstance(requirements, list) or not requirements:
        return
    if not isinstance(requirements[0], dict) or not requirements[0]:
        return
    schemes = root.get("securityDefinitions") if builder.document.swagger else (root.get("components") or {})
    schemes = schemes if builder.document.swagger else schemes.get("securitySchemes")  # type: ignore[union-attr]
    name = next(iter(requirements[0]))
    try:
        scheme = builder.document.resolve((schemes or {}).get(name), builder.document.top).node
    except (DescriptionError, AttributeError):
        scheme = None
    scheme = scheme if isinstance(scheme, dict) else {}
    kind, http_scheme = scheme.get("type"), str(scheme.get("scheme", "")).lower()
    if kind == "apiKey" and scheme.get("in") == "header":
        builder.draft.credential_kind = ServerSettings.Credential.HEADER
        builder.draft.credential_name = str(scheme.get("name", ""))[:200]
    elif kind == "http" and http_scheme == "bearer":
        builder.draft.credential_kind = ServerSettings.Credential.BEARER
    text = _("The upstream requires a credential (%(name)s). Enter it on the page of the backend.")
    builder.draft.notes.append(text % {"name": f"{name}: {kind or '?'} {http_scheme}".strip()})


def _declare_request_body(builder: _DraftBuilder, operation: _Node) -> None:
    body = builder.document.resolve(operation.node["requestBody"], operation)
    content = body.node.get("content") if isinstance(body.node, dict) else None
    content = content if isinstance(content, dict) else {}
    required = bool(isinstance(body.node, dict) and body.node.get("required"))
    as_json = next((each for name, each in content.items() if _JSON.match(str(name))), None)
    if isinstance(as_json, dict):
        _declare_json_body(builder, builder.document.resolve(as_json.get("schema") or {}, body), required)
    elif isinstance(content.get(_FORM), dict):
        schema = builder.document.resolve(content[_FORM].get("schema") or {}, body)
        _declare_members(builder, schema, (), "form", required)
    elif required:
        raise DescriptionError(
            _("A body of the type %(type)s cannot be built from parameters. Use the pass-through style.")
            % {"type": ", ".join(map(str, content)) or "?"}
        )
    else:
        builder.draft.notes.append(_("Its body is not imported: it cannot be built from parameters."))


def _declare_json_body(builder: _DraftBuilder, schema: _Node, required: bool) -> None:
    _declare_members(builder, schema, (), "json", required)


def _declare_members(
    builder: _DraftBuilder, schema: _Node, parts: tuple[str, ...], location: str, required: bool
) -> None:
    """Declare the plain values of an object and of the objects in it. Raises DescriptionError."""
    members_and_required = _members(builder.document, schema)
    if members_and_required is None:
        raise DescriptionError(_("Its body is not an object with named members. Use the pass-through style."))
    members, required_names = members_and_required
    builder.above.append(id(schema.node))
    for name, each in members:
        inner_parts = (*parts, name)
        label, is_required = ".".join(inner_parts), required and name in required_names
        try:
            _declare_member(builder, each, inner_parts, location, is_required)
        except DescriptionError as error:
            if is_required:
                raise DescriptionError(f"{label}: {error}") from None
            builder.note(label, error)
    builder.above.pop()


def _declare_member(
    builder: _DraftBuilder, member: _Node, parts: tuple[str, ...], location: str, required: bool
) -> None:
    schema = builder.document.resolve(member.node, member)
    if not isinstance(schema.node, dict):
        raise DescriptionError(_("it has no description"))
    if schema.node.get("readOnly"):
        return
    if _members(builder.document, schema) is not None:
        if len(parts) > DEPTH or location == "form":
            raise DescriptionError(_("it is nested too deeply"))
        if id(schema.node) in builder.above:
            raise DescriptionError(_("it contains itself"))
        _declare_members(builder, schema, parts, location, required)
        return
    if any("." in part for part in parts) and location == "json":
        raise DescriptionError(_("a dot in the name would be read as a nested level"))
    text = str(schema.node.get("description") or "")
    builder.declare(schema, parts, location, ".".join(parts), required, text)


def _members(document: _Document, schema: _Node, depth: int = 0) -> tuple[list[tuple[str, _Node]], set[str]] | None:
    """Return an object's members and the names of the required ones; None for a schema of anything else."""
    node = schema.node
    if not isinstance(node, dict) or depth > DEPTH:
        return None
    members: dict[str, _Node] = {}
    required_names: set[str] = set()
    listed = node.get("allOf")
    for each in listed if isinstance(listed, list) else ():
        inner = _members(document, document.resolve(each, schema), depth + 1)
        if inner is not None:
            members |= dict(inner[0])
            required_names |= inner[1]
    properties = node.get("properties")
    if isinstance(properties, dict):
        members |= {str(name): _Node(each, schema.resolver) for name, each in properties.items()}
    required = node.get("required")
    required_names |= {str(name) for name in required} if isinstance(required, list) else set()
    return (list(members.items()), required_names) if members else None


_TYPES = {"integer": "integer", "number": "decimal", "boolean": "boolean", "string": "text"}


def _kinds(node: dict[str, Any]) -> list[str]:
    """Return the types that a schema allows, without null."""
    kind = node.get("type")
    return [str(each) for each in (kind if isinstance(kind, list) else [kind]) if each and each != "null"]


def _without_null(document: _Document, schema: _Node) -> _Node:
    """Return a schema, or its only alternative that is not null. Raises DescriptionError."""
    for word in ("oneOf", "anyOf", "allOf"):
        listed = schema.node.get(word)
        if isinstance(listed, list):
            inner = [document.resolve(each, schema) for each in listed]
            inner = [each for each in inner if isinstance(each.node, dict) and each.node.get("type") != "null"]
            if len(inner) != 1:
                raise DescriptionError(_("a choice between several schemas cannot be imported"))
            return _Node({**inner[0].node, **{k: v for k, v in schema.node.items() if k != word}}, inner[0].resolver)
    return schema


def _values(document: _Document, schema: _Node, label: str) -> tuple[dict[str, Any], list[str]]:
    """Return a schema as values of a Parameter, and notes on what is omitted. Raises DescriptionError."""
    if not isinstance(schema.node, dict):
        raise DescriptionError(_("it has no description"))
    node = _without_null(document, schema).node
    kinds = _kinds(node)
    if "array" in kinds:
        raise DescriptionError(_("a list cannot be a parameter"))
    if "object" in kinds:
        raise DescriptionError(_("an object without named members cannot be a parameter"))
    if len(kinds) > 1:
        raise DescriptionError(_("a choice between several types cannot be imported"))
    kind = _TYPES.get(kinds[0] if kinds else "string")
    if kind is None:
        raise DescriptionError(_("its type %(type)s is unknown") % {"type": kinds[0]})
    if node.get("format") == "binary":
        raise DescriptionError(_("a file cannot be a parameter"))
    if kind == "text":
        kind = {"date": "date", "date-time": "datetime"}.get(str(node.get("format")), "text")
    values: dict[str, Any] = {"type": kind, "description": str(node.get("description") or "")}
    notes: list[str] = []
    for name, text in _rules(node, kind, label, notes):
        values[name] = text
    if "choices" in values and kind == "text":
        values["type"] = "choice"
    return values, notes


def _rules(node: dict[str, Any], kind: str, label: str, notes: list[str]) -> Iterator[tuple[str, str]]:
    """Return a schema's restrictions as names and values of a Parameter."""
    listed = node.get("enum") if "enum" in node else [node["const"]] if "const" in node else None
    if isinstance(listed, list) and listed:
        words = [_as_text(each) for each in listed if each is not None]
        if all(word.strip() == word and word and "\n" not in word for word in words):
            yield "choices", "\n".join(words)
        else:
            notes.append(_("%(label)s: its choices are not imported.") % {"label": label})
    elif kind == "text":
        bounds = {"min": "minLength", "max": "maxLength"}
        yield from ((ours, str(node[theirs])) for ours, theirs in bounds.items() if isinstance(node.get(theirs), int))
        if isinstance(node.get("pattern"), str):
            yield "pattern", whole(node["pattern"])
    elif kind in ("integer", "decimal"):
        for ours, theirs in (("min", "minimum"), ("max", "maximum")):
            if isinstance(node.get(theirs), int | Decimal):
                yield ours, _as_text(node[theirs])
        if any(node.get(name) for name in ("exclusiveMinimum", "exclusiveMaximum", "multipleOf")):
            notes.append(_("%(label)s: an exclusive bound or a multiple is not imported.") % {"label": label})
    if isinstance(node.get("default"), str | int | Decimal | bool):
        yield "default", _as_text(node["default"])


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal) and abs(value.adjusted()) <= MAX_EXPONENT:
        return f"{value:f}"
    return str(value)


def whole(pattern: str) -> str:
    """Return a pattern that is searched for as one that the whole value must match."""
    at_start, at_end = pattern.startswith("^"), pattern.endswith("$") and not pattern.endswith("\\$")
    middle = pattern[1 if at_start else 0 : -1 if at_end else None]
    if at_start and at_end:
        return middle
    return f"{'' if at_start else '.*'}(?:{middle}){'' if at_end else '.*'}"
