"""What a comparison found: counts per operation and kind, each with one example that has no values."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from mantra.legacy_import.comparing_hosts.differences import Difference, Response
from mantra.legacy_import.comparing_hosts.kinds import KINDS, advice_on
from mantra.legacy_import.comparing_hosts.questions import LogFindings

#: Rows of a report. What is left out is counted.
MAX_ROWS = 1_000
#: The new host is slower if it takes so many times as long, and so many seconds longer, over so many responses.
SLOWER_TIMES, SLOWER_SECONDS, SLOWER_RESPONSES = 3.0, 0.25, 3

#: Before the reason in the kind of a row about an operation that is not compared.
NOT_COMPARED = "skipped-"
#: Why an operation is not compared.
SKIPPED: dict[str, Any] = {
    "no-key": _("no key of the old host is known"),
    "writes": _("it changes data"),
    "may-write": _("its upstream may change data; it is compared if it is named"),
    "verification": _("MANTRA 1.99x has no verifications"),
    "no-rows": _("its table has no rows"),
    "no-condition": _("its parameters cannot be filled from its table; take an access log"),
    "no-sample": _("it has no sample request; add one, or take an access log"),
    "source": _("its source does not respond"),
    "broken": _("its definition cannot be run"),
}


@dataclass(slots=True)
class Tally:
    """How often a kind occurs in the responses of an operation, by format, and its first example."""

    count: int = 0
    formats: dict[str, int] = field(default_factory=dict)
    example: Difference | None = None

    def add(self, difference: Difference, format: str) -> None:
        self.count += 1
        if format:
            self.formats[format] = self.formats.get(format, 0) + 1
        self.example = self.example or difference


@dataclass(slots=True)
class OperationResult:
    """The result for one operation, named as agency/service/operation."""

    path: str
    requests: int = 0
    responses: int = 0
    equal: int = 0
    kinds: dict[str, Tally] = field(default_factory=dict)
    #: A word of SKIPPED; "" for one that is compared.
    skipped: str = ""
    old_seconds: list[float] = field(default_factory=list, repr=False)
    new_seconds: list[float] = field(default_factory=list, repr=False)

    def add(self, format: str, old: Response, new: Response, found: Sequence[Difference]) -> None:
        """Count one request in one format."""
        self.responses += 1
        self.equal += not found
        for difference in found:
            self.kinds.setdefault(difference.kind, Tally()).add(difference, format)
        if not old.failure and not new.failure:
            self.old_seconds.append(old.seconds)
            self.new_seconds.append(new.seconds)

    def note_pace(self) -> None:
        """Note if the new host is slower."""
        if len(self.old_seconds) < SLOWER_RESPONSES:
            return
        old, new = median(self.old_seconds), median(self.new_seconds)
        if new > SLOWER_TIMES * old and new > old + SLOWER_SECONDS:
            difference = Difference("slower", "", f"{1000 * old:.0f} ms", f"{1000 * new:.0f} ms")
            self.kinds.setdefault("slower", Tally()).add(difference, "")

    @property
    def is_clean(self) -> bool:
        return all(KINDS[kind].harmless for kind in self.kinds)


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One line of a report: an operation and a kind of difference, or why it is not compared."""

    operation: str
    kind: str
    label: str
    harmless: bool
    count: int = 0
    formats: str = ""
    example: str = ""
    advice: str = ""
    #: The code with which the new host refuses, 0 for none.
    code: int = 0


class Comparison:
    """All results. Threads may add to it at once."""

    def __init__(self) -> None:
        self.operations: dict[str, OperationResult] = {}
        self.log: LogFindings | None = None
        #: The kind that ended it early, because a host responded to nothing more; "" if it came to its end.
        self.stopped = ""
        self._lock = threading.Lock()

    def of(self, path: str) -> OperationResult:
        """Return the result of an operation, a new one the first time."""
        with self._lock:
            return self.operations.setdefault(path, OperationResult(path))

    def add(self, path: str, format: str, old: Response, new: Response, found: Sequence[Difference]) -> None:
        result = self.of(path)
        with self._lock:
            result.add(format, old, new, found)

    def finish(self) -> None:
        """Add what only all responses together, or the logs, can say."""
        for result in self.operations.values():
            result.note_pace()
        for path, calls in (self.log.unknown if self.log is not None else {}).items():
            tally = self.of(path).kinds.setdefault("not-here", Tally())
            tally.count, tally.example = calls, Difference("not-here")

    @property
    def responses(self) -> int:
        return sum(each.responses for each in self.operations.values())

    @property
    def equal(self) -> int:
        return sum(each.equal for each in self.operations.values())

    @property
    def is_clean(self) -> bool:
        """True if something was compared, and all of it is equal or differs in a way that nobody notices."""
        return bool(self.responses) and not self.stopped and all(each.is_clean for each in self.operations.values())

    def rows(self, most: int = MAX_ROWS) -> list[ReportRow]:
        """Return the report's lines: differences, the harmful first, then what is not compared."""
        order = list(KINDS)
        found = [
            (order.index(kind), result.path, _row(result.path, kind, tally))
            for result in self.operations.values()
            for kind, tally in result.kinds.items()
        ]
        rows = [row for _place, _path, row in sorted(found, key=lambda each: each[:2])]
        skipped = sorted((each.skipped, each.path) for each in self.operations.values() if each.skipped)
        rows += [ReportRow(path, f"{NOT_COMPARED}{word}", str(SKIPPED[word]), True) for word, path in skipped]
        return rows[:most]

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        return {
            "clean": self.is_clean,
            "stopped": self.stopped,
            "responses": self.responses,
            "equal": self.equal,
            "log": _of_log(self.log),
            "operations": [_of_operation(each) for _path, each in sorted(self.operations.items())],
        }

    def lines(self, most: int = MAX_ROWS) -> Iterator[str]:
        """Yield the report as text, in the current language."""
        if self.log is not None:
            yield from _lines_of_log(self.log)
        for path, result in sorted(self.operations.items()):
            if result.responses:
                yield gettext("%(operation)s: %(equal)d of %(responses)d responses are equal") % {
                    "operation": path, "equal": result.equal, "responses": result.responses,
                }  # fmt: skip
        rows = self.rows(most + 1)
        for row in rows[:most]:
            yield from _lines_of(row)
        if len(rows) > most:
            yield gettext("Only the first %(most)d lines are shown.") % {"most": most}
        yield self.summary()

    def summary(self) -> str:
        """Return the result in one sentence."""
        return summary(self.responses, self.equal, self.is_clean, self.stopped)


