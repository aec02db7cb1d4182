"""manage.py verify_audit: prove that the journal says what was written."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from registry.journal import reader, verifying
from registry.models import JournalSegment


class Command(BaseCommand):
    help = "Checks the chain of every segment of the journal, and against the history's database unless --offline."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--offline", action="store_true", help="look at the files alone")

    def handle(self, *args: Any, **options: Any) -> None:
        rows: dict[str, JournalSegment] = {}
        if not options["offline"]:
            try:
                rows = {row.name: row for row in JournalSegment.objects.all()}
            except DatabaseError:
                self.stderr.write("the database is out of reach: looking at the files alone")
        paths = reader.segments()
        names = {path.name for path in paths}
        proved, wrong = 0, []
        for path in paths:
            lines, fault = verifying.verify(path, rows.get(path.name))
            proved += lines
            if fault:
                wrong.append(f"{path.name}: {fault}")
                continue
            before = verifying.succession(path)
            if before and before not in names and before in rows:
                wrong.append(f"{before}: the segment is missing, though {path.name} follows on it")
        wrong += [
            f"{name}: the segment is missing: {row.lines} lines had been taken into the history"
            for name, row in rows.items()
            if name not in names and not any(line.startswith(f"{name}:") for line in wrong)
        ]
        for line in wrong:
            self.stdout.write(f"BROKEN {line}")
        if wrong:
            raise CommandError(f"{len(wrong)} of {len(paths)} segments are not as they were written")
        self.stdout.write(f"{proved} lines in {len(paths)} segments are as they were written")
