"""OpenAPI 3.x and Swagger 2 documents as draft operations of the style REST."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable

from proxyservices.descriptions.documents import Documents, Unusable, join
from proxyservices.importing.drafts import MOST, Draft, Found, Names, parameter
from proxyservices.importing.yaml_guard import STEPS, load
from proxyservices.models import METHODS, Upstream, validate_address

#: How deep a body's objects, and how far references, are followed.
DEPTH, HOPS = 6, 32
_VERBS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_JSON = re.compile(r"application/(?:[\w.+-]+\+)?json\s*(?:;|\Z)", re.IGNORECASE)
_FORM = "application/x-www-form-urlencoded"


def read(documents: Documents, main: str) -> Found:
    """The operations of a document. Raises Unusable."""
    root = load(documents.text(main))
    if not isinstance(root, dict):
        raise Unusable(_("This is no OpenAPI document."))
    version = str(root.get("openapi") or root.get("swagger") or "")
    if not version.startswith(("3.", "2.")) or ("swagger" in root) != version.startswith("2."):
        raise Unusable(_("This is no OpenAPI 3 or Swagger 2 document."))
    info = root.get("info")
    kind = f"{'Swagger' if version.startswith('2.') else 'OpenAPI'} {version}"
    found = Found(kind, str(info.get("title", "")) if isinstance(info, dict) else "")
    book = _Book(documents, main, root)
    paths = root.get("paths")
    names = Names()
    for path, item in (paths if isinstance(paths, dict) else {}).items():
        _path(book, found, names, str(path), item)
    for name in ("webhooks", "callbacks"):
        if root.get(name):
            found.left.append((name, _("The bus calls upstreams; it is not called back by them.")))
    if not found.drafts and not found.left:
        raise Unusable(_("The document names no operation."))
    return found


@dataclass(slots=True)
class _At:
    """A node of a document, and where its references start from."""

    node: Any
    resolver: Any


class _Book:
    """The documents, and a budget for walking them."""

    def __init__(self, documents: Documents, main: str, root: dict[str, Any]) -> None:
        self.documents, self.main, self.root = documents, main, root
        self.swagger = "swagger" in root
        self.left = STEPS
        registry: Any = Registry(retrieve=self._retrieve)  # type: ignore[call-arg]  # attrs makes its parameters
        self.top = _At(root, registry.with_resource(main, Resource.opaque(root)).resolver(main))

    def _retrieve(self, url: str) -> Resource[Any]:
        return Resource.opaque(load(self.documents.text(url)))

    def at(self, node: Any, near: _At) -> _At:
        """``node`` with its reference followed. Raises Unusable."""
        resolver = near.resolver
        for _hop in range(HOPS):
            self.left -= 1
            if self.left < 0:
                raise Unusable(_("The document is too large, or its references never end."))
            if not isinstance(node, dict) or not isinstance(node.get("$ref"), str):
                return _At(node, resolver)
            reference = node["$ref"]
            try:
                met = resolver.lookup(reference)
            except Unresolvable as error:
                cause = error.__cause__
                if isinstance(cause, Unusable):
                    raise cause from None
                raise Unusable(_("The reference %(ref)s leads nowhere.") % {"ref": reference}) from None
            node, resolver = met.contents, met.resolver
        raise Unusable(_("The reference %(ref)s leads round in a circle.") % {"ref": reference})


# ------------------------------------------------------------------------------------- operations


def _path(book: _Book, found: Found, names: Names, path: str, item: Any) -> None:
    try:
        at = book.at(item, book.top)
    except Unusable as why:
        found.left.append((path, str(why)))
        return
    if not isinstance(at.node, dict) or path.startswith("x-"):
        return
    for verb in _VERBS:
        if verb not in at.node:
            continue
        label = f"{verb.upper()} {path}"
        if len(found.drafts) >= MOST:
            found.left.append((label, _("A document may bring %(most)d operations at most.") % {"most": MOST}))
            continue
        try:
            found.drafts.append(_operation(book, at, verb, path, names))
        except Unusable as why:
            found.left.append((label, str(why)))


@dataclass(slots=True)
class _Making:
    """One operation on its way."""

    book: _Book
    draft: Draft
    names: Names = field(default_factory=Names)
    #: The shapes that lie above a value.
    trail: list[int] = field(default_factory=list)

    def note(self, label: str, why: Any) -> None:
        self.draft.notes.append(f"{label}: {why}")

    def take(self, schema: _At, parts: tuple[str, ...], place: str, name: str, required: bool, text: str) -> str:
        """Declare a parameter, and its place. Returns its name. Raises Unusable."""
        self.draft.room()
        values, notes = _values(self.book, schema, name)
        values["description"] = text or values.get("description", "")
        own = self.names.parameter(*parts)
        values |= {"name": own, "required": required and not values.get("default")}
        self.draft.parameters.append(parameter(values, name, notes))
        self.draft.notes += notes
        if place != "path":
            self.draft.mappings.append({"place": place, "name": name, "parameter": own})
        return own


def _operation(book: _Book, item: _At, verb: str, path: str, names: Names) -> Draft:
    at = book.at(item.node[verb], item)
    node = at.node
    if not isinstance(node, dict):
        raise Unusable(_("It is not described."))
    if verb.upper() not in METHODS or verb == "head":
        raise Unusable(_("The method %(method)s cannot be offered.") % {"method": verb.upper()})
    draft = Draft(
        code=str(node.get("operationId") or f"{verb}_{path}"),
        title=" ".join(str(node.get("summary") or "").split())[:200],
        description=str(node.get("description") or ""),
        method=verb.upper(),
        path=path.lstrip("/"),
    )
    making = _Making(book, draft)
    if node.get("deprecated"):
        draft.notes.append(_("The upstream calls this operation deprecated."))
    if node.get("callbacks"):
        draft.notes.append(_("Its callbacks are left out: the bus is not called back."))
    _address(making, item, at)
    _credential(making, node)
    body = _parameters(making, item, at)
    if not book.swagger and "requestBody" in node:
        _request_body(making, at)
    elif body is not None:
        _json_body(making, book.at(body.node.get("schema") or {}, body), bool(body.node.get("required")))
    lost = [name for name in re.findall(r"\{([^{}]*)\}", draft.path) if name.lower() not in making.names.taken]
    if lost:
        raise Unusable(_("Its path has %(names)s, which is not declared.") % {"names": ", ".join(lost)})
    if len(draft.path) > 500:
        raise Unusable(_("Its path is too long."))
    draft.code = names.code(draft.code)
    return draft


def _parameters(making: _Making, item: _At, at: _At) -> _At | None:
    """Declare the parameters; returns the one that is the body (Swagger 2). Raises Unusable."""
    book, body = making.book, None
    met: dict[tuple[str, str], _At] = {}
    for near in (item, at):  # the operation's own stand for the path's of the same name
        listed = near.node.get("parameters")
        for each in listed if isinstance(listed, list) else ():
            found = book.at(each, near)
            if isinstance(found.node, dict):
                met[str(found.node.get("in")), str(found.node.get("name"))] = found
    for (where, name), found in met.items():
        if where == "body":
            body = found
            continue
        required = bool(found.node.get("required")) or where == "path"
        try:
            _parameter(making, found, where, name, required)
        except Unusable as why:
            if required:
                raise Unusable(f"{name}: {why}") from None
            making.note(name, why)
    return body


def _parameter(making: _Making, found: _At, where: str, name: str, required: bool) -> None:
    node = found.node
    place = {"path": "path", "query": "query", "header": "header", "formData": "form"}.get(where)
    if place is None:
        raise Unusable(_("a cookie is not handed on"))
    if node.get("type") == "file":
        raise Unusable(_("a file cannot be a parameter"))
    if "content" in node:
        raise Unusable(_("a whole document in a parameter cannot be taken over"))
    if place == "header" and name.lower() in ("accept", "content-type", "authorization"):
        raise Unusable(_("the bus sets this header itself"))
    schema = found if making.book.swagger else making.book.at(node.get("schema") or {}, found)
    own = making.take(schema, (name,), place, name, required, str(node.get("description") or ""))
    if place == "path":
        making.draft.path = making.draft.path.replace(f"{{{name}}}", f"{{{own}}}")


def _address(making: _Making, item: _At, at: _At) -> None:
    """Where the operation is to be had: the first address named that can be one."""
    root, main = making.book.root, making.book.main
    if making.book.swagger:
        schemes = [each for each in (at.node.get("schemes") or root.get("schemes") or ()) if each in ("https", "http")]
        host = root.get("host")
        scheme = "https" if "https" in schemes or not schemes else schemes[0]
        named = [f"{scheme}://{host}{root.get('basePath') or ''}" if host else root.get("basePath") or "/"]
    else:
        listed = at.node.get("servers") or item.node.get("servers") or root.get("servers") or [{"url": "/"}]
        named = [_filled(each) for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    for each in named:
        url = join(main, str(each)).rstrip("/")
        if url.startswith(main.split("://")[0] + "://upload.invalid"):
            continue
        try:
            validate_address(url)
        except ValidationError:
            continue
        making.draft.address = url
        return
    making.draft.notes.append(_("The document names no address that can be called: enter it."))


def _filled(server: dict[str, Any]) -> str:
    """A server's address with the defaults of its variables."""
    url = str(server.get("url", ""))
    variables = server.get("variables")
    for name, each in (variables if isinstance(variables, dict) else {}).items():
        if isinstance(each, dict):
            url = url.replace(f"{{{name}}}", str(each.get("default", "")))
    return url


