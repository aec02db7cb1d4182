"""Two doors, one rule: each role makes each change through the admin's form and through the API, and both end alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core import serializers
from django.db import transaction
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from proxyservices.models import ParameterMapping, Upstream
from registry.models import Agency, ApiToken, User
from registry.secrets import EncryptedField
from tests.admin.conftest import MarkedAgency, make_agency
from tests.api.conftest import Person

ROLES = ("Administrator", "Supervisor", "Provider", "Publisher", "Requester", "stranger")
ENDPOINTS = {
    "agency": "agencies", "service": "services", "source": "sources", "operation": "operations", "proxy": "operations",
    "application": "applications", "key": "keys", "grant": "grants",
}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """One change of a row: fields of the admin's form, and members of the API's body. Both mean the same."""

    kind: str
    name: str
    form: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.kind}-{self.name}"


def plain(kind: str, **values: Any) -> Change:
    return Change(kind, "-".join(values), values, values)


def upstream(name: str, **values: Any) -> Change:
    """A change of the operation's only upstream. What the API's list leaves out keeps its secret, as an empty field."""
    stored = {"url": "https://zamrud.go.id/api", "credential_kind": "access-key"}
    form = {f"upstreams-0-{column}": value for column, value in values.items()}
    return Change("proxy", name, form, {"upstreams": [stored | values]})


def mapping(name: str, **values: Any) -> Change:
    stored = {"location": "header", "name": "X-zamrud", "secret": True}
    form = {f"mappings-0-{column}": value for column, value in values.items()}
    return Change("proxy", name, form, {"mappings": [stored | values]})


CHANGES = [
    plain("agency", name="Badan Baru"),
    plain("service", title="Layanan baru"),
    plain("source", pool_size=7),
    plain("source", host="pencuri.contoh"),
    plain("source", port=6543),
    plain("source", options={"sslmode": "require"}),
    plain("source", host="lain.contoh", password="yang-baru"),
    plain("source", host="lain.contoh", password="sandi-zamrud"),
    plain("operation", title="Data baru"),
    plain("operation", max_rows=10),
    plain("proxy", title="Alias baru"),
    plain("proxy", timeout_ms=1),
    upstream("another server", url="https://pencuri.contoh/api"),
    upstream("another port", url="https://zamrud.go.id:8443/api"),
    upstream("another path", url="https://zamrud.go.id/v2"),
    upstream(
        "another token server", credential_kind="oauth2", credential_name="k", token_url="https://pencuri.contoh/"
    ),
    upstream("another kind", credential_kind="bearer"),
    upstream("another kind and its secret", credential_kind="bearer", credential="yang-baru"),
    upstream("weight", weight=5),
    mapping("shown", secret=False),
    mapping("shown anew", secret=False, value="tetapan"),
    mapping("another value", value="yang-baru"),
    plain("application", title="Aplikasi baru"),
    Change("key", "networks", {"networks": "10.0.0.0/8"}, {"networks": ["10.0.0.0/8"]}),
    plain("grant", purpose="Tujuan baru"),
    Change("grant", "networks", {"networks": "tidak-ada"}, {"networks": ["tidak-ada"]}),
]


@pytest.fixture
def marked(db: None) -> MarkedAgency:
    return make_agency("zamrud")


@pytest.fixture(params=ROLES)
def person(request: pytest.FixtureRequest, marked: MarkedAgency) -> Person:
    role = "Provider" if request.param == "stranger" else request.param
    agency: Agency | None = marked.agency
    if request.param == "stranger":
        agency = Agency.objects.create(code="asing", name="Asing")
    elif role in ("Administrator", "Supervisor"):
        agency = None
    user = User.objects.create(username=f"uji-{request.param}", agency=agency, is_staff=True)
    user.groups.set([Group.objects.get(name=role)])
    _row, token = ApiToken.issue(user, timezone.now() + timedelta(days=1))
    client = Client()
    client.force_login(user)
    return Person(user, token, client)


def posted(row: Model, overseer: Client) -> dict[str, Any]:
    """What a browser would post of the row's page, unchanged: every field and inline row that it shows."""
    response = overseer.get(address(row))
    data: dict[str, Any] = {}
    forms = [response.context["adminform"].form]
    for inline in response.context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.initial_forms]
    for form in forms:
        for bound in form:
            value = bound.value()
            if value is not None and value is not False:
                data.update(_written(bound.html_name, value))
    return data


