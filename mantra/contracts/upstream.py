"""The stored OpenAPI description of an upstream that is passed through, with the alias in place of its addresses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

import orjson

from mantra.contracts.openapi import security_schemes
from proxyservices.descriptions.documents import DescriptionError
from proxyservices.descriptions.rewrite import below_alias
from proxyservices.importing.yaml_guard import load
from proxyservices.models import ServiceDescription

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


@dataclass(frozen=True, slots=True)
class Alias:
    """Where callers reach an upstream."""

    #: The URL of the operation.
    url: str
    #: The addresses of the upstream, with the operation's path.
    bases: Sequence[str]
    #: True if callers need an access key.
    keyed: bool
    #: True if the caller's own credentials go to the upstream too.
    forwards_credentials: bool
    #: The address of the stored documents, to which ?document=number is added.
    documents: str


def main_document(rows: Iterable[ServiceDescription]) -> ServiceDescription | None:
    """Return the stored OpenAPI document; None if there is none, or a WSDL, which the operation serves at ?wsdl."""
    return next((row for row in rows if row.main and not row.content.lstrip().startswith("<")), None)


def document(rows: Sequence[ServiceDescription], row: ServiceDescription, alias: Alias) -> bytes | None:
    """Return a stored document as callers may have it; None if it cannot be read."""
    try:
        root = load(row.content)
    except DescriptionError:
        return None
    if not isinstance(root, dict):
        return None
    root = _Rewriter(rows, row.url, alias).node(root)
    if row.main:
        _lead_to_alias(root, row.url, alias)
    return orjson.dumps(root, default=_number, option=orjson.OPT_NON_STR_KEYS)


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError


@dataclass(slots=True)
class _Rewriter:
    """Copies a document with other references and addresses."""

    rows: Sequence[ServiceDescription]
    url: str
    alias: Alias

    def node(self, node: Any) -> Any:
        if isinstance(node, dict):
            return {name: self._reference(name, member) or self.node(member) for name, member in node.items()}
        if isinstance(node, list):
            return [self.node(item) for item in node]
        if isinstance(node, str) and "://" in node[:9]:
            return below_alias(node, self.alias.url, self.alias.bases) or node
        return node

    def _reference(self, name: str, member: Any) -> str:
        """Return the address in the bus of another stored document; "" for all that is no reference to one."""
        if name != "$ref" or not isinstance(member, str) or member.startswith("#"):
            return ""
        url, fragment = urldefrag(urljoin(self.url, member))
        number = next((row.pk for row in self.rows if row.url == url), None)
        return "" if number is None else f"{self.alias.documents}?document={number}#{fragment}"


# --------------------------------------------------------------------------------------- addresses


def _lead_to_alias(root: dict[str, Any], url: str, alias: Alias) -> None:
    """Replace the addresses and the security of a main document by those of the alias."""
    if "swagger" in root:
        server, keep = _server(_swagger_server(root, url), alias)
        parts = urlsplit(server)
        root |= {"host": parts.netloc, "basePath": parts.path, "schemes": [parts.scheme]}
    else:
        server, keep = _server(_openapi_server(root, url), alias)
        root["servers"] = [{"url": server}]
    paths = root.get("paths")
    if isinstance(paths, dict):
        root["paths"] = {
            "/" + path[len(keep) :].lstrip("/"): item
            for path, item in paths.items()
            if path == keep or path.startswith(keep + "/")
        }
    _secure(root, alias)


def _openapi_server(root: dict[str, Any], url: str) -> str:
    servers = root.get("servers")
    first = servers[0] if isinstance(servers, list) and servers and isinstance(servers[0], dict) else {}
    address = str(first.get("url", "/"))
    variables = first.get("variables")
    for name, variable in (variables if isinstance(variables, dict) else {}).items():
        if isinstance(variable, dict):
            address = address.replace(f"{{{name}}}", str(variable.get("default", "")))
    return urljoin(url, address)


def _swagger_server(root: dict[str, Any], url: str) -> str:
    base = urlsplit(url)
    schemes = root.get("schemes")
    scheme = str(schemes[0]) if isinstance(schemes, list) and schemes else base.scheme
    return f"{scheme}://{root.get('host') or base.netloc}{root.get('basePath') or ''}"


def _server(server: str, alias: Alias) -> tuple[str, str]:
    """Return the server of a document that leads to the alias, and the beginning of those paths that the alias has."""
    server = server.rstrip("/")
    if below := below_alias(server, alias.url, alias.bases):
        return below, ""
    for base in alias.bases:
        # The alias leads to a part of what the document describes: the rest cannot be called.
        if below_alias(base, alias.url, [server]):
            return alias.url, urlsplit(base).path.rstrip("/")[len(urlsplit(server).path) :]
    return alias.url, ""


# ---------------------------------------------------------------------------------------- security


def _secure(root: dict[str, Any], alias: Alias) -> None:
    """Require the bus's key; and what the upstream requires only where callers' credentials go there."""
    schemes = security_schemes()
    if "swagger" in root:
        del schemes["Bearer"], schemes["OAuth2"]  # Swagger 2 has no words for the one, and others for the other
        stored = root.setdefault("securityDefinitions", {})
    else:
        components = root.setdefault("components", {})
        stored = components.setdefault("securitySchemes", {}) if isinstance(components, dict) else {}
    if not isinstance(stored, dict):
        return
    if not alias.forwards_credentials:
        stored.clear()
    stored |= schemes
    root["security"] = _required(root.get("security"), schemes, alias)
    for operation in _operations(root):
        operation.pop("servers", None)
        if "security" in operation:
            operation["security"] = _required(operation["security"], schemes, alias)


def _required(stored: Any, schemes: dict[str, Any], alias: Alias) -> list[Any]:
    own: list[Any] = [{name: []} for name in schemes] if alias.keyed else []
    if not alias.forwards_credentials or not isinstance(stored, list) or not stored:
        return own
    # Authorization cannot have two values: with the upstream's own, the key goes into its header.
    key: dict[str, Any] = {"AccessKey": []} if alias.keyed else {}
    return [{**each, **key} for each in stored if isinstance(each, dict)]


def _operations(root: dict[str, Any]) -> Iterable[dict[str, Any]]:
    paths = root.get("paths")
    for item in (paths if isinstance(paths, dict) else {}).values():
        if isinstance(item, dict):
            item.pop("servers", None)
            yield from (item[method] for method in _METHODS if isinstance(item.get(method), dict))
