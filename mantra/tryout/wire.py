"""The requests of callers as they are sent: REST in each format, SOAP 1.1 and 1.2, and the five styles of 1.99x."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlencode

from django.conf import settings

from mantra.gateway import xml_names
from mantra.gateway.formats import FORMATS
from mantra.gateway.http import Environ, Response
from mantra.gateway.protocols import legacy, rest
from mantra.gateway.protocols.soap import handler as soap
from mantra.gateway.protocols.soap.request import sample_envelope
from registry.calls import Trial
from registry.snapshot.types import Operation

Handler = Callable[[Environ, Trial | None], Response]
Pairs = list[tuple[str, str]]

_FORM = "application/x-www-form-urlencoded"
#: What the server knows of a request beside its bytes: these come from the user's own request.
_CONNECTION = (
    "SERVER_NAME", "SERVER_PORT", "REMOTE_ADDR", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "wsgi.url_scheme",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A request as a caller sends it, and the protocol handler that gets it."""

    handle: Handler
    method: str
    #: Path and query string, percent-encoded.
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    @property
    def head(self) -> bytes:
        """The request's bytes before its body."""
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers)]
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1", "replace")

    def environ(self, meta: Mapping[str, Any]) -> Environ:
        """Return the request's WSGI environment on the connection of a user's request, whose ``meta`` it has."""
        path, _mark, query = self.target.partition("?")
        environ: Environ = {
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "RAW_URI": self.target,
            "QUERY_STRING": query,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.input": io.BytesIO(self.body),
            **{name: meta[name] for name in _CONNECTION if name in meta},
        }
        for name, value in self.headers:
            upper = name.upper().replace("-", "_")
            environ[upper if upper in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{upper}"] = value
        return environ


@dataclass(frozen=True, slots=True)
class Caller:
    """What a request says of its caller."""

    host: str
    #: The text of the AccessKey header; "" for none.
    key: str
    language: str


@dataclass(frozen=True, slots=True)
class Raw:
    """The parts of a request that a pass-through operation forwards as they are."""

    #: What follows the operation in the address: "" or /path?query.
    suffix: str = ""
    media_type: str = ""
    body: bytes = b""


#: The styles in which callers of 1.99x send parameters.
LEGACY_STYLES = ("rest", "restfull", "restfullpar", "get", "post")
#: Way of calling → its label for people, by protocol.
WAYS: dict[str, dict[str, str]] = {
    "REST": {f"rest-{name}": f"REST, {name}" for name in FORMATS},
    "SOAP": {f"soap-{version}": f"SOAP {version}" for version in ("1.1", "1.2")},
    "MANTRA 1.99x": {
        f"legacy-{output}-{style}": f"MANTRA 1.99x, {output}, {style.upper()}"
        for output in legacy.FORMATS_BY_SEGMENT
        for style in LEGACY_STYLES
    },
}


def request(operation: Operation, way: str, method: str, pairs: Pairs, caller: Caller) -> WireRequest:
    """Return the request for an operation in one of WAYS. ``method`` is for REST: the others have their own."""
    protocol, *parts = way.split("-")
    if protocol == "soap":
        return _soap(operation, parts[0], pairs, caller)
    if protocol == "legacy":
        return _legacy(operation, parts[0], parts[1], pairs, caller)
    return _rest(operation, parts[0], method, pairs, caller)


def raw_request(operation: Operation, method: str, raw: Raw, caller: Caller) -> WireRequest:
    """Return the request for a pass-through operation."""
    content = [("Content-Type", raw.media_type)] if raw.media_type else []
    return _made(rest.handle, method, f"/rest/{_path(operation)}{raw.suffix}", caller, content, raw.body)


def _rest(operation: Operation, format: str, method: str, pairs: Pairs, caller: Caller) -> WireRequest:
    target, values = f"/rest/{_path(operation)}.{format}", urlencode(pairs, quote_via=quote)
    if method == "POST":
        return _made(rest.handle, method, target, caller, [("Content-Type", _FORM)], values.encode())
    return _made(rest.handle, method, f"{target}?{values}" if values else target, caller)


def _soap(operation: Operation, version: str, pairs: Pairs, caller: Caller) -> WireRequest:
    namespace = xml_names.ENVELOPE_12 if version == "1.2" else xml_names.ENVELOPE_11
    envelope = sample_envelope(operation, pairs, namespace)
    headers = [("Content-Type", soap.MEDIA_TYPES[f"soap{version}"])]
    if version == "1.1":
        headers.append(("SOAPAction", '""'))
    path = f"/soap/{quote(operation.agency)}/{quote(operation.service)}"
    return _made(soap.handle, "POST", path, caller, headers, envelope.encode())


def _legacy(operation: Operation, output: str, style: str, pairs: Pairs, caller: Caller) -> WireRequest:
    folder = settings.LEGACY_FOLDERS[0].strip("/ ") + "/" if settings.LEGACY_FOLDERS else ""
    target = f"/{folder}{output}/{_path(operation)}"
    sent = _legacy_pairs(operation, pairs)
    agent = [("User-Agent", "MANTRA")]
    if style == "post":
        body = urlencode([(name, quote(value, safe="")) for name, value in sent], quote_via=quote)
        return _made(legacy.handle, "POST", target, caller, [*agent, ("Content-Type", _FORM)], body.encode())
    if style == "get":
        query = urlencode(sent, quote_via=quote)
        return _made(legacy.handle, "GET", f"{target}?{query}" if query else target, caller, agent)
    return _made(legacy.handle, "GET", target + _segments(operation, style, sent), caller, agent)


def _legacy_pairs(operation: Operation, pairs: Pairs) -> Pairs:
    """Return the pairs in the declared order, with the names that callers of 1.99x send."""
    given = {name.lower(): value for name, value in pairs}
    declared = [(each.legacy_name or each.name, given.pop(each.lower)) for each in operation.parameters
                if each.lower in given]  # fmt: skip
    return [*declared, *given.items()]


def _segments(operation: Operation, style: str, sent: Pairs) -> str:
    """Return the part of an address of 1.99x with the parameters. Values of the style REST are encoded twice."""
    if style == "rest":
        query = "&".join(f"{quote(name, safe='')}={quote(quote(value, safe=''), safe='')}" for name, value in sent)
        return f"/{query}" if query else ""
    given, names = dict(sent), [each.legacy_name or each.name for each in operation.parameters]
    if style == "restfullpar":  # with a name that is not declared, its values would count by their places
        return "".join(f"/{quote(name, safe='')}/{quote(given[name], safe='')}" for name in names if name in given)
    return "".join(f"/{quote(given.get(name, ''), safe='')}" for name in names).rstrip("/")


def _path(operation: Operation) -> str:
    return "/".join(quote(part, safe="") for part in (operation.agency, operation.service, operation.code))


def _made(
    handle: Handler, method: str, target: str, caller: Caller, headers: Pairs | None = None, body: bytes = b""
) -> WireRequest:
    fields = [("Host", caller.host), *(headers or ())]
    if caller.key:
        fields.append(("AccessKey", caller.key))
    if caller.language:
        fields.append(("Accept-Language", caller.language))
    if body:
        fields.append(("Content-Length", str(len(body))))
    return WireRequest(handle, method, target, tuple(fields), body)
