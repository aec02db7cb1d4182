"""How each engine writes what the builder needs. Writer and reader use the same patterns, so that they agree.

A pattern is SQL with holes: ``{column}``, ``{value}`` (a literal or a placeholder), ``{low}``, ``{high}``, and
``{list}`` of literals. In the patterns of literals ``{text}`` is the value itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from adapters import adapter_class
from dataservices.builder.reserved import RESERVED
from dataservices.builder.spec import SpecError

#: What a caller's text is compared with is a text, not a pattern: % and _ are data in each of these.
_COMMON = {
    **{sign: f"{{column}} {sign} {{value}}" for sign in ("=", "<>", "<", ">", "<=", ">=")},
    "between": "{column} BETWEEN {low} AND {high}",
    "in": "{column} IN ({list})",
    "empty": "{column} IS NULL",
    "not-empty": "{column} IS NOT NULL",
    "blank": "({column} IS NULL OR {column} = '')",
    "not-blank": "{column} <> ''",
}
_ISO_LITERALS = {"date": "DATE '{text}'", "datetime": "TIMESTAMP '{text}'"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """An engine's way of writing. ``grammar`` is the name that the check of SQL has for its dialect."""

    engine: str
    grammar: str
    #: Patterns of conditions by operator; "in-parameter" is that of a list that the caller gives.
    conditions: Mapping[str, str]
    #: Names like this need no quotation marks.
    plain: re.Pattern[str] = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
    quotes: tuple[str, str] = ('"', '"')
    #: What the engine makes of a name without quotation marks: "lower", "upper", or "" for nothing.
    folds: str = ""
    #: Patterns of the literals of dates and datetimes; those that are not here are texts.
    literals: Mapping[str, str] = field(default_factory=dict)
    #: The literals have dates as eight digits.
    short_dates: bool = False
    #: "T" between date and time.
    time_sign: str = " "
    truth: tuple[str, str] = ("1", "0")
    #: Joins two texts; "" for an engine that has CONCAT instead.
    concatenation: str = "||"
    #: Before a text that is not ASCII.
    national: str = ""
    #: Before a table's alias.
    alias: str = "AS "
    #: The schema that is not written.
    default_schema: str = ""
    #: How the number of rows is limited: "LIMIT", "TOP" or "FETCH".
    limit: str = "LIMIT"

    @property
    def paging(self) -> str:
        """The clause for pages behind ORDER BY; "" if the engine has none."""
        return adapter_class(self.engine).paging.removeprefix("ORDER BY … ")

    def name(self, name: str) -> str:
        """Return a name as it is in SQL, in quotation marks where the engine needs them. Raises SpecError."""
        if self.quotes[0] == "[" and "'" in name:
            # The check of SQL would read a text that begins there.
            raise SpecError(_("Read %(name)s from a view that names it without an apostrophe.") % {"name": name})
        if self.plain.match(name) and name.lower() not in RESERVED:
            return name
        return f"{self.quotes[0]}{name}{self.quotes[1]}"

    def folded(self, name: str) -> str:
        """Return the name that the engine looks for if this one is without quotation marks."""
        return name.lower() if self.folds == "lower" else name.upper() if self.folds == "upper" else name

    def condition(self, operator: str, parameters: bool) -> str:
        """Return the pattern of a condition, with parameters or with fixed values."""
        return self.conditions["in-parameter" if operator == "in" and parameters else operator]

    def quoted_text(self, text: str) -> str:
        """Return a text as a literal."""
        doubled = text.replace("'", "''")
        if self.grammar == "mysql":
            doubled = doubled.replace("\\", "\\\\")
        return f"{'' if text.isascii() else self.national}'{doubled}'"

    def unquoted_text(self, literal: str) -> str:
        """Return the text of a literal that quoted_text() made."""
        text = literal[literal.index("'") + 1 : -1].replace("''", "'")
        return text.replace("\\\\", "\\") if self.grammar == "mysql" else text

    def day(self, text: str) -> str:
        """Return a date or datetime as it is in a literal."""
        return (text[:10].replace("-", "") if self.short_dates else text[:10]) + text[10:].replace(" ", self.time_sign)

    def iso_day(self, text: str) -> str:
        """Return the date or datetime of a literal that day() made, as a Value has it."""
        if self.short_dates:
            text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
        return text[:10] + text[10:].replace(self.time_sign, " ")


