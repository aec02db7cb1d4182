"""The types of SQLite, where each value has one of its own, whatever its column was declared to be."""

from __future__ import annotations

from tests.matrix.shown import NULL, Engine, Type, of, real, text, whole

TYPES: tuple[Type, ...] = (
    of(
        "INTEGER",
        "",
        ("ordinary", "42", whole("42")),
        ("min", "-9223372036854775808", whole("-9223372036854775808")),
        ("max", "9223372036854775807", whole("9223372036854775807")),
        ("beyond 64 bits", "18446744073709551616", real("1.8446744073709552e+19", "1.8446744073709552E+19")),
        ("a text all the same", "'abc'", text("abc")),
        note="SQLite turns a number beyond 64 bits into a float: store such numbers as text",
    ),
    of(
        "REAL",
        "",
        ("ordinary", "0.1", real("0.1")),
        ("17 digits", "0.30000000000000004", real("0.30000000000000004")),
        ("max", "1.7976931348623157e308", real("1.7976931348623157e+308", "1.7976931348623157E+308")),
        ("least", "5e-324", real("5e-324", "5.0E-324")),
        ("whole", "42", real("42.0", "42")),
        ("infinity", "9e999", text("Infinity")),
        ("-infinity", "-9e999", text("-Infinity")),
        ("NaN", "9e999 - 9e999", NULL),
        ("-0", "-0.0", real("0.0", "0")),
        note="SQLite stores neither NaN nor -0",
    ),
    of(
        "NUMERIC",
        "",
        ("ordinary", "12.50", real("12.5")),
        ("whole", "42.0", whole("42")),
        ("many digits", "12345678901234567890.5", real("1.2345678901234567e+19", "1.2345678901234567E+19")),
        note="like `DECIMAL(10,2)`: numbers are integers or floats. Only `TEXT` keeps exact digits",
    ),
    of(
        "TEXT",
        "",
        ("ordinary", "'Sari'", text("Sari")),
        ("empty", "''", text("")),
        ("emoji", "'é☃😀'", text("é☃😀")),
        ("marks", "'<a & \"b\">, ''c''\\'", text("<a & \"b\">, 'c'\\")),
        ("lines", "'a\r\nb\tc'", text("a\r\nb\tc")),
        ("digits", "'1234567890123456789012345678.0123456789'", text("1234567890123456789012345678.0123456789")),
        ("12 KB", f"'{'é😀' * 2000}'", text("é😀" * 2000)),
        note="declare the field `decimal` to return the digits as a number",
    ),
    of("VARCHAR(5)", "", ("longer than it says", "'abcdefgh'", text("abcdefgh"))),
    of(
        "BLOB",
        "",
        ("ordinary", "x'00ff'", text("AP8=")),
        ("empty", "x''", text("")),
        ("4 KB", "x'" + "00ff" * 2048 + "'", text("AP8A/wD/" * 682 + "AP8A/w==")),
    ),
    of("BOOLEAN", "", ("true", "TRUE", whole("1")), ("false", "FALSE", whole("0")), note="declare the field `boolean`"),
    of("DATE", "", ("ordinary", "'2010-09-08'", text("2010-09-08")), ("year 1", "'0001-01-01'", text("0001-01-01"))),
    of(
        "DATETIME",
        "",
        ("ordinary", "'2010-09-08 10:00:00'", text("2010-09-08 10:00:00")),
        ("in seconds", "1283940000", whole("1283940000")),
        note="a text or number: declare the field `datetime` to get the T",
    ),
    of(
        "JSON",
        "",
        ("ordinary", """'{"a": 1.10}'""", text('{"a": 1.10}')),
        note="a text: declare the field `json` to nest it",
    ),
)

ENGINE = Engine("sqlite", "SQLite", "SQLite, the real library.", TYPES)
