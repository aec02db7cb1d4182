"""Memo files: DBT of dBase III and IV, FPT of FoxPro. A memo is read by its block number."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from dbfread.memo import DB4MemoHeader, VFPFileHeader, VFPMemoHeader

#: Bytes of the longest memo that is read; a longer one becomes a warning.
MAX_BYTES = 24 * 1024 * 1024

_DB4 = (0x04, 0x7B, 0x8B, 0x8C, 0x8E, 0xCB)
_DB4_MARK = b"\xff\xff\x08\x00"
_BINARY = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"%PDF-", b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


class BadMemo(ValueError):
    """The memo cannot be read. The text says why."""


def looks_binary(data: bytes) -> bool:
    """Return True if the bytes cannot be typed text."""
    return b"\0" in data or data.startswith(_BINARY)


def find(dbf: Path, foxpro: bool) -> Path | None:
    """Return the memo file beside a table, in any case of letters. FoxPro tables prefer FoxPro's format."""
    suffixes = (".fpt", ".dbt") if foxpro else (".dbt", ".fpt")
    names = {
        name[len(dbf.stem) :].lower(): name
        for name in sorted(os.listdir(dbf.parent), reverse=True)
        if name[: len(dbf.stem)].lower() == dbf.stem.lower() and name[len(dbf.stem) :].lower() in suffixes
    }
    name = next((names[suffix] for suffix in suffixes if suffix in names), None)
    return None if name is None else dbf.parent / name


class MemoFile:
    """An open memo file. ``text_ends``: memos end at a marker byte, so that binary data cannot be read from it;
    ``wrapped``: its text may contain the line wraps of dBase's editor."""

    def __init__(self, path: Path, version: int) -> None:
        self._file = path.open("rb", buffering=0)
        self._descriptor = self._file.fileno()
        self._size = os.fstat(self._descriptor).st_size
        self._fpt = path.suffix.lower() == ".fpt"
        self.wrapped = not self._fpt
        self.text_ends = not self._fpt and version not in _DB4
        head = self._at(0, 512)
        if self._fpt:
            block = VFPFileHeader.unpack(head.ljust(512, b"\0")).blocksize or 1
        else:
            block = 512 if self.text_ends else struct.unpack_from("<H", head.ljust(22, b"\0"), 20)[0] or 512
        self._block = block

    def close(self) -> None:
        self._file.close()

    def read(self, block: int) -> bytes:
        """Return the memo that begins at a block. Raises BadMemo."""
        start = block * self._block
        if start >= self._size:
            raise BadMemo("its memo starts after the end of the memo file")
        head = self._at(start, 8)
        if self._fpt:
            return self._counted(start, VFPMemoHeader.unpack(head.ljust(8, b"\xff")).length)
        if head.startswith(_DB4_MARK):
            # The length counts these eight bytes.
            return self._counted(start, DB4MemoHeader.unpack(head.ljust(8, b"\0")).length - 8)
        if not self.text_ends:
            raise BadMemo("its memo does not start at the expected position")
        return self._ended(start)

    def _counted(self, start: int, length: int) -> bytes:
        if length < 0 or start + 8 + length > self._size:
            raise BadMemo("its memo continues after the end of the memo file")
        if length > MAX_BYTES:
            raise BadMemo(f"its memo is longer than {MAX_BYTES} bytes")
        return self._at(start + 8, length)

    def _ended(self, start: int) -> bytes:
        """dBase III: text up to a 1Ah. Binary data may contain that byte, and would be cut short."""
        data = b""
        while (end := data.find(b"\x1a")) < 0:
            more = self._at(start + len(data), 8192)
            if not more:
                end = len(data)
                break
            data += more
            if len(data) > MAX_BYTES:
                raise BadMemo(f"its memo is longer than {MAX_BYTES} bytes")
        memo = data[:end].rstrip(b"\0")
        if looks_binary(memo):
            raise BadMemo("its memo is not text, and this type of memo file does not state where such data ends")
        return memo

    def _at(self, start: int, count: int) -> bytes:
        return os.pread(self._descriptor, count, start)
