"""SOAP calls: every way to ask, every value, every fault."""

from __future__ import annotations

import base64
import datetime
import gc
import gzip
import io
import re
import tracemalloc
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import zeep
import zeep.exceptions
from lxml import etree
from pytest_httpserver import HTTPServer
from zeep.wsse.username import UsernameToken

from dataservices.models import DataOperation
from mantra.gateway.protocols.soap import fault as soap_fault
from mantra.gateway.protocols.soap import handler
from mantra.gateway.protocols.soap.request import EnvelopeReader
from proxyservices.models import ProxyOperation
from registry import faults
from registry.models import AccessKey, Agency, Field, Grant, Parameter, Service
from registry.results import Fault
from registry.snapshot import holder
from tests.cast import Cast, call, ends_of, recorded
from tests.proxy.publishing import add_server
from tests.soap.wire import ENVELOPES, NAMESPACE, SERVICE, M, client, envelope, fault, post, request, rows, valid

BOTH = pytest.mark.parametrize("version", ["1.1", "1.2"])
FIVE = "<m:id>5</m:id>"


def declare(cast: Cast, code: str, fields: dict[str, str]) -> None:
    for position, (name, kind) in enumerate(fields.items()):
        Field.objects.create(operation=cast.operations[code], name=name, type=kind, position=position)
    holder.refresh()


# ----------------------------------------------------------------------------------------- to ask


@BOTH
def test_it_works(cast: Cast, version: str) -> None:
    reply = post(envelope("satu", FIVE, version), version, accesskey=cast.key)
    answer = valid(reply, version)
    assert answer.tag == f"{M}satuResponse"
    assert [(etree.QName(each).localname, each.text) for each in answer if len(each) == 0] == [
        ("status", "1"),
        ("code", "200"),
        ("message", "OK"),
        ("count", "1"),
        ("truncated", "false"),
    ]
    assert rows(answer) == [{"id": "5", "nama": "Orang 5", "unit": None, "gaji": "5.50"}]
    assert reply.headers["content-length"] == str(len(reply.body))
    assert reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("action", ['"urn:mantra:prov:data#satu"', "urn:mantra:prov:data#satu", '""', "lain", None])
def test_the_action_does_not_matter(cast: Cast, action: str | None) -> None:
    more = {} if action is None else {"soapaction": action}
    assert rows(request(cast.key, "satu", FIVE, **more))[0]["id"] == "5"


@pytest.mark.parametrize("content_type", ["text/xml", "TEXT/XML; charset=UTF-8", 'text/xml;charset="utf-8"', ""])
def test_the_envelope_decides_on_its_version(cast: Cast, content_type: str) -> None:
    reply = post(envelope("satu", FIVE, "1.2"), accesskey=cast.key, content_type=content_type)
    assert valid(reply, "1.2").tag == f"{M}satuResponse"


@pytest.mark.parametrize(
    "body",
    [
        envelope("satu", "<m:id>5</m:id>").replace("m:id", "id"),
        envelope("SATU", "<m:ID> 5 </m:ID>"),
        "\ufeff" + envelope("satu", FIVE),
        '<?xml version="1.0"?><!-- tanya --><?a b?>' + envelope("satu", "<m:id><!-- lima --><![CDATA[5]]></m:id>"),
        envelope("satu", "<m:id>&#53;</m:id>").replace("><", ">\n\t<"),
    ],
    ids=["unqualified", "letters", "mark", "comments", "space"],
)
def test_equivalent_envelopes_give_the_same_answer(cast: Cast, body: str) -> None:
    assert rows(valid(post(body, accesskey=cast.key)))[0]["id"] == "5"


@pytest.mark.parametrize(
    ("encoding", "declared", "content_type"),
    [
        ("utf-8", "UTF-8", "text/xml"),
        ("utf-16", "UTF-16", "text/xml"),
        ("utf-16", "", "text/xml; charset=utf-16"),
        ("utf-16-le", "UTF-16", "text/xml"),
        ("utf-16-be", "", "text/xml"),
        ("utf-8", "KOI8-R", "text/xml; charset=utf-8"),
        ("iso-8859-1", "ISO-8859-1", "text/xml"),
        ("iso-8859-1", "", "text/xml; charset=ISO-8859-1"),
    ],
)
def test_encodings(cast: Cast, encoding: str, declared: str, content_type: str) -> None:
    cast.operation("gema", "SELECT :kata AS kata", parameters=({"name": "kata"},))
    declaration = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    body = (declaration + envelope("gema", "<m:kata>Café</m:kata>")).encode(encoding)
    assert rows(valid(post(body, accesskey=cast.key, content_type=content_type))) == [{"kata": "Café"}]


