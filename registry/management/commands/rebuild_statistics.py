"""manage.py rebuild_statistics: count days again from the records of the call history."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from registry.statistics import rebuilding


class Command(BaseCommand):
    help = (
        "Count the roll-ups of days again from the call history: by default of all days whose records it has. "
        "The bus may run meanwhile."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", type=date.fromisoformat, metavar="DAY", help="the first day, as 2026-01-31")
        parser.add_argument("--until", type=date.fromisoformat, metavar="DAY", help="the last day; today by default")

    def handle(self, *args: Any, **options: Any) -> None:
        kept = rebuilding.first_day()
        first, last = options["since"] or kept, options["until"] or timezone.localdate()
        if first < kept:
            raise CommandError(f"the history has no complete records from before {kept}: begin there, or later")
        if last < first:
            raise CommandError("the last day is before the first one")
        calls = days = 0
        for day, number in rebuilding.rebuild(first, last):
            calls, days = calls + number, days + 1
            if options["verbosity"] > 1:
                self.stdout.write(f"{day} {number}")
        self.stdout.write(f"{calls} calls of {days} days counted")
