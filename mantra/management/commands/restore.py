"""Restore a backup into an empty installation."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, no_translations
from django.db import DatabaseError

from mantra.backup import restoring
from mantra.backup.manifest import BackupError


class Command(BaseCommand):
    help = "Restore a backup into an empty installation with the keys of the backup, migrate it, and prove its journal."
    # The database may have no tables yet, or none that fit.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", help="folder of the backup")
        parser.add_argument("--check", action="store_true", help="only say whether the backup can be restored here")
        parser.add_argument("--force", action="store_true", help="replace what the installation has already")

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        folder = Path(options["folder"]).absolute()
        try:
            with restoring.stopped_bus():
                self._restore(folder, options["check"], options["force"])
        except BackupError as error:
            raise CommandError(str(error)) from None
        except DatabaseError:
            raise CommandError("The database cannot be reached. Check MANTRA_DATABASE_URL.") from None

    def _restore(self, folder: Path, only_check: bool, force: bool) -> None:
        manifest = restoring.check(folder)
        self.stderr.write(f"The backup of {manifest.made_at}, version {manifest.version}, is whole; its keys are here.")
        lost = ", ".join(restoring.present(folder))
        if lost and not force:
            raise BackupError(f"The installation is not empty: it has {lost}. With --force, they are lost.")
        if only_check:
            return
        if lost:
            self.stderr.write(f"These are lost: {lost}.")
        self._report(restoring.restore(folder))

    def _report(self, done: restoring.Restored) -> None:
        for name, text in sorted(done.broken.items()):
            self.stdout.write(f"BROKEN {name}: {text}")
        if done.broken:
            raise BackupError("Everything was restored, but the journal is not as it was written: see verify_audit.")
        self.stdout.write(
            f"{done.calls} calls are in the history, {done.shipped} lines of the journal were shipped to it now, and "
            f"{done.lines} lines are unchanged. Start the bus."
        )