@BOTH
def test_f17_a_compressed_envelope(cast: Cast, version: str) -> None:
    body = gzip.compress(envelope("satu", FIVE, version).encode())
    reply = post(body, version, accesskey=cast.key, content_encoding="gzip")
    assert reply.status == 200 and rows(valid(reply, version))
    refused = post(body, version, accesskey=cast.key, content_encoding="br")
    assert fault(refused, version)["code"] == str(faults.BODY_ENCODING.code)
    assert refused.status == (415 if version == "1.2" else 500)


# ---------------------------------------------------------------------------------------- the key

_TOKEN = (
    '<w:Security xmlns:w="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd" '
    's:mustUnderstand="1"><w:UsernameToken><w:Username>siapa</w:Username>'
    '<w:Password Type="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#{kind}">'
    "{key}</w:Password></w:UsernameToken>{more}</w:Security>"
)


def test_a_key_by_header(cast: Cast) -> None:
    basic = base64.b64encode(f"siapa:{cast.key}".encode()).decode()
    for headers in (
        {"accesskey": cast.key},
        {"authorization": f"Bearer {cast.key}"},
        {"authorization": f"Basic {basic}"},
    ):
        assert valid(post(envelope("satu", FIVE), **headers)).tag == f"{M}satuResponse"


@BOTH
def test_a_key_in_the_envelope(cast: Cast, version: str) -> None:
    for head in (
        f"<m:AccessKey>{cast.key}</m:AccessKey>",
        f'<m:AccessKey s:mustUnderstand="1"> {cast.key}\n</m:AccessKey>',
        _TOKEN.format(kind="PasswordText", key=cast.key, more=""),
    ):
        assert valid(post(envelope("satu", FIVE, version, head), version), version).tag == f"{M}satuResponse"


def test_a_wrong_key(cast: Cast) -> None:
    assert fault(post(envelope("satu", FIVE)))["code"] == "10001"
    assert fault(post(envelope("satu", FIVE, head="<m:AccessKey>lain</m:AccessKey>")))["code"] == "11001"
    assert fault(post(envelope("satu", FIVE), authorization="Basic !!!"))["code"] == "10001"
    # What the outer header says counts.
    head = f"<m:AccessKey>{cast.key}</m:AccessKey>"
    assert fault(post(envelope("satu", FIVE, head=head), accesskey="lain"))["code"] == "11001"


def test_a_digest_is_no_key(cast: Cast) -> None:
    head = _TOKEN.format(kind="PasswordDigest", key="weYI3nXd8LjMNVksCKFV8t3rgHh3Rw==", more="")
    told = fault(post(envelope("satu", FIVE, head=head)))
    assert (told["code"], "PasswordText" in told["message"]) == ("11114", True)


@BOTH
def test_headers_that_must_be_understood(cast: Cast, version: str) -> None:
    role = "actor" if version == "1.1" else "role"
    strange = '<x:Transaksi xmlns:x="urn:lain" s:mustUnderstand="{}"{}>9</x:Transaksi>'
    signed = _TOKEN.format(kind="PasswordText", key=cast.key, more="<w:Signature/>")
    for head in (strange.format("1", ""), strange.format("1", f' s:{role}=""'), signed):
        reply = post(envelope("satu", FIVE, version, head), version, accesskey=cast.key)
        told = fault(reply, version)
        assert (reply.status, told["code"], told["soap"]) == (500, "11118", "MustUnderstand")
        if version == "1.2":
            (said,) = etree.fromstring(reply.body)[0]
            prefix, _colon, name = said.get("qname").partition(":")
            assert (name, said.nsmap[prefix] != NAMESPACE) == (("Security" if head is signed else "Transaksi"), True)
    for head in (strange.format("0", ""), strange.format("1", f' s:{role}="urn:orang-lain"')):
        assert valid(post(envelope("satu", FIVE, version, head), version, accesskey=cast.key), version) is not None


# ------------------------------------------------------------------------------------- parameters

PARAMETERS: tuple[dict[str, Any], ...] = (
    {"name": "teks", "required": False},
    {"name": "bulat", "type": "integer", "required": False},
    {"name": "desimal", "type": "decimal", "required": False},
    {"name": "ya", "type": "boolean", "required": False},
    {"name": "hari", "type": "date", "required": False},
    {"name": "saat", "type": "datetime", "required": False},
    {"name": "pilihan", "type": "choice", "choices": "satu\ndua", "required": False},
    {"name": "nik", "type": "nik", "required": False},
    {"name": "npwp", "type": "npwp", "required": False},
)


