"""A clerk, her agency's source with two related tables, and the wizard's pages as plain forms."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from dataservices import pool
from dataservices.models import DataSource, WizardDraft
from registry.models import Agency, User
from tests.admin.conftest import make_user

NIK = "3273010101900001"
PEOPLE = 30


def make_file(agency: Agency) -> Path:
    """Make the SQLite file of a source: people, and their families."""
    path = Path(settings.SOURCE_FILE_DIRS[0]) / agency.code / "warga.sqlite3"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("CREATE TABLE keluarga (no_kk TEXT PRIMARY KEY, alamat TEXT, kode_pos TEXT)")
        made.execute(
            "CREATE TABLE penduduk (nik TEXT PRIMARY KEY, nama_lengkap TEXT, tanggal_lahir DATE, usia INTEGER,"
            " no_kk TEXT REFERENCES keluarga (no_kk))"
        )
        made.execute("CREATE TABLE wilayah (kode TEXT PRIMARY KEY, nama TEXT)")
        made.execute("INSERT INTO wilayah VALUES ('327301', 'Sukasari'), ('327302', 'Coblong')")
        made.execute("INSERT INTO keluarga VALUES ('3273010101010001', 'Jalan Melati 1', '40111')")
        made.executemany(
            "INSERT INTO penduduk VALUES (?, ?, '1990-01-01', ?, '3273010101010001')",
            ((f"327301010190{n:04d}", f"Budi Santoso {n}", 20 + n) for n in range(1, PEOPLE + 1)),
        )
    return path


@pytest.fixture
def agency(db: None) -> Agency:
    return Agency.objects.create(code="dinas", name="Dinas Contoh")


@pytest.fixture
def source(agency: Agency) -> Iterator[DataSource]:
    yield DataSource.objects.create(agency=agency, code="warga", engine="sqlite", database=str(make_file(agency)))
    pool.dispose_unused(set())


@pytest.fixture
def clerk(agency: Agency) -> User:
    return make_user("Provider", agency, "ani")


class Wizard:
    """The pages of one draft, without scripts."""

    def __init__(self, user: User) -> None:
        self.client = Client()
        self.client.force_login(user)
        self.key: UUID | str = ""
        self.page = ""

    def start(self) -> str:
        response = self.client.get(reverse("wizard"))
        assert response.status_code == 200
        self.page = response.content.decode()
        match = re.search(r"/admin/publish/([0-9a-f-]{36})/1/\?engine", self.page)
        assert match
        self.key = match[1]
        return self.page

    @property
    def draft(self) -> WizardDraft:
        return WizardDraft.objects.get(key=self.key)

    def address(self, step: int) -> str:
        return reverse("wizard_step", args=(self.key, step))

    def get(self, step: int, **query: str) -> str:
        response = self.client.get(self.address(step), query)
        assert response.status_code == 200, response.get("Location")
        self.page = response.content.decode()
        return self.page

    def post(self, step: int, **data: Any) -> HttpResponse:
        """Send the form of a step with the hidden fields of the page that was seen last."""
        hidden = dict(re.findall(r'<input type="hidden" name="([\w-]+)" value="([^"]*)"', self.page))
        hidden.pop("csrfmiddlewaretoken", None)
        fields = {name.replace("__", "-"): value for name, value in data.items()}
        response = self.client.post(self.address(step), {**hidden, **fields})
        self.page = response.content.decode() or self.page
        return response

    def to(self, step: int, response: HttpResponse) -> str:
        """Follow a redirect to a step."""
        assert (response.status_code, response["Location"]) == (302, self.address(step)), self.page
        return self.get(step)

    def choose(self, source: DataSource, table: str = "penduduk") -> str:
        """Go to step 2 with a table chosen."""
        self.start()
        self.to(2, self.post(1, use=source.pk))
        return self.to(2, self.post(2, do=f"main:{table}"))

    def to_last(self, source: DataSource, table: str = "penduduk") -> str:
        """Go to step 4 with all that is proposed."""
        self.choose(source, table)
        self.to(3, self.post(2, **self.query(do="next")))
        return self.to(4, self.post(3, next="1"))

    def query(self, **more: Any) -> dict[str, Any]:
        """Return the fields of step 2 as the page has them: the boxes that are ticked."""
        boxes = re.findall(r'<input type="checkbox" id="[^"]*" name="([^"]*)" value="([^"]*)" checked>', self.page)
        fields: dict[str, Any] = {}
        for name, value in boxes:
            fields.setdefault(name, []).append(value)
        return {**fields, **more}


@pytest.fixture
def wizard(clerk: User) -> Wizard:
    return Wizard(clerk)
