"""The rules of publishing, as pure functions over what callers of an operation get."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.utils.translation import override

from registry.publishing import Publication, needs_second_person, problems, questions, widenings

REGION = Publication(
    open=False, columns={"kode": "public", "kelurahan": "public"}, filters=frozenset(), limits={"rows": 100},
    origins=frozenset({"bps/wilayah"}), query="SELECT kode, kelurahan FROM wilayah",
)  # fmt: skip
PERSON = Publication(
    open=False, columns={"nik": "personal", "alamat": "personal", "kode": "public"}, filters=frozenset({"nik"}),
    limits={"rows": 100}, origins=frozenset({"bps/penduduk"}), query="SELECT … WHERE nik = :nik",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _english() -> None:
    with override("en"):
        yield


def test_public_columns_may_be_open() -> None:
    assert problems(replace(REGION, open=True)) == []


@pytest.mark.parametrize("classification", ["internal", "personal", "specific"])
def test_open_access_is_refused_while_a_column_is_not_public(classification: str) -> None:
    (text,) = problems(replace(REGION, open=True, columns={"kode": "public", "luas": classification}))
    assert "luas" in text
    assert "kode" not in text


@pytest.mark.parametrize("name", ["nik", "NIK", "no_kk", "npwp"])
def test_open_access_to_an_identifier_is_refused_however_it_is_classified(name: str) -> None:
    (text,) = problems(replace(REGION, open=True, columns={"kode": "public", name: "public"}))
    assert name in text
    assert "NIK" in text


def test_an_identifier_is_known_by_the_type_of_its_parameter() -> None:
    told = replace(REGION, open=True, columns={"nomor": "public"}, identifying=frozenset({"nomor"}))
    assert "nomor" in problems(told)[0]


def test_what_a_column_is_built_from_counts_as_its_name() -> None:
    aliased = replace(
        REGION, columns={"nomor": "internal", "isi": "internal"}, behind={"nomor": ("nik",), "isi": ("*",)}
    )
    assert aliased.identifiers == ["nomor"]
    assert aliased.personal == ["nomor", "isi"]
    assert "nomor (nik)" in problems(replace(aliased, open=True))[0]
    assert needs_second_person(None, aliased)


def test_a_response_that_nothing_limits_is_never_open() -> None:
    (text,) = problems(replace(REGION, open=True, restricted=False, complete=False))
    assert "style" in text


def test_a_backend_gets_the_keys_of_callers_only_with_a_reason_and_a_second_person() -> None:
    forwarding = replace(REGION, forwards=True)
    assert needs_second_person(None, forwarding) and needs_second_person(REGION, forwarding)
    assert len(questions(REGION, forwarding)) == 1
    assert not needs_second_person(forwarding, forwarding)
    assert needs_second_person(forwarding, replace(forwarding, origins=frozenset({"bps/lain"})))
    assert questions(forwarding, forwarding) == []


def test_what_is_suspected_needs_a_second_person() -> None:
    assert needs_second_person(None, replace(REGION, columns={}, complete=False, suspected=frozenset({"nik"})))
    assert not needs_second_person(None, replace(REGION, columns={}, complete=False))


def test_open_access_is_refused_while_no_column_is_declared() -> None:
    assert len(problems(replace(REGION, open=True, columns={}, complete=False))) == 1
    assert problems(replace(REGION, columns={}, complete=False)) == []


def test_restricted_access_has_no_such_rule() -> None:
    assert problems(PERSON) == []


def test_a_list_of_persons_asks_for_a_reason() -> None:
    assert questions(None, PERSON) == []
    (text,) = questions(None, replace(PERSON, filters=frozenset()))
    assert "nik" in text
    assert questions(None, REGION) == []


def test_what_was_answered_is_not_asked_again() -> None:
    people = replace(PERSON, filters=frozenset())
    assert questions(people, replace(people, limits={"rows": 5})) == []
    assert questions(people, replace(people, columns={**people.columns, "agama": "specific"}))
    assert questions(PERSON, people)


def test_an_identifier_that_is_not_classified_so_asks_for_a_reason() -> None:
    (text,) = questions(None, replace(PERSON, columns={"nik": "internal", "kode": "public"}))
    assert "nik" in text
    assert "kode" not in text


def test_lowering_a_classification_asks_for_a_reason() -> None:
    (text,) = questions(PERSON, replace(PERSON, columns={**PERSON.columns, "alamat": "internal"}))
    assert "alamat" in text
    assert "nik" not in text
    assert questions(PERSON, replace(PERSON, columns={**PERSON.columns, "alamat": "specific"})) == []


MORE = {
    "open access": {"open": True},
    "a column": {"columns": {**PERSON.columns, "agama": "internal"}},
    "undeclared columns": {"columns": {}, "complete": False},
    "a lower classification": {"columns": {**PERSON.columns, "alamat": "public"}},
    "an optional filter": {"filters": frozenset()},
    "a higher limit": {"limits": {"rows": 101}},
    "another source": {"origins": frozenset({"bps/penduduk", "bps/lain"})},
    "another query": {"query": "SELECT … WHERE :nik IS NOT NULL"},
}


@pytest.mark.parametrize("change", MORE.values(), ids=MORE)
def test_whatever_gives_callers_more_needs_a_second_person(change: dict[str, object]) -> None:
    more = replace(PERSON, **change)  # type: ignore[arg-type]
    assert len(widenings(PERSON, more)) == 1
    assert needs_second_person(PERSON, more)
    assert widenings(PERSON, PERSON) == []
    assert not needs_second_person(PERSON, PERSON)


LESS = {
    "a column less": {"columns": {"nik": "personal"}},
    "a higher classification": {"columns": {**PERSON.columns, "kode": "internal"}},
    "a further filter": {"filters": frozenset({"nik", "kode"})},
    "a lower limit": {"limits": {"rows": 99}},
}


@pytest.mark.parametrize("change", LESS.values(), ids=LESS)
def test_whatever_gives_callers_less_needs_nobody(change: dict[str, object]) -> None:
    assert not needs_second_person(PERSON, replace(PERSON, **change))  # type: ignore[arg-type]


def test_the_first_publication_of_persons_needs_a_second_person() -> None:
    assert needs_second_person(None, PERSON)


def test_without_personal_data_nothing_is_held_up() -> None:
    assert not needs_second_person(None, REGION)
    for change in ({"open": True}, {"limits": {"rows": 10_000}}, {"query": "SELECT 2"}):
        assert widenings(REGION, replace(REGION, **change))  # type: ignore[arg-type]
        assert not needs_second_person(REGION, replace(REGION, **change))  # type: ignore[arg-type]


def test_persons_called_public_are_still_a_widening_of_persons() -> None:
    public = dict.fromkeys(PERSON.columns, "public")
    assert needs_second_person(replace(PERSON, columns={"alamat": "personal"}), replace(PERSON, columns=public))


def test_a_recognised_column_is_personal_unless_it_is_called_public() -> None:
    assert replace(REGION, columns={"email": "internal", "kode": "public"}).personal == ["email"]
    assert replace(REGION, columns={"email": "public"}).personal == []
    assert replace(REGION, columns={"nik": "public"}).personal == ["nik"]


def test_a_sentence_names_some_columns_of_many() -> None:
    many = {f"kolom{number}": "internal" for number in range(300)}
    (text,) = problems(replace(REGION, open=True, columns=many))
    assert "kolom19, …" in text
    assert "kolom20" not in text
