"""The check of an author's SQL: whether it may run at all.

Four questions, one class each: are the tokens what the database sees (TokenCheck), is it one statement of the right
kind (StatementCheck), does it call allowed functions only (FunctionCheck), is each part of it known
(grammar.ShapeCheck). SqlChecker asks them in this order.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.tokens import Token, TokenType

from dataservices.sql import functions, grammar, tsql, wordings
from dataservices.sql.messages import Problem, make_problem, position_of
from dataservices.sql.template import Template, TemplateError, parse
from dataservices.sql.tokens import BLANK, GAPS, QUOTED, is_word_character, tokenizer


def check(sql: str, dialect: str, writes: bool = False, allowed: Collection[str] = ()) -> list[Problem]:
    """Return the problems of a text; an empty list means that it may run.

    ``dialect`` is "sqlite", "postgres", "mysql", "tsql" or "oracle". ``allowed`` are functions and procedures that may
    be called besides the dialect's list, as "name" or "schema.name" in lower case: those that the source's owner made.
    The text is checked with all its blocks and with none.
    """
    try:
        template = parse(sql, dialect)
    except TemplateError as error:
        return [error.problem]
    problems: dict[Problem | tuple[Any, ...], Problem] = {}
    # Without blocks, both are one text.
    for text in dict.fromkeys(map(template.sample, (template.placeholders, ()))):
        for problem in check_text(wordings.known(text, dialect), dialect, writes, allowed):
            problems[problem.code, problem.line, problem.column, tuple(problem.details.items())] = problem
    return list(problems.values())


def _check_statement(text: str, dialect: str, writes: bool, allowed: Collection[str]) -> list[Problem]:
    return SqlChecker(text, dialect, writes, allowed).problems()


def _check_batch(text: str, dialect: str, writes: bool, allowed: Collection[str]) -> list[Problem]:
    """Check a batch of T-SQL: its DECLARE and SET, each value of a variable, and the one statement."""
    sample = SampleText(text, dialect, writes)
    try:
        tokens = sample.tokens()
    except (SqlglotError, RecursionError):
        return [make_problem("unreadable")]
    problems = list(TokenCheck(sample).problems(tokens))
    if problems:
        return problems
    while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        tokens.pop()
    if not tokens:
        return [make_problem("empty")]
    try:
        batch = tsql.split_batch(text, tokens, writes, allowed)
    except tsql.Refusal as refusal:
        problem = sample.problem(refusal.code, refusal.token, near=sample.raw(refusal.token)[:40])
        return [replace(problem, routine=refusal.routine)]
    for read in batch.reads:
        problems += _check_statement(read, dialect, False, allowed)
    if batch.write:
        problems += _check_statement(batch.write, dialect, True, allowed)
    return problems


def check_combination(
    template: Template, given: Collection[str], dialect: str, writes: bool, allowed: Collection[str] = ()
) -> list[Problem]:
    """Return the problems of a text with one combination of its blocks: those of the ``given`` names."""
    return check_text(wordings.known(template.sample(given), dialect), dialect, writes, allowed)


def check_text(text: str, dialect: str, writes: bool, allowed: Collection[str]) -> list[Problem]:
    """Return the problems of a sample text: one without placeholders and blocks, in wordings that the parser knows."""
    return (_check_batch if dialect == "tsql" else _check_statement)(text, dialect, writes, allowed)


_WORDS = re.compile(rf"[^\W\d][\w$]*(?:{BLANK}+[^\W\d][\w$]*)*")
_ORACLE_WORDS = re.compile(rf"[^\W\d][\w$#]*(?:{BLANK}+[^\W\d][\w$#]*)*")
_ORACLE_HINT = re.compile(r"/\*\+[\w\s(),.@\"$#]*\*/")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|(?:\d[\d_]*)?\.?\d*(?:[eE][+-]?\d+)?")
_SIGNS = re.compile(r"[-+*/%<>=!~^&|(),.;:?@#\[\]]+")

_QUOTING = {
    TokenType.STRING, TokenType.IDENTIFIER, TokenType.NATIONAL_STRING, TokenType.RAW_STRING, TokenType.HEREDOC_STRING,
    TokenType.UNICODE_STRING, TokenType.BIT_STRING, TokenType.HEX_STRING, TokenType.BYTE_STRING,
}  # fmt: skip

#: Dialects in which a procedure is called by CALL.
_CALLING = frozenset(("postgres", "mysql", "oracle"))

#: What may not be before the first dot behind CALL.
_OF_ORACLE = functions.SCHEMAS["oracle"] | functions.PACKAGE_NAMES

#: The problem that LIMIT is in each dialect that does not have it, and the tokens that make it that clause.
_WITHOUT_LIMIT = {"tsql": "limit-tsql", "oracle": "limit-oracle"}
_LIMITS = (TokenType.NUMBER, TokenType.STRING, TokenType.PARAMETER, TokenType.PLACEHOLDER, TokenType.COLON)

_READS = frozenset(("select", "with", "values", "("))
_WRITES = frozenset(("insert", "update", "delete", "merge", "with", "call"))

_READING_ROOTS = (exp.Select, exp.SetOperation, exp.Subquery, exp.Values)
_WRITING_ROOTS = (exp.Insert, exp.Update, exp.Delete, exp.Merge)
#: Parts of statements that change or lock something. What is in no statement at all, grammar does not know.
_CHANGES = (*_WRITING_ROOTS, exp.Lock, exp.NextValueFor)


class SampleText:
    """A sample text of a template, and the positions of its tokens in the author's text."""

    def __init__(self, text: str, dialect: str, writes: bool) -> None:
        self.original = text
        self.dialect = dialect
        # sqlglot does not parse what follows CALL; as a SELECT's list its arguments are parsed.
        start = re.match(rf"{GAPS[dialect]}call(?=\s)", text, re.I | re.S) if writes and dialect in _CALLING else None
        self.call_at = start.end() - 4 if start else -1
        self.text = text if start is None else text[: self.call_at] + "SELECT" + text[start.end() :]

    @property
    def is_call(self) -> bool:
        return self.call_at >= 0

    def tokens(self) -> list[Token]:
        """Return the tokens. Raises SqlglotError and RecursionError."""
        return list(tokenizer(self.dialect).tokenize(self.text))

    def raw(self, token: Token) -> str:
        """Return a token as it is in the text."""
        return self.text[token.start : token.end + 1]

    def problem(self, code: str, token: Token, **details: str) -> Problem:
        """Return a problem at a token's position in the author's text, where CALL is two letters shorter."""
        shift = 2 if 0 <= self.call_at < token.start else 0
        return make_problem(code, position_of(self.original, token.start - shift), **details)

    def node_problem(self, code: str, node: exp.Expression, **details: str) -> Problem:
        """Return a problem at the first name in a node; without a position if it has none."""
        starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
        if not starts:
            return make_problem(code, **details)
        shift = 2 if 0 <= self.call_at < min(starts) else 0
        return make_problem(code, position_of(self.original, min(starts) - shift), **details)


