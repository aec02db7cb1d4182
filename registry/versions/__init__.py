"""Versions of operations: one is published, at most one draft is beside it, and all earlier ones are kept.

The rows of an operation are its published version. A draft beside it is a second row (Operation.draft_of), which only
this package makes. OperationVersion keeps each published definition.
"""

from registry.versions.comparison import Difference, LinePair, Section, compare, summary
from registry.versions.definition import Definition, SecretsToReenter, definition, is_same, readable
from registry.versions.kinds import KINDS, UNVERSIONED, ChildList, VersionedKind, kind_of
from registry.versions.publishing import (
    CHECKS,
    STATE_WARNINGS,
    Change,
    DraftExists,
    absorb,
    discard,
    draft_of,
    next_number,
    open_draft,
    publish,
    record,
    revert,
)

__all__ = [
    "CHECKS",
    "KINDS",
    "STATE_WARNINGS",
    "UNVERSIONED",
    "Change",
    "ChildList",
    "Definition",
    "Difference",
    "DraftExists",
    "LinePair",
    "SecretsToReenter",
    "Section",
    "VersionedKind",
    "absorb",
    "compare",
    "definition",
    "discard",
    "draft_of",
    "is_same",
    "kind_of",
    "next_number",
    "open_draft",
    "publish",
    "readable",
    "record",
    "revert",
    "summary",
]  # fmt: skip
