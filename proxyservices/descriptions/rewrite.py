"""The description of a SOAP upstream as it is served at the alias: every address in it leads to the bus."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, urldefrag, urlencode, urljoin, urlsplit, urlunsplit

from django.conf import settings
from lxml import etree

from proxyservices.decoders import xml
from proxyservices.decoders.limits import Unreadable
from proxyservices.descriptions.documents import Stored
from registry.secrets import authenticate

MEDIA_TYPE = "text/xml; charset=utf-8"

#: ?wsdl, ?singleWsdl, ?wsdl=…, ?xsd=…, as the usual servers have it, and our own ?contract=…&mark=….
_ASKED = re.compile(r"(?:wsdl|singlewsdl|xsd)(?:=[^&]*)?\Z|contract=", re.IGNORECASE)
_WSDL = "http://schemas.xmlsoap.org/wsdl/"
_XSD = "http://www.w3.org/2001/XMLSchema"
_ROOTS = frozenset((f"{{{_WSDL}}}definitions", f"{{{_XSD}}}schema"))
_IMPORTS = {
    f"{{{_WSDL}}}import": "location",
    **{f"{{{_XSD}}}{name}": "schemaLocation" for name in ("import", "include", "redefine", "override")},
}
_ADDRESSES = frozenset(f"{{{_WSDL}{name}/}}address" for name in ("soap", "soap12", "http"))
_WSA = "{http://www.w3.org/2005/08/addressing}Address"


def asked(query: str) -> bool:
    """Whether a query string asks for a description."""
    return _ASKED.match(query) is not None


def kept(query: str, tail: str, contract: Stored | None, operation: int) -> tuple[str, str] | None:
    """The address of the document that is asked for, and its text where it is stored ("" where it has to be fetched).

    None where the upstream itself has to answer. Raises LookupError for a document that no description of ours names.
    """
    texts = dict(contract.texts) if contract is not None else {}
    name, _, value = query.partition("=")
    if name.lower() == "contract":
        given = dict(parse_qsl(query, max_num_fields=5))
        url = given.get("contract", "")
        if not hmac.compare_digest(given.get("mark", "").encode(), _mark(url, operation).encode()):
            raise LookupError
        return url, texts.get(url, "")
    if contract is None or tail or name.lower() not in ("wsdl", "singlewsdl") or value:
        return None
    return contract.main, texts[contract.main]


def _mark(url: str, operation: int) -> str:
    """Shows that an address was written by us, for this operation: else the bus could be asked to fetch anything."""
    return authenticate(settings.SECRET_KEY.encode(), f"contract {operation} {url}".encode())[:32]


def rewritten(body: bytes, url: str, alias: str, upstreams: Sequence[str], operation: int) -> bytes | None:
    """A WSDL or schema that lies at ``url``, its addresses and imports those of the alias; None for anything else."""
    try:
        root = xml.xml_root(body)
    except Unreadable:
        return None
    if root.tag not in _ROOTS:
        return None
    for each in root.iter():
        attribute = _IMPORTS.get(each.tag)
        if attribute is not None and each.get(attribute):
            whole = urldefrag(urljoin(url, str(each.get(attribute))))[0]
            each.set(attribute, _below(whole, alias, upstreams) or _elsewhere(whole, alias, operation))
        elif each.tag in _ADDRESSES and each.get("location"):
            each.set("location", _below(str(each.get("location")), alias, upstreams) or alias)
        elif each.tag == _WSA and (each.text or "").strip():
            each.text = _below(each.text.strip(), alias, upstreams) or alias
    found: bytes = etree.tostring(root, encoding="utf-8", xml_declaration=True)
    return found


def _elsewhere(url: str, alias: str, operation: int) -> str:
    return f"{alias}?{urlencode({'contract': url, 'mark': _mark(url, operation)})}"


def _below(address: str, alias: str, bases: Sequence[str]) -> str:
    """An address that lies at or below one of the bases, as it lies below the alias; "" for others."""
    parts = urlsplit(address)
    for base in bases:
        other = urlsplit(base)
        if (parts.hostname, _port(parts)) != (other.hostname, _port(other)):
            continue
        path = other.path.rstrip("/")
        if parts.path == path or parts.path.startswith(path + "/"):
            tail = parts.path[len(path) :]
            found = urlunsplit(("", "", tail, parts.query, ""))
            return alias + found
    return ""


def _port(parts: Any) -> int | None:
    try:
        return parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
