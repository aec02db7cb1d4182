"""The red team: five attacks on a running bus of several processes, each seen and stopped, with the time that it took.

``python -m pytest -n 0 -s tests/system/test_red_team.py`` prints the times.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.bounds import assert_short
from tests.egress.numbers import Numbers
from tests.servers.bus import ROOT, Bus
from tests.servers.composed import Console
from tests.servers.process import ending_with_us, free_port, permit, wait_until

STOPPED, PERSONS_EXCEEDED, KEY_NETWORK = 11401, 11403, 11003
HOME, ABROAD = "10.20.0.7", "203.0.113.66"
#: Persons that the grant with a limit gives in an hour, and calls in sequence of which the alarm rule makes a stop.
LIMIT, SEQUENCE = 25, 40
CITIZENS = 400

PERSON = {
    "kind": "data", "source": "prov/warga", "state": "published", "access": "restricted",
    "sql": "SELECT nik, nama FROM warga WHERE nik = :nik", "parameters": [{"name": "nik", "subject": True}],
    "fields": [{"name": "nik", "classification": "personal"}, {"name": "nama", "classification": "personal"}],
}  # fmt: skip
NOTES = {
    "kind": "data", "source": "prov/warga", "state": "published", "access": "restricted",
    "sql": "SELECT keterangan FROM warga ORDER BY nik LIMIT 20",
    "fields": [{"name": "keterangan", "classification": "internal"}],
}  # fmt: skip


def bundle(source: Path, applications: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "agencies": [{"code": "prov", "name": "Penyedia"}, {"code": "kons", "name": "Konsumen"}],
        "sources": [{"agency": "prov", "code": "warga", "engine": "sqlite", "database": str(source)}],
        "services": [
            {
                "agency": "prov",
                "code": "data",
                "title": "Kependudukan",
                "operations": [
                    {"code": "warga", **PERSON},
                    {"code": "catatan", "guard": "alarm", **NOTES},
                    {"code": "tertutup", "guard": "mask", **NOTES},
                ],
            }
        ],
        "applications": [
            {
                "agency": "kons",
                "code": code,
                "title": code,
                "grants": [{"purpose": "Verifikasi penerima", "legal_basis": "UU", **grant}],
            }
            for code, grant in applications.items()
        ],
    }


@dataclass
class Target:
    """The bus that is attacked, and what the test knows of it."""

    bus: Bus
    console: Console
    persons: list[str]
    keys: dict[str, str]

    def call(self, key: str, path: str, address: str = HOME) -> tuple[int, dict[str, Any]]:
        """A call from an address, as the bus's own proxy hands it on."""
        headers = {"AccessKey": self.keys.get(key, key), "X-Forwarded-For": address}
        url = f"http://127.0.0.1:{self.bus.port}/rest/prov/data/{path}"
        response = urllib3.request("GET", url, headers=headers, retries=False, timeout=20)
        return response.status, response.json()

    def run(self, code: str) -> Any:
        """What the code leaves in ``result``, run by the bus's own Python."""
        return self.console.run(code)

    def journal(self) -> list[Path]:
        return sorted(Path(self.bus.environment["MANTRA_VAR_DIR"], "journal").glob("*.journal"))


