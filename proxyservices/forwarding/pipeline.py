"""The proxied call, step by step: the runner of operations of kind "proxy"."""

from __future__ import annotations

from functools import partial

from proxyservices.forwarding import attempts, cache, description, response
from proxyservices.forwarding.bus_headers import bus_headers, refuse_loops, refuse_too_many_hops
from proxyservices.forwarding.context import ForwardingContext
from proxyservices.forwarding.plan import Plan
from registry import faults
from registry.calls import Call
from registry.field_rights import nothing_left
from registry.personal_data.masks import withheld
from registry.results import Fault, Result


def run(call: Call) -> Result:
    """Forward one call to its upstream. Raises Fault."""
    plan = call.operation.plan  # type: ignore[union-attr]
    assert isinstance(plan, Plan)
    refuse_too_many_hops(call)  # 508
    refuse_inseparable_fields(call, plan)  # 403
    context = ForwardingContext.of(call, plan)
    refuse_loops(context)  # Via: 508
    call.origin = plan.origin
    if description.is_requested(context):
        return description.serve(context)  # ?wsdl at the alias, its addresses rewritten
    request = attempts.build_request(context)  # 400 502
    request.bus_headers = bus_headers(context)
    send = partial(attempts.send, context)  # 502 503 504
    if cache.applies(plan, request):
        return response.to_result(context, cache.fetch(context, request, send))
    return response.to_result(context, send(request))  # 403 502


def refuse_inseparable_fields(call: Call, plan: Plan) -> None:
    """Raise Fault where a caller may not see all of a response that is passed through unread, or has no fields."""
    rights = call.rights
    if plan.pass_through and call.raw_request is not None:
        if rights.allowed or rights.masks or (call.operation is not None and call.operation.is_masked):
            raise Fault(faults.FIELDS_INSEPARABLE)
        if unlawful := withheld(plan.fields, rights):
            raise nothing_left(unlawful)
    elif rights.masks and not plan.fields:
        raise Fault(faults.FIELDS_INSEPARABLE)
