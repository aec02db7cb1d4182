"""Roll-ups equal what an independent count of the journal finds, across kill -9 of the shipper and a rebuild."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import settings

from registry.journal import segments
from tests import count_journal
from tests.servers import database, surroundings
from tests.servers.process import ending_with_us, wait_until

ZONE = "Asia/Makassar"
#: Segments of the journal, and calls in each: each segment is shipped in a transaction of its own.
SEGMENTS, CALLS = 24, 60
DAYS = 5

_COUNTED = """
SELECT day, hour, operation_ref, consumer_agency || '/' || application, protocol, outcome,
       sum(calls), sum(rows), sum(bytes)
FROM registry_callhour JOIN registry_callgroup ON registry_callgroup.id = group_id
WHERE kind = 'call' GROUP BY 1, 2, 3, 4, 5, 6
"""


def write_journal(folder: Path, key: bytes) -> None:
    """Write segments as threads of workers do; some calls end in another segment than they begin in."""
    chance = random.Random(7)
    now = time.time()
    late: list[dict[str, object]] = []
    for number in range(SEGMENTS):
        segment = segments.Segment(number, None)
        for line in late:
            segment.append(line)
        late.clear()
        for each in range(CALLS):
            at = now - chance.uniform(0, DAYS * 86400)
            id = f"{int(at * 1000):012x}{number:010x}{each:010x}"
            protocol = chance.choice(("rest", "soap", "legacy", "tryout"))
            operation = chance.randrange(5)
            begin = {"t": "begin", "id": id, "at": at, "protocol": protocol, "method": "GET", "ip": "10.0.0.1"}
            segment.append(begin | {"op": ["prov", "data", f"o{operation}", operation, 1]} if operation else begin)
            end = {
                "t": "end",
                "id": id,
                "code": chance.choice((200, 200, 11002, 11201)),
                "status": 200,
                "format": "json",
            }
            end |= {"bytes": chance.randrange(9000), "us": chance.randrange(10**6), "rows": chance.randrange(9)}
            if operation:
                end["by"] = ["kons", chance.choice(("a", "b")), "mtr_1", None]
            if chance.random() < 0.1:
                late.append(end)
            else:
                segment.append(end)
        if number == SEGMENTS - 1:
            for line in late:
                segment.append(line)
        segment.close()


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(database.migrated(), tmp_path / "mantra.sqlite3")
    return tmp_path


def counted(var: Path) -> dict[count_journal.Key, tuple[int, int, int]]:
    with closing(sqlite3.connect(var / "mantra.sqlite3", timeout=20)) as connection:
        return {row[:6]: row[6:] for row in connection.execute(_COUNTED)}


def test_the_numbers_are_those_of_the_journal_call_for_call(var: Path, settings_of_journal: dict[str, str]) -> None:
    environment = settings_of_journal
    expected = count_journal.count(var / "journal", ZONE)
    assert sum(calls for calls, _rows, _bytes in expected.values()) > CALLS * SEGMENTS / 2

    def shipped() -> int:
        with closing(sqlite3.connect(var / "mantra.sqlite3", timeout=20)) as connection:
            return int(connection.execute("SELECT count(*) FROM registry_journalsegment").fetchone()[0])

    for wanted in (3, 9):
        words = ending_with_us([sys.executable, "manage.py", "ship_journal"])
        shipper = subprocess.Popen(words, cwd=settings.BASE_DIR, env=environment, stdout=subprocess.DEVNULL)
        wait_until(lambda least=wanted: shipped() >= least, 30, "shipped segments")  # type: ignore[misc]
        shipper.kill()
        shipper.wait()
    assert counted(var) != expected
    manage(environment, "ship_journal")
    assert counted(var) == expected
    calls = sum(calls for calls, _rows, _bytes in expected.values())
    assert manage(environment, "rebuild_statistics", "--since", first_day(expected)).startswith(f"{calls} calls of ")
    assert counted(var) == expected


def first_day(expected: dict[count_journal.Key, tuple[int, int, int]]) -> str:
    return min(expected)[0]


def manage(environment: dict[str, str], *words: str) -> str:
    command = [sys.executable, "manage.py", *words]
    ended = subprocess.run(
        command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture
def settings_of_journal(var: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of an installation whose journal is written."""
    environment = surroundings.environment(var, MANTRA_TIME_ZONE=ZONE)
    monkeypatch.setattr(settings, "JOURNAL_DIR", var / "journal")
    monkeypatch.setattr(settings, "JOURNAL_KEY", environment["MANTRA_JOURNAL_KEY"].encode())
    write_journal(var / "journal", settings.JOURNAL_KEY)
    return environment
