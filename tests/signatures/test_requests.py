"""Signed requests, on every wire, through the WSGI door; and what becomes of those that an attacker changes."""

from __future__ import annotations

import io
import json
import time
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from mantra.gateway.fast_lane import fitness
from mantra.gateway.signatures import digests
from mantra.gateway.signatures.digests import DigestedBody
from mantra.gateway.signatures.exchange import Exchange
from mantra.gateway.signatures.nonces import WINDOW_SECONDS
from registry import faults
from registry.models import AccessKey
from registry.results import Fault
from registry.snapshot import holder
from tests.cast import Cast, Reply, call, ends_of
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, serve_upstream
from tests.signing import Signer, digest, signing_key
from tests.soap.wire import envelope

ONE = "/rest/prov/data/satu.json?id=7"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def signer(cast: Cast) -> Signer:
    return Signer(signing_key(cast.application)[1])


def require_signing(cast: Cast) -> None:
    cast.application.signing_required = True
    cast.application.save()
    holder.refresh()


def refused(reply: Reply, kind: Any, *words: str) -> None:
    """The request was refused for this, and the record has it."""
    assert (reply.status, reply.json()["code"]) == (kind.status, kind.code), reply.text
    for word in words:
        assert word in reply.json()["detail"]
    (end,) = ends_of(reply.headers["x-request-id"])
    assert end["code"] == kind.code


def sent(headers: dict[str, str], path: str = ONE, method: str = "GET", body: bytes = b"", **more: str) -> Reply:
    return call(path, method, body, **{"accept_language": "en", **headers, **more})


def test_it_works(cast: Cast) -> None:
    row, plain = signing_key(cast.application)
    reply = Signer(plain).call(ONE)
    assert (reply.status, reply.json()["data"][0]["nama"]) == (200, "Orang 7")
    assert reply.headers["cache-control"] == "no-store"
    (end,) = ends_of(reply.headers["x-request-id"])
    assert end["by"] == ["kons", "app", row.public, row.pk]
    assert plain[13:] not in str(end)


@pytest.mark.parametrize(
    "components",
    [
        ("@method", "@target-uri"), ("@method", "@request-target"), ("@query", "@path", "@method"),
        ("@method", "@authority", "@scheme", "@path", "@query"),
    ],
)  # fmt: skip
def test_the_address_can_be_covered_in_several_ways(signer: Signer, components: tuple[str, ...]) -> None:
    assert signer.call(ONE, components=components).status == 200


def test_each_wire_takes_signed_requests(cast: Cast, signer: Signer) -> None:
    require_signing(cast)
    form = b"id=7"
    assert signer.call("/rest/prov/data/satu.json", "POST", form, FORM).json()["count"] == 1
    soap = envelope("satu", "<m:id>7</m:id>").encode()
    assert b"Orang 7" in signer.call("/soap/prov/data", "POST", soap, "text/xml; charset=utf-8").body
    assert signer.call("/json/prov/data/satu/id/7").json()["response"]["code"] == 200
    assert signer.call("/json/prov/data/satu", "POST", form, FORM).json()["response"]["code"] == 200
    assert signer.call("/rest/prov/data/satu.json?id=7", "HEAD").status == 200


def test_a_pass_through_operation_forwards_what_was_signed(cast: Cast, signer: Signer) -> None:
    with serve_upstream(Answer(b"{}")) as upstream:
        publish_proxy(cast, upstream.url)
        path = "/rest/prov/data/alias/a%2Fb?x=1"
        assert signer.call(path, "PUT", b'{"a":1}', "application/json").status == 200
        assert (upstream.last.path, upstream.last.body) == ("/a%2Fb?x=1", b'{"a":1}')
        headers = signer.headers(path, "PUT", b'{"a":1}', "application/json")
        refused(sent(headers, path, "PUT", b'{"a":2}'), faults.SIGNATURE_INVALID, "Content-Digest")
        assert len(upstream.received) == 1  # not a byte of the other body


