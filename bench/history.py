"""Statistics and the history at size: ``bench/run history`` or ``python -m bench.history [CALLS RECORDS]``.

Generates a year of calls in a PostgreSQL of its own (200 agencies, 3,000 operations, 2,000 applications): by default
50,000,000 calls as roll-ups, 5,000,000 of them as records. Prints how long each question of the dashboards takes (the
best and the worst of five), how long the look-up of a request id, and how long both take at a tenth of the records, so
that the growth is seen; and how many records a second are shipped from a journal. Takes about half an hour and 15 GB.
Ends with 1 if a year's question takes longer than 300 ms, a look-up longer than 50 ms, at their best.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Any

CALLS, RECORDS = 50_000_000, 5_000_000
AGENCIES, OPERATIONS, APPLICATIONS = 200, 3_000, 2_000
#: Pairs of an operation and an application that calls it.
PAIRS = 6_000
#: Calls of the journal that is shipped.
SHIPPED = 200_000
#: Milliseconds for a year's question, and for a look-up by request id; records a second.
QUESTION, LOOK_UP, RATE = 300, 50, 10_000
ROOT = Path(__file__).resolve().parent.parent

#: The groups of 6,000 pairs, a few of them with most of the calls, and how their calls end.
_GROUPS = """
CREATE TABLE pair AS SELECT n AS pair, 1 + n % {operations} AS operation, 1 + n * 7 % {applications} AS application,
    1.0 / (1 + n % 997) ^ 0.8 AS weight FROM generate_series(1, {pairs}) AS n;
CREATE TABLE outcome AS SELECT * FROM (VALUES (200, 'answered', 0.93), (11002, 'refused', 0.03),
    (11201, 'failed', 0.03), (11901, 'bus', 0.01)) AS t (outcome, ended, share);
INSERT INTO registry_callgroup (kind, agency, service, operation, operation_ref, consumer_agency, application, protocol,
        classification, origin_kind, origin_ref, outcome, ended)
    SELECT 'call', 'instansi' || 1 + operation % {agencies}, 'layanan' || operation % 600, 'operasi' || operation,
        operation, 'instansi' || 1 + application % {agencies}, 'aplikasi' || application, 'rest',
        CASE WHEN ended <> 'answered' THEN '' WHEN operation % 3 = 0 THEN 'personal' ELSE 'public' END, 'source',
        operation % 500, outcome, ended FROM pair CROSS JOIN outcome;
ANALYZE registry_callgroup;
"""

#: An hour of a group has so many calls, with durations about a middle one of its own. Only hours with calls have a row.
_HOURS = """
INSERT INTO registry_callhour (group_id, day, hour, calls, rows, bytes, duration_us, {columns})
SELECT id, day, hour, calls, calls * 3, calls * 900, calls * 1000 * (1 + operation_ref % 300), {values}
FROM (
    SELECT g.id, g.operation_ref, d::date AS day, h AS hour,
        floor({calls} * weight / total * share / (365 * 24) * CASE WHEN h BETWEEN 7 AND 17 THEN 1.7 ELSE 0.4 END
            + random())::bigint AS calls,
        4 + g.operation_ref % 14 AS middle
    FROM registry_callgroup g
    JOIN pair p ON p.operation = g.operation_ref AND 'aplikasi' || p.application = g.application
    JOIN outcome o USING (outcome)
    CROSS JOIN (SELECT sum(weight) AS total FROM pair) AS t
    CROSS JOIN generate_series({first}, {last}, interval '1 day') AS d
    CROSS JOIN generate_series(0, 23) AS h
    WHERE g.kind = 'call'
) AS hours WHERE calls > 0 ORDER BY day, hour;
"""

_SUMS = "sum(calls), sum(rows), sum(bytes), sum(duration_us), {sums}"
#: What the shipping would have written with the hours: their days, and the groups and facts of the other kinds.
_DERIVED = {
    "bus": ("protocol, outcome, ended", True),
    "provider": ("agency, protocol, outcome, ended", True),
    "consumer": ("consumer_agency, protocol, outcome, ended", True),
    "pair": ("agency, consumer_agency, classification, outcome, ended", False),
    "operation": ("agency, service, operation, operation_ref, origin_kind, origin_ref, outcome, ended", False),
    "application": ("consumer_agency, application, outcome, ended", False),
}

_RECORDS = """
INSERT INTO registry_callrecord (request_id, started_at, protocol, method, agency, service, operation, operation_ref,
    revision, consumer_agency, application, key, "user", client_ip, format, parameters, subjects, fields, outcome,
    status, rows, bytes, duration_us, broken, segment, origin_kind, origin, classification)
