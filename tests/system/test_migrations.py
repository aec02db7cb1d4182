"""Migrations: none missing, one line of them in each room, and every one named."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

OURS = ("registry", "dataservices", "proxyservices")


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each engine that the registry can be in."""
    if request.param == "sqlite":
        return sqlite(tmp_path)
    name = f"lama{uuid4().hex}"
    if request.param == "postgresql":
        return _in_postgresql(request.getfixturevalue("postgresql"), name)
    return _in_mariadb(request.getfixturevalue("mariadb"), name)


def sqlite(folder: Path) -> str:
    return f"sqlite:///{folder / 'lama.sqlite3'}"


def _in_postgresql(server: PostgreSQLServer, name: str) -> str:
    superuser = server.superuser()
    superuser.cursor().execute(f"CREATE DATABASE {name} OWNER mantra")
    superuser.close()
    return f"postgres://mantra:mantra@127.0.0.1:{server.port}/{name}"


def _in_mariadb(server: MariaDBServer, name: str) -> str:
    superuser = server.superuser()
    cursor = superuser.cursor()
    cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    cursor.execute(f"GRANT ALL ON {name}.* TO mantra@'127.0.0.1'")
    superuser.close()
    return f"mysql://mantra:mantra@127.0.0.1:{server.port}/{name}"


def output_of(script: str, url: str, **settings: str) -> list[str]:
    """Return the lines that a script prints with the registry in the database at ``url``."""
    environment = {**os.environ, "MANTRA_DATABASE_URL": url, **settings}
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


@pytest.mark.parametrize("room", OURS)
def test_migrations_are_linear_and_named(room: str) -> None:
    loader = MigrationLoader(None)
    assert len(loader.graph.leaf_nodes(room)) == 1
    for (app, name), migration in loader.disk_migrations.items():
        if app == room:
            assert not re.search(r"_auto_\d", name)
            assert sum(parent[0] == room for parent in migration.dependencies) <= 1


@pytest.mark.django_db
def test_the_book_works_on_this_database() -> None:
    assert set(OURS) <= {table.split("_")[0] for table in connection.introspection.table_names()}


#: Fills a database of the names before 0002_plain_names, migrates it, and prints what the models find in it.
UPGRADE = """
import json
import django
django.setup()
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

old = [("registry", "0001_registry"), ("dataservices", "0002_wallet_password"), ("proxyservices", "0004_leases")]
executor = MigrationExecutor(connection)
executor.migrate(old)
apps = executor.loader.project_state(old).apps
made = lambda room, model, **values: apps.get_model(room, model).objects.create(**values)
agency = made("registry", "Agency", code="prov", name="Penyedia")
service = made("registry", "Service", agency=agency, code="data", title="Data")
operation = made("proxyservices", "ProxyOperation", service=service, code="lama", kind="proxy", style="as-is",
                 time_cap_ms=7000)
upstream = made("proxyservices", "Upstream", operation=operation, url="https://a/", credential="rahasia", position=3)
made("proxyservices", "Mapping", operation=operation, place="header", name="X", value="kunci", secret=True)
made("proxyservices", "Contract", operation=operation, url="https://a/?wsdl", content="<a/>")
made("proxyservices", "Sample", operation=operation, name="s", question='{"a": "1"}')
made("proxyservices", "AddressChange", upstream=upstream, old_url="a", new_url="b", kind="back")
made("registry", "CallRecord", request_id="a" * 32, started_at=timezone.now(), face="console", method="GET")

executor = MigrationExecutor(connection)
executor.migrate(executor.loader.graph.leaf_nodes())
from proxyservices.models import AddressChange, ProxyOperation
from registry.models import CallRecord
operation = ProxyOperation.objects.get()
print(operation.style, operation.timeout_ms)
for row in operation.backend.servers.all():
    print(row.url, str(row.settings.credential), row.priority)
for row in operation.mappings.all():
    print(row.location, row.name, str(row.value))
print(operation.descriptions.get().url, json.loads(str(operation.samples.get().request)))
print(AddressChange.objects.get().kind, CallRecord.objects.get().protocol)
"""


