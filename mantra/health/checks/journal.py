"""How far the call history is behind the journal."""

from __future__ import annotations

from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mantra.health.findings import Finding
from registry.journal.lag import lag

AREA = "journal"
#: The bytes of the journal that the worker ships within seconds.
BEHIND = 16 * 1024 * 1024


def check() -> list[Finding]:
    """Return how much of the journal is not in the call history yet."""
    behind = lag()
    size = ngettext("%(size)s in %(number)d file", "%(size)s in %(number)d files", behind.segments) % {
        "size": filesizeformat(behind.bytes), "number": behind.segments,
    }  # fmt: skip
    return [Finding(AREA, _("not in the call history yet"), "warn" if behind.bytes > BEHIND else "well", size)]
