"""The parts of an operation's page: who may call it, its last calls and changes, for those who may see them."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from registry.models import CallRecord, Operation
from tests.admin.conftest import SignIn
from tests.cast import Cast

pytestmark = pytest.mark.django_db

PARTS = ("callers", "calls", "history")


def part(word: str, operation: Operation) -> str:
    return reverse(f"admin:dataservices_dataoperation_{word}", args=(operation.pk,))


def record(operation: Operation, number: int) -> CallRecord:
    agency, service, code = operation.address.split("/")
    return CallRecord.objects.create(
        request_id=f"{number:032x}", started_at=timezone.now(), protocol="rest", method="GET", agency=agency,
        service=service, operation=code, operation_ref=operation.pk, consumer_agency="kons", application="app",
        outcome=200, status=200, rows=number, duration_us=1500,
    )  # fmt: skip


@pytest.fixture
def provider(cast: Cast, sign_in: SignIn) -> Client:
    return sign_in("Provider", cast.provider)


def test_callers_and_the_way_to_further_ones(cast: Cast, provider: Client) -> None:
    operation = cast.operations["satu"]
    text = provider.get(part("callers", operation)).content.decode()
    assert "kons/app" in text
    assert reverse("admin:registry_grant_change", args=(cast.grants["satu"].pk,)) in text
    listed = f"{reverse('admin:registry_grant_changelist')}?operation__id__exact={operation.pk}"
    assert listed in text
    assert {grant.operation_id for grant in provider.get(listed).context["cl"].result_list} == {operation.pk}
    added = provider.get(f"{reverse('admin:registry_grant_add')}?operation={operation.pk}")
    assert str(added.context["adminform"].form.initial["operation"]) == str(operation.pk)


def test_the_last_calls_are_read_by_an_index_and_not_counted(cast: Cast, provider: Client) -> None:
    operation = cast.operations["satu"]
    record(cast.operations["cari"], 1)
    for number in range(2, 30):
        record(operation, number)
    response = provider.get(part("calls", operation), headers={"HX-Request": "true"})
    assert [row["rows"] for row in response.context["calls"]] == list(range(29, 9, -1))
    assert "<html" not in response.content.decode()
    calls = CallRecord.objects.filter(operation_ref=operation.pk).order_by("-started_at", "-id")[:20]
    assert connection.vendor == "sqlite"
    assert "USING INDEX call_operation" in calls.explain()


def test_the_last_changes(cast: Cast, provider: Client) -> None:
    operation = cast.operations["semua"]
    address = reverse("admin:dataservices_dataoperation_change", args=(operation.pk,))
    form = provider.get(address).context["adminform"].form
    data = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items()}
    data = {name: "" if value is None else value for name, value in data.items()} | {"title": "Semua orang"}
    for prefix in ("parameters", "fields"):
        data |= {f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}
    assert provider.post(address, data).status_code == 302
    response = provider.get(part("history", operation), headers={"HX-Request": "true"})
    assert "judul" in response.content.decode()


@pytest.mark.parametrize("word", PARTS)
def test_a_stranger_and_a_user_without_the_right_see_nothing(word: str, cast: Cast, sign_in: SignIn) -> None:
    operation = cast.operations["satu"]
    assert sign_in("Provider", cast.stranger).get(part(word, operation)).status_code in (302, 404)
    assert sign_in("Requester", cast.provider).get(part(word, operation)).status_code in (302, 403, 404)
    assert sign_in("Supervisor").get(part(word, operation)).status_code == 200
