"""Parameter values: what each type takes, what it refuses, and what the database is given."""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.parameter_values import CONVERTERS, InvalidValue, ParameterParser

WIB = timezone(timedelta(hours=7))

TAKEN = [
    ("text", "", ""),
    ("text", " 007 ", " 007 "),
    ("text", "é☃😀", "é☃😀"),
    ("integer", "0", 0),
    ("integer", "-007", -7),
    ("integer", "+5", 5),
    ("integer", "123456789012345678901234567890", 123456789012345678901234567890),
    ("decimal", "12.50", Decimal("12.50")),
    ("decimal", "-.5", Decimal("-0.5")),
    ("decimal", "12345678901234567890.123456789", Decimal("12345678901234567890.123456789")),
    ("boolean", "true", True),
    ("decimal", "1.2345678E7", Decimal("12345678")),
    ("decimal", "-1e-07", Decimal("-0.0000001")),
    ("boolean", "Ya", True),
    ("boolean", "0", False),
    ("boolean", "tidak", False),
    ("date", "2024-02-29", date(2024, 2, 29)),
    ("datetime", "2026-01-31T08:00:00", datetime(2026, 1, 31, 8)),
    ("datetime", "2026-01-31 08:00", datetime(2026, 1, 31, 8)),
    ("datetime", "2026-01-31T08:00:00Z", datetime(2026, 1, 31, 8, tzinfo=UTC)),
    ("datetime", "2026-01-31T08:00:00+07:00", datetime(2026, 1, 31, 8, tzinfo=WIB)),
    ("datetime", "2026-01-31T08:00:00 07:00", datetime(2026, 1, 31, 8, tzinfo=WIB)),
    ("nik", "3171015708450001", "3171015708450001"),
    ("nik", "31.71.01.570845.0001", "3171015708450001"),
    ("nik", "9201011708900001", "9201011708900001"),  # a province of 2022
    ("npwp", "01.312.166.0-091.000", "013121660091000"),
    ("npwp", "0013121660091000", "0013121660091000"),
    ("npwp", "3171015708450001", "3171015708450001"),
]

REFUSED = [
    ("text", "a\x00b"),
    ("text", "\ud800"),
    ("integer", ""),
    ("integer", "1.0"),
    ("integer", "1e3"),
    ("integer", " 1"),
    ("integer", "٣"),
    ("integer", "1" * 31),
    ("decimal", "1,5"),
    ("decimal", "NaN"),
    ("decimal", "Infinity"),
    ("decimal", "1e40"),
    ("decimal", "1e-41"),
    ("decimal", "e5"),
    ("decimal", "1e999999999"),
    ("decimal", "."),
    ("boolean", "maybe"),
    ("date", "2023-02-29"),
    ("date", "31-01-2026"),
    ("date", "20260131"),
    ("date", "2026-W05-6"),
    ("datetime", "2026-01-31"),
    ("datetime", "kemarin"),
    ("nik", "317101570845000"),
    ("nik", "3171013013450001"),
    ("nik", "0171015708450001"),
    ("npwp", "013121661091000"),
    ("npwp", "123"),
]


@pytest.mark.parametrize(("type", "text", "value"), TAKEN)
def test_taken(type: str, text: str, value: Any) -> None:
    read = ParameterParser(type)(text)
    assert read == value
    assert read.__class__ is value.__class__


@pytest.mark.parametrize(("type", "text"), REFUSED)
def test_refused_with_a_reason_in_both_languages(type: str, text: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        ParameterParser(type)(text)
    assert refused.value.id
    assert refused.value.en
    assert refused.value.id != refused.value.en


def test_choice() -> None:
    read = ParameterParser("choice", choices="II/a\nIII/a\n")
    assert read("III/a") == "III/a"
    with pytest.raises(InvalidValue, match="one of II/a, III/a"):
        read("iii/a")


def test_range_of_each_ordered_type() -> None:
    for type, low, high, fits, below, above in (
        ("integer", "1", "10", "10", "0", "11"),
        ("decimal", "0.10", "0.20", "0.20", "0.09", "0.2000001"),
        ("date", "2026-01-01", "2026-12-31", "2026-12-31", "2025-12-31", "2027-01-01"),
        (
            "datetime", "2026-01-01T00:00:00", "2026-01-02T00:00:00",
            "2026-01-01T12:00:00Z", "2025-12-31T23:59:59", "2026-01-02T00:00:01",
        ),
        ("text", "2", "3", "abc", "a", "abcd"),
    ):  # fmt: skip
        read = ParameterParser(type, min=low, max=high)
        read(fits)
        with pytest.raises(InvalidValue, match="at least"):
            read(below)
        with pytest.raises(InvalidValue, match="at most"):
            read(above)


def test_a_pattern_must_match_the_whole_value() -> None:
    read = ParameterParser("text", pattern="[A-Z]{2}")
    assert read("AB") == "AB"
    for text in ("ABC", "AB\n", "ab"):
        with pytest.raises(InvalidValue):
            read(text)


@pytest.mark.parametrize(
    ("type", "supplied", "value"),
    [("integer", 7, 7), ("decimal", Decimal("0.1"), Decimal("0.1")), ("boolean", True, True), ("text", 12, "12")],
)
def test_what_json_holds(type: str, supplied: Any, value: Any) -> None:
    assert ParameterParser(type)(supplied) == value


@given(st.sampled_from(sorted(CONVERTERS)), st.text(max_size=40))
def test_any_text_is_taken_or_refused(type: str, text: str) -> None:
    with contextlib.suppress(InvalidValue):
        ParameterParser(type)(text)


@given(st.integers(-(10**29), 10**29))
def test_integers_keep_every_digit(number: int) -> None:
    assert ParameterParser("integer")(str(number)) == number


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**20), max_value=10**20))
def test_decimals_keep_every_digit(number: Decimal) -> None:
    assert str(ParameterParser("decimal")(format(number, "f"))) == format(number, "f")


@pytest.mark.parametrize(
    ("least", "text", "fits"),
    [
        ("2026-01-31T08:00:00", "2026-01-31T01:00:00Z", True),
        ("2026-01-31T08:00:00", "2026-01-31T00:59:59Z", False),
        ("2026-01-31T08:00:00", "2026-01-31T09:59:59+09:00", False),
        ("2026-01-31T08:00:00", "2026-01-31T08:00:00", True),
        ("2026-01-31T01:00:00Z", "2026-01-31T08:00:00", True),
        ("2026-01-31T01:00:00Z", "2026-01-31T07:59:59", False),
        ("2026-01-31T01:00:00Z", "2026-01-31T08:00:00+07:00", True),
        ("2026-01-31T08:00:00", "0001-01-01T00:00:00+14:00", False),
    ],
)
def test_b03_an_offset_counts_in_a_range_too(least: str, text: str, fits: bool) -> None:
    """The tests' MANTRA_TIME_ZONE is its default, Asia/Jakarta."""
    parser = ParameterParser("datetime", min=least)
    if fits:
        assert parser(text) is not None
        return
    with pytest.raises(InvalidValue):
        parser(text)
