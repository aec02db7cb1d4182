"""The SQL of a data operation of 1.99x, put together from its parts as 1.99x did, with a name for each parameter."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mantra.legacy_import.translating.names import ParameterNames, legacy_parameter_of
from mantra.legacy_import.translating.remarks import Kind, Refused, Remark, remark

#: Parameters of an operation.
MAX_PARAMETERS = 200

#: Dialect → a quoted name.
_QUOTED = {
    "mysql": r"`(?:[^`]|``)+`",
    "postgres": r'"(?:[^"]|"")+"',
    "tsql": r'\[[^\]\[]+\]|"(?:[^"]|"")+"',
    "oracle": r'"[^"]+"',
}
_ANY_QUOTED = r'`(?:[^`]|``)+`|"(?:[^"]|"")+"|\[[^\]\[]+\]'
_NAMES = {
    dialect: re.compile(rf"(?:{quoted}|\w[\w$]*)(?:\s*\.\s*(?:{quoted}|\w[\w$]*))*")
    for dialect, quoted in _QUOTED.items()
}
_QUOTES = {"mysql": ("`", "`"), "postgres": ('"', '"'), "tsql": ("[", "]"), "oracle": ('"', '"')}
_WORD = re.compile(r"(WHERE|AND|OR)(?:\s+|(?=[`\"\[]))", re.IGNORECASE)
_OPERATORS = ("LIKE", "<>", "!=", "<=", ">=", "<", ">", "=")
_OPERATOR = re.compile(r"\s*(?:LIKE\b|<>|!=|<=|>=|<|>|=)\s*", re.IGNORECASE)
#: Fixed values that no check has to be made for: nothing in them is read as anything else.
_PLAIN_VALUE = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?|'[^'\\:?\x00-\x1f]*'")
_PLAIN_NAME = re.compile(r"""[`"\[](?!.*--)[^`"\[\]:?\\*#;{}\x00-\x1f]+[`"\]]""")
#: The letters that 1.99x takes away from a name that is not in quotation marks.
_STRIPPED = frozenset("WHERANDOLIK")


@dataclass(frozen=True, slots=True)
class OldParameter:
    """A parameter: its name here, and the one that programs for 1.99x send, if that differs."""

    name: str
    legacy_name: str = ""


@dataclass(slots=True)
class Statement:
    """A statement as it grows. ``plain``: nothing in it needs the check of SQL."""

    dialect: str
    parameters: list[OldParameter] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    plain: bool = True
    names: ParameterNames = field(default_factory=ParameterNames)

    def note(self, kind: Kind, /, **arguments: object) -> None:
        made = remark(kind, **arguments)
        if made not in self.remarks:
            self.remarks.append(made)

    # --------------------------------------------------------------------------- the parts

    def table(self, text: str) -> str:
        """Return the table, which 1.99x takes out of its quotation marks and quotes as one name. Raises Refused."""
        opening, closing = _QUOTES[self.dialect]
        name = text.strip(' \t\r\n`"[]')
        if not name:
            raise Refused(Kind.NO_TABLE)
        # What was between the quotation marks of two names is left: they are two names still.
        parts = re.split(rf"{re.escape(closing)}\s*\.\s*{re.escape(opening)}", name)
        if len(parts) == 1 and "." in name:
            self.note(Kind.QUALIFIED_TABLE, name=name)
        quoted = [f"{opening}{part}{closing}" for part in parts]
        self.plain = self.plain and all(map(_PLAIN_NAME.fullmatch, quoted))
        return ".".join(quoted)

    def columns(self, text: str) -> str:
        """Return the list of columns."""
        items = [item.strip() for item in text.split(",") if item.strip()]
        if not items or items == ["*"]:
            self.note(Kind.ALL_COLUMNS)
            return "*"
        self.plain = self.plain and all(map(self._is_plain, items))
        return ",".join(items)

    def orders(self, text: str) -> str:
        """Return the list behind ORDER BY; "" without one."""
        items = [item.strip() for item in text.split(",") if item.strip()]
        self.plain = self.plain and all(map(self._is_plain, map(_without_direction, items)))
        return ",".join(items)

    def conditions(self, text: str) -> str:
        """Return the conditions, in their order and without brackets. Raises Refused."""
        clauses = [clause for clause in text.split("@@") if clause.strip()]
        if clauses and "where" not in text.lower():
            self.note(Kind.CONDITIONS_IGNORED)
            return ""
        self._check_names(clauses)
        return " ".join(self._clause(number, clause) for number, clause in enumerate(clauses, start=1))

    def _clause(self, number: int, clause: str) -> str:
        if not clause.rstrip().endswith(" ''"):
            return self._fixed(number, clause.strip())
        if not clause.endswith(" ''"):
            # With a blank behind it 1.99x may have taken it for a parameter, or for an empty text.
            self.note(Kind.CONDITION_UNCLEAR, number=number)
        parts = _parts_of(clause)
        if parts is None:
            self.note(Kind.CONDITION_UNCLEAR, number=number)
            self.plain = False
            return clause.strip()
        word, column, operator = parts
        if "?" in column:
            self.note(Kind.QUESTION_MARK, number=number)
        if not self._is_plain(column):
            self.plain = False
            if not self._name.fullmatch(column):
                self.note(Kind.CONDITION_UNCLEAR, number=number)
        return f"{word} {column} {operator} :{self._parameter(bare(column))}"

    def _fixed(self, number: int, clause: str) -> str:
        """Return a condition without a parameter, which is SQL that somebody may have typed."""
        if "?" in clause:
            self.note(Kind.QUESTION_MARK, number=number)
        word = _WORD.match(clause)
        column = self._name.match(clause, word.end()) if word else None
        operator = _OPERATOR.match(clause, column.end()) if column else None
        if not column or not operator or operator.end() == len(clause):
            self.note(Kind.CONDITION_UNCLEAR, number=number)
            self.plain = False
        elif not self._is_plain(column[0]) or not _PLAIN_VALUE.fullmatch(clause, operator.end()):
            self.plain = False
        return clause

    def _parameter(self, old: str) -> str:
        """Return the name of a parameter for a column, and declare it. Raises Refused."""
        if len(self.parameters) >= MAX_PARAMETERS:
            raise Refused(Kind.TOO_MANY_PARAMETERS, most=MAX_PARAMETERS)
        declared = old.replace(" ", "_")
        known = self.names.knows(declared)
        name = self.names.code(declared)
        legacy = "" if known else legacy_parameter_of(declared, name)
        self.parameters.append(OldParameter(name, legacy or ""))
        if known:
            self.note(Kind.COLUMN_TWICE, name=declared)
        elif legacy is None:
            self.note(Kind.PARAMETER_NAME_LOST, old=declared, new=name)
        elif legacy:
            self.note(Kind.PARAMETER_RENAMED, old=declared, new=name)
        return name

    def _check_names(self, clauses: Sequence[str]) -> None:
        """Raise Refused for a parameter of which 1.99x makes another name."""
        for clause in clauses:
            parts = _parts_of(clause)
            if parts and not _has_quotes(parts[1]) and not _STRIPPED.isdisjoint(parts[1]):
                raise Refused(Kind.LETTERS_STRIPPED, name=parts[1])

    @property
    def _name(self) -> re.Pattern[str]:
        """A name of a column, with its table or without, quoted as the dialect quotes."""
        return _NAMES[self.dialect]

    def _is_plain(self, text: str) -> bool:
        """Return True for a quoted name in which nothing can be read as anything else."""
        return bool(_PLAIN_NAME.fullmatch(text) and re.fullmatch(_QUOTED[self.dialect], text))


def _parts_of(clause: str) -> tuple[str, str, str] | None:
    """Return the word, the column and the operator of a condition with a parameter; None for any other clause."""
    text = clause.strip()
    word = _WORD.match(text)
    if not word or not text.endswith(" ''"):
        return None
    left = text[word.end() : -2].rstrip()
    operator = next((each for each in _OPERATORS if left.upper().endswith(each)), "")
    return (word[1].upper(), left[: -len(operator)].rstrip(), operator) if operator else None


def _without_direction(item: str) -> str:
    """Return what a list is ordered by, without ASC or DESC."""
    name, *direction = item.rsplit(None, 1)
    return name if direction and direction[0].upper() in ("ASC", "DESC") else item


def _has_quotes(text: str) -> bool:
    return re.search(_ANY_QUOTED, text) is not None


def bare(column: str) -> str:
    """Return a column's name without its quotation marks."""
    return re.sub(_ANY_QUOTED, lambda found: _unquoted(found[0]), column.strip())


def _unquoted(name: str) -> str:
    return name[1:-1] if name[0] == "[" else name[1:-1].replace(name[0] * 2, name[0])


def comment_lines(text: str, width: int = 100) -> Iterator[str]:
    """Yield a text as comments that every dialect reads: each ends with its line."""
    words = "".join(letter if letter.isprintable() else " " for letter in text).split()
    line = "--"
    for word in words:
        if len(line) + len(word) >= width and line != "--":
            yield line
            line = "--"
        line += f" {word}"
    if line != "--":
        yield line
