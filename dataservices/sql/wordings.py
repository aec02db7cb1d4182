"""Wordings that a database takes and the parser does not, rewritten for the check as wordings that it knows.

The text that runs is the author's own. A rule replaces code by code of the same length that means the same to the
check, so that positions stay. It sees literals, quoted names and comments as blanks of their length: it cannot move
the place where one begins or ends. It never removes a name that is called or read from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dataservices.sql.tokens import COMMENT, QUOTED

#: What the rules see instead of each character of a literal, and of a name in quotation marks or brackets.
_TEXT, _QUOTED_NAME = "\x01", "\x02"
#: The same for a literal that begins otherwise than with a quotation mark: N'…', E'…', $$…$$.
_OTHER_TEXT = "\x03"
_WORD = rf"[\w{_QUOTED_NAME}]+"
_NAME = rf"(?:{_WORD}(?:(?:\s*\.)+\s*{_WORD})*)"
_NUMBER = rf"[\d{_TEXT}]+"


@dataclass(frozen=True, slots=True)
class _Rule:
    """A pattern, and for its groups the text that replaces them; a group without one becomes blanks."""

    pattern: re.Pattern[str]
    instead: Mapping[str, str] = field(default_factory=dict)


def _rule(pattern: str, **instead: str) -> _Rule:
    return _Rule(re.compile(pattern, re.I | re.X), instead)


_DATE_ESCAPE = _rule(rf"(?P<a>\{{\s*(?:d|ts|t)\s*){_TEXT}+\s*(?P<b>\}})")
_HINT = r"(?:no(?:lock|expand|wait)|\w+lock|\w+committed|serializable|readpast|force(?:seek|scan))"
_TOP = rf"top\s*\(\s*{_NUMBER}\s*\)\s*(?:percent\s+)?"
_SIGN = r"[-+*/<>=~!@\#%^&|`?]"

_RULES: dict[str, tuple[_Rule, ...]] = {
    "sqlite": (),
    "oracle": (),
    "mysql": (
        _DATE_ESCAPE,
        _rule(r"(?<![\w.])0(?P<a>b)(?=[01]+\b)", a="0"),
        _rule(r"(?P<a>\bdistinctrow\b)", a="distinct"),
        # All of them by name: SELECT sql_hitung (1) calls a function.
        _rule(
            r"\bselect\s+(?P<a>(?:high_priority|straight_join"
            r"|sql_(?:small_result|big_result|buffer_result|no_cache|cache|calc_found_rows))\s+)"
        ),
        _rule(rf"(?P<a>\blimit\s+rows\s+examined\s+{_NUMBER})"),
        _rule(rf"\blimit\s+{_NUMBER}(?:\s*(?:,|offset)\s*{_NUMBER})?\s+(?P<a>rows\s+examined\s+{_NUMBER})"),
        # GROUP BY a DESC, b: one order a match, the first of those that are left.
        _rule(rf"\bgroup\s+by\s+(?:{_NAME}\s*,\s*)*{_NAME}\s+(?P<a>asc|desc)\b"),
    ),
    "postgres": (
        _rule(rf"(?P<a>\boperator\s*\(\s*pg_catalog\s*\.\s*)(?P<keep>{_SIGN}+)(?P<b>\s*\))"),
        _rule(rf"(?<!{_SIGN})(?P<a>~=|<<\||\|>>|&<\||\|&>|<\^|>\^|\?-\||\?\|\||\?\#)(?!{_SIGN})", a="="),
        _rule(r"\border\s+by\s[^()]{0,500}?(?P<a>\busing\s*[<>]=?(?=\s*(?:,|\)|;|\Z|limit\b|offset\b|nulls\b)))"),
        _rule(rf"(?<!\w)(?P<a>u&)(?={_TEXT})"),
        _rule(rf"\btablesample\s+\w+\s*\(\s*[\d.]+\s*\)\s*(?P<a>repeatable\s*\(\s*[\d.{_TEXT}]+\s*\))"),
        _rule(r"\bexists\s*\(\s*(?P<a>table)\s", a="from"),
    ),
    "tsql": (
        _DATE_ESCAPE,
        _rule(r"(?P<a>!>)", a="<="),
        _rule(r"(?P<a>!<)", a=">="),
        _rule(r"(?<![\w$@\#])(?P<a>\$)(?=\d|action\b)"),
        _rule(r"(?<![\w$@\#])(?P<a>0x)(?!\w)", a="00"),
        _rule(r"\b(?:inner|left|right|full|outer)\s+(?P<a>merge)\s+join\b", a="hash"),
        _rule(rf"\bwith\s*\((?:[^()]{0,500},)?\s*(?P<a>index\s*=\s*{_WORD})\s*[,)]", a="nolock"),
        _rule(rf"\bwith\s+(?P<a>xmlnamespaces\s*\([\w\s,{_TEXT}{_QUOTED_NAME}]{{0,2000}}\)\s*,)"),
        _rule(rf"(?P<a>\bwith\s+xmlnamespaces\s*\([\w\s,{_TEXT}{_QUOTED_NAME}]{{0,2000}}\))\s*select\b"),
        _rule(rf"\bdelete\s+(?:{_TOP})?(?P<a>from)\s+{_NAME}\s+(?:output|from)\b"),
        _rule(rf"\bupdate\s+(?P<a>{_TOP})"),
        _rule(rf"\bmerge\s+(?:into\s+)?{_NAME}\s+(?P<a>with\s*\(\s*{_HINT}(?:\s*,\s*{_HINT})*\s*\))"),
        _rule(r"\A[\s;]*(?P<a>set\s+nocount\s+on\b)"),
        _rule(r"\bset\s+@\w+\s*(?P<a>[-+*/%&|^])=(?!=)"),
    ),
}  # fmt: skip
#: The most replacements by one rule: each match is looked for again, as some clauses hold several.
_MOST = 200


def known(text: str, dialect: str) -> str:
    """Return a text of the same length in which the wordings of a dialect are ones that the parser knows.

    If another literal, name or comment would begin or end then, as behind MySQL's "--", it is the text as it was.
    """
    found = text
    for rule in _RULES[dialect]:
        found = _applied(rule, found, _masked(found, dialect))
    return found if _keeps_parts(text, found, dialect) else text


def _keeps_parts(text: str, found: str, dialect: str) -> bool:
    """Return True if each literal, quoted name and comment of ``found`` is one of the text, and others are blank."""
    before, after = _parts(text, dialect), _parts(found, dialect)
    dropped = before.items() - after.items()
    return after.items() <= before.items() and not any(found[at : at + len(part)].strip() for at, part in dropped)


def _applied(rule: _Rule, text: str, masked: str) -> str:
    for _time in range(_MOST):
        match = rule.pattern.search(masked)
        if match is None:
            break
        for name in match.groupdict():
            if name != "keep":
                instead = rule.instead.get(name, "").ljust(match.end(name) - match.start(name))
                text = text[: match.start(name)] + instead + text[match.end(name) :]
                masked = masked[: match.start(name)] + instead + masked[match.end(name) :]
    return text


def _parts(text: str, dialect: str) -> dict[int, str]:
    """Return the literals, quoted names and comments of a text by their offsets."""
    pattern = rf"(?s:{COMMENT[dialect]}|{QUOTED[dialect]})"
    return {match.start(): match[0] for match in re.finditer(pattern, text)}


def _masked(text: str, dialect: str) -> str:
    """Return the text with fillers for literals and quoted names, and blanks for comments."""
    return re.sub(rf"(?s:{COMMENT[dialect]}|{QUOTED[dialect]})", lambda match: _filler(match[0]) * len(match[0]), text)


def _filler(part: str) -> str:
    if part.startswith(("--", "/*", "#")):
        return " "
    if part[0] in '"[`':
        return _QUOTED_NAME
    return _TEXT if part[0] == "'" else _OTHER_TEXT
