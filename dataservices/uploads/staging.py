"""Uploaded files between two steps: private, few, and removed after a day, when somebody opens a page of uploads."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings

from dataservices.uploads.folders import private
from dataservices.uploads.messages import UploadError
from registry.models import Agency

#: Seconds for which a file is kept, and files of an agency: a further one removes the oldest.
KEPT_SECONDS, MOST_FILES = 24 * 3600, 10

_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(frozen=True, slots=True)
class StagedFile:
    """An uploaded file that waits for its next step. Its ``token`` names it within the agency."""

    agency: int
    token: str
    name: str
    size: int
    sha256: str

    @property
    def folder(self) -> Path:
        return _folder(self.agency) / self.token

    @property
    def content(self) -> Path:
        return self.folder / "content"

    def keep(self, name: str, value: Any) -> None:
        """Store a JSON value beside the file."""
        with open(os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(value, file)

    def kept(self, name: str) -> Any:
        """Return a value that keep() has stored. Raises UploadError."""
        try:
            return json.loads((self.folder / name).read_bytes())
        except (OSError, ValueError):
            raise UploadError("gone") from None

    def discard(self) -> None:
        """Remove the file."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _folder(agency: int) -> Path:
    return Path(settings.UPLOAD_DIR) / "staged" / str(agency)


def stage(agency: Agency, name: str, chunks: Iterable[bytes]) -> StagedFile:
    """Store an uploaded file. Raises UploadError if it is too large, or cannot be stored."""
    sweep()
    token = secrets.token_urlsafe(16)
    folder = _folder(agency.pk) / token
    try:
        private("staged", str(agency.pk), token)
        size, digest = _write(folder / "content", chunks)
        staged = StagedFile(agency.pk, token, _plain(name), size, digest)
        staged.keep("about.json", asdict(staged))
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise UploadError("folder") from None
    except UploadError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return staged


def _write(path: Path, chunks: Iterable[bytes]) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for chunk in chunks:
            size += len(chunk)
            if size > settings.MAX_UPLOAD_BYTES:
                raise UploadError("too-large", mib=settings.MAX_UPLOAD_BYTES >> 20)
            digest.update(chunk)
            file.write(chunk)
    return size, digest.hexdigest()


def _plain(name: str) -> str:
    """Return the name of a file without the folders that some browsers send, and without control characters."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return re.sub(r"[\x00-\x1f\x7f]", "", last)[:200] or "file"


def staged(agency: Agency, token: str) -> StagedFile:
    """Return a file of the agency that was staged before. Raises UploadError."""
    if not _TOKEN.fullmatch(token):
        raise UploadError("gone")
    folder = _folder(agency.pk) / token
    try:
        return StagedFile(**json.loads((folder / "about.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        raise UploadError("gone") from None


def sweep() -> None:
    """Remove the files of all agencies that are too old, or too many for a further one."""
    with suppress(OSError):
        for agency in (Path(settings.UPLOAD_DIR) / "staged").iterdir():
            folders = sorted(agency.iterdir(), key=_age)
            for place, folder in enumerate(folders):
                if place >= MOST_FILES - 1 or _age(folder) > KEPT_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)


def _age(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except OSError:
        return KEPT_SECONDS + 1.0
