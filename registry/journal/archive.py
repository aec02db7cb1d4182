"""The archive: old segments as gzip, unchanged with their chain, in a folder for each month of their last line.

A segment is deleted from the journal when its archive is complete on the disk. manage.py verify_audit --archive proves
the lines of archived segments.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from registry import disk
from registry.journal.chain import SUFFIX

PACKED = f"{SUFFIX}.gz"
_MONTH = re.compile(r"\d{4}-\d\d")


def segments() -> list[Path]:
    """Return the archived segments, by month and name."""
    return sorted(Path(settings.JOURNAL_ARCHIVE_DIR).glob(f"*/*{PACKED}"))


def keep(segment: Path, closed_at: datetime) -> None:
    """Put a segment into the archive, unless none is kept. Raises OSError: then the segment must stay."""
    if not settings.ARCHIVE_DAYS or not segment.exists():
        return
    folder = Path(settings.JOURNAL_ARCHIVE_DIR) / f"{closed_at.astimezone(UTC):%Y-%m}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    temporary = folder / f"{segment.name}.part"
    with segment.open("rb") as source, temporary.open("wb") as target:
        # Without a time: the same segment is the same archive.
        with gzip.GzipFile(segment.name, "wb", fileobj=target, mtime=0) as packed:
            shutil.copyfileobj(source, packed)
        target.flush()
        os.fsync(target.fileno())
    temporary.rename(folder / f"{segment.name}.gz")
    for changed in (folder, folder.parent):
        disk.sync(changed)


def prune(before: datetime) -> None:
    """Delete the archived segments of months that were over before a moment, and their folders.

    What lies in folders of other names, as after a segment was put there by hand, stays.
    """
    for path in segments():
        if _MONTH.fullmatch(path.parent.name) and path.parent.name < f"{before.astimezone(UTC):%Y-%m}":
            path.unlink()
            with suppress(OSError):  # others are in it
                path.parent.rmdir()