class TokenCheck:
    """Are the tokens what the database sees?

    sqlglot and the database could disagree on what is text, comment and code. So each literal must be one that the
    database ends in the same place, and between the tokens there may be only blanks and plain comments.
    """

    def __init__(self, sample: SampleText) -> None:
        self.sample = sample
        self.dialect = sample.dialect

    def problems(self, tokens: Sequence[Token]) -> Iterator[Problem]:
        gap = re.compile(GAPS[self.dialect], re.S)
        position = 0
        for token in tokens:
            if not gap.fullmatch(self.sample.text, position, token.start):
                yield self._gap_problem(position, token.start)
            raw = self.sample.raw(token)
            if not self._is_plain(token, raw):
                code = "literal" if token.token_type in _QUOTING or raw[:1] in "'\"`$" else "character"
                if self.dialect == "oracle" and "@" in raw and token.token_type not in _QUOTING:
                    code = "link"
                yield self.sample.problem(code, token, near=raw[:40], name=raw[:40])
            position = token.end + 1
        if not gap.fullmatch(self.sample.text, position):
            yield self._gap_problem(position, len(self.sample.text))

    def _is_plain(self, token: Token, raw: str) -> bool:
        """Return True if the database ends the token in the same place."""
        if raw != "[" and (token.token_type in _QUOTING or raw[:1] in ("'", '"', "`", "[")):
            if self.dialect != "postgres" and raw[:2].lower() == "0x":
                return _NUMBER.fullmatch(raw) is not None
            # e'…' and U&"…" have rules of their own, and $tag$ directly after a word is part of that word.
            before = self.sample.text[token.start - 1] if token.start else " "
            if self.dialect == "postgres" and (is_word_character(before) or before == "&"):
                return False
            # q'[…]' too: a letter before the token may be part of the literal for Oracle.
            if self.dialect == "oracle" and raw[0] != '"' and (is_word_character(before) or before == "#"):
                return False
            return re.fullmatch(QUOTED[self.dialect], raw, re.S) is not None
        if _SIGNS.fullmatch(raw):
            return "--" not in raw and "/*" not in raw and not (raw.startswith("#") and self.dialect != "postgres")
        if self.dialect == "oracle" and (_ORACLE_WORDS.fullmatch(raw) or _ORACLE_HINT.fullmatch(raw)):
            return True
        return (_WORDS.fullmatch(raw) or _NUMBER.fullmatch(raw)) is not None

    def _gap_problem(self, start: int, end: int) -> Problem:
        gap = self.sample.text[start:end]
        at = start + len(gap) - len(gap.lstrip())
        near = self.sample.text[at:end].strip()[:40]
        if near.startswith(("--", "/*", "#", "{#")):
            return make_problem("comment", position_of(self.sample.text, at), near=near)
        name = next((f"U+{ord(char):04X}" for char in gap if char not in " \t\f\n"), "")
        return make_problem("character", position_of(self.sample.text, start), name=name)


