"""The checks: a module for each area, each with ``check``, which returns the findings.

Those of the server's own areas (SERVER) concern administrators and supervisors only. Those of agencies' rows (ROWS)
take a viewer and return what of the rows the viewer may see; without one of all agencies, as ``manage.py doctor`` and
monitors need it.
"""

from __future__ import annotations

from collections.abc import Callable

from mantra.health.checks import disk, journal, worker
from mantra.health.findings import Finding, worst_first
from registry.tenancy import AnyUser

ServerCheck = Callable[[], list[Finding]]
RowCheck = Callable[[AnyUser | None], list[Finding]]

#: Area → the check of the server's own.
SERVER: dict[str, ServerCheck] = {
    disk.AREA: disk.check,
    journal.AREA: journal.check,
    worker.AREA: worker.check,
}
#: Area → the check of agencies' rows.
ROWS: dict[str, RowCheck] = {}


def all_findings() -> list[Finding]:
    """Return what all checks find in the whole bus, the worst first."""
    own = [finding for check in SERVER.values() for finding in check()]
    return worst_first([*own, *(finding for check in ROWS.values() for finding in check(None))])
