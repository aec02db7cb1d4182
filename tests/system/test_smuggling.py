"""Requests that two servers could read differently: nginx as shipped with the fast lane, gunicorn, and an upstream.

Whatever the first of them makes of an attack, a request that the attack carries in its body must not reach the
upstream as one of its own, and whoever calls next must get an answer to what was asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.proxy.upstream import Answer, Upstream, serve_upstream
from tests.servers.bus import Bus
from tests.servers.composed import Composed
from tests.servers.nginx import Nginx
from tests.servers.wire import exchange

#: Seconds for which an attacker waits for more bytes; a server that waits for the rest of a request says nothing.
PATIENCE = 0.4
VICTIMS = 4

ALIAS = "/rest/prov/data/alias"


@dataclass
class Row:
    """The servers in a row, and how each of them is reached."""

    upstream: Upstream
    bus: Bus
    nginx: Nginx
    composed: Composed

    def port(self, door: str) -> int:
        return self.nginx.port if door == "nginx" else self.bus.port


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Row]:
    with serve_upstream(lambda received: Answer(received.path.encode(), "text/plain")) as upstream:
        upstreams = [{"url": upstream.url, "credential_kind": "none"}]
        operation = {"code": "alias", "style": "pass-through", "upstreams": upstreams}
        with Composed(tmp_path_factory.mktemp("selundup"), [operation]) as composed:
            yield Row(upstream, composed.bus, composed.nginx, composed)


def statuses(said: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", said)]


def inner(key: str) -> bytes:
    """The request that an attack carries; it has a key that opens the operation."""
    return f"GET {ALIAS}/selundup HTTP/1.1\r\nHost: x\r\nAccessKey: {key}\r\n\r\n".encode()


def attack(key: str, fields: bytes, body: bytes, line: bytes = b"POST %s/serang HTTP/1.1") -> bytes:
    head = line.replace(b"%s", ALIAS.encode())
    return b"%b\r\nHost: x\r\nAccessKey: %b\r\n%b\r\n\r\n%b" % (head, key.encode(), fields, body)


def attacks(key: str) -> dict[str, bytes]:
    """By name. Each pretends that ``inner`` is a body for one server, and a request for another."""
    held = inner(key)
    size = len(held)
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (size, held)
    ended = b"0\r\n\r\n" + held
    length = b"Content-Length: %d"
    coded = b"Transfer-Encoding: chunked"

    def both(coding: bytes, body: bytes = ended) -> bytes:
        return attack(key, length % len(body) + b"\r\n" + coding, body)

    return {
        "CL.TE": both(coded),
        "TE.CL": attack(key, coded + b"\r\nContent-Length: 4", chunk),
        "CL.0": attack(key, length % size, held, b"GET %s/serang HTTP/1.1"),
        "TE.TE: two codings": both(coded + b"\r\nTransfer-Encoding: identity"),
        "TE.TE: chunked twice": both(coded + b"\r\n" + coded),
        "TE.TE: an unknown one": both(b"Transfer-Encoding: xchunked"),
        "TE.TE: a list": both(b"Transfer-Encoding: identity, chunked"),
        "TE.TE: chunked first": both(b"Transfer-Encoding: chunked, identity"),
        "TE.TE: a tab": both(b"Transfer-Encoding:\tchunked"),
        "TE.TE: vertical tab": both(b"Transfer-Encoding:\x0bchunked"),
        "TE.TE: capitals": both(b"tRANSFER-eNCODING: cHUNKED"),
        "TE.TE: quoted": both(b'Transfer-Encoding: "chunked"'),
        "TE.TE: a parameter": both(b"Transfer-Encoding: chunked;q=1"),
        "TE.TE: a NUL": both(b"Transfer-Encoding: chunked\x00"),
        "TE.TE: an underscore": both(b"Transfer_Encoding: chunked"),
        "a space before the colon": both(b"Transfer-Encoding : chunked"),
        "a tab before the colon": both(b"Transfer-Encoding\t: chunked"),
        "a space before the name": both(b" Transfer-Encoding: chunked"),
        "obs-fold": both(b"Transfer-Encoding:\r\n chunked"),
        "obs-fold of a length": attack(key, b"Content-Length: 0\r\n %d" % size, held),
        "obs-fold hides a coding": both(b"X-Lain: satu\r\n\tTransfer-Encoding: chunked"),
        "a bare LF": both(b"X-Lain: satu\nTransfer-Encoding: chunked"),
        "a bare CR": both(b"X-Lain: satu\rTransfer-Encoding: chunked"),
        "bare LFs all over": both(coded).replace(b"\r\n", b"\n"),
        "two lengths": attack(key, b"Content-Length: 0\r\n" + length % size, held),
        "two lengths, the other way": attack(key, length % size + b"\r\nContent-Length: 0", held),
        "lengths in a list": attack(key, length % size + b", 0", held),
        "a length with a plus": attack(key, b"Content-Length: +%d" % size, held),
        "a length that is negative": attack(key, b"Content-Length: -1", held),
        "a length in hex": attack(key, b"Content-Length: 0x%x" % size, held),
        "a length with an underscore": attack(key, b"Content-Length: 1_0", held),
        "a length without digits": attack(key, b"Content-Length:", held),
        "a length beyond 64 bits": attack(key, b"Content-Length: 18446744073709551616", held),
        "a space in the length": attack(key, b"Content-Length: 0 %d" % size, held),
        "a chunk's size with 0x": attack(key, coded, b"0x0\r\n\r\n" + held),
        "a chunk's size with a sign": attack(key, coded, b"-0\r\n\r\n" + held),
        "a chunk's size beyond 64 bits": attack(key, coded, b"10000000000000000\r\n" + held),
        "a chunk longer than it says": attack(key, coded, b"1\r\nab\r\n0\r\n\r\n" + held),
        "a chunk extension with LF": attack(key, coded, b"%x;a\n%b\r\n0\r\n\r\n" % (size + 3, b"x\r\n" + held)),
        "a chunk extension": attack(key, coded, b"%x;x=y\r\n%b\r\n0\r\n\r\n" % (size, held)),
        "a chunk's end with LF": attack(key, coded, b"%x\n%b\n0\n\n" % (size, held)),
        "trailers that frame": attack(key, coded, b"1\r\na\r\n0\r\nContent-Length: %d\r\n\r\n" % size),
        "HTTP/1.0 with chunks": attack(key, coded, chunk, b"POST %s/serang HTTP/1.0"),
        "HTTP/1.0 with both": attack(key, coded + b"\r\n" + length % size, held, b"POST %s/serang HTTP/1.0"),
        "HTTP/0.9": f"GET {ALIAS}/serang\r\n".encode(),
        "HTTP/9.9": attack(key, length % size, held, b"POST %s/serang HTTP/9.9"),
        "an Upgrade": attack(key, b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" + length % size, held),
        "Connection names the length": attack(key, b"Connection: Content-Length\r\n" + length % size, held),
        "Expect": attack(key, b"Expect: 100-continue\r\n" + length % size, held),
        "a line break in the path": attack(key, length % size, held, b"POST %s/serang%%0d%%0aX: y HTTP/1.1"),
        "a space in the path": attack(key, length % size, held, b"POST %s/se rang HTTP/1.1"),
    }


def victims(row: Row, door: str, name: str) -> None:
    """Whoever calls next gets an answer to what was asked, on whichever kept connection it goes out."""
    for number in range(VICTIMS):
        path = f"{ALIAS}/korban{number}?dari={len(name)}"
        said = exchange(
            row.port(door),
            f"GET {path} HTTP/1.1\r\nHost: x\r\nAccessKey: {row.bus.key}\r\nConnection: close\r\n\r\n".encode(),
            10,
        )
        assert statuses(said) == [200], name
        assert said.endswith(f"\r\n/korban{number}?dari={len(name)}".encode()), name


@pytest.mark.parametrize("door", ["nginx", "gunicorn"])
@pytest.mark.parametrize("name", sorted(attacks("")))
def test_no_request_is_smuggled(row: Row, door: str, name: str) -> None:
    if door == "nginx":
        row.composed.fast("/alias/jalur")  # the attack meets an admission
    row.upstream.received.clear()
    said = exchange(row.port(door), attacks(row.bus.key)[name], PATIENCE)
    assert not [received.path for received in row.upstream.received if "selundup" in received.path]
    # What came after a request that was understood must not have been understood as another good one.
    assert [status for status in statuses(said) if status == 200] in ([], [200])
    assert b"/selundup" not in said
    victims(row, door, name)


@pytest.mark.parametrize("door", ["nginx", "gunicorn"])
def test_what_is_no_attack_goes_through(row: Row, door: str) -> None:
    """The set would prove nothing if such requests were refused for what they have in common."""
    row.upstream.received.clear()
    held = inner(row.bus.key)
    plain = attack(row.bus.key, b"Content-Length: %d" % len(held), held)
    chunked = attack(row.bus.key, b"Transfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (len(held), held))
    for data in (plain, chunked):
        assert statuses(exchange(row.port(door), data, PATIENCE, first=10)) == [200]
    assert [received.body for received in row.upstream.received] == [held, held]
    assert {received.path for received in row.upstream.received} == {"/serang"}


@pytest.mark.parametrize("door", ["nginx", "gunicorn"])
def test_pipelined_requests_are_answered_in_order(row: Row, door: str) -> None:
    """Several requests in one packet are several requests; the body of none becomes another's head."""
    key = row.bus.key
    body = inner(key)
    packet = b"".join(
        f"{method} {ALIAS}/urut{number} HTTP/1.1\r\nHost: x\r\nAccessKey: {key}\r\n{more}\r\n".encode() + held
        for number, (method, more, held) in enumerate(
            [
                ("GET", "", b""),
                ("POST", f"Content-Length: {len(body)}\r\n", body),
                ("DELETE", "", b""),
                ("POST", "Transfer-Encoding: chunked\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)),
                ("GET", "Connection: close\r\n", b""),
            ]
        )
    )
    said = exchange(row.port(door), packet, 10)
    assert statuses(said) == [200] * 5
    assert re.findall(rb"/urut\d", said) == [b"/urut%d" % number for number in range(5)]
    assert b"selundup" not in said


def test_what_nginx_forgives_is_the_same_for_all_behind_it(row: Row) -> None:
    """nginx takes "0 1" for the last chunk's size, so that what follows is the caller's next request, openly."""
    data = attack(row.bus.key, b"Transfer-Encoding: chunked", b"0 1\r\n\r\n" + inner(row.bus.key))
    row.upstream.received.clear()
    said = exchange(row.port("nginx"), data, PATIENCE, first=10)
    reached = [received.path.encode() for received in row.upstream.received]
    assert re.findall(rb"\r\n\r\n(/serang|/selundup)", said) == reached
    row.upstream.received.clear()
    assert statuses(exchange(row.port("gunicorn"), data, PATIENCE)) in ([], [400])
    assert not [received.path for received in row.upstream.received if "selundup" in received.path]
    victims(row, "nginx", "forgiven")


@pytest.mark.parametrize("door", ["nginx", "gunicorn"])
def test_an_absolute_address_names_no_other_host(row: Row, door: str) -> None:
    row.upstream.received.clear()
    target = f"http://lain.contoh{ALIAS}/mutlak"
    said = exchange(
        row.port(door),
        f"GET {target} HTTP/1.1\r\nHost: x\r\nAccessKey: {row.bus.key}\r\nConnection: close\r\n\r\n".encode(),
        10,
    )
    assert statuses(said) == [200]
    (received,) = row.upstream.received
    assert received.path == "/mutlak"
    assert received.header("Host") == f"127.0.0.1:{row.upstream.port}"


def test_the_journal_has_a_record_of_whatever_reached_the_bus(row: Row) -> None:
    """Nothing that an attack brought was answered without being written down."""
    folder = Path(row.bus.var) / "journal"
    lines = b"".join(path.read_bytes() for path in folder.glob("*.journal"))
    assert lines.count(b'"t":"begin"') == lines.count(b'"t":"end"') > 2 * VICTIMS
