"""Data sources: a password that goes in and never comes out, and a test that says what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils.translation import override

import adapters
from adapters.base import REASONS
from dataservices import connection_test
from dataservices.admin.sources import engine_choices, engine_help
from dataservices.connection_test import ADVICE, FILE_ADVICE, advise, diagnose
from dataservices.models import DataSource
from proxyservices.models import Backend
from tests.admin.conftest import MarkedAgency, SignIn
from tests.cast import Cast
from tests.servers.postgresql import PostgreSQLServer

SECRET = "rahasia-sekali-77"
ADD = "/admin/dataservices/datasource/add/"


def form(source: DataSource, **changes: Any) -> dict[str, Any]:
    data = {
        name: getattr(source, name) or ""
        for name in ("code", "engine", "host", "port", "database", "user", "pool_size")
    }
    return {**data, "agency": source.agency_id, "options": json.dumps(source.options), "password": "", **changes}


def change(source: DataSource) -> str:
    return reverse("admin:dataservices_datasource_change", args=(source.pk,))


@pytest.fixture
def source(marked: MarkedAgency) -> DataSource:
    marked.source.password = SECRET
    marked.source.save()
    return marked.source


def test_a_source_is_made_for_ones_own_agency(marked: MarkedAgency, sign_in: SignIn) -> None:
    client = sign_in("Provider", marked.agency)
    data = {
        "agency": marked.agency.pk,
        "code": "baru",
        "engine": "postgresql",
        "host": "db.internal",
        "port": "5432",
        "database": "d",
        "user": "u",
        "password": SECRET,
        "options": "",
        "pool_size": "5",
    }
    response = client.post(ADD, data)
    assert response.status_code == 302, response.context["adminform"].form.errors
    made = DataSource.objects.get(code="baru")
    assert str(made.password) == SECRET
    assert made.options == {}


def test_no_page_shows_the_password(source: DataSource, sign_in: SignIn) -> None:
    Backend.objects.update(credential=SECRET)
    pages = [change(source), "/admin/dataservices/datasource/"]
    pages += [reverse("admin:proxyservices_backend_change", args=(row.pk,)) for row in Backend.objects.all()]
    for client in (
        sign_in("Provider", source.agency),
        sign_in("Publisher", source.agency),
        sign_in("Administrator"),
        sign_in("Supervisor"),
    ):
        for page in pages:
            assert SECRET not in client.get(page).content.decode()


def test_an_empty_password_keeps_the_one_there_is(source: DataSource, sign_in: SignIn) -> None:
    client = sign_in("Provider", source.agency)
    assert client.post(change(source), form(source, database="lain")).status_code == 302
    source.refresh_from_db()
    assert (source.database, str(source.password)) == ("lain", SECRET)
    client.post(change(source), form(source, password="baru-lagi"))
    source.refresh_from_db()
    assert str(source.password) == "baru-lagi"


def test_a_stored_password_is_not_sent_to_a_new_address(source: DataSource, sign_in: SignIn) -> None:
    client = sign_in("Provider", source.agency)
    for moved in ({"host": "penadah.example"}, {"port": "9999"}, {"engine": "mysql"}):
        response = client.post(change(source), form(source, **moved))
        assert "password" in response.context["adminform"].form.errors
    assert client.post(change(source), form(source, host="baru.internal", password=SECRET)).status_code == 302


def test_the_log_holds_no_secret(source: DataSource, sign_in: SignIn) -> None:
    sign_in("Provider", source.agency).post(change(source), form(source, password="baru-lagi-88"))
    entry = LogEntry.objects.get()
    assert entry.change_message
    assert "baru-lagi-88" not in entry.change_message + entry.object_repr
    assert SECRET not in entry.change_message


def test_what_the_model_refuses_is_told_at_its_field(marked: MarkedAgency, sign_in: SignIn) -> None:
    data = {
        "agency": marked.agency.pk,
        "code": "baru",
        "engine": "postgresql",
        "options": '{"apa": 1}',
        "pool_size": "5",
    }
    response = sign_in("Provider", marked.agency).post(ADD, data)
    assert {"host", "database", "user", "options"} <= set(response.context["adminform"].form.errors)
    for wrong in ("[]", '"x"', "{", '{"timezone": "Asia/Atlantis"}', '{"timezone": 7}', '{"timezone": [1]}'):
        response = sign_in("Provider", marked.agency).post(ADD, {**data, "options": wrong})
        assert "options" in response.context["adminform"].form.errors


# --------------------------------------------------------------------------------- test connection


def test_every_reason_has_its_advice_in_both_languages() -> None:
    assert set(ADVICE) == set(REASONS)
    for advice in (*ADVICE.values(), *FILE_ADVICE.values()):
        with override("id"):
            indonesian = str(advice)
        with override("en"):
            assert str(advice) != indonesian


def test_a_good_source_says_how_many_tables_it_sees(cast: Cast, sign_in: SignIn) -> None:
    address = reverse("admin:dataservices_datasource_test", args=(cast.source.pk,))
    client = sign_in("Provider", cast.provider)
    assert client.get(address).status_code == 405
    text = client.post(address, follow=True).content.decode()
    assert "Terhubung ke SQLite" in text
    assert "1 tabel" in text


def test_a_real_server_and_its_refusals(postgresql: PostgreSQLServer, marked: MarkedAgency) -> None:
    source = marked.source
    for name, value in postgresql.source().items():
        setattr(source, name, value)
    assert diagnose(source).succeeded
    source.database = "tidak_ada"
    assert diagnose(source).text.startswith(str(ADVICE["database-unknown"]))
    source.password = "salah"
    assert diagnose(source).text.startswith(str(ADVICE["login"]))


def test_a_port_where_nothing_listens(marked: MarkedAgency, refusing_port: int) -> None:
    marked.source.host, marked.source.port = "127.0.0.1", refusing_port
    found = diagnose(marked.source)
    assert (found.succeeded, found.text) == (False, str(ADVICE["refused"]))


def test_a_host_that_nobody_knows(marked: MarkedAgency, sign_in: SignIn) -> None:
    marked.source.host = "tidak-ada.invalid"
    marked.source.save()
    address = reverse("admin:dataservices_datasource_test", args=(marked.source.pk,))
    text = sign_in("Provider", marked.agency).post(address, follow=True).content.decode()
    assert "Nama host tidak ditemukan di DNS" in text


def test_a_file_that_is_not_there_or_not_ones_own(cast: Cast) -> None:
    cast.source.database = "hilang.sqlite3"
    assert diagnose(cast.source).text == advise("file-missing", cast.source)
    assert "sources/prov" in diagnose(cast.source).text
    for path in ("/etc/passwd", "../../etc/passwd", str(Path(__file__))):
        cast.source.database = path
        assert diagnose(cast.source).text == advise("file-forbidden", cast.source)
    assert "sources/prov" in diagnose(cast.source).text


def test_a_file_is_told_of_as_a_file(cast: Cast) -> None:
    cast.source.host = "localhost"
    found = diagnose(cast.source)
    assert found.succeeded
    assert cast.source.database in found.text
    assert "localhost" not in found.text
    wrong = Path(settings.SOURCE_FILE_DIRS[0]) / cast.provider.code / "bukan.sqlite3"
    wrong.write_text("nip;nama\n1;Siti\n" * 100)
    cast.source.database = wrong.name
    with override("id"):
        assert diagnose(cast.source).text == "Berkas itu ada, tetapi bukan database SQLite. Pastikan berkasnya benar."


def test_an_engine_without_its_driver_says_how_to_get_it(marked: MarkedAgency, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters.adapter_class("postgresql"), "driver", "tidak_ada_sama_sekali")
    with override("id"):
        assert "driver belum ada" in dict(engine_choices())["postgresql"]
        assert "pip install" in str(engine_help())
        found = connection_test.diagnose(marked.source)
    assert not found.succeeded
    assert "pip install" in found.text
