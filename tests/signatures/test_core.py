"""Structured fields and signature bases, against the examples of RFC 9421 and RFC 9651."""

from __future__ import annotations

import base64
import hmac
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from mantra.gateway.signatures.base import RequestParts, Uncovered, signature_base
from mantra.gateway.signatures.fields import (
    MAX_LENGTH,
    MAX_MEMBERS,
    InnerList,
    Item,
    Token,
    Unreadable,
    dictionary,
    written,
)

SECRET = base64.b64decode("uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==")
ED25519 = "MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF"
P256 = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lfw0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkD"
    "XZCnTNnoXQ=="
)


@pytest.fixture
def environ(settings: Any) -> dict[str, Any]:
    """The request of RFC 9421, appendix B.2, as a server hands it over."""
    settings.BASE_URL = "https://example.com"
    return {
        "REQUEST_METHOD": "POST", "RAW_URI": "/foo?param=Value&Pet=dog", "QUERY_STRING": "param=Value&Pet=dog",
        "HTTP_HOST": "example.com", "HTTP_DATE": "Tue, 20 Apr 2021 02:07:55 GMT", "CONTENT_TYPE": "application/json",
        "HTTP_CONTENT_DIGEST": "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmT"
        "HWXvJwew==:",
        "CONTENT_LENGTH": "18", "wsgi.url_scheme": "http",
    }  # fmt: skip


def covered(text: str) -> InnerList:
    (found,) = dictionary(text).values()
    assert isinstance(found, InnerList)
    return found


def base(environ: dict[str, Any], text: str) -> bytes:
    return signature_base(covered(text), RequestParts(environ).value)


def test_it_works_by_the_rfcs_hmac_vector(environ: dict[str, Any]) -> None:
    """Appendix B.2.5."""
    found = base(environ, 'sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"')
    value = hmac.digest(SECRET, found, "sha256")
    assert base64.b64encode(value).decode() == "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8="


def test_the_rfcs_ed25519_vector(environ: dict[str, Any]) -> None:
    """Appendix B.2.6."""
    text = (
        'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;'
        'keyid="test-key-ed25519"'
    )
    key = serialization.load_der_private_key(base64.b64decode(ED25519), None)
    assert isinstance(key, Ed25519PrivateKey)
    assert written(key.sign(base(environ, text))) == (
        ":wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:"
    )


def test_the_rfcs_response_that_belongs_to_its_request(environ: dict[str, Any]) -> None:
    """Section 2.4: a signature over components of the request, which somebody else made."""
    text = (
        'reqres=("@status" "content-digest" "content-type" "@authority";req "@method";req "@path";req '
        '"content-digest";req);created=1618884479;keyid="test-key-ecc-p256"'
    )
    response = {
        "@status": "503",
        "content-type": "application/json",
        "content-digest": "sha-512=:0Y6iCBzGg5rZtoXS95Ijz03mslf6KAMCloESHObfwnHJDbkkWWQz6PhhU9kxsTbARtY2PTBOzq24uJFpHsM"
        "uAg==:",
    }
    request = RequestParts(environ)

    def value(item: Item) -> str:
        return request.value(Item(item.value)) if item.parameters == {"req": True} else response[str(item.value)]

    signed = base64.b64decode(
        "dMT/A/76ehrdBTD/2Xx8QuKV6FoyzEP/I9hdzKN8LQJLNgzU4W767HK05rx1i8meNQQgQPgQp8wq2ive3tV5Ag=="
    )
    key = serialization.load_der_public_key(base64.b64decode(P256))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    pair = (int.from_bytes(signed[:32], "big"), int.from_bytes(signed[32:], "big"))
    key.verify(encode_dss_signature(*pair), signature_base(covered(text), value), ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("@method", "POST"), ("@path", "/foo"), ("@query", "?param=Value&Pet=dog"), ("@authority", "example.com"),
        ("@scheme", "https"), ("@request-target", "/foo?param=Value&Pet=dog"),
        ("@target-uri", "https://example.com/foo?param=Value&Pet=dog"),
    ],
)  # fmt: skip
def test_components_that_are_derived(environ: dict[str, Any], name: str, value: str) -> None:
    assert RequestParts(environ).value(Item(name)) == value


def test_an_address_without_a_query_has_the_mark_alone(environ: dict[str, Any]) -> None:
    environ |= {"RAW_URI": "/foo", "QUERY_STRING": ""}
    assert RequestParts(environ).value(Item("@query")) == "?"
    assert RequestParts(environ).value(Item("@target-uri")) == "https://example.com/foo"
    environ["RAW_URI"] = "/foo?"
    assert RequestParts(environ).value(Item("@target-uri")) == "https://example.com/foo?"


