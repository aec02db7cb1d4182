"""Users who came from MANTRA 1.99x sign in with the passwords that they had there."""

from __future__ import annotations

import base64
import subprocess
from typing import Any

import bcrypt
import pytest
from django.contrib.auth.hashers import identify_hasher
from django.test import Client
from django.urls import reverse

from registry.models import User
from registry.people import old_passwords
from tests.people.conftest import ADMIN, enter, inside, person

OLD = "Rahasia-Lama 2016"
HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher",  # in the place of the slow one of today
    "registry.people.old_passwords.OldPasswordHasher",
]


@pytest.fixture(autouse=True)
def _hashers(settings: Any) -> None:
    settings.PASSWORD_HASHERS = HASHERS


def php_hash(password: str) -> str:
    """A hash as 1.99x made it."""
    code = "echo password_hash(stream_get_contents(STDIN), PASSWORD_BCRYPT, ['cost' => 4]);"
    done = subprocess.run(["php", "-r", code], input=password.encode(), capture_output=True, check=True)
    return done.stdout.decode()


def moved(name: str, passkey: str, **more: Any) -> User:
    user = person(name, **more)
    user.password = old_passwords.imported(passkey, name)
    user.save(update_fields=["password"])
    return user


def test_a_password_works_and_is_hashed_anew_at_the_first_sign_in() -> None:
    passkey = php_hash(OLD)
    assert passkey.startswith("$2y$04$")
    user = moved("siti", passkey)
    assert user.password == f"bcrypt$$2b{passkey[3:]}"
    client = Client()
    assert enter(client, "siti", "Rahasia-Lama 2017").status_code == 200
    user.refresh_from_db()
    assert identify_hasher(user.password).algorithm == "bcrypt"  # a wrong one changes nothing
    assert enter(client, "siti", OLD).status_code == 302
    assert inside(client)
    user.refresh_from_db()
    assert identify_hasher(user.password).algorithm == "md5"
    client = Client()
    assert enter(client, "siti", OLD).status_code == 302


def test_the_first_hasher_is_the_one_of_today() -> None:
    from mantra import settings

    assert [each.rsplit(".", 1)[1] for each in settings.PASSWORD_HASHERS] == [
        "PBKDF2PasswordHasher", "OldPasswordHasher",
    ]  # fmt: skip


@pytest.mark.parametrize("password", ["é" * 40, "x" * 200, "a" * 71 + "é"])
def test_a_password_of_more_than_72_bytes(password: str) -> None:
    user = moved("siti", php_hash(password))
    assert enter(Client(), "siti", password[:35]).status_code == 200
    assert enter(Client(), "siti", password).status_code == 302
    user.refresh_from_db()
    assert user.check_password(password)
    assert not user.check_password(f"{password}!")  # the new hash is of all of it


def test_what_follows_72_bytes_may_be_anything_until_the_first_sign_in() -> None:
    moved("siti", php_hash("x" * 72 + "satu"))
    assert enter(Client(), "siti", "x" * 72 + "dua").status_code == 302


@pytest.mark.parametrize("variant", ["2a", "2b", "2y"])
def test_each_variant_of_bcrypt_verifies(variant: str) -> None:
    passkey = bcrypt.hashpw(OLD.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", f"${variant}$")
    assert moved("siti", f" {passkey}\n").check_password(OLD)


@pytest.mark.parametrize(
    "passkey",
    [
        base64.b64encode(OLD.encode()).decode(), "", OLD, "$2y$10$pendek", "$2y$31$" + "a" * 53, "$2x$10$" + "a" * 53,
        "$2y$15$" + "a" * 53, "$2y$10$" + "a" * 54, "$2y$10$" + "é" * 53, "!", "pbkdf2_sha256$1$a$b",
    ],
)  # fmt: skip
def test_any_other_passkey_lets_nobody_in(passkey: str) -> None:
    user = moved("siti", passkey)
    assert not user.has_usable_password()
    assert enter(Client(), "siti", OLD).status_code == 200
    assert enter(Client(), "siti", passkey or "x").status_code == 200


def test_the_published_password_of_the_first_user_does_not_survive() -> None:
    passkey = php_hash("1234")
    assert not moved("Admin", passkey).has_usable_password()
    assert moved("siti", passkey).has_usable_password()
    assert moved("budi", php_hash(OLD)).has_usable_password()


def test_a_moved_user_can_be_led_to_a_new_password() -> None:
    moved("siti", php_hash(OLD), must_change_password=True)
    client = Client()
    assert enter(client, "siti", OLD).status_code == 302
    led = client.get(ADMIN)
    assert (led.status_code, led["Location"]) == (302, reverse("account_change_password"))
    new = "kata-sandi-baru-2026"
    data = {"oldpassword": OLD, "password1": new, "password2": new}
    assert client.post(led["Location"], data).status_code == 302
    assert inside(client)
    assert not User.objects.get(username="siti").must_change_password


def test_a_wrong_password_takes_the_hash_of_today_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the time would tell that a name belongs to somebody who came from 1.99x."""
    made: list[str] = []
    monkeypatch.setattr(old_passwords, "make_password", made.append)
    hasher, encoded = old_passwords.OldPasswordHasher(), f"bcrypt$$2b{php_hash(OLD)[3:]}"
    assert hasher.verify(OLD, encoded)
    assert made == []
    assert not hasher.verify("salah", encoded)
    assert made == ["salah"]
