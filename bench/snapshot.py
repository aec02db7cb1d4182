"""How soon a worker with a large registry is ready, and a change of it in force, and what that costs the worker: run as
``bench/run snapshot``.

As a program it makes the changes, in a process of its own with the bus's models. It is also the upstream of the server
that moves:

    python -m bench.snapshot PORT PID KEY
"""

from __future__ import annotations

import http.client
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.bus import ROOT, Bench, manage

#: Half of the operations are data operations, half are proxy operations.
OPERATIONS, KEYS, GRANTS, APPLICATIONS, SERVICES, BACKENDS = 20_000, 100_000, 200_000, 10_000, 200, 1_000
#: Seconds within which a change must be in force, and a worker process ready; MiB that it may have at most.
FORCE_SECONDS, START_SECONDS, MEMORY_MIB = 1.0, 10.0, 500
TIMES = 5
#: A data operation and a proxy operation, of the application app0.
CALLED, FORWARDED = "prov/data0/op0", "prov/data1/op10001"

_HALF = f"generate_series(0, {OPERATIONS // 2 - 1}) AS n"

#: Agencies with sources, backends, services, operations with parameters; applications with keys and grants, by number.
#: Operations with an even number are data operations, each with SQL of its own; those with an odd one are forwarded.
_FILL = f"""
INSERT INTO registry_agency (id, code, legacy_name, name, website, email)
    VALUES (1001, 'prov', '', 'P', '', ''), (1002, 'kons', '', 'K', '', '');
INSERT INTO dataservices_datasource (id, agency_id, code, engine, host, database, "user", password, wallet_password, options, pool_size)
    SELECT 1000 + n, 1001, 'db' || n, 'sqlite', '', 'uji.sqlite3', '', '', '', '{{}}', 5 FROM generate_series(0, 99) AS n;
INSERT INTO proxyservices_backend (id, agency_id, code, credential_kind, probe_method, probe_expected_statuses)
    SELECT 1000 + n, 1001, 'hulu' || n, 'access-key', 'GET', '200-399' FROM generate_series(0, {BACKENDS - 1}) AS n;
INSERT INTO proxyservices_backendserver (backend_id, priority, weight, url, active, own_settings, credential_kind, probe_method)
    SELECT 1000 + n, 0, 1, 'http://hulu' || n || '.contoh.go.id/api/', true, false, 'access-key', 'GET'
    FROM generate_series(0, {BACKENDS - 1}) AS n;
INSERT INTO registry_service (id, agency_id, code, legacy_name, title, description, tags, classification, contact)
    SELECT 1000 + n, 1001, 'data' || n, '', 'Data', '', '', 'limited', '' FROM generate_series(0, {SERVICES - 1}) AS n;
INSERT INTO registry_operation (id, service_id, code, title, description, kind, access, state, listing, revision, updated_at)
    SELECT 1000 + n, 1000 + n % {SERVICES}, 'op' || n, 'Data pegawai ' || n, 'Data pegawai menurut NIP, nomor ' || n,
        (ARRAY['data', 'proxy'])[n % 2 + 1], 'restricted', 'published', 'members', 1, now()
    FROM generate_series(0, {OPERATIONS - 1}) AS n;
INSERT INTO dataservices_dataoperation (operation_ptr_id, source_id, sql, writes, max_rows, timeout_ms, page_size)
    SELECT 1000 + 2 * n, 1000 + n % 100,
        'SELECT nip, nama, golongan FROM pegawai' || n || ' WHERE nip = :nip [[ AND unit = :unit ]]', false, 10, 5000, 0
    FROM {_HALF};
INSERT INTO proxyservices_proxyoperation (operation_ptr_id, backend_id, style, method, path, allowed_methods, forwarded_request_headers,
        returned_response_headers, timeout_ms, connect_timeout_ms, read_timeout_ms, max_body_bytes, retries)
    SELECT 1001 + 2 * n, 1000 + n % {BACKENDS}, (ARRAY['pass-through', 'rest'])[n % 2 + 1], 'GET',
        '/pegawai' || n || (ARRAY['', '/{{nip}}'])[n % 2 + 1], 'GET, HEAD, POST', 'Accept, Content-Type, If-None-Match, User-Agent',
        'Cache-Control, ETag, Last-Modified, Location, Vary', 10000, 3000, 10000, 10000000, 1
    FROM {_HALF};
INSERT INTO registry_parameter (operation_id, position, name, type, required, pattern)
    SELECT 1000 + n, p, (ARRAY['nip', 'unit'])[p + 1], 'text', p = 0, '[0-9A-Z]+'
    FROM generate_series(0, {OPERATIONS - 1}) AS n, generate_series(0, 1) AS p;
INSERT INTO registry_field (operation_id, position, name, type, description, classification)
    SELECT 1000 + n, p, (ARRAY['nip', 'nama', 'golongan'])[p + 1], 'text', '', 'internal'
    FROM generate_series(0, {OPERATIONS - 1}) AS n, generate_series(0, 2) AS p;
INSERT INTO registry_application (id, agency_id, code, title, contact, active)
    SELECT 1000 + n, 1002, 'app' || n, '', '', true FROM generate_series(0, {APPLICATIONS - 1}) AS n;
INSERT INTO registry_accesskey (application_id, public, digest, networks, in_path, created_at)
    SELECT 1000 + n % {APPLICATIONS}, 'mtr_' || left(md5(n::text), 8), '1:' || encode(sha256(n::text::bytea), 'hex'),
        CASE WHEN n % 10 = 0 THEN '10.' || n % 200 || '.0.0/16 10.201.0.0/16' ELSE '' END, false, now()
    FROM generate_series(0, {KEYS - 1}) AS n;
INSERT INTO registry_grant (application_id, operation_id, state, purpose, fields, quota, networks, valid_until, created_at)
    SELECT 1000 + n % {APPLICATIONS}, 1000 + (n + n / {APPLICATIONS}) % {OPERATIONS}, 'approved', 'uji',
        CASE WHEN n % 4 = 3 THEN 'nip nama' ELSE '' END, CASE WHEN n % 2 = 1 THEN '1000/day' ELSE '' END, '',
        CASE WHEN n % 3 = 2 THEN date '2030-12-31' END, now()
    FROM generate_series(0, {GRANTS - 1}) AS n;
"""  # noqa: E501

