"""The checks of the bus's health: each says what is wrong, since when, and what to do."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone, translation

from dataservices.models import DataOperation
from mantra.health import checks, trend
from mantra.health.checks import certificates, disk, journal, keys, lane, mail, snapshot, sources, worker
from mantra.health.findings import Finding
from proxyservices import endpoints
from proxyservices.health import prober, sync
from proxyservices.health.probe import run_probe
from proxyservices.models import Backend, BackendServer
from registry import leader
from registry.journal import heartbeat, lane_folder, shipping
from registry.journal.heartbeat import Heartbeat
from registry.journal.lag import lag
from registry.journal.lane_folder import Collected, LastTick
from registry.models import AccessKey, CallLease, Grant, OutboxMessage
from registry.snapshot import holder
from tests.admin.conftest import make_user
from tests.cast import Cast
from tests.notifications.conftest import use
from tests.servers.certificates import Authority
from tests.servers.faulty import once, scripted_server

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    cache.clear()
    with translation.override("en"):
        yield


def summed(found: list[Finding]) -> list[tuple[str, str]]:
    return [(each.state, each.sentence.replace("\xa0", " ")) for each in found]


# ------------------------------------------------------------------------------------------- the worker


@pytest.fixture
def shipping_process() -> Iterator[None]:
    """A process that holds the lock of shipping, and a prober that is alive."""
    prober.heartbeat_file().touch()
    with leader.only_one_in(Path(settings.JOURNAL_DIR), "ship") as alone:
        assert alone
        yield


def test_no_process_ships_the_journal() -> None:
    Heartbeat().write()
    shipped, probed = worker.check()
    assert (shipped.state, shipped.sentence, probed.state) == ("ill", "not running", "warn")
    assert shipped.since is not None


@pytest.mark.usefixtures("shipping_process")
def test_the_worker_says_its_last_round_and_its_last_error() -> None:
    assert [each.state for each in worker.check()] == ["ill", "well"]  # it holds the lock and gives no sign
    beat = Heartbeat()
    beat.write()
    assert summed(worker.check())[0] == ("well", "running")
    beat.succeeded()
    beat.write()
    assert summed(worker.check())[0] == ("well", "running; last round 0 minutes ago")
    beat.failed(DatabaseError())
    beat.write()
    failing = worker.check()[0]
    assert (failing.state, failing.since) == ("ill", heartbeat.last().failing_since)  # type: ignore[union-attr]
    assert failing.sentence == "The database cannot be reached or refuses what is written."
    beat.failed(OSError())
    assert beat.sign().failing_since == failing.since
    beat.succeeded()
    beat.write()
    assert worker.check()[0].state == "well"


@pytest.mark.usefixtures("shipping_process")
def test_a_worker_that_hangs_or_takes_long_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    began = timezone.now() - timedelta(minutes=9)
    Heartbeat(lambda: began).write()
    found = worker.check()[0]
    assert (found.state, found.sentence, found.since) == ("warn", "running; its present round takes long", began)
    later = timezone.now() + timedelta(seconds=heartbeat.SILENT + 5)
    monkeypatch.setattr(worker.timezone, "now", lambda: later)
    assert worker.check()[0].sentence == "It gives no sign of life."


def test_a_full_disk_leaves_the_sign_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    beat = Heartbeat()
    beat.write()
    before = heartbeat.last()

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    beat.write()
    after = heartbeat.last()
    assert before is not None
    assert after is not None
    assert after.seen_at > before.seen_at
    assert after.began_at == before.began_at


# ------------------------------------------------------------------------------------------ the journal


def test_the_lag_has_an_age_and_a_direction(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000_000.0]
    monkeypatch.setattr(trend, "clock", lambda: now[0])
    assert [each.state for each in journal.check()] == ["well"]
    began = timezone.now()
    seen = []
    for _call in range(5):
        assert cast.get("satu", "id=7").status == 200
        seen.append(journal.check()[0].sentence)
        journal.note()
        now[0] += 20
        assert cast.get("satu", "id=7").status == 200
    assert "growing" not in seen[0]
    assert seen[-1].endswith(", growing")
    journal.note()
    assert (lag().oldest or began) - began < timedelta(minutes=1)
    now[0] += 20
    assert journal.check()[0].sentence.endswith(", not growing")
    monkeypatch.setattr(journal.timezone, "now", lambda: began + timedelta(minutes=11))
    late = journal.check()[0]
    assert (late.state, late.since) == ("ill", lag().oldest)
    assert "the oldest call is of 10" in late.sentence.replace("\xa0", " ")
    shipping.ship()
    assert lag().oldest is None
    assert journal.check()[0].state == "well"
    assert "statistics count calls up to" in journal.check()[0].sentence


# -------------------------------------------------------------------------------------------- the disks


def test_a_disk_says_for_how_many_days_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    gib = 1024**3
    free, now = [900 * gib], [1_000_000.0]
    monkeypatch.setattr(trend, "clock", lambda: now[0])
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _folder: SimpleNamespace(free=free[0], total=1000 * gib))
    disk.note()
    assert "lasts" not in disk.check()[0].sentence
    for _hour in range(24):
        free[0] -= 2 * gib
        now[0] += 3600
        disk.note()
    found = disk.check()[0]
    assert found.sentence.replace("\xa0", " ") == "852.0 GB of 1000.0 GB free. At the present rate that lasts 17 days."
    assert found.state == "well"
    free[0] -= 400 * gib
    assert disk.check()[0].state == "warn"  # a day, though nearly half of it is free
    free[0] = 1024
    assert disk.check()[0].state == "ill"


# ----------------------------------------------------------------------------------------------- e-mail


def test_mail_says_what_waits_since_when_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [each.state for each in mail.check()] == ["unknown"]  # there is no mail server
    use(1, monkeypatch)
    assert summed(mail.check()) == [("well", "0 e-mails wait")]
    old = timezone.now() - timedelta(hours=2)
    row = OutboxMessage.objects.create(event="grant_ending", created_at=old)
    assert [(each.state, each.since) for each in mail.check()] == [("warn", old)]
    OutboxMessage.objects.filter(pk=row.pk).update(problem="refused")
    [found] = mail.check()
    assert found.state == "ill"
    assert found.sentence.startswith("1 e-mail waits. The mail server's host is reachable, but nothing is listening")
    OutboxMessage.objects.filter(pk=row.pk).update(problem="content", state="failed", created_at=timezone.now())
    assert [each.state for each in mail.check()] == ["well", "warn"]


# ----------------------------------------------------------------------------------------- certificates


def pem(end: datetime) -> str:
    """Return a certificate that ends at a time."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "uji")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(end - timedelta(days=400)).not_valid_after(end)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def in_days(days: int) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days, hours=1)


