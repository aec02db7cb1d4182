"""The types of SQL Server and Sybase."""

from __future__ import annotations

from tests.matrix.shown import Engine, Type, digits, of, real, text, truth, whole

_GUID = "6F9619FF-8B86-D011-B42D-00C04FC964FF"
_NINES = "9" * 38

BOTH: tuple[Type, ...] = (
    of("tinyint", "integer", ("ordinary", "42", whole("42")), ("min", "0", whole("0")), ("max", "255", whole("255"))),
    of("smallint", "integer", ("min", "-32768", whole("-32768")), ("max", "32767", whole("32767"))),
    of(
        "int",
        "integer",
        ("ordinary", "42", whole("42")),
        ("min", "-2147483648", whole("-2147483648")),
        ("max", "2147483647", whole("2147483647")),
    ),
    of(
        "bigint",
        "integer",
        ("ordinary", "42", whole("42")),
        ("min", "-9223372036854775808", whole("-9223372036854775808")),
        ("max", "9223372036854775807", whole("9223372036854775807")),
        ("beyond a double", "9007199254740993", whole("9007199254740993")),
    ),
    of(
        "decimal(38,10)",
        "decimal",
        ("ordinary", "'12.5'", digits("12.5000000000")),
        ("max", "'9999999999999999999999999999.9999999999'", digits("9999999999999999999999999999.9999999999")),
        ("zero", "0", digits("0.0000000000")),
        ("below zero", "'-0.05'", digits("-0.0500000000")),
    ),
    of("decimal(38,38)", "decimal", ("tiny", f"'-0.{'0' * 37}1'", digits(f"-0.{'0' * 37}1"))),
    of(
        "numeric(38,0)",
        "decimal",
        ("max", f"'{_NINES}'", digits(_NINES)),
        ("min", f"'-{_NINES}'", digits("-" + _NINES)),
    ),
    of("numeric(5,2)", "decimal", ("ordinary", "'-0.05'", digits("-0.05")), ("max", "'999.99'", digits("999.99"))),
    of(
        "money",
        "decimal",
        ("ordinary", "'1234.5'", digits("1234.5000")),
        ("min", "'-922337203685477.5808'", digits("-922337203685477.5808")),
        ("max", "'922337203685477.5807'", digits("922337203685477.5807")),
        ("least", "'-0.0001'", digits("-0.0001")),
    ),
    of(
        "smallmoney",
        "decimal",
        ("ordinary", "'-0.5'", digits("-0.5000")),
        ("max", "'214748.3647'", digits("214748.3647")),
        ("min", "'-214748.3648'", digits("-214748.3648")),
    ),
    of(
        "float",
        "float",
        ("ordinary", "'0.1'", real("0.1")),
        ("17 digits", "'0.30000000000000004'", real("0.30000000000000004")),
        ("max", "'1.7976931348623157e308'", real("1.7976931348623157e+308", "1.7976931348623157E+308")),
        ("tiny", "'2.2250738585072014e-308'", real("2.2250738585072014e-308", "2.2250738585072014E-308")),
        note="NaN and the infinities do not exist here",
    ),
    of(
        "datetime",
        "datetime",
        ("ordinary", "'2010-09-08 10:00:00'", text("2010-09-08T10:00:00")),
        ("least", "'1753-01-01 00:00:00'", text("1753-01-01T00:00:00")),
        ("milliseconds", "'2024-02-29 13:14:15.997'", text("2024-02-29T13:14:15.997")),
        ("max", "'9999-12-31 23:59:59.997'", text("9999-12-31T23:59:59.997")),
        note="stored in steps of 1/300 s",
    ),
    of(
        "smalldatetime",
        "datetime",
        ("ordinary", "'2024-02-29 13:14:00'", text("2024-02-29T13:14:00")),
        ("least", "'1900-01-01 00:00:00'", text("1900-01-01T00:00:00")),
        ("max", "'2079-06-06 23:59:00'", text("2079-06-06T23:59:00")),
    ),
    of(
        "date",
        "date",
        ("ordinary", "'2010-09-08'", text("2010-09-08")),
        ("leap day", "'2024-02-29'", text("2024-02-29")),
        ("year 1", "'0001-01-01'", text("0001-01-01")),
        ("year 9999", "'9999-12-31'", text("9999-12-31")),
    ),
    of(
        "varchar(40)",
        "text",
        ("ordinary", "'Sari'", text("Sari")),
        ("blanks behind", "'a  '", text("a  ")),
        ("marks", "'<a & \"b\">, ''c''\\'", text("<a & \"b\">, 'c'\\")),
        ("code page", "'é'", text("é")),
        ("like a number", "'007'", text("007")),
    ),
    of("char(5)", "text", ("padded", "'ab'", text("ab   ")), ("full", "'abcde'", text("abcde"))),
    of("text", "text", ("ordinary", "'é'", text("é")), ("9 KB", "'" + "abc" * 3000 + "'", text("abc" * 3000))),
    of("binary(5)", "bytes", ("padded", "0x0102", text("AQIAAAA="))),
    of("varbinary(40)", "bytes", ("ordinary", "0x00ff", text("AP8="))),
    of(
        "image",
        "bytes",
        ("ordinary", "0x00ff", text("AP8=")),
        ("4 KB", "0x" + "00ff" * 2048, text("AP8A/wD/" * 682 + "AP8A/w==")),
    ),
)

