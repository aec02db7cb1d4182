"""Apply a YAML bundle of definitions, all or nothing."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mantra.definitions.apply import apply
from mantra.definitions.reading import Environment


class Command(BaseCommand):
    help = "Apply a YAML bundle of definitions: either all of it or nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="path of the bundle; - reads standard input")
        parser.add_argument("--reason", default="", help="why, for the history of the operations that change")
        parser.add_argument("--dry-run", action="store_true", help="show the changes without making them")

    def handle(self, *args: Any, **options: Any) -> None:
        text, folder = _read(options["file"])
        report = apply(text, Environment(os.environ, folder), options["dry_run"], options["reason"])
        if report.problems:
            for problem in report.problems:
                self.stderr.write(str(problem))
            raise CommandError(f"{len(report.problems)} errors: nothing was changed.")
        self.stdout.write(str(report))
        if options["dry_run"]:
            self.stderr.write("Dry run: nothing was changed.")


def _read(name: str) -> tuple[str, Path]:
    try:
        # One more than is allowed: what is too large is not read, and refused.
        if name == "-":
            return sys.stdin.read(settings.MAX_BUNDLE_BYTES + 1), Path.cwd()
        path = Path(name)
        with path.open(encoding="utf-8") as file:
            return file.read(settings.MAX_BUNDLE_BYTES + 1), path.resolve().parent
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name} cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}.") from None
