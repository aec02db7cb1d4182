"""Runs, from their start to the rows of their results: whose they are, what they call, and how they end."""

from __future__ import annotations

from typing import Any

from mantra.reconciliation.models import Reconciliation
from registry.models import User
from tests.cast import Cast, recorded
from tests.reconciliation.conftest import kept, ran


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
    assert sorted((row[0], row[1]) for row in kept(run, "aside_left")) == [("repeated", 5), ("repeated", 6), ("without-key", 7)]