SQLSERVER: tuple[Type, ...] = (
    *BOTH,
    of("bit", "boolean", ("true", "1", truth(True)), ("false", "0", truth(False))),
    of(
        "real",
        "float",
        ("ordinary", "'1.5'", real("1.5")),
        ("a tenth", "'0.1'", real("0.1")),
        ("max", "'3.4028235e38'", real("3.4028235e+38", "3.4028235E+38")),
    ),
    of(
        "time(7)",
        "time",
        ("ordinary", "'13:14:15'", text("13:14:15")),
        ("100 ns", "'13:14:15.1234567'", text("13:14:15.1234567")),
        ("max", "'23:59:59.9999999'", text("23:59:59.9999999")),
    ),
    of("varchar(5)", "text", ("empty", "''", text(""))),
    of("char(4)", "text", ("empty", "''", text("    "))),
    of("varbinary(5)", "bytes", ("empty", "0x", text(""))),
    of("sysname", "text", ("ordinary", "'pegawai'", text("pegawai"))),
    of("time(3)", "time", ("milliseconds", "'00:00:00.120'", text("00:00:00.12"))),
    of(
        "datetimeoffset(3)",
        "datetime",
        ("milliseconds", "'2024-02-29 13:14:15.125-00:30'", text("2024-02-29T13:14:15.125-00:30")),
    ),
    of("time(0)", "time", ("ordinary", "'23:59:59'", text("23:59:59")), ("midnight", "'00:00:00'", text("00:00:00"))),
    of(
        "datetime2(7)",
        "datetime",
        ("ordinary", "'2010-09-08 10:00:00'", text("2010-09-08T10:00:00")),
        ("year 1", "'0001-01-01 00:00:00.0000001'", text("0001-01-01T00:00:00.0000001")),
        ("year 9999", "'9999-12-31 23:59:59.9999999'", text("9999-12-31T23:59:59.9999999")),
        ("leap day", "'2024-02-29 13:14:15.1200000'", text("2024-02-29T13:14:15.12")),
        note="trailing zeros of a fraction are omitted",
    ),
    of("datetime2(0)", "datetime", ("ordinary", "'2024-02-29 13:14:15'", text("2024-02-29T13:14:15"))),
    of(
        "datetimeoffset(7)",
        "datetime",
        ("ordinary", "'2010-09-08 10:00:00+07:00'", text("2010-09-08T10:00:00+07:00")),
        ("100 ns", "'2024-02-29 13:14:15.1234567+07:00'", text("2024-02-29T13:14:15.1234567+07:00")),
        ("half an hour", "'2024-03-01 00:30:00-05:30'", text("2024-03-01T00:30:00-05:30")),
        ("UTC", "'2024-02-29 13:14:15+00:00'", text("2024-02-29T13:14:15+00:00")),
        ("furthest", "'9999-12-31 09:59:59+14:00'", text("9999-12-31T09:59:59+14:00")),
        ("less than an hour", "'2024-02-29 13:14:15-00:30'", text("2024-02-29T13:14:15-00:30")),
    ),
    of("datetimeoffset(0)", "datetime", ("ordinary", "'2024-02-29 23:14:15+14:00'", text("2024-02-29T23:14:15+14:00"))),
    of("uniqueidentifier", "text", ("ordinary", f"'{_GUID}'", text(_GUID))),
    of("nchar(5)", "text", ("padded", "N'é😀'", text("é😀  "))),
    of(
        "nvarchar(40)",
        "text",
        ("emoji", "N'é☃😀'", text("é☃😀")),
        ("empty", "''", text("")),
        ("lines", "N'a\r\nb\tc'", text("a\r\nb\tc")),
    ),
    of("nvarchar(max)", "text", ("30 KB", "N'" + "é😀" * 5000 + "'", text("é😀" * 5000)), ("empty", "''", text(""))),
    of("ntext", "text", ("ordinary", "N'é😀'", text("é😀"))),
    of("varchar(max)", "text", ("9 KB", "'" + "abc" * 3000 + "'", text("abc" * 3000)), ("empty", "''", text(""))),
    of("varchar(9) COLLATE Greek_CI_AS", "text", ("code page", "N'Ωμέγα'", text("Ωμέγα"))),
    of("varchar(9) COLLATE Cyrillic_General_CI_AS", "text", ("code page", "N'Жук'", text("Жук"))),
    of("varchar(20) COLLATE Latin1_General_100_CI_AS_SC_UTF8", "text", ("UTF-8", "N'ж😀'", text("ж😀"))),
    of("xml", "text", ("ordinary", "N'<a b=\"1\">é😀</a>'", text('<a b="1">é😀</a>'))),
    of(
        "varbinary(max)",
        "bytes",
        ("empty", "0x", text("")),
        ("4 KB", "0x" + "00ff" * 2048, text("AP8A/wD/" * 682 + "AP8A/w==")),
    ),
    of("rowversion", "bytes", ("ordinary", "0x00000000000007D1", text("AAAAAAAAB9E="))),
)