def test_an_upgrade_keeps_what_is_stored(tmp_path: Path) -> None:
    assert output_of(UPGRADE, sqlite(tmp_path)) == [
        "pass-through 7000",
        "https://a/ rahasia 3",
        "header X kunci",
        "https://a/?wsdl {'a': '1'}",
        "roll-back tryout",
    ]


#: Publishes two operations with the tables as they were before versions, migrates, and prints their first versions.
FIRST_VERSIONS = """
import django
django.setup()
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

old = [("registry", "0008_quota_period"), ("dataservices", "0006_bounds"), ("proxyservices", "0008_bounds")]
executor = MigrationExecutor(connection)
executor.migrate(old)
apps = executor.loader.project_state(old).apps
made = lambda room, model, **values: apps.get_model(room, model).objects.create(**values)
agency = made("registry", "Agency", code="prov", name="Penyedia")
service = made("registry", "Service", agency=agency, code="data", title="Data")
source = made("dataservices", "DataSource", agency=agency, code="uji", engine="sqlite")
more = {"service": service, "kind": "data", "source": source, "sql": "SELECT :a AS a"}
made("dataservices", "DataOperation", code="konsep", state="draft", revision=3, **more)
data = made("dataservices", "DataOperation", code="terbit", state="published", revision=7, **more)
made("registry", "Parameter", operation=data, name="a")
proxy = made("proxyservices", "ProxyOperation", service=service, code="proksi", kind="proxy", state="deprecated")
made("proxyservices", "Upstream", operation=proxy, url="https://a/", credential="rahasia", credential_kind="bearer")
made("proxyservices", "ServiceDescription", operation=proxy, url="https://a/?wsdl", content="<a/>")

executor = MigrationExecutor(connection)
executor.migrate(executor.loader.graph.leaf_nodes())
from registry import versions
from registry.models import OperationVersion
for version in OperationVersion.objects.order_by("operation__code"):
    row = version.operation
    print(row.code, row.revision, version.number, version.origin,
          versions.is_same(version.definition, versions.definition(row), versions.kind_of(row)),
          row.version_texts.count(), "rahasia" in str(version.definition))
    draft = versions.open_draft(row, None)
    print(draft.revision, row.versions.count(), versions.next_number(row))
"""


def test_what_was_published_gets_its_first_version(tmp_path: Path) -> None:
    assert output_of(FIRST_VERSIONS, sqlite(tmp_path)) == [
        "proksi 1 1 existing True 1 False",
        "1 1 2",
        "terbit 7 7 existing True 0 False",
        "7 1 8",
    ]


