"""The cast of the tests: an agency that provides, one that was granted, and a stranger; and a way to call the bus."""

from __future__ import annotations

import io
import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
from django.conf import settings

from dataservices.models import DataOperation, DataSource
from registry.journal import reader
from registry.models import AccessKey, Agency, Application, Grant, Parameter, Service
from registry.snapshot import holder

ROWS = 2500


@dataclass
class Reply:
    """What came back: status, headers by lower-case name, body."""

    status: int
    headers: dict[str, str]
    body: bytes
    broke: Exception | None = None

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


def call(
    path: str,
    method: str = "GET",
    body: bytes | str = b"",
    changed: dict[str, str] | None = None,
    **headers: str,
) -> Reply:
    """One request through the WSGI door, as a server would hand it over. Header names take _ for -.

    ``changed``: entries of the environment that another server gives otherwise.
    """
    from mantra.wsgi import application

    raw_path, _, query = path.partition("?")
    data = body.encode() if isinstance(body, str) else body
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": unquote_to_bytes(raw_path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": path.encode().decode("latin-1"),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": headers.pop("address", "127.0.0.1"),
        "wsgi.input": io.BytesIO(data),
        "wsgi.url_scheme": "http",
    }
    environ |= changed or {}
    if data:
        environ["CONTENT_LENGTH"] = str(len(data))
    for name, value in headers.items():
        upper = name.upper()
        environ[upper if upper in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{upper}"] = value
    started: list[Any] = []
    chunks = application(environ, lambda status, fields: started.extend([status, fields]))
    received, broke = b"", None
    try:
        for chunk in chunks:
            received += chunk
    except Exception as error:
        broke = error
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
    status, fields = started
    return Reply(int(status.split()[0]), {name.lower(): value for name, value in fields}, received, broke)


def recorded() -> list[dict[str, Any]]:
    """Every line of the journal, oldest first."""
    return [orjson.loads(line.body) for path in reader.segments() for line in reader.lines(path)]


def ends_of(request_id: str) -> list[dict[str, Any]]:
    return [line for line in recorded() if line.get("id") == request_id and line["t"] == "end"]


@dataclass
class Cast:
    """Who and what there is."""

    provider: Agency
    consumer: Agency
    stranger: Agency
    source: DataSource
    service: Service
    application: Application
    key: str
    key_row: AccessKey
    operations: dict[str, DataOperation] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)

    def operation(
        self, code: str, sql: str, *, parameters: tuple[dict[str, Any], ...] = (), **more: Any
    ) -> DataOperation:
        """Publish an operation and grant it to the application; the bus knows of it at once."""
        made = self.define(code, sql, parameters=parameters, **more)
        holder.refresh()
        return made

    def define(self, code: str, sql: str, *, parameters: tuple[dict[str, Any], ...] = (), **more: Any) -> DataOperation:
        """The same without telling the bus, which reads all of the registry each time that it is told."""
        made = DataOperation(
            service=self.service,
            code=code,
            sql=sql,
            source=more.pop("source", self.source),
            **{"state": "published", **more},
        )
        made.full_clean()
        made.save()
        for position, each in enumerate(parameters):
            parameter = Parameter(operation=made, position=position, **each)
            parameter.full_clean()
            parameter.save()
        self.operations[code] = made
        self.grants[code] = Grant.objects.create(application=self.application, operation=made, purpose="uji")
        return made

    def get(self, operation: str, query: str = "", **headers: str) -> Reply:
        """Call an operation of the service by REST with the application's key."""
        headers.setdefault("accesskey", self.key)
        return call(f"/rest/prov/data/{operation}" + (f"?{query}" if query else ""), **headers)


def make_table() -> Path:
    """A SQLite file with the table that most tests ask."""
    path = Path(settings.SOURCE_FILE_DIRS[0]) / "prov" / "uji.sqlite3"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with sqlite3.connect(path) as made:
            made.execute("CREATE TABLE orang (id INTEGER PRIMARY KEY, nama TEXT, unit TEXT, gaji TEXT, lahir TEXT)")
            made.executemany(
                "INSERT INTO orang VALUES (?, ?, ?, ?, ?)",
                (
                    (n, f"Orang {n}", None if n % 5 == 0 else f"Unit {n % 7}", f"{n}.50", "1970-01-01")
                    for n in range(1, ROWS + 1)
                ),
            )
        made.close()
    return path


def assemble() -> Cast:
    provider = Agency.objects.create(code="prov", name="Penyedia")
    consumer = Agency.objects.create(code="kons", name="Konsumen")
    stranger = Agency.objects.create(code="asing", name="Asing")
    source = DataSource.objects.create(agency=provider, code="uji", engine="sqlite", database=str(make_table()))
    service = Service.objects.create(agency=provider, code="data", title="Data uji")
    application = Application.objects.create(agency=consumer, code="app", title="Aplikasi uji")
    key_row, key = AccessKey.issue(application)
    cast = Cast(provider, consumer, stranger, source, service, application, key, key_row)
    cast.define("semua", "SELECT id, nama, unit FROM orang ORDER BY id", max_rows=10_000)
    cast.define(
        "satu",
        "SELECT id, nama, unit, gaji FROM orang WHERE id = :id",
        parameters=({"name": "id", "type": "integer"},),
    )
    cast.define(
        "cari",
        "SELECT id, nama FROM orang WHERE 1 = 1 [[ AND nama LIKE :nama ]] [[ AND unit = :unit ]] ORDER BY id",
        parameters=({"name": "nama", "required": False}, {"name": "unit", "required": False}),
        max_rows=100,
    )
    cast.define("terbuka", "SELECT count(*) AS jumlah FROM orang", access="open", cache_seconds=60)
    cast.define("halaman", "SELECT id FROM orang ORDER BY id LIMIT :limit OFFSET :offset", page_size=10)
    holder.refresh()
    return cast