def _credential(making: _Making, node: dict[str, Any]) -> None:
    """What the first of the demands for a credential comes to; the secret itself is the clerk's to give."""
    root = making.book.root
    wanted = node.get("security", root.get("security"))
    if not isinstance(wanted, list) or not wanted or not isinstance(wanted[0], dict) or not wanted[0]:
        return
    schemes = root.get("securityDefinitions") if making.book.swagger else (root.get("components") or {})
    schemes = schemes if making.book.swagger else schemes.get("securitySchemes")  # type: ignore[union-attr]
    name = next(iter(wanted[0]))
    try:
        scheme = making.book.at((schemes or {}).get(name), making.book.top).node
    except (Unusable, AttributeError):
        scheme = None
    scheme = scheme if isinstance(scheme, dict) else {}
    kind, way = scheme.get("type"), str(scheme.get("scheme", "")).lower()
    if kind == "apiKey" and scheme.get("in") == "header":
        making.draft.credential_kind = Upstream.Credential.HEADER
        making.draft.credential_name = str(scheme.get("name", ""))[:200]
    elif kind == "http" and way == "bearer":
        making.draft.credential_kind = Upstream.Credential.BEARER
    text = _("The upstream asks for a credential (%(name)s): enter it with the address.")
    making.draft.notes.append(text % {"name": f"{name}: {kind or '?'} {way}".strip()})


