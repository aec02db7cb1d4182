"""Requests made from what an operation has itself: the first rows of its table, or the samples of a proxy operation.

The source is read as for a call: with its reading account, in the bulkhead of its pool, and within seconds.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from adapters.base import Limits, QueryFailed, Stream
from dataservices import schema_browser, sql
from dataservices.models import DataOperation
from dataservices.schema_browser import BrowseError
from dataservices.sql.template import Template
from registry.models import SampleRequest
from registry.snapshot.types import Operation

#: Rows that are looked at, the seconds that it may take, and characters of a value in a request.
ROWS, SECONDS, MAX_VALUE = 50, 10.0, 500
#: A literal in place of a placeholder, which no definition has.
_MARK = "mantra-parameter-"
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Like, exp.ILike)


class NotMade(Exception):
    """No request can be made. The text is a word of results.SKIPPED."""


class SourceFailed(NotMade):
    """The source does not respond."""

    def __init__(self) -> None:
        super().__init__("source")


@dataclass(frozen=True, slots=True)
class Lookup:
    """A query for values that an operation's parameters can have: one column for each of ``names``."""

    text: str
    names: tuple[str, ...]
    #: The parameters that are compared with LIKE.
    patterns: frozenset[str]


def lookup_of(template: Template, dialect: str, names: Collection[str]) -> Lookup | None:
    """Return the query for the columns that the ``names`` are compared with; None if it cannot be told which.

    Its fixed conditions stay, so that the operation has a result for what is found.
    """
    try:
        tree = sqlglot.parse_one(_marked(template), dialect=dialect)
    except (SqlglotError, RecursionError):
        return None
    if not isinstance(tree, exp.Select) or not tree.args.get("from_"):
        return None
    for part in ("order", "limit", "offset", "fetch", "distinct", "group", "having"):
        tree.set(part, None)
    columns: dict[str, exp.Expression] = {}
    patterns = set()
    for condition in list(tree.find_all(*_COMPARISONS)):
        name, column = _compared(condition)
        if not name or column is None or condition.parent_select is not tree:
            continue
        columns.setdefault(name, column.copy())
        if isinstance(condition, (exp.Like, exp.ILike)):
            patterns.add(name)
        condition.replace(exp.Not(this=exp.Is(this=column.copy(), expression=exp.Null())))
    found = tuple(name for name in names if name in columns)
    if len(found) < len(names):
        return None
    tree.set("expressions", [exp.alias_(columns[name], f"p{at}") for at, name in enumerate(found)])
    if any(literal.this.startswith(_MARK) for literal in tree.find_all(exp.Literal)):
        return None  # a parameter is used otherwise as well
    if dialect != "oracle":  # an old one has no clause for it: there the row limit ends the query
        tree = tree.limit(ROWS)
    return Lookup(tree.sql(dialect=dialect), found, frozenset(patterns))


def _marked(template: Template) -> str:
    """Return the text with a literal for each placeholder, and all of its optional blocks."""
    cuts = [(each.start, each.end, f"'{_MARK}{each.name}'") for each in template.occurrences]
    for block in template.blocks:
        cuts += [(block.start, block.start + 2, " "), (block.end - 2, block.end, " ")]
    text = template.sql
    for start, end, instead in sorted(cuts, reverse=True):
        text = text[:start] + instead + text[end:]
    return text


def _compared(condition: exp.Expression) -> tuple[str, exp.Expression | None]:
    """Return the parameter of a comparison and what it is compared with; "" if it has none, or is no such one."""
    for mark, column in ((condition.expression, condition.this), (condition.this, condition.expression)):
        if isinstance(mark, exp.Literal) and str(mark.this).startswith(_MARK) and column.find(exp.Column):
            return str(mark.this)[len(_MARK) :], column
    return "", None


def values_of_rows(operation: Operation, row: DataOperation, most: int) -> list[dict[str, str]]:
    """Return at most ``most`` sets of values for the parameters of a data operation. Raises NotMade."""
    names = [parameter.name for parameter in operation.parameters if parameter.must_be_given]
    if not names:
        return [{}]
    try:
        lookup = lookup_of(row.template(), row.dialect, names)
    except sql.TemplateError:
        lookup = None
    if lookup is None:
        raise NotMade("no-condition")
    try:
        found = list(_read(row, lookup))
    except BrowseError as error:
        # A source that refuses this query may take the next operation's.
        raise NotMade("source") if isinstance(error.cause, QueryFailed) else SourceFailed from None
    if not found:
        raise NotMade("no-rows")
    return list({tuple(values.items()): values for values in found}.values())[:most]


def _read(row: DataOperation, lookup: Lookup) -> Iterator[dict[str, str]]:
    """Yield the values of the first rows that have one in every column. Raises BrowseError."""
    with schema_browser.pooled_connection(row.source, SECONDS) as (adapter, connection):
        text = lookup.text.replace("%", "%%") if adapter.paramstyle == "pyformat" else lookup.text
        stream = adapter.run(connection, text, {}, Limits(ROWS, SECONDS))
        try:
            yield from _values(stream, adapter.as_written, lookup)
        finally:
            stream.close()


def _values(stream: Stream, as_written: Any, lookup: Lookup) -> Iterator[dict[str, str]]:
    conversions = [as_written.get(type, str) for _name, type in stream.columns]
    for row in islice((row for batch in stream for row in batch), ROWS):
        texts = [_text(value, convert) for value, convert in zip(row, conversions, strict=True)]
        if all(texts):
            yield {
                name: f"{text}%" if name in lookup.patterns else text
                for name, text in zip(lookup.names, texts, strict=True)
            }


def _text(value: Any, convert: Any) -> str:
    """Return a value as a caller sends it; "" for one that is none for a caller."""
    if value is None or isinstance(value, bytes | bytearray | memoryview):
        return ""
    text = value if isinstance(value, str) else str(convert(value))
    return text.rstrip() if len(text) <= MAX_VALUE else ""


def values_of_samples(operation: Operation, most: int) -> list[dict[str, str]]:
    """Return at most ``most`` sets of values of an operation's sample requests. Raises NotMade if it has none."""
    required = {parameter.name for parameter in operation.parameters if parameter.must_be_given}
    if not operation.parameters:
        return [{}]
    found = []
    for sample in SampleRequest.objects.filter(operation=operation.id).order_by("pk")[:most]:
        request = _read_sample(str(sample.request))
        values = {
            parameter.name: str(request[parameter.name])
            for parameter in operation.parameters
            if request.get(parameter.name) not in (None, "")
        }
        if required <= values.keys():
            found.append(values)
    if not found:
        raise NotMade("no-sample")
    return found


def _read_sample(text: str) -> dict[str, Any]:
    try:
        request = json.loads(text)
    except ValueError:
        return {}
    return request if isinstance(request, dict) else {}
