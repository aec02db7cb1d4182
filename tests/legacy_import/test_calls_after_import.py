"""After an import every caller of 1.99x goes on: its address, its key, and the bytes that it gets.

The database is imported by the command into a bus on a port. Its operations read a real MariaDB and a real PostgreSQL,
and call a real web service. What must come back is the mapping of LEGACY-IMPORT.md, in the bytes of tests/gateway/original.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest

from tests.gateway import original
from tests.gateway.original import FORMATS
from tests.gateway.test_exchanges import FORM, MISSING, NO_KEY, UNKNOWN, answer, request
from tests.legacy_import.old_database import OldCall, OldInstallation, Sizes, make
from tests.legacy_import.old_server import real_permits, real_table
from tests.proxy.upstream import Answer, Received, Upstream, serve_upstream
from tests.servers.bus import Bus
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.soap_service import SoapService

#: Enough for 200 keys of 200 operations.
SIZES = Sizes(agencies=30, users=80, services=60, operations=620, orders=1_000, tracks=50, track_bytes=100)
STYLES = ("REST", "GET", "POST")
#: Names that cannot be an element of XML.
NO_ELEMENT = re.compile(r"[(,'!]")


@dataclass
class Moved:
    """The old installation, and the bus that it was imported into."""

    old: OldInstallation
    dump: Path
    bus: Bus
    upstream: Upstream
    report: str

    def ask(self, call: OldCall, format: str, style: str = "REST", folder: str = "/", key: str | None = None) -> bytes:
        """The body of the answer to a call, as programs for 1.99x make it."""
        names = "/".join(quote(name, safe="") for name in (call.agency, call.service, call.operation))
        address, key = f"{folder}{format}/{names}", call.key if key is None else key
        # Names are encoded once, values of the style REST twice.
        rest = "&".join(
            f"{quote_plus(name)}={quote_plus(quote_plus(value))}" for name, value in call.parameters.items()
        )
        if style == "REST":
            return answer(self.bus, request(f"{address}/{rest}", key=key))
        if style == "GET":
            return answer(self.bus, request(f"{address}?{urlencode(call.parameters)}", key=key))
        body = rest.encode()
        return answer(self.bus, request(address, "POST", body, key=key, content_type=FORM))

    def wrong(self, call: OldCall, format: str, style: str = "REST", folder: str = "/") -> list[str]:
        """What is wrong with the answer to a call; nothing if it is that of 1.99x to the byte."""
        found, expected = self.ask(call, format, style, folder), original.written(envelope(call), format)
        return [] if found == expected else [f"{call} {format} {style}: {found!r}, not {expected!r}"]

    def code(self, call: OldCall, key: str | None = None) -> int:
        return int(json.loads(self.ask(call, "json", key=key))["response"]["code"])

    def calls_of(self, trap: str) -> list[OldCall]:
        """The calls with the keys of a trap's orders."""
        return [found for _table, pk in self.old.traps[trap] if (found := self.old.call(self.old.orders[pk - 1]))]

    def call_of(self, trap: str) -> OldCall:
        """A call of the operation that is a trap, with a key for it."""
        operation = self.old.trap(trap)
        order = next(row for row in reversed(self.old.orders) if row.operation_id == operation.id and row.active)
        found = self.old.call(order)
        return found or OldCall(*self._names(operation), operation.code, order.key, {"nip": "19800001"}, [])

    def _names(self, operation: Any) -> tuple[int, str, str]:
        service = self.old.services[operation.service_id - 1]
        return operation.id, self.old.agencies[service.agency_id].code, service.code


def envelope(call: OldCall) -> dict[str, Any]:
    if call.document is None:
        return original.rows(call.operation, call.rows)
    return {"status": 1, "code": 200, "message": "OK", "data": call.document}


def received(request: Received) -> Answer:
    """The web service: it responds with what it received."""
    found = {
        "jalur": f"{request.method} {request.path}", "isi": request.body.decode(), "kunci": request.header("AccessKey"),
    }  # fmt: skip
    return Answer(json.dumps(found).encode())


@pytest.fixture(scope="module")
def moved(
    mariadb: MariaDBServer, postgresql: PostgreSQLServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Moved]:
    var = tmp_path_factory.mktemp("bus")
    soap = SoapService()
    try:
        with serve_upstream(received) as upstream:
            place = replace(
                real_table(mariadb), postgres=real_permits(postgresql), upstream=upstream.url, soap=soap.rpc_url
            )
            old = make(SIZES, place)
            dump = old.write(var / "lama.sql")
            bus = Bus(var, WEB_CONCURRENCY="1", MANTRA_LEGACY_FOLDERS="mantra,gsb")
            report = bus.manage("import_legacy", str(dump), "--host", "127.0.0.1=127.0.0.1", "--all")
            with bus:
                yield Moved(old, dump, bus, upstream, report)
    finally:
        soap.stop()


def test_200_keys_answer_as_in_1_99x(moved: Moved) -> None:
    """Each key of an operation of its own; formats and styles take turns."""
    calls = list({call.operation_id: call for call in moved.old.calls}.values())
    assert len({call.key for call in calls}) >= 200
    wrong = [
        line
        for number, call in enumerate(calls)
        for line in moved.wrong(call, FORMATS[number % 3], STYLES[number // 3 % 3], ("/", "/mantra/")[number % 2])
    ]
    assert not wrong, f"{len(wrong)} of {len(calls)}\n" + "\n".join(wrong[:5])


def test_each_shape_in_each_format_and_style(moved: Moved) -> None:
    calls = list({id(moved.old.shapes[call.operation_id]): call for call in moved.old.calls}.values())
    assert len(calls) >= 18
    wrong = [
        line for call in calls for format in FORMATS for style in STYLES for line in moved.wrong(call, format, style)
    ]
    assert not wrong, f"{len(wrong)}\n" + "\n".join(wrong[:5])
