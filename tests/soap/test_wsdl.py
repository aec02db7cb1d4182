"""What a service says of itself in its WSDL."""

from __future__ import annotations

import base64
import gc
import io
import json
import re
import subprocess
import time
from collections import OrderedDict
from dataclasses import replace
from typing import Any

import pytest
import xmlschema
from django.db import connection
from lxml import etree
from xmlschema.extras.wsdl import Wsdl11Document

from dataservices.models import DataOperation
from mantra.gateway import documents, patterns, xml_names
from mantra.gateway.protocols.soap import wsdl, xsd
from proxyservices.models import ProxyOperation
from registry.models import Agency, Field, Operation, Parameter, Service
from registry.parameter_values import ParameterParser
from registry.snapshot import holder
from tests.bounds import assert_grows_less, assert_within
from tests.cast import Cast, call, recorded
from tests.proxy.publishing import add_server
from tests.soap.wire import NAMESPACE, SERVICE, client, request, rows, schema

XS = "{http://www.w3.org/2001/XMLSchema}"
WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
SOAP11 = "{http://schemas.xmlsoap.org/wsdl/soap/}"
SOAP12 = "{http://schemas.xmlsoap.org/wsdl/soap12/}"


def served(path: str = SERVICE, **headers: str) -> etree._Element:
    reply = call(f"{path}?wsdl", **headers)
    assert reply.status == 200, reply.text
    assert reply.headers["content-type"] == "text/xml; charset=utf-8"
    held(reply.body)
    return etree.fromstring(reply.body)


def held(body: bytes) -> None:
    """Raises unless it is a valid WSDL 1.1 document, its schema is valid, and all its references are met.

    The library knows bindings of SOAP 1.1 only: it is shown each of the two by itself, and the second as if it were.
    """
    for other, port in ((b"soap12", b"Soap12"), (b"soap11", b"Soap11")):
        alone = re.sub(rb'<wsdl:binding name="\w+%s".*?</wsdl:binding>' % port, b"", body, flags=re.S)
        alone = re.sub(rb'<wsdl:port name="\w+%s".*?</wsdl:port>' % port, b"", alone, flags=re.S)
        alone = re.sub(rb' xmlns:%s="[^"]+"' % other, b"", alone)
        document = Wsdl11Document(io.BytesIO(alone.replace(b"/wsdl/soap12/", b"/wsdl/soap/")))
        assert (len(document.bindings), len(document.services)) == (1, 1)
    etree.XMLSchema(etree.fromstring(body).find(f"{WSDL}types/{XS}schema"))


def operations(root: etree._Element) -> list[str]:
    return [each.get("name", "") for each in root.find(f"{WSDL}portType")]


def element(root: etree._Element, *path: str) -> etree._Element:
    """An element of the schema, by the names of those that it is in."""
    found = root.find(f"{WSDL}types/{XS}schema")
    for name in path:
        assert found is not None
        found = (
            found.find(f"{XS}element[@name='{name}']")
            if found.tag == f"{XS}schema"
            else found.find(f"{XS}complexType/{XS}sequence/{XS}element[@name='{name}']")
        )
    assert found is not None
    return found


def facets(found: etree._Element) -> list[tuple[str, str]]:
    restriction = found.find(f"{XS}simpleType/{XS}restriction")
    assert restriction is not None
    return [(etree.QName(each).localname, each.get("value", "")) for each in restriction]


def test_it_works(cast: Cast) -> None:
    root = served()
    assert root.get("targetNamespace") == NAMESPACE
    assert operations(root) == ["cari", "halaman", "satu", "semua", "terbuka"]
    for soap, binding in ((SOAP11, "dataSoap11"), (SOAP12, "dataSoap12")):
        bound = root.find(f"{WSDL}binding[@name='{binding}']")
        assert bound is not None
        assert bound.find(f"{soap}binding").get("style") == "document"
        inputs = bound.findall(f"{WSDL}operation/{WSDL}input")
        assert len(inputs) == 5
        assert all(each.find(f"{soap}body").get("use") == "literal" for each in inputs)
        assert all(each.find(f"{soap}header").get("part") == "AccessKey" for each in inputs)
        assert len(bound.findall(f"{WSDL}operation/{WSDL}fault/{soap}fault")) == 5
        address = root.find(f"{WSDL}service/{WSDL}port[@binding='tns:{binding}']/{soap}address")
        assert address is not None
        assert address.get("location") == "http://localhost:80/soap/prov/data"
    assert root.find(f"{WSDL}types/{XS}schema").get("elementFormDefault") == "qualified"
    _open, begin, end = recorded()
    assert (begin["method"], begin["op"], end["format"]) == ("GET", ["prov", "data", "", None, None], "wsdl")
    assert (end["code"], end["status"]) == (200, 200)
    assert end["bytes"] > 1000


