"""Whether an operation's SQL and its parameters fit each other: seen only where both are at hand."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.translation import gettext as _

from adapters import adapter_class
from dataservices import sql
from dataservices.models import DataOperation

_PAGING = ("limit", "offset")


def undeclared(operation: DataOperation, parameters: Iterable[str]) -> str:
    """What to tell the author when the SQL has a :mark that no parameter fills, "" when all is well.

    SQL that cannot be parsed is the model's own matter.
    """
    try:
        marks = sql.parse(operation.sql, adapter_class(operation.source.engine).dialect).marks
    except ValueError:
        return ""
    filled = {*parameters, *(_PAGING if operation.page_size else ())}
    missing = [mark for mark in marks if mark not in filled]
    if not missing:
        return ""
    return _("No parameter is declared for %(marks)s.") % {"marks": ", ".join(f":{mark}" for mark in missing)}
