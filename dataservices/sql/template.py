"""An author's SQL text as a template: its :name placeholders and its [[ optional blocks ]]."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType

from adapters import procedures
from dataservices.sql.messages import Problem, make_problem, position_of
from dataservices.sql.tokens import COMMENT, QUOTED, is_word_character, placeholder_tokens

#: Characters of a definition's SQL at most.
MAX_LENGTH = 100_000

#: Renderings cached per template: one for each combination of given optional parameters.
_MAX_RENDERINGS = 256

#: What the bus itself fills, and takes from callers, if an operation has pages.
PAGING_NAMES = frozenset(("limit", "offset", "page", "per_page"))

#: What the bus takes from callers, if an operation has a change marker.
CHANGE_NAMES = frozenset(("since", "per_page"))

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: A value of the grant behind its :grant, and how its placeholder begins, as no parameter's name does.
_GRANT_VALUE = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)")
GRANT, _GRANT_PREFIX = "grant", "grant__"
#: Characters of the name of such a value: Oracle takes no placeholders with more than 30.
_MAX_GRANT_NAME = 23


def grant_placeholder(name: str) -> str:
    """Return the name of the placeholder for a value of the grant."""
    return _GRANT_PREFIX + name


def as_in_sql(name: str) -> str:
    """Return the name of a placeholder as authors write it, behind its colon."""
    return f"{GRANT}.{name.removeprefix(_GRANT_PREFIX)}" if name.startswith(_GRANT_PREFIX) else name


#: The beginnings and the ends of conditions.
_CONDITION = re.compile(r"\b(?:WHERE|HAVING|ON|AND|OR|WHEN)\b|\[\[|\]\]", re.IGNORECASE)
#: A value that callers send: those of the grant are none.
_PLACEHOLDER = re.compile(r"(?<![:\w]):(?!grant\.)[A-Za-z_]", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d]\w*")


def compared_words(text: str) -> frozenset[str]:
    """Return the words, in lower case, of the conditions with a placeholder: the columns among them are searched by.

    Parsing would find a column behind its alias too. This is for a warning, and must not cost a list of grants much.
    """
    _select, *conditions = _CONDITION.split(text)
    words = (_WORD.findall(each) for each in conditions if _PLACEHOLDER.search(each))
    return frozenset(word.lower() for found in words for word in found)


class TemplateError(ValueError):
    """A text with placeholders or blocks that cannot be parsed."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text())
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A :name in the text, at these offsets."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Block:
    """An optional block. ``start`` and ``end`` are the offsets of the outer sides of its brackets."""

    start: int
    end: int
    placeholders: tuple[Placeholder, ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(placeholder.name for placeholder in self.placeholders)


class Template:
    """A parsed text. ``placeholders`` are their names in order of appearance, each once; ``optional`` are those that
    occur in optional blocks only; ``occurrences`` are all of them with their offsets."""

    __slots__ = (
        "_block_names",
        "_renderings",
        "blocks",
        "check_blocks",
        "grant_values",
        "occurrences",
        "optional",
        "outs",
        "placeholders",
        "sql",
    )

    def __init__(self, sql: str, occurrences: Sequence[Placeholder], blocks: Sequence[Block]) -> None:
        self.sql = sql
        self.occurrences = tuple(occurrences)
        self.blocks = tuple(blocks)
        #: The (start, end) of the OUT declarations: no parameters are needed for them.
        self.outs: tuple[tuple[int, int], ...] = ()
        self.placeholders = tuple(dict.fromkeys(placeholder.name for placeholder in occurrences))
        in_blocks = {placeholder for block in blocks for placeholder in block.placeholders}
        outside = {placeholder.name for placeholder in occurrences if placeholder not in in_blocks}
        self.optional = frozenset(self.placeholders) - outside
        #: The names of the values of the grant that the text has as :grant.name.
        self.grant_values = tuple(
            name.removeprefix(_GRANT_PREFIX) for name in self.placeholders if name.startswith(_GRANT_PREFIX)
        )
        self._block_names = frozenset(placeholder.name for placeholder in in_blocks)
        #: Called with the given names when a combination of blocks is rendered for the first time; raises to refuse
        #: it. When an operation is saved, only the text with all blocks and with none is checked.
        self.check_blocks: Callable[[Template, frozenset[str]], None] | None = None
        self._renderings: dict[tuple[str, frozenset[str]], tuple[str, tuple[str, ...]]] = {}

    def undeclared(self, declared: Collection[str], paging: bool) -> list[str]:
        """Return the placeholders that neither a ``declared`` parameter, nor paging, nor the grant fills."""
        given = {*declared, "limit", "offset"} if paging else set(declared)
        return [name for name in self.placeholders if name not in given and not name.startswith(_GRANT_PREFIX)]

    def split(self, chosen: Collection[str], given: Collection[str]) -> tuple[list[str], list[str]] | None:
        """Return the names of a block, as (chosen, missing), that drops out and takes a chosen value with it.

        ``chosen`` are the parameters that the caller set, ``given`` those that have a value. None: every chosen value
        is in the statement.
        """
        kept = {name for block in self.blocks if block.names.issubset(given) for name in block.names}
        for block in self.blocks:
            lost = (block.names & self.optional).intersection(chosen) - kept
            missing = block.names.difference(given)
            if lost and missing:
                return sorted(lost), sorted(missing)
        return None

    def render(self, given: Collection[str], paramstyle: str) -> tuple[str, tuple[str, ...]]:
        """Return the text for a driver, and the names in the order of its placeholders (each as often as it occurs).

        ``given`` names the parameters that have a value: a block is kept if all of its own have one.
        ``paramstyle`` is "pyformat", "named" or "qmark". Each bracket pair becomes a space.
        """
        key = (paramstyle, self._block_names.intersection(given))
        rendering = self._renderings.get(key)
        if rendering is None:
            if self.check_blocks is not None:
                self.check_blocks(self, key[1])
            if len(self._renderings) >= _MAX_RENDERINGS:
                self._renderings.clear()
            rendering = self._renderings[key] = self._render(*key)
        return rendering

    def _render(self, paramstyle: str, given: frozenset[str]) -> tuple[str, tuple[str, ...]]:
        pieces: list[str] = []
        order: list[str] = []
        for piece in self._pieces(given):
            if isinstance(piece, Placeholder):
                pieces.append(written(piece.name, paramstyle))
                order.append(piece.name)
            else:
                pieces.append(piece.replace("%", "%%") if paramstyle == "pyformat" else piece)
        return "".join(pieces), tuple(order)

    def origin(self, given: Collection[str], paramstyle: str, offset: int) -> int:
        """Return the offset in the author's text of the character at ``offset`` of what render() returns."""
        origins: list[int] = []
        position = 0
        for start, end, piece in [
            *self._cuts(self._block_names.intersection(given)),
            (len(self.sql), len(self.sql), ""),
        ]:
            for at in range(position, start):
                origins += [at] * (2 if paramstyle == "pyformat" and self.sql[at] == "%" else 1)
            length = len(written(piece.name, paramstyle)) if isinstance(piece, Placeholder) else len(piece)
            origins += [start] * length
            position = end
        return origins[offset] if offset < len(origins) else len(self.sql.rstrip())

    def parts(self, given: Collection[str], end: int) -> Iterator[tuple[str, str]]:
        """Yield (text, the name of the placeholder behind it) up to the offset ``end`` of the author's text, without
        the blocks that drop out; the name is "" where there is none."""
        position = 0
        for start, behind, piece in self._cuts(self._block_names.intersection(given)):
            if start >= end:
                break
            text = self.sql[position:start]
            yield (text, piece.name) if isinstance(piece, Placeholder) else (text + piece, "")
            position = behind
        yield self.sql[position:end], ""

    def _pieces(self, given: frozenset[str]) -> Iterator[str | Placeholder]:
        """Yield the text between the placeholders, and the placeholders, without the blocks that drop out."""
        position = 0
        for start, end, piece in self._cuts(given):
            yield self.sql[position:start]
            yield piece
            position = end
        yield self.sql[position:]

    def _cuts(self, given: frozenset[str]) -> list[tuple[int, int, str | Placeholder]]:
        """Return the (start, end, replacement) of each part of the text that is replaced, in order."""
        cuts: list[tuple[int, int, str | Placeholder]] = []
        dropped: set[Placeholder] = set()
        for block in self.blocks:
            if block.names <= given:
                cuts += [(block.start, block.start + 2, " "), (block.end - 2, block.end, " ")]
            else:
                cuts.append((block.start, block.end, " "))
                dropped.update(block.placeholders)
        cuts += [
            (placeholder.start, placeholder.end, placeholder)
            for placeholder in self.occurrences
            if placeholder not in dropped
        ]
        return sorted(cuts, key=lambda cut: cut[0])

    def sample(self, given: Collection[str]) -> str:
        """Return the text with an empty literal for each placeholder, as long as the original: positions agree."""
        pieces: list[str] = []
        position = 0
        for start, end, piece in self._cuts(self._block_names.intersection(given)):
            stretch = self.sql[start:end]
            instead = "''" if isinstance(piece, Placeholder) else ""
            pieces += [self.sql[position:start], instead, re.sub(r"[^\r\n]", " ", stretch)[len(instead) :]]
            position = end
        text = "".join([*pieces, self.sql[position:]])
        for start, end in self.outs:
            # A placeholder that is only OUT becomes a literal, too; the declaration becomes blanks.
            instead = "''" if text[start] == ":" else ""
            text = text[:start] + instead.ljust(end - start) + text[end:]
        return text


def written(name: str, paramstyle: str) -> str:
    """Return a placeholder as a driver takes it."""
    return {"pyformat": "%({})s", "named": ":{}", "qmark": "?"}[paramstyle].format(name)


def supports_paging(template: Template) -> bool:
    """Return True if an operation with this text can have pages: it must have :limit and :offset."""
    return {"limit", "offset"} <= set(template.placeholders)


def parse(sql: str, dialect: str) -> Template:
    """Parse the placeholders and blocks of a text. Raises TemplateError with what to do about it."""
    if len(sql) > MAX_LENGTH:
        raise TemplateError(make_problem("too-long", limit=str(MAX_LENGTH)))
    try:
        tokens = placeholder_tokens(sql, dialect)
    except (SqlglotError, RecursionError):
        raise TemplateError(make_problem("unreadable")) from None
    reader = _TemplateParser(sql, tokens, brackets_quote=dialect in ("sqlite", "tsql"))
    first = sql[tokens[0].start : tokens[0].end + 1].lower() if tokens else ""
    if first in _OUT_STATEMENTS.get(dialect, ()):
        out = procedures.ORACLE_OUT_PARAMETER if dialect == "oracle" else procedures.OUT_PARAMETER
        reader.out = re.compile(out, re.I)
    return reader.read()


def normalised(sql: str, dialect: str) -> str:
    """Return a text that is equal for texts with the same tokens, whatever their layout and comments."""
    try:
        return " ".join(f"{token.token_type.name}:{token.text}" for token in placeholder_tokens(sql, dialect))
    except (SqlglotError, RecursionError):
        return sql


def is_query(sql: str, dialect: str) -> bool:
    """Return True for a statement that begins as a query does, so that its columns can be looked up."""
    first = next((word for word in words(sql, dialect) if word != "("), "")
    return first in ("select", "with", "values")


def returns_rows(sql: str, dialect: str, writes: bool) -> bool:
    """Return False for a statement that changes rows and gives none back."""
    found = words(sql, dialect)
    changes = found[:1] in (["insert"], ["update"], ["delete"], ["merge"], ["replace"])
    return not (writes and changes) or not {"returning", "output"}.isdisjoint(found)


def words(sql: str, dialect: str) -> list[str]:
    """Return the tokens of a text in lower case; none if it cannot be read."""
    try:
        return [token.text.lower() for token in placeholder_tokens(sql, dialect)]
    except (SqlglotError, RecursionError):
        return []


#: A placeholder within a text, but no time (HH24:MI), JSON member, regular expression's class or group.
_QUOTED_NAME = re.compile(r"""(?<![\w:"\[?]):([A-Za-z_][A-Za-z0-9_]*)(?![\w:])""")


#: How a literal begins, with the letters before its quotation mark; names in quotation marks are none of them.
_OPENING = re.compile(r"[A-Za-z]?'|\$\w*\$")
#: Engines that read a text in double quotation marks as one: MySQL always, SQLite where no column has that name.
_DOUBLE = {"mysql": re.compile('"'), "sqlite": re.compile(r'"(?=%?:\w+%?"\Z)')}


def quoted_placeholders(sql: str, dialect: str) -> list[Problem]:
    """Return the placeholders within texts, each with the spelling that was probably meant."""
    problems = []
    for found in re.finditer(rf"(?s:{COMMENT[dialect]}|{QUOTED[dialect]})", sql):
        literal, opening = found[0], _opening(found[0], dialect)
        if not opening:
            continue
        closing = opening if opening[0] == "$" else opening[-1]
        inner = literal[len(opening) : -len(closing)]
        for match in _QUOTED_NAME.finditer(inner):
            meant = [
                f"{opening}{inner[: match.start()]}{closing}",
                match[0],
                f"{opening}{inner[match.end() :]}{closing}",
            ]
            colon = match.start(1)
            as_text = [f"{opening}{inner[:colon]}{closing}", f"{opening}{inner[colon:]}{closing}"]
            problems.append(
                make_problem(
                    "mark-quoted",
                    position_of(sql, found.start() + len(opening) + match.start()),
                    near=literal[:60], name=match[1], literal=_joined(as_text, dialect)[:120],
                    instead=_joined([piece for piece in meant if piece != opening + closing], dialect)[:120],
                )
            )  # fmt: skip
    return problems


def _opening(literal: str, dialect: str) -> str:
    """Return what a literal begins with; "" for a comment, or a name in quotation marks."""
    double = _DOUBLE.get(dialect)
    match = _OPENING.match(literal) or (double.match(literal) if double else None)
    return match[0] if match else ""


def _joined(pieces: Sequence[str], dialect: str) -> str:
    """Return texts as one expression in a dialect."""
    if dialect == "mysql" and len(pieces) > 1:
        return f"CONCAT({', '.join(pieces)})"
    return (" + " if dialect == "tsql" else " || ").join(pieces)


class _TemplateParser:
    """Parses the placeholders and blocks of a text, in one pass over its tokens."""

    def __init__(self, sql: str, tokens: Sequence[Token], brackets_quote: bool) -> None:
        self.sql = sql
        self.tokens = tokens
        self.brackets_quote = brackets_quote
        self.placeholders: list[Placeholder] = []
        self.blocks: list[Block] = []
        self.opened: int | None = None
        self.first = 0
        self.depth = 0
        #: The pattern of an OUT declaration, if the statement can have one, and where it was found.
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
        template = Template(self.sql, self.placeholders, self.blocks)
        template.outs = tuple(self.outs)
        return template

    def _returned(self) -> Iterator[tuple[int, int]]:
        """Yield the (start, end) of RETURNING's INTO and all that follows it."""
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
        if start and is_word_character(self.sql[start - 1]):
            raise self._error("mark-adjacent", start, name=name[0])
        if name[0].lower() == GRANT and (value := _GRANT_VALUE.match(self.sql, name.end())):
            return self._grant_value(start, value)
        if name.end() < len(self.sql) and is_word_character(self.sql[name.end()]):
            raise self._error("mark-name", start, near=self.sql[start : name.end() + 1])
        if name[0].lower().startswith(_GRANT_PREFIX):
            raise self._error("grant-name", start, name=name[0])
        out = self.out.match(self.sql, name.end()) if self.out else None
        if out:
            self.outs.append((name.end() if out["both"] else start, out.end()))
        if not out or out["both"]:
            self.placeholders.append(Placeholder(name[0], start, name.end()))
        return out.end() if out else name.end()

    def _grant_value(self, start: int, value: re.Match[str]) -> int:
        """Add the placeholder of a value of the grant. It is never optional: no caller can leave it out."""
        name, end = value[1].lower(), value.end()
        if len(name) > _MAX_GRANT_NAME or (end < len(self.sql) and is_word_character(self.sql[end])):
            raise self._error("grant-name", start, name=self.sql[start + 1 : end + 1][:60])
        if self.opened is not None:
            raise self._error("grant-optional", start, name=name)
        self.placeholders.append(Placeholder(grant_placeholder(name), start, end))
        return end

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
        self.opened, self.first = start, len(self.placeholders)
        return start + 2

    def _right(self, start: int) -> int:
        if self.depth:
            self.depth -= 1
            return start + 1
        if self.opened is None:
            return start + 1
        if not self.sql.startswith("]]", start):
            raise self._error("block-array", self.opened)
        placeholders = tuple(self.placeholders[self.first :])
        if not placeholders:
            raise self._error("block-empty", self.opened)
        self.blocks.append(Block(self.opened, start + 2, placeholders))
        self.opened = None
        return start + 2

    def _error(self, code: str, start: int, **details: str) -> TemplateError:
        return TemplateError(make_problem(code, position_of(self.sql, start), **details))


#: Statements out of which parameters can come.
_OUT_STATEMENTS = {
    "oracle": frozenset(("call", "insert", "update", "delete", "merge")),
    "postgres": frozenset(("call",)),
    "mysql": frozenset(("call",)),
}