def test_a_wsdl_with_a_loose_end_would_be_found(cast: Cast) -> None:
    """The validator that the other tests rely on does see what is wrong."""
    body = call(f"{SERVICE}?wsdl").body
    for good, bad in (
        (b'message="tns:satuRequest"', b'message="tns:tidakada"'),
        (b"<wsdl:types>", b"<wsdl:jenis/><wsdl:types>"),
        (b'type="xs:integer"', b'type="xs:bulat"'),
    ):
        assert good in body
        with pytest.raises((xmlschema.XMLSchemaException, KeyError)):
            held(body.replace(good, bad))


@pytest.mark.parametrize("query", ["wsdl", "WSDL", "wsdl=1", "singleWsdl"])
def test_ways_to_ask(cast: Cast, query: str) -> None:
    assert call(f"{SERVICE}?{query}").body == call("/SOAP/Prov/DATA/?wsdl").body
    head = call(f"{SERVICE}?{query}", "HEAD")
    assert (head.status, head.body, int(head.headers["content-length"]) > 1000) == (200, b"", True)


@pytest.mark.parametrize(("version", "binding"), [("1.1", "soap11"), ("1.2", "soap12")])
def test_f13_a_wsdl_of_one_version(cast: Cast, version: str, binding: str) -> None:
    root = etree.fromstring(call(f"{SERVICE}?wsdl={version}").body)
    ports = root.findall(f".//{{{root.nsmap['wsdl']}}}port")
    assert [str(port.get("name")).lower() for port in ports] == [f"data{binding}"]
    assert set(root.nsmap) & {"soap11", "soap12"} == {binding}


def test_f13_no_message_has_the_name_of_a_faults_element(cast: Cast) -> None:
    root = etree.fromstring(call(f"{SERVICE}?wsdl").body)
    assert "Fault" not in [each.get("name") for each in root.findall(f"{{{root.nsmap['wsdl']}}}message")]


def test_the_schema_alone(cast: Cast) -> None:
    reply = call(f"{SERVICE}?xsd")
    assert etree.fromstring(reply.body).tag == f"{XS}schema"
    xmlschema.XMLSchema(reply.text)
    schema()


# ------------------------------------------------------------------------------------- what is in it


def test_wsdl_documentation_is_the_registrys_text(cast: Cast) -> None:
    Service.objects.update(title="Data & uji", description="Untuk <semua>.")
    cast.operation(
        "berkata",
        "SELECT :a AS a",
        title="Judul",
        description="Penjelasan.",
        parameters=({"name": "a", "description": "Satu huruf", "default": "x", "required": False},),
    )
    Field.objects.create(operation=cast.operations["berkata"], name="a", description="Huruf itu")
    holder.refresh()
    root = served()
    assert root.findtext(f"{WSDL}documentation") == "Data & uji\nUntuk <semua>."
    told = root.findtext(f"{WSDL}portType/{WSDL}operation[@name='berkata']/{WSDL}documentation")
    assert told == "Judul\nPenjelasan."
    words = f"{XS}annotation/{XS}documentation"
    assert element(root, "berkata", "a").findtext(words) == "Satu huruf Nilai baku: x."
    row = root.find(f"{WSDL}types/{XS}schema/{XS}complexType[@name='berkataRow']/{XS}sequence/{XS}element")
    assert row is not None
    assert row.findtext(words) == "Huruf itu"


