"""Checks a password. One is hashed in every case, so that the time tells nobody whether an account exists."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from registry.models import User


def find(name: str) -> User | None:
    """Return the user with a user name, or else with an e-mail address, however it is written."""
    for field in ("username", "username__iexact", "email__iexact"):
        found = User.objects.filter(**{field: name})[:2]
        if len(found) == 1:
            return found[0]
    return None


class Backend(ModelBackend):
    """Users sign in with their user name or their e-mail address."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        user = find(username.strip()) if username else None
        # Django hashes the password of a name that does not exist, too.
        found = super().authenticate(request, username=user.username if user else "", password=password)
        assert found is None or isinstance(found, User)
        return found
