"""The demo's people and lists are always the same, and differ in what is said of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mantra.demo import recipients, residents

ROOT = Path(__file__).parents[2]


def test_the_list_in_the_repository_is_the_one_that_is_made() -> None:
    assert (ROOT / "demo/penerima_bansos.csv").read_bytes().decode() == recipients.as_csv()


def test_each_resident_has_an_identifier_of_their_own_with_the_birth_date() -> None:
    people = [residents.resident(number) for number in range(1, residents.NUMBER + 1)]
    assert len({each.nik for each in people}) == residents.NUMBER
    for each in people[::991]:
        day = int(each.nik[6:8]) - (40 if each.sex == "P" else 0)
        assert (day, int(each.nik[8:10]), int(each.nik[10:12])) == (
            each.birth_date.day, each.birth_date.month, each.birth_date.year % 100,
        )  # fmt: skip


def test_the_list_has_every_kind_of_difference() -> None:
    register = {each.nik: each for each in map(residents.resident, range(1, residents.NUMBER + 1))}
    kinds = Counter(kind for kind, _entry in recipients.entries())
    assert kinds == {kind: count for kind, (count, _make) in recipients.KINDS.items()}
    assert sum(kinds.values()) == 1_000
    for kind, (nik, name, born) in recipients.entries():
        one = register.get(nik)
        assert (one is None) == (kind in ("unknown", "mistyped NIK")), kind
        if one is not None and kind in ("same", "twice", "other date form", "without date"):
            assert name == one.name
        if one is not None and kind in ("same", "twice", "titled", "other name", "reordered", "slipped"):
            assert born == one.birth_date.isoformat()
    repeated = Counter(nik for _kind, (nik, _name, _born) in recipients.entries())
    assert sum(count - 1 for count in repeated.values()) == recipients.KINDS["twice"][0]
