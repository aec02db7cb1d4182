"""The five roles: groups whose permissions this table decides, settled after every migration."""

from __future__ import annotations

from typing import Any

from django.apps import apps as installed
from django.contrib.auth.models import Group, Permission

_ALL = ("view", "add", "change", "delete")
_VIEW = ("view",)

_BOOK = ("registry.agency", "registry.service", "registry.operation", "registry.parameter", "registry.field")
_DATA = ("dataservices.datasource", "dataservices.dataoperation")
_PROXY = (
    "proxyservices.proxyoperation", "proxyservices.upstream", "proxyservices.mapping", "proxyservices.contract",
)  # fmt: skip
_CONSUMER = ("registry.application", "registry.accesskey", "registry.grant")
_HISTORY = ("registry.callrecord",)
_EVERYTHING = ("registry.user", *_BOOK, *_DATA, *_PROXY, *_CONSUMER, *_HISTORY)


def _of(verbs: tuple[str, ...], *models: str) -> set[tuple[str, str]]:
    return {(verb, model) for verb in verbs for model in models}


_OFFERING = _of(_ALL, "registry.service", "registry.parameter", "registry.field", "registry.grant")

ROLES: dict[str, set[tuple[str, str]]] = {
    # Runs the bus: every agency's book.
    "Administrator": _of(_ALL, *_EVERYTHING),
    # Watches over every agency's book and changes nothing.
    "Supervisor": _of(_VIEW, *_EVERYTHING),
    # Offers an agency's data: sources, data operations, and the grants on them.
    "Provider": _of(_VIEW, *_BOOK, *_DATA, *_CONSUMER, *_HISTORY) | _OFFERING | _of(_ALL, *_DATA),
    # Offers other systems' services under a stable alias.
    "Publisher": _of(_VIEW, *_BOOK, *_PROXY, *_CONSUMER, *_HISTORY) | _OFFERING | _of(_ALL, *_PROXY),
    # Calls: applications and their keys.
    "Requester": _of(_VIEW, "registry.agency", *_CONSUMER, *_HISTORY)
    | _of(_ALL, "registry.application", "registry.accesskey"),
}


def settle(sender: Any, using: str, **kwargs: Any) -> None:
    """Make the groups and give each exactly its permissions. Runs when the last app has migrated."""
    configs = list(installed.get_app_configs())
    if sender.label != [config.label for config in configs if config.models_module is not None][-1]:
        return
    known = {
        (permission.codename, f"{permission.content_type.app_label}"): permission
        for permission in Permission.objects.using(using).select_related("content_type")
    }
    for role, wanted in ROLES.items():
        group, _made = Group.objects.using(using).get_or_create(name=role)
        found = []
        for verb, model in wanted:
            app, _, name = model.partition(".")
            permission = known.get((f"{verb}_{name}", app))
            if permission is not None:
                found.append(permission)
        group.permissions.set(found)
