"""Each page asks the database as often as query_budgets.json says. A failure shows the file as it would be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dataservices.models import DataOperation
from registry import roles, versions
from registry.models import CallRecord, OperationVersion
from tests.admin.conftest import SignIn, make_agency
from tests.admin.pages import pages

BUDGETS = Path(__file__).with_name("query_budgets.json")


@pytest.fixture
def queries(sign_in: SignIn) -> dict[str, int]:
    """The number of queries of each page, with several rows of each kind."""
    for number in range(3):
        make_agency(f"akik{number}")
    operation = DataOperation.objects.order_by("pk")[0]
    for number in (1, 2):
        definition = versions.definition(operation)
        definition["columns"]["title"] = f"v{number}"
        OperationVersion.objects.create(operation=operation, number=number, definition=definition, origin="admin")
    for number in range(60):
        CallRecord.objects.create(request_id=f"{number:032x}", started_at=timezone.now(), protocol="rest", method="GET")
    client = sign_in("Administrator")
    agency = operation.service.agency
    readers = {role: sign_in(role, None if role in roles.WITHOUT_AGENCY else agency) for role in roles.ROLES}
    ContentType.objects.get_for_models(*apps.get_models())  # kept from then on, and perhaps from earlier tests
    client.get("/admin/")
    counted = {}
    for role, reader in readers.items():
        with CaptureQueriesContext(connection) as captured:
            assert reader.get("/admin/").status_code == 200, role
        counted[f"first page, {role}"] = len(captured)
    for name, address in pages().items():
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address).status_code == 200, name
        counted[name] = len(captured)
    return counted


def test_each_page_asks_as_often_as_its_budget_says(queries: dict[str, int]) -> None:
    # A budget that is not needed any more would hide the next growth.
    budgets = json.loads(BUDGETS.read_text())
    assert queries == budgets, f"{BUDGETS.name} would be:\n{json.dumps(queries, indent=4)}"
