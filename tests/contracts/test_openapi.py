"""The OpenAPI documents of operations of every kind, held against the specification and against the bus."""

from __future__ import annotations

import json
from datetime import date
from typing import Any
from urllib.parse import urlencode

import jsonschema
import pytest
from django.conf import settings
from django.test import Client
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from mantra.contracts import openapi, schemas
from mantra.contracts.responses import problem_schema
from mantra.gateway import http
from mantra.gateway.formats import FORMATS
from proxyservices.models import ProxyOperation
from registry import faults
from registry.models import Field, Operation, Parameter, User
from registry.results import VALUE_TYPES, Fault
from registry.snapshot import holder
from tests.cast import Cast, Reply, call
from tests.proxy.publishing import publish_proxy

Document = dict[str, Any]

#: Each type of parameters with rules of its own.
PARAMETERS: tuple[dict[str, Any], ...] = (
    {"name": "teks", "min": "2", "max": "5", "pattern": "[A-Z][a-z]*", "description": "Nama depan"},
    {"name": "bulat", "type": "integer", "min": "1", "max": "12"},
    {"name": "desimal", "type": "decimal", "min": "0.10", "max": "99.90", "default": "1.50"},
    {"name": "ya", "type": "boolean", "required": False},
    {"name": "hari", "type": "date", "min": "2020-01-01", "required": False},
    {"name": "saat", "type": "datetime", "required": False},
    {"name": "pilihan", "type": "choice", "choices": "III/a\nII/a"},
    {"name": "nik", "type": "nik", "required": False},
    {"name": "npwp", "type": "npwp", "required": False},
    {"name": "kata", "pattern": r"\w+", "required": False},
)
COLUMNS = {
    "text": "'a'", "integer": "1", "decimal": "'12.50'", "float": "1.5", "boolean": "1", "date": "'2026-01-31'",
    "time": "'08:00:00'", "datetime": "'2026-01-31 08:00:00'", "interval": "'P1D'", "bytes": "'AP8='",
    "json": """'{"a": [1, null]}'""", "uuid": "'6ba7b810-9dad-11d1-80b4-00c04fd430c8'",
}  # fmt: skip


def read(path: str, client: Client | None = None, language: str = "en") -> Document:
    """A document below /catalog/prov/data/."""
    client = client or Client()
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = language
    reply = client.get(f"/catalog/prov/data/{path}")
    assert reply.status_code == 200, reply.content
    assert reply["content-type"] == "application/json"
    document: Document = json.loads(reply.content)
    return document


def public(*operations: Operation, **values: Any) -> None:
    """Show operations to everybody, with other values in columns that hold at once."""
    rows = Operation.objects.filter(pk__in=[each.pk for each in operations])
    rows.update(listing="public", **values)
    holder.refresh()


def target(document: Document, node: Any) -> Any:
    """What a reference in a document leads to."""
    for _ in range(3):
        if not (isinstance(node, dict) and "$ref" in node):
            break
        found: Any = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        node = found
    return node


def check(document: Document, schema: Any, value: Any) -> None:
    """Raises unless the value is what a schema of the document says."""
    base = Registry().with_resource("urn:d", Resource(document, DRAFT202012))
    absolute = json.loads(json.dumps(schema).replace('"#/', '"urn:d#/'))
    jsonschema.Draft202012Validator(absolute, registry=base).validate(value)


def answers(document: Document, reply: Reply, method: str = "get", path: str = "") -> Any:
    """The body of a reply, which is one that the document has: its status, media type, headers and schema."""
    path = path or next(iter(document["paths"]))
    told = target(document, document["paths"][path][method]["responses"][str(reply.status)])
    for name in told["headers"]:
        assert name in document["components"]["headers"]
    media = reply.headers["content-type"]
    body = reply.json()
    check(document, told["content"][media]["schema"], body)
    return body


@pytest.fixture
def every_type(cast: Cast) -> Document:
    marks = ", ".join(f":{each['name']} AS {each['name']}" for each in PARAMETERS)
    public(cast.operation("jenis", f"SELECT {marks}", parameters=PARAMETERS))
    return read("jenis/openapi.json")


