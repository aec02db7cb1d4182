"""A query that is not saved: its check, its values, and the positions of what is wrong in the author's own text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.utils.translation import get_language, gettext

from adapters.base import Adapter, AuthorWords
from dataservices import sql as sql_text
from dataservices.models import DataOperation, DataSource
from registry import faults
from registry.models import Parameter
from registry.parameter_values import InvalidValue, ParameterParser
from registry.results import Fault


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to tell the author. ``line`` and ``column`` are where it is in the SQL, from 1, if that is known.

    ``kind`` is "check" (the bus refuses the SQL), "value" (of the parameter ``name``), "database" (its own words),
    "source" (it cannot be asked) or "warning".
    """

    kind: str
    text: str
    line: int | None = None
    column: int | None = None
    name: str = ""


class AuthoringError(Exception):
    """The SQL cannot be run. ``findings`` says why."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__(findings[0].kind)
        self.findings = findings

    @classmethod
    def not_queried(cls) -> AuthoringError:
        """Return the error for a source that is not queried now."""
        return cls(Finding("source", gettext("The source is not queried now.")))


@dataclass(frozen=True, slots=True)
class UnsavedQuery:
    """The query of an operation as its author has it. ``parameters`` need not be saved either."""

    source: DataSource
    sql: str
    parameters: Sequence[Parameter] = ()
    page_size: int = 0

    def operation(self) -> DataOperation:
        """Return an operation with this query. It is never saved."""
        return DataOperation(source=self.source, sql=self.sql, page_size=self.page_size)

    def parser(self, name: str) -> ParameterParser:
        """Return the parser of a parameter's values; a placeholder without a parameter takes any text."""
        declared = next((each for each in self.parameters if each.name == name), None)
        return ParameterParser.of(declared) if declared else ParameterParser(Parameter.Type.TEXT)


@dataclass(frozen=True, slots=True)
class Statement:
    """A query that may run, with the values of its placeholders.

    ``described``: only its columns are wanted, so that no block drops out, whatever has no value.
    """

    query: UnsavedQuery
    operation: DataOperation
    template: sql_text.Template
    arguments: Mapping[str, Any]
    described: bool = False
    kept: Sequence[str] = field(init=False)

    def __post_init__(self) -> None:
        given = [name for name, value in self.arguments.items() if value is not None or self.described]
        object.__setattr__(self, "kept", given)

    def bound(self, adapter: Adapter) -> tuple[str, dict[str, Any]]:
        """Return the text for an adapter, and its values."""
        text, order = self.template.render(self.kept, adapter.paramstyle)
        return text, {name: self.arguments[name] for name in order}

    def finding(self, words: AuthorWords, adapter: Adapter) -> Finding:
        """Return the database's words with their position in the author's text."""
        offset = words.offset
        if offset is not None:
            offset = self.template.origin(self.kept, adapter.paramstyle, offset)
        elif words.near:
            offset = _offset_of_name(self.query.sql, words.near)
        line, column = (None, None) if offset is None else sql_text.position_of(self.query.sql, offset)
        return Finding("database", words.text, line, column)


def statement_of(query: UnsavedQuery, values: Mapping[str, str], described: bool = False) -> Statement:
    """Return a query with its values, if it may run. Raises AuthoringError."""
    operation = query.operation()
    if problems := operation.sql_problems():
        raise AuthoringError(*map(_of_problem, problems))
    template = operation.template()
    arguments, findings = {}, []
    for name in template.placeholders:
        try:
            arguments[name] = _value(query, template, name, _given(values, sql_text.as_in_sql(name)), described)
        except InvalidValue as error:
            findings.append(
                _of_value(sql_text.as_in_sql(name), error.id if (get_language() or "id") == "id" else error.en)
            )
    if findings:
        raise AuthoringError(*findings)
    statement = Statement(query, operation, template, arguments, described)
    _check_blocks(statement)
    return statement


def _given(values: Mapping[str, str], name: str) -> str:
    """Return the value under a name as it is in the SQL, where capital letters of grant. make no difference."""
    return values.get(name, "") or next((text for key, text in values.items() if key.lower() == name), "")


def _value(query: UnsavedQuery, template: sql_text.Template, name: str, text: str, described: bool) -> Any:
    """Return the value of a placeholder. Raises InvalidValue."""
    if query.page_size and name in ("limit", "offset"):
        return query.page_size + 1 if name == "limit" else 0
    declared = next((each for each in query.parameters if each.name == name), None)
    text = text or (declared.default if declared else "")
    if text:
        return query.parser(name)(text)
    if described:
        return _INSTEAD.get(Parameter.Type(declared.type)) if declared else None
    if name not in template.optional and (declared is None or declared.required):
        raise InvalidValue("isi nilainya", "enter a value")
    return None


#: Values for describing a query: where a number must be, as behind LIMIT, some databases take no NULL, and where two
#: functions have one name, only a value with a type tells which is meant.
_INSTEAD: dict[Parameter.Type, Any] = {
    Parameter.Type.INTEGER: 1,
    Parameter.Type.DECIMAL: Decimal(1),
    Parameter.Type.BOOLEAN: True,
    Parameter.Type.DATE: date(2000, 1, 1),
    Parameter.Type.DATETIME: datetime(2000, 1, 1),
}


def _check_blocks(statement: Statement) -> None:
    """Raise AuthoringError if a value would be without effect, or this combination of blocks may not run."""
    template, operation = statement.template, statement.operation
    split = template.split(statement.kept, statement.kept)
    if split is not None:
        fault = Fault(faults.PARAMETERS_TOGETHER, given=", ".join(split[0]), missing=", ".join(split[1]))
        raise AuthoringError(Finding("value", fault.message(get_language() or "id"), name=split[1][0]))
    if template.blocks:
        problems = sql_text.check_combination(template, statement.kept, operation.dialect, False, operation.routines)
        if problems:
            raise AuthoringError(*map(_of_problem, problems))


def _of_problem(problem: sql_text.Problem) -> Finding:
    return Finding("check", gettext(problem.message).format_map(problem.details), problem.line, problem.column)


def _of_value(name: str, reason: str) -> Finding:
    return Finding("value", f"{name}: {reason}", name=name)


def _offset_of_name(sql: str, name: str) -> int | None:
    """Return where a name is in the SQL that the database does not know: its first place, or that of its last part."""
    for text in (name, name.rpartition(".")[2]):
        match = re.search(rf"(?<![\w:]){re.escape(text)}(?!\w)", sql, re.I)
        if match:
            return match.start()
    return None
