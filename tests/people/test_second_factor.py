"""The second factor: codes of an app that are computed as an app does, recovery codes, and the rule of a role."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from registry import secrets
from registry.models import Agency, ApiToken, RoleRule, User
from registry.people import second_factor
from tests.people.conftest import ADMIN, PASSWORD, code, enter, errors, inside, person, set_up_app, signed_in

CODE, FACTORS = reverse("mfa_authenticate"), reverse("mfa_index")


def require(role: str) -> None:
    RoleRule.objects.filter(role=role).update(second_factor=True)


def recovery_codes(client: Client) -> list[str]:
    found: list[str] = client.get(reverse("mfa_view_recovery_codes")).context["unused_codes"]
    return found


def test_it_works(agency: Agency) -> None:
    person("ani", "Provider", agency)
    first, other = signed_in("ani"), signed_in("ani")
    secret = set_up_app(first)
    assert not inside(other)  # it was signed in without one
    codes = recovery_codes(first)
    assert len(codes) == 10
    assert set(recovery_codes(first)) == {"****"}  # once

    client = Client()
    assert enter(client, "ani", next="/admin/registry/service/")["Location"] == CODE
    assert not inside(client)
    assert client.get("/manage/api/v1/services/").status_code in (401, 403)
    enter(client, "ani", next="/admin/registry/service/")
    wrong = client.post(CODE, {"code": "000000"})
    assert "Kode salah" in errors(wrong)
    now = code(secret)
    assert client.post(CODE, {"code": now})["Location"] == "/admin/registry/service/"
    assert inside(client)
    # A code that somebody saw is worth nothing, and a recovery code works once.
    again = Client()
    enter(again, "ani")
    assert "Kode salah" in errors(again.post(CODE, {"code": now}))
    assert again.post(CODE, {"code": codes[0]}).status_code == 302
    third = Client()
    enter(third, "ani")
    assert errors(third.post(CODE, {"code": codes[0]}))
    assert not inside(third)


def test_secrets_are_encrypted_with_the_buss_own_keys(agency: Agency) -> None:
    person("ani", "Provider", agency)
    secret = set_up_app(signed_in("ani"))
    stored = {each.type: each.data for each in Authenticator.objects.all()}
    assert secret not in json.dumps(stored)
    assert secrets.decrypt(stored["totp"]["secret"]) == secret
    assert len(secrets.decrypt(stored["recovery_codes"]["seed"])) == 80


def test_secrets_are_rotated_with_the_others(agency: Agency, settings: Any) -> None:
    person("ani", "Provider", agency)
    secret = set_up_app(signed_in("ani"))
    old, new = settings.FIELD_KEYS[0], Fernet.generate_key().decode()
    settings.FIELD_KEYS = [new, old]
    call_command("rotate_secrets")
    settings.FIELD_KEYS = [new]
    assert secrets.decrypt(Authenticator.objects.get(type="totp").data["secret"]) == secret
    client = Client()
    enter(client, "ani")
    assert client.post(CODE, {"code": code(secret)}).status_code == 302


def test_only_administrators_make_rules(agency: Agency) -> None:
    rule = RoleRule.objects.get(role="Provider")
    address = reverse("admin:registry_rolerule_change", args=(rule.pk,))
    for role in ("Supervisor", "Head", "Provider", "Publisher", "Requester"):
        person(role.lower(), role, agency)
        client = signed_in(role.lower())
        assert client.get(address).status_code == (200 if role == "Supervisor" else 403)
        assert client.post(address, {"second_factor": "on"}).status_code == 403
    rule.refresh_from_db()
    assert not rule.second_factor


def test_codes_are_not_guessed(agency: Agency, settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": "20/m/ip,3/h/key"}
    person("ani", "Provider", agency)
    secret = set_up_app(signed_in("ani"))
    client = Client()
    enter(client, "ani")
    for _number in range(3):
        assert "Kode salah" in errors(client.post(CODE, {"code": "000000"}))
    assert "Terlalu banyak" in errors(client.post(CODE, {"code": code(secret)}))
    assert not inside(client)


def test_a_role_that_needs_one_reaches_nothing_without(agency: Agency) -> None:
    user = person("ani", "Provider", agency)
    require("Provider")
    client = signed_in("ani")
    for path in (ADMIN, "/admin/registry/service/", "/admin/registry/apitoken/add/", reverse("own_sessions"), "/"):
        assert client.get(path)["Location"] == FACTORS
    assert client.post("/admin/registry/apitoken/add/", {"expires_at_0": "2030-01-01"})["Location"] == FACTORS
    assert client.get("/manage/api/v1/services/").status_code == 403
    assert client.get(FACTORS).status_code == 200
    set_up_app(client)
    assert inside(client)
    assert client.get("/manage/api/v1/services/").status_code == 200
    # The last one cannot be taken off again; a token that was issued works without one.
    assert client.post(reverse("mfa_deactivate_totp"))["Location"] == FACTORS
    assert Authenticator.objects.filter(user=user, type="totp").exists()
    _token, plain = ApiToken.issue(user, timezone.now() + timedelta(days=1))
    assert Client().get("/manage/api/v1/services/", headers={"Authorization": f"Token {plain}"}).status_code == 200


def test_an_administrator_makes_the_rule(agency: Agency) -> None:
    person("admin")
    person("ani", "Provider", agency)
    person("budi", "Requester", agency)
    admin, with_role, other = signed_in("admin"), signed_in("ani"), signed_in("budi")
    rules = list(RoleRule.objects.all())
    data: dict[str, Any] = {"form-TOTAL_FORMS": len(rules), "form-INITIAL_FORMS": len(rules), "_save": "1"}
    for number, rule in enumerate(rules):
        data[f"form-{number}-id"] = rule.pk
        if rule.role in ("Provider", "Administrator"):
            data[f"form-{number}-second_factor"] = "on"
    assert admin.post(reverse("admin:registry_rolerule_changelist"), data).status_code == 302
    assert set(RoleRule.objects.filter(second_factor=True).values_list("role", flat=True)) == {
        "Provider", "Administrator",
    }  # fmt: skip
    # Who made it is led to set one up, those whom it concerns sign in again, others notice nothing.
    assert admin.get(ADMIN)["Location"] == FACTORS
    assert not inside(with_role)
    assert inside(other)
    assert enter(with_role, "ani").status_code == 302
    assert not inside(with_role)
    RoleRule.objects.update(second_factor=False)
    assert inside(with_role)


def test_an_administrator_helps_who_has_lost_it(agency: Agency) -> None:
    person("admin")
    user = person("ani", "Provider", agency)
    client, admin = signed_in("ani"), signed_in("admin")
    set_up_app(client)
    admin.post(reverse("admin:registry_user_reset-factor", args=(user.pk,)))
    assert not inside(client)
    assert enter(Client(), "ani")["Location"] == ADMIN


def test_changing_it_asks_for_the_password_some_time_after(agency: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
    person("ani", "Provider", agency)
    client = signed_in("ani")
    set_up_app(client)
    later = time.time() + 3600
    monkeypatch.setattr("mantra.people.adapters.time.time", lambda: later)
    remove = reverse("mfa_deactivate_totp")
    asked = client.get(remove)
    assert asked["Location"].startswith(reverse("account_reauthenticate"))
    assert "salah" in errors(client.post(asked["Location"], {"password": "bukan"}))
    assert client.post(asked["Location"], {"password": PASSWORD})["Location"] == remove
    assert client.post(remove).status_code == 302
    assert not Authenticator.objects.exists()


def test_the_rules_say_how_many_users_have_none(agency: Agency) -> None:
    person("ani", "Requester", agency)
    person("budi", "Requester", agency)
    Authenticator.objects.create(user=person("cici", "Requester", agency), type=Authenticator.Type.TOTP, data={})
    User.objects.create_superuser("dodi", password=PASSWORD)
    numbers = {rule.role: rule.users_without for rule in second_factor.with_numbers(RoleRule.objects.all())}
    assert (numbers["Requester"], numbers["Administrator"], numbers["Provider"]) == (2, 1, 0)
