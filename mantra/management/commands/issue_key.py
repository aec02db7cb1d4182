"""Issue an access key for an application and print it once."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from registry.models import AccessKey, Application


class Command(BaseCommand):
    help = "Issue a new access key. Standard output contains only the key; it is never shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("application", metavar="AGENCY/APPLICATION")
        parser.add_argument("--days", type=int, help="days until the key expires (default: it never expires)")
        parser.add_argument(
            "--network",
            action="append",
            default=[],
            metavar="CIDR",
            help="network from which it may be used; repeatable",
        )

        parser.add_argument("--signing", action="store_true", help="a key that signs requests and is never sent")

    def handle(self, *args: Any, **options: Any) -> None:
        days = options["days"]
        if days is not None and not 1 <= days <= 36_500:
            raise CommandError("--days must be a number from 1 to 36500.")
        application = _application(options["application"])
        expires = timezone.now() + timedelta(days=days) if days else None
        try:
            kind = AccessKey.Kind.SIGNING if options["signing"] else AccessKey.Kind.ACCESS
            key, plain = AccessKey.issue(application, expires, kind=kind, networks="\n".join(options["network"]))
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        until = f"until {timezone.localtime(expires):%Y-%m-%d %H:%M}" if expires else "no expiry"
        self.stderr.write(f"Key {key.public}… of {application}, {until}. It is shown only once:")
        self.stdout.write(plain)


def _application(name: str) -> Application:
    agency, slash, code = name.partition("/")
    application = Application.objects.select_related("agency").filter(agency__code=agency, code=code).first()
    if not slash or application is None:
        raise CommandError(f"There is no application {name}. Write AGENCY/APPLICATION.")
    return application
