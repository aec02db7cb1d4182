"""What the SOAP tests share: envelopes, answers held against the schema that the bus serves, and zeep."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import xmlschema
import zeep
from lxml import etree
from zeep.transports import Transport

from tests.cast import Reply, call

SERVICE = "/soap/prov/data"
NAMESPACE = "urn:mantra:prov:data"
ENVELOPES = {"1.1": "http://schemas.xmlsoap.org/soap/envelope/", "1.2": "http://www.w3.org/2003/05/soap-envelope"}
MEDIA_TYPES = {"1.1": "text/xml", "1.2": "application/soap+xml"}
XSI = "http://www.w3.org/2001/XMLSchema-instance"
M = f"{{{NAMESPACE}}}"


def envelope(operation: str, inner: str = "", version: str = "1.1", head: str = "", namespace: str = NAMESPACE) -> str:
    """A request; the parameters in ``inner`` take the prefix m."""
    header = f"<s:Header>{head}</s:Header>" if head else ""
    return (
        f'<s:Envelope xmlns:s="{ENVELOPES[version]}" xmlns:xsi="{XSI}" xmlns:m="{namespace}">'
        f"{header}<s:Body><m:{operation}>{inner}</m:{operation}></s:Body></s:Envelope>"
    )


def post(body: str | bytes, version: str = "1.1", path: str = SERVICE, **headers: str) -> Reply:
    headers.setdefault("content_type", f"{MEDIA_TYPES[version]}; charset=utf-8")
    return call(path, "POST", body, **headers)


def request(key: str, operation: str, inner: str = "", version: str = "1.1", **headers: str) -> etree._Element:
    """Call an operation and hand back the answer's element, held against the schema."""
    reply = post(envelope(operation, inner, version), version, accesskey=key, **headers)
    assert reply.status == 200, reply.text
    return valid(reply, version)


@lru_cache
def _envelope_schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(str(Path(xmlschema.__file__).parent / "schemas" / "WSDL" / "soap-envelope.xsd"))


def schema() -> etree.XMLSchema:
    """The schema that the bus serves at this moment."""
    served = call(f"{SERVICE}?xsd")
    assert served.status == 200, served.text
    return etree.XMLSchema(etree.fromstring(served.body))


def valid(reply: Reply, version: str = "1.1") -> etree._Element:
    """What stands in the Body of an answer; the whole of it is valid, faults included."""
    assert reply.headers["content-type"] == f"{MEDIA_TYPES[version]}; charset=utf-8"
    root = etree.fromstring(reply.body)
    soap = f"{{{ENVELOPES[version]}}}"
    assert root.tag == f"{soap}Envelope"
    assert [child.tag for child in root][-1] == f"{soap}Body"
    (inside,) = root[-1]
    if version == "1.1" and inside.tag == f"{soap}Fault":
        _envelope_schema().validate(root)
    held = inside
    if inside.tag == f"{soap}Fault":
        names = ["faultcode", "faultstring", "detail"]
        expected = names if version == "1.1" else [f"{soap}{name}" for name in ("Code", "Reason", "Detail")]
        assert [child.tag for child in inside] == expected
        (held,) = inside[2]
    if held.tag.startswith(M):
        schema().assertValid(etree.ElementTree(held))
    return inside


def fault(reply: Reply, version: str = "1.1") -> dict[str, str]:
    """The detail of a fault, and its code in the envelope as ``soap``."""
    inside = valid(reply, version)
    soap = f"{{{ENVELOPES[version]}}}"
    assert inside.tag == f"{soap}Fault", reply.text
    code = inside[0].text if version == "1.1" else inside[0][0].text
    prefix, _colon, name = (code or "").partition(":")
    assert inside.nsmap[prefix] == ENVELOPES[version]
    told = {etree.QName(each).localname: each.text or "" for each in inside[2][0]}
    sentence = inside[1].text if version == "1.1" else inside[1][0].text
    assert sentence == told["message"]
    assert told["request_id"] == reply.headers["x-request-id"]
    return told | {"soap": name}


def rows(answer: etree._Element) -> list[dict[str, str | None]]:
    """The rows of an answer by their local names, NULL as None."""
    return [
        {etree.QName(cell).localname: None if cell.get(f"{{{XSI}}}nil") == "true" else cell.text or "" for cell in row}
        for row in answer.findall(f"{M}data/{M}row")
    ]


class Door(Transport):
    """Takes zeep's requests to the WSGI door."""

    def __init__(self, **headers: str) -> None:
        super().__init__()
        self.headers = headers

    def load(self, url: str) -> bytes:
        parts = urlsplit(url)
        return call(f"{parts.path}?{parts.query}").body

    def post(self, address: str, message: bytes, headers: dict[str, str]) -> requests.Response:
        given = {name.lower().replace("-", "_"): value for name, value in headers.items()} | self.headers
        reply = call(urlsplit(address).path, "POST", message, **given)
        found = requests.Response()
        found.status_code, found._content = reply.status, reply.body
        found.headers.update(reply.headers)
        return found


def client(path: str = SERVICE, port: str = "dataSoap11", **headers: str) -> Any:
    """A zeep client of the service."""
    return zeep.Client(f"http://localhost{path}?wsdl", port_name=port, transport=Door(**headers))
