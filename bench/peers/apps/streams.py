"""How the peers in Python write 1,000,000 rows: batches of tuples become pieces of JSON or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

import orjson
from known import COLUMNS

Batches = Iterator[list[tuple[Any, ...]]]


def as_json(batches: Batches) -> Iterator[bytes]:
    lead = b'{"data":['
    for batch in batches:
        objects = [dict(zip(COLUMNS, row, strict=True)) for row in batch]
        yield lead + orjson.dumps(objects, default=str)[1:-1]
        lead = b","
    yield b"]}"


def as_csv(batches: Batches) -> Iterator[bytes]:
    yield ",".join(COLUMNS).encode() + b"\r\n"
    for batch in batches:
        text = io.StringIO()
        csv.writer(text).writerows(batch)
        yield text.getvalue().encode()


#: The suffix of an address → how its rows are written, and the media type.
FORMATS: dict[str, tuple[Callable[[Batches], Iterator[bytes]], str]] = {
    "json": (as_json, "application/json"),
    "csv": (as_csv, "text/csv"),
}