def summary(responses: int, equal: int, is_clean: bool, stopped: str) -> str:
    """Return a result in one sentence."""
    if stopped:
        return gettext("Ended early: %(reason)s.") % {"reason": KINDS[stopped].label}
    if not responses:
        return gettext("Nothing was compared.")
    totals = {"equal": equal, "responses": responses}
    if is_clean:
        return gettext("Clean: %(equal)d of %(responses)d responses are equal, the others in effect.") % totals
    return gettext("Not clean yet: %(equal)d of %(responses)d responses are equal.") % totals


def _row(path: str, kind: str, tally: Tally) -> ReportRow:
    code = tally.example.code if tally.example is not None else 0
    return ReportRow(
        path,
        kind,
        str(KINDS[kind].label),
        KINDS[kind].harmless,
        tally.count,
        ", ".join(f"{format} {count}" for format, count in sorted(tally.formats.items())),
        example_text(tally.example),
        described(kind, code)[1],
        code,
    )


def described(kind: str, code: int = 0) -> tuple[str, str]:
    """Return what a kind of ReportRow is called and what to do about it, in the current language."""
    if kind.startswith(NOT_COMPARED):
        return str(SKIPPED[kind.removeprefix(NOT_COMPARED)]), ""
    return str(KINDS[kind].label), str(advice_on(code) if code else KINDS[kind].advice)


def example_text(example: Difference | None) -> str:
    """Return an example as text: a column's name, types, lengths and codes."""
    if example is None:
        return ""
    sides = f"{example.old or '–'} → {example.new or '–'}" if example.old or example.new else ""
    return ": ".join(part for part in (example.column, sides) if part)


def _lines_of(row: ReportRow) -> Iterator[str]:
    if row.kind.startswith(NOT_COMPARED):
        yield gettext("- %(operation)s: not compared: %(reason)s") % {"operation": row.operation, "reason": row.label}
        return
    mark = "·" if row.harmless else "✗"
    numbers = f"{row.count} ({row.formats})" if row.formats else str(row.count)
    yield f"{mark} {row.operation}: {row.label}: {numbers}"
    yield from (f"    {text}" for text in (row.example, "" if row.harmless else row.advice) if text)


def _lines_of_log(log: LogFindings) -> Iterator[str]:
    counts = log.counts
    yield ngettext("Access log: %(n)d line", "Access log: %(n)d lines", counts.lines) % {"n": counts.lines}
    text = gettext("%(requests)d requests to operations, of them %(posts)d by POST, which cannot be repeated")
    yield "    " + text % {"requests": counts.requests, "posts": counts.posts}
    text = gettext("%(calls)d requests in the folder %(folder)s, which is not in MANTRA_LEGACY_FOLDERS")
    for folder, calls in sorted(counts.other_folders.items()):
        yield "    " + text % {"calls": calls, "folder": folder}


def _of_log(log: LogFindings | None) -> dict[str, Any] | None:
    if log is None:
        return None
    counts = log.counts
    return {
        "lines": counts.lines, "requests": counts.requests, "posts": counts.posts,
        "not_answered": counts.not_answered, "other_folders": counts.other_folders,
    }  # fmt: skip


def _of_operation(result: OperationResult) -> dict[str, Any]:
    kinds = {
        kind: {
            "count": tally.count, "formats": tally.formats, "harmless": KINDS[kind].harmless,
            "example": example_text(tally.example),
        }
        for kind, tally in result.kinds.items()
    }  # fmt: skip
    return {
        "operation": result.path, "requests": result.requests, "responses": result.responses,
        "equal": result.equal, "skipped": result.skipped, "kinds": kinds,
    }  # fmt: skip
