"""What an upstream is shown, and tokens that are fetched from a server of the test's own."""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import pytest

from proxyservices.endpoints import credential_of
from proxyservices.models import Backend, ProxyOperation
from proxyservices.transport import credentials
from proxyservices.transport.credentials import CredentialError
from proxyservices.transport.errors import UpstreamError
from tests.bounds import assert_within
from tests.clock import Clock, stopped_clock
from tests.servers.faulty import Asked, Peer, scripted_server
from tests.servers.process import wait_until


def upstream(kind: str, **more: Any) -> Backend:
    return Backend(credential_kind=kind, **more)


def shown(row: Backend) -> list[tuple[str, str]]:
    return credential_of(row).headers(time.monotonic() + 5)


def test_nothing() -> None:
    assert shown(upstream("none", credential="rahasia")) == []
    assert not credential_of(upstream("none")).renew_after_refusal()


def test_an_access_key() -> None:
    assert shown(upstream("access-key", credential="kunci")) == [("User-Agent", "MANTRA"), ("AccessKey", "kunci")]
    assert shown(upstream("access-key")) == [("User-Agent", "MANTRA")]
    unshown = credential_of(upstream("access-key", credential="kunci"), ProxyOperation.Style.LEGACY_SOAP)
    assert unshown.headers(time.monotonic() + 5) == [("User-Agent", "MANTRA")]


def test_a_header() -> None:
    assert shown(upstream("header", credential_name="X-Api-Key", credential="a b")) == [("X-Api-Key", "a b")]


def test_basic() -> None:
    ((name, value),) = shown(upstream("basic", credential_name="bkn", credential="räha:sia"))
    assert name == "Authorization"
    assert base64.b64decode(value.removeprefix("Basic ")).decode() == "bkn:räha:sia"


def test_bearer() -> None:
    assert shown(upstream("bearer", credential="abc")) == [("Authorization", "Bearer abc")]


@pytest.mark.parametrize("secret", ["a\r\nX: y", "a\nb", "a\0b", "\u0100"])
@pytest.mark.parametrize("kind", ["access-key", "header", "bearer"])
def test_what_no_header_can_hold(kind: str, secret: str) -> None:
    with pytest.raises(ValueError, match=r"^credential$"):
        credential_of(upstream(kind, credential_name="X-Key", credential=secret))


# --------------------------------------------------------------------------------------------- OAuth2