def test_parameters(cast: Cast) -> None:
    cast.operation(
        "semua jenis",
        "SELECT 1 AS a",
        parameters=(
            {"name": "wajib"},
            {"name": "baku", "default": "x"},
            {"name": "boleh", "required": False, "min": "2", "max": "5"},
            {"name": "kode", "pattern": r"^[A-Z]{2}-\d+$"},
            {"name": "bulat", "type": "integer", "min": "-1", "max": "12"},
            {"name": "desimal", "type": "decimal", "min": "0.50"},
            {"name": "hari", "type": "date", "max": "2026-12-31"},
            {"name": "saat", "type": "datetime", "min": "2026-01-31 08:00"},
            {"name": "pilihan", "type": "choice", "choices": "satu\n dua & tiga "},
            {"name": "angka", "type": "integer", "choices": "1\n+2"},
            {"name": "ya", "type": "boolean", "choices": "ya"},
            {"name": "nik", "type": "nik", "pattern": "[0-9]+"},
        ),
    )
    root = served()

    def found(name: str) -> etree._Element:
        return element(root, "semua_x0020_jenis", name)

    occurs = [(name, found(name).get("minOccurs"), found(name).get("nillable")) for name in ("wajib", "baku", "boleh")]
    assert occurs == [("wajib", None, None), ("baku", "0", "true"), ("boleh", "0", "true")]
    assert facets(found("boleh")) == [("minLength", "2"), ("maxLength", "5")]
    assert facets(found("kode")) == [("pattern", r"([A-Z]){2,2}\-([\d]){1,}"), ("maxLength", "1000")]
    assert facets(found("bulat")) == [("minInclusive", "-1"), ("maxInclusive", "12")]
    assert facets(found("desimal")) == [("minInclusive", "0.50")]
    assert facets(found("hari")) == [("maxInclusive", "2026-12-31")]
    assert facets(found("saat")) == [("minInclusive", "2026-01-31T08:00:00")]
    assert facets(found("pilihan")) == [("enumeration", "dua & tiga"), ("enumeration", "satu")]
    assert facets(found("angka")) == [("enumeration", "1"), ("enumeration", "2")]
    assert [found(name).get("type") for name in ("ya", "nik")] == ["xs:boolean", "xs:string"]


@pytest.mark.parametrize(
    ("least", "most", "kind"),
    [("9", "1", "integer"), ("9", "1", "text"), ("-5", "20000", "text"), ("9", "1", "decimal")],
)
def test_bounds_that_make_no_sense_break_nothing(cast: Cast, least: str, most: str, kind: str) -> None:
    cast.operation("x", "SELECT 1 AS a", parameters=({"name": "a", "type": kind, "min": least, "max": most},))
    served()
    schema()


def test_rows(cast: Cast) -> None:
    made = cast.operation("baris", "SELECT 1 AS a")
    types = [kind for kind, _label in Field.Type.choices]
    for position, kind in enumerate(types):
        Field.objects.create(operation=made, name=f"kolom {kind}", type=kind, position=position)
    holder.refresh()
    root = served()
    row = root.find(f"{WSDL}types/{XS}schema/{XS}complexType[@name='barisRow']/{XS}sequence")
    assert row is not None
    assert [(each.get("name"), each.get("minOccurs"), each.get("nillable")) for each in row] == [
        (f"kolom_x0020_{kind}", "0", "true") for kind in types
    ]
    repeated = element(root, "barisResponse", "data", "row")
    assert (repeated.get("type"), repeated.get("maxOccurs")) == ("tns:barisRow", "unbounded")
    assert element(root, "satuResponse", "data", "row").get("type") == "xs:anyType"


def test_the_kinds_of_answers(cast: Cast) -> None:
    cast.operation("tulis", "DELETE FROM orang WHERE id = 0", writes=True)
    proxy = ProxyOperation.objects.create(service=cast.service, code="alias", path="/", state="published")
    add_server(proxy, "http://127.0.0.1:9/")
    holder.refresh()
    root = served()

    def answer(name: str) -> list[str]:
        found = element(root, f"{name}Response").iterfind(f"{XS}complexType/{XS}sequence/{XS}element")
        return [each.get("name", "") for each in found][3:]

    assert answer("satu") == ["data", "count", "truncated"]
    assert answer("halaman") == ["data", "count", "truncated", "has_next"]
    assert answer("tulis") == ["data", "count", "truncated", "affected"]
    assert answer("alias") == ["data"]


def test_only_what_callers_may_know_of(cast: Cast) -> None:
    for state in ("draft", "retired", "deprecated"):
        cast.operation(state, "SELECT 1 AS a", state=state)
    assert operations(served()) == ["cari", "deprecated", "halaman", "satu", "semua", "terbuka"]


def test_hidden_operations_are_for_keys_that_may_call_them(cast: Cast) -> None:
    Operation.objects.filter(code="satu").update(listing="hidden")
    holder.refresh()
    for headers in ({}, {"accesskey": "mtr_unknown"}, {"authorization": "Basic eDp5"}):
        for document in ("wsdl", "wsdl=1.1", "xsd"):
            assert b"satu" not in call(f"{SERVICE}?{document}", **headers).body
    basic = base64.b64encode(f"x:{cast.key}".encode()).decode()
    for headers in (
        {"accesskey": cast.key},
        {"authorization": f"Bearer {cast.key}"},
        {"authorization": f"Basic {basic}"},
    ):
        reply = call(f"{SERVICE}?wsdl", **headers)
        assert b'name="satu"' in reply.body
        assert "AccessKey" in reply.headers["vary"]
    cast.grants["satu"].delete()
    holder.refresh()
    assert b"satu" not in call(f"{SERVICE}?wsdl", accesskey=cast.key).body
    Operation.objects.update(listing="hidden")
    holder.refresh()
    assert call(f"{SERVICE}?wsdl").status == 404


