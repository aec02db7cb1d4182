"""The one table of what can go wrong."""

from __future__ import annotations

import string

import pytest

from registry import faults, results

#: The wording that callers of 1.99y compare.
OLD = {
    10001: "Operasi tidak memiliki izin, karena kunci akses tidak terdaftar (kosong)",
    10002: "Fungsi operasi tidak terdaftar",
    10003: "Alamat (URL) akses layanan tidak terdefinisi",
    10004: "Nama fungsi operasi tidak terdefinisi",
    10005: "Seluruh parameter fungsi operasi wajib diisi",
}


def names_in(text: str) -> set[str]:
    return {name for _text, name, _spec, _conversion in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("kind", faults.TABLE.values(), ids=lambda kind: kind.name)
def test_every_row_is_whole(kind: results.FaultKind) -> None:
    assert 400 <= kind.status <= 599
    assert kind.party in ("caller", "provider", "bus")
    assert kind.id and kind.en and kind.id != kind.en
    # Both languages are filled from the same details; a value's reason comes in each.
    assert {name.replace("reason_id", "why").replace("missing_id", "what") for name in names_in(kind.id)} == {
        name.replace("reason_en", "why").replace("missing_en", "what") for name in names_in(kind.en)
    } or kind is faults.ADDRESS_INCOMPLETE


def test_names_are_used_once() -> None:
    names = [kind.name for kind in faults.TABLE.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("code", OLD)
def test_old_wording_is_kept(code: int) -> None:
    assert results.Fault(faults.TABLE[code]).message("id") == OLD[code]


def test_braces_are_for_details_only() -> None:
    assert "/rest/{agency}/{service}/{operation}" in results.Fault(faults.ADDRESS_INCOMPLETE).message("en")


def test_constants_carry_the_public_names() -> None:
    constants = {value.code: name for name, value in vars(faults).items() if isinstance(value, results.FaultKind)}
    assert constants == {code: kind.name.upper().replace("-", "_") for code, kind in faults.TABLE.items()}


def test_the_table_is_in_the_order_of_its_numbers() -> None:
    assert list(faults.TABLE) == sorted(faults.TABLE)
