"""The envelope of a SOAP response, in chunks."""

from __future__ import annotations

from collections.abc import Iterator

from mantra.gateway.formats.soap import Writer
from mantra.gateway.http import unwrapped
from registry import faults
from registry.results import Affected, Document, Fault, Result, Rows


def chunks(writer: Writer, result: Result) -> Iterator[bytes]:
    """Return the chunks of the envelope of a result. Raises Fault."""
    if isinstance(result, Rows):
        return writer.render(result)
    if isinstance(result, Affected):
        return iter((writer.render_affected(result),))
    if isinstance(result, Document):
        return iter((writer.render_document(unwrapped(result, writer.operation_name)),))
    raise Fault(faults.FORMAT_IMPOSSIBLE, format="SOAP")