def test_f16_documents_of_every_kind_are_valid(cast: Cast) -> None:
    marks = ", ".join(f":{each['name']} AS {each['name']}" for each in PARAMETERS)
    written = cast.define("tulis", "DELETE FROM orang WHERE id = :id", writes=True, parameters=({"name": "id"},))
    typed = cast.define("jenis", f"SELECT {marks}", parameters=PARAMETERS)
    rest = publish_proxy(cast, "http://127.0.0.1:9", code="jauh", style="rest", path="/x", parameters=("nip",))
    as_is = publish_proxy(cast, "http://127.0.0.1:9", allowed_methods="GET, HEAD, PUT, DELETE, PATCH, POST")
    public(*cast.operations.values(), written, typed, rest, as_is)
    Operation.objects.filter(pk=cast.operations["satu"].pk).update(state="deprecated", sunset=date(2030, 1, 31))
    holder.refresh()
    document = read("openapi.json")
    OpenAPIV31SpecValidator(document).validate()
    assert len(document["paths"]) == 2 * (len(cast.operations) + 2)
    public(cast.operations["satu"], state="retired", sunset=None)
    OpenAPIV31SpecValidator(read("satu/openapi.json")).validate()


# ---------------------------------------------------------------------------------------- requests


def test_parameters_with_their_rules(every_type: Document) -> None:
    get = every_type["paths"]["/rest/prov/data/jenis"]["get"]
    told = {each["name"]: each for each in (target(every_type, each) for each in get["parameters"])}
    assert list(told) == [each["name"] for each in PARAMETERS]
    assert [name for name, each in told.items() if each["required"]] == ["teks", "bulat", "pilihan"]
    of = {name: each["schema"] for name, each in told.items()}
    assert of["teks"] == {
        "type": "string",
        "minLength": 2,
        "maxLength": 5,
        "pattern": "^[A-Z]([a-z]){0,}$",
        "description": "Nama depan",
    }
    assert of["bulat"] == {"type": "integer", "format": "int64", "minimum": 1, "maximum": 12, "examples": [1]}
    assert (of["desimal"]["minimum"], of["desimal"]["maximum"], of["desimal"]["default"]) == (0.1, 99.9, 1.5)
    assert of["ya"] == {"type": "boolean", "examples": [True]}
    assert of["hari"]["format"] == "date"
    assert "2020-01-01" in of["hari"]["description"]
    assert of["saat"]["format"] == "date-time"
    assert of["pilihan"]["enum"] == ["II/a", "III/a"]
    assert of["nik"]["pattern"].startswith("^[1-9]")
    # \w means something else in JSON Schema: it is told in words.
    assert "pattern" not in of["kata"]
    assert r"\w+" in of["kata"]["description"]


def test_examples_are_accepted_by_the_bus_in_each_way(cast: Cast, every_type: Document) -> None:
    post = every_type["paths"]["/rest/prov/data/jenis"]["post"]["requestBody"]["content"]
    schema = target(every_type, post["application/json"]["schema"])
    given = {name: each["examples"][0] for name, each in schema["properties"].items() if "examples" in each}
    given["teks"] = "Sari"
    check(every_type, post["application/json"]["schema"], given)
    texts = {name: str(value).lower() if value is True else value for name, value in given.items()}
    kind = {"accesskey": cast.key}
    assert cast.get("jenis", urlencode(texts)).status == 200
    form = call("/rest/prov/data/jenis", "POST", urlencode(texts),
                content_type="application/x-www-form-urlencoded", **kind)  # fmt: skip
    assert form.status == 200
    as_json = json.dumps(given | {"kata": None})
    assert call("/rest/prov/data/jenis", "POST", as_json, content_type="application/json", **kind).status == 200


#: What the contract forbids, and the bus too.
FORBIDDEN: tuple[tuple[str, Any], ...] = (
    ("teks", "A"), ("teks", "Panjang"), ("teks", "kecil"), ("bulat", 0), ("bulat", 13), ("bulat", 1.5),
    ("desimal", 0.05), ("desimal", 100), ("ya", "mungkin"), ("pilihan", "I/a"), ("nik", "123"), ("npwp", "1"),
    ("lain", "1"), ("lain", None), ("", None), ("page", 1), ("teks", None),
)  # fmt: skip


