"""Write the bill of materials: what the bus is made of, as CycloneDX."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from mantra.supply_chain.components import components
from mantra.supply_chain.cyclonedx import document


class Command(BaseCommand):
    help = "Write the software bill of materials (SBOM) of this installation as CycloneDX 1.6 in JSON."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--output", type=Path, help="The file to write. Without it the document goes to the output."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        text = json.dumps(document(components()), indent=2, ensure_ascii=False)
        if options["output"] is None:
            self.stdout.write(text)
        else:
            options["output"].write_text(text + "\n", encoding="utf-8")
