"""Files that are one of the lists: looked through when they are uploaded, and stored encrypted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, BinaryIO

from django.conf import settings

from dataservices import uploads
from dataservices.tabular import kinds
from mantra.reconciliation import files
from mantra.reconciliation.models import Side
from registry.models import Agency

_CHUNK = 1 << 20


def put(side: Side, agency: Agency, name: str, chunks: Any) -> None:
    """Make a side an uploaded file. Its plain copy is removed at once. Raises UploadError, ExportError, OSError."""
    preview = uploads.inspect(agency, name, chunks)
    try:
        with preview.file.content.open("rb") as file:
            side.stored, side.key = files.store(_pieces(file), settings.MAX_UPLOAD_BYTES)
    finally:
        preview.file.discard()
    found = preview.found
    side.kind, side.as_own = Side.Kind.FILE, False
    side.operation = side.application = None
    side.arguments, side.file_name, side.file_rows = {}, preview.file.name, found.rows
    columns = [
        (column.index, column.header or column.name, column.kind, kinds.type_of(column.kind))
        for column in found.columns
    ]
    side.found = {"sheet": found.sheet, "layout": asdict(found.layout), "columns": _distinct(columns)}


def _distinct(columns: list[tuple[int, str, str, str]]) -> list[list[Any]]:
    """Return the columns with headers that differ, of a bounded length."""
    seen: dict[str, int] = {}
    result: list[list[Any]] = []
    for index, header, kind, type in columns:
        name = header[:100]
        seen[name] = seen.get(name, 0) + 1
        result.append([index, name if seen[name] == 1 else f"{name} ({seen[name]})", kind, type])
    return result


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_CHUNK):
        yield piece
