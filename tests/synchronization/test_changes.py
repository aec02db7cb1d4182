"""Reading by changes: what a run reads, where it goes on, and that the two tables become equal whatever happens."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataservices import pool
from mantra.synchronization import runs, target
from mantra.synchronization.models import Sync, SyncRun
from registry.snapshot import holder
from tests.synchronization.conftest import NAMES, Stage, numbers, person, work

LONG_AGO = datetime(2026, 1, 1, 8, 0)


def marked(stage: Stage, deleted: bool = True) -> None:
    """Give the operation a change marker and, with the column anak, a column for deletions."""
    operation = stage.operation
    operation.sql = f"SELECT {', '.join(NAMES)} FROM orang"
    operation.change_marker, operation.change_key = "diubah", "nik"
    operation.deleted_column = "anak" if deleted else ""
    operation.full_clean()
    operation.save()
    holder.refresh()


def at(minutes: int) -> str:
    return (LONG_AGO + timedelta(minutes=minutes)).isoformat(" ")


def row(number: int, minutes: int, nama: str = "", gone: int = 0) -> tuple[Any, ...]:
    return person(number, nama, anak=gone, diubah=at(minutes))


def test_first_full_then_by_changes(stage: Stage) -> None:
    marked(stage)
    stage.source.put("orang", *(row(n, 0) for n in range(5)))
    stage.define(mark="timestamp")
    first = stage.done()
    assert (first.kind, numbers(first)) == ("full", (5, 5, 0, 0, 0))
    second = stage.done()
    assert (second.kind, numbers(second)) == ("changes", (5, 0, 0, 5, 0)), "from the beginning: nothing is missed"
    assert stage.sync.cursor
    assert numbers(stage.done()) == (0, 0, 0, 0, 0)
    stage.source.put("orang", row(2, 9, "Berubah"), row(7, 9), row(3, 9, gone=1))
    third = stage.done()
    assert (third.kind, numbers(third)) == ("changes", (3, 1, 1, 0, 1))
    gone = stage.target.execute("SELECT nik FROM salinan WHERE dihapus IS NOT NULL")
    assert gone == [(person(3)[0],)]


def test_a_full_read_comes_again_and_finds_what_no_change_told(stage: Stage) -> None:
    marked(stage, deleted=False)
    stage.source.put("orang", *(row(n, 0) for n in range(4)))
    stage.define(mark="flag", full_days=2)
    stage.done()
    stage.done()
    stage.source.execute("DELETE FROM orang WHERE nik = ?", (person(1)[0],))
    assert stage.done().deleted == 0
    Sync.objects.update(last_full_at=timezone.now() - timedelta(days=2))
    stage.sync.refresh_from_db()
    run = stage.done()
    assert (run.kind, run.deleted) == ("full", 1)


def test_the_cursor_is_stored_only_when_its_rows_are_written(files: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    marked(files)
    files.define()
    files.done()
    files.source.put("orang", *(row(n, n // 3) for n in range(9)))
    monkeypatch.setattr("mantra.synchronization.reading.CHANGES_PER_PAGE", 2)
    monkeypatch.setattr("mantra.synchronization.statements.MAX_ROWS", 1)
    put, calls = target.Target.put, []

    def failing(self: Any, rows: Any) -> None:
        calls.append(rows)
        if len(calls) == 6:
            raise OSError(28, "no space")
        put(self, rows)

    monkeypatch.setattr(target.Target, "put", failing)
    assert files.run().problem == "disk"
    assert files.target.execute("SELECT count(*) FROM salinan") == [(5,)]
    monkeypatch.setattr(target.Target, "put", put)
    run = files.done()
    # Two pages of two are behind the cursor; the row of the third page that was written is found unchanged.
    assert numbers(run) == (5, 4, 0, 1, 0)
    assert files.target.rows("salinan") == files.source.rows("orang")


def test_a_cursor_that_is_no_longer_valid_leads_to_a_full_read(files: Stage) -> None:
    marked(files)
    files.source.put("orang", row(1, 0))
    files.define()
    files.done()
    files.done()
    Sync.objects.update(cursor="tidak-dikenal")
    files.sync.refresh_from_db()
    assert files.run().problem == "cursor"
    assert files.sync.cursor == ""
    assert files.done().kind == "full"


def test_a_row_that_comes_and_goes_within_a_run_is_gone(files: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages of a run are read one after the other: a row may be told twice."""
    marked(files)
    files.define(mark="timestamp")
    files.done()
    files.source.put("orang", row(1, 1), row(2, 2))
    monkeypatch.setattr("mantra.synchronization.reading.CHANGES_PER_PAGE", 1)
    from mantra.synchronization.reading import Reader

    one_call, told = Reader._one_call, []

    def deleting(self: Any, *args: Any) -> Any:
        if told:
            files.source.put("orang", row(1, 3, gone=1))
        told.append(args)
        return (yield from one_call(self, *args))

    monkeypatch.setattr(Reader, "_one_call", deleting)
    run = files.done()
    assert (run.read, run.inserted, run.deleted) == (3, 2, 1)
    assert files.target.rows("salinan", ("nik", "dihapus"))[0][1] is not None
    assert files.target.rows("salinan", ("nik", "dihapus"))[1][1] is None