def test_a_chunked_body_is_compared_before_it_is_forwarded(cast: Cast, signer: Signer) -> None:
    with serve_upstream(Answer(b"{}")) as upstream:
        publish_proxy(cast, upstream.url)
        path, chunked = "/rest/prov/data/alias/a", {"HTTP_TRANSFER_ENCODING": "chunked"}
        headers = signer.headers(path, "POST", b"satu", "text/plain")
        assert call(path, "POST", changed={**chunked, "wsgi.input": io.BytesIO(b"satu")}, **headers).status == 200  # type: ignore[dict-item]
        headers = signer.headers(path, "POST", b"satu", "text/plain")
        reply = call(path, "POST", changed={**chunked, "wsgi.input": io.BytesIO(b"satu!")}, **headers)  # type: ignore[dict-item]
        refused(reply, faults.SIGNATURE_INVALID)
        assert [each.body for each in upstream.received] == [b"satu"]


def test_a_forwarded_body_is_bounded(cast: Cast, signer: Signer, settings: Any) -> None:
    settings.MAX_BODY_BYTES = 10
    with serve_upstream(Answer(b"{}")) as upstream:
        publish_proxy(cast, upstream.url)
        path = "/rest/prov/data/alias/a"
        refused(signer.call(path, "POST", b"x" * 11, "text/plain"), faults.BODY_TOO_LARGE)
        assert upstream.received == []


def test_an_unsigned_request_is_refused_where_signing_is_required(cast: Cast, signer: Signer) -> None:
    assert cast.get("satu.json", "id=7").status == 200
    require_signing(cast)
    refused(cast.get("satu.json", "id=7", accept_language="en"), faults.SIGNATURE_MISSING)
    assert signer.call(ONE).status == 200


def test_an_open_operation_identifies_nobody_who_has_to_sign_and_does_not(cast: Cast, signer: Signer) -> None:
    require_signing(cast)
    by_key = cast.get("terbuka.json")
    assert (by_key.status, "by" in ends_of(by_key.headers["x-request-id"])[0]) == (200, False)
    path = "/rest/prov/data/terbuka.json"
    headers = signer.headers(path)
    signed = sent(headers, path)
    assert ends_of(signed.headers["x-request-id"])[0]["by"][2] == signer.keyid
    for changed in (headers, signer.headers(path, secret="x" * 40), signer.headers(path, created=1)):
        anybody = sent(changed, path)  # a replay, a forged one, an old one
        assert (anybody.status, "by" in ends_of(anybody.headers["x-request-id"])[0]) == (200, False)


def test_a_signing_key_is_no_access_key(cast: Cast, signer: Signer) -> None:
    refused(cast.get("satu.json", "id=7", accesskey=signer.secret), faults.KEY_UNKNOWN)
    refused(cast.get("satu.json", "id=7", accesskey=signer.keyid), faults.KEY_UNKNOWN)
    # Nor does an access key sign, whose digest is the name of its place in the snapshot.
    digest_of_key = cast.key_row.digest
    refused(sent(Signer(cast.key).headers(ONE, keyid=f"mts_{digest_of_key}")), faults.KEY_UNKNOWN)


# ------------------------------------------------------------------------------------------ attacks


def test_a_request_that_was_seen_is_refused(cast: Cast, signer: Signer) -> None:
    headers = signer.headers(ONE)
    assert sent(headers).status == 200
    refused(sent(headers), faults.SIGNATURE_REPLAYED)
    (end,) = ends_of(sent(headers).headers["x-request-id"])
    assert end["by"][2] == signer.keyid  # only its owner can have signed it


