"""Responses that are no envelope, as MANTRA 1.99x hands them on: F6, F9 and F10, by the values that it gave."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lxml import etree

from proxyservices.decoders.legacy import decode_legacy
from proxyservices.decoders.limits import DecodeError
from registry import faults
from tests.cast import Cast, Reply, call
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, serve_upstream

XML = b'<?xml version="1.0" encoding="utf-8"?>\n'
Ask = Callable[..., Reply]


@pytest.fixture
def ask(cast: Cast) -> Iterator[Ask]:
    """Calls a legacy-get operation whose upstream responds so."""
    answer = Answer()
    with serve_upstream(answer) as upstream:
        publish_proxy(cast, upstream.url, style="legacy-get", path="asal")

        def asked(body: bytes, face: str = "json", status: int = 200, content_type: str = "text/plain") -> Reply:
            answer.body, answer.status, answer.content_type = body, status, content_type
            return call(f"/{face}/prov/data/alias", accesskey=cast.key)

        yield asked


def data(reply: Reply) -> Any:
    response = reply.json()["response"]
    assert (response["status"], response["code"]) == (1, 200), response
    return response["data"]


# ------------------------------------------------------------------------------------------- F6: numbers


def test_f6_numbers_stay_numbers(ask: Ask) -> None:
    body = b'{"suhu":27.5,"bulat":7.0,"besar":1e25,"panjang":12345678901234567890,"utuh":9007199254740993,"t":"27.50"}'
    text = ask(body).text
    for line in (
        '"suhu": 27.5,', '"bulat": 7,', '"besar": 1.0e+25,', '"panjang": 1.2345678901234567e+19,',
        '"utuh": 9007199254740993,', '"t": "27.50"',
    ):  # fmt: skip
        assert line in text
    serialized = ask(body, "api").text
    for part in ("d:27.5;", "d:7;", "d:1.0E+25;", "d:1.2345678901234567E+19;", "i:9007199254740993;", 's:5:"27.50";'):
        assert part in serialized
    assert "<suhu>27.5</suhu>" in ask(body, "xml").text


NUMBERS = ("27.5", "7.0", "-0.0", "1e25", "1e-7", "0.0001", "1e15", "12345678901234567890", "-6.200000000000001")


def test_f6_as_php_writes_them(ask: Ask) -> None:
    body = f"[{','.join(NUMBERS)}]"
    script = '$v = json_decode($argv[1]); echo json_encode($v), "\\n", serialize($v);'
    php = subprocess.run(["php", "-r", script, body], capture_output=True, text=True, timeout=30, check=True).stdout
    encoded, serialized = php.splitlines()
    told = ask(f'{{"a":{body}}}'.encode()).text
    assert [line.partition(": ")[2].rstrip(",") for line in told.splitlines() if line.startswith(" " * 16)] == (
        encoded.strip("[]").split(",")
    )
    assert f's:1:"a";{serialized}' in ask(f'{{"a":{body}}}'.encode(), "api").text


def test_f6_other_protocols_keep_every_digit(cast: Cast) -> None:
    with serve_upstream(Answer(b'{"a":12.50,"b":12345678901234567890}', "text/plain")) as upstream:
        publish_proxy(cast, upstream.url, style="legacy-get", path="asal")
        assert cast.get("alias.json").body == b'{"a":12.50,"b":12345678901234567890}'


# --------------------------------------------------------------------------- F9: bodies of no known format


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'[{"a":1}]', 200),
        (b"Sudah disimpan", 200),
        (b"<html><body>OK</body></html>", 200),
        (b"", 200),
        (b"", 204),
        (b"Moved", 302),
        (b"", 303),
        (b'{"a":1}\n', 200),
        (b"b:0;", 200),
        (b"a:1:{i:0;", 200),
    ],
)
def test_f9_a_body_of_no_known_format_is_a_text(ask: Ask, body: bytes, status: int) -> None:
    assert data(ask(body, status=status)) == body.decode()


@pytest.mark.parametrize("face", ["xml", "api"])
def test_f9_in_every_format(ask: Ask, face: str) -> None:
    expected = {"xml": "<data>OK</data>", "api": 's:4:"data";s:2:"OK";'}[face]
    assert expected in ask(b"OK", face).text


def test_f9_wrappers_stay(ask: Ask) -> None:
    for wrapper in ("valid_response", "invalid_response", "error_response"):
        document = {wrapper: {"hasil": {"a": "1"}}}
        assert data(ask(json.dumps(document).encode())) == document


def test_f9_a_failing_status_is_a_failure(ask: Ask) -> None:
    for status in (400, 404, 500):
        assert ask(b"OK", status=status).json()["response"]["code"] == faults.UPSTREAM_STATUS.code


def test_f9_bytes_that_are_no_text_are_handed_on(ask: Ask) -> None:
    assert data(ask(b"%PDF-1.4 \xff\xfe\x00", content_type="application/pdf")) == "JVBERi0xLjQg//4A"


def test_f9_a_text_does_not_pass_a_restriction(cast: Cast) -> None:
    with serve_upstream(Answer(b"nama=Rahasia", "text/plain")) as upstream:
        publish_proxy(cast, upstream.url, style="legacy-get", path="asal", fields=("nip",))
        reply = call("/json/prov/data/alias", accesskey=cast.key)
    assert "Rahasia" not in reply.text
    assert reply.json()["response"]["status"] == 0


# ---------------------------------------------------------------------------------------------- F10: XML


@pytest.mark.parametrize(
    ("document", "value"),
    [
        (
            '<hasil kode="1"><nama lang="id">Siti</nama></hasil>',
            {"hasil": {"nama": {"@value": "Siti", "@attributes": {"lang": "id"}}, "@attributes": {"kode": "1"}}},
        ),
        (
            '<n:hasil xmlns:n="urn:a" xmlns="urn:b"><n:nama>Siti</n:nama></n:hasil>',
            {"n:hasil": {"n:nama": "Siti"}},
        ),
        ("<a><![CDATA[<b>tebal</b>]]></a>", {"a": {"@cdata": "<b>tebal</b>"}}),
        ("<a/>", {"a": ""}),
        ("<a><b/><c></c><d>\n  </d></a>", {"a": {"b": "", "c": "", "d": ""}}),
        ("<a>\n  <b>  Siti  </b>\n</a>", {"a": {"b": "Siti"}}),
        ('<a b="1"/>', {"a": {"@value": "", "@attributes": {"b": "1"}}}),
        (
            '<a x:href="u" xmlns:x="urn:x"><b>1</b><b>2</b><b>3</b></a>',
            {"a": {"b": ["1", "2", "3"], "@attributes": {"href": "u"}}},
        ),
        ("<a>teks <b>1</b> ekor</a>", {"a": {"b": "1", "@value": "teks  ekor"}}),
        ("<a>x<![CDATA[y]]></a>", {"a": {"@cdata": "y", "@value": "x"}}),
        ("<a><!-- k --><?p i?>1</a>", {"a": "1"}),
    ],
)  # fmt: skip
def test_f10_xml_as_the_original_reads_it(document: str, value: Any) -> None:
    assert decode_legacy(XML + document.encode()) == value


def test_f10_a_prefix_needs_no_declaration(ask: Ask) -> None:
    assert data(ask(b"<ows:Laporan><ows:kode>E1</ows:kode></ows:Laporan>")) == {"ows:Laporan": {"ows:kode": "E1"}}


def test_f10_what_is_read_from_xml_is_written_back(ask: Ask) -> None:
    document = (
        '<n:hasil kode="a&quot;&amp;1" xmlns:n="urn:n"><nama lang="id">Siti &amp; A</nama>'
        "<isi><![CDATA[<b>]]></isi><kosong/><daftar><x>1</x><x>2</x></daftar></n:hasil>"
    )
    text = ask(XML + document.encode(), "xml").text
    assert '<nama lang="id">Siti &amp; A</nama>' in text
    assert "<isi><![CDATA[<b>]]></isi>" in text
    assert "<kosong></kosong>" in text
    root = etree.fromstring(text.encode(), etree.XMLParser(recover=True))  # 1.99x declares no prefix either
    (element,) = [each for each in root.iter() if each.get("kode")]
    assert element.get("kode") == 'a"&1'
    assert [each.text for each in root.iter("x")] == ["1", "2"]


def test_f10_booleans_in_xml_are_words(ask: Ask) -> None:
    assert "<ya>true</ya>\n    <tidak>false</tidak>" in ask(b'{"ya":true,"tidak":false}', "xml").text


def test_f10_empty_values_of_a_chain_stay_empty_texts(ask: Ask) -> None:
    body = XML + (
        b"<response>\n  <status>1</status>\n  <code>200</code>\n  <message>OK</message>\n"
        b"  <data>\n    <asal>\n      <nip>007</nip>\n      <catatan></catatan>\n    </asal>\n  </data>\n</response>"
    )
    assert ask(body).json()["response"]["data"] == {"asal": {"nip": "007", "catatan": ""}}


@pytest.mark.parametrize(
    "document",
    [
        b"<a>",
        b"<a></b>",
        b"<a/><b/>",
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        b"<a>&b;</a>",
        b"<a>" * 150 + b"</a>" * 150,
        b"<a " + b" ".join(b'a%d=""' % number for number in range(600)) + b"/>",
        b"<a>\xff</a>",
    ],
)
def test_f10_xml_that_is_not_safe_or_not_whole_is_refused(document: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_legacy(b'<?xml version="1.0"?>' + document)


def test_f10_the_rest_style_reads_xml_as_before(cast: Cast) -> None:
    with serve_upstream(Answer(b'<a kode="1"><b/></a>', "text/xml")) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        assert cast.get("alias.json").json() == {"a": {"@kode": "1", "b": None}}