def test_the_path_is_the_one_that_was_sent(environ: dict[str, Any]) -> None:
    environ |= {"RAW_URI": "/rest/a%2Fb/%7Ec/../d?x", "PATH_INFO": "/rest/a/b/~c/../d"}
    assert RequestParts(environ).value(Item("@path")) == "/rest/a%2Fb/%7Ec/../d"


def test_the_authority_is_the_buss_own_whatever_the_caller_says(environ: dict[str, Any], settings: Any) -> None:
    settings.BASE_URL = "https://Bus.contoh.go.id:443"
    environ["HTTP_HOST"] = "lain.contoh.go.id"
    assert RequestParts(environ).value(Item("@authority")) == "bus.contoh.go.id"
    settings.BASE_URL = "https://bus.contoh.go.id:8443"
    assert RequestParts(environ).value(Item("@authority")) == "bus.contoh.go.id:8443"


@pytest.mark.parametrize(
    "item",
    [
        Item("x-lain"), Item("X-Date"), Item("content_type"), Item("@status"), Item("@query-param", {"name": "Pet"}),
        Item("date", {"sf": True}), Item("@method", {"req": True}), Item("@signature-params"), Item(7), Item("@lain"),
    ],
)  # fmt: skip
def test_a_component_that_is_not_there_has_no_value(environ: dict[str, Any], item: Item) -> None:
    with pytest.raises(Uncovered):
        signature_base(InnerList([item]), RequestParts(environ).value)


def test_a_component_stands_once_and_has_no_line_break(environ: dict[str, Any]) -> None:
    for text in ('a=("date" "date")', 'a=("x-dua")'):
        environ["HTTP_X_DUA"] = "satu\n@method: DELETE"
        with pytest.raises(Uncovered):
            base(environ, text)
    environ["HTTP_X_DUA"] = "é"
    with pytest.raises(Uncovered):
        base(environ, 'a=("x-dua")')


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1", 1), ("a=-999999999999999", -999999999999999), ('a="x \\" \\\\ y"', 'x " \\ y'), ("a=?0", False),
        ("a", True),
        ("a=:aGFsbw==:", b"halo"), ("a=::", b""), ("a=*tok/en:1", Token("*tok/en:1")),
    ],
)  # fmt: skip
def test_items_are_read_and_written_alike(text: str, value: Any) -> None:
    item = dictionary(text)["a"]
    assert isinstance(item, Item)
    assert (item.value, type(item.value)) == (value, type(value))
    assert ("a" if item.value is True else f"a={item}") == text


def test_inner_lists_are_written_as_the_rfc_serialises_them() -> None:
    found = dictionary('a=(  "x"   "y";p;q=?1;r="s"  );  created=1;  keyid="k" ,\tb=2')
    assert str(found["a"]) == '("x" "y";p;q;r="s");created=1;keyid="k"'
    assert str(found["b"]) == "2"
    assert dictionary("") == {}


@pytest.mark.parametrize(
    "text",
    [
        "a=1,", "a=1 b=2", ",a=1", "a=", "a=(", 'a=("x"', 'a=("x""y")', 'a="x', 'a="\\x"', "a=1.5",
        "a=1234567890123456",
        "a=:aGFsbw=:", "a=:aGFsbw==", "a=:aGFsbx==:", "a=?2", "a=?", "A=1", "a=1, a=2", 'a=("x");k=1;k=2', "a=é",
        "a=1\x00",
        "a=@1659578233", '"a"=1', "a=(1)2", "a=1;", "a=1;=2", "\ta=1",
    ],
)  # fmt: skip
def test_what_is_no_dictionary_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        dictionary(text)


def test_fields_are_bounded() -> None:
    assert len(dictionary(", ".join(f"a{n}=1" for n in range(MAX_MEMBERS)))) == MAX_MEMBERS
    for text in (
        ", ".join(f"a{n}=1" for n in range(MAX_MEMBERS + 1)),
        "a=(" + " ".join(f'"x{n}"' for n in range(33)) + ")",
        "a=1" + "".join(f";p{n}" for n in range(33)),
        f'a="{"x" * MAX_LENGTH}"',
        f"{'a' * 65}=1",
    ):
        with pytest.raises(Unreadable):
            dictionary(text)