class StatementCheck:
    """Is it one statement of the right kind, which reads no tables of the server's own?"""

    def __init__(self, sample: SampleText, writes: bool) -> None:
        self.sample = sample
        self.dialect = sample.dialect
        self.writes = writes

    def token_problems(self, tokens: Sequence[Token]) -> Iterator[Problem]:
        """Check single words: the kind of statement, a second one, variables, foreign placeholders."""
        body = list(tokens)
        while body and body[-1].token_type is TokenType.SEMICOLON:
            body.pop()
        if not body:
            yield make_problem("empty")
            return
        first = "call" if self.sample.call_at == body[0].start else self.sample.raw(body[0]).lower()
        if first not in (_WRITES if self.writes else _READS):
            yield self.sample.problem(
                "not-writing" if self.writes else "not-reading", body[0], near=self.sample.raw(body[0])[:40]
            )
            return
        if first == "call" and not self._is_one_call(body):
            yield self.sample.problem("not-writing", body[0], near="CALL")
        for index, token in enumerate(body):
            code = self._forbidden_token(token, body[index - 1] if index else None)
            if code:
                yield self.sample.problem(code, token, near=self.sample.raw(token), name=self.sample.raw(token))
        if self.dialect == "oracle":
            yield from self._oracle_names(body)
        if self.dialect in _WITHOUT_LIMIT:
            yield from self._limits(body)

    def _limits(self, body: Sequence[Token]) -> Iterator[Problem]:
        """Check for LIMIT, which sqlglot parses in every dialect. As a name it has no value behind it."""
        for token, after in pairwise(body):
            if token.token_type is TokenType.LIMIT and after.token_type in _LIMITS:
                yield self.sample.problem(_WITHOUT_LIMIT[self.dialect], token)

    def _oracle_names(self, body: Sequence[Token]) -> Iterator[Problem]:
        """Check for Oracle's own packages, whose functions need no parentheses, and for a sequence's next number."""
        dots = {index for index, token in enumerate(body) if token.token_type is TokenType.DOT}
        for index, token in enumerate(body):
            raw = self.sample.raw(token)
            name = raw.strip('"').lower()
            of_the_server = self.sample.is_call and index == 1 and name in _OF_ORACLE
            if index + 1 in dots and (of_the_server or name.startswith(functions.PACKAGES)):
                yield self.sample.problem("function", token, name=raw)
            elif index - 1 in dots and name in ("nextval", "currval") and not self.writes:
                yield self.sample.problem("not-reading", token, near=raw)

    def _is_one_call(self, body: Sequence[Token]) -> bool:
        """Return True for CALL name(…) or CALL schema.name(…) with nothing after its closing parenthesis."""
        head = [index for index, token in enumerate(body) if token.token_type is TokenType.L_PAREN][:1]
        # Oracle's procedures are in packages, and those in schemas.
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

    def _forbidden_token(self, token: Token, before: Token | None) -> str | None:
        """Return the code of the problem with a token, or None."""
        kind, raw = token.token_type, self.sample.raw(token).lower()
        if kind is TokenType.SEMICOLON:
            return "statements"
        if raw in ("outfile", "dumpfile", "infile"):
            return "into"
        if kind is TokenType.INTO and not (self.writes and before and self.sample.raw(before).lower() in _BEFORE_INTO):
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

    def tree_problems(self, tree: exp.Expression) -> Iterator[Problem]:
        """Check the parsed statement: its kind and the tables that it names."""
        yield from self._kind(tree)
        yield from self._tables(tree)

    def _kind(self, tree: exp.Expression) -> Iterator[Problem]:
        roots = _WRITING_ROOTS if self.writes and not self.sample.is_call else _READING_ROOTS
        code = "not-writing" if self.writes else "not-reading"
        if not isinstance(tree, roots):
            yield make_problem(code, near=tree.key.upper())
        changes = self.writes and not self.sample.is_call
        for node in tree.walk():
            if isinstance(node, _CHANGES) and not changes:
                yield make_problem(code, near=node.key.upper())
            elif isinstance(node, (exp.Update, exp.Delete)) and _touches_every_row(node):
                yield make_problem("every-row", near=node.key.upper())

    def _tables(self, tree: exp.Expression) -> Iterator[Problem]:
        for table in tree.find_all(exp.Table):
            elsewhere = isinstance(table.this, exp.Dot) or table.catalog.lower() in functions.CATALOGS[self.dialect]
            if elsewhere or (
                isinstance(table.this, exp.Identifier) and self._is_of_the_server(table.db.lower(), table.name.lower())
            ):
                yield make_problem("table", name=".".join(part.name for part in table.parts))

    def _is_of_the_server(self, schema: str, name: str) -> bool:
        dialect = self.dialect
        beginnings = functions.BEGINNINGS[dialect]
        if schema in functions.SCHEMAS[dialect] or (dialect == "postgres" and schema.startswith("pg_")):
            return True
        if dialect == "mysql" and schema == "information_schema":
            return name not in functions.INFORMATION
        homes = {"sqlite": (schema,), "tsql": ("", "dbo"), "oracle": ("",)}.get(dialect, ("information_schema",))
        if name in functions.RELATIONS[dialect] and schema in homes:
            return True
        return name.startswith(beginnings) and schema in ("", "main", "temp", "information_schema")


