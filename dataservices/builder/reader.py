"""From SQL back to a query spec, if it is SQL that the writer makes. Blanks, line breaks and the case of SQL's own
words may differ; nothing else may, so that each token of the text is in the spec.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import NamedTuple, TypeVar

from dataservices.builder.dialects import Dialect, dialect_of
from dataservices.builder.reserved import RESERVED
from dataservices.builder.spec import (
    INNER,
    LEFT,
    OPERATORS,
    Column,
    ColumnRef,
    Filter,
    Join,
    Order,
    Spec,
    SpecError,
    Table,
    Value,
)
from dataservices.sql.template import MAX_LENGTH
from dataservices.sql.tokens import BLANK, COMMENT, QUOTED

Item = TypeVar("Item")


class Unknown(Exception):
    """The text is none that the writer makes."""


class Token(NamedTuple):
    """A piece of SQL. ``kind`` is "word", "name" (in quotation marks), "text", "number", "mark", "hole" or "sign"."""

    kind: str
    text: str


def from_sql(sql: str, engine: str, page_size: int = 0) -> Spec | None:
    """Return the spec from which ``to_sql`` makes this text, or None if there is none: a query is read whole or not.

    ``page_size`` is the operation's, which its SQL does not contain; 0: it has no pages.
    """
    if len(sql) > MAX_LENGTH:
        return None
    dialect = dialect_of(engine)
    try:
        return _Parser(_tokens(sql, dialect), dialect, page_size).spec()
    except (Unknown, SpecError):
        return None


@cache
def _lexer(grammar: str) -> re.Pattern[str]:
    return re.compile(
        rf"""(?P<blank>{BLANK}+) | (?P<comment>{COMMENT[grammar]})
        | (?P<block>\[\[|\]\]) | (?P<quoted>{QUOTED[grammar]})
        | (?P<mark>:[A-Za-z_]\w*) | (?P<number>\d+(?:\.\d+)?(?!\w)) | (?P<word>[^\W\d]\w*) | (?P<hole>\{{\w+\}})
        | (?P<sign><>|<=|>=|\|\||[-+=<>(),.;])""",
        re.X | re.S,
    )


def _tokens(sql: str, dialect: Dialect) -> list[Token]:
    """Return the tokens of a text or a pattern. Raises Unknown for a comment: it would be lost in a spec."""
    tokens, position, lexer = [], 0, _lexer(dialect.grammar)
    while position < len(sql):
        match = lexer.match(sql, position)
        if match is None or match.lastgroup is None or match.end() == position or match["comment"]:
            raise Unknown
        position = match.end()
        if not match["blank"]:
            tokens.append(_token(_kind(match), match[0], dialect))
    return tokens


def _kind(match: re.Match[str]) -> str:
    return next(kind for kind in ("block", "quoted", "mark", "number", "word", "hole", "sign") if match[kind])


def _token(kind: str, text: str, dialect: Dialect) -> Token:
    if kind == "block":
        return Token("sign", text)
    if kind != "quoted":
        return Token(kind, text)
    if text[0] == dialect.quotes[0]:
        return Token("name", text[1:-1])
    if text[0] == "'" or (text[0] == dialect.national and text[1] == "'"):
        return Token("text", text)
    raise Unknown


@cache
def _pattern(pattern: str, engine: str) -> tuple[Token, ...]:
    """Return the tokens of a pattern, with holes. That of a literal's text is a hole in quotation marks."""
    return tuple(_tokens(pattern.replace("'{text}'", "{text}"), dialect_of(engine)))


class _Name(NamedTuple):
    """A column as it is written: with a table's alias, or without ("")."""

    table: str
    column: str


@dataclass(slots=True)
class _Parts:
    """What a condition has at the places of its pattern's holes."""

    parameters: bool
    columns: list[_Name] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)


#: What can follow a condition.
_AFTER_CONDITION = frozenset(("and", "[[", "]]", "order", "limit", "fetch", "offset", ";"))