def test_what_the_contract_forbids_is_refused(cast: Cast, every_type: Document) -> None:
    given = {"teks": "Sari", "bulat": 1, "pilihan": "II/a"}
    schema = every_type["paths"]["/rest/prov/data/jenis"]["post"]["requestBody"]["content"]["application/json"]
    check(every_type, schema["schema"], given)
    headers = {"accesskey": cast.key, "content_type": "application/json"}
    refused = (faults.PARAMETER_INVALID.code, faults.PARAMETER_UNKNOWN.code, faults.PARAMETER_MISSING.code)
    for name, value in FORBIDDEN:
        with pytest.raises(jsonschema.ValidationError):
            check(every_type, schema["schema"], given | {name: value})
        reply = call("/rest/prov/data/jenis", "POST", json.dumps(given | {name: value}), **headers)
        assert answers(every_type, reply, "post")["code"] in refused, name


def test_pages(cast: Cast) -> None:
    public(cast.operations["halaman"])
    document = read("halaman/openapi.json")
    get = document["paths"]["/rest/prov/data/halaman"]["get"]
    told = {each["name"]: each["schema"] for each in (target(document, each) for each in get["parameters"])}
    assert told["per_page"] | {"description": ""} == {
        "type": "integer", "minimum": 1, "maximum": 10, "default": 10, "description": "",
    }  # fmt: skip
    assert told["page"]["default"] == 1
    assert "Link" in target(document, get["responses"]["200"])["headers"]
    assert answers(document, cast.get("halaman", "per_page=10"))["count"] == 10
    assert answers(document, cast.get("halaman", "per_page=11"))["code"] == faults.PARAMETER_INVALID.code


def test_pages_of_changes(cast: Cast) -> None:
    """since and its cursor; with declared columns, a row says whether it is deleted."""
    sql = "SELECT id, nama, unit FROM orang WHERE id <= 20"
    columns = {"change_marker": "id", "change_key": "nama", "deleted_column": "unit"}
    operation = cast.define("perubahan", sql, **columns)
    for name, type in (("id", "integer"), ("nama", "text")):
        Field.objects.create(operation=operation, name=name, type=type)
    public(operation)
    document = read("perubahan/openapi.json")
    get = document["paths"]["/rest/prov/data/perubahan"]["get"]
    told = {each["name"]: each["schema"] for each in (target(document, each) for each in get["parameters"])}
    assert told["since"]["type"] == "string" and told["per_page"]["default"] == 1000
    assert {"Link", "X-Cursor"} <= set(target(document, get["responses"]["200"])["headers"])
    first = cast.get("perubahan", "since=&per_page=7")
    page = answers(document, first)
    assert page["count"] == 7 and [row["_deleted"] for row in page["data"]] == [True] * 4 + [False] + [True] * 2
    rest = answers(document, cast.get("perubahan", urlencode({"since": first.headers["x-cursor"]})))
    assert [row["id"] for row in rest["data"]] == list(range(8, 21))
    assert answers(document, cast.get("perubahan"))["count"] == 20
    assert answers(document, cast.get("perubahan", "since=x"))["code"] == faults.PARAMETER_INVALID.code


def test_a_whole_number_in_json_may_have_a_zero_fraction(cast: Cast) -> None:
    headers = {"accesskey": cast.key, "content_type": "application/json"}
    assert call("/rest/prov/data/halaman", "POST", '{"per_page": 6.0, "page": null}', **headers).json()["count"] == 6
    assert call("/rest/prov/data/satu", "POST", '{"id": 7.0}', **headers).json()["data"][0]["id"] == 7
    assert call("/rest/prov/data/satu", "POST", '{"id": 7.5}', **headers).status == 400
    assert call("/rest/prov/data/halaman", "POST", '{"page": [1]}', **headers).status == 400


# --------------------------------------------------------------------------------------- responses


