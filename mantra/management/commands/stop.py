"""Stop calls, or release stops, when the pages of the admin cannot be reached. It works on the registry only."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from registry import containment
from registry.models import Stop, StopKind, StopOrigin
from registry.stop_targets import find


class Command(BaseCommand):
    help = (
        "Stop all calls of an object, everywhere within a second, or release its stops. NAME is a key's first "
        "characters, agency/application, agency/service/operation, agency/source, agency/backend, an agency's code, "
        "or the id of a grant. Without KIND it lists what is stopped."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kind", nargs="?", choices=[kind.value for kind in StopKind])
        parser.add_argument("name", nargs="?", default="")
        parser.add_argument("--reason", default="", help="why; required")
        parser.add_argument("--release", action="store_true", help="release the stops in force instead")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["kind"] is None:
            self._list()
            return
        if not options["reason"].strip():
            raise CommandError("Give a reason: --reason '…'")
        try:
            ref = find(options["kind"], options["name"]).ref
            if options["release"]:
                self._release(options["kind"], ref, options["reason"])
            else:
                made = containment.stop(options["kind"], ref, options["reason"], origin=StopOrigin.OPERATOR)
                self.stdout.write(f"{made.kind} {made.name} is stopped (stop {made.pk}).")
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None

    def _list(self) -> None:
        for stop in Stop.in_force().order_by("started_at"):
            self.stdout.write(f"{stop.started_at.isoformat(timespec='seconds')} {stop.kind} {stop.name} ({stop.ref})")

    def _release(self, kind: str, ref: int, reason: str) -> None:
        found = list(Stop.in_force().filter(kind=kind, ref=ref))
        if not found:
            raise CommandError("Nothing like this is stopped.")
        for stop in found:
            containment.release(stop, reason)
            self.stdout.write(f"{stop.kind} {stop.name} is released (stop {stop.pk}).")