@pytest.fixture
def echo(cast: Cast) -> Cast:
    columns = ", ".join(f"CAST(:{each['name']} AS TEXT) AS {each['name']}" for each in PARAMETERS)
    cast.operation("gema", f"SELECT {columns}", parameters=PARAMETERS)
    return cast


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        ("teks", "  Sitī &amp; &lt;Budi&gt; \U0001f600 ", "  Sitī & <Budi> \U0001f600 "),
        ("teks", "", ""),
        ("bulat", " +12345678901234567 ", "12345678901234567"),
        ("desimal", "0012.50", "12.5"),
        ("ya", "1", "1"),
        ("ya", "false", "0"),
        ("hari", "2026-01-31", "2026-01-31"),
        ("hari", "2026-01-31Z", "2026-01-31"),
        ("hari", "2026-01-31+07:00", "2026-01-31"),
        ("saat", "2026-01-31T08:00:00", "2026-01-31 08:00:00"),
        ("pilihan", "dua", "dua"),
        ("nik", "3171011201850001", "3171011201850001"),
        ("npwp", "013000666091000", "013000666091000"),
    ],
)
def test_parameters_of_each_type(echo: Cast, name: str, written: str, meant: str) -> None:
    (row,) = rows(request(echo.key, "gema", f"<m:{name}>{written}</m:{name}>"))
    found = row.pop(name)
    assert found is not None
    assert found.replace("T", " ") == meant
    assert set(row.values()) == {None}


def test_nil_is_not_given(echo: Cast) -> None:
    assert set(rows(request(echo.key, "gema", '<m:teks xsi:nil="true"/><m:bulat xsi:nil="1"/>'))[0].values()) == {None}
    told = fault(post(envelope("satu", '<m:id xsi:nil="true"/>'), accesskey=echo.key))
    assert told["code"] == "11101"


@BOTH
@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ("", "11101"),
        ("<m:id>lima</m:id>", "11102"),
        ("<m:id>5</m:id><m:lain>1</m:lain>", "11103"),
        ("<m:id>5</m:id><m:ID>6</m:ID>", "11104"),
        ("<m:id><m:id>5</m:id></m:id>", "11114"),
        ("5", "11114"),
        ('<x:id xmlns:x="urn:lain">5</x:id>', "11114"),
        ("<m:id>5</m:id>" * 501, "11114"),
        ("<m:id>5</m:id" + " " * 1_000_000 + ">", "11106"),
    ],
)
def test_wrong_parameters_are_the_callers_fault(cast: Cast, version: str, inner: str, code: str) -> None:
    reply = post(envelope("satu", inner, version), version, accesskey=cast.key)
    told = fault(reply, version)
    assert (told["code"], told["party"]) == (code, "caller")
    if code == "11106":  # it was never read: only the content type said which version
        assert told["soap"] in ("Client", "Sender")
    assert reply.status == (500 if version == "1.1" else 400)


# ----------------------------------------------------------------------------------------- values

VALUES = """
    SELECT 1 AS nomor, 'Café & <b> \U0001f600' AS teks, 9223372036854775807 AS bulat,
        '12345678901234567890.1230' AS desimal, 1.5e300 AS pecahan, 1 AS ya, '2024-02-29' AS hari,
        '08:00:00' AS jam, '2026-01-31 08:00:00.123456' AS saat,
        'P1DT2H3M4S' AS lama, x'00ff' AS bita, '{"a":[1]}' AS jason, '6ba7b810-9dad-11d1-80b4-00c04fd430c8' AS kode
    UNION ALL SELECT 2, '', 0, '0.00', -9e999, 0, NULL, NULL, NULL, NULL, x'', NULL, NULL
    UNION ALL SELECT 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    ORDER BY nomor"""
TYPES = {
    "nomor": "integer",
    "teks": "text",
    "bulat": "integer",
    "desimal": "decimal",
    "pecahan": "float",
    "ya": "boolean",
    "hari": "date",
    "jam": "time",
    "saat": "datetime",
    "lama": "interval",
    "bita": "bytes",
    "jason": "json",
    "kode": "uuid",
}


@pytest.fixture
def values(cast: Cast) -> Cast:
    cast.operation("nilai", VALUES)
    declare(cast, "nilai", TYPES)
    return cast


def test_rows_of_every_type(values: Cast) -> None:
    first, second, third = rows(request(values.key, "nilai"))
    assert first == {
        "nomor": "1",
        "teks": "Café & <b> \U0001f600",
        "bulat": "9223372036854775807",
        "desimal": "12345678901234567890.1230",
        "pecahan": "1.5e+300",
        "ya": "true",
        "hari": "2024-02-29",
        "jam": "08:00:00",
        "saat": "2026-01-31T08:00:00.123456",
        "lama": "P1DT2H3M4S",
        "bita": "AP8=",
        "jason": '{"a":[1]}',
        "kode": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    }
    assert (second["teks"], second["desimal"], second["pecahan"], second["bita"]) == ("", "0.00", "-INF", "")
    assert set(third.values()) == {None, "3"}