#: Columns that are not filled below are empty: gives each a default, which Django does itself.
_DEFAULTS = """
SELECT format('ALTER TABLE %I ALTER %I SET DEFAULT %L', table_name, column_name, CASE data_type
    WHEN 'boolean' THEN 'false' WHEN 'smallint' THEN '0' WHEN 'integer' THEN '0' WHEN 'bigint' THEN '0'
    WHEN 'jsonb' THEN '[]' ELSE '' END)
FROM information_schema.columns
WHERE table_schema = 'public' AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'
    AND data_type IN ('boolean', 'smallint', 'integer', 'bigint', 'character varying', 'text', 'jsonb')
"""

_NEXT = (
    "registry_agency", "dataservices_datasource", "proxyservices_backend", "registry_service", "registry_operation",
    "registry_application",
)  # fmt: skip


def snapshot(made: Bench) -> Iterator[dict[str, Any]]:
    """A worker with 20,000 operations, 100,000 keys and 200,000 grants, in PostgreSQL."""
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
        start = {"case": "a worker process starts", "value": round(started, 1), "cpu_s": round(served.cpu(), 1)}
        yield _judged(start, START_SECONDS)
        (pid,) = served.workers()
        command = [sys.executable, "-m", "bench.snapshot", str(served.port), str(pid)]
        run = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        for line in run.stdout.splitlines():
            measured = json.loads(line)
            yield _judged(measured, measured.pop("target", FORCE_SECONDS))


def _judged(measured: dict[str, Any], target: float) -> dict[str, Any]:
    """Return a measurement with its target, and the machine's load."""
    load = round(os.getloadavg()[0], 1)
    return {"bench": "snapshot", **measured, "target": target, "ok": measured["value"] < target, "load": load}


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
        self.key = ""

    def status(self, path: str) -> int:
        """The status of a call with the key; 500 for all from there on.

        The sources are not there. So an admitted call ends with 502 or, while the circuit is open, with 503.
        """
        self._connection.request("GET", f"/rest/{path}?nip=1", headers={"AccessKey": self.key})
        answer = self._connection.getresponse()
        answer.read()
        return min(answer.status, 500)

    def until(self, wanted: int, path: str) -> float:
        """Seconds until the status is as wanted."""
        began = time.monotonic()
        while self.status(path) != wanted:
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


