"""The headers with which browsers show the bus's pages, over all kinds of responses."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client, RequestFactory

from mantra.content_policy import PERMISSIONS, policy
from tests.admin.conftest import SignIn


def rules_of(response: Any) -> dict[str, str]:
    """Return the rules of a response's policy by their names."""
    header = response["Content-Security-Policy"]
    return dict(rule.strip().split(" ", 1) for rule in header.split(";"))


def assert_strict(response: Any) -> None:
    rules = rules_of(response)
    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert rules["form-action"] == rules["connect-src"] == "'self'"
    assert "unsafe" not in str(rules) and "*" not in str(rules) and "'self'" not in rules["script-src"]
    assert "data:" not in rules["script-src"] + rules["style-src"]
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == response["Cross-Origin-Resource-Policy"] == "same-origin"
    assert response["Permissions-Policy"] == PERMISSIONS
    assert response["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/account/login/", 200),
        ("/account/password/forgotten/", 200),
        ("/catalog/", 200),
        ("/help/", 200),
        ("/tidak-ada", 404),
    ],
)
def test_every_page_has_the_policy(db: None, address: str, status: int) -> None:
    response = Client().get(address)
    assert response.status_code == status
    assert_strict(response)


def test_so_have_the_pages_of_errors(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    forged = Client(enforce_csrf_checks=True).post("/account/login/", {"login": "a", "password": "b"})
    assert forged.status_code == 403
    assert_strict(forged)

    def broken(_gate: Any, _request: Any) -> Any:
        raise ValueError

    monkeypatch.setattr("mantra.people.gate.SignInGate.__call__", broken)
    failed = Client(raise_request_exception=False).get("/catalog/")
    assert failed.status_code == 500
    assert_strict(failed)


def test_a_strange_host_gets_a_policy_without_it(db: None) -> None:
    response = Client().get("/account/login/", headers={"host": "jahat.example"})
    assert response.status_code == 400
    assert "jahat" not in response["Content-Security-Policy"]


def test_a_nonce_is_good_for_one_page(sign_in: SignIn) -> None:
    client = sign_in("Administrator")
    pages = [client.get("/admin/") for _ in range(2)]
    nonces = []
    for page in pages:
        assert_strict(page)
        (nonce,) = re.findall(r"'nonce-([\w-]+)'", page["Content-Security-Policy"])
        text = page.content.decode()
        assert re.findall(r'nonce="([^"]*)"', text) == [nonce]
        assert all(f'nonce="{nonce}"' in tag for tag in re.findall(r"<style[^>]*>", text))
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))
        nonces.append(nonce)
    assert nonces[0] != nonces[1]
    assert "nonce" not in rules_of(pages[0])["script-src"]  # no script of a page's own text has one


def test_pages_of_people_stay_in_no_cache(sign_in: SignIn) -> None:
    client = sign_in("Administrator")
    for address in ("/admin/", "/catalog/", "/admin/registry/service/", "/help/"):
        assert "no-store" in client.get(address)["Cache-Control"], address


def test_what_a_browser_would_run_as_a_document_is_in_a_sandbox(db: None) -> None:
    icon = Client().get("/static/mantra/favicon.svg")
    assert icon.status_code == 200
    assert icon["Content-Security-Policy"].endswith("sandbox")


def test_the_public_address_and_the_sign_in_elsewhere_are_sources(settings: Any) -> None:
    request = RequestFactory().get("/")
    assert "bus.example" not in policy(request)
    settings.BASE_URL, settings.OIDC_URL = "https://bus.example", "https://masuk.example/realms/pemda"
    rules = policy(request)
    assert "script-src testserver/static/ bus.example/static/ " in rules
    assert "form-action 'self' https://masuk.example;" in rules
    assert "connect-src 'self';" in rules
    assert "connect-src 'self' https://bus.example;" in policy(request, connect="https://bus.example")
