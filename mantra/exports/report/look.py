"""How the report looks: its colours, its styles of text and its tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reportlab.lib.colors import HexColor, white
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Paragraph, Table

from mantra.exports.report.words import plain

PAGE, MARGIN = A4, 18 * mm
WIDTH = PAGE[0] - 2 * MARGIN
#: What reportlab keeps free on each side of a frame.
PADDING = 6
NAVY, INK, QUIET, LINE, PALE = (HexColor(code) for code in ("#1e3a8a", "#111827", "#4b5563", "#d1d5db", "#f3f4f6"))
#: How calls ended → the colour of its bars. They differ in lightness too, for a print in black and white.
ENDED = {
    "answered": HexColor("#1d4ed8"), "refused": HexColor("#f59e0b"), "failed": HexColor("#b91c1c"),
    "bus": HexColor("#6b7280"),
}  # fmt: skip


def _style(name: str, size: float, **more: Any) -> ParagraphStyle:
    return ParagraphStyle(name, **{"fontName": "Helvetica", "fontSize": size, "leading": size * 1.35, "textColor": INK,
                                   **more})  # fmt: skip


TEXT = _style("text", 9.5, spaceAfter=4)
SMALL = _style("small", 8, textColor=QUIET)
CELL = _style("cell", 8.5)
NUMBER = _style("number", 8.5, alignment=TA_RIGHT)
HEAD = _style("head", 8, fontName="Helvetica-Bold", textColor=QUIET)
NUMBER_HEAD = _style("number head", 8, fontName="Helvetica-Bold", textColor=QUIET, alignment=TA_RIGHT)
H1 = _style("h1", 15, fontName="Helvetica-Bold", textColor=NAVY, spaceBefore=10, spaceAfter=6, keepWithNext=1)
H2 = _style("h2", 11, fontName="Helvetica-Bold", spaceBefore=12, spaceAfter=4, keepWithNext=1)
VALUE = _style("value", 17, fontName="Helvetica-Bold", textColor=NAVY, leading=21)
ON_NAVY = _style("on navy", 10, textColor=white)
COVER_TITLE = _style("cover title", 26, fontName="Helvetica-Bold", textColor=white, leading=32)
COVER_AGENCY = _style("cover agency", 15, textColor=white, leading=20)


def text(words: object, style: ParagraphStyle = TEXT) -> Paragraph:
    """Return a paragraph of a text that has no mark-up of its own."""
    return Paragraph(plain(words), style)


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]], widths: Sequence[float], numbers: int) -> Table:
    """Return a table whose last columns are numbers. ``widths``: shares of the page's width. Heads are repeated."""
    words = len(heads) - numbers
    lines = [[text(head, HEAD if place < words else NUMBER_HEAD) for place, head in enumerate(heads)]]
    lines += [[_cell(value, place < words) for place, value in enumerate(row)] for row in rows]
    made = Table(lines, [share * WIDTH for share in widths], repeatRows=1)
    made.setStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, 0), 0.8, QUIET),
            ("LINEBELOW", (0, 1), (-1, -1), 0.4, LINE),
            ("TOPPADDING", (0, 0), (-1, -1), 2.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
            ("LEFTPADDING", (0, 0), (-1, -1), 3),
            ("RIGHTPADDING", (0, 0), (-1, -1), 3),
        ]
    )
    return made


def _cell(value: Any, is_text: bool) -> Any:
    return text(value, CELL if is_text else NUMBER) if isinstance(value, str) else value


def two_lines(first: str, second: str) -> Paragraph:
    """Return a cell with a name, and below it what it is exactly."""
    quiet = f'<font size="7" color="#4b5563">{plain(second)}</font>'
    return Paragraph(f"{plain(first)}<br/>{quiet}" if first and first != second else plain(second), CELL)
