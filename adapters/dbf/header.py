"""The header of a DBF file, from dBase II to VII and Visual FoxPro: its fields, records and code page."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from dbfread.codepages import guess_encoding
from dbfread.dbf import DBFField, DBFHeader

#: The code page of files that do not name one, if the source does not either.
DEFAULT_ENCODING = "cp850"

_VFP = (0x30, 0x31, 0x32)
_FOXPRO = (*_VFP, 0xF5)
_KNOWN = frozenset((0x02, 0x03, 0x04, 0x05, 0x43, 0x63, 0x7B, 0x83, 0x8B, 0x8C, 0x8E, 0xCB, 0xFB, *_FOXPRO))

#: Language drivers of dBase 7 without a code page's number in their names, by the beginning of the name.
_DRIVERS = {"DBWIN": "cp1252", "ANSI": "cp1252", "DBASE": "cp437"}

#: Field types that hold a block number of the memo file.
MEMOS = "MGPW"

#: Types that have one width only, and that width.
_WIDTHS = {"D": (8,), "L": (1,), "I": (4,), "+": (4,), "O": (8,), "@": (8,), "Y": (8,), "T": (8,), "7": (8,)}


class Refused(Exception):
    """A file that cannot be read correctly. The text says why, for the team that runs the source."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column of the file. ``offset`` counts from the record's first byte, the deletion mark.

    ``kind`` is the bus's name of its type. ``null_bit`` and ``length_bit`` are positions in the record's null
    flags: the value is NULL; its last byte is its length. ``memo``: the value is in the memo file.
    """

    name: str
    type: str
    offset: int
    width: int
    decimals: int
    kind: str
    memo: bool = False
    null_bit: int | None = None
    length_bit: int | None = None

    def declared_type(self) -> str:
        """Return the type in dBase's notation: N(12,2)."""
        digits = f",{self.decimals}" if self.decimals and self.type in "NF" else ""
        return f"{self.type}({self.width}{digits})"


@dataclass(frozen=True, slots=True)
class Header:
    version: int
    records: int
    length: int
    width: int
    fields: tuple[Field, ...]
    encoding: str
    #: True if neither the file nor the source names the code page.
    assumed: bool = False
    #: Offset and width of the null flags in a record; a width of 0 where there are none.
    flags: tuple[int, int] = (0, 0)
    warnings: tuple[str, ...] = field(default=())

    @property
    def level7(self) -> bool:
        return self.version & 7 == 4

    @property
    def vfp(self) -> bool:
        return self.version in _VFP


@dataclass(slots=True)
class _Descriptor:
    """A field as it is in the header."""

    name: bytes
    type: str
    width: int
    decimals: int
    flags: int = 0


def read(file: BinaryIO, encoding: str = "") -> Header:
    """Read the header of an open file. ``encoding`` overrides the file's own code page. Raises Refused."""
    file.seek(0)
    start = file.read(32)
    if len(start) < 8 or start[0] not in _KNOWN:
        raise Refused(_unknown_version(start))
    if start[0] == 0x02:
        return _dbase2(start + file.read(521 - 32), encoding)
    if len(start) < 32:
        raise Refused("the file ends in its header")
    head = DBFHeader.unpack(start)
    data = start + file.read(max(head.headerlen - 32, 0))
    if head.headerlen < 65 or len(data) < head.headerlen:
        raise Refused("the file ends in its header")
    if head.encryption_flag == 1 and head.dbversion not in _FOXPRO:
        raise Refused("the file is encrypted")
    level7 = head.dbversion & 7 == 4
    name, warnings = _encoding(head.language_driver, data[32:64] if level7 else b"", encoding)
    if head.incomplete_transaction == 1:
        warnings.append("the file states that a transaction was never finished")
    descriptors = list(_descriptors7(data) if level7 else _descriptors(data))
    return _header(head.dbversion, head.numrecords, head.headerlen, head.recordlen, descriptors, name, warnings)


def _unknown_version(start: bytes) -> str:
    if len(start) < 8:
        return "the file ends in its header"
    if start[0] == 0xE5:
        return "the memo format of HiPer-Six (SMT) is not supported"
    return f"no DBF version has the first byte 0x{start[0]:02X}"


