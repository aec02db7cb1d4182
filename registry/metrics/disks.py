"""The space on the disks of the bus's folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from django.conf import settings

from registry.metrics.gauges import Gauge


def gauges() -> Iterator[Gauge]:
    """Yield the size of the disk of each folder that this process has, and what is free of it."""
    folders = {
        "data": settings.VAR_DIR, "journal": settings.JOURNAL_DIR, "archive": settings.JOURNAL_ARCHIVE_DIR,
        "uploads": settings.UPLOAD_DIR, "files": settings.FILES_DIR, "exports": settings.EXPORT_DIR,
        "jobs": settings.JOB_DIR,
    }  # fmt: skip
    for name, folder in folders.items():
        with suppress(OSError):
            disk = os.statvfs(folder)
            yield "mantra_disk_free_bytes", {"folder": name}, disk.f_bavail * disk.f_frsize
            yield "mantra_disk_size_bytes", {"folder": name}, disk.f_blocks * disk.f_frsize
