"""Whether the worker works: whether a process ships the journal, and whether one probes servers."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from mantra.health.findings import Finding
from registry import leader

AREA = "worker"


def check() -> list[Finding]:
    """Return whether the journal is shipped."""
    name = _("shipping of the journal")
    if leader.is_done_in(Path(settings.JOURNAL_DIR), "ship"):
        return [Finding(AREA, name, "well", _("running"))]
    return [Finding(AREA, name, "ill", _("not running"), _("Start the worker container."))]
