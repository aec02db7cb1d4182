"""Styles "soap" and "legacy-soap" towards PHP's SoapServer, and its WSDL at the alias of an as-is operation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from lxml import etree
from zeep import Client
from zeep.transports import Transport

from proxyservices.models import ProxyOperation, ServiceDescription
from registry import faults
from registry.snapshot import holder
from tests.cast import Cast, Reply, call
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, serve_upstream
from tests.servers.soap_service import SoapService

ALIAS = "http://localhost/rest/prov/data/alias"


@pytest.fixture(scope="module")
def service() -> Iterator[SoapService]:
    with SoapService() as made:
        yield made


def request(cast: Cast, format: str = "json", **parameters: str) -> Reply:
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    return call(f"/rest/prov/data/alias.{format}?{query}", accesskey=cast.key)


def people(cast: Cast, service: SoapService, **more: Any) -> ProxyOperation:
    parameters = (
        "nik",
        {"name": "gaji", "type": "decimal", "required": False},
        {"name": "aktif", "type": "boolean", "required": False},
        {"name": "sejak", "type": "date", "required": False},
        {"name": "kata", "required": False},
    )
    return publish_proxy(cast, service.url, style="soap", path="Cari", parameters=parameters, **more)


def test_it_works(cast: Cast, service: SoapService) -> None:
    people(cast, service)
    reply = request(cast, nik="3171")
    assert reply.status == 200, reply.text
    first, second = reply.json()["orang"]
    assert first == {
        "nik": "3171",
        "nama": "Siti & <Aminah> 😀",
        "umur": 41,
        "gaji": 2500000.5,
        "lahir": "1985-02-28",
        "aktif": True,
    }
    assert b'"gaji":2500000.50' in reply.body
    assert (second["nik"], second["nama"], second["aktif"]) == ("007", None, False)


def test_every_type_of_parameter_arrives(cast: Cast, service: SoapService) -> None:
    people(cast, service)
    told = request(cast, nik="0071", gaji="12.50", aktif="false", sejak="2024-02-29", kata="%F0%9F%98%80%26%3C").json()[
        "gema"
    ]
    assert json.loads(told) == {"nik": "0071", "gaji": "12.50", "aktif": False, "sejak": "2024-02-29", "kata": "😀&<"}


def test_soap_response_is_served_in_every_format(cast: Cast, service: SoapService) -> None:
    people(cast, service, records_path="orang")
    xml = ElementTree.fromstring(request(cast, "xml", nik="1").body)
    assert [each.text for each in xml.iter("nik")] == ["1", "007"]
    assert b"2500000.50" in request(cast, "csv", nik="1").body
    assert b'"2500000.50"' in request(cast, "php", nik="1").body
    envelope = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        '<t:alias xmlns:t="urn:mantra:prov:data"><t:nik>5</t:nik></t:alias></s:Body></s:Envelope>'
    )
    reply = call("/soap/prov/data", "POST", envelope, accesskey=cast.key, content_type="text/xml")
    assert reply.status == 200, reply.text
    assert "2500000.50" in reply.text


def test_only_the_fields_that_are_granted_go_out(cast: Cast, service: SoapService) -> None:
    people(cast, service, fields=("nik", "nama"), grant="nik")
    assert request(cast, nik="1").json()["orang"] == [{"nik": "1"}, {"nik": "007"}]


def test_a_fault_of_the_upstream_is_told_without_its_words(cast: Cast, service: SoapService) -> None:
    people(cast, service)
    for _time in range(5):  # a caller's mistake must not make the upstream look ill
        reply = request(cast, nik="galat")
        assert (reply.status, reply.json()["code"]) == (502, faults.SOAP_FAULT.code)
        assert "Client" in reply.json()["detail"]
        assert "rahasia" not in reply.text
    assert request(cast, nik="1").status == 200


def test_a_stored_contract_needs_no_upstream_to_be_read(cast: Cast, service: SoapService) -> None:
    operation = people(cast, service)
    ServiceDescription.objects.create(
        operation=operation, url="https://x.invalid/warga.wsdl", main=True, content=service.wsdl
    )
    ServiceDescription.objects.create(operation=operation, url="https://x.invalid/tipe.xsd", content=service.schema)
    holder.refresh()
    assert request(cast, nik="9").json()["orang"][0]["nik"] == "9"
    log = (service.folder / "output.log").read_text()
    assert "asked" in log


@pytest.mark.parametrize(
    ("path", "wsdl"), [("TidakAda", None), ("Cari", "<html>bukan WSDL</html>"), ("Cari", "bukan XML")]
)
def test_a_contract_that_does_not_fit_is_a_clear_fault(
    cast: Cast, service: SoapService, path: str, wsdl: str | None
) -> None:
    operation = publish_proxy(cast, service.url, style="soap", path=path, parameters=("nik",))
    if wsdl is not None:
        ServiceDescription.objects.create(operation=operation, url="https://x.invalid/a.wsdl", main=True, content=wsdl)
        holder.refresh()
    reply = request(cast, nik="1")
    if wsdl == "bukan XML":  # no WSDL is stored then: the upstream's own is asked for
        assert reply.status == 200
    else:
        assert (reply.status, reply.json()["code"]) == (502, faults.SOAP_CONTRACT.code)


def test_what_the_wsdl_does_not_take_is_the_callers_fault(cast: Cast, service: SoapService) -> None:
    publish_proxy(cast, service.url, style="soap", path="Cari", parameters=("nik", "asing"))
    reply = request(cast, nik="1", asing="x")
    assert (reply.status, reply.json()["code"]) == (400, faults.REQUEST_NOT_CONVERTIBLE.code)


def test_constants_and_nested_values(cast: Cast, service: SoapService) -> None:
    mappings = (
        {"location": "json", "name": "permintaan.nik", "parameter": "nik"},
        {"location": "header", "name": "Authorization", "value": "Rahasia abc"},
    )
    publish_proxy(cast, service.url, style="soap", path="Dalam", parameters=("nik",), mappings=mappings)
    assert request(cast, nik="77").json() == {"hasil": {"nama": "Untuk 77"}, "waktu": "kini"}
    assert 'urn:warga#Dalam" Rahasia abc' in (service.folder / "output.log").read_text()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_b10_encoded_arrays_of_nusoap_are_read_without_the_internet(
    cast: Cast, service: SoapService, count: int
) -> None:
    parameters = ("nik", {"name": "batas", "type": "integer"})
    publish_proxy(cast, service.encoded_url, style="soap", path="cari", parameters=parameters)
    reply = request(cast, nik="007", batas=str(count))
    assert reply.status == 200, reply.text
    found = reply.json()
    assert found == [{"nik": "007", "nama": f"Warga {number}", "umur": 40 + number} for number in range(1, count + 1)]


MULTIREF = """<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:e="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>
<w:cariResponse xmlns:w="urn:warga"><return xsi:type="e:Array" e:arrayType="w:Orang[2]"><return href="#id0"/>
<return href="#id1"/></return></w:cariResponse>
<multiRef id="id0" e:root="0" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/" xsi:type="q:Orang"
 xmlns:q="urn:warga"><nik xsi:type="e:string">007</nik>
