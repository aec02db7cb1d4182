"""Signed responses, checked as a consumer would who has the bus's public key and what it kept of the exchange."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature

from mantra.gateway.signatures import exchange, response_keys
from registry.bulkhead import bulkhead_for
from registry.results import Rows
from tests.cast import Cast, Reply, call, ends_of
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, serve_upstream
from tests.signing import BASE, Signer, check_response, digest, signing_key
from tests.soap.wire import envelope

WANTED = "bus=()"
ONE = "/rest/prov/data/satu.json?id=7"


def public_key() -> bytes:
    """The key that signs now, as everybody gets it."""
    reply = call("/.well-known/mantra/response-keys")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/jwk-set+json")
    first: dict[str, str] = reply.json()["keys"][0]
    return base64.urlsafe_b64decode(first["x"] + "=")


def asked(path: str, method: str = "GET") -> dict[str, str]:
    return {"@method": method, "@target-uri": BASE + path}


def test_it_works(cast: Cast) -> None:
    reply = cast.get("satu.json", "id=7", accept_signature=WANTED)
    names = check_response(reply, public_key(), asked(ONE))
    assert names == [
        '"@status"',
        '"content-digest"',
        '"content-type"',
        '"x-request-id"',
        '"@method";req',
        '"@target-uri";req',
    ]
    assert reply.headers["content-digest"] == digest(reply.body)
    keyid = call("/.well-known/mantra/response-keys").json()["keys"][0]["kid"]
    pattern = rf'bus=\(.*\);created=\d+;keyid="{re.escape(keyid)}";alg="ed25519"'
    assert re.fullmatch(pattern, reply.headers["signature-input"])
    assert reply.headers["cache-control"] == "no-store"


def test_nobody_who_does_not_ask_gets_a_signature(cast: Cast) -> None:
    reply = cast.get("satu.json", "id=7")
    assert not {"signature", "signature-input", "content-digest", "mantra-not-signed"} & set(reply.headers)


@pytest.mark.parametrize("part", ["body", "status", "content-type", "x-request-id", "method", "address", "key"])
def test_a_changed_exchange_does_not_fit(cast: Cast, part: str) -> None:
    reply, public, request = cast.get("satu.json", "id=7", accept_signature=WANTED), public_key(), asked(ONE)
    check_response(reply, public, request)
    match part:
        case "body":
            reply.body = reply.body.replace(b"Orang 7", b"Orang 8")
        case "status":
            reply.status = 404
        case "method":
            request["@method"] = "POST"
        case "address":
            request["@target-uri"] = request["@target-uri"].replace("id=7", "id=8")
        case "key":
            public = bytes(32)
        case _:
            reply.headers[part] += "x"
    with pytest.raises(InvalidSignature):
        check_response(reply, public, request)


def test_a_body_with_its_digest_changed_does_not_fit(cast: Cast) -> None:
    reply = cast.get("satu.json", "id=7", accept_signature=WANTED)
    reply.body = reply.body.replace(b"Orang 7", b"Orang 8")
    reply.headers["content-digest"] = digest(reply.body)
    with pytest.raises(InvalidSignature):
        check_response(reply, public_key(), asked(ONE))


def test_each_wire_signs_with_faults_too(cast: Cast) -> None:
    public, more = public_key(), {"accesskey": cast.key, "accept_signature": WANTED}
    soap = envelope("satu", "<m:id>7</m:id>").encode()
    for path, method, body, status in (
        ("/rest/prov/data/satu.xml?id=7", "GET", b"", 200),
        ("/rest/prov/data/satu.json?id=huruf", "GET", b"", 400),
        ("/rest/prov/data/tidak-ada", "GET", b"", 404),
        ("/soap/prov/data", "POST", soap, 200),
        ("/json/prov/data/satu/id/7", "GET", b"", 200),
        ("/api/prov/data/satu/id/99999", "GET", b"", 200),
    ):
        media_type = {"content_type": "text/xml"} if body else {}
        reply = call(path, method, body, **media_type, **more)
        assert reply.status == status, reply.text
        check_response(reply, public, asked(path, method))
    refused = call(ONE, accesskey="mtr_salah", accept_signature=WANTED)
    assert refused.status == 401
    check_response(refused, public, asked(ONE))


def test_a_response_belongs_to_the_signed_request(cast: Cast) -> None:
    signer = Signer(signing_key(cast.application)[1])
    path, body = "/rest/prov/data/satu.json", b"id=7"
    headers = signer.headers(path, "POST", body, "application/x-www-form-urlencoded", label="saya")
    reply = call(path, "POST", body, accept_signature=WANTED, **headers)
    signature = headers["signature"].partition("=")[2]
    request = asked(path, "POST") | {"content-digest": digest(body), "signature": signature}
    names = check_response(reply, public_key(), request)
    assert names[-2:] == ['"content-digest";req', '"signature";req;key="saya"']
    other = signer.headers(path, "POST", body, "application/x-www-form-urlencoded")["signature"].partition("=")[2]
    with pytest.raises(InvalidSignature):
        check_response(reply, public_key(), request | {"signature": other})


def test_an_unsigned_request_can_prove_its_body_by_a_digest(cast: Cast) -> None:
    soap = envelope("satu", "<m:id>7</m:id>").encode()
    more = {"accesskey": cast.key, "accept_signature": WANTED, "content_type": "text/xml"}
    reply = call("/soap/prov/data", "POST", soap, content_digest=digest(soap), **more)
    assert reply.status == 200
    request = asked("/soap/prov/data", "POST") | {"content-digest": digest(soap)}
    assert '"content-digest";req' in check_response(reply, public_key(), request)
    # What the header says of the body is true, or there is no result.
    wrong = call("/soap/prov/data", "POST", soap, content_digest=digest(b"lain"), **more)
    assert b"11412" in wrong.body
    assert b"Orang" not in wrong.body


def test_the_caller_names_label_nonce_and_tag(cast: Cast) -> None:
    wanted = 'a=("x-lain");keyid="lain", bukti=("@status" "content-digest" "@method";req);nonce="n-1";tag="uji";created'
    reply = cast.get("satu.json", "id=7", accept_signature=wanted)
    check_response(reply, public_key(), asked(ONE))
    assert reply.headers["signature-input"].startswith('bukti=("@status"')
    assert reply.headers["signature-input"].endswith(';alg="ed25519";nonce="n-1";tag="uji"')


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ('a=("@query";req)', "components"), ('a=("x-lain")', "components"),
        ('a=("@status" "cache-control")', "components"),
        ('a=();keyid="lain"', "key"), ('a=();alg="hmac-sha256"', "key"), ("a=1", "key"), ("((", "unreadable"),
        (", ".join(f"a{n}=()" for n in range(20)), "unreadable"), ("x" * 9000, "unreadable"),
    ],
)  # fmt: skip
def test_what_cannot_be_signed_so_is_not_signed_otherwise(cast: Cast, wanted: str, reason: str) -> None:
    reply = cast.get("satu.json", "id=7", accept_signature=wanted)
    assert (reply.status, reply.headers["mantra-not-signed"]) == (200, reason)
    assert not {"signature", "signature-input", "content-digest"} & set(reply.headers)


def test_a_bus_without_a_key_says_so(cast: Cast, settings: Any) -> None:
    settings.RESPONSE_KEYS = []
    assert cast.get("satu.json", "id=7", accept_signature=WANTED).headers["mantra-not-signed"] == "off"
    assert call("/.well-known/mantra/response-keys").json() == {"keys": []}


def test_earlier_keys_stay_published(cast: Cast, settings: Any) -> None:
    before, reply = public_key(), cast.get("satu.json", "id=7", accept_signature=WANTED)
    settings.RESPONSE_KEYS = [bytes(range(32)), *settings.RESPONSE_KEYS]
    keys = call("/.well-known/mantra/response-keys").json()["keys"]
    assert [base64.urlsafe_b64decode(each["x"] + "=") for each in keys] == [public_key(), before]
    assert set(keys[0]) == {"kty", "crv", "kid", "x", "use"}  # no private half
    check_response(reply, before, asked(ONE))
    check_response(cast.get("satu.json", "id=7", accept_signature=WANTED), public_key(), asked(ONE))


def test_the_key_id_is_the_rfcs_thumbprint(settings: Any) -> None:
    """RFC 8037, appendix A.3."""
    seed = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    settings.RESPONSE_KEYS = [seed]
    (key,) = response_keys.jwks()["keys"]
    assert key["x"] == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert key["kid"] == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_response_that_streams_is_read_ahead(cast: Cast) -> None:
    path = "/rest/prov/data/semua.csv"
    reply = cast.get("semua.csv", accept_signature=WANTED)
    assert len(reply.body) > 30_000
    check_response(reply, public_key(), asked(path))
    assert reply.body == cast.get("semua.csv").body
    (end,) = ends_of(reply.headers["x-request-id"])
    assert (end["bytes"], end["rows"], end.get("broken")) == (len(reply.body), 2500, None)
    assert bulkhead_for(("responses", "signed")).in_flight == 0


def test_a_response_that_is_too_large_goes_unsigned_and_whole(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MAX_SIGNED_BYTES", 10_000)
    reply = cast.get("semua.csv", accept_signature=WANTED)
    assert reply.headers["mantra-not-signed"] == "too-large"
    assert not {"signature", "content-digest"} & set(reply.headers)
    assert reply.body == cast.get("semua.csv").body
    assert bulkhead_for(("responses", "signed")).in_flight == 0


def test_few_responses_are_read_ahead_at_once(cast: Cast) -> None:
    places = bulkhead_for(("responses", "signed"))
    for _ in range(places.limit):
        assert places.try_acquire()
    try:
        reply = cast.get("semua.csv", accept_signature=WANTED)
        assert reply.headers["mantra-not-signed"] == "busy"
        assert reply.body == cast.get("semua.csv").body
        check_response(cast.get("satu.json", "id=7", accept_signature=WANTED), public_key(), asked(ONE))
    finally:
        for _ in range(places.limit):
            places.release()


def test_a_source_that_fails_while_it_is_read_ahead_gives_a_signed_fault(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a signature the response is cut off; here its head has not been sent yet."""
    from dataservices import changes
    from mantra.gateway import serve
    from registry import faults
    from registry.results import Fault

    def run(call: Any) -> Any:
        rows = changes.run(call)
        assert isinstance(rows, Rows)
        batches = rows.batches

        def broken() -> Any:
            yield next(batches)
            yield next(batches)
            raise Fault(faults.SOURCE_TIMEOUT, seconds=1)

        rows.batches = broken()
        return rows

    monkeypatch.setitem(serve.RUNNERS, "data", run)
    reply = cast.get("semua.csv", accept_signature=WANTED)
    assert (reply.status, reply.json()["code"]) == (504, faults.SOURCE_TIMEOUT.code)
    check_response(reply, public_key(), asked("/rest/prov/data/semua.csv"))
    (end,) = ends_of(reply.headers["x-request-id"])
    assert end["code"] == faults.SOURCE_TIMEOUT.code
    assert bulkhead_for(("responses", "signed")).in_flight == 0