def test_columns_of_every_type(cast: Cast) -> None:
    columns = ", ".join(f"{sql} AS kolom_{name}" for name, sql in COLUMNS.items())
    made = cast.define("kolom", f"SELECT {columns} UNION ALL SELECT {', '.join(['NULL'] * len(COLUMNS))}")
    for position, name in enumerate(COLUMNS):
        Field.objects.create(operation=made, position=position, name=f"kolom_{name}", type=name)
    public(made)
    document = read("kolom/openapi.json")
    body = answers(document, cast.get("kolom"))
    assert body["count"] == 2
    assert set(body["data"][1].values()) == {None}
    row = document["components"]["schemas"]["kolom.row"]
    assert row["required"] == list(row["properties"]) == list(body["data"][0])
    with pytest.raises(jsonschema.ValidationError):
        check(document, row, body["data"][0] | {"kolom_integer": "1"})
    assert tuple(schemas.COLUMN_TYPES) == VALUE_TYPES


def test_every_format_is_offered_and_served_as_told(cast: Cast) -> None:
    public(cast.operations["satu"])
    document = read("satu/openapi.json")
    told = target(document, document["paths"]["/rest/prov/data/satu"]["get"]["responses"]["200"])["content"]
    assert document["components"]["parameters"]["format"]["schema"]["enum"] == list(FORMATS)
    for name in FORMATS:
        assert cast.get(f"satu.{name}", "id=1").headers["content-type"] in told
        fault = cast.get(f"satu.{name}", "id=x")
        refused = target(document, document["paths"]["/rest/prov/data/satu"]["get"]["responses"]["400"])
        assert fault.headers["content-type"] in refused["content"]


def test_writes_are_by_post_only(cast: Cast) -> None:
    made = cast.operation(
        "tulis", "INSERT INTO orang (nama) VALUES (:nama)", writes=True, parameters=({"name": "nama"},)
    )
    public(made)
    document = read("tulis/openapi.json")
    assert set(document["paths"]["/rest/prov/data/tulis"]) == {"post"}
    schema = document["components"]["schemas"]["tulis.result"]
    check(document, schema, {"affected": 1})
    check(document, schema, {"affected": None})
    assert cast.get("tulis", "nama=x").status == 405


def test_open_operations_need_no_key_and_are_cached(cast: Cast) -> None:
    public(cast.operations["terbuka"])
    document = read("terbuka/openapi.json")
    get = document["paths"]["/rest/prov/data/terbuka"]["get"]
    assert get["security"] == []
    # 403: it is stopped.
    assert not {"401", "429"} & set(get["responses"])
    reply = call("/rest/prov/data/terbuka")
    answers(document, reply)
    told = target(document, get["responses"]["200"])["headers"]
    assert {"ETag", "Cache-Control", "X-Request-Id"} <= set(told)
    assert "RateLimit" not in told
    again = call("/rest/prov/data/terbuka", if_none_match=reply.headers["etag"])
    assert str(again.status) in get["responses"]
    assert again.status == 304


def test_keys_are_sent_as_told(cast: Cast) -> None:
    public(cast.operations["satu"])
    document = read("satu/openapi.json")
    get = document["paths"]["/rest/prov/data/satu"]["get"]
    assert get["security"] == [{"AccessKey": []}, {"Bearer": []}, {"OAuth2": []}, {"Signature": []}]
    assert answers(document, call("/rest/prov/data/satu?id=1", accesskey=cast.key))["count"] == 1
    assert answers(document, call("/rest/prov/data/satu?id=1", authorization=f"Bearer {cast.key}"))["count"] == 1
    refused = call("/rest/prov/data/satu?id=1")
    assert answers(document, refused)["code"] == faults.KEY_MISSING.code
    assert set(target(document, get["responses"]["401"])["headers"]) == {
        "X-Request-Id", "Cache-Control", "WWW-Authenticate",
    } <= {each.title().replace("Www", "WWW") for each in refused.headers}  # fmt: skip


def test_deprecated_and_retired(cast: Cast) -> None:
    public(cast.operations["satu"], state="deprecated", sunset=date(2030, 1, 31))
    document = read("satu/openapi.json")
    get = document["paths"]["/rest/prov/data/satu"]["get"]
    assert get["deprecated"] is True
    assert "2030-01-31" in get["description"]
    reply = cast.get("satu", "id=1")
    told = target(document, get["responses"]["200"])["headers"]
    assert {"Deprecation", "Sunset"} <= set(told)
    assert (reply.headers["deprecation"], "2030" in reply.headers["sunset"]) == ("true", True)

    public(cast.operations["satu"], state="retired", sunset=None)
    document = read("satu/openapi.json")
    get = document["paths"]["/rest/prov/data/satu"]["get"]
    assert (get["deprecated"], set(get["responses"])) == (True, {"410", "500", "503"})
    assert answers(document, cast.get("satu", "id=1"))["code"] == faults.OPERATION_RETIRED.code
    assert "/rest/prov/data/satu" not in read_service(cast)["paths"]