def test_a_nonce_counts_for_its_key_whatever_else_differs(cast: Cast, signer: Signer) -> None:
    now = int(time.time())
    assert sent(signer.headers(ONE, nonce="sama-sama", created=now)).status == 200
    other = "/rest/prov/data/satu.json?id=8"
    refused(sent(signer.headers(other, nonce="sama-sama", created=now - 7), other), faults.SIGNATURE_REPLAYED)
    second = Signer(signing_key(cast.application)[1])
    assert sent(second.headers(ONE, nonce="sama-sama")).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/rest/prov/data/satu.json?id=8", "/rest/prov/data/satu.json?id=7&id=8", "/rest/prov/data/satu.json?id=%37",
        "/rest/prov/data/Satu.json?id=7", "/rest/prov/data/satu.xml?id=7", "/rest/prov/data/satu.json?id=7&",
        "/rest/prov/data/s%61tu.json?id=7", "//rest/prov/data/satu.json?id=7", "/rest/prov/data/satu.json",
    ],
)  # fmt: skip
@pytest.mark.parametrize("components", [("@method", "@path", "@query"), ("@method", "@target-uri")])
def test_no_other_address_goes_by_the_signature(signer: Signer, path: str, components: tuple[str, ...]) -> None:
    headers = {**signer.headers(ONE, components=components), "accept": "application/json", "accept_language": "en"}
    reply = call(path, **headers)
    assert reply.status == 401
    assert b"11412" in reply.body


def test_the_order_of_a_query_is_signed_too(cast: Cast, signer: Signer) -> None:
    headers = signer.headers("/rest/prov/data/cari.json?nama=O%25&unit=Unit+1")
    reply = sent(headers, "/rest/prov/data/cari.json?unit=Unit+1&nama=O%25")
    refused(reply, faults.SIGNATURE_INVALID)


def test_no_other_method_goes_by_the_signature(signer: Signer) -> None:
    refused(sent(signer.headers(ONE), method="POST"), faults.SIGNATURE_INVALID, "@method")


@pytest.mark.parametrize("wire", ["rest", "soap", "legacy"])
def test_no_other_body_goes_by_the_signature(cast: Cast, signer: Signer, wire: str) -> None:
    paths = {"rest": "/rest/prov/data/satu.json", "soap": "/soap/prov/data", "legacy": "/json/prov/data/satu"}
    bodies = dict.fromkeys(("rest", "legacy"), (b"id=7", b"id=8", FORM))
    soap = [envelope("satu", f"<m:id>{number}</m:id>").encode() for number in (7, 8)]
    body, other, media_type = bodies.get(wire, (soap[0], soap[1], "text/xml"))
    path = paths[wire]
    with_other_body = call(path, "POST", other, **signer.headers(path, "POST", body, media_type))
    assert b"11412" in with_other_body.body
    # With the digest of the other body, the signature does not fit.
    headers = signer.headers(path, "POST", body, media_type) | {"content_digest": digest(other)}
    assert b"11412" in call(path, "POST", other, **headers).body
    # Two digests: one for the eye, one for the body.
    headers["content_digest"] = f"{digest(other)}, {digest(body)}"
    assert b"11412" in call(path, "POST", other, **headers).body
    assert b"Orang" not in with_other_body.body


@pytest.mark.parametrize(
    ("components", "lacking"),
    [
        (("@path", "@query"), "@method"), (("@method", "@path"), "@target-uri"), (("@method", "@query"), "@target-uri"),
        (("@method",), "@target-uri"), ((), "@method"), (("@method", "@authority"), "@target-uri"),
    ],
)  # fmt: skip
def test_what_decides_the_request_must_be_covered(signer: Signer, components: tuple[str, ...], lacking: str) -> None:
    refused(sent(signer.headers(ONE, components=components)), faults.SIGNATURE_INVALID, lacking)


@pytest.mark.parametrize(
    ("components", "lacking"),
    [
        (("@method", "@target-uri"), "content-digest"), (("@method", "@target-uri", "content-digest"), "content-type"),
        (("@method", "@target-uri", "content-type"), "content-digest"),
    ],
)  # fmt: skip
def test_a_body_must_be_covered_with_its_type(signer: Signer, components: tuple[str, ...], lacking: str) -> None:
    path = "/rest/prov/data/satu.json"
    headers = signer.headers(path, "POST", b"id=7", FORM, components=components)
    refused(sent(headers, path, "POST", b"id=7"), faults.SIGNATURE_INVALID, lacking)