class FunctionCheck:
    """Does it call allowed functions only?"""

    def __init__(self, sample: SampleText, writes: bool, allowed: Collection[str]) -> None:
        self.sample = sample
        self.dialect = sample.dialect
        writing = functions.WRITING[self.dialect] if writes else ()
        # A function of the server comes before one of the same name that was made there.
        own = frozenset(allowed) - functions.CALLED.get(self.dialect, frozenset())
        self.functions = functions.FUNCTIONS[self.dialect].union(own, writing)

    def problems(self, tokens: Sequence[Token], names: Collection[int]) -> Iterator[Problem]:
        """Check every word before a "(": it belongs to the grammar, names columns, or must be an allowed function."""
        procedure = self.sample.is_call
        for index, token in enumerate(tokens):
            if token.token_type is not TokenType.L_PAREN or not index:
                continue
            name = tokens[index - 1]
            raw = self.sample.raw(name)
            quoted = raw[0] in '"`['
            if name.start in names or not (quoted or is_word_character(raw[0])) or raw[0].isdigit():
                continue
            if name.token_type in _QUOTING and not quoted:
                continue
            following = [self.sample.raw(token) for token in tokens[index + 1 : index + 3]]
            if self.dialect == "oracle" and following == ["+", ")"]:
                # Oracle's own notation of an outer join, with blanks in it.
                continue
            if procedure:
                # The first name before a "(" is the procedure's, of which no list is known.
                procedure = False
                yield from self._procedure(tokens, index - 1, raw)
                continue
            yield from self._call(tokens, index - 1, raw, quoted)

    def _procedure(self, tokens: Sequence[Token], index: int, raw: str) -> Iterator[Problem]:
        """Check the name behind CALL: the server's own procedures, and functions, cannot be called."""
        name = raw.strip('"`').lower()
        qualified = tokens[index - 1].token_type is TokenType.DOT
        schema = self.sample.raw(tokens[index - 2]).strip('"`').lower() if qualified else ""
        if schema in functions.SCHEMAS[self.dialect] or schema == "information_schema":
            yield self.sample.problem("procedure", tokens[index], near=f"{schema}.{name}")
        elif not schema and (
            name in functions.CALLED[self.dialect] or (self.dialect == "postgres" and name.startswith("pg_"))
        ):
            yield self.sample.problem("procedure", tokens[index], near=raw)

    def _call(self, tokens: Sequence[Token], index: int, raw: str, quoted: bool) -> Iterator[Problem]:
        name = tokens[index]
        qualified = index > 0 and tokens[index - 1].token_type is TokenType.DOT
        if quoted and not (self.dialect == "mysql" and raw[0] == '"') and not (self.dialect == "tsql" and qualified):
            yield self.sample.problem("function-quoted", name, name=raw)
            return
        word = raw.strip('[]"').split()[-1].lower() if quoted else raw.split()[-1].lower()
        if qualified:
            yield from self._qualified_call(tokens, index, raw, word)
        elif word not in functions.GRAMMAR and word not in self.functions:
            yield replace(self.sample.problem("function", name, name=raw), routine=word)

    def _qualified_call(self, tokens: Sequence[Token], index: int, raw: str, word: str) -> Iterator[Problem]:
        """Check a call of schema.name(…), or of a value's method."""
        schema = self.sample.raw(tokens[index - 2]).lower().strip('[]"`') if index > 1 else ""
        routine = f"{schema}.{word}"
        # A name with more parts is another database's, or a function of an Oracle package.
        longer = index > 2 and tokens[index - 3].token_type is TokenType.DOT
        if routine in self.functions and (not longer or self.dialect == "oracle"):
            return
        if self.dialect == "tsql" and word in _METHODS:
            return
        if self.dialect != "postgres" or schema != "pg_catalog":
            problem = self.sample.problem("function-qualified", tokens[index], name=raw)
            yield problem if longer else replace(problem, routine=routine)
        elif word not in self.functions:
            yield self.sample.problem("function", tokens[index], name=raw)