def test_declared_fields_come_in_their_order(cast: Cast) -> None:
    cast.operation("urut", "SELECT 1 AS a, 2 AS b, 3 AS c, 4 AS b")
    declare(cast, "urut", {"c": "integer", "b": "integer"})
    assert [list(row.items()) for row in rows(request(cast.key, "urut"))] == [[("c", "3"), ("b", "2")]]


def test_a_grant_may_leave_fields_out(values: Cast) -> None:
    Grant.objects.filter(operation=values.operations["nilai"]).update(fields="nomor desimal")
    holder.refresh()
    assert [list(row) for row in rows(request(values.key, "nilai"))] == [["nomor", "desimal"]] * 3


@pytest.mark.parametrize(
    ("kind", "sql", "written"),
    [
        ("date", "'2026-01-31T00:00:00'", "2026-01-31"),
        ("datetime", "'2026-01-31'", "2026-01-31T00:00:00"),
        ("datetime", "'2026-01-31 08:00'", "2026-01-31T08:00:00"),
        ("datetime", "'2026-01-31T08:00:00+07'", "2026-01-31T08:00:00+07:00"),
        ("integer", "'12.00'", "12"),
        ("boolean", "'t'", "true"),
        ("decimal", "'1e3'", "1000"),
        ("text", "char(1)", "\ufffd"),
    ],
)
def test_other_ways_to_write_a_type(cast: Cast, kind: str, sql: str, written: str) -> None:
    cast.operation("satu nilai", f"SELECT {sql} AS isi")
    declare(cast, "satu nilai", {"isi": kind})
    assert rows(request(cast.key, "satu_x0020_nilai")) == [{"isi": written}]


@pytest.mark.parametrize(
    ("kind", "sql"),
    [
        ("date", "'0000-00-00'"),
        ("date", "'2026-02-30'"),
        ("date", "'2026-01-31 08:00:00'"),
        ("datetime", "'2026-02-30 08:00:00'"),
        ("time", "'26:00:00'"),
        ("integer", "'12.5'"),
        ("integer", "'1\n2'"),
        ("decimal", "'NaN'"),
        ("boolean", "'mungkin'"),
        ("interval", "'P1M-2D'"),
        ("bytes", "'a*b'"),
    ],
)
def test_a_value_that_is_none_of_its_type(cast: Cast, kind: str, sql: str) -> None:
    cast.operation("nilai", f"SELECT {sql} AS isi")
    declare(cast, "nilai", {"isi": kind})
    reply = post(envelope("nilai"), accesskey=cast.key)
    told = fault(reply)
    assert (told["code"], told["soap"], told["party"]) == ("11117", "Server", "provider")
    assert "isi" in told["message"]
    (end,) = ends_of(told["request_id"])
    assert end["code"] == 11117


def test_columns_that_nobody_declared(cast: Cast) -> None:
    """They are in no namespace: one of them has the name of an element that means something else in the schema."""
    cast.operation("aneh", 'SELECT 1 AS satu, NULL AS "dua kata", \'x\' AS "1:3", 4 AS satu')
    answer = request(cast.key, "aneh")
    (row,) = answer.findall(f"{M}data/{M}row")
    assert [cell.tag for cell in row] == ["satu", "dua_x0020_kata", "_x0031__x003A_3", "satu_2"]
    assert rows(answer)[0]["dua_x0020_kata"] is None


def test_no_rows(values: Cast) -> None:
    for code, inner in (("satu", "<m:id>0</m:id>"), ("cari", "<m:nama>tidak ada</m:nama>")):
        answer = request(values.key, code, inner)
        assert rows(answer) == []
        assert answer.findtext(f"{M}count") == "0"


def test_truncated(cast: Cast) -> None:
    reply = post(envelope("cari", "<m:nama>Orang%</m:nama>"), accesskey=cast.key)
    answer = valid(reply)
    assert (answer.findtext(f"{M}count"), answer.findtext(f"{M}truncated")) == ("100", "true")


def test_pages(cast: Cast) -> None:
    answer = request(cast.key, "halaman", "<m:page>2</m:page><m:per_page>5</m:per_page>")
    assert ([row["id"] for row in rows(answer)], answer.findtext(f"{M}has_next")) == (
        ["6", "7", "8", "9", "10"],
        "true",
    )
    assert request(cast.key, "halaman", "<m:page>250</m:page>").findtext(f"{M}has_next") == "false"


def test_an_operation_that_writes(cast: Cast) -> None:
    cast.operation(
        "kosong", "DELETE FROM orang WHERE id = :id", parameters=({"name": "id", "type": "integer"},), writes=True
    )
    answer = request(cast.key, "kosong", "<m:id>-1</m:id>")
    assert [(each.tag, each.text) for each in answer][3:] == [(f"{M}affected", "0")]


