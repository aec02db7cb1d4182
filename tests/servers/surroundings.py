"""What a bus of our own needs around it: folders, and an environment with secrets that nobody else has."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def clean() -> dict[str, str]:
    """The environment of somebody who has set nothing for the bus."""
    ours = ("MANTRA_", "AUDIT_", "DJANGO_", "PYTEST", "VIRTUAL_ENV", "WEB_")
    names = {"HOST", "PORT", "BIND"}
    return {name: value for name, value in os.environ.items() if name not in names and not name.startswith(ours)}


def environment(var: Path, **more: str) -> dict[str, str]:
    """An installation of its own with everything under ``var``, whose folders are made."""
    for name in ("journal", "static", "sources"):
        (var / name).mkdir(parents=True, exist_ok=True)
    return {
        **clean(),
        "DJANGO_SETTINGS_MODULE": "mantra.settings",
        "MANTRA_VAR_DIR": str(var),
        "MANTRA_SOURCE_FILE_DIRS": str(var / "sources"),
        "MANTRA_DATABASE_URL": f"sqlite:///{var / 'mantra.sqlite3'}",
        "MANTRA_SECRET_KEY": secrets.token_urlsafe(48),
        "MANTRA_FIELD_KEYS": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "MANTRA_KEY_PEPPERS": "1:" + secrets.token_hex(16),
        "MANTRA_JOURNAL_KEY": secrets.token_hex(16),
        "MANTRA_RESPONSE_KEYS": secrets.token_hex(32),
        "MANTRA_UPSTREAM_NETWORKS": "127.0.0.0/8,::1/128,0.0.0.0/0,::/0",
        **more,
    }
