"""Backends: whether their servers respond, as those that call and probe them see it."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from mantra.health import affected
from mantra.health.findings import WORST_FIRST, Affected, Finding, State
from mantra.health.rows import rows_for
from proxyservices.health import advice, summary
from proxyservices.health.summary import BackendSummary
from proxyservices.models import Backend, ProxyOperation
from registry.tenancy import AnyUser

AREA = "backends"
#: The most findings.
MOST = 200
#: The state of a backend's worst server → its words.
WORDS: dict[str, Any] = {
    "open": _("circuit open: calls are paused"),
    "half-open": _("circuit half-open: the next call is a trial"),
    "ejected": _("ejected: other addresses are tried first"),
    "unknown": _("not called recently"),
    "healthy": _("healthy"),
}


def check(viewer: AnyUser | None, brief: bool = False) -> list[Finding]:
    """Return the state of backends, the worst first, then those that nobody called lately; at most MOST.

    ``brief``: only what needs attention, without who is affected.
    """
    rows = rows_for(viewer, Backend)
    known = summary.backends(rows)
    bad = [id for id in known if _state(known[id]) in ("ill", "warn")]
    ids = sorted(bad if brief else known, key=lambda id: _order(known[id]))[:MOST]
    others = [] if brief else rows.exclude(pk__in=known).values_list("pk", flat=True)[: MOST - len(ids)]
    named = Backend.objects.select_related("agency").in_bulk([*ids, *others])
    hurt = {} if brief or not bad else affected.of(ProxyOperation, "backend", [id for id in ids if id in bad])
    return [_finding(named[id], known.get(id), hurt.get(id, ())) for id in [*ids, *others] if id in named]


def _state(found: BackendSummary | None) -> State:
    """Return the state of a backend. While another server is healthy, calls are answered."""
    if found is None or found.state == "unknown":
        return "unknown"
    if found.state == "healthy":
        return "well"
    return "warn" if found.serves or found.state == "half-open" else "ill"


def _order(found: BackendSummary) -> tuple[int, float]:
    since = found.summary.since
    return WORST_FIRST.index(_state(found)), -since.timestamp() if since else 0.0


def _finding(row: Backend, found: BackendSummary | None, hurt: tuple[Affected, ...]) -> Finding:
    page = reverse("admin:proxyservices_backend_change", args=(row.pk,))
    state, words = _state(found), WORDS[found.state if found else "unknown"]
    if found is None or state in ("well", "unknown"):
        since = found.summary.since if found else None
        return Finding(AREA, str(row), state, str(words), since=since, url=page)
    worst = found.summary
    if found.state == "ejected" and not found.serves:
        words = _("it does not respond as it should, and no other address is healthy")
    meaning = advice.advise(worst.phase, worst.reason) if worst.phase else ""
    return Finding(AREA, str(row), state, f"{words}: {found.server.url}", meaning, worst.since, hurt, page)
