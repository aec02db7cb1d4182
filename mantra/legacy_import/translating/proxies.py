"""A proxy operation of 1.99x: the server of its backend, its path, and the values that it sends."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from mantra.definitions.reading import escaped
from mantra.legacy_import.old import OldOperation
from mantra.legacy_import.translating.connections import is_local
from mantra.legacy_import.translating.definitions import Definition, parameter_keys
from mantra.legacy_import.translating.remarks import Kind, Refused, Remark, remark
from mantra.legacy_import.translating.requests import RequestItem, items_of
from mantra.legacy_import.translating.sourcecode import Source
from proxyservices import server_url

STYLES = frozenset(("rest", "restfull", "restfullpar", "get", "post", "soap"))
#: Characters of an address and of a path, and of a user's name or a password of the address.
MAX_URL, MAX_PATH, MAX_USER = 500, 500, 200
#: What ends a call here. 1.99x waited without end.
TIMEOUT_MS = 60_000
_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,998}[\x21-\x7e])?")
_SOAP_PATH = re.compile(r"[^#\s]+(?:#(?:[0-9]|10)?(?:#[^#]*)?)?")


@dataclass(frozen=True, slots=True)
class Upstream:
    """An address and its credential. Equal ones are one backend of their agency."""

    url: str
    credential_kind: str = "none"
    credential_name: str = ""
    credential: str = field(default="", repr=False)

    def bundle(self, agency: str, code: str, credential: str = "") -> dict[str, Any]:
        """Return the backend as a bundle has it. ``credential`` is where it is, such as env:NAME."""
        keys: dict[str, Any] = {"agency": agency, "code": code, "credential_kind": self.credential_kind}
        if self.credential_name:
            keys["credential_name"] = self.credential_name
        if self.credential and credential:
            keys["credential"] = credential
        return keys | {"servers": [{"url": escaped(self.url)}]}


@dataclass(frozen=True, slots=True)
class ProxyDefinition(Definition):
    """An operation that calls a web service. ``upstream`` is None without a usable address."""

    style: str
    upstream: Upstream | None
    upstream_remarks: tuple[Remark, ...]
    path: str
    items: tuple[RequestItem, ...]

    @property
    def all_remarks(self) -> tuple[Remark, ...]:
        return (*self.upstream_remarks, *self.remarks)

    def secrets(self) -> dict[str, str]:
        """Return the secret values by the names with which they are sent."""
        return {item.name: item.value for item in self.items if item.secret}

    def bundle(
        self, code: str, backend: str, legacy_name: str = "", references: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Return the operation as a bundle has it. ``backend`` is the code of its backend, "" without one.

        ``references``: for each name in secrets() where its value is, such as env:NAME.
        """
        keys = self._keys(code, "proxy", legacy_name)
        keys |= {"style": self.style, "path": self.path}
        if backend:
            keys["backend"] = backend
        # 1.99x asked once. A GET there may well change something.
        keys |= {"timeout_ms": TIMEOUT_MS, "read_timeout_ms": TIMEOUT_MS, "retries": 0}
        keys["parameters"] = parameter_keys(item.parameter for item in self.items if item.parameter)
        keys["mappings"] = [_mapping(item, references or {}) for item in self.items]
        return keys


def _mapping(item: RequestItem, references: Mapping[str, str]) -> dict[str, Any]:
    """Return the mapping of a value. Each value has one, as their order is that of the mappings."""
    if item.parameter:
        return {"name": item.name, "parameter": item.parameter.name}
    if item.secret:
        return {"name": item.name, "secret": True, "value": references[item.name]}
    return {"name": item.name, "value": escaped(item.value)}


