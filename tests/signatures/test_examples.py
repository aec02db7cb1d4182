"""The examples in docs/signatures.md, as they stand there, on a running bus, and past somebody who changes things."""

from __future__ import annotations

import http.client
import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.servers.bus import Bus
from tests.servers.surroundings import ROOT
from tests.servers.wire import read_response
from tests.signing import Signer

COMMANDS = {"php": ["php"], "python": [sys.executable], "sh": ["bash"]}
PATH = "/rest/prov/data/gema.json?nama=Siti+%26+Co&kode_wil=32"


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    sql = "SELECT :nama AS nama, :kode_wil AS kode"
    echo = {"code": "gema", "kind": "data", "source": "db", "state": "published", "sql": sql,
            "parameters": [{"name": "nama"}, {"name": "kode_wil"}]}  # fmt: skip
    application = {
        "agency": "kons", "code": "app", "title": "Aplikasi", "signing_required": True,
        "grants": [{"operation": "prov/data/gema", "purpose": "uji"}],
    }  # fmt: skip
    bundle = {
        "agencies": [{"code": "prov", "name": "Penyedia"}, {"code": "kons", "name": "Konsumen"}],
        "sources": [{"agency": "prov", "code": "db", "engine": "sqlite", "database": "${TABLE}"}],
        "services": [{"agency": "prov", "code": "data", "title": "Data", "operations": [echo]}],
        "applications": [application],
    }
    var = tmp_path_factory.mktemp("bus")
    table = var / "sources" / "prov" / "orang.sqlite3"
    table.parent.mkdir(parents=True)
    sqlite3.connect(table).close()
    with Bus(var, bundle, TABLE=str(table), WEB_CONCURRENCY="2") as started:
        yield started


@pytest.fixture(scope="module")
def key(bus: Bus) -> str:
    return bus.manage("issue_key", "kons/app", "--signing").strip()


def examples() -> dict[str, str]:
    document = (ROOT / "docs" / "signatures.md").read_text()
    return dict(re.findall(r"```(php|python|sh)\n(.*?)```", document, re.S))


def run(language: str, folder: Path, url: str, key: str) -> subprocess.CompletedProcess[str]:
    program = folder / "program"
    program.write_text(examples()[language])
    return subprocess.run(
        [*COMMANDS[language], str(program)],
        env={**os.environ, "CALL_URL": url, "SIGNING_KEY": key, "TMPDIR": str(folder)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


Change = Callable[[dict[str, str], bytes], bytes]


class _Between(BaseHTTPRequestHandler):
    """Somebody between caller and bus who changes responses."""

    port: int
    change: Change

    def do_GET(self) -> None:
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        asked.putrequest("GET", self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            asked.putheader(name, value)
        asked.endheaders()
        response = asked.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        body = response.read()
        if not self.path.startswith("/.well-known"):
            body = type(self).change(headers, body)
        self.send_response_only(response.status)
        headers["content-length"] = str(len(body))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        asked.close()

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def between(bus: Bus) -> Iterator[Callable[[Change], str]]:
    servers: list[ThreadingHTTPServer] = []

    def start(change: Change) -> str:
        handler = type("Between", (_Between,), {"port": bus.port, "change": staticmethod(change)})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("language", COMMANDS)
def test_it_works(language: str, bus: Bus, key: str, tmp_path: Path) -> None:
    ran = run(language, tmp_path, bus.base + PATH, key)
    assert (ran.returncode, ran.stdout.split(" ", 1)[0]) == (0, "200"), ran.stdout + ran.stderr
    assert '"nama":"Siti & Co"' in ran.stdout
    fault = run(language, tmp_path, bus.base + "/rest/prov/data/gema.json?lain=1", key)
    assert (fault.returncode, fault.stdout.split(" ", 1)[0]) == (0, "400"), fault.stdout + fault.stderr


def as_it_is(headers: dict[str, str], body: bytes) -> bytes:
    return body


def another_body(headers: dict[str, str], body: bytes) -> bytes:
    return body.replace(b"Siti", b"Budi")


def another_digest(headers: dict[str, str], body: bytes) -> bytes:
    headers["content-digest"] = "sha-256=:AAAA:"
    return body.replace(b"Siti", b"Budi")


def another_type(headers: dict[str, str], body: bytes) -> bytes:
    headers["content-type"] = "text/html"
    return body


def no_signature(headers: dict[str, str], body: bytes) -> bytes:
    for name in ("signature", "signature-input", "content-digest"):
        del headers[name]
    return body


class Kept:
    """Gives the first response to every later request."""

    def __init__(self) -> None:
        self.first: tuple[dict[str, str], bytes] | None = None

    def __call__(self, headers: dict[str, str], body: bytes) -> bytes:
        self.first = self.first or (dict(headers), body)
        headers.clear()
        headers.update(self.first[0])
        return self.first[1]


@pytest.mark.parametrize("language", COMMANDS)
def test_who_changes_a_response_is_noticed(
    language: str, between: Callable[[Change], str], key: str, tmp_path: Path
) -> None:
    assert run(language, tmp_path, between(as_it_is) + PATH, key).stdout.startswith("200 ")
    for change in (another_body, another_digest, another_type, no_signature):
        ran = run(language, tmp_path, between(change) + PATH, key)
        assert (ran.returncode != 0, ran.stdout) == (True, ""), change
    address = between(Kept())
    assert run(language, tmp_path, address + PATH, key).stdout.startswith("200 ")
    again = run(language, tmp_path, address + PATH, key)
    assert (again.returncode != 0, again.stdout) == (True, ""), "a response to another request was taken"


def test_a_replay_reaches_another_worker_process_in_vain(bus: Bus, key: str) -> None:
    """Two processes take turns: of the same request one is answered, however often it comes, and at once."""
    assert len(bus.workers()) == 2
    for _ in range(5):
        signer = Signer(key)
        made = signer.headers(PATH, components=("@method", "@path", "@query"))
        headers = {name.replace("_", "-"): value for name, value in made.items()} | {"Connection": "close"}
        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(lambda _: bus.request(PATH, headers=headers).status, range(16)))  # noqa: B023
        assert sorted(statuses) == [200] + [401] * 15


def test_an_access_key_of_the_application_opens_nothing(bus: Bus) -> None:
    plain = bus.manage("issue_key", "kons/app").strip()
    reply = bus.request(PATH, headers={"AccessKey": plain})
    assert (reply.status, reply.json()["code"]) == (401, 11411)


def test_a_header_that_is_sent_twice_fits_no_signature(bus: Bus, key: str) -> None:
    for twice in ("x-tujuan: a\r\nx-tujuan: b\r\n", "x-tujuan: b\r\nx-tujuan: a\r\n"):
        made = Signer(key).headers(
            PATH, components=("@method", "@path", "@query", "x-tujuan"), values={"x-tujuan": "a"}
        )
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in made.items())
        with socket.create_connection(("127.0.0.1", bus.port), timeout=30) as connection:
            connection.sendall(f"GET {PATH} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}{twice}\r\n".encode())
            status, body = read_response(connection)
        assert (status, b"11412" in body) == (401, True)
