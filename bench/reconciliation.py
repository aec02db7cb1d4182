"""Two lists of a million rows in PostgreSQL, read by calls and joined: seconds, and the most memory of the process.

Run as ``bench/run reconciliation``. As a program it is the worker that does the run, with what a run needs and nothing
else:

    python -m bench.reconciliation
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.bus import ROOT, Bench, manage

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
#: Seconds and MiB that a run of a million rows against a million may take.
SECONDS, MEMORY_MIB = 120.0, 300.0

#: Of a hundred rows of the first list five are not in the second, and the other way; of those in both, every tenth has
#: another name, every fiftieth another day of birth.
_FILL = f"""
CREATE TABLE daftar_a AS
SELECT '3201' || lpad(n::text, 12, '0') AS nik, 'Orang ke ' || n AS nama, date '1950-01-01' + n % 20000 AS lahir,
    'Jl. Merdeka No. ' || n % 500 AS alamat, 1000 + n AS jumlah
FROM generate_series(1, {ROWS}) AS n;
CREATE TABLE daftar_b AS
SELECT '3201' || lpad((n + {ROWS // 20})::text, 12, '0') AS nik,
    CASE WHEN n % 10 = 0 THEN 'Nama lain ' ELSE 'ORANG  KE ' END || n + {ROWS // 20} AS nama,
    date '1950-01-01' + (n + {ROWS // 20} + CASE WHEN n % 50 = 1 THEN 1 ELSE 0 END) % 20000 AS lahir,
    'Jl. Merdeka No. ' || (n + {ROWS // 20}) % 500 AS alamat, 1000 + n + {ROWS // 20} AS jumlah
FROM generate_series(1, {ROWS}) AS n;
VACUUM ANALYZE daftar_a;
VACUUM ANALYZE daftar_b;
"""

_BUNDLE = """
services:
  - agency: bkn
    code: daftar
    title: Daftar
    operations: [{operations}]
"""
_OPERATION = (
    "{{code: {name}, kind: data, title: {name}, source: db, access: restricted, state: published, max_rows: {rows}, "
    'timeout_ms: 600000, sql: "SELECT nik, nama, lahir, alamat, jumlah FROM {name}", fields: [{fields}]}}'
)
_FIELDS = {"nik": "text", "nama": "text", "lahir": "date", "alamat": "text", "jumlah": "integer"}


def reconciliation(bench: Bench) -> Iterator[dict[str, Any]]:
    """A run over two operations, in a process of its own."""
    connection = bench.connection()
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in _FILL.split(";\n"):
            if statement.strip():
                cursor.execute(statement)
    connection.close()
    fields = ", ".join(f"{{name: {name}, type: {type}}}" for name, type in _FIELDS.items())
    operations = ", ".join(_OPERATION.format(name=name, rows=ROWS, fields=fields) for name in ("daftar_a", "daftar_b"))
    bundle = bench.folder / "daftar.yaml"
    bundle.write_text(_BUNDLE.format(operations=operations))
    manage(bench.environment, "apply_definitions", str(bundle), "--reason", "measurement")
    folder = bench.folder / "reconciliation"
    (folder / "journal").mkdir(parents=True)
    environment = {
        **bench.environment,
        "MANTRA_EXPORT_DIR": str(folder / "exports"),
        "MANTRA_JOURNAL_DIR": str(folder / "journal"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "bench.reconciliation"], check=False, capture_output=True, text=True, cwd=ROOT,
        env=environment,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found = json.loads(done.stdout.splitlines()[-1])
    yield {
        "bench": "reconciliation",
        "value": found["seconds"],
        "unit": "s",
        "target": SECONDS,
        "ok": found["seconds"] <= SECONDS and found["peak_mib"] < MEMORY_MIB and found["state"] == "done",
        "rows": ROWS,
        **found,
    }


def _rows() -> Any:
    """Store a reconciliation of the two operations, and a run that waits."""
    from django.contrib.auth.models import Group

    from mantra.reconciliation import runs
    from mantra.reconciliation.models import Reconciliation
    from mantra.reconciliation.pairs import Pair
    from registry.models import Agency, Operation, User

    agency = Agency.objects.get(code="bkn")
    user = User.objects.create(username="pengukur", agency=agency, is_staff=True)
    user.groups.set([Group.objects.get(name="Provider")])
    pairs = [
        Pair("nik", "nik", key=True, rule="exact"),
        Pair("nama", "nama", rule="text"),
        Pair("lahir", "lahir", rule="date"),
        Pair("alamat", "alamat", rule="text"),
        Pair("jumlah", "jumlah", rule="number"),
    ]
    row = Reconciliation.objects.create(
        agency=agency, code="ukur", title="Ukur", responsible=user, pairs=[pair.stored() for pair in pairs]
    )
    for place, code in (("left", "daftar_a"), ("right", "daftar_b")):
        row.sides.create(place=place, kind="operation", as_own=True, operation=Operation.objects.get(code=code))
    return runs.start(row, user)


def main() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mantra.settings")
    django.setup()
    from mantra.reconciliation.worker import Task

    run = _rows()
    began, cpu = time.monotonic(), time.process_time()
    task = Task()
    task.round()
    seconds, own = time.monotonic() - began, time.process_time() - cpu
    run.refresh_from_db()
    print(
        json.dumps({
            "seconds": round(seconds, 1), "cpu_s": round(own, 1), "peak_mib": round(_peak() / 1024, 1),
            "state": run.state, "problem": run.problem, **run.counts, "by_field": run.by_field,
        })
    )  # fmt: skip


def _peak() -> int:
    """The most memory of this process so far, in KiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise KeyError("VmHWM")


if __name__ == "__main__":
    main()
