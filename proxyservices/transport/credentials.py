"""What the bus shows to an upstream: nothing, a key, a password, or a token that it fetches itself."""

from __future__ import annotations

import base64
import re
import threading
import time
import weakref
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import quote_plus, urlencode

import orjson

from proxyservices.models import Upstream
from proxyservices.transport import client
from proxyservices.transport.client import Limits, Question
from proxyservices.transport.connection import Headers
from proxyservices.transport.errors import Failed
from proxyservices.transport.pool import Target

#: A token is fetched anew so many seconds before it expires, or after nine tenths of its life.
MARGIN = 30.0
#: How long a token is good whose server does not say.
DEFAULT_LIFE = 300.0
#: After a fetch, failed or not, no other one is made for so long: an upstream that refuses every token, or a
#: server that gives none, is not asked once per call.
PAUSE = 1.0

_LIMITS = Limits(connect=3.0, read=5.0, total=8.0, size=65_536)
_TOKEN = re.compile(r"[!-~]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class NoToken(Failed):
    """The token server gave none. ``phase`` is where it failed; "body" with reason "refused" where it said no."""


class Credential:
    """What one upstream is shown. Made off the call path."""

    #: Whether it is the same at each call, and no refusal can make it another one.
    lasting = True

    def __init__(self, headers: Headers | None = None) -> None:
        """Raises ValueError("credential") on what no header can hold."""
        for name, value in headers or []:
            if not name or _CONTROL.search(name + value) or not value.isascii():
                raise ValueError("credential")
        self._headers = headers or []

    def headers(self, deadline: float) -> Headers:
        """``deadline``: a time.monotonic() value. Raises Failed."""
        return self._headers

    def refused(self) -> bool:
        """The upstream has said 401 to what this thread showed it. Whether asking once more may help."""
        return False

    @staticmethod
    def of(row: Upstream) -> Credential:
        """Raises ValueError with a word: credential, address, authority or client-certificate."""
        kinds, name, secret = row.Credential, row.credential_name, str(row.credential or "")
        match row.credential_kind:
            case kinds.ACCESS_KEY:
                return Credential([("User-Agent", "MANTRA"), *([("AccessKey", secret)] if secret else [])])
            case kinds.HEADER:
                return Credential([(name, secret)])
            case kinds.BASIC:
                return Credential([("Authorization", _basic(name, secret))])
            case kinds.BEARER:
                return Credential([("Authorization", f"Bearer {secret}")])
            case kinds.OAUTH2:
                question = _Grant(
                    row.token_url, name, secret, row.scope, row.authority, str(row.client_certificate or "")
                )
                return _OAuth2(_Store.of(question))
        return Credential()


def _basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode("ascii")


# ------------------------------------------------------------------------------- OAuth2 client credentials


@dataclass(frozen=True, slots=True)
class _Grant:
    """Who asks which server for what. The certificates are the upstream's own."""

    url: str
    client: str
    secret: str = field(repr=False)
    scope: str = ""
    authority_pem: str = ""
    certificate_pem: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    fetched: float
    #: time.monotonic() values: from when on another is fetched, and until when this one is good.
    renew: float
    ends: float


class _Store:
    """The token of one grant, for every upstream that has it. It outlives the plans that were made with it."""

    def __init__(self, grant: _Grant) -> None:
        self.grant = grant
        self.target = Target.of(grant.url, grant.authority_pem, grant.certificate_pem)
        self.token: _Token | None = None
        self._failure: tuple[float, NoToken] | None = None
        self._fetching = threading.Lock()
        #: RFC 6749 has every server take the secret as basic authentication; some want it in the form only.
        self._in_form = False

    @classmethod
    def of(cls, grant: _Grant) -> Self:
        store = _stores.get(grant)
        return store if store is not None else _stores.setdefault(grant, cls(grant))  # type: ignore[return-value]

    def get(self, deadline: float) -> _Token:
        """A token that is good now. One thread fetches it; the others wait only if there is none. Raises NoToken."""
        now = time.monotonic()
        token = self.token
        if token is not None and now < token.renew:
            return token
        usable = token is not None and now < token.ends
        if not self._fetching.acquire(timeout=0 if usable else max(0.0, deadline - now)):
            if usable and token is not None:
                return token
            raise NoToken("first-byte", "slow", slow=True)
        try:
            return self._fetch(deadline)
        except NoToken:
            if usable and token is not None:
                return token
            raise
        finally:
            self._fetching.release()

    def drop(self, token: _Token) -> bool:
        """Forget a token that was refused. False where another is not to be had so soon."""
        if time.monotonic() - token.fetched < PAUSE:
            return self.token is not token
        if self.token is token:
            self.token = None
        return True

    def _fetch(self, deadline: float) -> _Token:
        now = time.monotonic()
        if self.token is not None and now < self.token.renew:
            return self.token  # which another thread has fetched meanwhile
        if self._failure is not None and now - self._failure[0] < PAUSE:
            failure = self._failure[1]
            raise NoToken(failure.phase, failure.reason, slow=failure.slow)
        try:
            self.token = self._ask(min(deadline, now + _LIMITS.total))
            self._failure = None
            return self.token
        except Failed as error:
            failure = NoToken(error.phase, error.reason, slow=error.slow)
            self._failure = time.monotonic(), failure
            raise failure from None

    def _ask(self, deadline: float) -> _Token:
        status, body = self._post(deadline)
        if status in (400, 401) and not self._in_form:
            self._in_form = True
            status, body = self._post(deadline)
            self._in_form = status == 200
        if status != 200:
            raise Failed("body", "refused")
        return _token(body)

    def _post(self, deadline: float) -> tuple[int, bytes]:
        grant = self.grant
        form = {"grant_type": "client_credentials", **({"scope": grant.scope} if grant.scope else {})}
        headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")]
        if self._in_form:
            form |= {"client_id": grant.client, "client_secret": grant.secret}
        else:
            headers.append(("Authorization", _basic(quote_plus(grant.client), quote_plus(grant.secret))))
        path = (self.target.base or "/") + (f"?{self.target.query}" if self.target.query else "")
        question = Question("POST", path, headers, urlencode(form).encode("ascii"))
        reply = client.ask(self.target, question, _LIMITS, deadline)
        return reply.status, reply.read()


_stores: weakref.WeakValueDictionary[_Grant, _Store] = weakref.WeakValueDictionary()


def _token(body: bytes) -> _Token:
    """Reads a token server's answer. Raises Failed."""
    try:
        told: Any = orjson.loads(body)
        value, kind = told["access_token"], told.get("token_type", "bearer")
        life = float(told.get("expires_in") or DEFAULT_LIFE)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Failed("parse", "token") from None
    if not isinstance(value, str) or not _TOKEN.fullmatch(value) or str(kind).lower() != "bearer" or not life > 0:
        raise Failed("parse", "token")
    now = time.monotonic()
    return _Token(value, now, now + max(life * 0.5, min(life * 0.9, life - MARGIN)), now + life)


class _OAuth2(Credential):
    lasting = False

    def __init__(self, store: _Store) -> None:
        super().__init__()
        self._store = store
        #: What this thread showed last, so that a refusal drops that token and not a newer one.
        self._shown = threading.local()

    def headers(self, deadline: float) -> Headers:
        token = self._shown.token = self._store.get(deadline)
        return [("Authorization", f"Bearer {token.value}")]

    def refused(self) -> bool:
        token = getattr(self._shown, "token", None)
        return token is not None and self._store.drop(token)