# ----------------------------------------------------------------------------------------- bodies


def _request_body(making: _Making, at: _At) -> None:
    body = making.book.at(at.node["requestBody"], at)
    content = body.node.get("content") if isinstance(body.node, dict) else None
    content = content if isinstance(content, dict) else {}
    required = bool(isinstance(body.node, dict) and body.node.get("required"))
    as_json = next((each for name, each in content.items() if _JSON.match(str(name))), None)
    if isinstance(as_json, dict):
        _json_body(making, making.book.at(as_json.get("schema") or {}, body), required)
    elif isinstance(content.get(_FORM), dict):
        _leaves(making, making.book.at(content[_FORM].get("schema") or {}, body), (), "form", required)
    elif required:
        raise Unusable(
            _("A body of the type %(type)s cannot be made from parameters; the style as it is hands it on.")
            % {"type": ", ".join(map(str, content)) or "?"}
        )
    else:
        making.draft.notes.append(_("Its body is left out: it cannot be made from parameters."))


def _json_body(making: _Making, schema: _At, required: bool) -> None:
    _leaves(making, schema, (), "json", required)


def _leaves(making: _Making, schema: _At, parts: tuple[str, ...], place: str, required: bool) -> None:
    """Declare the plain values of an object, one level below the other. Raises Unusable."""
    found = _members(making.book, schema)
    if found is None:
        raise Unusable(_("Its body is no object with named members; the style as it is hands it on."))
    members, needed = found
    making.trail.append(id(schema.node))
    for name, each in members:
        way = (*parts, name)
        label, wanted = ".".join(way), required and name in needed
        try:
            _leaf(making, each, way, place, wanted)
        except Unusable as why:
            if wanted:
                raise Unusable(f"{label}: {why}") from None
            making.note(label, why)
    making.trail.pop()


def _leaf(making: _Making, near: _At, way: tuple[str, ...], place: str, required: bool) -> None:
    schema = making.book.at(near.node, near)
    if not isinstance(schema.node, dict):
        raise Unusable(_("it is not described"))
    if schema.node.get("readOnly"):
        return
    if _members(making.book, schema) is not None:
        if len(way) > DEPTH or place == "form":
            raise Unusable(_("it lies too deep"))
        if id(schema.node) in making.trail:
            raise Unusable(_("it holds itself"))
        _leaves(making, schema, way, place, required)
        return
    if any("." in part for part in way) and place == "json":
        raise Unusable(_("a name with a dot cannot be told from a level"))
    text = str(schema.node.get("description") or "")
    making.take(schema, way, place, ".".join(way), required, text)


