"""manage.py probe_upstreams: ask upstreams whether they are well."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from proxyservices.health import probe, prober
from proxyservices.models import Upstream
from registry import processes

#: Seconds between two looks at whether the parent is still there.
GLANCE = 0.25


class Command(BaseCommand):
    help = "Probes the upstreams that are to be probed, once; with --follow, at their intervals until it is stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--follow", action="store_true", help="go on until stopped, and write down what is found")
        parser.add_argument("--parent", type=int, help="stop too when this process is gone")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["follow"]:
            self.follow(options["parent"])
        else:
            self.once()

    def once(self) -> None:
        rows = list(prober.probed().select_related("operation__service__agency"))
        ill = [row for row in rows if not self._well(row)]
        if ill:
            raise CommandError(f"{len(ill)} of {len(rows)} upstreams are not well")

    def _well(self, row: Upstream) -> bool:
        try:
            found = probe.ask(prober.address_of(row))
        except ValueError as error:
            found = probe.Outcome(False, 0.0, "address", str(error))
        told = "well" if found.healthy else " ".join(("ill:", found.phase, found.reason))
        service = row.operation.service
        name = f"{service.agency.code}/{service.code}/{row.operation.code}"
        self.stdout.write(f"{name} {row.url}: {told} ({found.seconds * 1000:.0f} ms)")
        return found.healthy

    def follow(self, parent: int | None) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        prober.Prober().run(_Wanted(parent), stop.wait)


class _Wanted:
    """Whether the parent is still there, asked at most once a GLANCE."""

    def __init__(self, parent: int | None) -> None:
        self._parent = parent
        self._asked = float("-inf")
        self._there = True

    def __call__(self) -> bool:
        now = time.monotonic()
        if self._parent is not None and now - self._asked > GLANCE:
            self._asked, self._there = now, processes.pid_alive(self._parent)
        return self._there
