"""deploy/verify_journal.py, run as others run it: by itself, without the bus's packages and secrets."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from django.conf import settings

from registry.models import JournalHead

PROGRAM = Path(settings.BASE_DIR) / "deploy" / "verify_journal.py"


def load() -> ModuleType:
    """Return the program as a module."""
    spec = importlib.util.spec_from_file_location("verify_journal", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*arguments: str) -> tuple[int, list[str], str]:
    """Return the exit status, the lines of the standard output, and what was written to the error output."""
    command = [sys.executable, "-I", "-S", str(PROGRAM), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={}, timeout=60)
    return done.returncode, done.stdout.splitlines(), done.stderr


def _fetched(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for row in JournalHead.objects.all():
        (folder / str(row.serial)).write_text(row.document)
    return folder


def verify_journal(
    tmp_path: Path, keys: Sequence[str], *more: str, key: bool = False, folder: Path | None = None
) -> tuple[list[str], list[str]]:
    """Verify the bus's journal. Return what is broken, and all lines.

    ``key``: True if the program gets the journal's key. ``folder``: that of the heads; without it, the stored ones.
    """
    folder = folder or _fetched(tmp_path / "fetched")
    settings.JOURNAL_ARCHIVE_DIR.mkdir(exist_ok=True, parents=True)
    arguments = [str(settings.JOURNAL_DIR), str(settings.JOURNAL_ARCHIVE_DIR), "--heads", str(folder)]
    for public in keys:
        arguments += ["--public-key", public]
    if key:
        (tmp_path / "key").write_bytes(settings.JOURNAL_KEY)
        arguments += ["--journal-key-file", str(tmp_path / "key")]
    status, lines, errors = run(*arguments, *more)
    broken = [line for line in lines if line.startswith("BROKEN")]
    assert status == (1 if broken else 0), errors
    return broken, lines
