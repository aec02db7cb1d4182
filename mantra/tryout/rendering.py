"""A result, as the try-out page shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
from django.utils.translation import get_language

from mantra.gateway import xml_names
from mantra.gateway.formats import FORMATS
from mantra.gateway.formats.soap import Writer
from mantra.gateway.formats.values import TEXT, columns_of, text_column, unique_names
from mantra.gateway.http import unwrapped
from mantra.gateway.protocols.soap import fault as soap_fault
from mantra.gateway.protocols.soap.rendering import chunks
from registry.calls import Call
from registry.results import Affected, Document, Fault, Result, Row, Rows

#: Rows shown. What an operation yields beyond stays where it is.
SHOWN = 100
#: Columns shown of records that need not have the same.
COLUMNS = 500


# ----------------------------------------------------------------------------------------- the run


@dataclass(slots=True)
class Shown:
    """What the panel shows of a result: at most SHOWN rows, in four dresses."""

    json: bytes = b""
    xml: bytes = b""
    #: The envelope of SOAP 1.1 that holds it; a fault where SOAP cannot tell it.
    soap: bytes = b""
    header: list[str] = field(default_factory=list)
    table: list[tuple[str | None, ...]] = field(default_factory=list)
    #: How many rows are shown; None where the result is no table.
    rows: int | None = None
    #: There are rows beyond those shown.
    more: bool = False
    #: Rows that a writing operation touched; -1 where the source does not say, None for other results.
    affected: int | None = None

    @property
    def json_text(self) -> str:
        return self.json.decode()

    @property
    def xml_text(self) -> str:
        return self.xml.decode()

    @property
    def soap_text(self) -> str:
        return self.soap.decode()


def show(result: Result, call: Call) -> Shown:
    """The result as callers get it, cut to what the panel can hold. Raises Fault."""
    if isinstance(result, Fault):
        raise result
    if isinstance(result, Rows):
        return _rows(result, call)
    if isinstance(result, Affected):
        json, xml = (FORMATS[name].render_affected(result, call.code) for name in ("json", "xml"))
        return Shown(json, xml, _soap(result, call), affected=result.count)
    assert isinstance(result, Document)
    document = unwrapped(result)
    records = _records(document.value)
    header = list(dict.fromkeys(name for record in records[:SHOWN] for name in record))[:COLUMNS]
    return Shown(
        json=FORMATS["json"].render_document(document),
        xml=FORMATS["xml"].render_document(document),
        soap=_soap(document, call),
        header=header,
        table=[tuple(_cell(record.get(name)) for name in header) for record in records[:SHOWN]],
        rows=min(len(records), SHOWN) if records else None,
        more=len(records) > SHOWN,
    )


def _rows(result: Rows, call: Call) -> Shown:
    taken: list[Row] = []
    for batch in result.batches:
        taken += batch
        if len(taken) > SHOWN:
            break
    more = len(taken) > SHOWN or result.truncated or result.has_next
    taken = taken[:SHOWN]
    result.count = len(taken)

    def part() -> Rows:
        found = Rows(result.columns, iter((taken,)))
        found.truncated = more and not result.has_next
        return found

    columns = [
        text_column(values, column.type, TEXT)
        for values, column in zip(columns_of(taken), result.columns, strict=True)
    ] if taken else []  # fmt: skip
    return Shown(
        json=b"".join(FORMATS["json"].render(part(), call.code)),
        xml=b"".join(FORMATS["xml"].render(part(), call.code)),
        soap=_soap(part(), call),
        header=unique_names(result.columns),
        table=list(zip(*columns, strict=True)),
        rows=len(taken),
        more=more,
    )


def _soap(result: Result, call: Call) -> bytes:
    """The envelope in which a SOAP caller gets a result."""
    assert call.operation is not None
    try:
        return b"".join(chunks(Writer(call.operation, "1.1"), result))
    except Fault as untold:
        return _soap_fault(untold, call)


def _soap_fault(fault: Fault, call: Call) -> bytes:
    namespace = xml_names.namespace(call.agency, call.service)
    return soap_fault.written(fault, "1.1", namespace, call.request_id, get_language() or "id")


def _records(value: Any, depth: int = 4) -> list[dict[str, Any]]:
    """The first list of objects in a document; without one, the outermost object that holds a plain value."""
    return _listed(value, depth) or _single(value, depth)


def _listed(value: Any, depth: int) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return value if value and all(isinstance(each, dict) for each in value) else []
    if not isinstance(value, dict) or not depth:
        return []
    return next((found for each in value.values() if (found := _listed(each, depth - 1))), [])


def _single(value: Any, depth: int) -> list[dict[str, Any]]:
    """What stands around an object is not cut off: it would be missing from the table without a word."""
    if not isinstance(value, dict) or not depth:
        return []
    if any(not isinstance(each, dict | list) for each in value.values()):
        return [value]
    return next((found for each in value.values() if (found := _single(each, depth - 1))), [])


def _cell(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    text = FORMATS["json"].render_document(Document(value)).decode()
    # A date is a text in JSON, and is shown as CSV writes it.
    return str(orjson.loads(text)) if text.startswith('"') else text
