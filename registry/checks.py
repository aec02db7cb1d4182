"""Bad configuration told at start, with what to do about it."""

from __future__ import annotations

import os
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core import checks


@checks.register()
def field_keys(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    for key in settings.FIELD_KEYS:
        try:
            Fernet(key)
        except ValueError:
            return [
                checks.Error(
                    "MANTRA_FIELD_KEYS holds something that is no Fernet key.",
                    hint="Make one with: python -c 'from cryptography.fernet import Fernet; "
                    "print(Fernet.generate_key().decode())'",
                    id="mantra.E001",
                )
            ]
    return []


@checks.register()
def quota_store(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    found: list[checks.CheckMessage] = []
    if settings.QUOTA_STORE_DOWN not in ("allow", "refuse"):
        found.append(
            checks.Error(
                "MANTRA_QUOTA_STORE_DOWN is neither allow nor refuse.",
                hint="allow lets calls through while the store is away, refuse answers them 503.",
                id="mantra.E002",
            )
        )
    if settings.QUOTA_STORE.startswith("memory") and int(os.environ.get("WEB_CONCURRENCY", "1")) > 1:
        found.append(
            checks.Warning(
                "Quotas are counted in memory, by each worker process for itself.",
                hint="Set MANTRA_QUOTA_STORE=redis://…, or WEB_CONCURRENCY=1.",
                id="mantra.W001",
            )
        )
    return found


@checks.register()
def journal_folder(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    folder = settings.JOURNAL_DIR
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return [
            checks.Warning(
                f"The journal's folder {folder} is missing or cannot be written: every call will answer 503.",
                hint="Make it, owned by the user that the bus runs as, or set MANTRA_JOURNAL_DIR.",
                id="mantra.W002",
            )
        ]
    return []