def test_a_body_cannot_be_added_or_encoded_anew(signer: Signer) -> None:
    path = "/rest/prov/data/satu.json"
    reply = sent(signer.headers(path, "POST"), path, "POST", b"id=7", content_type=FORM)
    refused(reply, faults.SIGNATURE_INVALID, "content-digest")
    headers = signer.headers(path, "POST", b"id=7", FORM)
    refused(sent(headers, path, "POST", b"id=7", content_encoding="gzip"), faults.SIGNATURE_INVALID, "content-encoding")


def test_a_covered_header_is_there_once(signer: Signer) -> None:
    components = ("@method", "@target-uri", "x-tujuan")
    headers = signer.headers(ONE, components=components, values={"x-tujuan": "a"})
    assert sent(headers, x_tujuan="a").status == 200
    for value in ("b", "a,a", "a, b"):
        headers = signer.headers(ONE, components=components, values={"x-tujuan": "a"})
        refused(sent(headers, x_tujuan=value), faults.SIGNATURE_INVALID)
    refused(sent(signer.headers(ONE, components=components)), faults.SIGNATURE_INVALID, "x-tujuan")


@pytest.mark.parametrize("algorithm", ["ed25519", "none", "rsa-v1_5-sha256", "HMAC-SHA256", "hmac-sha512", ""])
def test_a_key_has_one_algorithm(signer: Signer, algorithm: str) -> None:
    assert signer.call(ONE, alg="hmac-sha256").status == 200
    refused(sent(signer.headers(ONE, alg=algorithm)), faults.SIGNATURE_INVALID, "alg")


def test_a_response_key_signs_no_request(signer: Signer) -> None:
    """Alg confusion: the public half of the bus's key as the secret of an HMAC."""
    keys = call("/.well-known/mantra/response-keys").json()["keys"]
    headers = signer.headers(ONE, keyid=keys[0]["kid"], secret=keys[0]["x"])
    refused(sent(headers), faults.KEY_MISSING)
    refused(sent(signer.headers(ONE, keyid=signer.keyid, secret=keys[0]["x"])), faults.SIGNATURE_INVALID)


@pytest.mark.parametrize("shift", [-WINDOW_SECONDS - 5, WINDOW_SECONDS + 5, -(10**9), 10**12])
def test_a_signature_of_another_time_is_refused(signer: Signer, shift: int) -> None:
    reply = sent(signer.headers(ONE, created=int(time.time()) + shift))
    refused(reply, faults.SIGNATURE_STALE, time.strftime("%Y-%m-%d", time.gmtime()))


def test_a_signature_ends_when_its_signer_says(signer: Signer) -> None:
    now = int(time.time())
    assert signer.call(ONE, expires=now + 60).status == 200
    refused(sent(signer.headers(ONE, expires=now - 1)), faults.SIGNATURE_STALE)


@pytest.mark.parametrize(("seconds", "fresh"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)])
def test_the_window_is_five_minutes_by_the_clock_that_is_given(
    cast: Cast, signer: Signer, seconds: int, fresh: bool
) -> None:
    headers = signer.headers(ONE, created=1_000_000)
    environ = {
        "REQUEST_METHOD": "GET", "RAW_URI": ONE, "QUERY_STRING": "id=7", "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "wsgi.url_scheme": "http", "HTTP_SIGNATURE_INPUT": headers["signature_input"],
        "HTTP_SIGNATURE": headers["signature"],
    }  # fmt: skip
    exchange, made = Exchange(environ), fitness_call()
    if fresh:
        key = exchange.key(made, 1_000_000 + seconds)
        assert key is not None
        assert key.public == signer.keyid
    else:
        with pytest.raises(Fault) as caught:
            exchange.key(made, 1_000_000 + seconds)
        assert caught.value.code == faults.SIGNATURE_STALE.code


def fitness_call() -> Any:
    from registry.calls import Call

    return Call("rest", "GET", "127.0.0.1", "0" * 32, "json", lambda call: [])


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"created": None}, "created"), ({"created": "kini"}, "created"), ({"nonce": None}, "nonce"),
        ({"nonce": "pendek"}, "nonce"), ({"nonce": "x" * 129}, "nonce"), ({"nonce": 12345678}, "nonce"),
        ({"expires": "besok"}, "expires"),
    ],
)  # fmt: skip
def test_each_signature_has_a_time_and_a_nonce(signer: Signer, parameters: dict[str, Any], word: str) -> None:
    refused(sent(signer.headers(ONE, **parameters)), faults.SIGNATURE_INVALID, word)


