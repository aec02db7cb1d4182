"""The journal's proof: the newest segments, the rows of all, and segments that nobody ships."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mantra.health.findings import Finding
from registry.journal import reader, sealing, verifying
from registry.models import JournalSegment

AREA = "journal"
#: The newest segments that are read line by line, and the seconds after which one that is not shipped is an orphan.
NEWEST, ORPHAN_SECONDS = 5, 3600.0


def check() -> list[Finding]:
    """Return what is wrong with the journal. Raises OSError, and what the database raises."""
    paths = reader.segments()
    return [_lines(paths[-NEWEST:]), _rows(), *_orphans(paths)]


def _lines(paths: list[Path]) -> Finding:
    """Return whether the newest segments are as they were written, as verify_audit says of all."""
    names = [path.name for path in paths]
    rows = {row.name: row for row in JournalSegment.objects.filter(name__in=names)}
    chains = [verifying.chain_of(path, rows) for path in paths]
    broken = [chain for chain in chains if chain.fault]
    name = _("newest segments")
    if broken:
        sentence = f"{broken[0].name}: {broken[0].fault}"
        return Finding(AREA, name, "ill", sentence, _("Run manage.py verify_audit, and keep the disk as it is."))
    count = sum(chain.lines for chain in chains)
    words = ngettext("%(count)d line is unchanged", "%(count)d lines are unchanged", count) % {"count": count}
    return Finding(AREA, name, "well", words)


def _rows() -> Finding:
    changed = [row.name for row in JournalSegment.objects.iterator(1000) if not sealing.is_genuine(row)]
    name = _("rows of segments")
    if not changed:
        return Finding(AREA, name, "well", _("sealed"))
    words = ngettext(
        "%(number)d was changed without the key", "%(number)d were changed without the key", len(changed)
    ) % {"number": len(changed)}  # fmt: skip
    return Finding(AREA, name, "ill", words, _("Run manage.py verify_audit."))


def _orphans(paths: list[Path]) -> Iterator[Finding]:
    """Yield a finding if segments without a writer have waited long: no worker sees them, or it fails at them."""
    known = set(JournalSegment.objects.filter(closed=True).values_list("name", flat=True))
    waiting = [path for path in paths if path.name not in known and _is_old(path) and not reader.has_writer(path)]
    if waiting:
        number = {"number": len(waiting)}
        words = ngettext("%(number)d waits to be shipped", "%(number)d wait to be shipped", len(waiting)) % number
        advice = _("See whether the worker runs, and its log.")
        yield Finding(AREA, _("segments that ended an hour ago"), "warn", words, advice)


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > ORPHAN_SECONDS
    except OSError:
        return False
