"""Counts the calls that nginx took over the fast lane: no web process sees them, the worker ships them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mantra.metrics.calls import CallCounters
from registry import worker_metrics
from registry.journal import lane_folder
from registry.journal.records import Record
from registry.metrics.counters import Counters
from registry.metrics.gauges import Gauge

_counted: dict[Counters, CallCounters] = {}


def count(records: Sequence[Record]) -> None:
    """Count calls that have ended, if this process measures anything."""
    counters = worker_metrics.counters()
    if counters is None:
        return
    counted = _counted.setdefault(counters, CallCounters(counters))
    for record in records:
        if record["lease"] and record["outcome"]:
            counted.ended_on_lane(record)


def gauges() -> Iterator[Gauge]:
    """Yield how many bytes of calls wait to be collected."""
    collected = lane_folder.collected()
    yield "mantra_fast_lane_left_bytes", {}, collected.left if collected is not None else 0
