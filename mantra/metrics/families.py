"""The metrics that the bus exports: their names, labels and meaning, and how those of several processes become one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from registry.metrics.counters import Key
from registry.metrics.gauges import Published
from registry.metrics.merging import Totals

#: The labels of an operation. It keeps its id when it is renamed.
OPERATION = ("operation_id", "agency", "service", "operation")
_SOURCE = ("source_id", "agency", "source")
_BACKEND = ("backend_id", "agency", "backend")


@dataclass(frozen=True, slots=True)
class Family:
    """A gauge. ``merge`` makes one value of those of all processes."""

    help: str
    labels: tuple[str, ...] = ()
    merge: Callable[[Iterable[float]], float] = sum


GAUGES = {
    "mantra_build_info": Family("1 for the version of the bus", ("version",), max),
    "mantra_calls_in_progress": Family("Calls that have begun and not ended, in all web processes"),
    "mantra_web_threads": Family("Threads for calls in all web processes: the most calls in progress"),
    "mantra_source_connections_in_use": Family("Connections of a source that calls hold", _SOURCE),
    "mantra_source_connections_idle": Family("Open connections of a source that nobody holds", _SOURCE),
    "mantra_source_connections_max": Family("The most connections of a source, over all web processes", _SOURCE),
    "mantra_source_calls_waiting": Family("Calls that wait for a connection of a source", _SOURCE),
    "mantra_source_up": Family("1 if a source that was called lately can be reached", _SOURCE, min),
    "mantra_source_circuit_open": Family("1 if the circuit of a source is open in a web process", _SOURCE, max),
    "mantra_upstream_connections_idle": Family("Open connections to upstreams that nobody uses"),
    "mantra_backend_up": Family("1 if all servers of a backend that was called or probed work", _BACKEND, min),
    "mantra_backend_circuit_open": Family("1 if the circuit of a server is open in a web process", _BACKEND, max),
    "mantra_bulkhead_calls": Family("Calls in the bulkheads of a kind", ("kind",)),
    "mantra_bulkheads_full": Family("Bulkheads of a kind that have no place left", ("kind",)),
    "mantra_bulkhead_fullest_ratio": Family("The share taken of the fullest bulkhead of a kind", ("kind",), max),
    "mantra_fast_lane_left_bytes": Family("Bytes of calls of the fast lane that were not collected yet", merge=max),
    "mantra_snapshot_age_seconds": Family("Seconds since the oldest snapshot was known to be current", merge=max),
    "mantra_snapshot_version": Family("The version of the oldest snapshot of a web process", merge=min),
    "mantra_snapshot_operations": Family("Operations in a snapshot", merge=max),
    "mantra_registry_version": Family("The version of the registry in the database", merge=max),
    "mantra_journal_lag_bytes": Family("Bytes of the journal that are not in the call history yet"),
    "mantra_journal_lag_segments": Family("Segments of the journal with such bytes"),
    "mantra_journal_lag_seconds": Family("Age of the oldest call that is not in the call history yet", merge=max),
    "mantra_health_findings": Family("Findings of the health board", ("area", "state")),
    "mantra_rollup_newest_call_timestamp_seconds": Family("When the newest call of the roll-ups began", merge=max),
    "mantra_outbox_messages": Family("E-mails by state; failed ones are kept for a time", ("state",)),
    "mantra_outbox_oldest_seconds": Family("Seconds for which the oldest e-mail has been waiting", merge=max),
    "mantra_disk_free_bytes": Family("Free bytes of the disk of a folder", ("folder",), min),
    "mantra_disk_size_bytes": Family("Bytes of the disk of a folder", ("folder",), max),
    "mantra_processes": Family("Processes of the bus that are alive", ("role",)),
    "mantra_process_start_time_seconds": Family("When the youngest process of a role started", ("role",), max),
    "mantra_process_resident_memory_bytes": Family("Memory of all processes of a role", ("role",)),
    "mantra_process_threads": Family("Threads of all processes of a role", ("role",)),
    "mantra_process_open_fds": Family("Open files of all processes of a role", ("role",)),
    "mantra_process_silence_seconds": Family("Seconds since a process of a role wrote its gauges", ("role",), max),
}  # fmt: skip


class Exported(Collector):
    """What all processes count and measure but for operations, as metrics of Prometheus."""

    def __init__(self, totals: Totals, now: float) -> None:
        self._totals = totals
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        yield _outcomes(self._totals)
        yield _lane(self._totals)
        yield _processor_time(self._totals)
        yield from _gauges(self._totals.alive, self._now)


def _outcomes(totals: Totals) -> Metric:
    labels = ("protocol", "code")
    family = CounterMetricFamily("mantra_outcomes", "Calls that ended, by code: 200, or a fault's", labels=labels)
    for values, cells in of_kind(totals, "outcome", len(labels)):
        family.add_metric(values, cells[0])
    return family


def _lane(totals: Totals) -> Metric:
    family = CounterMetricFamily("mantra_fast_lane_calls", "Calls that nginx took over the fast lane")
    family.add_metric((), sum(cells[0] for _values, cells in of_kind(totals, "lane", 0)))
    return family


def _processor_time(totals: Totals) -> Metric:
    help = "Processor time of all processes of a role, also of those that have ended"
    family = CounterMetricFamily("mantra_process_cpu_seconds", help, labels=("role",))
    for values, cells in of_kind(totals, "processor", 1):
        family.add_metric(values, cells[0] / 1000)
    return family


def of_kind(totals: Totals, kind: str, labels: int) -> Iterator[tuple[Key, list[int]]]:
    """Yield the rows of a kind with their labels; those of its common row are empty."""
    for key, cells in totals.counts.items():
        if key[0] == kind:
            yield (key[1:] if len(key) == labels + 1 else ("",) * labels), cells


def _gauges(processes: Iterable[Published], now: float) -> Iterator[Metric]:
    values: dict[str, dict[tuple[str, ...], list[float]]] = {name: {} for name in GAUGES}
    for process in processes:
        silence = "mantra_process_silence_seconds", {"role": process.role}, max(0.0, now - process.at)
        for name, labels, value in (*process.gauges, silence):
            key = tuple(str(labels.get(label, "")) for label in GAUGES[name].labels)
            values[name].setdefault(key, []).append(value)
    for name, family in GAUGES.items():
        metric = GaugeMetricFamily(name, family.help, labels=family.labels)
        for key, several in values[name].items():
            metric.add_metric(key, family.merge(several))
        yield metric