class TokenServer:
    """A small OAuth2 server for client credentials, over a real socket."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[Asked] = []
        self.given = 0
        self.life: Any = 3600
        #: Seconds before it answers, and what it waits for.
        self.delay = 0.0
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.requests = 0
        #: Takes the secret in the form only.
        self.form_only = False
        #: Answers this in the place of a token.
        self.instead: tuple[int, bytes] | None = None
        self._lock = threading.Lock()

    def script(self, peer: Peer) -> None:
        while asked := peer.request():
            self.requests += 1
            time.sleep(self.delay)
            self.may_answer.wait(10)
            status, body = self.instead or self._answer(asked)
            peer.send(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))

    def _answer(self, asked: Asked) -> tuple[int, bytes]:
        form = parse_qs(asked.body.decode())
        who = (form.get("client_id", [""])[0], form.get("client_secret", [""])[0])
        if not self.form_only and (basic := asked.header("Authorization")):
            name, _, secret = base64.b64decode(basic[0].removeprefix("Basic ")).decode().partition(":")
            who = unquote_plus(name), unquote_plus(secret)
        with self._lock:
            self.asked.append(asked)
            if who != ("klien:1", "rahasia & ö") or form["grant_type"] != ["client_credentials"]:
                return 401, b'{"error": "invalid_client"}'
            self.given += 1
            told = {"access_token": f"token{self.given}", "token_type": "Bearer", "expires_in": self.life}
        return 200, json.dumps({name: value for name, value in told.items() if value is not None}).encode()

    def row(self, **more: Any) -> Backend:
        told = {"credential_name": "klien:1", "credential": "rahasia & ö", "scope": "baca tulis", **more}
        return upstream("oauth2", token_url=f"http://127.0.0.1:{self.port}/token?a=b", **told)


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    server = TokenServer()
    with scripted_server(server.script) as listening:
        server.port = listening.port
        yield server


def within(seconds: float) -> float:
    return time.monotonic() + seconds


def test_a_token_is_fetched_once(tokens: TokenServer) -> None:
    credential = credential_of(tokens.row())
    assert [credential.headers(within(5)) for _ in range(3)] == [[("Authorization", "Bearer token1")]] * 3
    (asked,) = tokens.asked
    assert asked.line == "POST /token?a=b HTTP/1.1"
    assert asked.header("Content-Type") == ["application/x-www-form-urlencoded"]
    assert parse_qs(asked.body.decode()) == {"grant_type": ["client_credentials"], "scope": ["baca tulis"]}
    # Another upstream with the same grant, or a plan that was made anew, has the same token.
    again = credential_of(tokens.row())
    assert again.headers(within(5)) == [("Authorization", "Bearer token1")]
    other = credential_of(tokens.row(scope="lain"))
    assert other.headers(within(5)) == [("Authorization", "Bearer token2")]


def test_a_server_that_wants_the_secret_in_the_form(tokens: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "PAUSE", 0.0)
    tokens.form_only = True
    credential = credential_of(tokens.row())
    assert credential.headers(within(5)) == [("Authorization", "Bearer token1")]
    assert len(tokens.asked) == 2
    assert credential.renew_after_refusal()
    assert credential.headers(within(5)) == [("Authorization", "Bearer token2")]
    # It remembers.
    assert len(tokens.asked) == 3


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return stopped_clock(monkeypatch, credentials)


@pytest.mark.parametrize("life", [100, "100"])
def test_a_token_is_renewed_before_it_expires(tokens: TokenServer, clock: Clock, life: object) -> None:
    tokens.life = life
    credential = credential_of(tokens.row())
    credential.headers(within(5))
    clock.move(69)
    assert credential.headers(within(5)) == [("Authorization", "Bearer token1")]
    clock.move(1)
    assert credential.headers(within(5)) == [("Authorization", "Bearer token2")]


def test_a_token_without_a_life_is_kept_for_a_while(tokens: TokenServer) -> None:
    tokens.life = None
    credential = credential_of(tokens.row())
    assert [credential.headers(within(5)) for _ in range(2)] == [[("Authorization", "Bearer token1")]] * 2


def test_a_refused_token_is_fetched_anew(tokens: TokenServer, clock: Clock) -> None:
    credential = credential_of(tokens.row())
    assert not credential.renew_after_refusal()  # nothing was shown yet
    credential.headers(within(5))
    # Nobody's token goes bad as fast as that: another one would not help.
    assert not credential.renew_after_refusal()
    clock.move(credentials.PAUSE)
    assert credential.renew_after_refusal()
    assert credential.headers(within(5)) == [("Authorization", "Bearer token2")]
    assert tokens.given == 2


def test_a_refusal_drops_the_token_that_was_shown_and_no_newer_one(
    tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "PAUSE", 0.0)
    credential = credential_of(tokens.row())
    credential.headers(within(5))

    def another_call() -> None:
        credential.headers(within(5))
        assert credential.renew_after_refusal()
        credential.headers(within(5))

    thread = threading.Thread(target=another_call)
    thread.start()
    thread.join()
    assert tokens.given == 2
    assert credential.renew_after_refusal()
    assert credential.headers(within(5)) == [("Authorization", "Bearer token2")]
    assert tokens.given == 2


def test_many_calls_at_once_fetch_one_token(tokens: TokenServer) -> None:
    tokens.delay = 0.3
    credential = credential_of(tokens.row())
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(credential.headers(within(5)))) for _ in range(8)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[("Authorization", "Bearer token1")]] * 8
    assert_within(1.0, began)


def test_while_a_token_is_renewed_the_old_one_is_shown(tokens: TokenServer, clock: Clock) -> None:
    tokens.life = 100
    credential = credential_of(tokens.row())
    credential.headers(within(5))
    clock.move(75)
    tokens.may_answer.clear()
    renewing = threading.Thread(target=credential.headers, args=(within(10),))
    renewing.start()
    wait_until(lambda: tokens.requests == 2, 10, "the request for another token")
    assert credential.headers(within(5)) == [("Authorization", "Bearer token1")]
    assert renewing.is_alive()
    tokens.may_answer.set()
    renewing.join()
    assert credential.headers(within(5)) == [("Authorization", "Bearer token2")]


def test_an_old_token_outlives_a_server_that_is_down(tokens: TokenServer, clock: Clock) -> None:
    tokens.life = 100
    credential = credential_of(tokens.row())
    credential.headers(within(5))
    tokens.instead = 500, b""
    clock.move(75)
    assert credential.headers(within(5)) == [("Authorization", "Bearer token1")]
    clock.move(25)
    with pytest.raises(CredentialError):
        credential.headers(within(5))


def test_a_slow_server_costs_a_call_no_more_than_its_time(tokens: TokenServer) -> None:
    tokens.delay = 2.0
    credential = credential_of(tokens.row())
    failures: list[UpstreamError] = []

    def work() -> None:
        with pytest.raises(CredentialError) as caught:
            credential.headers(within(0.4))
        failures.append(caught.value)

    threads = [threading.Thread(target=work) for _ in range(5)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_within(1.0, began)
    assert [(failed.phase, failed.reason, failed.slow) for failed in failures] == [("first-byte", "slow", True)] * 5
    assert {failed.sent for failed in failures} == {False}


@pytest.mark.parametrize(
    "status, body, phase, reason",
    [
        (401, b'{"error": "invalid_client"}', "body", "refused"),
        (500, b"", "body", "refused"),
        (302, b"", "body", "refused"),
        (200, b"<html>", "parse", "token"),
        (200, b"[]", "parse", "token"),
        (200, b"{}", "parse", "token"),
        (200, b'{"access_token": 7}', "parse", "token"),
        (200, b'{"access_token": ""}', "parse", "token"),
        (200, b'{"access_token": "a\\r\\nX: y"}', "parse", "token"),
        (200, b'{"access_token": "a b"}', "parse", "token"),
        (200, b'{"access_token": "a", "token_type": "mac"}', "parse", "token"),
        (200, b'{"access_token": "a", "expires_in": "soon"}', "parse", "token"),
        (200, b'{"access_token": "a", "expires_in": -1}', "parse", "token"),
        (200, b'{"access_token": "' + b"a" * 70_000 + b'"}', "body", "too-large"),
    ],
)
def test_a_server_that_gives_no_token(
    tokens: TokenServer, status: int, body: bytes, phase: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens.instead = status, body
    credential = credential_of(tokens.row())
    with pytest.raises(CredentialError) as caught:
        credential.headers(within(5))
    assert (caught.value.phase, caught.value.reason) == (phase, reason)
    # Nothing of the upstream's own call has gone out.
    assert not caught.value.sent
    assert "rahasia" not in caplog.text + repr(caught.value) + repr(vars(credential._store))  # type: ignore[attr-defined]


def test_a_server_that_gives_none_is_not_asked_by_every_call(tokens: TokenServer) -> None:
    tokens.form_only, tokens.life = True, 1
    credential = credential_of(tokens.row(credential="salah"))
    for _ in range(10):
        with pytest.raises(CredentialError):
            credential.headers(within(5))
    # As basic authentication and in the form.
    assert len(tokens.asked) == 2


def test_a_server_that_is_away(refusing_port: int) -> None:
    credential = credential_of(
        upstream("oauth2", credential_name="a", credential="b", token_url=f"http://127.0.0.1:{refusing_port}/")
    )
    with pytest.raises(CredentialError) as caught:
        credential.headers(within(5))
    assert (caught.value.phase, caught.value.reason) == ("connect", "refused")


def test_the_token_server_lies_in_the_operators_networks(tokens: TokenServer, settings: Any) -> None:
    settings.UPSTREAM_NETWORKS = []
    with pytest.raises(CredentialError) as caught:
        credential_of(tokens.row()).headers(within(5))
    assert (caught.value.phase, caught.value.reason) == ("address", "forbidden")
    assert not tokens.asked


def test_an_address_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"^address$"):
        credential_of(upstream("oauth2", credential_name="a", credential="b", token_url="ftp://a/"))
