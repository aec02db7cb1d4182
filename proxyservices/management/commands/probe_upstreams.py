"""manage.py probe_upstreams: send the upstreams' probes."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from proxyservices import endpoints
from proxyservices.health import probe, prober
from proxyservices.models import BackendServer
from registry import processes, worker_metrics

#: Seconds between two checks of the parent process.
PARENT_CHECK_INTERVAL = 0.25


class Command(BaseCommand):
    help = "Run every configured probe once, or with --follow at its interval until stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--follow", action="store_true", help="repeat until stopped, and store the results")
        parser.add_argument("--parent", type=int, help="also stop when this process has ended")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["follow"]:
            self.follow(options["parent"])
        else:
            self.once()

    def once(self) -> None:
        rows = list(prober.probed().select_related("backend__agency"))
        unhealthy = [row for row in rows if not self._probe(row)]
        if unhealthy:
            raise CommandError(f"{len(unhealthy)} of {len(rows)} servers are unhealthy")

    def _probe(self, row: BackendServer) -> bool:
        """Probe one server and print the result. Return True if it is healthy."""
        try:
            outcome = probe.run_probe(endpoints.endpoint_of(row))
        except ValueError as error:
            outcome = probe.Outcome(False, 0.0, "address", str(error))
        result = "healthy" if outcome.healthy else " ".join(("unhealthy:", outcome.phase, outcome.reason))
        self.stdout.write(f"{row.backend} {row.url}: {result} ({outcome.seconds * 1000:.0f} ms)")
        return outcome.healthy

    def follow(self, parent: int | None) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        with worker_metrics.published("prober"):
            prober.Prober().run(_ParentCheck(parent), stop.wait)


class _ParentCheck:
    """Returns True while the parent process runs; checks it once per PARENT_CHECK_INTERVAL at most."""

    def __init__(self, parent: int | None) -> None:
        self._parent = parent
        self._checked_at = float("-inf")
        self._alive = True

    def __call__(self) -> bool:
        now = time.monotonic()
        if self._parent is not None and now - self._checked_at > PARENT_CHECK_INTERVAL:
            self._checked_at, self._alive = now, processes.pid_alive(self._parent)
        return self._alive
