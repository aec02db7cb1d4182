"""Single sign-on with an OpenID Connect provider that runs here: it lets users in and makes none."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client
from django.urls import reverse
from pytest_httpserver import HTTPServer

from registry.models import Agency, RoleRule, User
from tests.people.conftest import ADMIN, inside, person

LOGIN = reverse("openid_connect_login", args=("sso",))
CALLBACK = reverse("openid_connect_callback", args=("sso",))


@pytest.fixture
def provider(httpserver: HTTPServer, settings: Any) -> HTTPServer:
    url = httpserver.url_for("").rstrip("/")
    app = {
        "provider_id": "sso", "name": "SSO Kominfo", "client_id": "mantra", "secret": "rahasia",
        "settings": {"server_url": url, "oauth_pkce_enabled": True},
    }  # fmt: skip
    settings.OIDC_URL = url
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [app]}}
    names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "userinfo_endpoint": "userinfo"}
    description = {"issuer": url, "jwks_uri": f"{url}/keys", **{name: f"{url}/{path}" for name, path in names.items()}}
    httpserver.expect_request("/.well-known/openid-configuration").respond_with_json(description)
    httpserver.expect_request("/token").respond_with_json({"access_token": "a", "token_type": "Bearer"})
    return httpserver


def come_back(provider: HTTPServer, **claims: Any) -> tuple[Client, Any]:
    """Sign in at the provider as somebody of whom it says this, and return."""
    provider.expect_oneshot_request("/userinfo").respond_with_json({"sub": "4711", **claims})
    client = Client()
    there = client.post(f"{LOGIN}?next=/admin/registry/service/")
    query = parse_qs(urlsplit(there["Location"]).query)
    assert "code_challenge" in query
    return client, client.get(CALLBACK, {"code": "c", "state": query["state"][0]})


def test_it_works(provider: HTTPServer, agency: Agency) -> None:
    user = person("ani", "Provider", agency)
    assert "SSO Kominfo" in Client().get(reverse("account_login")).content.decode()
    client, response = come_back(provider, email="ANI@contoh.go.id", email_verified=True, name="Ani")
    assert response["Location"] == "/admin/registry/service/"
    assert inside(client)
    account = SocialAccount.objects.get()
    assert (account.user, account.uid, account.extra_data) == (user, "4711", {})
    user.refresh_from_db()
    assert [group.name for group in user.groups.all()] == ["Provider"]
    # From then on the provider's own number names the user, whatever the address is.
    client, _response = come_back(provider, email="lain@contoh.go.id")
    assert inside(client)


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "ani@contoh.go.id"},
        {"email": "ani@contoh.go.id", "email_verified": False},
        {"email": "orang@asing.example", "email_verified": True},
        {"email": "bekas@contoh.go.id", "email_verified": True},
        {},
    ],
)
def test_strangers_do_not_get_in(provider: HTTPServer, agency: Agency, claims: dict[str, Any]) -> None:
    person("ani", "Provider", agency)
    person("bekas", "Provider", agency)
    User.objects.filter(username="bekas").update(is_active=False)
    client, response = come_back(provider, **claims)
    assert response["Location"] == reverse("account_login")
    assert "terverifikasi" in client.get(response["Location"]).content.decode()
    assert not inside(client)
    assert (User.objects.count(), SocialAccount.objects.count()) == (2, 0)


def test_an_address_that_looks_like_anothers_names_nobody(provider: HTTPServer, agency: Agency) -> None:
    person("anı", "Provider", agency)
    client, _response = come_back(provider, email="anı@contoh.go.id", email_verified=True)
    assert not inside(client)
    assert not SocialAccount.objects.exists()


def test_a_user_who_was_deactivated_later_does_not_get_in(provider: HTTPServer, agency: Agency) -> None:
    user = person("ani", "Provider", agency)
    come_back(provider, email=user.email, email_verified=True)
    User.objects.update(is_active=False)
    client, response = come_back(provider, email=user.email, email_verified=True)
    assert response["Location"] == reverse("account_login")
    assert not inside(client)


def test_the_second_factor_of_a_role_is_asked_for_all_the_same(provider: HTTPServer, agency: Agency) -> None:
    user = person("ani", "Provider", agency)
    RoleRule.objects.filter(role="Provider").update(second_factor=True)
    client, _response = come_back(provider, email=user.email, email_verified=True)
    assert client.get(ADMIN)["Location"] == reverse("mfa_index")


def test_nobody_connects_another_account_or_comes_back_without_having_gone(provider: HTTPServer) -> None:
    user = person("ani")
    client = Client()
    assert client.get(CALLBACK, {"code": "c", "state": "erfunden"})["Location"] == reverse("account_login")
    client.force_login(user)
    provider.expect_oneshot_request("/userinfo").respond_with_json({"sub": "666", "email": "x@y.z"})
    there = client.post(f"{LOGIN}?process=connect")
    state = parse_qs(urlsplit(there["Location"]).query)["state"][0]
    client.get(CALLBACK, {"code": "c", "state": state})
    assert not SocialAccount.objects.exists()
