"""A table of people, the operation that returns one of them, and verifications of it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from dataservices.models import DataOperation, DataSource
from mantra.verification.models import VerificationOperation, VerifiedField, declare
from registry.models import Grant, Operation
from registry.snapshot import holder
from tests.cast import Cast

#: NIK, name, birth date, address, phone, balance.
PEOPLE = (
    (
        "3201010101900001",
        "Siti Nurhaliza Rahmawati",
        "1990-01-01",
        "Jl. Merdeka No. 10 RT 01/RW 02",
        "081234567890",
        12,
    ),
    ("3201010202850002", "Muhammad Iqbal", "1985-02-02", "Jl. Kenanga No. 5", None, 7),
    ("3201010303700003", "Bambang Sutrisno", None, "", "0215551234", None),
)
SITI = "3201010101900001"
#: The columns of the operation, and their types.
COLUMNS = (
    ("nik", "text"), ("nama", "text"), ("lahir", "date"), ("alamat", "text"), ("telepon", "text"), ("saldo", "integer"),
)  # fmt: skip
FIELDS = (
    {"name": "nama", "rule": "name"},
    {"name": "tanggal_lahir", "column": "lahir", "rule": "date"},
    {"name": "telepon", "rule": "phone"},
)


def make_people() -> Path:
    path = Path(settings.SOURCE_FILE_DIRS[0]) / "prov" / "penduduk.sqlite3"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with sqlite3.connect(path) as made:
            made.execute(
                "CREATE TABLE penduduk"
                " (nik TEXT PRIMARY KEY, nama TEXT, lahir TEXT, alamat TEXT, telepon TEXT, saldo INT)"
            )
            made.executemany("INSERT INTO penduduk VALUES (?, ?, ?, ?, ?, ?)", PEOPLE)
        made.close()
    return path


@dataclass
class Verifying:
    """A verification, its base, and its grant."""

    operation: VerificationOperation
    base: Operation
    grant: Grant


def people_operation(cast: Cast) -> DataOperation:
    """Publish the operation that returns one of the people. Nobody has a grant for it."""
    source = DataSource.objects.create(
        agency=cast.provider, code="penduduk", engine="sqlite", database=str(make_people())
    )
    base = cast.define(
        "orang", "SELECT nik, nama, lahir, alamat, telepon, saldo FROM penduduk WHERE nik = :nik", source=source,
        parameters=({"name": "nik", "type": "text"},), listing="hidden",
    )  # fmt: skip
    cast.grants["orang"].delete()
    return base


def verifying(
    cast: Cast,
    base: Operation | None = None,
    fields: tuple[dict[str, Any], ...] = FIELDS,
    code: str = "cek",
    **more: Any,
) -> Verifying:
    """Publish a verification of the people, and grant it to the application."""
    base = people_operation(cast) if base is None else base
    made = VerificationOperation(service=cast.service, code=code, base=base, **{"state": "published", **more})
    made.full_clean()
    made.save()
    for position, each in enumerate(fields):
        field = VerifiedField(operation=made, position=position, **each)
        field.full_clean()
        field.save()
    declare(made)
    grant = Grant.objects.create(application=cast.application, operation=made, purpose="verifikasi")
    holder.refresh()
    return Verifying(made, base, grant)