#: Fills a database from before there were backends, migrates it, prints what it holds, and goes back.
BACKENDS = """
import django
django.setup()
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

before, after = [("proxyservices", "0008_bounds")], [("proxyservices", "0012_servers_of_backends")]
executor = MigrationExecutor(connection)
executor.migrate(before)
apps = executor.loader.project_state(before).apps
made = lambda room, model, **values: apps.get_model(room, model).objects.create(**values)
agencies = [made("registry", "Agency", code=code, name=code) for code in ("prov", "lain")]
services = [made("registry", "Service", agency=each, code="data", title="Data", contact="Budi") for each in agencies]

def operation(code, *upstreams, service=0, style="rest"):
    row = made("proxyservices", "ProxyOperation", service=services[service], code=code, kind="proxy", style=style,
               path=code, state="published")
    return row, [made("proxyservices", "Upstream", operation=row, **each) for each in upstreams]

one = dict(url="https://a/", credential="k", ca_certificate="PEM", probe_interval_seconds=7, probe_path="/sehat")
two = dict(url="https://b/", credential="lain", priority=1, weight=3, active=False)
_row, (first, _second) = operation("a", one, two)
_row, (_second, same) = operation("b", two, one)  # the order of the rows says nothing: their priorities do
operation("c", one)
operation("d", dict(one, credential="k2"))
operation("e", dict(one, probe_path=""), style="soap")
operation("f", dict(one, probe_path=""), dict(one, url="https://b/", probe_path=""), style="soap")
operation("g")
operation("a", one, two, service=1)
made("proxyservices", "SampleRequest", operation_id=first.operation_id, name="s", request='{"a": "1"}')
made("proxyservices", "UpstreamState", upstream=first, observer="probe", healthy=False)
made("proxyservices", "UpstreamState", upstream=same, observer="probe", healthy=True)
for row, name in ((first, "prov/data/a"), (same, "prov/data/b")):
    made("proxyservices", "AddressChange", upstream=row, operation=name, operation_ref=row.operation_id,
         old_url="https://dulu/", new_url=row.url, kind="switch", user="siti")

executor = MigrationExecutor(connection)
# The models of the registry are those of today.
executor.migrate([*after, *(node for node in executor.loader.graph.leaf_nodes() if node[0] == "registry")])
from proxyservices.endpoints import endpoint_of
from proxyservices.models import AddressChange, BackendServer, ProxyOperation, ServerState
for row in ProxyOperation.objects.order_by("service__agency__code", "code"):
    servers = row.backend.servers.select_related("backend") if row.backend else ()
    print(row, row.backend, *(
        f"{each.url} {each.priority} {each.weight} {each.active} {each.settings.credential} "
        f"{each.settings.ca_certificate} {each.settings.probe_interval_seconds} {each.settings.probe_path}"
        for each in servers
    ), sep=" | ")
print(BackendServer.objects.count(), ServerState.objects.filter(server__url="https://a/").count())
print(*(f"{row.backend} {row.operation} {row.server.url}" for row in AddressChange.objects.all()), sep=" | ")
from registry import versions
from registry.models import OperationVersion, SampleRequest
rows = OperationVersion.objects.select_related("operation")
print(rows.count(), all(
    versions.is_same(row.definition, versions.definition(row.operation), versions.kind_of(row.operation))
    for row in rows))
print(*(f"{row.operation} {row.request}" for row in SampleRequest.objects.all()))

executor = MigrationExecutor(connection)
executor.migrate(before)
apps = executor.loader.project_state(before).apps
for row in apps.get_model("proxyservices", "ProxyOperation").objects.order_by("service__agency__code", "code"):
    print(row.code, *(
        f"{each.url} {each.priority} {each.credential} {each.probe_path}"
        for each in row.upstreams.order_by("priority", "id")
    ), sep=" | ")
samples = apps.get_model("proxyservices", "SampleRequest").objects.all()
print(*(f"{row.operation.code} {row.request}" for row in samples))
"""


def test_upstreams_become_backends_that_equal_operations_share_and_back(url: str) -> None:
    a = "https://a/ 0 1 True {} PEM 7 {}"
    b = "https://b/ 1 3 False lain  0 "
    assert output_of(BACKENDS, url) == [
        f"lain/data/a | lain/data | {a.format('k', '/sehat')} | {b}",
        f"prov/data/a | prov/data | {a.format('k', '/sehat')} | {b}",
        f"prov/data/b | prov/data | {a.format('k', '/sehat')} | {b}",
        f"prov/data/c | prov/data_c | {a.format('k', '/sehat')}",
        f"prov/data/d | prov/data_d | {a.format('k2', '/sehat')}",
        f"prov/data/e | prov/data_e | {a.format('k', '?wsdl')}",
        f"prov/data/f | prov/data_f | {a.format('k', '?wsdl')} | https://b/ 0 1 True k PEM 7 ?wsdl",
        "prov/data/g | None",
        "9 1",
        "prov/data prov/data/b https://a/ | prov/data prov/data/a https://a/",
        "8 True",
        'prov/data/a {"a": "1"}',
        "a | https://a/ 0 k /sehat | https://b/ 1 lain ",
        "a | https://a/ 0 k /sehat | https://b/ 1 lain ",
        "b | https://a/ 0 k /sehat | https://b/ 1 lain ",
        "c | https://a/ 0 k /sehat",
        "d | https://a/ 0 k2 /sehat",
        "e | https://a/ 0 k ",
        "f | https://a/ 0 k  | https://b/ 0 k ",
        "g",
        'a {"a": "1"}',
    ]


