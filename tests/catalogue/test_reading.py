"""Who finds what in the catalogue, and what a grant leaves of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from registry.models import Application, Field, Grant, Operation
from registry.snapshot import holder
from tests.admin.conftest import make_user
from tests.cast import Cast

LISTINGS = ("public", "members", "hidden")


@pytest.fixture
def offered(cast: Cast) -> Cast:
    """An operation of each listing, one of them with two columns, and a draft that is public in name only."""
    for listing in LISTINGS:
        made = cast.define(
            f"untuk-{listing}", "SELECT nama, unit FROM orang", listing=listing, title=f"Judul {listing}"
        )
        for name in ("nama", "unit"):
            Field.objects.create(operation=made, name=name, description=f"isi {name}")
    cast.define("draf", "SELECT 1 AS satu", state="draft", listing="public")
    return cast


def found_by(client: Client, cast: Cast) -> set[str]:
    """The listings of the operations that a client finds, by their own pages."""
    pages = {listing: client.get(f"/catalog/PROV/data/untuk-{listing}") for listing in LISTINGS}
    assert {page.status_code for page in pages.values()} <= {200, 404}
    assert client.get("/catalog/prov/data/draf").status_code == 404
    listed = client.get("/catalog/").content.decode() + client.get("/catalog/prov/data/").content.decode()
    found = {listing for listing, page in pages.items() if page.status_code == 200}
    assert all((f"Judul {listing}" in listed) == (listing in found) for listing in LISTINGS)
    return found


def test_everybody_finds_what_is_for_everybody(offered: Cast) -> None:
    client = Client()
    assert found_by(client, offered) == {"public"}
    for role, agency, found in (
        ("Requester", offered.stranger, {"public", "members"}),
        ("Requester", offered.provider, set(LISTINGS)),
        ("Supervisor", None, set(LISTINGS)),
        ("Administrator", None, set(LISTINGS)),
    ):
        client.force_login(make_user(role, agency, f"{role}-{agency}"))
        assert found_by(client, offered) == found, role


def test_a_hidden_operation_is_found_by_the_agency_of_an_application_that_may_call_it(offered: Cast) -> None:
    client, address = Client(), "/catalog/prov/data/untuk-hidden"
    client.force_login(make_user("Requester", offered.consumer, "pemohon"))
    assert found_by(client, offered) == set(LISTINGS)
    holder.refresh()
    for page in ("", "/openapi.json", "/code", "/try", "/request"):
        assert client.get(f"{address}{page}").status_code == 200, page
    assert "/data/untuk-hidden" in client.get("/catalog/prov/data/openapi.json").content.decode()
    grants = Grant.objects.filter(operation=offered.operations["untuk-hidden"])
    for change in ({"state": "revoked"}, {"valid_until": timezone.localdate() - timedelta(days=1)}):
        grants.update(**change)
        assert found_by(client, offered) == {"public", "members"}, change
        grants.update(state="approved", valid_until=None)
    Application.objects.update(active=False)
    assert found_by(client, offered) == {"public", "members"}


def test_an_agency_without_anything_for_the_reader_is_not_there(offered: Cast) -> None:
    client = Client()
    assert client.get("/catalog/prov/").status_code == 200
    assert client.get("/catalog/kons/").status_code == 404
    Operation.objects.update(listing="members")
    assert client.get("/catalog/prov/").status_code == client.get("/catalog/prov/data/").status_code == 404


def columns_of(client: Client, address: str) -> list[str]:
    """The columns that the reader of a page gets."""
    reader = client.get(address).context["reader"]
    return [field.name for field in reader.fields(reader.operation(*address.split("/")[2:]))]


def test_the_grant_of_ones_application_limits_the_columns(offered: Cast) -> None:
    client, address = Client(), "/catalog/prov/data/untuk-members"
    client.force_login(make_user("Requester", offered.consumer, "pemohon"))
    grant = offered.grants["untuk-members"]
    grant.fields = "nama"
    grant.save()
    assert columns_of(client, address) == ["nama"]

    grant.valid_until = timezone.localdate() - timedelta(days=1)
    grant.save()
    assert columns_of(client, address) == ["nama", "unit"]


def test_the_application_is_chosen_among_ones_own(offered: Cast) -> None:
    client, address = Client(), "/catalog/prov/data/untuk-members"
    client.force_login(make_user("Requester", offered.consumer, "pemohon"))
    other = Application.objects.create(agency=offered.consumer, code="lain", title="Lain")
    Application.objects.create(agency=offered.stranger, code="milik-asing", title="Asing")
    for chosen, application in (
        ("", None),
        ("kons/LAIN", other),
        ("kons/app", offered.application),
        ("asing/milik-asing", None),
        ("kons/\0", None),
    ):
        assert client.get(address, {"application": chosen}).context["reader"].application == application, chosen
    other.active = False
    other.save()
    assert client.get(address, {"application": "kons/lain"}).context["reader"].application == offered.application


def test_what_is_not_there_is_not_found(offered: Cast) -> None:
    for place in ("%00/", "prov/%00/", "prov/data/%00", "prov/x/y"):
        assert Client().get(f"/catalog/{place}").status_code == 404


def test_the_start_leads_to_the_catalogue_or_to_ones_work(cast: Cast) -> None:
    client = Client()
    assert client.get("/")["Location"] == "/catalog/"
    assert 'href="/account/login/?next=/catalog/"' in client.get("/catalog/").content.decode()
    client.force_login(make_user("Requester", cast.consumer, "pemohon"))
    assert client.get("/")["Location"] == "/admin/"
    assert 'href="/admin/"' in client.get("/catalog/").content.decode()
