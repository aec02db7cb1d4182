"""Each rule by table: what it reads as equal, what not, and what it cannot read."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from mantra.comparing import DEFAULT_THRESHOLDS, MAX_TEXT, RULES, comparer, is_readable, normalised

# fmt: off
EQUAL: dict[str, tuple[tuple[Any, str], ...]] = {
    "exact": (
        ("Budi", "Budi"), ("Budi   ", " Budi\t"), ("Jose\u0301", "José"), (3201010101900001, "3201010101900001"),
        (12345678901000, "012345678901000"), (Decimal("3201010101900001"), "3201010101900001"),
        (Decimal("12.50"), "12.5"),
        (3201010101900001.0, "3201010101900001"), (date(1990, 2, 1), "1990-02-01"), (True, "true"), (b"Budi", "Budi"),
        (0, "0"),
        (0, "00"), (UUID(int=5), "00000000-0000-0000-0000-000000000005"), (time(7, 30), "07:30:00"),
        ("\u200fBudi\ufeff", "Budi"),
    ),
    "text": (
        ("Drs. H. Budi Santoso, M.Si.", "BUDI SANTOSO"), ("Budi Santoso SE", "Budi Santoso"), ("Budi, S.E.", "Budi"),
        ("Budi, S. H.", "Budi"), ("Moh. Rizki", "Muhammad Rizki"), ("M. Rizki", "Mhd. Rizki"),
        ("M.Rizki", "Muhammad Rizki"),
        ("Abd. Rahman", "abdul rahman"), ("St. Aminah", "Siti Aminah"), ("Ahmad bin Ali", "Ahmad Ali"),
        ("Sukamaju", "SUKA-MAJU"),
        ("José Núñez", "jose nunez"), ("Ma’ruf", "maruf"), ("01.234.567.8-901.000", "012345678901000"),
        (12345678901000, "01.234.567.8-901.000"), ("Hj. Rr. Sri Lestari, S.Pd., M.Pd.", "Sri Lestari"),
        ("dr. Ani", "Ani"),
        ("Straße", "STRASSE"), ("ﬁkri", "Fikri"), ("Dr.Ir.H.Budi", "Budi"), ("Budi Santoso, Ph.D.", "Budi Santoso"),
        ("Almh. Siti", "siti"), ("Sdr. Joko A.Md.", "Joko"), ("Sumarni als Marni", "Sumarni alias Marni"),
    ),
    "date": (*((date(1990, 2, 1), given) for given in (
        "1990-02-01", "01-02-1990", "1/2/1990", "01.02.90", "1 Februari 1990", "1 Feb 1990", "19900201",
        "1990-02-01T00:00:00",
        "01021990", "1-Feb-90", "1 Pebruari 1990", "February 1, 1990", "Feb 1 1990", "1990/2/1",
        "Kamis, 1 Februari 1990",
        "1990-02-01 00:00:00", "1990-02-01T17:30:00.000Z", "1990-02-01 07:00:00+07:00", " 01 02 1990 ",
        "1 FEBRUARI 1990",
        "1 february 1990", "1990-02-01 07:30 WIB", "01 / 02 / 1990",
    )),
        (datetime(1990, 2, 1, 23, 59, tzinfo=UTC), "1990-02-01"), ("1 Februari 1990", "01/02/1990"),
        (19900201, "1-2-1990"),
        ("1990-02-01", "1990-02-01"), (date(2024, 8, 17), "17 Agustus 2024"), (date(2024, 8, 17), "17 Agt 2024"),
        (date(2029, 1, 1), "1-1-29"), (date(1930, 1, 1), "1-1-30"), (date(2024, 2, 29), "29/02/2024"),
        (date(2012, 12, 1), "1 Des 2012"),
        (date(2012, 5, 3), "3 Mei 2012"), (date(2012, 10, 20), "20102012"), (date(2010, 10, 20), "20101020"),
    ),
    "number": (
        (Decimal("1234567.89"), "1.234.567,89"), (Decimal("1234567.89"), "1,234,567.89"), (5000, "Rp 5.000,-"),
        (5000, "Rp5.000"),
        (1234, "1.234"), (1234, "1,234"), (Decimal("0.125"), "0,125"), (Decimal("0.125"), "0.125"), (12.5, "12,5"),
        (-5, "-5"),
        (-1000, "(1.000)"), (1000000, "1 000 000"), (Decimal("1234.567"), "1234.567"), ("Rp. 1.500.000,00", "1500000"),
        (7, "+007"),
        (Decimal("1E+3"), "1000"), (Decimal("0.10"), "0,1"), (0, "-0"), (10**30 + 1, "1000000000000000000000000000001"),
        (Decimal("12345678901234567890.123456789"), "12.345.678.901.234.567.890,123456789"), (-5, "- Rp 5"),
        (-5, "−5"), (5, "５"),
        (2500, "2.500 rupiah"), (1500, "IDR 1,500.00"), (0.1, "0,1"),
    ),
    "phone": (*(("081234567890", given) for given in (
        "0812-3456-7890", "+62 812 3456 7890", "6281234567890", "0812 3456 7890", "(0812) 34567890",
        "+62 (0)812-3456-7890",
        "0062 812 3456 7890", "81234567890", "HP: 081234567890", "0812.3456.7890", "+62-812-3456-7890",
    )),
        ("(021) 555-1234", "0215551234"), ("021 5551234 ext. 12", "+62 21 555 1234"),
        ("021-5551234 psw 7", "021-5551234 ext 8"),
        (81234567890, "081234567890"), ("5551234", "555-1234"), ("+1 202 555 0143", "001 202 555 0143"),
    ),
    "address": (
        ("Jl. Melati No. 5 RT 03/RW 05 Kel. Sukamaju Kec. Cihaur", "Jalan Melati 5, RT.003 RW.005, Sukamaju, Cihaur"),
        ("Jl. Melati No. 5 RT 03/05", "RT/RW 003/005 Jln Melati Nomor 5"),
        ("Gg. Mawar II No 3A", "Gang Mawar 2 no. 3a"),
        ("Perum Griya Asri Blok C No. 5", "Komplek Griya Asri Blok C/5"),
        ("Jl. Jend. Sudirman Kav. 52", "Jalan Jenderal Sudirman Kav 52"),
        ("Desa Sukamaju, Jl. Melati No.5", "Jl Melati 05 Ds. Sukamaju"),
        ("Jl. Diponegoro 10 Bandung 40115", "Jalan Diponegoro No. 10, Bandung"),
        ("Jl.Melati No.5 RT03/RW05", "jl melati no 5 rt 3 rw 5"),
        ("Jl. Dipenogoro No 7, Sukamaju", "Jl. Dipenogpro No 7, Sukamaju"),
        ("Kp. Rawa Bebek RT 1 RW 2", "Kampung Rawa Bebek RT 01/RW 02"),
        ("Jl. Soekarno Hatta No. 1", "Jalan Sukarno-Hatta 1"),
    ),
}  # fmt: skip
UNEQUAL: dict[str, tuple[tuple[Any, str], ...]] = {
    "exact": (
        ("Budi", "budi"),
        ("Budi", "Bud"),
        ("0123", "123"),
        (None, ""),
        ("", ""),
        ("  ", " "),
        (None, "None"),
        (123, "0124"),
        (-5, "5"),
        ([1], "[1]"),
        (True, "True"),
    ),
    "text": (
        ("Irwan", "Ir. Wan"),
        ("Budi H", "Budi"),
        ("H", ""),
        ("Budi S", "Budi"),
        ("Siti Aminah", "Siti Aisyah"),
        ("😀", "😀"),
        ("", ""),
        ("R Budi", "Budi"),
        ("Tan Se", "Tan"),
        ("Drajat", "ajat"),
        ("Hasan", "asan"),
        ("Ibunda Rini", "nda Rini"),
        ("0123", "123"),
        ("Maria Rizki", "M. Rizki"),
    ),
    "date": (
        (date(1990, 2, 1), "1990-02-02"),
        (date(1990, 2, 1), "02-01-1990"),
        (date(1990, 2, 1), "1890-02-01"),
        (None, "1990-02-01"),
        ("1990-00-00", "1990-01-01"),
        (date(1930, 1, 1), "1-1-29"),
        (date(9999, 12, 31), "31-12-99"),
    ),
    "number": (
        (1234, "1.235"),
        (Decimal("1.234"), "1.234"),
        (5, "-5"),
        (Decimal("0.1"), "0.1000000000000001"),
        (None, "0"),
        (True, "1"),
        (float("nan"), "0"),
    ),
    "phone": (
        ("081234567890", "081234567891"),
        ("0215551234", "5551234"),
        ("0215551234", "0225551234"),
        (None, "081234567890"),
    ),
    "address": (
        ("Jl. Melati No. 5", "Jl Melati No. 6"),
        ("Jl. Melati No. 5 RT 1", "Jl Melati No. 5 RT 2"),
        ("Jl. Melati No. 5", "Jl. Mawar No. 5"),
        ("Bandung", "Jl. Melati No. 5 Bandung"),
        ("Jl. Melati No.5 Desa Sukamaju", "Jl. Melati No.5 Desa Sukamakmur"),
        ("Jl. Melati No. 5 RW 1", "Jl. Melati No. 5 RW 10"),
        ("Blok C No. 5", "Blok D No. 5"),
        ("", ""),
        (None, "Bandung"),
        ("Sukamaju, Bandung", "Jl. Melati No. 5, Sukamaju, Bandung"),
        ("Jl. Melati No 5A", "Jl. Melati No 5B"),
        ("Jl. Melati I No. 5", "Jl. Melati II No. 5"),
        ("Jl. Melati 5, Bandung 40115", "Jl. Melati 5, Bandung 40116"),
    ),
}
UNREADABLE: dict[str, tuple[str, ...]] = {
    "date": (
        "",
        "x",
        "31/02/1990",
        "02/28/1990",
        "1990",
        "1990-13-01",
        "1 Foo 1990",
        "00-00-0000",
        "1/2/199",
        "1990-02-01 pagi",
        "٠١/٠٢/١٩٩٠",
    ),
    "number": (
        "",
        "x",
        "1.23.4",
        "1e5",
        "1.234,5,6",
        "--5",
        "NaN",
        "1,23.456,7",
        "٣",
        "9" * 201,
        "Rp",
        "0x10",
        "1.2345.678",
    ),
    "phone": ("", "x", "0812", "08123456789012345", "0812abc", "+", "12-34"),
    "exact": ("", "  ", "\u200b"),
    "text": ("",),
    "name": (" ",),
    "address": ("",),
}
# fmt: on


def _cases(table: dict[str, tuple[Any, ...]]) -> list[Any]:
    return [
        pytest.param(rule, case, id=f"{rule}-{number}")
        for rule, cases in table.items()
        for number, case in enumerate(cases)
    ]


@pytest.mark.parametrize(("rule", "case"), _cases(EQUAL))
def test_it_matches(rule: str, case: tuple[Any, str]) -> None:
    found = comparer(rule)(*case)
    assert found.matches, found
    assert found.similarity >= DEFAULT_THRESHOLDS.get(rule, 100)


@pytest.mark.parametrize(("rule", "case"), _cases(UNEQUAL))
def test_it_does_not_match(rule: str, case: tuple[Any, str]) -> None:
    found = comparer(rule)(*case)
    assert not found.matches, found
    assert found.similarity < DEFAULT_THRESHOLDS.get(rule, 1)


@pytest.mark.parametrize(("rule", "given"), _cases(UNREADABLE))
def test_it_cannot_be_read(rule: str, given: str) -> None:
    assert not is_readable(rule, given)


@pytest.mark.parametrize("rule", ["date", "number", "phone"])
def test_what_matches_can_be_read(rule: str) -> None:
    assert [given for _, given in EQUAL[rule] if not is_readable(rule, given)] == []


def test_what_cannot_be_read_is_joined_as_it_is() -> None:
    assert normalised("date", " belum ada ") == "?belum ada"
    assert normalised("number", "1e5") == "?1e5"
    assert normalised("phone", "-") == "?-"
    assert normalised("date", "1990-02-01") == "1990-02-01"


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("value", [None, "", "   ", "\0", "\u200b", b"", [], {}])
def test_nothing_has_no_canonical_text(rule: str, value: Any) -> None:
    assert normalised(rule, value) is None
    assert comparer(rule)(value, "Budi") == (False, 0)


@pytest.mark.parametrize("rule", RULES)
def test_a_long_text_equals_itself_only(rule: str) -> None:
    long = "Jalan 1 " * MAX_TEXT
    assert comparer(rule)(long, long) == (True, 100)
    assert comparer(rule)(long, f"{long}2") == (False, 0)
    assert normalised(rule, long) != normalised(rule, f"{long}2")
    assert len(normalised(rule, long) or "") < 2 * MAX_TEXT


def test_settings_that_are_none() -> None:
    with pytest.raises(ValueError, match="rule soundex"):
        comparer("soundex")
    for rule, threshold in (("exact", 90), ("date", 100), ("name", 0), ("name", 101)):
        with pytest.raises(ValueError, match=f"threshold {threshold} of rule {rule}"):
            comparer(rule, threshold)
    assert set(DEFAULT_THRESHOLDS) == {"name", "address"}
    assert list(RULES) == ["exact", "text", "name", "date", "number", "phone", "address"]
