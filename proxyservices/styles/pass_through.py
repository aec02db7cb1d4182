"""Pass-through: requests go to the upstream as they came."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote

from django.conf import settings

from proxyservices.headers import _CREDENTIALS, CREDENTIALS, OWN
from proxyservices.models import Mapping, ProxyOperation, header_names
from proxyservices.styles.base import SAFE, Asked, Task, below, climbs, joined, not_convertible
from proxyservices.styles.rest import Rest
from proxyservices.transport.upload import Upload
from registry import faults
from registry.calls import Passage
from registry.results import Fault

#: A cookie of the bus's own, also behind the comma of two headers that a server made one.
_OWN_COOKIE = re.compile(
    rf"(?:^|,)\s*(?:{re.escape(settings.SESSION_COOKIE_NAME)}|{re.escape(settings.CSRF_COOKIE_NAME)})\s*(?:=|$)", re.I
)
_ADDRESS = re.compile(r"[!-\"$-~]*\Z")


# ------------------------------------------------------------------------------------------- as-is


class AsIs:
    """Hands requests on as they come; on a face that has none, asks with the declared parameters."""

    passes = True
    legacy = False

    def __init__(self, operation: ProxyOperation, mappings: Sequence[Mapping], parameters: Sequence[str]) -> None:
        self.methods = tuple(header_names(operation.methods))
        self._path = below(operation.path).rstrip("/")
        listed = [name for name in header_names(operation.request_headers) if name.lower() not in OWN]
        names = [name for name in listed if name.lower() not in _CREDENTIALS]
        if operation.pass_credentials:
            names += CREDENTIALS
        #: The names to go on, and as a passage has them.
        self._names = [(name, name.lower(), name.title()) for name in names]
        self._agent = any(name.lower() == "user-agent" for name in names)
        self._credentials = operation.pass_credentials
        self._otherwise = Rest(operation, mappings, parameters)

    def make(self, task: Task) -> Asked:
        passage = task.passage
        if passage is None:
            return self._otherwise.make(task)
        path = self._address(passage, "" if self._credentials else task.secret)
        asked = Asked(task.method, path, self._headers(passage, task.secret))
        if passage.length != 0:
            asked.body = Upload(passage, task.size_cap, task.deadline)
            asked.length = passage.length
        elif task.method not in SAFE and task.method != "DELETE":
            asked.body = b""
        return asked

    def _address(self, passage: Passage, secret: str) -> str:
        tail, query = passage.tail, passage.query
        if not _ADDRESS.match(tail) or not _ADDRESS.match(query) or "?" in tail or climbs(tail):
            raise Fault(faults.ADDRESS_INVALID)
        if secret and (secret in unquote(tail) or secret in unquote(query)):
            raise not_convertible(
                "kunci akses tidak boleh ditulis di alamat", "the access key may not stand in the address"
            )
        path, mark, constant = self._path.partition("?")
        return joined(path + tail + mark + constant, query)

    def _headers(self, passage: Passage, secret: str) -> list[tuple[str, str]]:
        there = passage.headers
        named = there.get("Connection", "").lower()
        dropped = {name.strip() for name in named.split(",")} if named else ()
        found = [] if self._agent and "User-Agent" in there else [("User-Agent", "MANTRA")]
        for name, lower, title in self._names:
            value = there.get(title)
            if value is None or lower in dropped:
                continue
            if secret and not self._credentials and secret in value:
                continue
            if lower == "cookie" and not (value := _others(value)):
                continue
            found.append((name, value))
        return found


def _others(cookies: str) -> str:
    """The cookies but the bus's own: a browser that is signed in here would hand its session to an upstream."""
    pairs = (pair.strip() for pair in cookies.split(";"))
    return "; ".join(pair for pair in pairs if pair and not _OWN_COOKIE.search(pair))
