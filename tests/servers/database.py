"""A registry's database with all tables and no rows: migrated once for a state of the code, then copied."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

from tests.servers import surroundings

ROOT = surroundings.ROOT
CACHE = ROOT / "var" / "test-cache"
#: What migrations, their receivers and the settings are made of.
_CODE = ("mantra", "registry", "dataservices", "proxyservices", "adapters")


@cache
def migrated() -> Path:
    """The path of such a SQLite file. Copy it; it is everybody's."""
    CACHE.mkdir(parents=True, exist_ok=True)
    wanted = CACHE / f"migrated-{_state_of_the_code()}.sqlite3"
    with (CACHE / "migrated.lock").open("w") as lock:
        # One process makes it, the others wait for it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not wanted.exists():
            _make(wanted)
            for old in CACHE.glob("migrated-*.sqlite3"):
                if old != wanted:
                    old.unlink()
    return wanted


def _state_of_the_code() -> str:
    digest = hashlib.blake2b((ROOT / "requirements.txt").read_bytes(), digest_size=12)
    for path in sorted(path for name in _CODE for path in (ROOT / name).rglob("*.py")):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _make(wanted: Path) -> None:
    var = Path(tempfile.mkdtemp(prefix="mantra-migrated-"))
    try:
        command = [sys.executable, "manage.py", "migrate", "--noinput", "--verbosity", "0"]
        subprocess.run(command, cwd=ROOT, env=surroundings.environment(var), check=True)
        with closing(sqlite3.connect(var / "mantra.sqlite3")) as made:
            # All of it in one file.
            made.execute("PRAGMA journal_mode = DELETE")
        temporary = wanted.with_suffix(f".{os.getpid()}")
        shutil.copy(var / "mantra.sqlite3", temporary)
        temporary.rename(wanted)
    finally:
        shutil.rmtree(var, ignore_errors=True)
