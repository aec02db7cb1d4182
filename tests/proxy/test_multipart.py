"""B09: SOAP upstreams that answer in parts, as CXF and Metro do with MTOM switched on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from proxyservices.decoders.limits import MAX_BYTES, DecodeError
from proxyservices.decoders.multipart import MAX_PARTS, parse_envelope
from proxyservices.models import ServiceDescription
from registry import faults
from registry.snapshot import holder
from tests.cast import Cast, Reply
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, serve_upstream

WSDL = """<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:xs="http://www.w3.org/2001/XMLSchema"
  xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:l="urn:lapor" targetNamespace="urn:lapor">
<wsdl:types><xs:schema targetNamespace="urn:lapor" elementFormDefault="qualified">
  <xs:element name="kirim"><xs:complexType><xs:sequence><xs:element name="nomor" type="xs:string"/></xs:sequence>
  </xs:complexType></xs:element>
  <xs:element name="kirimResponse"><xs:complexType><xs:sequence>
    <xs:element name="berkas" type="xs:base64Binary" minOccurs="0"/><xs:element name="status" type="xs:string"/>
  </xs:sequence></xs:complexType></xs:element>
</xs:schema></wsdl:types>
<wsdl:message name="In"><wsdl:part name="p" element="l:kirim"/></wsdl:message>
<wsdl:message name="Out"><wsdl:part name="p" element="l:kirimResponse"/></wsdl:message>
<wsdl:portType name="Lapor"><wsdl:operation name="kirim"><wsdl:input message="l:In"/><wsdl:output message="l:Out"/>
</wsdl:operation></wsdl:portType>
<wsdl:binding name="B" type="l:Lapor"><soap:binding transport="http://schemas.xmlsoap.org/soap/http"/>
<wsdl:operation name="kirim"><soap:operation soapAction=""/><wsdl:input><soap:body use="literal"/></wsdl:input>
<wsdl:output><soap:body use="literal"/></wsdl:output></wsdl:operation></wsdl:binding>
<wsdl:service name="Lapor"><wsdl:port name="P" binding="l:B"><soap:address location="http://x.invalid/"/></wsdl:port>
</wsdl:service></wsdl:definitions>"""
CONTENT = b"\x00\x01PDF"
INCLUDE = '<xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="cid:berkas%401"/>'
HEAD = 'multipart/related; boundary="a b+1"; type="application/xop+xml"'
ROOT = 'Content-Type: application/xop+xml; charset=UTF-8; type="text/xml"\r\nContent-ID: <root@1>'
FILE = "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <berkas@1>"


def envelope(content: str, attributes: str = "") -> bytes:
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><l:kirimResponse xmlns:l="urn:lapor">'
        f"<l:berkas{attributes}>{content}</l:berkas><l:status>OK</l:status></l:kirimResponse></s:Body></s:Envelope>"
    ).encode()


def parts(*listed: tuple[str, bytes], end: bytes = b"\r\n--a b+1--\r\n", line: bytes = b"\r\n") -> bytes:
    body = b"".join(line + b"--a b+1\r\n" + head.encode() + b"\r\n\r\n" + content for head, content in listed)
    return b"pengantar" + body + end


PLAIN = envelope("AAFQREY=")
WITH_FILE = parts((ROOT, envelope(INCLUDE)), (FILE, CONTENT))


@pytest.fixture
def ask(cast: Cast) -> Iterator[Callable[..., Reply]]:
    answer = Answer()
    with serve_upstream(answer) as upstream:
        operation = publish_proxy(cast, upstream.url, style="soap", path="kirim", parameters=("nomor",))
        ServiceDescription.objects.create(operation=operation, url="https://x.invalid/a", main=True, content=WSDL)
        holder.refresh()

        def asked(body: bytes, content_type: str, status: int = 200) -> Reply:
            answer.body, answer.content_type, answer.status = body, content_type, status
            return cast.get("alias.json", "nomor=1")

        yield asked


ANSWERS = [
    (PLAIN, "text/xml; charset=utf-8"),
    (WITH_FILE, HEAD),
    (WITH_FILE, f'{HEAD}; start="<root@1>"; start-info="text/xml"'),
    (parts((FILE, CONTENT), (ROOT, envelope(INCLUDE))), f'{HEAD}; start="<root@1>"'),
    (parts((ROOT, PLAIN)), HEAD),
    (parts((ROOT, envelope("", ' href="cid:berkas@1"')), (FILE, CONTENT)), HEAD),
    (parts((ROOT, envelope(INCLUDE)), (FILE.replace("binary", "base64"), b"AAFQ\r\nREY=\r\n")), HEAD),
    (parts((ROOT, envelope(INCLUDE)), (FILE.replace("binary", "quoted-printable"), b"=00=01PDF")), HEAD),
    (WITH_FILE.replace(b"\r\n", b"\n"), HEAD.replace('"a b+1"', '"a b+1" ').upper().replace("A B+1", "a b+1")),
    (parts((ROOT.replace("UTF-8", "utf-16"), envelope(INCLUDE).decode().encode("utf-16")), (FILE, CONTENT)), HEAD),
]


def test_b09_an_answer_in_parts_is_read_like_a_bare_one(ask: Callable[..., Reply]) -> None:
    for body, content_type in ANSWERS:
        reply = ask(body, content_type)
        assert (reply.status, reply.json()) == (200, {"berkas": "AAFQREY=", "status": "OK"}), (content_type, body)


def test_b09_a_fault_in_parts_is_a_fault(ask: Callable[..., Reply]) -> None:
    fault = b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client'
    fault += b"</faultcode><faultstring>x</faultstring></s:Fault></s:Body></s:Envelope>"
    reply = ask(parts((ROOT, fault)), HEAD, 500)
    assert (reply.json()["code"], "Client" in reply.json()["detail"]) == (faults.SOAP_FAULT.code, True)


def test_b09_an_answer_in_parts_that_cannot_be_read(ask: Callable[..., Reply]) -> None:
    assert ask(b"--x\r\n", HEAD).json()["code"] == faults.UPSTREAM_ANSWER_UNREADABLE.code


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (WITH_FILE, "multipart/related"),
        (WITH_FILE, 'multipart/related; boundary="lain"'),
        (WITH_FILE, f'multipart/related; boundary="{"a" * 71}"'),
        (parts((ROOT, envelope(INCLUDE)), end=b""), HEAD),
        (parts((ROOT, envelope(INCLUDE)), end=b"\r\n--a b+1"), HEAD),
        (parts(), HEAD),
        (parts((ROOT, envelope(INCLUDE))), HEAD),  # the file is missing
        (parts((ROOT, envelope(INCLUDE)), (FILE.replace("berkas", "lain"), CONTENT)), HEAD),
        (parts((ROOT, envelope(INCLUDE)), (FILE.replace("binary", "x-uuencode"), CONTENT)), HEAD),
        (parts((ROOT, envelope(INCLUDE)), (FILE.replace("binary", "base64"), b"A")), HEAD),
        (parts((ROOT, b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')), HEAD),
        (parts((ROOT, INCLUDE.encode()), (FILE, CONTENT)), HEAD),
        (parts(*[(ROOT, PLAIN)] * (MAX_PARTS + 1)), HEAD),
        (parts((f"X-A: {'a' * 10_000}", PLAIN)), HEAD),
        (parts((ROOT, envelope(INCLUDE * 40)), (FILE, b"a" * (MAX_BYTES // 32))), HEAD),
    ],
)
def test_b09_bounds(body: bytes, content_type: str) -> None:
    with pytest.raises(DecodeError):
        parse_envelope(body, content_type)
