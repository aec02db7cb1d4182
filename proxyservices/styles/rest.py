"""The style rest: declared parameters become path, query, header, form or JSON body."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import orjson

from proxyservices import decoders
from proxyservices.headers import NEVER_FORWARDED
from proxyservices.models import ParameterMapping, ProxyOperation
from proxyservices.styles.base import (
    READ_METHODS,
    WRITE_METHODS,
    RequestContext,
    UpstreamRequest,
    ValueSource,
    accept_header,
    decode_or_text,
    exact_json,
    form_encoded,
    header_value,
    named_texts,
    nested_object,
    path_segment,
    quoted_path,
    source_of,
    successful_body,
    text_of,
    with_query,
)
from proxyservices.transport.response import UpstreamResponse

#: A placeholder in a path.
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class Rest:
    """Builds requests from declared parameters, constants and secrets, each in its mapped location."""

    pass_through = False
    legacy = False
    result_name = ""
    has_envelope = False
    may_fetch = False

    def __init__(
        self, operation: ProxyOperation, mappings: Sequence[ParameterMapping], parameters: Sequence[str]
    ) -> None:
        #: Pass-through operations use the caller's method on protocols without a raw request.
        self._method = operation.method if operation.style == ProxyOperation.Style.REST else ""
        self.methods = READ_METHODS if self._method in ("", "GET") else WRITE_METHODS
        declared = {name.lower(): name for name in parameters}
        sources = self._by_location(mappings, declared)
        self._template = self._parse_path(quoted_path(operation.path), sources.pop("path", []), declared)
        mapped = {each.parameter for _, each in self._template if each is not None}
        mapped |= {each.parameter for located in sources.values() for each in located}
        body = "json" if "json" in sources else "form"
        unmapped = sources.setdefault(body if self._method in ("POST", "PUT", "PATCH") else "query", [])
        unmapped += [ValueSource(name, name) for name in parameters if name not in mapped]
        self._query, self._form = sources.get("query", []), sources.get("form", [])
        self._headers, self._json = sources.get("header", []), sources.get("json", [])
        if self._form and self._json:
            raise ValueError("form and JSON")
        if any(each.name.lower() in NEVER_FORWARDED for each in self._headers):
            raise ValueError("header")
        self._constant_headers = [("User-Agent", "MANTRA")]

    @staticmethod
    def _by_location(mappings: Sequence[ParameterMapping], declared: dict[str, str]) -> dict[str, list[ValueSource]]:
        sources: dict[str, list[ValueSource]] = {}
        for mapping in mappings:
            source = source_of(mapping, declared.get(mapping.parameter.lower(), ""))
            sources.setdefault(mapping.location, []).append(source)
        return sources

    @staticmethod
    def _parse_path(
        path: str, mapped: list[ValueSource], declared: dict[str, str]
    ) -> list[tuple[str, ValueSource | None]]:
        """Return the path as fixed texts, each followed by the value of a placeholder (None after the last)."""
        by_name = {each.name.strip("{}").lower(): each for each in mapped}
        pieces: list[tuple[str, ValueSource | None]] = []
        end = 0
        for placeholder in _PLACEHOLDER.finditer(path):
            name = placeholder[1].lower()
            source = by_name.pop(name, None)
            if source is None and name in declared:
                source = ValueSource(placeholder[1], declared[name])
            if source is None:
                raise ValueError("path")
            pieces.append((path[end : placeholder.start()], source))
            end = placeholder.end()
        if by_name:
            raise ValueError("path")
        return [*pieces, (path[end:], None)]

    def decode(self, context: RequestContext, response: UpstreamResponse) -> Any:
        """Return a 2xx response's content by its media type. Raises Fault, DecodeError.

        The error has the body as text where the operation writes: an upstream that responds "OK" has done its work.
        """
        if self._method not in ("", "GET"):
            return decode_or_text(context, response)
        body = successful_body(context, response)
        return decoders.decode(body, response.fields.get("content-type", ""))

    def build_request(self, context: RequestContext) -> UpstreamRequest:
        """Return the request with each parameter in its location. Raises Fault."""
        arguments = context.arguments
        path = "".join(
            fixed if source is None else fixed + path_segment(_text(source.value_from(arguments)), source.name)
            for fixed, source in self._template
        )
        headers = [*self._constant_headers, ("Accept", accept_header(context.format))]
        headers += [
            (each.name, header_value(text_of(value), each.name))
            for each in self._headers
            if (value := each.value_from(arguments)) is not None
        ]
        # A HEAD request becomes a GET: headers of the response may depend on its body.
        method = self._method or ("GET" if context.method == "HEAD" else context.method)
        query = form_encoded(named_texts(self._query, arguments))
        request = UpstreamRequest(method, with_query(path, query), headers)
        if self._json:
            request.body = orjson.dumps(nested_object(self._json, arguments), default=exact_json)
            headers.append(("Content-Type", "application/json"))
        elif self._form or method in ("POST", "PUT", "PATCH"):
            request.body = form_encoded(named_texts(self._form, arguments)).encode()
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
        request.length = len(request.body) if isinstance(request.body, bytes) else 0
        return request


def _text(value: Any) -> str:
    return "" if value is None else text_of(value)
