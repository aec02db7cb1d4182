"""One run: reads both sides, joins them, and writes the rows of the result."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mantra.gateway.formats.values import TEXT, columns_of, text_column
from mantra.reconciliation import pairs, reading
from mantra.reconciliation.engine import ASIDE_LEFT, ASIDE_RIGHT, WITHOUT_KEY, Compared, Counts, join
from mantra.reconciliation.models import Side
from mantra.reconciliation.pairs import Column, Pair
from mantra.reconciliation.reading import ReadingError
from mantra.reconciliation.results import ResultFiles
from mantra.reconciliation.spill import Spill, TooLarge

#: Characters of a value that are kept. A longer one is kept with a hash: it stays different from others.
LONGEST = 2_000
#: Percent of a run when the left side is read, and when the right one is.
LEFT_READ, RIGHT_READ = 40, 80


@dataclass(slots=True)
class Progress:
    """How far a run is. ``report(step, rows, percent)`` is called often; it ends the run by an exception."""

    report: Callable[[str, int, float], None]
    #: Rows that each side had the last time; 0 if that is not known.
    expected: dict[str, int] = field(default_factory=dict)
    rows: int = 0

    def read(self, place: str, count: int) -> None:
        start, end = (0, LEFT_READ) if place == Side.Place.LEFT else (LEFT_READ, RIGHT_READ)
        expected = self.expected.get(place, 0)
        share = min(1.0, count / expected) if expected else 0.0
        self.report(place, self.rows + count, start + share * (end - start))


class SideError(Exception):
    """A run cannot go on because of one of its sides. ``problem``: a key of problems.PROBLEMS."""

    def __init__(self, problem: str, place: str = "", fault: int | None = None) -> None:
        super().__init__(problem)
        self.problem, self.place, self.fault = problem, place, fault


@dataclass(slots=True)
class _Read:
    """A side that was read."""

    spill: Spill
    columns: list[Column]

    def place(self, name: str) -> int:
        return next(place for place, column in enumerate(self.columns) if column.name == name)

    def type(self, name: str) -> str:
        return self.columns[self.place(name)].type


def run(
    sides: dict[str, Side],
    chosen: Sequence[Pair],
    user: str,
    work: Path,
    results: ResultFiles,
    progress: Progress,
) -> tuple[Counts, dict[str, Any]]:
    """Do a run. Return its counts and the headings of the result. Raises SideError and OSError."""
    counts = Counts()
    with ExitStack() as stack:
        read: dict[str, _Read] = {}
        for place in Side.Place.values:
            folder = work / place
            folder.mkdir(mode=0o700)
            spill = stack.enter_context(closing(Spill(work)))
            try:
                read[place] = _read(sides[place], place, chosen, user, folder, spill, results, counts, progress)
            except ReadingError as error:
                raise SideError(error.problem, place, error.fault) from None
            except TooLarge:
                raise SideError("too-large", place) from None
        left, right = read[Side.Place.LEFT], read[Side.Place.RIGHT]
        keys = [pair for pair in chosen if pair.key]
        fields = [pair for pair in chosen if not pair.key]
        compared = [
            Compared(
                left.place(pair.left),
                right.place(pair.right),
                pairs.difference(pair, left.type(pair.left), right.type(pair.right)),
            )
            for pair in fields
        ]

        def joined(share: float) -> None:
            progress.report("join", progress.rows, RIGHT_READ + share * (100 - RIGHT_READ))

        places = [left.place(pair.left) for pair in keys]
        join(left.spill, right.spill, compared, places, results, counts, joined)
    results.finish()
    headings = {
        "left": [column.name for column in left.columns],
        "right": [column.name for column in right.columns],
        "key": [pair.left for pair in keys],
        "fields": [[pair.left, pair.right] for pair in fields],
    }
    return counts, headings


def _read(
    side: Side,
    place: str,
    chosen: Sequence[Pair],
    user: str,
    folder: Path,
    spill: Spill,
    results: ResultFiles,
    counts: Counts,
    progress: Progress,
) -> _Read:
    """Read a side into its spill file. Raises ReadingError and TooLarge."""
    is_left = place == Side.Place.LEFT
    keys = [(pair.left if is_left else pair.right, pair.rule) for pair in chosen if pair.key]
    wanted = {pair.left if is_left else pair.right for pair in chosen}
    rules, aside = [rule for _name, rule in keys], ASIDE_LEFT if is_left else ASIDE_RIGHT
    columns: list[Column] = []
    places: list[int] = []
    count = empty = 0
    # Closed at once when the run ends: the record of a call ends then, and its connection is free.
    with closing(reading.batches(side, user, folder, lambda: progress.read(place, count))) as batches:
        for columns, rows in batches:
            names = [column.name for column in columns]
            if not rows:
                if not wanted <= set(names):
                    raise ReadingError("columns")
                places = [names.index(name) for name, _rule in keys]
                progress.read(place, count)
                continue
            values = columns_of(rows)
            texts = [
                _shortened(text_column(each, column.type, TEXT)) for each, column in zip(values, columns, strict=True)
            ]
            found = pairs.key_texts([values[at] for at in places], [columns[at].type for at in places], rules)
            kept = []
            for number, (key, row) in enumerate(zip(found, zip(*texts, strict=True), strict=True), start=count + 1):
                if key is None:
                    empty += 1
                    results.add(aside, (WITHOUT_KEY, number, *row))
                else:
                    kept.append((key, number, row))
            count += len(rows)
            spill.add(kept, sum(sum(map(len, filter(None, each))) for each in texts))
            progress.read(place, count)
    spill.finish()
    progress.rows += count
    if is_left:
        counts.left_rows, counts.left_empty = count, empty
    else:
        counts.right_rows, counts.right_empty = count, empty
    return _Read(spill, columns)


def _shortened(texts: Sequence[str | None]) -> Sequence[str | None]:
    """Return texts of a bounded length. Two that differ stay different."""
    if max(map(len, filter(None, texts)), default=0) <= LONGEST:
        return texts
    return [text if text is None or len(text) <= LONGEST else _short(text) for text in texts]


def _short(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{text[:LONGEST]}… [{digest}]"
