"""The worker's task that proves the journal and publishes its heads, every hour.

What has changed since the last head is read line by line, and a part of what is older: so all segments are read again
and again. The head's row says what was found; the health board shows it (mantra/health/checks/proof.py).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from registry.journal import heads, reader, sealing, verifying
from registry.leader import Leadership
from registry.models import Event, JournalHead, JournalSegment
from registry.notifications.smtp import is_configured
from registry.notifications.writing import mail
from registry.rounds import survive

log = logging.getLogger("mantra.journal")

#: Seconds between two looks, and between two heads.
ROUND, EVERY = 2.0, timedelta(hours=1)
#: Bytes that are read in an hour of what has changed, and of what is older.
CHANGED_BYTES, OLDER_BYTES = 512 * 1024 * 1024, 64 * 1024 * 1024
#: Rows that are read at once, and the most segments of which it is remembered that they are broken.
CHUNK, REMEMBERED = 500, 1_000


class Prover:
    """Publishes a head every hour while it holds leadership. ``now``: the clock."""

    def __init__(self, now: Callable[[], datetime] = timezone.now) -> None:
        self._now = now
        self._leadership = Leadership("heads")
        #: The serial up to which the older segments were read, and the segments that were found to be broken.
        self._position = 0
        self._broken: set[str] = set()
        #: The hosts whose segments are here: a host with a journal of its own may share the database.
        self._hosts: set[str] = set()

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set."""
        failing = False
        while not stop.wait(ROUND):
            failing = survive(self.round, failing, log, "no head of the journal was made")
        survive(self._leadership.release, failing, log, "the lock of the heads was not released")
        connection.close()

    def round(self) -> list[JournalHead]:
        """Make the heads if an hour has passed. Return them."""
        if not settings.HEAD_KEYS or not settings.JOURNAL or not self._leadership.hold():
            return []
        now = self._now()
        last = JournalHead.objects.order_by("-serial").first()
        # A head from the future is of a clock that was put back.
        if last is not None and last.at <= now < last.at + EVERY:
            return []
        proven = self._prove()
        made = heads.make_due(now)
        made[-1].proven, made[-1].broken = proven, len(self._broken)
        made[-1].save(update_fields=["proven", "broken"])
        if self._broken:
            log.error("%d segments of the journal are not as they were written: run verify_audit", len(self._broken))
        heads.prune(now)
        for address in settings.HEAD_MAIL if is_configured() else ():
            _send(made[-1], address)
        return made

    # ------------------------------------------------------------------------------------- proving

    def _prove(self) -> int:
        """Read segments and compare them with their rows. Return how many were read."""
        self._hosts |= {_host_of(path.name) for path in reader.segments()}
        rows = JournalSegment.objects.order_by("serial").filter(pruned=False)
        changed = self._read(rows.filter(headed=0).iterator(CHUNK), CHANGED_BYTES)
        again = self._read(rows.filter(name__in=list(self._broken)).iterator(CHUNK), CHANGED_BYTES)
        older = self._read_older(rows.filter(headed__gt=0))
        return changed + again + older

    def _read_older(self, rows: QuerySet[JournalSegment]) -> int:
        first = self._position
        count = self._read(rows.filter(serial__gt=first).iterator(CHUNK), OLDER_BYTES, moves=True)
        if self._position == first:
            self._position = 0  # all were read: from the beginning
        return count

    def _read(self, rows: Iterable[JournalSegment], most: int, moves: bool = False) -> int:
        """Read segments until so many bytes were read. ``moves``: the next reading goes on after them."""
        count = size = 0
        for row in rows:
            if size > most:
                break
            size += self._check(row)
            count += 1
            if moves:
                self._position = row.serial or 0
        return count

    def _check(self, row: JournalSegment) -> int:
        """Note whether a segment is as it was written. Return its bytes."""
        path = Path(settings.JOURNAL_DIR) / row.name
        try:
            size = path.stat().st_size
            whole = sealing.is_genuine(row) and not verifying.chain_of(path, {row.name: row}).fault
        except FileNotFoundError:
            size = 0
            whole = _host_of(row.name) not in self._hosts or _was_pruned(row)
        if whole:
            self._broken.discard(row.name)
        elif len(self._broken) < REMEMBERED:
            self._broken.add(row.name)
        return size


def _host_of(name: str) -> str:
    return reader.process_of(name).rpartition("-")[0]


def _was_pruned(row: JournalSegment) -> bool:
    return not JournalSegment.objects.filter(pk=row.pk, pruned=False).exists()


def _send(head: JournalHead, address: str) -> None:
    try:
        language = settings.LANGUAGE_CODE
        mail(Event.JOURNAL_HEAD, address, language, link=head_url(head), number=head.serial, digest=head.digest)
    except ValidationError:
        log.error("MANTRA_HEAD_MAIL has an address that is none")


def head_url(head: JournalHead) -> str:
    """Return the address at which everybody can fetch a head."""
    return f"{settings.BASE_URL}/.well-known/mantra/heads/{head.serial}"
