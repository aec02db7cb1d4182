"""The form of a data operation: what the SQL and its parameters say of each other."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from dataservices.models import DataOperation
from registry import versions
from tests.admin.conftest import SignIn
from tests.cast import Cast

pytestmark = pytest.mark.django_db

PARAMETER = {"type": "text", "required": "on", "description": "", "position": "0", "default": "", "pattern": "",
             "min": "", "max": "", "choices": ""}  # fmt: skip


@pytest.fixture
def provider(cast: Cast, sign_in: SignIn) -> Client:
    return sign_in("Provider", cast.provider)


def post(client: Client, operation: DataOperation, sql: str, *parameters: dict[str, Any], **more: str) -> HttpResponse:
    """The page's answer when the form is sent with this SQL and these parameters."""
    data = {
        "service": operation.service_id, "source": operation.source_id, "code": operation.code, "title": "",
        "description": "", "sql": sql, "max_rows": 100, "timeout_ms": 1000, "page_size": 0, "state": "published",
        "access": "restricted", "listing": "members", "cache_seconds": 0, "guard": "alarm", "fields-TOTAL_FORMS": 0,
        "fields-INITIAL_FORMS": 0,
        "parameters-TOTAL_FORMS": len(parameters),
        "parameters-INITIAL_FORMS": sum("id" in each for each in parameters), **more,
    }  # fmt: skip
    for number, each in enumerate(parameters):
        values = {**PARAMETER, "operation": operation.pk, **each}
        data |= {f"parameters-{number}-{name}": value for name, value in values.items()}
    return client.post(f"/admin/dataservices/dataoperation/{operation.pk}/change/", data)


def errors(response: HttpResponse) -> list[str]:
    return [
        text for form in response.context["inline_admin_formsets"][0].formset.errors for text in form.get("name", [])
    ]


def test_a_parameter_without_a_placeholder_is_not_saved(cast: Cast, provider: Client) -> None:
    operation = cast.define(
        "warga",
        "SELECT id FROM orang WHERE unit = :unit AND nama = :nama",
        parameters=({"name": "unit"}, {"name": "nama"}),
    )
    unit, name = operation.parameters.order_by("position")
    stored = [{"id": unit.pk, "name": "unit"}, {"id": name.pk, "name": "nama"}]
    response = post(provider, operation, "SELECT id FROM orang WHERE nama = :nama", *stored)
    assert response.status_code == 200
    assert any(":unit" in text for text in errors(response))
    operation.refresh_from_db()
    assert ":unit" in operation.sql
    stored[0]["DELETE"] = "on"
    assert post(provider, operation, "SELECT id FROM orang WHERE nama = :nama", *stored).status_code == 302
    assert [each.name for each in versions.draft_of(operation).parameters.all()] == ["nama"]


def test_a_placeholder_that_moves_into_a_block_makes_its_parameter_optional(cast: Cast, provider: Client) -> None:
    operation = cast.define("warga", "SELECT id FROM orang WHERE unit = :unit", parameters=({"name": "unit"},))
    stored = {"id": operation.parameters.get().pk, "name": "unit"}
    sql = "SELECT id FROM orang WHERE 1 = 1 [[ AND unit = :unit ]]"
    assert post(provider, operation, sql, stored).status_code == 302
    assert not versions.draft_of(operation).parameters.get().required
    # The author may then decide otherwise.
    assert post(provider, operation, sql, stored, title="Warga").status_code == 302
    assert operation.parameters.get().required


def test_a_placeholder_in_quotation_marks_is_reported_with_its_right_spelling(cast: Cast, provider: Client) -> None:
    operation = cast.define("warga", "SELECT id FROM orang")
    response = post(provider, operation, "SELECT id FROM orang WHERE nama LIKE '%:nama%'")
    assert response.status_code == 200
    (text,) = response.context["adminform"].form.errors["sql"]
    assert "'%' || :nama || '%'" in text
