"""Backups: made while calls go on, restored into nothing, and all that a disk, a key or a hand can do to them."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from mantra.backup import databases as engines
from mantra.backup import keys, making, manifest, restoring
from mantra.backup.manifest import BackupError
from registry.journal import segments, shipping
from registry.models import CallRecord, JournalSegment
from tests.cast import Cast
from tests.servers import database, surroundings
from tests.servers.postgresql import PostgreSQLServer

BUNDLE = {
    "agencies": [{"code": "prov", "name": "Penyedia"}, {"code": "kons", "name": "Konsumen"}],
    "sources": [
        {"agency": "prov", "code": "uji", "engine": "sqlite", "database": "uji.sqlite3"},
        {"agency": "prov", "code": "jauh", "engine": "postgresql", "host": "127.0.0.1", "port": 1, "database": "x",
         "user": "x", "password": "env:SANDI"},
    ],
    "services": [{"agency": "prov", "code": "data", "title": "Data", "operations": [
        {"code": "satu", "kind": "data", "source": "uji", "state": "published", "access": "restricted",
         "sql": "SELECT id, nama FROM orang WHERE id = :id", "parameters": [{"name": "id", "type": "integer"}]},
    ]}],
    "applications": [{"agency": "kons", "code": "app", "title": "Aplikasi", "grants": [
        {"operation": "prov/data/satu", "purpose": "uji"},
    ]}],
}  # fmt: skip
#: A bus that is called by four threads and shipped by a fifth while it is backed up. Prints its key, the folder of the
#: backup, and the ids of the calls that had been answered before.
LIVE = """
import io, json, sys, threading, time, django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("apply_definitions", "-", "--reason", "uji", stdout=sys.stderr)
key = io.StringIO()
call_command("issue_key", "kons/app", stdout=key)
from registry.snapshot import holder
from tests.cast import call
holder.refresh()
stop, answered, failed = threading.Event(), [], []
threading.excepthook = failed.append

def load():
    while not stop.is_set():
        reply = call("/rest/prov/data/satu.json?id=7", accesskey=key.getvalue().strip())
        (answered if reply.status == 200 else failed).append(reply.headers["x-request-id"])

def ship():
    while not stop.is_set() and not failed:
        call_command("ship_journal", stdout=io.StringIO())
        time.sleep(0.01)

threads = [threading.Thread(target=each) for each in (*[load] * 4, ship)]
for each in threads:
    each.start()

def wait_for(count):
    while len(answered) < count:
        time.sleep(0.001)

wait_for(50)
before, place = list(answered), io.StringIO()
call_command("backup", sys.argv[1], "--keys", sys.argv[2], stdout=place)
wait_for(len(answered) + 50)
stop.set()
for each in threads:
    each.join()
assert not failed, failed
print(json.dumps([key.getvalue().strip(), place.getvalue().strip(), before]))
"""
#: Restores a backup. Prints what it says, the secret of a source, the outcome of each call, and a new call's response.
RESTORED = """
import io, json, sys, django
django.setup()
from django.core.management import call_command
said = io.StringIO()
call_command("restore", sys.argv[1], stdout=said, stderr=said)
call_command("verify_audit", stdout=said)
from dataservices.models import DataSource
from registry.models import CallRecord
from registry.snapshot import holder
from tests.cast import call
secret = str(DataSource.objects.get(code="jauh").password)
outcomes = dict(CallRecord.objects.values_list("request_id", "outcome"))
holder.refresh()
reply = call("/rest/prov/data/satu.json?id=7", accesskey=sys.argv[2])
print(json.dumps([said.getvalue(), secret, outcomes, reply.json()["data"]]))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest) -> list[dict[str, str]]:
    """The settings of two databases of an engine, for the bus that is lost and for the one that is restored."""
    if request.param == "sqlite":
        return [{}, {}]
    server: PostgreSQLServer = request.getfixturevalue("postgresql")
    names = [f"cadangan{uuid4().hex}" for _ in range(2)]
    with closing(server.superuser()) as superuser:
        for name in names:
            superuser.cursor().execute(f"CREATE DATABASE {name} OWNER mantra")
    urls = [f"postgres://mantra:mantra@127.0.0.1:{server.port}/{name}" for name in names]
    database.fill(urls[0])
    return [{"MANTRA_DATABASE_URL": url} for url in urls]


