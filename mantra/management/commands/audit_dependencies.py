"""Compare what is installed with the known advisories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mantra.supply_chain import advisories
from mantra.supply_chain.advisories import Finding, NotCheckedError
from mantra.supply_chain.components import components

#: What the exit status says: a part is affected; nobody knows.
AFFECTED, NOT_CHECKED = 1, 3


class Command(BaseCommand):
    help = (
        "Compare the installed packages with the advisories of osv.dev, or with those of a file. The exit status is "
        f"0 if none concerns the bus, {AFFECTED} if one does, and {NOT_CHECKED} if the advisories could not be read."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--advisories",
            type=Path,
            help="A file of advisories in the format of OSV, as JSON or as an archive, in place of the Internet.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        parts, path = components(), options["advisories"]
        try:
            found = advisories.from_database(parts) if path is None else advisories.from_file(path, parts)
        except NotCheckedError as error:
            raise CommandError(f"Not checked. {error}", returncode=NOT_CHECKED) from None
        for finding in found:
            self.stdout.write(_line(finding))
        checked = sum(part.ecosystem != "docker" for part in parts)
        if found:
            raise CommandError(f"{len(found)} advisories concern the {checked} packages.", returncode=AFFECTED)
        self.stdout.write(f"No advisory concerns the {checked} packages. Images are not among them.")


def _line(finding: Finding) -> str:
    names = ", ".join((finding.advisory, *finding.aliases))
    fixed = ", ".join(finding.fixed_in) or "no version yet"
    return f"{finding.name} {finding.version}: {names}; fixed in {fixed}. {finding.summary}".rstrip()
