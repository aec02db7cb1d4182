"""The steps of every call, in order."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.utils.module_loading import import_string

from dataservices import changes
from mantra.egress import guard
from mantra.gateway import admission, parameters, quotas, recording, row_quotas
from mantra.gateway.recording import RecordedResult, internal_fault
from proxyservices.forwarding import pipeline
from registry import logs, tracing
from registry.calls import RUNNER_PATHS, Call
from registry.results import Fault, Result

log = logging.getLogger("mantra.gateway")

RUNNERS: dict[str, Callable[[Call], Result]] = {"data": changes.run, "proxy": pipeline.run}


def runner_of(kind: str) -> Callable[[Call], Result]:
    """Return the runner of a kind of operation. One of a package above this one is imported with its first call."""
    found = RUNNERS.get(kind)
    if found is None:
        found = RUNNERS[kind] = import_string(RUNNER_PATHS[kind])
    return found


def serve(call: Call) -> RecordedResult:
    """Run one call through all steps and return its result. A failure is a result too: a Fault."""
    result: Result
    trial = call.trial
    logs.current.call = call
    tracing.begin(call)
    try:
        admission.find(call)
        recording.begin(call)
        if call.error is not None:
            raise call.error
        admission.admit(call)  # key, grant, address, period      401 403 404
        if trial is not None:
            trial.passed("admission")
        parameters.read(call)  # 400
        if trial is not None:
            trial.passed("parameters")
        quotas.consume(call)  # 429
        row_quotas.consume(call)  # 429
        if trial is not None:
            trial.passed("quota")
        guard.prepare(call)
        runner = runner_of(call.operation.kind)  # type: ignore[union-attr]
        result = runner(call) if call.trace is None else call.trace.run(call, runner)  # 502 504
        result = guard.guarded(call, result)  # 502
        if call.meter is not None:
            result = row_quotas.counted(call, result)  # 429
        if trial is not None:
            trial.passed("run")
    except Fault as fault:
        result = fault.without_traceback()  # one exit: a fault is a result
    except Exception:
        result = internal_fault(call)
    return recording.finish_when_sent(call, result)  # the record ends with the last byte
