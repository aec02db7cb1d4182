"""Who can read and write the bus's folders and the files of secrets."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from mantra.health.findings import Finding

AREA = "permissions"
_OTHERS = stat.S_IRWXO
#: In MANTRA_VAR_DIR, beside ./run.
_OF_RUN = ("secrets.env", "run.env", "admin-password")


def check() -> list[Finding]:
    """Return what is wrong with permissions, or one finding that says that nothing is."""
    found = [*_folders(), *_secrets()]
    return found or [Finding(AREA, _("folders and files of secrets"), "well", _("as they should be"))]


def _folders() -> Iterator[Finding]:
    own = (
        settings.JOURNAL_DIR,
        settings.JOURNAL_ARCHIVE_DIR,
        settings.UPLOAD_DIR,
        settings.FILES_DIR,
        settings.EXPORT_DIR,
        settings.JOB_DIR,
    )
    folders = {*own, *map(Path, settings.SOURCE_FILE_DIRS)}
    needed = {Path(settings.JOURNAL_DIR)}
    for folder in sorted(map(Path, folders)):
        if not folder.exists():
            if folder in needed:
                sentence = _("The folder is missing: every call gets 503.")
                yield Finding(AREA, str(folder), "ill", sentence, _("Create it, owned by the bus's user."))
        elif folder not in map(Path, settings.SOURCE_FILE_DIRS) and not os.access(folder, os.W_OK | os.X_OK):
            sentence = _("This user cannot write there.")
            yield Finding(AREA, str(folder), "ill", sentence, _("Run this as the bus's user, or give it the folder."))
        elif not os.access(folder, os.R_OK | os.X_OK):
            yield Finding(AREA, str(folder), "ill", _("This user cannot read there."), _("Let the bus's user read it."))
        elif folder.stat().st_mode & stat.S_IWOTH:
            sentence = _("Every user of this machine can write there.")
            yield Finding(AREA, str(folder), "warn", sentence, f"chmod o-rwx {folder}")


def _secrets() -> Iterator[Finding]:
    """Yield files with secrets that other users of this machine can read."""
    for path in [*_files_of_settings(), *_own_files()]:
        try:
            mode = path.stat().st_mode
        except OSError:
            continue
        if mode & _OTHERS:
            sentence = _("Every user of this machine can read it, and it has secrets.")
            yield Finding(AREA, str(path), "ill", sentence, f"chmod o-rwx {path}")


def _own_files() -> Iterator[Path]:
    yield from (Path(settings.VAR_DIR, name) for name in _OF_RUN)
    yield settings.BASE_DIR / ".env"
    database = Path(str(settings.DATABASES["default"]["NAME"]))
    if database.is_absolute():
        yield database


def _files_of_settings() -> Iterator[Path]:
    """Yield the files that settings of the kind NAME_FILE name. One with a certificate is no secret."""
    for name, value in os.environ.items():
        if name.startswith("MANTRA_") and name.endswith("_FILE") and name != "MANTRA_SMTP_CA_FILE":
            yield Path(value)
