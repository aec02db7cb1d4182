"""The navigation and the first page of the admin."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from adapters import missing_driver
from dataservices.models import engines
from mantra import health_board
from registry import approvals

HISTORY = _("History")
#: Group → its pages as (title, icon, page, the required permission or "").
GROUPS: tuple[tuple[Any, tuple[tuple[Any, str, str, str], ...]], ...] = (
    (
        _("Offer data"),
        (
            (_("Services"), "category", "registry_service", "registry.view_service"),
            (_("Data sources"), "database", "dataservices_datasource", "dataservices.view_datasource"),
            (_("Uploaded tables"), "upload_file", "dataservices_uploadedtable", "dataservices.view_uploadedtable"),
            (_("Data operations"), "table_view", "dataservices_dataoperation", "dataservices.view_dataoperation"),
            (_("Backends"), "dns", "proxyservices_backend", "proxyservices.view_backend"),
            (
                _("Proxy operations"), "alt_route", "proxyservices_proxyoperation",
                "proxyservices.view_proxyoperation",
            ),
            (_("All operations"), "lists", "registry_operation", "registry.view_operation"),
        ),
    ),
    (
        _("Approval"),
        ((_("Publish requests"), "how_to_reg", "registry_publishrequest", "registry.view_publishrequest"),),
    ),
    (
        _("Call data"),
        (
            (_("Applications"), "apps", "registry_application", "registry.view_application"),
            (_("Access keys"), "key", "registry_accesskey", "registry.view_accesskey"),
            (_("Grants"), "handshake", "registry_grant", "registry.view_grant"),
        ),
    ),
    (
        HISTORY,
        ((_("Call history"), "history", "registry_callrecord", "registry.view_callrecord"),),
    ),
    (
        _("Administration"),
        (
            (_("Agencies"), "account_balance", "registry_agency", "registry.view_agency"),
            (_("Users"), "group", "registry_user", "registry.view_user"),
        ),
    ),
    (
        _("My account"),
        ((_("API tokens"), "token", "registry_apitoken", ""),),
    ),
)  # fmt: skip

#: Requests that the first page lists; their own page has all.
MAX_INBOX = 10
#: The right to open the wizard "Publish data".
WIZARD = "dataservices.add_dataoperation"


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sidebar: the pages that the user may open, in groups."""
    groups: list[dict[str, Any]] = []
    if request.user.has_perm(WIZARD):
        item = {"title": _("Publish data"), "icon": "add_circle", "link": reverse("wizard")}
        groups.append({"title": "", "items": [item]})
    for title, pages in GROUPS:
        items = [
            {"title": name, "icon": icon, "link": reverse(f"admin:{page}_changelist")}
            for name, icon, page, permission in pages
            if not permission or request.user.has_perm(permission)
        ]
        if title == HISTORY and health_board.may_open(request.user):
            items.insert(0, {"title": health_board.TITLE, "icon": "monitor_heart", "link": reverse("health_board")})
        if items:
            groups.append({"title": title, "separator": bool(groups), "items": items})
    return groups


def first_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the engines, the first steps and what waits for the user's decision to the context of the first page."""
    if request.user.has_perm("dataservices.view_datasource"):
        context["engines"] = [(label, missing_driver(engine)) for engine, label in engines()]
    if request.user.has_perm(WIZARD):
        context["wizard"] = reverse("wizard")
    context["inbox"] = approvals.inbox(request.user)[:MAX_INBOX]
    context["steps"] = [
        (text, reverse(f"admin:{page}")) for text, page, permission in STEPS if request.user.has_perm(permission)
    ]
    return context


#: The steps to a first operation: (text, page, the required permission).
STEPS: tuple[tuple[Any, str, str], ...] = (
    (_("Register the agencies that offer or call operations."), "registry_agency_add", "registry.add_agency"),
    (_("Create their users and give each user a role."), "registry_user_add", "registry.add_user"),
    (_("Create a service. It groups operations under one name."), "registry_service_add", "registry.add_service"),
    (_("Add a data source and test its connection."), "dataservices_datasource_add", "dataservices.add_datasource"),
    (
        _("Write a data operation and try it. Publish it when the result is correct."),
        "dataservices_dataoperation_add", "dataservices.add_dataoperation",
    ),
    (
        _("Import the WSDL or OpenAPI document of an existing web service: its operations become drafts."),
        "proxyservices_proxyoperation_import", "proxyservices.add_proxyoperation",
    ),
    (
        _("Without such a document: create a proxy operation yourself."), "proxyservices_proxyoperation_add",
        "proxyservices.add_proxyoperation",
    ),
    (_(
        "Register your application, the system that calls operations."
    ), "registry_application_add", "registry.add_application"),
    (_("Issue an access key for the application."), "registry_accesskey_add", "registry.add_accesskey"),
    (_("Grant an application the right to call an operation."), "registry_grant_add", "registry.add_grant"),
)  # fmt: skip