def test_the_buss_own_certificate_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert certificates.check() == []
    monkeypatch.setattr(settings, "TLS_DIR", str(tmp_path))
    assert [each.state for each in certificates.check()] == ["warn"]  # it cannot be read
    for days, state in ((200, "well"), (20, "warn"), (3, "ill"), (-2, "ill")):
        (tmp_path / "fullchain.pem").write_text("Kunci\n" + pem(in_days(400)) + pem(in_days(days)))
        assert [each.state for each in certificates.check()] == [state]
    (tmp_path / "fullchain.pem").write_text("bukan")
    assert "has no certificate" in certificates.check()[0].sentence


def test_a_client_certificate_that_ends_concerns_its_agency(cast: Cast) -> None:
    ending = pem(in_days(5))
    backend = Backend.objects.create(agency=cast.provider, code="mtls", client_certificate=ending)
    Backend.objects.create(agency=cast.provider, code="lama", ca_certificate=pem(in_days(300)))
    Backend.objects.create(agency=cast.provider, code="rusak", ca_certificate="-----BEGIN CERTIFICATE-----\nx")
    [found] = certificates.check_backends(make_user("Publisher", cast.provider, "penerbit"))
    assert (found.name, found.state) == ("prov/mtls: client certificate", "ill")
    assert str(backend.pk) in found.url
    assert ending not in str(found)
    assert certificates.check_backends(make_user("Publisher", cast.stranger, "asing")) == []
    assert len(certificates.check_backends(None)) == 1


def test_the_certificate_that_a_probed_server_has_shown_is_watched(cast: Cast, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.certificate("127.0.0.1", (-1, 20)))
    backend = Backend.objects.create(
        agency=cast.provider, code="tls", ca_certificate=authority.file.read_text(), probe_interval_seconds=60
    )
    with scripted_server(once(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), context) as server:
        row = BackendServer.objects.create(backend=backend, url=server.url.replace("http:", "https:"))
        endpoint = endpoints.endpoint_of(row)
        target = prober.ProbeTarget((), endpoint, "", 60)
        target.record(run_probe(endpoint, 30))
    assert target.healthy
    Backend.objects.filter(pk=backend.pk).update(ca_certificate="")  # the authority's own ends sooner
    sync.save_states([target.row(row.pk)])
    [found] = certificates.check_backends(make_user("Publisher", cast.provider, "penerbit"))
    assert (found.state, found.name) == ("warn", f"prov/tls {row.url}")
    assert "in 19 days" in found.sentence
    assert certificates.check_backends(make_user("Publisher", cast.stranger, "asing")) == []


# ---------------------------------------------------------------------------------- keys, sources, snapshot


