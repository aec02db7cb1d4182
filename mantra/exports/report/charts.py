"""The charts of the report, drawn as vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reportlab.graphics.charts.barcharts import VerticalBarChart
from reportlab.graphics.charts.legends import Legend
from reportlab.graphics.shapes import Drawing
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.units import mm

from mantra.exports.report.look import ENDED, INK, LINE, WIDTH
from mantra.exports.report.words import number
from registry.statistics.reading import Point

_HEIGHT = 58 * mm
#: The most labels below a chart. Of more, each second or third is written.
MOST_LABELS = 8
#: The names of colours on the pages of the statistics → colours.
_TONES = {**ENDED, "ok": ENDED["answered"], "broken": HexColor("#93c5fd")}


def calls_by_day(days: Sequence[Point], labels: Sequence[str]) -> Drawing:
    """Return bars of the calls of each day, by how they ended. ``labels``: the words for ENDED, in its order."""
    series = [[_count(point, name) for point in days] for name in ENDED]
    return _bars(series, [str(point.start.day) for point in days], labels, list(ENDED.values()))


def stacked(drawn: Mapping[str, Any]) -> Drawing:
    """Return bars of what a stacked chart of a page of the statistics draws."""
    series = [each["values"] for each in drawn["series"]]
    step = -(-len(drawn["labels"]) // MOST_LABELS)
    labels = [label if place % step == 0 else "" for place, label in enumerate(drawn["labels"])]
    colours = [_TONES[each["tone"]] for each in drawn["series"]]
    return _bars(series, labels, [each["label"] for each in drawn["series"]], colours)


def _bars(
    series: Sequence[Sequence[int]], names: Sequence[str], labels: Sequence[str], colours: Sequence[Color]
) -> Drawing:
    """Return bars on top of each other. ``names``: those of the places; ``labels``: those of the series."""
    drawing = Drawing(WIDTH, _HEIGHT)
    chart = VerticalBarChart()
    chart.x, chart.y, chart.width, chart.height = 16 * mm, 8 * mm, WIDTH - 18 * mm, _HEIGHT - 18 * mm
    chart.data = series
    chart.categoryAxis.style = "stacked"
    chart.categoryAxis.categoryNames = list(names)
    chart.categoryAxis.labels.fontSize, chart.categoryAxis.labels.fillColor = 7, INK
    chart.categoryAxis.strokeColor, chart.categoryAxis.visibleTicks = LINE, False
    _style_values(chart, max((sum(place) for place in zip(*series, strict=True)), default=0))
    chart.bars.strokeColor, chart.bars.strokeWidth, chart.groupSpacing = None, 0, 3
    for place, colour in enumerate(colours):
        chart.bars[place].fillColor = colour
    drawing.add(chart)
    drawing.add(_legend(labels, colours))
    return drawing


def _count(point: Point, name: str) -> int:
    """Return the calls of a day that ended in a way. A response that broke off had been answered."""
    return getattr(point.totals, name) + (point.totals.broken if name == "answered" else 0)


def _style_values(chart: VerticalBarChart, highest: int) -> None:
    axis = chart.valueAxis
    axis.valueMin, axis.valueMax, axis.valueStep = 0, *_steps(highest)
    axis.labels.fontSize, axis.labels.fillColor = 7, INK
    axis.labelTextFormat = lambda value: number(value)
    axis.strokeColor, axis.visibleTicks = None, False
    axis.visibleGrid, axis.gridStrokeColor, axis.gridStrokeWidth = True, LINE, 0.4


def _steps(highest: int) -> tuple[int, int]:
    """Return the end of an axis and the distance of its lines: whole numbers, four or five lines."""
    size = 1
    while True:
        for factor in (1, 2, 5):
            step = factor * size
            if step * 5 >= highest:
                return step * max(1, -(-highest // step)), step
        size *= 10


def _legend(labels: Sequence[str], colours: Sequence[Color]) -> Legend:
    legend = Legend()
    legend.x, legend.y, legend.boxAnchor = 16 * mm, _HEIGHT - 1 * mm, "nw"
    legend.alignment, legend.columnMaximum, legend.deltax = "right", 1, 4
    legend.dx = legend.dy = 6
    legend.dxTextSpace, legend.fontName, legend.fontSize, legend.strokeWidth = 4, "Helvetica", 8, 0
    legend.variColumn, legend.autoXPadding = 1, 14
    legend.colorNamePairs = list(zip(colours, labels, strict=True))
    return legend
