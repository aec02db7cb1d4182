"""What kind of file it is, by its content, and whether it may be unpacked: both before a reader sees it."""

from __future__ import annotations

import mmap
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from dataservices.tabular.shapes import Refused

#: Files that an archive may contain.
MAX_ENTRIES = 10_000

_ZIP, _OLE = (b"PK\x03\x04", b"PK\x05\x06"), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_CHUNK = 1 << 20
_ODS = b"application/vnd.oasis.opendocument.spreadsheet"
_HTML = re.compile(rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype html|html|head|table|meta|style)\b", re.IGNORECASE | re.DOTALL)
_SHEET_PART = re.compile(r"xl/worksheets/.*\.xml")


@dataclass(slots=True)
class Contents:
    """What was seen while unpacking: cells with saved errors, and formulas without a saved value."""

    errors: int = 0
    unsaved: int = 0
    from_1904: bool = False


@dataclass(slots=True)
class _Counter:
    """Counts words in a stream that arrives in pieces."""

    words: tuple[bytes, ...]
    count: int = 0
    _rest: bytes = field(default=b"")

    def feed(self, piece: bytes) -> None:
        text = self._rest + piece
        self.count += sum(text.count(word) for word in self.words)
        # Too short to contain a word of its own.
        self._rest = text[-(min(map(len, self.words)) - 1) :]


def format_of(path: Path, encrypted: bool = False) -> str:
    """Return xlsx, xlsb, xls, ods or csv. Raises Refused with what the file is instead."""
    with path.open("rb") as file:
        head = file.read(4096)
        if not head.strip():
            raise Refused("empty-file")
        if head.startswith(_ZIP):
            return _archive_format(path)
        if head.startswith(_OLE):
            return _compound_format(file)
    if head.startswith(b"%PDF"):
        raise Refused("not-a-table", what="PDF")
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8")):
        raise Refused("not-a-table", what="image")
    if _HTML.match(head):
        raise Refused("web-page")
    if head.lstrip(b"\xef\xbb\xbf").lstrip().startswith(b"<?xml"):
        raise Refused("xml-table")
    return "csv"


def _archive_format(path: Path) -> str:
    with _archive(path) as archive:
        names = set(archive.namelist())
        if "xl/workbook.xml" in names:
            return "xlsx"
        if "xl/workbook.bin" in names:
            return "xlsb"
        if "content.xml" in names and _mimetype(archive).startswith(_ODS):
            return "ods"
    raise Refused("not-a-table", what="zip")


def _mimetype(archive: zipfile.ZipFile) -> bytes:
    try:
        entry = archive.getinfo("mimetype")
        return archive.read(entry) if entry.file_size < 200 else b""
    except Exception:  # the file is damaged, or none of OpenDocument
        return b""


def _compound_format(file: IO[bytes]) -> str:
    """Return xls for a file of Excel 97–2003. Protected ones of later versions look the same."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find("EncryptedPackage".encode("utf-16-le")) >= 0:
            raise Refused("password")
        if any(content.find(f"{name}\0".encode("utf-16-le")) >= 0 for name in ("Workbook", "Book")):
            return "xls"
    raise Refused("not-a-table", what="Word")


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, OSError):
        raise Refused("damaged") from None


def check_archive(path: Path, most: int) -> Contents:
    """Unpack a workbook to nowhere. Raises Refused if it has more bytes than ``most``, or than it states."""
    with _archive(path) as archive, path.open("rb") as file:
        entries = archive.infolist()
        if len(entries) > MAX_ENTRIES or sum(entry.file_size for entry in entries) > most:
            raise Refused("unpacked", mib=most >> 20)
        if any(entry.flag_bits & 1 for entry in entries):
            raise Refused("password")
        contents = Contents()
        for entry in entries:
            _look_through(file, entry, contents)
    return contents


def _look_through(file: IO[bytes], entry: zipfile.ZipInfo, contents: Contents) -> None:
    """Unpack an entry, as long as it is what the directory states, and count."""
    sheet = _SHEET_PART.fullmatch(entry.filename) is not None
    errors, unsaved = _Counter((b't="e"',)), _Counter((b"</f></c>", b"<v></v></c>", b"</f><v/></c>", b"</f><v /></c>"))
    size, head = 0, b""
    for piece in _unpacked(file, entry):
        size += len(piece)
        if size > entry.file_size:
            raise Refused("damaged")
        head = head or piece[:20_000]
        if sheet:
            errors.feed(piece)
            unsaved.feed(piece)
    if size != entry.file_size:
        raise Refused("damaged")
    contents.errors += errors.count
    contents.unsaved += unsaved.count
    if entry.filename == "xl/workbook.xml":
        contents.from_1904 = re.search(rb'\bdate1904="(?:1|true)"', head) is not None


def _unpacked(file: IO[bytes], entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield the bytes of an entry in pieces of bounded size, however many there are. zipfile itself trusts the size."""
    if entry.header_offset < 0:
        raise Refused("damaged")
    file.seek(entry.header_offset)
    header = file.read(30)
    if len(header) < 30 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Refused("damaged")
    file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)
    left = entry.compress_size
    inflate = zlib.decompressobj(-zlib.MAX_WBITS) if entry.compress_type == zipfile.ZIP_DEFLATED else None
    try:
        while left > 0 and (packed := file.read(min(left, _CHUNK))):
            left -= len(packed)
            if inflate is None:
                yield packed
                continue
            while packed:
                yield inflate.decompress(packed, _CHUNK)
                packed = inflate.unconsumed_tail
    except zlib.error:
        raise Refused("damaged") from None
