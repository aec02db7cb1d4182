"""Oracle's second secret: kept as the first is, and handed to the adapter."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.urls import reverse

from adapters.oracle.connecting import connect_parameters
from dataservices.models import DataSource
from tests.admin.conftest import MarkedAgency, SignIn, confirmed

SECRET = "rahasia-dompet-93"


@pytest.fixture
def source(marked: MarkedAgency) -> DataSource:
    made = DataSource(
        agency=marked.agency,
        code="ora",
        engine="oracle",
        host="db.internal",
        user="u",
        password="sandi",
        options={"service_name": "X", "wallet": "/etc/wallet"},
        wallet_password=SECRET,
    )
    made.full_clean()
    made.save()
    return made


def form(source: DataSource, **changes: Any) -> dict[str, Any]:
    base = {
        "agency": source.agency_id,
        "code": "ora",
        "engine": "oracle",
        "host": "db.internal",
        "port": "",
        "database": "",
        "user": "u",
        "password": "",
        "wallet_password": "",
        "pool_size": "5",
        "option_service_name": "X",
        "option_wallet": "/etc/wallet",
    }
    return {**base, **changes}


def test_wallet_reaches_the_adapter_and_is_stored_encrypted(source: DataSource) -> None:
    place = connect_parameters(DataSource.objects.get(pk=source.pk).settings())
    assert (place["wallet_location"], place["wallet_password"]) == ("/etc/wallet", SECRET)
    with connection.cursor() as cursor:
        cursor.execute("SELECT wallet_password FROM dataservices_datasource WHERE id = %s", [source.pk])
        stored = cursor.fetchone()[0]
    assert stored and SECRET not in str(stored)


def test_the_form_keeps_it_and_never_shows_it(source: DataSource, sign_in: SignIn) -> None:
    client = sign_in("Provider", source.agency)
    page = reverse("admin:dataservices_datasource_change", args=(source.pk,))
    assert SECRET not in client.get(page).content.decode()
    assert confirmed(client, page, form(source)).status_code == 302
    source.refresh_from_db()
    assert str(source.wallet_password) == SECRET
    assert confirmed(client, page, form(source, wallet_password="lain-44")).status_code == 302
    source.refresh_from_db()
    assert str(source.wallet_password) == "lain-44"


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "jahat.example"},
        {"option_dsn": "jahat.example:1521/X", "option_service_name": ""},
        {"option_service_name": "Y"},
    ],
)
def test_wallet_is_not_sent_to_another_address(changes: dict[str, str], source: DataSource, sign_in: SignIn) -> None:
    client = sign_in("Provider", source.agency)
    page = reverse("admin:dataservices_datasource_change", args=(source.pk,))
    response = client.post(page, form(source, **changes))
    assert {"password", "wallet_password"} <= set(response.context["adminform"].form.errors)
    typed = {"password": "baru", "wallet_password": "baru"}
    assert confirmed(client, page, form(source, **changes, **typed)).status_code == 302


def test_no_other_engine_has_one(marked: MarkedAgency) -> None:
    marked.source.wallet_password = SECRET
    with pytest.raises(ValidationError) as error:
        marked.source.full_clean()
    assert "wallet_password" in error.value.message_dict
