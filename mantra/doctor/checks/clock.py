"""The clock of this machine against those of the database and of the bus's own address; and its time zone."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mantra.health.findings import Finding
from registry import moments

AREA = "clock"
#: Seconds by which two clocks may differ: signed requests, second factors and tokens depend on them.
DIFFERENCE, MUCH = 2.0, 30.0
#: Engine → the seconds since 1970 by its clock. SQLite has none of its own.
_NOW = {
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())",
    "mysql": "SELECT UNIX_TIMESTAMP(NOW(6))",
}


def zone() -> list[Finding]:
    """Return the time here, for a comparison with a watch."""
    now = timezone.localtime()
    return [Finding(AREA, timezone.get_current_timezone_name(), "well", f"{moments.moment(now)} {now:%Z}")]


def check() -> list[Finding]:
    """Return how far the database's clock is from this machine's. Raises what the database raises."""
    statement = _NOW.get(connection.vendor)
    if not statement:
        return []
    began = time.time()
    with connection.cursor() as cursor:
        cursor.execute(statement)
        (theirs,) = cursor.fetchone()
    return [compare(_("clock of the database"), float(theirs), (began + time.time()) / 2)]


def compare(name: str, theirs: float, ours: float, resolution: float = 0.0) -> Finding:
    """Return a finding about another clock. ``resolution``: the seconds that its display leaves open."""
    apart = max(0.0, abs(theirs - ours) - resolution)
    if apart <= DIFFERENCE:
        return Finding(AREA, name, "well", _("the same time"))
    amount = ngettext("%(seconds)d second", "%(seconds)d seconds", round(apart)) % {"seconds": round(apart)}
    ahead, behind = _("%(amount)s ahead of this machine"), _("%(amount)s behind this machine")
    words = (ahead if theirs > ours else behind) % {"amount": amount}
    advice = _("Let both machines follow a time server (systemd-timesyncd, chrony).")
    return Finding(AREA, name, "ill" if apart > MUCH else "warn", words, advice)


def of_header(text: str) -> float | None:
    """Return the time of an HTTP Date header, None without one that can be read."""
    try:
        return datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
