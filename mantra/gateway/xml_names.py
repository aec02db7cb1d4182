"""XML names of the SOAP protocol: namespaces, and the registry's names as names of elements."""

from __future__ import annotations

import re
from functools import lru_cache

ENVELOPE_11 = "http://schemas.xmlsoap.org/soap/envelope/"
ENVELOPE_12 = "http://www.w3.org/2003/05/soap-envelope"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
SECURITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"

#: The namespace of faults of paths that name no service.
ROOT_NAMESPACE = "urn:mantra"

#: What clients without a WSDL write as an operation's namespace if none is set: nuSOAP, and SOAP::Lite and ASMX tools.
#: The address names the service already.
DEFAULT_NAMESPACES = ("http://tempuri.org", "http://tempuri.org/", "")

#: Global elements that do not belong to an operation.
KEY, FAULT = "AccessKey", "Fault"
_RESPONSE = "Response"

_FIRST = "A-Za-z_\xc0-\xd6\xd8-\xf6\xf8-\xff"
#: Characters that some parsers refuse in a name, and underscores that plain() would read as an escape.
_NOT_ALLOWED = re.compile(f"^[^{_FIRST}]|[^{_FIRST}\\-.0-9]|_(?=x[0-9A-Fa-f]{{4,8}}_)")
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4}|[0-9A-Fa-f]{8})_")


def namespace(agency: str, service: str) -> str:
    """Return the target namespace of a service."""
    return f"{ROOT_NAMESPACE}:{agency.lower()}:{service.lower()}"


def element(name: str) -> str:
    """Return a name as an element's. A character that is not allowed becomes _xHHHH_, as in .NET and SQL/XML."""
    return _NOT_ALLOWED.sub(lambda match: _escape(match[0]), name) or "_"


@lru_cache(4096)
def operation(code: str) -> str:
    """Return an operation's element: never the name of another operation's response or of a shared element."""
    name = element(code)
    return _escape(name[0]) + name[1:] if name.endswith(_RESPONSE) or name in (KEY, FAULT) else name


def response(code: str) -> str:
    """Return the element of an operation's response."""
    return operation(code) + _RESPONSE


def plain(name: str) -> str:
    """Return the name from which element() made the name of an element."""
    return _ESCAPED.sub(_unescape, name) if "_x" in name else name


def _escape(letter: str) -> str:
    return f"_x{ord(letter):04X}_" if ord(letter) < 0x10000 else f"_x{ord(letter):08X}_"


def _unescape(match: re.Match[str]) -> str:
    number = int(match[1], 16)
    return chr(number) if number < 0x110000 else match[0]
