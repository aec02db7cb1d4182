"""The bus on a socket, with an operation for each way in which code calls one, and the code as its pages show it."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from html import unescape
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.test import Client

from dataservices.models import DataSource
from registry.models import Field, Grant, Operation, Service
from registry.snapshot import holder
from tests import cast as cast_module
from tests.cast import Cast
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, Received, Upstream, serve_upstream

#: What a careless program breaks at: quotes, variables, formats, templates and comments of the languages.
ODD = (
    'Siti "O\'Brien" \\ \\n $HOME ${HOME} $(id) `id` %s %{http_code} #{x} {{ x }} {% x %} #(lf) \\u0022 ?> */ <b> '
    "&a=b+c; 100%25 \u202e é 名 \U0001f600\nbaris dua\tselesai"
)
NIK = "3171011201850001"
#: Operation → texts that a program must print.
PRINTED: Mapping[str, tuple[str, ...]] = {
    "gema": ("Terima kasih",),
    "cari_nik": ("Siti",),
    "halaman": tuple(f"Orang {n}" for n in range(1, 6)),
    "catat": ("1",),
    "terbuka": ("5",),
    "terusan": ("teks polos",),
}
#: The operation for which the application has no grant.
REFUSED = "rahasia"


@dataclass
class Running:
    """The bus while it is served."""

    cast: Cast
    upstream: Upstream
    source: Path
    url: str

    def code(self, operation: str) -> dict[str, str]:
        """An operation's code by language, as its page shows it."""
        page = Client().get(f"/catalog/prov/kode/{operation}/code", headers={"Host": urlsplit(self.url).netloc})
        found = re.findall(r'<code id="text-(\w+)">(.*?)</code>', page.content.decode(), re.S)
        return {language: unescape(text) for language, text in found}

    def adapter(self) -> bytes:
        """The adapter file, as it is downloaded."""
        page = Client().get("/catalog/unduh/adapter.php", headers={"Host": urlsplit(self.url).netloc})
        return page.content

    def written(self) -> list[str]:
        """What the writing operation wrote, and takes away."""
        with closing(sqlite3.connect(self.source)) as connection, connection:
            found = [isi for (isi,) in connection.execute("SELECT isi FROM catatan")]
            connection.execute("DELETE FROM catatan")
        return found

    def echoed(self) -> list[dict[str, list[str]]]:
        """The parameters that reached the upstream since the last time."""
        received, self.upstream.received[:] = list(self.upstream.received), []
        return [parse_qs(urlsplit(each.path).query) for each in received if each.path.startswith("/gema")]

    def run(self, words: tuple[str, ...], folder: Path, path: str, key: str) -> tuple[int, str]:
        """Run a program. Return its exit status and what it printed."""
        environment = {"PATH": path, "HOME": str(folder), "LC_ALL": "C.UTF-8"}
        environment |= {"MANTRA_ACCESS_KEY": key} if key else {}
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, check=False, timeout=120)
        return done.returncode, (done.stdout + done.stderr).decode()


@contextmanager
def running(cast: Cast) -> Iterator[Running]:
    cast.service = Service.objects.create(agency=cast.provider, code="kode", title="Kode")
    source = _make_source(Path(settings.SOURCE_FILE_DIRS[0]) / "prov" / "kode.sqlite3")
    with serve_upstream(_answer) as upstream, served() as url:
        _define(cast, DataSource.objects.create(agency=cast.provider, code="kode", engine="sqlite", database=source))
        _define_proxies(cast, upstream.url)
        Operation.objects.filter(service=cast.service).update(listing="public", title=ODD[:200])
        holder.refresh()
        yield Running(cast, upstream, source, url)


def _make_source(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("CREATE TABLE orang (nama TEXT, nik TEXT)")
        made.execute("CREATE TABLE catatan (isi TEXT)")
        made.executemany("INSERT INTO orang VALUES (?, '')", [(f"Orang {n}",) for n in range(1, 5)])
        made.execute("INSERT INTO orang VALUES ('Orang 5 Siti', ?)", (NIK,))
    return path


def _define(cast: Cast, source: DataSource) -> None:
    def define(code: str, sql: str, *parameters: dict[str, Any], **more: Any) -> Operation:
        return cast.define(code, sql, source=source, parameters=parameters, **more)

    nik = {"name": "nik", "type": "nik", "subject": True, "default": NIK}
    define("cari_nik", "SELECT nama FROM orang WHERE nik = :nik", nik)
    define("halaman", "SELECT nama FROM orang ORDER BY nama LIMIT :limit OFFSET :offset", page_size=2)
    define("catat", "INSERT INTO catatan VALUES (:isi)", {"name": "isi", "default": ODD}, writes=True)
    opened = define("terbuka", "SELECT count(*) AS jumlah FROM orang", access="open")
    Field.objects.create(operation=opened, name="jumlah", type="integer")
    Grant.objects.filter(operation=define(REFUSED, "SELECT nama FROM orang")).delete()


def _define_proxies(cast: Cast, upstream: str) -> None:
    parameters = ({"name": "teks", "default": ODD}, {"name": "ya", "type": "boolean", "default": "false"})
    publish_proxy(cast, upstream, style="rest", code="gema", path="/gema", parameters=parameters)
    publish_proxy(cast, upstream, style="pass-through", code="terusan")


def _answer(received: Received) -> Answer:
    if received.path.startswith("/gema"):
        return Answer(b'{"pesan": "Terima kasih"}')
    return Answer(b"teks polos", "text/plain")


class _Handler(BaseHTTPRequestHandler):
    """Hands each request to the bus as a web server does. Calls need no database of the bus, so any thread will do."""

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower().replace("-", "_"): value for name, value in self.headers.items()}
        headers.pop("content_length", None)
        reply = cast_module.call(self.path, self.command, body, **headers)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served() -> Iterator[str]:
    """Serve the bus of this process. Yields its address."""
    with HTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
