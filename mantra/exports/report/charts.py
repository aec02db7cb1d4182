"""The charts of the report, drawn as vectors."""

from __future__ import annotations

from collections.abc import Sequence

from reportlab.graphics.charts.barcharts import VerticalBarChart
from reportlab.graphics.charts.legends import Legend
from reportlab.graphics.shapes import Drawing
from reportlab.lib.units import mm

from mantra.exports.report.look import ENDED, INK, LINE, WIDTH
from mantra.exports.report.words import number
from registry.statistics.reading import Point

_HEIGHT = 58 * mm


def calls_by_day(days: Sequence[Point], labels: Sequence[str]) -> Drawing:
    """Return bars of the calls of each day, by how they ended. ``labels``: the words for ENDED, in its order."""
    drawing = Drawing(WIDTH, _HEIGHT)
    chart = VerticalBarChart()
    chart.x, chart.y, chart.width, chart.height = 16 * mm, 8 * mm, WIDTH - 18 * mm, _HEIGHT - 18 * mm
    chart.data = [[_count(point, name) for point in days] for name in ENDED]
    chart.categoryAxis.style = "stacked"
    chart.categoryAxis.categoryNames = [str(point.start.day) for point in days]
    chart.categoryAxis.labels.fontSize, chart.categoryAxis.labels.fillColor = 7, INK
    chart.categoryAxis.strokeColor, chart.categoryAxis.visibleTicks = LINE, False
    _style_values(chart, max((point.totals.calls for point in days), default=0))
    chart.bars.strokeColor, chart.bars.strokeWidth, chart.groupSpacing = None, 0, 3
    for place, colour in enumerate(ENDED.values()):
        chart.bars[place].fillColor = colour
    drawing.add(chart)
    drawing.add(_legend(labels))
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


def _legend(labels: Sequence[str]) -> Legend:
    legend = Legend()
    legend.x, legend.y, legend.boxAnchor = 16 * mm, _HEIGHT - 1 * mm, "nw"
    legend.alignment, legend.columnMaximum, legend.deltax = "right", 1, 4
    legend.dx = legend.dy = 6
    legend.dxTextSpace, legend.fontName, legend.fontSize, legend.strokeWidth = 4, "Helvetica", 8, 0
    legend.variColumn, legend.autoXPadding = 1, 14
    legend.colorNamePairs = list(zip(ENDED.values(), labels, strict=True))
    return legend
