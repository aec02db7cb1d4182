"""The engine against a plain join in memory: every row is counted once, and nothing is joined that should not be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mantra.reconciliation import spill
from mantra.reconciliation.engine import KINDS, Compared, Counts, join
from mantra.reconciliation.spill import Spill, TooLarge

#: Few keys, so that they meet and repeat.
KEYS = st.sampled_from([f"k{number}" for number in range(12)])
VALUES = st.sampled_from([None, "", "a", "b", "Siti", "siti "])
ROWS = st.lists(st.tuples(KEYS, VALUES, VALUES), max_size=40)


class Kept:
    """The rows of a result, by their kinds."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[Any, ...]]] = {kind: [] for kind in KINDS}

    def add(self, kind: str, row: Sequence[object]) -> None:
        self.rows[kind].append(tuple(row))


def differ(left: str | None, right: str | None) -> bool:
    return (left or "").strip().lower() != (right or "").strip().lower()


COMPARED = [Compared(1, 1, differ), Compared(2, 2, differ)]


def joined(folder: Path, left: list[Any], right: list[Any]) -> tuple[Counts, Kept]:
    spills = []
    for rows in (left, right):
        made = Spill(folder)
        made.add([(row[0], number, tuple(row)) for number, row in enumerate(rows, 1)], 0)
        made.finish()
        spills.append(made)
    counts, kept = Counts(), Kept()
    join(*spills, COMPARED, [0], kept, counts, lambda share: None)
    for each in spills:
        each.close()
    return counts, kept


def naive(left: list[Any], right: list[Any]) -> dict[str, Counter[tuple[Any, ...]]]:
    """The same by definition: a row is looked at with all rows of the other list."""
    found: dict[str, Counter[tuple[Any, ...]]] = defaultdict(Counter)
    for (own, other), only, aside in (
        ((left, right), "only_left", "aside_left"),
        ((right, left), "only_right", "aside_right"),
    ):
        for number, row in enumerate(own, 1):
            here = sum(each[0] == row[0] for each in own)
            there = sum(each[0] == row[0] for each in other)
            if here > 1:
                found[aside][("repeated", number, *row)] += 1
            elif there > 1:
                found[aside][("repeated-there", number, *row)] += 1
            elif not there:
                found[only][(number, *row)] += 1
    for number, row in enumerate(left, 1):
        matches = [(place, each) for place, each in enumerate(right, 1) if each[0] == row[0]]
        if len(matches) == 1 and sum(each[0] == row[0] for each in left) == 1:
            place, other = matches[0]
            for at, pair in enumerate(COMPARED):
                if differ(row[pair.left], other[pair.right]):
                    found["different"][number, place, row[0], at, row[pair.left], other[pair.right]] += 1
    return found


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(left=ROWS, right=ROWS)
def test_it_finds_what_a_plain_join_finds(tmp_path: Path, left: list[Any], right: list[Any]) -> None:
    counts, kept = joined(tmp_path, left, right)
    expected = naive(left, right)
    for kind in KINDS:
        assert Counter(kept.rows[kind]) == expected[kind], kind
    assert counts.only_left == len(kept.rows["only_left"])
    assert counts.different == len({row[0] for row in kept.rows["different"]})
    assert counts.by_field == [sum(row[3] == at for row in kept.rows["different"]) for at in range(len(COMPARED))]
    # Each row of a list is exactly one of these.
    assert len(left) == counts.only_left + counts.different + counts.equal + counts.left_repeated
    assert len(right) == counts.only_right + counts.different + counts.equal + counts.right_repeated


def test_rows_in_small_chunks_are_joined_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [(f"k{number}", "a", "b") for number in range(3000)]
    right = [(f"k{number}", "a", "c" if number % 10 == 0 else "b") for number in range(1000, 4000)]
    monkeypatch.setattr(spill, "CHUNK_ROWS", 3)
    monkeypatch.setattr(spill, "WAITING", 500)
    counts, _kept = joined(tmp_path, left, right)
    assert (counts.only_left, counts.only_right, counts.different, counts.equal) == (1000, 1000, 200, 1800)
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_repeats_a_thousand_times_is_joined_with_nothing(tmp_path: Path) -> None:
    counts, kept = joined(tmp_path, [("k", "a", "b")] * 1000, [("k", "a", "b")])
    assert (counts.left_repeated, counts.right_repeated, counts.equal) == (1000, 1, 0)
    assert kept.rows["aside_right"] == [("repeated-there", 1, "k", "a", "b")]


def test_what_lies_on_the_disk_can_be_read_by_nobody(tmp_path: Path) -> None:
    made = Spill(tmp_path)
    made.add([("3201234567890123", 1, ("3201234567890123", "Siti Aminah"))] * 500, 0)
    made.finish()
    # It has no name, and no value is in its bytes.
    assert list(tmp_path.iterdir()) == []
    content = Path(f"/proc/self/fd/{made._file.fileno()}").read_bytes()
    assert len(content) == made.size > 10_000
    assert b"Siti" not in content
    assert b"3201234567890123" not in content
    made.close()


def test_a_list_beyond_the_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "MOST_BYTES", 10_000)
    made = Spill(tmp_path)
    with pytest.raises(TooLarge):
        made.add([(f"k{number}", number, ("x" * 100,)) for number in range(100_000)], 0)
    made.close()


def test_texts_that_are_no_unicode_go_through(tmp_path: Path) -> None:
    counts, kept = joined(tmp_path, [("\ud800", "a", "b")], [("k", "a", "b\udfff")])
    assert (counts.only_left, counts.only_right) == (1, 1)
    assert "\ud800" not in str(kept.rows)