def _members(book: _Book, schema: _At, depth: int = 0) -> tuple[list[tuple[str, _At]], set[str]] | None:
    """An object's members and which it must have; None for what is no object."""
    node = schema.node
    if not isinstance(node, dict) or depth > DEPTH:
        return None
    members: dict[str, _At] = {}
    needed: set[str] = set()
    listed = node.get("allOf")
    for each in listed if isinstance(listed, list) else ():
        inner = _members(book, book.at(each, schema), depth + 1)
        if inner is not None:
            members |= dict(inner[0])
            needed |= inner[1]
    own = node.get("properties")
    if isinstance(own, dict):
        members |= {str(name): _At(each, schema.resolver) for name, each in own.items()}
    required = node.get("required")
    needed |= {str(name) for name in required} if isinstance(required, list) else set()
    return (list(members.items()), needed) if members else None


# ----------------------------------------------------------------------------------------- values

_TYPES = {"integer": "integer", "number": "decimal", "boolean": "boolean", "string": "text"}


def _kinds(node: dict[str, Any]) -> list[str]:
    """The types that a schema allows, without null."""
    kind = node.get("type")
    return [str(each) for each in (kind if isinstance(kind, list) else [kind]) if each and each != "null"]


def _one(book: _Book, schema: _At) -> _At:
    """A schema, or the one that it is beside null. Raises Unusable."""
    for word in ("oneOf", "anyOf", "allOf"):
        listed = schema.node.get(word)
        if isinstance(listed, list):
            inner = [book.at(each, schema) for each in listed]
            inner = [each for each in inner if isinstance(each.node, dict) and each.node.get("type") != "null"]
            if len(inner) != 1:
                raise Unusable(_("a choice among several shapes cannot be taken over"))
            return _At({**inner[0].node, **{k: v for k, v in schema.node.items() if k != word}}, inner[0].resolver)
    return schema


def _values(book: _Book, schema: _At, label: str) -> tuple[dict[str, Any], list[str]]:
    """A schema as values of a Parameter, and what of it is left out. Raises Unusable."""
    if not isinstance(schema.node, dict):
        raise Unusable(_("it is not described"))
    node = _one(book, schema).node
    kinds = _kinds(node)
    if "array" in kinds:
        raise Unusable(_("a list cannot be a parameter"))
    if "object" in kinds:
        raise Unusable(_("an object without named members cannot be a parameter"))
    if len(kinds) > 1:
        raise Unusable(_("a choice among several types cannot be taken over"))
    kind = _TYPES.get(kinds[0] if kinds else "string")
    if kind is None:
        raise Unusable(_("its type %(type)s is not known") % {"type": kinds[0]})
    if node.get("format") == "binary":
        raise Unusable(_("a file cannot be a parameter"))
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
    listed = node.get("enum") if "enum" in node else [node["const"]] if "const" in node else None
    if isinstance(listed, list) and listed:
        words = [_written(each) for each in listed if each is not None]
        if all(word.strip() == word and word and "\n" not in word for word in words):
            yield "choices", "\n".join(words)
        else:
            notes.append(_("%(label)s: its choices are left out.") % {"label": label})
    elif kind == "text":
        bounds = {"min": "minLength", "max": "maxLength"}
        yield from ((ours, str(node[theirs])) for ours, theirs in bounds.items() if isinstance(node.get(theirs), int))
        if isinstance(node.get("pattern"), str):
            yield "pattern", whole(node["pattern"])
    elif kind in ("integer", "decimal"):
        for ours, theirs in (("min", "minimum"), ("max", "maximum")):
            if isinstance(node.get(theirs), int | float):
                yield ours, _written(node[theirs])
        if any(node.get(name) for name in ("exclusiveMinimum", "exclusiveMaximum", "multipleOf")):
            notes.append(_("%(label)s: an exclusive bound or a multiple is left out.") % {"label": label})
    if isinstance(node.get("default"), str | int | float | bool):
        yield "default", _written(node["default"])


def _written(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def whole(pattern: str) -> str:
    """A pattern that is searched for, as one that the whole value must match."""
    begun, ended = pattern.startswith("^"), pattern.endswith("$") and not pattern.endswith("\\$")
    middle = pattern[1 if begun else 0 : -1 if ended else None]
    if begun and ended:
        return middle
    return f"{'' if begun else '.*'}(?:{middle}){'' if ended else '.*'}"
