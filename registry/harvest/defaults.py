"""The alarm rules that a new bus has."""

from __future__ import annotations

from typing import Any

from registry.models import HarvestRule

#: Kind → mode and numbers.
RULES: dict[str, dict[str, Any]] = {
    "sequence": {"mode": "on", "least": 200, "percent": 50, "factor": 200, "days": 1},
    "misses": {"mode": "on", "least": 200, "percent": 50, "factor": 200, "days": 1},
    "wide": {"mode": "on", "least": 2_000, "factor": 500},
    "rows": {"mode": "on", "least": 10_000, "factor": 300},
    "persons": {"mode": "on", "least": 1_000, "factor": 300},
    "calls": {"mode": "dry_run", "least": 5_000, "factor": 300},
    "hour": {"mode": "dry_run", "least": 200, "days": 14},
    "network": {"mode": "dry_run", "least": 100, "days": 14},
}


def create_rules(using: str, **_kwargs: Any) -> None:
    """Create the rules for all agencies, unless there are some. Runs after each migration."""
    rules = HarvestRule.objects.using(using)
    if not rules.filter(agency=None).exists():
        rules.bulk_create(HarvestRule(kind=kind, **numbers) for kind, numbers in RULES.items())
