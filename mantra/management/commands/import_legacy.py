"""Take a database of MANTRA 1.99x over, from a running server or a dump."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from mantra.legacy_import import old_programs, reports
from mantra.legacy_import.comparing_hosts import hosts
from mantra.legacy_import.comparing_hosts.access_logs import LogUnreadable
from mantra.legacy_import.comparing_hosts.keys import Keys, keys_of_database
from mantra.legacy_import.old import OldDatabase
from mantra.legacy_import.old_programs import KeysUnreadable, OldPrograms
from mantra.legacy_import.reading import UnreadableDatabase, open_database
from mantra.legacy_import.running import PARTS, Options, run
from mantra.management.commands import compare_legacy


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
        keys = parser.add_argument_group("keys of old programs")
        keys.add_argument(
            "--keys-in-path", metavar="log|all|FILE",
            help="allow keys in addresses: those that the logs of --log have there, all, or of a file, a line each",
        )  # fmt: skip
        keys.add_argument(
            "--wrapped", metavar="all|FILE",
            help="wrap the responses to these keys (APP_ENC): to all, or to those of a file, a line each",
        )  # fmt: skip
        comparing = parser.add_argument_group("compare afterwards")
        comparing.add_argument(
            "--compare", metavar="OLD_URL",
            help="then send the same requests to this old host and to this MANTRA, as compare_legacy does",
        )  # fmt: skip
        compare_legacy.add_arguments(comparing)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["compare"] and options["dry_run"]:
            raise CommandError("A dry run imports nothing that could be compared. Leave --dry-run or --compare out.")
        if options["compare"]:
            compare_legacy.check(options["compare"], options)
        moved = dict(_host(text) for text in options["host"])
        try:
            with open_database(options["database"]) as database:
                programs = _programs(database, options)
                keys = keys_of_database(database) if options["compare"] else Keys()
                made = run(
                    database,
                    Options(
                        dry=options["dry_run"], only=options["only"], hosts=moved, source=_shown(options["database"]),
                        programs=programs,
                    ),
                )  # fmt: skip
        except UnreadableDatabase as error:
            raise CommandError(str(error)) from None
        for line in reports.listed(made, everything=options["all"]):
            self.stdout.write(line)
        self.stdout.write("")
        for line in reports.summary(made):
            self.stdout.write(line)
        if made.dry:
            self.stderr.write(_("Dry run: nothing is changed"))
        if options["compare"]:
            self._compare(keys, options)

    def _compare(self, keys: Keys, options: dict[str, Any]) -> None:
        time.sleep(hosts.take_up_seconds())
        found = compare_legacy.run(options["compare"], keys, options)
        self.stdout.write("\n".join(["", *found.lines()]))
        if not found.is_clean:
            sys.exit(1)


def _programs(database: OldDatabase, options: dict[str, Any]) -> OldPrograms:
    """Return what old programs need of their keys. Raises CommandError."""
    if options["keys_in_path"] == old_programs.IN_LOGS and not options["log"]:
        raise CommandError("--keys-in-path log reads the keys in the addresses of access logs: add --log FILE.")
    folders = [*settings.LEGACY_FOLDERS, urlsplit(options["compare"] or "").path]
    try:
        return old_programs.programs_for(
            database, options["keys_in_path"] or "", options["wrapped"] or "", options["log"], folders
        )
    except (KeysUnreadable, LogUnreadable) as error:
        raise CommandError(f"{error}.") from None


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
