"""Take a database of MANTRA 1.99x over, from a running server or a dump."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import BaseCommand, CommandError

from mantra.legacy_import import reports
from mantra.legacy_import.reading import UnreadableDatabase, open_database
from mantra.legacy_import.running import PARTS, Options, run


class Command(BaseCommand):
    help = "Take over agencies, users, services, operations and keys of MANTRA 1.99x. It can be repeated."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("database", help="mysql://user:password@host:port/database, or the path of a dump")
        parser.add_argument("--dry-run", action="store_true", help="report what would be done, and change nothing")
        parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="take these, and what they need")
        parser.add_argument(
            "--host", action="append", default=[], metavar="OLD=NEW",
            help="the address of a host in definitions, such as localhost=10.1.1.5",
        )  # fmt: skip
        parser.add_argument("--all", action="store_true", help="list the rows that were taken as they are too")

    def handle(self, *args: Any, **options: Any) -> None:
        hosts = dict(_host(text) for text in options["host"])
        try:
            with open_database(options["database"]) as database:
                made = run(
                    database,
                    Options(
                        dry=options["dry_run"], only=options["only"], hosts=hosts, source=_shown(options["database"])
                    ),
                )
        except UnreadableDatabase as error:
            raise CommandError(str(error)) from None
        for line in reports.listed(made, everything=options["all"]):
            self.stdout.write(line)
        self.stdout.write("")
        for line in reports.summary(made):
            self.stdout.write(line)
        if made.dry:
            self.stderr.write("Dry run: nothing was changed.")


def _host(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not equals or not old or not new:
        raise CommandError(f"--host {text}: write OLD=NEW, such as localhost=10.1.1.5.")
    return old.lower(), new


def _shown(text: str) -> str:
    """Return where the database is without its user and password."""
    if "://" not in text:
        return text.rsplit("/", 1)[-1]
    parts = urlsplit(text)
    return f"{parts.hostname or ''}{parts.path}"
