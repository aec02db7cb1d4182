"""Tokens of each dialect, as sqlglot reads them, and what may be between two of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache

from sqlglot.dialects.dialect import Dialect
from sqlglot.dialects.sqlite import SQLite
from sqlglot.dialects.tsql import TSQL
from sqlglot.tokens import Token, Tokenizer, TokenType

BLANK = r"(?:[ \t\f]|\r?\n)"
_BLOCK_COMMENT = r"/\*(?![!+]|M!)(?:(?!\*/|/\*).)*\*/"

_LINE = r"[^\r\n]*(?:\r?\n|$)"
#: Comments as each database reads them. In MySQL "--" without a space after it is two operators.
COMMENT = {
    **dict.fromkeys(("sqlite", "postgres", "tsql", "oracle"), rf"--{_LINE}|{_BLOCK_COMMENT}"),
    "mysql": rf"--(?=[ \t]|\r?\n|$){_LINE}|\#{_LINE}|{_BLOCK_COMMENT}",
}
#: What may be between two tokens.
GAPS = {dialect: rf"(?:{BLANK}|{comment})*" for dialect, comment in COMMENT.items()}

_STRING = r"'(?:[^']|'')*'"
_ESCAPED = r"'(?:[^'\\]|\\.|'')*'"
_DOUBLE = r'"(?:[^"]|"")*"'
_BACKTICK = r"`(?:[^`]|``)+`"
#: Literals and quoted names, exactly as each database reads them.
QUOTED = {
    "sqlite": rf"[xX]?{_STRING}|{_DOUBLE}|{_BACKTICK}|\[[^\]\[]+\]",
    "postgres": rf"[nNbBxX]?{_STRING}|[eE]{_ESCAPED}|{_DOUBLE}|\$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?\$(?P=tag)\$",
    "tsql": rf"[nN]?{_STRING}|{_DOUBLE}|\[[^\]\[]+\]",
    "oracle": rf"[nN]?{_STRING}|{_DOUBLE}",
    "mysql": rf'[nNbBxX]?{_ESCAPED}|"(?:[^"\\]|\\.|"")*"|{_BACKTICK}',
}


def is_word_character(char: str) -> bool:
    """Return True if the character can be part of a name."""
    return char.isalnum() or char in "_$" or ord(char) > 127


class _SQLitePlaceholderTokens(SQLite.Tokenizer):
    """SQLite's tokens with single brackets, so that [[ and ]] can be distinguished from [a quoted name]."""

    IDENTIFIERS = ['"', "`"]


class _TSQLPlaceholderTokens(TSQL.Tokenizer):
    IDENTIFIERS = ['"']
    COMMANDS: set[TokenType] = set()


class _TSQLTokens(TSQL.Tokenizer):
    """T-SQL's tokens, without the commands after which sqlglot reads the rest as one token."""

    COMMANDS: set[TokenType] = set()


@cache
def tokenizer(dialect: str) -> Tokenizer:
    """Return the tokenizer of a dialect for statements without placeholders."""
    if dialect == "tsql":
        return _TSQLTokens(dialect=Dialect.get_or_raise(dialect))
    standard: Tokenizer = Dialect.get_or_raise(dialect).tokenizer()
    return standard


#: Texts whose tokens are kept, because saving an operation reads its SQL many times, and their characters at most.
_KEPT_TEXTS, _KEPT_LENGTH = 32, 4_000


def placeholder_tokens(sql: str, dialect: str) -> Sequence[Token]:
    """Return the tokens of a text with placeholders and blocks. Raises SqlglotError and RecursionError."""
    return (_kept_tokens if len(sql) <= _KEPT_LENGTH else _tokens)(sql, dialect)


def _tokens(sql: str, dialect: str) -> tuple[Token, ...]:
    # sqlglot reads what follows CALL, SHOW and the like as one token, in which no placeholder would be found.
    text = re.sub(rf"^({GAPS.get(dialect, GAPS['postgres'])})call(?=\s)", r"\1from", sql, flags=re.I | re.S)
    if dialect == "sqlite":
        return tuple(_SQLitePlaceholderTokens(dialect=Dialect.get_or_raise("sqlite")).tokenize(text))
    if dialect == "tsql":
        return tuple(_TSQLPlaceholderTokens(dialect=Dialect.get_or_raise("tsql")).tokenize(sql))
    return tuple(tokenizer(dialect).tokenize(text))


_kept_tokens = lru_cache(_KEPT_TEXTS)(_tokens)
