"""The seal of a segment's row: without settings.JOURNAL_KEY nobody can change the row unnoticed.

Serials are given in the order in which segments are first shipped, without gaps. So a row that was removed is noticed
too, except for the last ones.
"""

from __future__ import annotations

import hmac
from datetime import UTC
from typing import Any

import orjson
from django.conf import settings

from registry.secrets import authenticate


def seal(row: Any) -> str:
    """Return the seal of a JournalSegment: the HMAC of its columns, as 64 hex characters."""
    closed_at = row.closed_at and row.closed_at.astimezone(UTC).isoformat()
    columns = [
        row.name, row.serial, row.offset, row.lines, row.last_hash, row.closed, closed_at, row.adopted, row.pruned,
        row.first,
    ]  # fmt: skip
    # Rows from before these columns keep their seals, and a migration of that time makes them.
    later = [getattr(row, name, "") for name in ("digest", "headed", "erased")]
    if any(later):
        columns += later
    return authenticate(settings.JOURNAL_KEY, b"segment:" + orjson.dumps(columns))


def is_genuine(row: Any) -> bool:
    """Return True if the row is as it was sealed."""
    return hmac.compare_digest(row.seal, seal(row))
