"""The admin as a whole: its navigation and its first page."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from adapters import missing_driver
from dataservices.models import engines

#: Group → its pages as (title, icon, page, the permission that opens it; "" for everybody).
GROUPS: tuple[tuple[Any, tuple[tuple[Any, str, str, str], ...]], ...] = (
    (
        _("Registry"),
        (
            (_("Agencies"), "account_balance", "registry_agency", "registry.view_agency"),
            (_("Users"), "group", "registry_user", "registry.view_user"),
            (_("Services"), "category", "registry_service", "registry.view_service"),
        ),
    ),
    (
        _("Data services"),
        (
            (_("Data sources"), "database", "dataservices_datasource", "dataservices.view_datasource"),
            (_("Data operations"), "table_view", "dataservices_dataoperation", "dataservices.view_dataoperation"),
        ),
    ),
    (
        _("Proxy services"),
        (
            (
                _("Proxy operations"), "alt_route", "proxyservices_proxyoperation",
                "proxyservices.view_proxyoperation",
            ),
        ),
    ),
    (
        _("Consumers"),
        (
            (_("Applications"), "apps", "registry_application", "registry.view_application"),
            (_("Access keys"), "key", "registry_accesskey", "registry.view_accesskey"),
            (_("Grants"), "handshake", "registry_grant", "registry.view_grant"),
        ),
    ),
    (
        _("History"),
        ((_("History of calls"), "history", "registry_callrecord", "registry.view_callrecord"),),
    ),
    (
        _("My account"),
        ((_("API tokens"), "token", "registry_apitoken", ""),),
    ),
)  # fmt: skip


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar: the pages that the user may open, in their groups."""
    found: list[dict[str, Any]] = []
    for title, pages in GROUPS:
        items = [
            {"title": name, "icon": icon, "link": reverse(f"admin:{page}_changelist")}
            for name, icon, page, permission in pages
            if not permission or request.user.has_perm(permission)
        ]
        if items:
            found.append({"title": title, "separator": True, "items": items})
    return found


def first_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the admin's first page tells beside its list of pages."""
    if request.user.has_perm("dataservices.view_datasource"):
        context["engines"] = [(label, missing_driver(engine)) for engine, label in engines()]
    context["steps"] = [
        (text, reverse(f"admin:{page}_add")) for text, page, permission in STEPS if request.user.has_perm(permission)
    ]
    return context


#: From nothing to an operation that is called.
STEPS: tuple[tuple[Any, str, str], ...] = (
    (_("Enter the agencies that offer or call."), "registry_agency", "registry.add_agency"),
    (_("Give their people an account and a role."), "registry_user", "registry.add_user"),
    (_("Make a service: the name under which operations are found."), "registry_service", "registry.add_service"),
    (_("Add a data source and test the connection."), "dataservices_datasource", "dataservices.add_datasource"),
    (
        _("Write a data operation and try it; publish it when it is right."), "dataservices_dataoperation",
        "dataservices.add_dataoperation",
    ),
    (
        _("Or put a proxy operation in front of a service that exists already."), "proxyservices_proxyoperation",
        "proxyservices.add_proxyoperation",
    ),
    (_("Enter your application, the system that will call."), "registry_application", "registry.add_application"),
    (_("Issue the application an access key."), "registry_accesskey", "registry.add_accesskey"),
    (_("Grant the operation to the application that will call it."), "registry_grant", "registry.add_grant"),
)  # fmt: skip
