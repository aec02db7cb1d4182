"""manage.py send_test_mail: send a test e-mail."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from registry.notifications.testing import send_test


class Command(BaseCommand):
    help = "Send a test e-mail by the mail server of the settings. If that fails, say which setting to check."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("address", metavar="ADDRESS")

    def handle(self, *args: Any, **options: Any) -> None:
        outcome = send_test(options["address"])
        if not outcome.ok:
            raise CommandError(outcome.text)
        self.stdout.write(outcome.text)
