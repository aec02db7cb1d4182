"""manage.py verify_audit: verify that the journal is as it was written."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone

from registry.journal import archive, head, heads, history, reader, verifying
from registry.models import JournalHead, JournalSegment

#: The most bytes of a file with a head.
_LARGEST = 4 * JournalHead.LENGTH


def _fetched(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the names and documents of a folder's heads, by their serials."""
    found = []
    for path in folder.iterdir():
        if path.is_file() and path.stat().st_size <= _LARGEST:
            text = path.read_text(errors="replace")
            with suppress(ValueError, TypeError, KeyError):
                found.append((int(json.loads(text.rpartition(" ")[0])["serial"]), path.name, text))
                continue
            found.append((0, path.name, text))
    for _serial, name, text in sorted(found):
        yield name, text


class Command(BaseCommand):
    help = "Check the chain of every journal segment, and compare it with the database unless --offline is given."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--offline", action="store_true", help="check only the files")
        parser.add_argument("--archive", action="store_true", help="check the archived segments as well")
        parser.add_argument(
            "--head", metavar="FILE", help="write a signed head to store elsewhere (-: standard output)"
        )
        parser.add_argument(
            "--heads",
            metavar="FOLDER",
            help="check against public heads that were fetched (default: those stored)",
        )
        parser.add_argument(
            "--history", metavar="N", type=int, help="compare the call history with the newest N segments (0: with all)"
        )
        parser.add_argument("--since-head", metavar="FILE", help="check also against a head that was stored (-: input)")

    def handle(self, *args: Any, **options: Any) -> None:
        earlier = self._read_head(options["since_head"]) if options["since_head"] else None
        rows = None if options["offline"] else self._rows()
        now = timezone.now()
        paths = archive.segments() + reader.segments() if options["archive"] else reader.segments()
        since = None if options["archive"] else now - timedelta(days=settings.JOURNAL_DAYS + 1)
        public, wrong = self._public(options["heads"], rows is not None, since)
        report = verifying.verify(paths, rows, earlier, now, public)
        for name, text in wrong.items():
            report.breaks(name, text)
        if rows and (last := heads.missing(rows.values())):
            report.breaks(heads.named(last), "the head is missing: a row of a segment names it")
        if rows is not None and options["history"] is not None:
            newest = [path for path in paths if reader.name_of(path) not in report.broken][-options["history"] :]
            for name, text in history.compare(newest, rows, now):
                report.breaks(name, text)
        # The standard output has the head only, if it is asked for there.
        out = self.stderr if options["head"] == "-" else self.stdout
        for name, text in sorted(report.unproven.items()):
            out.write(f"UNPROVEN {name}: {text}")
        for name, text in sorted(report.broken.items()):
            out.write(f"BROKEN {name}: {text}")
        if not report.broken:
            out.write(f"{report.lines} lines in {len(report.chains)} segments are unchanged")
        if options["head"]:
            self._write_head(options["head"], report.head(now, rows or {}))
        if report.broken:
            raise CommandError(f"{len(report.broken)} of {len(report.chains)} segments have changed")

    def _public(
        self, folder: str | None, has_rows: bool, since: datetime | None
    ) -> tuple[list[heads.PublicHead], dict[str, str]]:
        """Return the public heads, and what is wrong with them. ``since``: older ones name nothing that is here."""
        if folder is None and not (has_rows and settings.HEAD_KEYS):
            return [], {}
        try:
            documents = heads.stored(since) if folder is None else _fetched(Path(folder))
            return heads.load_all(documents, heads.public_keys())
        except OSError as error:
            raise CommandError(f"the heads of {folder} cannot be read: {error.strerror}") from None

    def _write_head(self, path: str, made: head.Head) -> None:
        if path == "-":
            self.stdout.write(head.dump(made).decode(), ending="")
        else:
            try:
                Path(path).write_bytes(head.dump(made))
            except OSError as error:
                raise CommandError(f"the head cannot be written to {path}: {error.strerror}") from None

    def _read_head(self, path: str) -> head.Head:
        try:
            return head.load(sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes())
        except (OSError, head.HeadError) as error:
            raise CommandError(f"the head {path} cannot be used: {error}") from None

    def _rows(self) -> dict[str, JournalSegment] | None:
        """Return the rows of all segments. None, and a warning, if the database cannot be reached."""
        try:
            return verifying.in_order(JournalSegment.objects.all())
        except DatabaseError:
            self.stderr.write("the database cannot be reached: checking only the files")
            return None
