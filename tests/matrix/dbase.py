"""The types of dBase and FoxPro files. A value is the cell's own bytes, or the memo's; written here as Latin-1 text."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import date

from tests.matrix.shown import NULL, Engine, Type, digits, of, real, text, truth, whole

DBASE2, DBASE3, DBASE3_MEMO, DBASE4_MEMO, DBASE7, FOXPRO2, VFP, VFP_VAR = 0x02, 0x03, 0x83, 0x8B, 0x04, 0xF5, 0x30, 0x32


@dataclass(frozen=True)
class Form:
    """How a type's file is made: its first byte, the field, the code page's byte; whether it has null flags."""

    version: int
    type: str
    width: int
    decimals: int = 0
    flags: int = 0
    code_page: int = 0x03


def _raw(form: str, *values: float) -> str:
    return struct.pack(form, *values).decode("latin-1")


def _moment(day: date, milliseconds: int) -> str:
    return _raw("<II", day.toordinal() + 1721425, milliseconds)


def _flipped(value: float) -> str:
    """A double as dBase 7 has it: it sorts by its bytes."""
    bits = int.from_bytes(struct.pack(">d", value), "big")
    return (bits ^ (2**64 - 1 if bits >> 63 else 2**63)).to_bytes(8, "big").decode("latin-1")


_BLANK = "blank"
_BINARY = "".join(map(chr, range(256))) * 16
_BINARY_64 = text(
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0BBQkNERUZHSElKS0xNTk9QUVJTVFVW"
    "V1hZWltcXV5fYGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn+AgYKDhIWGh4iJiouMjY6PkJGSk5SVlpeYmZqbnJ2en6ChoqOkpaanqKmqq6yt"
    "rq+wsbKztLW2t7i5uru8vb6/wMHCw8TFxsfIycrLzM3Oz9DR0tPU1dbX2Nna29zd3t/g4eLj5OXm5+jp6uvs7e7v8PHy8/T19vf4+fr7/P3+/w=="
)

FORMS: tuple[tuple[Type, Form], ...] = (
    (
        of(
            "C(10)",
            "text",
            ("ordinary", "Sari", text("Sari")),
            ("blank", "", text("")),
            ("blanks around", "  a  ", text("  a")),
            ("code page", "\xe9\x80", text("é€")),
            ("NULs behind", "ab\0\0", text("ab")),
            ("like a number", "007", text("007")),
            null=False,
            note="trailing blanks and NULs are padding; a blank field is empty text: these files have no NULL",
        ),
        Form(DBASE3, "C", 10),
    ),
    (
        of("C(10), cp850", "text", ("code page", "\x82\x85", text("éà")), null=False),
        Form(DBASE3, "C", 10, code_page=0x02),
    ),
    (
        of("C(10), cp1251", "text", ("code page", "\xc6\xf3\xea", text("Жук")), null=False),
        Form(DBASE3, "C", 10, code_page=0xC9),
    ),
    (
        of("C(10), cp932", "text", ("code page", "\x93\xfa\x96\x7b", text("日本")), null=False),
        Form(DBASE3, "C", 10, code_page=0x7B),
    ),
    (
        of("C(300)", "text", ("full", "x" * 300, text("x" * 300)), null=False, note="Clipper's long texts"),
        Form(DBASE3, "C", 300),
    ),
    (of("C(10) of dBase II", "text", ("ordinary", "Sari", text("Sari")), null=False), Form(DBASE2, "C", 10)),
    (
        of("C(10) NULL of Visual FoxPro", "text", ("ordinary", "Sari", text("Sari")), ("blank", "", text(""))),
        Form(VFP, "C", 10, flags=2),
    ),
    (
        of(
            "C(10) BINARY of Visual FoxPro",
            "bytes",
            ("ordinary", "\x00\xff", text("AP8gICAgICAgIA==")),
            null=False,
            note="padded by the program that wrote the file",
        ),
        Form(VFP, "C", 10, flags=4),
    ),
    (
        of(
            "N(5)",
            "integer",
            ("ordinary", "   42", whole("42")),
            ("below zero", "  -42", whole("-42")),
            ("zeros", "00042", whole("42")),
            ("max", "99999", whole("99999")),
            ("overflowed", "*****", NULL),
            note="`***` is NULL, with a warning",
        ),
        Form(DBASE3, "N", 5),
    ),
    (
        of("N(19)", "integer", ("max of 64 bits", "9223372036854775807", whole("9223372036854775807"))),
        Form(DBASE3, "N", 19),
    ),
    (
        of(
            "N(20)",
            "decimal",
            ("beyond 64 bits", "99999999999999999999", digits("99999999999999999999")),
            ("min", "-9999999999999999999", digits("-9999999999999999999")),
            ("ordinary", " " * 18 + "42", digits("42")),
            note="an integer if all values in the file fit into 64 bits",
        ),
        Form(DBASE3, "N", 20),
    ),
    (
        of(
            "N(8,2)",
            "decimal",
            ("ordinary", "   12.50", digits("12.50")),
            ("fewer digits", "    12.5", digits("12.50")),
            ("no zero", "    -.50", digits("-0.50")),
            ("more digits", "   0.125", digits("0.125")),
            ("E notation", " 1.5E+03", digits("1500.00")),
        ),
        Form(DBASE3, "N", 8, 2),
    ),
    (
        of(
            "N(20,4)",
            "decimal",
            ("many digits", "123456789012345.6789", digits("123456789012345.6789")),
            ("min", "-99999999999999.9999", digits("-99999999999999.9999")),
        ),
        Form(DBASE3, "N", 20, 4),
    ),
    (
        of("N(20,18)", "decimal", ("many digits", "0.123456789012345678", digits("0.123456789012345678"))),
        Form(DBASE3, "N", 20, 18),
    ),
    (
        of("N(8,2) NULL of Visual FoxPro", "decimal", ("ordinary", "   12.50", digits("12.50"))),
        Form(VFP, "N", 8, 2, flags=2),
    ),
    (
        of(
            "F(20,4)",
            "decimal",
            ("ordinary", "             12.5000", digits("12.5000")),
            ("many digits", "123456789012345.6789", digits("123456789012345.6789")),
        ),
        Form(DBASE4_MEMO, "F", 20, 4),
    ),
    (
        of(
            "L",
            "boolean",
            ("true", "T", truth(True)),
            ("yes", "y", truth(True)),
            ("false", "F", truth(False)),
            ("unknown", "?", NULL),
        ),
        Form(DBASE3, "L", 1),
    ),
    (
        of(
            "D",
            "date",
            ("ordinary", "20100908", text("2010-09-08")),
            ("leap day", "20240229", text("2024-02-29")),
            ("year 1", "00010101", text("0001-01-01")),
            ("year 9999", "99991231", text("9999-12-31")),
            ("zero", "00000000", NULL),
            ("no such day", "20230229", NULL),
            note="a date that does not exist is NULL, with a warning",
        ),
        Form(DBASE3, "D", 8),
    ),
    (
        of(
            "T of Visual FoxPro",
            "datetime",
            ("ordinary", _moment(date(2010, 9, 8), 36_000_000), text("2010-09-08T10:00:00")),
            ("half a second", _moment(date(2024, 2, 29), 86_399_500), text("2024-02-29T23:59:59.500000")),
            ("year 1", _moment(date(1, 1, 1), 0), text("0001-01-01T00:00:00")),
            ("year 9999", _moment(date(9999, 12, 31), 86_399_000), text("9999-12-31T23:59:59")),
            ("zero", "\0" * 8, NULL),
        ),
        Form(VFP, "T", 8),
    ),
    (
        of(
            "7 of CodeBase",
            "datetime",
            ("ordinary", _moment(date(2010, 9, 8), 36_000_000), text("2010-09-08T10:00:00")),
            ("1 ms before", _moment(date(2010, 9, 8), 35_999_999), text("2010-09-08T09:59:59.999000")),
        ),
        Form(VFP, "7", 8),
    ),
    (
        of(
            "V(5) BINARY of Visual FoxPro",
            "bytes",
            ("ordinary", "\x00\xff\0\0\2", text("AP8=")),
            ("empty", "\0\0\0\0\0", text("")),
        ),
        Form(VFP_VAR, "V", 5, flags=6),
    ),
    (
        of(
            "Y of Visual FoxPro",
            "decimal",
            ("ordinary", _raw("<q", 12_345_000), digits("1234.5000")),
            ("least", _raw("<q", -1), digits("-0.0001")),
            ("max", _raw("<q", 2**63 - 1), digits("922337203685477.5807")),
            ("min", _raw("<q", -(2**63)), digits("-922337203685477.5808")),
            null=False,
        ),
        Form(VFP, "Y", 8),
    ),
    (
        of(
            "I of Visual FoxPro",
            "integer",
            ("ordinary", _raw("<i", 42), whole("42")),
            ("min", _raw("<i", -(2**31)), whole("-2147483648")),
            ("max", _raw("<i", 2**31 - 1), whole("2147483647")),
            null=False,
        ),
        Form(VFP, "I", 4),
    ),
    (of("I NULL of Visual FoxPro", "integer", ("ordinary", _raw("<i", 42), whole("42"))), Form(VFP, "I", 4, flags=2)),
    (
        of("I AUTOINC of Visual FoxPro", "integer", ("ordinary", _raw("<i", 7), whole("7")), null=False),
        Form(0x31, "I", 4, flags=0x0C),
    ),
    (
        of(
            "B(8,2) of Visual FoxPro",
            "float",
            ("ordinary", _raw("<d", 0.1), real("0.1")),
            ("17 digits", _raw("<d", 0.30000000000000004), real("0.30000000000000004")),
            ("max", _raw("<d", 1.7976931348623157e308), real("1.7976931348623157e+308", "1.7976931348623157E+308")),
            ("-0", _raw("<d", -0.0), real("0.0", "0")),
            ("NaN", _raw("<d", float("nan")), NULL),
            null=False,
            note="a double; a value that is not a number is NULL, with a warning; the SQLite copy does not store -0",
        ),
        Form(VFP, "B", 8, 2),
    ),
    (
        of(
            "V(5) of Visual FoxPro",
            "text",
            ("ordinary", "ab\0\0\2", text("ab")),
            ("full", "abcde", text("abcde")),
            ("blanks behind", "a  \0\3", text("a  ")),
            ("empty", "\0\0\0\0\0", text("")),
        ),
        Form(VFP_VAR, "V", 5, flags=2),
    ),
    (
        of(
            "Q(4) of Visual FoxPro",
            "bytes",
            ("ordinary", "\x00\xff\0\2", text("AP8=")),
            ("full", "\1\2\3\4", text("AQIDBA==")),
            ("empty", "\0\0\0\0", text("")),
        ),
        Form(VFP_VAR, "Q", 4, flags=2),
    ),
    (
        of(
            "M of dBase III",
            "text",
            ("ordinary", "satu\r\ndua", text("satu\r\ndua")),
            ("wrapped", "a\x8d\nb", text("a\r\nb")),
            ("9 KB", "abc" * 3000, text("abc" * 3000)),
            note="NULL without a memo; the editor's soft line breaks become line breaks",
        ),
        Form(DBASE3_MEMO, "M", 10),
    ),
    (
        of("M of dBase IV", "text", ("ordinary", "caf\xe9", text("café")), ("empty", "", text(""))),
        Form(DBASE4_MEMO, "M", 10),
    ),
    (of("M of FoxPro 2", "text", ("ordinary", "caf\xe9", text("café"))), Form(FOXPRO2, "M", 10)),
    (
        of(
            "M of Visual FoxPro",
            "text",
            ("ordinary", "caf\xe9\r\n", text("café\r\n")),
            ("empty", "", text("")),
            ("9 KB", "abc" * 3000, text("abc" * 3000)),
        ),
        Form(VFP, "M", 4),
    ),
    (
        of("M BINARY of Visual FoxPro", "bytes", ("ordinary", "\x00\xff", text("AP8=")), ("empty", "", text(""))),
        Form(VFP, "M", 4, flags=4),
    ),
    (of("B(10) of dBase IV", "bytes", ("ordinary", "\x00\xff", text("AP8="))), Form(DBASE4_MEMO, "B", 10)),
    (of("G of Visual FoxPro", "bytes", ("256 bytes", _BINARY[:256], _BINARY_64)), Form(VFP, "G", 4)),
    (of("P of FoxPro 2", "bytes", ("ordinary", "\x00\xff", text("AP8="))), Form(FOXPRO2, "P", 10)),
    (of("W of Visual FoxPro", "bytes", ("ordinary", "\x00\xff", text("AP8="))), Form(VFP, "W", 4)),
    (
        of(
            "I of dBase 7",
            "integer",
            ("ordinary", _raw(">I", 2**31 + 42), whole("42")),
            ("below zero", _raw(">I", 2**31 - 1), whole("-1")),
            ("max", _raw(">I", 2**32 - 1), whole("2147483647")),
        ),
        Form(DBASE7, "I", 4),
    ),
    (of("+ of dBase 7", "integer", ("ordinary", _raw(">I", 2**31 + 7), whole("7"))), Form(DBASE7, "+", 4)),
    (
        of(
            "O of dBase 7",
            "float",
            ("ordinary", _flipped(0.1), real("0.1")),
            ("below zero", _flipped(-0.1), real("-0.1")),
            ("max", _flipped(1.7976931348623157e308), real("1.7976931348623157e+308", "1.7976931348623157E+308")),
        ),
        Form(DBASE7, "O", 8),
    ),
    (
        of(
            "@ of dBase 7",
            "datetime",
            ("ordinary", bytes.fromhex("42ccf9bdcaa9d000").decode("latin-1"), text("2020-02-20T20:20:20")),
        ),
        Form(DBASE7, "@", 8),
    ),
    (
        of("Z(3), an unknown type", "bytes", ("ordinary", "\1\2 ", text("AQIg")), null=False, note="with a warning"),
        Form(DBASE3, "Z", 3),
    ),
)
TYPES = tuple([type_ for type_, _ in FORMS])

ENGINE = Engine(
    "dbase",
    "dBase, FoxPro",
    "Files that the tests write byte by byte, from the formats' specifications; *value* is the cell's or memo's bytes.",
    TYPES,
)
