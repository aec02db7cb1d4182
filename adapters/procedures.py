"""CALL with OUT parameters: ``CALL hitung(:a, :hasil OUT, :saldo IN OUT NUMERIC)``.

The author declares them after the placeholder, on each engine that has CALL; they are the one row of the result. If the
name is a function's, it is called as one, without its OUT parameters: they are its result. Oracle has types and a
parser of its own, but the same notation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

#: The bus's names of the types that may follow OUT.
TYPES: dict[str, str] = {
    **dict.fromkeys(("VARCHAR", "TEXT"), "text"),
    **dict.fromkeys(("INTEGER", "INT", "BIGINT", "SMALLINT"), "integer"),
    **dict.fromkeys(("DECIMAL", "NUMERIC"), "decimal"),
    **dict.fromkeys(("DOUBLE", "FLOAT", "REAL"), "float"),
    **dict.fromkeys(("DATETIME", "TIMESTAMP"), "datetime"),
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIME": "time",
    "JSON": "json",
    "UUID": "uuid",
}

#: What follows the placeholder of an OUT parameter: OUT or IN OUT, and optionally a type.
OUT_PARAMETER = rf"\s+(?P<both>in\s*)?out\b(?:\s+(?P<type>{'|'.join(TYPES)})\b)?"

#: Oracle's types that may follow OUT: a Python type or the driver's, its size, and the bus's name.
ORACLE_OUT_TYPES: dict[str, tuple[type | str, int, str]] = {
    **dict.fromkeys(("VARCHAR2", "CHAR"), ("DB_TYPE_VARCHAR", 32767, "text")),
    **dict.fromkeys(("NVARCHAR2", "NCHAR"), ("DB_TYPE_NVARCHAR", 32767, "text")),
    "NUMBER": (Decimal, 0, "decimal"),
    "INTEGER": (int, 0, "integer"),
    **dict.fromkeys(("FLOAT", "BINARY_DOUBLE"), ("DB_TYPE_BINARY_DOUBLE", 0, "float")),
    "DATE": ("DB_TYPE_DATE", 0, "datetime"),
    "TIMESTAMP": ("DB_TYPE_TIMESTAMP", 0, "datetime"),
    "CLOB": ("DB_TYPE_CLOB", 0, "text"),
    "NCLOB": ("DB_TYPE_NCLOB", 0, "text"),
    "BLOB": ("DB_TYPE_BLOB", 0, "bytes"),
    "RAW": ("DB_TYPE_RAW", 32767, "bytes"),
    "BOOLEAN": ("DB_TYPE_BOOLEAN", 0, "boolean"),
    **dict.fromkeys(("CURSOR", "SYS_REFCURSOR"), ("DB_TYPE_CURSOR", 0, "")),
}

#: The same for Oracle, where RETURNING … INTO has OUT parameters too. Without a type it is VARCHAR2.
ORACLE_OUT_PARAMETER = rf"\s+(?P<both>in\s*)?out\b(?:\s+(?P<type>{'|'.join(ORACLE_OUT_TYPES)})\b)?"

_CALL = re.compile(r"(?:\s|--[^\n]*\n|\#[^\n]*\n|/\*.*?\*/)*call\s+(?=\S)", re.I | re.S)
_SKIPPED = {
    True: r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`[^`]*`|--[^\n]*|\#[^\n]*|/\*.*?\*/",
    False: r"\b[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$",
}
_PIECES = {
    backslashes: re.compile(rf"(?:{skipped})|(?::(?P<name>\w+)|%\((?P<bound>\w+)\)s){OUT_PARAMETER}", re.I | re.S)
    for backslashes, skipped in _SKIPPED.items()
}
#: The place of an OUT parameter in a call's text: NUL occurs in no statement.
_SLOT = re.compile("\x00(\\d+)\x00")
_NO_SLOT = re.compile("\\s*,(?:\\s|/\\*.*?\\*/)*\x00\\d+\x00|\x00\\d+\x00\\s*,\\s*|\x00\\d+\x00", re.S)
_GAP = r"(?:\s|--[^\n]*\n|\#[^\n]*\n|/\*.*?\*/)*"
_NAME = r"(?:\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|[^\W\d][\w$]*)"
_PATH = re.compile(rf"{_GAP}(?:(?P<schema>{_NAME}){_GAP}\.{_GAP})?(?P<name>{_NAME}){_GAP}(?=\()", re.S)


@dataclass(frozen=True, slots=True)
class OutParameter:
    """An OUT parameter. ``given``: it is IN OUT. ``type`` is a key of TYPES or ""."""

    name: str
    given: bool
    type: str

    @property
    def kind(self) -> str | None:
        return TYPES.get(self.type)


@dataclass(frozen=True, slots=True)
class ProcedureCall:
    """The text after the word CALL, with a slot for each OUT parameter."""

    outs: tuple[OutParameter, ...]
    slotted: str

    def text(self, write: Callable[[int, OutParameter], str]) -> str:
        """Return the procedure and its arguments; ``write`` returns the text of the n-th OUT parameter."""
        return _SLOT.sub(lambda match: write(int(match[1]), self.outs[int(match[1])]), self.slotted)

    def as_function(self) -> str:
        """Return the call as a function's: a parameter that is only OUT is no argument of a function."""
        arguments = _SLOT.sub(
            lambda match: f"%({self.outs[int(match[1])].name})s" if self.outs[int(match[1])].given else match[0],
            self.slotted,
        )
        return _NO_SLOT.sub("", arguments)

    @property
    def name(self) -> str:
        """The procedure's name, without a schema."""
        return self.path[1] or "hasil"

    @property
    def path(self) -> tuple[str, str]:
        """The schema ("": none) and the name, each without its quotation marks; an unquoted one is in lower case.

        Two empty texts if they are unknown.
        """
        match = _PATH.match(self.slotted)
        return (_unquoted(match["schema"] or ""), _unquoted(match["name"])) if match else ("", "")

    def as_qualified_function(self, name: str) -> str:
        """Return the call as that of a function with this name in place of the written one."""
        function = self.as_function()
        match = _PATH.match(function)
        return name + function[match.end() :] if match else function


def _unquoted(name: str) -> str:
    quote = name[:1]
    return name[1:-1].replace(2 * quote, quote) if quote in ('"', "`") and quote else name.lower()


@lru_cache(maxsize=1000)
def parse_call(sql: str, backslashes: bool) -> ProcedureCall | None:
    """Parse a CALL in pyformat; None for other statements. ``backslashes``: they escape, as in MySQL."""
    start = _CALL.match(sql)
    if start is None:
        return None
    outs: list[OutParameter] = []

    def slot(match: re.Match[str]) -> str:
        name = match["name"] or match["bound"]
        if not name:
            return match[0]
        outs.append(OutParameter(name, bool(match["both"]), (match["type"] or "").upper()))
        return f"\x00{len(outs) - 1}\x00"

    slotted = _PIECES[backslashes].sub(slot, sql[start.end() :]).rstrip("; \t\r\n")
    return ProcedureCall(tuple(outs), slotted)
