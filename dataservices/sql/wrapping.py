"""A query as a part of a larger statement: in parentheses, so that its rows can be numbered, filtered or joined.

What a database gives for ``SELECT t.* FROM (query) t`` is what it gives for the query, except for the order of the rows
and, on some engines, the names of columns without a name. wrappable() refuses what cannot stand there by its words;
only the database tells the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType

from dataservices.sql import wordings
from dataservices.sql.checker import check_text
from dataservices.sql.template import Template, written
from dataservices.sql.tokens import tokenizer

#: The name of the column that says to which arguments a row belongs.
NUMBER = "mantra_n"
_UNION = "\nUNION ALL\n"

_QUERIES = frozenset(("select", "with", "values", "("))
#: What may follow ORDER BY in T-SQL: with it, the clause is a part of the query.
_BEHIND_ORDER = frozenset(("offset", "fetch", "option", "for"))


class NotWrappable(Exception):
    """A text that cannot stand in parentheses. ``reason``: statement, with, names or checked."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Query:
    """A query that can stand in parentheses.

    ``pieces`` are its text and the names of its placeholders in turn: text, name, text, …; they are the author's own
    without what follows the last token. ``ordered``: it has an ORDER BY of its own.
    """

    pieces: tuple[str, ...]
    ordered: bool

    def text(self, paramstyle: str, number: int | None = None) -> str:
        """Return the text for a driver. With a number, its placeholders have the names of bound()."""
        short = {name: name if number is None else _short(number, at) for at, name in enumerate(self._distinct)}
        pieces = []
        for index, piece in enumerate(self.pieces):
            if index % 2:
                pieces.append(written(short[piece], paramstyle))
            else:
                pieces.append(piece.replace("%", "%%") if paramstyle == "pyformat" else piece)
        return "".join(pieces)

    def union(self, count: int, paramstyle: str) -> str:
        """Return one statement with the rows of ``count`` queries, each with its number before its first column."""
        return _union(self, count, paramstyle)

    def bound(self, number: int, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of the query with this number in union(), by the names of its placeholders there."""
        return {_short(number, at): values[name] for at, name in enumerate(self._distinct)}

    @property
    def _distinct(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.pieces[1::2]))


@lru_cache(maxsize=200)
def _union(query: Query, count: int, paramstyle: str) -> str:
    return _UNION.join(numbered(number, query.text(paramstyle, number)) for number in range(count))


def _short(number: int, at: int) -> str:
    """Return the name of a placeholder: Oracle takes no long ones."""
    return f"p{number}_{at}"


def numbered(n: int, query: str) -> str:
    """Return a query that puts a number before the first column of another. That begins and ends in lines of its own:
    a comment in it ends there."""
    return f"SELECT {n:d} AS {NUMBER}, t.* FROM (\n{query}\n) t"  # noqa: S608 (a checked definition, or its sample)


def wrappable(
    template: Template, given: Collection[str], dialect: str, allowed: Collection[str] = (), named: bool = False
) -> Query:
    """Return the query of a template with the blocks of the ``given`` names. Raises NotWrappable.

    ``allowed`` as for check(). ``named``: columns whose names would depend on values are refused.
    """
    sample = wordings.known(template.sample(given), dialect)
    try:
        tokens = list(tokenizer(dialect).tokenize(sample))
        while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
            tokens.pop()
        tree = sqlglot.parse_one(sample[: tokens[-1].end + 1] if tokens else "", dialect=dialect)
    except (SqlglotError, RecursionError):
        raise NotWrappable("statement") from None
    words = [sample[token.start : token.end + 1].lower() for token in tokens]
    if not words or words[0] not in _QUERIES or not isinstance(tree, (exp.Query, exp.Values)):
        raise NotWrappable("statement")
    if dialect == "tsql" and words[0] == "with":
        raise NotWrappable("with")
    if named and not _has_fixed_names(tree):
        raise NotWrappable("names")
    order = next((at for at, token in _outer(tokens) if token.token_type is TokenType.ORDER_BY), None)
    ordered = order is not None or (words[0] == "(" and "order by" in " ".join(words))
    if dialect == "tsql" and order is not None and _is_idle_order(tokens, words, order):
        tokens = tokens[:order]
    end = tokens[-1].end + 1
    query = Query(tuple(_pieces(template, given, end)), ordered)
    inner = sample[:end]
    if check_text(_UNION.join(numbered(n, inner) for n in range(2)), dialect, False, allowed):
        raise NotWrappable("checked")
    return query


def _pieces(template: Template, given: Collection[str], end: int) -> Iterator[str]:
    """Yield text and names in turn, up to the offset ``end`` of the author's text."""
    text = ""
    for piece, name in template.parts(given, end):
        text += piece
        if name:
            yield text
            yield name
            text = ""
    yield text


def _outer(tokens: Sequence[Token]) -> Iterator[tuple[int, Token]]:
    """Yield the tokens outside of all parentheses, with their places."""
    depth = 0
    for at, token in enumerate(tokens):
        depth += (token.token_type is TokenType.L_PAREN) - (token.token_type is TokenType.R_PAREN)
        if not depth:
            yield at, token


def _is_idle_order(tokens: Sequence[Token], words: Sequence[str], order: int) -> bool:
    """Return True if an ORDER BY decides about the order only, not about which rows there are: T-SQL does not let it
    stand in parentheses then."""
    outer = {at: words[at] for at, _ in _outer(tokens)}
    return "top" not in outer.values() and not any(word in _BEHIND_ORDER for at, word in outer.items() if at > order)


def _has_fixed_names(tree: exp.Expression) -> bool:
    """Return False if a column is a nameless expression with a literal: MySQL names it by the values in it."""
    while not isinstance(tree, exp.Select):
        inner = tree.this if isinstance(tree, (exp.Subquery, exp.Paren, exp.SetOperation)) else None
        if inner is None:
            return False
        tree = inner
    return all(isinstance(item, (exp.Alias, exp.Star)) or not item.find(exp.Literal) for item in tree.expressions)