def read_service(cast: Cast) -> Document:
    public(cast.operations["terbuka"])
    return read("openapi.json")


def test_an_operation_that_cannot_run_has_its_faults_only(cast: Cast) -> None:
    made = cast.operations["satu"]
    Parameter.objects.filter(operation=made).delete()
    public(made)
    document = read("satu/openapi.json")
    assert "200" not in document["paths"]["/rest/prov/data/satu"]["get"]["responses"]
    assert answers(document, cast.get("satu"))["code"] == faults.DEFINITION_BROKEN.code


# ------------------------------------------------------------------------------------------- faults


def test_a_problem_has_the_members_that_are_told() -> None:
    members = http.problem_members(Fault(faults.NOT_READY), "1", "id")
    assert list(problem_schema()["properties"]) == list(members)


def test_each_status_tells_its_faults_in_the_readers_language(cast: Cast) -> None:
    public(cast.operations["satu"])
    document = read("satu/openapi.json")
    get = document["paths"]["/rest/prov/data/satu"]["get"]["responses"]
    told = target(document, get["403"])
    assert "11005 `grant-missing`: Your application has no grant" in told["description"]
    codes = told["content"]["application/problem+json"]["schema"]["properties"]["code"]["enum"]
    assert codes == [kind.code for kind in faults.TABLE.values() if kind.code in codes and kind.status == 403]
    every = {
        int(word)
        for status in get
        if status not in ("200", "414")
        for word in target(document, get[status])["description"].split()
        if word.isdigit() and len(word) == 5
    }
    assert faults.SOURCE_TIMEOUT.code in every
    assert not every & {faults.UPSTREAM_TIMEOUT.code, faults.SOAP_INVALID.code, faults.NO_ROWS.code}
    told = target(indonesian := read("satu/openapi.json", language="id"), get["403"])
    assert "Aplikasi Anda belum diberi izin" in told["description"]
    assert indonesian["info"]["description"] != document["info"]["description"]


# ----------------------------------------------------------------------------------------- services


def test_a_service_has_its_listed_operations(cast: Cast) -> None:
    cast.service.contact = "Helpdesk 021"
    cast.service.save()
    public(cast.operations["satu"], cast.operations["halaman"])
    document = read("openapi.json")
    paths = {path.partition(".{")[0] for path in document["paths"]}
    assert paths == {"/rest/prov/data/satu", "/rest/prov/data/halaman"}
    assert document["info"]["contact"] == {"name": "Helpdesk 021"}
    assert document["externalDocs"]["url"].endswith("/soap/prov/data?wsdl")
    assert Client().get("/catalog/prov/data/cari/openapi.json").status_code == 404
    assert Client().get("/catalog/prov/lain/openapi.json").status_code == 404


def test_names_that_differ_only_in_signs_stay_apart(cast: Cast) -> None:
    public(cast.operation("a b", "SELECT 1 AS x"), cast.operation("a.b", "SELECT 1 AS x"))
    document = read("openapi.json")
    ids = [
        each["operationId"] for item in document["paths"].values() for each in item.values() if "operationId" in each
    ]
    assert len(ids) == len(set(ids)) == 8
    assert call("/rest/prov/data/a%20b", accesskey=cast.key).status == 200
    assert "/rest/prov/data/a%20b" in document["paths"]


def test_a_document_beyond_the_limit_refers_to_those_of_its_operations(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openapi, "MAX_BYTES", 1)
    public(cast.operations["satu"], cast.operations["halaman"])
    reply = Client().get("/catalog/prov/data/openapi.json")
    document = json.loads(reply.content)
    assert "get" in document["paths"]["/rest/prov/data/halaman"]
    address = document["paths"]["/rest/prov/data/satu"]["$ref"]
    place, _hash, pointer = address.partition("#")
    found: Any = json.loads(Client().get("/" + place.split("/", 3)[3]).content)
    for step in pointer.strip("/").split("/"):
        found = found[step.replace("~1", "/").replace("~0", "~")]
    assert "get" in found


