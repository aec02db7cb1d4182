"""The rendering of a result on the try-out page."""

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
from mantra.gateway.protocols.soap import fault as soap_faults
from mantra.gateway.protocols.soap.rendering import chunks
from proxyservices.forwarding.plan import Plan
from proxyservices.forwarding.records import parse_path, propose, records_at
from proxyservices.forwarding.response import records_of
from registry.calls import Call
from registry.results import Affected, Document, Fault, Result, Row, Rows

#: The most rows on the page. Further rows are not fetched.
MAX_ROWS = 100
#: The most columns of a table, for records with different names.
MAX_COLUMNS = 500


@dataclass(slots=True)
class Rendering:
    """A result in four forms: JSON, XML, SOAP and a table, each with at most MAX_ROWS rows."""

    json: bytes = b""
    xml: bytes = b""
    #: The envelope of SOAP 1.1; with a fault if the result cannot be written in SOAP.
    soap: bytes = b""
    header: list[str] = field(default_factory=list)
    table: list[tuple[str | None, ...]] = field(default_factory=list)
    #: The number of rows; None if the result is not a table.
    rows: int | None = None
    #: There are further rows.
    more: bool = False
    #: The records path that the document suggests, where formats of rows cannot hold it without one.
    proposed_path: str = ""
    #: The number of rows that a writing operation changed; -1 if the source does not say, None for other results.
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


def render(result: Result, call: Call) -> Rendering:
    """Return the result as callers get it, with at most MAX_ROWS rows. Raises Fault."""
    if isinstance(result, Fault):
        raise result
    if isinstance(result, Rows):
        return _rows(result, call)
    if isinstance(result, Affected):
        json, xml = (FORMATS[name].render_affected(result, call.code) for name in ("json", "xml"))
        return Rendering(json, xml, _soap(result, call), affected=result.count)
    assert isinstance(result, Document)
    document = unwrapped(result, call.code)
    records, proposed_path = _table_records(result, document.value, call)
    header = list(dict.fromkeys(name for record in records[:MAX_ROWS] for name in record))[:MAX_COLUMNS]
    return Rendering(
        json=FORMATS["json"].render_document(document),
        xml=FORMATS["xml"].render_document(document),
        soap=_soap(document, call),
        header=header,
        table=[tuple(_cell(record.get(name)) for name in header) for record in records[:MAX_ROWS]],
        rows=min(len(records), MAX_ROWS) if records else None,
        more=len(records) > MAX_ROWS,
        proposed_path=proposed_path,
    )


def _rows(result: Rows, call: Call) -> Rendering:
    shown_rows: list[Row] = []
    for batch in result.batches:
        shown_rows += batch
        if len(shown_rows) > MAX_ROWS:
            break
    more = len(shown_rows) > MAX_ROWS or result.truncated or result.has_next
    shown_rows = shown_rows[:MAX_ROWS]
    result.count = len(shown_rows)

    def first_rows() -> Rows:
        rows = Rows(result.columns, iter((shown_rows,)))
        rows.truncated = more and not result.has_next
        return rows

    columns = [
        text_column(values, column.type, TEXT)
        for values, column in zip(columns_of(shown_rows), result.columns, strict=True)
    ] if shown_rows else []  # fmt: skip
    return Rendering(
        json=b"".join(FORMATS["json"].render(first_rows(), call.code)),
        xml=b"".join(FORMATS["xml"].render(first_rows(), call.code)),
        soap=_soap(first_rows(), call),
        header=unique_names(result.columns),
        table=list(zip(*columns, strict=True)),
        rows=len(shown_rows),
        more=more,
    )


def _soap(result: Result, call: Call) -> bytes:
    """Return the envelope in which a SOAP caller gets the result."""
    assert call.operation is not None
    try:
        return b"".join(chunks(Writer(call.operation, "1.1"), result))
    except Fault as fault:
        return render_soap_fault(fault, call)


def render_soap_fault(fault: Fault, call: Call) -> bytes:
    namespace = xml_names.namespace(call.agency, call.service)
    return soap_faults.render(fault, "1.1", namespace, call.request_id, get_language() or "id")


def _table_records(result: Document, value: Any, call: Call) -> tuple[list[dict[str, Any]], str]:
    """Return the rows of the table, and the records path that is proposed.

    The rows are the records that callers get as rows, else those at the proposed path, else the whole object.
    """
    plan = call.operation.plan if call.operation is not None else None
    if isinstance(plan, Plan):
        records = records_of(plan, result.value, result.enveloped, plan.declared)
        if records is not None:
            return records, ""
    proposed = propose(value)
    records = records_at(value, parse_path(proposed) or ()) if proposed else None
    if records is None:
        return ([value] if isinstance(value, dict) and value else []), ""
    return records, proposed


def _cell(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    text = FORMATS["json"].render_document(Document(value)).decode()
    # A date is a JSON string: the table has it without quotes, as CSV does.
    return str(orjson.loads(text)) if text.startswith('"') else text
