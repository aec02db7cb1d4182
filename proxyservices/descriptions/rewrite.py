"""The description of a SOAP upstream as the alias serves it: all addresses in it lead to the bus."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, urldefrag, urlencode, urljoin, urlsplit, urlunsplit

from django.conf import settings
from lxml import etree

from proxyservices.decoders import xml
from proxyservices.decoders.limits import DecodeError
from proxyservices.descriptions.documents import StoredDescription
from registry.secrets import authenticate

MEDIA_TYPE = "text/xml; charset=utf-8"

#: ?wsdl, ?singleWsdl, ?wsdl=… and ?xsd=…, as common servers have them, and an address that the bus wrote itself: its
#: names are such that no upstream's parameters are taken for them.
_REQUESTED = re.compile(r"(?:wsdl|singlewsdl|xsd)(?:=[^&]*)?\Z|mantra-description=", re.IGNORECASE)
_WSDL = "http://schemas.xmlsoap.org/wsdl/"
_XSD = "http://www.w3.org/2001/XMLSchema"
_ROOTS = frozenset((f"{{{_WSDL}}}definitions", f"{{{_XSD}}}schema"))
_IMPORTS = {
    f"{{{_WSDL}}}import": "location",
    **{f"{{{_XSD}}}{name}": "schemaLocation" for name in ("import", "include", "redefine", "override")},
}
_ADDRESSES = frozenset(f"{{{_WSDL}{name}/}}address" for name in ("soap", "soap12", "http"))
_WSA = "{http://www.w3.org/2005/08/addressing}Address"


def is_requested(query: str) -> bool:
    """Return True if a query string requests a description."""
    return _REQUESTED.match(query) is not None


def requested_document(
    query: str, path_suffix: str, description: StoredDescription | None, operation: int
) -> tuple[str, str] | None:
    """Return the requested document's address, and its text, "" if it has to be fetched.

    Return None if the upstream itself must respond. Raises LookupError for an address without the bus's signature.
    """
    texts = dict(description.texts) if description is not None else {}
    name, _, value = query.partition("=")
    if name.lower() == "mantra-description":
        parameters = dict(parse_qsl(query, max_num_fields=5))
        url = parameters.get("mantra-description", "")
        signature = parameters.get("mantra-signature", "")
        if not hmac.compare_digest(signature.encode(), _signature(url, operation).encode()):
            raise LookupError
        return url, texts.get(url, "")
    if description is None or path_suffix or name.lower() not in ("wsdl", "singlewsdl") or value:
        return None
    return description.main, texts[description.main]


def _signature(url: str, operation: int) -> str:
    """Return the proof that the bus wrote an address for an operation: callers must not make it fetch anything else."""
    return authenticate(settings.SECRET_KEY.encode(), f"description {operation} {url}".encode())[:32]


def rewrite(
    body: bytes, url: str, alias: str, upstreams: Sequence[str], operation: int, charset: str = ""
) -> bytes | None:
    """Return the WSDL or schema from ``url`` with the alias in its addresses and imports; None for anything else."""
    try:
        root = xml.parse(body, charset)
    except DecodeError:
        return None
    if root.tag not in _ROOTS:
        return None
    for element in root.iter():
        attribute = _IMPORTS.get(element.tag)
        if attribute is not None and element.get(attribute):
            imported = urldefrag(urljoin(url, str(element.get(attribute))))[0]
            element.set(attribute, below_alias(imported, alias, upstreams) or _signed(imported, alias, operation))
        elif element.tag in _ADDRESSES and element.get("location"):
            element.set("location", below_alias(str(element.get("location")), alias, upstreams) or alias)
        elif element.tag == _WSA and (element.text or "").strip():
            element.text = below_alias(element.text.strip(), alias, upstreams) or alias
    rewritten: bytes = etree.tostring(root, encoding="utf-8", xml_declaration=True)
    return rewritten


def _signed(url: str, alias: str, operation: int) -> str:
    return f"{alias}?{urlencode({'mantra-description': url, 'mantra-signature': _signature(url, operation)})}"


def below_alias(address: str, alias: str, bases: Sequence[str]) -> str:
    """Return an address at or below one of the bases as the address at or below the alias; "" for others."""
    parts = urlsplit(address)
    for base in bases:
        base_parts = urlsplit(base)
        if (parts.hostname, _port(parts)) != (base_parts.hostname, _port(base_parts)):
            continue
        path = base_parts.path.rstrip("/")
        if parts.path == path or parts.path.startswith(path + "/"):
            return alias + urlunsplit(("", "", parts.path[len(path) :], parts.query, ""))
    return ""


def _port(parts: Any) -> int | None:
    try:
        return parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
