"""What a row's page says of stops: the banner while one is in force, and the button."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.http import HttpRequest

from registry import containment
from registry.models import Stop
from registry.pages import address
from registry.snapshot import holder


def context_of(request: HttpRequest, row: Model) -> dict[str, Any]:
    """Return the stops in force of a row, each with the address of its page, and the address that stops it."""
    if containment.kind_of(row) is None or row.pk is None:
        return {}
    target = containment.target_of_row(row)
    # The snapshot knows what is stopped without a query; it may be a third of a second behind.
    snapshot = holder.current()
    stopped = snapshot is not None and (target.kind, target.ref) in snapshot.stops
    rows = Stop.in_force().filter(kind=target.kind, ref=target.ref)[:5] if stopped else ()
    may = containment.may_stop(request.user, target)
    return {
        "stops": [(each, address("containment_stop", each.pk)) for each in rows],
        "stop_address": address("containment_stop_new", target.kind.value, target.ref) if may else "",
    }