def _header(
    version: int,
    records: int,
    length: int,
    width: int,
    descriptors: list[_Descriptor],
    encoding: str,
    warnings: list[str],
) -> Header:
    assumed, encoding = not encoding, encoding or DEFAULT_ENCODING
    if not descriptors:
        raise Refused("the file has no field")
    _correct_widths(descriptors, width)
    fields, flags = _fields(descriptors, version, encoding)
    for column in fields:
        if column.kind == "bytes" and not column.memo and column.type not in "CVQ":
            warnings.append(
                f"field {column.name} has the unknown type {column.type!r}: its bytes are returned unchanged"
            )
    named = _named(fields, warnings)
    return Header(version, records, length, width, named, encoding, assumed, flags, tuple(warnings))


def _correct_widths(descriptors: list[_Descriptor], width: int) -> None:
    """Correct the widths so that they fill the record. Raises Refused.

    For characters the decimals may be the width's high byte, as Clipper writes it, or a leftover of a spreadsheet.
    """
    total = 1 + sum(each.width for each in descriptors)
    characters = [each for each in descriptors if each.type == "C"]
    missing, rest = divmod(width - total, 256)
    chosen = None if rest or missing < 0 else _summing_to(missing, [each.decimals for each in characters])
    if chosen is None:
        raise Refused(f"the fields take {total} bytes, but a record has {width}")
    for place, each in enumerate(characters):
        each.width += (each.decimals << 8) * (chosen >> place & 1)
        each.decimals = 0


def _summing_to(total: int, numbers: list[int]) -> int | None:
    """Return which of the numbers sum to ``total``, as bits; None if none do, or if there is more than one way."""
    ways: dict[int, int | None] = {0: 0}
    for place, number in enumerate(numbers):
        if number:
            for reached, chosen in sorted(ways.items(), reverse=True):
                if (now := reached + number) <= total:
                    ways[now] = None if now in ways or chosen is None else chosen | 1 << place
    return ways.get(total)


def _descriptors(data: bytes) -> Iterator[_Descriptor]:
    for offset in range(32, len(data) - 31, 32):
        if data[offset] in b"\r\n\0":
            return
        raw_field = DBFField.unpack(data[offset : offset + 32])
        name, type_ = raw_field.name.split(b"\0")[0], raw_field.type.decode("latin-1")
        yield _Descriptor(name, type_, raw_field.length, raw_field.decimal_count, data[offset + 18])


def _descriptors7(data: bytes) -> Iterator[_Descriptor]:
    for offset in range(68, len(data) - 47, 48):
        if data[offset] == 0x0D:
            return
        name, type_, width, decimals = struct.unpack_from("<32scBB", data, offset)
        yield _Descriptor(name.split(b"\0")[0], type_.decode("latin-1"), width, decimals)


def _dbase2(data: bytes, encoding: str) -> Header:
    """dBase II and FoxBASE: a header of 521 bytes with at most 32 fields of 16 bytes each."""
    if len(data) < 521:
        raise Refused("the file ends in its header")
    records, width = struct.unpack_from("<H3xH", data, 1)
    descriptors = []
    for offset in range(8, 520, 16):
        if data[offset] in b"\r\0":
            break
        name, type_, length, decimals = struct.unpack_from("<11scB2xB", data, offset)
        descriptors.append(_Descriptor(name.split(b"\0")[0], type_.decode("latin-1"), length, decimals))
    if any(each.type not in "CNL" for each in descriptors):
        raise Refused("a dBase II file can have fields of the types C, N and L only")
    name, warnings = _encoding(0, b"", encoding)
    return _header(0x02, records, 521, width, descriptors, name, warnings)


def _fields(descriptors: list[_Descriptor], version: int, encoding: str) -> tuple[list[Field], tuple[int, int]]:
    """Return the visible fields with their offsets, and the position of the null flags."""
    vfp = version in _VFP
    flags = (0, 0)
    fields = []
    offset, bit = 1, 0
    for each in descriptors:
        null_bit = length_bit = None
        if vfp and each.type in "VQ":
            length_bit, bit = bit, bit + 1
        if vfp and each.flags & 2:
            null_bit, bit = bit, bit + 1
        if vfp and each.type == "0":
            flags = (offset, each.width)
        elif not (vfp and each.flags & 1):
            fields.append(_field(each, offset, version, encoding, (null_bit, length_bit)))
        offset += each.width
    if bit > flags[1] * 8:
        # Without the flags NULL cannot be distinguished from blank, and a Varchar has no length.
        if any(column.length_bit is not None for column in fields):
            raise Refused("the record has no null flags, which its Varchar fields need")
        fields = [replace(column, null_bit=None) for column in fields]
    return fields, flags


