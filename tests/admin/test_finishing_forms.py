"""What helps people to finish a form: searched boxes, periods of quotas, proposals, confirmations, actions on many."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dataservices.models import DataOperation
from registry.admin.base import FEW
from registry.admin.quota_form import pairs
from registry.models import AccessKey, ApiToken, Grant, Operation, Service
from tests.admin.conftest import SignIn, make_user
from tests.cast import Cast

pytestmark = pytest.mark.django_db
LIST = "/admin/dataservices/dataoperation/"


@pytest.fixture
def provider(cast: Cast, sign_in: SignIn) -> Client:
    return sign_in("Provider", cast.provider)


# -------------------------------------------------------------------------------------- searched boxes


def test_many_operations_are_searched_for_and_few_are_listed(cast: Cast, provider: Client) -> None:
    add = reverse("admin:registry_grant_add")
    assert "prov/data/satu" in provider.get(add).content.decode()
    Operation.objects.bulk_create(
        Operation(service=cast.service, code=f"op{number}", kind="data") for number in range(FEW)
    )
    text = provider.get(add).content.decode()
    assert "prov/data/satu" not in text
    assert "data-ajax--url" in text
    query = {"app_label": "registry", "model_name": "grant", "field_name": "operation", "term": "prov/data/sat"}
    found = provider.get("/admin/autocomplete/", query).json()["results"]
    assert [each["text"] for each in found] == ["prov/data/satu"]


# ---------------------------------------------------------------------------------------------- quotas


@pytest.mark.parametrize(
    ("quota", "shown"),
    [
        ("", []),
        ("1000/day", [(1000, "day")]),
        ("10/second; 1000 per month", [(10, "second"), (1000, "month")]),
        ("10/2 minutes", None),
        ("1/second; 2/minute; 3/hour", None),
        ("5/year", None),
    ],
)
def test_quotas_that_the_boxes_can_show(quota: str, shown: Any) -> None:
    assert pairs(quota) == shown


def test_a_quota_is_a_number_and_a_period(cast: Cast, provider: Client) -> None:
    grant = cast.grants["satu"]
    page = reverse("admin:registry_grant_change", args=(grant.pk,))
    boxes = {"quota_0": "10", "quota_1": "second", "quota_2": "1000", "quota_3": "day"}
    assert provider.post(page, {"purpose": "uji", **boxes}).status_code == 302
    grant.refresh_from_db()
    assert grant.quota == "10/second; 1000/day"
    text = provider.get(page).content.decode()
    assert 'value="1000"' in text
    assert "per hari" in text
    assert "quota" in provider.post(page, {"purpose": "uji", "quota_0": "-1"}).context["adminform"].form.errors
    assert provider.post(page, {"purpose": "uji", "quota_0": ""}).status_code == 302
    grant.refresh_from_db()
    assert grant.quota == ""


def test_a_quota_of_another_form_stays_text(cast: Cast, provider: Client) -> None:
    grant = cast.grants["satu"]
    Grant.objects.filter(pk=grant.pk).update(quota="10/2 minutes")
    page = reverse("admin:registry_grant_change", args=(grant.pk,))
    assert provider.post(page, {"purpose": "uji", "quota": "20/2 minutes"}).status_code == 302
    grant.refresh_from_db()
    assert grant.quota == "20/2 minutes"


# ---------------------------------------------------------------------------------------------- expiry


def test_a_year_is_proposed_for_a_key(cast: Cast, sign_in: SignIn) -> None:
    response = sign_in("Requester", cast.consumer).get(reverse("admin:registry_accesskey_add"))
    proposed = response.context["adminform"].form.initial["expires_at"]
    assert timedelta(days=364) < proposed - timezone.now() < timedelta(days=366)


def test_a_past_expiry_is_refused(cast: Cast) -> None:
    past = timezone.now() - timedelta(seconds=1)
    with pytest.raises(ValidationError, match="expires_at"):
        AccessKey.issue(cast.application, past)
    with pytest.raises(ValidationError, match="expires_at"):
        ApiToken.issue(make_user("Provider", cast.provider), past)
    key = cast.key_row
    key.expires_at = past
    with pytest.raises(ValidationError, match="expires_at"):
        key.full_clean()
    AccessKey.objects.filter(pk=key.pk).update(expires_at=past)
    key.networks = "10.0.0.0/8"
    key.full_clean()  # a key that has expired can be saved


# --------------------------------------------------------------------------------------- confirmations


def test_a_code_in_addresses_changes_after_a_confirmation(cast: Cast, provider: Client) -> None:
    page = reverse("admin:registry_service_change", args=(cast.service.pk,))
    data = {
        "agency": cast.provider.pk, "code": "lain", "title": "Data", "description": "", "classification": "limited",
        "tags": "", "contact": "", "legacy_name": "",
    }  # fmt: skip
    response = provider.post(page, data)
    form = response.context["adminform"].form
    assert "alamat 5 operasi" in response.content.decode()
    assert Service.objects.get().code == "data"
    assert provider.post(page, {**data, "_confirmed": "lain"}).status_code == 200
    assert provider.post(page, {**data, "_confirmed": form.token}).status_code == 302
    assert Service.objects.get().code == "lain"
    assert provider.post(page, {**data, "title": "Judul"}).status_code == 302  # no question


def test_the_page_that_deletes_an_application_names_its_live_key(cast: Cast, sign_in: SignIn) -> None:
    for grant in cast.grants.values():
        grant.delete()
    page = reverse("admin:registry_application_delete", args=(cast.application.pk,))
    text = sign_in("Requester", cast.consumer).get(page).content.decode()
    assert f"{cast.key_row}: Cabut kunci" in text


# ------------------------------------------------------------------------------------ actions on many


def act(client: Client, action: str, *rows: Operation, **more: Any) -> Any:
    return client.post(LIST, {"action": action, "_selected_action": [row.pk for row in rows], **more}, follow=True)


def states(*rows: Operation) -> list[str]:
    return [Operation.objects.get(pk=row.pk).state for row in rows]


def test_operations_are_published_and_retired_together(cast: Cast, provider: Client) -> None:
    one, other = cast.operations["satu"], cast.operations["cari"]
    DataOperation.objects.filter(pk__in=(one.pk, other.pk)).update(state="draft")
    assert "2 operasi diterbitkan" in act(provider, "publish_selected", one, other).content.decode()
    assert states(one, other) == ["published", "published"]
    act(provider, "retire_selected", one)
    assert states(one, other) == ["retired", "published"]
    assert LogEntry.objects.count() == 3


def test_one_that_cannot_be_published_is_named_and_the_others_are(cast: Cast, provider: Client) -> None:
    one, other = cast.operations["satu"], cast.operations["cari"]
    DataOperation.objects.filter(pk__in=(one.pk, other.pk)).update(state="draft")
    DataOperation.objects.filter(pk=one.pk).update(sql="DROP TABLE orang")
    text = act(provider, "publish_selected", one, other).content.decode()
    assert "prov/data/satu: " in text
    assert states(one, other) == ["draft", "published"]


def test_operations_are_moved_to_another_service_of_the_agency(cast: Cast, provider: Client) -> None:
    target = Service.objects.create(agency=cast.provider, code="baru", title="Baru")
    foreign = Service.objects.create(agency=cast.stranger, code="asing", title="Asing")
    one, other = cast.operations["satu"], cast.operations["cari"]
    asked = act(provider, "move_selected", one, other)
    assert [str(service) for service in asked.context["form"].fields["service"].queryset] == ["prov/baru", "prov/data"]
    assert act(provider, "move_selected", one, service=foreign.pk).context["form"].errors
    act(provider, "move_selected", one, other, service=target.pk)
    assert {str(Operation.objects.get(pk=row.pk)) for row in (one, other)} == {"prov/baru/satu", "prov/baru/cari"}


def test_a_stranger_moves_and_publishes_nothing(cast: Cast, sign_in: SignIn) -> None:
    row = cast.operations["satu"]
    client = sign_in("Provider", cast.stranger)
    for action in ("publish_selected", "retire_selected", "move_selected"):
        act(client, action, row, service=cast.service.pk)
    assert states(row) == ["published"]


# ---------------------------------------------------------------------------------------- error pages


def test_refusals_have_pages_of_their_own_in_both_languages(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in("Requester", cast.consumer)
    refused, missing = client.get("/admin/registry/service/add/"), client.get("/admin/registry/application/99/change/")
    assert (refused.status_code, missing.status_code) == (403, 404)
    assert "tidak berhak" in refused.content.decode()
    strict = Client(enforce_csrf_checks=True)
    stale = strict.post("/admin/login/", {"username": "x"})
    assert stale.status_code == 403
    assert "kedaluwarsa" in stale.content.decode()
    strict.cookies[settings.LANGUAGE_COOKIE_NAME] = client.cookies[settings.LANGUAGE_COOKIE_NAME] = "en"
    assert "You have no right" in client.get("/admin/registry/service/add/").content.decode()
    assert "The form has expired" in strict.post("/admin/login/", {"username": "x"}).content.decode()
