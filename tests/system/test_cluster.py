"""The bus as production runs it: several workers over PostgreSQL and Redis, and what happens when one is away."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import psycopg2
import pytest
import urllib3
from django.conf import settings

from tests.bounds import assert_short
from tests.cast import make_table
from tests.servers.bus import Bus
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.process import ending_with_us, wait_until
from tests.servers.redis import RedisServer
from tests.servers.stopping import stopped

BUNDLE = """
agencies: [{code: prov, name: Penyedia}, {code: kons, name: Konsumen}]
sources:
  - {agency: prov, code: uji, engine: sqlite, database: uji.sqlite3}
  - {agency: prov, code: sakit, engine: postgresql, host: 127.0.0.1, port: "${SICK_PORT}", database: mantra,
     user: mantra, password: "env:SICK_PASSWORD"}
services:
  - agency: prov
    code: data
    title: Data uji
    operations:
      - {code: satu, kind: data, source: uji, state: published, access: restricted,
         sql: "SELECT id, nama FROM orang WHERE id = :id", parameters: [{name: id, type: integer}]}
      - {code: jatah, kind: data, source: uji, state: published, access: restricted, listing: public,
         title: Jumlah penduduk terdidik, sql: "SELECT count(*) AS jumlah_orang FROM orang",
         fields: [{name: jumlah_orang, type: integer}]}
      - {code: sakit, kind: data, source: sakit, state: published, access: restricted, timeout_ms: 4000,
         sql: "SELECT 1 AS n"}
applications:
  - agency: kons
    code: app
    title: Aplikasi
    grants:
      - {operation: prov/data/satu, purpose: uji}
      - {operation: prov/data/jatah, purpose: uji, quota: 10/hour}
      - {operation: prov/data/sakit, purpose: uji}
"""

#: Prints what connecting to the registry's database comes to.
CONNECTS = """
from django.db import connection
try:
    connection.ensure_connection()
    print("connected")
except Exception as error:
    print(type(error).__name__)
