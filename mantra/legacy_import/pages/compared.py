"""What the page of a comparison shows: how far it is, its numbers beside the former ones, and what differs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from mantra.legacy_import.comparing_hosts import comparison as comparing
from mantra.legacy_import.comparing_hosts.kinds import KINDS
from mantra.legacy_import.comparing_hosts.results import NOT_COMPARED, SKIPPED, described, summary
from mantra.legacy_import.models import ComparedOperation, HostComparison
from mantra.legacy_import.pages import inputs, problems
from mantra.legacy_import.pages.inputs import Progress
from mantra.legacy_import.pages.report import STATE_COLOURS, State
from registry.models import Operation
from registry.pages import address

#: All kinds of lines, in the order of the report.
_ORDER = (*KINDS, *(f"{NOT_COMPARED}{word}" for word in SKIPPED))


@dataclass(frozen=True, slots=True)
class Line:
    """A comparison in a list."""

    comparison: HostComparison

    @property
    def colour(self) -> str:
        if self.comparison.state != State.DONE:
            return STATE_COLOURS[State(self.comparison.state)]
        return "yes" if self.comparison.is_clean else "warn"

    @property
    def problem(self) -> str:
        return problems.sentence_about(self.comparison)

    @property
    def summary(self) -> str:
        """The result in one sentence; "" for one that has none."""
        one = self.comparison
        return summary(one.responses, one.equal, one.is_clean, one.stopped) if one.state == State.DONE else ""


@dataclass(frozen=True, slots=True)
class Shown:
    """How far a comparison is."""

    title: str
    percent: int
    done: int = 0
    total: int = 0


def progress(comparison: HostComparison) -> Shown:
    """Return how far a comparison is."""
    if comparison.state == State.WAITING:
        return Shown(_("Waiting for the worker, which compares within seconds."), 0)
    found = inputs.progress_of(comparison.mark) or Progress("")
    percent = min(100, round(100 * found.done / found.total)) if found.total else 0
    titles = {
        comparing.LOG: _("The access log is read."),
        comparing.ROWS: _("Requests are made from first rows of the tables."),
        comparing.SENDING: _("The same requests are sent to both hosts."),
    }
    return Shown(titles.get(found.step, _("The comparison begins.")), percent, found.done, found.total)


@dataclass(frozen=True, slots=True)
class KindLine:
    """How often a kind occurs, and how often it did in the former comparison; None without one.

    ``compared``: False for a reason not to compare an operation, which says nothing of what its callers will get.
    """

    kind: str
    label: str
    compared: bool
    harmless: bool
    number: int
    before: int | None


def kinds(comparison: HostComparison, former: HostComparison | None) -> list[KindLine]:
    """Return the kinds that a comparison or the former one has, what stops callers first."""
    now, before = comparison.kinds, former.kinds if former is not None else {}
    return [
        KindLine(
            kind, described(kind)[0], kind in KINDS, kind in KINDS and KINDS[kind].harmless, now.get(kind, 0),
            before.get(kind, 0) if former is not None else None,
        )
        for kind in _ORDER if kind in now or kind in before
    ]  # fmt: skip


def label_of(kind: str) -> str:
    """Return what a kind is called."""
    label = described(kind)[0]
    return _("not compared: %(reason)s") % {"reason": label} if kind.startswith(NOT_COMPARED) else label


def known(kind: str) -> str:
    """Return a kind that there is; "" for another text."""
    return kind if kind in _ORDER else ""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the result: what differs, where the operation is, and what to do."""

    line: ComparedOperation
    url: str
    label: str
    advice: str

    @property
    def colour(self) -> str:
        return "mute" if self.line.harmless else "no"


def rows(comparison: HostComparison, kind: str) -> QuerySet[ComparedOperation]:
    """Return the lines of a comparison; with a kind, those of it."""
    return comparison.lines.filter(kind=kind) if kind else comparison.lines.all()


def shown(lines: Iterable[ComparedOperation]) -> list[Row]:
    """Return lines as the page shows them. What is not here, or not any more, has no address."""
    lines = list(lines)
    there = set(Operation.objects.filter(pk__in={line.ref for line in lines if line.ref}).values_list("pk", flat=True))
    return [
        Row(
            line, address("admin:registry_operation_change", line.ref) if line.ref in there else "",
            label_of(line.kind), described(line.kind, line.code)[1],
        )
        for line in lines
    ]  # fmt: skip