def test_a_proxy(cast: Cast, httpserver: HTTPServer) -> None:
    data = {"nama": "Siti", "anak": [{"umur": "4"}, None], "1 x": "ya", "tidak": None}
    httpserver.expect_request("/api/orang/nip=007").respond_with_json(
        {"response": {"status": 1, "code": 200, "message": "OK", "data": data}}
    )
    proxy = ProxyOperation.objects.create(
        service=cast.service, code="alias", path="orang", style="legacy-rest", state="published"
    )
    Parameter.objects.create(operation=proxy, name="nip")
    add_server(proxy, httpserver.url_for("/api"))
    Grant.objects.create(application=cast.application, operation=proxy, purpose="uji")
    holder.refresh()
    found = request(cast.key, "alias", "<m:nip>007</m:nip>").find(f"{M}data")
    assert found is not None
    assert re.sub(' xmlns:[a-z]+="[^"]+"', "", etree.tostring(found, encoding="unicode")) == (
        '<m:data><nama>Siti</nama><anak><item><umur>4</umur></item><item xsi:nil="true"/></anak>'
        '<_x0031__x0020_x>ya</_x0031__x0020_x><tidak xsi:nil="true"/></m:data>'
    )


@pytest.mark.parametrize(
    ("media_type", "body", "told"),
    [
        ("application/json", '{"nama": "Siti", "umur": 7.50}', "<nama>Siti</nama><umur>7.50</umur>"),
        ("application/json", "null", ""),
        ("text/xml", "<a><b>1</b></a>", "<a><b>1</b></a>"),
        ("text/csv", "nama,umur\r\nSiti,7\r\n", "<row><nama>Siti</nama><umur>7</umur></row>"),
    ],
)
def test_a_soap_caller_reaches_a_rest_upstream(
    cast: Cast, httpserver: HTTPServer, media_type: str, body: str, told: str
) -> None:
    httpserver.expect_request("/api/orang", query_string="nip=007").respond_with_data(body, content_type=media_type)
    proxy = ProxyOperation.objects.create(service=cast.service, code="alias", path="/orang", state="published")
    Parameter.objects.create(operation=proxy, name="nip")
    add_server(proxy, httpserver.url_for("/api"))
    Grant.objects.create(application=cast.application, operation=proxy, purpose="uji")
    holder.refresh()
    found = request(cast.key, "alias", "<m:nip>007</m:nip>").find(f"{M}data")
    assert found is not None
    inner = "".join(etree.tostring(each, encoding="unicode") for each in found)
    assert re.sub(' xmlns:[a-z]+="[^"]+"', "", inner) == told
    assert (found.get("{http://www.w3.org/2001/XMLSchema-instance}nil") == "true") == (body == "null")


def test_a_hundred_thousand_rows_at_flat_memory(cast: Cast) -> None:
    sql = "SELECT a.id, a.nama, b.gaji FROM orang a CROSS JOIN (SELECT gaji FROM orang LIMIT 40) b"
    cast.operation("banyak", sql, max_rows=200_000)
    declare(cast, "banyak", {"id": "integer", "nama": "text", "gaji": "decimal"})
    body = envelope("banyak").encode()
    tracemalloc.start()
    found = handler.handle(
        {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": SERVICE,
            "QUERY_STRING": "",
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": "text/xml",
            "HTTP_ACCESSKEY": cast.key,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
        }
    )
    sizes = [(len(chunk), chunk.count(b"</m:row>")) for chunk in found.body]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(rows for _size, rows in sizes) == 100_000
    assert sum(size for size, _rows in sizes) > 7_000_000
    assert peak < 3_000_000


def test_half_an_answer_never_looks_whole(cast: Cast) -> None:
    cast.operation("setengah", "SELECT CASE WHEN id = 2000 THEN 'x' ELSE id END AS id FROM orang ORDER BY orang.id")
    declare(cast, "setengah", {"id": "integer"})
    reply = post(envelope("setengah"), accesskey=cast.key)
    assert reply.broke is not None
    assert b"</soap:Envelope>" not in reply.body
    (end,) = ends_of(reply.headers["x-request-id"])
    assert (end["code"], end["broken"]) == (11117, True)


# ----------------------------------------------------------------------------------------- faults


def test_addresses_that_lead_nowhere(cast: Cast) -> None:
    body = envelope("satu", FIVE)
    for path, code in (
        ("/soap", "10003"),
        ("/soap/prov", "10003"),
        ("/soap/prov/lain", "10002"),
        ("/soap/prov/data/satu", "10002"),
    ):
        told = fault(post(body, path=path, accesskey=cast.key))
        assert (told["code"], told["soap"]) == (code, "Client")
    assert fault(post(envelope("tidakada"), accesskey=cast.key))["code"] == "10002"
    assert fault(post(envelope("satu", FIVE, namespace="urn:lain"), accesskey=cast.key))["code"] == "11114"


