"""The part that the three protocol handlers share: serve a call, respond, and record it whatever fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mantra.gateway import admission, http, recording
from mantra.gateway.http import Response
from mantra.gateway.recording import RecordedResult, internal_fault
from mantra.gateway.serve import serve
from registry.calls import Call, Trial
from registry.results import Document, Fault
from registry.snapshot.types import Operation, Service


@dataclass(slots=True)
class FaultResponse:
    """A fault as one protocol writes it."""

    content: bytes
    media_type: str
    status: int
    headers: dict[str, str] = field(default_factory=dict)


#: Writes a call's result. Raises Fault, also if the result cannot be encoded.
Respond = Callable[[RecordedResult, Operation], Response]
#: Writes the fault with which a call ended.
WriteFault = Callable[[Fault, Call], FaultResponse]


def respond_to(
    call: Call,
    respond: Respond,
    write_fault: WriteFault,
    trial: Trial | None = None,
    serve: Callable[[Call], RecordedResult] = serve,
) -> Response:
    """Serve a call and return its response, with the request id."""
    if trial is not None:
        trial.begin(call)
    recorded = serve(call)
    try:
        response = _finished(_respond(recorded, respond), call)
    except Exception as error:  # a defect in an encoder: the call must still be recorded
        recorded.fail(error if isinstance(error, Fault) else internal_fault(call))
        response = _finished(_respond_with_fault(recorded, write_fault), call)
    return response


def _finished(response: Response, call: Call) -> Response:
    """Return a response with the request id, and signed if its caller wants that. Raises Fault."""
    http.stamp(response, call.request_id)
    if call.signature is not None:
        call.signature.sign(response)
    return response


def describe_to(
    call: Call, describe: Callable[[Call], Response], write_fault: WriteFault, service: Service | None = None
) -> Response:
    """Return the response to a request for what an address offers (OPTIONS, a WSDL), with the request id.

    It needs no key, and is recorded as every call is. ``service``: the described one; else it is the call's operation.
    """
    try:
        admission.find(call)
        recording.begin(call, service)
        if call.error is not None:
            raise call.error
        response = describe(call)
        recording.end(call, Document(None), len(response.body), status=response.status)  # type: ignore[arg-type]
    except Exception as error:
        fault = error if isinstance(error, Fault) else internal_fault(call)
        response = _respond_with_fault(RecordedResult(call, fault), write_fault)
    http.stamp(response, call.request_id)
    return response


def _respond(recorded: RecordedResult, respond: Respond) -> Response:
    if isinstance(recorded.result, Fault):
        raise recorded.result
    assert recorded.call.operation is not None
    return respond(recorded, recorded.call.operation)


def _respond_with_fault(recorded: RecordedResult, write_fault: WriteFault) -> Response:
    for _attempt in (1, 2):
        fault = recorded.result
        assert isinstance(fault, Fault)
        if recorded.call.trial is not None:
            recorded.call.trial.fault = fault
        fault_response = write_fault(fault, recorded.call)
        try:
            response = http.response(
                recorded, iter((fault_response.content,)), fault_response.status, fault_response.media_type
            )
        except Fault as journal_down:  # a call that is not recorded gets this fault instead
            recorded.fail(journal_down)
            continue
        response.headers |= fault_response.headers
        return response
    raise AssertionError
