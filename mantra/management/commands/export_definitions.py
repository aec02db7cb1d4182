"""Print the registry as a YAML bundle without secrets."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mantra.definitions.export import export
from registry.models import Agency


class Command(BaseCommand):
    help = "Print the definitions as a YAML bundle for apply_definitions. It contains no secrets."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--agency", metavar="CODE", help="only the definitions of this agency")

    def handle(self, *args: Any, **options: Any) -> None:
        agency = None
        if options["agency"]:
            agency = Agency.objects.filter(code__iexact=options["agency"]).first()
            if agency is None:
                raise CommandError(f"There is no agency {options['agency']}.")
        self.stdout.write(export(agency), ending="")
