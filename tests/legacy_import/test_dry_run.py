"""A dry run says what a run would do, and no change of the registry waits for it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections, transaction
from pytest_django.plugin import DjangoDbBlocker

from mantra.legacy_import import aside, running
from mantra.legacy_import.models import LegacyImport
from mantra.legacy_import.reading import open_database
from mantra.legacy_import.running import Options, run
from registry.models import Agency, Operation, SnapshotVersion
from tests.legacy_import.old_database import SMALL, OldInstallation, make
from tests.legacy_import.rows import small
from tests.servers import database, surroundings
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

#: What a line says. Ids may be others.
COLUMNS = ("table", "old_id", "outcome", "remarks", "name", "code", "kind", "parts")


@pytest.fixture
def registry(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[Path]:
    """A registry in a file, as it is in production: other connections write to it."""
    place = tmp_path / "registry.sqlite3"
    with closing(sqlite3.connect(place)) as file, closing(sqlite3.connect(database.migrated())) as migrated:
        migrated.backup(file)
    before = connections["default"]
    made = before.copy()
    made.settings_dict["NAME"] = str(place)
    made.settings_dict["OPTIONS"] = {
        "timeout": 0.1, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL",
    }  # fmt: skip
    connections["default"] = made
    try:
        with django_db_blocker.unblock():
            yield place
    finally:
        with django_db_blocker.unblock():
            made.close()
        connections["default"] = before


def lines(made: LegacyImport) -> list[Any]:
    return list(made.lines.order_by("pk").values_list(*COLUMNS))


@pytest.fixture(scope="module")
def old() -> OldInstallation:
    return make(SMALL)


def test_a_dry_run_has_the_lines_of_the_run(registry: Path, old: OldInstallation, tmp_path: Path) -> None:
    dump = old.write(tmp_path / "lama.sql")
    with open_database(str(dump)) as read:
        dry = run(read, Options(dry=True))
        assert not Operation.objects.exists()
        made = run(read, Options())
        assert lines(dry) == lines(made)
        assert len(lines(made)) == sum(number for table, number in made.counts.items() if table in _TABLES)
        again = run(read, Options(dry=True))
        assert lines(again) == lines(run(read, Options()))


_TABLES = ("instances", "users", "services", "methods", "orders")


def test_a_dry_run_of_what_has_changed_there_has_the_lines_of_the_run(registry: Path) -> None:
    rows = small()
    run(rows, Options())
    rows.agency_rows[1] = replace(rows.agency_rows[1], email="baru@contoh.go.id")
    rows.order_rows[2] = replace(rows.order_rows[2], active=False)
    Agency.objects.filter(code="bkd").update(name="Nama dari sini")
    dry = run(rows, Options(dry=True))
    assert Agency.objects.get(code="bkd").email == "a@contoh.go.id"
    assert lines(dry) == lines(run(rows, Options()))
    assert Agency.objects.get(code="bkd").email == "baru@contoh.go.id"


def other_writer(place: Path, told: list[int]) -> Callable[[int], None]:
    """Return what changes the registry from another connection each time it is called, without waiting."""

    def write(_rows: int) -> None:
        with closing(sqlite3.connect(place, timeout=0, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("UPDATE registry_snapshotversion SET version = version + 1")
            other.execute("COMMIT")
        told.append(LegacyImport.objects.filter(state="running").update(rows=len(told) + 1))

    return write


def test_others_change_the_registry_during_a_dry_run(registry: Path) -> None:
    SnapshotVersion.objects.get_or_create(pk=1)
    before, told = SnapshotVersion.current(), list[int]()
    made = run(small(), Options(dry=True, progress=other_writer(registry, told)))
    # Each step of the dry run let another connection write, and its progress was stored at once.
    assert len(told) >= 4
    assert set(told) == {1}
    assert SnapshotVersion.current() == before + len(told)
    assert made.state == "done"
    assert not Agency.objects.exists()


def test_a_dry_run_in_a_transaction_sees_what_that_has_changed(registry: Path) -> None:
    with transaction.atomic():
        Agency.objects.create(code="bkd", name="Ada di sini")
        made = run(small(), Options(dry=True))
        assert made.lines.get(table="instances", old_id=1).outcome == "merged"
        assert Agency.objects.count() == 1


def test_a_dry_run_that_fails_leaves_the_registry_as_it_was(registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = connection.settings_dict["NAME"]
    monkeypatch.setattr(running.keys, "take", lambda *_arguments: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        run(small(), Options(dry=True))
    assert connection.settings_dict["NAME"] == real
    assert not Agency.objects.exists()
    assert LegacyImport.objects.get().state == "failed"


def test_no_rule_reads_what_is_not_copied(registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run on a copy without the tables of what is left out: whoever read one of them would fail."""
    run(small(), Options())
    rows = small()
    rows.agency_rows[1] = replace(rows.agency_rows[1], email="baru@contoh.go.id")
    real = aside._copy

    def copy(place: str, other: Any) -> None:
        real(place, other)
        other.connection.execute("PRAGMA foreign_keys=OFF")
        for table in aside._left_out() - {"registry_registrychange"}:
            other.connection.execute(f'DROP TABLE "{table}"')

    monkeypatch.setattr(aside, "_copy", copy)
    dry = run(rows, Options(dry=True))
    monkeypatch.undo()
    assert lines(dry) == lines(run(rows, Options()))


# ------------------------------------------------------------------------------------------------- on a server


def on_a_server(url: str) -> dict[str, Any]:
    environment = {**os.environ, "MANTRA_DATABASE_URL": url, "PYTHONPATH": str(surroundings.ROOT)}
    command = [sys.executable, "-m", "tests.legacy_import.dry_run_on_a_server"]
    ended = subprocess.run(
        command, env=environment, cwd=surroundings.ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def check(found: dict[str, Any]) -> None:
    assert found["late"] == [], found
    assert found["same"], found
    assert (found["lines"], found["left"]) == (22, 0)
    # A key and an agency were changed at each step, and each change has its version.
    assert found["steps"] >= 4
    assert found["others"] == 2 * found["steps"]


def test_others_change_a_registry_in_postgresql_during_a_dry_run(postgresql: PostgreSQLServer) -> None:
    superuser = postgresql.superuser()
    superuser.cursor().execute("CREATE DATABASE dry OWNER mantra")
    superuser.close()
    check(on_a_server(f"postgres://mantra:mantra@127.0.0.1:{postgresql.port}/dry"))


def test_others_change_a_registry_in_mariadb_during_a_dry_run(mariadb: MariaDBServer) -> None:
    superuser = mariadb.superuser()
    cursor = superuser.cursor()
    cursor.execute("CREATE DATABASE dry CHARACTER SET utf8mb4")
    cursor.execute("GRANT ALL ON dry.* TO mantra@'127.0.0.1'")
    superuser.close()
    check(on_a_server(f"mysql://mantra:mantra@127.0.0.1:{mariadb.port}/dry"))
