"""Request ids as people send them, and the call that has one, found at the same cost in a history of any length."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from django.db.models import QuerySet

from registry.calls import began_at
from registry.models import CallRecord

#: What stands between the digits of an id that was copied or read out.
_BETWEEN = re.compile(r"[\s-]+")
_WHOLE = re.compile(r"[0-9a-f]{32}\Z")
#: Outside of these years an id tells no time: it was not made by the bus.
_FIRST, _LAST = datetime(2020, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
#: How far a call's time may be from that of its id: both are taken one after the other.
_APART = timedelta(minutes=10)

Rows = TypeVar("Rows", bound="QuerySet[CallRecord]")


def cleaned(text: str) -> str:
    """Return a request id as the history has it, from one with blanks, hyphens or capital letters."""
    return _BETWEEN.sub("", text).lower()


def is_whole(request_id: str) -> bool:
    """Return True if a cleaned text can be a request id."""
    return bool(_WHOLE.match(request_id))


def with_id(rows: Rows, request_id: str) -> Rows:
    """Return the rows with a cleaned request id: at most one.

    A table of partitions by time is looked up in one partition, the one of the id's own time; in all only if the id is
    not there, as that of a caller's own making.
    """
    found = rows.filter(request_id=request_id)
    at = _time_of(request_id)
    near = found.filter(started_at__range=(at - _APART, at + _APART)) if at is not None else found.none()
    return near if near.exists() else found


def _time_of(request_id: str) -> datetime | None:
    """Return the time of which an id tells, None if it tells none."""
    at = began_at(request_id) if is_whole(request_id) else None
    return at if at is not None and _FIRST <= at < _LAST else None
