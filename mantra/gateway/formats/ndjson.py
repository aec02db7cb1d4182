"""Newline-delimited JSON: one object per line, with the values as in JSON.

A truncated response ends with the line ``{"truncated":true}``, a complete one with its last row. The response of a
writing operation is one line ``{"affected":N}``. A nested document cannot be written.
"""

from __future__ import annotations

from collections.abc import Iterator

from mantra.gateway.formats import json
from mantra.gateway.formats.values import batches_ahead
from registry import faults, results
from registry.results import Affected, Document, Rows


class NdJson:
    name = "ndjson"
    media_type = "application/x-ndjson"
    suffix = "ndjson"

    def render(self, rows: Rows, operation_name: str = "") -> Iterator[bytes]:
        encoder = json.RowEncoder(rows.columns)
        for batch, last in batches_ahead(rows.batches):
            lines = encoder.encode_each(batch)
            if last and rows.truncated:
                lines.append(b'{"truncated":true}')
            lines.append(b"")
            yield b"\n".join(lines)

    def render_affected(self, affected: Affected, operation_name: str = "") -> bytes:
        return json.FORMAT.render_affected(affected) + b"\n"

    def render_document(self, document: Document) -> bytes:
        raise results.Fault(faults.FORMAT_IMPOSSIBLE, format=self.name)


FORMAT = NdJson()
