"""XML: ``<response><data><row><column>value</column>…</row>…</data><count>N</count><truncated>false</truncated>``.

NULL is ``<column xsi:nil="true"/>``, the empty string ``<column></column>``. A column's element has
its name; a name that cannot be a tag is written ``<column name="…">``. What XML 1.0 cannot carry (most
control characters, lone surrogates) becomes U+FFFD. A column of type json holds JSON text. An
operation that writes answers ``<response><affected>N</affected></response>``. A proxy's document
nests under ``<response>``: the members of an object by their names, the items of a list as ``<item>``.
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
    """The opening tag, the closing tag and the element for null of a column or member."""
    if is_tag(name):
        return f"<{name}>", f"</{name}>", f'<{name} xsi:nil="true"/>'
    named = f'column name="{attribute(name)}"'
    return f"<{named}>", "</column>", f'<{named} xsi:nil="true"/>'


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
    """The elements of a column in which there are nulls."""
    escaped = escape_column(["" if text is None else text for text in texts])
    return [nil if text is None else f"{start}{data}{end}" for text, data in zip(texts, escaped, strict=True)]


def _nested(value: Any, name: str, into: list[str]) -> None:
    start, end, nil = tags(name)
    if value is None:
        into.append(nil)
        return
    into.append(start)
    if isinstance(value, dict):
        for key, each in value.items():
            _nested(each, key, into)
    elif isinstance(value, list):
        for each in value:
            _nested(each, "item", into)
    else:
        into.append(escape(text_of(value, TEXT)))
    into.append(end)


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
        into = [HEAD]
        value = canonical(document.value, None, NESTED)
        if isinstance(value, (dict, list)):
            for key, each in value.items() if isinstance(value, dict) else (("item", item) for item in value):
                _nested(each, key, into)
        elif value is not None:
            into.append(escape(text_of(value, TEXT)))
        return utf8("".join([*into, "</response>"]))


FORMAT = Xml()
