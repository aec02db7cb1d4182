"""The tables over all calls of a page: the summary, how calls ended, and when they came."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from mantra.statistics import links, words
from mantra.statistics.page import Page
from mantra.statistics.table import MOST, Chart, Column, Links, Rows, Table
from registry import outcome_words
from registry.outcomes import OK


def summary(page: Page) -> Table:
    columns = (Column(_("Number")), Column(_("Period"), "figure"), Column(_("Period before"), "figure"))
    rows = [(str(each.full_title), each.value, each.before) for each in page.figures]
    return Table("summary", _("Summary"), columns, rows)


#: How a call ended → (its name, the colour, the outcome by which the history is filtered).
ENDED: dict[str, tuple[Any, str, str]] = {
    "answered": (_("Succeeded"), "ok", "ok"),
    "refused": (_("Refused: the caller must act"), "refused", "refused"),
    "failed": (_("Failed: the providing agency must act"), "failed", "failed"),
    "bus": (_("Failed in MANTRA: the operator must act"), "bus", "bus"),
    "aborted": (_("Aborted: the caller hung up, or read too slowly"), "broken", "broken"),
}


def ended(page: Page) -> Table:
    totals = page.reading.totals
    rows: Rows = []
    linked: Links = {}
    for name, (title, _tone, outcome) in ENDED.items():
        count = totals.broken if name == "aborted" else getattr(totals, name)
        linked[len(rows), 0] = links.history(page.scope.filters, page.period, outcome_is=outcome) if count else ""
        rows.append((str(title), count, share(count, totals.calls)))
    columns = (Column(_("Outcome")), Column(_("Calls"), "number", bar=True), Column(_("Share"), "percent"))
    chart = Chart(_("How calls ended"), "doughnut", ((1, "ended"),))
    return Table("ended", _("How calls ended"), columns, rows, linked, (chart,))


def share(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def outcomes(page: Page) -> Table:
    """The outcomes by their sentence, with the party that must act."""
    calls = page.reading.totals.calls
    rows: Rows = []
    linked: Links = {}
    for each in page.reading.outcomes[:MOST]:
        outcome = ENDED[each.ended][2] if each.code == OK else str(each.code)
        linked[len(rows), 0] = links.history(page.scope.filters, page.period, outcome_is=outcome)
        party = str(PARTIES[each.ended])
        rows.append((sentence(each.code, each.ended), each.code, party, each.calls, share(each.calls, calls)))
    columns = (
        Column(_("Outcome")), Column(_("Code"), "code", minor=True), Column(_("Who must act"), minor=True),
        Column(_("Calls"), "number", bar=True), Column(_("Share"), "percent"),
    )  # fmt: skip
    return Table("outcomes", _("Outcomes in words"), columns, rows, linked)


def sentence(code: int, ended: str) -> str:
    """Return what an outcome means. An answered call may have ended otherwise than by a fault."""
    return outcome_words.title(code) if code != OK else str(_ANSWERED[ended])


#: The meaning of a call that was answered, by how it ended.
_ANSWERED = {
    "answered": _("Succeeded"), "aborted": _("Aborted: the caller hung up, or read too slowly"),
    "failed": _("The upstream itself responded with an error (5xx)"),
}  # fmt: skip
#: How a call ended → who must act.
PARTIES = {
    "answered": words.NOTHING, "refused": _("caller"), "failed": _("provider"), "bus": _("operator of MANTRA"),
    "aborted": _("caller"),
}  # fmt: skip


def over_time(page: Page) -> Table:
    step = page.reading.step
    rows: Rows = []
    linked: Links = {}
    for point in page.reading.points:
        one = point.totals
        linked[len(rows), 0] = links.at(page.scope.filters, point.start, step) if one.calls else ""
        counts = (one.calls, one.answered, one.refused, one.failed, one.bus, one.broken)
        rows.append((point.start, *counts, one.p50_ms, one.p95_ms, one.p99_ms))
    counted = (_("Calls"), _("Succeeded"), _("Refused"), _("Failed (provider)"), _("Failed (bus)"), _("Aborted"))
    columns = (
        Column(_STEPS[step], step), *(Column(title, "number") for title in counted),
        Column(_("Half within"), "ms"), Column(_("95 of 100 within"), "ms"), Column(_("99 of 100 within"), "ms"),
    )  # fmt: skip
    return Table("time", _("Over time"), columns, rows, linked, _OVER_TIME)


_STEPS = {"hour": _("Hour"), "day": _("Day"), "month": _("Month")}
_OVER_TIME = (
    Chart(_("Calls"), "line", ((2, "ok"), (3, "refused"), (4, "failed"), (5, "bus"), (6, "broken")), stacked=True),
    Chart(_("Duration"), "line", ((7, "low"), (8, "middle"), (9, "high"))),
)


def hours(page: Page) -> Table:
    """Calls by hour of the day and by weekday, on average the pattern of a week."""
    found = page.reading.hours
    rows: Rows = []
    linked: Links = {}
    for hour in range(24):
        for weekday in range(7):
            if found.get((weekday, hour)):
                linked[hour, 1 + weekday] = links.latest(page.scope.filters, page.period, weekday, hour)
        rows.append((hour, *(found.get((weekday, hour), 0) for weekday in range(7))))
    columns = (Column(_("Hour"), "hour_of_day"), *(Column(words.weekday(day), "number") for day in range(7)))
    hint = _("A cell leads to the calls of the last such hour.") if any(linked.values()) else ""
    return Table("hours", _("When it is called: hour and weekday"), columns, rows, linked, hint=hint, heat=True)
