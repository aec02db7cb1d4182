"""SOAP: the Body with an operation's result, valid against the service's WSDL.

``<m:{operation}Response>`` with status, code and message, then for rows ``<m:data><m:row>…</m:row>…</m:data>``,
``<m:count>`` and ``<m:truncated>`` (and ``<m:has_next>`` if the operation has pages, ``<m:cursor>`` of a page of
changes), for a writing operation
``<m:affected>``, for an upstream's document ``<m:data>`` with its members or rows in no namespace.

Declared fields are in their declared order, in the service's namespace, with the XSD types of the WSDL. A value that is
not of its type is Fault VALUE_NOT_OF_ITS_TYPE. Columns of an operation without declared fields are in no namespace, so
that no declaration can apply to them. NULL is xsi:nil; characters that XML 1.0 does not allow become U+FFFD.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

from mantra.gateway import xml_names
from mantra.gateway.formats.markup import escape, escape_column, utf8
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
from mantra.gateway.formats.xml import elements
from registry import faults
from registry.results import DELETED, Affected, Column, Document, Fault, Row, Rows
from registry.snapshot.types import Operation

#: Type of a column → XSD type in the WSDL.
XSD_TYPES = {
    "text": "xs:string", "integer": "xs:integer", "decimal": "xs:decimal", "float": "xs:double",
    "boolean": "xs:boolean", "date": "xs:date", "time": "xs:time", "datetime": "xs:dateTime",
    "interval": "xs:duration", "bytes": "xs:base64Binary", "json": "xs:string", "uuid": "xs:string",
}  # fmt: skip

_ENVELOPES = {"1.1": xml_names.ENVELOPE_11, "1.2": xml_names.ENVELOPE_12}
_DAY = r"(?!0000)[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)?"
#: Type → the lexical form of its values in XSD. Values of other types may have any form.
_LEXICAL = {
    "integer": r"[+-]?[0-9]+",
    "decimal": r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)",
    "float": r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|-?INF|NaN",
    "boolean": r"true|false|1|0",
    "date": _DAY,
    "time": _CLOCK + _ZONE,
    "datetime": f"{_DAY}T{_CLOCK}{_ZONE}",
    "interval": r"-?P(?=[0-9T])(?:[0-9]+Y)?(?:[0-9]+M)?(?:[0-9]+D)?"
    r"(?:T(?=[0-9])(?:[0-9]+H)?(?:[0-9]+M)?(?:[0-9]+(?:\.[0-9]+)?S)?)?",
    "bytes": r"(?:[A-Za-z0-9+/]{4})*+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?",
}
_ONE_VALUE = {kind: re.compile(pattern) for kind, pattern in _LEXICAL.items()}
#: The same for a whole column, one value per line.
_COLUMN = {kind: re.compile(f"(?:(?:{pattern})\n)*+") for kind, pattern in _LEXICAL.items()}

_NESTED = Style(nested=True)

#: In place of a type: no value of the column can be written.
_NEVER = "never"

Tags = tuple[str, str, str]
#: (index in the row, type, tags, the type against which the values are checked or "", name)
Cell = tuple[int, str | None, Tags, str, str]


@lru_cache(4096)
def _tags(name: str, prefix: str = "") -> Tags:
    tag = prefix + xml_names.element(name)
    return f"<{tag}>", f"</{tag}>", f'<{tag} xsi:nil="true"/>'


@lru_cache(1024)
def _layout(columns: tuple[Column, ...], declared: tuple[tuple[str, str], ...]) -> list[Cell]:
    """Return the columns of the response, in order. If the SQL gives a declared name twice, the first one counts."""
    names = unique_names(columns)
    if not declared:
        return [(at, column.type, _tags(names[at]), "", column.name) for at, column in enumerate(columns)]
    indexes = {name: at for at, name in reversed(list(enumerate(names)))}
    return [
        (indexes[name], columns[indexes[name]].type, _tags(name, "m:"), _check_of(columns[indexes[name]], kind), name)
        for name, kind in declared
        if name in indexes
    ]


def _check_of(column: Column, kind: str) -> str:
    """Return the type against which a column's values are checked: _NEVER for texts in place of another type."""
    if column.masked and kind != "text":
        return _NEVER
    return kind if kind in _LEXICAL else ""


def _as_xsd_type(texts: Values, kind: str, column: str) -> Values:
    """Return the values in the lexical form of their XSD type. Raises Fault if one is not of that type."""
    present = [text for text in texts if text is not None] if None in texts else texts
    if present:
        joined = "\n".join(present) + "\n"
        if _COLUMN[kind].fullmatch(joined) and joined.count("\n") == len(present) and _on_calendar(present, kind):
            return texts
    return [None if text is None else _converted(text, kind, column) for text in texts]


def _on_calendar(texts: Sequence[str], kind: str) -> bool:
    """Return True if every date exists: there is no 30 February."""
    if kind not in ("date", "datetime"):
        return True
    try:
        for day in {text[:10] for text in texts}:
            if day[8:] > "28":
                date.fromisoformat(day)
    except ValueError:
        return False
    return True


