"""The stored descriptions of upstreams that are passed through, as callers of the alias get them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from openapi_spec_validator import OpenAPIV2SpecValidator, OpenAPIV30SpecValidator

from proxyservices.models import ProxyOperation, ServiceDescription
from registry.models import Operation
from registry.snapshot import holder
from tests.cast import Cast
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, Received, serve_upstream

ALIAS = "http://localhost:80/rest/prov/data/alias"
UPSTREAM = "https://jauh.contoh.go.id/api/v2"
SCHEMA = {"type": "object", "properties": {"nip": {"type": "string"}}}
PATHS: dict[str, Any] = {
    "/orang/{nip}": {
        "servers": [{"url": "https://lain.contoh.go.id"}],
        "get": {
            "operationId": "orang", "security": [{"token": []}], "servers": [{"url": "https://lain.contoh.go.id"}],
            "parameters": [{"name": "nip", "in": "path", "required": True, "schema": {"type": "string"}}],
            "responses": {"200": {"description": "Satu", "content": {"application/json": {"schema": SCHEMA}}}},
        },
    },
    "/unit": {"get": {"operationId": "unit", "responses": {"200": {"description": "Semua"}}}},
}  # fmt: skip
OPENAPI: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Jauh", "version": "1", "termsOfService": f"{UPSTREAM}/syarat"},
    "servers": [{"url": "https://{host}/api/v2", "variables": {"host": {"default": "jauh.contoh.go.id"}}}],
    "security": [{"token": []}],
    "paths": PATHS,
    "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
}


def described(cast: Cast, document: Any, url: str = UPSTREAM, others: dict[str, Any] | None = None, **more: Any) -> Any:
    """Publish a pass-through operation with these stored documents, for everybody to find. Return what is served."""
    made = publish_proxy(cast, url, **more)
    texts = {f"{UPSTREAM}/openapi.json": document, **(others or {})}
    for address, content in texts.items():
        text = content if isinstance(content, str) else json.dumps(content)
        ServiceDescription.objects.create(
            operation=made, url=address, content=text, main=address.endswith("/openapi.json")
        )
    Operation.objects.filter(pk=made.pk).update(listing="public")
    holder.refresh()
    return get()


def get(query: str = "") -> Any:
    reply = Client().get(f"/catalog/prov/data/alias/openapi.json{query}", SERVER_NAME="localhost")
    assert reply.status_code == 200
    return json.loads(reply.content)


def test_the_stored_document_leads_to_the_alias(cast: Cast) -> None:
    document = described(cast, OPENAPI)
    OpenAPIV30SpecValidator(document).validate()
    assert document["servers"] == [{"url": ALIAS}]
    assert set(document["paths"]) == set(PATHS)
    operation = document["paths"]["/orang/{nip}"]["get"]
    assert "servers" not in operation
    assert "servers" not in document["paths"]["/orang/{nip}"]
    # Its own key is the bus's business; callers send theirs.
    assert document["components"]["securitySchemes"].keys() == {"AccessKey", "Bearer", "OAuth2", "Signature"}
    own = [{"AccessKey": []}, {"Bearer": []}, {"OAuth2": []}, {"Signature": []}]
    assert document["security"] == operation["security"] == own
    assert document["info"]["termsOfService"] == f"{ALIAS}/syarat"
    assert "jauh.contoh.go.id" not in json.dumps(document)


def test_an_open_alias_that_forwards_credentials_keeps_the_upstreams(cast: Cast) -> None:
    document = described(cast, OPENAPI, forward_credentials=True, access="open")
    assert document["security"] == [{"token": []}]
    ProxyOperation.objects.update(access="restricted")
    holder.refresh()
    assert get()["security"] == [{"token": [], "AccessKey": []}]


def test_only_what_the_alias_reaches(cast: Cast) -> None:
    document = described(cast, OPENAPI, f"{UPSTREAM}/orang")
    assert document["servers"] == [{"url": ALIAS}]
    assert set(document["paths"]) == {"/{nip}"}


def test_swagger_2_in_yaml(cast: Cast) -> None:
    text = """
swagger: "2.0"
info: {title: Lama, version: "1"}
host: jauh.contoh.go.id
basePath: /api/v2/lama
schemes: [https]
securityDefinitions: {kunci: {type: apiKey, in: query, name: kunci}}
security: [{kunci: []}]
paths:
  /unit: {get: {responses: {"200": {description: Semua}}, parameters: [
    {name: batas, in: query, type: number, default: 12.50}]}}
"""
    document = described(cast, text)
    OpenAPIV2SpecValidator(document).validate()
    assert (document["schemes"], document["host"]) == (["http"], "localhost:80")
    assert document["basePath"] == "/rest/prov/data/alias/lama"
    assert document["securityDefinitions"].keys() == {"AccessKey", "Signature"}
    assert document["security"] == [{"AccessKey": []}, {"Signature": []}]


def test_documents_in_several_parts(cast: Cast) -> None:
    paths = {"/unit": {"$ref": "bagian/unit.yaml#/unit"}, "/luar": {"$ref": "https://contoh.com/x.json#/y"}}
    part = "unit: {get: {operationId: unit, responses: {'200': {$ref: '../openapi.json#/components/responses/Semua'}}}}"
    document = described(cast, OPENAPI | {"paths": paths}, others={f"{UPSTREAM}/bagian/unit.yaml": part})
    address, _hash, pointer = document["paths"]["/unit"]["$ref"].partition("#")
    assert address.startswith("http://localhost:80/catalog/prov/data/alias/openapi.json?document=")
    assert pointer == "/unit"
    found = get("?" + address.partition("?")[2])
    back = found["unit"]["get"]["responses"]["200"]["$ref"]
    assert get("?" + back.partition("?")[2].partition("#")[0])["servers"] == [{"url": ALIAS}]
    assert document["paths"]["/luar"]["$ref"] == "https://contoh.com/x.json#/y"
    for number in ("0", "x", "9" * 40):
        assert Client().get(f"/catalog/prov/data/alias/openapi.json?document={number}").status_code == 404


@pytest.mark.parametrize("content", ["{broken", "[1, 2]", "a: &a [*a]"])
def test_a_document_that_cannot_be_read_is_no_contract(cast: Cast, content: str) -> None:
    assert "/rest/prov/data/alias/{path}" in described(cast, content)["paths"]


def test_a_wsdl_is_served_at_the_alias(cast: Cast) -> None:
    wsdl = '<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" name="Jauh"/>'
    document = described(cast, wsdl)
    address = document["externalDocs"]["url"]
    assert address == f"{ALIAS}?wsdl"
    assert cast.get("alias", "wsdl").status == 200


def test_a_call_by_the_document_reaches_the_upstream(cast: Cast) -> None:
    seen: list[Received] = []

    def answer(received: Received) -> Answer:
        seen.append(received)
        return Answer(b'{"nip": "7"}')

    with serve_upstream(answer) as far:
        document = described(cast, OPENAPI | {"servers": [{"url": far.url}]}, far.url)
        (server,) = document["servers"]
        path = server["url"].removeprefix("http://localhost:80") + "/orang/7"
        assert cast.get(path.removeprefix("/rest/prov/data/")).json() == {"nip": "7"}
    assert [each.path for each in seen] == ["/orang/7"]
