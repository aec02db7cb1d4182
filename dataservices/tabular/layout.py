"""The layout of a sheet: titles above, the header in one or more lines, the data, totals and remarks below."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

from dataservices.tabular import kinds
from dataservices.tabular.shapes import Bounds, Cell, Layout, Refused
from dataservices.tabular.workbooks import Grid, Merge

#: Rows among which the header is looked for; lines that it may have; rows at the end that may be no data.
HEAD_ROWS, HEADER_LINES, LAST_ROWS = 60, 4, 8

_LAST = re.compile(
    r"(?:(?:grand|sub)[ -]?)?(?:total|jumlah|jml)\b|\*"
    r"|(?:rata-rata|sumber|catatan|keterangan|mengetahui|dicetak|note|source)\b",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"\(?(\d{1,3})\)?")

#: A row with its number in the sheet, from 1.
Numbered = tuple[int, list[Cell]]


@dataclass(slots=True)
class Reading:
    """A sheet as it is read: the header first, then the rows of data by iterating over ``rows``.

    The counts and ``last`` are complete when ``rows`` has ended. ``last`` has the rows at the end that are no data.
    """

    layout: Layout
    headers: list[str]
    titles: list[str]
    rows: Iterator[Numbered]
    last: list[Numbered] = field(default_factory=list)
    blank: int = 0
    filled_down: int = 0
    numbering: bool = False
    grouped: bool = False


def read(grid: Grid, wanted: Layout, bounds: Bounds) -> Reading:
    """Begin to read a sheet in the ``wanted`` layout, or in the one that it seems to have. Raises Refused."""
    rows = iter(grid.rows)
    head = list(islice(rows, HEAD_ROWS if wanted.header_row is None else wanted.header_row + HEADER_LINES + 1))
    layout = wanted if wanted.header_row is not None else _layout_of(head, grid.merges, wanted.skip_last)
    begin = layout.header_row + layout.header_lines if layout.header_row else 1
    reading = Reading(layout, _headers(head, layout, grid.merges), _titles(head, layout), iter(()))
    if layout.header_row and begin <= len(head) and _is_numbering(head[begin - 1]):
        reading.numbering, begin = True, begin + 1
    reading.grouped = layout.header_lines > 1
    numbered = enumerate(chain(head[begin - 1 :], rows), start=begin)
    reading.rows = _data(numbered, grid.merges, reading, bounds)
    return reading


# ------------------------------------------------------------------------------------------ the header


def _layout_of(head: list[list[Cell]], merges: list[Merge], skip_last: int | None) -> Layout:
    """Return the layout with the first row that looks like a header; header_row 0 if none does."""
    width = max((_count(row) for row in head), default=0)
    if width == 0:
        raise Refused("empty-sheet")
    for number, row in enumerate(head, start=1):
        if _is_header(_spread(row, number, merges), width):
            return Layout(number, _lines_of(head, number, merges), skip_last)
        if _count(row) >= width:
            break  # the first row of data
    return Layout(0, 0, skip_last)


def _count(row: list[Cell]) -> int:
    return sum(cell is not None for cell in row)


def _is_header(row: list[Cell], width: int) -> bool:
    """Return True for a row with different texts above most of the columns."""
    cells = [cell for cell in row if cell is not None]
    words = [cell for cell in cells if _is_word(cell)]
    return (
        len(cells) >= max(min(width, 2), (width + 1) // 2)
        and len(words) * 5 >= len(cells) * 4
        and len(set(words)) >= min(len(cells), 2)
    )


def _is_word(cell: Cell) -> bool:
    # "No" heads the numbers of rows, and is English for "tidak".
    return isinstance(cell, str) and not kinds.fits(cell) & ~kinds.FITS["boolean"]


def _spread(row: list[Cell], number: int, merges: list[Merge]) -> list[Cell]:
    """Return a row with the text of a merged cell in each of its columns."""
    result = list(row)
    for first, last, left, right in merges:
        if first <= number <= last and first == number and left < len(result):
            for index in range(left, min(right + 1, len(result))):
                result[index] = row[left] if result[index] is None else result[index]
    return result


def _lines_of(head: list[list[Cell]], number: int, merges: list[Merge]) -> int:
    """Return how many lines the header has: as many as its merged cells, and one below cells over several columns."""
    lines = 1
    for first, last, left, right in merges:
        if first == number:
            lines = max(lines, last - first + 1, (last - first + 2) if right > left else 1)
    lines = min(lines, HEADER_LINES, max(len(head) - number + 1, 1))
    below = head[number : number + lines - 1]
    return lines if all(_has_words(row) for row in below) else 1


def _has_words(row: list[Cell]) -> bool:
    cells = [cell for cell in row if cell is not None]
    return all(_is_word(cell) for cell in cells)


def _headers(head: list[list[Cell]], layout: Layout, merges: list[Merge]) -> list[str]:
    """Return the header of each column, "" where there is none; several lines are joined."""
    if not layout.header_row:
        return []
    numbers = range(layout.header_row, layout.header_row + max(layout.header_lines, 1))
    if numbers[-1] > len(head):
        raise Refused("no-header", row=layout.header_row)
    lines = [_spread(head[number - 1], number, merges) for number in numbers]
    width = max(map(len, lines))
    columns = ([kinds.as_text(line[index]) for line in lines if _has(line, index)] for index in range(width))
    return [" ".join(dict.fromkeys(" ".join(part.split()) for part in parts)) for parts in columns]


def _has(line: list[Cell], index: int) -> bool:
    return index < len(line) and line[index] is not None


def _titles(head: list[list[Cell]], layout: Layout) -> list[str]:
    above = head[: max((layout.header_row or 0) - 1, 0)]
    lines = (" ".join(kinds.as_text(cell) for cell in row if cell is not None) for row in above)
    return [line[:200] for line in lines if line][:10]


def _is_numbering(row: list[Cell]) -> bool:
    """Return True for a line below the header that numbers the columns: (1) (2) (3)."""
    found = [_NUMBERED.fullmatch(kinds.as_text(cell)) for cell in row if cell is not None]
    return len(found) > 2 and [match and int(match[1]) for match in found] == list(range(1, len(found) + 1))


# -------------------------------------------------------------------------------------------- the data


def _data(rows: Iterable[Numbered], merges: list[Merge], reading: Reading, bounds: Bounds) -> Iterator[Numbered]:
    """Yield the rows of data. Raises Refused for more than there may be."""
    pending: deque[Numbered] = deque()
    keep = LAST_ROWS if reading.layout.skip_last is None else reading.layout.skip_last
    count = 0
    for number, row in _filled_down(rows, merges, reading):
        if not _count(row):
            reading.blank += 1
            continue
        count += 1
        if count > bounds.rows + keep:
            raise Refused("rows", most=bounds.rows)
        pending.append((number, row))
        if len(pending) > keep:
            yield pending.popleft()
    skip = _last_of(pending) if reading.layout.skip_last is None else len(pending)
    if count - skip > bounds.rows:
        raise Refused("rows", most=bounds.rows)
    kept = list(pending)
    reading.last = kept[len(kept) - skip :]
    yield from kept[: len(kept) - skip]


def _last_of(rows: Iterable[Numbered]) -> int:
    """Return how many of the rows at the end are totals and remarks, and signatures below them."""
    numbered = list(rows)
    for place, (_number, row) in enumerate(numbered):
        first = next(cell for cell in row if cell is not None)
        if isinstance(first, str) and _LAST.match(first):
            return len(numbered) - place
    return 0


def _filled_down(rows: Iterable[Numbered], merges: list[Merge], reading: Reading) -> Iterator[Numbered]:
    """Yield the rows with the value of cells that are merged downwards in each of their rows."""
    waiting = deque(merge for merge in merges if merge[2] == merge[3] and merge[1] > merge[0])
    active: list[tuple[int, int, Cell]] = []
    for number, row in rows:
        active = [each for each in active if each[0] >= number]
        for _last, index, value in active:
            if index < len(row) and row[index] is None:
                row[index] = value
        while waiting and waiting[0][0] <= number:
            first, last, index, _right = waiting.popleft()
            if first == number and index < len(row) and row[index] is not None:
                active.append((last, index, row[index]))
                reading.filled_down += 1
        yield number, row
