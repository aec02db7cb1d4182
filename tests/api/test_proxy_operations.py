"""Proxy operations by the management API: constants that are read, secrets that are not and go nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from proxyservices.models import Backend, ParameterMapping, ProxyOperation, ServiceDescription
from tests.api.conftest import Person
from tests.cast import Cast

BACKEND = {
    "agency": "prov", "code": "hulu", "credential_kind": "bearer", "credential": "rahasia-hulu",
    "servers": [{"url": "http://hulu.contoh.go.id"}],
}  # fmt: skip
MAPPINGS = [
    {"location": "query", "name": "format", "value": "json"},
    {"location": "header", "name": "X-Kunci", "value": "kunci-x", "secret": True},
    {"location": "json", "name": "pegawai.nip", "parameter": "nip"},
]


@pytest.fixture
def address(cast: Cast, publisher: Person) -> str:
    assert publisher.post("backends/", BACKEND).status_code == 201
    answer = publisher.post(
        "operations/",
        {
            "kind": "proxy", "service": "prov/data", "code": "alias", "style": "rest", "method": "POST",
            "parameters": [{"name": "nip"}], "backend": "prov/hulu", "mappings": MAPPINGS,
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
    assert found["backend"] == "prov/hulu"
    assert found["descriptions"] == [{"url": "http://hulu.contoh.go.id/a.json", "main": True}]
    for hidden in ("rahasia-hulu", "kunci-x"):
        assert hidden not in answer.content.decode()
    assert found["allowed_methods"].startswith("GET, ")


def test_lists_written_without_their_secrets_keep_them(address: str, publisher: Person) -> None:
    found = publisher.get(address).json()
    lists = {name: found[name] for name in ("mappings", "descriptions")}
    assert publisher.patch(address, lists).status_code == 200
    assert secret() == "kunci-x"
    (backend,) = publisher.get("backends/").json()["results"]
    assert (backend["credential_kind"], [each["url"] for each in backend["servers"]]) == (
        "bearer", ["http://hulu.contoh.go.id"],
    )  # fmt: skip
    assert not {"credential", "client_certificate"} & set(backend)
    servers = {"servers": [{**each, "weight": 7} for each in backend["servers"]]}
    assert publisher.patch(f"backends/{backend['id']}/", servers).status_code == 200
    stored = Backend.objects.get()
    assert (str(stored.credential), stored.servers.get().weight) == ("rahasia-hulu", 7)
    assert ServiceDescription.objects.get().content == "{}"


def test_a_constant_that_is_left_out_is_gone(address: str, publisher: Person) -> None:
    lines = [{**MAPPINGS[0], "value": "xml"}, {"location": "header", "name": "X-Kunci", "parameter": "nip"}]
    assert publisher.patch(address, {"mappings": lines}).status_code == 200
    assert [str(row.value) for row in ParameterMapping.objects.all()] == ["xml", ""]
    assert publisher.patch(address, {"mappings": [{"location": "query", "name": "a"}]}).status_code == 400


def test_no_secret_is_sent_to_another_place(address: str, publisher: Person) -> None:
    other = {"url": "http://penyadap.contoh"}
    place = f"backends/{Backend.objects.get().pk}/"
    # The secret of a mapping goes to all servers of the backend: it must be entered again with a new backend.
    answer = publisher.patch(place, {"servers": [*BACKEND["servers"], other], "credential": "rahasia-hulu"})  # type: ignore[misc]
    assert (answer.status_code, list(answer.json())) == (400, ["servers"])
    assert "alias" in str(answer.json())
    answer = publisher.patch(place, {"credential_kind": "access-key"})
    assert (answer.status_code, list(answer.json())) == (400, ["credential"])
    third = {"agency": "prov", "code": "ketiga", "credential_kind": "none", "servers": [other]}
    assert publisher.post("backends/", third).status_code == 201
    answer = publisher.patch(address, {"backend": "prov/ketiga"})
    assert (answer.status_code, list(answer.json())) == (400, ["mappings"])
    # To say the same secret once more is as good as a new one: whoever can, knows it.
    lines = [{**MAPPINGS[1], "value": "kunci-x"}]
    answer = publisher.patch(address, {"backend": "prov/ketiga", "mappings": lines})
    assert answer.status_code == 200, answer.content
    assert publisher.patch(address, {"backend": "prov/hulu"}).status_code == 400
    assert ProxyOperation.objects.get().backend == Backend.objects.get(code="ketiga")
    # And a backend of another agency is none that there is.
    assert publisher.patch(address, {"backend": "asing/hulu"}).status_code == 400


def test_a_list_of_parameters_has_one_for_each_placeholder_in_the_path(address: str, publisher: Person) -> None:
    answer = publisher.patch(address, {"path": "x/{nik}/{unit}", "parameters": [{"name": "nip"}, {"name": "unit"}]})
    assert answer.status_code == 400
    assert "{nik}" in str(answer.json()["path"])
    assert publisher.patch(address, {"path": "x/{nik}"}).status_code == 200
    assert [each["name"] for each in publisher.get(address).json()["parameters"]] == ["nip", "nik"]
