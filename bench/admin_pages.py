"""How long the pages of the admin take in a large registry: ``python -m bench.admin_pages [OPERATIONS CALLS]``.

Makes a registry in SQLite, in a temporary folder, and asks for each page three times. Prints the machine's load and the
best time: the CPU's, which is the time on a machine without other work, since SQLite runs in the same process, and the
clock's; the number of SQL queries, and the size in KiB. Ends with 1 if a page takes more of the CPU's time than the
target.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.test import Client

    from registry.models import User

OPERATIONS, CALLS = 10_000, 1_000_000
#: Backends; versions of one operation; requests to publish; tables of one source, and uploaded ones.
BACKENDS, VERSIONS, REQUESTS, TABLES = 2000, 500, 1000, 500
#: Milliseconds that a page may take.
TARGET = 500
ROOT = Path(__file__).resolve().parent.parent

#: 60 agencies with 6 services and 5 sources each, operations among all services, half as many applications and grants.
_FILL = """
INSERT INTO registry_agency (id, code, legacy_name, name, website, email)
    SELECT i, 'instansi' || i, '', 'Instansi ' || i, '', '' FROM n WHERE i <= 60;
INSERT INTO registry_service (id, agency_id, code, legacy_name, title, description, tags, classification, contact)
    SELECT i, 1 + i % 60, 'layanan' || i, '', 'Layanan ' || i, '', '', 'limited', '' FROM n WHERE i <= 360;
INSERT INTO dataservices_datasource (id, agency_id, code, engine, host, database, user, password, wallet_password, options, pool_size)
    SELECT i, 1 + i % 60, 'db' || i, 'sqlite', '', 'x.sqlite3', '', '', '', '{}', 5 FROM n WHERE i <= 300;
INSERT INTO registry_operation (id, service_id, code, legacy_name, title, description, kind, access, state, listing, cache_seconds, revision, updated_at)
    SELECT i, 1 + i % 360, 'operasi' || i, '', 'Operasi ' || i, '', 'data', 'restricted', 'published', 'members', 0, 1, '2026-11-01 00:00:00'
    FROM n WHERE i <= {operations};
INSERT INTO dataservices_dataoperation (operation_ptr_id, source_id, sql, writes, max_rows, timeout_ms, page_size, routines)
    SELECT i, 1 + (i % 360) % 60, 'SELECT nip FROM pegawai WHERE nip = :nip', 0, 10, 5000, 0, '[]' FROM n WHERE i <= {operations};
INSERT INTO registry_parameter (operation_id, position, name, type, required, "default", pattern, min, max, choices, subject, description, legacy_name)
    SELECT i, 0, 'nip', 'text', 1, '', '', '', '', '', 0, '', '' FROM n WHERE i <= {operations};
INSERT INTO registry_application (id, agency_id, code, title, contact, active)
    SELECT i, 1 + i % 60, 'aplikasi' || i, 'Aplikasi ' || i, '', 1 FROM n WHERE i <= {operations} / 2;
INSERT INTO registry_accesskey (application_id, public, digest, networks, in_path, created_at)
    SELECT i, 'mtr_' || i, 'x:' || i, '', 0, '2026-11-01 00:00:00' FROM n WHERE i <= {operations} / 2;
INSERT INTO registry_grant (application_id, operation_id, state, purpose, legal_basis, agreement, fields, quota, networks, created_at)
    SELECT i, 1 + i * 7 % {operations}, 'approved', 'uji', '', '', '', '', '', '2026-11-01 00:00:00' FROM n WHERE i <= {operations} / 2;
INSERT INTO registry_callrecord (request_id, started_at, protocol, method, agency, service, operation, operation_ref, revision,
        consumer_agency, application, key, user, format, parameters, subjects, fields, outcome, status, rows, bytes, duration_us, broken, segment)
    SELECT printf('%032x', i), datetime('2026-01-01', '+' || (i * 25) || ' seconds'), 'rest', 'GET',
        'instansi' || (1 + (1 + (1 + i * 31 % {operations}) % 360) % 60), 'layanan' || (1 + (1 + i * 31 % {operations}) % 360),
        'operasi' || (1 + i * 31 % {operations}), 1 + i * 31 % {operations}, 1, 'instansi' || (1 + i % 60), 'aplikasi' || (1 + i % 5000),
        'mtr_1', '', 'json', 'nip', '', 'nip', CASE WHEN i % 50 = 0 THEN 11101 WHEN i % 77 = 0 THEN 11201 ELSE 200 END,
        CASE WHEN i % 50 = 0 THEN 400 WHEN i % 77 = 0 THEN 502 ELSE 200 END, i % 100, 1000, 1000 + i * 37 % 900000, i % 997 = 0, ''
    FROM n WHERE i <= {calls};
