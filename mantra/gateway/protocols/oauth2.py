"""OAuth2: an application gets access tokens for its key (RFC 6749, client credentials), asks about and ends them.

The client's id is the public part of its key, or agency/application; its secret is the key. Each request has a record.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

import orjson
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import DatabaseError, InterfaceError, close_old_connections, transaction
from django.utils import timezone

from mantra.gateway import admission, http, recording, stops
from mantra.gateway.fast_lane import wire
from mantra.gateway.http import Environ, Response
from registry import access_tokens, faults, logs
from registry.calls import Call, request_id
from registry.client_ip import client_ip
from registry.models import RevokedToken
from registry.results import Document, Fault
from registry.snapshot.types import Key

#: The protocol of the records of these requests.
PROTOCOL = "oauth2"
#: The most bytes of a request, and aliases of a scope.
MAX_BODY, MAX_SCOPE = 16_384, 100
_FORM = "application/x-www-form-urlencoded"

#: Status of a refusal → the fault of its record.
_RECORDED = {401: faults.KEY_UNKNOWN, 404: faults.ADDRESS_INVALID, 405: faults.METHOD_NOT_ALLOWED}

Form = dict[str, str]


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: a key, and its digest."""

    key: Key
    digest: str


class Refusal(Exception):
    """An error as RFC 6749, section 5.2, names it, with a sentence for the developer."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.description, self.status = error, description, status


def handle(environ: Environ) -> Response:
    """Return the response to a request below /oauth2/."""
    wire.read(environ)
    call = Call(
        protocol=PROTOCOL,
        method=environ["REQUEST_METHOD"],
        client_ip=client_ip(environ),
        request_id=request_id(),
        format="json",
        read_input=lambda call: [],
        certificate=environ.get(wire.CERTIFICATE, ""),
    )
    logs.current.call = call
    response = _recorded(environ, call)
    response.headers |= {"Cache-Control": "no-store", "Pragma": "no-cache", "Content-Type": "application/json"}
    response.headers["Content-Length"] = str(len(response.body))  # type: ignore[arg-type]
    http.stamp(response, call.request_id)
    return response


def _recorded(environ: Environ, call: Call) -> Response:
    """Return the response to a request, which is recorded before it is sent."""
    fault: Fault | None = None
    try:
        recording.begin(call)
        try:
            response = Response(200, orjson.dumps(_result(environ, call)))
        except Refusal as refusal:
            response, fault = _refused(refusal), Fault(_RECORDED.get(refusal.status, faults.BODY_INVALID))
        except Fault as error:
            response, fault = _refused(_refusal_of(error)), error
        except (DatabaseError, InterfaceError):
            fault = Fault(faults.NOT_READY)
            response = _refused(_away("The registry cannot be reached."))
        recording.end(call, fault or Document(None), len(response.body), status=response.status)  # type: ignore[arg-type]
    except Fault:  # nothing can be recorded: nothing is given
        response = _refused(_away("The bus cannot record requests."))
    return response


def _refused(refusal: Refusal) -> Response:
    body = {"error": refusal.error, "error_description": refusal.description}
    headers = {"WWW-Authenticate": 'Basic realm="MANTRA"'} if refusal.status == 401 else {}
    return Response(refusal.status, orjson.dumps(body), headers)


def _refusal_of(fault: Fault) -> Refusal:
    """Return a fault of the bus as OAuth2 names it."""
    client = fault.status in (401, 403)
    if client:
        return Refusal("invalid_client", fault.message("en"), 401)
    return Refusal("invalid_request", fault.message("en"), fault.status)


def _away(what: str) -> Refusal:
    return Refusal("temporarily_unavailable", f"{what} Try again shortly.", 503)


def _result(environ: Environ, call: Call) -> dict[str, Any]:
    """Do what a request asks for. Raises Refusal, Fault."""
    name = http.path(environ).strip("/").split("/")[1:]
    action = _ACTIONS.get("/".join(name).lower())
    if action is None:
        raise Refusal("invalid_request", "There is /oauth2/token, /oauth2/introspect and /oauth2/revoke.", 404)
    if call.method != "POST":
        raise Refusal("invalid_request", "Send a POST request.", 405)
    form = _form(environ)
    return action(call, form, _client(environ, call, form))


def _form(environ: Environ) -> Form:
    """Return the fields of a form, each of which is there once. Raises Refusal, Fault."""
    if environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() != _FORM:
        raise Refusal("invalid_request", f"Send a body of {_FORM}.")
    length = environ.get("CONTENT_LENGTH") or ""
    if not length.isdigit() or int(length) > MAX_BODY:
        raise Refusal("invalid_request", f"Send a body of at most {MAX_BODY} bytes, with its length.")
    pairs = http.form_pairs(http.body(environ))
    form = dict(pairs)
    if len(form) < len(pairs):
        raise Refusal("invalid_request", "A parameter is there twice.")
    return form


def _client(environ: Environ, call: Call, form: Form) -> Client:
    """Return the client that has identified itself. Raises Refusal, Fault."""
    id, secret = _basic(environ.get("HTTP_AUTHORIZATION", ""))
    if id or secret:
        if "client_secret" in form:
            raise Refusal("invalid_request", "Send the client's secret once: in the header or in the body.")
    else:
        id, secret = form.get("client_id", ""), form.get("client_secret", "")
    now = time.time()
    # A token gets no further tokens: it ends when it ends.
    snapshot = admission.snapshot_of(call)
    digest = snapshot.digest(secret) if secret and not secret.startswith(access_tokens.MARK) else ""
    key = snapshot.keys[digest] if digest else None
    names = (key.public, f"{key.application.agency}/{key.application.code}") if key is not None else ()
    if key is None or id not in names:
        raise Refusal("invalid_client", "Send the key's public part as client_id and the key as client_secret.", 401)
    call.key, call.application = key, key.application
    stops.refuse(call)
    admission.check_caller(call, key, now)
    admission.check_certificate(call, key, now)
    return Client(key, digest)


def _basic(header: str) -> tuple[str, str]:
    """Return id and secret of HTTP Basic, each percent-decoded (RFC 6749, section 2.3.1); "" without them."""
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        id, _, secret = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Refusal("invalid_client", "The header Authorization cannot be read.", 401) from None
    return unquote_plus(id), unquote_plus(secret)


# ------------------------------------------------------------------------------------------ what they do


def _issue(call: Call, form: Form, client: Client) -> dict[str, Any]:
    if form.get("grant_type") != "client_credentials":
        raise Refusal("unsupported_grant_type", "The only grant_type is client_credentials.")
    key, now = client.key, time.time()
    scope = _scope(call, form.get("scope", ""), key)
    seconds = int(min(settings.ACCESS_TOKEN_SECONDS, key.expires_at - now))
    bound = (key.application.id, call.certificate) in admission.snapshot_of(call).certificates
    token = access_tokens.new(client.digest, now, seconds, scope, call.certificate if bound else "")
    found: dict[str, Any] = {"access_token": access_tokens.write(token), "token_type": "Bearer", "expires_in": seconds}
    if scope:
        found["scope"] = " ".join(scope)
    return found


def _scope(call: Call, text: str, key: Key) -> tuple[str, ...]:
    """Return the aliases of a scope, all of which the application is granted. Raises Refusal."""
    snapshot, found = admission.snapshot_of(call), []
    wanted = list(dict.fromkeys(text.split()))
    if len(wanted) > MAX_SCOPE:
        raise Refusal("invalid_scope", f"Name at most {MAX_SCOPE} operations.")
    for alias in wanted:
        names = alias.split("/")
        operation = snapshot.operation(*names) if len(names) == 3 else None
        if operation is None or (key.application.id, operation.id) not in snapshot.grants:
            raise Refusal("invalid_scope", "A scope is agency/service/operation, of operations that you are granted.")
        found.append(operation.path)
    return tuple(found)


def _introspect(call: Call, form: Form, client: Client) -> dict[str, Any]:
    """Say what a token is (RFC 7662), to its application and to agencies whose operations it opens."""
    snapshot = admission.snapshot_of(call)
    text = form.get("token", "")
    token = access_tokens.read(text)
    found = snapshot.key(text) if token is not None else None
    if token is None or found is None or time.time() >= found.expires_at or not _concerns(call, client.key, found):
        return {"active": False}
    said: dict[str, Any] = {
        "active": True,
        "client_id": found.public,
        "sub": f"{found.application.agency}/{found.application.code}",
        "token_type": "Bearer",
        "iat": token.issued,
        "exp": int(found.expires_at),
        "jti": token.id,
    }
    if token.scope:
        said["scope"] = " ".join(token.scope)
    if token.thumbprint:
        thumbprint = base64.urlsafe_b64encode(bytes.fromhex(token.thumbprint)).decode().rstrip("=")
        said["cnf"] = {"x5t#S256": thumbprint}
    return said


def _concerns(call: Call, asking: Key, found: Key) -> bool:
    """Return True if a token is the client's own, or its application is granted an operation of the client's agency."""
    if found.application.id == asking.application.id:
        return True
    snapshot = admission.snapshot_of(call)
    own = asking.application.agency
    return any(
        operation.agency == own and (found.application.id, operation.id) in snapshot.grants
        for operation in snapshot.operations.values()
        if not found.scope or operation.path in found.scope
    )


def _revoke(call: Call, form: Form, client: Client) -> dict[str, Any]:
    """End a token of the client's application (RFC 7009). A text that is no such token is ended already."""
    token = access_tokens.read(form.get("token", ""))
    found = admission.snapshot_of(call).keys.get(token.digest) if token is not None else None
    application = client.key.application.id
    if token is None or found is None or found.application.id != application:
        return {}
    close_old_connections()
    try:
        with transaction.atomic():
            rows = RevokedToken.objects.filter(application_id=application)
            rows.filter(expires_at__lt=timezone.now()).delete()
            if not RevokedToken.objects.filter(token=token.id).exists():
                end = datetime.fromtimestamp(token.expires, UTC)
                row = RevokedToken(application_id=application, token=token.id, expires_at=end)
                row.full_clean()
                row.save()
    except ValidationError:
        raise Refusal("invalid_request", "Too many tokens were revoked: revoke the key instead.", 429) from None
    finally:
        close_old_connections()
    return {}


_ACTIONS: dict[str, Callable[[Call, Form, Client], dict[str, Any]]] = {
    "token": _issue,
    "introspect": _introspect,
    "revoke": _revoke,
}
