"""An author's SQL text: its :name placeholders, its [[ optional blocks ]], and whether it may run at all.

Everything here is a pure function over text. The text that runs is the author's own, byte for byte,
but for the placeholders and for blocks that drop out. What ``check`` finds is a courtesy to the author and a
second wall; the first one is the read-only account and transaction.
"""

from __future__ import annotations

from dataservices.sql.checker import check, check_combination
from dataservices.sql.lineage import WHOLE_ROW, built_from
from dataservices.sql.messages import Problem, not_looked_up, position_of
from dataservices.sql.template import (
    CHANGE_NAMES,
    GRANT,
    PAGING_NAMES,
    Template,
    TemplateError,
    as_in_sql,
    compared_words,
    grant_placeholder,
    is_query,
    normalised,
    parse,
    quoted_placeholders,
    returns_rows,
    supports_paging,
    words,
)
from dataservices.sql.traits import Traits, traits_of
from dataservices.sql.wrapping import NotWrappable, Query, wrappable

__all__ = (
    "CHANGE_NAMES",
    "GRANT",
    "PAGING_NAMES",
    "WHOLE_ROW",
    "NotWrappable",
    "Problem",
    "Query",
    "Template",
    "TemplateError",
    "Traits",
    "as_in_sql",
    "built_from",
    "check",
    "check_combination",
    "compared_words",
    "grant_placeholder",
    "is_query",
    "normalised",
    "not_looked_up",
    "parse",
    "position_of",
    "quoted_placeholders",
    "returns_rows",
    "supports_paging",
    "traits_of",
    "words",
    "wrappable",
)
