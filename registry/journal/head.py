"""The signed head of a journal: how far each segment had come at a time. Stored elsewhere, it proves what came before.

A head is one line: a JSON object, a space, and its HMAC-SHA256 in hex with settings.JOURNAL_KEY.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import orjson
from django.conf import settings

from registry.secrets import authenticate


class HeadError(Exception):
    """The reason why a head cannot be used."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One segment: its name, the number of its lines, the chain of the last one, and when it was closed or None."""

    name: str
    lines: int
    chain: str
    closed_at: datetime | None


@dataclass(frozen=True)
class Head:
    """A head as it was signed at a time."""

    at: datetime
    entries: tuple[Entry, ...]

    @cached_property
    def by_name(self) -> dict[str, Entry]:
        """The entries by the names of their segments."""
        return {entry.name: entry for entry in self.entries}

    def may_be_pruned(self, entry: Entry, now: datetime) -> bool:
        """Return True if the bus itself may have deleted the segment since, because of its age."""
        return (entry.closed_at or self.at) < now - timedelta(days=settings.JOURNAL_DAYS)


def dump(head: Head) -> bytes:
    """Return the head as it is stored."""
    body = orjson.dumps({"v": 1, "at": head.at, "segments": [_columns(entry) for entry in head.entries]})
    return b"%b %b\n" % (body, _signature(body))


def load(raw: bytes) -> Head:
    """Return a stored head. Raises HeadError if it was changed or is none."""
    body, _space, signature = raw.strip().rpartition(b" ")
    if not hmac.compare_digest(signature, _signature(body)):
        raise HeadError("it was changed, or signed with another MANTRA_JOURNAL_KEY")
    document = orjson.loads(body)
    return Head(datetime.fromisoformat(document["at"]), tuple(_entries(document["segments"])))


def _columns(entry: Entry) -> tuple[Any, ...]:
    return entry.name, entry.lines, entry.chain, entry.closed_at


def _entries(rows: Iterable[list[Any]]) -> Iterable[Entry]:
    for name, lines, chain, closed_at in rows:
        yield Entry(name, lines, chain, datetime.fromisoformat(closed_at) if closed_at else None)


def _signature(body: bytes) -> bytes:
    return authenticate(settings.JOURNAL_KEY, b"head:" + body).encode()
