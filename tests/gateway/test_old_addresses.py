"""Bookmarks of the pages of MANTRA 1.99x lead to the pages of this version, and never shadow a call."""

from __future__ import annotations

import pytest
from django.test import Client

from registry.models import AccessKey, Agency, Operation
from registry.snapshot import holder
from tests.cast import Cast, Reply, call, recorded

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
CATALOGUE, OPERATION = "/catalog/", "/catalog/prov/data/satu"


def opened(address: str, **more: str) -> Reply:
    return call(address, accept=BROWSER, **more)


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("/mantra", CATALOGUE),
        ("/mantra/", CATALOGUE),
        ("/MANTRA//", CATALOGUE),
        ("/mantra/index.php", CATALOGUE),
        ("/index.php", CATALOGUE),
        ("/index.php?halaman=layanan", CATALOGUE),
        ("/mantra/apa/saja", CATALOGUE),
        ("/mantra/prov/tidak-ada", CATALOGUE),
        ("/mantra/login", "/account/login/"),
        ("/mantra/index.php?page=Login", "/account/login/"),
        ("/index.php?login", "/account/login/"),
        ("/mantra/prov/data", "/catalog/prov/data/"),
        ("/mantra/metadata/PROV/data/Satu", OPERATION),
        ("/mantra/prov/data/satu/login", OPERATION),
        ("/index.php?page=metadata&instance=prov&service=data&method=satu", OPERATION),
        ("/mantra/index.php?prov/data/satu", OPERATION),
        ("/mantra/metadata/_prov/data/satu", OPERATION),  # by its old name
        ("/mantra//evil.contoh.go.id/", CATALOGUE),
        ("/mantra/%2f%2fevil.contoh.go.id", CATALOGUE),
        ("/mantra/%00%ff/a+b", CATALOGUE),
        ("/index.php?" + "a&" * 600, CATALOGUE),
    ],
)
def test_a_page_leads_on(cast: Cast, address: str, page: str) -> None:
    Agency.objects.filter(code="prov").update(legacy_name="_prov")
    holder.refresh()
    for method in ("GET", "HEAD"):
        reply = call(address, method, accept=BROWSER)
        assert (reply.status, reply.headers["location"], reply.body) == (302, page, b"")
    assert not [line for line in recorded() if line["t"] == "begin"]  # it is no call


def test_the_pages_exist(cast: Cast) -> None:
    Operation.objects.update(listing="public")
    for page in (CATALOGUE, "/account/login/", "/catalog/prov/data/", OPERATION):
        assert Client().get(page).status_code == 200


@pytest.mark.parametrize("prefix", ["", "/mantra"])
@pytest.mark.parametrize("output", ["json", "xml", "api", "JSON", "%6Ason"])
def test_a_call_stays_a_call_in_a_browser_too(cast: Cast, prefix: str, output: str) -> None:
    AccessKey.import_legacy(cast.application, "aaaaaaaaaa", cast.operations["satu"])
    holder.refresh()
    reply = opened(f"{prefix}/{output}/prov/data/satu/id=7")
    assert reply.status == 200
    assert b"10001" in reply.body
    answered = opened(f"{prefix}/{output}/prov/data/satu/id=7", accesskey="aaaaaaaaaa")
    assert b"Orang 7" in answered.body
    assert b"10002" in opened(f"{prefix}/{output}").body


@pytest.mark.parametrize("address", ["/mantra", "/mantra/lain/prov/data/satu", "/mantra/prov/data/satu", "/index.php"])
def test_what_is_no_browser_gets_the_answer_of_the_wire(cast: Cast, address: str) -> None:
    for reply in (
        call(address),
        call(address, accept="*/*", user_agent="MANTRA"),
        call(address, "POST", "a=1", accept=BROWSER),
        opened(address, accesskey="aaaaaaaaaa"),
    ):
        assert reply.status == 200
        assert reply.json()["response"]["code"] == 10002


def test_before_the_first_snapshot(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder, "current", lambda: None)
    assert opened("/mantra/prov/data/satu").headers["location"] == CATALOGUE
