"""Each page asks the database as often as query_budgets.json says, and speaks Indonesian.

A failure of the first shows the file as it would be.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from dataservices.models import DataOperation
from mantra.jobs.models import Job
from mantra.statistics import periods
from registry import roles, versions
from registry.models import Agency, Application, CallRecord, OperationVersion
from registry.statistics import reading, rollups
from tests import test_words
from tests.admin.conftest import make_agency, make_user
from tests.admin.pages import pages
from tests.admin.visible import texts
from tests.ended_calls import ended_call

MIDDLE = timezone.now().replace(day=15, hour=5)
BUDGETS = Path(__file__).with_name("query_budgets.json")


@dataclass(frozen=True)
class Visit:
    """A page: how often it asked the database, and its HTML, "" if it is data for a script."""

    queries: int
    html: str


def visit(client: Client, address: str) -> Visit:
    with CaptureQueriesContext(connection) as captured:
        response = client.get(address)
    assert response.status_code == 200, address
    is_page = response["Content-Type"].startswith("text/html")
    return Visit(len(captured), response.content.decode() if is_page else "")


@pytest.fixture(scope="module")
def visits(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[dict[str, Visit]]:
    """Every page once, with several rows of each kind. For statistics it is the middle of a month.

    They read whole months at once, so that their queries differ from day to day.
    """
    day = MIDDLE.date()
    with django_db_blocker.unblock(), transaction.atomic(), pytest.MonkeyPatch.context() as patched:
        for module in (reading, periods):
            patched.setattr(module, "timezone", SimpleNamespace(**vars(timezone) | {"localdate": lambda: day}))
        yield dict(_visits(_several_of_each()))
        transaction.set_rollback(True)


def _several_of_each() -> Agency:
    for number in range(3):
        make_agency(f"akik{number}")
    operation = DataOperation.objects.order_by("pk")[0]
    for number in (1, 2):
        definition = versions.definition(operation)
        definition["columns"]["title"] = f"v{number}"
        OperationVersion.objects.create(operation=operation, number=number, definition=definition, origin="admin")
    for number in range(60):
        CallRecord.objects.create(request_id=f"{number:032x}", started_at=timezone.now(), protocol="rest", method="GET")
    for number in range(3):
        application = Application.objects.order_by("pk")[number]
        Job.objects.create(application=application, operation=operation, language="id", input_format="csv")
    _count_calls(operation)
    return operation.service.agency


def _count_calls(operation: DataOperation) -> None:
    """Count calls that ended in each way, so that statistics have all their tables."""
    agency, application = operation.service.agency.code, Application.objects.order_by("pk")[0]
    named = {
        "agency": agency, "service": operation.service.code, "operation": operation.code, "operation_ref": operation.pk,
        "consumer_agency": application.agency.code, "application": application.code, "classification": "personal",
        "origin_ref": operation.source_id,
    }  # fmt: skip
    failed = {"outcome": 11201, "status": 502, "classification": ""}
    calls = [{**named, **(failed if number % 3 else {})} for number in range(30)]
    rollups.count(ended_call(started_at=MIDDLE, **values) for values in calls)


def _visits(agency: Agency) -> Iterator[tuple[str, Visit]]:
    readers: dict[str, Client] = {}
    for number, role in enumerate(roles.ROLES):
        readers[role] = Client()
        readers[role].force_login(make_user(role, None if role in roles.WITHOUT_AGENCY else agency, f"orang{number}"))
    client = readers[roles.ADMINISTRATOR]
    ContentType.objects.get_for_models(*apps.get_models())  # kept from then on, and perhaps from earlier tests
    client.get("/admin/")
    for role, reader in readers.items():
        yield f"first page, {role}", visit(reader, "/admin/")
    for name, address in pages().items():
        yield name, visit(client, address)


def test_each_page_asks_as_often_as_its_budget_says(visits: dict[str, Visit]) -> None:
    # A budget that is not needed any more would hide the next growth.
    budgets = json.loads(BUDGETS.read_text())
    queries = {name: each.queries for name, each in visits.items()}
    assert queries == budgets, f"{BUDGETS.name} would be:\n{json.dumps(queries, indent=4)}"


def test_no_page_has_an_english_or_a_banned_word(visits: dict[str, Visit]) -> None:
    pages_of = {text: name for name, each in visits.items() for text in texts(each.html)}
    assert len(pages_of) > 500
    found = [
        f"{name}: {word!r} in {text[:120]!r}"
        for text, name in pages_of.items()
        for word in (*test_words.english(text), *test_words.banned(text, indonesian=True))
    ]
    assert not found, "\n".join(found)