APPLICATIONS: dict[str, dict[str, Any]] = {
    "terbatas": {"operation": "prov/data/warga", "subject_limit": f"{LIMIT}/hour"},
    "rakus": {"operation": "prov/data/warga"},
    "dicuri": {"operation": "prov/data/warga"},
    "pembaca": {"operation": "prov/data/catatan"},
    "penutup": {"operation": "prov/data/tertutup"},
}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder, numbers = tmp_path_factory.mktemp("serangan"), Numbers(7)
    source = folder / "prov" / "warga.sqlite3"
    source.parent.mkdir()
    # Numbers of one family register follow on one another, as they do where they are given.
    first = int(numbers.nik()[:12]) * 10_000 + 1
    persons = [str(first + number) for number in range(CITIZENS)]
    with closing(sqlite3.connect(source)) as made:
        made.execute("CREATE TABLE warga (nik TEXT PRIMARY KEY, nama TEXT, keterangan TEXT)")
        rows = [(nik, f"Warga {number}", f"anak dari {numbers.nik()}") for number, nik in enumerate(persons)]
        made.executemany("INSERT INTO warga VALUES (?, ?, ?)", rows)
        made.commit()
    bus = Bus(
        folder / "bus", bundle(source, APPLICATIONS), "kons/terbatas", WEB_CONCURRENCY="2", MANTRA_TRUSTED_PROXIES="1",
        MANTRA_SOURCE_FILE_DIRS=str(folder), MANTRA_UPSTREAM_NETWORKS="",
    )  # fmt: skip
    keys = {code: bus.issue_key(f"kons/{code}") for code in APPLICATIONS if code != "terbatas"}
    console = Console(bus.environment)
    permit("the worker")
    with bus, (folder / "worker.log").open("ab") as log:
        worker = subprocess.Popen(
            ending_with_us([sys.executable, "manage.py", "ship_journal", "--follow"]),
            cwd=ROOT, env=bus.environment, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            yield Target(bus, console, persons, {"terbatas": bus.key, **keys})
        finally:
            console.close()
            worker.terminate()
            worker.wait(20)


def seen(words: str, began: float, ended: float | None = None) -> float:
    """Print how long something took, and return it."""
    taken = (time.monotonic() if ended is None else ended) - began
    print(f"\n  {words}: {taken:.2f} s")
    return taken


# -------------------------------------------------------------------- an insider harvests with a valid key


def test_an_insider_gets_no_more_persons_than_the_grant_says(target: Target) -> None:
    began = time.monotonic()
    answers = [target.call("terbatas", f"warga?nik={nik}") for nik in target.persons[:60]]
    got = [status for status, _body in answers if status == 200]
    assert len(got) == LIMIT
    assert {body.get("code") for status, body in answers if status != 200} == {PERSONS_EXCEEDED}
    seen(f"harvest by a valid key refused after {LIMIT} persons; 60 calls", began)


RULE = f"""
from registry.models import HarvestRule
HarvestRule.objects.filter(agency=None).exclude(kind="sequence").update(mode="off")
HarvestRule.objects.filter(agency=None, kind="sequence").update(mode="on", least={SEQUENCE}, action="suspend")
"""
INCIDENT = """
from registry.models import HarvestAlarm, Incident, Stop
result = {
    "alarms": list(HarvestAlarm.objects.values_list("application", "number")),
    "stops": list(Stop.objects.filter(released_at=None).values_list("kind", "origin")),
    "incidents": Incident.objects.count(),
}
"""


def test_an_insider_without_a_limit_is_stopped_by_a_rule(target: Target) -> None:
    target.run(RULE)
    began, got, crossed = time.monotonic(), 0, 0.0
    for nik in target.persons[:CITIZENS]:
        status, body = target.call("rakus", f"warga?nik={nik}")
        if status != 200:
            assert body["code"] == STOPPED
            break
        got += 1
        crossed = crossed or (time.monotonic() if got == SEQUENCE else 0.0)
        time.sleep(0.05)  # a program that takes its time, so as not to be noticed
    else:
        pytest.fail(f"{got} persons were fetched in sequence, and nobody stopped it")
    seen(f"harvest in sequence stopped after {got} persons", began)
    assert_short(seen(f"  since the rule's {SEQUENCE} calls", crossed), 15)
    found = target.run(INCIDENT)
    # The one with a limit called in sequence, too: of what it was refused nobody learnt anything, but it is stopped.
    assert "rakus" in [name for name, _number in found["alarms"]]
    assert ["key", "rule"] in found["stops"]
    assert found["incidents"] == len(found["stops"]) == len(found["alarms"])
    assert target.call("dicuri", f"warga?nik={target.persons[0]}")[0] == 200, "others go on"


# ----------------------------------------------------------------------------- a stolen key, from abroad

NETWORKS = """
from registry.models import AccessKey
row = AccessKey.objects.get(application__code="dicuri")
row.networks = NETWORKS
row.full_clean()
row.save()
"""
NOTICE = """
from django.utils import timezone
from registry.models import AccessKey, KeyNetwork, Notification, User, Agency
from registry.notifications import key_alarms
if not User.objects.filter(username="pemohon").exists():
    from django.contrib.auth.models import Group
    user = User.objects.create_user("pemohon", password="kata-sandi-panjang-1", is_staff=True,
                                    agency=Agency.objects.get(code="kons"))
    user.groups.set([Group.objects.get(name="Requester")])
known = list(KeyNetwork.objects.filter(key__application__code="dicuri").values_list("network", flat=True))
key_alarms.report(timezone.now())
events = list(Notification.objects.filter(user__username="pemohon").values_list("event", flat=True))
result = [known, events]
"""
LEAKED = """
import re, time
from django.test import Client
from django.conf import settings
from registry.models import User, AccessKey
settings.ALLOWED_HOSTS = ["*"]
settings.SECURE_SSL_REDIRECT = False
client = Client()
client.force_login(User.objects.get(username="pemohon"))
page = client.post("/admin/keys/leaked/", {"text": "ditemukan di internet: KEY"}).content.decode()
key = AccessKey.objects.get(application__code="dicuri")
answer = client.post(f"/admin/registry/accesskey/{key.pk}/revoke/")
result = [key.public in page, "KEY" in page, "kons/dicuri" in page, answer.status_code, time.time()]
"""


def test_a_stolen_key_opens_nothing_from_another_network(target: Target) -> None:
    began = time.monotonic()
    target.run(NETWORKS.replace("NETWORKS", '"10.20.0.0/16"'))
    wait_until(lambda: target.call("dicuri", f"warga?nik={target.persons[1]}", ABROAD)[0] == 403, 10, "the network")
    assert target.call("dicuri", f"warga?nik={target.persons[1]}", ABROAD)[1]["code"] == KEY_NETWORK
    assert target.call("dicuri", f"warga?nik={target.persons[1]}")[0] == 200
    seen("stolen key bound to its network", began)
    target.run(NETWORKS.replace("NETWORKS", '""'))
    wait_until(lambda: target.call("dicuri", f"warga?nik={target.persons[1]}", ABROAD)[0] == 200, 10, "no network")


def test_a_stolen_key_is_noticed_found_and_revoked(target: Target) -> None:
    """It was bound to no network: its agency is notified, pastes it, sees what it opened, and revokes it."""
    began = time.monotonic()
    assert target.call("dicuri", f"warga?nik={target.persons[2]}")[0] == 200
    assert target.call("dicuri", f"warga?nik={target.persons[2]}", ABROAD)[0] == 200
    wait_until(lambda: "203.0.113.0/24" in target.run(NOTICE)[0], 30, "the new network")
    networks, events = target.run(NOTICE)
    assert "key_new_network" in events, (networks, events)
    seen("stolen key seen in a new network (the worker reports each minute)", began)
    named, plain, application, status, at = target.run(LEAKED.replace("KEY", target.keys["dicuri"]))
    assert (named, plain, application, status) == (True, False, True, 302)
    began = time.monotonic() - (time.time() - at)
    wait_until(lambda: target.call("dicuri", f"warga?nik={target.persons[2]}", ABROAD)[0] == 401, 10, "the revocation")
    assert_short(seen("  revoked on the page of leaked keys, refused everywhere", began), 1.0)


# --------------------------------------------------------------------- a provider who opens too much

OPEN = """
from django.core.exceptions import ValidationError
from registry import approvals
from registry.models import Operation
row = Operation.objects.get(code="warga").of_its_kind
row.access = "open"
try:
    row.full_clean()
    approvals.check(row)
    result = "published"
except (ValidationError, AttributeError) as error:
    result = str(error)
"""
FINDINGS = """
from registry.models import GuardFinding
result = list(GuardFinding.objects.filter(operation__code="catatan").values_list("place", "kind"))
"""


def test_what_a_provider_did_not_declare_is_seen_or_covered(target: Target) -> None:
    began = time.monotonic()
    status, body = target.call("pembaca", "catatan")
    assert status == 200
    wait_until(lambda: ["keterangan", "NIK"] in target.run(FINDINGS), 30, "the finding")
    seen("undeclared NIK in a free text reported", began)
    written = json.dumps(body)
    niks = re.findall(r"\b\d{16}\b", written)
    assert niks, "the control: without a rule that covers them they go out"
    began = time.monotonic()
    status, body = target.call("penutup", "tertutup")
    assert status == 200
    assert not [nik for nik in niks if nik in json.dumps(body)]
    assert "••••" in json.dumps(body, ensure_ascii=False)
    seen("  covered where the operation says so", began)


# ------------------------------------------------------------------------ a publisher points inwards

INWARDS = """
from django.core.exceptions import ValidationError
from django.db import transaction
from proxyservices.models import Backend, BackendServer, ProxyOperation
from registry.models import Agency, Application, Grant, Service
try:
    with transaction.atomic():
        backend = Backend.objects.create(agency=Agency.objects.get(code="prov"), code="dalam-NUMBER", title="x")
        BackendServer.objects.create(backend=backend, url="URL", credential_kind="none")
        operation = ProxyOperation.objects.create(service=Service.objects.get(code="data"), code="dalam-NUMBER",
            title="x", backend=backend, style="pass-through", state="published", access="restricted")
        Grant.objects.create(application=Application.objects.get(code="pembaca"), operation=operation, purpose="uji")
    result = "made"
except ValidationError as error:
    result = str(error)
"""


def test_a_publisher_reaches_nothing_within(target: Target) -> None:
    """Loopback, link-local and the addresses of clouds, in every notation."""
    began, port = time.monotonic(), free_port()
    asked: list[bytes] = []
    with Listener(port, asked):
        addresses = [
            f"http://127.0.0.1:{port}/", f"http://localhost:{port}/", f"http://2130706433:{port}/",
            f"http://0x7f000001:{port}/", f"http://127.1:{port}/", f"http://[::1]:{port}/",
            f"http://[::ffff:127.0.0.1]:{port}/", "http://169.254.169.254/latest/meta-data/",
        ]  # fmt: skip
        said = [
            target.run(INWARDS.replace("NUMBER", str(number)).replace("URL", url))
            for number, url in enumerate(addresses)
        ]
        made = [(number, url) for number, url in enumerate(addresses) if said[number] == "made"]
        assert made, said
        last = f"dalam-{made[-1][0]}"  # the workers know the others before it
        wait_until(lambda: target.call("pembaca", last)[0] not in (403, 404), 15, "the operations and their grants")
        for number, url in made:
            status, body = target.call("pembaca", f"dalam-{number}")
            assert status in (502, 503), (url, body)
            assert body["party"] == "provider", url
    assert asked == []
    seen(f"{len(addresses)} ways inwards, none of which connected", began)


class Listener:
    """A server within, which nobody may reach. It keeps what it is sent."""

    def __init__(self, port: int, asked: list[bytes]) -> None:
        code = (
            "import socket,sys\ns=socket.create_server(('127.0.0.1',int(sys.argv[1])))\nprint('x',flush=True)\n"
            "while True:\n c,_=s.accept(); print(c.recv(100),flush=True); c.close()"
        )
        self._process = subprocess.Popen(
            ending_with_us([sys.executable, "-c", code, str(port)]), stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()
        self._asked = asked

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        assert self._process.stdout is not None
        self._asked.extend(self._process.stdout.readlines())
        self._process.wait(5)


# ------------------------------------------------------------------ an administrator edits history


def test_an_administrator_edits_no_history_unnoticed(target: Target, tmp_path: Path) -> None:
    began = time.monotonic()
    copy = tmp_path / "journal"
    shutil.copytree(target.journal()[0].parent, copy)
    victim = max(copy.glob("*.journal"), key=lambda path: path.stat().st_size)
    lines = victim.read_bytes().split(b"\n")
    place = next(number for number, line in enumerate(lines) if b'"t":"end"' in line and b"rakus" in line)
    edited = lines[place].replace(b"rakus", b"bukan", 1)
    victim.write_bytes(b"\n".join([*lines[:place], edited, *lines[place + 1 :]]))
    told = verify(copy)
    assert victim.name in told, told
    assert str(place + 1) in told
    seen(f"an edited line named ({victim.name.partition('-')[0]}…, line {place + 1}), without the bus", began)
    victim.write_bytes(b"\n".join([*lines[:place], *lines[place + 1 :]]))
    assert victim.name in verify(copy), "a line that was removed"
    victim.unlink()
    began = time.monotonic()
    said = target.bus.manage("verify_audit", check=False)
    assert "broken" not in said.lower(), said
    seen("the whole journal proven", began)


def verify(folder: Path) -> str:
    """What the verifier that needs only Python says of a folder."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "deploy" / "verify_journal.py"), str(folder)],
        capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    return done.stdout + done.stderr


CHANGED = """
from registry.models import CallRecord
CallRecord.objects.filter(pk=CallRecord.objects.filter(application="terbatas").latest("pk").pk).update(application="lain")
"""


def test_a_record_of_the_history_that_was_changed_is_named(target: Target) -> None:
    wait_until(lambda: target.run(COUNTED) > 0, 30, "the history")
    target.run(CHANGED)
    began = time.monotonic()
    said = target.bus.manage("verify_audit", "--history", "0", check=False)
    assert "application" in said, said
    seen("a changed record of the history named", began)


COUNTED = """
from registry.models import CallRecord
result = CallRecord.objects.filter(application="terbatas", outcome=200).count()
"""