def _written(name: str, value: Any) -> dict[str, Any]:
    if hasattr(value, "strftime"):
        moment = timezone.localtime(value) if hasattr(value, "hour") else value
        return {name: f"{moment:%Y-%m-%d}", f"{name}_0": f"{moment:%Y-%m-%d}", f"{name}_1": f"{moment:%H:%M:%S}"}
    return {name: value}


def address(row: Model) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=(row.pk,))


def state(row: Model) -> dict[str, Any]:
    """The row and its upstreams and mappings as they are stored, secrets in plain text."""
    rows: list[Any] = [type(row).objects.get(pk=row.pk)]
    if hasattr(row, "upstreams"):
        rows += Upstream.objects.filter(operation=row).order_by("id")
        rows += ParameterMapping.objects.filter(operation=row).order_by("id")
    found: dict[str, Any] = {}
    for number, each in enumerate(rows):
        for column in each._meta.concrete_fields:
            if column.name in ("updated_at", "revision", "id") or column.name.endswith("_ptr"):
                continue
            value = getattr(each, column.attname)
            found[f"{number}.{column.name}"] = str(value or "") if isinstance(column, EncryptedField) else value
    return found


def attempt(row: Model, act: Callable[[], Any]) -> tuple[dict[str, Any], Any]:
    """How the row stands after the change, and what the door answered. The change is undone."""
    try:
        with transaction.atomic():
            response = act()
            after = state(row)
            raise _Undo
    except _Undo:
        return after, response


class _Undo(Exception):
    pass


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_both_doors_end_alike(change: Change, person: Person, marked: MarkedAgency) -> None:
    row = getattr(marked, change.kind)
    overseer = Client()
    overseer.force_login(User.objects.create(username="pengawas-uji", is_staff=True, is_superuser=True))
    form = posted(row, overseer)
    for name, value in change.form.items():
        if value is False:
            form.pop(name, None)
        else:
            form[name] = '{"sslmode": "require"}' if isinstance(value, dict) else value
    before = state(row)
    by_form, page = attempt(row, lambda: person.client.post(address(row), form))
    path = f"{ENDPOINTS[change.kind]}/{row.pk}/"
    by_api, answer = attempt(row, lambda: person.patch(path, change.body))
    assert by_form == by_api, (page.status_code, answer.status_code, answer.content)
    assert (by_form != before) == (answer.status_code == 200), answer.content
    assert (by_form != before) == (page.status_code == 302)


def test_the_changes_are_changes(marked: MarkedAgency) -> None:
    """An administrator may make them, but for those that take a secret along or break a rule."""
    refused = {
        "source-host", "source-port", "proxy-timeout_ms", "proxy-another server", "proxy-another port",
        "proxy-another token server", "proxy-another kind", "proxy-shown", "grant-networks",
    }  # fmt: skip
    user = User.objects.create(username="pengelola-uji")
    user.groups.set([Group.objects.get(name="Administrator")])
    _row, token = ApiToken.issue(user, timezone.now() + timedelta(days=1))
    administrator = Person(user, token, Client())
    seen = set()
    for change in CHANGES:
        row = getattr(marked, change.kind)
        path = f"{ENDPOINTS[change.kind]}/{row.pk}/"
        _after, answer = attempt(row, lambda path=path, change=change: administrator.patch(path, change.body))
        if answer.status_code != 200:
            seen.add(str(change))
    assert seen == refused
    assert serializers.serialize("json", [marked.agency])  # nothing was kept
