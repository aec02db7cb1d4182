"""How old the snapshot is from which this web process answers calls."""

from __future__ import annotations

from datetime import UTC, datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mantra.health.findings import Finding
from registry.snapshot import holder

AREA = "snapshot"
#: Seconds after which changes of the registry are not in force in time.
LATE = 30.0


def check() -> list[Finding]:
    """Return the age of this process's snapshot. Processes that answer no calls have none."""
    if not holder.follows():
        return []
    name, failure = _("rules in force (snapshot)"), holder.failure()
    if failure is not None:
        return [Finding(AREA, name, "ill", _sentence(failure[1]), _advice(), datetime.fromtimestamp(failure[0], UTC))]
    age = int(holder.age())
    words = ngettext("compared %(age)d second ago", "compared %(age)d seconds ago", age) % {"age": age}
    return [Finding(AREA, name, "warn" if age > LATE else "well", words)]


def _sentence(error: str) -> str:
    return _("It cannot be refreshed (%(error)s). Calls go on with the rules of before.") % {"error": error}


def _advice() -> str:
    return _("See whether the database works. Changes, such as a revoked key, are not in force until then.")