def test_a_signature_of_another_secret_is_refused_and_takes_no_nonce(cast: Cast, signer: Signer) -> None:
    forged = signer.headers(ONE, nonce="milik-pemilik", secret="x" * 40)
    reply = sent(forged)
    refused(reply, faults.SIGNATURE_INVALID)
    assert "by" not in ends_of(reply.headers["x-request-id"])[0]
    assert sent(signer.headers(ONE, nonce="milik-pemilik")).status == 200


def test_headers_are_bounded_and_strict(signer: Signer) -> None:
    good = signer.headers(ONE)
    for changed in (
        {"signature_input": good["signature_input"] + ";x=" + '"' + "x" * 9000 + '"'},
        {"signature_input": ", ".join(f"s{n}=()" for n in range(9))},
        {"signature_input": "sig1=(" + '"@method" ' * 40 + ')'},
        {"signature_input": "sig1"}, {"signature_input": "((("}, {"signature": ""}, {"signature": "sig2=:AAAA:"},
        {"signature": 'sig1="teks"'}, {"signature": good["signature"] + ", " + good["signature"]},
        {"signature_input": good["signature_input"] + ", " + good["signature_input"]},
    ):  # fmt: skip
        reply = sent({**good, **changed})
        assert (reply.status, reply.json()["code"]) in ((401, 11412), (401, 10001)), changed
    assert sent(good).status == 200  # none of them took the nonce


def test_one_signature_of_the_bus_is_looked_at_and_those_of_others_are_not(cast: Cast, signer: Signer) -> None:
    one, two = signer.headers(ONE, label="satu"), signer.headers(ONE, label="dua")
    both = {name: f"{one[name]}, {two[name]}" for name in one}
    refused(sent(both), faults.SIGNATURE_INVALID)
    foreign = {"signature_input": 'lain=("@status");keyid="https://lain"', "signature": "lain=:AAAA:"}
    assert sent({name: f"{foreign[name]}, {one[name]}" for name in one}).status == 200
    assert cast.get("satu.json", "id=7", **foreign).status == 200
    refused(sent(foreign), faults.KEY_MISSING)


def test_a_wrong_signature_is_refused_though_an_access_key_is_there(cast: Cast, signer: Signer) -> None:
    headers = signer.headers(ONE, secret="y" * 40)
    refused(sent(headers, accesskey=cast.key), faults.SIGNATURE_INVALID)


# --------------------------------------------------------------------------------------------- keys


def test_a_key_ends_by_revocation_expiry_and_network(cast: Cast) -> None:
    row, plain = signing_key(cast.application, networks="10.1.0.0/16")
    signer = Signer(plain)
    refused(sent(signer.headers(ONE)), faults.KEY_NETWORK)
    assert sent(signer.headers(ONE), address="10.1.2.3").status == 200
    row.expires_at = timezone.now() + timedelta(seconds=5)
    row.save()
    AccessKey.objects.filter(pk=row.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    holder.refresh()
    row.revoke()
    holder.refresh()
    refused(sent(signer.headers(ONE), address="10.1.2.3"), faults.KEY_UNKNOWN)


def test_a_key_keeps_its_use_and_is_no_part_of_an_address(cast: Cast) -> None:
    row, _plain = signing_key(cast.application)
    row.in_path = True
    with pytest.raises(ValidationError):
        row.full_clean()
    row.in_path, row.kind = False, AccessKey.Kind.ACCESS
    with pytest.raises(ValidationError):
        row.full_clean()
    cast.key_row.kind = AccessKey.Kind.SIGNING
    with pytest.raises(ValidationError):
        cast.key_row.full_clean()


def test_two_keys_of_each_use_may_be_active(cast: Cast) -> None:
    AccessKey.issue(cast.application)
    first, _plain = signing_key(cast.application)
    signing_key(cast.application)
    for kind in AccessKey.Kind:
        with pytest.raises(ValidationError):
            AccessKey.issue(cast.application, kind=kind)
    first.revoke()
    signing_key(cast.application)


def test_the_secret_is_encrypted_and_a_key_that_nothing_opens_signs_nothing(cast: Cast, settings: Any) -> None:
    from cryptography.fernet import Fernet
    from django.db import connection

    row, plain = signing_key(cast.application)
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret, digest, public FROM registry_accesskey WHERE id = %s", [row.pk])
        assert plain[13:-6] not in str(cursor.fetchone())
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]
    AccessKey.objects.filter(pk=row.pk).first().save()  # type: ignore[union-attr]
    holder.refresh()
    refused(sent(Signer(plain).headers(ONE)), faults.KEY_UNKNOWN)
    assert cast.get("satu.json", "id=7").status == 200


