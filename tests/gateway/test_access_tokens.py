"""Access tokens: how an application gets one for its key, what it opens, and how it ends."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from registry import access_tokens
from registry.models import AccessKey, Application, RevokedToken
from registry.snapshot import holder
from tests.cast import Cast, Reply, call, recorded

FORM = "application/x-www-form-urlencoded"
SOAP = (
    '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
    '<d:satu xmlns:d="urn:mantra:prov:data"><d:id>7</d:id></d:satu></soap:Body></soap:Envelope>'
)


def post(path: str, id: str, secret: str, **fields: str) -> Reply:
    basic = base64.b64encode(f"{id}:{secret}".encode()).decode()
    return call(f"/oauth2/{path}", "POST", urlencode(fields), content_type=FORM, authorization=f"Basic {basic}")


def token_of(cast: Cast, **fields: str) -> str:
    reply = post("token", cast.key_row.public, cast.key, grant_type="client_credentials", **fields)
    assert reply.status == 200, reply.text
    return str(reply.json()["access_token"])


def by_token(token: str, operation: str = "satu", query: str = "id=7") -> Reply:
    return call(f"/rest/prov/data/{operation}?{query}", authorization=f"Bearer {token}")


def code_of(reply: Reply) -> int:
    return int(reply.json()["code"])


def test_a_token_opens_what_its_key_opens_on_every_protocol(cast: Cast) -> None:
    token = token_of(cast)
    assert by_token(token).json() == cast.get("satu", "id=7").json()
    legacy = call("/json/prov/data/satu/id/7", accesskey=token)
    assert "Orang 7" in legacy.text
    soap = call("/soap/prov/data", "POST", SOAP, content_type="text/xml", authorization=f"Bearer {token}")
    assert "Orang 7" in soap.text, soap.text
    by = [line["by"] for line in recorded() if line["t"] == "end" and "by" in line]
    assert {each[2] for each in by} == {cast.key_row.public}


@pytest.mark.parametrize("id", ["public", "name"])
def test_a_client_is_known_by_its_key_or_by_its_application(cast: Cast, id: str) -> None:
    name = cast.key_row.public if id == "public" else "kons/app"
    body = urlencode({"grant_type": "client_credentials", "client_id": name, "client_secret": cast.key})
    reply = call("/oauth2/token", "POST", body, content_type=FORM)
    assert reply.status == 200
    assert reply.headers["cache-control"] == "no-store"
    assert reply.json()["token_type"] == "Bearer"
    assert reply.json()["expires_in"] == 3600


@pytest.mark.parametrize(
    ("id", "secret", "fields", "status", "error"),
    [
        ("kons/app", "salah", {}, 401, "invalid_client"),
        ("asing/app", None, {}, 401, "invalid_client"),
        ("kons/app", None, {"grant_type": "password"}, 400, "unsupported_grant_type"),
        ("kons/app", None, {"scope": "prov/data/tiada"}, 400, "invalid_scope"),
        ("kons/app", None, {"scope": "satu"}, 400, "invalid_scope"),
        ("kons/app", None, {"scope": " ".join(f"a/b/c{n}" for n in range(101))}, 400, "invalid_scope"),
    ],
)
def test_what_is_refused_as_the_standard_says(
    cast: Cast, id: str, secret: str | None, fields: dict[str, str], status: int, error: str
) -> None:
    reply = post("token", id, secret or cast.key, **{"grant_type": "client_credentials", **fields})
    assert (reply.status, reply.json()["error"]) == (status, error)
    assert cast.key not in reply.text


def test_requests_that_are_no_form_are_refused(cast: Cast) -> None:
    assert call("/oauth2/token", "POST", "{}", content_type="application/json").status == 400
    assert call("/oauth2/token").status == 405
    assert call("/oauth2/tiada", "POST", "a=b", content_type=FORM).status == 404
    twice = "grant_type=client_credentials&grant_type=client_credentials"
    assert call("/oauth2/token", "POST", twice, content_type=FORM).json()["error"] == "invalid_request"
    large = "a=" + "x" * 20_000
    assert call("/oauth2/token", "POST", large, content_type=FORM).json()["error"] == "invalid_request"
    codes = [line["code"] for line in recorded() if line["t"] == "end"]
    assert len(codes) == 5, "each request has a record"
    assert 200 not in codes


def test_a_scope_is_the_most_that_a_token_opens(cast: Cast) -> None:
    token = token_of(cast, scope="PROV/data/satu")
    assert by_token(token).status == 200
    refused = by_token(token, "cari", "nama=x")
    assert (refused.status, code_of(refused)) == (403, 11422)
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]


def test_a_token_ends_with_its_time_and_with_its_key(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    token = token_of(cast)
    parts = access_tokens.read(token)
    assert parts is not None
    with monkeypatch.context() as patch:
        patch.setattr("mantra.gateway.admission.time.time", lambda: parts.expires + 0.001)
        late = by_token(token)
        assert (late.status, code_of(late)) == (401, 11421)
    assert by_token(token).status == 200
    cast.key_row.revoke()
    holder.refresh()
    ended = by_token(token)
    assert (ended.status, code_of(ended)) == (401, 11421)
    assert 'error="invalid_token"' in ended.headers["www-authenticate"]


def test_a_revoked_token_ends_and_others_go_on(cast: Cast) -> None:
    first, second = token_of(cast), token_of(cast)
    assert post("revoke", "kons/app", cast.key, token=first).status == 200
    assert post("revoke", "kons/app", cast.key, token=first).status == 200  # again: nothing more happens
    assert post("revoke", "kons/app", cast.key, token="mta_omong.kosong").status == 200
    holder.refresh()
    assert by_token(first).status == 401
    assert by_token(second).status == 200
    assert RevokedToken.objects.count() == 1


def test_another_application_neither_ends_a_token_nor_learns_of_it(cast: Cast) -> None:
    other = Application.objects.create(agency=cast.stranger, code="lain", title="Lain")
    _row, key = AccessKey.issue(other)
    holder.refresh()
    token = token_of(cast)
    assert post("revoke", "asing/lain", key, token=token).status == 200
    holder.refresh()
    assert by_token(token).status == 200
    assert post("introspect", "asing/lain", key, token=token).json() == {"active": False}


def test_the_offering_agency_learns_whose_a_token_is(cast: Cast) -> None:
    backend = Application.objects.create(agency=cast.provider, code="gerbang", title="Gerbang")
    _row, key = AccessKey.issue(backend)
    holder.refresh()
    token = token_of(cast, scope="prov/data/satu")
    said = post("introspect", "prov/gerbang", key, token=token).json()
    assert said["active"] is True
    assert (said["sub"], said["client_id"]) == ("kons/app", cast.key_row.public)
    assert said["scope"] == "prov/data/satu"
    assert post("introspect", "prov/gerbang", key, token=cast.key).json() == {"active": False}


def test_a_token_gets_no_further_tokens(cast: Cast) -> None:
    token = token_of(cast)
    assert post("token", cast.key_row.public, token, grant_type="client_credentials").status == 401


def forged(cast: Cast) -> dict[str, str]:
    """Tokens that nobody issued."""
    token = token_of(cast)
    body, _, signature = token.removeprefix("mta_").rpartition(".")
    parts: list[Any] = orjson.loads(base64.urlsafe_b64decode(body + "=="))
    parts[3] += 10_000
    longer = base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")
    return {
        "longer": f"mta_{longer}.{signature}",
        "unsigned": f"mta_{body}.",
        "other signature": f"mta_{body}.{'0' * 64}",
        "no dot": f"mta_{body}{signature}",
        "letters": f"mta_{body}.{signature[:-1]}é",
        "huge": "mta_" + "a" * 100_000,
        "empty": "mta_",
    }


def test_forged_tokens_open_nothing(cast: Cast) -> None:
    for kind, token in forged(cast).items():
        reply = call("/rest/prov/data/satu?id=7", accesskey=token.encode().decode("latin-1"))
        assert (reply.status, code_of(reply)) == (401, 11421), kind


def test_a_token_of_the_key_before_the_last_rotation_is_good(cast: Cast, settings: Any) -> None:
    token = token_of(cast)
    settings.FIELD_KEYS = ["bmV3LWtleS1uZXcta2V5LW5ldy1rZXktbmV3LWtleTA=", *settings.FIELD_KEYS]
    assert by_token(token).status == 200
    settings.FIELD_KEYS = settings.FIELD_KEYS[:1]
    assert by_token(token).status == 401


def test_no_key_or_token_is_in_the_journal(cast: Cast) -> None:
    token = token_of(cast)
    by_token(token)
    written = orjson.dumps(recorded()).decode()
    assert cast.key not in written
    assert token not in written
    assert token[4:40] not in written
