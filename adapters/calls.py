"""CALL with parameters that come out: ``CALL hitung(:a, :hasil OUT, :saldo IN OUT NUMERIC)``.

Whoever writes a definition says so behind the mark, on each engine that has CALL; what is declared is the answer's
one row. A name that turns out to be a function's is called as one, without its OUT parameters: they are its result.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

#: Type words that may stand behind OUT, as the bus calls them.
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

#: What stands behind a :mark that a procedure fills: OUT or IN OUT, and perhaps a type.
OUT_PARAMETER = rf"\s+(?P<both>in\s*)?out\b(?:\s+(?P<type>{'|'.join(TYPES)})\b)?"

_CALL = re.compile(r"(?:\s|--[^\n]*\n|\#[^\n]*\n|/\*.*?\*/)*call\s+(?=\S)", re.I | re.S)
_SKIPPED = {
    True: r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`[^`]*`|--[^\n]*|\#[^\n]*|/\*.*?\*/",
    False: r"\b[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$",
}
_PIECES = {
    backslashes: re.compile(rf"(?:{skipped})|(?::(?P<name>\w+)|%\((?P<bound>\w+)\)s){OUT_PARAMETER}", re.I | re.S)
    for backslashes, skipped in _SKIPPED.items()
}
#: Where an OUT parameter stands in a Call's text: no character of a statement's.
_SLOT = re.compile("\x00(\\d+)\x00")
_NO_SLOT = re.compile("\\s*,(?:\\s|/\\*.*?\\*/)*\x00\\d+\x00|\x00\\d+\x00\\s*,\\s*|\x00\\d+\x00", re.S)
_NAME = re.compile(r"[`\"]?(\w+)[`\"]?\s*\(")


@dataclass(frozen=True, slots=True)
class Out:
    """A parameter that comes out. ``given``: it goes in, too. ``type`` is a word of TYPES or ""."""

    name: str
    given: bool
    type: str

    @property
    def kind(self) -> str | None:
        return TYPES.get(self.type)


@dataclass(frozen=True, slots=True)
class Call:
    """What follows the word CALL, with a slot for each parameter that comes out."""

    outs: tuple[Out, ...]
    slotted: str

    def text(self, write: Callable[[int, Out], str]) -> str:
        """The procedure and its arguments; ``write`` gives what stands for the n-th that comes out."""
        return _SLOT.sub(lambda found: write(int(found[1]), self.outs[int(found[1])]), self.slotted)

    def as_function(self) -> str:
        """The same as a function's call: what only comes out is no argument of a function."""
        kept = _SLOT.sub(
            lambda found: f"%({self.outs[int(found[1])].name})s" if self.outs[int(found[1])].given else found[0],
            self.slotted,
        )
        return _NO_SLOT.sub("", kept)

    @property
    def name(self) -> str:
        """The procedure's own name, without a schema."""
        found = _NAME.search(self.slotted)
        return found[1] if found else "hasil"


@lru_cache(maxsize=1000)
def understand(sql: str, backslashes: bool) -> Call | None:
    """A CALL in pyformat's marks; None for other statements. ``backslashes``: in texts they escape, as in MySQL."""
    start = _CALL.match(sql)
    if start is None:
        return None
    outs: list[Out] = []

    def slot(found: re.Match[str]) -> str:
        name = found["name"] or found["bound"]
        if not name:
            return found[0]
        outs.append(Out(name, bool(found["both"]), (found["type"] or "").upper()))
        return f"\x00{len(outs) - 1}\x00"

    slotted = _PIECES[backslashes].sub(slot, sql[start.end() :]).rstrip("; \t\r\n")
    return Call(tuple(outs), slotted)
