"""JSON Schemas of an operation's parameters and columns, and examples of values."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import orjson
from django.utils.translation import gettext as _

from mantra.gateway import patterns
from mantra.gateway.parameters import MAX_CURSOR, changes, paging
from registry import parameter_examples
from registry.parameter_values import InvalidValue
from registry.results import DELETED
from registry.snapshot.types import Field, Operation, Parameter

Schema = dict[str, Any]

_INT64 = 2**63
#: What has more digits before the decimal point than the bus reads.
_TOO_LARGE = 10**40

#: What every value of a type has in common, whatever rules its parameter adds.
_PARAMETER_TYPES: dict[str, Schema] = {
    "text": {"type": "string"},
    "integer": {"type": "integer", "format": "int64"},
    "decimal": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    "choice": {"type": "string"},
    # Six digits of a place, then day (from 41 for women), month and year of birth, and a number.
    "nik": {"type": "string", "pattern": "^[1-9][0-9]{5}([04][1-9]|[1256][0-9]|[37][01])(0[1-9]|1[0-2])[0-9]{6}$"},
    "npwp": {"type": "string", "pattern": "^[0-9]{15,16}$"},
}
#: A column's type → the schema of its values in JSON, as docs/types.md shows them. NULL is null in each.
COLUMN_TYPES: dict[str, Schema] = {
    "text": {"type": ["string", "null"]},
    "integer": {"type": ["integer", "null"]},
    "decimal": {"anyOf": [{"type": ["number", "null"]}, {"enum": ["NaN", "Infinity", "-Infinity"]}]},
    "float": {"anyOf": [{"type": ["number", "null"]}, {"enum": ["NaN", "Infinity", "-Infinity"]}]},
    "boolean": {"type": ["boolean", "null"]},
    "date": {"type": ["string", "null"], "examples": ["2026-01-31"]},
    "time": {"type": ["string", "null"], "examples": ["08:00:00"]},
    "datetime": {"type": ["string", "null"], "examples": ["2026-01-31T08:00:00"]},
    "interval": {"type": ["string", "null"], "examples": ["P1DT2H3M4S"]},
    "bytes": {"type": ["string", "null"], "contentEncoding": "base64"},
    "json": {},
    "uuid": {"type": ["string", "null"], "format": "uuid"},
}


def column_type_name(type: str) -> str:
    """Return the name of the component that has the schema of a column type."""
    return f"column.{type}"


# ----------------------------------------------------------------------------------------- requests


def arguments(operation: Operation) -> dict[str, Schema]:
    """Return the schemas of all values that callers may give, by name: parameters, then those of paging."""
    own = {parameter.name: parameter_schema(parameter) for parameter in operation.parameters}
    size = operation.plan.page_size if operation.plan is not None else 0
    own |= {name: _page_schema(name, *limits) for name, limits in paging(size).items()}
    size = operation.plan.change_size if operation.plan is not None else 0
    if size:
        own |= {"since": _since_schema(), "per_page": _page_schema("per_page", *changes(size)["per_page"])}
    return own


def body(operation: Operation, with_null: bool) -> Schema:
    """Return the schema of a body. ``with_null``: as JSON, in which null means not given."""
    given, needed = arguments(operation), required(operation)
    members = {name: _nullable(each) if with_null and name not in needed else each for name, each in given.items()}
    schema: Schema = {"type": "object", "properties": members, "additionalProperties": False}
    return schema | ({"required": needed} if needed else {})


def _nullable(schema: Schema) -> Schema:
    more = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return schema | {"type": [schema["type"], "null"]} | more


def required(operation: Operation) -> list[str]:
    """Return the names of the parameters that callers must give."""
    return [parameter.name for parameter in operation.parameters if parameter.must_be_given]


def _page_schema(name: str, default: int, maximum: int) -> Schema:
    words = {"page": _("The number of the page."), "per_page": _("Rows in a page.")}
    return {
        "type": "integer", "minimum": 1, "maximum": maximum, "default": default, "description": words[name],
    }  # fmt: skip


def _since_schema() -> Schema:
    words = _(
        "The cursor of an earlier response (X-Cursor): only what changed after it. Empty: from the beginning. Without "
        "this parameter, all rows."
    )
    return {"type": "string", "maxLength": MAX_CURSOR, "description": words}


def parameter_schema(parameter: Parameter) -> Schema:
    """Return the schema of a parameter's values. The bus checks some rules that no schema can express."""
    schema = dict(_PARAMETER_TYPES[parameter.type])
    notes = [parameter.description]
    if parameter.type in ("text", "choice"):
        schema |= _lengths(parameter)
    elif parameter.type in ("integer", "decimal"):
        schema |= _range(parameter)
    notes += _notes(parameter)
    schema |= _pattern(parameter, notes)
    if choices := _choices(parameter):
        schema["enum"] = choices
    if parameter.default is not None:
        schema["default"] = json_value(parameter.default)
    if text := " ".join(note.strip() for note in notes if note.strip()):
        schema["description"] = text
    if (example := example_of(parameter)) is not None:
        schema["examples"] = [example]
    return schema


