"""What masks cost: ``python -m bench.masks [ROWS]``.

Makes a table of ten columns in a PostgreSQL of its own, and writes it as JSON in one process, in turn without declared
fields, with fields without masks, and with 1 and 3 masks. Prints the machine's load, the rows per second of each round,
and the median ratios. Ends with 1 if three masks leave less than TARGET of the rows per second.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

ROWS, ROUNDS = 200_000, 5
TARGET = 0.3
ROOT = Path(__file__).resolve().parent.parent
COLUMNS = {
    "nik": "text", "nama": "text", "lahir": "date", "alamat": "text", "kota": "integer", "gaji": "integer",
    "telepon": "text", "email": "text", "kode": "text", "aktif": "boolean",
}  # fmt: skip
_TABLE = (
    "CREATE TABLE warga AS SELECT lpad(n::text, 16, '3') AS nik, 'Orang ' || n AS nama,"
    " DATE '1950-01-01' + n % 20000 AS lahir, 'Jalan ' || n AS alamat, n % 514 AS kota, n AS gaji,"
    " '08' || n AS telepon, 'o' || n || '@contoh.id' AS email, 'K' || n % 97 AS kode, n % 2 = 0 AS aktif"
    " FROM generate_series(1, {rows}) AS n"
)
#: What is measured → the masks; None: no field is declared.
WAYS: dict[str, dict[str, str] | None] = {
    "plain": None,
    "0 masks": {},
    "1 mask": {"nik": "partial"},
    "3 masks": {"nik": "partial", "nama": "initials", "lahir": "year"},
    "3 hashes": {"nik": "hash", "nama": "hash", "telepon": "hash"},
}


def measure(source: dict[str, Any], rows: int) -> dict[str, Any]:
    """Return the rows per second of each way, in turn."""
    from dataservices import runner
    from dataservices.pool import SourcePool
    from mantra.gateway.formats.json import RowEncoder
    from registry.results import Rows
    from registry.snapshot.types import Field
    from tests.dataservices.planned import call_of, plan_of

    pool = SourcePool(1, source["engine"], source, 2)
    plans = {}
    for name, masks in WAYS.items():
        fields = tuple(
            Field(column, type_, "", "internal", (masks or {}).get(column, "")) for column, type_ in COLUMNS.items()
        )
        declared = {} if masks is None else dict(COLUMNS)
        more = {} if masks is None else {"fields": fields}
        plans[name] = plan_of(
            pool, f"SELECT {', '.join(COLUMNS)} FROM warga", max_rows=rows, declared=declared, seconds=600.0, **more
        )

    def run(name: str) -> float:
        began, count = time.perf_counter(), 0
        result = runner.run(call_of(plans[name]))
        assert isinstance(result, Rows)
        encode = RowEncoder(result.columns)
        for batch in result.batches:
            encode.encode(batch)
            count += len(batch)
        result.close()
        if count != rows:
            raise RuntimeError(f"{count} rows")
        return count / (time.perf_counter() - began)

    found: dict[str, list[float]] = {name: [] for name in WAYS}
    for number in range(ROUNDS):
        for name in list(WAYS) if number % 2 else reversed(WAYS):
            found[name].append(run(name))
    pool.dispose()
    ratios = {
        name: median(own / plain for own, plain in zip(each, found["plain"], strict=True))
        for name, each in found.items()
    }
    return {
        "bench": "masks", "rows": rows, "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
        "per_second": {name: [round(each) for each in every] for name, every in found.items()},
    }  # fmt: skip


def _inner(arguments: list[str]) -> int:
    import django

    django.setup()
    import psycopg2

    from tests.servers import process
    from tests.servers.postgresql import PostgreSQLServer

    process.permitted = True
    rows = int((arguments or [str(ROWS)])[0])
    with PostgreSQLServer() as server:
        connection = psycopg2.connect(server.dsn())
        connection.cursor().execute(_TABLE.format(rows=rows))
        connection.commit()
        connection.close()
        before = os.getloadavg()[0]
        line = measure(server.source(), rows)
        load = [round(before, 2), round(os.getloadavg()[0], 2)]
        print(json.dumps({**line, "load": load, "cores": os.cpu_count()}), flush=True)
    return int(line["ratios"]["3 masks"] < TARGET)


def main(arguments: list[str]) -> int:
    if os.environ.get("MANTRA_BENCH_MASKS"):
        return _inner(arguments)
    from tests.servers.surroundings import environment

    with tempfile.TemporaryDirectory() as folder:
        inner = {**environment(Path(folder)), "MANTRA_BENCH_MASKS": "1"}
        return subprocess.run([sys.executable, "-m", "bench.masks", *arguments], cwd=ROOT, env=inner).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
