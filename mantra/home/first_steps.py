"""The first steps on a new bus or of a new agency. They go away when they are done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Exists
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from dataservices.models import DataSource
from proxyservices.models import Backend
from registry import requests, tenancy
from registry.models import AccessKey, Agency, Application, Grant, Operation, Service, User


@dataclass(frozen=True, slots=True)
class Step:
    text: Any
    url: str
    done: bool


#: Requesters register an application with their first request.
CATALOGUE, REGISTER = "catalogue", "registry_application_add"

#: The steps to a first operation and its first call: (text, page, the required permission, the name in _done()).
STEPS: tuple[tuple[Any, str, str, str], ...] = (
    (_("Register the agencies that offer or call operations."), "registry_agency_add", "registry.add_agency", "agency"),
    (_("Create their users and give each user a role."), "registry_user_add", "registry.add_user", "user"),
    (
        _("Create a service. It groups operations under one name."), "registry_service_add", "registry.add_service",
        "service",
    ),
    (
        _("Add a data source and test its connection."), "dataservices_datasource_add", "dataservices.add_datasource",
        "origin",
    ),
    (
        _("Write a data operation and try it. Publish it when the result is correct."),
        "dataservices_dataoperation_add", "dataservices.add_dataoperation", "operation",
    ),
    (
        _("Import the WSDL or OpenAPI document of an existing web service: its operations become drafts."),
        "proxyservices_proxyoperation_import", "proxyservices.add_proxyoperation", "operation",
    ),
    (
        _("Without such a document: create a proxy operation yourself."), "proxyservices_proxyoperation_add",
        "proxyservices.add_proxyoperation", "operation",
    ),
    (
        _(
            "Find an operation in the catalogue, and request access on its page. You register your application, the "
            "system that calls operations, there too."
        ),
        CATALOGUE, requests.ASKING, "application",
    ),
    (
        _("Register your application, the system that calls operations."), REGISTER,
        "registry.add_application", "application",
    ),
    (_("Issue an access key for the application."), "registry_accesskey_add", "registry.add_accesskey", "key"),
    (_("Grant an application the right to call an operation."), "registry_grant_add", "registry.add_grant", "call"),
)  # fmt: skip


def steps(user: User) -> list[Step]:
    """Return the steps that the user's rights allow, none if all are done."""
    asks = user.has_perm(requests.ASKING)
    own = [step for step in STEPS if user.has_perm(step[2]) and not (asks and step[1] == REGISTER)]
    if not own:
        return []
    done = _done(user)
    if all(done[name] for _text, _page, _right, name in own):
        return []
    return [Step(text, _address(page), done[name]) for text, page, _right, name in own]


def _address(page: str) -> str:
    return reverse(page if page == CATALOGUE else f"admin:{page}")


def _done(user: User) -> dict[str, bool]:
    """Return what the user's agency, or the bus, already has. One query."""
    operations = tenancy.visible(Operation.objects.filter(state__in=("published", "deprecated")), user)
    published, opened = Exists(operations), Exists(operations.filter(access=Operation.Access.OPEN))
    found = {
        "agency": _any(Agency, user),
        "user": Exists(User.objects.exclude(agency=None)),
        "service": _any(Service, user),
        "origin": _any(DataSource, user) | _any(Backend, user),
        "operation": published,
        "application": _any(Application, user),
        "key": _any(AccessKey, user),
        # An open operation can be called without a grant.
        "call": _any(Grant, user) | opened,
    }
    row = User.objects.filter(pk=user.pk).annotate(**{f"has_{name}": exists for name, exists in found.items()})
    values = row.values(*(f"has_{name}" for name in found)).get()
    return {name: bool(values[f"has_{name}"]) for name in found}


def _any(model: Any, user: User) -> Exists:
    return Exists(tenancy.visible(model._default_manager.all(), user))
