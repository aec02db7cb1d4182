"""Safe publishing on the pages: the author requests, a second person decides, and both see what it is about."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils.translation import gettext

from dataservices.models import DataOperation
from proxyservices.models import ProxyOperation
from registry.models import Field, Operation, PublishRequest
from registry.snapshot import holder
from tests.admin.conftest import SignIn
from tests.admin.operation_forms import address, form_of, said, save
from tests.cast import Cast
from tests.proxy.publishing import publish_proxy

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider(cast: Cast, sign_in: SignIn) -> Client:
    return sign_in("Provider", cast.provider, username="ani")


@pytest.fixture
def head(cast: Cast, sign_in: SignIn) -> Client:
    return sign_in("Head", cast.provider, username="kepala")


@pytest.fixture
def people(cast: Cast) -> DataOperation:
    """A draft with a personal column."""
    row = cast.define(
        "warga", "SELECT id, nama FROM orang WHERE id = :id", parameters=({"name": "id", "type": "integer"},),
        state="draft",
    )  # fmt: skip
    Field.objects.create(operation=row, name="id", classification="public")
    Field.objects.create(operation=row, name="nama", position=1, classification="personal")
    return row


def publish(client: Client, operation: Operation, reason: str = "") -> Any:
    stamp = client.get(address(operation)).context["version_bar"]["stamp"]
    return client.post(address(operation, "publish"), {"stamp": stamp, "reason": reason}, follow=True)


def page_of(request: PublishRequest, word: str = "change") -> str:
    return reverse(f"admin:registry_publishrequest_{word}", args=(request.pk,))


def decide(client: Client, request: PublishRequest, decision: str, reason: str = "") -> Any:
    return client.post(page_of(request, "decide"), {"decision": decision, "reason": reason}, follow=True)


def requested(client: Client, operation: DataOperation) -> PublishRequest:
    publish(client, operation, "Kerja sama 12/2026")
    return PublishRequest.objects.get(operation=operation, state="waiting")


def test_the_head_approves_what_she_sees(cast: Cast, provider: Client, head: Client, people: DataOperation) -> None:
    request = requested(provider, people)
    assert page_of(request) in provider.get(address(people)).content.decode()
    assert "warga" in head.get(reverse("admin:registry_publishrequest_changelist")).content.decode()
    page = head.get(page_of(request)).content.decode()
    for text in ("Kerja sama 12/2026", "<code>nama</code>", "SELECT id, nama FROM orang", 'value="approve"'):
        assert text in page
    assert "v1" in said(decide(head, request, "approve", "Setuju"))
    holder.refresh()
    assert cast.get("warga", "id=7").json()["data"] == [{"id": "7", "nama": "Orang 7"}]
    history = head.get(address(people, "versions")).content.decode()
    assert "Setuju" in history
    assert "kepala" in history


def waiting(client: Client) -> list[str]:
    """Return the pages of what the first page lists as waiting for a decision."""
    cards = client.get(reverse("admin:index")).context["cards"]
    return [line.url for card in cards if card.name == "inbox" for line in card.lines]


def test_the_first_page_shows_what_waits_for_a_decision(
    cast: Cast, sign_in: SignIn, provider: Client, head: Client, people: DataOperation
) -> None:
    request = requested(provider, people)
    assert page_of(request) in waiting(head)
    for other in (provider, sign_in("Head", cast.consumer, username="lain")):
        assert waiting(other) == []
    decide(head, request, "approve", "Setuju")
    assert waiting(head) == []


def test_the_first_page_leads_a_publisher_to_the_import(cast: Cast, sign_in: SignIn) -> None:
    page = sign_in("Publisher", cast.provider).get(reverse("admin:index")).content.decode()
    assert reverse("admin:proxyservices_proxyoperation_import") in page


def test_while_a_request_waits_its_author_reads_who_decides(
    provider: Client, head: Client, people: DataOperation
) -> None:
    publish = f'action="{address(people, "publish")}"'
    assert publish in provider.get(address(people)).content.decode()
    requested(provider, people)
    page = provider.get(address(people)).content.decode()
    assert publish not in page
    assert "kepala" in page


def test_the_author_sees_no_button_to_approve(provider: Client, head: Client, people: DataOperation) -> None:
    request = requested(provider, people)
    page = provider.get(page_of(request)).content.decode()
    assert 'value="approve"' not in page
    assert 'value="withdraw"' in page
    for decision in ("approve", "reject", "", "lain"):
        assert provider.post(page_of(request, "decide"), {"decision": decision}).status_code == 403
    decide(provider, request, "withdraw")
    request.refresh_from_db()
    assert request.state == "withdrawn"


def test_a_rejection_says_why(provider: Client, head: Client, people: DataOperation) -> None:
    request = requested(provider, people)
    decide(head, request, "reject")
    request.refresh_from_db()
    assert request.is_waiting  # without a reason nothing happens
    decide(head, request, "reject", "Tanpa dasar hukum")
    assert "Tanpa dasar hukum" in provider.get(page_of(request)).content.decode()
    assert DataOperation.objects.get(pk=people.pk).state == "draft"


def test_a_draft_that_changed_is_not_approved(provider: Client, head: Client, people: DataOperation) -> None:
    request = requested(provider, people)
    save(provider, people, form_of(provider, people), max_rows="5")
    page = head.get(page_of(request)).content.decode()
    assert 'value="approve"' not in page
    decide(head, request, "approve")
    request.refresh_from_db()
    assert (request.state, request.decided_by) == ("withdrawn", None)
    assert DataOperation.objects.get(pk=people.pk).state == "draft"


def test_the_state_in_the_form_is_no_way_around(provider: Client, head: Client, people: DataOperation) -> None:
    save(provider, people, form_of(provider, people), state="published")
    assert DataOperation.objects.get(pk=people.pk).state == "draft"
    save(provider, people, form_of(provider, people), state="deprecated")
    assert DataOperation.objects.get(pk=people.pk).state == "draft"


def test_open_access_with_personal_data_stays_a_draft(cast: Cast, provider: Client, people: DataOperation) -> None:
    response = save(provider, people, form_of(provider, people), state="published", access="open")
    assert "nama" in said(response)
    assert DataOperation.objects.get(pk=people.pk).state == "draft"
    response = publish(provider, people, "uji")
    assert "nama" in said(response)
    holder.refresh()
    assert cast.get("warga", "id=7").status == 404


def test_widening_waits_while_callers_get_what_is_published(
    cast: Cast, provider: Client, head: Client, people: DataOperation
) -> None:
    decide(head, requested(provider, people), "approve")
    save(provider, people, form_of(provider, people), max_rows="20000")
    request = requested(provider, people)
    page = head.get(page_of(request)).content.decode()
    assert "10000" in page
    assert "20000" in page
    assert DataOperation.objects.get(pk=people.pk).max_rows == 10_000
    decide(head, request, "approve")
    assert DataOperation.objects.get(pk=people.pk).max_rows == 20_000


def test_a_list_of_persons_is_published_with_a_reason(provider: Client, cast: Cast) -> None:
    row = cast.define("semua_warga", "SELECT id, nama FROM orang", state="draft")
    Field.objects.create(operation=row, name="nama", classification="personal")
    assert "nama" in said(publish(provider, row))
    assert DataOperation.objects.get(pk=row.pk).state == "draft"
    publish(provider, row, "Sinkronisasi dengan Dukcapil")
    published = DataOperation.objects.get(pk=row.pk)
    assert published.state == "published"
    assert published.versions.get().reason == "Sinkronisasi dengan Dukcapil"


def test_a_misspelt_column_stays_a_draft(provider: Client, cast: Cast) -> None:
    row = cast.define("unit", "SELECT unit FROM orang", state="draft")
    Field.objects.create(operation=row, name="unti")
    response = save(provider, row, form_of(provider, row), state="published")
    assert "unit" in said(response)
    assert DataOperation.objects.get(pk=row.pk).state == "draft"


def test_a_publisher_decides_on_proxies_and_sees_no_request_about_data(
    cast: Cast, provider: Client, head: Client, sign_in: SignIn, people: DataOperation
) -> None:
    about_data = requested(provider, people)
    publisher = sign_in("Publisher", cast.provider, username="putri")
    assert publisher.get(page_of(about_data)).status_code == 404
    proxy = publish_proxy(cast, "http://127.0.0.1:9/")
    ProxyOperation.objects.filter(pk=proxy.pk).update(state="draft")
    Field.objects.create(operation=proxy, name="nik", classification="personal")
    publish(publisher, proxy, "uji")
    about_proxy = PublishRequest.objects.get(operation=proxy)
    assert provider.get(page_of(about_proxy)).status_code == 404
    assert provider.post(page_of(about_proxy, "decide"), {"decision": "approve"}).status_code == 404
    decide(head, about_proxy, "approve")
    proxy.refresh_from_db()
    assert proxy.state == "published"


def test_the_list_names_what_runs_on_against_the_rules(provider: Client, cast: Cast, people: DataOperation) -> None:
    listing = reverse("admin:dataservices_dataoperation_changelist")
    Field.objects.create(operation=cast.operations["terbuka"], name="jumlah", classification="public")
    warning = gettext("open, not all columns are public")
    assert warning not in provider.get(listing).content.decode()
    DataOperation.objects.filter(pk=people.pk).update(state="published", access="open")
    assert provider.get(listing).content.decode().count(warning) == 1


def test_a_retired_operation_comes_back_by_the_same_rules(
    cast: Cast, provider: Client, head: Client, people: DataOperation
) -> None:
    DataOperation.objects.filter(pk=people.pk).update(state="retired")  # from before there were rules
    response = save(provider, people, form_of(provider, people), state="published")
    assert gettext("Not published again. Set the state to draft and publish the draft:") in said(response)
    assert DataOperation.objects.get(pk=people.pk).state == "retired"
    save(provider, people, form_of(provider, people), state="draft")
    decide(head, requested(provider, people), "approve")
    save(provider, people, form_of(provider, people), state="retired")
    save(provider, people, form_of(provider, people), state="published")  # this definition is approved
    assert DataOperation.objects.get(pk=people.pk).state == "published"


def test_bulk_publishing_follows_the_rules(cast: Cast, provider: Client, head: Client, people: DataOperation) -> None:
    plain = cast.define("unit", "SELECT unit FROM orang", state="draft")
    old = cast.define("lama", "SELECT id, nama FROM orang WHERE id = 1", state="retired", access="open")
    data = {"action": "publish_selected", "_selected_action": [people.pk, plain.pk, old.pk]}
    response = provider.post(reverse("admin:dataservices_dataoperation_changelist"), data, follow=True)
    states = dict(DataOperation.objects.values_list("code", "state"))
    assert (states["warga"], states["unit"], states["lama"]) == ("draft", "published", "retired")
    assert "prov/data/lama" in said(response)
    [question] = response.context["questions"]  # the reason for the one that a second person must approve
    assert question.startswith("prov/data/warga: ")
    assert not PublishRequest.objects.exists()
    asked = {name: str(value) for name, value in response.context["hidden"]}
    assert asked == {"action": "publish_selected", "_selected_action": str(people.pk)}
    response = provider.post(
        reverse("admin:dataservices_dataoperation_changelist"), {**asked, "reason": "Kerja sama 12/2026"}, follow=True
    )
    assert "1 operasi menunggu" in said(response)
    request = PublishRequest.objects.get(operation=people)
    assert (request.state, request.reason) == ("waiting", "Kerja sama 12/2026")
    decide(head, request, "approve")
    assert DataOperation.objects.get(pk=people.pk).state == "published"


def test_a_backends_drafts_are_published_together_by_the_rules(cast: Cast, sign_in: SignIn, head: Client) -> None:
    publisher = sign_in("Publisher", cast.provider, username="budi")
    people = publish_proxy(cast, "http://127.0.0.1:9/")
    assert people.backend is not None
    plain = ProxyOperation.objects.create(service=cast.service, code="polos", kind="proxy", backend=people.backend)
    ProxyOperation.objects.filter(pk=people.pk).update(state="draft")
    Field.objects.create(operation=people, name="nik", classification="personal")
    page = reverse("admin:proxyservices_backend_publish-drafts", args=(people.backend.pk,))
    response = publisher.post(page)
    assert [question.partition(":")[0] for question in response.context["questions"]] == [people.code]
    assert set(people.backend.operations.values_list("state", flat=True)) == {"draft"}
    response = publisher.post(page, {"reason": "uji"}, follow=True)
    assert "1 operasi menunggu" in said(response)
    assert "1 operasi diterbitkan" in said(response)
    assert ProxyOperation.objects.get(pk=plain.pk).state == "published"
    assert ProxyOperation.objects.get(pk=people.pk).state == "draft"
    assert PublishRequest.objects.get().operation_id == people.pk
    history = LogEntry.objects.filter(object_id=str(plain.pk))
    assert history.count() == 1  # a publication is logged once


def test_a_pass_through_operation_with_a_public_column_is_not_open(cast: Cast, sign_in: SignIn, head: Client) -> None:
    publisher = sign_in("Publisher", cast.provider, username="pau")
    row = publish_proxy(cast, "http://127.0.0.1:9/", code="lewat", fields=("kode",))
    Field.objects.filter(operation=row).update(classification="public")
    ProxyOperation.objects.filter(pk=row.pk).update(state="draft", access="open")
    publish(publisher, row, "uji")
    row.refresh_from_db()
    assert row.state == "draft"


def test_who_asks_by_nik_gets_personal_data(cast: Cast, sign_in: SignIn, head: Client) -> None:
    publisher = sign_in("Publisher", cast.provider, username="pau")
    row = publish_proxy(cast, "http://127.0.0.1:9/", code="nik", style="rest", path="warga/{nik}", parameters=("nik",))
    ProxyOperation.objects.filter(pk=row.pk).update(state="draft")
    publish(publisher, row, "uji")
    row.refresh_from_db()
    assert row.state == "draft"
    assert PublishRequest.waiting().filter(operation=row.pk).exists()


def test_the_keys_of_callers_are_not_collected_by_one_person(cast: Cast, sign_in: SignIn, head: Client) -> None:
    publisher = sign_in("Publisher", cast.provider, username="pau")
    row = publish_proxy(cast, "http://127.0.0.1:9/", code="lewat")
    save(publisher, row, form_of(publisher, row), forward_credentials="on")
    publish(publisher, row, "uji")
    row.refresh_from_db()
    assert not row.forward_credentials
    assert PublishRequest.waiting().filter(operation=row.pk).exists()
