"""Who is notified of an event."""

from __future__ import annotations

from django.contrib.auth.models import Group
from django.db.models import Q, QuerySet
from django.utils import timezone

from registry.models import Agency, Grant, Operation, User
from registry.roles import ADMINISTRATOR

#: Permissions are those of the roles, whoever signs a person in.
_BACKEND = "django.contrib.auth.backends.ModelBackend"


def members(agency: Agency, right: str) -> QuerySet[User]:
    """Return the active users of an agency who have a right, such as "registry.change_application"."""
    return with_right(right).filter(agency=agency)


def with_right(right: str) -> QuerySet[User]:
    """Return the active users with an agency who have a right."""
    users: QuerySet[User] = User.objects.with_perm(right, include_superusers=False, backend=_BACKEND)
    return users.exclude(agency=None).order_by("pk")


def callers(operation: Operation) -> QuerySet[User]:
    """Return the users who manage the applications that have a grant in force for an operation."""
    return (
        with_right("registry.change_application")
        .filter(agency__applications__in=grants_in_force(operation).values("application"))
        .distinct()
    )


def grants_in_force(operation: Operation) -> QuerySet[Grant]:
    """Return the grants for an operation that are not revoked and have not ended, of applications in use."""
    today = timezone.localdate()
    rows: QuerySet[Grant] = Grant.objects.filter(
        Q(valid_until=None) | Q(valid_until__gte=today),
        operation=operation,
        state=Grant.State.APPROVED,
        application__active=True,
    )
    return rows


def administrators() -> QuerySet[User]:
    """Return the active administrators."""
    groups = Group.objects.filter(name=ADMINISTRATOR)
    users: QuerySet[User] = User.objects.filter(Q(groups__in=groups) | Q(is_superuser=True), is_active=True)
    return users.distinct().order_by("pk")
