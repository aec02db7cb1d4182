"""What the bus does with one request that is signed, or whose caller wants a signed response."""

from __future__ import annotations

import hmac
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

from django.conf import settings

from mantra.gateway import admission
from mantra.gateway.http import Environ, Response
from mantra.gateway.recording import StreamedBody
from mantra.gateway.signatures import digests, response_keys
from mantra.gateway.signatures.base import RequestParts, Uncovered, signature_base
from mantra.gateway.signatures.digests import DigestedBody
from mantra.gateway.signatures.fields import InnerList, Item, Parameters, Unreadable, dictionary
from mantra.gateway.signatures.nonces import WINDOW_SECONDS, guard
from registry import faults
from registry.bulkhead import bulkhead_for
from registry.calls import Call
from registry.results import Fault
from registry.secrets import SIGNING_MARK
from registry.snapshot.types import Key

log = logging.getLogger("mantra.signatures")

_INPUT, _SIGNATURE, _WANTED = "HTTP_SIGNATURE_INPUT", "HTTP_SIGNATURE", "HTTP_ACCEPT_SIGNATURE"
#: The algorithm of requests, and that of responses.
REQUEST_ALGORITHM, RESPONSE_ALGORITHM = "hmac-sha256", "ed25519"
#: The most bytes of a response that is sent as it comes, if it is to be signed: the digest stands before it.
MAX_SIGNED_BYTES = 8 * 1024 * 1024
#: Says why a response that was to be signed is not.
NOT_SIGNED = "Mantra-Not-Signed"
#: Header fields of a response that its signature covers where the response has them.
_COVERED = ("content-digest", "content-type", "x-request-id")
_NONCE_LENGTHS = range(8, 129)


def read(environ: Environ) -> Exchange | None:
    """Return what is to be done about signatures of a request; None for most requests, of which nothing is."""
    if _INPUT not in environ and _WANTED not in environ:
        return None
    return Exchange(environ)


@dataclass(slots=True)
class _Signature:
    """A signature of a request with a signing key of an application."""

    label: str
    covered: InnerList
    value: bytes

    @property
    def parameters(self) -> Parameters:
        return self.covered.parameters

    def covers(self, *names: str) -> bool:
        found = {item.value for item in self.covered.items}
        return all(name in found for name in names)


class _NotSigned(Exception):
    """A response cannot be signed; the argument says why in one word."""