class _Upstream(http.server.BaseHTTPRequestHandler):
    """An upstream that answers with the status that its port stands for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _upstream(status: int) -> str:
    """Start such an upstream. Returns its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Upstream)
    server.status = status  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


@dataclass
class _Change:
    """A change that calls show by their status, and back. ``statuses``: before it and after it."""

    case: str
    path: str
    statuses: tuple[int, int]
    row: Any
    name: str
    values: tuple[Any, Any]
    changed: bool = False

    def make(self) -> int:
        """Make the change, or take it back. Returns the status that calls have when it is in force."""
        self.changed = not self.changed
        setattr(self.row, self.name, self.values[self.changed])
        self.row.save()
        return self.statuses[self.changed]


def _changes(worker: _Worker) -> list[_Change]:
    """The changes, with a key by which the worker is called."""
    from django.utils import timezone

    from proxyservices.models import BackendServer
    from registry.models import AccessKey, Application, Grant, Parameter

    application = Application.objects.get(code="app0")
    AccessKey.objects.filter(application=application).delete()
    key, worker.key = AccessKey.issue(application)
    grant = Grant.objects.get(application=application, operation__code="op0")
    parameter = Parameter.objects.get(operation__code="op0", name="unit")
    server = BackendServer.objects.get(backend__code="hulu0")
    server.url, elsewhere = _upstream(200), _upstream(202)
    server.save()
    worker.until(200, FORWARDED)
    called = worker.status(CALLED)
    return [
        _Change("a key is revoked", CALLED, (called, 401), key, "revoked_at", (None, timezone.now())),
        _Change("a grant is changed", CALLED, (called, 403), grant, "networks", ("", "192.0.2.0/24")),
        _Change("an operation is changed", CALLED, (called, 400), parameter, "required", (False, True)),
        _Change("a server is moved", FORWARDED, (200, 202), server, "url", (server.url, elsewhere)),
    ]


def _seconds(worker: _Worker, change: _Change) -> float:
    """Seconds from the beginning of a change's transaction until it is in force."""
    began = time.monotonic()
    worker.until(change.make(), change.path)
    return time.monotonic() - began


def _alone(worker: _Worker, change: _Change) -> dict[str, Any]:
    seconds = []
    for _time in range(TIMES):
        worker.quiet()
        for _way in ("there", "back"):
            seconds.append(_seconds(worker, change))
    costs = [worker.cost(change.make), worker.cost(change.make)]
    return {
        "case": change.case,
        "value": round(max(seconds), 3),
        "median": round(sorted(seconds)[len(seconds) // 2], 3),
        "cpu_ms": round(1000 * min(costs), 1),
        "memory_mib": round(worker.memory("VmRSS")),
    }


def _measured(worker: _Worker) -> Iterator[dict[str, Any]]:
    from registry.models import Agency, Operation

    def memory(case: str) -> dict[str, Any]:
        resident = round(worker.memory("VmRSS"))
        return {"case": case, "value": round(worker.memory("VmHWM")), "memory_mib": resident, "target": MEMORY_MIB}

    worker.quiet()
    yield memory("the highest memory, MiB: after the start")
    changes = _changes(worker)
    for change in changes:
        yield _alone(worker, change)
    provider = Agency.objects.get(code="prov")
    seconds = worker.cost(provider.save)
    yield {
        "case": "CPU for all operations, of which few were called",
        "value": round(seconds, 2),
        "target": START_SECONDS,
    }
    for address in Operation.objects.values_list("service__agency__code", "service__code", "code"):
        worker.status("/".join(address))  # most are refused, but their plans are there then
    yield memory("the highest memory, MiB: after each operation was called")
    for change in changes:
        worker.quiet()
        provider.save()  # every operation is to be prepared again
        time.sleep(0.5)
        seconds = [_seconds(worker, change) for _way in ("there", "back")]
        yield {"case": f"{change.case} while all operations change", "value": round(max(seconds), 3)}
    worker.quiet()
    yield memory("the highest memory, MiB: after all of this")


def main(port: int, pid: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mantra.settings")
    import django

    django.setup()
    for line in _measured(_Worker(port, pid)):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
