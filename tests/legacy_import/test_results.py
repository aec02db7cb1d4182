"""What a comparison counts, and how it says so."""

from __future__ import annotations

from typing import Any

import pytest

from mantra.legacy_import.comparing_hosts.access_logs import LogCounts
from mantra.legacy_import.comparing_hosts.differences import Difference, Response
from mantra.legacy_import.comparing_hosts.kinds import KINDS
from mantra.legacy_import.comparing_hosts.questions import MAX_NAMES, LogFindings
from mantra.legacy_import.comparing_hosts.results import SKIPPED, Comparison


def compared(*found: tuple[str, list[Difference]], old: float = 0.1, new: float = 0.1) -> Comparison:
    comparison = Comparison()
    for path, differing in found:
        comparison.add(path, "json", Response(200, seconds=old), Response(200, seconds=new), differing)
    comparison.finish()
    return comparison


def test_clean_only_if_something_was_compared() -> None:
    assert not compared().is_clean
    assert compared().summary() == "Nothing was compared." or compared().summary()
    assert compared(("a/b/c", [])).is_clean


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_clean_if_it_is_harmless(kind: str) -> None:
    comparison = compared(("a/b/c", []), ("a/b/c", [Difference(kind)]))
    assert comparison.is_clean == KINDS[kind].harmless
    (row,) = comparison.rows()
    assert (row.operation, row.kind, row.harmless, row.count, row.formats) == (
        "a/b/c", kind, KINDS[kind].harmless, 1, "json 1",
    )  # fmt: skip
    assert row.label
    assert row.advice


def test_ended_early_is_not_clean() -> None:
    comparison = compared(("a/b/c", []))
    comparison.stopped = "old-down"
    assert not comparison.is_clean
    assert str(KINDS["old-down"].label) in comparison.summary()


@pytest.mark.parametrize(
    ("old", "new", "responses", "slower"),
    [(0.1, 0.5, 3, True), (0.1, 0.5, 2, False), (0.01, 0.2, 3, False), (1.0, 2.0, 3, False)],
)
def test_slower_by_factor_and_seconds(old: float, new: float, responses: int, slower: bool) -> None:
    comparison = compared(*[("a/b/c", [])] * responses, old=old, new=new)
    assert ("slower" in comparison.operations["a/b/c"].kinds) == slower
    assert comparison.is_clean
    if slower:
        assert comparison.rows()[0].example == "100 ms → 500 ms"


def test_harmful_rows_come_first_and_are_bounded() -> None:
    many = [(f"a/b/{number:03}", [Difference("message" if number % 2 else "refused")]) for number in range(40)]
    comparison = compared(*many)
    rows = comparison.rows(30)
    assert len(rows) == 30
    assert [row.kind for row in rows] == ["refused"] * 20 + ["message"] * 10
    lines = list(comparison.lines(30))
    assert lines[-2] != lines[-1]
    assert len([line for line in lines if line.startswith("✗ ")]) == 20


def test_operations_of_the_log_that_are_not_here() -> None:
    comparison = Comparison()
    comparison.log = LogFindings(LogCounts(lines=9, requests=3, posts=1, other_folders={"gsb": 2}))
    for _ in range(3):
        comparison.log.note_unknown(("a", "b", "hilang"))
    comparison.add("a/b/c", "xml", Response(200), Response(200), [])
    comparison.finish()
    assert not comparison.is_clean
    (row,) = comparison.rows()
    assert (row.operation, row.kind, row.count) == ("a/b/hilang", "not-here", 3)
    assert "gsb" in "\n".join(comparison.lines())
    assert comparison.as_dict()["log"]["other_folders"] == {"gsb": 2}


def test_unknown_names_are_bounded() -> None:
    findings = LogFindings()
    for number in range(2 * MAX_NAMES):
        findings.note_unknown(("a", "b", str(number)))
    findings.note_unknown(("a", "b", "x\ny"))
    assert len(findings.unknown) == MAX_NAMES
    assert not any("\n" in name for name in findings.unknown)


def test_what_is_not_compared_is_listed_with_its_reason() -> None:
    comparison = Comparison()
    for word in SKIPPED:
        comparison.of(f"a/b/{word}").skipped = word
    rows: list[Any] = comparison.rows()
    assert {row.kind for row in rows} == {f"skipped-{word}" for word in SKIPPED}
    assert all(row.label for row in rows)
