"""A page of the statistics as PDF: its tables, with the calls over time as a chart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.http import Http404
from reportlab.platypus import Flowable, KeepTogether

from mantra.exports import pages
from mantra.exports.report import charts, document, look
from mantra.exports.report.look import CELL, SMALL, table, text
from mantra.statistics import words
from mantra.statistics.scopes import Scope
from mantra.statistics.shown import ShownTable, shown
from mantra.statistics.table import Table
from mantra.statistics.tables import tables_of
from registry.exports import ExportError, Work

#: The share of the page's width that the words of a table take, where it has numbers too.
_WORDS = 0.4
#: A table with at most so many rows is not divided between pages.
_TOGETHER = 25


def make(work: Work) -> None:
    """Write a page of the statistics, in the language that is active. Raises ExportError."""
    try:
        scope = pages.scope(work.user, work.parameters)
        period = pages.period(work.parameters)
        tables = tables_of(scope.kind, scope.key, period, work.user)
    except Http404:
        raise ExportError("denied") from None
    work.progress(0, 50)
    document.build(pages.title(work.parameters), _story(scope, pages.days(period), tables), work.output)


def _story(scope: Scope, days: str, tables: list[Table]) -> Iterator[Flowable]:
    yield text(scope.title, look.H1)
    yield text(days)
    for each in tables:
        if each.rows:
            yield from _section(shown(each))


def _section(found: ShownTable) -> Iterator[Flowable]:
    begin: list[Flowable] = [text(found.table.title, look.H2)]
    if found.table.hint and not found.table.heat:  # that of a heat map tells where its cells lead to
        begin.append(text(found.table.hint, SMALL))
    begin += [charts.stacked(chart["data"]) for chart in found.charts if chart["data"]["stacked"]]
    if len(found.rows) <= _TOGETHER:
        yield KeepTogether([*begin, _table(found)])
    else:
        yield KeepTogether(begin)
        yield _table(found)


def _table(found: ShownTable) -> Flowable:
    """Return a table without the columns for which a page of paper has no room."""
    kept = [place for place, column in enumerate(found.table.columns) if not column.minor]
    is_number = [found.table.columns[place].unit in words.NUMBERS for place in kept]
    numbers = sum(is_number)
    rows = [[_cell(row[place].text, right) for place, right in zip(kept, is_number, strict=True)] for row in found.rows]
    heads = [found.headings[place][0] for place in kept]
    return table(heads, rows, _widths(len(kept) - numbers, numbers), numbers)


def _cell(words_: str, right: bool) -> Any:
    return text(words_, look.NUMBER if right else CELL)


def _widths(names: int, numbers: int) -> list[float]:
    """Return the shares of the width: the numbers share what the words leave."""
    if not numbers:
        return [1 / names] * names
    share = max(_WORDS, 1 - 0.14 * numbers) if numbers <= 5 else 0.14
    return [share / names] * names + [(1 - share) / numbers] * numbers
