"""manage.py erase_subject: erase a person from the journal and the call history."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from registry.journal import erasing
from registry.models.bounds import REASON


class Command(BaseCommand):
    help = "Erase a person from the journal, its archive and the call history, at a lawful request; the chain stays."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reason", required=True, help="stays in the journal: a number, never a person's name")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["reason"].strip() or len(options["reason"]) > REASON:
            raise CommandError(f"the reason must have 1 to {REASON} characters")
        value = self._value()
        try:
            found = erasing.erase_subject(value, options["reason"].strip(), getpass.getuser())
        except (OSError, erasing.ErasingError) as error:
            raise CommandError(f"not all was erased: {error}") from None
        self.stdout.write(f"{found.lines} lines of {found.segments} segments and {found.records} records were erased")
        for name, reason in sorted(found.left.items()):
            self.stdout.write(f"LEFT {name}: {reason}")
        if found.left:
            raise CommandError(f"{len(found.left)} segments still name the person")

    def _value(self) -> str:
        """Return what identifies the person, from a prompt or the input: no list of commands has it."""
        prompt = sys.stdin.isatty()
        value = getpass.getpass("The person's number, as callers send it: ") if prompt else sys.stdin.readline()
        if not value.strip():
            raise CommandError("the standard input must have the person's number")
        return value.strip()
