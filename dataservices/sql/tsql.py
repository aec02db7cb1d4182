"""T-SQL batches, split into parts that are checked separately.

A T-SQL batch needs no semicolons: any reserved word that can begin a statement begins one. So a text is parsed here
as DECLARE and SET of variables, then one statement, then for a writing one optionally a SELECT. Such a word is not
allowed anywhere else, whatever a parser reads it as (sqlglot reads SELECT 1 SHUTDOWN as a column with an alias).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sqlglot.tokens import Token, TokenType

_WORDS = """
    add alter backup begin bind break browse bulk checkpoint close commit compute connect continue create dbcc
    deallocate declare delete deny disconnect disk drop dump exec execute exit get goto grant holdlock if insert
    into kill lineno load lock merge mount move offline online open opendatasource openquery openrowset perm
    prepare print proc procedure quiesce raiserror readtext receive reconfigure remove reorg restore return revert
    revoke rollback save securityaudit send set setuser shutdown stats statistics tablockx temporary throw
    transaction tran transfer trigger truncate unmount update updatetext updlock use waitfor while writetext xlock
"""

#: Words that begin a statement of SQL Server or Sybase wherever they are, or belong to one that is not allowed.
STARTERS = frozenset(_WORDS.split())

#: Words that end an expression, as they begin a statement that is allowed.
_KNOWN = frozenset(("declare", "set", "select", "with", "exec", "execute", "insert", "update", "delete", "merge"))

#: Server variables that describe only the session's own work.
_GLOBALS = frozenset(("datefirst", "error", "identity", "rowcount"))

_TYPE = re.compile(r"\s*(?:as\s+)?(?!(?:table|cursor)\b)[a-z]\w*\s*(?:\(\s*(?:max|\d+)\s*(?:,\s*\d+\s*)?\))?\s*", re.I)
_LITERALS = (TokenType.STRING, TokenType.NATIONAL_STRING, TokenType.NUMBER, TokenType.HEX_STRING)
_SYSTEM_PROCEDURE = ("sp_", "xp_", "fn_", "ms_")


class Refusal(Exception):
    """A batch is not of this form: the code of the problem, and its token.

    ``routine`` is the name of a procedure that may be called if the source's owner made it.
    """

    def __init__(self, code: str, token: Token, routine: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.token = token
        self.routine = routine


@dataclass
class Batch:
    """A parsed batch: texts to check, each as long as the whole, so that positions stay the same."""

    reads: list[str] = field(default_factory=list)
    #: INSERT, UPDATE, DELETE or MERGE; "" when there is none, or a procedure is executed.
    write: str = ""


def split_batch(text: str, tokens: Sequence[Token], writes: bool, allowed: Collection[str] = ()) -> Batch:
    """Parse a batch. ``tokens`` are without semicolons at the end. Raises Refusal.

    ``allowed`` are procedures, as "name" or "schema.name", that may be called though they look like the server's own.
    """
    return _BatchParser(text, tokens, writes, allowed).read()


class _BatchParser:
    def __init__(self, text: str, tokens: Sequence[Token], writes: bool, allowed: Collection[str]) -> None:
        self.text = text
        self.allowed = allowed
        self.tokens = tokens
        self.writes = writes
        self.words = [text[token.start : token.end + 1].lower() for token in tokens]
        self.batch = Batch()
        self.declared: set[str] = set()
        #: Indexes of the names of a procedure's parameters, which are written as variables.
        self.parameters: set[int] = set()
        self.at = 0

    def read(self) -> Batch:
        self._skip()
        while self._word() in ("declare", "set"):
            self._declare() if self._word() == "declare" else self._set()
            self._skip()
        self._main()
        self._variables()
        return self.batch

    def _word(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.words[place] if place < len(self.words) else ""

    def _token(self) -> Token:
        return self.tokens[min(self.at, len(self.tokens) - 1)]

    def _skip(self) -> None:
        while self._word() == ";":
            self.at += 1

    def _declare(self) -> None:
        self.at += 1
        while True:
            start = self._token().start
            self.declared.add(self._name())
            end = self._end(("=", ",", ";"))
            if not _TYPE.fullmatch(self.text[self.tokens[self.at - 1].end + 1 : self._start(end)]):
                raise Refusal("declare", self._token())
            self.at = end
            if self._word() == "=":
                self._value(start, (",", ";"))
            if self._word() != ",":
                return
            self.at += 1

    def _set(self) -> None:
        start = self._token().start
        self.at += 1
        self._name()
        if self._word() != "=":
            raise Refusal("declare", self._token())
        self._value(start, (";",))

    def _name(self) -> str:
        """Skip a @name; return it without the @."""
        if self._word() != "@" or self._word(1) in ("", "@"):
            raise Refusal("declare", self._token())
        self.at += 2
        return self.words[self.at - 1]

    def _value(self, start: int, ends: tuple[str, ...]) -> None:
        """Skip = and an expression, which is checked as a SELECT of it."""
        self.at += 1
        begin, end = self.at, self._end(ends)
        if begin == end:
            raise Refusal("declare", self._token())
        self._no_starters(begin, end)
        first, last = self.tokens[begin].start, self.tokens[end - 1].end + 1
        head = _blank(self.text[:start]) + "SELECT" + _blank(self.text[start + 6 : first])
        self.batch.reads.append(head + self.text[first:last] + _blank(self.text[last:]))
        self.at = end

    def _end(self, ends: tuple[str, ...]) -> int:
        """Return the next token outside of parentheses that is one of these or begins a statement."""
        depth = 0
        for place in range(self.at, len(self.words)):
            word = self.words[place]
            depth += (word == "(") - (word == ")")
            if not depth and (word in ends or word in _KNOWN):
                return place
        return len(self.words)

    def _start(self, place: int) -> int:
        return int(self.tokens[place].start if place < len(self.tokens) else self.tokens[-1].end + 1)

    def _main(self) -> None:
        if self.at == len(self.words):
            raise Refusal("not-writing" if self.writes else "not-reading", self._token())
        if not self.writes:
            self._reading()
        elif self._word() in ("exec", "execute"):
            self._execute()
            self._skip()
            if self.at < len(self.words):
                self._reading()
        else:
            self._writing()

    def _reading(self) -> None:
        """Take the rest as one SELECT."""
        if self._word() not in ("select", "with", "("):
            raise Refusal("not-reading", self._token())
        self._no_starters(self.at, len(self.words))
        start = self._token().start
        self.batch.reads.append(_blank(self.text[:start]) + self.text[start:])
        self.at = len(self.words)

    def _writing(self) -> None:
        end = self._end_of_writing()
        self._only_its_own(self.at, end)
        first, last = self._token().start, self.tokens[end - 1].end + 1
        self.batch.write = _blank(self.text[:first]) + self.text[first:last] + _blank(self.text[last:])
        self.at = end
        self._skip()
        if self.at < len(self.words):
            self._reading()

    def _end_of_writing(self) -> int:
        """Return the next semicolon, or the SELECT that begins a second statement without one.

        In an INSERT without VALUES a SELECT is its own; UPDATE, DELETE and what follows VALUES (…) contain none.
        """
        depth, own_select = 0, self._word() not in ("update", "delete")
        for place in range(self.at, len(self.words)):
            word = self.words[place]
            depth += (word == "(") - (word == ")")
            if not depth and (word == ";" or (word == "select" and not own_select)):
                return place
            own_select = own_select and (depth > 0 or word != "values")
        return len(self.words)

    def _only_its_own(self, begin: int, end: int) -> None:
        """A writing statement contains its own words once, a MERGE those of its branches after THEN."""
        words = self.words
        kinds = [words[place] for place in range(begin, end) if words[place] in ("insert", "update", "delete", "merge")]
        kind = "merge" if "merge" in kinds[:1] else kinds[0] if kinds else ""
        seen: list[str] = []
        for place in range(begin, end):
            word, before = words[place], words[place - 1] if place > begin else ""
            if word not in STARTERS or self._quoted(place) or self._is_fetch(place):
                continue
            branch = kind == "merge" and (before == "then" or (word == "set" and before == "update"))
            own = (
                word == kind
                or (word == "set" and kind == "update")
                or (word == "into" and before in ("insert", "merge"))
            )
            if not branch and (not own or word in seen):
                raise Refusal("word", self.tokens[place])
            seen += [] if branch else [word]

    def _no_starters(self, begin: int, end: int) -> None:
        for place in range(begin, end):
            if self.words[place] in ("fetch",) and not self._is_fetch(place):
                raise Refusal("word", self.tokens[place])
            if not self._quoted(place) and any(word in STARTERS for word in self.words[place].split()):
                raise Refusal("word", self.tokens[place])

    def _quoted(self, place: int) -> bool:
        return self.words[place][:1] in ("'", '"', "[") or self.words[place].startswith("n'")

    def _is_fetch(self, place: int) -> bool:
        """Return True for FETCH in OFFSET … ROWS FETCH NEXT, which is not a cursor's."""
        return self.words[place] == "fetch" and self.words[place - 1] in ("rows", "row")

    def _execute(self) -> None:
        """EXEC [@code =] [schema.]procedure [[@name =] value [OUTPUT], …]"""
        self.at += 1
        if self._word() == "@":
            self._name()
            if self._word() != "=":
                raise Refusal("exec", self._token())
            self.at += 1
        self._procedure()
        if self._word() in ("", ";", "select"):
            return
        self._argument()
        while self._word() == ",":
            self.at += 1
            self._argument()
        if self._word() not in ("", ";", "select"):
            raise Refusal("exec", self._token())

    def _procedure(self) -> None:
        parts = [self._part()]
        while self._word() == ".":
            self.at += 1
            parts.append(self._part())
        names = [part.strip('[]"') for part in parts]
        if len(names) > 2 or names[0] == "sys":
            raise Refusal("procedure", self.tokens[self.at - 1])
        routine = ".".join(names)
        if names[-1].startswith(_SYSTEM_PROCEDURE) and routine not in self.allowed:
            raise Refusal("procedure", self.tokens[self.at - 1], routine)

    def _part(self) -> str:
        word = self._word()
        if not re.fullmatch(r"[^\W\d]\w*|\[[^\[\]]+\]|\"[^\"]+\"", word) or word in STARTERS or word in _KNOWN:
            raise Refusal("exec", self._token())
        self.at += 1
        return word

    def _argument(self) -> None:
        if self._word() == "@" and self._word(2) == "=":
            self.parameters.add(self.at + 1)
            self.at += 3
        if self._word() == "@":
            self._name()
            if self._word() in ("output", "out"):
                self.at += 1
            return
        if self._word() in ("-", "+"):
            self.at += 1
        if self.at == len(self.tokens) or not (
            # In quotation marks of either kind a value is a text here.
            self._token().token_type in _LITERALS or self._word() in ("null", "default") or self._word()[:1] == '"'
        ):
            raise Refusal("exec", self._token())
        self.at += 1

    def _variables(self) -> None:
        """Check that every @name is declared, or a procedure's parameter, or an allowed variable of the server."""
        for place, word in enumerate(self.words):
            if word != "@" or (place and self.words[place - 1] == "@"):
                continue
            name = self.words[place + 1] if place + 1 < len(self.words) else ""
            if name == "@":
                if (self.words[place + 2] if place + 2 < len(self.words) else "") not in _GLOBALS:
                    raise Refusal("variable", self.tokens[place])
            elif name not in self.declared and place + 1 not in self.parameters:
                raise Refusal("undeclared", self.tokens[place])


def _blank(text: str) -> str:
    return re.sub(r"[^\r\n]", " ", text)