def _conditions(contains: str, begins: str, listed: str, **others: str) -> dict[str, str]:
    return {**_COMMON, "contains": contains, "begins": begins, "in-parameter": listed, **others}


_ESCAPED = "REPLACE(REPLACE(REPLACE({value}, '!', '!!'), '%', '!%'), '_', '!_')"

_SQLITE = Dialect(
    "sqlite",
    "sqlite",
    _conditions(
        "INSTR(LOWER({column}), LOWER({value})) > 0",
        "INSTR(LOWER({column}), LOWER({value})) = 1",
        "INSTR(',' || {value} || ',', ',' || {column} || ',') > 0",
    ),
    default_schema="main",
)

DIALECTS = {
    "sqlite": _SQLITE,
    "dbase": Dialect("dbase", "sqlite", _SQLITE.conditions, default_schema="main"),
    "postgresql": Dialect(
        "postgresql",
        "postgres",
        _conditions(
            "STRPOS(LOWER({column}), LOWER({value})) > 0",
            "STRPOS(LOWER({column}), LOWER({value})) = 1",
            "CAST({column} AS text) = ANY (STRING_TO_ARRAY({value}, ','))",
        ),
        plain=re.compile(r"[a-z_][a-z0-9_]*\Z"),
        folds="lower",
        literals=_ISO_LITERALS,
        truth=("TRUE", "FALSE"),
    ),
    "mysql": Dialect(
        "mysql",
        "mysql",
        # LIKE can use an index for the beginning of a text. Case counts there if it does in the column's collation.
        _conditions(
            "INSTR(LOWER({column}), LOWER({value})) > 0",
            f"{{column}} LIKE CONCAT({_ESCAPED}, '%') ESCAPE '!'",
            "FIND_IN_SET({column}, {value}) > 0",
        ),
        quotes=("`", "`"),
        literals=_ISO_LITERALS,
        truth=("TRUE", "FALSE"),
        concatenation="",
    ),
    "sqlserver": Dialect(
        "sqlserver",
        "tsql",
        _conditions(
            "CHARINDEX(LOWER({value}), LOWER({column})) > 0",
            f"{{column}} LIKE REPLACE({_ESCAPED}, '[', '![') + '%' ESCAPE '!'",
            "CHARINDEX(CONCAT(',', RTRIM({column}), ','), CONCAT(',', {value}, ',')) > 0",
        ),
        quotes=("[", "]"),
        literals={"date": "CAST('{text}' AS date)", "datetime": "CAST('{text}' AS datetime2)"},
        time_sign="T",
        concatenation="+",
        national="N",
        limit="TOP",
    ),
    "sybase": Dialect(
        "sybase",
        "tsql",
        _conditions(
            "CHARINDEX(LOWER({value}), LOWER({column})) > 0",
            "CHARINDEX(LOWER({value}), LOWER({column})) = 1",
            "CHARINDEX(',' + RTRIM(CONVERT(varchar(255), {column})) + ',', ',' + {value} + ',') > 0",
        ),
        quotes=("[", "]"),
        literals={"date": "CONVERT(date, '{text}')", "datetime": "CONVERT(datetime, '{text}')"},
        short_dates=True,
        concatenation="+",
        limit="TOP",
    ),
    "oracle": Dialect(
        "oracle",
        "oracle",
        # An empty text is NULL there.
        _conditions(
            "INSTR(LOWER({column}), LOWER({value})) > 0",
            "INSTR(LOWER({column}), LOWER({value})) = 1",
            "INSTR(',' || {value} || ',', ',' || RTRIM({column}) || ',') > 0",
            blank="{column} IS NULL",
            **{"not-blank": "{column} IS NOT NULL"},
        ),
        plain=re.compile(r"[A-Z][A-Z0-9_]*\Z"),
        folds="upper",
        literals={"date": "DATE '{text}'", "datetime": "TO_DATE('{text}', 'YYYY-MM-DD HH24:MI:SS')"},
        alias="",
        limit="FETCH",
    ),
}


def dialect_of(engine: str) -> Dialect:
    """Return the way of writing of an engine, by its name as in adapters.ADAPTERS. Raises KeyError."""
    return DIALECTS[engine]
