"""Who looked at a person, at size: ``python -m bench.subjects [RECORDS]``.

Generates records (by default 1,000,000) about 200,000 persons in a PostgreSQL of its own, one of whom has 5,000, and
prints how long an answer takes (the best and the worst of five): of a person with a few records, of that one, of that
one by one agency's records, and of nobody; and how long the same took without the table of persons. It also prints how
many records a second are shipped from a journal. Ends with 1 if an answer takes longer than a second at its best.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.history import ROOT, _execute, _say, _times, fill_records, measure_shipping

RECORDS, PERSONS, MANY = 1_000_000, 200_000, 5_000
#: Milliseconds for an answer.
ANSWER = 1_000

#: The hash of each record's person; the first one has MANY.
_SUBJECTS = """
INSERT INTO registry_callsubject (hash, started_at, request_id)
    SELECT md5(CASE WHEN id <= {many} THEN '0' ELSE (id % {persons})::text END), started_at, request_id
    FROM registry_callrecord;
"""


def fill(records: int) -> None:
    """Generate records with the persons whom they are about."""
    from django.db import connection

    fill_records(1, records)
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(id) FROM registry_callrecord")
        first = cursor.fetchone()[0]
    _execute(_SUBJECTS, many=first + MANY - 1, persons=PERSONS)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE registry_callrecord, registry_callsubject")


def measure(records: int) -> bool:
    """Print how long answers take. Return True if none takes longer than the target at its best."""
    from hashlib import md5

    from mantra.subject_access import answers
    from registry.models import Agency, CallRecord

    agency, _new = Agency.objects.get_or_create(code="instansi2", defaults={"name": "Instansi 2"})
    one, hot, nobody = ([md5(name).hexdigest()] for name in (b"77", b"0", b"nobody"))
    fast = True
    for name, of, hashes in (
        ("a person with few records", None, one),
        (f"a person with {MANY} records", None, hot),
        (f"a person with {MANY} records, of one agency", agency, hot),
        ("nobody", None, nobody),
    ):
        times = _times(lambda of=of, hashes=hashes: answers.of_agency(of, hashes, "•"))  # type: ignore[misc]
        found = answers.of_agency(of, hashes, "•")
        fast = fast and times[0] <= ANSWER
        _say(
            answer=name, records=records, entries=len(found.entries), more=found.more, best_ms=round(times[0], 1),
            worst_ms=round(times[-1], 1), target_ms=ANSWER,
        )  # fmt: skip
    times = _times(lambda: list(CallRecord.objects.filter(subjects__contains=one[0])), 1)
    _say(without_the_table="a person with few records", records=records, ms=round(times[0], 1))
    return fast


def main() -> None:
    records = int(sys.argv[1]) if len(sys.argv) > 1 else RECORDS
    from tests.servers.postgresql import PostgreSQLServer
    from tests.servers.surroundings import environment

    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="bench-subjects-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        server = stack.enter_context(PostgreSQLServer())
        url = f"postgres://mantra:mantra@127.0.0.1:{server.port}/mantra"
        os.environ.update(environment(folder, MANTRA_DATABASE_URL=url))
        subprocess.run([sys.executable, "manage.py", "migrate", "--noinput", "-v", "0"], cwd=ROOT, check=True)
        import django

        django.setup()
        _say(load=os.getloadavg(), records=records)
        fill(records)
        fast = measure(records)
        _say(size=_size())
        measure_shipping()
    sys.exit(0 if fast else 1)


def _size() -> dict[str, Any]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_total_relation_size('registry_callsubject'), count(*) FROM registry_callsubject")
        size, rows = cursor.fetchone()
    return {"mib": round(size / 2**20), "rows": rows, "bytes_per_row": round(size / max(rows, 1))}


if __name__ == "__main__":
    main()
