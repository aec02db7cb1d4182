"""What sets of arguments save: ``python -m bench.sets [LOOK-UPS]``.

Makes a table of 100,000 rows in a PostgreSQL and in a MariaDB of its own, and looks 10,000 keys up, one by one and in
sets, in turn, in one process. Prints the machine's load, and for each engine the seconds of each round and the median
ratio. Ends with 1 if sets are not TARGET times as fast on PostgreSQL.
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
from statistics import median
from typing import Any

LOOK_UPS, ROWS, ROUNDS = 10_000, 100_000, 5
TARGET = 2.0
ROOT = Path(__file__).resolve().parent.parent
SQL = "SELECT nik, nama, lahir, alamat, kota FROM warga WHERE nik = :nik"
_TABLE = "CREATE TABLE warga (nik varchar(16) PRIMARY KEY, nama varchar(60), lahir date, alamat varchar(80), kota int)"


def fill(connection: Any) -> None:
    """Make the table and its rows."""
    cursor = connection.cursor()
    cursor.execute(_TABLE)
    rows = [(nik(n), f"Orang {n}", f"19{n % 80 + 10}-0{n % 9 + 1}-11", f"Jalan {n}", n % 514) for n in range(ROWS)]
    for start in range(0, ROWS, 1000):
        part = rows[start : start + 1000]
        marks = ", ".join(["(%s, %s, %s, %s, %s)"] * len(part))
        cursor.execute(f"INSERT INTO warga VALUES {marks}", [value for row in part for value in row])
    connection.commit()
    cursor.execute("ANALYZE warga" if "psycopg2" in str(type(connection)) else "ANALYZE TABLE warga")
    connection.commit()


def nik(n: int) -> str:
    return f"3375{n:012}"


def measure(source: dict[str, Any], look_ups: int) -> dict[str, Any]:
    """Return the seconds of both ways, in turn."""
    from dataservices import runner, sets
    from dataservices.pool import SourcePool
    from tests.dataservices.planned import call_of, plan_of

    pool = SourcePool(1, source["engine"], source, 2)
    plan = plan_of(pool, SQL)
    chosen = random.Random(1)
    wanted = [{"nik": nik(chosen.randrange(ROWS + ROWS // 10))} for _ in range(look_ups)]

    def one_by_one() -> list[Any]:
        found = []
        for values in wanted:
            call = call_of(plan)
            call.arguments = values
            rows = runner.run(call)
            found.append([row for batch in rows.batches for row in batch])  # type: ignore[attr-defined]
            rows.close()
        return found

    def in_sets() -> list[Any]:
        return [rows for result in sets.run_sets(call_of(plan), wanted) for rows in result.rows]

    if one_by_one() != in_sets():
        raise RuntimeError("not the same rows")
    seconds: dict[str, list[float]] = {"one by one": [], "in sets": []}
    for number in range(ROUNDS):
        ways = [("one by one", one_by_one), ("in sets", in_sets)]
        for name, way in ways if number % 2 else reversed(ways):
            began = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - began)
    ratio = median(one / other for one, other in zip(seconds["one by one"], seconds["in sets"], strict=True))
    pool.dispose()
    return {
        "bench": "sets", "engine": source["engine"], "look_ups": look_ups, "ratio": round(ratio, 2),
        **{name.replace(" ", "_"): [round(each, 3) for each in found] for name, found in seconds.items()},
    }  # fmt: skip


def _inner(arguments: list[str]) -> int:
    import django

    django.setup()
    import MySQLdb
    import psycopg2

    from tests.servers import process
    from tests.servers.mariadb import MariaDBServer
    from tests.servers.postgresql import PostgreSQLServer

    process.permitted = True
    missed = False
    for kind in (PostgreSQLServer, MariaDBServer):
        with kind() as server:
            if isinstance(server, PostgreSQLServer):
                connection = psycopg2.connect(server.dsn())
            else:
                connection = MySQLdb.connect(
                    host="127.0.0.1", port=server.port, user=server.user, password=server.password,
                    database=server.database,
                )  # fmt: skip
            fill(connection)
            connection.close()
            before = os.getloadavg()[0]
            line = measure(server.source(), int((arguments or [str(LOOK_UPS)])[0]))
            missed |= line["engine"] == "postgresql" and line["ratio"] < TARGET
            load = [round(before, 2), round(os.getloadavg()[0], 2)]
            print(json.dumps({**line, "load": load, "cores": os.cpu_count()}), flush=True)
    return int(missed)


def main(arguments: list[str]) -> int:
    if os.environ.get("MANTRA_BENCH_SETS"):
        return _inner(arguments)
    from tests.servers.surroundings import environment

    with tempfile.TemporaryDirectory() as folder:
        inner = {**environment(Path(folder)), "MANTRA_BENCH_SETS": "1"}
        return subprocess.run([sys.executable, "-m", "bench.sets", *arguments], cwd=ROOT, env=inner).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
