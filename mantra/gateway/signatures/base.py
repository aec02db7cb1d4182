"""The signature base (RFC 9421, section 2.5): the text of a message's components that is signed."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from mantra.gateway import http
from mantra.gateway.http import Environ
from mantra.gateway.signatures.fields import InnerList, Item

_FIELD_NAME = re.compile(r"[a-z0-9!#$%&'*+.^`|~-]{1,64}\Z")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
#: Returns the value of a component. Raises Uncovered.
Resolve = Callable[[Item], str]


class Uncovered(ValueError):
    """A component that the message does not have, or of which the bus can tell no value. Its argument is the name."""


def signature_base(covered: InnerList, resolve: Resolve) -> bytes:
    """Return the signature base for components with their parameters. Raises Uncovered."""
    lines, seen = [], set()
    for item in covered.items:
        identifier = str(item)
        if not isinstance(item.value, str) or identifier in seen or item.value == "@signature-params":
            raise Uncovered(identifier)
        seen.add(identifier)
        value = resolve(item)
        if not value.isascii() or "\n" in value or "\r" in value:
            raise Uncovered(identifier)
        lines.append(f"{identifier}: {value}")
    lines.append(f'"@signature-params": {covered}')
    return "\n".join(lines).encode("ascii", "strict")


class RequestParts:
    """The components of a request, as the server received it."""

    __slots__ = ("_environ",)

    def __init__(self, environ: Environ) -> None:
        self._environ = environ

    def value(self, item: Item) -> str:
        """Return the value of a component without parameters (Resolve). Raises Uncovered."""
        name = str(item.value)
        if item.parameters:
            raise Uncovered(str(item))
        derived = _DERIVED.get(name)
        if derived is not None:
            return derived(self._environ)
        value = self.header(name)
        if value is None:
            raise Uncovered(name)
        return value

    def header(self, name: str) -> str | None:
        """Return a header's value; None without one, or if no header can have the name.

        The server joins repeated headers by a comma alone: they fit no signature, in which a space follows it.
        """
        if not _FIELD_NAME.match(name):
            return None
        key = name.upper().replace("-", "_")
        value = self._environ.get(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}")
        return None if value is None or value == "" else str(value).strip(" \t")


def _query(environ: Environ) -> str:
    return str(environ.get("QUERY_STRING", ""))


def _has_query(environ: Environ) -> bool:
    return bool(_query(environ)) or "?" in str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "")


def _target(environ: Environ) -> str:
    path = http.raw_path(environ)
    return f"{path}?{_query(environ)}" if _has_query(environ) else path


def _scheme(environ: Environ) -> str:
    return http.base_url(environ).partition("://")[0].lower()


def _authority(environ: Environ) -> str:
    base = urlsplit(http.base_url(environ))
    return base.netloc.lower().removesuffix(_DEFAULT_PORTS.get(base.scheme.lower(), ""))


#: Derived components of requests (section 2.2).
_DERIVED: dict[str, Callable[[Environ], str]] = {
    "@method": lambda environ: str(environ["REQUEST_METHOD"]),
    "@target-uri": lambda environ: http.base_url(environ) + _target(environ),
    "@authority": _authority,
    "@scheme": _scheme,
    "@request-target": _target,
    "@path": http.raw_path,
    "@query": lambda environ: f"?{_query(environ)}",
}
