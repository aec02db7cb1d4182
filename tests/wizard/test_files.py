"""From an Excel file to an operation: the file becomes a table, and the wizard begins with it."""

from __future__ import annotations

from datetime import date

from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from dataservices.models import DataOperation, UploadedTable
from registry.models import Agency
from tests.admin.conftest import make_user
from tests.uploads.files import xlsx
from tests.wizard.conftest import Wizard

ROWS = [
    ["NIK", "Nama Lengkap", "Kode Pos", "Tanggal Lahir"],
    *(
        [f"327301010190{number:04d}", f"Budi Santoso {number}", f"0{number:04d}", date(1990, 1, number)]
        for number in range(1, 30)
    ),
]
KINDS = {"nik": "text", "nama_lengkap": "text", "kode_pos": "text", "tanggal_lahir": "date"}


def upload(wizard: Wizard) -> UploadedTable:
    """Make a table from a workbook, by the page to which the wizard's first step leads."""
    page = wizard.start()
    address = reverse("admin:dataservices_uploadedtable_add")
    assert f'href="{address}"' in page
    file = SimpleUploadedFile("penduduk.xlsx", xlsx(ROWS))
    agency = Agency.objects.get(code="dinas")
    shown = wizard.client.post(address, {"file": file, "agency": agency.pk}, follow=True)
    assert shown.status_code == 200
    columns = {
        f"{word}-{index}": value
        for index, (name, kind) in enumerate(KINDS.items())
        for word, value in (("name", name), ("kind", kind), ("include", "on"))
    }
    made = wizard.client.post(shown.request["PATH_INFO"], {"title": "Penduduk", **columns}, follow=True)
    assert made.status_code == 200
    return UploadedTable.objects.get()


def test_an_excel_file_is_published(wizard: Wizard, agency: Agency) -> None:
    table = upload(wizard)
    page = wizard.client.get(reverse("admin:dataservices_uploadedtable_change", args=(table.pk,))).content.decode()
    assert "Terbitkan tabel ini" in page
    response = wizard.client.post(reverse("admin:dataservices_uploadedtable_wizard", args=(table.pk,)))
    assert response.status_code == 307
    response = wizard.client.post(response["Location"])
    wizard.key = response["Location"].split("/")[-3]
    assert "<code>nik</code>" in wizard.get(2)
    wizard.to(3, wizard.post(2, **wizard.query(do="next")))
    wizard.to(4, wizard.post(3, next="1"))
    wizard.post(4, service="new", service_title="Data", title="Penduduk", access="restricted", finish="publish")
    operation = DataOperation.objects.get()
    assert (operation.state, operation.source) == ("published", table.source)
    # Numbers with a zero in front stay texts.
    assert [(each.name, each.type, each.classification) for each in operation.fields.all()] == [
        ("nik", "text", "personal"), ("nama_lengkap", "text", "personal"), ("kode_pos", "text", "internal"),
        ("tanggal_lahir", "date", "personal"),
    ]  # fmt: skip


def test_a_strangers_table_is_not_opened(wizard: Wizard, agency: Agency) -> None:
    table = upload(wizard)
    stranger = Wizard(make_user("Provider", Agency.objects.create(code="asing", name="Asing"), "asing"))
    for name in ("wizard_table", "admin:dataservices_uploadedtable_wizard"):
        assert stranger.client.post(reverse(name, args=(table.pk,))).status_code == 404