<nama xsi:type="e:string" xsi:nil="true"/><umur>41</umur></multiRef>
<multiRef id="id1" e:root="0" xsi:type="q:Orang" xmlns:q="urn:warga">
<nik>2</nik><nama id="n">Siti</nama><umur>42</umur></multiRef></s:Body></s:Envelope>"""


def test_b10_the_references_of_axis_are_followed(cast: Cast) -> None:
    wsdl = (Path(__file__).parent / "descriptions" / "axis.wsdl").read_text()
    with serve_upstream(Answer(MULTIREF.encode(), "text/xml")) as upstream:
        operation = publish_proxy(cast, upstream.url, style="soap", path="cari", parameters=("nik", "batas"))
        ServiceDescription.objects.create(operation=operation, url="https://x.invalid/a", main=True, content=wsdl)
        holder.refresh()
        reply = request(cast, nik="1", batas="2")
    assert reply.status == 200, reply.text
    assert reply.json() == [{"nik": "007", "nama": None, "umur": 41}, {"nik": "2", "nama": "Siti", "umur": 42}]


# ------------------------------------------------------------------------------------------ 1.99x's soap


def legacy(cast: Cast, nik: str) -> Any:
    return call(f"/json/prov/data/alias/nik={nik}", accesskey=cast.key).json()["response"]


def test_legacy_soap(cast: Cast, service: SoapService) -> None:
    publish_proxy(cast, f"{service.url}?wsdl", style="legacy-soap", path="Cari", parameters=("nik",))
    told = legacy(cast, "3171")
    assert (told["status"], told["code"]) == (1, 200)
    assert list(told["data"]) == ["Cari"]
    assert told["data"]["Cari"]["orang"]["0"]["gaji"] == "2500000.50"


@pytest.mark.parametrize(("path", "key"), [("cari", "cari"), ("cari##hasil", "hasil"), ("cari#1#nama", "nama")])
def test_f3_the_whole_result_is_under_the_blocks_name(cast: Cast, service: SoapService, path: str, key: str) -> None:
    publish_proxy(cast, f"{service.rpc_url}?wsdl", style="legacy-soap", path=path, parameters=("nik",))
    assert legacy(cast, "5")["data"] == {key: {"nama": "Untuk 5", "gaji": "2500000.50"}}
    assert request(cast, nik="5").json() == {key: {"nama": "Untuk 5", "gaji": 2500000.5}}


@pytest.mark.parametrize("path", ["cariDalam#2", "cariDalam#3"])
def test_f3_depth_2_wraps_the_parameters_once(cast: Cast, service: SoapService, path: str) -> None:
    publish_proxy(cast, f"{service.rpc_url}?wsdl", style="legacy-soap", path=path, parameters=("nik",))
    assert legacy(cast, "5")["data"]["cariDalam"]["nama"] == "Untuk dalam 5"


def test_f3_depth_2_of_a_document(cast: Cast, service: SoapService) -> None:
    publish_proxy(cast, f"{service.url}?wsdl", style="legacy-soap", path="Dalam#2#hasil", parameters=("nik",))
    assert legacy(cast, "5")["data"] == {"hasil": {"hasil": {"nama": "Untuk 5"}, "waktu": "kini"}}


def test_f3_a_wsdl_without_a_wrapper_needs_no_depth(cast: Cast, service: SoapService) -> None:
    publish_proxy(cast, f"{service.url}?wsdl", style="legacy-soap", path="Cari#2#orang", parameters=("nik",))
    assert legacy(cast, "5")["data"]["orang"]["orang"]["0"]["nik"] == "5"


@pytest.mark.parametrize(("style", "sent"), [("legacy-soap", False), ("soap", True)])
def test_f3_1_99x_sends_a_soap_service_no_key(cast: Cast, service: SoapService, style: str, sent: bool) -> None:
    key = f"kunci{style[:4]}1"
    publish_proxy(
        cast, service.rpc_url, style=style, path="cari", parameters=("nik",),
        upstream={"credential_kind": "access-key", "credential": key},
    )  # fmt: skip
    assert request(cast, nik="5").status == 200
    assert (f"key={key}" in (service.folder / "output.log").read_text()) is sent


def test_legacy_soap_fails_in_1_99xs_own_codes(cast: Cast, service: SoapService) -> None:
    publish_proxy(cast, f"{service.url}?wsdl", style="legacy-soap", path="Cari#2#orang", parameters=("nik",))
    assert legacy(cast, "galat")["code"] == 10008
    told = legacy(cast, "kosong")
    assert told["code"] == 10009
    assert told["message"] == 'Hasil fungsi operasi SOAP "prov:data.alias" tidak ada (kosong)'


def test_f3_an_operation_that_the_wsdl_does_not_have(cast: Cast, service: SoapService) -> None:
    publish_proxy(cast, f"{service.url}?wsdl", style="legacy-soap", path="Hilang#2#orang", parameters=("nik",))
    told = legacy(cast, "1")
    assert told["code"] == 10007
    assert told["message"].startswith("The request contains an invalid SOAP body: ")


def test_legacy_soap_without_a_wsdl(cast: Cast, refusing_port: int) -> None:
    publish_proxy(
        cast, f"http://127.0.0.1:{refusing_port}/x?wsdl", style="legacy-soap", path="Cari", parameters=("nik",)
    )
    assert legacy(cast, "1")["code"] == 10006


# ---------------------------------------------------------------------------------- the WSDL at the alias


class InProcess(Transport):  # type: ignore[misc]
    """zeep's way to the bus in this process. Anything that is not the alias fails."""

    def __init__(self, cast: Cast) -> None:
        super().__init__()
        self.cast = cast
        self.asked: list[str] = []

    def load(self, url: str) -> bytes:
        self.asked.append(url)
        assert url.startswith(ALIAS), url
        return call(url.removeprefix("http://localhost"), accesskey=self.cast.key, host="localhost").body

    def post(self, address: str, message: bytes, headers: dict[str, str]) -> Any:
        assert address.startswith(ALIAS), address
        path = address.removeprefix("http://localhost")
        reply = call(
            path,
            "POST",
            message,
            accesskey=self.cast.key,
            content_type=headers["Content-Type"],
            soapaction=headers["SOAPAction"],
        )
        return type(
            "Response",
            (),
            {"status_code": reply.status, "content": reply.body, "headers": reply.headers, "encoding": "utf-8"},
        )