@pytest.mark.parametrize("namespace", ["http://tempuri.org", "http://tempuri.org/", ""])
def test_f19_a_client_without_the_wsdl_need_not_know_the_namespace(cast: Cast, namespace: str) -> None:
    body = envelope("satu", FIVE, namespace=namespace)
    if not namespace:
        body = body.replace(' xmlns:m=""', "").replace("<m:", "<").replace("</m:", "</")
    reply = post(body, accesskey=cast.key)
    assert reply.status == 200, reply.text
    assert f'xmlns:m="{NAMESPACE}"' in reply.text


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_other_methods(cast: Cast, method: str) -> None:
    reply = call(SERVICE, method)
    told = fault(reply)
    assert (reply.status, reply.headers["allow"], told["code"]) == (405, "POST", "11108")
    lines = [line["t"] for line in recorded() if line.get("id") == reply.headers["x-request-id"]]
    assert lines == ["begin", "end"]


def test_head(cast: Cast) -> None:
    reply = call(SERVICE, "HEAD")
    assert (reply.status, reply.body) == (405, b"")


@BOTH
@pytest.mark.parametrize(
    "content_type",
    ['multipart/related; type="application/xop+xml"; start-info="{}"; boundary=b', 'application/xop+xml; type="{}"'],
)
def test_attachments(cast: Cast, version: str, content_type: str) -> None:
    kind = {"1.1": "text/xml", "1.2": "application/soap+xml"}[version]
    reply = post("--b\r\n\r\n--b--", content_type=content_type.format(kind), accesskey=cast.key)
    assert fault(reply, version)["code"] == "11116"
    assert reply.status == (500 if version == "1.1" else 415)


ENTITY = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("body", "code", "soap"),
    [
        (ENTITY + envelope("satu", "<m:id>&e;</m:id>"), "11115", "Client"),
        ("<!-- x --><!DOCTYPE s:Envelope>" + envelope("satu", FIVE), "11115", "Client"),
        ('\ufeff<?xml version="1.0"?> <?a?>\n<!-- <!DOCTYPE --> ' + ENTITY + envelope("satu", FIVE), "11115", "Client"),
        ("<html></html>", "11114", "Client"),
        ("{}", "11114", "Client"),
        ("", "11114", "Client"),
        (envelope("satu", FIVE)[:-9], "11114", "Client"),
        (envelope("satu", "<m:id>&x;</m:id>"), "11114", "Client"),
        (envelope("satu", FIVE).replace("<s:Body>", "<s:Body/><s:Body>"), "11114", "Client"),
        (envelope("satu", FIVE).replace("</s:Body>", "<m:satu/></s:Body>"), "11114", "Client"),
        (f'<s:Envelope xmlns:s="{ENVELOPES["1.1"]}"><s:Body/></s:Envelope>', "11114", "Client"),
        (f'<s:Envelope xmlns:s="{ENVELOPES["1.1"]}"/>', "11114", "Client"),
        ("<s:Envelope xmlns:s='urn:lain'><s:Body/></s:Envelope>", "11119", "VersionMismatch"),
        ("<Envelope/>", "11119", "VersionMismatch"),
    ],
)
def test_what_is_no_envelope(cast: Cast, body: str, code: str, soap: str) -> None:
    reply = post(body, accesskey=cast.key)
    told = fault(reply)
    assert (reply.status, told["code"], told["soap"]) == (500, code, soap)
    assert "passwd" not in reply.text
    (end,) = ends_of(told["request_id"])
    assert end["code"] == int(code)


def test_a_doctype_is_found_in_other_encodings(cast: Cast) -> None:
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        body = (ENTITY + envelope("satu", "<m:id>&e;</m:id>")).encode(encoding)
        assert fault(post(body, accesskey=cast.key, content_type="text/xml"))["code"] == "11115"


def test_a_doctype_that_is_only_text(cast: Cast) -> None:
    cast.operation("gema", "SELECT :kata AS kata", parameters=({"name": "kata"},))
    body = envelope("gema", "<m:kata><![CDATA[<!DOCTYPE html>]]></m:kata>")
    assert rows(valid(post(body, accesskey=cast.key))) == [{"kata": "<!DOCTYPE html>"}]


@pytest.mark.parametrize("encoding", ["utf-7", "rot13", "tidak-ada", "utf-32", "koi8-r"])
def test_encodings_that_are_not_taken(cast: Cast, encoding: str) -> None:
    declared = f'<?xml version="1.0" encoding="{encoding}"?>' + envelope("satu", FIVE)
    assert fault(post(declared, accesskey=cast.key, content_type="text/xml"))["code"] == "11114"
    told = fault(post(envelope("satu", FIVE), accesskey=cast.key, content_type=f"text/xml; charset={encoding}"))
    assert told["code"] == "11114"


