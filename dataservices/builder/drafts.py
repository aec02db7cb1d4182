"""Parameters for the placeholders of a query: their names, types and descriptions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from adapters.base import ColumnInfo
from dataservices.builder.spec import OPERATORS, Filter, Spec
from dataservices.sql import PAGING_NAMES
from registry.legacy_names import parameter_key
from registry.personal_data import IDENTIFIERS, recognize

#: The columns of tables, by (schema, table) as the schema browser names them.
Columns = Mapping[tuple[str, str], Sequence[ColumnInfo]]

#: Operators that compare with a part of a text, or with several values: their parameter is a text, whatever the column.
_TEXTUAL = frozenset(("contains", "begins", "in"))
#: The bus's types of columns, where a parameter's type has another name.
_TYPES = {"float": "decimal"}
_KNOWN = frozenset(("integer", "decimal", "boolean", "date", "datetime"))
#: Letters of a list of values at most.
_LIST_LENGTH = "2000"
_MAX_NAME = 63


@dataclass(frozen=True, slots=True)
class ParameterDraft:
    """The attributes of a registry.models.Parameter. ``min`` and ``max`` are lengths, for a text."""

    name: str
    type: str
    required: bool
    description: str
    min: str = ""
    max: str = ""
    subject: bool = False


def parameters(spec: Spec, columns: Columns) -> list[ParameterDraft]:
    """Return a parameter for each placeholder of a query, in the order of its filters.

    ``columns`` are those of the query's tables; a parameter for a column that is not there is a text.
    """
    return [
        _draft(each, name, place, spec, columns) for each in spec.filters for place, name in enumerate(each.parameters)
    ]


def _draft(each: Filter, name: str, place: int, spec: Spec, columns: Columns) -> ParameterDraft:
    table = spec.aliases[each.column.table]
    known = columns.get((table.schema, table.name), ())
    info = next((column for column in known if column.name == each.column.column), None)
    finding = recognize(each.column.column, (), table.name)
    kind = finding.kind if finding else ""
    textual = each.operator in _TEXTUAL
    return ParameterDraft(
        name,
        "text" if textual else _type(kind, info),
        not each.optional,
        _description(each, place),
        # Without a letter, the whole table would match.
        "1" if each.operator in ("contains", "begins") else "",
        _LIST_LENGTH if each.operator == "in" else "",
        kind in IDENTIFIERS and each.operator == "=",
    )


def _type(kind: str, info: ColumnInfo | None) -> str:
    """Return a parameter's type for a column with this kind of personal data."""
    if kind in ("NIK", "NPWP"):
        return kind.lower()
    type_ = _TYPES.get(info.kind or "", info.kind or "") if info else ""
    return type_ if type_ in _KNOWN else "text"


def _description(each: Filter, place: int) -> str:
    sentence = {
        "between": (_("%(column)s: the first value of the range"), _("%(column)s: the last value of the range"))[place],
        "contains": _("%(column)s: a part of the text"),
        "begins": _("%(column)s: the beginning of the text"),
        "in": _("%(column)s: several values, separated by commas without spaces"),
        "<": _("%(column)s: less than this"),
        ">": _("%(column)s: greater than this"),
        "<=": _("%(column)s: at most this"),
        ">=": _("%(column)s: at least this"),
        "<>": _("%(column)s: not this value"),
    }.get(each.operator, _("%(column)s to look for"))
    return sentence % {"column": each.column.column}


#: What is added to a column's name, for parameters of operators with two values and of other comparisons.
_ENDINGS = {"between": ("_dari", "_sampai"), ">=": ("_dari",), ">": ("_dari",), "<=": ("_sampai",), "<": ("_sampai",)}


def parameter_names(column: str, operator: str, taken: Collection[str] = ()) -> tuple[str, ...]:
    """Return names for the parameters of a filter: legal, and none that is ``taken`` already. () for operators without.

    Programs for MANTRA 1.99x must be able to distinguish them, so that case does not count.
    """
    count = 1 if OPERATORS[operator] is None else OPERATORS[operator]
    endings = _ENDINGS.get(operator, ("",))[:count]
    used = {parameter_key(name) for name in taken} | PAGING_NAMES
    return tuple(_free(_legal(column), ending, used) for ending in endings)


def _legal(column: str) -> str:
    plain = unicodedata.normalize("NFKD", column).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    return name if name and not name[0].isdigit() else f"p_{name}".rstrip("_")


def _free(stem: str, ending: str, used: Collection[str]) -> str:
    number = 1
    while True:
        suffix = ending if number == 1 else f"{ending}_{number}"
        name = stem[: _MAX_NAME - len(suffix)] + suffix
        if name not in used:
            return name
        number += 1
