"""Proxy operations by the management API: constants that are read, secrets that are not and go nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from proxyservices.models import ParameterMapping, ProxyOperation, ServiceDescription, Upstream
from tests.api.conftest import Person
from tests.cast import Cast

UPSTREAM = {"url": "http://hulu.contoh.go.id", "credential_kind": "bearer", "credential": "rahasia-hulu"}
MAPPINGS = [
    {"location": "query", "name": "format", "value": "json"},
    {"location": "header", "name": "X-Kunci", "value": "kunci-x", "secret": True},
    {"location": "json", "name": "pegawai.nip", "parameter": "nip"},
]


@pytest.fixture
def address(cast: Cast, publisher: Person) -> str:
    answer = publisher.post(
        "operations/",
        {
            "kind": "proxy", "service": "prov/data", "code": "alias", "style": "rest", "method": "POST",
            "parameters": [{"name": "nip"}], "upstreams": [UPSTREAM], "mappings": MAPPINGS,
            "descriptions": [{"url": "http://hulu.contoh.go.id/a.json", "main": True, "content": "{}"}],
        },
    )  # fmt: skip
    assert answer.status_code == 201, answer.content
    return f"operations/{answer.json()['id']}/"


def secret() -> str:
    return str(ParameterMapping.objects.get(secret=True).value)


def test_it_works(address: str, publisher: Person) -> None:
    answer = publisher.get(address)
    found: dict[str, Any] = answer.json()
    assert [each["name"] for each in found["mappings"]] == ["format", "X-Kunci", "pegawai.nip"]
    assert found["mappings"][0]["value"] == "json"
    assert "value" not in found["mappings"][1]
    assert found["upstreams"][0]["credential_kind"] == "bearer"
    assert found["descriptions"] == [{"url": "http://hulu.contoh.go.id/a.json", "main": True}]
    for hidden in ("rahasia-hulu", "kunci-x"):
        assert hidden not in answer.content.decode()
    assert found["allowed_methods"].startswith("GET, ")


def test_lists_written_without_their_secrets_keep_them(address: str, publisher: Person) -> None:
    found = publisher.get(address).json()
    lists = {name: found[name] for name in ("upstreams", "mappings", "descriptions")}
    assert publisher.patch(address, lists).status_code == 200
    assert secret() == "kunci-x"
    assert str(Upstream.objects.get().credential) == "rahasia-hulu"
    assert ServiceDescription.objects.get().content == "{}"


def test_a_constant_that_is_left_out_is_gone(address: str, publisher: Person) -> None:
    lines = [{**MAPPINGS[0], "value": "xml"}, {"location": "header", "name": "X-Kunci", "parameter": "nip"}]
    assert publisher.patch(address, {"mappings": lines}).status_code == 200
    assert [str(row.value) for row in ParameterMapping.objects.all()] == ["xml", ""]
    assert publisher.patch(address, {"mappings": [{"location": "query", "name": "a"}]}).status_code == 400


def test_no_secret_is_sent_to_another_place(address: str, publisher: Person) -> None:
    other = {"url": "http://penyadap.contoh", "credential_kind": "none"}
    answer = publisher.patch(address, {"upstreams": [UPSTREAM, other]})
    assert (answer.status_code, list(answer.json())) == (400, ["mappings"])
    answer = publisher.patch(address, {"upstreams": [{"url": UPSTREAM["url"], "credential_kind": "access-key"}]})
    assert (answer.status_code, list(answer.json())) == (400, ["upstreams"])
    answer = publisher.patch(address, {"upstreams": [UPSTREAM, other], "mappings": MAPPINGS[:1]})
    assert answer.status_code == 200, answer.content
    lines = [{**MAPPINGS[1], "value": "kunci-baru"}]
    third = {"url": "http://ketiga.contoh.go.id", "credential_kind": "none"}
    assert publisher.patch(address, {"upstreams": [third], "mappings": lines}).status_code == 200
    assert ProxyOperation.objects.get().upstreams.get().url == third["url"]
    # To say the same secret once more is as good as a new one: whoever can, knows it.
    fourth = {"url": "http://keempat.contoh.go.id", "credential_kind": "none"}
    assert publisher.patch(address, {"upstreams": [fourth], "mappings": lines}).status_code == 200
    assert publisher.patch(address, {"upstreams": [third]}).status_code == 400


def test_a_list_of_parameters_has_one_for_each_placeholder_in_the_path(address: str, publisher: Person) -> None:
    answer = publisher.patch(address, {"path": "x/{nik}/{unit}", "parameters": [{"name": "nip"}, {"name": "unit"}]})
    assert answer.status_code == 400
    assert "{nik}" in str(answer.json()["path"])
    assert publisher.patch(address, {"path": "x/{nik}"}).status_code == 200
    assert [each["name"] for each in publisher.get(address).json()["parameters"]] == ["nip", "nik"]
