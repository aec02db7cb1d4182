"""Signing in: one page, no word about who has an account, locked names, sessions that end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from allauth.usersessions.models import UserSession
from axes.models import AccessAttempt
from django.contrib.auth import hashers
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from registry.models import Agency, ApiToken, User
from registry.people import lockout, sessions
from tests.people.conftest import ADMIN, LOGIN, PASSWORD, enter, errors, inside, person, signed_in


def test_it_works(agency: Agency) -> None:
    person("ani", "Provider", agency)
    client = Client()
    there = client.get("/admin/registry/service/", follow=True)
    assert unquote(there.redirect_chain[-1][0]) == f"{LOGIN}?next=/admin/registry/service/"
    before = client.session.session_key
    response = enter(client, "ani", next="/admin/registry/service/")
    assert (response.status_code, response["Location"]) == (302, "/admin/registry/service/")
    assert inside(client)
    assert client.session.session_key not in (None, before)  # a session that somebody else knows is worth nothing
    client.post(reverse("admin:logout"))
    assert not inside(client)


def test_name_and_address_are_taken_however_they_are_written() -> None:
    person("Ani")
    for name in ("Ani", " ani ", "ANI@contoh.go.id"):
        client = Client()
        assert enter(client, name).status_code == 302
        assert inside(client)


def test_nobody_learns_who_has_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    person("ani")
    off = person("bekas")
    off.is_active = False
    off.save()
    invited = person("baru")
    invited.set_unusable_password()
    invited.save()
    hashed: list[str] = []
    encode = hashers.MD5PasswordHasher.encode
    monkeypatch.setattr(
        hashers.MD5PasswordHasher, "encode", lambda self, *args: hashed.append("one") or encode(self, *args)
    )
    seen = set()
    for name in ("ani", "tidak-ada", "ani@contoh.go.id", "tidak@contoh.go.id", "bekas", "baru"):
        hashed.clear()
        response = enter(Client(), name, PASSWORD if name == "bekas" else "salah-sekali-1")
        # One password is hashed, however it ends: the time says no more than the words.
        seen.add((response.status_code, errors(response), len(hashed)))
    assert len(seen) == 1, seen


@pytest.mark.parametrize(
    "address", ["https://jahat.example/", "//jahat.example/", "javascript:alert(1)", "\\\\jahat.example", "http:///x"]
)
def test_next_leads_nowhere_else(address: str) -> None:
    person("ani")
    response = enter(Client(), "ani", next=address)
    assert (response.status_code, response["Location"]) == (302, ADMIN)


def test_the_page_needs_a_token_of_its_form() -> None:
    person("ani")
    assert enter(Client(enforce_csrf_checks=True), "ani").status_code == 403


@pytest.mark.parametrize("path", ["signup/", "email/", "password/set/", "login/code/", "3rdparty/", "logout/"])
def test_pages_that_are_not_offered_do_not_exist(path: str) -> None:
    assert Client().get(f"/account/{path}").status_code == 404


def test_a_name_is_locked_for_the_address_that_tried_it(monkeypatch: pytest.MonkeyPatch) -> None:
    person("ani")
    hostile = Client()
    for _number in range(4):
        assert "salah" in errors(enter(hostile, "ani", "salah"))
    assert "15 menit" in errors(enter(hostile, "ANI", "salah"))
    assert "15 menit" in errors(enter(hostile, "ani", PASSWORD))
    # The owner, at another address, has noticed nothing.
    assert enter(Client(), "ani", address="192.0.2.77").status_code == 302
    later = timezone.now() + timedelta(minutes=15, seconds=1)
    monkeypatch.setattr("axes.handlers.proxy.now", lambda: later)
    assert enter(Client(), "ani").status_code == 302
    assert not AccessAttempt.objects.exists()


def test_one_hostile_address_locks_no_administrator_out() -> None:
    for name in ("satu", "dua", "tiga"):
        person(name)
        for number in range(6):  # all addresses of one's own network count as one
            enter(Client(), name, f"salah-{number}", address=f"2001:db8::{number}")
    assert lockout.locked_addresses(User.objects.get(username="satu")) == ["2001:db8::"]
    for name in ("satu", "dua", "tiga"):
        assert enter(Client(), name, address="192.0.2.9").status_code == 302


def test_many_addresses_stop_strangers_and_not_the_usual_place(settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": "20/m/ip,4/h/key"}
    user = person("ani")
    assert enter(Client(), "ani", address="192.0.2.7").status_code == 302  # the usual place
    for number in range(4):
        enter(Client(), "ani", "salah", address=f"198.51.100.{number}")
    assert "Terlalu banyak" in errors(enter(Client(), "ani", address="203.0.113.5"))
    assert enter(Client(), "ani", address="192.0.2.7").status_code == 302
    assert lockout.locked_addresses(user) == []  # no address tried it five times


def test_the_address_is_the_callers_behind_our_own_proxies(settings: Any) -> None:
    settings.TRUSTED_PROXIES = 1
    person("ani")
    for number in range(5):
        # What a caller writes into the header is left of what our proxy adds.
        Client().post(
            LOGIN,
            {"login": "ani", "password": "salah"},
            REMOTE_ADDR="10.0.0.1",
            headers={"X-Forwarded-For": f"203.0.113.{number}, 198.51.100.7"},
        )
    assert lockout.locked_addresses(User.objects.get()) == ["198.51.100.7"]


def test_an_administrator_unlocks(agency: Agency) -> None:
    admin, user = person("admin"), person("ani", "Provider", agency)
    for _number in range(5):
        enter(Client(), "ani", "salah")
    client = signed_in("admin")
    page = client.get(reverse("admin:registry_user_change", args=(user.pk,)))
    assert "192.0.2.1" in page.content.decode()
    client.post(reverse("admin:registry_user_unlock", args=(user.pk,)))
    assert enter(Client(), "ani").status_code == 302
    assert admin.is_active


def test_an_operator_unlocks(capsys: pytest.CaptureFixture[str]) -> None:
    person("ani")
    for _number in range(5):
        enter(Client(), "ani", "salah")
    call_command("unlock_user", "ANI@contoh.go.id")
    assert "192.0.2.1" in capsys.readouterr().out
    assert enter(Client(), "ani").status_code == 302
    with pytest.raises(CommandError):
        call_command("unlock_user", "tidak-ada")


# ------------------------------------------------------------------------------------------ sessions


def test_own_sessions_are_listed_and_ended(agency: Agency) -> None:
    person("ani", "Requester", agency)
    person("budi", "Requester", agency)
    here, there, foreign = signed_in("ani"), signed_in("ani"), signed_in("budi")
    lines = here.get(reverse("own_sessions")).context["lines"]
    assert [line.address for line in lines] == ["192.0.2.1", "192.0.2.1"]
    other = next(line.pk for line in lines if not line.current)
    foreign.post(reverse("own_sessions"), {"session": str(other)})
    assert inside(there)
    here.post(reverse("own_sessions"), {"session": str(other)})
    assert (inside(here), inside(there), inside(foreign)) == (True, False, True)
    there = signed_in("ani")
    here.post(reverse("own_sessions"))
    assert (inside(here), inside(there)) == (True, False)


def test_sessions_that_have_expired_are_deleted(agency: Agency) -> None:
    person("ani", "Requester", agency)
    here, there = signed_in("ani"), signed_in("ani")
    Session.objects.filter(session_key=there.session.session_key).update(expire_date=timezone.now() - timedelta(1))
    sessions.prune()
    assert (Session.objects.count(), UserSession.objects.count()) == (1, 1)
    assert inside(here)


def test_the_last_use_is_noted_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    person("ani")
    client = signed_in("ani")
    row = UserSession.objects.get()
    assert inside(client)
    assert UserSession.objects.get().last_seen_at == row.last_seen_at  # not with each page
    later = timezone.now() + timedelta(minutes=6)
    monkeypatch.setattr("registry.people.sessions.timezone.now", lambda: later)
    assert inside(client)
    assert UserSession.objects.get().last_seen_at == later


def test_a_changed_password_ends_the_other_sessions() -> None:
    user = person("ani")
    here, there = signed_in("ani"), signed_in("ani")
    new = {"oldpassword": PASSWORD, "password1": "gajah-terbang-77", "password2": "gajah-terbang-77"}
    address = reverse("account_change_password")
    assert "kata sandi sekarang" in errors(here.post(address, {**new, "oldpassword": "salah"})).lower()
    assert "sekarang" in errors(here.post(address, {**new, "password1": PASSWORD, "password2": PASSWORD}))
    cache.clear()  # the number of attempts is limited
    for weak in ("pendek", "1234567890", "password123"):
        assert errors(here.post(address, {**new, "password1": weak, "password2": weak}))
    assert errors(here.post(address, {**new, "password2": "lain-sekali-99"}))
    assert here.post(address, new).status_code == 302
    assert (inside(here), inside(there)) == (True, False)
    user.refresh_from_db()
    assert user.check_password("gajah-terbang-77")


def test_deactivating_a_user_ends_everything_at_once(agency: Agency) -> None:
    person("admin")
    user = person("ani", "Provider", agency)
    token, plain = ApiToken.issue(user, timezone.now() + timedelta(days=1))
    client, admin = signed_in("ani"), signed_in("admin")
    api = {"headers": {"Authorization": f"Token {plain}"}}
    assert Client().get("/manage/api/v1/services/", **api).status_code == 200  # type: ignore[arg-type]
    form = {"username": "ani", "email": user.email, "role": "Provider", "agency": agency.pk}
    assert admin.post(reverse("admin:registry_user_change", args=(user.pk,)), form).status_code == 302
    assert not inside(client)
    assert Client().get("/manage/api/v1/services/", **api).status_code == 401  # type: ignore[arg-type]
    assert "salah" in errors(enter(Client(), "ani"))
    assert token.user == user


def test_another_role_holds_from_the_next_sign_in_on(agency: Agency) -> None:
    person("admin")
    user = person("ani", "Provider", agency)
    client, admin = signed_in("ani"), signed_in("admin")
    form = {"username": "ani", "email": user.email, "role": "Requester", "agency": agency.pk, "is_active": "on"}
    admin.post(reverse("admin:registry_user_change", args=(user.pk,)), form)
    assert not inside(client)
    assert enter(client, "ani").status_code == 302


def test_a_password_that_somebody_else_set_must_be_changed(agency: Agency) -> None:
    person("admin")
    user = person("ani", "Provider", agency)
    admin, earlier = signed_in("admin"), signed_in("ani")
    new = {"password1": "sementara-sekali-5", "password2": "sementara-sekali-5", "usable_password": "true"}
    assert admin.post(reverse("admin:auth_user_password_change", args=(user.pk,)), new).status_code == 302
    assert not inside(earlier)
    client = Client()
    assert enter(client, "ani", "sementara-sekali-5").status_code == 302
    for path in (ADMIN, "/admin/registry/apitoken/add/", reverse("own_sessions"), reverse("mfa_index")):
        assert client.get(path)["Location"] == reverse("account_change_password")
    assert client.get("/manage/api/v1/services/").status_code == 403
    own = {"oldpassword": "sementara-sekali-5", "password1": "gajah-terbang-77", "password2": "gajah-terbang-77"}
    assert client.post(reverse("account_change_password"), own)["Location"] == ADMIN
    assert inside(client)
    assert client.get("/manage/api/v1/services/").status_code == 200


def test_texts_of_any_length_are_no_accident() -> None:
    for name in ("x" * 5000, "a\0b", "😀" * 100):
        response: Any = enter(Client(), name, "y" * 5000)
        assert response.status_code == 200
        assert errors(response)
