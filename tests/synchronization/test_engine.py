"""A run: what is read, compared and written, on each engine."""

from __future__ import annotations

from typing import Any

import pytest

from tests.synchronization.conftest import NAMES, Stage, numbers, person, with_rows


def test_it_works(stage: Stage) -> None:
    stage.source.put("orang", *(person(n) for n in range(1, 6)))
    stage.define()
    assert numbers(stage.done()) == (5, 5, 0, 0, 0)
    assert stage.target.rows("salinan") == stage.source.rows("orang")
    assert numbers(stage.done()) == (5, 0, 0, 5, 0)


def test_new_changed_and_missing_rows_are_told_apart(stage: Stage) -> None:
    stage.source.put("orang", *(person(n) for n in range(1, 6)))
    stage.define(mark="timestamp")
    stage.done()
    stage.source.put("orang", person(2, "Nama Baru"), person(9))
    stage.source.execute("DELETE FROM orang WHERE nik = ?", (person(4)[0],))
    assert numbers(stage.done()) == (5, 1, 1, 3, 1)
    marked = stage.target.rows("salinan", ("nik",), "nik") and stage.target.execute(
        "SELECT nik FROM salinan WHERE dihapus IS NOT NULL"
    )
    assert marked == [(person(4)[0],)]
    present = [row for row in stage.target.rows("salinan", (*NAMES, "dihapus")) if row[-1] is None]
    assert [row[:-1] for row in present] == stage.source.rows("orang")
    assert numbers(stage.done()) == (5, 0, 0, 5, 0)


def test_a_row_that_comes_back_is_not_deleted_any_more(stage: Stage) -> None:
    stage.source.put("orang", person(1), person(2))
    stage.define(mark="flag")
    stage.done()
    stage.source.execute("DELETE FROM orang WHERE nik = ?", (person(1)[0],))
    assert stage.done().deleted == 1
    assert stage.target.rows("salinan", ("nik", "dihapus")) == [(person(1)[0], "1"), (person(2)[0], "0")]
    stage.source.put("orang", person(1))
    assert numbers(stage.done()) == (2, 0, 1, 1, 0)
    assert stage.target.rows("salinan", ("nik", "dihapus")) == [(person(1)[0], "0"), (person(2)[0], "0")]


def test_more_rows_than_a_statement_takes(stage: Stage) -> None:
    with_rows(stage, 1_001)
    stage.define(mark="timestamp")
    assert stage.done().inserted == 1_001
    assert stage.target.rows("salinan") == stage.source.rows("orang")
    stage.source.execute("UPDATE orang SET anak = anak + 10")
    run = stage.done()
    assert (run.updated, run.before, run.written) == (1_001, 1_001, 1_001)
    assert stage.target.rows("salinan") == stage.source.rows("orang")


def test_nulls_blanks_and_signs_arrive_as_they_are(stage: Stage) -> None:
    stage.source.put(
        "orang",
        (person(1)[0], "", None, None, None, None),
        (person(2)[0], 'O\'Brien "%s" %(v0)s :v0 \\ é 😀', "2000-02-29", "-0.05", -1, "2026-01-01 23:59:59.123456"),
        (person(3)[0], None, "1900-01-01", "9999999999.99", 2147483647, "1970-01-01 00:00:00"),
    )
    stage.define()
    stage.done()
    assert stage.target.rows("salinan") == stage.source.rows("orang")
    assert stage.done().unchanged == 3


def test_the_limit_stops_before_anything_is_written(stage: Stage) -> None:
    stage.source.put("orang", *(person(n) for n in range(10)))
    stage.define(mark="timestamp", max_change_percent=20)
    run = stage.run(unlimited=False)
    assert (run.state, run.problem, run.inserted, run.written) == ("failed", "threshold", 10, 0)
    assert stage.target.rows("salinan") == []
    stage.done()
    stage.source.put("orang", person(1, "Satu"), person(2, "Dua"))
    assert stage.run(unlimited=False).state == "done"
    stage.source.execute("DELETE FROM orang WHERE anak = 3")
    stage.source.put("orang", person(4, "Empat"))
    before = stage.target.rows("salinan", (*NAMES, "dihapus"))
    run = stage.run(unlimited=False)
    assert (run.problem, run.deleted, run.updated, run.percent) == ("threshold", 2, 1, 30)
    assert stage.target.rows("salinan", (*NAMES, "dihapus")) == before


def test_a_dry_run_writes_nothing_and_hides_personal_data(stage: Stage) -> None:
    stage.source.put("orang", *(person(n) for n in range(30)))
    stage.define(mark="timestamp")
    run = stage.done(dry=True, unlimited=False)
    assert (run.inserted, run.written, len(run.samples)) == (30, 0, 20)
    assert stage.target.rows("salinan") == []
    assert person(1)[0] not in str(run.samples)
    assert run.samples[0][0] == "inserted" and run.samples[0][1].startswith("nik: 35•")


@pytest.mark.parametrize(
    ("statement", "problem", "column"),
    [
        ("ALTER TABLE salinan DROP COLUMN anak", "target-columns", "anak"),
        ("DROP TABLE salinan", "target-columns", "nik"),
    ],
)
def test_a_changed_table_is_said(stage: Stage, statement: str, problem: str, column: str) -> None:
    stage.source.put("orang", person(1))
    stage.define()
    stage.target.execute(statement)
    run = stage.run()
    assert (run.state, run.problem, run.column) == ("failed", problem, column)


def test_a_table_without_the_key_is_refused(stage: Stage) -> None:
    stage.source.put("orang", person(1))
    stage.define()
    stage.target.execute("DROP TABLE salinan")
    stage.target.execute("CREATE TABLE salinan (nik varchar(16), nama varchar(100), lahir date, gaji decimal(12, 2),"
                         " anak integer, diubah timestamp NULL)")  # fmt: skip
    assert stage.run().problem == "target-key"
    stage.target.execute("CREATE UNIQUE INDEX nik_sekali ON salinan (nik)")
    assert stage.run().state == "done"


def test_a_value_that_does_not_fit_names_its_column(stage: Stage) -> None:
    stage.source.put("orang", person(1), person(2, "x" * 90))
    stage.define()
    stage.target.execute("DROP TABLE salinan")
    stage.target.execute("CREATE TABLE salinan (nik varchar(16) PRIMARY KEY, nama integer, lahir date,"
                         " gaji decimal(12, 2), anak integer, diubah timestamp NULL)")  # fmt: skip
    run = stage.run()
    assert (run.problem, run.column) == ("target-value", "nama")
    assert stage.target.execute("SELECT count(*) FROM salinan") == [(0,)]


def test_several_columns_can_be_the_key(stage: Stage) -> None:
    stage.source.put("orang", *(person(n, "Sama") for n in range(1, 4)))
    stage.define()
    stage.target.execute("DROP TABLE salinan")
    stage.target.execute("CREATE TABLE salinan (nama varchar(50), nik varchar(16), anak integer,"
                         " PRIMARY KEY (nama, nik))")  # fmt: skip
    stage.change(columns=[["nik", "nik", True], ["nama", "nama", True], ["anak", "anak", False]])
    assert stage.done().inserted == 3
    stage.source.put("orang", person(1, "Sama", anak=9))
    assert numbers(stage.done()) == (3, 0, 1, 2, 0)
    found: Any = stage.target.execute("SELECT anak FROM salinan WHERE nik = ?", (person(1)[0],))
    assert found == [(9,)]