# ------------------------------------------------------------------------------------------ property

#: A step: what happens at the source, or a run. Times are few, so that many rows have equal ones.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 7), st.integers(0, 3)),
        st.tuples(st.just("gone"), st.integers(0, 7), st.integers(0, 3)),
        st.tuples(st.just("removed"), st.integers(0, 7), st.just(0)),
        st.tuples(st.sampled_from(("run", "stopped")), st.integers(0, 9), st.just(0)),
    ),
    max_size=25,
)


@pytest.mark.parametrize("by_changes", [True, False], ids=["changes", "full"])
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_after_any_changes_and_runs_the_table_equals_the_source(
    stage: Stage, by_changes: bool, steps: list[tuple[str, int, int]]
) -> None:
    """Rows are put, marked as deleted and removed, runs are made and stopped in their middle; then a full read."""
    if by_changes and not stage.operation.change_marker:
        marked(stage)
    Sync.objects.all().delete()
    stage.source.execute("DELETE FROM orang")
    stage.define(mark="timestamp")
    now = 0
    for word, number, more in steps:
        if word in ("put", "gone"):
            now += more  # never backwards, often not at all
            stage.source.put("orang", row(number, now, f"v{now}-{more}-{number}", gone=int(word == "gone")))
        elif word == "removed":
            stage.source.execute("DELETE FROM orang WHERE nik = ?", (person(number)[0],))
        elif word == "run":
            stage.done()
        else:
            stopped_after(stage, number)
    Sync.objects.update(last_full_at=None)
    stage.sync.refresh_from_db()
    run = stage.done()
    assert run.kind == "full"
    wanted = stage.source.rows("orang")
    if by_changes:
        wanted = [each for each in wanted if each[NAMES.index("anak")] == "0"]
    present = [each[:-1] for each in stage.target.rows("salinan", (*NAMES, "dihapus")) if each[-1] is None]
    assert present == wanted
    assert numbers(stage.done(full=True))[1:] == (0, 0, len(stage.source.rows("orang")), 0)
    pool.dispose_unused(set())


def stopped_after(stage: Stage, number: int) -> None:
    """Make a run that ends by an error after some statements, one row each."""
    put, calls = target.Target.put, [0]

    def failing(self: Any, rows: Any) -> None:
        calls[0] += 1
        if calls[0] > number:
            raise OSError(28, "no space")
        put(self, rows)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("mantra.synchronization.statements.MAX_ROWS", 1)
        patched.setattr(target.Target, "put", failing)
        run = runs.start(stage.sync, timezone.now(), user="rini", unlimited=True)
        work()
        run.refresh_from_db()
        stage.sync.refresh_from_db()
        assert (run.state, run.problem) in (("done", ""), ("failed", "disk"))


def test_shuffled_rows_are_no_change(stage: Stage) -> None:
    rows = [person(n) for n in range(20)]
    stage.source.put("orang", *rows)
    stage.define(mark="timestamp")
    stage.done()
    stage.source.execute("DELETE FROM orang")
    random.Random(1).shuffle(rows)
    stage.source.put("orang", *rows)
    assert numbers(stage.done()) == (20, 0, 0, 20, 0)
    assert SyncRun.objects.count() == 2
