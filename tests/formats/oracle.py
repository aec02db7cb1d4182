"""PHP itself, kept running, and the shorthands with which the tests of the formats ask for an answer."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterable, Iterator
from typing import Any

from mantra.gateway.formats import FORMATS, LEGACY
from registry.results import Column, Row, Rows

SCRIPT = r"""
while (($line = fgets(STDIN)) !== false) {
    [$what, $value] = json_decode($line, true, 512, JSON_BIGINT_AS_STRING);
    switch ($what) {
        case 'json': $out = json_encode($value, JSON_PRETTY_PRINT | JSON_FORCE_OBJECT); break;
        case 'serialize': $out = serialize($value); break;
        case 'export': $out = var_export($value, true); break;
        case 'unserialize': $out = typed(unserialize(base64_decode($value))); break;
        case 'eval': $out = typed(eval('return ' . base64_decode($value) . ';')); break;
    }
    echo base64_encode($out), "\n";
}
function typed($value) {
    return json_encode($value, JSON_PRESERVE_ZERO_FRACTION | JSON_THROW_ON_ERROR);
}
"""


class Php:
    """One PHP process for many questions."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            ["php", "-n", "-d", "serialize_precision=-1", "-r", SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def request(self, what: str, value: Any) -> bytes:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([what, value]).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line.endswith(b"\n"), "PHP gave up"
        return base64.b64decode(line)

    def json(self, value: Any) -> bytes:
        return self.request("json", value)

    def serialize(self, value: Any) -> bytes:
        return self.request("serialize", value)

    def export(self, value: Any) -> bytes:
        return self.request("export", value)

    def unserialize(self, text: bytes) -> Any:
        return json.loads(self.request("unserialize", base64.b64encode(text).decode()))

    def eval(self, text: bytes) -> Any:
        return json.loads(self.request("eval", base64.b64encode(text).decode()))

    def close(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.kill()  # it would wait for the end of its input as long as a forked process has that open
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def table(columns: Iterable[str | tuple[str, str | None]], batches: Iterable[list[Row]]) -> Rows:
    named = [(each, None) if isinstance(each, str) else each for each in columns]
    return Rows(tuple(Column(name, kind) for name, kind in named), iter(batches))


def pieces(
    format: str, columns: Iterable[str | tuple[str, str | None]], batches: Iterable[list[Row]], operation: str = "op"
) -> Iterator[bytes]:
    return {**FORMATS, **LEGACY}[format].render(table(columns, batches), operation)


def answer(
    format: str, columns: Iterable[str | tuple[str, str | None]], rows: list[Row], operation: str = "op"
) -> bytes:
    return b"".join(pieces(format, columns, [rows], operation))