"""


#: Prints how the database finds the catalogue's words if it need not read whole tables, as it would these small ones.
SEARCHES = """
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from mantra.catalogue.reader import Reader
from mantra.catalogue.search import SearchForm
form = SearchForm({"q": "penduduk"})
form.is_valid()
connection.cursor().execute("SET enable_seqscan = off")
print(form.found(Reader(AnonymousUser())).explain())
"""


class Cluster(Bus):
    registry: PostgreSQLServer
    redis: RedisServer
    sick: PostgreSQLServer

    def get(self, path: str, key: str = "") -> urllib3.BaseHTTPResponse:
        # A connection for each call, so that the workers take turns.
        headers = {"AccessKey": key or self.key, "Connection": "close"}
        return self.request(path, headers=headers, timeout=20)

    def outcomes(self) -> dict[str, int]:
        with psycopg2.connect(self.registry.dsn()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT request_id, outcome FROM registry_callrecord")
            return dict(cursor.fetchall())


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with PostgreSQLServer() as registry, RedisServer() as redis, PostgreSQLServer() as sick:
        made = Cluster(
            tmp_path_factory.mktemp("cluster"),
            BUNDLE,
            "kons/app",
            MANTRA_SOURCE_FILE_DIRS=str(make_table().parent.parent),
            MANTRA_DATABASE_URL=f"postgres://mantra:mantra@127.0.0.1:{registry.port}/mantra",
            MANTRA_QUOTA_STORE=redis.url,
            SICK_PORT=str(sick.port),
            SICK_PASSWORD=sick.password,
            WEB_CONCURRENCY="3",
        )
        made.registry, made.redis, made.sick = registry, redis, sick
        words = ending_with_us([sys.executable, "manage.py", "ship_journal", "--follow"])
        shipper = subprocess.Popen(words, cwd=settings.BASE_DIR, env=made.environment)
        try:
            with made:
                yield made
        finally:
            shipper.terminate()
            shipper.wait(timeout=60)


def test_it_works_over_postgresql(cluster: Cluster) -> None:
    answer = cluster.get("/rest/prov/data/satu.json?id=7")
    assert answer.json()["data"] == [{"id": 7, "nama": "Orang 7"}]
    wait_until(lambda: cluster.outcomes().get(answer.headers["x-request-id"]) == 200, 15, "the record of the call")


def test_the_catalogue_is_searched_by_the_indexes(cluster: Cluster) -> None:
    def finds(words: str) -> bool:
        return b"Jumlah penduduk" in cluster.request(f"/catalog/?q={words}", timeout=20).data

    # A word, its beginning, another word of the same stem, and a part of a column's name.
    assert all(map(finds, ("penduduk", "pend", "pendidikan", "orang+jumlah")))
    assert not finds("duduk2")
    plan = cluster.manage("shell", "-v", "0", "-c", SEARCHES)
    assert {"registry_operation_words", "registry_service_words", "registry_field_words"} <= set(plan.split())


def test_a_revoked_key_is_refused_by_every_worker_within_a_second(cluster: Cluster) -> None:
    key = cluster.manage("issue_key", "kons/app").strip()
    wait_until(lambda: cluster.get("/rest/prov/data/satu.json?id=7", key).status == 200, 5, "the new key")
    script = (
        "import time; from registry.models import AccessKey; "
        f"AccessKey.objects.get(public={key[:12]!r}).revoke(); print(time.time())"
    )
    revoked = float(cluster.manage("shell", "-v", "0", "-c", script).split()[-1])
    time.sleep(max(0.0, revoked + 1.0 - time.time()))
    statuses = {cluster.get("/rest/prov/data/satu.json?id=7", key).status for _ in range(60)}
    assert statuses == {401}


def test_a_quota_is_one_for_all_workers(cluster: Cluster) -> None:
    statuses = [cluster.get("/rest/prov/data/jatah.json").status for _ in range(30)]
    assert statuses.count(200) == 10
    assert statuses.count(429) == 20


def test_without_redis_calls_go_on(cluster: Cluster) -> None:
    cluster.redis.stop()
    try:
        assert cluster.get("/rest/prov/data/jatah.json").status == 200
        assert cluster.get("/rest/prov/data/satu.json?id=7").status == 200
    finally:
        cluster.redis.start()


def test_without_the_registrys_database_calls_go_on_and_no_record_is_lost(cluster: Cluster) -> None:
    cluster.registry.stop()
    try:
        answers = [cluster.get("/rest/prov/data/satu.json?id=7") for _ in range(30)]
        assert {answer.status for answer in answers} == {200}
        time.sleep(2)
        assert cluster.get("/readyz").status == 200
    finally:
        cluster.registry.start()
    ids = {answer.headers["x-request-id"] for answer in answers}
    wait_until(
        lambda: ids <= {id for id, outcome in cluster.outcomes().items() if outcome == 200},
        30,
        "the records of the calls",
    )
    cluster.manage("verify_audit")
    # The workers hear of changes again.
    key = cluster.manage("issue_key", "kons/app").strip()
    wait_until(lambda: cluster.get("/rest/prov/data/satu.json?id=7", key).status == 200, 5, "the new key")


def test_a_hung_registry_leaves_threads_for_calls(cluster: Cluster) -> None:
    """Requests to the admin and the management API wait for it, and nobody needs a key to send them."""
    statuses: list[int] = []
    over = threading.Event()

    def administer() -> None:
        while not over.wait(0.05):  # those who are refused ask again, and take no processor for themselves
            with suppress(urllib3.exceptions.HTTPError):
                headers = {"Authorization": "Bearer x", "Connection": "close"}
                statuses.append(cluster.request("/manage/api/v1/agencies/", headers=headers, timeout=60).status)

    # More than all workers have threads.
    threads = [threading.Thread(target=administer) for _ in range(80)]
    with stopped(cluster.registry):
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: statuses.count(503) > 80, 20, "refusals")
            answers = {cluster.get("/rest/prov/data/satu.json?id=7").status for _ in range(30)}
            ready = {cluster.get("/readyz").status for _ in range(10)}
            static = [cluster.get(f"/static/mantra/{name}").status for name in ("admin.css", "tidak-ada.css")]
            # A process that starts now does not wait for it without end.
            connects = cluster.manage("shell", "-v", "0", "-c", CONNECTS)
        finally:
            over.set()
    for thread in threads:
        thread.join()
    assert answers == ready == {200}
    assert static == [200, 404]
    assert connects == "OperationalError\n"
    # 500: a new connection to the database did not open in time.
    assert set(statuses) <= {401, 500, 503}
    headers = {"Authorization": "Bearer x"}
    answer = cluster.request("/manage/api/v1/agencies/", headers=headers)
    assert answer.status == 401


def test_a_hung_source_hurts_only_its_own_operations(cluster: Cluster) -> None:
    assert cluster.get("/rest/prov/data/sakit.json").status == 200
    times: list[tuple[float, int]] = []

    def ask() -> None:
        for _ in range(3):
            began = time.monotonic()
            status = 0  # of a call without a response
            with suppress(urllib3.exceptions.HTTPError):
                status = cluster.get("/rest/prov/data/sakit.json").status
            times.append((time.monotonic() - began, status))

    threads = [threading.Thread(target=ask) for _ in range(60)]
    with stopped(cluster.sick):
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        others = []
        for _ in range(60):
            began = time.monotonic()
            assert cluster.get("/rest/prov/data/satu.json?id=7").status == 200
            others.append(time.monotonic() - began)
            time.sleep(0.05)
        for thread in threads:
            thread.join()
    # Another operation does not wait for the hung source.
    assert_short(max(others), 1.5)
    # Whoever is let in waits for the time cap at most; the others are told at once.
    assert_short(max(seconds for seconds, _status in times), 4 + 1)
    assert {status for _seconds, status in times} <= {502, 503, 504}
    assert sum(status == 503 for _seconds, status in times) > 60
    wait_until(lambda: cluster.get("/rest/prov/data/sakit.json").status == 200, 20, "the source")
