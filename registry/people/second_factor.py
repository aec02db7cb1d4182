"""The second factor: which roles need one, who has one, and taking it off a person who has lost it."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.db.models import Case, Count, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce

from registry import roles
from registry.models import RoleRule, User
from registry.people import sessions

#: What counts: recovery codes alone are no second factor.
FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)

#: In a session: a second factor must be set up first. It is decided when somebody signs in, not with each request.
MISSING = "people.second_factor_missing"


def factors(user: User) -> QuerySet[Any]:
    """Return the second factors of a user."""
    rows: QuerySet[Any] = Authenticator.objects.filter(user=user, type__in=FACTORS)
    return rows


def required(user: User) -> bool:
    """Return True if a role of the user needs a second factor."""
    names = set(user.groups.values_list("name", flat=True))
    if user.is_superuser:
        names.add(roles.ADMINISTRATOR)
    return RoleRule.objects.filter(role__in=names, second_factor=True).exists()


def missing(user: User) -> bool:
    """Return True if the user needs a second factor and has none."""
    return required(user) and not factors(user).exists()


def note(session: SessionBase, user: User) -> None:
    """Note in a session whether its user must set up a second factor before anything else."""
    if missing(user):
        session[MISSING] = True
    else:
        session.pop(MISSING, None)


@transaction.atomic
def reset(user: User) -> None:
    """Take all second factors off a user, with the recovery codes, and end the user's sessions."""
    Authenticator.objects.filter(user=user).delete()
    sessions.end_all(user)


def without(role: str) -> QuerySet[User]:
    """Return the users of a role who have no second factor."""
    having = Authenticator.objects.filter(type__in=FACTORS).values("user")
    of_role = Q(groups__name=role)
    if role == roles.ADMINISTRATOR:
        of_role |= Q(is_superuser=True)
    return User.objects.filter(of_role).exclude(pk__in=having).distinct()


def with_numbers(rules: QuerySet[RoleRule]) -> QuerySet[Any]:
    """Return rules with ``users_without``, the number of active users of the role who have no second factor."""
    having = Authenticator.objects.filter(type__in=FACTORS).values("user")
    users = User.objects.filter(is_active=True).exclude(pk__in=having)
    administrators = users.filter(Q(groups__name=roles.ADMINISTRATOR) | Q(is_superuser=True))
    of_role = users.filter(groups__name=OuterRef("role"))
    number = Case(When(role=roles.ADMINISTRATOR, then=_number(administrators)), default=_number(of_role))
    return rules.annotate(users_without=Coalesce(number, 0))


def _number(users: QuerySet[User]) -> Subquery:
    counted = users.order_by().annotate(all=Value(1)).values("all").annotate(number=Count("pk", distinct=True))
    return Subquery(counted.values("number"))


def create_rules(sender: Any, using: str, **kwargs: Any) -> None:
    """Create the rule of each role. Runs after each migration of the registry."""
    for role in roles.ROLES:
        RoleRule.objects.using(using).get_or_create(role=role)
