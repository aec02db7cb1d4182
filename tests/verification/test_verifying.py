"""Verifications as callers meet them."""

from __future__ import annotations

from typing import Any

import pytest

from registry import faults
from registry.snapshot import holder
from tests.cast import Cast, Reply, ends_of
from tests.verification.people import verifying

SITI = "3201010101900001"


def _row(reply: Reply) -> dict[str, Any]:
    assert reply.status == 200, reply.text
    document = reply.json()
    assert document["count"] == 1
    row: dict[str, Any] = document["data"][0]
    return row


def test_it_says_what_agrees(cast: Cast) -> None:
    verifying(cast)
    row = _row(cast.get("cek", f"nik={SITI}&nama=Siti+Nurhaliza+Rahmawati&tanggal_lahir=1990-01-01"))
    assert row == {
        "ditemukan": True,
        "sesuai": True,
        "nama_sesuai": True,
        "tanggal_lahir_sesuai": True,
        "telepon_sesuai": None,
    }


def test_one_wrong_field_is_named(cast: Cast) -> None:
    verifying(cast)
    row = _row(cast.get("cek", f"nik={SITI}&nama=Siti+Nurhaliza+Rahmawati&tanggal_lahir=1990-01-02"))
    assert (row["sesuai"], row["nama_sesuai"], row["tanggal_lahir_sesuai"]) == (False, True, False)


def test_what_is_not_stored_is_neither(cast: Cast) -> None:
    verifying(cast)
    row = _row(cast.get("cek", "nik=3201010303700003&nama=Bambang+Sutrisno&tanggal_lahir=1970-03-03"))
    assert (row["sesuai"], row["nama_sesuai"], row["tanggal_lahir_sesuai"]) == (False, True, None)


def test_a_key_that_does_not_exist(cast: Cast) -> None:
    verifying(cast)
    row = _row(cast.get("cek", "nik=9999999999999999&nama=Siti"))
    assert (row["ditemukan"], row["sesuai"], row["nama_sesuai"]) == (False, False, None)


def test_a_hidden_key_answers_as_wrong_values_do(cast: Cast) -> None:
    verifying(cast, hides_existence=True)
    missing = cast.get("cek", "nik=9999999999999999&nama=Bukan+Dia&tanggal_lahir=1990-01-02")
    wrong = cast.get("cek", f"nik={SITI}&nama=Bukan+Dia&tanggal_lahir=1990-01-02")
    assert missing.body == wrong.body
    assert _row(wrong)["ditemukan"] is None


def test_a_similarity_needs_a_grant_that_names_it(cast: Cast) -> None:
    made = verifying(cast)
    assert "nama_kemiripan" not in _row(cast.get("cek", f"nik={SITI}&nama=Siti+Nurhaliza+Rahmawati"))
    made.grant.fields = "sesuai\nnama_kemiripan"
    made.grant.full_clean()
    made.grant.save()
    holder.refresh()
    row = _row(cast.get("cek", f"nik={SITI}&nama=Siti+Nurhaliza+Rahmawati"))
    assert row == {"sesuai": True, "nama_kemiripan": 100}


def test_a_guesser_is_locked_out_after_the_stated_number(cast: Cast) -> None:
    verifying(cast, tries=5, lock_minutes=60)
    outcomes = [cast.get("cek", f"nik={SITI}&tanggal_lahir=1990-02-{day:02}") for day in range(1, 29)]
    assert [each.status for each in outcomes] == [200] * 5 + [429] * 23
    locked = outcomes[-1]
    assert locked.json()["code"] == faults.VERIFICATION_LOCKED.code
    assert 3500 <= int(locked.headers["retry-after"]) <= 3601
    # The right value learns nothing any more.
    assert cast.get("cek", f"nik={SITI}&tanggal_lahir=1990-01-01").status == 429


@pytest.mark.parametrize("spelling", [SITI, f"{SITI}%20", f"%20{SITI}"])
def test_another_spelling_of_the_key_has_no_tries_of_its_own(cast: Cast, spelling: str) -> None:
    verifying(cast, tries=3)
    operation = cast.operations["orang"]
    operation.sql = "SELECT nik, nama, lahir, telepon FROM penduduk WHERE nik = trim(:nik)"
    operation.save()
    holder.refresh()
    for day in range(1, 4):
        assert cast.get("cek", f"nik={SITI}&tanggal_lahir=1990-02-{day:02}").status == 200
    assert cast.get("cek", f"nik={spelling}&tanggal_lahir=1990-01-01").status == 429


def test_who_is_right_is_never_locked(cast: Cast) -> None:
    verifying(cast, tries=1)
    for _time in range(5):
        assert _row(cast.get("cek", f"nik={SITI}&tanggal_lahir=1990-01-01"))["sesuai"] is True


def test_the_tries_of_all_count_together(cast: Cast) -> None:
    made = verifying(cast, tries=5, tries_of_all=2)
    assert made.operation.tries_of_all == 2
    statuses = [cast.get("cek", f"nik={SITI}&tanggal_lahir=1990-02-0{day}").status for day in (1, 2, 3)]
    assert statuses == [200, 200, 429]


def test_too_few_fields(cast: Cast) -> None:
    verifying(cast, min_fields=2)
    reply = cast.get("cek", f"nik={SITI}&nama=Siti")
    assert (reply.status, reply.json()["code"]) == (400, faults.FIELDS_TOO_FEW.code)


def test_the_operation_with_the_data_needs_no_grant_and_must_be_published(cast: Cast) -> None:
    made = verifying(cast)
    assert cast.get("orang", f"nik={SITI}").status == 403
    made.base.state = "retired"
    made.base.save()
    holder.refresh()
    reply = cast.get("cek", f"nik={SITI}&nama=Siti")
    assert (reply.status, reply.json()["code"]) == (502, faults.VERIFICATION_UNAVAILABLE.code)


def test_the_record_has_hashes_and_names_only(cast: Cast) -> None:
    verifying(cast)
    reply = cast.get("cek", f"nik={SITI}&nama=Siti+Nurhaliza+Rahmawati")
    (end,) = ends_of(reply.headers["x-request-id"])
    assert end["params"] == ["nik", "nama"]
    assert len(end["subjects"]) == 1
    assert end["from"][0] == "source"
    assert "Siti" not in str(end) and SITI not in str(end)
