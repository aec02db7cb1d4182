"""What of data operations is versioned."""

from __future__ import annotations

from collections.abc import Collection

from dataservices.models import DataOperation
from dataservices.plan import parameters_message
from registry.versions import VersionedKind


def _problems(row: DataOperation) -> Collection[str]:
    """Return why the operation's SQL and its stored parameters do not agree."""
    names = list(row.parameters.values_list("name", flat=True))
    problem = parameters_message(row, names, removed=None)
    return [problem] if problem else []


KIND = VersionedKind(
    model=DataOperation,
    default_section="query",
    related=("source__agency",),
    problems=_problems,
)
