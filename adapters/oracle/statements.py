"""A definition's SQL as Oracle takes it: numbered placeholders, CALL as a block, OUT parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from adapters.placeholders import offset_before
from adapters.procedures import ORACLE_OUT_PARAMETER

_GAP = r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/|\()*"
_READS = re.compile(rf"{_GAP}(?:select\b|with\b(?!{_GAP}(?:function|procedure)\b))", re.I | re.S)
_CALL = re.compile(rf"({_GAP})call\b", re.I | re.S)
_NAME = r'(?:"[^"]*"|[^\W\d][\w$\#]*)'
_BETWEEN = r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
_CALLED = re.compile(rf"{_BETWEEN}({_NAME}(?:{_BETWEEN}\.{_BETWEEN}{_NAME}){{0,2}}){_BETWEEN}(?=\()", re.S)
_LOCKS = re.compile(r"\bfor\s+update\b", re.I)
_RETURNS = re.compile(r"\breturn(?:ing)?\b", re.I)

#: Oracle's statements besides queries: on a reading connection they are refused as not reading.
OTHER_STATEMENT = re.compile(
    rf"{_GAP}(?:with|insert|update|delete|merge|create|alter|drop|truncate|rename|comment|grant|revoke|call|begin"
    r"|declare|lock|explain|commit|rollback|savepoint|set|analyze|audit|noaudit|purge|flashback|associate"
    r"|disassociate|administer)\b",
    re.I | re.S,
)

#: The parts of a text: comments and literals, a placeholder with an OUT declaration, or the end of the statement.
_TOKENS = re.compile(
    r"""--[^\n]* | /\*.*?\*/
    | (?<![\w$\#]) n?q'(?: \[.*?\]' | \{.*?\}' | <.*?>' | \(.*?\)' | (?P<quote>\S).*?(?P=quote)' )
    | '(?:[^']|'')*' | "[^"]*"
    | :(?P<name>[A-Za-z_]\w*) (?P<out>%s)?
    | (?P<end>;)""".replace("%s", ORACLE_OUT_PARAMETER),
    re.I | re.S | re.X,
)


@dataclass(frozen=True, slots=True)
class OracleOutParameter:
    """A parameter that Oracle returns: its name in the definition, and its placeholder in the statement."""

    name: str
    placeholder: str
    type: str
    given: bool


@dataclass(frozen=True, slots=True)
class OracleStatement:
    """A definition's text as Oracle takes it. ``placeholders`` are (name there, name here), each once.

    Placeholders are numbered: Oracle accepts no reserved word as one and does not distinguish :Nama from :nama.
    """

    text: str
    placeholders: tuple[tuple[str, str], ...]
    outs: tuple[OracleOutParameter, ...]
    reads: bool
    locks: bool
    calls: bool
    #: The parts of the name behind CALL, as the data dictionary has them; () if they are unknown.
    called: tuple[str, ...] = ()


@lru_cache(maxsize=1000)
def parse_statement(sql: str) -> OracleStatement:
    reads = _READS.match(sql) is not None
    call = _CALL.match(sql)
    takes_outs = call is not None or (not reads and _RETURNS.search(sql) is not None)
    placeholders: dict[str, str] = {}
    outs: dict[str, OracleOutParameter] = {}

    def replace(match: re.Match[str]) -> str:
        if match["end"]:
            return ""
        name = match["name"]
        if name is None:
            return match[0]
        declared = takes_outs and match["out"]
        placeholder = placeholders.get(name) or (
            outs[name].placeholder if name in outs else f"b{len(placeholders) + len(outs) + 1}"
        )
        if declared:
            outs[name] = OracleOutParameter(
                name, placeholder, (match["type"] or "VARCHAR2").upper(), bool(match["both"])
            )
        if not declared or match["both"]:
            placeholders[name] = placeholder
        return f":{placeholder} " + ("" if declared else match["out"] or "")

    text = _TOKENS.sub(replace, sql).strip()
    if call is not None:
        text = _CALL.sub(r"\1BEGIN ", text, count=1) + "\n; END;"
    bare = _TOKENS.sub(lambda match: match[0] if match["name"] else " ", sql)
    locks = reads and _LOCKS.search(bare) is not None
    called = _called(sql[call.end() :]) if call is not None else ()
    return OracleStatement(
        text, tuple(placeholders.items()), tuple(outs.values()), reads, locks, call is not None, called
    )


def offset_in(sql: str, offset: int) -> int:
    """Return the offset in a query of the definition's at which the sent statement has ``offset``."""
    placeholders = dict(parse_statement(sql).placeholders)
    blanks = len(sql) - len(sql.lstrip())

    def length(match: re.Match[str]) -> int:
        if match["name"]:
            return len(f":{placeholders[match['name']]} ") + len(match["out"] or "")
        return 0 if match["end"] else len(match[0])

    return offset_before(sql, offset + blanks, _TOKENS, length)


def _called(text: str) -> tuple[str, ...]:
    """Return the parts of the name at the beginning of a text. One without quotation marks is in upper case."""
    match = _CALLED.match(text)
    parts = re.findall(_NAME, re.sub(r"--[^\n]*\n|/\*.*?\*/", " ", match[1], flags=re.S)) if match else []
    return tuple([part[1:-1] if part[0] == '"' else part.upper() for part in parts])
