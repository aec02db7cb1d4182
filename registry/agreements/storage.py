"""Where agreement files are: below MANTRA_FILES_DIR, which no web server serves, under random names.

A file is written under another name and then renamed, and its row comes after it. So a row always has its file; a file
without a row, or a row that no request refers to, is removed after a day.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.agreements.errors import Refused
from registry.agreements.inspection import media_type_of
from registry.models import AgreementFile, User

#: Seconds for which a file may be without a request, and files of a user in that state.
KEPT_SECONDS, MOST_UNUSED = 24 * 3600, 20


def store(user: User, name: str, chunks: Iterable[bytes]) -> AgreementFile:
    """Check and store an uploaded file, for a request that its user makes later. Raises ValidationError."""
    sweep()
    if _unused().filter(uploaded_by=user).count() >= MOST_UNUSED:
        raise ValidationError(_("You have uploaded many files without a request. Try again tomorrow."))
    content = _read(chunks)
    try:
        media_type = media_type_of(content)
    except Refused as refused:
        raise ValidationError(refused.message) from None
    stored = secrets.token_hex(16)
    _write(stored, content)
    return AgreementFile.objects.create(
        stored=stored, name=_plain(name), media_type=media_type, size=len(content),
        sha256=hashlib.sha256(content).hexdigest(), uploaded_by=user,
    )  # fmt: skip


def _read(chunks: Iterable[bytes]) -> bytes:
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > settings.MAX_AGREEMENT_BYTES:
            size = settings.MAX_AGREEMENT_BYTES >> 20
            raise ValidationError(_("The file is larger than %(size)d MiB."), params={"size": size})
    return bytes(content)


def _write(stored: str, content: bytes) -> None:
    """Write a file so that it is there as a whole, or not at all. Raises ValidationError."""
    folder = Path(settings.FILES_DIR)
    part = folder / f".{stored}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, folder / stored)
    except OSError:
        with suppress(OSError):
            part.unlink()
        text = _("The server cannot store files. Ask its administrator to check the folder MANTRA_FILES_DIR.")
        raise ValidationError(text) from None


def _plain(name: str) -> str:
    """Return the name of a file without folders, control characters and what turns the direction of writing."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\"]", "", last)[-200:] or "file"


def open_file(file: AgreementFile) -> BinaryIO:
    """Open a stored file. Raises OSError."""
    return open(Path(settings.FILES_DIR) / file.stored, "rb")


def own_upload(user: User, stored: str) -> AgreementFile | None:
    """Return a file that the user has uploaded for a request, None if there is none."""
    return AgreementFile.objects.filter(uploaded_by=user, stored=stored).first()


def _unused() -> QuerySet[AgreementFile]:
    return AgreementFile.objects.filter(requests=None)


def sweep() -> None:
    """Remove rows that no request refers to, and files without a row, both after KEPT_SECONDS."""
    over = _unused().filter(uploaded_at__lt=timezone.now() - timedelta(seconds=KEPT_SECONDS))
    AgreementFile.objects.filter(pk__in=list(over.values_list("pk", flat=True)[:1000])).delete()
    with suppress(OSError):
        old = [path for path in Path(settings.FILES_DIR).iterdir() if time.time() - path.stat().st_mtime > KEPT_SECONDS]
        known = set(
            AgreementFile.objects.filter(stored__in=[path.name for path in old]).values_list("stored", flat=True)
        )
        for path in old:
            if path.name not in known:
                path.unlink(missing_ok=True)
