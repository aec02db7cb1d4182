"""What the rules of publishing need to know of data operations."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext

from adapters import adapter_class
from dataservices import sql
from dataservices.authoring import column_names, run
from dataservices.models import DataOperation, DataSource, grant_values_of
from dataservices.unsaved import AuthoringError, UnsavedQuery
from registry import personal_data
from registry.lookups import look_up
from registry.models import Operation, Parameter
from registry.models.changes import read_once
from registry.publishing import WHOLE_ROW, PublishedKind
from registry.versions import Change, Definition

#: What decides about the columns of a result.
_COLUMNS = ("source", "sql", "page_size", "writes")
_LISTS = ("fields", "parameters")


def _origins(definition: Definition) -> frozenset[str]:
    return frozenset({definition["columns"]["source"]["label"]})


def _dialect(definition: Definition) -> str | None:
    """Return the dialect of the SQL, None if its source no longer exists."""
    id = definition["columns"]["source"]["id"]
    engine = read_once(
        "source", id, lambda: DataSource.objects.filter(pk=id).order_by().values_list("engine", flat=True).first()
    )
    return None if engine is None else adapter_class(engine).dialect


def _query(definition: Definition) -> str:
    """Return the tokens of the SQL, or the SQL itself if its source no longer exists."""
    text: str = definition["columns"]["sql"]
    dialect = _dialect(definition)
    return text if dialect is None else sql.normalised(text, dialect)


def _built_from(definition: Definition) -> Mapping[str, Collection[str]] | None:
    """Return the columns of the result with the columns that they are built from; None if the SQL cannot be read."""
    dialect = _dialect(definition)
    return None if dialect is None else _columns_of(definition["columns"]["sql"], dialect)


@lru_cache(maxsize=32)
def _columns_of(text: str, dialect: str) -> Mapping[str, Collection[str]] | None:
    try:
        return sql.built_from(sql.parse(text, dialect), dialect)
    except sql.TemplateError:
        return None


def _grant_values(definition: Definition) -> frozenset[str]:
    dialect = _dialect(definition)
    return frozenset() if dialect is None else grant_values_of(definition["columns"]["sql"], dialect)


def _words(definition: Definition) -> Iterable[str]:
    """Return the names in the result and behind it; all words of the SQL if nobody knows these."""
    columns, built = definition["columns"], _built_from(definition)
    if built is None:
        return re.findall(r"\w+", columns["sql"])
    # What RETURNING * gives is not looked up.
    whole = [WHOLE_ROW] if columns["writes"] and "*" in columns["sql"] else []
    return itertools.chain(whole, built, *built.values())


# ---------------------------------------------------------------------------------------- the result


def _result(change: Change) -> Sequence[str] | None:
    """Return the columns of the result, None if they are not known or the same as before.

    Raises ValidationError if a declared column is not among them, or if the source cannot be asked.
    """
    row = change.row
    assert isinstance(row, DataOperation)
    declared = [each["name"] for each in change.new["lists"]["fields"]]
    if declared and change.old is not None and _is_same_query(change.old, change.new):
        return None
    if not sql.returns_rows(row.sql, row.dialect, row.writes):
        return ()
    if not sql.is_query(row.sql, row.dialect) or row.writes:
        return None
    columns = _looked_up(row, _parameters(change), needed=change.user is not None)
    if columns is None:
        return None
    if missing := [name for name in declared if name not in columns]:
        raise ValidationError([_missing_message(name, columns) for name in missing])
    return columns


def _parameters(change: Change) -> tuple[Parameter, ...]:
    return tuple(change.row.parameters.all() if change.lists is None else change.lists["parameters"])


def _is_same_query(old: Definition, new: Definition) -> bool:
    columns = all(old["columns"].get(name) == new["columns"][name] for name in _COLUMNS)
    return columns and all(old["lists"].get(name) == new["lists"][name] for name in _LISTS)


def _looked_up(row: DataOperation, parameters: tuple[Parameter, ...], needed: bool) -> list[str] | None:
    """Return the columns of an operation's result, as the source describes them. Raises ValidationError.

    None if the source does not respond and they are not ``needed``: an operator's bundle is for many sources, one of
    which may be down, or not open to the new server yet.
    """
    query = UnsavedQuery(row.source, row.sql, parameters, row.page_size)
    try:
        found = look_up(*_asked("columns", query), lambda: _described(query), AuthoringError)
    except AuthoringError as error:
        if not needed:
            return None
        text = gettext("The columns of the result cannot be checked now. Publish when the source responds: %(reason)s")
        raise ValidationError(text % {"reason": error.findings[0].text}) from None
    if isinstance(found, AuthoringError):
        raise ValidationError([_position(finding.line, finding.column, finding.text) for finding in found.findings])
    return found


def _asked(what: str, query: UnsavedQuery) -> tuple[str, tuple[Any, ...]]:
    """Return what look_up() knows a question about a query by: the source, and what is wanted of it."""
    source = json.dumps([query.source.engine, query.source.settings()], sort_keys=True, default=str)
    parameters = ((each.name, each.type, each.default) for each in query.parameters)
    return source, (what, query.sql, query.page_size, *parameters)


def _described(query: UnsavedQuery) -> list[str] | AuthoringError:
    """Return the columns, or why the SQL cannot run. Raises AuthoringError if the source cannot be asked."""
    try:
        return column_names(query)
    except AuthoringError as error:
        if error.findings[0].kind == "source":
            raise
        return error


def _seen(change: Change) -> Mapping[str, str]:
    """Return the columns whose first values are NIK, KK or NPWP, whatever they are called.

    None are known where callers must give a value, and where the source gives no rows now. An operator's bundle may
    have many queries, and an operator who has read it: they are not run.
    """
    if change.user is None or _was_open(change):
        return {}
    row = change.row
    assert isinstance(row, DataOperation)
    if row.writes or not sql.is_query(row.sql, row.dialect):
        return {}
    query = UnsavedQuery(row.source, row.sql, _parameters(change), row.page_size)
    try:
        return look_up(*_asked("values", query), lambda: _identifiers(query), AuthoringError)
    except AuthoringError:  # _result() has told, where it matters
        return {}


def _was_open(change: Change) -> bool:
    """Return True if everybody gets the same already."""
    old = change.old
    return old is not None and old["columns"]["access"] == Operation.Access.OPEN and _is_same_query(old, change.new)


def _identifiers(query: UnsavedQuery) -> dict[str, str]:
    try:
        outcome = run(query, {})
    except AuthoringError as error:
        if error.findings[0].kind == "source":
            raise
        return {}
    found = {
        column.name: personal_data.recognize(column.name, [row[place] for row in outcome.rows])
        for place, column in enumerate(outcome.columns)
    }
    return {
        name: each.kind.lower() for name, each in found.items()
        if each is not None and each.kind in personal_data.IDENTIFIERS and each.certainty == personal_data.CERTAIN
    }  # fmt: skip


def _position(line: int | None, column: int | None, text: str) -> str:
    if line is None:
        return text
    return f"{gettext('Line {line}, column {column}:').format(line=line, column=column)} {text}"


def _missing_message(name: str, columns: Collection[str]) -> str:
    """Return the message about a declared column that is not in the result, with the one that was probably meant."""
    by_lower = {column.lower(): column for column in columns}
    meant = get_close_matches(name.lower(), by_lower, 1)
    if meant:
        text = gettext("The result has no column %(name)s. Change the field to %(meant)s, or the SQL.")
        return text % {"name": name, "meant": by_lower[meant[0]]}
    text = gettext("The result has no column %(name)s. It has: %(columns)s.")
    listed = list(columns)
    return text % {"name": name, "columns": ", ".join([*listed[:20], *(["…"] if len(listed) > 20 else [])])}


KIND = PublishedKind(
    limits=("max_rows", "page_size"),
    origins=_origins,
    query=_query,
    result=_result,
    seen=_seen,
    built_from=_built_from,
    grant_values=_grant_values,
    words=_words,
)
