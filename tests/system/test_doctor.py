"""manage.py doctor: what it finds, says, and tells a monitor, also while parts of the bus are down."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone, translation

from dataservices.models import DataSource
from mantra.doctor import parallel
from mantra.doctor.checks import clock, configuration, database, drivers, permissions, proof, reach, rollups, secrets
from mantra.doctor.examination import LABELS, examine
from mantra.health.findings import Finding
from registry.journal import segments, shipping
from registry.models import CallRecord, JournalSegment
from tests.cast import Cast
from tests.servers import mail, surroundings
from tests.servers.redis import RedisServer

OTHER_KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def bad(found: list[Finding]) -> dict[str, str]:
    """The states of what needs attention, by names."""
    return {each.name: each.state for each in found if each.needs_attention}


def report(*words: str) -> tuple[str, int]:
    """What the command prints, and its exit status."""
    out = io.StringIO()
    try:
        call_command("doctor", *words, stdout=out)
    except SystemExit as ended:
        return out.getvalue(), int(str(ended.code))
    return out.getvalue(), 0


def test_it_works_and_every_area_has_a_name(cast: Cast) -> None:
    with translation.override("en"):
        found = examine()
    # No worker ships the journal of a test, and an engine's driver may be missing here.
    assert not {each.area for each in found if each.state == "ill"} - {"worker", "drivers"}, bad(found)
    assert {each.area for each in found} <= set(LABELS)
    assert {"clock", "database", "sources", "quotas", "secrets", "permissions"} <= {each.area for each in found}


def test_the_exit_status_is_that_of_the_worst_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    for state, status in (("well", 0), ("unknown", 0), ("warn", 1), ("ill", 2)):
        found = [Finding("disk", "a", "well", "baik"), Finding("disk", "b", state, "kalimat", "nasihat")]  # type: ignore[arg-type]
        monkeypatch.setattr("mantra.management.commands.doctor.examine", lambda fast, found=found: found)
        said, ended = report("--json")
        assert (ended, len(json.loads(said)["findings"])) == (status, 2)
    said, _status = report("--language", "id")
    assert said == "✗ disk: b: kalimat\n    nasihat\n1 salah, 0 perlu perhatian, 0 tidak diketahui, 1 baik\n"
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    assert "✓ disk: a: baik\n" in report("--all")[0]
    assert report()[0].endswith("1 is wrong, 0 need attention, 0 are not known, 1 is well\n")


def test_it_goes_on_while_the_database_and_the_journal_are_away(tmp_path: Path) -> None:
    away = {"MANTRA_DATABASE_URL": "postgres://mantra:rahasia@127.0.0.1:1/x", "MANTRA_JOURNAL_DIR": str(tmp_path / "x")}
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor", "--json", "--language", "en"],
        cwd=surroundings.ROOT, env=surroundings.environment(tmp_path, **away),
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "rahasia" not in done.stdout + done.stderr
    found = {(each["area"], each["state"]): each["sentence"] for each in json.loads(done.stdout)["findings"]}
    assert found["database", "ill"] == "The bus's database cannot be reached, or refuses the bus."
    assert found["permissions", "ill"] == "The folder is missing: every call gets 503."
    assert ("worker", "ill") in found
    assert ("clock", "well") in found


@pytest.mark.parametrize(
    ("changes", "name", "state"),
    [
        ({"BASE_URL": "https://bus.contoh.go.id"}, "MANTRA_ALLOWED_HOSTS", "ill"),
        ({"BASE_URL": "https://localhost"}, "MANTRA_HTTPS", "ill"),
        ({"BASE_URL": "http://bus.contoh.go.id", "ALLOWED_HOSTS": [".contoh.go.id"]}, "MANTRA_BASE_URL", "warn"),
        ({"BASE_URL": "https://localhost", "SESSION_COOKIE_SECURE": True}, "MANTRA_TRUSTED_PROXIES", "warn"),
        ({"DEBUG": True}, "MANTRA_DEBUG", "ill"),
        ({"JOURNAL": False}, "MANTRA_JOURNAL", "ill"),
        ({"ALLOWED_HOSTS": ["*"]}, "MANTRA_ALLOWED_HOSTS", "warn"),
        ({"FIELD_KEYS": ["x"]}, "mantra.E001", "ill"),
        ({"WHITENOISE_USE_FINDERS": False}, "static files", "ill"),
    ],
)
def test_settings_that_contradict_or_are_not_safe(
    settings: Any, changes: dict[str, Any], name: str, state: str
) -> None:
    for setting, value in changes.items():
        setattr(settings, setting, value)
    with translation.override("en"):
        assert bad(configuration.check())[name] == state


def test_keys_that_do_not_fit_what_is_stored(cast: Cast, settings: Any) -> None:
    cast.source.password = "rahasia"
    cast.source.save()
    segments.write({"t": "begin"})
    segments.close()
    assert bad([*secrets.check(), *secrets.journal_key()]) == {}
    kept = settings.FIELD_KEYS
    with translation.override("en"):
        settings.FIELD_KEYS = [OTHER_KEY, *kept]
        assert bad(secrets.check()) == {"old field keys": "warn"}
        settings.FIELD_KEYS, settings.KEY_PEPPERS = [OTHER_KEY], [(9, b"lada yang lain sama sekali")]
        settings.JOURNAL_KEY = b"lain"
        found = [*secrets.check(), *secrets.journal_key()]
    assert set(bad(found).values()) == {"ill"}
    assert found[0].sentence == "1 stored secret cannot be read (dataservices_datasource)"
    assert found[1].sentence == "1 key or token needs a pepper that is missing: 1"
    assert found[2].name == "MANTRA_JOURNAL_KEY"


def test_a_journal_that_was_changed(cast: Cast) -> None:
    segments.write({"t": "begin"})
    segments.close()
    shipping.ship()
    assert bad(proof.check()) == {}
    row = JournalSegment.objects.get()
    JournalSegment.objects.update(lines=1)
    path = next(Path(segments.settings.JOURNAL_DIR).glob("*.journal"))
    path.write_bytes(path.read_bytes().replace(b"begin", b"begun"))
    with translation.override("en"):
        found = proof.check()
    assert bad(found) == {"newest segments": "ill", "rows of segments": "ill"}
    assert found[0].sentence.startswith(row.name)


def test_a_history_that_is_older_than_the_statistics(db: None, settings: Any) -> None:
    made = {"started_at": timezone.now() - timedelta(days=30), "operation": "satu", "outcome": 200}
    CallRecord.objects.create(request_id="1" * 32, protocol="tryout", **made)
    assert bad(rollups.check()) == {}  # try-outs are not counted
    CallRecord.objects.create(request_id="0" * 32, protocol="rest", **made)
    assert set(bad(rollups.check()).values()) == {"warn"}
    settings.STATISTICS_DAYS = 20
    assert bad(rollups.check()) == {}  # no longer kept


def test_files_of_secrets_that_everybody_can_read(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("secrets.env", "kunci"):
        (tmp_path / name).write_text("x")
    (tmp_path / "kunci").chmod(0o600)
    (tmp_path / "secrets.env").chmod(0o644)
    monkeypatch.setenv("MANTRA_SECRET_KEY_FILE", str(tmp_path / "kunci"))
    settings.VAR_DIR, settings.JOURNAL_DIR = tmp_path, tmp_path / "jurnal"
    assert bad(permissions.check()) == {str(tmp_path / "secrets.env"): "ill", str(tmp_path / "jurnal"): "ill"}


def test_migrations_that_are_not_applied_and_a_driver_that_is_missing(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bad(database.check()) == {}
    with translation.override("en"):
        monkeypatch.setattr(drivers, "missing_driver", lambda engine: "apt-get install x" if engine == "sqlite" else "")
        (found,) = (each for each in drivers.check() if each.state == "ill")
        assert (found.sentence, found.advice) == ("not installed; 1 source needs it", "apt-get install x")
        plan = [(None, False)]
        monkeypatch.setattr(database.MigrationExecutor, "migration_plan", lambda *_: plan)
        assert bad(database.check()) == {"migrations": "ill"}


def test_clocks_are_compared() -> None:
    with translation.override("en"):
        assert clock.compare("x", 101.0, 100.0).state == "well"
        assert clock.compare("x", 103.0, 100.0).sentence == "3 seconds ahead of this machine"
        assert clock.compare("x", 0.0, 100.0).state == "ill"
    assert clock.of_header("Sun, 06 Nov 1994 08:49:37 GMT") == 784111777
    assert clock.of_header("x") is None


def test_what_must_be_reached(cast: Cast, settings: Any, refusing_port: int) -> None:
    DataSource.objects.create(agency=cast.provider, code="jauh", engine="postgresql", host="127.0.0.1",
                              port=refusing_port, database="x", user="x")  # fmt: skip
    settings.BASE_URL = f"http://127.0.0.1:{refusing_port}"
    settings.QUOTA_STORE = f"redis://127.0.0.1:{refusing_port}/0"
    settings.SMTP_HOST, settings.SMTP_PORT, settings.SMTP_TLS = "127.0.0.1", refusing_port, "off"
    assert bad(reach.sources()) == {"prov/jauh": "ill"}
    assert bad(reach.own_address()) == {settings.BASE_URL: "warn"}
    assert bad(reach.quota_store()) == {"MANTRA_QUOTA_STORE": "ill"}
    assert bad(reach.mail()) == {f"127.0.0.1:{refusing_port}": "ill"}
    server = mail.start()
    try:
        settings.SMTP_PORT = server.port
        assert bad(reach.mail()) == {}
        assert server.sessions == 1 and server.taken == []
    finally:
        server.stop()


def test_a_quota_store_that_forgets(redis: RedisServer, settings: Any) -> None:
    settings.QUOTA_STORE = redis.url
    assert bad(reach.quota_store()) == {"MANTRA_QUOTA_STORE": "warn"}


def test_one_that_hangs_delays_no_other_and_ends_in_time() -> None:
    never = threading.Event()

    def work(number: int) -> str:
        if number == 1:
            never.wait()
        return f"selesai {number}"

    assert parallel.each([0, 1, 2], work, lambda number: f"terlambat {number}", 2, 0.2) == [
        "selesai 0", "terlambat 1", "selesai 2",
    ]  # fmt: skip
    never.set()
