"""The only way through the bus."""

from __future__ import annotations

import logging
from collections.abc import Callable

from dataservices import query
from mantra.gateway import admission, parameters, quotas, recording
from mantra.gateway.offload import decision
from mantra.gateway.recording import Answer, unforeseen
from registry.calls import Call
from registry.results import Fault, Result

log = logging.getLogger("mantra.gateway")

RUNNERS: dict[str, Callable[[Call], Result]] = {"data": query.run, "proxy": decision.run}


def serve(call: Call) -> Answer:
    """Take one call through every step; whatever goes wrong comes back as the answer's result."""
    result: Result
    try:
        admission.find(call)
        recording.begin(call)
        if call.flaw is not None:
            raise call.flaw
        admission.admit(call)  # key, grant, address, period      401 403 404
        parameters.read(call)  # 400
        quotas.spend(call)  # 429
        result = RUNNERS[call.operation.kind](call)  # type: ignore[union-attr]  # 502 504
    except Fault as fault:
        result = fault.bare()  # a fault is a result too: one exit
    except Exception:
        result = unforeseen(call)
    return recording.watch(call, result)  # the record closes when the last byte is out
