"""Which URLs of upstream servers can be called: one rule for what is stored, imported and called."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

#: A path with its query as it can stand in a request line. Further letters must be percent-encoded.
REQUEST_TARGET = re.compile(r"[/*][!-\"$-~]*")
_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f]")


class ServerUrl(NamedTuple):
    """The parts of a URL that can be called."""

    scheme: str
    #: As the name is looked up: in ASCII, without the brackets of an IPv6 address.
    host: str
    #: None where the URL names none.
    port: int | None
    path: str
    query: str


def split(url: str) -> ServerUrl:
    """Return the parts of a URL. Raises ValueError with the word "address" for one that cannot be called.

    Hosts without a dot are good: they are common within an agency's network. A URL holds no user: credentials
    have a field of their own.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host = host if ":" in host else host.encode("idna").decode("ascii")
    except ValueError:
        raise ValueError("address") from None
    has_server = parts.scheme in ("http", "https") and host and "%" not in host and port != 0
    sendable = REQUEST_TARGET.fullmatch(f"{parts.path or '/'}?{parts.query}") and not _NOT_IN_A_URL.search(url)
    if not has_server or "@" in parts.netloc or not sendable:
        raise ValueError("address")
    return ServerUrl(parts.scheme, host, port, parts.path, parts.query)