def test_services_that_are_not_there(cast: Cast) -> None:
    Service.objects.create(agency=Agency.objects.get(code="asing"), code="kosong", title="Kosong")
    holder.refresh()
    for path, code in (
        ("/soap/prov/lain", b"10002"),
        ("/soap/asing/kosong", b"10002"),
        ("/soap/prov", b"10003"),
        ("/soap/prov/data/satu", b"10003"),
    ):
        reply = call(f"{path}?wsdl")
        assert (reply.status, reply.headers["content-type"]) == (404, "text/xml; charset=utf-8")
        assert b"<m:code>" + code in reply.body


def test_a_change_shows_at_once(cast: Cast) -> None:
    assert "baru" not in operations(served())
    cast.operation("baru", "SELECT 1 AS a")
    assert "baru" in operations(served())
    DataOperation.objects.filter(code="baru").update(state="draft")
    holder.refresh()
    assert "baru" not in operations(served())


# ------------------------------------------------------------------------------------------ addresses


def location(**headers: str) -> str | None:
    found = served(**headers).find(f"{WSDL}service/{WSDL}port/{SOAP12}address")
    assert found is not None
    return found.get("location")


def test_the_public_address(cast: Cast, settings: Any) -> None:
    assert location(host="127.0.0.1:8000") == "http://127.0.0.1:8000/soap/prov/data"
    assert location(host="127.0.0.1:8000", x_forwarded_proto="https") == "http://127.0.0.1:8000/soap/prov/data"
    settings.TRUSTED_PROXIES = 1
    assert location(host="127.0.0.1", x_forwarded_proto="https") == "https://127.0.0.1/soap/prov/data"
    settings.BASE_URL = "https://bus.contoh.go.id"
    assert location(host="lain.contoh") == "https://bus.contoh.go.id/soap/prov/data"


@pytest.mark.parametrize("host", ["jahat.contoh", 'a"><b>', "127.0.0.1/x", "127.0.0.1@jahat.contoh", ""])
def test_an_address_that_a_caller_made_up(cast: Cast, host: str) -> None:
    assert location(host=host) == "http://localhost:80/soap/prov/data"


# ---------------------------------------------------------------------------------------------- names


def test_names_that_are_no_elements(cast: Cast) -> None:
    """None is another's, none is lost, and each can be called by what the WSDL says."""
    codes = ["satuResponse", "AccessKey", "Fault", "Response", "1a b:c.d-e", "a_x0020_b", "satuRow"]
    for code in codes:
        made = cast.operation(f"{code}_", 'SELECT 1 AS "kolom é:1"')
        Operation.objects.filter(pk=made.pk).update(code=code)  # an old one: no new one may end in Response
        Field.objects.create(operation=made, name="kolom é:1", type="integer")
    holder.refresh()
    found = operations(served())
    assert len(set(found)) == 12
    assert {xml_names.plain(name) for name in found} >= set(codes)
    service = client(accesskey=cast.key).service
    for code in codes:
        (row,) = request(cast.key, xml_names.operation(code)).iterfind(f".//{{{NAMESPACE}}}row")
        assert [cell.tag for cell in row] == [f"{{{NAMESPACE}}}kolom_x0020_é_x003A_1"]
        assert service[xml_names.operation(code)]().count == 1
    # Who writes a name as it is, where it can stand, is understood as well.
    assert rows(request(cast.key, "satuResponse"))


@pytest.mark.parametrize(
    "name", ["a", "a b", "1", "", "_x0041_", "_x0041", "é", "名前", "\U0001f600", "a\x00", "xResponse"]
)
def test_every_name_comes_back(name: str) -> None:
    for made in (xml_names.element(name), xml_names.operation(name)):
        etree.QName("urn:x", made)  # raises for what is no name
        if name:
            assert xml_names.plain(made) == name


# ------------------------------------------------------------------------------------------- patterns

LETTERS = [*"aZ09_-.,$^ ]\\/é٣\t\n", "ab", "a.b", "12-34", "a\n", "AB-12", "aaaa", "xyz", ""]


