"""WSDL and OpenAPI documents as drafts: what is made, what is left out and why, and what no document may do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from pytest_httpserver import HTTPServer

from proxyservices.descriptions import documents
from proxyservices.descriptions.documents import UPLOADED, DescriptionError, DocumentSet
from proxyservices.importing import create
from proxyservices.importing.drafts import Draft, ImportPreview
from proxyservices.importing.openapi import whole
from proxyservices.models import ProxyOperation
from tests.cast import Cast, call

DESCRIPTIONS = Path(__file__).parent / "descriptions"
SOAP_SERVICE = Path(__file__).parents[1] / "servers" / "soap"


def uploaded(*names: str) -> tuple[DocumentSet, str]:
    return DocumentSet({UPLOADED + name: (DESCRIPTIONS / name).read_bytes() for name in names}), UPLOADED + names[0]


def read(document: dict[str, Any] | str, fetch: Any = None) -> ImportPreview:
    text = document if isinstance(document, str) else json.dumps(document)
    return create.preview(DocumentSet({UPLOADED + "a.json": text.encode()}, fetch), UPLOADED + "a.json")


def spec(**operation: Any) -> dict[str, Any]:
    """An OpenAPI document of one operation."""
    return {"openapi": "3.1.0", "servers": [{"url": "https://h.go.id/v1"}], "paths": {"/a": {"post": operation}}}


def body(schema: Any, **more: Any) -> dict[str, Any]:
    return spec(requestBody={"required": True, "content": {"application/json": {"schema": schema}}}, **more)


def only(found: ImportPreview) -> Draft:
    assert found.skipped == []
    (draft,) = found.drafts
    return draft


def names(draft: Draft) -> dict[str, str]:
    return {each["name"]: each["type"] for each in draft.parameters}


# ---------------------------------------------------------------------------------------- OpenAPI


def test_it_works() -> None:
    found = create.preview(*uploaded("pegawai.yaml"))
    assert (found.kind, found.title) == ("OpenAPI 3.0.3", "Pegawai")
    one, _delete, post = found.drafts
    assert (one.code, one.method, one.path) == ("ambilPegawai", "GET", "pegawai/{nomor_induk}")
    assert one.address == "https://layanan.contoh.go.id/api/v1"
    assert (one.credential_kind, one.credential_name) == ("header", "X-Kunci")
    by_name = {each["name"]: each for each in one.parameters}
    assert by_name["nomor_induk"]["required"]
    assert (by_name["golongan"]["type"], by_name["golongan"]["choices"]) == ("choice", "I\nII\nIII\nIV")
    assert (by_name["halaman"]["min"], by_name["halaman"]["default"]) == ("1", "1")
    assert {(each["location"], each["name"], each["parameter"]) for each in one.mappings} == {
        ("query", "filter[nama]", "filter_nama"), ("query", "golongan", "golongan"),
        ("header", "X-Lacak", "X_Lacak"), ("query", "pola", "pola"), ("query", "halaman", "halaman"),
    }  # fmt: skip
    # A pattern that could keep the bus busy for ever is left out, the parameter is not.
    assert "pattern" not in by_name["pola"]
    assert any(note.startswith("pola") for note in one.notes)
    assert any(note.startswith("sesi") for note in one.notes)
    assert names(post) == {"nip": "text", "lahir": "date", "kode": "text", "nama": "text"}
    assert {each["name"] for each in post.mappings} == {"nip", "lahir", "unit.kode", "unit.nama"}
    assert next(each for each in post.parameters if each["name"] == "nip")["subject"]
    assert any(note.startswith("diri") for note in post.notes)
    assert [what for what, _why in found.skipped] == ["HEAD /pegawai/{nomor-induk}", "POST /unggah"]
    assert all(why for _what, why in found.skipped)


@pytest.mark.django_db
def test_drafts_are_made_with_all_that_belongs_to_them(cast: Cast) -> None:
    documents, main = uploaded("pegawai.yaml")
    packed = json.loads(json.dumps(create.pack(create.preview(documents, main), documents, main)))
    drafts, texts, main = create.unpack(packed)
    ProxyOperation.objects.create(service=cast.service, code="AMBILPEGAWAI")
    made = create.create_drafts(cast.service, drafts, texts, main)
    assert [each.code for each in made] == ["ambilPegawai_2", "delete_pegawai_nomor-induk", "post_pegawai"]
    one = ProxyOperation.objects.get(code="ambilPegawai_2")
    assert (one.state, one.style, one.kind) == ("draft", "rest", "proxy")
    assert {each.backend for each in made} == {one.backend}
    assert one.backend is not None
    assert (str(one.backend), one.backend.servers.get().url) == ("prov/data", "https://layanan.contoh.go.id/api/v1")
    assert one.parameters.count() == 6
    assert one.mappings.count() == 5
    contract = one.descriptions.get()
    assert contract.main
    assert contract.content == (DESCRIPTIONS / "pegawai.yaml").read_text().strip()
    for each in made:
        each.full_clean()


def test_swagger_2() -> None:
    document = {
        "swagger": "2.0", "host": "h.go.id:8443", "basePath": "/api", "schemes": ["http", "https"],
        "securityDefinitions": {"k": {"type": "basic"}}, "security": [{"k": []}],
        "definitions": {"A": {"type": "object", "required": ["x"], "properties": {"x": {"type": "number"}}}},
        "paths": {
            "/a/{id}": {
                "put": {
                    "parameters": [
                        {"name": "id", "in": "path", "required": True, "type": "integer", "maximum": 9},
                        {"name": "b", "in": "body", "required": True, "schema": {"$ref": "#/definitions/A"}},
                    ]
                },
                "post": {
                    "parameters": [
                        {"name": "id", "in": "path", "required": True, "type": "string"},
                        {"name": "f", "in": "formData", "type": "string"},
                        {"name": "berkas", "in": "formData", "type": "file"},
                    ]
                },
            }
        },
    }  # fmt: skip
    found = read(document)
    put, post = found.drafts
    assert put.address == "https://h.go.id:8443/api"
    assert names(put) == {"id": "integer", "x": "decimal"}
    assert put.mappings == [{"location": "json", "name": "x", "parameter": "x"}]
    assert put.credential_kind == "none"
    assert any("k: basic" in note for note in put.notes)
    assert post.mappings == [{"location": "form", "name": "f", "parameter": "f"}]
    assert any(note.startswith("berkas") for note in post.notes)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "string"}},
        {"type": "string"},
        {"type": "object", "required": ["a"], "properties": {"a": {"type": "array"}}},
        {
            "type": "object",
            "required": ["a"],
            "properties": {"a": {"oneOf": [{"type": "string"}, {"type": "integer"}]}},
        },
        {"type": "object", "required": ["a.b"], "properties": {"a.b": {"type": "string"}}},
        {"$ref": "#/tidak/ada"},
        {"$ref": "#/paths/~1a/post/requestBody/content/application~1json/schema"},
        {"$ref": "lain.json#/A"},
        {"$ref": "file:///etc/passwd"},
    ],
    ids=str,
)
def test_what_cannot_be_taken_over_is_left_whole_with_its_reason(schema: Any) -> None:
    found = read(body(schema))
    assert found.drafts == []
    ((what, why),) = found.skipped
    assert what == "POST /a"
    assert why


def test_types_of_3_1_and_what_lies_beside_null() -> None:
    schema = {
        "allOf": [{"type": "object", "properties": {"a": {"type": ["string", "null"]}}}],
        "properties": {
            "b": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "c": {"const": "tetap"},
            "d": {"type": "string", "format": "date-time"},
            "e": {"type": "boolean", "default": False},
            "f": {"type": "string", "readOnly": True},
            "g": {"type": "string", "default": "terlalu panjang", "maxLength": 3},
        },
    }
    draft = only(read(body(schema)))
    assert names(draft) == {
        "a": "text", "b": "integer", "c": "choice", "d": "datetime", "e": "boolean", "g": "text",
    }  # fmt: skip
    assert next(each for each in draft.parameters if each["name"] == "e")["default"] == "false"
    assert "default" not in next(each for each in draft.parameters if each["name"] == "g")


def test_an_operation_without_its_paths_parameter_is_left() -> None:
    document = spec()
    document["paths"] = {"/a/{id}": {"get": {}}}
    assert read(document).drafts == []


def test_names_that_would_be_one_are_told_apart() -> None:
    listed = [{"name": name, "in": "query", "schema": {}} for name in ("a-b", "a_b", "A b", "9", "é")]
    assert [each["name"] for each in only(read(spec(parameters=listed))).parameters] == [
        "a_b", "a_b_2", "A_b_3", "p_9", "p_",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "pattern,expected", [("^a+$", "a+"), ("a", ".*(?:a).*"), ("^a", "(?:a).*"), ("a$", ".*(?:a)")], ids=str
)
def test_a_pattern_that_is_searched_for_becomes_one_for_the_whole(pattern: str, expected: str) -> None:
    assert whole(pattern) == expected


def test_references_lead_to_documents_that_are_uploaded_or_fetched(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/api/v1/buku.json").respond_with_json(
        {**body({"$ref": "../bentuk.yaml#/A"}), "servers": [{"url": "/layanan"}]}
    )
    bentuk = yaml.safe_dump({"A": {"type": "object", "properties": {"n": {"$ref": "#/B"}}}, "B": {"type": "integer"}})
    httpserver.expect_request("/api/bentuk.yaml").respond_with_data(bentuk)
    main = httpserver.url_for("/api/v1/buku.json")
    documents = DocumentSet({})
    draft = only(create.preview(documents, main))
    assert names(draft) == {"n": "integer"}
    assert draft.address == httpserver.url_for("/layanan")
    assert list(documents.used) == [main, httpserver.url_for("/api/bentuk.yaml")]


# ------------------------------------------------------------------------------------------- WSDL


def test_a_wsdl_and_the_schema_that_it_includes() -> None:
    documents, main = uploaded("pegawai.wsdl", "tipe.xsd")
    found = create.preview(documents, main)
    (draft,) = found.drafts
    assert (draft.code, draft.style, draft.path) == ("Cari", "soap", "Cari")
    assert draft.address == "http://pegawai.contoh.go.id/soap"
    assert draft.description == "Cari seorang pegawai."
    by_name = {each["name"]: each for each in draft.parameters}
    assert names(draft) == {
        "nip": "text", "golongan": "choice", "umur": "integer", "tanggal": "date", "kode": "text", "a": "boolean",
        "b": "decimal",
    }  # fmt: skip
    assert (by_name["nip"]["pattern"], by_name["nip"]["required"]) == ("[0-9]{18}", True)
    assert by_name["golongan"]["choices"] == "I\nII"
    assert (by_name["umur"]["min"], by_name["umur"]["max"]) == ("17", "70")
    assert not by_name["a"]["required"]
    assert draft.mappings == [{"location": "json", "name": "unit.kode", "parameter": "kode"}]
    for word in ("unit.versi", "unit.induk", "lain", "a ", "Cari"):
        assert any(note.startswith(word) for note in draft.notes), word
    assert [what for what, _why in found.skipped] == ["Layanan/P/Banyak", "Layanan/P12/Cari", "Layanan/PH"]
    assert set(documents.used) == {UPLOADED + "pegawai.wsdl", UPLOADED + "tipe.xsd"}


@pytest.mark.django_db
def test_a_soap_draft_keeps_every_document(cast: Cast) -> None:
    documents, main = uploaded("pegawai.wsdl", "tipe.xsd")
    found = create.preview(documents, main)
    (made,) = create.create_drafts(cast.service, found.drafts, documents.used, main)
    assert [(each.url, each.main) for each in made.descriptions.all()] == [
        (UPLOADED + "pegawai.wsdl", True), (UPLOADED + "tipe.xsd", False),
    ]  # fmt: skip


@pytest.mark.django_db
def test_another_bus_describes_itself_well_enough(cast: Cast) -> None:
    text = call("/soap/prov/data?wsdl").text
    drafts = {draft.path: draft for draft in read(text).drafts}
    assert set(drafts) == set(cast.operations)
    assert names(drafts["satu"]) == {"id": "integer"}
    assert drafts["satu"].parameters[0]["required"]
    assert drafts["satu"].address.endswith("/soap/prov/data")
    assert set(names(drafts["cari"])) == {"nama", "unit"}


def test_rpc_and_what_soap_leaves_aside() -> None:
    text = (DESCRIPTIONS / "rpc.wsdl").read_text()
    draft = only(read(text))
    assert names(draft) == {"nip": "text", "jumlah": "integer"}
    assert any("SOAP" in note for note in draft.notes)


def test_a_schema_that_is_missing_is_named() -> None:
    with pytest.raises(DescriptionError, match=r"tipe\.xsd"):
        create.preview(*uploaded("pegawai.wsdl"))


def test_a_wsdl_by_its_address(httpserver: HTTPServer) -> None:
    for name in ("pegawai.wsdl", "tipe.xsd"):
        httpserver.expect_request(f"/{name}").respond_with_data((DESCRIPTIONS / name).read_bytes())
    assert len(create.preview(DocumentSet({}), httpserver.url_for("/pegawai.wsdl")).drafts) == 1


# ------------------------------------------------------------- what other systems' documents look like


WORDS = """
openapi: 3.0.3
servers: [{url: https://h.go.id/v1}]
paths:
  /a:
    post:
      parameters:
        - {name: no, in: query, required: true, schema: {type: string}}
        - {name: keadaan, in: query, schema: {type: string, enum: [on, off, auto]}}
        - {name: setuju, in: query, schema: {type: string, enum: [YES, NO, y, n], default: NO}}
        - {name: jam, in: query, schema: {type: string, enum: [08:00, 12:30], default: 12:30}}
        - {name: kode, in: query, schema: {type: string, enum: [010, 0o17, 0x1F, 1_000, 1.10, +5, 2024-01-31]}}
        - {name: tanda, in: query, schema: {type: string, enum: [=, <, <<, '>'], default: =}}
        - {name: suhu, in: query, schema: {type: number, minimum: -0.10, maximum: 1.5e3, default: 27.50}}
        - {name: benar, in: query, schema: {type: boolean, default: True}}
      requestBody:
        required: true
        content:
          application/json:
            schema: {type: object, required: [no], properties: {no: {type: string}, off: {type: boolean}, 010: {}}}
"""


def test_b04_b05_openapi_in_yaml_has_the_words_of_json_only() -> None:
    draft = only(read(WORDS))
    by_name = {each["name"]: each for each in draft.parameters}
    assert set(by_name) == {"no", "keadaan", "setuju", "jam", "kode", "tanda", "suhu", "benar", "no_2", "off", "p_010"}
    choices = {name: each["choices"].split("\n") for name, each in by_name.items() if "choices" in each}
    assert choices == {
        "keadaan": ["on", "off", "auto"], "setuju": ["YES", "NO", "y", "n"], "jam": ["08:00", "12:30"],
        "kode": ["010", "0o17", "0x1F", "1_000", "1.10", "+5", "2024-01-31"], "tanda": ["=", "<", "<<", ">"],
    }  # fmt: skip
    defaults = {name: each["default"] for name, each in by_name.items() if each.get("default")}
    assert defaults == {"setuju": "NO", "jam": "12:30", "tanda": "=", "suhu": "27.50", "benar": "true"}
    assert (by_name["suhu"]["min"], by_name["suhu"]["max"]) == ("-0.10", "1500")


def test_json_keeps_the_digits_of_its_numbers_too() -> None:
    text = json.dumps(spec(parameters=[{"name": "versi", "in": "query", "schema": {"type": "string", "enum": ["X"]}}]))
    draft = only(read(text.replace('"X"', "1.10, 2.0")))
    assert draft.parameters[0]["choices"] == "1.10\n2.0"


def test_a_merge_key_still_merges() -> None:
    text = "openapi: 3.0.3\npaths:\n  /a:\n    get: &g {operationId: x}\n  /b:\n    get: {<<: *g, operationId: y}\n"
    assert [draft.code for draft in read(text).drafts] == ["x", "y"]


@pytest.mark.parametrize("name", ["Accept", "Content-Type", "Authorization", "Host", "Content-Length", "X-Request-Id"])
def test_b06_a_header_that_the_bus_sets_costs_no_operation(name: str) -> None:
    parameters = [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string"}},
        {"name": "nip", "in": "query", "required": True, "schema": {"type": "string"}},
    ]
    draft = only(read(spec(parameters=parameters)))
    assert names(draft) == {"nip": "text"}
    assert any(note.startswith(name) for note in draft.notes)


def test_b21_a_fragment_of_a_path_is_not_sent() -> None:
    document = spec(operationId="batal")
    document["paths"] = {"/kirim#batal": document["paths"]["/a"], "/kirim?aksi=tambah": document["paths"]["/a"]}
    cancel, add = read(document).drafts
    assert (cancel.path, add.path) == ("kirim", "kirim?aksi=tambah")
    assert any("#" in note for note in cancel.notes)


@pytest.mark.parametrize("encoded", [DESCRIPTIONS / "axis.wsdl", SOAP_SERVICE / "encoded.wsdl"], ids=["axis", "nusoap"])
def test_b10_an_rpc_encoded_wsdl_needs_no_internet(encoded: Path) -> None:
    main = UPLOADED + encoded.name
    documents = DocumentSet({main: encoded.read_bytes()}, None)
    draft = only(create.preview(documents, main))
    assert names(draft) == {"nik": "text", "batas": "integer"}
    assert all(each["required"] for each in draft.parameters)
    assert "http://schemas.xmlsoap.org/soap/encoding/" in documents.used


def test_f20_no_draft_has_the_name_of_a_response() -> None:
    assert only(read(spec(operationId="ambilResponse"))).code == "ambil_response"


def test_well_known_schemas_are_known() -> None:
    for address in ("https://www.w3.org/2005/05/xmlmime", "http://www.w3.org/2001/xml.xsd"):
        assert "targetNamespace" in DocumentSet({}, None).text(address)


def with_doctype(doctype: str, element: str = "") -> tuple[DocumentSet, str]:
    """The WSDL whose imported schema has a document type."""
    texts = {name: (DESCRIPTIONS / name).read_bytes() for name in ("pegawai.wsdl", "tipe.xsd")}
    declaration, schema = b"", texts["tipe.xsd"]
    if schema.startswith(b"<?xml"):
        declaration, _end, schema = schema.partition(b"?>")
        declaration += b"?>"
    at = schema.rindex(b"</")
    texts["tipe.xsd"] = declaration + doctype.encode() + schema[:at] + element.encode() + schema[at:]
    return DocumentSet({UPLOADED + name: text for name, text in texts.items()}, None), UPLOADED + "pegawai.wsdl"


def test_b17_a_schema_with_a_few_short_entities_is_read() -> None:
    documents, main = with_doctype(
        '<!DOCTYPE schema PUBLIC "-//CONTOH//DTD//ID" "http://127.0.0.1:1/tidak-ada.dtd" ['
        '<!ATTLIST schema xmlns:ds CDATA #FIXED "urn:ds"><!ENTITY nama "urn:ds"><!ENTITY % kosong "">]>',
        '<xs:simpleType xmlns:xs="http://www.w3.org/2001/XMLSchema" name="Baru"><xs:annotation><xs:documentation>'
        "&nama;</xs:documentation></xs:annotation><xs:restriction base='xs:string'/></xs:simpleType>",
    )
    assert create.preview(documents, main).drafts
    stored = documents.used[UPLOADED + "tipe.xsd"]
    assert ">urn:ds<" in stored
    assert "DOCTYPE" not in stored


DOCTYPES = {
    "external entity": '<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    "external parameter": '<!DOCTYPE s [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]>',
    "nested": '<!DOCTYPE s [<!ENTITY a "1"><!ENTITY x "&a;&a;">]>',
    "nested by number": '<!DOCTYPE s [<!ENTITY a "1"><!ENTITY x "&#38;a;&#38;a;">]>',
    "markup": '<!DOCTYPE s [<!ENTITY x "&#60;b/>">]>',
    "parameter with markup": """<!DOCTYPE s [<!ENTITY % q "<!ENTITY x 'y'>"> %q;]>""",
    "hidden defaults": """<!DOCTYPE s [<!ENTITY % q "&#60;!ATTLIST element xmlns:z CDATA 'urn:y'>"> %q;]>""",
    "long": f'<!DOCTYPE s [<!ENTITY x "{"y" * 200_000}">]>',
    "many": "<!DOCTYPE s [" + "".join(f"<!ENTITY x{n} 'y'>" for n in range(30)) + "<!ENTITY x 'y'>]>",
    "blanks": "<!DOCTYPE s [<!ATTLIST s " + " " * 3_000_000 + "><!ENTITY x 'y'>]>",
    "defaults": f'<!DOCTYPE s [<!ATTLIST element xmlns:z CDATA "urn:{"y" * 50_000}"><!ENTITY x "y">]>',
}


@pytest.mark.parametrize("doctype", DOCTYPES.values(), ids=DOCTYPES)
def test_b17_any_other_document_type_is_refused(doctype: str) -> None:
    documents, main = with_doctype(
        doctype,
        '<xs:annotation xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:appinfo>&x;</xs:appinfo></xs:annotation>',
    )
    with pytest.raises(DescriptionError, match=r"tipe\.xsd"):
        create.preview(documents, main)


def test_the_main_document_is_found_wherever_its_words_are() -> None:
    comment = f"<!-- {'definitions openapi ' * 500} -->".encode()
    wsdl = (DESCRIPTIONS / "pegawai.wsdl").read_bytes()
    assert not create.is_main(comment + b"<s:schema xmlns:s='http://www.w3.org/2001/XMLSchema'/>", "a")
    assert create.is_main(comment + wsdl[wsdl.index(b"?>") + 2 :], "a")
    assert create.is_main(wsdl.decode().replace("UTF-8", "UTF-16").encode("utf-16"), "a")
    assert create.is_main(b"# " + b"x" * 5000 + b"\nopenapi: 3.0.3\n", "a")
    assert create.is_main(b'{"info": {}, "swagger": "2.0"}', "a")
    assert not create.is_main(b"type: object\ndescription: openapi\n", "a")


# ------------------------------------------------------------------------------ what no document may do


def test_no_document_opens_a_file_or_an_address_past_the_door(settings: Any, httpserver: HTTPServer) -> None:
    text = (DESCRIPTIONS / "pegawai.wsdl").read_text()
    for place in ("file:///etc/passwd", "/etc/passwd", "../../etc/passwd"):
        with pytest.raises(DescriptionError):
            read(text.replace("tipe.xsd", place))
    settings.UPSTREAM_NETWORKS = ["!127.0.0.0/8"]
    with pytest.raises(DescriptionError):
        read(text.replace("tipe.xsd", httpserver.url_for("/tipe.xsd")), documents.fetch)
    with pytest.raises(DescriptionError):
        create.preview(DocumentSet({}), httpserver.url_for("/a.json"))
    assert httpserver.log == []


BOMBS = {
    "entities": '<!DOCTYPE a [<!ENTITY b "cccccccccc"><!ENTITY d "&b;&b;&b;">]><definitions>&d;</definitions>',
    "external": '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
    "aliases": "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)),
    "merges": "a0: &a0 {x0: 1}\n"
    + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}], x{n}: 1}}\n" for n in range(1, 12)),
    "python": "!!python/object/apply:os.system ['true']",
    "deep": "[" * 100_000,
    "deep json": '{"a":' * 100_000,
    "html": "<html><body>Masuk</body></html>",
    "prose": "Dokumen ini bukan apa-apa.",
    "nothing": "",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
@pytest.mark.timeout(20)
def test_a_bomb_is_refused(bomb: str) -> None:
    with pytest.raises(DescriptionError):
        read(bomb)


@pytest.mark.timeout(20)
def test_a_document_that_refers_to_itself_without_end() -> None:
    members = {f"m{n}": {"$ref": "#/components/schemas/A"} for n in range(50)}
    others = {
        f"S{level}": {
            "type": "object",
            "properties": {f"m{n}": {"$ref": f"#/components/schemas/S{level + 1}"} for n in range(60)},
        }
        for level in range(6)
    }
    document = body({"$ref": "#/components/schemas/S0"})
    document["components"] = {"schemas": {"A": {"type": "object", "properties": members}, **others}}
    wide = read(document)
    assert all(len(draft.parameters) <= settings.ROW_LIMITS["parameters"] for draft in wide.drafts)
    document["paths"] = body({"$ref": "#/components/schemas/A"})["paths"]
    assert names(only(read(document))) == {}


def test_a_description_has_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_BYTES", 100)
    with pytest.raises(DescriptionError):
        read(body({"type": "object"}))


@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_address_that_gives_no_document(httpserver: HTTPServer, status: int) -> None:
    httpserver.expect_request("/a").respond_with_data("{}", status=status, headers={"Location": "/b"})
    with pytest.raises(DescriptionError):
        create.preview(DocumentSet({}), httpserver.url_for("/a"))
    assert len(httpserver.log) == 1


LIST = {"type": "array", "items": {"type": "object", "properties": {"nama": {"type": "string"}}}}


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        (LIST, ""),
        ({"properties": {"total": {"type": "integer"}, "data": LIST}}, "data"),
        ({"properties": {"hasil": {"allOf": [{"properties": {"orang": LIST}}]}}}, "hasil.orang"),
        ({"properties": {"nama": {"type": "string"}, "umur": {"type": "integer"}}}, "."),
        ({"properties": {"data": LIST, "galat": LIST}}, ""),  # which of the two is not evident
        ({"properties": {"nama": {"type": "string"}, "alamat": {"properties": {"kota": {"type": "string"}}}}}, ""),
        ({"properties": {"kata": {"type": "array", "items": {"type": "string"}}}}, ""),
        ({"properties": {"a.b": LIST}}, ""),
        ({"$ref": "#/tidak/ada"}, ""),
        ({}, ""),
    ],
    ids=str,
)
@pytest.mark.parametrize("version", ["3", "2"])
def test_the_records_path_is_set_where_the_schema_makes_it_evident(
    schema: dict[str, Any], path: str, version: str
) -> None:
    response = {"content": {"application/json": {"schema": schema}}} if version == "3" else {"schema": schema}
    head: dict[str, Any] = {"openapi": "3.0.0"} if version == "3" else {"swagger": "2.0", "host": "h.go.id"}
    found = read({**head, "paths": {"/a": {"get": {"responses": {"404": {}, "200": response}}}}})
    assert found.drafts[0].records_path == path