class Exchange:
    """One request and its response (RequestSignature in registry/calls.py)."""

    __slots__ = ("_body", "_environ", "_error", "_parts", "_signature")

    def __init__(self, environ: Environ) -> None:
        self._environ = environ
        self._parts = RequestParts(environ)
        self._body: DigestedBody | None = None
        self._signature: _Signature | None = None
        #: Why the request is refused as soon as its key is asked for.
        self._error: Fault | None = None
        try:
            if digests.HEADER in environ:
                self._body = environ["wsgi.input"] = DigestedBody(environ)
            self._signature = _signature_of(environ)
        except Fault as fault:
            self._error = fault.without_traceback()

    # --------------------------------------------------------------------------------------- requests

    def key(self, call: Call, now: float) -> Key | None:
        """Return the key with which the request was signed; None if it was with no key of the bus. Raises Fault.

        A request is accepted once, at the time ``now`` (epoch seconds). What it forwards has been compared with its
        digest by then.
        """
        if self._error is not None:
            raise self._error
        signature = self._signature
        if signature is None:
            return None
        key = admission.snapshot_of(call).signing_key(str(signature.parameters["keyid"]))
        if key is None:
            raise Fault(faults.KEY_UNKNOWN)
        self._check_coverage(signature)
        self._check_value(signature, key)
        # From here on the record has the key, also if the request is refused: only its owner can have signed.
        call.key, call.application = key, key.application
        _check_time(signature.parameters, now)
        guard.check(key, str(signature.parameters["nonce"]))
        if self._body is not None and call.operation is not None and _is_forwarded(call):
            self._body.hold(settings.MAX_BODY_BYTES)
        return key

    def _check_coverage(self, signature: _Signature) -> None:
        """Check that the signature covers all that decides what the request does. Raises Fault."""
        if not signature.covers("@method"):
            _lacks("@method")
        if not (
            signature.covers("@target-uri")
            or signature.covers("@request-target")
            or signature.covers("@path", "@query")
        ):
            _lacks("@target-uri")
        if not digests.has_body(self._environ):
            return
        if not signature.covers("content-digest"):
            _lacks("content-digest")
        for name in ("content-type", "content-encoding"):
            if self._parts.header(name) is not None and not signature.covers(name):
                _lacks(name)

    def _check_value(self, signature: _Signature, key: Key) -> None:
        """Check the signature itself. Raises Fault."""
        algorithm = signature.parameters.get("alg", REQUEST_ALGORITHM)
        if algorithm != REQUEST_ALGORITHM:
            raise _invalid(f"alg harus {REQUEST_ALGORITHM}", f"alg must be {REQUEST_ALGORITHM}")
        try:
            base = signature_base(signature.covered, self._parts.value)
        except Uncovered as error:
            name = _printable(str(error))
            raise _invalid(
                f"komponen {name} tidak ada dalam permintaan, atau tidak dikenal",
                f"the request has no component {name}, or it is not known here",
            ) from None
        if not hmac.compare_digest(hmac.digest(key.secret, base, "sha256"), signature.value):
            raise _invalid(
                "tidak cocok dengan permintaan; periksa kunci dan komponen " + _names(signature.covered),
                "it does not fit the request; check the key and the components " + _names(signature.covered),
            )

    # -------------------------------------------------------------------------------------- responses

    def sign(self, response: Response, now: float | None = None) -> None:
        """Sign a response if its caller wants that; if it cannot be signed, a header says why. Raises Fault.

        Neither it nor the response to a signed request is good for another request: nobody may store them.
        """
        response.headers["Cache-Control"] = "no-store"
        wanted = self._environ.get(_WANTED)
        if not wanted:
            return
        try:
            self._sign(wanted, response, int(time.time() if now is None else now))
        except _NotSigned as error:
            response.headers[NOT_SIGNED] = str(error)

    def _sign(self, wanted: str, response: Response, now: int) -> None:
        """Raises _NotSigned, Fault."""
        key = response_keys.current()
        if key is None:
            raise _NotSigned("off")
        label, wish = _wish(wanted, key.id)
        headers = {name.lower(): value for name, value in response.headers.items()}
        has_content = response.status not in (204, 304) and self._environ["REQUEST_METHOD"] != "HEAD"
        if has_content:
            headers["content-digest"] = response.headers["Content-Digest"] = digests.of(_content(response))
        items = [Item("@status"), *(Item(name) for name in _COVERED if name in headers)]
        items += self._request_items()
        covered = InnerList(items, {"created": now, "keyid": key.id, "alg": RESPONSE_ALGORITHM})
        covered.parameters |= {name: wish.parameters[name] for name in ("nonce", "tag") if name in wish.parameters}
        known = {str(item) for item in items}
        if any(str(item) not in known for item in wish.items):
            response.headers.pop("Content-Digest", None)
            raise _NotSigned("components")
        base = signature_base(covered, lambda item: self._value(item, response.status, headers))
        response.headers["Signature-Input"] = f"{label}={covered}"
        response.headers["Signature"] = f"{label}={Item(key.private.sign(base))}"

    def _request_items(self) -> list[Item]:
        """Return the components by which a response belongs to its request (section 2.4)."""
        items = [Item("@method", {"req": True}), Item("@target-uri", {"req": True})]
        if self._parts.header("content-digest") is not None:
            items.append(Item("content-digest", {"req": True}))
        if self._signature is not None:
            items.append(Item("signature", {"req": True, "key": self._signature.label}))
        return items

    def _value(self, item: Item, status: int, headers: dict[str, str]) -> str:
        """Return the value of a component of a response (Resolve). Raises Uncovered."""
        if item.value == "@status":
            return str(status)
        if not item.parameters:
            return headers[str(item.value)].strip(" \t")
        if item.value == "signature":
            assert self._signature is not None
            return str(Item(self._signature.value))
        return self._parts.value(Item(item.value))


