"""A registry's database with all tables and no rows: migrated once for a state of the code, then copied.

The migrations take some 20 seconds of CPU, and the copies a second.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

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
    with _being_made(wanted):
        if not wanted.exists():
            _make(wanted)
    return wanted


def fill(url: str) -> None:
    """Give an empty database all tables: of PostgreSQL, of MariaDB, or a file of SQLite that is not there."""
    CACHE.mkdir(parents=True, exist_ok=True)
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        shutil.copy(migrated(), parts.path)
        return
    wanted = CACHE / f"migrated-{_state_of_the_code()}.{parts.scheme}"
    with _being_made(wanted):
        if not wanted.exists():
            with tempfile.TemporaryDirectory(prefix="mantra-migrated-") as var:
                _migrate(surroundings.environment(Path(var), MANTRA_DATABASE_URL=url))
            temporary = wanted.with_suffix(f".{os.getpid()}")
            temporary.write_bytes(_client(parts, DUMPING[parts.scheme]))
            temporary.rename(wanted)
            return
    _client(parts, READING[parts.scheme], wanted.read_bytes())


#: Scheme → the program that writes a database as statements, and the one that runs statements.
DUMPING = {"postgres": ["pg_dump", "--no-owner", "--no-privileges"], "mysql": ["mariadb-dump", "--no-tablespaces"]}
READING = {"postgres": ["psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1"], "mysql": ["mariadb"]}


def _client(parts: SplitResult, command: list[str], given: bytes = b"") -> bytes:
    """Return what a client of the database prints."""
    if parts.scheme == "postgres":
        words = [*command, parts.geturl()]
    else:
        where = [f"--host={parts.hostname}", f"--port={parts.port}", f"--user={parts.username}"]
        where += [f"--password={parts.password}", parts.path.strip("/")]
        words = [command[0], "--no-defaults", *command[1:], *where]
    done = subprocess.run(words, input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@contextmanager
def _being_made(wanted: Path) -> Iterator[None]:
    """One process makes a file, the others wait for it. Those of other states of the code are removed."""
    with (CACHE / f"migrated{wanted.suffix}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        was_there = wanted.exists()
        yield
        if not was_there:
            for old in CACHE.glob(f"migrated-*{wanted.suffix}"):
                if old != wanted:
                    old.unlink()


def _state_of_the_code() -> str:
    digest = hashlib.blake2b((ROOT / "requirements.txt").read_bytes(), digest_size=12)
    for path in sorted(path for name in _CODE for path in (ROOT / name).rglob("*.py")):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _make(wanted: Path) -> None:
    var = Path(tempfile.mkdtemp(prefix="mantra-migrated-"))
    try:
        _migrate(surroundings.environment(var))
        with closing(sqlite3.connect(var / "mantra.sqlite3")) as made:
            # All of it in one file.
            made.execute("PRAGMA journal_mode = DELETE")
        temporary = wanted.with_suffix(f".{os.getpid()}")
        shutil.copy(var / "mantra.sqlite3", temporary)
        temporary.rename(wanted)
    finally:
        shutil.rmtree(var, ignore_errors=True)


def _migrate(environment: dict[str, str]) -> None:
    command = [sys.executable, "manage.py", "migrate", "--noinput", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
