"""Names that are locked after too many wrong passwords, by django-axes.

A name is locked for the address that tried it: whoever tries the names of all administrators locks them for that
address only. An IPv6 address stands for its network of 64 bits, which one machine has for itself.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Q, QuerySet, Sum
from django.http import HttpRequest
from django.utils import timezone

from registry.client_ip import client_ip
from registry.models import User

#: The most characters of a name that are kept; longer ones belong to nobody.
MAX_NAME = 254


def name_of(request: HttpRequest, credentials: Mapping[str, Any] | None = None) -> str:
    """Return the name that somebody signs in with, the same however it is written."""
    name = str((credentials or {}).get("username") or request.POST.get("login", ""))
    return name.strip().lower().replace("\0", "")[:MAX_NAME]


def address_of(request: HttpRequest) -> str:
    """Return the address that an attempt comes from. For IPv6 it is the network's."""
    text = client_ip(request.META)
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # a unix socket has none
        return "::"
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network(f"{address}/64", strict=False).network_address)


def attempts(user: User) -> QuerySet[Any]:
    """Return the failed attempts to sign in as a user that still count, from all addresses."""
    names = Q(username=user.get_username().lower())
    if user.email:
        names |= Q(username=user.email.lower())
    rows: QuerySet[Any] = AccessAttempt.objects.filter(names)
    return rows.filter(attempt_time__gt=timezone.now() - settings.AXES_COOLOFF_TIME)


def locked_addresses(user: User) -> list[str]:
    """Return the addresses for which a user's name is locked."""
    failures = attempts(user).values("username", "ip_address").annotate(number=Sum("failures_since_start")).order_by()
    return sorted({row["ip_address"] for row in failures if row["number"] >= settings.AXES_FAILURE_LIMIT})


def unlock(user: User) -> None:
    """Forget the failed attempts to sign in as a user."""
    for name in filter(None, (user.get_username().lower(), user.email.lower())):
        AxesDatabaseHandler().reset_attempts(username=name)
