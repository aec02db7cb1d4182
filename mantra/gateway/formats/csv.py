"""CSV (RFC 4180): a header row, then the rows; each ends with CRLF.

NULL is an empty field, the empty string is ``""``: they stay distinct. A field is quoted if it contains a comma, a
quote or a line break. Nothing else is changed: values are exact, so that none is guarded against being read as a
formula. A response that is truncated at the row limit ends with a line of one field, ``# truncated``, so that it never
looks complete. The response of a writing operation has the one column ``affected``. A nested document cannot be
written.
"""

from __future__ import annotations

from collections.abc import Iterator

from mantra.gateway.formats.values import (
    TEXT,
    Values,
    batches_ahead,
    columns_of,
    text_column,
    unique_names,
    utf8,
    weave,
)
from registry import faults, results
from registry.results import Affected, Document, Row, Rows

TRUNCATED = "# truncated\r\n"


def field(value: str | None) -> str:
    if value is None:
        return ""
    if not value or "," in value or '"' in value or "\n" in value or "\r" in value:
        return '"' + value.replace('"', '""') + '"'
    return value


def fields(values: Values) -> Values:
    """Return the fields of a column of texts; the column itself if no field needs quotes."""
    if None not in values and "" not in values:
        joined = "\0".join(values)
        if not ("," in joined or '"' in joined or "\n" in joined or "\r" in joined):
            return values
    return [field(value) for value in values]


class Csv:
    name = "csv"
    media_type = "text/csv; charset=utf-8"  # without it clients read text/* as ISO-8859-1
    suffix = "csv"

    def render(self, rows: Rows, operation_name: str = "") -> Iterator[bytes]:
        kinds = [column.type for column in rows.columns]
        pieces = ["", *[","] * (len(kinds) - 1), "\r\n"]
        lead = ",".join(map(field, unique_names(rows.columns))) + "\r\n"
        for batch, last in batches_ahead(rows.batches):
            text = lead + self._lines(batch, kinds, pieces) if batch else lead
            yield utf8(text + TRUNCATED if last and rows.truncated else text)
            lead = ""

    def _lines(self, batch: list[Row], kinds: list[str | None], pieces: list[str]) -> str:
        columns = [
            fields(text_column(values, kind, TEXT)) for values, kind in zip(columns_of(batch), kinds, strict=True)
        ]
        return weave(pieces, columns, len(batch))

    def render_affected(self, affected: Affected, operation_name: str = "") -> bytes:
        return b"affected\r\n%b\r\n" % (b"%d" % affected.count if affected.count >= 0 else b"")

    def render_document(self, document: Document) -> bytes:
        raise results.Fault(faults.FORMAT_IMPOSSIBLE, format=self.name)


FORMAT = Csv()
