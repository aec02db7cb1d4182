"""Whether the worker works: whether a process ships the journal, and whether one probes servers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mantra.health.findings import Finding
from proxyservices.health import prober
from registry import leader
from registry.journal import heartbeat
from registry.journal.heartbeat import Sign

AREA = "worker"
#: A round of shipping that takes longer is spoken of.
LONG_ROUND = timedelta(minutes=2)
#: Seconds after which a prober that gave no sign is taken for dead (deploy/worker_health.py).
PROBER_SILENT = 60.0

#: What a round may have failed of → what it means.
FAILED = {
    heartbeat.DATABASE: gettext_lazy("The database cannot be reached or refuses what is written."),
    heartbeat.JOURNAL: gettext_lazy("A file of the journal cannot be read, or the disk does not work."),
}


def check() -> list[Finding]:
    """Return whether the journal is shipped, and whether servers are probed."""
    return [_shipping(heartbeat.last(), timezone.now()), _probing(timezone.now())]


def _shipping(sign: Sign | None, now: datetime) -> Finding:
    name, seen_at = _("shipping of the journal"), sign.seen_at if sign else None
    if not leader.is_done_in(Path(settings.JOURNAL_DIR), "ship"):
        return Finding(AREA, name, "ill", _("not running"), _("Start the worker container."), seen_at)
    if sign is None or sign.is_silent(now):
        return Finding(AREA, name, "ill", _("It gives no sign of life."), _("Restart the worker container."), seen_at)
    if sign.failed:
        return Finding(AREA, name, "ill", str(FAILED[sign.failed]), _("It tries again."), sign.failing_since)
    return _running(name, sign, now)


def _running(name: str, sign: Sign, now: datetime) -> Finding:
    last = sign.round_at or sign.began_at
    if last is not None and now - last > LONG_ROUND:
        return Finding(AREA, name, "warn", _("running; its present round takes long"), "", last)
    if sign.round_at is None:
        return Finding(AREA, name, "well", _("running"))
    return Finding(AREA, name, "well", _("running; last round %(age)s ago") % {"age": timesince(sign.round_at, now)})


def _probing(now: datetime) -> Finding:
    name = _("probing of backend servers")
    try:
        seen_at = datetime.fromtimestamp(prober.heartbeat_file().stat().st_mtime, UTC)
    except OSError:
        return Finding(AREA, name, "warn", _("not running"), _("Start the worker container."))
    if (now - seen_at).total_seconds() > PROBER_SILENT:
        return Finding(AREA, name, "warn", _("not running"), _("Start the worker container."), seen_at)
    return Finding(AREA, name, "well", _("running"))