def make_source(var: Path) -> None:
    path = var / "sources" / "prov" / "uji.sqlite3"
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("CREATE TABLE orang (id INTEGER PRIMARY KEY, nama TEXT)")
        made.execute("INSERT INTO orang VALUES (7, 'Orang 7')")


def run(script: str, environment: dict[str, str], *words: str, given: str = "") -> Any:
    """Return what a script prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=surroundings.ROOT, env=environment, input=given, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_backup_that_was_made_while_calls_went_on_restores_all_of_it(
    databases: list[dict[str, str]], tmp_path: Path
) -> None:
    old, new = tmp_path / "lama", tmp_path / "baru"
    environment = surroundings.environment(old, SANDI="rahasia sumber", **databases[0])
    make_source(old)
    (old / "files").mkdir()
    (old / "files" / "naskah").write_bytes(b"%PDF")
    (old / "journal-archive" / "2026-01").mkdir(parents=True)
    (old / "journal-archive" / "2026-01" / "lama.journal.gz").write_bytes(b"segmen lama")
    if "MANTRA_DATABASE_URL" not in databases[0]:
        shutil.copy(database.migrated(), old / "mantra.sqlite3")
    key, place, before = run(
        LIVE, environment, str(tmp_path / "cadangan"), str(tmp_path / "kunci"), given=json.dumps(BUNDLE)
    )
    shutil.rmtree(old)

    environment = surroundings.environment(new, **databases[1])
    shutil.rmtree(new / "sources")
    environment |= dict(line.split("=", 1) for line in (tmp_path / "kunci").read_text().replace("'", "").splitlines())
    said, secret, outcomes, data = run(RESTORED, environment, place, key)
    assert said.count("are unchanged") == 2
    assert secret == "rahasia sumber"
    # Those from before the backup are whole; of one that went on meanwhile, the end may be missing.
    assert {outcomes.get(id) for id in before} == {200}
    assert set(outcomes.values()) <= {200, 11903}
    assert (new / "files" / "naskah").read_bytes() == b"%PDF"
    assert (new / "journal-archive" / "2026-01" / "lama.journal.gz").read_bytes() == b"segmen lama"
    assert data == [{"id": 7, "nama": "Orang 7"}]


# ----------------------------------------------------------------------------------- what can go wrong


@pytest.fixture
def installation(cast: Cast, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for backups of an installation that has something of everything."""
    # SQLite copies no transaction that is not committed, such as a test's.
    monkeypatch.setattr(engines.SQLite, "dump", lambda _self, path: path.write_bytes(b"SQLite" * 1000))
    for name in ("uploads", "files"):
        setattr(settings, {"uploads": "UPLOAD_DIR", "files": "FILES_DIR"}[name], tmp_path / name)
        (tmp_path / name).mkdir()
        (tmp_path / name / "satu").write_bytes(os.urandom(200_000))
    segments.write({"t": "close"})
    segments.close()
    return tmp_path / "cadangan"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_a_disk_that_fills_up_ends_in_no_backup(installation: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(BackupError, match="No backup was made: File too large"):
            making.make(installation)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(installation) == []


def test_what_is_interrupted_or_killed_is_no_backup_and_goes(
    installation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(engines.SQLite, "dump", lambda *_: exit(1))
        with pytest.raises(SystemExit):
            making.make(installation)
    assert names(installation) == []
    (installation / ".mantra-20260101T000000Z.partial").mkdir()
    made = making.make(installation)
    assert names(installation) == [made.name]


def test_only_so_many_backups_are_kept_and_strangers_stay(installation: Path) -> None:
    for name in ("mantra-20250101T000000Z", "mantra-20250102T000000Z", "lain"):
        (installation / name).mkdir(parents=True)
        (installation / name / "manifest.json").touch()
    call_command("backup", str(installation), "--keep", "2")
    assert names(installation)[:2] == ["lain", "mantra-20250102T000000Z"]
    assert len(names(installation)) == 3
    with pytest.raises(CommandError, match="at least 1"):
        call_command("backup", str(installation), "--keep", "0")


def test_a_link_out_of_the_folders_of_sources_is_not_followed(
    installation: Path, settings: Any, tmp_path: Path
) -> None:
    """Whoever may put files of sources there would have the keys of the server in the backup."""
    sources, other = tmp_path / "sumber", tmp_path / "lain"
    for folder in (sources, other):
        folder.mkdir()
    settings.SOURCE_FILE_DIRS = [str(sources), str(other)]
    (tmp_path / "secrets.env").write_text("MANTRA_SECRET_KEY=rahasia")
    (other / "warga.dbf").write_bytes(b"dbf")
    for name, target in (("kunci.dbf", tmp_path / "secrets.env"), ("warga.dbf", other / "warga.dbf")):
        (sources / name).symlink_to(target)
    made = making.make(installation)
    with tarfile.open(made / making.SOURCES) as tar:
        assert sorted(tar.getnames()) == ["0/warga.dbf", "1/warga.dbf"]
        assert all(member.isreg() for member in tar)


def test_keys_lie_apart_from_the_backup(installation: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="must not be in the folder"):
        call_command("backup", str(installation), "--keys", str(installation / "kunci"))
    call_command("backup", str(installation), "--keys", str(tmp_path / "kunci"))
    assert (tmp_path / "kunci").stat().st_mode & 0o077 == 0
    kept = dict(line.split("=", 1) for line in (tmp_path / "kunci").read_text().replace("'", "").splitlines())
    assert kept["MANTRA_FIELD_KEYS"].split(",") == settings.FIELD_KEYS
    (made,) = (installation / name for name in names(installation))
    for part in made.iterdir():
        assert part.stat().st_mode & 0o077 == 0
        assert not [name for name, value in kept.items() if value.encode() in part.read_bytes()]
    with pytest.raises(CommandError, match="exists already"):
        call_command("backup", str(installation), "--keys", str(tmp_path / "kunci"))


def test_a_restore_refuses_before_it_changes_anything(installation: Path, settings: Any) -> None:
    made = making.make(installation)
    with pytest.raises(CommandError, match=r"not empty: it has 3 agencies.*2 uploads and agreement files"):
        call_command("restore", str(made))
    settings.JOURNAL_KEY = b"kunci lain"
    with pytest.raises(BackupError, match=r"MANTRA_JOURNAL_KEY \([0-9a-f]{16}\)"):
        restoring.check(made)
    stored: dict[str, Any] = json.loads((made / manifest.NAME).read_text())
    parts: list[dict[str, Any]] = stored["parts"]
    sources = [part for part in parts if part["name"] != making.SOURCES]
    for change, words in (
        ({"parts": [], "keys": {}}, f"does not name .*{making.FILES}"),
        ({"parts": sources, "keys": {}}, f"does not name {making.SOURCES}"),
        ({"format": 2}, "format 2"),
        ({"engine": "mysql", "keys": {}}, "is of mysql"),
        ({"migrations": ["registry.9999_later"], "keys": {}}, "1 migrations that this version lacks"),
    ):
        (made / manifest.NAME).write_text(json.dumps(stored | change))
        with pytest.raises(BackupError, match=words):
            restoring.check(made)
    with (made / making.JOURNAL).open("ab") as file:
        file.write(b"x")
    with pytest.raises(BackupError, match=f"{making.JOURNAL} is not as it was backed up"):
        restoring.check(made)
    with pytest.raises(BackupError, match="is no backup"):
        restoring.check(installation)


def test_a_restore_beside_a_running_bus_is_refused(installation: Path) -> None:
    made = making.make(installation)
    segments.write({"t": "begin"})
    with pytest.raises(CommandError, match="The bus is running"):
        call_command("restore", str(made), "--force")


def test_a_backup_names_the_keys_that_it_needs_only(cast: Cast, settings: Any) -> None:
    needed = keys.needed()
    settings.FIELD_KEYS = ["MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", *settings.FIELD_KEYS]
    settings.KEY_PEPPERS = [(2, b"lada yang baru sekali"), *settings.KEY_PEPPERS]
    assert keys.needed() == needed
    assert len(needed[keys.KEY_PEPPERS]) == 1
    assert keys.missing(needed) == []


def test_nothing_is_pruned_while_a_backup_is_made(installation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipping.ship()
    JournalSegment.objects.update(closed_at="2020-01-01T00:00:00Z")
    row = JournalSegment.objects.get()
    shipping._store(row, genuine=True)

    def dump_after_pruning(_self: engines.SQLite, path: Path) -> None:
        shipping.prune()
        path.touch()

    monkeypatch.setattr(engines.SQLite, "dump", dump_after_pruning)
    making.make(installation)
    assert Path(settings.JOURNAL_DIR, row.name).exists()
    shipping.prune()
    assert not Path(settings.JOURNAL_DIR, row.name).exists()
    assert CallRecord.objects.count() == 0
