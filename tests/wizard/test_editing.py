"""Back to the wizard: operations that it can read are changed in it, published ones through their draft."""

from __future__ import annotations

import pytest
from django.urls import reverse

from dataservices.models import DataOperation, DataSource
from registry import versions
from registry.models import Agency
from tests.admin.conftest import make_user
from tests.wizard.conftest import Wizard


@pytest.fixture
def operation(wizard: Wizard, source: DataSource) -> DataOperation:
    wizard.to_last(source)
    wizard.post(4, service="new", service_title="Data", title="Warga", access="restricted", finish="publish")
    return DataOperation.objects.get()


def open_in_wizard(wizard: Wizard, operation: DataOperation) -> None:
    """Press the button of the operation's page, as a browser does: the POST is repeated where it leads."""
    response = wizard.client.post(reverse("admin:dataservices_dataoperation_wizard", args=(operation.pk,)))
    assert response.status_code == 307
    response = wizard.client.post(response["Location"])
    wizard.key = response["Location"].split("/")[-3]
    wizard.get(2)


def test_a_published_operation_is_changed_in_its_draft(wizard: Wizard, operation: DataOperation) -> None:
    page = wizard.client.get(reverse("admin:dataservices_dataoperation_change", args=(operation.pk,)))
    assert "Buka di pemandu" in page.content.decode()
    old = operation.sql
    open_in_wizard(wizard, operation)
    wizard.to(2, wizard.post(2, **wizard.query(do="add-filter:", new__filter="penduduk:usia")))
    wizard.to(3, wizard.post(2, **wizard.query(do="next")))
    assert "Mengubah operasi ini" in wizard.to(4, wizard.post(3, next="1"))
    wizard.post(4, title="Warga kota", access="restricted", finish="draft")
    operation.refresh_from_db()
    assert (operation.sql, operation.title) == (old, "Warga")
    draft = versions.draft_of(operation)
    assert ":usia" in draft.sql
    assert [each.name for each in draft.parameters.all()] == ["nik", "usia"]

    # Once more, from the draft; then it is published.
    open_in_wizard(wizard, operation)
    assert "penduduk.<strong>usia</strong>" in wizard.page
    wizard.get(4)
    wizard.post(4, title="Warga kota", access="restricted", finish="publish")
    operation.refresh_from_db()
    assert (operation.title, operation.revision) == ("Warga kota", 2)
    assert versions.draft_of(operation) is None


def test_what_the_wizard_does_not_show_stays(wizard: Wizard, operation: DataOperation) -> None:
    DataOperation.objects.filter(pk=operation.pk).update(cache_seconds=60, max_rows=77)
    operation.parameters.update(pattern="[0-9]+", default="")
    open_in_wizard(wizard, operation)
    wizard.get(4)
    wizard.post(4, title="Warga", access="restricted", finish="publish")
    operation.refresh_from_db()
    assert (operation.cache_seconds, operation.max_rows) == (60, 77)
    assert operation.parameters.get().pattern == "[0-9]+"


def test_another_persons_change_is_said(wizard: Wizard, operation: DataOperation) -> None:
    open_in_wizard(wizard, operation)
    wizard.get(4)
    draft = versions.open_draft(operation, None)
    draft.title = "Oleh orang lain"
    draft.save()
    response = wizard.post(4, title="Warga kota", access="restricted", finish="draft")
    assert response.status_code == 200
    assert "diubah pengguna lain" in wizard.page
    draft.refresh_from_db()
    assert draft.title == "Oleh orang lain"


def test_sql_of_another_kind_is_not_opened(wizard: Wizard, operation: DataOperation) -> None:
    operation.sql = "SELECT count(*) AS jumlah FROM penduduk WHERE nik = :nik"
    operation.save()
    page = wizard.client.get(reverse("admin:dataservices_dataoperation_change", args=(operation.pk,)))
    assert "Buka di pemandu" not in page.content.decode()
    response = wizard.client.post(reverse("wizard_operation", args=(operation.pk,)), follow=True)
    assert "Pemandu tidak dapat membaca SQL ini" in response.content.decode()


def test_a_stranger_opens_nothing(operation: DataOperation) -> None:
    stranger = Wizard(make_user("Provider", Agency.objects.create(code="asing", name="Asing"), "asing"))
    assert stranger.client.post(reverse("wizard_operation", args=(operation.pk,))).status_code == 404
    address = reverse("admin:dataservices_dataoperation_wizard", args=(operation.pk,))
    assert stranger.client.post(address).status_code == 404
