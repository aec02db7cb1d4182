"""The credentials that the bus sends to upstreams: none, a key, a password, or a token that it fetches itself."""

from __future__ import annotations

import base64
import re
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import quote_plus, urlencode

import orjson

from proxyservices.transport import client
from proxyservices.transport.client import CONTROL, Limits, Request
from proxyservices.transport.connection import Headers
from proxyservices.transport.errors import UpstreamError
from proxyservices.transport.pool import Target

#: A new token is fetched this many seconds before the old one expires, or after nine tenths of its life.
MARGIN = 30.0
#: Seconds for which a token is valid if its server does not state it.
DEFAULT_LIFE = 300.0
#: Seconds between two fetches, failed or not: an upstream that refuses every token, or a token server that issues
#: none, must not cause one fetch per call.
PAUSE = 1.0
#: Monotonic seconds, by which tokens age. Tests set their own.
clock: Callable[[], float] = time.monotonic

_LIMITS = Limits(connect=3.0, read=5.0, total=8.0, max_body_bytes=65_536)
_TOKEN = re.compile(r"[!-~]+")


class CredentialError(UpstreamError):
    """The token server issued no token.

    ``phase`` is where the request failed; "body" with reason "refused" if the server refused it.
    """


class Credential:
    """The headers by which the bus identifies itself to one upstream. Built off the call path."""

    #: True if it is the same for each request, and no refusal can change it.
    permanent = True

    def __init__(self, headers: Headers | None = None) -> None:
        """Raises ValueError("credential") for a name or value that no header can hold (RFC 9110, 5.5)."""
        for name, value in headers or []:
            if not name or CONTROL.search(name + value) or not value.isascii():
                raise ValueError("credential")
        self._headers = headers or []

    def headers(self, deadline: float) -> Headers:
        """Return the headers to send. ``deadline``: a time.monotonic() value. Raises CredentialError."""
        return self._headers

    def renew_after_refusal(self) -> bool:
        """Drop a token that the upstream refused with 401. Return True if there may be a newer one to send."""
        return False


def basic(name: str, secret: str) -> str:
    """Return the value of an Authorization header for basic authentication (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode("ascii")


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request for a token by client credentials (RFC 6749, 4.4). The certificates are the upstream's own."""

    url: str
    client: str
    secret: str = field(repr=False)
    scope: str = ""
    ca_pem: str = ""
    certificate_pem: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    fetched: float
    #: Of the clock too: from when on a new one is fetched, and when this one expires.
    renew: float
    ends: float


class _TokenStore:
    """The token of one token request, for every upstream that has the same one. It outlives the plans that use it."""

    def __init__(self, request: TokenRequest) -> None:
        self.request = request
        self.target = Target.of(request.url, request.ca_pem, request.certificate_pem)
        self.token: _Token | None = None
        #: The last failure, and when it was.
        self._error: tuple[float, CredentialError] | None = None
        self._fetching = threading.Lock()
        #: RFC 6749, 2.3.1: every server accepts the secret as basic authentication. Some accept it in the form only.
        self._in_form = False

    @classmethod
    def of(cls, request: TokenRequest) -> Self:
        store = _stores.get(request)
        return store if store is not None else _stores.setdefault(request, cls(request))  # type: ignore[return-value]

    def get(self, deadline: float) -> _Token:
        """Return a token that is valid now. Raises CredentialError.

        One thread fetches it; the others wait only if there is no valid one.
        """
        now = clock()
        token = self.token
        if token is not None and now < token.renew:
            return token
        usable = token is not None and now < token.ends
        if not self._fetching.acquire(timeout=0 if usable else max(0.0, deadline - time.monotonic())):
            if usable and token is not None:
                return token
            raise CredentialError("first-byte", "slow", slow=True)
        try:
            return self._fetch(deadline)
        except CredentialError:
            if usable and token is not None:
                return token
            raise
        finally:
            self._fetching.release()

    def drop(self, token: _Token) -> bool:
        """Forget a token that was refused. Return False if it is too early to fetch another."""
        if clock() - token.fetched < PAUSE:
            return self.token is not token
        if self.token is token:
            self.token = None
        return True

    def _fetch(self, deadline: float) -> _Token:
        now = clock()
        if self.token is not None and now < self.token.renew:
            return self.token  # another thread has fetched it meanwhile
        if self._error is not None and now - self._error[0] < PAUSE:
            error = self._error[1]
            raise CredentialError(error.phase, error.reason, slow=error.slow)
        try:
            self.token = self._request_token(min(deadline, time.monotonic() + _LIMITS.total))
            self._error = None
            return self.token
        except UpstreamError as error:
            credential_error = CredentialError(error.phase, error.reason, slow=error.slow)
            self._error = clock(), credential_error
            raise credential_error from None

    def _request_token(self, deadline: float) -> _Token:
        status, body = self._post(deadline)
        if status in (400, 401) and not self._in_form:
            self._in_form = True
            status, body = self._post(deadline)
            self._in_form = status == 200
        if status != 200:
            raise UpstreamError("body", "refused")
        return _parse_token(body)

    def _post(self, deadline: float) -> tuple[int, bytes]:
        request = self.request
        form = {"grant_type": "client_credentials", **({"scope": request.scope} if request.scope else {})}
        headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")]
        if self._in_form:
            form |= {"client_id": request.client, "client_secret": request.secret}
        else:
            headers.append(("Authorization", basic(quote_plus(request.client), quote_plus(request.secret))))
        path = (self.target.base or "/") + (f"?{self.target.query}" if self.target.query else "")
        post = Request("POST", path, headers, urlencode(form).encode("ascii"))
        response = client.send(self.target, post, _LIMITS, deadline)
        return response.status, response.read()


_stores: weakref.WeakValueDictionary[TokenRequest, _TokenStore] = weakref.WeakValueDictionary()


def reset() -> None:
    """Forget all tokens. For tests: credentials that exist keep theirs."""
    _stores.clear()


def _parse_token(body: bytes) -> _Token:
    """Return the token in a token server's response (RFC 6749, 5.1). Raises UpstreamError."""
    try:
        fields: Any = orjson.loads(body)
        value, kind = fields["access_token"], fields.get("token_type", "bearer")
        life = float(fields.get("expires_in") or DEFAULT_LIFE)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise UpstreamError("parse", "token") from None
    if not isinstance(value, str) or not _TOKEN.fullmatch(value) or str(kind).lower() != "bearer" or not life > 0:
        raise UpstreamError("parse", "token")
    now = clock()
    return _Token(value, now, now + max(life * 0.5, min(life * 0.9, life - MARGIN)), now + life)


class OAuth2Credential(Credential):
    """A token of a token server, fetched when it is needed and shared by all upstreams of the same grant."""

    permanent = False

    def __init__(self, store: _TokenStore) -> None:
        super().__init__()
        self._store = store
        #: What this thread showed last, so that a refusal drops that token and not a newer one.
        self._shown = threading.local()

    @classmethod
    def of(cls, request: TokenRequest) -> Self:
        """Raises ValueError with a word: address, ca-certificate or client-certificate."""
        return cls(_TokenStore.of(request))

    def headers(self, deadline: float) -> Headers:
        token = self._shown.token = self._store.get(deadline)
        return [("Authorization", f"Bearer {token.value}")]

    def renew_after_refusal(self) -> bool:
        token = getattr(self._shown, "token", None)
        return token is not None and self._store.drop(token)
