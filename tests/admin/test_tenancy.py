"""One walk over every page of the admin, as somebody of another agency, who must find nothing of the first."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.core import serializers
from django.db.models import ForeignKey, Model
from django.test import Client
from django.urls import reverse

from dataservices.models import DataOperation, DataSource
from registry.models import AccessKey, Agency, Application, Grant, OutboxMessage, Service
from tests.admin.conftest import MARKER, OF_THE_BUS, MarkedAgency, SignIn

ROLES = ("Head", "Provider", "Publisher", "Requester")
PAGES = admin.site._registry
#: What a head may do.
DECISIONS = {"decide", "step"}
#: Finds the mark without holding it: a page says back what was searched for.
TERM = MARKER[:5]
#: Meant to be: a provider grants to the application of any agency.
FOREIGN = {("registry", "grant", "application")}


def address(model: type[Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def nothing_in(response: Any) -> bool:
    """Refused, or without the mark anywhere in its bytes."""
    if response.status_code in (400, 403, 404):
        return True
    assert response.status_code == 200, response.status_code
    return MARKER not in response.content.decode()


def book(marked: MarkedAgency) -> str:
    """All that there is of the agency, as text."""
    return serializers.serialize("json", [type(row).objects.get(pk=row.pk) for row in marked.rows])


@pytest.fixture(params=ROLES)
def client(request: pytest.FixtureRequest, sign_in: SignIn, stranger: Agency) -> Client:
    return sign_in(request.param, stranger)


def test_the_walk_meets_every_page(marked: MarkedAgency) -> None:
    assert {type(row) for row in marked.rows} == set(PAGES) - OF_THE_BUS


def test_its_own_people_find_it(marked: MarkedAgency, sign_in: SignIn) -> None:
    owner = sign_in("Provider", marked.agency)
    for row in (marked.service, marked.source, marked.operation, marked.grant, marked.record):
        assert MARKER in owner.get(address(type(row), "changelist")).content.decode()
        assert owner.get(address(type(row), "change", row.pk)).status_code == 200


@pytest.mark.parametrize("model", PAGES, ids=lambda model: model._meta.label)
def test_lists_searches_and_forms_show_nothing(model: type[Model], client: Client, marked: MarkedAgency) -> None:
    for query in ({}, {"q": TERM, "all": "", "o": "1"}):
        assert nothing_in(client.get(address(model, "changelist"), query))
    assert nothing_in(client.get(address(model, "add")))


def test_no_row_can_be_opened(client: Client, marked: MarkedAgency) -> None:
    for row in marked.rows:
        for page in ("change", "delete", "history"):
            for response in (
                client.get(address(type(row), page, row.pk)),
                client.post(address(type(row), page, row.pk), {"post": "yes"}),
            ):
                assert response.status_code in (403, 404, 405), (row, page, response.status_code)


def test_no_row_can_be_touched_by_a_button_or_an_action(client: Client, marked: MarkedAgency) -> None:
    before = book(marked)
    tried = 0
    for row in marked.rows:
        page = PAGES[type(row)]
        for word in page.row_views():
            assert client.post(address(type(row), word, row.pk)).status_code in (403, 404, 405)
            assert client.get(address(type(row), word, row.pk)).status_code in (403, 404, 405)
            tried += 1
        for name in {"delete_selected", *(page.actions or ())}:
            for across in ("0", "1"):
                data = {"action": name, "_selected_action": [str(row.pk)], "select_across": across, "post": "yes"}
                response = client.post(address(type(row), "changelist"), data, follow=True)
                assert nothing_in(response)
                tried += 1
    assert tried > 20
    assert book(marked) == before


def test_no_autocomplete_names_anything(client: Client, marked: MarkedAgency, request: pytest.FixtureRequest) -> None:
    asked = answered = 0
    for model in PAGES:
        for field in model._meta.get_fields():
            if not isinstance(field, ForeignKey):
                continue
            place = (model._meta.app_label, model._meta.model_name, field.name)
            for term in ("", TERM):
                query = dict(zip(("app_label", "model_name", "field_name"), place, strict=True)) | {"term": term}
                response = client.get(reverse("admin:autocomplete"), query)
                asked += 1
                answered += response.status_code == 200
                if place not in FOREIGN:
                    assert nothing_in(response), place
    assert asked > 20
    # A head has no form that offers rows.
    assert bool(answered) == (request.node.callspec.params["client"] != "Head")


def test_nothing_of_it_is_on_the_first_page_or_in_the_search(client: Client, marked: MarkedAgency) -> None:
    assert nothing_in(client.get(reverse("admin:index")))
    assert nothing_in(client.get(reverse("admin:search"), {"s": TERM, "extended": "1"}))
    for app in ("registry", "dataservices", "proxyservices"):
        assert nothing_in(client.get(reverse("admin:app_list", args=(app,))))


def test_no_operation_of_it_can_be_tried(client: Client, marked: MarkedAgency) -> None:
    for operation in (marked.operation, marked.proxy):
        where = reverse("try_operation", args=(operation.pk,))
        assert client.get(where).status_code == 404
        assert client.post(where).status_code == 404


def has(model: type[Model], *path: str) -> bool:
    """Return True if the model has the foreign keys of the path: without them there is nothing to filter by."""
    related: Any = model
    for name in path:
        field = next((field for field in related._meta.get_fields() if field.name == name), None)
        if not isinstance(field, ForeignKey):
            return False
        related = field.related_model
    return True


PATHS = (("agency",), ("service", "agency"), ("application", "agency"))
FILTERS = [(model, path) for model in PAGES for path in PATHS if has(model, *path)]


def test_a_filter_names_no_other_agency(client: Client, marked: MarkedAgency) -> None:
    assert len(FILTERS) > 10
    for model, path in FILTERS:
        lookup = "__".join((*path, "id", "exact"))
        response = client.get(address(model, "changelist"), {lookup: marked.agency.pk}, follow=True)
        assert nothing_in(response)


FORMS: list[tuple[str, type[Model], dict[str, str]]] = [
    ("Provider", Service, {"agency": "agency"}),
    ("Provider", DataSource, {"agency": "agency"}),
    ("Provider", DataOperation, {"service": "service", "source": "source"}),
    ("Provider", Grant, {"operation": "operation", "application": "application"}),
    ("Requester", Application, {"agency": "agency"}),
    ("Requester", AccessKey, {"application": "application"}),
]


@pytest.mark.parametrize(("role", "model", "foreign"), FORMS, ids=lambda value: getattr(value, "__name__", ""))
def test_no_form_takes_a_row_of_it(
    role: str, model: type[Model], foreign: dict[str, str], sign_in: SignIn, stranger: Agency, marked: MarkedAgency
) -> None:
    data = {
        "code": "baru", "title": "Baru", "classification": "limited", "engine": "sqlite", "database": "x",
        "options": "{}", "pool_size": "5", "sql": "SELECT 1 AS a", "max_rows": "10", "timeout_ms": "1000",
        "page_size": "0", "state": "draft", "access": "restricted", "listing": "members", "cache_seconds": "0",
        "guard": "alarm",
        "purpose": "uji",
        "parameters-TOTAL_FORMS": "0", "parameters-INITIAL_FORMS": "0",
        "fields-TOTAL_FORMS": "0", "fields-INITIAL_FORMS": "0",
    }  # fmt: skip
    data |= {name: str(getattr(marked, row).pk) for name, row in foreign.items()}
    before = model.objects.count()
    response = sign_in(role, stranger).post(address(model, "add"), data)
    assert response.status_code == 200
    errors = response.context["adminform"].form.errors
    assert set(errors) & set(foreign), errors
    assert model.objects.count() == before


def test_somebody_without_an_agency_sees_nothing(marked: MarkedAgency, sign_in: SignIn) -> None:
    client = sign_in("Provider", None, username="tanpa")
    for row in marked.rows:
        assert nothing_in(client.get(address(type(row), "changelist")))
        assert client.get(address(type(row), "change", row.pk)).status_code in (403, 404)


def test_the_supervisor_sees_all_and_changes_nothing(marked: MarkedAgency, sign_in: SignIn) -> None:
    client = sign_in("Supervisor")
    before = book(marked)
    for row in marked.rows:
        if row == marked.token:
            continue
        assert MARKER in client.get(address(type(row), "changelist")).content.decode()
        assert client.get(address(type(row), "change", row.pk), follow=True).status_code == 200
        assert client.post(address(type(row), "change", row.pk), {"code": "x"}).status_code == 403
        assert client.get(address(type(row), "add")).status_code == 403
        assert client.post(address(type(row), "delete", row.pk), {"post": "yes"}).status_code == 403
        for word in PAGES[type(row)].row_views():
            # 405: a page that only shows something.
            assert client.post(address(type(row), word, row.pk)).status_code in (403, 405)
    assert book(marked) == before


def test_the_head_sees_all_of_the_own_agency_and_changes_nothing(marked: MarkedAgency, sign_in: SignIn) -> None:
    client = sign_in("Head", marked.agency)
    before = book(marked)
    for row in marked.rows:
        page = client.get(address(type(row), "change", row.pk), follow=True)
        # Administrators manage users and the outbox, and each user the own tokens.
        if row in (marked.user, marked.token) or isinstance(row, OutboxMessage):
            assert page.status_code in (403, 404)
            continue
        assert page.status_code == 200
        assert MARKER in client.get(address(type(row), "changelist")).content.decode()
        assert client.post(address(type(row), "change", row.pk), {"code": "x"}).status_code == 403
        assert client.get(address(type(row), "add")).status_code == 403
        assert client.post(address(type(row), "delete", row.pk), {"post": "yes"}).status_code == 403
        for word in set(PAGES[type(row)].row_views()) - DECISIONS:
            assert client.post(address(type(row), word, row.pk)).status_code in (403, 405)
    for operation in (marked.operation, marked.proxy):
        assert client.post(reverse("try_operation", args=(operation.pk,))).status_code in (403, 404)
    assert book(marked) == before


def test_the_administrator_sees_and_changes_all(marked: MarkedAgency, sign_in: SignIn) -> None:
    client = sign_in("Administrator")
    for row in marked.rows:
        if row != marked.token:
            assert client.get(address(type(row), "change", row.pk), follow=True).status_code == 200
    data = {"code": marked.agency.code, "name": "Nama Baru"}
    assert client.post(address(Agency, "change", marked.agency.pk), data).status_code == 302
    marked.agency.refresh_from_db()
    assert marked.agency.name == "Nama Baru"


def test_a_provider_only_reads_its_own_agency(marked: MarkedAgency, sign_in: SignIn) -> None:
    client = sign_in("Provider", marked.agency)
    assert client.get(address(Agency, "change", marked.agency.pk)).status_code == 200
    assert client.post(address(Agency, "change", marked.agency.pk), {"code": "x", "name": "x"}).status_code == 403


def test_nobody_adds_changes_or_deletes_history(marked: MarkedAgency, sign_in: SignIn) -> None:
    record = type(marked.record)
    for client in (sign_in("Administrator"), sign_in("Administrator", username="root", is_superuser=True)):
        assert client.get(address(record, "add")).status_code == 403
        assert client.post(address(record, "change", marked.record.pk), {"agency": "x"}).status_code == 403
        assert client.post(address(record, "delete", marked.record.pk), {"post": "yes"}).status_code == 403
        data = {"action": "delete_selected", "_selected_action": [str(marked.record.pk)], "post": "yes"}
        client.post(address(record, "changelist"), data)
        assert record.objects.filter(pk=marked.record.pk).exists()


def test_page_of_another_agency_is_404_with_a_link_home(
    marked: MarkedAgency, sign_in: SignIn, stranger: Agency
) -> None:
    response = sign_in("Publisher", stranger).get(address(type(marked.proxy), "change", marked.proxy.pk))
    assert response.status_code == 404
    assert f'<a href="{reverse("admin:index")}">' in response.content.decode()
