"""What one proxied call needs on its way."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Self

from proxyservices.forwarding.plan import Plan
from proxyservices.models.operations import GRANT
from proxyservices.styles.base import RequestContext
from registry.calls import Call
from registry.field_rights import granted_values
from registry.personal_data.masks import Sight


@dataclass(slots=True, kw_only=True)
class ForwardingContext(RequestContext):
    """A call, its plan, and what a style makes a request of."""

    call: Call = field(repr=False)
    plan: Plan = field(repr=False)

    @classmethod
    def of(cls, call: Call, plan: Plan) -> Self:
        """Start the clock of a call's forwarding. Raises Fault for a request that cannot be read."""
        total = plan.limits.total if call.trial is None else min(plan.limits.total, call.trial.seconds)
        return cls(
            call=call,
            plan=plan,
            operation_id=plan.id,
            arguments={**call.arguments, **_granted(call, plan)},
            raw_request=call.raw_request() if call.raw_request is not None else None,
            method=call.method,
            request_id=call.request_id,
            deadline=time.monotonic() + total,
            max_body_bytes=plan.limits.max_body_bytes,
            format=call.format,
            client_ip=call.client_ip,
            access_key=call.access_key,
            hops=call.hops,
            trace_context=call.trace_context if call.trace is None else call.trace.context,
            operation_name=call.legacy_name,
        )

    @property
    def sight(self) -> Sight:
        """What the caller may see of the fields. Raises Fault if that is nothing."""
        return self.plan.sight(self.call.rights)


def _granted(call: Call, plan: Plan) -> dict[str, str]:
    """Return the values of the grant that the request has, by the sources of its mappings. Raises Fault."""
    if not plan.grant_values:
        return {}
    return {GRANT + name: value for name, value in granted_values(call.grant_values, plan.grant_values).items()}