def _signature_of(environ: Environ) -> _Signature | None:
    """Return the signature of a request with a key of the bus; None if all are somebody else's. Raises Fault."""
    text = environ.get(_INPUT)
    if text is None:
        return None
    try:
        inputs = dictionary(text)
        values = dictionary(environ.get(_SIGNATURE, ""))
    except Unreadable:
        raise _invalid(
            "header Signature-Input atau Signature tidak terbaca",
            "the header Signature-Input or Signature is unreadable",
        ) from None
    own = [
        (label, covered)
        for label, covered in inputs.items()
        if isinstance(covered, InnerList) and str(covered.parameters.get("keyid", "")).startswith(SIGNING_MARK)
    ]
    if not own:
        return None
    if len(own) > 1:
        raise _invalid("hanya satu tanda tangan yang boleh ada", "there must be one signature only")
    label, covered = own[0]
    value = values.get(label)
    if not isinstance(value, Item) or not isinstance(value.value, bytes):
        name = _printable(label)
        raise _invalid(f"header Signature tidak memuat {name}", f"the header Signature has no {name}")
    _check_parameters(covered.parameters)
    return _Signature(label, covered, value.value)


def _check_parameters(parameters: Parameters) -> None:
    """Check the kinds of a signature's parameters. Raises Fault."""
    created, nonce, expires = (parameters.get(name) for name in ("created", "nonce", "expires"))
    if not isinstance(created, int) or isinstance(created, bool):
        raise _invalid("parameter created tidak ada", "the parameter created is missing")
    if not isinstance(nonce, str) or len(nonce) not in _NONCE_LENGTHS:
        raise _invalid("parameter nonce harus 8 sampai 128 huruf", "the parameter nonce must have 8 to 128 characters")
    if expires is not None and (not isinstance(expires, int) or isinstance(expires, bool)):
        raise _invalid("parameter expires harus bilangan", "the parameter expires must be a number")


def _check_time(parameters: Parameters, now: float) -> None:
    """Check that a signature was made now. Raises Fault."""
    created, expires = parameters["created"], parameters.get("expires")
    assert isinstance(created, int)
    is_over = isinstance(expires, int) and now >= expires
    if is_over or abs(now - created) > WINDOW_SECONDS:
        raise Fault(faults.SIGNATURE_STALE, server_time=datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


def _is_forwarded(call: Call) -> bool:
    """Return True if the request's body goes to an upstream unread."""
    plan = call.operation.plan if call.operation is not None else None
    return plan is not None and plan.pass_through


def _wish(text: str, key_id: str) -> tuple[str, InnerList]:
    """Return the label and the components of the response's signature, as its caller wants it. Raises _NotSigned."""
    try:
        wanted = dictionary(text)
    except Unreadable:
        raise _NotSigned("unreadable") from None
    for label, wish in wanted.items():
        if not isinstance(wish, InnerList):
            continue
        parameters = wish.parameters
        if (
            parameters.get("alg", RESPONSE_ALGORITHM) == RESPONSE_ALGORITHM
            and parameters.get("keyid", key_id) == key_id
        ):
            return label, wish
    raise _NotSigned("key")


def _content(response: Response) -> list[bytes]:
    """Return the pieces of a response's body, read ahead if it is sent as it comes. Raises _NotSigned, Fault."""
    body = response.body
    if not isinstance(body, StreamedBody):
        return [body]
    if not body.hold_place(bulkhead_for(("responses", "signed"))):
        raise _NotSigned("busy")
    pieces = body.read_ahead(MAX_SIGNED_BYTES)
    if pieces is None:
        raise _NotSigned("too-large")
    return pieces


def _names(covered: InnerList) -> str:
    return _printable(", ".join(str(item.value) for item in covered.items))


def _printable(text: str) -> str:
    """Return a caller's text as a fault may repeat it. It is ASCII: no structured field has other characters."""
    return text if len(text) <= 200 else f"{text[:200]}…"


def _lacks(name: str) -> NoReturn:
    raise _invalid(f"komponen {name} harus ikut ditandatangani", f"the component {name} must be signed too")


def _invalid(id: str, en: str) -> Fault:
    return Fault(faults.SIGNATURE_INVALID, reason_id=id, reason_en=en)
