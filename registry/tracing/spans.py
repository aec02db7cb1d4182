"""The spans of calls. The only module that imports OpenTelemetry."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import RandomIdGenerator, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from registry.calls import Call
from registry.processes import this_process
from registry.results import Fault, Result, Rows

#: The methods that are named; others are the caller's own text.
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
#: Spans of a process that wait for the collector at most: further ones are lost. Seconds that it has for a request.
QUEUE, EXPORT_SECONDS = 2048, 5

_propagator = TraceContextTextMapPropagator()
#: The id of the next trace that a thread begins.
_next = threading.local()


class _IdGenerator(RandomIdGenerator):
    """Names a trace after the request id of the call that begins it."""

    def generate_trace_id(self) -> int:
        return int(_next.id)


class Tracing:
    """What makes spans in this process and sends them."""

    def __init__(self, version: str) -> None:
        names = {"service.name": "mantra", "service.version": version, "service.instance.id": this_process()}
        sampler = ParentBased(TraceIdRatioBased(min(max(settings.TRACING_RATIO, 0.0), 1.0)))
        self._provider = TracerProvider(resource=Resource.create(names), sampler=sampler, id_generator=_IdGenerator())
        exporter = OTLPSpanExporter(endpoint=settings.TRACING_URL, timeout=EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=QUEUE))
        self._tracer = self._provider.get_tracer("mantra", version)

    def begin(self, call: Call) -> Trace:
        """Return the trace of a call that begins."""
        return Trace(call, self._tracer)

    def flush(self) -> bool:
        """Send what waits. Return True if the collector has taken it."""
        return self._provider.force_flush()

    def stop(self) -> None:
        """Send what waits, and end."""
        self._provider.shutdown()


class Trace:
    """The spans of one call. One that is not kept has no children."""

    __slots__ = ("_child", "_kept", "_respond", "_root", "_tracer", "trace_id")

    def __init__(self, call: Call, tracer: Tracer) -> None:
        self._tracer = tracer
        parent, state = call.trace_context
        context = _propagator.extract({"traceparent": parent, "tracestate": state}) if parent else None
        _next.id = int(call.request_id, 16)
        start = int(call.started * 1e9)
        self._root = tracer.start_span("call", context, SpanKind.SERVER, start_time=start)
        self._kept = self._root.is_recording()
        self._child: Span | None = None
        self._respond: Span | None = None
        self.trace_id = f"{self._root.get_span_context().trace_id:032x}"

    @property
    def context(self) -> tuple[str, str]:
        """The headers traceparent and tracestate of a request to an upstream."""
        current = (self._child or self._root).get_span_context()
        parent = f"00-{current.trace_id:032x}-{current.span_id:016x}-{int(current.trace_flags):02x}"
        return parent, current.trace_state.to_header()

    def run(self, call: Call, runner: Callable[[Call], Result]) -> Result:
        """Run a call in a span of its own. Raises what the runner raises."""
        if not self._kept:
            return runner(call)
        name, attributes = call.operation.plan.traced  # type: ignore[union-attr]
        child = self._child = self._start(name, SpanKind.CLIENT, attributes)
        try:
            result = runner(call)
        except Exception as error:
            _fail(child, error.kind.name if isinstance(error, Fault) else type(error).__name__)
            raise
        finally:
            child.end()
            self._child = None
        self._respond = self._start("respond", SpanKind.INTERNAL)
        return result

    def _start(self, name: str, kind: SpanKind, attributes: dict[str, str] | None = None) -> Span:
        return self._tracer.start_span(name, set_span_in_context(self._root), kind, attributes)

    def end(self, call: Call, result: Result, sent: int, broken: bool, status: int) -> None:
        """End all spans of the call."""
        if not self._kept:
            return
        if self._respond is not None:
            self._respond.end()
        root = self._root
        _describe(root, call, result)
        root.set_attributes({"http.response.status_code": status, "http.response.body.size": sent})
        if isinstance(result, Fault) and status >= 500:
            _fail(root, result.kind.name)
        elif broken:
            _fail(root, "aborted")
        root.end(time.time_ns())


def _describe(root: Span, call: Call, result: Result) -> None:
    """Give a call's span its name and attributes."""
    method = call.method if call.method in _METHODS else "_OTHER"
    attributes: dict[str, Any] = {
        "http.request.method": method,
        "mantra.protocol": call.protocol,
        "mantra.request_id": call.request_id,
        "mantra.outcome": result.code if isinstance(result, Fault) else 200,
    }
    if call.operation is not None:
        attributes |= {"mantra.agency": call.operation.agency, "mantra.operation": call.operation.path}
        root.update_name(f"{method} {call.operation.path}")
    else:
        root.update_name(method)
    if call.application is not None:
        attributes["mantra.application"] = f"{call.application.agency}/{call.application.code}"
    if isinstance(result, Rows):
        attributes["mantra.rows"] = result.count
    root.set_attributes(attributes)


def _fail(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)
