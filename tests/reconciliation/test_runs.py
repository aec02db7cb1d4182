"""Runs, from their start to the rows of their results: whose they are, what they call, and how they end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from dataservices.models import DataOperation
from mantra.reconciliation import reading, running
from mantra.reconciliation.models import Reconciliation
from mantra.reconciliation.pairs import Pair
from registry.models import Field, Grant, Operation, Parameter, User
from tests.cast import Cast, recorded
from tests.reconciliation.conftest import LEFT, kept, ran


def test_a_run_finds_what_differs(reconciliation: Reconciliation) -> None:
    run = ran(reconciliation)
    assert (run.state, run.problem) == ("done", "")
    assert run.counts == {
        "left_rows": 8, "right_rows": 6, "only_left": 2, "only_right": 1, "different": 2, "equal": 1,
        "left_repeated": 2, "right_repeated": 1, "left_empty": 1, "right_empty": 1,
    }  # fmt: skip
    assert run.by_field == [1, 1, 1]
    assert sorted(row[3:] for row in kept(run, "different")) == [
        [0, "Budi Santoso", "Budi Santosa"], [1, "1979-05-17", "1979-05-18"], [2, "2000", "2001"],
    ]  # fmt: skip
    assert sorted(row[2] for row in kept(run, "only_left")) == ["Hanya di A", "Tiur Simanjuntak"]
    assert [row[2] for row in kept(run, "only_right")] == ["Hanya di B"]
    aside = sorted((row[0], row[1]) for row in kept(run, "aside_left"))
    assert aside == [("repeated", 5), ("repeated", 6), ("without-key", 7)]


def test_both_reads_are_in_the_journal_as_calls(reconciliation: Reconciliation, cast: Cast, rina: User) -> None:
    ran(reconciliation)
    begun = {line["id"]: line for line in recorded() if line["t"] == "begin"}
    ended = {begun[line["id"]]["op"][2]: (begun[line["id"]], line) for line in recorded() if line["t"] == "end"}
    begin, end = ended["daftar"]
    assert (begin["protocol"], begin["user"]) == ("matching", "rina")
    assert (end["by"][:2], end["grant"], end["rows"]) == (["kons", "app"], cast.grants["daftar"].pk, len(LEFT))
    begin, end = ended["penerima"]
    assert (begin["protocol"], end["rows"]) == ("own-read", 6)
    assert "by" not in end
    assert not [line for line in recorded() if "Aminah" in str(line) or "3201" in str(line.get("params"))]


def test_only_the_columns_of_the_grant_are_in_the_result(reconciliation: Reconciliation, cast: Cast) -> None:
    Grant.objects.filter(pk=cast.grants["daftar"].pk).update(fields="nik, nama")
    reconciliation.pairs = [Pair("nik", "nik", True, "exact").stored(), Pair("nama", "nama").stored()]
    reconciliation.save()
    run = ran(reconciliation)
    assert run.headings["left"] == ["nik", "nama"]
    assert sorted(row[1:] for row in kept(run, "only_left")) == [
        ["3201234567890004", "Tiur Simanjuntak"], ["3201234567890007", "Hanya di A"],
    ]  # fmt: skip


def test_a_column_that_the_grant_lost_fails_the_run(reconciliation: Reconciliation, cast: Cast) -> None:
    Grant.objects.filter(pk=cast.grants["daftar"].pk).update(fields="nik, nama")
    run = ran(reconciliation)
    assert (run.state, run.problem, run.problem_side, run.stored) == ("failed", "columns", "left", "")


def changed(cast: Cast, **values: Any) -> None:
    Grant.objects.filter(pk=cast.grants["daftar"].pk).update(**values)


@pytest.mark.parametrize(
    ("values", "problem", "fault"),
    [
        ({"state": "revoked"}, "grant", 10104),
        ({"valid_until": timezone.localdate() - timedelta(days=1)}, "grant", None),
        ({"networks": "10.1.0.0/16"}, "network", None),
    ],
)
def test_without_a_grant_in_force_nothing_is_read(
    reconciliation: Reconciliation, cast: Cast, values: dict[str, Any], problem: str, fault: int | None
) -> None:
    changed(cast, **values)
    run = ran(reconciliation)
    assert (run.state, run.problem, run.problem_side) == ("failed", problem, "left")
    assert run.fault is not None
    assert not [line for line in recorded() if line.get("rows")]


def test_a_run_counts_in_the_quota(reconciliation: Reconciliation, cast: Cast) -> None:
    changed(cast, quota="2/day")
    assert [ran(reconciliation).problem for _ in range(3)] == ["", "", "quota"]


def test_an_inactive_application_reads_nothing(reconciliation: Reconciliation, cast: Cast) -> None:
    type(cast.application).objects.filter(pk=cast.application.pk).update(active=False)
    assert ran(reconciliation).problem == "application"


@pytest.mark.parametrize("state", ["draft", "retired"])
def test_an_operation_that_is_not_published_is_not_read(reconciliation: Reconciliation, cast: Cast, state: str) -> None:
    Operation.objects.filter(pk=cast.operations["penerima"].pk).update(state=state)
    run = ran(reconciliation)
    assert (run.problem, run.problem_side) == ("operation", "right")


def test_a_list_that_is_cut_off_is_no_list(reconciliation: Reconciliation, cast: Cast) -> None:
    """What is beyond the row limit would look as if it were in the other list only."""
    DataOperation.objects.filter(pk=cast.operations["daftar"].pk).update(max_rows=7)
    run = ran(reconciliation)
    assert (run.state, run.problem, run.problem_side, run.only_right) == ("failed", "truncated", "left", 0)


def test_a_source_that_is_away_fails_the_run(reconciliation: Reconciliation, cast: Cast) -> None:
    source = cast.operations["penerima"].source
    source.database = source.database.replace("penerima", "tidak-ada")
    source.save()
    run = ran(reconciliation)
    assert (run.problem, run.problem_side) == ("source", "right")
    assert run.fault == 11201


def test_an_error_while_rows_are_read_ends_the_record_too(
    reconciliation: Reconciliation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(running.Spill, "add", broken)
    assert ran(reconciliation).problem == "disk"
    kinds = [line["t"] for line in recorded() if line["t"] in ("begin", "end")]
    assert kinds == ["begin", "end"]


def test_all_pages_of_an_operation_are_read(reconciliation: Reconciliation, cast: Cast) -> None:
    operation = cast.operations["daftar"]
    sql = f"{operation.sql} ORDER BY rowid LIMIT :limit OFFSET :offset"
    DataOperation.objects.filter(pk=operation.pk).update(sql=sql, page_size=3)
    run = ran(reconciliation)
    assert (run.state, run.left_rows, run.only_left) == ("done", 8, 2)
    begun = [line for line in recorded() if line["t"] == "begin" and line["op"][2] == "daftar"]
    assert len(begun) == 3


def test_parameters_have_the_values_that_were_entered(reconciliation: Reconciliation, cast: Cast) -> None:
    operation = cast.operations["daftar"]
    DataOperation.objects.filter(pk=operation.pk).update(sql=f"{operation.sql} WHERE nama = :nama")
    Parameter.objects.create(operation=operation, name="nama", position=0)
    assert ran(reconciliation).problem == "parameters"
    reconciliation.sides.filter(place="left").update(arguments={"nama": "Budi Santoso"})
    run = ran(reconciliation)
    assert (run.left_rows, run.different, run.only_right) == (1, 1, 4)


def test_more_rows_than_the_server_compares_are_refused(reconciliation: Reconciliation, settings: Any) -> None:
    settings.MAX_RECONCILED_ROWS = 5
    assert ran(reconciliation).problem == "too-many"


def test_long_values_stay_different(reconciliation: Reconciliation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "LONGEST", 4)
    run = ran(reconciliation)
    found = {tuple(row[4:]) for row in kept(run, "different")}
    assert all(left != right for left, right in found)
    assert any(left.startswith("Budi… [") for left, _right in found)


def test_a_key_may_have_several_columns(reconciliation: Reconciliation) -> None:
    reconciliation.pairs = [
        Pair("nik", "nik", True, "exact").stored(), Pair("tgl_lahir", "tgl_lahir", True, "exact").stored(),
    ]  # fmt: skip
    reconciliation.save()
    run = ran(reconciliation)
    # Made Wirawan has another birth date in each list; the row without one has no key.
    assert (run.equal, run.only_left, run.only_right, run.left_empty) == (2, 2, 2, 2)


def test_a_proxied_list_is_read_from_its_document(cast: Cast) -> None:
    """The upstream's document becomes rows of the declared and granted columns."""
    from registry.personal_data.masks import FieldRights
    from registry.results import Document
    from registry.snapshot.types import Field

    class Call:
        operation: Any = None
        rights: Any = None

    plan = reading.ProxyPlan.__new__(reading.ProxyPlan)
    object.__setattr__(plan, "records_path", ("data",))
    object.__setattr__(plan, "sights", {})
    object.__setattr__(plan, "fields", tuple(Field(name, "text", "", "personal") for name in ("nik", "nama", "gaji")))
    object.__setattr__(plan, "declared", {"nik": "text", "nama": "text", "gaji": "decimal"})
    call = Call()
    call.operation = type("Operation", (), {"plan": plan})()
    call.rights = FieldRights(frozenset({"nik", "gaji"}))
    rows = reading._rows(call, Document({"data": [{"nik": "1", "gaji": 5}, {"nik": "2"}]}))  # type: ignore[arg-type]
    assert [column.name for column in rows.columns] == ["nik", "gaji"]
    assert list(rows.batches) == [[("1", 5), ("2", None)]]
    assert rows.count == 2


def test_a_user_who_lost_the_right_runs_nothing(reconciliation: Reconciliation, rina: User) -> None:
    rina.groups.clear()
    run = ran(reconciliation, User.objects.get(pk=rina.pk))
    assert (run.state, run.problem) == ("failed", "denied")
    assert not recorded()


def test_declared_columns_only(reconciliation: Reconciliation, cast: Cast) -> None:
    Field.objects.filter(operation=cast.operations["penerima"], name="alamat").delete()
    run = ran(reconciliation)
    assert "alamat" not in run.headings["right"]
