"""Examine the installation: what is wrong, and what to do about it."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mantra import VERSION
from mantra.doctor.examination import LABELS, examine
from mantra.health.findings import Finding, State, worst
from registry import moments

#: State → the exit status for monitors. What is not known does not alarm.
EXIT_STATUS: dict[State, int] = {"well": 0, "unknown": 0, "warn": 1, "ill": 2}
_MARKS: dict[State, str] = {"ill": "✗", "warn": "!", "unknown": "?", "well": "✓"}


class Command(BaseCommand):
    help = (
        "Examine configuration, drivers, disks, clock, keys, mail, sources, backends, journal, worker, database and "
        "permissions. Changes nothing. Exits with 0 if all is well, 1 with warnings, 2 if something is wrong."
    )
    # They are findings.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--fast", action="store_true", help="connect to nothing but the bus's own database")
        parser.add_argument("--json", action="store_true", help="print all findings as JSON")
        parser.add_argument("--all", action="store_true", help="also print what is well")
        parser.add_argument("--language", choices=[code for code, _name in settings.LANGUAGES], help="id or en")

    def handle(self, *args: Any, **options: Any) -> None:
        with translation.override(options["language"] or _language_of_shell()):
            found = examine(fast=options["fast"])
            self.stdout.write(_as_json(found) if options["json"] else _as_text(found, options["all"]))
        status = max((EXIT_STATUS[each.state] for each in found), default=0)
        if status:
            sys.exit(status)


def _language_of_shell() -> str:
    """Return the language of the shell, as ./run speaks it: Indonesian or English."""
    names = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return "id" if next(filter(None, names), "").partition("_")[0].partition(".")[0] == "id" else "en"


def _as_json(found: list[Finding]) -> str:
    rows = [dataclasses.asdict(each) | {"affected": [str(who) for who in each.affected]} for each in found]
    whole = {"version": VERSION, "at": timezone.now(), "state": worst(found), "findings": rows}
    return json.dumps(whole, indent=1, default=str, ensure_ascii=False)


def _as_text(found: list[Finding], everything: bool) -> str:
    shown = [each for each in found if everything or each.needs_attention]
    return "\n".join([*(line for each in shown for line in _lines(each)), _summary(found)])


def _lines(finding: Finding) -> list[str]:
    first = f"{_MARKS[finding.state]} {LABELS.get(finding.area, finding.area)}: {finding.name}: {finding.sentence}"
    if finding.since:
        first += _(" (since %(time)s)") % {"time": moments.moment(finding.since)}
    affected = ", ".join(map(str, finding.affected))
    more = [finding.advice, _("Affected: %(who)s") % {"who": affected} if affected else ""]
    return [first, *(f"    {line}" for line in more if line)]


def _summary(found: list[Finding]) -> str:
    count = {state: sum(each.state == state for each in found) for state in _MARKS}
    return ", ".join(
        [
            ngettext("%(n)d is wrong", "%(n)d are wrong", count["ill"]) % {"n": count["ill"]},
            ngettext("%(n)d needs attention", "%(n)d need attention", count["warn"]) % {"n": count["warn"]},
            ngettext("%(n)d is not known", "%(n)d are not known", count["unknown"]) % {"n": count["unknown"]},
            ngettext("%(n)d is well", "%(n)d are well", count["well"]) % {"n": count["well"]},
        ]
    )
