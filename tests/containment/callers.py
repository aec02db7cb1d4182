"""What callers fetched, hour by hour, as the shipping of the journal counts it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from registry.harvest import hours
from registry.models import HarvestRule

#: A Monday, 10:00 in the bus's time zone.
NOW = timezone.make_aware(datetime(2026, 11, 30, 10, 0), timezone.get_default_timezone())


@dataclass
class Caller:
    """An application with a key, of which records are made."""

    agency: str = "prov"
    consumer: str = "kons"
    application: str = "app"
    key: str = "mtr_uji"
    key_ref: int = 1
    address: str = "10.1.2.3"

    def record(self, at: datetime, **more: Any) -> dict[str, Any]:
        return {
            "started_at": at, "protocol": "rest", "method": "GET", "agency": self.agency,
            "consumer_agency": self.consumer, "application": self.application, "key": self.key,
            "key_ref": self.key_ref, "client_ip": self.address, "outcome": 200, "status": 200, "rows": 1,
            "subjects": "", **more,
        }  # fmt: skip

    def fetch(self, at: datetime, calls: int, misses: int = 0, near: int = 0, persons: int = 0, **more: Any) -> None:
        """Make calls in the hour of a moment: some of them without a result, near others, for a person each."""

        def records() -> Iterator[dict[str, Any]]:
            for number in range(calls):
                found: dict[str, Any] = dict(more)
                if number < misses:
                    found["rows"] = 0
                if number < near:
                    found["near"] = 1
                if number < persons:
                    found["subjects"] = f"{hash((self.key_ref, at.day, number)) & (2**64 - 1):016x}" + "0" * 16
                yield self.record(at, **found)

        hours.count(records())


def every_day(first: int = 35, last: int = 1) -> Iterator[datetime]:
    """Yield midnight of the days before NOW, from so many days ago to so many."""
    for days in range(first, last - 1, -1):
        yield (NOW - timedelta(days=days)).replace(hour=0)


def rule(kind: str, **more: Any) -> HarvestRule:
    """Return the rule that a new bus has of a kind, in force and changed. All others are off."""
    HarvestRule.objects.exclude(kind=kind).update(mode="off")
    found = HarvestRule.objects.get(kind=kind, agency=None)
    for name, value in {"mode": "on", **more}.items():
        setattr(found, name, value)
    found.full_clean()
    found.save()
    return found
