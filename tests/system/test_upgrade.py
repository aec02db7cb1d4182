"""The upgrade from the first release: its database and journal, as it wrote them (tests/golden/first_release)."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.servers import surroundings

DATA = surroundings.ROOT / "tests" / "golden" / "first_release"
#: The settings and the access keys of that bus.
SECRETS = {
    "MANTRA_SECRET_KEY": "rahasia-dari-rilis-pertama",
    "MANTRA_FIELD_KEYS": "UmlsaXMgcGVydGFtYSwga3VuY2kgdW50dWsgdWppLjI=",
    "MANTRA_KEY_PEPPERS": "1:lada-dari-rilis-pertama",
    "MANTRA_JOURNAL_KEY": "jurnal-dari-rilis-pertama",
}
KEY, LEGACY_KEY = "mtr_XxBBNTrZ_2sOwdS61HeKPjZBejOisyfTBEZJMsR4GRBGQ", "abcdefghij"

#: Migrates it, ships the rest of its journal, proves it, and calls it. Prints what it finds.
UPGRADE = """
import io, json, sys, django
from datetime import date
DAY = "2026-11-29"
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
said = io.StringIO()
call_command("ship_journal", stdout=said)
call_command("verify_audit", stdout=said)
call_command("rebuild_statistics", f"--since={DAY}", f"--until={DAY}", stdout=said)
from django.contrib.auth import authenticate
from dataservices.models import DataOperation, DataSource
from mantra.doctor.checks import database, proof, secrets
from mantra.health.findings import worst
from proxyservices.models import ProxyOperation
from registry import versions
from registry.models import AccessKey, CallRecord, Grant, User
from registry.snapshot import holder
from registry.statistics.reading import Period, Selection, totals
from tests.cast import call
holder.refresh()
key, legacy_key = sys.argv[1:]
operation = DataOperation.objects.get(code="satu")
backend = ProxyOperation.objects.get(code="teruskan").backend
print(json.dumps({
    "said": said.getvalue(),
    "calls": list(CallRecord.objects.order_by("started_at").values_list(
        "protocol", "operation", "application", "outcome", "rows")),
    "operation": [operation.state, operation.max_rows, operation.timeout_ms, operation.parameters.count(),
                  operation.fields.get(name="nama").classification, versions.is_same(
                      operation.versions.get().definition, versions.definition(operation),
                      versions.kind_of(operation))],
    "counted": totals(Selection(), Period.of(7, date.fromisoformat(DAY))).calls,
    "secrets": [str(DataSource.objects.get(code="jauh").password), str(backend.servers.get().settings.credential)],
    "grants": sorted(f"{each} {each.quota}" for each in Grant.objects.all()),
    "keys": AccessKey.active().count(),
    "admin": User.objects.get(username="admin").check_password("kata-sandi-panjang-1"),
    "new": call("/rest/prov/data/satu.json?id=7", accesskey=key).json()["data"],
    "old": call("/mantra/json/prov/data/satu/id=7", accesskey=legacy_key, user_agent="MANTRA").json(),
    "open": call("/rest/prov/data/semua.json").status,
    "draft": call("/rest/prov/data/konsep.json", accesskey=key).status,
    "doctor": worst([*database.check(), *secrets.check(), *secrets.journal_key(), *proof.check()]),
}))
"""


def upgraded(var: Path) -> Any:
    # The day of its calls stays in the history, whenever this runs.
    environment = surroundings.environment(var, MANTRA_HISTORY_DAYS="36500", **SECRETS)
    for path in (DATA / "journal").iterdir():
        shutil.copy(path, var / "journal")
    with closing(sqlite3.connect(var / "mantra.sqlite3")) as old:
        old.executescript((DATA / "database.sql").read_text())
    (var / "sources" / "prov").mkdir()
    with closing(sqlite3.connect(var / "sources" / "prov" / "uji.sqlite3")) as source, source:
        source.execute("CREATE TABLE orang (id INTEGER PRIMARY KEY, nama TEXT)")
        source.execute("INSERT INTO orang VALUES (7, 'Orang 7')")
    done = subprocess.run(
        [sys.executable, "-c", UPGRADE, KEY, LEGACY_KEY],
        cwd=surroundings.ROOT, env=environment, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_the_first_release_has_stored_works_on(tmp_path: Path) -> None:
    found = upgraded(tmp_path)
    assert found == {
        "said": found["said"],
        "calls": [
            ["rest", "satu", "app", 200, 1],
            ["rest", "satu", "", 10001, None],
            ["rest", "semua", "", 200, 1],
            ["legacy", "satu", "app", 200, 1],
            ["rest", "teruskan", "app", 11103, None],
            ["rest", "satu", "app", 200, 1],
        ],
        "operation": ["published", 10, 5000, 1, "personal", True],
        "counted": 6,
        "secrets": ["sandi sumber", "kuncihulu1"],
        "grants": ["kons/app → prov/data/satu 1000/day", "kons/app → prov/data/teruskan "],
        "keys": 2,
        "admin": True,
        "new": [{"id": 7, "nama": "Orang 7"}],
        "old": {
            "response": {
                "status": 1,
                "code": 200,
                "message": "OK",
                "data": {"satu": {"0": {"id": "7", "nama": "Orang 7"}}},
            }
        },
        "open": 200,
        "draft": 404,
        "doctor": "well",
    }
    # The lines after the fifth call were not in its history.
    shipped, *_, proven, counted = found["said"].splitlines()
    assert (shipped, proven) == ("2 lines shipped", "14 lines in 2 segments are unchanged")
    assert counted == "6 calls of 1 days counted"
