"""The folders of uploads, which only the bus may read."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings


def private(*names: str) -> Path:
    """Return a folder below MANTRA_UPLOAD_DIR, made if it is missing. Raises OSError."""
    path = Path(settings.UPLOAD_DIR)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in names:
        path = path / name
        path.mkdir(mode=0o700, exist_ok=True)
    return path
