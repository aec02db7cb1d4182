"""The keys that a backup needs, by fingerprints; and the file that keeps them, apart from it."""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings

from mantra import stored_secrets
from mantra.backup.manifest import BackupError
from registry.secrets import authenticate

#: Settings whose keys a backup can need.
FIELD_KEYS, KEY_PEPPERS, JOURNAL_KEY = "MANTRA_FIELD_KEYS", "MANTRA_KEY_PEPPERS", "MANTRA_JOURNAL_KEY"
#: A backup needs none of them: new heads can be signed with a new key.
HEAD_KEYS = "MANTRA_HEAD_KEYS"
_PURPOSE = b"mantra: fingerprint of a key"


def fingerprint(key: bytes) -> str:
    """Return 16 hex characters by which a key is recognised. Nobody can find the key by them."""
    return authenticate(key, _PURPOSE)[:16]


def needed() -> dict[str, list[str]]:
    """Return the fingerprints of the keys that the database and the journal need, by their settings.

    A key that encrypts or hashes nothing any more is not among them.
    """
    used = stored_secrets.peppers()
    return {
        FIELD_KEYS: sorted(fingerprint(key.encode()) for key in stored_secrets.opened().keys),
        KEY_PEPPERS: [fingerprint(b"%d:%b" % pepper) for pepper in settings.KEY_PEPPERS if pepper[0] in used],
        JOURNAL_KEY: [fingerprint(settings.JOURNAL_KEY)],
    }


def missing(wanted: dict[str, list[str]]) -> list[str]:
    """Return the settings that lack a key of those, with its fingerprint."""
    known = _fingerprints()
    return [f"{name} ({key})" for name, keys in wanted.items() for key in keys if key not in known.get(name, ())]


def _fingerprints() -> dict[str, list[str]]:
    return {
        FIELD_KEYS: [fingerprint(key.encode()) for key in settings.FIELD_KEYS],
        KEY_PEPPERS: [fingerprint(b"%d:%b" % pepper) for pepper in settings.KEY_PEPPERS],
        JOURNAL_KEY: [fingerprint(settings.JOURNAL_KEY)],
    }


def store(path: Path) -> None:
    """Write the keys into a new file that only its owner can read, as lines NAME='value'. Raises BackupError."""
    peppers = ",".join(f"{number}:{pepper.decode()}" for number, pepper in settings.KEY_PEPPERS)
    values = {
        "MANTRA_SECRET_KEY": settings.SECRET_KEY,
        FIELD_KEYS: ",".join(settings.FIELD_KEYS),
        KEY_PEPPERS: peppers,
        JOURNAL_KEY: settings.JOURNAL_KEY.decode(),
        HEAD_KEYS: ",".join(settings.HEAD_KEYS),
    }
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.writelines(f"{name}='{value}'\n" for name, value in values.items())
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise BackupError(f"{path} exists already: choose another name for the keys.") from None
    except OSError as error:
        raise BackupError(f"The keys cannot be written to {path}: {error.strerror}.") from None