def _converted(text: str, kind: str, column: str) -> str:
    """Return one value, converted to the lexical form of XSD if that differs from the canonical one. Raises Fault."""
    if kind == "float":
        text = {"Infinity": "INF", "-Infinity": "-INF"}.get(text, text)
    elif kind == "integer":
        text = re.sub(r"\.0*\Z", "", text)
    elif kind == "date":  # some sources have no dates without a time of day
        text = re.sub(r"[T ]00:00:00(?:\.0+)?\Z", "", text)
    elif kind == "datetime":
        text = re.sub(rf"\A({_DAY}T[0-9]{{2}}:[0-9]{{2}})({_ZONE})\Z", r"\1:00\2", text)
        text = text + "T00:00:00" if len(text) == 10 else text
    if _ONE_VALUE[kind].fullmatch(text) and _on_calendar([text], kind):
        return text
    raise Fault(faults.VALUE_NOT_OF_ITS_TYPE, column=column, type=XSD_TYPES[kind])


class Writer:
    """Writes the results of one operation in an envelope of one SOAP version."""

    __slots__ = ("_declared", "_head", "_pages", "_tail", "_undeclared", "_writes", "name", "operation_name")

    def __init__(self, operation: Operation, version: str) -> None:
        response = xml_names.response(operation.code)
        self.name = f"soap{version}"
        self.operation_name = operation.code
        #: The response of an upstream has no declared schema, also if it is a table.
        self._undeclared = operation.kind == "proxy"
        self._declared = () if self._undeclared else tuple((field.name, field.sent_type) for field in operation.fields)
        plan = operation.plan
        self._pages = plan is not None and plan.page_size + plan.change_size > 0
        if plan is not None and plan.marks_deletions and self._declared:
            self._declared += ((DELETED.name, "boolean"),)
        self._writes = operation.plan is not None and "GET" not in operation.plan.methods
        self._head = (
            f"{opening(version)}<soap:Body>"
            f'<m:{response} xmlns:m="{xml_names.namespace(operation.agency, operation.service)}">'
            "<m:status>1</m:status><m:code>200</m:code><m:message>OK</m:message>"
        )
        self._tail = f"</m:{response}></soap:Body></soap:Envelope>"

    def render(self, rows: Rows) -> Iterator[bytes]:
        """Yield the envelope: one chunk for rows in one batch, about one chunk a batch for more. Raises Fault."""
        cells = _layout(rows.columns, self._declared)
        tag = "row" if self._undeclared else "m:row"
        lead, count = self._head + "<m:data>", 0
        for batch, last in batches_ahead(rows.batches):
            count += len(batch)
            text = lead + _rows(batch, cells, tag)
            lead = ""
            if last:
                text += f"</m:data>{self._table_end(rows, count)}{self._tail}"
            yield utf8(text)

    def _table_end(self, rows: Rows, count: int) -> str:
        """Return the elements that are known after the last row."""
        if self._undeclared:
            return ""
        elements = f"<m:count>{count}</m:count><m:truncated>{_boolean(rows.truncated)}</m:truncated>"
        if self._pages:
            elements += f"<m:has_next>{_boolean(rows.has_next)}</m:has_next>"
        return f"{elements}<m:cursor>{escape(rows.cursor)}</m:cursor>" if rows.cursor else elements

    def render_affected(self, affected: Affected) -> bytes:
        if not self._writes:  # a reading operation for which the source gave no table
            return b"".join(self.render(Rows((), iter(()))))
        start, end, nil = _tags("affected", "m:")
        element = f"{start}{affected.count}{end}" if affected.count >= 0 else nil
        return utf8(f"{self._head}{element}{self._tail}")

    def render_document(self, document: Document) -> bytes:
        pieces: list[str] = [self._head]
        _write_nested(canonical(document.value, None, _NESTED), _tags("data", "m:"), pieces)
        return utf8("".join([*pieces, self._tail]))


def opening(version: str) -> str:
    """Return the beginning of an envelope, up to its Body."""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<soap:Envelope xmlns:soap="{_ENVELOPES[version]}" xmlns:xsi="{xml_names.XSI}">'
    )


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _rows(batch: list[Row], cells: list[Cell], tag: str) -> str:
    if not batch:
        return ""
    pieces: list[str] = [f"<{tag}>"]
    cells_of_columns: list[Sequence[str]] = []
    columns = columns_of(batch)
    for at, kind, (start, end, nil), checked, name in cells:
        texts = text_column(columns[at], kind, TEXT)
        if checked == _NEVER:
            # The grant masks them. The WSDL, which is the same for all callers, has no text here.
            texts = [None] * len(texts)
        elif checked:
            texts = _as_xsd_type(texts, checked, name)
        if None in texts:
            cells_of_columns.append(elements(texts, start, end, nil))
            pieces.append("")
        else:
            cells_of_columns.append(texts if checked else escape_column(texts))
            pieces[-1] += start
            pieces.append(end)
    pieces[-1] += f"</{tag}>"
    return weave(pieces, cells_of_columns, len(batch))


def _write_nested(value: Any, tags: Tags, pieces: list[str]) -> None:
    start, end, nil = tags
    if value is None:
        pieces.append(nil)
        return
    pieces.append(start)
    if isinstance(value, dict):
        for name, member in value.items():
            # An upstream's names may have any length: long ones are not cached.
            _write_nested(member, _tags(name) if len(name) <= 100 else _tags.__wrapped__(name), pieces)
    elif isinstance(value, list):
        for item in value:
            _write_nested(item, _tags("item"), pieces)
    else:
        pieces.append(escape(text_of(value, TEXT)))
    pieces.append(end)