# ------------------------------------------------------------------------------------- other doors


def test_a_job_is_started_by_a_signed_file(cast: Cast, signer: Signer, settings: Any, tmp_path: Any) -> None:
    from mantra.jobs.models import Job

    settings.JOB_DIR = tmp_path / "jobs"
    require_signing(cast)
    path, body = "/rest/prov/data/satu/jobs", b"id\n7\n8\n"
    refused(call(path, "POST", body, accesskey=cast.key, content_type="text/csv"), faults.SIGNATURE_MISSING)
    reply = signer.call(path, "POST", body, "text/csv")
    assert (reply.status, Job.objects.get().key_public) == (202, signer.keyid)
    headers = signer.headers(path, "POST", body, "text/csv")
    refused(sent(headers, path, "POST", b"id\n7\n9\n"), faults.SIGNATURE_INVALID)
    assert Job.objects.count() == 1


def test_nginx_makes_no_signed_calls(cast: Cast, signer: Signer) -> None:
    made = fitness_call()
    with serve_upstream(Answer(b"{}")) as upstream:
        operation = publish_proxy(cast, upstream.url)
        snapshot = holder.current()
        assert snapshot is not None
        made.operation = snapshot.operation("prov", "data", operation.code)
        made.key, made.grant = snapshot.key(cast.key), snapshot.grants[(cast.application.pk, operation.pk)]
        assert fitness.why_not_this(made) == ""
        made.signature = Exchange({})
        assert fitness.why_not_this(made) == "signature"


# -------------------------------------------------------------------------------------------- bodies


def body_of(content: bytes, stated: bytes, length: bool = True) -> DigestedBody:
    environ = {digests.HEADER: digest(stated), "wsgi.input": io.BytesIO(content)}
    environ |= {"CONTENT_LENGTH": str(len(content))} if length else {"HTTP_TRANSFER_ENCODING": "chunked"}
    return DigestedBody(environ)


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("size", [-1, 1, 7, 70_000, 10**7])
def test_nobody_sees_the_end_of_a_body_that_differs(size: int, length: bool) -> None:
    content = bytes(range(256)) * 800
    right, parts = body_of(content, content, length), []
    while part := right.read(size):
        parts.append(part)
    assert b"".join(parts) == content
    wrong, seen = body_of(content, content[:-1] + b"x", length), 0
    with pytest.raises(Fault):
        seen = sum(map(len, iter(partial(wrong.read, size), b"")))
    with pytest.raises(Fault):  # nor whoever reads on
        wrong.read(size)
    assert seen == 0


def test_a_digest_must_be_one_that_is_known() -> None:
    for text in ("md5=:AAAA:", "sha-256=1", "", "sha-256", "sha-256=:AAAA:, sha-256=:BBBB:", "x" * 9000):
        with pytest.raises(Fault):
            DigestedBody({digests.HEADER: text, "wsgi.input": io.BytesIO()})


def test_the_fault_has_no_secret(cast: Cast, signer: Signer) -> None:
    reply = sent(signer.headers(ONE, secret="z" * 40))
    assert signer.secret[13:] not in json.dumps(reply.json())
