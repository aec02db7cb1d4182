"""The style pass-through: requests go to the upstream unchanged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from django.conf import settings

from proxyservices.headers import CREDENTIAL_NAMES, CREDENTIALS, NEVER_FORWARDED, connection_named
from proxyservices.models import ParameterMapping, ProxyOperation, header_names
from proxyservices.styles.base import (
    SAFE_METHODS,
    RequestContext,
    UpstreamRequest,
    decode_or_text,
    leaves_base,
    not_convertible,
    quoted_path,
    with_query,
)
from proxyservices.styles.rest import Rest
from proxyservices.transport.response import UpstreamResponse
from proxyservices.transport.upload import Upload
from registry import faults
from registry.calls import RawRequest
from registry.results import Fault

#: A cookie of the bus's own, also after the comma by which a server joins two headers (RFC 9110, 5.3).
_OWN_COOKIE = re.compile(
    rf"(?:^|,)\s*(?:{re.escape(settings.SESSION_COOKIE_NAME)}|{re.escape(settings.CSRF_COOKIE_NAME)})\s*(?:=|$)", re.I
)
_ADDRESS = re.compile(r"[!-\"$-~]*\Z")


class PassThrough:
    """Forwards requests unchanged. On protocols without a raw request it sends the declared parameters."""

    pass_through = True
    legacy = False
    result_name = ""
    has_envelope = False
    may_fetch = False

    def __init__(
        self, operation: ProxyOperation, mappings: Sequence[ParameterMapping], parameters: Sequence[str]
    ) -> None:
        self.methods = tuple(header_names(operation.allowed_methods))
        #: The path before a caller's suffix, percent-encoded, and the query before a caller's.
        self.path, self._mark, self.query = quoted_path(operation.path).rstrip("/").partition("?")
        listed = [
            name for name in header_names(operation.forwarded_request_headers) if name.lower() not in NEVER_FORWARDED
        ]
        names = [name for name in listed if name.lower() not in CREDENTIAL_NAMES]
        if operation.forward_credentials:
            names += CREDENTIALS
        #: The name of each forwarded header: as the operation has it, in lower case, and as a raw request has it.
        self._names = [(name, name.lower(), name.title()) for name in names]
        #: The headers that are forwarded, in lower case.
        self.forwarded = tuple(lower for _name, lower, _title in self._names)
        self._forwards_agent = any(name.lower() == "user-agent" for name in names)
        self._forwards_credentials = operation.forward_credentials
        self._without_raw_request = Rest(operation, mappings, parameters)

    def build_request(self, context: RequestContext) -> UpstreamRequest:
        """Return the caller's request for the upstream. Raises Fault."""
        raw_request = context.raw_request
        if raw_request is None:
            return self._without_raw_request.build_request(context)
        path = self._target_path(raw_request, "" if self._forwards_credentials else context.access_key)
        request = UpstreamRequest(context.method, path, self._headers(raw_request, context.access_key))
        if raw_request.length != 0:
            request.body = Upload(raw_request, context.max_body_bytes, context.deadline)
            request.length = raw_request.length
        elif context.method not in SAFE_METHODS and context.method != "DELETE":
            request.body = b""
        return request

    def decode(self, context: RequestContext, response: UpstreamResponse) -> Any:
        """Return a 2xx response's content. Raises Fault; DecodeError with the body as text."""
        return decode_or_text(context, response)

    def _target_path(self, raw_request: RawRequest, access_key: str) -> str:
        suffix, query = raw_request.path_suffix, raw_request.query
        if not _ADDRESS.match(suffix) or not _ADDRESS.match(query) or "?" in suffix or leaves_base(suffix):
            raise Fault(faults.ADDRESS_INVALID)
        if access_key and (access_key in unquote(suffix) or access_key in unquote(query)):
            raise not_convertible("kunci akses tidak boleh ditulis di URL", "the access key must not be in the URL")
        return with_query(self.path + suffix + self._mark + self.query, query)

    def _headers(self, raw_request: RawRequest, access_key: str) -> list[tuple[str, str]]:
        received = raw_request.headers
        dropped = connection_named(received.get("Connection", ""))
        headers = [] if self._forwards_agent and "User-Agent" in received else [("User-Agent", "MANTRA")]
        for name, lower, title in self._names:
            value = received.get(title)
            if value is None or lower in dropped:
                continue
            if access_key and not self._forwards_credentials and access_key in value:
                continue
            if lower == "cookie" and not (value := _without_own_cookies(value)):
                continue
            headers.append((name, value))
        return headers


def _without_own_cookies(cookies: str) -> str:
    """Return the cookies without the bus's own: an upstream must not get the session of a signed-in browser."""
    pairs = (pair.strip() for pair in cookies.split(";"))
    return "; ".join(pair for pair in pairs if pair and not _OWN_COOKIE.search(pair))
