"""Writes DBF files of any kind, byte by byte from the formats' descriptions and without the reader's help."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class F:
    """A field: name, type, width, decimals and the flags of Visual FoxPro (1 hidden, 2 nullable, 4 binary)."""

    name: str
    type: str
    width: int
    decimals: int = 0
    flags: int = 0


def write(
    path: Path,
    fields: Sequence[F],
    records: Iterable[Sequence[bytes]],
    version: int = 0x03,
    code_page: int = 0,
    deleted: Iterable[int] = (),
    count: int | None = None,
    end: bytes = b"\x1a",
    date: bytes = b"\x7e\x0b\x15",
) -> Path:
    """Write a table. Records are raw cells, padded with blanks; ``deleted`` counts from 0; ``count`` may lie."""
    gone = set(deleted)
    rows = [
        (b"*" if number in gone else b" ")
        + b"".join(cell.ljust(field.width, b" ")[: field.width] for cell, field in zip(record, fields, strict=True))
        for number, record in enumerate(records)
    ]
    head = _header7 if version & 7 == 4 else _header2 if version == 2 else _header
    made = head(fields, version, code_page, len(rows) if count is None else count, date)
    path.write_bytes(made + b"".join(rows) + end)
    return path


def _width(fields: Sequence[F]) -> int:
    return 1 + sum(field.width for field in fields)


def _header(fields: Sequence[F], version: int, code_page: int, count: int, date: bytes) -> bytes:
    described = b""
    offset = 1
    for field in fields:
        low, high = field.width & 0xFF, field.width >> 8 or field.decimals
        described += struct.pack(
            "<11scIBBB13x", field.name.encode("cp850"), field.type.encode(), offset, low, high, field.flags
        )
        offset += field.width
    backlink = bytes(263) if version in (0x30, 0x31, 0x32) else b""
    length = 32 + len(described) + 1 + len(backlink)
    start = struct.pack("<B3sIHH16xBBxx", version, date, count, length, _width(fields), 0, code_page)
    return start + described + b"\r" + backlink


def _header7(fields: Sequence[F], version: int, code_page: int, count: int, date: bytes) -> bytes:
    described = b"".join(
        struct.pack("<32scBB13x", field.name.encode(), field.type.encode(), field.width, field.decimals)
        for field in fields
    )
    length = 68 + len(described) + 1
    start = struct.pack("<B3sIHH16xBBxx", version, date, count, length, _width(fields), 0, code_page)
    return start + b"DBWINUS0".ljust(32, b"\0") + bytes(4) + described + b"\r"


def _header2(fields: Sequence[F], version: int, code_page: int, count: int, date: bytes) -> bytes:
    described = b"".join(
        struct.pack("<11scBHB", field.name.encode(), field.type.encode(), field.width, 0, field.decimals)
        for field in fields
    )
    return (struct.pack("<BH3sH", 2, count, date, _width(fields)) + described + b"\r").ljust(521, b"\0")


def fpt(path: Path, memos: Sequence[tuple[int, bytes]], block: int = 64) -> list[int]:
    """A FoxPro memo file of (kind, bytes); kind 1 is text. Returns the block number of each memo."""
    body = b""
    places = []
    first = 512 + -512 % block
    for kind, data in memos:
        places.append((first + len(body)) // block)
        body += _filled(struct.pack(">II", kind, len(data)) + data, block)
    head = struct.pack(">IHH504x", (first + len(body)) // block, 0, block)
    path.write_bytes(head.ljust(first, b"\0") + body)
    return places


def dbt3(path: Path, memos: Sequence[bytes]) -> list[int]:
    """A memo file of dBase III: text up to two 1Ah."""
    body, places = b"", []
    for data in memos:
        places.append(1 + len(body) // 512)
        body += _filled(data + b"\x1a\x1a", 512)
    path.write_bytes(struct.pack("<I12xB495x", 1 + len(body) // 512, 3) + body)
    return places


def dbt4(path: Path, memos: Sequence[bytes], block: int = 512) -> list[int]:
    """A memo file of dBase IV: a mark and the length, which counts mark and length too."""
    body, places = b"", []
    first = 512 + -512 % block
    for data in memos:
        places.append((first + len(body)) // block)
        body += _filled(b"\xff\xff\x08\x00" + struct.pack("<I", len(data) + 8) + data, block)
    head = struct.pack("<I16xH490x", (first + len(body)) // block, block)
    path.write_bytes(head.ljust(first, b"\0") + body)
    return places


def _filled(data: bytes, block: int) -> bytes:
    return data + bytes(-len(data) % block)
