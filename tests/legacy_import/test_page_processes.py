"""The worker as a process of its own, on each database: it dies in the middle, and another one goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.legacy_import.test_pages import dump
from tests.servers import database
from tests.system.test_migrations import url  # noqa: F401 (a fixture)

_BEGIN = """
import os, sys, threading, time
import django
django.setup()
from django.utils import timezone
from mantra.legacy_import import running
from mantra.legacy_import.models import ImportInput, LegacyImport, OldCallsOfDay
from mantra.legacy_import.pages import inputs, runs
from mantra.legacy_import.pages import worker
from registry.models import Agency, AccessKey, User
"""
#: Tries a dump, starts the run for good and dies when the users are there: the report comes after a chunk.
FIRST = (
    _BEGIN
    + """
user = User.objects.create(username="pengelola", is_staff=True, is_superuser=True)
stored, key = inputs.store([sys.stdin.buffer.read()])
made = runs.start(user, ImportInput(name="lama.sql", stored=stored, key=key), timezone.now(), dry=True,
                  parts=running.PARTS, hosts={}, language="id")
task = worker.Task()
task.round()
made.refresh_from_db()
print(made.state, made.rows, made.lines.count(), Agency.objects.count(), flush=True)
runs.start(user, made.input, timezone.now(), dry=False, parts=running.PARTS, hosts={}, language="id")
worker.REPORT = 0.0

def report(run, progress):
    if progress.step == inputs.TAKING and progress.done >= 7:
        os._exit(9)

inputs.report = report
task.round()
"""
)
#: Takes up what the first left, and shows the runs.
SECOND = (
    _BEGIN
    + """
task = worker.Task()
began = time.monotonic()
while runs.current() is not None and time.monotonic() - began < 60:
    task.round()
    time.sleep(0.2)
for run in LegacyImport.objects.order_by("pk"):
    print(run.dry, run.state, run.problem, run.attempts, run.lines.count())
print(Agency.objects.count(), AccessKey.objects.count(), ImportInput.objects.count(),
      sum(OldCallsOfDay.objects.values_list("calls", flat=True)) > 0)
last = LegacyImport.objects.first()
print(sorted(set(last.lines.filter(table="users").values_list("outcome", flat=True))))
"""
)


def process(script: str, url: str, folder: Path, content: bytes = b"") -> subprocess.CompletedProcess[bytes]:  # noqa: F811
    settings = {"MANTRA_DATABASE_URL": url, "MANTRA_EXPORT_DIR": str(folder), "MANTRA_VAR_DIR": str(folder / "var")}
    (folder / "var" / "journal").mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, **settings}, input=content, capture_output=True, check=False,
        timeout=240,
    )  # fmt: skip


@pytest.mark.timeout(600)
def test_a_worker_that_dies_is_followed_by_another(url: str, tmp_path: Path) -> None:  # noqa: F811
    database.fill(url)
    first = process(FIRST, url, tmp_path, dump())
    assert first.returncode == 9, first.stderr.decode()
    assert first.stdout.decode().split() == ["done", "22", "22", "0"]
    # Nothing of the dump is left but the encrypted one.
    assert [path.name for path in (tmp_path / "legacy-import" / "work").iterdir()] == []
    second = process(SECOND, url, tmp_path)
    assert second.returncode == 0, second.stderr.decode()
    assert second.stdout.decode().splitlines() == [
        "True done  1 22",
        "False failed restarted 1 7",
        "False done  2 22",
        "2 2 0 True",
        "['changed', 'person', 'taken']",
    ]
    # The dump is gone. The keys stay for comparing.
    assert len(list((tmp_path / "legacy-import" / "dumps").iterdir())) == 1