class SqlChecker:
    """All checks of one sample text, in their order: each relies on those before it."""

    def __init__(self, text: str, dialect: str, writes: bool, allowed: Collection[str]) -> None:
        self.sample = SampleText(text, dialect, writes)
        self.tokens = TokenCheck(self.sample)
        self.statement = StatementCheck(self.sample, writes)
        self.functions = FunctionCheck(self.sample, writes, allowed)
        self.shape = grammar.ShapeCheck(dialect, writes, self.functions.functions)

    def problems(self) -> list[Problem]:
        """Return the problems that the first failing check finds."""
        sample = self.sample
        try:
            tokens = sample.tokens()
        except (SqlglotError, RecursionError):
            return [make_problem("unreadable")]
        problems = list(self.tokens.problems(tokens)) or list(self.statement.token_problems(tokens))
        if problems:
            return problems
        try:
            trees = grammar.parse(tokens, sample.text, sample.dialect)
        except ParseError as error:
            return [_syntax_problem(error)]
        except (SqlglotError, RecursionError, ValueError, TypeError, AttributeError, KeyError, IndexError):
            return [make_problem("unreadable")]
        statements = [tree for tree in trees if tree is not None and not isinstance(tree, exp.Semicolon)]
        if len(statements) != 1:
            return [make_problem("statements")]
        tree = statements[0]
        return [
            *self.statement.tree_problems(tree),
            *self.functions.problems(tokens, _named_columns(tree)),
            *self._shape_problems(tree),
        ]

    def _shape_problems(self, tree: exp.Expression) -> Iterator[Problem]:
        for code, node, shown in self.shape.problems(tree):
            yield self.sample.node_problem(code, node, near=shown, name=shown)


