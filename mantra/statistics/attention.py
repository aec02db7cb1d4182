"""What is ill, at the top of a dashboard: operations that fail, and sources and backends that are not healthy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import ngettext

from mantra.health import board
from mantra.health.checks import attention, not_healthy
from mantra.health.findings import Finding
from mantra.statistics import words
from mantra.statistics.scopes import Scope
from mantra.statistics.table import Table
from registry.models import User

#: An operation is named if so many percent of its calls fail; from the second share on it is a failure.
SHARE, BAD = 1.0, 5.0
#: The most lines of each kind.
MOST = 5


@dataclass(frozen=True, slots=True)
class Matter:
    """A line: what is ill, what is known of it, and where to look."""

    name: str
    text: Any
    colour: str
    url: str = ""


def matters(scope: Scope, failing: Table | None, user: User) -> list[Matter]:
    """Return what needs attention in a scope, what fails first."""
    found = list(of_operations(failing)) if failing is not None else []
    return found[:MOST] + list(_ill(scope, user))[:MOST]


def of_operations(table: Table) -> Iterator[Matter]:
    """Yield the operations of the table "failing" of whose calls a share fails that is worth a look."""
    for line, (name, calls, failed, share, *_rest) in enumerate(table.rows):
        if (share or 0) >= SHARE:
            text = ngettext("%(failed)s of %(calls)s call failed (%(share)s)",
                            "%(failed)s of %(calls)s calls failed (%(share)s)", calls)  # fmt: skip
            given = {"failed": words.number(failed), "calls": words.number(calls), "share": words.percent(share)}
            url = table.links.get((line, 2)) or table.links.get((line, 0), "")
            yield Matter(name, text % given, "no" if share >= BAD else "warn", url)


def _ill(scope: Scope, user: User) -> Iterator[Matter]:
    """Yield what of the health board needs attention: of the bus, the scope's agency, or its source or backend."""
    if scope.kind not in ("bus", "agency", "source", "backend") or not board.may_open(user):
        return
    for each in attention(user) if scope.kind == "bus" else not_healthy(user):
        if _is_of(scope, each):
            text = capfirst(f"{each.sentence}. {each.advice}" if each.advice else each.sentence)
            yield Matter(each.name, text, board.STATES[each.state][1], each.url or reverse("health_board"))


def _is_of(scope: Scope, finding: Finding) -> bool:
    if scope.kind in ("source", "backend"):
        return finding.url == scope.home
    return scope.kind == "bus" or finding.name.startswith(f"{scope.agency}/")
