"""The manifest of a backup: its parts with their sums, and what a restore needs."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "manifest.json"
#: The number of the format. A restore refuses others.
FORMAT = 1


class BackupError(Exception):
    """The reason why a backup or a restore cannot be, and what to do."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the backup. ``size`` is in bytes; ``files``: how many it holds."""

    name: str
    sha256: str
    size: int
    files: int = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """``migrations``: those that were applied, as app.name. ``keys``: see keys.needed. ``made_at`` is in ISO 8601."""

    made_at: str
    version: str
    engine: str
    migrations: list[str]
    keys: dict[str, list[str]]
    parts: list[Part]
    format: int = FORMAT

    def dump(self) -> bytes:
        """Return the manifest as it is stored."""
        return json.dumps(dataclasses.asdict(self), indent=1).encode() + b"\n"


def load(folder: Path) -> Manifest:
    """Return the manifest of a backup. Raises BackupError."""
    try:
        stored: dict[str, Any] = json.loads((folder / NAME).read_bytes())
        if stored["format"] != FORMAT:
            raise BackupError(f"{folder} has the format {stored['format']}: use the version of MANTRA that made it.")
        return Manifest(**{**stored, "parts": [Part(**part) for part in stored["parts"]]})
    except (OSError, ValueError, KeyError, TypeError):
        raise BackupError(f"{folder} is no backup: it has no {NAME} that can be read.") from None


def verify(folder: Path, manifest: Manifest) -> None:
    """Compare each part with its sum. Raises BackupError."""
    for part in manifest.parts:
        try:
            with (folder / part.name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise BackupError(f"{part.name} cannot be read ({error.strerror}): take another copy.") from None
        if found != part.sha256:
            raise BackupError(f"{part.name} is not as it was backed up: take another copy.")


def part_of(path: Path) -> Part:
    """Return a file as a part, with its sum."""
    with path.open("rb") as file:
        return Part(path.name, hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)
