"""Whether the journal is proven: its heads come every hour and follow on each other, and nothing is broken."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mantra.health.findings import Finding
from registry import moments
from registry.journal import heads
from registry.models import JournalHead

AREA = "proof"
#: How old the last head may be, and how many of the last ones are looked at.
LATE, LOOKED_AT = timedelta(hours=2), 6


def check() -> list[Finding]:
    """Return what is wrong with the heads of the journal."""
    if not settings.HEAD_KEYS or not settings.JOURNAL:
        advice = _("Set MANTRA_HEAD_KEYS: deploy/make-env --secrets-only prints one.")
        return [Finding(AREA, _name(), "unknown", _("No key is set: the heads of the journal are not signed."), advice)]
    last = list(JournalHead.objects.order_by("-serial").only("serial", "at", "proven", "broken")[:1])
    if not last:
        return [Finding(AREA, _name(), "unknown", _("No head was made yet; the worker makes one within a minute."))]
    return [_newest(last[0]), *_broken(last[0]), *_sequence(last[0])]


def _name() -> str:
    return _("heads of the journal")


def _newest(last: JournalHead) -> Finding:
    words = _("the last one is number %(number)d of %(moment)s") % {
        "number": last.serial, "moment": moments.moment(last.at),
    }  # fmt: skip
    if timezone.now() - last.at > LATE:
        return Finding(AREA, _name(), "ill", words, _("See whether the worker runs, and its log."), last.at)
    return Finding(AREA, _name(), "well", words)


def _broken(last: JournalHead) -> list[Finding]:
    if not last.broken:
        return []
    words = ngettext(
        "%(number)d segment is not as it was written", "%(number)d segments are not as they were written", last.broken
    ) % {"number": last.broken}  # fmt: skip
    advice = _("Run manage.py verify_audit, and keep the disk as it is.")
    return [Finding(AREA, _("segments of the journal"), "ill", words, advice, last.at)]


def _sequence(last: JournalHead) -> list[Finding]:
    """Return a finding if the last heads do not follow on each other, or one was changed."""
    rows = JournalHead.objects.filter(serial__gt=last.serial - LOOKED_AT).order_by("serial")
    documents = [(heads.named(row.serial), row.document) for row in rows if len(row.document) <= JournalHead.LENGTH]
    found, faults = heads.load_all(documents, heads.public_keys())
    oldest = JournalHead.objects.order_by("serial").values_list("serial", flat=True)[:1]
    gaps = last.serial - oldest[0] + 1 - JournalHead.objects.count()
    changed = [row for row, head in zip(rows, found, strict=False) if row.digest != head.digest]
    if not (faults or gaps or changed):
        return []
    words = _("A head was changed, or is missing.")
    return [Finding(AREA, _("sequence of the heads"), "ill", words, _("Run manage.py verify_audit."))]