def test_a_document_is_stored_until_an_operation_changes(cast: Cast) -> None:
    public(cast.operations["satu"])
    client = Client()
    first = client.get("/catalog/prov/data/openapi.json")
    stored = [key for key in holder.refresh().documents if key[0] == "service_document"]
    assert len(stored) == 1
    assert client.get("/catalog/prov/data/openapi.json", headers={"if-none-match": first["etag"]}).status_code == 304
    Operation.objects.filter(pk=cast.operations["satu"].pk).update(title="Berubah")
    holder.refresh()
    assert b"Berubah" in client.get("/catalog/prov/data/openapi.json").content


# ------------------------------------------------------------------------------------------ readers


@pytest.fixture
def reader(cast: Cast) -> Client:
    """A person of the agency whose application has the grants."""
    client = Client()
    client.force_login(User.objects.create_user("pembaca", agency=cast.consumer))
    return client


def test_a_grant_for_some_columns_shows_these_only(cast: Cast, reader: Client) -> None:
    made = cast.operations["satu"]
    for position, name in enumerate(("id", "nama", "unit", "gaji")):
        Field.objects.create(operation=made, position=position, name=name)
    grant = cast.grants["satu"]
    grant.fields = "id\nnama"
    grant.save()
    public(made)
    for path in ("openapi.json", "satu/openapi.json"):
        document = read(path, reader)
        assert list(document["components"]["schemas"]["satu.row"]["properties"]) == ["id", "nama"]
        assert "gaji" not in json.dumps(document)
        assert "gaji" in json.dumps(read(path))
    document = read("satu/openapi.json", reader)
    Field.objects.filter(operation=made, name="id").update(type="integer")
    holder.refresh()
    document = read("satu/openapi.json?application=kons/app", reader)
    assert list(answers(document, cast.get("satu", "id=1"))["data"][0]) == ["id", "nama"]


def test_hidden_operations_are_for_their_agency_and_those_with_a_grant(cast: Cast, reader: Client) -> None:
    public(cast.operations["satu"], cast.operations["halaman"])
    Operation.objects.filter(pk=cast.operations["satu"].pk).update(listing="hidden")
    owner = Client()
    owner.force_login(User.objects.create_user("pemilik", agency=cast.provider))
    foreign = Client()
    foreign.force_login(User.objects.create_user("asing", agency=cast.stranger))
    for client, finds in ((Client(), False), (foreign, False), (reader, True), (owner, True)):
        assert (client.get("/catalog/prov/data/satu/openapi.json").status_code == 200) is finds
        for name in ("openapi.json", "postman.json"):
            assert (b"prov/data/satu" in client.get(f"/catalog/prov/data/{name}").content) is finds


# ---------------------------------------------------------------------------------- proxy operations


def test_a_proxied_operation_lets_its_upstream_decide(cast: Cast) -> None:
    made = publish_proxy(cast, "http://127.0.0.1:9", style="rest", path="/orang", parameters=("nip",))
    public(made)
    document = read("alias/openapi.json")
    get = document["paths"]["/rest/prov/data/alias"]["get"]
    assert "2XX" in get["responses"]
    told = target(document, get["responses"]["502"])["content"]["application/problem+json"]["schema"]
    assert faults.UPSTREAM_UNREACHABLE.code in told["properties"]["code"]["enum"]
    assert answers(document, cast.get("alias", "nip=1"))["code"] == faults.UPSTREAM_UNREACHABLE.code


def test_what_is_passed_through_has_any_path_and_any_response(cast: Cast) -> None:
    made = publish_proxy(cast, "http://127.0.0.1:9", allowed_methods="GET, PUT, DELETE")
    public(made)
    document = read("alias/openapi.json")
    assert set(document["paths"]) == {"/rest/prov/data/alias", "/rest/prov/data/alias/{path}"}
    item = document["paths"]["/rest/prov/data/alias/{path}"]
    assert {"get", "put", "delete"} <= set(item)
    assert set(item["get"]["responses"]) == {"default"}
    assert isinstance(made, ProxyOperation)