def test_a_refused_envelope_leaves_nothing_behind(cast: Cast) -> None:
    """Not even until the collector comes by: a caller can send a hundred of them before it does."""
    body = envelope("satu", f"<m:id>{'5' * 900_000}</m:id><m:id><m:id/></m:id>").encode()
    assert fault(post(body, accesskey=cast.key))["code"] == "11114"
    gc.collect()
    gc.disable()
    try:
        tracemalloc.start()
        for _time in range(10):
            post(body, accesskey=cast.key)
        left = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        gc.enable()
    assert left < 500_000


def test_a_version_that_nobody_knows_is_told_which_there_are(cast: Cast) -> None:
    reply = post("<Envelope/>", "1.2", accesskey=cast.key)
    assert (reply.status, fault(reply, "1.2")["soap"]) == (500, "VersionMismatch")
    (upgrade,) = etree.fromstring(reply.body)[0]
    named = [each.nsmap[each.get("qname").partition(":")[0]] for each in upgrade]
    assert named == [ENVELOPES["1.2"], ENVELOPES["1.1"]]


@BOTH
def test_the_providers_side(cast: Cast, version: str) -> None:
    cast.operation("rusak", "SELECT tidak_ada FROM orang")
    reply = post(envelope("rusak", version=version), version, accesskey=cast.key)
    told = fault(reply, version)
    assert (reply.status, told["code"], told["party"]) == (500, "11202", "provider")
    assert told["soap"] == {"1.1": "Server", "1.2": "Receiver"}[version]
    assert "tidak_ada" not in reply.text


def test_quotas(cast: Cast) -> None:
    Grant.objects.filter(operation=cast.operations["satu"]).update(quota="1/day")
    holder.refresh()
    first = post(envelope("satu", FIVE), accesskey=cast.key)
    assert first.headers["ratelimit-policy"] == '"quota";q=1;w=86400'
    second = post(envelope("satu", FIVE), accesskey=cast.key)
    told = fault(second)
    assert (second.status, told["code"], told["soap"]) == (500, "11011", "Client")
    assert second.headers["retry-after"] == told["retry_after"]


def test_states(cast: Cast) -> None:
    for state, code in (("draft", "10002"), ("retired", "11010")):
        cast.operation(state, "SELECT 1 AS a", state=state)
        assert fault(post(envelope(state), accesskey=cast.key))["code"] == code
    cast.operation("lama", "SELECT 1 AS a", state="deprecated", sunset=datetime.date(2030, 1, 1))
    headers = post(envelope("lama"), accesskey=cast.key).headers
    assert (headers["deprecation"], headers["sunset"]) == ("true", "Tue, 01 Jan 2030 00:00:00 GMT")


def test_the_language(cast: Cast) -> None:
    for asked, language, sentence in (("en", "en", "is required"), ("fr, id;q=0.5", "id", "wajib diisi")):
        reply = post(envelope("satu", version="1.2"), "1.2", accesskey=cast.key, accept_language=asked)
        assert sentence in fault(reply, "1.2")["message"]
        assert f'xml:lang="{language}"' in reply.text


def test_soap_call_is_recorded(cast: Cast) -> None:
    reply = post(envelope("satu", FIVE, "1.2"), "1.2", accesskey=cast.key)
    _open, begin, end = recorded()
    assert (begin["protocol"], begin["method"], begin["op"][2]) == ("soap", "POST", "satu")
    assert (end["format"], end["rows"], end["params"], end["bytes"]) == ("soap1.2", 1, ["id"], len(reply.body))
    assert cast.key not in str([begin, end])


def test_without_a_record_there_is_no_answer(cast: Cast, settings: Any, tmp_path: Any) -> None:
    settings.JOURNAL_DIR = tmp_path / "bukan folder"
    (tmp_path / "bukan folder").write_text("")
    assert b"11901" in post(envelope("satu", FIVE), accesskey=cast.key).body
    document = call(f"{SERVICE}?wsdl")
    assert b"11901" in document.body
    assert document.status == 503


def test_before_the_bus_is_ready(cast: Cast) -> None:
    holder.forget()
    reply = post(envelope("satu", FIVE), accesskey=cast.key)
    assert b"11902" in reply.body
    assert call(f"{SERVICE}?wsdl").status == 503
    assert [line["code"] for line in recorded() if line["t"] == "end"] == [11902, 11902]


# ------------------------------------------------------------------------------------------- zeep


