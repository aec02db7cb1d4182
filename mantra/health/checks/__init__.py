"""The checks: a module for each area, each with ``check``, which returns the findings.

Those of the server's own areas (SERVER) concern administrators and supervisors only. Those of agencies' rows (ROWS)
take a viewer and return what of the rows the viewer may see; without one of all agencies, as ``manage.py doctor`` and
monitors need it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext_lazy as _

from mantra.health.checks import (
    alarms,
    backends,
    certificates,
    disk,
    journal,
    keys,
    lane,
    mail,
    proof,
    snapshot,
    sources,
    worker,
)
from mantra.health.findings import Finding, worst_first
from registry import tenancy
from registry.tenancy import AnyUser

ServerCheck = Callable[[], list[Finding]]
RowCheck = Callable[[AnyUser | None], list[Finding]]

#: Area → the check of the server's own.
SERVER: dict[str, ServerCheck] = {
    disk.AREA: disk.check,
    journal.AREA: journal.check,
    proof.AREA: proof.check,
    snapshot.AREA: snapshot.check,
    worker.AREA: worker.check,
    lane.AREA: lane.check,
    mail.AREA: mail.check,
    certificates.AREA: certificates.check,
}
#: Area → the check of agencies' rows.
ROWS: dict[str, RowCheck] = {
    sources.AREA: sources.check,
    backends.AREA: backends.check,
    certificates.AREA: certificates.check_backends,
    keys.AREA: keys.check,
    alarms.AREA: alarms.check,
}
#: Area → its name for people.
LABELS: dict[str, Any] = {
    disk.AREA: _("disk"),
    journal.AREA: _("journal"),
    proof.AREA: _("proof of the journal"),
    snapshot.AREA: _("snapshot"),
    worker.AREA: _("worker"),
    lane.AREA: lane.NAME,
    mail.AREA: _("e-mail"),
    certificates.AREA: _("certificate"),
    sources.AREA: _("data source"),
    backends.AREA: _("backend"),
    keys.AREA: _("access"),
    alarms.AREA: _("alarm"),
}


def findings_for(viewer: AnyUser) -> list[Finding]:
    """Return what a viewer may know, the worst first."""
    own = _of_server() if tenancy.sees_all_agencies(viewer) else []
    return worst_first([*own, *_of_rows(viewer)])


def attention(viewer: AnyUser) -> list[Finding]:
    """Return what a viewer should look at, the worst first: without access that ends, and without who is affected."""
    own = _of_server() if tenancy.sees_all_agencies(viewer) else []
    found = [*own, *certificates.check_backends(viewer)]
    return worst_first([*(each for each in found if each.needs_attention), *not_healthy(viewer)])


def not_healthy(viewer: AnyUser) -> list[Finding]:
    """Return the sources and backends that a viewer should look at, the worst first, without who is affected."""
    return worst_first([*sources.check(viewer, brief=True), *backends.check(viewer, brief=True)])


def all_findings() -> list[Finding]:
    """Return what all checks find in the whole bus, the worst first."""
    return worst_first([*_of_server(), *_of_rows(None)])


def _of_server() -> list[Finding]:
    return [finding for check in SERVER.values() for finding in check()]


def _of_rows(viewer: AnyUser | None) -> list[Finding]:
    return [finding for check in ROWS.values() for finding in check(viewer)]
