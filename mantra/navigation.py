"""The sidebar of the admin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from mantra.containment import views as containment
from mantra.exports import views as exports
from mantra.health import board as health_board
from mantra.home.cards import address
from mantra.home.publishing import WIZARD
from mantra.jobs import reading as jobs
from mantra.key_use import finding
from mantra.key_use import views as key_use
from mantra.legacy_import.pages import frame as legacy_import
from mantra.reconciliation import views as reconciliation
from mantra.statistics import scopes, views
from mantra.subject_access import answers
from mantra.subject_access import views as subject_access
from mantra.tryout import refused
from registry import tenancy


@dataclass(frozen=True, slots=True)
class Item:
    """A link of the sidebar. ``page``: the name of its URL; it is left out while this installation has none.

    ``right``: the permission that the page requires, or a function that returns True for users who may open it.
    """

    title: Any
    icon: str
    page: str
    right: str | Callable[[Any], bool] = ""

    def is_for(self, user: Any) -> bool:
        return self.right(user) if callable(self.right) else not self.right or user.has_perm(self.right)


def _rows(title: Any, icon: str, app: str, model: str) -> Item:
    """Return the link to a model's list, for those who may view its rows."""
    return Item(title, icon, f"admin:{app}_{model}_changelist", f"{app}.view_{model}")


GROUPS: tuple[tuple[Any, tuple[Item, ...]], ...] = (
    (
        "",
        (
            Item(_("Publish data"), "add_circle", "wizard", WIZARD),
            Item(_("Catalogue"), "menu_book", "catalogue"),
        ),
    ),
    (
        _("Offer data"),
        (
            _rows(_("Services"), "category", "registry", "service"),
            _rows(_("Data sources"), "database", "dataservices", "datasource"),
            _rows(_("Uploaded tables"), "upload_file", "dataservices", "uploadedtable"),
            _rows(_("Data operations"), "table_view", "dataservices", "dataoperation"),
            _rows(_("Backends"), "dns", "proxyservices", "backend"),
            _rows(_("Proxy operations"), "alt_route", "proxyservices", "proxyoperation"),
            _rows(_("Verification operations"), "fact_check", "verification", "verificationoperation"),
            _rows(_("All operations"), "lists", "registry", "operation"),
        ),
    ),
    (
        _("Requests"),
        (
            _rows(_("Access requests"), "inbox", "registry", "accessrequest"),
            _rows(_("Publish requests"), "how_to_reg", "registry", "publishrequest"),
        ),
    ),
    (
        _("Call data"),
        (
            _rows(_("Calling applications"), "apps", "registry", "application"),
            _rows(_("Access keys"), "key", "registry", "accesskey"),
            _rows(_("Client certificates"), "badge", "registry", "clientcertificate"),
            Item(key_use.TITLE, "key_off", "leaked_key", finding.may_look),
            _rows(_("Grants"), "handshake", "registry", "grant"),
        ),
    ),
    (
        _("Match data"),
        (
            Item(_("Jobs"), "checklist", "jobs", jobs.may_open),
            Item(reconciliation.TITLE, "compare_arrows", "reconciliations", reconciliation.RIGHT),
            _rows(_("Synchronisations"), "sync", "synchronization", "sync"),
        ),
    ),
    (
        _("History"),
        (
            Item(views.TITLE, "bar_chart", "statistics", scopes.may_open),
            Item(health_board.TITLE, "monitor_heart", "health_board", health_board.may_open),
            _rows(_("Call history"), "history", "registry", "callrecord"),
            _rows(_("Changes of definitions"), "edit_note", "registry", "changerecord"),
            Item(subject_access.TITLE, "person_search", "subject_access", answers.may_look),
            _rows(_("Undeclared personal data"), "privacy_tip", "registry", "guardfinding"),
            Item(exports.TITLE, "download", "exports", exports.RIGHT),
            Item(refused.TITLE, "help", "why_refused", refused.RIGHT),
        ),
    ),
    (
        _("Protection"),
        (
            Item(containment.TITLE, "front_hand", "containment", containment.may_open),
            _rows(_("Alarms"), "crisis_alert", "registry", "harvestalarm"),
            _rows(_("Alarm rules"), "rule", "registry", "harvestrule"),
        ),
    ),
    (
        _("Administration"),
        (
            _rows(_("Agencies"), "account_balance", "registry", "agency"),
            _rows(_("Users"), "group", "registry", "user"),
            _rows(_("Rules for signing in"), "lock_person", "registry", "rolerule"),
            Item(_("Outbox"), "outgoing_mail", "admin:registry_outboxmessage_changelist", tenancy.sees_all_agencies),
            Item(_("Server"), "memory", "server", tenancy.is_administrator),
            Item(legacy_import.TITLE, "move_to_inbox", "moving_in", legacy_import.may_open),
        ),
    ),
    (
        _("My account"),
        (
            Item(_("Notifications"), "notifications", "notifications"),
            Item(_("My sessions"), "devices", "own_sessions"),
            Item(_("Second factor"), "phonelink_lock", "mfa_index"),
            Item(_("API tokens"), "token", "admin:registry_apitoken_changelist"),
        ),
    ),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sidebar: the pages that the user may open, in groups."""
    groups: list[dict[str, Any]] = []
    for title, items in GROUPS:
        links = [
            {"title": item.title, "icon": item.icon, "link": url}
            for item in items
            if item.is_for(request.user) and (url := address(item.page))
        ]
        if links:
            groups.append({"title": title, "separator": bool(groups), "items": links})
    return groups