def proxy_definition(operation: OldOperation, source: Source, hosts: Mapping[str, str]) -> ProxyDefinition:
    """Return what a ``services`` definition is here. Raises Refused."""
    wstype = source.text("wstype").strip()
    if wstype not in STYLES:
        raise Refused(Kind.UNKNOWN_STYLE, style=wstype)
    remarks = [*source.remarks]
    remarks += [remark(Kind.VALUE_LOST, name=name) for name in ("endpoint", "method", "request") if name in source.lost]
    path = source.text("method").strip().strip("/")
    if len(path) > MAX_PATH:
        raise Refused(Kind.TOO_LONG, what="method", most=MAX_PATH)
    if wstype == "soap" and not _SOAP_PATH.fullmatch(path):
        remarks.append(remark(Kind.SOAP_PATH))
    items, on_items = items_of(source.text("request"))
    remarks += [*on_items, remark(Kind.TIME_LIMIT, seconds=TIMEOUT_MS // 1000)]
    upstream, on_upstream = _upstream(source, wstype, hosts)
    return ProxyDefinition(
        title=operation.code,
        description=operation.description,
        remarks=tuple(dict.fromkeys(remarks)),
        style=f"legacy-{wstype}",
        upstream=upstream,
        upstream_remarks=tuple(on_upstream),
        path=path,
        items=tuple(items),
    )


def _upstream(source: Source, wstype: str, hosts: Mapping[str, str]) -> tuple[Upstream | None, list[Remark]]:
    """Return the address with its credential, and what a person must know. Raises Refused."""
    remarks: list[Remark] = []
    text = source.text("endpoint").strip()
    if text and "://" not in text:
        text = f"http://{text}"
        remarks.append(remark(Kind.SCHEME_ADDED))
    try:
        parts = urlsplit(text)
        authority, known = _authority(parts, hosts)
        server_url.split(urlunsplit(parts._replace(netloc=authority)))
    except ValueError:
        return None, [*remarks, remark(Kind.NO_ENDPOINT)]
    if wstype == "soap" and parts.query.lower() in ("wsdl", "singlewsdl"):
        parts = parts._replace(query="")
    elif parts.query:
        remarks.append(remark(Kind.ENDPOINT_QUERY))
    kind, name, secret = _credential(source, wstype, parts, remarks)
    host = parts.hostname or ""
    if not known and is_local(host):
        remarks.append(remark(Kind.LOCALHOST, host=host))
    url = urlunsplit((parts.scheme, authority, parts.path.rstrip("/"), parts.query, ""))
    if len(url) > MAX_URL:
        raise Refused(Kind.TOO_LONG, what="endpoint", most=MAX_URL)
    return Upstream(url, kind, name, secret), remarks


def _authority(parts: SplitResult, hosts: Mapping[str, str]) -> tuple[str, bool]:
    """Return host and port without the user, and whether ``hosts`` names them. Raises ValueError.

    What ``hosts`` names is the real address, also if it is this very machine.
    """
    authority = parts.netloc.rpartition("@")[2]
    if new := hosts.get(authority.lower()) or hosts.get((parts.hostname or "").lower()):
        return (new if ":" in new or parts.port is None else f"{new}:{parts.port}"), True
    return authority, False


def _credential(source: Source, wstype: str, parts: SplitResult, remarks: list[Remark]) -> tuple[str, str, str]:
    """Return kind, name and secret of the credential."""
    key = source.text("accesskey") or source.text("token")
    if wstype == "soap" and key:
        remarks.append(remark(Kind.KEY_NOT_SENT))
        key = ""
    if key and not _KEY.fullmatch(key):
        remarks.append(remark(Kind.CREDENTIAL_UNUSABLE))
        key = ""
    if {"accesskey", "token"} & source.lost:
        remarks.append(remark(Kind.CREDENTIAL_UNUSABLE))
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not user:
        return ("access-key", "", key) if key else ("none", "", "")
    if key or len(user) > MAX_USER or ":" in user or not (user + password).isprintable():
        # A backend has one credential.
        remarks.append(remark(Kind.CREDENTIAL_UNUSABLE))
        return ("access-key", "", key) if key else ("none", "", "")
    remarks.append(remark(Kind.ENDPOINT_CREDENTIAL))
    return "basic", user, password
