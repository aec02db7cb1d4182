"""manage.py ship_journal: take the journal into the history."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError, connection

from registry import processes
from registry.journal import shipping

#: Seconds between two rounds, after a failure, and between two prunings.
ROUND, PAUSE, PRUNING = 1.0, 5.0, 3600.0
#: Seconds between two looks at whether the parent is still there.
GLANCE = 0.25


class Command(BaseCommand):
    help = "Takes the journal's segments into the history of calls; with --follow, until it is stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--follow", action="store_true", help="go on until stopped")
        parser.add_argument("--parent", type=int, help="stop too when this process is gone")

    def handle(self, *args: Any, **options: Any) -> None:
        while True:
            with shipping.only_one() as alone:
                if alone and options["follow"]:
                    return self.follow(options["parent"])
                if alone:
                    self.stdout.write(f"{shipping.ship()} lines taken in")
                    return None
            if not options["follow"]:
                raise CommandError("another process is taking in this journal")
            if not self._wanted(options["parent"]):
                return None
            time.sleep(ROUND)  # another one is at work: stand by to take its place

    def _wanted(self, parent: int | None) -> bool:
        return parent is None or processes.pid_alive(parent)

    def _rest(self, stop: threading.Event, seconds: float, parent: int | None) -> bool:
        """Wait for the next round; true when there is to be none."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if stop.wait(min(left, GLANCE)):
                return True
            if not self._wanted(parent):
                return True
        return False

    def follow(self, parent: int | None) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        pruned = 0.0
        failing = False
        while self._wanted(parent):
            try:
                shipping.ship()
                if time.monotonic() - pruned > PRUNING or not pruned:
                    shipping.prune()
                    pruned = time.monotonic()
                failing = False
            except (DatabaseError, InterfaceError, OSError) as error:
                if not failing:
                    self.stderr.write(f"the history cannot be written ({type(error).__name__}); the journal waits")
                failing = True
                connection.close()
            if self._rest(stop, PAUSE if failing else ROUND, parent):
                break
        # What was written while we were told to stop.
        if not failing:
            shipping.ship()