class _Parser:
    """Reads the clauses in their order. Every method raises Unknown if the next tokens are something else."""

    def __init__(self, tokens: Sequence[Token], dialect: Dialect, page_size: int) -> None:
        self.tokens = tokens
        self.dialect = dialect
        self.page_size = page_size
        self.at = 0
        self.tables: list[Table] = []
        #: Names of the response's columns, in lower case, with the columns that they stand for.
        self.outputs: dict[str, Column] = {}

    # Tokens

    def peek(self, ahead: int = 0) -> Token:
        place = self.at + ahead
        return self.tokens[place] if place < len(self.tokens) else Token("end", "")

    def take(self) -> Token:
        token = self.peek()
        self.at += 1
        return token

    def accept(self, *words: str) -> bool:
        """Skip these words and signs if they are next."""
        for ahead, word in enumerate(words):
            token = self.peek(ahead)
            if token.kind not in ("word", "sign") or token.text.lower() != word.lower():
                return False
        self.at += len(words)
        return True

    def expect(self, *words: str) -> None:
        if not self.accept(*words):
            raise Unknown

    def attempt(self, read: Callable[[], Item]) -> Item | None:
        """Return what ``read`` returns; None, at the same token as before, if it is something else."""
        start = self.at
        try:
            return read()
        except (Unknown, SpecError):
            self.at = start
            return None

    def name(self) -> str:
        token = self.take()
        if token.kind == "name":
            return token.text
        # Engines fold other letters than those of ASCII in different ways.
        if token.kind != "word" or not token.text.isascii() or token.text.lower() in RESERVED:
            raise Unknown
        return self.dialect.folded(token.text)

    def number(self) -> int:
        """Read a number of rows, which is never 0: in a spec that is no limit."""
        token = self.take()
        if token.kind != "number" or not re.fullmatch(r"[1-9][0-9]{0,8}", token.text):
            raise Unknown
        return int(token.text)

    def listed(self, read: Callable[[], Item]) -> list[Item]:
        found = [read()]
        while self.accept(","):
            found.append(read())
        return found

    # Clauses

    def spec(self) -> Spec:
        self.expect("select")
        row_limit = self.number() if self.dialect.limit == "TOP" and self.accept("top") else 0
        columns = self.listed(self._column)
        self.expect("from")
        self.tables.append(self._table())
        joins = tuple(self._joins())
        outputs = tuple(self._output(*column) for column in columns)
        filters = tuple(self._where())
        order = tuple(self._order())
        row_limit, paged = self._end(row_limit)
        if paged != bool(self.page_size):
            raise Unknown
        return Spec(self.tables[0], joins, outputs, filters, order, row_limit, self.page_size)

    def _column(self) -> tuple[_Name, str]:
        written = self._name()
        return written, self.name() if self.accept("as") else ""

    def _output(self, written: _Name, name: str) -> Column:
        column = Column(self._resolved(written), name)
        self.outputs[column.name.lower()] = column
        return column

    def _name(self) -> _Name:
        first = self.name()
        return _Name(first, self.name()) if self.accept(".") else _Name("", first)

    def _resolved(self, written: _Name) -> ColumnRef:
        """Return the column that a name means in the list of columns and behind ON."""
        if written.table:
            if all(table.alias != written.table for table in self.tables):
                raise Unknown
            return ColumnRef(written.table, written.column)
        if len(self.tables) != 1:
            raise Unknown  # only the database knows to which table it belongs
        return ColumnRef(self.tables[0].alias, written.column)

    def _filtered(self, written: _Name) -> ColumnRef:
        """Return the column that a name means behind WHERE, where some engines take names of the response too."""
        column = self._resolved(written)
        output = None if written.table else self.outputs.get(written.column.lower())
        if output is not None and output.column != column:
            raise Unknown
        return column

    def _sorted_by(self, written: _Name) -> ColumnRef:
        """Return the column that a name means behind ORDER BY, where names of the response come first."""
        output = None if written.table else self.outputs.get(written.column.lower())
        if output is not None and output.name == written.column:
            return output.column
        return self._filtered(written)

    def _table(self) -> Table:
        parts = [self.name()]
        if self.accept("."):
            parts.append(self.name())
        schema = parts[0] if len(parts) == 2 else self.dialect.default_schema
        return Table(schema, parts[-1], self._table_alias())

    def _table_alias(self) -> str:
        if self.dialect.alias:
            return self.name() if self.accept(*self.dialect.alias.split()) else ""
        return self.attempt(self.name) or ""

    def _joins(self) -> Iterator[Join]:
        while True:
            if self.accept("left", "join") or self.accept("left", "outer", "join"):
                kind = LEFT
            elif self.accept("join") or self.accept("inner", "join"):
                kind = INNER
            else:
                return
            table = self._table()
            self.expect("on")
            self.tables.append(table)
            pairs = [self._pair(table)]
            while self.accept("and"):
                pairs.append(self._pair(table))
            yield Join(kind, table, tuple(pairs))

    def _pair(self, table: Table) -> tuple[ColumnRef, str]:
        joined = self._resolved(self._name())
        self.expect("=")
        earlier = self._resolved(self._name())
        if joined.table != table.alias:
            joined, earlier = earlier, joined
        if joined.table != table.alias:
            raise Unknown
        return earlier, joined.column

    def _where(self) -> Iterator[Filter]:
        if not self.accept("where"):
            return
        if not self._is_base():
            yield self._filter(False)
        while True:
            if self.accept("[[", "and"):
                yield self._filter(True)
                self.expect("]]")
            elif self.accept("and"):
                yield self._filter(False)
            else:
                return

    def _is_base(self) -> bool:
        """Skip the 1 = 1 that is before a first optional block."""
        one, sign = Token("number", "1"), Token("sign", "=")
        if [self.peek(place) for place in range(4)] != [one, sign, one, Token("sign", "[[")]:
            return False
        self.at += 3
        return True

    def _filter(self, optional: bool) -> Filter:
        for operator in OPERATORS:
            for parameters in (True, False):
                found = self.attempt(partial(self._condition, operator, parameters, optional))
                if found is not None:
                    return found
        raise Unknown

    def _condition(self, operator: str, parameters: bool, optional: bool) -> Filter:
        parts = _Parts(parameters)
        for token in _pattern(self.dialect.condition(operator, parameters), self.dialect.engine):
            if token.kind == "hole":
                self._fill(token.text, parts)
            else:
                self._same(token)
        # An operator without values is read as one with fixed ones.
        if not self._ends_condition(self.peek()) or len(set(parts.columns)) != 1 or (parameters and not parts.marks):
            raise Unknown
        return Filter(self._filtered(parts.columns[0]), operator, tuple(parts.values), tuple(parts.marks), optional)

    def _fill(self, hole: str, parts: _Parts) -> None:
        """Read what is at the place of a pattern's hole."""
        if hole == "{column}":
            parts.columns.append(self._name())
        elif parts.parameters:
            parts.marks.append(self._mark())
        elif hole == "{list}":
            parts.values += self.listed(self._value)
        else:
            parts.values.append(self._value())

    def _ends_condition(self, token: Token) -> bool:
        return token.kind == "end" or token.text.lower() in _AFTER_CONDITION

    def _same(self, token: Token) -> None:
        found = self.take()
        same = found.text.lower() == token.text.lower() if token.kind == "word" else found.text == token.text
        if found.kind != token.kind or not same:
            raise Unknown

    def _mark(self) -> str:
        token = self.take()
        if token.kind != "mark":
            raise Unknown
        return token.text[1:]

    # Fixed values

    def _value(self) -> Value:
        for read in (self._day, self._truth, self._number_value, self._text):
            value = self.attempt(read)
            if value is not None:
                return value
        raise Unknown

    def _day(self) -> Value:
        for type_, pattern in self.dialect.literals.items():
            text = self.attempt(partial(self._literal, pattern))
            if text is not None:
                return Value(type_, self.dialect.iso_day(text))
        raise Unknown

    def _literal(self, pattern: str) -> str:
        text = ""
        for token in _pattern(pattern, self.dialect.engine):
            if token.kind == "hole":
                text = self._literal_text()
            else:
                self._same(token)
        return text

    def _literal_text(self) -> str:
        token = self.take()
        if token.kind != "text":
            raise Unknown
        text = self.dialect.unquoted_text(token.text)
        if self.dialect.quoted_text(text) != token.text:
            raise Unknown  # such as MySQL's \\n, which is a line break there
        return text

    def _truth(self) -> Value:
        for word, text in zip(self.dialect.truth, ("true", "false"), strict=True):
            if not word.isdigit() and self.accept(word):
                return Value("boolean", text)
        raise Unknown

    def _number_value(self) -> Value:
        sign = "-" if self.accept("-") else ""
        token = self.take()
        if token.kind != "number":
            raise Unknown
        value = Value("decimal" if "." in token.text else "integer", sign + token.text)
        if value.text != sign + token.text:
            raise Unknown
        return value

    def _text(self) -> Value:
        return Value("text", "".join(self._pieces()))

    def _pieces(self) -> list[str]:
        """Return the literals that are joined to one text."""
        if self.dialect.concatenation:
            pieces = [self._literal_text()]
            while self.accept(self.dialect.concatenation):
                pieces.append(self._literal_text())
            return pieces
        if not self.accept("concat", "("):
            return [self._literal_text()]
        pieces = self.listed(self._literal_text)
        self.expect(")")
        return pieces

    # The end

    def _order(self) -> Iterator[Order]:
        if self.accept("order", "by"):
            yield from self.listed(self._ordered)

    def _ordered(self) -> Order:
        column = self._sorted_by(self._name())
        descending = self.accept("desc")
        if not descending:
            self.accept("asc")
        return Order(column, descending)

    def _end(self, row_limit: int) -> tuple[int, bool]:
        """Return the row limit, and whether there is the clause for pages."""
        paged = bool(self.dialect.paging) and self.attempt(self._paging) is not None
        if not paged and self.dialect.limit == "LIMIT" and self.accept("limit"):
            row_limit = self.number()
        elif not paged and self.dialect.limit == "FETCH" and self.accept("fetch", "first"):
            row_limit = self.number()
            self.expect("rows", "only")
        self.accept(";")
        if self.at < len(self.tokens):
            raise Unknown
        return row_limit, paged

    def _paging(self) -> bool:
        for token in _pattern(self.dialect.paging, self.dialect.engine):
            self._same(token)
        return True