SYBASE: tuple[Type, ...] = (
    *BOTH,
    of("unsigned smallint", "integer", ("max", "65535", whole("65535"))),
    of(
        "unsigned int",
        "integer",
        ("ordinary", "42", whole("42")),
        ("max of 31 bits", "2147483647", whole("2147483647")),
        ("beyond: wrong", "4294967295", whole("-1")),
        note="the driver reads values above 2147483647 as negative numbers; select `convert(bigint, v)`",
    ),
    of(
        "unsigned bigint",
        "integer",
        ("ordinary", "42", whole("42")),
        ("max", "'18446744073709551615'", whole("18446744073709551615")),
    ),
    of("bit", "boolean", ("true", "1", truth(True)), ("false", "0", truth(False)), null=False),
    of("real", "float", ("ordinary", "'1.5'", real("1.5")), ("a tenth", "'0.1'", real("0.1"))),
    of("time", "time", ("ordinary", "'13:14:15'", text("13:14:15"))),
    of("bigtime", "time", ("microseconds", "'13:14:15.123456'", text("13:14:15.123456"))),
    of(
        "bigdatetime",
        "datetime",
        ("ordinary", "'2010-09-08 10:00:00'", text("2010-09-08T10:00:00")),
        ("year 1", "'0001-01-01 00:00:00.000001'", text("0001-01-01T00:00:00.000001")),
        ("year 9999", "'9999-12-31 23:59:59.999999'", text("9999-12-31T23:59:59.999999")),
    ),
    of("unichar(5)", "text", ("padded", "'é😀'", text("é😀  "))),
    of("univarchar(40)", "text", ("emoji", "'é☃😀'", text("é☃😀"))),
)

_OURS = (
    "FreeTDS against a small server of the tests' own that speaks {}; neither a genuine server nor another author's:"
    " `{}` points the same tests at one, which has not been done yet."
)
ENGINES = (
    Engine(
        "sqlserver",
        "Microsoft SQL Server",
        _OURS.format("TDS 7.4", "MANTRA_TEST_SQLSERVER"),
        SQLSERVER,
        without=(
            ("sql_variant", "refused: the call fails with the reason `data`; cast it"),
            (
                "hierarchyid, geography, geometry",
                "not supported by the tests' server; use `v.ToString()` or `v.STAsText()` for text,"
                " `CAST(v AS varbinary(max))` for bytes",
            ),
        ),
    ),
    Engine(
        "sybase",
        "Sybase ASE",
        _OURS.format("TDS 5.0", "MANTRA_TEST_SYBASE"),
        SYBASE,
        without=(
            ("empty texts and bytes", "ASE stores none: `''` is one blank, `0x` one zero byte"),
            ("bit", "cannot be NULL in ASE"),
            ("unitext", "not supported by the tests' server; use `convert(univarchar(5000), v)`"),
        ),
    ),
)
