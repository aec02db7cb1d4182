"""manage.py verify_audit: verify that the journal is as it was written."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from registry.journal import reader, verifying
from registry.models import JournalSegment


class Command(BaseCommand):
    help = "Check the chain of every journal segment, and compare it with the database unless --offline is given."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--offline", action="store_true", help="check only the files")

    def handle(self, *args: Any, **options: Any) -> None:
        rows: dict[str, JournalSegment] = {}
        if not options["offline"]:
            try:
                rows = {row.name: row for row in JournalSegment.objects.all()}
            except DatabaseError:
                self.stderr.write("the database cannot be reached: checking only the files")
        paths = reader.segments()
        names = {path.name for path in paths}
        valid_lines, faults = 0, []
        for path in paths:
            lines, fault = verifying.verify(path, rows.get(path.name))
            valid_lines += lines
            if fault:
                faults.append(f"{path.name}: {fault}")
                continue
            before = verifying.predecessor(path)
            if before and before not in names and before in rows:
                faults.append(f"{before}: the segment is missing, but {path.name} continues it")
        faults += [
            f"{name}: the segment is missing: {row.lines} lines were shipped to the call history"
            for name, row in rows.items()
            if name not in names and not any(line.startswith(f"{name}:") for line in faults)
        ]
        for line in faults:
            self.stdout.write(f"BROKEN {line}")
        if faults:
            raise CommandError(f"{len(faults)} of {len(paths)} segments have changed")
        self.stdout.write(f"{valid_lines} lines in {len(paths)} segments are unchanged")
