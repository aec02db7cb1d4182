"""Results in chunks: how many rows one fetch may ask for, so that no response is in memory as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from adapters.base import Limits, Row, RowTooLarge, Stream

#: Rows in a batch. Large enough to make the per-batch cost vanish.
BATCH = 500

#: Bytes that one fetch may bring, judged by the width of the rows before it.
CHUNK_BYTES = 4 * 1024 * 1024

#: Seconds for which a fetch may go on whose rows are not needed any more.
_ABANDONED = 0.2


class BufferedResult(Stream):
    """A result that is completely in memory."""

    def __init__(
        self, columns: tuple[tuple[str, str | None], ...] = (), rows: Sequence[Row] = (), affected: int = -1
    ) -> None:
        self.columns = columns
        self.affected = affected
        self.whole = len(rows) <= BATCH
        self._rows = rows

    def __iter__(self) -> Iterator[list[Row]]:
        rows = self._rows
        if 0 < len(rows) <= BATCH:
            yield rows if isinstance(rows, list) else list(rows)
            return
        for start in range(0, len(rows), BATCH):
            yield list(rows[start : start + BATCH])


class ChunkedResult(Stream):
    """A result larger than a batch, fetched in chunks. The width of the rows so far decides how many come at once.

    Subclasses implement how a chunk is fetched and what has to be closed.
    """

    #: Rows fetched at once at most.
    max_fetch = BATCH

    def __init__(self, columns: tuple[tuple[str, str | None], ...], first: Chunk, limits: Limits) -> None:
        self.columns = columns
        self._limits = limits
        self._first = first.rows
        self._widest = first.widest
        self._remaining = limits.rows + 1 - len(first.rows)

    def _prefetch(self, count: int) -> None:
        """Called before the rows at hand are yielded: a subclass may begin to fetch the next ``count`` meanwhile."""

    def _fetch(self, count: int) -> list[Row]:
        """Return the next rows, at most ``count``; fewer only at the end. Closes the statement when it fails."""
        raise NotImplementedError

    def _give_up(self) -> None:
        """Close the connection: it cannot be used again."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[list[Row]]:
        rows, self._first = self._first, []
        while rows:
            count = min(self._remaining, rows_that_fit(self._widest, self.max_fetch))
            if count > 0:
                self._prefetch(count)
            for start in range(0, len(rows), BATCH):
                yield rows[start : start + BATCH]
            rows = self._next(count) if count > 0 else []
        self.close()

    def _next(self, count: int) -> list[Row]:
        rows = self._fetch(count)
        self._remaining = self._remaining - len(rows) if len(rows) == count else 0
        try:
            self._widest = max(self._widest, widest_row(rows, self._limits))
        except RowTooLarge:
            self._give_up()
            raise
        return rows


class Prefetcher:
    """Runs one fetch while the rows before it are written, in a thread that a large result has for itself.

    The server then works at the same time as the bus, not in turns with it.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "prefetch")
        self._running: Future[None] | None = None

    def begin(self, fetch: Callable[[int], None], count: int) -> None:
        """Begin to fetch ``count`` rows; do nothing if no thread can be had."""
        with suppress(RuntimeError):  # the rows are fetched when they are needed
            self._running = self._thread.submit(fetch, count)

    def wait(self) -> bool:
        """Return True if a fetch was begun, after its end; raises what it raised."""
        running, self._running = self._running, None
        if running is None:
            return False
        running.result()
        return True

    def end(self, hasten: Callable[[], object]) -> bool:
        """End the thread. Return False if the fetch under way failed or had to be hastened, by ``hasten``."""
        running, self._running = self._running, None
        self._thread.shutdown(wait=False)
        if running is None:
            return True
        try:
            return running.exception(_ABANDONED) is None
        except TimeoutError:
            hasten()
            running.exception()
            return False


@dataclass(slots=True)
class Chunk:
    """Fetched rows, the width of the widest of them, and whether the result has ended."""

    rows: list[Row]
    widest: int
    ended: bool


def fetch_first(fetch: Callable[[int], list[Row]], count: int, limits: Limits, known: int | None = None) -> Chunk:
    """Fetch the first ``count`` rows, or fewer when they are wide. Raises RowTooLarge.

    ``fetch`` returns fewer rows than requested only at the end. ``known`` is the width of this statement's rows in
    earlier runs; without it the first row is fetched alone.
    """
    chunk = Chunk([], known or 0, False)
    step = 1 if known is None else rows_that_fit(known, count)
    while True:
        step = min(step, count - len(chunk.rows))
        rows = fetch(step)
        chunk.rows = chunk.rows + rows if chunk.rows else rows
        chunk.widest = max(chunk.widest, widest_row(rows, limits))
        if len(rows) < step:
            chunk.ended = True
            return chunk
        remaining = rows_that_fit(chunk.widest, count) - len(chunk.rows)
        if len(chunk.rows) >= count or remaining <= 0:
            return chunk
        # The next rows may be much wider than these: fetch only some of them at first.
        step = min(remaining, 16 * step)


def widest_row(rows: Sequence[Row], limits: Limits) -> int:
    """Return the width of the widest of some of these rows, in bytes or characters. Raises RowTooLarge."""
    widest = 0
    for row in rows[:: len(rows) // 8 + 1]:
        size = sum([len(value) for value in row if value.__class__ is str or value.__class__ is bytes])
        if size > widest:
            widest = size
    if widest > limits.width:
        raise RowTooLarge
    return widest


def rows_that_fit(width: int, limit: int) -> int:
    """Return how many rows of a width may be fetched at once: at least one."""
    return min(limit, CHUNK_BYTES // width or 1) if width else limit