SELECT lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || lpad(to_hex(n), 20, '0'), at, 'rest',
    'GET', 'instansi' || 1 + operation % {agencies}, 'layanan' || operation % 600, 'operasi' || operation, operation, 1,
    'instansi' || 1 + application % {agencies}, 'aplikasi' || application, 'mtr_1', '', '10.0.0.1', 'json', 'nik', '',
    'nama', CASE n % 33 WHEN 0 THEN 11201 WHEN 1 THEN 11002 ELSE 200 END, 200, 3, 900, 1000 + n % 900000,
    false, '', 'source', 'db', 'personal'
FROM (
    SELECT n, now() - random() * interval '330 days' AS at, 1 + (n * 31) % {operations} AS operation,
        1 + (n * 31 * 7) % {applications} AS application FROM generate_series({first}, {last}) AS n
) AS call;
"""


def _say(**values: Any) -> None:
    print(json.dumps(values), flush=True)


def _execute(script: str, **values: Any) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        for statement in script.format(**values).split(";\n"):
            if statement.strip():
                cursor.execute(statement)


def fill_rollups(calls: int) -> None:
    """Generate a year of hours, and what follows from them."""
    from datetime import timedelta

    from django.db import connection
    from django.utils import timezone

    from registry.outcomes import CLASSES

    names = [f"d{number}" for number in range(CLASSES)]
    # Four classes about the middle one have all calls.
    shares = {-1: "calls / 4", 0: "calls - calls / 4 - calls / 8 - calls / 16", 1: "calls / 8", 3: "calls / 16"}
    values = [
        f"NULLIF(CASE middle {' '.join(f'WHEN {number - at} THEN {share}' for at, share in shares.items())} END, 0)"
        for number in range(CLASSES)
    ]
    _execute(_GROUPS, operations=OPERATIONS, applications=APPLICATIONS, pairs=PAIRS, agencies=AGENCIES)
    today = timezone.localdate()
    for month in range(12):
        first = today - timedelta(days=364 - month * 31)
        last = min(first + timedelta(days=30), today)
        days = {"first": f"date '{first}'", "last": f"date '{last}'"}
        _execute(_HOURS, calls=calls, columns=", ".join(names), values=", ".join(values), **days)
    columns = f"calls, rows, bytes, duration_us, {', '.join(names)}"
    sums = _SUMS.format(sums=", ".join(f"sum({name})" for name in names))
    _execute(
        f"INSERT INTO registry_callday (group_id, day, {columns}) SELECT group_id, day, {sums} FROM registry_callhour"
        " GROUP BY 1, 2 ORDER BY 2"
    )
    for kind, (group, has_hours) in _DERIVED.items():
        _derive(kind, group, has_hours, columns, sums)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _derive(kind: str, group: str, has_hours: bool, columns: str, sums: str) -> None:
    empty = {"operation_ref": "0", "origin_ref": "0", "outcome": "0"}
    from registry.models import CallGroup

    given = group.split(", ")
    values = ", ".join(name if name in given else empty.get(name, "''") for name in CallGroup.COLUMNS[1:])
    _execute(
        f"INSERT INTO registry_callgroup (kind, {', '.join(CallGroup.COLUMNS[1:])})"
        f" SELECT DISTINCT '{kind}', {values} FROM registry_callgroup WHERE kind = 'call'"
    )
    matches = " AND ".join(f"target.{name} = source.{name}" for name in given)
    tables = [("callday", "day")] + ([("callhour", "day, hour")] if has_hours else [])
    for table, key in tables:
        _execute(
            f"INSERT INTO registry_{table} (group_id, {key}, {columns}) SELECT target.id, {key}, {sums}"
            f" FROM registry_{table} fact JOIN registry_callgroup source ON source.id = fact.group_id"
            f" JOIN registry_callgroup target ON target.kind = '{kind}' AND {matches}"
            f" WHERE source.kind = 'call' GROUP BY target.id, {key}"
        )
    if not has_hours:
        _execute(
            f"INSERT INTO registry_callmonth (group_id, day, {columns})"
            f" SELECT group_id, date_trunc('month', day)::date, {sums} FROM registry_callday"
            f" JOIN registry_callgroup g ON g.id = group_id WHERE g.kind = '{kind}' GROUP BY 1, 2"
        )


def _questions() -> dict[str, Callable[[], Any]]:
    """Return what the dashboards of a year ask, of the largest agency and of the whole bus."""
    from registry.statistics import reading
    from registry.statistics.reading import Period, Selection

    year = Period.of(365)
    scopes = {
        "bus": Selection(), "provider": Selection(provider="instansi2"), "agency": Selection(agency="instansi2"),
        "service": Selection(provider="instansi2", service="layanan1"), "operation": Selection(operations=(1,)),
        "application": Selection(consumer="instansi9", application="aplikasi8"),
    }  # fmt: skip
    found: dict[str, Callable[[], Any]] = {}
    for name, scope in scopes.items():
        found[f"{name}: totals"] = lambda scope=scope: reading.totals(scope, year)  # type: ignore[misc]
        found[f"{name}: totals before"] = lambda scope=scope: reading.totals(scope, year.before)  # type: ignore[misc]
        found[f"{name}: series"] = lambda scope=scope: reading.series(scope, year)  # type: ignore[misc]
        found[f"{name}: outcomes"] = lambda scope=scope: reading.outcomes(scope, year)  # type: ignore[misc]
        found[f"{name}: heat map"] = lambda scope=scope: reading.heat_map(scope, year)  # type: ignore[misc]
        found[f"{name}: persons"] = lambda scope=scope: reading.subjects(scope, year)  # type: ignore[misc]
    for name in ("bus", "provider", "agency"):
        for order in ("calls", "slowest", "failing"):
            found[f"{name}: operations by {order}"] = lambda scope=scopes[name], order=order: reading.ranking(  # type: ignore[misc]
                scope, year, "operation", order
            )
        found[f"{name}: callers"] = lambda scope=scopes[name]: reading.ranking(scope, year, "consumer")  # type: ignore[misc]
        found[f"{name}: personal data"] = lambda scope=scopes[name]: reading.personal_data(scope, year)  # type: ignore[misc]
    found["bus: matrix"] = lambda: reading.matrix(Selection(), year)
    return found


def _times(ask: Callable[[], Any], turns: int = 5) -> list[float]:
    found = []
    for _turn in range(turns):
        began = time.perf_counter()
        ask()
        found.append((time.perf_counter() - began) * 1000)
    return sorted(found)


def measure_questions() -> bool:
    """Print how long each question takes. Return True if none takes longer than the target at its best."""
    fast = True
    for name, ask in _questions().items():
        times = _times(ask)
        fast = fast and times[0] <= QUESTION
        _say(question=name, best_ms=round(times[0], 1), worst_ms=round(times[-1], 1), target_ms=QUESTION)
    return fast


def fill_records(first: int, last: int) -> None:
    """Generate records, with the partitions of their months."""
    from datetime import timedelta

    from django.db import connection
    from django.utils import timezone

    from registry.journal import partitions

    now = timezone.now()
    partitions.create({partitions.month_of(now - timedelta(days=days)) for days in range(0, 366, 27)})
    values = {"agencies": AGENCIES, "operations": OPERATIONS, "applications": APPLICATIONS}
    _execute(_RECORDS, first=first, last=last, **values)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE registry_callrecord")


def measure_look_ups(records: int) -> bool:
    """Print how long look-ups by request id take. Return True if none takes longer than the target at its best."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT request_id FROM registry_callrecord TABLESAMPLE SYSTEM (1) LIMIT 20")
        ids = [row[0] for row in cursor.fetchall()]
    from registry.models import CallRecord

    one = _times(lambda: [CallRecord.objects.get(request_id=id) for id in ids], 5)
    client = _client()
    pages = {
        "history, first page": "", "history by operation": "?of_operation=instansi2/layanan1/operasi1",
        "history by application": "?of_application=instansi9/aplikasi8", "history, failed": "?outcome_is=failed",
        "history by request id": f"?q={ids[0]}",
    }  # fmt: skip
    for name, query in pages.items():
        times = _times(lambda query=query: _page(client, query))  # type: ignore[misc]
        _say(page=name, records=records, best_ms=round(times[0], 1), worst_ms=round(times[-1], 1))
    _say(look_up="request id", records=records, best_ms=round(one[0] / len(ids), 2), target_ms=LOOK_UP)
    return one[0] / len(ids) <= LOOK_UP