@pytest.mark.parametrize("port", ["dataSoap11", "dataSoap12"])
def test_zeep(values: Cast, port: str) -> None:
    service = client(port=port, accesskey=values.key).service
    first, second, third = service.nilai().data.row
    assert first.desimal == Decimal("12345678901234567890.1230")
    assert str(first.desimal) == "12345678901234567890.1230"
    assert (first.bulat, first.teks, first.ya, first.bita) == (2**63 - 1, "Café & <b> \U0001f600", True, b"\x00\xff")
    assert (first.hari, first.jam) == (datetime.date(2024, 2, 29), datetime.time(8))
    assert first.saat == datetime.datetime(2026, 1, 31, 8, 0, 0, 123456)
    assert first.lama == datetime.timedelta(days=1, hours=2, minutes=3, seconds=4)
    assert (second.pecahan, second.hari) == (float("-inf"), None)
    assert [third[name] for name in TYPES] == [3] + [None] * 12


def test_zeep_sends_every_type(echo: Cast) -> None:
    service = client(accesskey=echo.key).service
    answer = service.gema(
        teks="Café",
        bulat=5,
        desimal=Decimal("1.50"),
        ya=True,
        hari=datetime.date(2026, 1, 31),
        saat=datetime.datetime(2026, 1, 31, 8),
        pilihan="dua",
        nik="3171011201850001",
        npwp="013000666091000",
    )
    (row,) = answer.data.row
    assert [cell.text for cell in row][:4] == ["Café", "5", "1.5", "1"]
    assert service.cari(nama="Orang 7", unit=zeep.xsd.SkipValue).count == 1
    assert (service.satu(0).data, service.satu(0).count) == (None, 0)  # zeep's own reading of an empty element


@pytest.mark.parametrize("port", ["dataSoap11", "dataSoap12"])
def test_zeep_reads_faults(cast: Cast, port: str) -> None:
    found = client(port=port, accesskey=cast.key)
    with pytest.raises(zeep.exceptions.Fault) as met:
        found.service.satu(id="lima")
    told = met.value
    detail = told.detail[0] if told.detail is not None else None
    assert detail is not None
    parsed = found.get_element(f"{M}Fault").parse(detail, found.wsdl.types)
    assert (parsed.code, parsed.title, parsed.party) == (11102, "parameter-invalid", "caller")
    assert "id" in told.message


def test_zeep_with_the_key_in_the_envelope(cast: Cast) -> None:
    found = client()
    assert found.service.satu(5, _soapheaders={"AccessKey": cast.key}).count == 1
    signed = zeep.Client(
        f"http://localhost{SERVICE}?wsdl", transport=found.transport, wsse=UsernameToken("x", cast.key)
    )
    assert signed.service.satu(5).count == 1


def test_a_key_of_one_operation(cast: Cast) -> None:
    row, key = AccessKey.issue(cast.application)
    row.operation = cast.operations["satu"]
    row.save()
    holder.refresh()
    assert rows(request(key, "satu", FIVE))
    assert fault(post(envelope("semua"), accesskey=key))["code"] == "11004"


# ------------------------------------------------------------------------------------- the documents


def test_the_samples_in_the_documents_are_true(cast: Cast) -> None:
    document = (Path(__file__).parents[2] / "docs" / "wire-formats.md").read_text()
    request, answer, failed = re.findall(r"```xml\n(.*?)\n```", document.partition("\n## SOAP\n")[2], re.S)
    agency = Agency.objects.create(code="bkn", name="BKN")
    service = Service.objects.create(agency=agency, code="simpeg", title="Simpeg")
    rows = "SELECT 'II/a' AS golongan, 25000 AS jumlah, 0 AS aktif UNION ALL SELECT 'III/a', 25000, 25000 "
    rows += "UNION ALL SELECT 'III/b', 25000, 0 UNION ALL SELECT 'IV/a', 25000, 25000"
    made = DataOperation(service=service, source=cast.source, code="jumlah_per_golongan", sql=rows)
    made.state, made.access = "published", "open"
    made.save()
    cast.operations[made.code] = made
    declare(cast, made.code, {"golongan": "text", "jumlah": "integer", "aktif": "integer"})
    asked = envelope("jumlah_per_golongan", namespace="urn:mantra:bkn:simpeg")
    assert post(asked, path="/soap/bkn/simpeg").text == answer
    told = Fault(faults.PARAMETER_REPEATED, parameter="nip")
    identifier = "01a1ff54f0685e86924fbda95c247602"
    assert soap_fault.render(told, "1.1", "urn:mantra:bkn:simpeg", identifier, "id").decode() == failed
    read = EnvelopeReader("1.1").read(request.encode(), None)
    assert (read.name, read.parameters) == ("pegawai_by_nip", [("nip", "198000000000000011")])
