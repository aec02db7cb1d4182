"""Calls that have ended, as roll-ups count them."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from registry.statistics.rollups import EndedCall

_GIVEN: dict[str, Any] = {
    "protocol": "rest", "agency": "prov", "service": "data", "operation": "satu", "operation_ref": 7,
    "consumer_agency": "kons", "application": "app", "classification": "", "origin_kind": "source", "origin_ref": 3,
    "outcome": 200, "status": 200, "broken": False, "rows": 1, "bytes": 100, "duration_us": 20_000, "subjects": (),
}  # fmt: skip


def ended_call(**values: Any) -> EndedCall:
    """Return a call that was answered now, but for what ``values`` say."""
    return EndedCall(**{"started_at": timezone.now(), **_GIVEN, **values})
