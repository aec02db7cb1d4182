"""The only way through the bus."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from dataservices import query
from mantra.gateway import accelerated, gate, journal, parameters, quotas
from mantra.gateway.journal import Answer
from registry import faults
from registry.calls import Call, Result
from registry.faults import Fault

log = logging.getLogger("mantra.gateway")

RUNNERS: dict[str, Callable[[Call], Result]] = {"data": query.run, "proxy": accelerated.run}


def serve(call: Call) -> Answer:
    """Take one call through every step; whatever goes wrong comes back as the answer's result."""
    result: Result
    try:
        gate.find(call)
        journal.begin(call)
        if call.flaw is not None:
            raise call.flaw
        gate.admit(call)  # key, grant, address, period      401 403 404
        parameters.read(call)  # 400
        quotas.spend(call)  # 429
        result = RUNNERS[call.operation.kind](call)  # type: ignore[union-attr]  # 502 504
    except Fault as fault:
        result = fault.bare()  # a fault is a result too: one exit
    except Exception:
        result = unforeseen(call)
    return journal.watch(call, result)  # the record closes when the last byte is out


def unforeseen(call: Call) -> Fault:
    """A defect of the bus: where it happened goes to the log, never its text, which may hold data."""
    kind, _error, trace = sys.exc_info()
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "?"
    log.error("request %s failed: %s at %s", call.request_id, kind.__name__ if kind else "?", where)
    return Fault(faults.INTERNAL, request_id=call.request_id)