def _lengths(parameter: Parameter) -> Schema:
    parser = parameter.parse
    schema: Schema = {"maxLength": parser.longest}
    if parser.min is not None and 0 < parser.min <= parser.longest:
        schema["minLength"] = parser.min
    return schema


def _range(parameter: Parameter) -> Schema:
    """Return the bounds of a number; without its own those of a 64-bit integer, or of 40 digits."""
    low, high = parameter.parse.min, parameter.parse.max
    if parameter.type == "integer":
        low = -_INT64 if low is None else max(low, -_INT64)
        high = _INT64 - 1 if high is None else min(high, _INT64 - 1)
    return {
        **({"exclusiveMinimum": _digits(-_TOO_LARGE)} if low is None else {"minimum": json_value(low)}),
        **({"exclusiveMaximum": _digits(_TOO_LARGE)} if high is None else {"maximum": json_value(high)}),
    }


def _digits(number: int) -> Any:
    return orjson.Fragment(str(number))


def _notes(parameter: Parameter) -> list[str]:
    """Return what a parameter's schema cannot express."""
    parser, notes = parameter.parse, []
    if parameter.type == "nik":
        notes.append(_("NIK: 16 digits."))
    if parameter.type == "npwp":
        notes.append(_("NPWP: 15 or 16 digits."))
    if parameter.type == "decimal":
        notes.append(_("At most 40 digits before the decimal point and 40 after it."))
    if parameter.type in ("date", "datetime"):
        if parser.min is not None:
            notes.append(_("At least %(bound)s.") % {"bound": parser.min.isoformat()})
        if parser.max is not None:
            notes.append(_("At most %(bound)s.") % {"bound": parser.max.isoformat()})
    return notes


def _pattern(parameter: Parameter, notes: list[str]) -> Schema:
    """Return the pattern, for text alone: of other types a schema has no text. Else add it to the notes."""
    pattern = parameter.parse.pattern
    if pattern is None:
        return {}
    if parameter.type in ("text", "choice") and (written := patterns.translated(pattern, patterns.ECMA)):
        return {"pattern": written}
    notes.append(_("Must match the regular expression %(pattern)s.") % {"pattern": pattern.pattern})
    return {}


def _choices(parameter: Parameter) -> list[Any]:
    values = []
    for text in sorted(parameter.parse.choices):
        try:
            values.append(json_value(parameter.parse.convert(text)))
        except InvalidValue:  # no call can have this value
            continue
    return values


def json_value(value: Any) -> Any:
    """Return a parameter's value as orjson can write it, a decimal digit for digit."""
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value


def example_of(parameter: Parameter) -> Any:
    """Return a value that the parameter accepts, as JSON has it; None if none is known."""
    default = "" if parameter.default is None else parameter_examples.text_of(parameter.default)
    text = parameter_examples.example(parameter.parse, default)
    return None if text is None else json_value(parameter.parse(text))


# ---------------------------------------------------------------------------------------- responses


def row_schema(fields: Iterable[Field], deletions: bool = False) -> Schema:
    """Return the schema of a row with these columns; of any row if none are declared.

    ``deletions``: in a page of changes, a row says whether it is deleted.
    """
    columns = {field.name: _column_schema(field) for field in fields}
    schema: Schema = {"type": "object", "xml": {"name": "row"}}
    if columns:
        required = list(columns)
        if deletions:
            columns[DELETED.name] = {"type": "boolean", "description": _("True if the source has deleted this row.")}
        schema |= {"properties": columns, "required": required, "additionalProperties": False}
    return schema


def _column_schema(field: Field) -> Schema:
    schema: Schema = {"$ref": f"#/components/schemas/{column_type_name(field.sent_type)}"}
    return schema | ({"description": field.description} if field.description else {})


def table_schema(row: Schema) -> Schema:
    """Return the schema of a response with rows."""
    return {
        "type": "object",
        "xml": {"name": "response"},
        "properties": {
            "data": {"type": "array", "items": row, "xml": {"wrapped": True}},
            "count": {"type": "integer", "minimum": 0, "description": _("The number of rows in this response.")},
            "truncated": {
                "type": "boolean",
                "description": _("True if there are more rows than the operation's row limit."),
            },
        },
        "required": ["data", "count", "truncated"],
        "additionalProperties": False,
    }  # fmt: skip


def affected_schema() -> Schema:
    """Return the schema of the response of a write that returns no rows."""
    return {
        "type": "object",
        "xml": {"name": "response"},
        "properties": {
            "affected": {
                "type": ["integer", "null"],
                "description": _("The number of changed rows; null if the database does not report it."),
            }
        },
        "required": ["affected"],
        "additionalProperties": False,
    }  # fmt: skip
