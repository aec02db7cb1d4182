"""manage.py ship_journal: ship the journal into the call history."""

from __future__ import annotations

import logging
import signal
import threading
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError, connection

from registry import leader, processes, requests, worker_metrics, worker_tasks
from registry.exports.worker import Worker
from registry.journal import reader, shipping
from registry.journal.collecting import Collector
from registry.journal.heartbeat import Heartbeat
from registry.notifications.messenger import Messenger
from registry.people import sessions

log = logging.getLogger("mantra.journal")

#: Seconds between two rounds, before the next round after a failure, and between two prunings.
ROUND_INTERVAL, RETRY_DELAY, PRUNE_INTERVAL = 1.0, 5.0, 3600.0
#: Seconds between two checks of the parent process, and for which the end waits for an e-mail or a part of an export.
PARENT_CHECK_INTERVAL, THREAD_SECONDS = 0.25, 3.0


class Command(BaseCommand):
    help = (
        "Ship the journal's segments into the call history, once or with --follow until stopped; then it also sends "
        "e-mail, looks for what people must be notified of, makes exports, and collects the calls of the fast lane."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--follow", action="store_true", help="repeat until stopped")
        parser.add_argument("--parent", type=int, help="also stop when this process has ended")
        parser.add_argument(
            "--start-over", action="store_true", help="forget all segments: for an empty folder and a new journal key"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        while True:
            with leader.only_one_in(Path(settings.JOURNAL_DIR), "ship") as alone:
                if alone and options["start_over"]:
                    return self.start_over()
                if alone and options["follow"]:
                    return self.follow(options["parent"])
                if alone:
                    self.stdout.write(f"{shipping.ship()} lines shipped")
                    return None
            if not options["follow"]:
                raise CommandError("another process is shipping this journal")
            if not self._parent_alive(options["parent"]):
                return None
            time.sleep(ROUND_INTERVAL)  # another process ships: wait to replace it

    def start_over(self) -> None:
        if reader.segments():
            raise CommandError("the journal's folder has segments: prove them and put them into an archive first")
        self.stdout.write(f"{shipping.start_over()} segments forgotten")

    def _parent_alive(self, parent: int | None) -> bool:
        return parent is None or processes.pid_alive(parent)

    def _wait(self, stop: threading.Event, seconds: float, parent: int | None) -> bool:
        """Wait for the next round. Return True if the process has to end instead."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if stop.wait(min(left, PARENT_CHECK_INTERVAL)):
                return True
            if not self._parent_alive(parent):
                return True
        return False

    def follow(self, parent: int | None) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        for message in checks.run_checks():
            if not message.is_silenced():
                log.log(message.level, "%s", message)
        tasks: list[tuple[str, worker_tasks.Task]] = [
            ("messages", Messenger()), ("exports", Worker()), ("collecting", Collector()), *worker_tasks.made(),
        ]  # fmt: skip
        threads = [threading.Thread(target=task.run, args=(stop,), name=name, daemon=True) for name, task in tasks]
        for thread in threads:
            thread.start()
        heartbeat = Heartbeat()
        threading.Thread(target=heartbeat.run, args=(stop,), name="heartbeat", daemon=True).start()
        try:
            with worker_metrics.published():
                self._ship_until(stop, parent, heartbeat)
        finally:
            stop.set()
            for thread in threads:
                thread.join(THREAD_SECONDS)

    def _ship_until(self, stop: threading.Event, parent: int | None, heartbeat: Heartbeat) -> None:
        pruned = 0.0
        failing = False
        while self._parent_alive(parent):
            try:
                shipping.ship()
                if time.monotonic() - pruned > PRUNE_INTERVAL or not pruned:
                    shipping.prune()
                    requests.expire()
                    sessions.prune()
                    pruned = time.monotonic()
                failing = False
                heartbeat.succeeded()
            except (DatabaseError, InterfaceError, OSError) as error:
                if not failing:
                    log.error("the call history cannot be written (%s); shipping will be retried", type(error).__name__)
                failing = True
                heartbeat.failed(error)
                connection.close()
            if self._wait(stop, RETRY_DELAY if failing else ROUND_INTERVAL, parent):
                break
        # Lines that were written since the last round.
        if not failing:
            shipping.ship()
