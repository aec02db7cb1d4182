"""A caller who signs requests, and one who checks signed responses: written by the RFCs, without the bus's code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import re
import time
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from registry.models import AccessKey, Application
from registry.snapshot import holder
from tests.cast import Reply, call

#: The address of the bus in tests, to which no name is given.
BASE = "http://localhost:80"
_numbers = itertools.count(1)


def signing_key(application: Application, **more: Any) -> tuple[AccessKey, str]:
    """Issue a signing key; the bus knows of it at once."""
    row, plain = AccessKey.issue(application, kind=AccessKey.Kind.SIGNING, **more)
    holder.refresh()
    return row, plain


def digest(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


class Signer:
    """Signs requests with one key. Everything that it writes can be changed by a name."""

    def __init__(self, plain: str) -> None:
        self.secret = plain
        self.keyid = plain[:12]

    def headers(
        self,
        path: str,
        method: str = "GET",
        body: bytes = b"",
        content_type: str = "",
        components: tuple[str, ...] | None = None,
        label: str = "sig1",
        values: dict[str, str] | None = None,
        secret: str = "",
        **parameters: Any,
    ) -> dict[str, str]:
        """Return the headers of a signed request, by the names that tests.cast.call has.

        ``values``: of components, in place of the request's own; a parameter that is None is left out.
        """
        target, _, query = path.partition("?")
        found: dict[str, str] = {}
        if body:
            found["content_digest"] = digest(body)
        if content_type:
            found["content_type"] = content_type
        if components is None:
            components = ("@method", "@path", "@query", *(["content-digest"] if body else []))
            components += ("content-type",) if content_type else ()
        known = {
            "@method": method, "@path": target, "@query": f"?{query}", "@target-uri": BASE + path,
            "@authority": "localhost", "@scheme": "http", "@request-target": path,
            **{name.replace("_", "-"): value for name, value in found.items()}, **(values or {}),
        }  # fmt: skip
        made = {"created": int(time.time()), "nonce": f"nonce-{next(_numbers):08d}", "keyid": self.keyid} | parameters
        written = "".join(
            f";{name}={value}" if isinstance(value, int) else f';{name}="{value}"'
            for name, value in made.items()
            if value is not None
        )
        names = " ".join(f'"{name}"' for name in components)
        lines = [f'"{name}": {known.get(name, "")}' for name in components]
        base = "\n".join([*lines, f'"@signature-params": ({names}){written}'])
        value = hmac.digest((secret or self.secret).encode(), base.encode(), "sha256")
        found["signature_input"] = f"{label}=({names}){written}"
        found["signature"] = f"{label}=:{base64.b64encode(value).decode()}:"
        return found

    def call(self, path: str, method: str = "GET", body: bytes = b"", content_type: str = "", **more: Any) -> Reply:
        """Send a signed request."""
        sent = {name: more.pop(name) for name in list(more) if name in ("accept_signature", "accept", "accesskey")}
        return call(path, method, body, **self.headers(path, method, body, content_type, **more), **sent)


def check_response(reply: Reply, public: bytes, request: dict[str, str]) -> list[str]:
    """Check a signed response. Return the components that its signature covers. Raises InvalidSignature.

    ``request``: the values of the components of the request, such as @method.
    """
    label, _, input = reply.headers["signature-input"].partition("=")
    match = re.fullmatch(rf"{re.escape(label)}=:([A-Za-z0-9+/=]+):", reply.headers["signature"])
    names = input[1 : input.index(")")].split(" ")
    if match is None or reply.headers.get("content-digest", digest(reply.body)) != digest(reply.body):
        raise InvalidSignature
    lines = []
    for name in names:
        plain, _, parameter = name.partition(";")
        plain = plain.strip('"')
        if parameter:
            value = request[plain]
        else:
            value = str(reply.status) if plain == "@status" else reply.headers[plain]
        lines.append(f"{name}: {value}")
    base = "\n".join([*lines, f'"@signature-params": {input}'])
    Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(match[1]), base.encode())
    return names
