"""A worker in a process of its own, for tests that kill it: ``python -m tests.reconciliation.worker_process WORD``.

``prepare FILE ROWS`` stores a reconciliation of two lists in an SQLite file, ``work [STEP]`` does what waits and ends,
``show`` prints the run.
"""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import sys
import time
from typing import Any

import django

#: Reports of a step after which a worker is in the middle of it.
REPORTS = 20


def prepare(path: str, rows: int) -> None:
    from django.contrib.auth.models import Group

    from dataservices.models import DataOperation, DataSource
    from mantra.reconciliation import runs
    from mantra.reconciliation.models import Reconciliation
    from mantra.reconciliation.pairs import Pair
    from registry.models import Agency, Field, Service, User

    with sqlite3.connect(path) as made:
        for name, first in (("a", 1), ("b", 1 + rows // 10)):
            made.execute(f"CREATE TABLE {name} (nik TEXT, nama TEXT, alamat TEXT)")
            made.executemany(
                f"INSERT INTO {name} VALUES (?, ?, ?)",
                (
                    (f"{n:016d}", f"Orang {n + (name == 'b' and n % 100 == 0)}", f"Jalan Merdeka nomor {n}")
                    for n in range(first, first + rows)
                ),
            )
    made.close()
    agency = Agency.objects.create(code="dinsos", name="Dinas Sosial")
    user = User.objects.create(username="rina", agency=agency, is_staff=True)
    user.groups.set([Group.objects.get(name="Provider")])
    source = DataSource.objects.create(agency=agency, code="db", engine="sqlite", database=path)
    service = Service.objects.create(agency=agency, code="data", title="Data")
    pairs = [
        Pair("nik", "nik", True, "exact"),
        Pair("nama", "nama", rule="text"),
        Pair("alamat", "alamat", rule="text"),
    ]
    row = Reconciliation.objects.create(
        agency=agency, code="uji", title="Uji", responsible=user, pairs=[pair.stored() for pair in pairs]
    )
    for place, name in (("left", "a"), ("right", "b")):
        operation = DataOperation.objects.create(
            service=service, code=name, source=source, sql=f"SELECT nik, nama, alamat FROM {name}",
            max_rows=rows, timeout_ms=600_000, state="published",
        )  # fmt: skip
        for position, field in enumerate(("nik", "nama", "alamat")):
            Field.objects.create(operation=operation, name=field, position=position, type="text")
        row.sides.create(place=place, kind="operation", as_own=True, operation=operation)
    runs.start(row, user)


def work(step: str = "") -> None:
    """Do what waits. In the middle of ``step`` it says so, and stands still until it is killed."""
    from mantra.reconciliation.models import ReconciliationRun
    from mantra.reconciliation.worker import Task

    report, seen = Task._report, [0]

    def reporting(self: Task, job: ReconciliationRun, *args: Any) -> None:
        report(self, job, *args)
        seen[0] += job.step == step
        if seen[0] == REPORTS:
            print("standing", flush=True)
            time.sleep(600)

    Task._report = reporting  # type: ignore[method-assign]
    task = Task()
    while ReconciliationRun.objects.filter(state__in=("waiting", "running")).exists():
        task.round()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def show() -> None:
    from mantra.reconciliation.models import ReconciliationRun

    run = ReconciliationRun.objects.get()
    shown = {name: getattr(run, name) for name in ("state", "step", "percent", "attempts", "problem", "stored", "kept")}
    print(json.dumps({**shown, **run.counts}))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mantra.settings")
    django.setup()
    word, *more = sys.argv[1:]
    if word == "prepare":
        prepare(more[0], int(more[1]))
    else:
        {"work": work, "show": show}[word](*more)
