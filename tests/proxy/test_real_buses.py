"""Over gunicorn as deployed: bodies of any size both ways, streams, and a chain of two buses."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bounds import assert_grows_less, assert_short, assert_within
from tests.proxy.bus import bus
from tests.proxy.floods import PIECE, digest_of, flood
from tests.proxy.upstream import Answer, Upstream, serve_upstream
from tests.servers.bus import Bus
from tests.servers.wire import dribble, read_response

MIB = 1024 * 1024
AT_ONCE = 20


@pytest.fixture(scope="module")
def streaming(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    operation = {"code": "arus", "style": "pass-through", "max_body_bytes": 200 * MIB, "timeout_ms": 300_000}
    with (
        flood() as url,
        bus(
            tmp_path_factory.mktemp("arus") / "bus",
            [
                {**operation, **more, "upstreams": [{"url": url, "credential_kind": "none"}]}
                for more in ({}, {"code": "sempit", "timeout_ms": 1500})
            ],
            WEB_THREADS=str(2 * AT_ONCE + 2),
        ) as made,
    ):
        yield made


def down(made: Bus, path: str, size: int) -> None:
    """Fetch so many bytes and look whether they are the right ones."""
    digest = hashlib.blake2b()
    answer = made.request(f"/rest/prov/data/arus/{path}?size={size}", preload_content=False)
    assert answer.status == 200
    for piece in answer.stream(65536):
        digest.update(piece)
    assert digest.hexdigest() == digest_of(size)
    answer.release_conn()


def up(made: Bus, size: int, chunked: bool = False) -> None:
    """Send so many bytes; the upstream says what came."""
    connection = http.client.HTTPConnection(made.base.removeprefix("http://"), timeout=300)
    headers = {"AccessKey": made.key} | ({} if chunked else {"Content-Length": str(size)})
    pieces = (PIECE[: min(len(PIECE), size - at)] for at in range(0, size, len(PIECE)))
    connection.request("POST", "/rest/prov/data/arus/take", pieces, headers, encode_chunked=chunked)
    answer = connection.getresponse()
    assert (answer.status, answer.read().decode()) == (200, f"{size} {digest_of(size)}")
    connection.close()


@pytest.mark.parametrize("path", ["send", "chunked"])
def test_an_answer_comes_whole(streaming: Bus, path: str) -> None:
    down(streaming, path, 5 * MIB + 17)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_goes_whole(streaming: Bus, chunked: bool) -> None:
    up(streaming, 5 * MIB + 17, chunked)


def test_large_bodies_both_ways_at_flat_memory(streaming: Bus) -> None:
    """100 MiB each way, ten up and ten down at once."""
    for _ in range(2):
        down(streaming, "send", MIB)
        up(streaming, MIB)
    assert_grows_less(32, lambda: growth_under_load(streaming))


def growth_under_load(streaming: Bus) -> float:
    """MiB that the bus takes more while it hands these bodies on."""
    before = streaming.memory()
    most, done, failed = [before], threading.Event(), []

    def watch() -> None:
        while not done.wait(0.1):
            most.append(streaming.memory())

    def guarded(work: object, *given: object) -> None:
        try:
            work(*given)  # type: ignore[operator]
        except Exception as error:
            failed.append(error)

    watcher = threading.Thread(target=watch)
    watcher.start()
    works = [threading.Thread(target=guarded, args=(down, streaming, "send", 100 * MIB)) for _ in range(AT_ONCE // 2)]
    works += [threading.Thread(target=guarded, args=(up, streaming, 100 * MIB)) for _ in range(AT_ONCE // 2)]
    for work in works:
        work.start()
    for work in works:
        work.join()
    done.set()
    watcher.join()
    assert failed == []
    return (max(most) - before) / 1024


def test_each_piece_leaves_as_it_comes(streaming: Bus) -> None:
    answer = streaming.request("/rest/prov/data/arus/drip?times=4", preload_content=False)
    assert answer.headers["Content-Type"] == "text/event-stream"
    late = [time.time() - float(piece.split()[2]) for piece in answer.read_chunked()]
    assert len(late) == 4
    assert_short(max(late), 0.2)


def test_a_caller_who_leaves_frees_the_upstream(streaming: Bus) -> None:
    for _ in range(2 * AT_ONCE):
        answer = streaming.request("/rest/prov/data/arus/send?size=50000000", preload_content=False)
        answer.read(1000)
        answer.close()
    time.sleep(0.5)
    down(streaming, "send", MIB)


def test_a_caller_who_dribbles_is_given_up_at_the_time_cap(streaming: Bus) -> None:
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", streaming.port), timeout=20) as caller:
        head = f"POST /rest/prov/data/sempit/take HTTP/1.1\r\nHost: x\r\nAccessKey: {streaming.key}\r\n"
        caller.sendall(head.encode() + b"Content-Length: 900000\r\n\r\n")
        dribble(caller, seconds=20)
        status, body = read_response(caller, "POST")
    assert status == 400
    assert json.loads(body)["code"] == 11105
    assert_within(4, began)


# -------------------------------------------------------------------------------------------- chain


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bus, Bus, Upstream]]:
    """Two buses, one behind the other, with the same operation in every style."""
    folder = tmp_path_factory.mktemp("rantai")
    rows = b'[{"nip":"a/b c","nama":"Ani"}]'
    with serve_upstream(lambda received: Answer(rows)) as source:
        end = [
            {"code": "utuh", "style": "pass-through", "upstreams": [{"url": source.url, "credential_kind": "none"}]},
            {
                "code": "asal", "style": "rest", "path": "/cari", "parameters": ["nip", "unit"],
                "upstreams": [{"url": source.url, "credential_kind": "none"}],
            },
        ]  # fmt: skip
        with bus(folder / "jauh", end) as far:
            key = {"credential_kind": "access-key", "credential": far.key}
            legacy = [
                {
                    "code": f"lama-{style}", "style": f"legacy-{style}", "path": "asal", "parameters": ["nip", "unit"],
                    "upstreams": [{"url": f"{far.base}/mantra/json/prov/data", **key}],
                }
                for style in ("rest", "restfull", "restfullpar", "get", "post")
            ]  # fmt: skip
            begin = [
                *legacy,
                {"code": "utuh", "style": "pass-through",
                 "upstreams": [{"url": f"{far.base}/rest/prov/data/utuh", **key}]},
                {"code": "baru", "style": "rest", "path": "asal", "parameters": ["nip", "unit"],
                 "upstreams": [{"url": f"{far.base}/rest/prov/data", **key}]},
            ]  # fmt: skip
            with bus(folder / "dekat", begin) as near:
                yield near, far, source


@pytest.mark.parametrize("style", ["rest", "restfull", "restfullpar", "get", "post"])
@pytest.mark.parametrize("face", ["rest", "json"])
def test_a_chain_in_the_legacy_styles(chain: tuple[Bus, Bus, Upstream], style: str, face: str) -> None:
    near, _, source = chain
    if face == "rest":
        answer = near.request(f"/rest/prov/data/lama-{style}.json?nip=a%2Fb+c%25&unit=Dinas+3")
        assert answer.json() == {"0": {"nip": "a/b c", "nama": "Ani"}}
    else:
        answer = near.request(f"/mantra/json/prov/data/lama-{style}/nip=a%252Fb%2Bc%2525&unit=Dinas%2B3")
        assert answer.json()["response"]["data"] == {"0": {"nip": "a/b c", "nama": "Ani"}}
    assert source.last.path == "/cari?nip=a%2Fb+c%25&unit=Dinas+3"


def test_a_chain_as_it_is(chain: tuple[Bus, Bus, Upstream]) -> None:
    near, far, source = chain
    answer = near.request("/rest/prov/data/utuh/a%2Fb?q=1+2", "POST", body=b"isi", headers={"Content-Type": "x/y"})
    assert (answer.status, answer.data) == (200, b'[{"nip":"a/b c","nama":"Ani"}]')
    received = source.last
    assert (received.method, received.path, received.body) == ("POST", "/a%2Fb?q=1+2", b"isi")
    assert received.header("Mantra-Hops") == "2"
    assert received.header("Via").count("mantra-") == 2
    assert near.key not in str(received)
    assert far.key not in str(received)


@pytest.mark.parametrize("format", ["json", "xml", "csv", "php"])
def test_a_chain_in_the_new_style(chain: tuple[Bus, Bus, Upstream], format: str) -> None:
    near, _, source = chain
    answer = near.request(f"/rest/prov/data/baru.{format}?nip=a%2Fb+c&unit=Dinas+3")
    assert answer.status == 200
    assert b"a/b c" in answer.data
    assert source.last.path == "/cari?nip=a%2Fb+c&unit=Dinas+3"


def test_a_refusal_of_the_far_bus_is_told(chain: tuple[Bus, Bus, Upstream]) -> None:
    near, _, source = chain
    before, source.answer = source.answer, lambda received: Answer(b"", status=500)
    try:
        assert near.request("/rest/prov/data/baru.json?nip=1&unit=2").json()["code"] == 11227
        legacy = near.request("/rest/prov/data/lama-get.json?nip=1&unit=2").json()
        assert (legacy["code"], "11227" in legacy["detail"]) == (11209, True)
    finally:
        source.answer = before


def test_folders_are_apart(chain: tuple[Bus, Bus, Upstream]) -> None:
    near, far, _ = chain
    assert list(Path(near.var, "journal").iterdir()) != list(Path(far.var, "journal").iterdir())
