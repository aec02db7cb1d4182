"""The letter as PDF. Only the worker imports this module: its library is large."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _
from reportlab.platypus import Flowable, KeepTogether

from mantra.exports.report import document, look
from mantra.exports.report.look import SMALL, table, text, two_lines
from mantra.subject_access import answers, words
from mantra.subject_access.answers import Answer, Entry
from registry import moments
from registry.exports import ExportError, Work


def make(work: Work) -> None:
    """Write the letter, in the language that is active. Raises ExportError."""
    if not answers.may_look(work.user):
        raise ExportError("denied")
    answer = answers.by_hashes(work.user, work.parameters["hashes"], work.parameters["subject"])
    work.progress(len(answer.entries), 50)
    document.build(words.TITLE % {"person": answer.subject}, _story(answer), work.output)


def _story(answer: Answer) -> Iterator[Flowable]:
    yield text(words.HEADING, look.H1)
    for line in words.opening(answer):
        yield text(line)
    if answer.entries:
        yield table(words.HEADS, [_row(entry) for entry in answer.entries], (0.13, 0.24, 0.27, 0.2, 0.16), 0)
    if answer.more:
        yield text(words.MORE % {"number": len(answer.entries)}, SMALL)
    yield KeepTogether([text(_("What this list can and cannot say"), look.H2), *_notes()])


def _notes() -> list[Flowable]:
    return [text(note, SMALL) for note in words.notes()]


def _row(entry: Entry) -> list[object]:
    return [
        moments.moment(entry.at),
        two_lines(words.who(entry), entry.what),
        two_lines(entry.terms.purpose or words.UNKNOWN, words.basis(entry)),
        two_lines(entry.operation or entry.address, entry.agency),
        two_lines(entry.given, ", ".join(entry.fields)),
    ]