def _field(each: _Descriptor, offset: int, version: int, encoding: str, bits: tuple[int | None, int | None]) -> Field:
    name = each.name.decode(encoding, "replace").strip() or f"field_{offset}"
    kind, memo = _kind(each, version)
    allowed = _WIDTHS.get(each.type)
    if (allowed and kind != "bytes" and each.width not in allowed) or not each.width:
        raise Refused(f"field {name} of type {each.type} cannot be {each.width} bytes wide")
    if memo and each.width not in (4, 10):
        raise Refused(f"field {name} of type {each.type} cannot be {each.width} bytes wide")
    decimals = each.decimals if each.type in "NF" else 4 if each.type == "Y" else 0
    return Field(name, each.type, offset, each.width, decimals, kind, memo, *bits)


def _kind(each: _Descriptor, version: int) -> tuple[str, bool]:
    """Return the type of a field's values, and whether they are in the memo file. Unknown types are bytes."""
    type_, vfp, level7 = each.type, version in _VFP, version & 7 == 4
    binary = vfp and bool(each.flags & 4)
    if type_ in MEMOS:
        return ("text" if type_ == "M" and not binary else "bytes"), True
    if type_ == "B":
        return ("float", False) if each.width == 8 else ("bytes", True)
    if type_ in "CV" and (type_ == "C" or vfp):
        return ("bytes" if binary else "text"), False
    if type_ in "NF":
        return ("decimal" if each.decimals else "integer"), False
    known = {"D": "date", "L": "boolean", "I": "integer", "+": "integer", "Y": "decimal", "T": "datetime"}
    if type_ in "O@":
        return {"O": "float", "@": "datetime"}[type_] if level7 else "bytes", False
    if type_ == "7" and vfp:
        # An extension of CodeBase: a datetime with exact milliseconds.
        return "datetime", False
    return known.get(type_, "bytes"), False


def _named(fields: list[Field], warnings: list[str]) -> tuple[Field, ...]:
    """Return the fields with names that differ in more than their case, as SQL needs them."""
    taken = {column.name.lower() for column in fields}
    seen: set[str] = set()
    out = []
    for column in fields:
        if column.name.lower() in seen:
            number = next(n for n in range(2, 999) if f"{column.name}_{n}".lower() not in taken)
            warnings.append(f"the name {column.name} occurs twice: the later field is named {column.name}_{number}")
            column = replace(column, name=f"{column.name}_{number}")
            taken.add(column.name.lower())
        seen.add(column.name.lower())
        out.append(column)
    return tuple(out)


def _encoding(driver: int, driver_name: bytes, wanted: str) -> tuple[str, list[str]]:
    """Return the code page ("" when none is named), and the warnings about it. Raises Refused."""
    if wanted:
        return known_encoding(wanted), []
    name = driver_name.split(b"\0")[0].decode("latin-1").upper()
    if name:
        code_page = _driver_encoding(name)
        return (code_page, []) if code_page else (DEFAULT_ENCODING, [_encoding_warning(f"language driver {name!r}")])
    if not driver:
        return "", []
    try:
        return known_encoding(guess_encoding(driver)), []
    except (LookupError, Refused):
        return DEFAULT_ENCODING, [_encoding_warning(f"code page byte 0x{driver:02X}")]


def _driver_encoding(name: str) -> str:
    number = re.match(r"DB(\d{3})", name)
    wanted = f"cp{number[1]}" if number else next((_DRIVERS[key] for key in _DRIVERS if name.startswith(key)), "")
    try:
        return known_encoding(wanted) if wanted else ""
    except Refused:
        return ""


def _encoding_warning(what: str) -> str:
    return f"the {what} is unknown: text was read as {DEFAULT_ENCODING}; set the source's encoding if that is wrong"


def known_encoding(name: str) -> str:
    """Return the name, if it is a code page that contains ASCII. Raises Refused."""
    try:
        if bytes(range(128)).decode(name) == "".join(map(chr, range(128))):
            return name
    except (LookupError, ValueError, TypeError, AttributeError):
        pass
    raise Refused(f"{name!r} is not a code page of DBF files")
