"""The health of sources, as each worker process sees it: written to the database by a thread, and read for pages."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from dataservices import pool
from dataservices.models import DataSource, SourceState
from dataservices.pool import SourcePool
from registry.metrics.gauges import Gauge
from registry.processes import this_process
from registry.rounds import ProcessThread, survive

log = logging.getLogger("mantra.dataservices")

#: Seconds between two looks at the pools, after which an unchanged row of a source in use is written again, and after
#: which a row is ignored and removed: its process has ended, or calls the source no more.
INTERVAL, REFRESH, STALE_AFTER = 1.0, 10.0, 180.0
_PUBLISHED = ["failures", "open", "reason", "failed_at", "since", "seen_at"]


class StateWriter:
    """Writes the states of one process's sources."""

    def __init__(self) -> None:
        self._name = this_process()
        #: Id → the content that was written last, and when (monotonic seconds).
        self._written: dict[int, tuple[tuple[Any, ...], float]] = {}
        self._pruned = float("-inf")

    def tick(self) -> None:
        """Write the states that changed or are due for renewal. Raises the database's errors."""
        now = time.monotonic()
        due = {each.id: each for each in pool.source_pools() if self._is_due(each, now)}
        if due:
            self._save(due)
            self._written |= {id: (_content(each), now) for id, each in due.items()}
            for each in due.values():
                each.health.used = False
        if now - self._pruned > STALE_AFTER:
            self._pruned = now
            SourceState.objects.filter(seen_at__lt=timezone.now() - timedelta(seconds=STALE_AFTER)).delete()

    def _is_due(self, each: SourcePool, now: float) -> bool:
        content, written_at = self._written.get(each.id, ((), float("-inf")))
        if not each.health.used and not content:
            return False  # nobody has called it
        return _content(each) != content or (each.health.used and now - written_at > REFRESH)

    def _save(self, due: dict[int, SourcePool]) -> None:
        existing = set(DataSource.objects.filter(pk__in=due).values_list("pk", flat=True))
        rows = [self._row(each) for id, each in due.items() if id in existing]
        try:
            with transaction.atomic():
                SourceState.objects.bulk_create(
                    rows, batch_size=100, update_conflicts=True, unique_fields=["source", "observer"],
                    update_fields=_PUBLISHED,
                )  # fmt: skip
        except IntegrityError:
            pass  # a source was deleted meanwhile; the next round omits it

    def _row(self, each: SourcePool) -> SourceState:
        health = each.health
        return SourceState(
            source_id=each.id,
            observer=self._name,
            failures=min(each.breaker.failures, 1000),
            open=each.breaker.state != "closed",
            reason=health.reason[:40],
            failed_at=_moment(health.failed_at),
            since=_moment(health.since),
        )


def _content(each: SourcePool) -> tuple[Any, ...]:
    """Return the part of a row in which a change is worth a write."""
    return each.breaker.state != "closed", *each.health.content


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


@dataclass(frozen=True, slots=True)
class Summary:
    """The health of a source over all processes that called it within STALE_AFTER seconds."""

    #: healthy; failing: the last connection failed; open: the circuit is, in one process at least.
    state: str
    #: The reason of the last failure (adapters.base.REASONS), and its time; since when it is as it is.
    reason: str
    failed_at: datetime | None
    since: datetime | None


def live(sources: Any) -> dict[int, Summary]:
    """Return the health of those sources that were called lately, by their ids. One query; not for the call path.

    ``sources``: ids, or a query for them.
    """
    rows: dict[int, list[SourceState]] = {}
    fresh = timezone.now() - timedelta(seconds=STALE_AFTER)
    for row in SourceState.objects.filter(source__in=sources, seen_at__gte=fresh):
        rows.setdefault(row.source_id, []).append(row)
    return {id: _summary(of_source) for id, of_source in rows.items()}


def working() -> dict[int, bool]:
    """Return whether a source can be reached, for the sources that were called lately."""
    return {id: each.state == "healthy" for id, each in live(DataSource.objects.values("pk")).items()}


def gauges() -> Iterator[Gauge]:
    """Yield whether a source can be reached, and whether its circuit is open. Three queries; not for the call path."""
    found = live(DataSource.objects.values("pk"))
    for pk, agency, code in DataSource.objects.filter(pk__in=found).values_list("pk", "agency__code", "code"):
        labels, state = {"source_id": str(pk), "agency": agency, "source": code}, found[pk].state
        yield "mantra_source_up", labels, state == "healthy"
        yield "mantra_source_circuit_open", labels, state == "open"


def _summary(rows: list[SourceState]) -> Summary:
    bad = [row for row in rows if row.failures]
    last = max((row for row in rows if row.failed_at), key=lambda row: row.failed_at or row.seen_at, default=None)
    times = [row.since for row in bad or rows if row.since]
    return Summary(
        state="open" if any(row.open for row in rows) else "failing" if bad else "healthy",
        reason=last.reason if last else "",
        failed_at=last.failed_at if last else None,
        since=(min(times) if bad else max(times)) if times else None,
    )


def _run(stop: threading.Event) -> None:
    writer, failing = StateWriter(), False
    while not stop.wait(INTERVAL):
        failing = survive(writer.tick, failing, log, "the states of sources could not be written")
    connection.close()


_thread = ProcessThread("source-health", _run)
start, stop = _thread.start, _thread.stop