def _page(client: Any, query: str) -> None:
    _open(client, f"/admin/registry/callrecord/{query}")


def _open(client: Any, address: str) -> None:
    response = client.get(address, follow=True)
    if response.status_code != HTTPStatus.OK:
        raise SystemExit(f"{address}: {response.status_code}")


def measure_dashboards() -> bool:
    """Print how long a year's dashboards take: what is shown at once, and what follows. Return True if none is late."""
    from registry.models import Agency

    Agency.objects.get_or_create(code="instansi2", defaults={"name": "Instansi 2"})
    client, fast = _client(), True
    for name, address in {"bus": "", "agency": "agency/instansi2/", "matrix": "matrix/"}.items():
        for part in ("", "&part=further") if name != "matrix" else ("",):
            times = _times(
                lambda address=address, part=part: _open(client, f"/admin/statistics/{address}?days=365{part}")
            )  # type: ignore[misc]
            fast = fast and (bool(part) or times[0] <= QUESTION)
            _say(
                dashboard=name, part="what follows" if part else "at once", best_ms=round(times[0], 1),
                worst_ms=round(times[-1], 1), target_ms=None if part else QUESTION,
            )  # fmt: skip
    return fast


def _client() -> Any:
    """Return a client of an administrator."""
    from django.contrib.auth import get_user_model
    from django.test import Client

    client = Client(HTTP_HOST="localhost")
    user, _created = get_user_model().objects.get_or_create(
        username="pengukur", defaults={"is_staff": True, "is_superuser": True}
    )
    client.force_login(user)
    return client


