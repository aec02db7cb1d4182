"""People who ask: a provider, a stranger of another agency, a supervisor and an administrator, each with a token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from registry.models import Agency, ApiToken, User
from tests.cast import Cast

ROOT = "/manage/api/v1/"


@dataclass
class Person:
    """A signed-in user and a client that speaks JSON."""

    user: User
    token: str
    client: Client

    def request(self, method: str, path: str, data: Any = None) -> Any:
        """One request to an address below the API's root; data goes as JSON."""
        return self.client.generic(
            method,
            ROOT + path,
            data=b"" if data is None else orjson.dumps(data),
            content_type="application/json",
            headers={"Authorization": f"Token {self.token}"},
        )

    def get(self, path: str) -> Any:
        return self.request("GET", path)

    def post(self, path: str, data: Any = None) -> Any:
        return self.request("POST", path, {} if data is None else data)

    def patch(self, path: str, data: Any) -> Any:
        return self.request("PATCH", path, data)

    def put(self, path: str, data: Any) -> Any:
        return self.request("PUT", path, data)

    def delete(self, path: str) -> Any:
        return self.request("DELETE", path)


def person(role: str, agency: Agency | None, username: str = "") -> Person:
    user = User.objects.create(username=username or role.lower(), agency=agency)
    user.groups.add(Group.objects.get(name=role))
    _row, token = ApiToken.issue(user, timezone.now() + timedelta(days=1))
    return Person(user, token, Client())


@pytest.fixture
def provider(cast: Cast) -> Person:
    return person("Provider", cast.provider)


@pytest.fixture
def publisher(cast: Cast) -> Person:
    return person("Publisher", cast.provider)


@pytest.fixture
def requester(cast: Cast) -> Person:
    return person("Requester", cast.consumer)


@pytest.fixture
def stranger(cast: Cast) -> Person:
    """Every right that an agency's people can have, in an agency that nothing here concerns."""
    found = person("Provider", cast.stranger, "stranger")
    found.user.groups.add(*Group.objects.filter(name__in=("Publisher", "Requester")))
    return found


@pytest.fixture
def supervisor(cast: Cast) -> Person:
    return person("Supervisor", None)


@pytest.fixture
def administrator(cast: Cast) -> Person:
    return person("Administrator", None)
