"""What masks leave of a value."""

from __future__ import annotations

import doctest
from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.personal_data import masks
from registry.snapshot.types import Field

VALUES = st.one_of(
    st.none(), st.text(max_size=60), st.integers(), st.decimals(allow_nan=False, allow_infinity=False), st.floats(),
    st.booleans(), st.dates(), st.datetimes(), st.binary(max_size=20), st.uuids(),
    st.lists(st.text(max_size=5), max_size=3), st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
)  # fmt: skip


def masked(kind: str, value: Any, reader: str = "kons") -> Any:
    return masks.mask_of(kind, reader)(value)


def test_it_works() -> None:
    assert doctest.testmod(masks) == (0, 2)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("3201012309850001", "3201••••••••0001"),
        (3201012309850001, "3201••••••••0001"),
        ("12345678", "12••••78"),
        ("1234", "1••4"),
        ("123", "•••"),
        ("", ""),
        ("  ab  ", "••"),
        (None, None),
        (True, None),
        (b"rahasia", None),
        (1.5, None),
        (["3201012309850001"], None),
        ({"nik": "3201012309850001"}, None),
        (date(1985, 9, 23), "19••••••23"),
        (Decimal("1234.50"), "1•••••0"),
        ("x" * 5000, "xxxx" + "•" * 32 + "xxxx"),
    ],
)
def test_partial(value: Any, shown: Any) -> None:
    assert masked("partial", value) == shown


@given(VALUES)
def test_partial_never_shows_more_than_half(value: Any) -> None:
    shown = masked("partial", value)
    if shown is not None:
        text = masks.text_of(value)
        assert text is not None
        assert len(shown.replace("•", "")) <= max(len(text) / 2, Counter(text)["•"])


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (date(1985, 9, 23), "1985"),
        (datetime(1985, 9, 23, 4, 5), "1985"),
        ("1985-09-23", "1985"),
        ("1985-09-23T04:05:06", "1985"),
        ("23-09-1985", "1985"),
        ("23/9/1985", "1985"),
        ("19850923", "1985"),
        (None, None),
        ("", None),
        ("1985", None),
        ("Budi", None),
        ("1985-02-30", None),
        ("3201012309850001", None),
        (1985, None),
        ([1985], None),
    ],
)
def test_year(value: Any, shown: Any) -> None:
    assert masked("year", value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Budi Santoso", "B. S."),
        ("  budi   SANTOSO, S.Kom ", "B. S. S."),
        ("Ni Luh 2", "N. L."),
        ("123", None),
        ("", None),
        (7, None),
        (None, None),
        (" ".join(["Budi"] * 50), " ".join(["B."] * 10)),
    ],
)
def test_initials(value: Any, shown: Any) -> None:
    assert masked("initials", value) == shown


def test_a_hash_is_one_agencys() -> None:
    """Two agencies that put their lists together cannot join them; one agency can, whatever the type of the column."""
    own = masked("hash", "3201012309850001")
    assert own == masked("hash", 3201012309850001) == masked("hash", " 3201012309850001 ") and len(own) == 32
    assert own != masked("hash", "3201012309850001", reader="lain")
    assert own != masked("hash", "3201012309850002")
    assert own == masked("hash", "3201012309850001", reader="KONS")
    assert masked("hash", None) is None and masked("hash", {"nik": "3201012309850001"}) is None


def test_the_key_of_hashes_is_none_of_the_others(settings: Any) -> None:
    before = masks.secrets.mask_key("kons")
    settings.JOURNAL_KEY = b"another"
    assert masks.secrets.mask_key("kons") == before
    settings.MASK_KEY = b"own"
    assert masks.secrets.mask_key("kons") != before


@given(VALUES, st.sampled_from(["partial", "year", "initials", "hash", "dropped", "made-up"]))
def test_a_mask_never_gives_the_value(value: Any, kind: str) -> None:
    """Of any value of any type: nothing goes out as it is, and what cannot be read is NULL."""
    shown = masked(kind, value)
    assert shown is None or isinstance(shown, str)
    if kind in ("dropped", "made-up"):
        assert shown is None
    if shown and kind in ("hash", "year") and isinstance(value, str):
        assert shown != value.strip()


def field(name: str, mask: str = "", classification: str = "internal", type_: str = "text") -> Field:
    return Field(name, type_, "", classification, mask)


def test_the_stricter_mask_holds() -> None:
    fields = [field("a", "partial"), field("b", "hash"), field("c")]
    rights = masks.FieldRights(masks=(("a", "hash"), ("b", "partial"), ("c", "made-up")))
    sight = masks.sight_of(fields, rights)
    assert sight.kinds == {"a": "hash", "b": "hash", "c": "made-up"}
    assert sight.masks["c"]("x") is None


def test_what_is_left_out_is_not_allowed() -> None:
    fields = [field("a", "dropped"), field("b"), field("c")]
    assert masks.sight_of(fields, masks.ALL).allowed == {"b", "c"}
    assert masks.sight_of(fields, masks.FieldRights(frozenset({"a", "c"}))).allowed == {"c"}
    with pytest.raises(masks.NothingLeft):
        masks.sight_of(fields, masks.FieldRights(frozenset({"a"})))
    assert masks.sight_of(fields, masks.INTERNAL).allowed == frozenset()


def test_without_a_legal_basis_no_specific_field_is_shown() -> None:
    fields = [field("nama"), field("diagnosa", classification="specific"), field("sidik", "hash", "specific")]
    rights = masks.FieldRights(lawful=False)
    assert masks.sight_of(fields, rights).allowed == {"nama", "sidik"}
    assert masks.withheld(fields, rights) == ["diagnosa"]
    assert masks.sight_of(fields, masks.ALL).allowed == frozenset()
    masked_ = masks.FieldRights(masks=(("diagnosa", "partial"),), lawful=False)
    assert masks.withheld(fields, masked_) == ["diagnosa"]
    hashed = masks.FieldRights(masks=(("diagnosa", "hash"),), lawful=False)
    assert masks.withheld(fields, hashed) == []


@pytest.mark.parametrize("value", [UUID(int=7), date(2000, 1, 1)])
def test_other_types_can_be_hashed(value: Any) -> None:
    assert len(masked("hash", value)) == 32
