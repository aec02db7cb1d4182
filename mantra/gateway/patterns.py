"""Patterns of parameters in the languages of contracts: regular expressions of XSD and of ECMAScript (JSON Schema)."""

from __future__ import annotations

import re
import re._parser as regex_parser  # type: ignore[import-not-found]  # the only parser with re's own reading of a pattern
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Dialect:
    """A language of regular expressions: the characters that a backslash must precede, outside brackets and inside."""

    special: frozenset[str]
    special_in_brackets: frozenset[str]
    #: True if an expression matches the whole value by itself.
    whole: bool


#: XSD has no escape for $, which is an ordinary character there.
XSD = Dialect(frozenset("\\|.?*+(){}[]^-"), frozenset("\\|.?*+(){}[]^-"), whole=True)
ECMA = Dialect(frozenset("\\|.?*+(){}[]^$/"), frozenset("\\[]^-"), whole=False)

_CATEGORIES = {"CATEGORY_DIGIT": r"\d", "CATEGORY_NOT_DIGIT": r"\D"}
_BLANKS = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


class _NotExpressible(Exception):
    """A pattern that the dialect cannot express, or would read differently."""


def translated(pattern: re.Pattern[str], dialect: Dialect) -> str | None:
    r"""Return a pattern in another language, None if it would not mean the same (\w and \s do not)."""
    if pattern.flags & ~re.UNICODE:
        return None
    parsed = list(regex_parser.parse(pattern.pattern))
    # The bus matches the whole value anyway.
    if parsed and _is_anchor(parsed[0], ("AT_BEGINNING", "AT_BEGINNING_STRING")):
        parsed = parsed[1:]
    if parsed and _is_anchor(parsed[-1], ("AT_END", "AT_END_STRING")):
        parsed = parsed[:-1]
    try:
        written = _sequence(parsed, dialect)
    except _NotExpressible:
        return None
    return written if dialect.whole else f"^{written}$"


def _is_anchor(node: Any, which: tuple[str, ...]) -> bool:
    return str(node[0]) == "AT" and str(node[1]) in which


def _sequence(nodes: Iterable[Any], dialect: Dialect) -> str:
    return "".join(_atom(str(name), value, dialect) for name, value in nodes)


def _atom(name: str, value: Any, dialect: Dialect) -> str:
    if name == "LITERAL":
        return _letter(value, dialect.special)
    if name == "NOT_LITERAL":
        return f"[^{_letter(value, dialect.special_in_brackets)}]"
    if name == "ANY":
        return r"[^\n]"
    if name == "IN":
        return _class(value, dialect)
    if name == "SUBPATTERN" and not value[1] and not value[2]:
        return f"({_sequence(value[3], dialect)})"
    if name == "BRANCH":
        return f"({'|'.join(_sequence(branch, dialect) for branch in value[1])})"
    if name in ("MAX_REPEAT", "MIN_REPEAT"):
        minimum, maximum, body = value
        bounds = f"{{{minimum},}}" if maximum == regex_parser.MAXREPEAT else f"{{{minimum},{maximum}}}"
        return f"({_sequence(body, dialect)}){bounds}"
    raise _NotExpressible


def _class(members: list[tuple[Any, Any]], dialect: Dialect) -> str:
    """Return a set of characters in brackets."""
    special = dialect.special_in_brackets
    content = ""
    for kind, value in members:
        name = str(kind)
        if name == "NEGATE":
            content += "^"
        elif name == "LITERAL":
            content += _letter(value, special)
        elif name == "RANGE":
            content += f"{_letter(value[0], special)}-{_letter(value[1], special)}"
        elif name == "CATEGORY" and str(value) in _CATEGORIES:
            content += _CATEGORIES[str(value)]
        else:
            raise _NotExpressible
    return f"[{content}]"


def _letter(number: int, special: frozenset[str]) -> str:
    letter = chr(number)
    if letter in _BLANKS:
        return _BLANKS[letter]
    if number < 32 or 0xD800 <= number < 0xE000 or number in (0xFFFE, 0xFFFF):
        raise _NotExpressible
    return f"\\{letter}" if letter in special else letter
