"""Notifying the callers of an operation of its new versions, and of its end."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from registry.models import Event, Operation
from registry.notifications.names import operation_name
from registry.notifications.recipients import callers
from registry.notifications.writing import notify


def version_published(operation: Operation, number: int) -> None:
    """Notify the callers of an operation of a version that replaces one that they called."""
    _notify(Event.OPERATION_CHANGED, operation, version=number)


def state_changed(sender: type[Operation], operation: Operation, **_more: Any) -> None:
    """Notify the callers of an operation that was deprecated or retired."""
    if operation.state == Operation.State.DEPRECATED:
        _notify(Event.OPERATION_DEPRECATED, operation, **({"until": operation.sunset} if operation.sunset else {}))
    elif operation.state == Operation.State.RETIRED:
        _notify(Event.OPERATION_RETIRED, operation)


def _notify(event: Event, operation: Operation, **words: Any) -> None:
    notify(event, callers(operation), url=page_of(operation), operation=operation_name(operation), **words)


def page_of(operation: Operation) -> str:
    """Return the path of an operation's page in the catalogue: its page in the admin is its own agency's."""
    service = operation.service
    return reverse("catalogue_operation", args=[service.agency.code, service.code, operation.code])
