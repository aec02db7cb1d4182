"""Names on the SOAP face: namespaces, and names of the book as names of XML elements."""

from __future__ import annotations

import re
from functools import lru_cache

ENVELOPE_11 = "http://schemas.xmlsoap.org/soap/envelope/"
ENVELOPE_12 = "http://www.w3.org/2003/05/soap-envelope"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
SECURITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"

#: Faults of addresses that name no service here.
NOWHERE = "urn:mantra"

#: Global elements that are no operation's.
KEY, FAULT = "AccessKey", "Fault"
_RESPONSE = "Response"

_FIRST = "A-Za-z_\xc0-\xd6\xd8-\xf6\xf8-\xff"
#: What no parser of any age takes in a name, or would be read back as something else.
_STRANGE = re.compile(f"^[^{_FIRST}]|[^{_FIRST}\\-.0-9]|_(?=x[0-9A-Fa-f]{{4,8}}_)")
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4}|[0-9A-Fa-f]{8})_")


def namespace(agency: str, service: str) -> str:
    """The target namespace of a service."""
    return f"{NOWHERE}:{agency.lower()}:{service.lower()}"


def element(name: str) -> str:
    """A name as an element. Each character that cannot stand there becomes _xHHHH_, as .NET and SQL/XML write it."""
    return _STRANGE.sub(lambda found: _escape(found[0]), name) or "_"


@lru_cache(4096)
def operation(code: str) -> str:
    """An operation's element: never the name of another operation's response, nor of what all of them share."""
    name = element(code)
    return _escape(name[0]) + name[1:] if name.endswith(_RESPONSE) or name in (KEY, FAULT) else name


def response(code: str) -> str:
    return operation(code) + _RESPONSE


def plain(name: str) -> str:
    """The name that an element stands for."""
    return _ESCAPED.sub(_unescape, name) if "_x" in name else name


def _escape(letter: str) -> str:
    return f"_x{ord(letter):04X}_" if ord(letter) < 0x10000 else f"_x{ord(letter):08X}_"


def _unescape(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    return chr(number) if number < 0x110000 else found[0]
