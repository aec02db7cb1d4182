"""XML: ``<response><data><row><column>value</column>…</row>…</data><count>N</count><truncated>false</truncated>``.

NULL is ``<column xsi:nil="true"/>``, the empty string ``<column></column>``. A column's element has its name; a name
that cannot be a tag is written ``<column name="…">``. Characters that XML 1.0 does not allow (most control characters,
lone surrogates) become U+FFFD. A column of type json has JSON text. The response of a writing operation is
``<response><affected>N</affected></response>``. The document of a proxy operation nests under ``<response>``: the
members of an object by their names, the items of a list as ``<item>``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from mantra.gateway.formats.markup import attribute, escape, escape_column, is_tag, utf8
from mantra.gateway.formats.values import (
    TEXT,
    Style,
    Values,
    batches_ahead,
    canonical,
    columns_of,
    text_column,
    text_of,
    unique_names,
    weave,
)
from registry.results import Affected, Document, Row, Rows

HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<response xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
NESTED = Style(nested=True)


@lru_cache(4096)
def tags(name: str) -> tuple[str, str, str]:
    """Return the start tag, the end tag and the null element of a column or member."""
    if is_tag(name):
        return f"<{name}>", f"</{name}>", f'<{name} xsi:nil="true"/>'
    tag = f'column name="{attribute(name)}"'
    return f"<{tag}>", "</column>", f'<{tag} xsi:nil="true"/>'


class RowTemplate:
    """Writes batches of rows as elements."""

    __slots__ = ("kinds", "tags")

    def __init__(self, rows: Rows) -> None:
        self.kinds = [column.type for column in rows.columns]
        self.tags = [tags(name) for name in unique_names(rows.columns)]

    def write(self, batch: list[Row]) -> str:
        if not batch:
            return ""
        pieces: list[str] = ["<row>"]
        cells: list[Sequence[str]] = []
        for values, kind, (start, end, nil) in zip(columns_of(batch), self.kinds, self.tags, strict=True):
            texts = text_column(values, kind, TEXT)
            if None in texts:
                cells.append(elements(texts, start, end, nil))
                pieces.append("")
            else:
                cells.append(escape_column(texts))
                pieces[-1] += start
                pieces.append(end)
        pieces[-1] += "</row>"
        return weave(pieces, cells, len(batch))


def elements(texts: Values, start: str, end: str, nil: str) -> list[str]:
    """Return the elements of a column with nulls."""
    escaped = escape_column(["" if text is None else text for text in texts])
    return [nil if text is None else f"{start}{data}{end}" for text, data in zip(texts, escaped, strict=True)]


def _write_nested(value: Any, name: str, pieces: list[str]) -> None:
    start, end, nil = tags(name)
    if value is None:
        pieces.append(nil)
        return
    pieces.append(start)
    if isinstance(value, dict):
        for member_name, member in value.items():
            _write_nested(member, member_name, pieces)
    elif isinstance(value, list):
        for item in value:
            _write_nested(item, "item", pieces)
    else:
        pieces.append(escape(text_of(value, TEXT)))
    pieces.append(end)


class Xml:
    name = "xml"
    media_type = "application/xml"
    suffix = "xml"

    def render(self, rows: Rows, operation_name: str = "") -> Iterator[bytes]:
        template = RowTemplate(rows)
        lead, count = HEAD + "<data>", 0
        for batch, last in batches_ahead(rows.batches):
            count += len(batch)
            text = lead + template.write(batch)
            lead = ""
            if last:
                truncated = "true" if rows.truncated else "false"
                text += f"</data><count>{count}</count><truncated>{truncated}</truncated></response>"
            yield utf8(text)

    def render_affected(self, affected: Affected, operation_name: str = "") -> bytes:
        start, end, nil = tags("affected")
        element = f"{start}{affected.count}{end}" if affected.count >= 0 else nil
        return utf8(f"{HEAD}{element}</response>")

    def render_document(self, document: Document) -> bytes:
        pieces = [HEAD]
        value = canonical(document.value, None, NESTED)
        if isinstance(value, (dict, list)):
            members = value.items() if isinstance(value, dict) else (("item", item) for item in value)
            for name, member in members:
                _write_nested(member, name, pieces)
        elif value is not None:
            pieces.append(escape(text_of(value, TEXT)))
        return utf8("".join([*pieces, "</response>"]))


FORMAT = Xml()
