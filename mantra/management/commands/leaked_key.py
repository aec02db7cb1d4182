"""manage.py leaked_key: which key a leaked key is, what it opened, and from where it was used."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mantra.key_use import finding, report
from registry import actors, moments, secrets
from registry.journal import viewing
from registry.models import AccessKey
from registry.results import Fault


class Command(BaseCommand):
    help = (
        "Say which access key a leaked one is, what it opens, what was fetched with it and from where; with --revoke "
        "revoke it. The key, or a text with it, is read from standard input. The look-up is recorded."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--revoke", action="store_true", help="revoke the keys that are found")

    def handle(self, *args: Any, **options: Any) -> None:
        if sys.stdin.isatty():
            self.stderr.write("The key:", ending=" ")
            text = sys.stdin.readline(finding.LENGTH)
        else:
            text = sys.stdin.read(finding.LENGTH)
        digests = [digest for key in finding.candidates(text) for digest in secrets.key_digests(key)]
        keys = list(AccessKey.objects.filter(digest__in=digests).select_related("application__agency"))
        names = ",".join(key.public for key in keys)
        try:
            viewing.record_of(
                actors.current().door, "", "COMMAND", viewing.View("leaked-key", "", "", names, rows=len(keys))
            )
        except Fault:
            raise CommandError("The journal cannot be written: nothing is shown that is not recorded.") from None
        if not keys:
            raise CommandError("No key of this installation is in the text.")
        for key in keys:
            self._print(key)
            if options["revoke"]:
                key.revoke()
                self.stdout.write("  revoked")
        finding.report(tuple(keys))

    def _print(self, key: AccessKey) -> None:
        use = report.use_of(None, key)
        state = "revoked" if key.revoked_at else "active" if key.is_active else "expired"
        self.stdout.write(f"{key.public}… of {key.application}: {state}, issued {moments.moment(key.created_at)}")
        for opened in use.opened:
            closed = "" if opened.in_force else " (not in force)"
            self.stdout.write(f"  opens {opened.operation.address}{closed}: {opened.classification or '?'}")
        since = moments.moment(use.since)
        self.stdout.write(f"  {use.calls} calls, {use.rows} rows, {use.persons} persons since {since}")
        for row in use.networks:
            self.stdout.write(f"  from {row.network}: {row.calls} calls, {row.rows} rows, last {row.last_at:%Y-%m-%d}")
