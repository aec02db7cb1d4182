"""People who sign in by the form."""

from __future__ import annotations

import time
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import hotp_value
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from registry.models import Agency, User

PASSWORD = "kata-sandi-panjang-1"
LOGIN, ADMIN = "/account/login/", "/admin/"


@pytest.fixture(autouse=True)
def _fresh(db: None) -> None:
    cache.clear()


@pytest.fixture
def agency() -> Agency:
    return Agency.objects.create(code="dukcapil", name="Disdukcapil")


def person(name: str, role: str = "Administrator", agency: Agency | None = None, **more: Any) -> User:
    user = User.objects.create_user(name, f"{name}@contoh.go.id", PASSWORD, agency=agency, is_staff=True, **more)
    user.groups.set([Group.objects.get(name=role)])
    return user


def enter(client: Client, name: str, password: str = PASSWORD, address: str = "192.0.2.1", **more: Any) -> Any:
    """Post the form of signing in."""
    return client.post(LOGIN, {"login": name, "password": password, **more}, REMOTE_ADDR=address)


def inside(client: Client) -> bool:
    """Whether the client may open the admin."""
    return client.get(ADMIN).status_code == 200


def signed_in(name: str) -> Client:
    client = Client()
    assert enter(client, name).status_code == 302
    return client


def errors(response: Any) -> str:
    return " ".join(str(each) for lines in response.context["form"].errors.values() for each in lines)


def code(secret: str, steps: int = 0) -> str:
    """What an authenticator app shows for a secret, so many steps from now."""
    return f"{hotp_value(secret, int(time.time()) // 30 + steps):06}"


def set_up_app(client: Client) -> str:
    """Set up an authenticator app, and return its secret."""
    page = client.get(reverse("mfa_activate_totp"))
    secret: str = page.context["form"].secret
    assert client.post(reverse("mfa_activate_totp"), {"code": code(secret)}).status_code == 302
    return secret
