"""What the process that ships the journal measures: whatever waits in the database or the journal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db.models import Count, Min
from django.utils import timezone

from registry.journal.lag import lag
from registry.metrics import disks
from registry.metrics.counters import Counters
from registry.metrics.gauges import Gauge, Publisher, Source, Thread
from registry.models import OutboxMessage, SnapshotVersion
from registry.statistics.reading import rolled_up_to

log = logging.getLogger("mantra.metrics")

#: Further parts. Each package adds its own when its app is ready.
SOURCES: list[Source] = []


#: The counts of this process while it measures.
_counters: Counters | None = None


def counters() -> Counters | None:
    """Return where this process counts, None if it does not."""
    return _counters


#: Seconds between two writings: the database is asked each time.
INTERVAL = 15.0


@contextmanager
def published(role: str = "worker") -> Iterator[None]:
    """Write the gauges of this process for as long as the context lasts, if there is a token to read them with.

    Only the worker, which ships the journal, measures what waits; there is one at a time.
    """
    global _counters
    if not settings.METRICS_TOKEN:
        yield
        return
    sources = (disks.gauges, journal, registry, outbox, *SOURCES) if role == "worker" else ()
    try:
        own = Counters()
        thread = Thread(Publisher(role, own, sources), INTERVAL)
    except OSError as error:  # the process has its own work
        log.error("there are no metrics of the %s, since their folder cannot be written: errno %s", role, error.errno)
        yield
        return
    _counters = own
    try:
        yield
    finally:
        _counters = None
        thread.stop()


def journal() -> Iterator[Gauge]:
    """Yield how far the call history and the roll-ups are behind the journal."""
    behind = lag()
    yield "mantra_journal_lag_bytes", {}, behind.bytes
    yield "mantra_journal_lag_segments", {}, behind.segments
    age = (timezone.now() - behind.oldest).total_seconds() if behind.oldest is not None else 0.0
    yield "mantra_journal_lag_seconds", {}, max(0.0, age)
    newest = rolled_up_to()
    if newest is not None:
        yield "mantra_rollup_newest_call_timestamp_seconds", {}, newest.timestamp()


def registry() -> Iterator[Gauge]:
    """Yield the version of the registry."""
    yield "mantra_registry_version", {}, SnapshotVersion.current()


def outbox() -> Iterator[Gauge]:
    """Yield the number of e-mails by state, and how long the oldest of those that wait has been waiting."""
    states = OutboxMessage.State
    counted = dict(OutboxMessage.objects.values_list("state").annotate(Count("pk")))
    for state in (states.WAITING, states.FAILED):
        yield "mantra_outbox_messages", {"state": state.value}, counted.get(state, 0)
    oldest = OutboxMessage.objects.filter(state=states.WAITING).aggregate(oldest=Min("created_at"))["oldest"]
    yield "mantra_outbox_oldest_seconds", {}, (timezone.now() - oldest).total_seconds() if oldest else 0
