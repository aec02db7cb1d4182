"""manage.py compare_legacy: send the same requests to the host of MANTRA 1.99x and here, and name what differs."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, _ActionsContainer
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import translation

from mantra.legacy_import.comparing_hosts import comparison, hosts
from mantra.legacy_import.comparing_hosts.access_logs import LogUnreadable
from mantra.legacy_import.comparing_hosts.asking import Host, HostInvalid
from mantra.legacy_import.comparing_hosts.comparison import Options
from mantra.legacy_import.comparing_hosts.keys import Keys, KeysUnreadable, keys_of_database, keys_of_lines
from mantra.legacy_import.comparing_hosts.results import Comparison
from mantra.legacy_import.reading import UnreadableDatabase, open_database
from registry.snapshot import holder

_NO_HOST = "That is no address of a host. Write http://host/folder, without a user."


class Command(BaseCommand):
    help = (
        "Send real requests to the host of MANTRA 1.99x and to this MANTRA, in json, xml and api, and name what "
        "differs. Operations that change data are left out. Nothing of the requests and responses is kept. Exits with "
        "0 if all responses are equal or differ in a way that no caller notices, else with 1."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("old", metavar="OLD_URL", help="the old host, with its folder: http://host/mantra")
        add_arguments(parser)
        source = parser.add_mutually_exclusive_group()
        source.add_argument("--keys", metavar="FILE", help="the old keys, a line each: key agency/service/operation")
        source.add_argument(
            "--database", metavar="DATABASE",
            help="take the keys of the old database: mysql://user:password@host:port/database, or the path of a dump",
        )  # fmt: skip
        parser.add_argument("--json", action="store_true", help="print all results as JSON")
        parser.add_argument("--language", choices=[code for code, _name in settings.LANGUAGES], help="id or en")

    def handle(self, *args: Any, **options: Any) -> None:
        keys = _keys_of_database(options["database"]) if options["database"] else _keys(options["keys"])
        with translation.override(options["language"] or _language_of_shell()):
            found = run(options["old"], keys, options, self._progress if sys.stderr.isatty() else None)
            if options["json"]:
                self.stdout.write(json.dumps(found.as_dict(), indent=1, ensure_ascii=False))
            else:
                self.stdout.write("\n".join(found.lines()))
        if not found.is_clean:
            sys.exit(1)

    def _progress(self, step: str, done: int, total: int) -> None:
        if step == comparison.SENDING:
            self.stderr.write(f"\r{done}/{total}", ending="\n" if done == total else "")


def add_arguments(parser: _ActionsContainer) -> None:
    """Add the arguments of a comparison to a command's, or to a group of them."""
    default = hosts.new_url()
    parser.add_argument("--new", metavar="URL", default=default, help=f"this MANTRA's address; default {default}")
    parser.add_argument(
        "--log", action="append", default=[], metavar="FILE",
        help="an access log of the old host's Apache or nginx, also .gz; may be repeated; - reads standard input",
    )  # fmt: skip
    parser.add_argument(
        "--operations", nargs="+", default=[], metavar="ALIAS",
        help="only these: agency/service/operation. A proxy operation that may change data must be named",
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=_number(1, comparison.MAX_REQUESTS), default=comparison.REQUESTS, metavar="N",
        help=f"requests of each operation, default {comparison.REQUESTS}",
    )  # fmt: skip
    parser.add_argument(
        "--pace", type=_number(0.01, comparison.MAX_PACE, float), default=comparison.PACE, metavar="N",
        help=f"requests a second at most, default {comparison.PACE:g}",
    )  # fmt: skip
    parser.add_argument(
        "--at-once", type=_number(1, comparison.MAX_AT_ONCE), default=comparison.AT_ONCE, metavar="N",
        help=f"requests that are open at once, default {comparison.AT_ONCE}",
    )  # fmt: skip


def run(old_url: str, keys: Keys, options: dict[str, Any], progress: comparison.Progress | None = None) -> Comparison:
    """Compare with the options of add_arguments(). Raises CommandError."""
    old, new = check(old_url, options)
    chosen = Options(
        requests=options["limit"],
        pace=options["pace"],
        at_once=options["at_once"],
        only=frozenset(alias.strip("/").lower() for alias in options["operations"]),
        logs=tuple(options["log"]),
    )
    try:
        return comparison.compare(old, new, keys, holder.refresh(), chosen, progress)
    except LogUnreadable as error:
        raise CommandError(str(error)) from None


def check(old_url: str, options: dict[str, Any]) -> tuple[Host, Host]:
    """Return the old host and the new one. Raises CommandError."""
    try:
        # Who runs commands here may call any address; MANTRA_UPSTREAM_NETWORKS is for what users enter.
        old = hosts.old_host(old_url, any_address=True)
    except HostInvalid as error:
        if str(error) == "folder":
            raise CommandError("Add the old host's folder to MANTRA_LEGACY_FOLDERS first.") from None
        raise CommandError(_NO_HOST) from None
    try:
        return old, hosts.new_host(options["new"])
    except HostInvalid as error:
        if str(error) == "folder":
            raise CommandError("Write --new without a folder: both hosts get the same addresses.") from None
        raise CommandError(_NO_HOST) from None


def _keys(name: str | None) -> Keys:
    if not name:
        return Keys()
    try:
        with Path(name).open(encoding="utf-8") as file:
            return keys_of_lines(file)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name} cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}.") from None
    except KeysUnreadable as error:
        raise CommandError(f"{name}, {error}.") from None


def _keys_of_database(text: str) -> Keys:
    try:
        with open_database(text) as database:
            return keys_of_database(database)
    except UnreadableDatabase as error:
        raise CommandError(str(error)) from None


def _number(least: float, most: float, type: Callable[[str], Any] = int) -> Callable[[str], Any]:
    """Return the reader of a number within bounds."""

    def read(text: str) -> Any:
        value = type(text)
        if not least <= value <= most:
            raise ArgumentTypeError(f"write a number from {least:g} to {most:g}")
        return value

    return read


def _language_of_shell() -> str:
    """Return the language of the shell, as ./run speaks it: Indonesian or English."""
    names = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return "id" if next(filter(None, names), "").partition("_")[0].partition(".")[0] == "id" else "en"