def test_keys_and_grants_that_end_are_found_by_those_they_concern(cast: Cast) -> None:
    AccessKey.objects.filter(pk=cast.key_row.pk).update(expires_at=timezone.now() + timedelta(days=2))
    Grant.objects.filter(pk=cast.grants["satu"].pk).update(valid_until=timezone.localdate() + timedelta(days=6))
    own = keys.check(make_user("Requester", cast.consumer, "pemohon"))
    assert [each.state for each in own] == ["warn", "warn"]
    assert keys.check(make_user("Requester", cast.stranger, "asing")) == []
    assert len(keys.check(None)) == 2


def test_a_source_says_whom_its_failure_concerns(cast: Cast) -> None:
    cast.source.states.create(observer="web:1", failures=2, reason="refused", since=timezone.now())
    [found] = [each for each in sources.check(None) if each.state == "ill"]
    published = DataOperation.objects.filter(source=cast.source, state="published").count()
    words = [str(each) for each in found.affected]
    assert words == [f"{published} operations", "1 application of 1 agency"]
    viewer = make_user("Provider", cast.provider, "penyedia")
    client = Client()
    client.force_login(viewer)
    pages = [client.get(each.url) for each in found.affected]
    assert [page.status_code for page in pages] == [200, 200]
    assert pages[0].context["cl"].result_count == published
    assert 0 < pages[1].context["cl"].result_count < Grant.objects.count() + 1


def test_a_snapshot_that_cannot_be_refreshed_says_so(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    assert snapshot.check() == []  # no thread follows the registry here
    monkeypatch.setattr(holder, "follows", lambda: True)
    holder.refresh()
    assert summed(snapshot.check()) == [("well", "compared 0 seconds ago")]

    def fail() -> None:
        raise DatabaseError

    monkeypatch.setattr(holder._holder.loader, "poll", fail)
    with suppress(DatabaseError):
        holder._advance_quietly()
    [found] = snapshot.check()
    assert found.state == "ill"
    assert "DatabaseError" in found.sentence
    monkeypatch.undo()
    holder._advance_quietly()
    assert holder.failure() is None


def test_everything_is_checked_for_a_monitor(cast: Cast) -> None:
    found = checks.all_findings()
    assert {each.area for each in found} >= {"disk", "journal", "worker", "mail", "sources"}
    order = [each.order[0] for each in found]
    assert order == sorted(order)
    assert set(checks.LABELS) == {*checks.SERVER, *checks.ROWS}


# --------------------------------------------------------------------------------------- the fast lane


@pytest.fixture
def lane_on(settings: Any, tmp_path: Path) -> Path:
    settings.NGINX_SECRET, settings.FAST_LANE_DIR = "rahasia-nginx-0123456789", tmp_path
    return tmp_path


def ticked(groups: str, ago: float = 0.0) -> None:
    lane_folder.write("tick.json", LastTick(time.time() - ago, groups))


def collected(last_call: float | None = None, ago: float = 0.0) -> None:
    lane_folder.write("collected.json", Collected(time.time() - ago, 0, last_call))


def test_the_fast_lane_is_off(settings: Any) -> None:
    assert summed(lane.check()) == [("well", "off: every call goes through the bus")]
    settings.NGINX_SECRET, settings.FAST_LANE = "rahasia-nginx-0123456789", False
    assert summed(lane.check()) == [("well", "off: every call goes through the bus")]


def test_what_keeps_calls_off_the_fast_lane_is_said(lane_on: Path) -> None:
    [found] = lane.check()
    assert (found.state, found.sentence) == ("warn", "On, but no nginx asks for it: every call goes through the bus.")
    assert "njs" in found.advice
    ticked("a" * 16)
    assert [each.state for each in lane.check()] == ["ill"]
    collected(ago=61)
    assert summed(lane.check())[0][1].startswith("Its calls are not collected.")
    collected()
    assert summed(lane.check()) == [("well", "on; no call has gone over it yet")]
    groups = lane_on / "upstreams.json"
    groups.write_text('{"version":"' + "b" * 16 + '","versions":{}}')
    assert [each.state for each in lane.check()] == ["well"]  # nginx has a minute to load them
    os.utime(groups, (time.time() - 61, time.time() - 61))
    assert summed(lane.check())[0][1].startswith("nginx has not loaded the present upstream groups")
    ticked("b" * 16)
    collected(last_call=time.time() - 120)
    assert summed(lane.check()) == [("well", "in use; last call 2 minutes ago")]


def test_unexplained_calls_are_spoken_of_for_a_day(lane_on: Path) -> None:
    ticked("-")
    collected()
    now = timezone.now()
    CallLease.objects.create(id="1" * 16, at=now, count=50, unexplained=30)
    CallLease.objects.create(id="2" * 16, at=now - timedelta(days=2), count=50, unexplained=50)
    assert summed(lane.check())[1][1].startswith("At most 30 calls of the last day are unexplained")
