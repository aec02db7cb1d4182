"""The pages: choosing, columns, running by hand, and who may do what."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from mantra.synchronization.forms import _BETWEEN
from mantra.synchronization.models import Sync, SyncRun
from registry.models import Agency, Field, Grant
from tests.admin.conftest import make_user, sign_in
from tests.synchronization.conftest import NAMES, Stage, person, work

__all__ = ["sign_in"]


@pytest.fixture
def clerk(files: Stage, sign_in: Any) -> Client:
    for place, name in enumerate(NAMES):
        Field.objects.create(operation=files.operation, name=name, type="text", position=place)
    client: Client = sign_in("Provider", files.consumer)
    return client


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", response.content.decode())


def choices(stage: Stage) -> dict[str, str]:
    return {
        "agency": str(stage.consumer.pk), "operation": str(stage.operation.pk),
        "application": str(stage.application.pk), "source": str(stage.target_source.pk),
        "table": _BETWEEN.join((stage.target.schema, "salinan")),
    }  # fmt: skip


def form(**more: str) -> dict[str, str]:
    filled = {f"to-{number}": name for number, name in enumerate(NAMES)}
    return {
        "title": "Salinan penduduk", "code": "", "deletions": "none", "deleted_column": "", "schedule": "daily",
        "every_minutes": "60", "at_hour": "3", "max_change_percent": "20", "enabled": "on", "key-0": "on",
        **filled, **more,
    }  # fmt: skip


def test_a_clerk_defines_tries_and_runs_one(clerk: Client, files: Stage) -> None:
    files.source.put("orang", person(1), person(2))
    files.target.table("salinan")
    add = reverse("admin:synchronization_sync_add")
    first = text(clerk.get(add))
    assert "prov/data/orang" in first and "kons/app" in first
    second = clerk.get(add, choices(files))
    shown = text(second)
    assert "prov/data/orang" in shown
    assert re.search(r'<option value="nik" selected', shown), "equal names are proposed"
    assert re.search(r'name="key-0"[^>]*checked', shown), "the table's key is proposed"
    saved = clerk.post(f"{add}?{_query(files)}", form())
    sync = Sync.objects.get()
    assert saved.status_code == 302
    assert saved["Location"] == reverse("admin:synchronization_sync_change", args=[sync.pk])
    assert (sync.code, sync.enabled, sync.next_at is not None) == ("salinan-penduduk", True, True)
    assert clerk.post(reverse("admin:synchronization_sync_dry", args=[sync.pk])).status_code == 302
    assert "menunggu" in text(clerk.get(saved["Location"]))
    work()
    page = text(clerk.get(saved["Location"]))
    assert files.target.rows("salinan") == []
    assert "35••" in page and person(1)[0] not in page
    clerk.post(reverse("admin:synchronization_sync_run", args=[sync.pk]), {"unlimited": "1"})
    work()
    assert files.target.rows("salinan") == files.source.rows("orang")
    run = SyncRun.objects.first()
    assert run is not None and (run.state, run.inserted, run.user) == ("done", 2, "provider-kons")
    assert run.request_id in text(clerk.get(saved["Location"]))


def _query(stage: Stage) -> str:
    from urllib.parse import urlencode

    return urlencode(choices(stage))


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"key-0": ""}, "kunci"),
        ({"to-1": "nik"}, "kolom tabel yang sama"),
        ({"deletions": "timestamp"}, "penanda"),
        ({"every_minutes": "4"}, "5"),
        ({"max_change_percent": "0"}, "1"),
    ],
)
def test_what_is_wrong_is_said(clerk: Client, files: Stage, changed: dict[str, str], field: str) -> None:
    files.target.table("salinan")
    values = form(**changed)
    if not values["key-0"]:
        del values["key-0"]
    answer = clerk.post(f"{reverse('admin:synchronization_sync_add')}?{_query(files)}", values)
    assert answer.status_code == 400
    assert field in text(answer)
    assert not Sync.objects.exists()


def test_only_what_the_agency_may_call_can_be_chosen(clerk: Client, files: Stage) -> None:
    files.target.table("salinan")
    Grant.objects.update(state="revoked")
    add = reverse("admin:synchronization_sync_add")
    assert "prov/data/orang" not in text(clerk.get(add, choices(files)))
    assert clerk.post(f"{add}?{_query(files)}", form()).status_code == 200  # the first step again
    assert not Sync.objects.exists()


def test_a_grant_of_some_columns_offers_these(clerk: Client, files: Stage) -> None:
    files.target.table("salinan")
    Grant.objects.update(fields="nik\nnama")
    shown = text(clerk.get(reverse("admin:synchronization_sync_add"), choices(files)))
    assert 'name="to-1"' in shown and 'name="to-2"' not in shown


def test_who_may_read_only_starts_nothing(files: Stage, sign_in: Any) -> None:
    sync = files.define()
    for role, sees in (("Head", True), ("Requester", False)):
        client = sign_in(role, files.consumer)
        page = client.get(reverse("admin:synchronization_sync_change", args=[sync.pk]))
        assert page.status_code == (200 if sees else 404)
        for word in ("run", "dry", "full", "cancel", "switch", "edit"):
            address = reverse(f"admin:synchronization_sync_{word}", args=[sync.pk])
            assert client.post(address).status_code == (403 if sees else 404), (role, word)
    assert not SyncRun.objects.exists()


def test_another_agency_finds_nothing(files: Stage, sign_in: Any) -> None:
    sync = files.define()
    client = sign_in("Provider", Agency.objects.create(code="asing", name="Asing"))
    assert "Salinan orang" not in text(client.get(reverse("admin:synchronization_sync_changelist")))
    for word in ("change", "edit", "delete", "history"):
        assert client.get(reverse(f"admin:synchronization_sync_{word}", args=[sync.pk])).status_code == 404
    for word in ("run", "dry", "full", "cancel", "switch"):
        assert client.post(reverse(f"admin:synchronization_sync_{word}", args=[sync.pk])).status_code == 404
    # The provider's own people cannot read which table of another agency their operation fills.
    other = sign_in("Provider", files.provider)
    assert other.get(reverse("admin:synchronization_sync_change", args=[sync.pk])).status_code == 404


def test_forged_choices_of_another_agency_are_refused(clerk: Client, files: Stage) -> None:
    files.target.table("salinan")
    other = dict(choices(files), source=str(files.operation.source_id))
    answer = clerk.post(f"{reverse('admin:synchronization_sync_add')}?{_encoded(other)}", form())
    assert answer.status_code == 200 and not Sync.objects.exists()


def _encoded(values: dict[str, str]) -> str:
    from urllib.parse import urlencode

    return urlencode(values)


def test_a_run_can_be_cancelled_and_the_schedule_turned_off(clerk: Client, files: Stage) -> None:
    sync = files.define(schedule="daily", enabled=True)
    page = reverse("admin:synchronization_sync_change", args=[sync.pk])
    clerk.post(reverse("admin:synchronization_sync_run", args=[sync.pk]))
    clerk.post(reverse("admin:synchronization_sync_run", args=[sync.pk]))
    assert SyncRun.objects.count() == 1, "there is one at a time"
    assert "/cancel/" in text(clerk.get(page))
    clerk.post(reverse("admin:synchronization_sync_cancel", args=[sync.pk]))
    assert SyncRun.objects.get().state == "cancelled"
    clerk.post(reverse("admin:synchronization_sync_switch", args=[sync.pk]))
    sync.refresh_from_db()
    assert (sync.enabled, sync.next_at) == (False, None)


def test_an_operation_can_be_deleted_by_its_provider(files: Stage, sign_in: Any) -> None:
    sync = files.define()
    files.grant.delete()
    provider = sign_in("Provider", files.provider)
    address = reverse("admin:dataservices_dataoperation_delete", args=[files.operation.pk])
    assert provider.post(address, {"post": "yes"}).status_code == 302
    sync.refresh_from_db()
    assert sync.operation is None
    assert files.run().problem == "operation"
    owner = sign_in("Provider", files.consumer)
    assert owner.get(reverse("admin:synchronization_sync_change", args=[sync.pk])).status_code == 200


def test_deleting_one_deletes_its_history(clerk: Client, files: Stage) -> None:
    sync = files.define()
    files.run()
    make_user("Head", files.consumer, "kepala")
    address = reverse("admin:synchronization_sync_delete", args=[sync.pk])
    assert clerk.get(address).status_code == 200
    assert clerk.post(address, {"post": "yes"}).status_code == 302
    assert not Sync.objects.exists() and not SyncRun.objects.exists()