def _syntax_problem(error: ParseError) -> Problem:
    first = error.errors[0] if error.errors else {}
    near = str(first.get("highlight") or "")
    line, column = first.get("line"), first.get("col")
    if not near or line is None or column is None:
        return make_problem("unreadable")
    return make_problem("syntax", (int(line), max(1, int(column) - len(near) + 1)), near=near[:40])


#: Methods of T-SQL's types xml, geometry, geography and hierarchyid: none changes or reads anything else.
_METHODS = frozenset((
    "exist", "nodes", "query", "value",
    "tostring", "stastext", "astextzm", "stasbinary", "asgml", "stsrid", "stgeometrytype", "stisvalid", "makevalid",
    "starea", "stlength", "stdistance", "stx", "sty", "lat", "long", "stnumpoints", "stpointn", "ststartpoint",
    "stendpoint", "stcentroid", "stenvelope", "stbuffer", "stconvexhull", "stintersects", "stintersection",
    "stcontains", "stwithin", "stoverlaps", "sttouches", "stequals", "stdisjoint", "stunion", "stdifference",
    "getlevel", "getancestor", "isdescendantof",
))  # fmt: skip

_BEFORE_INTO = frozenset(
    ("insert", "merge", "ignore", "abort", "fail", "replace", "rollback", "low_priority", "delayed")
)


def _named_columns(tree: exp.Expression) -> set[int]:
    """Return the positions of names with a list behind them that looks like a call: columns, x(a, b) AS …, or hints."""
    positions: set[int] = set()
    for table in tree.find_all(exp.Table):
        if table.args.get("hints"):
            _add_position(positions, table.this)
            _add_position(positions, table.args["alias"].this if table.args.get("alias") else None)
    for alias in tree.find_all(exp.TableAlias):
        if alias.args.get("columns"):
            _add_position(positions, alias.this)
    for schema in tree.find_all(exp.Schema):
        if isinstance(schema.this, exp.Table):
            _add_position(positions, schema.this.this)
            alias = schema.this.args.get("alias")
            _add_position(positions, alias.this if isinstance(alias, exp.TableAlias) else None)
    return positions


def _add_position(positions: set[int], identifier: Any) -> None:
    if isinstance(identifier, exp.Identifier) and "start" in identifier.meta:
        positions.add(identifier.meta["start"])


def _touches_every_row(node: exp.Expression) -> bool:
    return node.args.get("where") is None and not isinstance(node.parent, (exp.When, exp.OnConflict))
