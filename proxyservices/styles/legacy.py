"""The styles of MANTRA 1.99x for calls without SOAP."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote_plus

from proxyservices.decoders.legacy import decode_legacy
from proxyservices.models import ParameterMapping, ProxyOperation
from proxyservices.styles.base import (
    READ_METHODS,
    RequestContext,
    UpstreamRequest,
    ValueSource,
    not_convertible,
    path_segment,
    plain_body,
    quoted_path,
    source_of,
    status_fault,
    with_query,
)
from proxyservices.transport.response import UpstreamResponse

#: 1.99x writes a result under its operation's name, with these characters replaced.
_RESULT_KEY = str.maketrans(" .-:", "____")


def encoded(text: str) -> str:
    """Return text as PHP's urlencode() writes it. It encodes the tilde as well."""
    return quote_plus(text).replace("~", "%7E")


def query(pairs: Sequence[tuple[str, str]]) -> str:
    """Return pairs as PHP's http_build_query() writes them."""
    return "&".join(f"{encoded(name)}={encoded(value)}" for name, value in pairs)


def legacy_text(value: Any) -> str:
    """Return a parameter's value as 1.99x writes it."""
    if isinstance(value, bool):
        return "1" if value else "0"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


class Legacy:
    """Builds requests as the stock client of MANTRA 1.99x does."""

    pass_through = False
    legacy = True
    has_envelope = True
    may_fetch = False
    methods = READ_METHODS

    def __init__(
        self, operation: ProxyOperation, mappings: Sequence[ParameterMapping], parameters: Sequence[str]
    ) -> None:
        self._style = str(operation.style).removeprefix("legacy-")
        self._path = quoted_path(operation.path).rstrip("/")
        self.result_name = operation.path.strip("/ ").rpartition("/")[2].translate(_RESULT_KEY)
        declared = {name.lower(): name for name in parameters}
        #: In the order of the mappings; parameters without one follow in their declared order.
        self._sources: list[ValueSource] = []
        for mapping in mappings:
            self._sources.append(source_of(mapping, declared.pop(mapping.parameter.lower(), "")))
        self._sources += [ValueSource(name, name) for name in declared.values()]
        self._headers = [("User-Agent", "MANTRA")]

    def build_request(self, context: RequestContext) -> UpstreamRequest:
        """Return the request as the stock client of 1.99x writes it. Raises Fault."""
        values = [(each.name, each.value_from(context.arguments)) for each in self._sources]
        pairs = [(name, legacy_text(value)) for name, value in values if value is not None]
        headers = list(self._headers)
        if self._style == "get":
            return UpstreamRequest("GET", with_query(self._path, query(pairs)), headers)
        if self._style == "post":
            body = query(pairs).encode()
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
            return UpstreamRequest("POST", self._path, headers, body, len(body))
        return UpstreamRequest("GET", self._path + self._path_suffix(values, pairs), headers)

    def decode(self, context: RequestContext, response: UpstreamResponse) -> Any:
        """Return a response's content, read as 1.99x reads it. Raises Fault, DecodeError.

        1.99x takes every status below 400 for success: a form may well be answered by a redirect to its result.
        """
        if response.status >= 400:
            raise status_fault(response)
        return decode_legacy(plain_body(context, response), response.fields.get("content-type", ""))

    def _path_suffix(self, values: list[tuple[str, Any]], pairs: list[tuple[str, str]]) -> str:
        """Return the parameters as a path.

        1.99x's own server decodes the values of the style rest twice. It never read the other two styles: their
        upstreams are other systems, which decode once.
        """
        if not pairs:
            return ""
        if self._style == "rest":
            return "/" + query([(name, encoded(value)) for name, value in pairs])
        if self._style == "restfull":
            # Values only: without one of them, each that follows would become another parameter's.
            for name, value in values[: len(pairs)]:
                if value is None:
                    raise not_convertible(f"parameter {name} wajib diisi", f"the parameter {name} is required")
            return "".join("/" + legacy_segment(value, name) for name, value in pairs)
        return "".join(f"/{encoded(name)}/{legacy_segment(value, name)}" for name, value in pairs)


def legacy_segment(value: str, name: str) -> str:
    """Return a value as one segment of a path, encoded once. Raises Fault if it is empty or leaves the path."""
    path_segment(value, name)  # for its checks only
    return encoded(value)
