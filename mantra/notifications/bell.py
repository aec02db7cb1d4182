"""The number in the bell, which the header of every page of the admin shows."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from registry.models import Notification, User

#: More are shown as this number with a plus.
MOST = 99


def bell(request: HttpRequest) -> dict[str, Any]:
    """Return what the header's bell shows. Only pages that show it query the database."""
    return {"unread_notifications": SimpleLazyObject(lambda: unread(getattr(request, "user", None)))}


def unread(user: Any) -> str:
    """Return the number of a user's unread notifications, "" for none."""
    if not isinstance(user, User):
        return ""
    number = Notification.objects.filter(user=user.pk, read_at=None).order_by()[: MOST + 1].count()
    return f"{MOST}+" if number > MOST else str(number or "")
