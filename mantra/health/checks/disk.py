"""The free space of each disk on which the bus keeps something."""

from __future__ import annotations

import shutil
from pathlib import Path

from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from mantra import probes
from mantra.health.findings import Finding

AREA = "disk"
#: The share of a disk that should be free.
FREE = 0.1


def check() -> list[Finding]:
    """Return a finding for each disk, with what is on it."""
    return [_disk(", ".join(f"{name} {folder}" for name, folder in found), found[0][1]) for found in disks()]


def disks() -> list[list[tuple[str, Path]]]:
    """Return what the bus keeps, with its folders, by disks."""
    places = {_("data"): settings.VAR_DIR, _("journal"): settings.JOURNAL_DIR, _("uploads"): settings.UPLOAD_DIR}
    found: dict[int, list[tuple[str, Path]]] = {}
    for name, folder in places.items():
        if folder.exists():
            found.setdefault(folder.stat().st_dev, []).append((name, folder))
    return list(found.values())


def _disk(name: str, folder: Path) -> Finding:
    disk = shutil.disk_usage(folder)
    sizes = {"free": filesizeformat(disk.free), "total": filesizeformat(disk.total)}
    space = _("%(free)s of %(total)s free") % sizes
    if disk.free < probes.MIN_FREE:
        return Finding(
            AREA, name, "ill", space, _("Calls are refused: there is no space for the journal. Free some space.")
        )
    if disk.free < FREE * disk.total:
        return Finding(AREA, name, "warn", space, _("Free some space, or enlarge the disk."))
    return Finding(AREA, name, "well", space)
