"""An author's SQL text: its :name marks, its [[ optional blocks ]], and whether it may run at all.

Everything here is a pure function over text. The text that runs is the author's own, byte for byte,
but for the marks and for blocks that drop out. What ``check`` finds is a courtesy to the author and a
second wall; the first one is the read-only account and transaction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.dialects.sqlite import SQLite
from sqlglot.dialects.tsql import TSQL
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.tokens import Token, Tokenizer, TokenType

from adapters import calls, oracle
from dataservices import functions, tsql

#: Characters of a definition's SQL. A longer text is no query that anybody wrote.
MAX_LENGTH = 100_000

#: Renderings kept per template: one for each combination of given optional parameters met so far.
_MEMO = 256

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def gettext_noop(message: str) -> str:
    """Marks a sentence for the catalogue; whoever shows it translates it."""
    return message


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a text may not run. ``message`` is an English msgid whose {names} stand in ``details``.

    ``line`` and ``column`` count from 1 and are None where the problem is the whole text's.
    """

    code: str
    message: str
    details: Mapping[str, str] = field(default_factory=dict)
    line: int | None = None
    column: int | None = None

    def text(self) -> str:
        return self.message.format_map(self.details)


class TemplateError(ValueError):
    """A text whose marks or blocks cannot be understood."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text())
        self.problem = problem


_SENTENCES = {
    "empty": gettext_noop("There is no SQL here. Write a SELECT."),
    "too-long": gettext_noop("The SQL is longer than {limit} characters. Put the bulk of it into a view."),
    "character": gettext_noop(
        "There is a character here that the database may read differently: {name}. Type the passage again with"
        " plain spaces and line ends."
    ),
    "syntax": gettext_noop("The SQL cannot be understood near “{near}”. Check what stands before it."),
    "unreadable": gettext_noop(
        "The SQL cannot be understood. Look for a quotation mark or a comment that is not closed."
    ),
    "literal": gettext_noop(
        "The database may end this text or name elsewhere: {near}. Write it with plain quotation marks,"
        " doubling those inside."
    ),
    "comment": gettext_noop(
        "This comment can hold something that runs: {near}. Write comments as “-- …” with a space, or /* … */"
        " without “!”, “+” and comments inside."
    ),
    "mark-name": gettext_noop(
        "A mark is a colon and a name of letters, digits and _, here: {near}. Write :nama, for example."
    ),
    "mark-adjacent": gettext_noop(
        "Write a space before :{name} if it is a mark, or behind its colon if it is not."
    ),
    "block-nested": gettext_noop("A [[ block ]] stands inside another. Close the outer one first."),
    "block-open": gettext_noop("This [[ is never closed. Write ]] where the optional part ends."),
    "block-empty": gettext_noop(
        "This [[ block ]] holds no :mark, so nothing decides whether it stays. Put a mark into it, or take the"
        " brackets away; for an array of arrays write [ [ with a space."
    ),
    "block-array": gettext_noop(
        "This [[ is followed by a single ]. Write ]] where an optional part ends, or [ [ with a space for an array"
        " of arrays."
    ),
    "statements": gettext_noop("Write one statement only: something follows the “;”."),
    "not-reading": gettext_noop(
        "An operation that reads takes one SELECT, WITH or VALUES, and nothing that changes or locks anything:"
        " {near}. Declare the operation as writing if that is what it does."
    ),
    "not-writing": gettext_noop(
        "An operation that writes takes one INSERT, UPDATE, DELETE, MERGE or CALL: {near} is none of them."
    ),
    "into": gettext_noop("INTO would write the result elsewhere. Take it away: the rows are the answer."),
    "every-row": gettext_noop(
        "{near} has no WHERE, or none that always stays, and would touch every row. Add a condition outside of"
        " [[ blocks ]]; write WHERE 1 = 1 if every row is meant."
    ),
    "function": gettext_noop(
        "The function {name} is not on the list of allowed functions. Do without it, or ask the operator to allow it."
    ),
    "function-quoted": gettext_noop("Write the function {name} without quotation marks."),
    "function-qualified": gettext_noop("Write the function {name} without a schema before it."),
    "variable": gettext_noop(
        "Server variables (@name, @@name, :=) are not allowed. Use a :mark for a value, ROW_NUMBER() OVER (…) to"
        " count rows."
    ),
    "placeholder": gettext_noop("Write :nama for a value instead of {near}."),
    "declare": gettext_noop(
        "Variables are written DECLARE @name type = value, or SET @name = value. Near {near} they are not."
    ),
    "undeclared": gettext_noop("{near} is followed by no variable that is declared above: DECLARE @name type."),
    "word": gettext_noop(
        "{near} would begin another statement here. Take it away, or write [{near}] in brackets if it is a name."
    ),
    "exec": gettext_noop(
        "A procedure is called EXEC name value, @variable OUTPUT, …; an expression such as {near} goes into a"
        " variable first."
    ),
    "procedure": gettext_noop("The server's own procedures and those of other databases cannot be called: {near}."),
    "link": gettext_noop(
        "What lies behind a link to another database cannot be read here: {near}. Let its administrator make a view."
    ),
    "table": gettext_noop("{name} tells of accounts or settings of the server and cannot be read here."),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mark:
    """A :name in the text, at these offsets."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Block:
    """An optional part. ``start`` and ``end`` are the offsets of its brackets' outer sides."""

    start: int
    end: int
    marks: tuple[Mark, ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(mark.name for mark in self.marks)


class Template:
    """A parsed text. ``marks`` are its names in order of appearance, each once; ``optional`` those of them that
    occur in optional blocks only."""

    __slots__ = ("_memo", "_switches", "blocks", "judge", "marks", "optional", "outs", "places", "sql")

    def __init__(self, sql: str, places: Sequence[Mark], blocks: Sequence[Block]) -> None:
        self.sql = sql
        self.places = tuple(places)
        self.blocks = tuple(blocks)
        #: The stretches that say what comes out of a statement: no parameters are to be given for them.
        self.outs: tuple[tuple[int, int], ...] = ()
        self.marks = tuple(dict.fromkeys(mark.name for mark in places))
        inside = {mark for block in blocks for mark in block.marks}
        outside = {mark.name for mark in places if mark not in inside}
        self.optional = frozenset(self.marks) - outside
        self._switches = frozenset(mark.name for mark in inside)
        #: Called with the given names of each combination of blocks that is rendered for the first time; it
        #: raises to refuse it. Saving judges the text with all blocks and with none only.
        self.judge: Callable[[frozenset[str]], None] | None = None
        self._memo: dict[tuple[str, frozenset[str]], tuple[str, tuple[str, ...]]] = {}

    def render(self, given: Collection[str], paramstyle: str) -> tuple[str, tuple[str, ...]]:
        """The text for a driver, and the names in the order of its marks (a name as often as it occurs).

        ``given`` names the parameters that have a value: a block stays when it has all of its own.
        ``paramstyle`` is "pyformat", "named" or "qmark". Each bracket pair becomes a space.
        """
        key = (paramstyle, self._switches.intersection(given))
        found = self._memo.get(key)
        if found is None:
            if self.judge is not None:
                self.judge(key[1])
            if len(self._memo) >= _MEMO:
                self._memo.clear()
            found = self._memo[key] = self._render(*key)
        return found

    def _render(self, paramstyle: str, given: frozenset[str]) -> tuple[str, tuple[str, ...]]:
        written = {"pyformat": "%({})s", "named": ":{}", "qmark": "?"}[paramstyle]
        pieces: list[str] = []
        order: list[str] = []
        for piece in self._pieces(given):
            if isinstance(piece, Mark):
                pieces.append(written.format(piece.name))
                order.append(piece.name)
            else:
                pieces.append(piece.replace("%", "%%") if paramstyle == "pyformat" else piece)
        return "".join(pieces), tuple(order)

    def _pieces(self, given: frozenset[str]) -> Iterator[str | Mark]:
        """The text cut at its marks, without the blocks that drop out."""
        position = 0
        for start, end, piece in self._cuts(given):
            yield self.sql[position:start]
            yield piece
            position = end
        yield self.sql[position:]

    def _cuts(self, given: frozenset[str]) -> list[tuple[int, int, str | Mark]]:
        """What stands in the place of which stretch of the text, in order."""
        cuts: list[tuple[int, int, str | Mark]] = []
        dropped: set[Mark] = set()
        for block in self.blocks:
            if block.names <= given:
                cuts += [(block.start, block.start + 2, " "), (block.end - 2, block.end, " ")]
            else:
                cuts.append((block.start, block.end, " "))
                dropped.update(block.marks)
        cuts += [(mark.start, mark.end, mark) for mark in self.places if mark not in dropped]
        return sorted(cuts, key=lambda cut: cut[0])

    def sample(self, given: Collection[str]) -> str:
        """The text with an empty literal for each mark, as long as the original, so that places agree."""
        pieces: list[str] = []
        position = 0
        for start, end, piece in self._cuts(self._switches.intersection(given)):
            stretch = self.sql[start:end]
            instead = "''" if isinstance(piece, Mark) else ""
            pieces += [self.sql[position:start], instead, re.sub(r"[^\r\n]", " ", stretch)[len(instead) :]]
            position = end
        text = "".join([*pieces, self.sql[position:]])
        for start, end in self.outs:
            # A mark that only comes out is still a value among others; the words behind one are none.
            instead = "''" if text[start] == ":" else ""
            text = text[:start] + instead.ljust(end - start) + text[end:]
        return text


def pages(template: Template) -> bool:
    """Whether an operation with this text can page: it must take :limit and :offset."""
    return {"limit", "offset"} <= set(template.marks)


def parse(sql: str, dialect: str) -> Template:
    """Find the marks and blocks of a text. Raises TemplateError with what to do about it."""
    if len(sql) > MAX_LENGTH:
        raise TemplateError(_problem("too-long", limit=str(MAX_LENGTH)))
    try:
        tokens = _mark_tokens(sql, dialect)
    except (SqlglotError, RecursionError):
        raise TemplateError(_problem("unreadable")) from None
    reader = _Reader(sql, tokens, brackets_quote=dialect in ("sqlite", "tsql"))
    first = sql[tokens[0].start : tokens[0].end + 1].lower() if tokens else ""
    if first in _OUT_STATEMENTS.get(dialect, ()):
        reader.out = re.compile(oracle.OUT_PARAMETER if dialect == "oracle" else calls.OUT_PARAMETER, re.I)
    return reader.read()


class _Reader:
    """One walk over the tokens of a text, for its marks and blocks."""

    def __init__(self, sql: str, tokens: Sequence[Token], brackets_quote: bool) -> None:
        self.sql = sql
        self.tokens = tokens
        self.brackets_quote = brackets_quote
        self.marks: list[Mark] = []
        self.blocks: list[Block] = []
        self.opened: int | None = None
        self.first = 0
        self.depth = 0
        #: What declares a mark as one that comes out, where there can be such, and where it was found.
        self.out: re.Pattern[str] | None = None
        self.outs: list[tuple[int, int]] = []

    def read(self) -> Template:
        behind = 0
        for token in self.tokens:
            if token.start < behind:
                continue
            if token.token_type is TokenType.COLON:
                behind = self._colon(token.start)
            elif token.token_type is TokenType.L_BRACKET:
                behind = self._left(token.start)
            elif token.token_type is TokenType.R_BRACKET:
                behind = self._right(token.start)
        if self.opened is not None:
            raise self._error("block-open", self.opened)
        if self.outs:
            self.outs += self._returned()
        template = Template(self.sql, self.marks, self.blocks)
        template.outs = tuple(self.outs)
        return template

    def _returned(self) -> Iterator[tuple[int, int]]:
        """RETURNING …'s INTO and all behind it."""
        returning = False
        for token in self.tokens:
            returning = returning or token.token_type is TokenType.RETURNING
            if returning and token.token_type is TokenType.INTO:
                yield token.start, max(end for _, end in self.outs)
                return

    def _colon(self, start: int) -> int:
        name = _NAME.match(self.sql, start + 1)
        if name is None or (self.brackets_quote and self.depth):
            return start + 1
        if start and _is_word(self.sql[start - 1]):
            raise self._error("mark-adjacent", start, name=name[0])
        if name.end() < len(self.sql) and _is_word(self.sql[name.end()]):
            raise self._error("mark-name", start, near=self.sql[start : name.end() + 1])
        out = self.out.match(self.sql, name.end()) if self.out else None
        if out:
            self.outs.append((name.end() if out["both"] else start, out.end()))
        if not out or out["both"]:
            self.marks.append(Mark(name[0], start, name.end()))
        return out.end() if out else name.end()

    def _left(self, start: int) -> int:
        if self.brackets_quote and self.depth:
            return start + 1
        if not self.sql.startswith("[[", start) or (self.opened is not None and self.depth):
            self.depth += 1
            return start + 1
        if self.opened is not None:
            raise self._error("block-nested", start)
        if self.depth:
            self.depth += 1
            return start + 1
        self.opened, self.first = start, len(self.marks)
        return start + 2

    def _right(self, start: int) -> int:
        if self.depth:
            self.depth -= 1
            return start + 1
        if self.opened is None:
            return start + 1
        if not self.sql.startswith("]]", start):
            raise self._error("block-array", self.opened)
        marks = tuple(self.marks[self.first :])
        if not marks:
            raise self._error("block-empty", self.opened)
        self.blocks.append(Block(self.opened, start + 2, marks))
        self.opened = None
        return start + 2

    def _error(self, code: str, start: int, **details: str) -> TemplateError:
        return TemplateError(_problem(code, _place(self.sql, start), **details))


def check(sql: str, dialect: str, writes: bool = False, allowed: Collection[str] = ()) -> list[Problem]:
    """Everything that keeps a text from running; an empty list lets it pass.

    ``dialect`` is "sqlite", "postgres", "mysql", "tsql" or "oracle". ``allowed`` are function names (lower case)
    that the operator permits besides the dialect's list. The text is judged with all its blocks and with none.
    """
    try:
        template = parse(sql, dialect)
    except TemplateError as error:
        return [error.problem]
    problems: dict[Problem | tuple[Any, ...], Problem] = {}
    for given in dict.fromkeys((template.marks, ())):
        for problem in judged(template, given, dialect, writes, allowed):
            problems[problem.code, problem.line, problem.column, tuple(problem.details.items())] = problem
    return list(problems.values())


def _judge_statement(text: str, dialect: str, writes: bool, allowed: Collection[str]) -> list[Problem]:
    return _Judge(text, dialect, writes, allowed).judge()


def _judge_batch(text: str, dialect: str, writes: bool, allowed: Collection[str]) -> list[Problem]:
    """A batch of T-SQL: what begins with DECLARE and SET, each value of a variable, and the one statement."""
    judge = _Judge(text, dialect, writes, allowed)
    try:
        tokens = list(_tokenizer(dialect).tokenize(text))
    except (SqlglotError, RecursionError):
        return [_problem("unreadable")]
    problems = list(judge._lexical(tokens))
    if problems:
        return problems
    while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        tokens.pop()
    if not tokens:
        return [_problem("empty")]
    try:
        batch = tsql.cut(text, tokens, writes)
    except tsql.Refusal as refusal:
        return [judge._at(refusal.code, refusal.token, near=judge._raw(refusal.token)[:40])]
    for read in batch.reads:
        problems += _judge_statement(read, dialect, False, allowed)
    if batch.write:
        problems += _judge_statement(batch.write, dialect, True, allowed)
    return problems


def judged(
    template: Template, given: Collection[str], dialect: str, writes: bool, allowed: Collection[str] = ()
) -> list[Problem]:
    """What keeps one combination of a text's blocks from running: those of the ``given`` names."""
    judge = _judge_batch if dialect == "tsql" else _judge_statement
    return judge(template.sample(given), dialect, writes, allowed)


_BLANK = r"(?:[ \t\f]|\r?\n)"
_BLOCK_COMMENT = r"/\*(?![!+]|M!)(?:(?!\*/|/\*).)*\*/"
_STRING = r"'(?:[^']|'')*'"
_ESCAPED = r"'(?:[^'\\]|\\.|'')*'"
_DOUBLE = r'"(?:[^"]|"")*"'
_BACKTICK = r"`(?:[^`]|``)+`"

#: What may stand between two tokens. MySQL takes "--" for two signs when no space follows.
_GAPS = {
    "sqlite": rf"(?:{_BLANK}|--[^\r\n]*(?:\r?\n|$)|{_BLOCK_COMMENT})*",
    "postgres": rf"(?:{_BLANK}|--[^\r\n]*(?:\r?\n|$)|{_BLOCK_COMMENT})*",
    "tsql": rf"(?:{_BLANK}|--[^\r\n]*(?:\r?\n|$)|{_BLOCK_COMMENT})*",
    "oracle": rf"(?:{_BLANK}|--[^\r\n]*(?:\r?\n|$)|{_BLOCK_COMMENT})*",
    "mysql": rf"(?:{_BLANK}|--(?=[ \t]|\r?\n|$)[^\r\n]*(?:\r?\n|$)|#[^\r\n]*(?:\r?\n|$)|{_BLOCK_COMMENT})*",
}

#: Literals and quoted names, exactly as each database reads them.
_QUOTED = {
    "sqlite": rf"[xX]?{_STRING}|{_DOUBLE}|{_BACKTICK}|\[[^\]\[]+\]",
    "postgres": rf"[nNbBxX]?{_STRING}|[eE]{_ESCAPED}|{_DOUBLE}|\$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?\$(?P=tag)\$",
    "tsql": rf"[nN]?{_STRING}|{_DOUBLE}|\[[^\]\[]+\]",
    "oracle": rf"[nN]?{_STRING}|{_DOUBLE}",
    "mysql": rf'[nNbBxX]?{_ESCAPED}|"(?:[^"\\]|\\.|"")*"|{_BACKTICK}',
}
_WORDS = re.compile(rf"[^\W\d][\w$]*(?:{_BLANK}+[^\W\d][\w$]*)*")
_ORACLE_WORDS = re.compile(rf"[^\W\d][\w$#]*(?:{_BLANK}+[^\W\d][\w$#]*)*")
_ORACLE_HINT = re.compile(r"/\*\+[\w\s(),.@\"$#]*\*/")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|(?:\d[\d_]*)?\.?\d*(?:[eE][+-]?\d+)?")
_SIGNS = re.compile(r"[-+*/%<>=!~^&|(),.;:?@#\[\]]+")

_QUOTING = {
    TokenType.STRING, TokenType.IDENTIFIER, TokenType.NATIONAL_STRING, TokenType.RAW_STRING, TokenType.HEREDOC_STRING,
    TokenType.UNICODE_STRING, TokenType.BIT_STRING, TokenType.HEX_STRING, TokenType.BYTE_STRING,
}  # fmt: skip

#: Where a procedure is called by CALL.
_CALLING = frozenset(("postgres", "mysql", "oracle"))

#: Statements out of which parameters can come.
_OUT_STATEMENTS = {
    "oracle": frozenset(("call", "insert", "update", "delete", "merge")),
    "postgres": frozenset(("call",)),
    "mysql": frozenset(("call",)),
}

_READS = frozenset(("select", "with", "values", "("))
_WRITES = frozenset(("insert", "update", "delete", "merge", "with", "call"))

_READING_ROOTS = (exp.Select, exp.SetOperation, exp.Subquery, exp.Values)
_WRITING_ROOTS = (exp.Insert, exp.Update, exp.Delete, exp.Merge)
_NEVER = (
    exp.Command, exp.Create, exp.Drop, exp.Alter, exp.Set, exp.Copy, exp.Grant, exp.Into, exp.LoadData,
    exp.Kill, exp.Pragma, exp.Attach, exp.Detach, exp.Transaction, exp.Commit, exp.Rollback, exp.Use, exp.Analyze,
)  # fmt: skip
_CHANGES = (*_WRITING_ROOTS, exp.Lock, exp.NextValueFor)


class _Judge:
    """One sample text and what is wrong with it."""

    def __init__(self, text: str, dialect: str, writes: bool, allowed: Collection[str]) -> None:
        self.original = text
        self.dialect = dialect
        self.writes = writes
        self.functions = functions.FUNCTIONS[dialect].union(allowed, functions.WRITING[dialect] if writes else ())
        # sqlglot takes what follows CALL for a text without structure; a SELECT's list reads its arguments.
        start = re.match(rf"{_GAPS[dialect]}call(?=\s)", text, re.I | re.S) if writes and dialect in _CALLING else None
        self.call_at = start.end() - 4 if start else -1
        self.text = text if start is None else text[: self.call_at] + "SELECT" + text[start.end() :]

    def judge(self) -> list[Problem]:
        try:
            tokens = list(_tokenizer(self.dialect).tokenize(self.text))
        except (SqlglotError, RecursionError):
            return [_problem("unreadable")]
        problems = list(self._lexical(tokens)) or list(self._shape(tokens))
        if problems:
            return problems
        try:
            trees = sqlglot.parse(self.text, read=self.dialect)
        except ParseError as error:
            return [self._syntax(error)]
        except (SqlglotError, RecursionError, ValueError, TypeError, AttributeError, KeyError, IndexError):
            return [_problem("unreadable")]
        found = [tree for tree in trees if tree is not None and not isinstance(tree, exp.Semicolon)]
        if len(found) != 1:
            return [_problem("statements")]
        tree = found[0]
        return [*self._kind(tree), *self._tables(tree), *self._calls(tokens, _named_columns(tree))]

    def _lexical(self, tokens: Sequence[Token]) -> Iterator[Problem]:
        """Where sqlglot and the database could disagree on what is text, comment and code.

        Each literal must be one that the database ends in the same place, and what lies between the
        tokens nothing but blanks and plain comments: then the tokens are what the database sees.
        """
        gap = re.compile(_GAPS[self.dialect], re.S)
        position = 0
        for token in tokens:
            if not gap.fullmatch(self.text, position, token.start):
                yield self._gap_problem(position, token.start)
            raw = self._raw(token)
            if not self._plain(token, raw):
                code = "literal" if token.token_type in _QUOTING or raw[:1] in "'\"`$" else "character"
                if self.dialect == "oracle" and "@" in raw and token.token_type not in _QUOTING:
                    code = "link"
                yield self._at(code, token, near=raw[:40], name=raw[:40])
            position = token.end + 1
        if not gap.fullmatch(self.text, position):
            yield self._gap_problem(position, len(self.text))

    def _plain(self, token: Token, raw: str) -> bool:
        if raw != "[" and (token.token_type in _QUOTING or raw[:1] in ("'", '"', "`", "[")):
            if self.dialect != "postgres" and raw[:2].lower() == "0x":
                return _NUMBER.fullmatch(raw) is not None
            # e'…' and U&"…" have rules of their own, and $tag$ right behind a word is part of that word.
            before = self.text[token.start - 1] if token.start else " "
            if self.dialect == "postgres" and (_is_word(before) or before == "&"):
                return False
            # q'[…]' too: whatever letter is not part of the token, Oracle may take for a part of the literal.
            if self.dialect == "oracle" and raw[0] != '"' and (_is_word(before) or before == "#"):
                return False
            return re.fullmatch(_QUOTED[self.dialect], raw, re.S) is not None
        if _SIGNS.fullmatch(raw):
            return "--" not in raw and "/*" not in raw and not (raw.startswith("#") and self.dialect != "postgres")
        if self.dialect == "oracle" and (_ORACLE_WORDS.fullmatch(raw) or _ORACLE_HINT.fullmatch(raw)):
            return True
        return (_WORDS.fullmatch(raw) or _NUMBER.fullmatch(raw)) is not None

    def _gap_problem(self, start: int, end: int) -> Problem:
        gap = self.text[start:end]
        at = start + len(gap) - len(gap.lstrip())
        near = self.text[at:end].strip()[:40]
        if near.startswith(("--", "/*", "#", "{#")):
            return _problem("comment", _place(self.text, at), near=near)
        name = next((f"U+{ord(char):04X}" for char in gap if char not in " \t\f\n"), "")
        return _problem("character", _place(self.text, start), name=name)

    def _shape(self, tokens: Sequence[Token]) -> Iterator[Problem]:
        """What single words tell: the kind of statement, a second one, variables, other marks."""
        body = list(tokens)
        while body and body[-1].token_type is TokenType.SEMICOLON:
            body.pop()
        if not body:
            yield _problem("empty")
            return
        first = "call" if self.call_at == body[0].start else self._raw(body[0]).lower()
        if first not in (_WRITES if self.writes else _READS):
            yield self._at("not-writing" if self.writes else "not-reading", body[0], near=self._raw(body[0])[:40])
            return
        if first == "call" and not self._is_one_call(body):
            yield self._at("not-writing", body[0], near="CALL")
        for index, token in enumerate(body):
            code = self._odd(token, body[index - 1] if index else None)
            if code:
                yield self._at(code, token, near=self._raw(token), name=self._raw(token))
        if self.dialect == "oracle":
            yield from self._oracle_names(body)

    def _oracle_names(self, body: Sequence[Token]) -> Iterator[Problem]:
        """Packages of Oracle's own, whose functions need no brackets, and a sequence's next number."""
        dots = {index for index, token in enumerate(body) if token.token_type is TokenType.DOT}
        for index, token in enumerate(body):
            raw = self._raw(token)
            name = raw.strip('"').lower()
            of_the_server = self.call_at >= 0 and index == 1 and name in functions.SCHEMAS["oracle"]
            if index + 1 in dots and (of_the_server or name.startswith(functions.PACKAGES)):
                yield self._at("function", token, name=raw)
            elif index - 1 in dots and name in ("nextval", "currval") and not self.writes:
                yield self._at("not-reading", token, near=raw)

    def _is_one_call(self, body: Sequence[Token]) -> bool:
        """CALL name(…) or CALL schema.name(…), and nothing behind the bracket that closes it."""
        head = [index for index, token in enumerate(body) if token.token_type is TokenType.L_PAREN][:1]
        # Oracle's procedures live in packages, and those in schemas.
        if head not in ([2], [4]) and (head != [6] or self.dialect != "oracle"):
            return False
        if any(body[index].token_type is not TokenType.DOT for index in range(2, head[0], 2)):
            return False
        depth = 0
        for index, token in enumerate(body):
            depth += (token.token_type is TokenType.L_PAREN) - (token.token_type is TokenType.R_PAREN)
            if index > head[0] and not depth:
                return index == len(body) - 1
        return False

    def _odd(self, token: Token, before: Token | None) -> str | None:
        kind, raw = token.token_type, self._raw(token).lower()
        if kind is TokenType.SEMICOLON:
            return "statements"
        if raw in ("outfile", "dumpfile", "infile"):
            return "into"
        if kind is TokenType.INTO and not (self.writes and before and self._raw(before).lower() in _BEFORE_INTO):
            return "into"
        if raw == "table":
            return "not-writing" if self.writes else "not-reading"
        if self.dialect == "mysql" and (raw.startswith("@") or kind is TokenType.COLON_EQ):
            return "variable"
        if self.dialect == "oracle" and raw == "@":
            return "link"
        if self.dialect == "sqlite" and raw[:1] in ("@", "$"):
            return "placeholder"
        if self.dialect != "postgres" and kind is TokenType.PLACEHOLDER:
            return "placeholder"
        return None

    def _kind(self, tree: exp.Expression) -> Iterator[Problem]:
        roots = _WRITING_ROOTS if self.writes and self.call_at < 0 else _READING_ROOTS
        code = "not-writing" if self.writes else "not-reading"
        if not isinstance(tree, roots):
            yield _problem(code, near=tree.key.upper())
        forbidden = _NEVER if self.writes and self.call_at < 0 else (*_NEVER, *_CHANGES)
        for node in tree.walk():
            if isinstance(node, forbidden):
                yield _problem(code, near=node.key.upper())
            elif isinstance(node, exp.Parameter) and self.dialect == "tsql":
                # Declared above, or it would not have come as far as here.
                continue
            elif isinstance(node, (exp.Placeholder, exp.Parameter)):
                yield _problem("placeholder", near=node.sql(self.dialect))
            elif isinstance(node, (exp.Update, exp.Delete)) and _touches_every_row(node):
                yield _problem("every-row", near=node.key.upper())

    def _tables(self, tree: exp.Expression) -> Iterator[Problem]:
        for table in tree.find_all(exp.Table):
            elsewhere = isinstance(table.this, exp.Dot) or table.catalog.lower() in functions.CATALOGS[self.dialect]
            if elsewhere or (
                isinstance(table.this, exp.Identifier)
                and self._tells_of_the_server(table.db.lower(), table.name.lower())
            ):
                yield _problem("table", name=".".join(part.name for part in table.parts))

    def _tells_of_the_server(self, schema: str, name: str) -> bool:
        dialect = self.dialect
        beginnings = functions.BEGINNINGS[dialect]
        if schema in functions.SCHEMAS[dialect] or (dialect == "postgres" and schema.startswith("pg_")):
            return True
        homes = {"sqlite": (schema,), "tsql": ("", "dbo"), "oracle": ("",)}.get(dialect, ("information_schema",))
        if name in functions.RELATIONS[dialect] and schema in homes:
            return True
        return name.startswith(beginnings) and schema in ("", "main", "temp", "information_schema")

    def _calls(self, tokens: Sequence[Token], names: Collection[int]) -> Iterator[Problem]:
        """Every word before a "(": it belongs to the grammar, names columns, or must be an allowed function."""
        procedure = self.call_at >= 0
        for index, token in enumerate(tokens):
            if token.token_type is not TokenType.L_PAREN or not index:
                continue
            name = tokens[index - 1]
            raw = self._raw(name)
            quoted = raw[0] in '"`['
            if name.start in names or not (quoted or _is_word(raw[0])) or raw[0].isdigit():
                continue
            if name.token_type in _QUOTING and not quoted:
                continue
            if self.dialect == "oracle" and [self._raw(each) for each in tokens[index + 1 : index + 3]] == ["+", ")"]:
                # Oracle's own sign of an outer join, with blanks in it.
                continue
            if procedure:
                # The first name before a "(" is the procedure's, whatever its schema.
                procedure = False
                continue
            yield from self._call(tokens, index - 1, raw, quoted)

    def _call(self, tokens: Sequence[Token], index: int, raw: str, quoted: bool) -> Iterator[Problem]:
        name = tokens[index]
        if quoted and not (self.dialect == "mysql" and raw[0] == '"'):
            yield self._at("function-quoted", name, name=raw)
            return
        word = raw.split()[-1].lower()
        if index and tokens[index - 1].token_type is TokenType.DOT:
            schema = self._raw(tokens[index - 2]).lower() if index > 1 else ""
            if self.dialect == "tsql" and (f"{schema.strip('[]')}.{word}" in self.functions or word in _XML_METHODS):
                return
            if self.dialect == "oracle" and f"{schema}.{word}" in self.functions:
                return
            if self.dialect != "postgres" or schema != "pg_catalog":
                yield self._at("function-qualified", name, name=raw)
            elif word not in self.functions:
                yield self._at("function", name, name=raw)
        elif word not in functions.GRAMMAR and word not in self.functions:
            yield self._at("function", name, name=raw)

    def _raw(self, token: Token) -> str:
        return self.text[token.start : token.end + 1]

    def _at(self, code: str, token: Token, **details: str) -> Problem:
        return _problem(code, self._original_place(token.start), **details)

    def _original_place(self, start: int) -> tuple[int, int]:
        """Line and column in the author's text, where CALL is two letters shorter than SELECT."""
        shift = 2 if 0 <= self.call_at < start else 0
        return _place(self.original, start - shift)

    def _syntax(self, error: ParseError) -> Problem:
        first = error.errors[0] if error.errors else {}
        near = str(first.get("highlight") or "")
        line, column = first.get("line"), first.get("col")
        if not near or line is None or column is None:
            return _problem("unreadable")
        return _problem("syntax", (int(line), max(1, int(column) - len(near) + 1)), near=near[:40])


#: What T-SQL calls behind a column of type xml.
_XML_METHODS = frozenset(("exist", "nodes", "query", "value"))

_BEFORE_INTO = frozenset(
    ("insert", "merge", "ignore", "abort", "fail", "replace", "rollback", "low_priority", "delayed")
)


def _named_columns(tree: exp.Expression) -> set[int]:
    """Where names stand that a list of column names follows, which looks like a call: x(a, b) AS …"""
    places: set[int] = set()
    for alias in tree.find_all(exp.TableAlias):
        if alias.args.get("columns"):
            _add_place(places, alias.this)
    for schema in tree.find_all(exp.Schema):
        if isinstance(schema.this, exp.Table):
            _add_place(places, schema.this.this)
            alias = schema.this.args.get("alias")
            _add_place(places, alias.this if isinstance(alias, exp.TableAlias) else None)
    return places


def _add_place(places: set[int], identifier: Any) -> None:
    if isinstance(identifier, exp.Identifier) and "start" in identifier.meta:
        places.add(identifier.meta["start"])


def _touches_every_row(node: exp.Expression) -> bool:
    return node.args.get("where") is None and not isinstance(node.parent, (exp.When, exp.OnConflict))


def _is_word(char: str) -> bool:
    return char.isalnum() or char in "_$" or ord(char) > 127


def _place(text: str, start: int) -> tuple[int, int]:
    before = text[:start]
    return before.count("\n") + 1, start - (before.rfind("\n") + 1) + 1


def _problem(code: str, place: tuple[int | None, int | None] = (None, None), /, **details: str) -> Problem:
    return Problem(code, _SENTENCES[code], details, *place)


class _SQLiteMarks(SQLite.Tokenizer):
    """SQLite's tokens with brackets left single, so that [[ and ]] can be told from [a quoted name]."""

    IDENTIFIERS = ['"', "`"]


class _TSQLMarks(TSQL.Tokenizer):
    IDENTIFIERS = ['"']
    COMMANDS: set[TokenType] = set()


class _TSQLTokens(TSQL.Tokenizer):
    """T-SQL's tokens, without the words behind which sqlglot takes all that follows for one text."""

    COMMANDS: set[TokenType] = set()


@cache
def _tokenizer(dialect: str) -> Tokenizer:
    if dialect == "tsql":
        return _TSQLTokens(dialect=Dialect.get_or_raise(dialect))
    found: Tokenizer = Dialect.get_or_raise(dialect).tokenizer()
    return found


def _mark_tokens(sql: str, dialect: str) -> Sequence[Token]:
    # sqlglot takes what follows CALL, SHOW and the like for one text; no mark would be found in it.
    text = re.sub(rf"^({_GAPS.get(dialect, _GAPS['postgres'])})call(?=\s)", r"\1from", sql, flags=re.I | re.S)
    if dialect == "sqlite":
        return list(_SQLiteMarks(dialect=Dialect.get_or_raise("sqlite")).tokenize(text))
    if dialect == "tsql":
        return list(_TSQLMarks(dialect=Dialect.get_or_raise("tsql")).tokenize(sql))
    return list(_tokenizer(dialect).tokenize(text))
