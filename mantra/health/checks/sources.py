"""Data sources: whether the web processes that call them get connections."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from dataservices import connection_test, health
from dataservices.health import Summary
from dataservices.models import DataOperation, DataSource
from mantra.health import affected
from mantra.health.findings import WORST_FIRST, Affected, Finding, State
from mantra.health.rows import rows_for
from registry.tenancy import AnyUser

AREA = "sources"
#: The most findings.
MOST = 200
#: The state of a source → that of the finding, and its words.
STATES: dict[str, tuple[State, object]] = {
    "open": ("ill", _("circuit open: calls are paused")),
    "failing": ("ill", _("not reached by the last call")),
    "unknown": ("unknown", _("not called recently")),
    "healthy": ("well", _("healthy")),
}


def check(viewer: AnyUser | None, brief: bool = False) -> list[Finding]:
    """Return the state of sources, the worst first, then those that nobody called lately; at most MOST.

    ``brief``: only what needs attention, without who is affected.
    """
    rows = rows_for(viewer, DataSource)
    known = health.live(rows.order_by().values("pk"))
    bad = [id for id in known if _state(known[id]) in ("ill", "warn")]
    ids = sorted(bad if brief else known, key=lambda id: _order(known[id]))[:MOST]
    others = [] if brief else rows.exclude(pk__in=known).values_list("pk", flat=True)[: MOST - len(ids)]
    named = DataSource.objects.select_related("agency").in_bulk([*ids, *others])
    hurt = {} if brief or not bad else affected.of(DataOperation, "source", [id for id in ids if id in bad])
    return [_finding(named[id], known.get(id), hurt.get(id, ())) for id in [*ids, *others] if id in named]


def _state(found: Summary | None) -> State:
    return STATES[found.state if found else "unknown"][0]


def _order(found: Summary) -> tuple[int, float]:
    return WORST_FIRST.index(_state(found)), -found.since.timestamp() if found.since else 0.0


def _finding(row: DataSource, found: Summary | None, hurt: tuple[Affected, ...]) -> Finding:
    page = reverse("admin:dataservices_datasource_change", args=(row.pk,))
    state, words = STATES[found.state if found else "unknown"]
    meaning = connection_test.advise(found.reason, row) if found and found.reason and state == "ill" else ""
    return Finding(AREA, str(row), state, str(words), meaning, found.since if found else None, hurt, page)
