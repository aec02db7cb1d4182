"""What jobs take: ``python -m bench.jobs [ROWS]``.

Makes a table of 100,000 people in a PostgreSQL of its own, starts a bus over it with a worker, and runs 100,000 rows by
a data operation and by a verification of NIK, name and birth date: each from the upload to the last result, which is
read back. Prints the machine's load, and for each the seconds and the most memory of the worker. Ends with 1 if one
takes longer than TARGET seconds.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROWS, PEOPLE, TARGET = 100_000, 100_000, 30.0
ROOT = Path(__file__).resolve().parent.parent
BUNDLE = {
    "agencies": [{"code": "prov", "name": "Penyedia"}, {"code": "kons", "name": "Konsumen"}],
    "sources": [
        {
            "agency": "prov", "code": "pg", "engine": "postgresql", "host": "127.0.0.1", "port": "${PORT_OF_SOURCE}",
            "database": "mantra", "user": "mantra", "password": "env:PASSWORD_OF_SOURCE",
        }
    ],
    "services": [
        {
            "agency": "prov", "code": "data", "title": "Data",
            "operations": [
                {
                    "code": "warga", "kind": "data", "state": "published", "access": "restricted", "source": "pg",
                    "sql": "SELECT nik, nama, lahir, alamat, kota FROM warga WHERE nik = :nik",
                    "parameters": [{"name": "nik", "type": "text", "subject": True}],
                }
            ],
        }
    ],
    "applications": [
        {
            "agency": "kons", "code": "app", "title": "Aplikasi",
            "grants": [{"operation": "prov/data/warga", "purpose": "uji"}],
        }
    ],
}  # fmt: skip
VERIFY = """
from mantra.verification.models import VerificationOperation, VerifiedField, declare
from registry.models import Application, Grant, Operation, Service
base = Operation.objects.get(code="warga")
made = VerificationOperation(service=Service.objects.get(), code="cek", base=base, state="published")
made.full_clean()
made.save()
for position, field in enumerate(({"name": "nama", "rule": "name"}, {"name": "lahir", "rule": "date"})):
    VerifiedField.objects.create(operation=made, position=position, **field)
declare(made)
Grant.objects.create(application=Application.objects.get(), operation=made, purpose="uji")
"""
WORDS = ("Budi", "Siti", "Wayan", "Agus", "Dewi", "Rahmat", "Ningsih", "Santoso", "Wulandari", "Hidayat", "Lestari")


def name(n: int) -> str:
    chosen = random.Random(n)
    return " ".join(chosen.choice(WORDS) for _ in range(3))


def nik(n: int) -> str:
    return f"3375{n:012}"


def birth(n: int) -> str:
    return f"19{n % 80 + 10}-0{n % 9 + 1}-11"


def fill(connection: Any) -> None:
    """Make the table and its rows."""
    from psycopg2.extras import execute_values

    cursor = connection.cursor()
    cursor.execute("CREATE TABLE warga (nik varchar(16) PRIMARY KEY, nama text, lahir date, alamat text, kota int)")
    rows = ((nik(n), name(n), birth(n), f"Jalan {n}", n % 514) for n in range(PEOPLE))
    execute_values(cursor, "INSERT INTO warga VALUES %s", rows, page_size=5000)
    cursor.execute("ANALYZE warga")
    connection.commit()


def body(rows: int) -> bytes:
    """The file: nine of ten rows are somebody, one of ten of these with another's name."""
    lines = ["nik,nama,lahir"]
    for number in range(rows):
        n = number * (PEOPLE + PEOPLE // 10) // rows
        lines.append(f"{nik(n)},{name(n if number % 10 else n + 1)},{birth(n)}")
    return "\n".join(lines).encode()


def computing(pid: int) -> float:
    """The seconds for which a process has computed."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def run(bus: Any, operation: str, content: bytes, worker: int) -> dict[str, Any]:
    """Run a job, read its results back, and return what it took."""
    address = f"/rest/prov/data/{operation}/jobs"
    began, load, computed = time.perf_counter(), os.getloadavg()[0], computing(worker)
    reply = bus.request(address, "POST", body=content, headers={"Content-Type": "text/csv"})
    if reply.status != 202:
        raise RuntimeError(reply.data)
    id, checked = json.loads(reply.data)["id"], 0.0
    sent = time.perf_counter() - began
    while True:
        state = json.loads(bus.request(f"{address}/{id}").data)
        checked = checked or (time.perf_counter() - began if state["state"] in ("running", "done") else 0.0)
        if state["state"] not in ("waiting", "checking", "running"):
            break
        time.sleep(0.1)
    took = time.perf_counter() - began
    if state["state"] != "done":
        raise RuntimeError(state["problem"])
    read = bus.request(f"{address}/{id}/file.csv").data
    memory = next(line for line in Path(f"/proc/{worker}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return {
        "bench": "jobs", "operation": operation, "rows": state["rows"], "found": state["found"],
        "not_found": state["not_found"], "faults": state["faults"], "seconds": round(took, 2),
        "of_which": {"upload": round(sent, 2), "until_checked": round(checked, 2)},
        "file_seconds": round(time.perf_counter() - began - took, 2), "file_mib": round(len(read) / 2**20, 1),
        "worker_computing": round(computing(worker) - computed, 2),
        "worker_mib": int(memory.split()[1]) // 1024, "load": [round(load, 2), round(os.getloadavg()[0], 2)],
        "cores": os.cpu_count(), "target": TARGET, "ok": took <= TARGET,
    }  # fmt: skip


def main(arguments: list[str]) -> int:
    import psycopg2

    from tests.servers import process
    from tests.servers.bus import Bus
    from tests.servers.postgresql import PostgreSQLServer
    from tests.servers.process import ending_with_us

    process.permitted = True
    rows, missed = int((arguments or [str(ROWS)])[0]), False
    with tempfile.TemporaryDirectory() as folder, PostgreSQLServer() as server:
        connection = psycopg2.connect(server.dsn())
        fill(connection)
        connection.close()
        superuser = server.superuser()
        superuser.cursor().execute("CREATE DATABASE registry OWNER mantra")
        superuser.close()
        url = f"postgres://mantra:mantra@127.0.0.1:{server.port}/registry"
        bus = Bus(
            Path(folder), BUNDLE, "kons/app", MANTRA_DATABASE_URL=url, WEB_CONCURRENCY="1",
            PORT_OF_SOURCE=str(server.port), PASSWORD_OF_SOURCE=server.password,
        )  # fmt: skip
        bus.manage("shell", "-v", "0", "-c", VERIFY)
        content = body(rows)
        with bus:
            words = ending_with_us([sys.executable, "manage.py", "ship_journal", "--follow"])
            worker = subprocess.Popen(words, cwd=ROOT, env=bus.environment, stderr=subprocess.DEVNULL)
            try:
                run(bus, "warga", body(10), worker.pid)  # the worker has started then, and has read the registry
                for operation in ("warga", "cek"):
                    line = run(bus, operation, content, worker.pid)
                    missed |= not line["ok"]
                    print(json.dumps(line), flush=True)
            finally:
                worker.terminate()
                worker.wait(60)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
