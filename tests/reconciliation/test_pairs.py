"""Pairs of columns: what their names suggest, the keys that they make, and when two values differ."""

from __future__ import annotations

import pytest

from mantra.reconciliation import pairs
from mantra.reconciliation.pairs import Column, Pair


def columns(*names: str, type: str = "text") -> list[Column]:
    return [Column(name, type) for name in names]


def test_names_of_different_offices_belong_together() -> None:
    found = pairs.propose(
        columns("nama_lengkap", "no_ktp", "tgl_lahir", "alamat", "rekening"),
        columns("NIK", "Nama", "Tanggal Lahir", "Alamat Lengkap", "Desil"),
    )
    assert [(pair.left, pair.right, pair.rule) for pair in found] == [
        ("no_ktp", "NIK", "exact"), ("nama_lengkap", "Nama", "name"), ("tgl_lahir", "Tanggal Lahir", "date"),
        ("alamat", "Alamat Lengkap", "address"),
    ]  # fmt: skip
    assert [pair.key for pair in found] == [True, False, False, False]


def test_lists_without_a_common_column_have_no_pair() -> None:
    assert pairs.propose(columns("a", "b"), columns("c")) == []


def test_each_column_is_in_one_pair() -> None:
    found = pairs.propose(columns("nama", "nama_penduduk"), columns("nama"))
    assert [(pair.left, pair.right) for pair in found] == [("nama", "nama")]


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        ([Pair("a", "a", True, "exact")], ""),
        ([Pair("a", "a")], "key"),
        ([Pair("a", "x", True, "exact")], "column"),
        ([Pair("a", "a", True, "name")], "rule"),
        ([Pair("a", "a", True, "unknown")], "rule"),
    ],
)
def test_what_is_wrong_with_pairs(chosen: list[Pair], problem: str) -> None:
    assert pairs.problem(chosen, {"a"}, {"a"}) == problem


def test_a_key_of_several_columns_has_all_of_them() -> None:
    found = pairs.key_texts([["1", "1", None], ["x", "", "y"]], ["text", "text"], ["exact", "exact"])
    assert found[0] is not None
    assert found[1:] == [None, None]
    other = pairs.key_texts([["1x"], [""]], ["text", "text"], ["exact", "exact"])
    assert other == [None]


@pytest.mark.parametrize(
    ("rule", "types", "left", "right", "differs"),
    [
        ("text", ("text", "text"), "Siti  Aminah", "SITI AMINAH", False),
        ("text", ("text", "text"), None, "  ", False),
        ("text", ("text", "text"), None, "x", True),
        ("exact", ("text", "text"), "a", "A", True),
        ("name", ("text", "text"), "Budi Santoso", "BUDI SANTOSO", False),
        ("name", ("text", "text"), "Budi Santoso", None, True),
        ("name", ("text", "text"), "Siti Aminah", "Joko Widodo", True),
        ("number", ("decimal", "decimal"), "12.50", "12.5", False),
        ("date", ("date", "text"), "1990-02-01", "01-02-1990", False),
        ("date", ("date", "text"), "1990-02-01", "02-01-1990", True),
        ("date", ("text", "text"), "tidak tahu", "tidak tahu", False),
        ("date", ("text", "text"), "tidak tahu", "1990-02-01", True),
    ],
)
def test_when_two_values_differ(
    rule: str, types: tuple[str, str], left: str | None, right: str | None, differs: bool
) -> None:
    assert pairs.difference(Pair("a", "b", rule=rule), *types)(left, right) is differs


def test_a_number_of_a_program_is_not_read_as_people_write_it() -> None:
    """1.234 is a fraction where a program wrote it, and more than a thousand where a person did."""
    differ = pairs.difference(Pair("a", "b", rule="number"), "decimal", "text")
    assert differ("1.234", "1.234")
    assert not differ("1234", "1.234")