#: What both languages can say.
PATTERNS = (
    r"[A-Z]{2}-\d+",
    r"^\d{3}$",
    r"a|b",
    r"(ab|cd)+x?",
    r"[^a-z]",
    r"[a\-z\]\\^]+",
    r".",
    r".*",
    r"[+-]?\d*\.?\d",
    r"\A[.$^]\Z",
    r"é",
    r"(?:a|)b?",
    r"a{0,4}",
    r"[\d_]+",
    r"[^\d]",
    r"\t",
    r"[,-.]",
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_that_xsd_can_say_means_the_same_there(pattern: str) -> None:
    told = patterns.translated(re.compile(pattern), patterns.XSD)
    assert told is not None
    schema = etree.XMLSchema(
        etree.fromstring(
            f'<xs:schema xmlns:xs="{xsd.SCHEMA}"><xs:element name="e"><xs:simpleType><xs:restriction base="xs:string">'
            f"{xsd.tag('xs:pattern', value=told)}</xs:restriction></xs:simpleType></xs:element></xs:schema>"
        )
    )
    for text in LETTERS:
        held = etree.Element("e")
        held.text = text
        assert schema.validate(held) == (re.fullmatch(pattern, text) is not None), text


def test_the_same_patterns_in_javascript() -> None:
    given = [[patterns.translated(re.compile(pattern), patterns.ECMA), LETTERS] for pattern in PATTERNS]
    # A digit is one of ten there, as in all of what else reads JSON Schema.
    program = (
        "console.log(JSON.stringify(JSON.parse(process.argv[1]).map(([p, ts]) => ts.map(t => RegExp(p, 'u').test(t)))))"
    )
    done = subprocess.run(["node", "-e", program, json.dumps(given)], capture_output=True, text=True, check=True)
    for pattern, found in zip(PATTERNS, json.loads(done.stdout), strict=True):
        for text, met in zip(LETTERS, found, strict=True):
            assert met == (re.fullmatch(pattern, text, re.ASCII) is not None), (pattern, text)


@pytest.mark.parametrize(
    "pattern", [r"\w+", r"\s", r"[\w.]", r"(?i)a", r"a\b", r"(a)\1", r"(?=a)a", r"a$b", "\x01", r"a++"]
)
def test_a_pattern_that_xsd_cannot_say_is_left_out(pattern: str) -> None:
    assert patterns.translated(re.compile(pattern), patterns.XSD) is None


def test_a_pattern_is_found_where_the_reader_has_it() -> None:
    assert patterns.translated(ParameterParser("text", r"\d").pattern or re.compile("x"), patterns.XSD) == r"[\d]"


# ----------------------------------------------------------------------------------------------- cost


def many(cast: Cast, count: int) -> None:
    """Publish ``count`` operations with three parameters and ten fields each."""
    for number in range(count):
        made = DataOperation(service=cast.service, source=cast.source, code=f"op{number}", sql="SELECT 1 AS a")
        made.state = "published"
        made.save()
        for name in ("a", "b", "c"):
            Parameter.objects.create(operation=made, name=name, pattern="[0-9]{4}", description="Nilai " * 5)
        for column in range(10):
            Field.objects.create(operation=made, name=f"kolom {column}", type="decimal", description="Kolom " * 5)
    holder.refresh()


def test_two_hundred_operations(cast: Cast) -> None:
    many(cast, 200)
    book = holder.current()
    assert book is not None
    began = time.monotonic()
    content = wsdl.build(book, "prov", "data", "wsdl")
    assert_within(2, began)
    assert content.count(b"<wsdl:operation") == 3 * 205
    with connection.execute_wrapper(lambda *_args: pytest.fail("it asked the database")):
        assert call(f"{SERVICE}?wsdl").status == 200


def resident() -> float:
    """MiB of this process in memory."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def test_building_it_over_and_over_keeps_memory_flat(cast: Cast) -> None:
    many(cast, 20)
    book = holder.refresh()

    def rebuild(times: int) -> None:
        for _time in range(times):
            fresh = replace(book, documents=OrderedDict())
            assert wsdl.document(fresh, "prov", "data", "wsdl") is wsdl.document(fresh, "prov", "data", "wsdl")

    def growth() -> float:
        gc.collect()
        before = resident()
        rebuild(1000)
        gc.collect()
        return resident() - before

    rebuild(50)
    assert_grows_less(20, growth)


def test_documents_are_kept_with_their_snapshot(cast: Cast) -> None:
    book = holder.current()
    assert book is not None
    first = wsdl.document(book, "prov", "data", "wsdl")
    assert wsdl.document(book, "prov", "data", "wsdl") is first
    book.documents.update({("x", str(number)): b"" for number in range(2 * documents.MAX_DOCUMENTS)})
    assert wsdl.document(book, "prov", "data", "xsd")
    assert len(book.documents) == documents.MAX_DOCUMENTS
