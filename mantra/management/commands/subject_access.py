"""manage.py subject_access: who looked at a person."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import override

from mantra.subject_access import answers, words
from mantra.subject_access.answers import Answer
from registry import actors, moments
from registry.journal import viewing
from registry.journal.chain import subject_hashes
from registry.models import Agency
from registry.results import Fault


class Command(BaseCommand):
    help = (
        "Print who looked at a person, in plain words. The person's identifier, such as the NIK, is read from standard "
        "input: arguments are in the shell's history and in lists of processes. The look-up is recorded."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--agency", metavar="CODE", help="only what this agency's operations gave (default: all)")
        parser.add_argument("--language", choices=("id", "en"), default="id", help="language of the answer")

    def handle(self, *args: Any, **options: Any) -> None:
        agency = None
        if options["agency"]:
            agency = Agency.objects.filter(code__iexact=options["agency"]).first()
            if agency is None:
                raise CommandError("There is no agency with this code.")
        if sys.stdin.isatty():
            self.stderr.write("The person's identifier:", ending=" ")
        identifier = sys.stdin.readline(answers.LENGTH + 2).strip()
        if not 0 < len(identifier) <= answers.LENGTH:
            raise CommandError("Send the person's identifier, such as the NIK, to standard input.")
        with override(options["language"]):
            self._print(answers.of_agency(agency, subject_hashes(identifier), answers.masked(identifier)))

    def _print(self, answer: Answer) -> None:
        code = answer.agency.code if answer.agency is not None else ""
        view = viewing.View(answers.LOOK_UP, code, "", rows=len(answer.entries), subjects=answer.hashes[:1])
        try:
            viewing.record_of(actors.current().door, "", "COMMAND", view)
        except Fault:
            raise CommandError("The journal cannot be written: nothing is shown that is not recorded.") from None
        for line in words.opening(answer):
            self.stdout.write(line)
        for entry in answer.entries:
            self.stdout.write(f"\n{moments.moment(entry.at)}  {entry.request_id}")
            lines = (
                f"{words.who(entry)}: {entry.what}",
                " ".join(part for part in (entry.terms.purpose or str(words.UNKNOWN), words.basis(entry)) if part),
                " ".join(part for part in (entry.operation, entry.address, entry.agency) if part),
                " ".join(part for part in (entry.given, ", ".join(entry.fields)) if part),
            )
            for text in lines:
                self.stdout.write(f"  {text}")
        self.stdout.write("")
        for note in words.notes():
            self.stdout.write(f"* {note}")
