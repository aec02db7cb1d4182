"""The upstream's own description, served at the alias."""

from __future__ import annotations

from urllib.parse import quote

from django.conf import settings

from proxyservices import decoders
from proxyservices.descriptions import rewrite
from proxyservices.descriptions.documents import Unusable, fetch
from proxyservices.forwarding import response
from proxyservices.forwarding.attempts import _fetch, _place
from proxyservices.forwarding.context import _task
from proxyservices.forwarding.forwarded_headers import told
from proxyservices.forwarding.plan import Plan
from proxyservices.forwarding.response import _result
from registry import faults
from registry.calls import Call, Passage
from registry.results import Fault, Relay, Result


def _description(call: Call, plan: Plan, passage: Passage) -> Result:
    """The upstream's WSDL or schema with the alias for its addresses: as it is stored, else as it is there now."""
    base = settings.BASE_URL or f"{passage.scheme}://{passage.host}"
    alias = f"{base}/rest/{quote(call.agency)}/{quote(call.service)}/{quote(call.code)}"
    upstreams = [address.target.url for address in plan.addresses]
    try:
        kept = rewrite.kept(passage.query, passage.tail, plan.contract, plan.id)
        if kept is not None:
            url, text = kept
            raw = text.encode() if text else _fetched(plan, url)
            return _described(rewrite.rewritten(raw, url, alias, upstreams, plan.id), call)
    except LookupError:
        raise Fault(faults.OPERATION_UNKNOWN) from None
    except Unusable:
        raise Fault(faults.SOAP_CONTRACT) from None
    task = _task(call, plan, passage)
    asked = plan.recipe.make(task)
    asked.headers += told(plan, task, passage)
    found = _fetch(call, plan, asked, task.deadline)
    content_type = found.fields.get("content-type", "")
    if call.method == "HEAD" or found.status != 200 or decoders.kind_of(content_type) not in ("xml", ""):
        return _result(call, plan, found)
    raw = found.read()
    there = upstreams[0].partition("?")[0] + passage.tail
    body = rewrite.rewritten(raw, f"{there}?{passage.query}", alias, upstreams, plan.id)
    return response.written(raw, content_type) if body is None else response.written(body, rewrite.MEDIA_TYPE)


def _fetched(plan: Plan, url: str) -> bytes:
    with _place(plan):
        return fetch(url, plan.limits.total)


def _described(body: bytes | None, call: Call) -> Relay:
    if body is None:
        raise Fault(faults.UPSTREAM_WRONG, request_id=call.request_id)
    return response.written(body, rewrite.MEDIA_TYPE)
