"""An import needs few queries for an operation, however many there are, and no memory for the history."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from mantra.legacy_import.reading import open_database
from mantra.legacy_import.running import CHUNK, Options, run
from registry.models import OperationVersion, SnapshotVersion
from tests.legacy_import.old_database import SMALL, Sizes, make

pytestmark = pytest.mark.django_db

#: The most statements for a further operation: savepoints, the rules of names and numbers, its rows and its version.
STATEMENTS = 14


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count the statements of a block, by their first words."""
    found: Counter[str] = Counter()

    def count(execute: Any, sql: str, *rest: Any) -> Any:
        found[" ".join(sql.split()[:3])] += 1
        return execute(sql, *rest)

    with connection.execute_wrapper(count):
        yield found


def imported(folder: Path, sizes: Sizes) -> Counter[str]:
    """Import an installation and return what that takes."""
    dump = make(sizes).write(folder / "lama.sql")
    with open_database(str(dump)) as database, counted() as statements:
        run(database, Options())
    return statements


def test_a_further_operation_takes_few_statements(tmp_path: Path) -> None:
    few = replace(SMALL, operations=180)
    sid = connection.savepoint()
    fewer = imported(tmp_path, few)
    versions = OperationVersion.objects.count()
    connection.savepoint_rollback(sid)
    more = imported(tmp_path, replace(few, operations=330))
    further = OperationVersion.objects.count() - versions
    assert further > 100
    added = more.total() - fewer.total()
    assert 3 * further < added < STATEMENTS * 150, (added, (more - fewer).most_common(12))


def test_the_changes_of_a_transaction_have_one_version(tmp_path: Path) -> None:
    before = SnapshotVersion.current()
    imported(tmp_path, SMALL)
    # A version for each chunk of agencies, services and operations, and for every 20 applications.
    rows = (SMALL.agencies, SMALL.services, SMALL.operations)
    most = sum(number // CHUNK + 1 for number in rows) + SMALL.orders // 20
    assert 3 <= SnapshotVersion.current() - before <= most


def test_a_longer_history_takes_no_more_memory(tmp_path: Path) -> None:
    peaks = []
    for tracks in (2_000, 20_000):
        dump = make(replace(SMALL, tracks=tracks, track_bytes=2_000)).write(tmp_path / f"{tracks}.sql")
        with open_database(str(dump)) as database:
            tracemalloc.start()
            try:
                run(database, Options(only=("agencies", "users", "calls")))
                peaks.append(tracemalloc.get_traced_memory()[1])
            finally:
                tracemalloc.stop()
    # Of calls, 5,000 numbers are held at a time.
    assert peaks[1] - peaks[0] < 4 << 20, peaks
