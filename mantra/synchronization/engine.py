"""A run of a synchronisation: read, compare, decide, write.

Nothing is written before all that would change is known: the limit of changes is one of the whole run. A run that is
killed while it writes is made again from its start; what was written by then is found unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TypeVar

from mantra.synchronization.models import MAX_SAMPLES, Sync, SyncRun
from mantra.synchronization.problems import Problem
from mantra.synchronization.reading import Page, Reader
from mantra.synchronization.spool import KeySet, Spool
from mantra.synchronization.target import Target
from mantra.synchronization.values import Unfit, as_text
from registry import personal_data
from registry.personal_data import masking
from registry.results import Row

Item = TypeVar("Item")
Step = SyncRun.Step
#: Keys of the table that are looked through without a report.
MAX_UNREPORTED = 500
#: Characters of a value in a sample, and of a sample.
MAX_VALUE, MAX_SAMPLE = 60, 300


@dataclass(slots=True)
class Counts:
    """What a run has found and done so far."""

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    before: int = 0
    written: int = 0

    @property
    def changes(self) -> int:
        return self.inserted + self.updated + self.deleted


@dataclass
class Work:
    """A run. ``report`` is called often; it ends the run by an exception if it was cancelled."""

    sync: Sync
    kind: str
    dry: bool
    unlimited: bool
    now: datetime
    report: Callable[[Work], None]
    #: Stores where the next read of changes begins. What comes before it has been written.
    store_cursor: Callable[[str], None]
    counts: Counts = field(default_factory=Counts)
    step: str = Step.READING
    samples: list[list[str]] = field(default_factory=list)
    request_id: str = ""

    def run(self) -> None:
        """Make the run. Raises Problem, and what ``report`` raises."""
        target = Target(self.sync)
        if not self.dry:
            target.check_rights()
        self.counts.before = target.count()
        with closing(Spool()) as rows, closing(Spool()) as changes:
            self._read(rows)
            with closing(KeySet()) as seen:
                self._compare(target, rows, changes, seen)
                if self.kind == SyncRun.Kind.FULL and target.mark:
                    self._find_missing(target, changes, seen)
            if self.dry:
                return
            self._check_limit()
            self._write(target, changes)

    # ------------------------------------------------------------------------------------- reading

    def _read(self, rows: Spool) -> None:
        """Read the operation to its end first: its time limit does not wait for the table."""
        reader = Reader(self.sync)
        try:
            for page in self._pages(reader):
                self.counts.read += len(page.rows)
                rows.put(page)
                self.report(self)
        finally:
            self.request_id = reader.request_id

    def _pages(self, reader: Reader) -> Iterator[Page]:
        return reader.changes(self.sync.cursor) if self.kind == SyncRun.Kind.CHANGES else reader.full()

    # ----------------------------------------------------------------------------------- comparing

    def _compare(self, target: Target, rows: Spool, changes: Spool, seen: KeySet) -> None:
        self.step = Step.COMPARING
        for page in rows:
            for batch in _parts(zip(page.rows, page.gone, strict=True), target.set_size):
                self._compare_set(target, batch, changes, seen)
                self.report(self)
            if page.cursor:
                changes.put(("cursor", page.cursor))

    def _compare_set(self, target: Target, batch: Sequence[tuple[Row, bool]], changes: Spool, seen: KeySet) -> None:
        """Compare some rows with those of the table, and note what is to be done."""
        wanted: dict[Row, tuple[Row, bool]] = {}
        #: Among changes a row may come again. The last time counts, and the table does not have the time before yet.
        again: set[Row] = set()
        for raw, gone in batch:
            row = self._fitted(target, raw)
            key = row[: target.keys]
            if None in key:
                raise Problem("key-empty", column=target.names[key.index(None)])
            if not seen.add(key):
                if self.kind == SyncRun.Kind.FULL:
                    raise Problem("key-twice")
                again.add(key)
            wanted.pop(key, None)
            wanted[key] = row, gone
        stored = self._stored(target, list(wanted), seen)
        puts: list[Row] = []
        marks: list[Row] = []
        for key, (row, gone) in wanted.items():
            old = stored.get(key)
            if gone:
                self._gone(target, key, old, marks, again=key in again)
                continue
            new = (*row, target.present_mark()) if target.mark else row
            if old is None:
                self.counts.inserted += 1
                self._sample("inserted", key)
            elif key in again or self._differs(target, row, old):
                self.counts.updated += 1
                self._sample("updated", key)
            else:
                self.counts.unchanged += 1
                continue
            puts.append(new)
        self._note(changes, puts, marks)

    def _fitted(self, target: Target, raw: Row) -> Row:
        values = []
        for convert, value, name in zip(target.converters, raw, target.names, strict=True):
            try:
                values.append(convert(value))
            except Unfit:
                raise Problem("target-value", column=name) from None
        return tuple(values)

    def _stored(self, target: Target, keys: Sequence[Row], seen: KeySet) -> dict[Row, Row]:
        """Return the rows of the table by the keys that they have here.

        A collation may take for equal what is not, such as capital letters: the row of the table then belongs to the
        key that is equal but for these.
        """
        found = {row[: target.keys]: row for row in target.rows(keys)} if keys else {}
        others = {_folded(key): row for key, row in found.items() if key not in set(keys)}
        for key in keys:
            if others and key not in found and (row := others.get(_folded(key))) is not None:
                found[key] = row
                seen.add(row[: target.keys])
        return found

    def _differs(self, target: Target, row: Row, old: Row) -> bool:
        return row[target.keys :] != old[target.keys : len(row)] or (bool(target.mark) and target.is_gone(old[-1]))

    def _gone(self, target: Target, key: Row, old: Row | None, marks: list[Row], again: bool) -> None:
        """Note a row that the operation marks as deleted."""
        is_there = again or (old is not None and not target.is_gone(old[-1] if target.mark else None))
        if not target.mark or not is_there:
            self.counts.unchanged += 1
            return
        self.counts.deleted += 1
        self._sample("deleted", key)
        marks.append(key if old is None else old[: target.keys])

    def _find_missing(self, target: Target, changes: Spool, seen: KeySet) -> None:
        """Note the rows of the table that the operation does not have."""
        for keys in _parts(self._missing(target, seen), target.set_size):
            self.counts.deleted += len(keys)
            for key in keys:
                self._sample("deleted", key)
            self._note(changes, [], keys)
            self.report(self)

    def _missing(self, target: Target, seen: KeySet) -> Iterator[Row]:
        for number, (key, gone) in enumerate(target.all_keys()):
            if number % MAX_UNREPORTED == 0:
                self.report(self)
            if not gone and key not in seen:
                yield key

    def _note(self, changes: Spool, puts: Sequence[Row], marks: Sequence[Row]) -> None:
        if self.dry:
            return
        if puts:
            changes.put(("put", puts))
        if marks:
            changes.put(("mark", marks))

    # ------------------------------------------------------------------------------------- samples

    def _sample(self, what: str, key: Row) -> None:
        """Keep the key of a change for a dry run's page, with personal data masked."""
        if not self.dry or len(self.samples) >= MAX_SAMPLES:
            return
        pairs = self.sync.pairs
        shown = []
        for pair, value in zip(pairs, key, strict=False):
            text = as_text(value)
            found = personal_data.recognize(pair.source, [text]) or personal_data.recognize(pair.target, [text])
            shown.append(f"{pair.target}: {(masking.mask(text, found.kind) if found else text)[:MAX_VALUE]}")
        self.samples.append([what, ", ".join(shown)[:MAX_SAMPLE]])

    # ------------------------------------------------------------------------------------- writing

    def _check_limit(self) -> None:
        """Raise Problem if the run would change more of the table than it may."""
        if not self.unlimited and 100 * self.counts.changes > self.sync.max_change_percent * self.counts.before:
            raise Problem("threshold")

    def _write(self, target: Target, changes: Spool) -> None:
        self.step = Step.WRITING
        self.report(self)
        mark = target.gone_mark(self.now) if target.mark else None
        for word, content in changes:
            if word == "cursor":
                self.store_cursor(content)
                continue
            if word == "put":
                target.put(content)
            else:
                target.mark_gone(content, mark)
            self.counts.written += len(content)
            self.report(self)


def _folded(key: Row) -> Row:
    return tuple(value.casefold().rstrip() if isinstance(value, str) else value for value in key)


def _parts(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items in lists of at most ``size``."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part