#: Stores calls from before roll-ups, migrates, ships a journal, reads it again, prunes, and goes back.
HISTORY = """
import sys
sys.modules["psycopg"] = None  # of the tests' own requirements: the bus has psycopg2
import django
django.setup()
from datetime import datetime, timedelta
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

executor = MigrationExecutor(connection)
before, now = [("registry", "0026_event_request_confirm")], timezone.now()
executor.migrate(before)
old = executor.loader.project_state(before).apps.get_model("registry", "CallRecord")
for number, days in enumerate((400, 40, 0)):
    old.objects.create(request_id=f"{number:032x}", started_at=now - timedelta(days=days), protocol="rest",
                       method="GET", outcome=200)
executor = MigrationExecutor(connection)
executor.migrate(executor.loader.graph.leaf_nodes("registry"))

from registry.journal import chain, partitions, segments, shipping
from registry.models import CallRecord, JournalSegment
from registry.statistics import reading
from registry.statistics.reading import Period, Selection

def write(days, number, **end):
    at = (now - timedelta(days=days)).timestamp()
    id = f"{int(at * 1000):012x}{number:020x}"
    segments.write({"t": "begin", "id": id, "at": at, "protocol": "rest", "method": "GET", "ip": "10.0.0.1",
                    "op": ["prov", "data", "satu", 7, 1]})
    return {"t": "end", "id": id, "code": 200, "status": 200, "bytes": 10, "us": 2000 * number, "format": "json",
            "by": ["kons", "app", "mtr_1", None], "grant": 4, "from": ["source", 3, "uji\\\\\\t", None],
            "class": "personal", "rows": 2, "fields": ["nama\\n", "x"], "subjects": ["ab" * 16], **end}

for number in range(1, 4):
    segments.write(write(0, number))
late = write(0, 4, code=11201, status=502)
shipping.ship()
segments.write(late)
segments.write(write(75, 5))
segments.close()
shipping.ship()
JournalSegment.objects.all().delete()  # all is read again
shipping.ship()

found = reading.totals(Selection(provider="prov", consumer="kons"), Period.of(100))
print(found.calls, found.answered, found.failed, found.rows, found.bytes, found.duration_us)
print(reading.subjects(Selection(provider="prov"), Period.of(100)))
print([(each.classification, each.rows) for each in reading.personal_data(Selection(), Period.of(100))])
record = CallRecord.objects.get(request_id=late["id"])
print(record.outcome, record.client_ip, repr(record.origin), repr(record.fields), record.origin_ref, record.grant_ref)
print(CallRecord.objects.count())
if partitions.is_partitioned():
    later = partitions.next_month(partitions.month_of(now))
    print(partitions.months(), CallRecord.objects.count())
    partitions.create_ahead(now)
    print(partitions.months() == [later, partitions.next_month(later)])
shipping.prune()
partitions.prune(now - timedelta(days=35))
print(CallRecord.objects.count(), CallRecord.objects.filter(started_at__lt=now - timedelta(days=35)).count())
executor = MigrationExecutor(connection)
executor.migrate(before)
rows = executor.loader.project_state(before).apps.get_model("registry", "CallRecord").objects
rows.create(request_id="f" * 32, started_at=now, protocol="rest", method="GET", outcome=200)
print(rows.count())
"""


def test_the_history_is_divided_counted_and_united_again(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    printed = output_of(HISTORY, url, MANTRA_JOURNAL_DIR=str(folder))
    divided = ["[] 8", "True"] if url.startswith("postgres") else []
    assert printed == [
        "5 4 1 10 50 22000",
        "1",
        "[('personal', 10)]",
        r"11201 10.0.0.1 'uji\\\t' 'nama\n, x' 3 4",
        "8",
        *divided,
        "5 0",
        "6",
    ]
