"""The six roles: groups of users, with the permissions of this table. They are synchronised after each migration."""

from __future__ import annotations

from typing import Any

from django.apps import apps as installed
from django.contrib.auth.models import Group, Permission
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

ADMINISTRATOR = "Administrator"
SUPERVISOR = "Supervisor"
HEAD = "Head"
PROVIDER = "Provider"
PUBLISHER = "Publisher"
REQUESTER = "Requester"
#: The roles of users that belong to no agency: they read the rows of all agencies.
WITHOUT_AGENCY = (ADMINISTRATOR, SUPERVISOR)

#: Role → its name for people, and what it may do. The names of the groups in the database stay English.
_LABELS = {
    ADMINISTRATOR: _("Administrator"),
    SUPERVISOR: _("Supervisor"),
    HEAD: _("Head"),
    PROVIDER: _("Provider"),
    PUBLISHER: _("Publisher"),
    REQUESTER: _("Requester"),
}
DESCRIPTIONS = {
    ADMINISTRATOR: _("Runs the bus. Views and changes the data of all agencies."),
    SUPERVISOR: _("Views the records of all agencies. Changes nothing."),
    HEAD: _("Views all of one agency and decides on its requests. Changes nothing else."),
    PROVIDER: _("Manages an agency's services, sources and data operations, and who may call them."),
    PUBLISHER: _("Manages an agency's services and proxy operations, and who may call them."),
    REQUESTER: _("Requests access for an agency's applications, and manages these and their keys."),
}


def label(role: str) -> Promise | str:
    """Return the name of a role in the reader's language, or the group's own name if it is no role."""
    return _LABELS.get(role, role)


_ALL = ("view", "add", "change", "delete")
_VIEW = ("view",)

_DIRECTORY = ("registry.agency", "registry.service", "registry.operation", "registry.parameter", "registry.field")
_DATA = ("dataservices.datasource", "dataservices.uploadedtable", "dataservices.dataoperation")
_PROXY = (
    "proxyservices.proxyoperation",
    "proxyservices.backend",
    "proxyservices.backendserver",
    "proxyservices.parametermapping",
    "proxyservices.servicedescription",
)
_VERIFICATION = ("verification.verificationoperation", "verification.verifiedfield")
_CONSUMER = ("registry.application", "registry.accesskey", "registry.clientcertificate", "registry.grant")
_HISTORY = ("registry.callrecord",)
_CHANGES = ("registry.changerecord",)
#: Rules about unusual calls, and what they found.
_HARVEST = ("registry.harvestrule", "registry.harvestalarm")
#: What responses had that nobody declared.
_FINDINGS = ("registry.guardfinding",)
_REQUESTS = ("registry.publishrequest", "registry.accessrequest")
#: Lists that are matched, and tables that are kept equal to an operation's rows.
_MATCHING = ("reconciliation.reconciliation",)
_SYNCS = ("synchronization.sync",)
#: Stops are seen by whom they concern; who may stop something and release it is in containment.py.
_STOPS = ("registry.stop", "registry.incident")
_INCIDENTS = {("change", "registry.incident")}
_EVERYTHING = (
    "registry.user", "registry.rolerule", *_DIRECTORY, *_DATA, *_PROXY, *_VERIFICATION, *_CONSUMER, *_HISTORY,
    *_CHANGES, *_FINDINGS, *_REQUESTS, *_MATCHING, *_SYNCS, *_HARVEST,
)  # fmt: skip


def _of(verbs: tuple[str, ...], *models: str) -> set[tuple[str, str]]:
    return {(verb, model) for verb in verbs for model in models}


_OFFERING = _of(
    _ALL, "registry.service", "registry.parameter", "registry.field", "registry.grant", "registry.harvestrule"
)
#: To see requests to publish and for access, and to decide on those of others (approvals.py, requests.py).
_DECIDING = _of(("view", "decide"), *_REQUESTS)

ROLES: dict[str, set[tuple[str, str]]] = {
    # Runs the bus; reads and changes the rows of all agencies.
    ADMINISTRATOR: _of(_ALL, *_EVERYTHING) | _of(_VIEW, *_STOPS, "legacy_import.legacyimport") | _INCIDENTS,
    # Reads the rows of all agencies, changes nothing.
    SUPERVISOR: _of(_VIEW, *_EVERYTHING, *_STOPS),
    # Reads all of an agency and decides on requests to publish; changes nothing else.
    HEAD: _of(
        _VIEW,
        *_DIRECTORY,
        *_DATA,
        *_PROXY,
        *_VERIFICATION,
        *_CONSUMER,
        *_HISTORY,
        *_CHANGES,
        *_FINDINGS,
        *_MATCHING,
        *_SYNCS,
        *_STOPS,
    )
    | _of(_VIEW, *_HARVEST)
    | _DECIDING,
    # Manages an agency's services, sources, data operations and their grants.
    PROVIDER: _of(_VIEW, *_DIRECTORY, *_DATA, *_CONSUMER, *_HISTORY, *_CHANGES, *_FINDINGS, *_STOPS, *_HARVEST)
    | _INCIDENTS
    | _OFFERING
    | _of(_ALL, *_DATA, *_VERIFICATION, *_MATCHING, *_SYNCS)
    | _DECIDING,
    # Manages an agency's services, proxy operations and their grants.
    PUBLISHER: _of(_VIEW, *_DIRECTORY, *_PROXY, *_CONSUMER, *_HISTORY, *_CHANGES, *_FINDINGS, *_STOPS, *_HARVEST)
    | _INCIDENTS
    | _OFFERING
    | _of(_ALL, *_PROXY, *_VERIFICATION, *_MATCHING)
    | _DECIDING,
    # Manages an agency's applications and keys, and requests access for them.
    REQUESTER: _of(_VIEW, "registry.agency", *_CONSUMER, *_HISTORY, *_STOPS)
    | _INCIDENTS
    | _of(_ALL, "registry.application", "registry.accesskey", "registry.clientcertificate", *_MATCHING)
    | _of(("view", "add"), "registry.accessrequest"),
}


def sync_groups(sender: Any, using: str, **kwargs: Any) -> None:
    """Create the groups and give each exactly its permissions. Runs when the last app has migrated."""
    configs = list(installed.get_app_configs())
    if sender.label != [config.label for config in configs if config.models_module is not None][-1]:
        return
    by_name = {
        (permission.codename, f"{permission.content_type.app_label}"): permission
        for permission in Permission.objects.using(using).select_related("content_type")
    }
    for role, rights in ROLES.items():
        group, _created = Group.objects.using(using).get_or_create(name=role)
        permissions = []
        for verb, model in rights:
            app, _, name = model.partition(".")
            permission = by_name.get((f"{verb}_{name}", app))
            if permission is not None:
                permissions.append(permission)
        group.permissions.set(permissions)
