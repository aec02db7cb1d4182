"""B16: addresses in the headers of pass-through responses lead below the alias, not to the upstream."""

from __future__ import annotations

import pytest
from django.conf import settings

from proxyservices.forwarding.addresses import AddressMap
from tests.cast import Cast, call
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, serve_upstream

ALIAS = "/rest/prov/data/alias"
BASES = ("http://dalam.dinas.go.id:8080/app", "https://cadangan.dinas.go.id")
MAP = AddressMap(alias=ALIAS, bus="", bases=BASES, suffix="/f/redir")


@pytest.mark.parametrize(
    ("reference", "address"),
    [
        ("http://dalam.dinas.go.id:8080/app/masuk?x=1#y", f"{ALIAS}/masuk?x=1#y"),
        ("HTTP://Dalam.Dinas.go.id:8080/app", ALIAS),
        ("//dalam.dinas.go.id:8080/app/masuk", f"{ALIAS}/masuk"),
        ("https://cadangan.dinas.go.id/pegawai/7", f"{ALIAS}/pegawai/7"),
        ("https://cadangan.dinas.go.id:443/", f"{ALIAS}/"),
        ("/app/dalam/masuk", f"{ALIAS}/dalam/masuk"),
        ("masuk", f"{ALIAS}/f/masuk"),
        ("../masuk?a=b", f"{ALIAS}/masuk?a=b"),
        ("?halaman=2", f"{ALIAS}/f/redir?halaman=2"),
        ("", f"{ALIAS}/f/redir"),
        # At another endpoint's root:
        ("/lain", f"{ALIAS}/lain"),
        # Elsewhere:
        ("https://sso.go.id/masuk?next=http://dalam.dinas.go.id:8080/app", None),
        ("http://dalam.dinas.go.id/app/x", None),
        ("http://dalam.dinas.go.id:8080/aplikasi", None),
        ("http://dalam.dinas.go.id:8080/app/../rahasia", None),
        ("mailto:a@b.go.id", None),
        ("http://[", None),
        ("http://dalam.dinas.go.id:99999/", None),
    ],
)
def test_b16_addresses(reference: str, address: str | None) -> None:
    assert MAP.address(reference) == (reference if address is None else address)


def test_b16_what_is_not_below_the_upstreams_path_is_absolute() -> None:
    one = AddressMap(alias=ALIAS, bus="https://mantra.go.id", bases=BASES[:1], suffix="")
    assert one.address("/lain?x=1") == "http://dalam.dinas.go.id:8080/lain?x=1"
    assert one.address("/app/x") == f"https://mantra.go.id{ALIAS}/x"


def test_b16_links() -> None:
    value = '</app/x?p=2>; rel="next"; title="<b>, </app/y>", <https://lain.go.id/>; rel=up,<z>; rel=item'
    assert MAP.header("link", value) == (
        f'<{ALIAS}/x?p=2>; rel="next"; title="<b>, </app/y>", <https://lain.go.id/>; rel=up,<{ALIAS}/f/z>; rel=item'
    )


@pytest.mark.parametrize(
    ("cookie", "told"),
    [
        ("s=1; Path=/app; HttpOnly", f"s=1; HttpOnly; Path={ALIAS}"),
        ("s=1; path=/app/masuk/; Secure", f"s=1; Secure; Path={ALIAS}/masuk/"),
        ("s=1; Path=/", f"s=1; Path={ALIAS}"),
        ("s=1", f"s=1; Path={ALIAS}/f"),
        ("s=1; Domain=dalam.dinas.go.id; Path=/app", f"s=1; Path={ALIAS}"),
        ("s=1; Domain=.dinas.go.id; Path=/app", f"s=1; Path={ALIAS}"),
        ("s=1; Domain=lain.go.id; Path=/app", f"s=1; Domain=lain.go.id; Path={ALIAS}"),
        (
            "s=a=b; Expires=Wed, 09 Jun 2027 10:18:14 GMT",
            f"s=a=b; Expires=Wed, 09 Jun 2027 10:18:14 GMT; Path={ALIAS}/f",
        ),
        ("s=1; Path=/admin", None),
        ("s=1; Path=/aplikasi", None),
    ],
)
def test_b16_cookies(cookie: str, told: str | None) -> None:
    one = AddressMap(alias=ALIAS, bus="", bases=BASES[:1], suffix="/f/redir")
    assert one.header("set-cookie", cookie) == told


def test_b16_a_cookie_without_a_path_stays_with_the_alias() -> None:
    one = AddressMap(alias=ALIAS, bus="", bases=BASES[:1], suffix="")
    assert one.cookie("s=1") == f"s=1; Path={ALIAS}"


def test_b16_on_the_bus(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Answer(b"", "", 302)
    with serve_upstream(answer) as upstream:
        publish_proxy(
            cast, upstream.url + "/app/", path="v2", returned_response_headers="Location, Content-Location, Link",
            forward_credentials=True,
        )  # fmt: skip
        answer.headers = [
            ("Location", f"{upstream.url}/app/v2/masuk?x=1"),
            ("Content-Location", "7"),
            ("Link", "</app/v2/x>; rel=next"),
            ("Set-Cookie", "s=1; Path=/app"),
        ]
        reply = call(f"{ALIAS}/pegawai/", accesskey=cast.key, host="mantra.go.id")
        assert (reply.status, reply.headers["location"]) == (302, f"{ALIAS}/masuk?x=1")
        assert reply.headers["content-location"] == f"{ALIAS}/pegawai/7"
        assert reply.headers["link"] == f"<{ALIAS}/x>; rel=next"
        monkeypatch.setattr(settings, "BASE_URL", "https://mantra.go.id")
        reply = call(f"{ALIAS}/pegawai/", accesskey=cast.key)
        assert reply.headers["location"] == f"https://mantra.go.id{ALIAS}/masuk?x=1"


def test_b16_a_stored_response_too(cast: Cast) -> None:
    with serve_upstream(Answer(b"ya", "text/plain", 200, [("Content-Location", "/app/7")])) as upstream:
        publish_proxy(
            cast, upstream.url + "/app", cache_seconds=60, returned_response_headers="Content-Location"
        )  # fmt: skip
        replies = [call(f"{ALIAS}/x", accesskey=cast.key) for _time in range(2)]
        assert len(upstream.received) == 1
    assert [reply.headers["content-location"] for reply in replies] == [f"{ALIAS}/7"] * 2
