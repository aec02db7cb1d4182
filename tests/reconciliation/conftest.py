"""Two lists that differ in known ways, people of their agencies, and the worker."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group

from dataservices.models import DataSource
from mantra.reconciliation import results, runs
from mantra.reconciliation.models import Reconciliation, ReconciliationRun
from mantra.reconciliation.pairs import Pair
from mantra.reconciliation.worker import Task
from registry.models import Agency, Field, Service, User
from tests.cast import Cast

#: NIK, name, birth date, amount, address of the list of the provider (A) and of the consumer's own (B).
LEFT = [
    ("3201234567890001", "Siti Aminah", "1990-02-01", "1500.50", "Jl. Merdeka 1"),
    ("3201234567890002", "Budi Santoso", "1985-12-31", "1000", "Jl. Anggrek 2"),
    ("3201234567890003", "Made Wirawan", "1979-05-17", "2000", "Jl. Melati 3"),
    ("3201234567890004", "Tiur Simanjuntak", "1992-08-09", "10", "Jl. Mawar 4"),
    ("3201234567890005", "Ganda", "2000-01-01", "1", "a"),
    ("3201234567890005", "Ganda", "2000-01-01", "1", "a"),
    (None, "Tanpa NIK", "2001-01-01", "1", "b"),
    ("3201234567890007", "Hanya di A", None, None, ""),
]
RIGHT = [
    (" 3201234567890001 ", "SITI  AMINAH", "1990-02-01", "1500.50", "Jl. Merdeka 1"),
    ("3201234567890002", "Budi Santosa", "1985-12-31", "1000", "Jl. Anggrek 2"),
    ("3201234567890003", "Made Wirawan", "1979-05-18", "2001", "Jl. Melati 3"),
    ("3201234567890005", "Ganda", "2000-01-01", "1", "a"),
    ("3201234567890008", "Hanya di B", "1999-09-09", "7", "c"),
    ("", "Juga tanpa NIK", None, None, None),
]
COLUMNS = ("nik", "nama", "tgl_lahir", "jumlah", "alamat")
PAIRS = [
    Pair("nik", "nik", key=True, rule="exact"),
    Pair("nama", "nama", rule="text"),
    Pair("tgl_lahir", "tgl_lahir", rule="exact"),
    Pair("jumlah", "jumlah", rule="exact"),
]


def make_list(folder: str, name: str, rows: list[tuple[Any, ...]]) -> Path:
    """Return an SQLite file with a list in it."""
    path = Path(settings.SOURCE_FILE_DIRS[0]) / folder / f"{name}.sqlite3"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as made:
        made.execute(f"CREATE TABLE daftar ({', '.join(f'{column} TEXT' for column in COLUMNS)})")
        made.executemany(f"INSERT INTO daftar VALUES ({', '.join('?' * len(COLUMNS))})", rows)
    made.close()
    return path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    """The folder of exports, and below it that of reconciliations."""
    settings.EXPORT_DIR = tmp_path / "exports"
    return settings.EXPORT_DIR / "reconciliation"  # type: ignore[no-any-return]


def make_person(role: str, agency: Agency | None, name: str) -> User:
    user = User.objects.create(username=name, agency=agency, is_staff=True)
    user.groups.set([Group.objects.get(name=role)])
    return user


@pytest.fixture
def rina(cast: Cast) -> User:
    """The person of the consumer who may call as its application, and owns a list."""
    user = make_person("Requester", cast.consumer, "rina")
    user.groups.add(Group.objects.get(name="Provider"))
    return user


@pytest.fixture
def lists(cast: Cast) -> None:
    """An operation of the provider that the application was granted, and one of the consumer's own."""
    select = f"SELECT {', '.join(COLUMNS)} FROM daftar"
    source = DataSource.objects.create(
        agency=cast.provider, code="daftar", engine="sqlite", database=str(make_list("prov", "daftar", LEFT))
    )
    cast.operation("daftar", select, source=source, title="Daftar penduduk")
    own = DataSource.objects.create(
        agency=cast.consumer, code="penerima", engine="sqlite", database=str(make_list("kons", "penerima", RIGHT))
    )
    service = Service.objects.create(agency=cast.consumer, code="bansos", title="Bantuan")
    before, cast.service = cast.service, service
    cast.operation("penerima", select, source=own, title="Penerima bantuan")
    cast.service = before
    for code in ("daftar", "penerima"):
        for position, name in enumerate(COLUMNS):
            Field.objects.create(operation=cast.operations[code], name=name, position=position, type="text")


@pytest.fixture
def reconciliation(cast: Cast, lists: None, rina: User) -> Reconciliation:
    """The consumer's list of recipients beside the provider's list of people."""
    row = Reconciliation.objects.create(
        agency=cast.consumer, code="penerima", title="Penerima dan penduduk", responsible=rina,
        pairs=[pair.stored() for pair in PAIRS],
    )  # fmt: skip
    row.sides.create(place="left", kind="operation", application=cast.application, operation=cast.operations["daftar"])
    row.sides.create(place="right", kind="operation", as_own=True, operation=cast.operations["penerima"])
    return row


def work(**more: Any) -> None:
    """Let the worker do what waits, and end it."""
    task = Task(**more)
    task.round()
    task.leadership.release()


def ran(row: Reconciliation, user: User | None = None) -> ReconciliationRun:
    """Do a run and return it."""
    run = runs.start(row, user or row.responsible)
    assert run is not None
    work()
    run.refresh_from_db()
    return run


def kept(run: ReconciliationRun, kind: str) -> list[list[Any]]:
    """Return the rows of a kind that a run has kept."""
    return list(results.rows(run.stored, str(run.key), kind))