def test_a_response_without_content_has_no_digest(cast: Cast) -> None:
    reply = cast.get("satu.json", "id=7", method="HEAD", accept_signature=WANTED)
    assert '"content-digest"' not in check_response(reply, public_key(), asked(ONE, "HEAD"))
    etag = cast.get("terbuka.json").headers["etag"]
    reply = cast.get("terbuka.json", accept_signature=WANTED, if_none_match=etag)
    assert reply.status == 304
    assert '"content-digest"' not in check_response(reply, public_key(), asked("/rest/prov/data/terbuka.json"))


def test_a_relayed_response_is_signed_by_the_bus_and_nobody_else(cast: Cast) -> None:
    upstream_fields = [
        ("Signature", "bus=:AAAA:"),
        ("Signature-Input", 'bus=();keyid="x"'),
        ("Content-Digest", "sha-256=:AAAA:"),
    ]
    with serve_upstream(Answer(b'{"ok":1}', "application/json", 200, upstream_fields)) as upstream:
        publish_proxy(
            cast, upstream.url, returned_response_headers="Signature, Signature-Input, Content-Digest, Content-Type"
        )
        path = "/rest/prov/data/alias/a?b=1"
        reply = call(path, accesskey=cast.key, accept_signature=WANTED)
    assert reply.status == 200
    check_response(reply, public_key(), asked(path))


def test_a_page_of_the_journal_has_no_signature(cast: Cast) -> None:
    reply: Reply = cast.get("satu.json", "id=7", accept_signature=WANTED)
    (end,) = ends_of(reply.headers["x-request-id"])
    assert reply.headers["signature"] not in json.dumps(end)