@pytest.mark.parametrize("kept", [False, True], ids=["as it is there", "stored"])
def test_a_soap_client_works_through_the_alias(cast: Cast, service: SoapService, kept: bool) -> None:
    operation = publish_proxy(cast, service.url, style="pass-through")
    if kept:
        ServiceDescription.objects.create(
            operation=operation, url="https://x.invalid/warga.wsdl", main=True, content=service.wsdl
        )
        ServiceDescription.objects.create(operation=operation, url="https://x.invalid/tipe.xsd", content=service.schema)
        holder.refresh()
    transport = InProcess(cast)
    client = Client(f"{ALIAS}?wsdl", transport=transport)
    found = client.service.Cari(nik="3171")
    assert (found["orang"][0]["nama"], str(found["orang"][0]["gaji"])) == ("Siti & <Aminah> 😀", "2500000.50")
    assert len(transport.asked) == 2


def test_no_address_of_the_upstream_is_left(cast: Cast, service: SoapService) -> None:
    publish_proxy(cast, service.url, style="pass-through")
    reply = call("/rest/prov/data/alias?wsdl", accesskey=cast.key, host="localhost")
    assert reply.headers["content-type"].startswith("text/xml")
    assert int(reply.headers["content-length"]) == len(reply.body)
    root = etree.fromstring(reply.body)
    places = [value for each in root.iter() for name, value in each.attrib.items() if "ocation" in name]
    assert len(places) == 2
    assert ALIAS in places
    assert all(each.startswith(ALIAS) for each in places)
    assert b"server-lama" not in reply.body


def test_a_contract_that_is_not_there(cast: Cast, service: SoapService) -> None:
    publish_proxy(cast, service.url, style="pass-through")
    for query in (
        "mantra-description=0",
        "mantra-description=http://127.0.0.1/",
        "mantra-description=http%3A%2F%2F127.0.0.1%2F&mantra-signature=" + "a" * 24,
    ):
        assert call(f"/rest/prov/data/alias?{query}", accesskey=cast.key).status == 404


def test_a_parameter_of_the_upstream_called_description_is_forwarded(cast: Cast) -> None:
    with serve_upstream(Answer(b"ok")) as upstream:
        publish_proxy(cast, upstream.url, style="pass-through")
        for query in ("description=pompa", "description=pompa&signature=x", "contract=1&mark=2"):
            assert call(f"/rest/prov/data/alias/x?{query}", accesskey=cast.key).status == 200
            assert upstream.received[-1].path.endswith(f"/x?{query}")


def test_the_description_needs_the_grant_like_any_call(cast: Cast, service: SoapService) -> None:
    publish_proxy(cast, service.url, style="pass-through")
    assert call("/rest/prov/data/alias?wsdl").status == 401
