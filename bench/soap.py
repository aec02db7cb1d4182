"""SOAP at saturation: one row against the same operation's REST call, and answers of 100 KiB against REST's XML."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bench.bus import COLUMNS, ROOT, ROWS, Bench, Gunicorn, manage
from bench.calls import alternate, line_of
from bench.load import Load, load

_PATH = "/soap/bkn/sabun"
_MEDIA_TYPE = "text/xml; charset=utf-8"
_ENVELOPE = (
    '<?xml version="1.0" encoding="utf-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:ns="urn:mantra:bkn:sabun"><soapenv:Body><ns:{0}><ns:nip>1980%014d</ns:nip></ns:{0}></soapenv:Body>'
    "</soapenv:Envelope>"
)
_TYPES = {"tmt": "date", "gaji": "decimal", "aktif": "boolean", "lahir": "datetime"}
#: So many rows make 100 KiB of SOAP.
ROWS_OF_100_KIB = 302
_LAST = f"1980{ROWS - ROWS_OF_100_KIB + 1:014d}"


def _define(bench: Bench) -> str:
    """A service of two operations, whose columns are declared, so that each value is held against its type.

    Returns a key for both.
    """

    def operation(code: str, condition: str) -> dict[str, Any]:
        columns = ", ".join(name if name != "aktif" else "aktif = 1 AS aktif" for name in COLUMNS)
        return {
            "code": code, "kind": "data", "title": code, "source": "db", "access": "restricted", "state": "published",
            "max_rows": 1000, "timeout_ms": 5000, "sql": f"SELECT {columns} FROM pegawai WHERE {condition}",
            "parameters": [{"name": "nip", "subject": True}],
            "fields": [{"name": name, "type": _TYPES.get(name, "text")} for name in COLUMNS],
        }  # fmt: skip

    operations = [
        operation("satu", "nip = :nip"),
        # Backwards where the end of the table is near, so that each answer has as many rows.
        operation("seratus", f"nip >= least(:nip, '{_LAST}') ORDER BY nip LIMIT {ROWS_OF_100_KIB}"),
    ]  # fmt: skip
    grants = [{"operation": f"bkn/sabun/{each['code']}", "purpose": "bench"} for each in operations]
    bundle = bench.folder / "sabun.json"
    bundle.write_text(json.dumps({
        "services": [{"agency": "bkn", "code": "sabun", "title": "Sabun", "operations": operations}],
        "applications": [{"agency": "dukcapil", "code": "sabun", "title": "Sabun", "grants": grants}],
    }))  # fmt: skip
    manage(bench.environment, "apply_definitions", str(bundle), "--reason", "measurement")
    words = [sys.executable, "manage.py", "issue_key", "dukcapil/sabun"]
    done = subprocess.run(words, cwd=ROOT, env=bench.environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@dataclass(frozen=True)
class _Side:
    """One way to ask an operation."""

    bench: Bench
    served: Gunicorn
    key: str
    code: str
    format: str  # "" for SOAP

    def cpu(self) -> float:
        return self.served.cpu() + self.bench.cpu()

    def __call__(self) -> Load:
        if self.format:
            return load(self.served.port, f"{self._rest}?nip=1980%014d", self.cpu, key=self.key)
        return load(self.served.port, _PATH, self.cpu, key=self.key, body=self._envelope)

    @property
    def _rest(self) -> str:
        return f"/rest/bkn/sabun/{self.code}.{self.format}"

    @property
    def _envelope(self) -> str:
        return _ENVELOPE.format(self.code)

    def size(self) -> int:
        """Bytes of an answer, which is really the one asked for. Raises RuntimeError."""
        address = f"http://127.0.0.1:{self.served.port}{_PATH}"
        request = urllib.request.Request(address, (self._envelope % 11).encode(), {"Content-Type": _MEDIA_TYPE})
        if self.format:
            request = urllib.request.Request(address.replace(_PATH, f"{self._rest}?nip=1980{11:014d}"))
        request.add_header("AccessKey", self.key)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as reply:
            body: bytes = reply.read()
        rows = 1 if self.code == "satu" else ROWS_OF_100_KIB
        if body.count(b"@contoh.go.id") != rows or b"Pegawai 11" not in body:
            raise RuntimeError(f"not the answer: {body[:300]!r}")
        return len(body)


def soap(bench: Bench) -> Iterator[dict[str, Any]]:
    """One row against the same by REST as JSON; 100 KiB against the same by REST as XML."""
    key = _define(bench)
    with bench.gunicorn() as bus:
        yield _measured(bench, bus, key, "soap-one-row", "satu", "json", 0.5)
        yield _measured(bench, bus, key, "soap-100-kib", "seratus", "xml", 0.4)


def _measured(
    bench: Bench, bus: Gunicorn, key: str, name: str, code: str, format: str, target: float
) -> dict[str, Any]:
    sides: dict[str, Callable[[], Load]] = {}
    sizes = {}
    for title, each in (("soap", ""), ("rest", format)):
        side = _Side(bench, bus, key, code, each)
        sides[title], sizes[f"{title}_bytes"] = side, side.size()
    return line_of(name, target, alternate(sides), "soap", "rest", **sizes)