"""  # noqa: E501


def fill(operations: int, calls: int) -> None:
    """Fill the tables of an empty registry in SQLite."""
    from django.db import connection

    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {max(operations, calls, 360)})"
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA foreign_keys = OFF")
        for statement in _FILL.replace("{operations}", str(operations)).replace("{calls}", str(calls)).split(";\n"):
            if statement.strip():
                cursor.execute(f"{numbers} {statement}")
        cursor.execute("ANALYZE")


def fill_backends() -> None:
    """Make backends with two servers each, whose states two observers have told, and an operation for each of 40."""
    from django.utils import timezone

    from proxyservices.models import Backend, BackendServer, ProxyOperation, ServerState

    Backend.objects.bulk_create(
        Backend(agency_id=1 + number % 60, code=f"tujuan{number}", credential_kind="none") for number in range(BACKENDS)
    )
    BackendServer.objects.bulk_create(
        BackendServer(backend_id=pk, url=f"https://{place}.contoh.go.id/{pk}")
        for pk in Backend.objects.values_list("pk", flat=True)
        for place in ("satu", "dua")
    )
    ServerState.objects.bulk_create(
        ServerState(
            server_id=pk, observer=observer, breaker="open" if pk % 100 == 0 else "closed", since=timezone.now()
        )
        for pk in BackendServer.objects.values_list("pk", flat=True)
        for observer in ("web:1", "web:2")
    )
    first = Backend.objects.order_by("pk").first()
    for number in range(40):
        ProxyOperation.objects.create(service_id=1, code=f"proksi{number}", style="rest", backend=first)


def fill_versions(user: User) -> None:
    """Make versions of the first operation, and requests to publish the other ones."""
    from dataservices.models import DataOperation
    from registry import versions
    from registry.models import OperationVersion, PublishRequest

    operation = DataOperation.objects.order_by("pk")[0]
    definition = versions.definition(operation)
    OperationVersion.objects.bulk_create(
        OperationVersion(
            operation=operation, number=number, origin="admin",
            definition={**definition, "columns": {**definition["columns"], "title": f"Versi {number}"}},
        )
        for number in range(1, VERSIONS + 1)
    )  # fmt: skip
    PublishRequest.objects.bulk_create(
        PublishRequest(operation_id=number, digest="0" * 64, requested_by=user, reason="uji")
        for number in range(1, REQUESTS + 1)
    )


def fill_tables(user: User, client: Client) -> dict[str, str]:
    """Make a source of many tables, uploaded tables, and unfinished publications of the source.

    Return the addresses of the pages that show them, by name.
    """
    from django.urls import reverse

    from dataservices.models import DataSource, UploadedTable, UploadVersion, WizardDraft

    source = DataSource.objects.order_by("pk")[0]
    folder = Path(os.environ["MANTRA_SOURCE_FILE_DIRS"]) / source.agency.code
    folder.mkdir()
    with sqlite3.connect(folder / source.database) as made:
        for number in range(TABLES):
            columns = ", ".join(f"kolom{place} TEXT" for place in range(20))
            made.execute(f"CREATE TABLE tabel{number} (id INTEGER PRIMARY KEY, {columns})")
    UploadedTable.objects.bulk_create(
        UploadedTable(source_id=1 + number % 60, name=f"unggahan{number}", title="Unggahan") for number in range(TABLES)
    )
    UploadVersion.objects.bulk_create(
        UploadVersion(table=table, number=1, stored=f"{table.pk}", file_name="a.csv", size=1, rows=1, user="bench")
        for table in UploadedTable.objects.all()
    )
    empty, chosen = (
        reverse("wizard_step", args=(WizardDraft.objects.create(owner=user, source=source, step=2).key, 2))
        for _ in "12"
    )
    client.post(chosen, {"do": "main:tabel0"})
    return {"publish data, step 2": empty, "publish data, a table chosen": chosen}


def measure() -> bool:
    """Print a line for each page. Return True if all are within the target."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from registry.models import User
    from tests.admin.pages import pages

    client = Client(SERVER_NAME="localhost")
    user = User.objects.create_superuser("bench", is_staff=True)
    client.force_login(user)
    fill_backends()
    fill_versions(user)
    more = fill_tables(user, client)
    within = True
    print(f"load {' '.join(f'{each:.1f}' for each in os.getloadavg())}")
    print(f"{'page':32} {'CPU ms':>6} {'ms':>6} {'SQL':>4} {'KiB':>6}")
    for name, address in {**pages(), **more}.items():
        found = []
        for _turn in range(3):
            with CaptureQueriesContext(connection) as captured:
                began, began_cpu = time.perf_counter(), time.process_time()
                response = client.get(address)
                seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
            if response.status_code != 200:
                raise RuntimeError(f"{name}: {response.status_code} for {address}")
            found.append((1000 * cpu, 1000 * seconds, len(captured), len(response.content) / 1024))
        cpu, milliseconds, queries, size = min(found)
        within &= cpu <= TARGET
        late = "" if cpu <= TARGET else "  too slow"
        print(f"{name:32} {cpu:6.0f} {milliseconds:6.0f} {queries:4} {size:6.0f}{late}", flush=True)
    return within


def main(arguments: list[str]) -> int:
    if os.environ.get("MANTRA_BENCH_PAGES"):
        import django

        django.setup()
        fill(*map(int, arguments))
        return int(not measure())
    from tests.servers.surroundings import environment

    sizes = arguments or [str(OPERATIONS), str(CALLS)]
    with tempfile.TemporaryDirectory() as folder:
        inner = {**environment(Path(folder)), "MANTRA_BENCH_PAGES": "1", "DJANGO_SETTINGS_MODULE": "mantra.settings"}
        subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, env=inner, check=True)
        return subprocess.run([sys.executable, "-m", "bench.admin_pages", *sizes], cwd=ROOT, env=inner).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
