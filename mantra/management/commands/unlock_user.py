"""Unlock the name of a user after too many wrong passwords."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mantra.people.backend import find
from registry.people import lockout


class Command(BaseCommand):
    help = "Unlock the name of a user, which too many wrong passwords have locked, for all addresses."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="user name or e-mail address")

    def handle(self, *args: Any, **options: Any) -> None:
        user = find(options["name"])
        if user is None:
            raise CommandError(f"There is no user {options['name']}.")
        addresses = lockout.locked_addresses(user)
        lockout.unlock(user)
        self.stdout.write(f"{user.username} can sign in again; locked before for: {', '.join(addresses) or 'nothing'}")
