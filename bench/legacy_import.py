"""How long the import of a large installation of MANTRA 1.99x takes: ``python -m bench.legacy_import [DUMP]``.

Invents an installation of 50 agencies, 300 users, 500 services, 3,000 operations, 8,000 orders and 200,000 tracks (a
dump of about 520 MB), or gets a dump. Imports it in processes of their own into a registry in SQLite: as a dry run, for
good, and once more. Prints a line of JSON for each, and ends with 1 if one takes more than SECONDS or has more than
MEMORY_MIB.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SECONDS, MEMORY_MIB = 60.0, 400


def measured(dump: str, dry: bool) -> dict[str, Any]:
    """Return what an import takes, by this process, which has the registry's settings."""
    import django

    django.setup()
    from mantra.legacy_import.reading import open_database
    from mantra.legacy_import.running import Options, run

    began, load = time.monotonic(), os.getloadavg()[0]
    started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open_database(dump) as database:
        read = time.monotonic()
        made = run(database, Options(dry=dry))
        ended = time.monotonic()
        rows = sum(made.counts.values())
    seconds, highest = ended - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "rows": rows, "seconds": round(seconds, 1), "reading_seconds": round(read - began, 1),
        "cpu_seconds": round(time.process_time(), 1), "rows_per_second": round(rows / seconds),
        "operations_per_second": round(made.counts["methods"] / (ended - read)), "mib": highest // 1024,
        "mib_more": (highest - started) // 1024, "load": [round(load, 2), round(os.getloadavg()[0], 2)],
        "cores": os.cpu_count(), "ok": seconds <= SECONDS and highest <= MEMORY_MIB * 1024,
    }  # fmt: skip


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--measure"]:
        print(json.dumps(measured(arguments[1], arguments[2] == "dry")))
        return 0
    from tests.legacy_import.old_database import ISSUE, make
    from tests.servers import database, surroundings

    missed = False
    with tempfile.TemporaryDirectory() as folder:
        dump = Path(arguments[0]) if arguments else make(ISSUE).write(Path(folder) / "lama.sql")
        environment = surroundings.environment(Path(folder) / "var")
        shutil.copy(database.migrated(), Path(folder) / "var" / "mantra.sqlite3")
        for name, how in (("dry run", "dry"), ("import", "run"), ("again", "run")):
            words = [sys.executable, "-m", "bench.legacy_import", "--measure", str(dump), how]
            done = subprocess.run(words, check=True, capture_output=True, text=True, cwd=ROOT, env=environment)
            line = {"name": f"legacy import: {name}", **json.loads(done.stdout.splitlines()[-1])}
            missed |= not line["ok"]
            print(json.dumps(line), flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