def measure_shipping() -> None:
    """Write a journal, ship it, and print the records a second."""
    from registry.journal import shipping

    write_journal(SHIPPED)
    began, cpu = time.perf_counter(), os.times()
    lines = shipping.ship()
    seconds = time.perf_counter() - began
    used = os.times().user - cpu.user + os.times().system - cpu.system
    _say(
        shipped=SHIPPED, lines=lines, records_per_second=round(SHIPPED / seconds),
        python_us_per_record=round(used / SHIPPED * 1e6, 1), target=RATE, load=os.getloadavg()[0],
    )  # fmt: skip


def write_journal(calls: int) -> None:
    """Write the lines of calls of the last minute, as worker processes do."""
    from registry.journal import segments

    chance, now = random.Random(3), time.time()
    segment = segments.Segment(0, None)
    for number in range(calls):
        if segment.is_full():
            segment.close()
            segment = segments.Segment(number, None)
        for line in _lines(chance, now):
            segment.append(line)
    segment.close()


def _lines(chance: random.Random, now: float) -> Iterator[dict[str, Any]]:
    at = now - chance.random() * 60
    id = f"{int(at * 1000):012x}{chance.getrandbits(80):020x}"
    operation = min(int(chance.paretovariate(0.7)), OPERATIONS)
    application = (operation * 7 + chance.randrange(2)) % APPLICATIONS
    yield {
        "t": "begin", "id": id, "at": at, "protocol": "rest", "method": "GET", "ip": "10.0.0.1",
        "op": [f"instansi{1 + operation % AGENCIES}", f"layanan{operation % 600}", f"operasi{operation}", operation, 1],
    }  # fmt: skip
    failed = chance.random() < 0.05
    yield {
        "t": "end", "id": id, "code": 11201 if failed else 200, "status": 502 if failed else 200,
        "bytes": chance.randrange(9000), "us": int(chance.lognormvariate(9, 1)), "format": "json",
        "by": [f"instansi{1 + application % AGENCIES}", f"aplikasi{application}", "mtr_1234", application],
        "grant": operation, "from": ["source", operation % 500, "db", None], "class": "personal", "rows": 1,
        "params": ["nik"], "fields": ["nik", "nama", "alamat"], "subjects": [f"{chance.getrandbits(128):032x}"],
    }  # fmt: skip


def main() -> None:
    calls, records = (int(word) for word in sys.argv[1:3]) if len(sys.argv) > 2 else (CALLS, RECORDS)
    from tests.servers.postgresql import PostgreSQLServer
    from tests.servers.surroundings import environment

    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="bench-history-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        server = stack.enter_context(PostgreSQLServer())
        url = f"postgres://mantra:mantra@127.0.0.1:{server.port}/mantra"
        os.environ.update(environment(folder, MANTRA_DATABASE_URL=url))
        subprocess.run([sys.executable, "manage.py", "migrate", "--noinput", "-v", "0"], cwd=ROOT, check=True)
        import django

        django.setup()
        _say(load=os.getloadavg(), calls=calls, records=records)
        measure_shipping()
        _execute(
            "TRUNCATE registry_callrecord, registry_callhour, registry_callday, registry_callmonth, registry_callgroup,"
            " registry_subjectday CASCADE"
        )
        began = time.perf_counter()
        fill_rollups(calls)
        _say(filled="roll-ups", seconds=round(time.perf_counter() - began), **_sizes())
        fast = measure_questions()
        fill_records(1, records // 10)
        fast = measure_look_ups(records // 10) and fast
        fill_records(records // 10 + 1, records)
        _say(filled="records", **_sizes())
        fast = measure_look_ups(records) and fast
        fast = measure_questions() and fast
        fast = measure_dashboards() and fast
        _say(load=os.getloadavg())
    sys.exit(0 if fast else 1)


def _sizes() -> dict[str, Any]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), sum(calls) FROM registry_callhour JOIN registry_callgroup g ON g.id = group_id"
            " WHERE kind = 'call'"
        )
        hours, calls = cursor.fetchone()
        cursor.execute("SELECT pg_database_size(current_database())")
        return {"hours": hours, "calls": int(calls or 0), "gib": round(cursor.fetchone()[0] / 2**30, 2)}


if __name__ == "__main__":
    main()
