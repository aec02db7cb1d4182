"""Tools that attackers use, against a bus over real sockets. Each run is shown to find what there is to find.

sqlmap looks for a parameter that becomes SQL; schemathesis for a request to the management API that fails within.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg2
import pytest
from django.conf import settings

from tests.servers.bus import Bus
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.process import find_binary, wait_until

BUNDLE = """
agencies: [{code: prov, name: Penyedia}, {code: kons, name: Konsumen}]
sources:
  - {agency: prov, code: pg, engine: postgresql, host: 127.0.0.1, port: "${PG_PORT}", database: mantra, user: mantra,
     password: "env:PG_PASSWORD"}
services:
  - agency: prov
    code: data
    title: Data uji
    operations:
      - {code: cari, kind: data, source: pg, state: published, access: restricted,
         sql: "SELECT id, nama FROM orang WHERE nama = :nama [[ AND id = :id ]] [[ AND nama LIKE :pola ]]",
         parameters: [{name: nama}, {name: id, type: integer, required: false}, {name: pola, required: false}]}
applications:
  - agency: kons
    code: app
    title: Aplikasi
    grants: [{operation: prov/data/cari, purpose: uji}]
"""
#: A run ends after so many seconds, whatever the tool still has in mind; on an idle machine it takes a tenth.
SECONDS = 300
QUERY = "nama=Ani&pola=A%25"


@pytest.fixture(scope="module")
def database() -> Iterator[PostgreSQLServer]:
    with PostgreSQLServer() as server:
        with server.superuser("mantra") as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE orang (id integer, nama text)")
            cursor.execute("INSERT INTO orang VALUES (1, 'Ani'), (2, 'Budi')")
            cursor.execute("GRANT SELECT ON orang TO mantra")
        yield server


@pytest.fixture(scope="module")
def bus(database: PostgreSQLServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    folder = tmp_path_factory.mktemp("bus")
    more = {"PG_PORT": str(database.port), "PG_PASSWORD": "mantra", "MANTRA_API_DOCS_OPEN": "1"}
    with Bus(folder, BUNDLE, "kons/app", **more) as running:
        yield running


# ------------------------------------------------------------------------------------------------- sqlmap


class Careless(BaseHTTPRequestHandler):
    """What a careless program does with the same query: it writes the values into the SQL."""

    port = 0

    def do_GET(self) -> None:
        values = {name: found[0] for name, found in parse_qs(urlsplit(self.path).query).items()}
        sql = f"SELECT id, nama FROM orang WHERE nama = '{values.get('nama', '')}'"
        try:
            with (
                psycopg2.connect(
                    host="127.0.0.1", port=self.port, dbname="mantra", user="mantra", password="mantra"
                ) as connection,
                connection.cursor() as cursor,
            ):
                cursor.execute(sql)
                status, body = 200, str(cursor.fetchall())
        except psycopg2.Error as error:
            status, body = 500, str(error)
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_words: object) -> None:
        pass


@pytest.fixture
def careless(database: PostgreSQLServer) -> Iterator[str]:
    Careless.port = database.port
    with ThreadingHTTPServer(("127.0.0.1", 0), Careless) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def sqlmap(url: str, folder: Path, *options: str) -> str:
    """Return what sqlmap says of the parameters of a URL. It looks at differences, errors and unions, not at times."""
    words = [
        find_binary("sqlmap", str(Path(sys.executable).parent)), "--batch", "-u", url, "--technique", "BEU",
        "--dbms", "PostgreSQL", "--level", "1", "--risk", "1", "--threads", "4", "--timeout", "20", "--retries", "1",
        "--disable-coloring", "--flush-session", "--output-dir", str(folder), "--skip-waf",
        *options,
    ]  # fmt: skip
    done = subprocess.run(
        words, cwd=folder, env={**os.environ, "HOME": str(folder)}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_sqlmap_finds_what_a_careless_program_does(careless: str, tmp_path: Path) -> None:
    told = sqlmap(f"{careless}/cari?{QUERY}", tmp_path, "-p", "nama")
    assert "identified the following injection point" in told, told[-3000:]


@pytest.mark.timeout(600)
def test_sqlmap_finds_nothing_in_an_operation(bus: Bus, tmp_path: Path) -> None:
    assert bus.request(f"/rest/prov/data/cari.json?{QUERY}", headers={"AccessKey": bus.key}).status == 200
    told = sqlmap(
        f"{bus.base}/rest/prov/data/cari.json?{QUERY}", tmp_path, "-p", "nama,pola", "-H", f"AccessKey: {bus.key}"
    )
    assert "all tested parameters do not appear to be injectable" in told, told[-3000:]
    assert "injection point" not in told
    ends = list(bus.ends().values())
    assert len(ends) > 40  # the bus was asked, not a cache or an error page
    # No value of sqlmap's reached the server as SQL: it was sent a value, or refused by its type.
    codes = {each["code"] for each in ends}
    assert codes <= {200, 11101, 11102, 11103}, codes


# -------------------------------------------------------------------------------------------- schemathesis


TOKEN = """
from datetime import timedelta
from django.contrib.auth.models import Group
from django.utils import timezone
from registry.models import Agency, ApiToken, User
user = User.objects.create(username="penyedia", agency=Agency.objects.get(code="prov"))
user.groups.set(Group.objects.all())
print(ApiToken.issue(user, timezone.now() + timedelta(days=1))[1])
"""


@pytest.fixture
def token(bus: Bus) -> Iterator[str]:
    """A token with all rights, those to stop all calls included: with fewer a fault behind them would stay hidden.

    The management API does not depend on calls, so it goes on as before while they are stopped. What is stopped in the
    end is released by the same API, for the tests that follow.
    """
    made = bus.manage("shell", "--verbosity", "0", "-c", TOKEN).strip().splitlines()[-1]
    yield made
    headers = {"Authorization": f"Token {made}"}
    while stops := bus.request("/manage/api/v1/stops/?in_force=true", headers=headers).json()["results"]:
        for each in stops:
            place = f"/manage/api/v1/stops/{each['id']}/release/"
            released = bus.request(place, "POST", headers=headers, json={"reason": "Uji selesai"})
            assert released.status == 200, released.data
    wait_until(lambda: not stopped(bus), 10, "the release of all stops")


def stopped(bus: Bus) -> bool:
    """Whether a call is refused because of a stop. It may be refused for what else was changed."""
    answer = bus.request(f"/rest/prov/data/cari.json?{QUERY}")
    return answer.status == 403 and answer.json().get("code") == 11401


@pytest.mark.timeout(900)
def test_schemathesis_finds_no_error_within_the_management_api(bus: Bus, token: str, tmp_path: Path) -> None:
    # It may or may not come upon a stop of all calls: one is made and seen here, for it to read and to release.
    made = bus.request(
        "/manage/api/v1/stops/", "POST", headers={"Authorization": f"Token {token}"},
        json={"kind": "all", "reason": "Uji"},
    )  # fmt: skip
    assert made.status == 201, made.data
    wait_until(lambda: stopped(bus), 10, "a stop of all calls")
    document = tmp_path / "schema.json"
    bus.manage("spectacular", "--format", "openapi-json", "--file", str(document))
    words = [
        sys.executable, "-m", "schemathesis.cli", "run", str(document), "--url", bus.base,
        "--header", f"Authorization: Token {token}", "--no-color", "--checks", "not_a_server_error",
        "--max-examples", "5", "--seed", "1", "--continue-on-failure", "--phases", "fuzzing",
        "--suppress-health-check", "all", "--request-timeout", "60",
    ]  # fmt: skip
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=800, check=False)
    told = done.stdout + done.stderr
    assert "Server error" not in told, told[-5000:]
    assert done.returncode == 0, told[-5000:]
    (generated,) = re.findall(r"(\d+) generated", told) or [0]
    assert int(generated) > 300, told[-3000:]
    assert "Traceback" not in bus.log()
    assert bus.status("/healthz") == 200


def test_the_tools_are_those_of_the_requirements() -> None:
    listed = (settings.BASE_DIR / "requirements-dev.in").read_text().split()
    assert {"sqlmap", "schemathesis"} <= set(listed)
