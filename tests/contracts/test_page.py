"""The page on which callers read and try calls, without a browser."""

from __future__ import annotations

import re
from typing import Any

from django.test import Client

from registry.models import Operation, User
from registry.snapshot import holder
from tests.cast import Cast


def test_the_page_runs_no_script_but_its_own(cast: Cast) -> None:
    Operation.objects.filter(code="satu").update(listing="public")
    reply = Client().get("/catalog/PROV/Data/swagger.html")
    page = reply.content.decode()
    policy = reply["content-security-policy"]
    assert "default-src 'none'; script-src testserver/static/ testserver/admin/jsi18n/;" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert all("src=" in script for script in re.findall(r"<script[^>]*>", page))
    assert not re.search(r"\s(?:on\w+|style)=", page)
    assert "https://" not in page
    for name in ("/catalog/prov/data/openapi.json", "/catalog/prov/data/postman.json", "/soap/prov/data?wsdl"):
        assert f'href="{name}"' in page
    assert cast.key not in page
    assert Client().get("/catalog/prov/lain/swagger.html").status_code == 404


def test_the_choice_of_an_application_goes_on(cast: Cast) -> None:
    client = Client()
    client.force_login(User.objects.create_user("pembaca", agency=cast.consumer))
    page = client.get("/catalog/prov/data/swagger.html?application=KONS/App").content.decode()
    assert 'data-url="/catalog/prov/data/openapi.json?application=kons/app"' in page
    # What no reader may choose changes nothing.
    anonymous = Client()
    Operation.objects.filter(code="satu").update(listing="public")
    holder.refresh()
    for chosen in ("kons/app", "x", "\0"):
        assert anonymous.get("/catalog/prov/data/openapi.json", {"application": chosen}).status_code == 200
    stored = holder.refresh().documents
    assert len([key for key in stored if key[0] == "service_document"]) == 1


def test_calls_go_to_the_public_address(cast: Cast, settings: Any) -> None:
    settings.BASE_URL = "https://mantra.contoh.go.id"
    Operation.objects.filter(code="satu").update(listing="public")
    reply = Client().get("/catalog/prov/data/swagger.html")
    assert "connect-src 'self' https://mantra.contoh.go.id;" in reply["content-security-policy"]
