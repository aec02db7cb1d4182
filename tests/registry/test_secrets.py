"""Keys that are shown once, and secrets that lie encrypted."""

from __future__ import annotations

import hmac
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import connection

from adapters import ADAPTERS, adapter_class
from dataservices.models import DataSource
from registry import secrets
from registry.models import AccessKey, Agency
from registry.snapshot import holder
from tests.cast import Cast


def test_a_key_can_be_told_from_other_text() -> None:
    key = secrets.new_key()
    assert key.startswith("mtr_")
    assert secrets.well_formed(key)
    assert not secrets.well_formed(key[:-1] + ("a" if key[-1] != "a" else "b"))
    assert not secrets.well_formed(key.replace("mtr_", "ghp_"))
    assert not secrets.well_formed("abcdefghij")
    assert len({secrets.new_key() for _ in range(1000)}) == 1000


def test_the_database_holds_no_key(cast: Cast) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM registry_accesskey")
        assert cast.key[12:] not in str(cursor.fetchall())


def test_two_live_keys_at_a_time(cast: Cast) -> None:
    second, _plain = AccessKey.issue(cast.application)
    with pytest.raises(ValidationError):
        AccessKey.issue(cast.application)
    second.revoke()
    AccessKey.issue(cast.application)


def test_an_older_pepper_still_opens(cast: Cast, settings: Any) -> None:
    settings.KEY_PEPPERS = [(2, b"another pepper altogether"), *settings.KEY_PEPPERS]
    assert cast.get("satu.json", "id=7").status == 200
    _row, fresh = AccessKey.issue(cast.application)
    holder.refresh()
    assert cast.get("satu.json", "id=7", accesskey=fresh).status == 200
    settings.KEY_PEPPERS = settings.KEY_PEPPERS[:1]
    assert cast.get("satu.json", "id=7").status == 401
    assert cast.get("satu.json", "id=7", accesskey=fresh).status == 200


def test_passwords_lie_encrypted(cast: Cast) -> None:
    DataSource.objects.filter(pk=cast.source.pk).update(password="rahasia-sekali")
    with connection.cursor() as cursor:
        cursor.execute("SELECT password FROM dataservices_datasource")
        (stored,) = cursor.fetchone()
    assert "rahasia" not in stored
    read = DataSource.objects.get(pk=cast.source.pk).password
    assert read == "rahasia-sekali"
    assert "rahasia" not in repr(read)


def test_a_wrong_field_key_fails_loudly(cast: Cast, settings: Any) -> None:
    DataSource.objects.filter(pk=cast.source.pk).update(password="rahasia")
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(ImproperlyConfigured, match="MANTRA_FIELD_KEYS"):
        str(DataSource.objects.get(pk=cast.source.pk).password)


def test_an_encrypted_column_cannot_be_searched(cast: Cast) -> None:
    with pytest.raises(Exception, match=r"Unsupported lookup|unsupported"):
        list(DataSource.objects.filter(password="rahasia"))


def test_s5_a_secret_that_was_replaced_meanwhile_does_not_go_where_the_new_one_may(db: None) -> None:
    """Two requests at once: one enters a password for a server of its own, the other takes the stored one there."""
    agency = Agency.objects.create(code="zamrud", name="Zamrud")
    values = {"agency": agency, "code": "s", "engine": "postgresql", "database": "d", "user": "u"}
    row = DataSource.objects.create(host="zamrud.internal", password="sandi", **values)
    earlier = DataSource.objects.get(pk=row.pk)
    row.host, row.password = "pencuri.contoh", "tebakan"
    row.full_clean()
    row.save()
    earlier.host = "pencuri.contoh"
    with pytest.raises(ValidationError) as refused:
        earlier.full_clean()
    assert set(refused.value.message_dict) == {"password"}


@pytest.mark.parametrize("engine", ADAPTERS)
def test_s5_a_setting_that_may_lead_elsewhere_is_declared(engine: str) -> None:
    """A new setting of an engine with a password is looked at: it leads to another server, or it is listed here."""
    settings = adapter_class(engine).settings
    if not any(setting.secret for setting in settings):
        return
    harmless = {
        "database", "user", "sslmode", "sslrootcert", "ssl_mode", "ssl_ca", "tds_version", "charset", "application",
        "encryption", "authority", "protocol", "schema", "session", "timezone",
    }  # fmt: skip
    assert {each.name for each in settings if not each.leads and not each.secret} <= harmless
    assert {"host", "port"} <= {each.name for each in settings if each.leads}


@pytest.mark.parametrize("size", [0, 1, 32, 64, 65, 200])
def test_authenticate_is_hmac(size: int) -> None:
    key = bytes(range(size))
    for message in (b"", b"a", b"x" * 1000):
        assert secrets.authenticate(key, message) == hmac.new(key, message, "sha256").hexdigest()
