"""Create the demo's data (mantra/demo). With --port, set the port of its upstream; with --matching, what matches it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from mantra.demo import matching
from mantra.demo.files import FILES
from proxyservices.models import BackendServer

_LOOP_BACK = r"^http://127\.0\.0\.1:[0-9]+/json/bkn/simpeg$"


class Command(BaseCommand):
    help = "Create the demo's SQLite files, unless they exist."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, help="port of the bus that the demo's proxy operation calls")

        parser.add_argument(
            "--matching", action="store_true", help="create the reconciliation of the demo's definitions"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["port"]:
            for server in BackendServer.objects.filter(url__regex=_LOOP_BACK):
                server.url = f"http://127.0.0.1:{options['port']}/json/bkn/simpeg"
                server.save()
            return
        if options["matching"]:
            self.stdout.write(f"{matching.create()}")
            return
        for file in FILES:
            if file.is_complete():
                self.stdout.write(f"{file.path} is complete.")
                continue
            file.create()
            self.stdout.write(f"{file.path} created: {file.rows} rows.")
