"""Faults that an access request remedies name the page on which to ask."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from registry.models import Grant
from registry.snapshot import holder
from tests.admin.conftest import make_user
from tests.cast import Cast, call

PAGE = "https://bus.contoh.go.id/catalog/prov/data/satu/request"
ENVELOPE = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
    '<m:satu xmlns:m="urn:mantra:prov:data"><m:id>1</m:id></m:satu></s:Body></s:Envelope>'
)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"valid_until": "2020-01-01"}, 11006), ({"valid_from": "2999-01-01"}, 11007),
        ({"networks": "10.0.0.0/8"}, 11008), ({"state": "revoked"}, 11005),
    ],
)  # fmt: skip
def test_it_works(change: dict[str, Any], code: int, cast: Cast, settings: Any) -> None:
    settings.BASE_URL = "https://bus.contoh.go.id"
    Grant.objects.filter(operation=cast.operations["satu"]).update(**change)
    holder.refresh()
    problem = cast.get("satu", "id=1").json()
    assert (problem["code"], problem["request_url"]) == (code, PAGE)
    assert f"<request_url>{PAGE}</request_url>" in cast.get("satu.xml", "id=1").text
    fault = call("/soap/prov/data", "POST", ENVELOPE, accesskey=cast.key, content_type="text/xml; charset=utf-8").text
    assert f"<m:request_url>{PAGE}</m:request_url>" in fault
    asker = Client()
    asker.force_login(make_user("Requester", cast.consumer, "pemohon"))
    assert asker.get(urlsplit(problem["request_url"]).path).status_code == 200


def test_other_faults_name_no_page(cast: Cast) -> None:
    assert "request_url" not in cast.get("satu").json()
    assert "request_url" not in cast.get("tidak").json()
    assert "request_url" not in cast.get("satu", "id=1", accesskey="salah").json()


def test_without_a_setting_it_is_the_callers_address(cast: Cast) -> None:
    Grant.objects.all().delete()
    holder.refresh()
    assert cast.get("satu", "id=1").json()["request_url"] == "http://localhost:80/catalog/prov/data/satu/request"
