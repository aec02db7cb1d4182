"""The small commands: keys, secrets, administrators, the demo's data."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth import authenticate
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import CommandError
from django.http import HttpRequest
from django.utils import timezone

from dataservices.models import DataSource
from mantra.demo.files import CIVIL_SERVANTS
from mantra.stored_secrets import encrypted_fields
from proxyservices.models import Backend, ProxyOperation
from registry import secrets, tenancy
from registry.models import AccessKey, Agency, Operation, Service, User
from registry.snapshot import holder
from tests.cast import Cast
from tests.proxy.publishing import add_server

Caught = pytest.CaptureFixture[str]


def test_an_issued_key_alone_goes_to_standard_output_and_works(cast: Cast, capsys: Caught) -> None:
    AccessKey.objects.all().delete()
    call_command("issue_key", "kons/app", "--days", "30", "--network", "127.0.0.0/8", "--network", "10.1.2.3")
    caught = capsys.readouterr()
    key = caught.out.removesuffix("\n")
    assert secrets.well_formed(key)
    assert key not in caught.err
    row = AccessKey.objects.get()
    assert row.networks == "127.0.0.0/8\n10.1.2.3"
    assert timedelta(days=29) < row.expires_at - timezone.now() < timedelta(days=31)
    holder.refresh()
    cast.key = key
    assert cast.get("satu", "id=1").status == 200


@pytest.mark.parametrize(
    "arguments",
    [["kons/tidakada"], ["kons"], ["kons/app", "--days", "0"], ["kons/app", "--network", "di-mana"]],
    ids=["unknown", "no slash", "days", "network"],
)
def test_a_wrong_order_for_a_key_issues_none(cast: Cast, arguments: list[str], capsys: Caught) -> None:
    count = AccessKey.objects.count()
    with pytest.raises(CommandError):
        call_command("issue_key", *arguments)
    assert (AccessKey.objects.count(), capsys.readouterr().out) == (count, "")


def test_after_rotation_the_old_key_may_go(cast: Cast, settings: object) -> None:
    proxy = ProxyOperation.objects.create(service=cast.service, code="alias")
    add_server(proxy, "http://hulu.contoh.go.id", credential="rahasia-hulu")
    cast.source.password = "kata-sandi"
    cast.source.save()
    revision = Operation.objects.get(code="alias").revision
    (old,) = settings.FIELD_KEYS  # type: ignore[attr-defined]
    new = Fernet.generate_key().decode()
    settings.FIELD_KEYS = [new]  # type: ignore[attr-defined]
    with pytest.raises(ImproperlyConfigured):
        str(DataSource.objects.get().password)
    with pytest.raises(CommandError):
        call_command("rotate_secrets")
    settings.FIELD_KEYS = [new, old]  # type: ignore[attr-defined]
    call_command("rotate_secrets")
    settings.FIELD_KEYS = [new]  # type: ignore[attr-defined]
    assert str(DataSource.objects.get().password) == "kata-sandi"
    assert str(Backend.objects.get().credential) == "rahasia-hulu"
    assert Operation.objects.get(code="alias").revision == revision


def test_rotation_knows_every_column_with_secrets() -> None:
    assert {(model.__name__, field.name) for model, field in encrypted_fields()} == {
        ("AccessKey", "secret"),
        ("AddressChange", "secrets"),
        ("Backend", "client_certificate"),
        ("Backend", "credential"),
        ("BackendServer", "client_certificate"),
        ("BackendServer", "credential"),
        ("DataSource", "password"),
        ("DataSource", "wallet_password"),
        ("ExportJob", "key"),
        ("ComparisonInput", "keys_key"),
        ("ComparisonInput", "log_key"),
        ("ImportInput", "key"),
        ("ImportInput", "log_key"),
        ("ImportInput", "password"),
        ("Job", "key"),
        ("OutboxMessage", "link"),
        ("ParameterMapping", "value"),
        ("ReconciliationRun", "key"),
        ("SampleRequest", "request"),
        ("Side", "key"),
    }


def test_an_administrator_is_made_with_a_random_password(db: None, capsys: Caught) -> None:
    call_command("create_admin", "pengelola", "--email", "p@contoh.go.id")
    caught = capsys.readouterr()
    password = caught.out.removesuffix("\n")
    assert len(password) >= 20
    assert password not in caught.err
    user = authenticate(HttpRequest(), username="pengelola", password=password)
    assert isinstance(user, User)
    assert tenancy.sees_all_agencies(user)
    assert user.is_staff
    assert [group.name for group in user.groups.all()] == ["Administrator"]
    with pytest.raises(CommandError):
        call_command("create_admin", "pengelola")


def test_an_administrators_password_may_come_from_a_file(db: None, tmp_path: Path, capsys: Caught) -> None:
    file = tmp_path / "sandi"
    file.write_text("kuda-nil-berenang\n")
    call_command("create_admin", "pengelola", "--password-file", str(file))
    assert "kuda-nil" not in "".join(capsys.readouterr())
    assert authenticate(HttpRequest(), username="pengelola", password="kuda-nil-berenang")
    file.write_text("1234\n")
    with pytest.raises(CommandError):
        call_command("create_admin", "lain", "--password-file", str(file))
    with pytest.raises(CommandError):
        call_command("create_admin", "lain", "--password-file", str(tmp_path / "tidakada"))
    assert not User.objects.filter(username="lain").exists()


def test_the_demos_data_is_made_once_and_made_again_when_it_is_broken(
    tmp_path: Path, settings: object, capsys: Caught
) -> None:
    settings.SOURCE_FILE_DIRS = [str(tmp_path)]  # type: ignore[attr-defined]
    call_command("demo_data")
    file = CIVIL_SERVANTS.path
    made = file.stat().st_mtime_ns
    call_command("demo_data")
    assert file.stat().st_mtime_ns == made
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute("SELECT * FROM pegawai WHERE nip IN ('198000000000000011', '198000000000100000')")
        first, last = found.fetchall()
        assert first == (
            "198000000000000011", "Pegawai 11", "IV/a", "Dinas 11", "2000-01-12", 2500011, 1, "1970-01-12 08:00:00",
            "p11@contoh.go.id", 'catatan & <uji> "11"',
        )  # fmt: skip
        assert last[0] == "198000000000100000"
        assert last[9] is None
    file.write_bytes(b"rusak")
    call_command("demo_data")
    assert CIVIL_SERVANTS.is_complete()
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_the_demos_proxy_moves_with_the_port(db: None, capsys: Caught) -> None:
    agency = Agency.objects.create(code="bkn", name="BKN")
    service = Service.objects.create(agency=agency, code="simpeg", title="Simpeg")
    proxy = ProxyOperation.objects.create(service=service, code="proxy_nip")
    row = add_server(proxy, "http://127.0.0.1:8000/json/bkn/simpeg", credential="kunci")
    call_command("demo_data", "--port", "8123")
    row.refresh_from_db()
    assert (row.url, str(row.backend.credential)) == ("http://127.0.0.1:8123/json/bkn/simpeg", "kunci")
    row.url = "http://lain.contoh.go.id/json"
    row.save()
    call_command("demo_data", "--port", "8124")
    row.refresh_from_db()
    assert row.url == "http://lain.contoh.go.id/json"
