"""The pages of the report, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table

from mantra.exports.report import charts, look, words
from mantra.exports.report.figures import SOON, Figures, Side
from mantra.exports.report.look import CELL, PALE, SMALL, VALUE, WIDTH, table, text, two_lines
from mantra.statistics.overall import PARTIES, sentence
from mantra.statistics.words import NOTHING
from registry.exports.kinds import Output
from registry.models import Field
from registry.moments import month
from registry.statistics.reading import Ranked

#: Height of the coloured part of the first page.
_BAND = 72 * mm


def write(figures: Figures, output: Output) -> None:
    """Write the report as PDF."""
    title = _("Monthly report of %(agency)s, %(month)s") % _names(figures)
    build(title, _story(figures), output, partial(_cover, figures))


def build(
    title: str, story: Iterable[Flowable], output: Output, cover: Callable[..., None] = lambda *_page: None
) -> None:
    """Write a document with numbered pages. ``cover`` draws what is below the text of the first page."""
    document = SimpleDocTemplate(
        output, pagesize=look.PAGE, leftMargin=look.MARGIN - look.PADDING, rightMargin=look.MARGIN - look.PADDING,
        topMargin=16 * mm, bottomMargin=20 * mm, title=title, author="MANTRA", subject=title,
        lang=get_language() or "id",
    )  # fmt: skip
    document.build(list(story), onFirstPage=cover, canvasmaker=partial(_Numbered, title))


def _names(figures: Figures) -> dict[str, str]:
    return {"agency": str(figures.agency), "month": month(figures.month)}


class _Numbered(Canvas):  # type: ignore[misc]
    """A canvas that writes the number of each page, and how many there are, when all are known."""

    def __init__(self, title: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._title = title
        self._pages: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802 (reportlab's name)
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for number, page in enumerate(self._pages, 1):
            self.__dict__.update(page)
            self._foot(number)
            super().showPage()
        super().save()

    def _foot(self, number: int) -> None:
        self.setFont("Helvetica", 7.5)
        self.setFillColor(look.QUIET)
        self.drawString(look.MARGIN, 11 * mm, _fitting(self, f"MANTRA · {words.printable(self._title)}"))
        counted = _("Page %(number)d of %(all)d") % {"number": number, "all": len(self._pages)}
        self.drawRightString(look.PAGE[0] - look.MARGIN, 11 * mm, counted)


def _fitting(canvas: Canvas, words_: str) -> str:
    """Return a text that leaves room for the number of the page."""
    while words_ and canvas.stringWidth(words_, "Helvetica", 7.5) > WIDTH - 30 * mm:
        words_ = words_[:-2].rstrip("…") + "…"
    return words_


# ------------------------------------------------------------------------------------------- first page


def _cover(figures: Figures, canvas: Canvas, document: SimpleDocTemplate) -> None:
    """Draw the coloured part of the first page, with what the report is of."""
    width, height = look.PAGE
    canvas.saveState()
    canvas.setFillColor(look.NAVY)
    canvas.rect(0, height - _BAND, width, _BAND, stroke=0, fill=1)
    canvas.restoreState()
    top = height - 16 * mm
    made = _("Made on %(day)s by MANTRA") % {"day": words.day(figures.made_on)}
    for line, style in (
        (_("Monthly report"), look.ON_NAVY),
        (month(figures.month), look.COVER_TITLE),
        (_short(str(figures.agency)), look.COVER_AGENCY),
        (made, look.ON_NAVY),
    ):
        paragraph = text(line, style)
        _width, used = paragraph.wrap(WIDTH, _BAND)
        top -= used + 2 * mm
        paragraph.drawOn(canvas, look.MARGIN, top)


def _short(name: str) -> str:
    """Return a name that fits two lines of the first page."""
    return name if len(name) <= 110 else f"{name[:109]}…"


def _story(figures: Figures) -> Iterator[Flowable]:
    yield Spacer(1, _BAND - 10 * mm)
    yield from _summary(figures)
    yield from _offered(figures)
    yield from _personal_data(figures)
    yield from _called(figures)
    yield from _ending(figures)
    yield from _days(figures)
    yield from _notes(figures)


def _summary(figures: Figures) -> Iterator[Flowable]:
    """Yield the headline numbers, against the month before."""
    yield text(_("At a glance"), look.H1)
    compared = _("Compared with %(month)s.") % {"month": month(figures.before)}
    if figures.offered.is_empty and figures.called.is_empty:
        yield text(_("There were no calls in this month and in the month before."))
        return
    if not figures.offered.is_empty:
        yield text(_("Calls of what the agency offers"), look.H2)
        yield text(f"{_sentence_of_offered(figures)} {compared}")
        yield _tiles(_facts_of_offered(figures.offered))
    if not figures.called.is_empty:
        yield text(_("Calls by the agency's own applications"), look.H2)
        yield text(f"{_sentence_of_called(figures)} {compared}")
        yield _tiles(_facts_of_called(figures.called))


def _sentence_of_offered(figures: Figures) -> str:
    calls = figures.offered.totals.calls
    return ngettext(
        "The agency's operations were called %(calls)s time.", "The agency's operations were called %(calls)s times.",
        calls,
    ) % {"calls": words.number(calls)}  # fmt: skip


def _sentence_of_called(figures: Figures) -> str:
    calls = figures.called.totals.calls
    return ngettext(
        "The agency's applications made %(calls)s call.",
        "The agency's applications made %(calls)s calls.",
        calls,
    ) % {"calls": words.number(calls)}


#: A headline number: what it is, its value, and how it has changed.
Fact = tuple[str, str, str]


def _facts_of_offered(side: Side) -> list[Fact]:
    now, before = side.totals, side.before
    return [
        (_("calls"), words.number(now.calls), words.change(now.calls, before.calls)),
        (_("availability"), words.percent(now.availability, 2), words.points(now.availability, before.availability)),
        (_("failed on the agency's side"), words.number(now.failed), words.change(now.failed, before.failed)),
        (_("refused"), words.number(now.refused), words.change(now.refused, before.refused)),
        (_("half of the calls took at most"), words.milliseconds(now.p50_ms), _in_words(before.p50_ms)),
        (_("95% of the calls took at most"), words.milliseconds(now.p95_ms), _in_words(before.p95_ms)),
        (_("rows that left"), words.number(now.rows), words.change(now.rows, before.rows)),
        (
            _("persons concerned (about)"),
            words.number(side.subjects),
            words.change(side.subjects, side.subjects_before),
        ),
    ]


def _facts_of_called(side: Side) -> list[Fact]:
    now, before = side.totals, side.before
    return [
        (_("calls"), words.number(now.calls), words.change(now.calls, before.calls)),
        (_("refused"), words.number(now.refused), words.change(now.refused, before.refused)),
        (_("failed on the provider's side"), words.number(now.failed), words.change(now.failed, before.failed)),
        (_("95% of the calls took at most"), words.milliseconds(now.p95_ms), _in_words(before.p95_ms)),
    ]


def _in_words(before: float | None) -> str:
    """Return what a duration was."""
    return NOTHING if before is None else _("before: %(value)s") % {"value": words.milliseconds(before)}


def _tiles(facts: Sequence[Fact]) -> Table:
    """Return headline numbers, four in a row."""
    cells = [[text(value, VALUE), text(name, CELL), text(change, SMALL)] for name, value, change in facts]
    rows = [cells[place : place + 4] for place in range(0, len(cells), 4)]
    made = Table(rows, [WIDTH / 4] * 4, spaceBefore=4, spaceAfter=6)
    made.setStyle(
        [
            ("BACKGROUND", (0, 0), (-1, -1), PALE),
            ("INNERGRID", (0, 0), (-1, -1), 4, look.white),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("TOPPADDING", (0, 0), (-1, -1), 6),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 8),
        ]
    )
    return made


# ------------------------------------------------------------------------------------------- sections


def _offered(figures: Figures) -> Iterator[Flowable]:
    side = figures.offered
    if side.is_empty:
        return
    yield text(_("What the agency offers"), look.H1)
    yield from _chart(side, _("Calls of the agency's operations by day"))
    yield from _outcomes(side)
    yield from _operations(figures, _("Operations that were called most"), side.operations)
    yield from _applications(figures, _("Applications that called most"), side.applications)
    yield from _operations(figures, _("Slowest operations"), side.slowest)
    yield from _operations(figures, _("Operations that failed most"), side.failing)


def _called(figures: Figures) -> Iterator[Flowable]:
    side = figures.called
    if side.is_empty:
        return
    yield text(_("What the agency calls"), look.H1)
    yield from _chart(side, _("Calls by the agency's applications by day"))
    yield from _outcomes(side)
    yield from _operations(figures, _("Operations that the agency called most"), side.operations)
    yield from _applications(figures, _("The agency's applications"), side.applications)


def _chart(side: Side, title: str) -> Iterator[Flowable]:
    labels = [_ended(name) for name in look.ENDED]
    yield KeepTogether([text(title, look.H2), charts.calls_by_day(side.days, labels)])


def _ended(how: str) -> str:
    """Return how calls ended, in words."""
    return {
        "answered": _("answered"),
        "refused": _("refused: the caller must act"),
        "failed": _("failed: the provider must act"),
        "bus": _("failed in MANTRA"),
    }[how]


def _outcomes(side: Side) -> Iterator[Flowable]:
    """Yield how the calls ended: the most frequent outcomes, with whose part each is."""
    all_calls = side.totals.calls
    if not all_calls:
        return
    rows = [
        (
            f"{sentence(line.code, line.ended)} ({line.code})",
            str(PARTIES[line.ended]),
            words.number(line.calls),
            words.percent(100 * line.calls / all_calls),
        )
        for line in side.outcomes[:12]
    ]
    heads = (_("outcome"), _("who must act"), _("calls"), _("share"))
    yield text(_("How the calls ended"), look.H2)
    yield table(heads, rows, (0.56, 0.2, 0.13, 0.11), 2)


def _operations(figures: Figures, title: str, lines: Sequence[Ranked]) -> Iterator[Flowable]:
    if not lines:
        return
    rows = [
        (
            _operation(figures, line),
            words.number(line.totals.calls),
            words.percent(line.totals.availability),
            words.milliseconds(line.totals.p50_ms),
            words.milliseconds(line.totals.p95_ms),
        )
        for line in lines
    ]
    heads = (_("operation"), _("calls"), _("availability"), _("half within"), _("95% within"))
    yield text(title, look.H2)
    yield table(heads, rows, (0.48, 0.13, 0.13, 0.13, 0.13), 4)


def _operation(figures: Figures, line: Ranked) -> Paragraph:
    codes = "/".join(line.key)
    return two_lines(figures.operations.get(line.ref or 0, ""), codes or _("an operation that was deleted"))


def _applications(figures: Figures, title: str, lines: Sequence[Ranked]) -> Iterator[Flowable]:
    if not lines:
        return
    rows = [
        (
            two_lines(figures.applications.get(line.key, ""), "/".join(line.key)),
            _agency(figures, line.key[0]),
            words.number(line.totals.calls),
            words.number(line.totals.refused),
            words.number(line.totals.rows),
        )
        for line in lines
    ]
    heads = (_("application"), _("agency"), _("calls"), _("refused"), _("rows"))
    yield text(title, look.H2)
    yield table(heads, rows, (0.32, 0.29, 0.13, 0.13, 0.13), 3)


def _agency(figures: Figures, code: str) -> str:
    return figures.agencies.get(code, code)


def _personal_data(figures: Figures) -> Iterator[Flowable]:
    """Yield which data left, for whom: also if there was none, as that is what a head wants to know."""
    if figures.offered.is_empty:
        return
    yield text(_("Data that left, by agency and classification"), look.H1)
    if not figures.left:
        yield text(_("No classified data left in this month."))
        return
    rows = [
        (
            _agency(figures, line.consumer) if line.consumer else _("callers without a key"),
            _classification(line.classification),
            words.number(line.calls),
            words.number(line.rows),
        )
        for line in figures.left
    ]
    heads = (_("agency"), _("classification"), _("calls"), _("rows"))
    yield table(heads, rows, (0.44, 0.28, 0.14, 0.14), 2)
    yield from _more(figures.more_left)


def _classification(name: str) -> str:
    return str(dict(Field.Classification.choices).get(name, name))


def _more(number: int) -> Iterator[Flowable]:
    if number:
        more = ngettext("%(number)s further line is left out.", "%(number)s further lines are left out.", number)
        yield text(more % {"number": words.number(number)}, SMALL)


def _ending(figures: Figures) -> Iterator[Flowable]:
    yield text(_("Access keys and grants that end within %(days)d days") % {"days": SOON}, look.H1)
    if not figures.ending:
        yield text(_("None ends soon."))
        return
    rows = [(each.what, each.caller, words.day(each.day)) for each in figures.ending]
    yield table((_("operation or access key"), _("application"), _("last day")), rows, (0.5, 0.28, 0.22), 1)
    yield from _more(figures.more_ending)


def _days(figures: Figures) -> Iterator[Flowable]:
    """Yield the numbers behind the charts."""
    sides = [(_("What the agency offers"), figures.offered), (_("What the agency calls"), figures.called)]
    shown = [(title, side) for title, side in sides if not side.is_empty]
    if not shown:
        return
    yield text(_("Numbers by day"), look.H1)
    for title, side in shown:
        rows = [
            (
                words.short_day(point.start),
                *(words.number(getattr(point.totals, name)) for name in ("calls", *look.ENDED)),
                words.milliseconds(point.totals.p95_ms),
            )
            for point in side.days
        ]
        heads = (_("day"), _("calls"), _("answered"), _("refused"), _("failed"), _("failed in MANTRA"), _("95% within"))
        yield text(title, look.H2)
        yield table(heads, rows, (0.16, 0.14, 0.14, 0.14, 0.14, 0.14, 0.14), 6)


def _notes(figures: Figures) -> Iterator[Flowable]:
    notes = (
        _("Calls are counted by REST, SOAP and the interface of MANTRA 1.99x. Trials in the admin are not counted."),
        _("Availability is the share of the calls that were answered, among those that the provider or MANTRA could "
          "answer. Calls that were refused because of the caller count as neither."),
        _("Durations are those of answered calls. They are grouped, so that a value may be some percent too high or "
          "too low."),
        _("The number of persons is estimated, to about 2%. MANTRA keeps no list of them."),
        _("What left is counted by the highest classification of the fields of a response."),
    )  # fmt: skip
    yield KeepTogether([text(_("About these numbers"), look.H2), *(text(note, SMALL) for note in notes)])
