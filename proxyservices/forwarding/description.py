"""The upstream's own description, served at the alias: every address in it leads to the bus."""

from __future__ import annotations

from django.conf import settings

from proxyservices import decoders
from proxyservices.decoders.charset import charset_of
from proxyservices.decoders.limits import MAX_BYTES
from proxyservices.descriptions import rewrite
from proxyservices.descriptions.documents import DescriptionError, fetch
from proxyservices.forwarding import attempts, response
from proxyservices.forwarding.addresses import alias_path
from proxyservices.forwarding.bus_headers import bus_headers
from proxyservices.forwarding.context import ForwardingContext
from registry import faults
from registry.results import Fault, Result


def is_requested(context: ForwardingContext) -> bool:
    """Return True if the call asks a pass-through operation for its WSDL or a schema of it."""
    raw_request = context.raw_request
    if raw_request is None or not context.plan.pass_through or context.method not in ("GET", "HEAD"):
        return False
    return rewrite.is_requested(raw_request.query)


def serve(context: ForwardingContext) -> Result:
    """Return the WSDL or schema as it is stored, else as the upstream has it now. Raises Fault."""
    plan, raw_request = context.plan, context.raw_request
    assert raw_request is not None
    try:
        requested = rewrite.requested_document(raw_request.query, raw_request.path_suffix, plan.description, plan.id)
    except LookupError:
        raise Fault(faults.OPERATION_UNKNOWN) from None
    if requested is None:
        return _from_upstream(context)
    url, text = requested
    body = _rewritten(context, text.encode() if text else _fetched(context, url), url)
    if body is None:
        raise Fault(faults.UPSTREAM_ANSWER_UNREADABLE, request_id=context.request_id)
    return response.document_response(body, rewrite.MEDIA_TYPE)


def _from_upstream(context: ForwardingContext) -> Result:
    request = context.plan.style.build_request(context)
    request.bus_headers = bus_headers(context)
    upstream_response = attempts.send(context, request)
    content_type = upstream_response.fields.get("content-type", "")
    is_document = upstream_response.status == 200 and decoders.kind_of(content_type) in ("xml", "")
    if context.method == "HEAD" or not is_document:
        return response.to_result(context, upstream_response)
    raw = upstream_response.read(MAX_BYTES)
    assert context.raw_request is not None
    base = context.plan.endpoints[0].target.url.partition("?")[0]
    url = f"{base}{context.raw_request.path_suffix}?{context.raw_request.query}"
    body = _rewritten(context, raw, url, charset_of(content_type))
    if body is None:
        return response.document_response(raw, content_type)
    return response.document_response(body, rewrite.MEDIA_TYPE)


def _fetched(context: ForwardingContext, url: str) -> bytes:
    try:
        with attempts.in_bulkhead(context.plan):
            return fetch(url, context.plan.limits.total)
    except DescriptionError:
        raise Fault(faults.SOAP_CONTRACT) from None


def _rewritten(context: ForwardingContext, raw: bytes, url: str, charset: str = "") -> bytes | None:
    """The document with the alias for the upstream's addresses; None where it is no WSDL or schema."""
    call, raw_request = context.call, context.raw_request
    assert raw_request is not None
    base = settings.BASE_URL or f"{raw_request.scheme}://{raw_request.host}"
    alias = base + alias_path(call.agency, call.service, call.code)
    upstreams = [endpoint.target.url for endpoint in context.plan.endpoints]
    return rewrite.rewrite(raw, url, alias, upstreams, context.plan.id, charset)
