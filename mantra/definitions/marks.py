"""Whether an operation's SQL and its parameters fit each other: seen only where both are at hand."""

from __future__ import annotations

from collections.abc import Collection

from django.utils.translation import gettext as _

from dataservices.models import DataOperation
from dataservices.sql import TemplateError


def undeclared(operation: DataOperation, parameters: Collection[str]) -> str:
    """What to tell the author when the SQL has a :mark that no parameter fills, "" when all is well.

    SQL that cannot be parsed is the model's own matter.
    """
    try:
        missing = operation.undeclared(parameters)
    except TemplateError:
        return ""
    if not missing:
        return ""
    return _("No parameter is declared for %(marks)s.") % {"marks": ", ".join(f":{mark}" for mark in missing)}
