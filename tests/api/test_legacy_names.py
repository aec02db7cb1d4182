"""Names of 1.99x in the API and in the admin, under one rule."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from dataservices.models import DataOperation
from registry.models import Operation, Parameter
from tests.admin.conftest import make_user
from tests.api.conftest import Person
from tests.api.test_parity import address, posted
from tests.cast import Cast


@pytest.fixture
def operation(cast: Cast) -> DataOperation:
    parameters: tuple[dict[str, Any], ...] = ({"name": "kode_wilayah", "legacy_name": "kode-wil"}, {"name": "tahun"})
    return cast.operation("wilayah", "SELECT :kode_wilayah AS kode, :tahun AS tahun", parameters=parameters)


def test_the_api_has_the_names_of_1_99x(operation: DataOperation, provider: Person) -> None:
    place = f"operations/{operation.pk}/"
    body: dict[str, Any] = {
        "legacy_name": "_wilayah",
        "parameters": [{"name": "kode_wilayah", "legacy_name": "Ünï"}, {"name": "tahun"}],
    }
    changed = provider.patch(place, body).json()
    assert changed["legacy_name"] == "_wilayah"
    assert changed["parameters"][0]["legacy_name"] == "Ünï"
    body["parameters"][0]["legacy_name"] = "Tahun"
    refused = provider.patch(place, body)
    assert (refused.status_code, list(refused.json())) == (400, ["parameters"])


def test_the_admin_has_the_names_of_1_99x(cast: Cast, operation: DataOperation) -> None:
    client = Client()
    client.force_login(make_user("Provider", cast.provider))
    data = posted(operation, client) | {"legacy_name": "_wilayah", "parameters-0-legacy_name": "kode wil"}
    assert client.post(address(operation), data).status_code == 302
    assert Operation.objects.get(pk=operation.pk).legacy_name == "_wilayah"
    of_draft = Parameter.objects.filter(operation__draft_of=operation.pk, name="kode_wilayah")
    assert of_draft.get().legacy_name == "kode wil"
    refused = client.post(address(operation), data | {"parameters-0-legacy_name": "TAHUN"})
    assert refused.status_code == 200
    assert "Dua parameter akan bernama tahun" in refused.content.decode()
    assert of_draft.get().legacy_name == "kode wil"
