"""Which columns are proposed for which parameters."""

from __future__ import annotations

import pytest

from mantra.jobs.proposals import proposed


@pytest.mark.parametrize(
    ("parameters", "header", "expected"),
    [
        (["nik"], ["No", "NIK KTP", "Nama"], {"nik": "NIK KTP"}),
        (["nik", "nama"], ["Nama Lengkap", "Nomor_NIK"], {"nik": "Nomor_NIK", "nama": "Nama Lengkap"}),
        (["tanggal_lahir"], ["Tempat Lahir", "Tgl. Lahir"], {"tanggal_lahir": "Tgl. Lahir"}),
        (["nama_ibu", "nama"], ["Nama", "Nama Ibu Kandung"], {"nama": "Nama", "nama_ibu": "Nama Ibu Kandung"}),
        (["npwp"], ["Nomor", "Alamat"], {}),
        (["id"], [], {}),
        (["id"], ["", "—"], {}),
    ],
)
def test_similar_names_are_proposed(parameters: list[str], header: list[str], expected: dict[str, str]) -> None:
    assert proposed(parameters, header, {}) == expected


def test_what_matched_stays_and_no_column_is_proposed_twice() -> None:
    found = proposed(["nama", "nama_lengkap"], ["Nama", "Alamat"], {"nama_lengkap": "Nama"})
    assert found == {"nama_lengkap": "Nama"}
    # A column that the file has not is none.
    assert proposed(["nama"], ["Alamat"], {"nama": "Nama"}) == {}


def test_many_columns_that_are_not_alike() -> None:
    """The most columns of a file against the most parameters of an operation, with long names: none is alike."""
    header = [f"kolom-{number:03}-" + "x" * 80 for number in range(200)]
    assert proposed([f"parameter_{number}" for number in range(200)], header, {}) == {}
