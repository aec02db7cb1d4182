"""The five roles: groups of users, with the permissions of this table. They are synchronised after each migration."""

from __future__ import annotations

from typing import Any

from django.apps import apps as installed
from django.contrib.auth.models import Group, Permission

ADMINISTRATOR = "Administrator"
SUPERVISOR = "Supervisor"
PROVIDER = "Provider"
PUBLISHER = "Publisher"
REQUESTER = "Requester"
#: The roles of users that belong to no agency: they read the rows of all agencies.
WITHOUT_AGENCY = (ADMINISTRATOR, SUPERVISOR)

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
_CONSUMER = ("registry.application", "registry.accesskey", "registry.grant")
_HISTORY = ("registry.callrecord",)
_EVERYTHING = ("registry.user", *_DIRECTORY, *_DATA, *_PROXY, *_CONSUMER, *_HISTORY)


def _of(verbs: tuple[str, ...], *models: str) -> set[tuple[str, str]]:
    return {(verb, model) for verb in verbs for model in models}


_OFFERING = _of(_ALL, "registry.service", "registry.parameter", "registry.field", "registry.grant")

ROLES: dict[str, set[tuple[str, str]]] = {
    # Runs the bus; reads and changes the rows of all agencies.
    ADMINISTRATOR: _of(_ALL, *_EVERYTHING),
    # Reads the rows of all agencies, changes nothing.
    SUPERVISOR: _of(_VIEW, *_EVERYTHING),
    # Manages an agency's services, sources, data operations and their grants.
    PROVIDER: _of(_VIEW, *_DIRECTORY, *_DATA, *_CONSUMER, *_HISTORY) | _OFFERING | _of(_ALL, *_DATA),
    # Manages an agency's services, proxy operations and their grants.
    PUBLISHER: _of(_VIEW, *_DIRECTORY, *_PROXY, *_CONSUMER, *_HISTORY) | _OFFERING | _of(_ALL, *_PROXY),
    # Manages an agency's applications and keys.
    REQUESTER: _of(_VIEW, "registry.agency", *_CONSUMER, *_HISTORY)
    | _of(_ALL, "registry.application", "registry.accesskey"),
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
