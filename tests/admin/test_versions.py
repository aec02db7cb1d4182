"""Versions on an operation's page: drafts, the bar, two editors, publishing, comparing, going back."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin.models import DELETION, LogEntry
from django.test import Client
from django.urls import reverse

from dataservices.models import DataOperation
from proxyservices.models import Backend, BackendServer
from registry import versions
from registry.models import Operation, OperationVersion, Parameter
from registry.snapshot import holder
from registry.versions import publishing
from tests.admin.conftest import SignIn
from tests.admin.operation_forms import address, form_of, said, save
from tests.cast import Cast, recorded
from tests.proxy.publishing import publish_proxy

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider(cast: Cast, sign_in: SignIn) -> Client:
    return sign_in("Provider", cast.provider, username="ani")


@pytest.fixture
def colleague(cast: Cast, sign_in: SignIn) -> Client:
    return sign_in("Provider", cast.provider, username="budi")


def bar(client: Client, operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = client.get(address(operation)).context["version_bar"]
    return found


def publish(client: Client, operation: Operation, reason: str = "", note: str = "") -> Any:
    data = {"stamp": bar(client, operation)["stamp"], "reason": reason, "change_note": note}
    return client.post(address(operation, "publish"), data, follow=True)


# ------------------------------------------------------------------------------------------- saving


def test_saving_a_published_operation_saves_its_draft(cast: Cast, provider: Client) -> None:
    operation = cast.operations["satu"]
    versions.record(operation, None)
    response = save(provider, operation, form_of(provider, operation), sql="SELECT id FROM orang WHERE id = :id")
    assert "v2" in said(response) and "v1" in said(response)
    holder.refresh()
    assert set(cast.get("satu", "id=1").json()["data"][0]) == {"id", "nama", "unit", "gaji"}
    page = provider.get(address(operation)).content.decode()
    assert "SELECT id FROM orang WHERE id = :id" in page
    assert "Terbitkan v2" in page
    assert "v2" in said(publish(provider, operation, "satu kolom"))
    holder.refresh()
    assert cast.get("satu", "id=1").json()["data"] == [{"id": 1}]
    version = OperationVersion.objects.get(operation=operation, number=2)
    assert (version.user, version.reason, version.origin) == ("ani", "satu kolom", "admin")
    assert not bar(provider, operation)["draft"]


def test_rows_that_were_posted_are_those_of_the_draft(cast: Cast, provider: Client) -> None:
    operation = cast.operations["satu"]
    before = operation.parameters.get()
    data = form_of(provider, operation)
    assert data["parameters-0-id"] == before.pk
    save(provider, operation, data, **{"parameters-0-min": "5"})
    draft = versions.draft_of(operation)
    assert [(each.min, each.pk != before.pk) for each in draft.parameters.all()] == [("5", True)]
    assert operation.parameters.get().min == ""
    save(provider, operation, form_of(provider, operation), **{"parameters-0-max": "9"})
    assert [(each.min, each.max) for each in draft.parameters.all()] == [("5", "9")]
    publish(provider, operation)
    after = operation.parameters.get()
    assert (after.pk, after.min, after.max) == (before.pk, "5", "9")


def test_what_is_not_versioned_applies_at_once(cast: Cast, provider: Client) -> None:
    operation = cast.operations["satu"]
    save(provider, operation, form_of(provider, operation), state="deprecated", legacy_name="lama")
    row = DataOperation.objects.get(pk=operation.pk)
    assert (row.state, row.legacy_name, versions.draft_of(row)) == ("deprecated", "lama", None)
    save(provider, operation, form_of(provider, operation), state="deprecated", title="Baru")
    assert versions.draft_of(row).title == "Baru" and versions.draft_of(row).state == "draft"
    save(provider, operation, form_of(provider, operation), state="draft")
    row.refresh_from_db()
    assert (row.state, row.title, versions.draft_of(row)) == ("draft", "Baru", None)


def test_line_ends_of_a_browser_are_no_change(cast: Cast, provider: Client) -> None:
    operation = cast.define("baris", "SELECT 1 AS satu,\n 2 AS dua")
    data = form_of(provider, operation)
    response = save(provider, operation, {**data, "sql": data["sql"].replace("\n", "\r\n")})
    assert versions.draft_of(operation) is None
    assert "v1" in said(response)


def test_the_line_end_of_a_text_in_a_bundle_is_no_change(cast: Cast, provider: Client) -> None:
    operation = cast.define("baris", "SELECT 1 AS satu\n", description="Satu.\n")
    save(provider, operation, form_of(provider, operation), listing="hidden")
    operation.refresh_from_db()
    assert operation.listing == "hidden"
    assert versions.draft_of(operation) is None


def test_a_new_operation_saved_as_published_gets_its_first_version(cast: Cast, provider: Client) -> None:
    new = cast.define("baru", "SELECT 1 AS satu", state="draft")
    response = save(provider, new, form_of(provider, new), state="published")
    assert "v1" in said(response)
    assert Operation.objects.get(pk=new.pk).revision == OperationVersion.objects.get(operation=new).number == 1


def test_a_refused_publication_leaves_everything_saved(
    cast: Cast, provider: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_change: versions.Change) -> None:
        raise versions.DraftExists

    monkeypatch.setattr(publishing, "CHECKS", [refuse])
    new = cast.define("baru", "SELECT 1 AS satu", state="draft")
    response = save(provider, new, form_of(provider, new), state="published", title="Judul")
    assert "draf" in said(response)
    row = DataOperation.objects.get(pk=new.pk)
    assert (row.state, row.title) == ("draft", "Judul")


def test_a_draft_is_in_no_list_of_the_admin(cast: Cast, provider: Client) -> None:
    operation = cast.operations["satu"]
    save(provider, operation, form_of(provider, operation), title="Konsep baru")
    draft = versions.draft_of(operation)
    assert "Konsep baru" not in provider.get(reverse("admin:dataservices_dataoperation_changelist")).content.decode()
    grant_form = provider.get(reverse("admin:registry_grant_add")).content.decode()
    assert f'value="{operation.pk}"' in grant_form and f'value="{draft.pk}"' not in grant_form
    assert provider.get(address(draft)).status_code == 404
    services = provider.get(reverse("admin:registry_service_changelist")).content.decode()
    assert re.search(r"<td[^>]*field-operation_count[^>]*>\s*<a [^>]*>5<", services)


def test_a_draft_is_not_among_all_operations_nor_offered_to_grants(cast: Cast, provider: Client) -> None:
    operation = cast.operations["satu"]
    save(provider, operation, form_of(provider, operation), title="Konsep baru")
    draft = versions.draft_of(operation)
    assert "Konsep baru" not in provider.get(reverse("admin:registry_operation_changelist")).content.decode()
    query = {"app_label": "registry", "model_name": "grant", "field_name": "operation", "term": "satu"}
    found = provider.get(reverse("admin:autocomplete"), query).json()["results"]
    assert [each["id"] for each in found] == [str(operation.pk)] != [str(draft.pk)]


def test_columns_are_taken_into_the_draft(cast: Cast, provider: Client) -> None:
    operation = cast.operations["satu"]
    response = save(provider, operation, form_of(provider, operation), _columns="1")
    assert response.status_code == 200
    names = versions.draft_of(operation).fields.values_list("name", flat=True)
    assert list(names) == ["id", "nama", "unit", "gaji"]
    assert not operation.fields.exists()


def test_the_log_is_that_of_the_published_operation(cast: Cast, provider: Client) -> None:
    operation = cast.operations["satu"]
    save(provider, operation, form_of(provider, operation), title="Lain")
    publish(provider, operation, "sebab")
    entries = LogEntry.objects.filter(user__username="ani")
    assert {entry.object_id for entry in entries} == {str(operation.pk)}
    assert "Lain" in entries.latest("pk").change_message and "sebab" in entries.latest("pk").change_message


# --------------------------------------------------------------------------------------- two editors


@pytest.mark.parametrize("code", ["satu", "konsep"])
def test_the_second_of_two_editors_is_told_and_loses_nothing(
    cast: Cast, provider: Client, colleague: Client, code: str
) -> None:
    cast.define("konsep", "SELECT 3 AS tiga", state="draft")
    operation = cast.operations[code]
    hers, his = form_of(provider, operation), form_of(colleague, operation)
    save(colleague, operation, his, title="Punya Budi", description="dari Budi")
    response = save(provider, operation, hers, title="Punya Ani")
    page = response.content.decode()
    assert 'id="conflict"' in page and "budi" in page and "Punya Budi" in page
    assert response.context["adminform"].form["title"].value() == "Punya Ani"
    stored = versions.draft_of(operation) or DataOperation.objects.get(pk=operation.pk)
    assert stored.title == "Punya Budi"
    again = save(provider, operation, hers, title="Punya Ani")
    assert 'id="conflict"' in again.content.decode()
    over = response.context["conflict"]["save_over"]
    save(provider, operation, hers, title="Punya Ani", save_over=over)
    assert type(stored).objects.get(pk=stored.pk).title == "Punya Ani"


def test_rows_survive_saving_over_a_draft_that_came_later(cast: Cast, provider: Client, colleague: Client) -> None:
    operation = cast.operations["cari"]
    hers, his = form_of(provider, operation), form_of(colleague, operation)
    save(colleague, operation, his, title="Punya Budi")
    response = save(provider, operation, hers, **{"parameters-1-description": "unit kerja"})
    over = response.context["conflict"]["save_over"]
    save(provider, operation, hers, save_over=over, **{"parameters-1-description": "unit kerja"})
    found = versions.draft_of(operation).parameters.values_list("name", "description")
    assert list(found) == [("nama", ""), ("unit", "unit kerja")]


def test_a_draft_that_was_published_meanwhile_is_not_overwritten_unseen(
    cast: Cast, provider: Client, colleague: Client
) -> None:
    operation = cast.operations["satu"]
    save(colleague, operation, form_of(colleague, operation), title="Satu")
    hers = form_of(provider, operation)
    publish(colleague, operation)
    response = save(provider, operation, hers, **{"parameters-0-min": "7"})
    assert 'id="conflict"' in response.content.decode()
    save(provider, operation, hers, save_over=response.context["conflict"]["save_over"], **{"parameters-0-min": "7"})
    assert [each.min for each in versions.draft_of(operation).parameters.all()] == ["7"]
    assert Parameter.objects.filter(operation=operation).count() == 1


def test_only_the_draft_that_was_seen_is_published(cast: Cast, provider: Client, colleague: Client) -> None:
    operation = cast.operations["satu"]
    save(provider, operation, form_of(provider, operation), title="Dilihat")
    seen = bar(provider, operation)["stamp"]
    save(colleague, operation, form_of(colleague, operation), title="Diubah")
    for word in ("publish", "discard"):
        provider.post(address(operation, word), {"stamp": seen})
        assert versions.draft_of(operation).title == "Diubah"


def test_a_draft_of_an_older_version_replaces_the_newer_one_knowingly(cast: Cast, provider: Client) -> None:
    operation = cast.operations["satu"]
    save(provider, operation, form_of(provider, operation), description="draf")
    row = DataOperation.objects.get(pk=operation.pk)
    row.title = "Lewat API"
    row.save()
    versions.record(row, None)
    publish(provider, operation)
    assert DataOperation.objects.get(pk=operation.pk).title == "Lewat API"
    data = {"stamp": bar(provider, operation)["stamp"], "over": "1"}
    provider.post(address(operation, "publish"), data)
    assert DataOperation.objects.get(pk=operation.pk).description == "draf"


# ----------------------------------------------------------------------------------------- the views


def test_the_comparison_shows_both_sides(cast: Cast, provider: Client) -> None:
    operation = cast.operations["satu"]
    sql = "SELECT id,\n nama\nFROM orang\nWHERE id = :id"
    save(provider, operation, form_of(provider, operation), sql=sql, access="open", **{"parameters-0-min": "5"})
    page = provider.get(address(operation, "compare")).content.decode()
    assert re.findall(r'data-section="(\w+)"', page) == ["query", "parameters", "access"]
    assert (
        'class="mantra-old"' in page and "SELECT id, nama, unit, gaji FROM orang" in page and "WHERE id = :id" in page
    )
    save(provider, operation, form_of(provider, operation), access="restricted")
    publish(provider, operation)
    assert "mantra-pair" in provider.get(address(operation, "compare") + "?old=1&new=2").content.decode()
    assert provider.get(address(operation, "compare") + "?old=1&new=77").status_code == 404
    assert provider.get(address(operation, "compare") + "?old=1&new=draft").status_code == 404


def test_an_earlier_version_is_published_again(cast: Cast, provider: Client) -> None:
    operation = cast.operations["satu"]
    save(provider, operation, form_of(provider, operation), title="Kedua")
    publish(provider, operation, "alasan kedua", "catatan kedua")
    assert "catatan kedua" in provider.get(address(operation, "versions")).content.decode()
    page = provider.get(address(operation, "versions")).content.decode()
    assert "alasan kedua" in page and "ani" in page and "Kedua" in page
    provider.post(address(operation, "revert"), {"version": "1", "reason": "salah", "action": "publish"})
    row = DataOperation.objects.get(pk=operation.pk)
    assert (row.title, row.revision) == ("", 3)
    provider.post(address(operation, "revert"), {"version": "2", "action": "draft"})
    assert versions.draft_of(row).title == "Kedua" and DataOperation.objects.get(pk=row.pk).revision == 3


def test_a_draft_is_discarded(cast: Cast, provider: Client) -> None:
    operation = cast.operations["satu"]
    save(provider, operation, form_of(provider, operation), title="Dibuang")
    provider.post(address(operation, "discard"), {"stamp": bar(provider, operation)["stamp"]})
    assert versions.draft_of(operation) is None


def test_no_version_shows_a_secret(cast: Cast, sign_in: SignIn) -> None:
    publisher = sign_in("Publisher", cast.provider)
    secret = {"location": "header", "name": "X-Kunci", "value": "kata-rahasia", "secret": True}
    proxy = publish_proxy(cast, "http://satu.contoh/a", style="rest", mappings=(secret,))
    data = form_of(publisher, proxy)
    save(publisher, proxy, data, **{"mappings-0-value": "rahasia-baru"})
    assert str(proxy.mappings.get().value) == "kata-rahasia"
    other = Backend.objects.create(agency=cast.provider, code="lain")
    BackendServer.objects.create(backend=other, url="http://lain.contoh/a")
    save(publisher, proxy, form_of(publisher, proxy), backend=str(other.pk))
    assert versions.draft_of(proxy).backend == proxy.backend  # the secret is asked for again
    pages = [publisher.get(address(proxy, word)).content.decode() for word in ("compare", "versions", "change")]
    publish(publisher, proxy)
    pages += [publisher.get(address(proxy, word)).content.decode() for word in ("compare", "versions", "history")]
    assert not any("rahasia-baru" in page or "kata-rahasia" in page for page in pages)
    assert str(proxy.mappings.get().value) == "rahasia-baru"


# --------------------------------------------------------------------------------------- the try-out


def test_the_draft_and_the_published_version_can_be_tried(cast: Cast, provider: Client) -> None:
    operation = cast.operations["satu"]
    versions.record(operation, None)
    save(provider, operation, form_of(provider, operation), sql="SELECT 'dari-draf' AS asal FROM orang WHERE id = :id")
    where = reverse("try_operation", args=(operation.pk,))
    assert "dari-draf" in provider.post(where, {"p_id": "1"}).content.decode()
    begun = [line for line in recorded() if line["t"] == "begin"][-1]
    assert begun["op"][-2:] == [operation.pk, 2]
    published = provider.post(f"{where}?which=published", {"p_id": "1"}).content.decode()
    assert "dari-draf" not in published and "Orang 1" in published
    assert [line for line in recorded() if line["t"] == "begin"][-1]["op"][-1] == 1


# ------------------------------------------------------------------------------------------- tenancy


def test_a_stranger_finds_nothing_and_a_supervisor_changes_nothing(
    cast: Cast, provider: Client, sign_in: SignIn
) -> None:
    operation = cast.operations["satu"]
    save(provider, operation, form_of(provider, operation), title="Rahasia dapur")
    data = {"stamp": bar(provider, operation)["stamp"], "version": "1", "action": "publish"}
    stranger, supervisor = sign_in("Provider", cast.stranger), sign_in("Supervisor")
    for word in ("versions", "compare"):
        assert stranger.get(address(operation, word)).status_code == 404
        assert supervisor.get(address(operation, word)).status_code == 200
    for word in ("publish", "discard", "revert"):
        assert stranger.post(address(operation, word), data).status_code == 404
        assert supervisor.post(address(operation, word), data).status_code == 403
        assert provider.get(address(operation, word)).status_code == 403
    assert versions.draft_of(operation).title == "Rahasia dapur"
    assert OperationVersion.objects.filter(operation=operation).count() == 1


def test_all_versions_are_reached_page_by_page(cast: Cast, provider: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.admin.versions.MAX_VERSIONS", 2)
    operation = cast.operations["satu"]
    for number in range(3):
        operation.title = f"Judul {number}"
        operation.save()
        versions.record(operation, None)
    first = provider.get(address(operation, "versions"))
    assert [each["version"].number for each in first.context["versions"]] == [3, 2]
    second = provider.get(address(operation, "versions") + f"?before={first.context['older']}")
    assert [each["version"].number for each in second.context["versions"]] == [1]
    assert second.context["older"] is None


def test_deleting_an_operation_logs_it_once(cast: Cast, provider: Client) -> None:
    operation = cast.define("hapus", "SELECT 1 AS satu")
    cast.grants["hapus"].delete()
    save(provider, operation, form_of(provider, operation), title="Draf")
    provider.post(address(operation, "delete"), {"post": "yes"})
    assert not Operation.objects.filter(code="hapus").exists()
    assert not OperationVersion.objects.filter(operation=operation.pk).exists()
    assert LogEntry.objects.filter(action_flag=DELETION).count() == 1


@pytest.mark.parametrize("number", ["²", "-1", "9" * 40])
def test_numbers_that_are_none_are_not_found(cast: Cast, provider: Client, number: str) -> None:
    operation = cast.operations["satu"]
    assert provider.get(address(operation, "versions"), {"before": number}).status_code == 200
    assert provider.get(address(operation, "compare"), {"old": number}).status_code == 404
