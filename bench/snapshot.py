"""How soon a change of a large registry is in force, and what it costs a worker: run as ``bench/run snapshot``.

As a program it makes the changes, in a process of its own with the bus's models:

    python -m bench.snapshot PORT PID KEY
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.bus import ROOT, Bench, manage

OPERATIONS, KEYS, PER_APPLICATION = 10_000, 100_000, 10
#: Seconds within which a change must be in force.
TARGET = 1.0
TIMES = 5
CALLED = "prov/data0/op0"

#: Agencies with sources, services, operations with a parameter; applications with keys and grants, by number.
_FILL = f"""
INSERT INTO registry_agency (id, code, legacy_name, name, website, email)
    VALUES (1001, 'prov', '', 'P', '', ''), (1002, 'kons', '', 'K', '', '');
INSERT INTO dataservices_datasource (id, agency_id, code, engine, host, database, "user", password, wallet_password, options, pool_size)
    SELECT 1000 + n, 1001, 'db' || n, 'sqlite', '', 'uji.sqlite3', '', '', '', '{{}}', 5 FROM generate_series(0, 99) AS n;
INSERT INTO registry_service (id, agency_id, code, legacy_name, title, description, tags, classification, contact)
    SELECT 1000 + n, 1001, 'data' || n, '', 'Data', '', '', 'limited', '' FROM generate_series(0, 99) AS n;
INSERT INTO registry_operation (id, service_id, code, legacy_name, title, description, kind, access, state, listing, cache_seconds, revision, updated_at)
    SELECT 1000 + n, 1000 + n % 100, 'op' || n, '', '', '', 'data', 'restricted', 'published', 'members', 0, 1, now()
    FROM generate_series(0, {OPERATIONS - 1}) AS n;
INSERT INTO dataservices_dataoperation (operation_ptr_id, source_id, sql, writes, max_rows, timeout_ms, page_size)
    SELECT 1000 + n, 1000 + n % 100, 'SELECT nip, nama, golongan FROM pegawai WHERE nip = :nip [[ AND unit = :unit ]]', false, 10, 5000, 0
    FROM generate_series(0, {OPERATIONS - 1}) AS n;
INSERT INTO registry_parameter (operation_id, position, name, type, required, "default", pattern, min, max, choices, subject, description, legacy_name)
    SELECT 1000 + n, p, (ARRAY['nip', 'unit'])[p + 1], 'text', p = 0, '', '[0-9A-Z]+', '', '', '', false, '', ''
    FROM generate_series(0, {OPERATIONS - 1}) AS n, generate_series(0, 1) AS p;
INSERT INTO registry_field (operation_id, position, name, type, description, classification)
    SELECT 1000 + n, p, 'kolom' || p, 'text', '', 'internal'
    FROM generate_series(0, {OPERATIONS - 1}) AS n, generate_series(0, 2) AS p;
