"""Make a backup of the installation."""

from __future__ import annotations

import signal
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, no_translations

from mantra.backup import keys, making
from mantra.backup.manifest import BackupError

#: The parts of a backup that an option leaves out.
_OPTIONAL = {making.SOURCES: "without_sources", making.ARCHIVE: "without_archive"}


class Command(BaseCommand):
    help = (
        "Make a backup below a folder while the bus runs: database, journal, uploads, agreement files, file sources. "
        "Keys are not in it. Standard output has its folder."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", help="folder that gets a folder for each backup")
        parser.add_argument("--keys", metavar="FILE", help="also write the keys into a new file, which lies elsewhere")
        parser.add_argument("--keep", type=int, metavar="N", help="then remove the oldest backups there, but for N")
        parser.add_argument("--without-sources", action="store_true", help="leave out the files of file sources")
        parser.add_argument("--without-archive", action="store_true", help="leave out the archive of old segments")

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        folder, keep = Path(options["folder"]).absolute(), options["keep"]
        if keep is not None and keep < 1:
            raise CommandError("--keep must be at least 1.")
        # What was begun is then removed.
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        try:
            store = _place_of_keys(options["keys"], folder)
            made = making.make(folder, [name for name, option in _OPTIONAL.items() if options[option]])
            self.stdout.write(str(made))
            if store:
                keys.store(store)
            for name in making.prune(folder, keep) if keep else ():
                self.stderr.write(f"{name} was removed.")
        except BackupError as error:
            raise CommandError(str(error)) from None
        finally:
            signal.signal(signal.SIGTERM, before)


def _place_of_keys(name: str | None, folder: Path) -> Path | None:
    """Return where the keys are to be stored. Raises BackupError where they must not be."""
    if not name:
        return None
    path = Path(name).resolve()
    if folder.resolve() in path.parents:
        raise BackupError("--keys must not be in the folder of the backups: with both, anybody can read everything.")
    if path.exists():
        raise BackupError(f"{path} exists already: choose another name for the keys.")
    return path
