"""What a deletion takes along, who is asked for it, and what the log says afterwards."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib.admin.models import DELETION, LogEntry
from django.core.exceptions import PermissionDenied
from django.db import models
from django.test import Client
from django.urls import reverse

from registry import deletion
from registry.models import AccessKey, Agency, Application, Grant, User
from tests.admin.conftest import MarkedAgency, make_agency, make_user
from tests.api.conftest import Person, person

#: Rows that go with another one and are asked for as if each was deleted alone; tokens go with their user only.
#: So is the draft of an operation, as a row of its kind.
ASKED = {
    "registry.accesskey", "registry.clientcertificate", "registry.grant",
    "registry.apitoken", "registry.operation", "reconciliation.reconciliation",
}  # fmt: skip


@pytest.fixture
def marked(db: None) -> MarkedAgency:
    return make_agency("zamrud")


def requester(marked: MarkedAgency) -> User:
    return make_user("Requester", marked.agency, "pemohon")


def test_s6_every_cascade_is_either_a_part_or_asked_for() -> None:
    cascading = {
        model._meta.label_lower
        for name in (
            "registry",
            "dataservices",
            "proxyservices",
            "verification",
            "jobs",
            "reconciliation",
            "synchronization",
            "legacy_import",
        )
        for model in apps.get_app_config(name).get_models()
        for field in model._meta.local_fields
        if isinstance(field, models.ForeignKey) and field.remote_field.on_delete is models.CASCADE
        if not field.remote_field.parent_link  # type: ignore[attr-defined]
    }
    assert cascading == deletion.PARTS | ASKED


def test_s6_each_deleted_row_is_logged(marked: MarkedAgency) -> None:
    user = make_user("Administrator", username="pengelola")
    dead = Application.objects.create(agency=marked.agency, code="mati", title="Mati")
    key, _plain = AccessKey.issue(dead)
    key.revoke()
    grant = Grant.objects.create(application=dead, operation=marked.operation, purpose="Uji")
    expected = {("application", str(dead.pk)), ("accesskey", str(key.pk)), ("grant", str(grant.pk))}
    deletion.delete(user, dead)
    logged = LogEntry.objects.filter(action_flag=DELETION, user=user).values_list("content_type__model", "object_id")
    assert set(logged) == expected


def test_s6_a_deleted_operation_is_one_row_and_no_sample_is_named(marked: MarkedAgency) -> None:
    user = make_user("Publisher", marked.agency, "penerbit")
    deletion.delete(user, marked.proxy)
    logged = list(LogEntry.objects.filter(user=user).values_list("content_type__model", flat=True))
    assert sorted(logged) == [
        "field",
        "parameter",
        "parametermapping",
        "proxyoperation",
        "servicedescription",
    ]
    assert not LogEntry.objects.filter(object_repr__contains="contoh").exists()


def test_s6_a_live_key_stays_and_so_does_its_application(marked: MarkedAgency) -> None:
    user, pk = requester(marked), marked.application.pk
    with pytest.raises(PermissionDenied):  # the grant is the provider's
        deletion.delete(user, marked.application)
    marked.grant.delete()
    with pytest.raises(deletion.InUse):
        deletion.delete(user, marked.application)
    assert AccessKey.objects.filter(pk=marked.key.pk).exists()
    marked.key.revoke()
    for certificate in marked.application.certificates.all():
        certificate.revoke()
    deletion.delete(user, marked.application)
    assert not Application.objects.filter(pk=pk).exists()


def test_s6_a_key_that_was_renewed_meanwhile_stays(marked: MarkedAgency, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules are asked of the rows as they are when they are locked, not as they were when they were found."""
    marked.grant.delete()
    AccessKey.objects.filter(pk=marked.key.pk).update(expires_at="2020-01-01T00:00Z")
    locked = deletion._locked

    def after_renewal(rows: list[models.Model]) -> list[models.Model]:
        AccessKey.objects.filter(pk=marked.key.pk).update(expires_at=None)
        return locked(rows)

    monkeypatch.setattr(deletion, "_locked", after_renewal)
    with pytest.raises(deletion.InUse):
        deletion.delete(requester(marked), marked.application)


def test_s6_the_action_on_selected_rows_asks_the_same(marked: MarkedAgency) -> None:
    user = requester(marked)
    empty = Application.objects.create(agency=marked.agency, code="kosong", title="Kosong")
    client = Client()
    client.force_login(user)
    address = reverse("admin:registry_application_changelist")
    for rows, status in (([marked.application, empty], 200), ([empty], 302)):
        chosen = {"action": "delete_selected", "post": "yes", "_selected_action": [str(row.pk) for row in rows]}
        assert client.post(address, chosen).status_code == status
    assert set(Application.objects.values_list("code", flat=True)) == {marked.application.code}
    assert list(LogEntry.objects.filter(user=user).values_list("object_repr", flat=True)) == [str(empty)]


@pytest.mark.django_db(transaction=True)
def test_s6_a_row_that_came_meanwhile_is_a_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was not asked for, and so it is not deleted: the database refuses, which gives 409, not 500."""
    agency = Agency.objects.create(code="badan", name="Badan")
    application = Application.objects.create(agency=agency, code="app", title="App")
    requester: Person = person("Requester", agency)
    locked = deletion._locked

    def then_issued(rows: list[models.Model]) -> list[models.Model]:
        found = locked(rows)
        AccessKey.issue(application)
        return found

    monkeypatch.setattr(deletion, "_locked", then_issued)
    assert requester.delete(f"applications/{application.pk}/").status_code == 409
    monkeypatch.undo()
    assert Application.objects.filter(pk=application.pk).exists()
    assert requester.delete(f"applications/{application.pk}/").status_code == 204
