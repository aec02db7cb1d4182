"""The free space of each disk on which the bus keeps something, and for how long it lasts."""

from __future__ import annotations

import shutil
from pathlib import Path

from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mantra import probes
from mantra.health import trend
from mantra.health.findings import Finding

AREA = "disk"
#: The share of a disk that should be free, and the days for which it should last.
FREE, DAYS = 0.1, 14
#: Seconds between two measurements, for which they are kept, and the hours from which on they say something.
EVERY, KEEP, HOURS = 3600.0, 7 * 86_400.0, 12.0
#: A disk that lasts longer is not spoken of.
LONG = 3650


def check() -> list[Finding]:
    """Return a finding for each disk, with what is on it."""
    return [_disk(", ".join(f"{name} {folder}" for name, folder in found), found[0][1]) for found in disks()]


def note() -> None:
    """Measure the free space of each disk."""
    for found in disks():
        folder = found[0][1]
        disk = shutil.disk_usage(folder)
        trend.note(_measure(folder, disk.total), disk.free, EVERY, KEEP)


def _measure(folder: Path, total: int) -> str:
    """Return the name of a disk's measure: the same in each container that shows it."""
    return f"disk:{total}:{folder}"


def disks() -> list[list[tuple[str, Path]]]:
    """Return what the bus keeps, with its folders, by disks."""
    found: dict[int, list[tuple[str, Path]]] = {}
    for name, folder in _places().items():
        if folder.exists():
            found.setdefault(folder.stat().st_dev, []).append((name, folder))
    return list(found.values())


def _places() -> dict[str, Path]:
    places = {
        _("data"): settings.VAR_DIR,
        _("journal"): settings.JOURNAL_DIR,
        _("journal archive"): settings.JOURNAL_ARCHIVE_DIR,
        _("uploads"): settings.UPLOAD_DIR,
        _("agreement files"): settings.FILES_DIR,
        _("exports"): settings.EXPORT_DIR,
        _("jobs"): settings.JOB_DIR,
    }
    database = Path(settings.DATABASES["default"]["NAME"])  # a path with SQLite only
    if database.is_absolute():
        places[_("database")] = database.parent
    return places


def _disk(name: str, folder: Path) -> Finding:
    disk = shutil.disk_usage(folder)
    sizes = {"free": filesizeformat(disk.free), "total": filesizeformat(disk.total)}
    days = _days_left(folder, disk.free, disk.total)
    space = _("%(free)s of %(total)s free.") % sizes + _lasting(days)
    if disk.free < probes.MIN_FREE:
        return Finding(
            AREA, name, "ill", space, _("Calls are refused: there is no space for the journal. Free some space.")
        )
    if disk.free < FREE * disk.total or (days is not None and days < DAYS):
        return Finding(AREA, name, "warn", space, _("Free some space, or enlarge the disk."))
    return Finding(AREA, name, "well", space)


def _days_left(folder: Path, free: int, total: int) -> int | None:
    """Return for how many days the free space lasts at the rate of the last days, None if that is not known."""
    change = trend.per_day(trend.noted(_measure(folder, total), free), HOURS)
    return None if change is None or change >= 0 else int(free / -change)


def _lasting(days: int | None) -> str:
    if days is None or days > LONG:
        return ""
    return " " + ngettext(
        "At the present rate that lasts %(days)d day.", "At the present rate that lasts %(days)d days.", days
    ) % {"days": days}  # fmt: skip
