"""Verifications of an operation that masks fields and selects rows by values of grants."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from dataservices.models import DataSource
from registry import faults
from registry.models import Field
from registry.snapshot import holder
from tests.cast import Cast
from tests.jobs.conftest import begin, folder, lines, work
from tests.verification.people import COLUMNS, SITI, make_people, verifying

__all__ = ("folder",)


def test_masks_do_not_change_what_is_compared(cast: Cast) -> None:
    """What is read goes no further than the comparison: there it is whole."""
    made = verifying(cast)
    for name, kind in COLUMNS:
        Field.objects.create(operation=made.base, name=name, type=kind, mask="dropped" if name == "nama" else "")
    Field.objects.filter(operation=made.base, name="lahir").update(mask="year")
    holder.refresh()
    row = cast.get("cek", f"nik={SITI}&nama=Siti+Nurhaliza+Rahmawati&tanggal_lahir=1990-01-01").json()["data"][0]
    assert (row["sesuai"], row["nama_sesuai"], row["tanggal_lahir_sesuai"]) == (True, True, True)


def test_the_grant_of_the_verification_selects_the_rows(cast: Cast) -> None:
    """Who may ask about one region learns nothing of another, in a call and in a job."""
    source = DataSource.objects.create(
        agency=cast.provider, code="penduduk", engine="sqlite", database=str(make_people())
    )
    base = cast.define(
        "orang",
        "SELECT nik, nama, lahir, telepon FROM penduduk WHERE nik = :nik AND substr(nik, 7, 2) = :grant.tanggal",
        source=source, parameters=({"name": "nik", "type": "text"},), listing="hidden",
    )  # fmt: skip
    cast.grants["orang"].delete()
    made = verifying(cast, base)
    query = f"nik={SITI}&nama=Siti+Nurhaliza+Rahmawati"
    assert cast.get("cek", query).json()["code"] == faults.GRANT_INCOMPLETE.code
    with pytest.raises(ValidationError):
        made.grant.full_clean()
    for value, found in (("01", True), ("02", False)):
        made.grant.values = f"tanggal={value}"
        made.grant.full_clean()
        made.grant.save()
        holder.refresh()
        assert cast.get("cek", query).json()["data"][0]["ditemukan"] is found
        job = begin(cast, f"nik,nama\n{SITI},Siti Nurhaliza Rahmawati\n", "cek")
        work()
        assert [row["ditemukan"] for row in lines(job)] == [found]


def test_a_verification_has_no_masks(cast: Cast) -> None:
    made = verifying(cast)
    made.grant.masks = "sesuai=dropped"
    with pytest.raises(ValidationError) as refused:
        made.grant.full_clean()
    assert list(refused.value.message_dict) == ["masks"]