INSERT INTO registry_application (id, agency_id, code, title, contact, active)
    SELECT 1000 + n, 1002, 'app' || n, '', '', true FROM generate_series(0, {KEYS // PER_APPLICATION - 1}) AS n;
INSERT INTO registry_accesskey (application_id, public, digest, networks, in_path, created_at)
    SELECT 1000 + n / {PER_APPLICATION}, 'mtr_' || n, 'x:' || n, CASE WHEN n % 10 = 0 THEN '10.1.0.0/16 10.2.0.0/16' ELSE '' END, false, now()
    FROM generate_series(0, {KEYS - 1}) AS n;
INSERT INTO registry_grant (application_id, operation_id, state, purpose, legal_basis, agreement, fields, quota, networks, created_at)
    SELECT 1000 + n / {PER_APPLICATION}, 1000 + n % {OPERATIONS}, 'approved', 'uji', '', '', '', '', '', now()
    FROM generate_series(0, {KEYS - 1}) AS n;
"""  # noqa: E501

#: Columns that are not filled below are empty: gives each a default, which Django does itself.
_DEFAULTS = """
SELECT format('ALTER TABLE %I ALTER %I SET DEFAULT %L', table_name, column_name, CASE data_type
    WHEN 'boolean' THEN 'false' WHEN 'integer' THEN '0' WHEN 'bigint' THEN '0' WHEN 'jsonb' THEN '[]' ELSE '' END)
FROM information_schema.columns
WHERE table_schema = 'public' AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'
    AND data_type IN ('boolean', 'integer', 'bigint', 'character varying', 'text', 'jsonb')
"""

_NEXT = ("registry_agency", "dataservices_datasource", "registry_service", "registry_operation", "registry_application")


def snapshot(made: Bench) -> Iterator[dict[str, Any]]:
    """A worker with 10,000 operations, 100,000 keys and as many grants, in PostgreSQL."""
    server = made.server
    superuser = server.superuser()
    superuser.cursor().execute("CREATE DATABASE large OWNER mantra")
    superuser.close()
    url = f"postgres://{server.user}:{server.password}@127.0.0.1:{server.port}/large"
    environment = {**made.environment, "MANTRA_DATABASE_URL": url}
    manage(environment, "migrate", "--noinput", "--verbosity", "0")
    _fill(url)
    began = time.monotonic()
    with made.gunicorn(workers=1, MANTRA_DATABASE_URL=url) as served:
        started = time.monotonic() - began
        (pid,) = served.workers()
        command = [sys.executable, "-m", "bench.snapshot", str(served.port), str(pid)]
        run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        for line in run.stdout.splitlines():
            measured = json.loads(line)
            judged = {"target": TARGET, "ok": measured["value"] < TARGET}
            yield {"bench": "snapshot", "start_s": round(started, 1), **measured, **judged}


def _fill(url: str) -> None:
    import psycopg2

    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(_DEFAULTS)
        for (statement,) in cursor.fetchall():
            cursor.execute(statement)
        for statement in _FILL.split(";\n"):
            if statement.strip():
                cursor.execute(statement)
        for table in _NEXT:
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 100000000)")
        cursor.execute("VACUUM ANALYZE")
    connection.close()


# ------------------------------------------------------------------------------ the process that makes the changes


class _Worker:
    """The worker, as its callers and the kernel see it."""

    def __init__(self, port: int, pid: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._proc = Path(f"/proc/{pid}")

    def status(self, key: str) -> int:
        self._connection.request("GET", f"/rest/{CALLED}?nip=1", headers={"AccessKey": key})
        answer = self._connection.getresponse()
        answer.read()
        return answer.status

    def until(self, wanted: Callable[[int], bool], key: str) -> float:
        """Seconds until the answer to this key is as wanted."""
        began = time.monotonic()
        while not wanted(self.status(key)):
            time.sleep(0.005)
            if time.monotonic() > began + 120:
                raise RuntimeError("never in force")
        return time.monotonic() - began

    def cpu(self) -> float:
        return sum(int((task / "schedstat").read_text().split()[0]) for task in (self._proc / "task").iterdir()) / 1e9

    def memory(self, name: str) -> float:
        """VmRSS or VmHWM, in MiB."""
        lines = (self._proc / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

    def quiet(self) -> None:
        """Wait until it does nothing."""
        before = self.cpu()
        while True:
            time.sleep(1)
            now = self.cpu()
            if now - before < 0.05:
                return
            before = now

    def cost(self, change: Callable[[], object]) -> float:
        """Seconds of CPU that a change costs it, without the calls by which it is noticed."""
        self.quiet()
        before = self.cpu()
        time.sleep(3)
        idle = self.cpu() - before
        before = self.cpu()
        change()
        time.sleep(3)
        self.quiet()
        return max(self.cpu() - before - idle, 0.0)


def _changes(worker: _Worker) -> Iterator[dict[str, Any]]:
    from dataservices.models import DataSource
    from registry.models import AccessKey, Application, Grant, Operation

    application = Application.objects.get(code="app0")
    AccessKey.objects.filter(application=application).delete()
    key, plain = AccessKey.issue(application)
    assert Grant.objects.filter(application=application, operation=Operation.objects.get(code="op0")).exists()
    closed, opened = (lambda status: status == 401), (lambda status: status != 401)
    worker.until(opened, plain)

    def toggle() -> None:
        key.revoked_at = None if key.revoked_at else key.created_at
        key.save(update_fields=["revoked_at"])

    seconds = []
    for _time in range(TIMES):
        worker.quiet()
        for wanted in (closed, opened):
            toggle()
            seconds.append(worker.until(wanted, plain))
    worker.quiet()
    resident = worker.memory("VmRSS")
    costs = [worker.cost(toggle), worker.cost(toggle)]
    yield {
        "case": "a key is revoked",
        "value": round(max(seconds), 3),
        "median": round(sorted(seconds)[len(seconds) // 2], 3),
        "cpu_ms": round(1000 * min(costs), 1),
        "memory_mib": round(resident),
        "peak_mib": round(worker.memory("VmHWM")),
    }
    worker.quiet()
    for source in DataSource.objects.all():
        source.save()  # every operation is to be prepared again
    time.sleep(0.5)
    toggle()
    yield {
        "case": "a key is revoked while all operations change",
        "value": round(worker.until(closed, plain), 3),
        "peak_mib": round(worker.memory("VmHWM")),
    }


def main(port: int, pid: int) -> None:
    import os

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mantra.settings")
    import django

    django.setup()
    for line in _changes(_Worker(port, pid)):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
