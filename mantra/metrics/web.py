"""What a web process measures of itself: calls, pools, bulkheads, its snapshot and its disks."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from django.conf import settings

from dataservices import pool
from mantra import VERSION, administration
from mantra.metrics import calls
from proxyservices.transport import pool as upstream_pool
from registry import bulkhead
from registry.bulkhead import Bulkhead
from registry.metrics import disks
from registry.metrics.counters import Counters
from registry.metrics.gauges import Gauge, Publisher, Thread
from registry.snapshot import holder

log = logging.getLogger("mantra.metrics")

_publisher: Publisher | None = None
_thread: Thread | None = None


def start() -> None:
    """Count the calls of this process, and write its gauges from now on, if there is a token to read them with."""
    global _publisher, _thread
    if not settings.METRICS_TOKEN or _publisher is not None:
        return
    try:
        counters = Counters()
        counted = calls.start(counters)
    except OSError as error:  # calls are served all the same
        log.error("there are no metrics, since their folder cannot be written: errno %s", error.errno)
        return
    _publisher = Publisher("web", counters, (counted.in_progress, pools, bulkheads, snapshot, disks.gauges))
    _thread = Thread(_publisher)


def stop() -> None:
    """Count and write no more."""
    global _publisher, _thread
    if _thread is not None:
        _thread.stop()
    _publisher = _thread = None
    calls.stop()


def publish() -> None:
    """Write this process's gauges now. Raises OSError."""
    if _publisher is not None:
        _publisher.publish()


def pools() -> Iterator[Gauge]:
    """Yield the state of the pools of sources, and the idle connections to upstreams."""
    for each in pool.source_pools():
        labels = {"source_id": str(each.id), "agency": each.agency, "source": each.code}
        usage = each.usage()
        yield "mantra_source_connections_in_use", labels, usage.in_use
        yield "mantra_source_connections_idle", labels, usage.idle
        yield "mantra_source_connections_max", labels, usage.size
        yield "mantra_source_calls_waiting", labels, usage.waiting
    yield "mantra_upstream_connections_idle", {}, upstream_pool.idle_connections()


def bulkheads() -> Iterator[Gauge]:
    """Yield what this process has to offer, and how full the bulkheads of each kind are."""
    yield "mantra_build_info", {"version": VERSION}, 1
    yield "mantra_web_threads", {}, settings.WEB_THREADS
    for kind, each in (*bulkhead.by_kind().items(), ("administration", [administration.places()])):
        labels = {"kind": kind}
        yield "mantra_bulkhead_calls", labels, sum(one.in_flight for one in each)
        yield "mantra_bulkheads_full", labels, sum(one.in_flight >= one.limit for one in each)
        yield "mantra_bulkhead_fullest_ratio", labels, max(map(_share, each), default=0.0)


def _share(one: Bulkhead) -> float:
    return one.in_flight / one.limit


def snapshot() -> Iterator[Gauge]:
    """Yield the age and version of the snapshot."""
    current = holder.current()
    yield "mantra_snapshot_age_seconds", {}, holder.age()
    yield "mantra_snapshot_version", {}, holder.version()
    yield "mantra_snapshot_operations", {}, len(current.operations) if current is not None else 0
